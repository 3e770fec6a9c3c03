//! Free-running forecasts of the test split, for the pictures of a report.
//!
//! Lists over variables come first: `truth[variable][step]`.

use serde::{Deserialize, Serialize};

use super::nullable;

/// What the plots show. Any part may be empty; its plot is then left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RolloutPlots {
    /// Forecasts against the truth in time.
    pub examples: Vec<RolloutExample>,
    /// A long stretch of truth and of a free run, two variables against each other.
    pub phase: Option<PhasePortrait>,
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

#[cfg(test)]
mod tests {
    use super::PhasePortrait;

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
}
