//! Valid prediction time: how long a free-running forecast stays useful.
//!
//! ```text
//! VPT = first time at which ‖e(t)‖ / rms‖x‖ > threshold
//! ```
//!
//! The error is [`normalized_error`], measured on normalised rows. The first predicted row has the
//! time of one step, so a forecast that fails at once has a VPT of one step. A forecast that never
//! exceeds the threshold is censored: it counts with its whole length, and `n_censored` says how
//! often that happened; mean and upper quartile are then lower bounds.
//!
//! [`normalized_error`]: super::normalized_error::normalized_error

use serde::{Deserialize, Serialize};

use super::quartiles::Quartiles;

/// Thresholds that reports use, in units of `rms‖x‖`.
pub const THRESHOLDS: [f64; 3] = [0.3, 0.4, 0.5];

/// The unit in which times are counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeScale {
    /// Multiples of the time in which a small error grows e-fold: `steps · dt · exponent`.
    LyapunovTimes {
        /// Time of one step.
        dt: f64,
        /// Largest Lyapunov exponent, per unit of `dt`.
        exponent: f64,
    },
    /// The unit of `dt`: `steps · dt`.
    TimeUnits {
        /// Time of one step.
        dt: f64,
    },
    /// Steps, where the time of a step is not known.
    Steps,
}

/// Valid prediction times of many rollouts at one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidPredictionTime {
    /// Error that ends a forecast, in units of `rms‖x‖`.
    pub threshold: f64,
    /// Number of rollouts.
    pub n_rollouts: usize,
    /// Those that stay valid to their end.
    pub n_censored: usize,
    /// Mean, in the unit of the [`TimeScale`]; NaN without rollouts.
    pub mean: f64,
    /// Median and quartiles, in the unit of the [`TimeScale`].
    pub quartiles: Quartiles,
}

impl TimeScale {
    /// The finest scale that the known quantities allow.
    #[must_use]
    pub fn from_known(dt: Option<f64>, lyapunov_exponent: Option<f64>) -> Self {
        match (dt, lyapunov_exponent) {
            (Some(dt), Some(exponent)) => Self::LyapunovTimes { dt, exponent },
            (Some(dt), None) => Self::TimeUnits { dt },
            (None, _) => Self::Steps,
        }
    }

    /// Converts a number of steps.
    #[must_use]
    pub fn time_from_steps(&self, steps: usize) -> f64 {
        let steps = steps as f64;
        match self {
            Self::LyapunovTimes { dt, exponent } => steps * dt * exponent,
            Self::TimeUnits { dt } => steps * dt,
            Self::Steps => steps,
        }
    }

    /// Name of the unit, for the head of a table.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self {
            Self::LyapunovTimes { .. } => "Lyapunov times",
            Self::TimeUnits { .. } => "time units",
            Self::Steps => "steps",
        }
    }
}

impl ValidPredictionTime {
    /// Summarises rollouts given by their errors at each predicted step.
    ///
    /// An error that is infinite or NaN exceeds every threshold.
    #[must_use]
    pub fn of(errors: &[Vec<f64>], threshold: f64, scale: &TimeScale) -> Self {
        let first: Vec<Option<usize>> =
            errors.iter().map(|rollout| first_exceedance(rollout, threshold)).collect();
        let times: Vec<f64> = errors
            .iter()
            .zip(&first)
            .map(|(rollout, first)| scale.time_from_steps(first.unwrap_or(rollout.len())))
            .collect();
        Self {
            threshold,
            n_rollouts: errors.len(),
            n_censored: first.iter().filter(|first| first.is_none()).count(),
            mean: times.iter().sum::<f64>() / times.len() as f64,
            quartiles: Quartiles::of(&times),
        }
    }
}

/// The predicted step, counted from 1, at which a rollout first exceeds `threshold`.
#[must_use]
pub fn first_exceedance(errors: &[f64], threshold: f64) -> Option<usize> {
    errors.iter().position(|error| *error > threshold || error.is_nan()).map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_exceedance_counts_even_if_the_error_falls_again() {
        let errors = [0.1, 0.4, 0.6, 0.2, 0.9];
        assert_eq!(first_exceedance(&errors, 0.3), Some(2));
        assert_eq!(first_exceedance(&errors, 0.4), Some(3));
        assert_eq!(first_exceedance(&errors, 0.9), None);
        assert_eq!(first_exceedance(&[0.1, f64::NAN, 0.1], 0.3), Some(2));
        assert_eq!(first_exceedance(&[f64::INFINITY], 0.3), Some(1));
    }

    #[test]
    fn times_are_in_lyapunov_times_and_censored_rollouts_are_counted() {
        let errors = vec![
            vec![0.0, 0.5, 0.5, 0.5], // step 2
            vec![0.5, 0.0, 0.0, 0.0], // step 1
            vec![0.0, 0.0, 0.0, 0.0], // never: length 4
            vec![0.0, 0.0, 0.5, 0.0], // step 3
        ];
        let scale = TimeScale::LyapunovTimes { dt: 0.5, exponent: 2.0 };
        let vpt = ValidPredictionTime::of(&errors, 0.4, &scale);
        assert_eq!((vpt.n_rollouts, vpt.n_censored), (4, 1));
        assert!((vpt.mean - 2.5).abs() < 1e-15);
        assert_eq!(vpt.quartiles, Quartiles { lower: 1.75, median: 2.5, upper: 3.25 });
    }

    #[test]
    fn the_scale_is_the_finest_that_is_known() {
        let scale = TimeScale::from_known(Some(0.01), Some(0.5));
        assert_eq!((scale.time_from_steps(400), scale.unit()), (2.0, "Lyapunov times"));
        let scale = TimeScale::from_known(Some(0.01), None);
        assert_eq!((scale.time_from_steps(400), scale.unit()), (4.0, "time units"));
        let scale = TimeScale::from_known(None, Some(0.5));
        assert_eq!((scale.time_from_steps(400), scale.unit()), (400.0, "steps"));
    }

    #[test]
    fn no_rollouts_have_no_time() {
        let vpt = ValidPredictionTime::of(&[], 0.4, &TimeScale::Steps);
        assert!(vpt.mean.is_nan() && vpt.quartiles.median.is_nan());
    }
}
