//! Free-running forecasts of the test split, for the pictures of a report.
//!
//! Lists over variables come first: `truth[variable][step]`.

use serde::{Deserialize, Serialize};

use super::nullable;
use crate::metric::poincare::poincare_section;

/// What the plots show. Any part may be empty; its plot is then left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RolloutPlots {
    /// Forecasts against the truth in time.
    pub examples: Vec<RolloutExample>,
    /// A long stretch of truth and of a free run, two variables against each other.
    pub phase: Option<PhasePortrait>,
    /// Crossings of a plane by the truth and by the free runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<PoincareSection>,
    /// Error by horizon, one entry per method.
    pub error_growth: Vec<ErrorGrowth>,
}

/// One free-running forecast and the truth, physical units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RolloutExample {
    /// Name of the test series.
    pub series: String,
    /// Step of the series at which the first prediction stands.
    pub start_step: usize,
    /// Last steps of the input, before the first prediction; may be empty.
    #[serde(deserialize_with = "nullable::table")]
    pub input: Vec<Vec<f64>>,
    /// True values at the predicted steps.
    #[serde(deserialize_with = "nullable::table")]
    pub truth: Vec<Vec<f64>>,
    /// Predicted values.
    #[serde(deserialize_with = "nullable::table")]
    pub forecast: Vec<Vec<f64>>,
    /// How long this forecast was valid.
    pub valid_until: Option<ValidUntil>,
}

/// First step at which a forecast's relative error exceeds a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidUntil {
    /// Threshold on `‖error‖ / rms‖truth‖`.
    pub threshold: f64,
    /// Steps after the last input.
    pub steps: usize,
}

/// Two variables against each other, physical units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhasePortrait {
    /// Name of the horizontal variable.
    pub x_name: String,
    /// Name of the vertical variable.
    pub y_name: String,
    /// Horizontal and vertical values of the truth, step after step: two lists.
    #[serde(deserialize_with = "nullable::table")]
    pub truth: Vec<Vec<f64>>,
    /// Horizontal and vertical values of the free run: two lists.
    #[serde(deserialize_with = "nullable::table")]
    pub forecast: Vec<Vec<f64>>,
}

/// Where trajectories cross a plane upwards, physical units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoincareSection {
    /// The variable that is constant on the plane.
    pub variable: String,
    /// Its value there.
    #[serde(deserialize_with = "nullable::number")]
    pub level: f64,
    /// Two other variables at the crossings.
    pub crossings: PhasePortrait,
}

/// Relative error `‖error‖ / rms‖truth‖` of free runs against the horizon, standardised units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorGrowth {
    /// Name of the method.
    pub name: String,
    /// Whether the method is a baseline; baselines are dashed.
    pub is_baseline: bool,
    /// Horizons, in steps after the last input.
    pub steps: Vec<usize>,
    /// Median over the starts.
    #[serde(deserialize_with = "nullable::numbers")]
    pub median: Vec<f64>,
    /// Lower quartile over the starts; empty draws no band.
    #[serde(deserialize_with = "nullable::numbers")]
    pub q25: Vec<f64>,
    /// Upper quartile over the starts; empty draws no band.
    #[serde(deserialize_with = "nullable::numbers")]
    pub q75: Vec<f64>,
}

impl ErrorGrowth {
    /// Whether there is anything to draw; a method that was not run has no finite error.
    pub(super) fn is_drawable(&self) -> bool {
        self.median.iter().any(|error| error.is_finite())
    }
}

impl PhasePortrait {
    /// Keeps the first and the last variable of two trajectories `[variable][step]`.
    ///
    /// For Lorenz these are x and z, the butterfly. `None` with fewer than two variables.
    #[must_use]
    pub fn first_and_last(
        columns: &[String],
        truth: &[Vec<f64>],
        forecast: &[Vec<f64>],
    ) -> Option<Self> {
        let ends = |rows: &[Vec<f64>]| match rows {
            [first, .., last] => Some(vec![first.clone(), last.clone()]),
            _ => None,
        };
        match columns {
            [x_name, .., y_name] => Some(Self {
                x_name: x_name.clone(),
                y_name: y_name.clone(),
                truth: ends(truth)?,
                forecast: ends(forecast)?,
            }),
            _ => None,
        }
    }
}

impl PoincareSection {
    /// The first two variables where the last one passes its mean over the truth upwards.
    ///
    /// `None` with fewer than three variables, or if the truth never does.
    ///
    /// # Shapes
    /// - each of `truth`, `forecast`: `[time, columns]` row-major
    ///
    /// # Panics
    /// If a trajectory does not consist of whole rows.
    #[must_use]
    pub fn of(columns: &[String], truth: &[Vec<f64>], forecast: &[Vec<f64>]) -> Option<Self> {
        let [x_name, y_name, .., variable] = columns else { return None };
        let last = columns.len() - 1;
        let values = || truth.iter().flat_map(|rows| rows.iter().skip(last).step_by(last + 1));
        let level = values().sum::<f64>() / values().count() as f64;
        let places = |trajectories: &[Vec<f64>]| {
            let crossings =
                trajectories.iter().flat_map(|rows| poincare_section(rows, last + 1, last, level));
            let (x, y): (Vec<f64>, Vec<f64>) = crossings.map(|c| (c.state[0], c.state[1])).unzip();
            vec![x, y]
        };
        let (x_name, y_name) = (x_name.clone(), y_name.clone());
        let (truth, forecast) = (places(truth), places(forecast));
        let found = !truth[0].is_empty();
        let crossings = PhasePortrait { x_name, y_name, truth, forecast };
        found.then(|| Self { variable: variable.clone(), level, crossings })
    }
}

#[cfg(test)]
mod tests {
    use super::{PhasePortrait, PoincareSection};

    #[test]
    fn a_phase_portrait_shows_the_first_and_the_last_variable() {
        let columns = ["x", "y", "z"].map(String::from);
        let truth = [vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0, 6.0]];
        let forecast = [vec![1.5], vec![3.5], vec![5.5]];
        let portrait = PhasePortrait::first_and_last(&columns, &truth, &forecast).unwrap();
        assert_eq!((portrait.x_name.as_str(), portrait.y_name.as_str()), ("x", "z"));
        assert_eq!(portrait.truth, [[1.0, 2.0], [5.0, 6.0]]);
        assert_eq!(portrait.forecast, [[1.5], [5.5]]);
        assert!(
            PhasePortrait::first_and_last(&columns[..1], &truth[..1], &forecast[..1]).is_none()
        );
    }

    #[test]
    fn a_section_shows_the_first_two_variables_where_the_last_passes_its_mean() {
        let columns = ["x", "y", "a", "z"].map(String::from);
        // z = 0, 4, 2, 4 has the mean 2.5; it passes 2.5 at 5/8 and at 1/4 of a step.
        let truth = [[0.0, 8.0, 1.0, 0.0], [8.0, 0.0, 1.0, 4.0], [0.0; 4], [4.0, 1.0, 0.0, 4.0]];
        let mut truth = truth.concat();
        truth[11] = 2.0;
        let section = PoincareSection::of(&columns, &[truth], &[vec![0.0; 8]]).unwrap();
        assert_eq!(section.variable, "z");
        assert!((section.level - 2.5).abs() < 1e-15);
        assert_eq!(section.crossings.truth, [[5.0, 1.0], [3.0, 0.25]]);
        assert_eq!(section.crossings.forecast, [[0.0; 0]; 2]);
        assert!(PoincareSection::of(&columns, &[vec![1.0; 8]], &[]).is_none());
        assert!(PoincareSection::of(&columns[..2], &[vec![0.0, 0.0, 1.0, 1.0]], &[]).is_none());
    }
}
