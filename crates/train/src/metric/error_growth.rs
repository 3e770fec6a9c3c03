//! How the error of free-running forecasts grows with the horizon.
//!
//! At each predicted step: mean, median and quartiles of the normalised error over the rollouts.

use serde::{Deserialize, Serialize};

use super::quartiles::Quartiles;

/// The errors of many rollouts at one horizon, in units of `rms‖x‖`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorAtHorizon {
    /// Predicted steps so far: 1 for the first predicted row.
    pub step: usize,
    /// Rollouts that reach this step.
    pub n_rollouts: usize,
    /// Those of them whose forecast is not finite here.
    pub n_diverged: usize,
    /// Mean over the rollouts; infinite as soon as one has diverged.
    pub mean: f64,
    /// Median and quartiles over the rollouts; a diverged one counts as infinite.
    pub quartiles: Quartiles,
}

/// Summarises at each step the errors that [`normalized_error`] gives for each rollout.
///
/// Rollouts may differ in length; a step is summarised over those that reach it.
///
/// [`normalized_error`]: super::normalized_error::normalized_error
#[must_use]
pub fn error_growth(errors: &[Vec<f64>]) -> Vec<ErrorAtHorizon> {
    let longest = errors.iter().map(Vec::len).max().unwrap_or(0);
    let at = |index: usize| {
        let sample: Vec<f64> =
            errors.iter().filter_map(|rollout| rollout.get(index).copied()).collect();
        ErrorAtHorizon {
            step: index + 1,
            n_rollouts: sample.len(),
            n_diverged: sample.iter().filter(|error| !error.is_finite()).count(),
            mean: sample.iter().sum::<f64>() / sample.len() as f64,
            quartiles: Quartiles::of(&sample),
        }
    };
    (0..longest).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_horizon_is_summarised_over_the_rollouts_that_reach_it() {
        let growth = error_growth(&[vec![0.1, 1.0], vec![0.3, 3.0], vec![0.2]]);
        assert_eq!(growth.len(), 2);
        assert_eq!((growth[0].step, growth[0].n_rollouts), (1, 3));
        assert!((growth[0].mean - 0.2).abs() < 1e-15);
        assert!((growth[0].quartiles.lower - 0.15).abs() < 1e-15);
        assert_eq!(
            growth[1],
            ErrorAtHorizon {
                step: 2,
                n_rollouts: 2,
                n_diverged: 0,
                mean: 2.0,
                quartiles: Quartiles { lower: 1.5, median: 2.0, upper: 2.5 },
            }
        );
    }

    #[test]
    fn a_diverged_rollout_is_counted_and_leaves_the_median() {
        let [at] = error_growth(&[vec![0.1], vec![f64::INFINITY], vec![0.3]])[..] else {
            panic!("one step")
        };
        assert_eq!((at.n_diverged, at.quartiles.median, at.mean), (1, 0.3, f64::INFINITY));
    }

    #[test]
    fn no_rollouts_have_no_growth() {
        assert_eq!(error_growth(&[]), []);
    }
}
