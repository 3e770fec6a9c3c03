//! The climate of long rollouts: does a forecast keep the statistics of the system?
//!
//! ```text
//! mean_j, std_j over all rows of all rollouts        ratio_j = std_j(pred) / std_j(true)
//! ```
//!
//! A forecast that has lost its phase can still be right in this sense; one that settles to a
//! constant has a ratio of 0, one that leaves the attractor has a ratio far from 1.

use serde::{Deserialize, Serialize};

/// Means and standard deviations of each variable, forecast and truth, in the unit of the values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Climate {
    /// Statistics of the forecasts that stay finite; NaN if there is none.
    pub pred: Moments,
    /// Statistics of the truth.
    pub truth: Moments,
    /// `std(pred) / std(truth)` of each variable; `None` where the truth is constant.
    pub std_ratio: Vec<Option<f64>>,
    /// Rollouts left out of `pred` because a value of them is not finite.
    pub n_diverged: usize,
}

/// Mean and standard deviation (divided by the number of rows) of each variable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Mean over rows.
    pub mean: Vec<f64>,
    /// Standard deviation over rows.
    pub std: Vec<f64>,
}

impl Climate {
    /// Compares free-running forecasts with true trajectories, which need not be as many or as long.
    ///
    /// # Shapes
    /// - each of `pred`, `truth`: `[time, channels]` row-major
    ///
    /// # Panics
    /// If one of them does not consist of whole rows.
    #[must_use]
    pub fn of(pred: &[&[f64]], truth: &[&[f64]], channels: usize) -> Self {
        let finite = |rollout: &&&[f64]| rollout.iter().all(|x| x.is_finite());
        let kept: Vec<&[f64]> = pred.iter().filter(finite).copied().collect();
        let n_diverged = pred.len() - kept.len();
        let (pred, truth) = (Moments::of(&kept, channels), Moments::of(truth, channels));
        let ratio = |(p, t): (&f64, &f64)| (*t != 0.0).then(|| p / t);
        let std_ratio = pred.std.iter().zip(&truth.std).map(ratio).collect();
        Self { pred, truth, std_ratio, n_diverged }
    }
}

impl Moments {
    /// Moments over all rows of all trajectories, `[time, channels]` each; NaN without rows.
    ///
    /// # Panics
    /// If a trajectory does not consist of whole rows.
    #[must_use]
    pub fn of(trajectories: &[&[f64]], channels: usize) -> Self {
        for values in trajectories {
            assert_eq!(values.len() % channels, 0, "whole rows of {channels} values");
        }
        let rows = || trajectories.iter().flat_map(|values| values.chunks_exact(channels));
        let n_rows = rows().count() as f64;
        let mean = mean_over(rows(), n_rows, channels, |_, x| x);
        // Around the mean, in a second pass: no digits are lost where the mean is large.
        let variance = mean_over(rows(), n_rows, channels, |j, x| (x - mean[j]).powi(2));
        Self { mean, std: variance.into_iter().map(f64::sqrt).collect() }
    }
}

fn mean_over<'a>(
    rows: impl Iterator<Item = &'a [f64]>,
    n_rows: f64,
    channels: usize,
    f: impl Fn(usize, f64) -> f64,
) -> Vec<f64> {
    let mut sums = vec![0.0; channels];
    for row in rows {
        for (j, (sum, x)) in sums.iter_mut().zip(row).enumerate() {
            *sum += f(j, *x);
        }
    }
    sums.into_iter().map(|sum| sum / n_rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_over_all_rows_of_all_rollouts() {
        let moments = Moments::of(&[&[1.0, 1e9, 3.0, 1e9 + 2.0], &[5.0, 1e9 + 4.0]], 2);
        assert_eq!(moments.mean, [3.0, 1e9 + 2.0]);
        for std in moments.std {
            assert!((std - (8.0f64 / 3.0).sqrt()).abs() < 1e-12);
        }
    }

    #[test]
    fn the_ratio_compares_spreads_not_means() {
        let climate = Climate::of(&[&[10.0, 14.0]], &[&[0.0, 8.0, 0.0, 8.0]], 1);
        assert_eq!(climate.std_ratio, [Some(0.5)]);
        assert_eq!((climate.pred.mean[0], climate.truth.mean[0]), (12.0, 4.0));
    }

    #[test]
    fn diverged_rollouts_are_counted_and_left_out() {
        let climate =
            Climate::of(&[&[0.0, f64::NAN], &[1.0, 3.0], &[f64::INFINITY]], &[&[1.0, 3.0]], 1);
        assert_eq!((climate.n_diverged, climate.std_ratio[0]), (2, Some(1.0)));
        let climate = Climate::of(&[&[f64::NAN]], &[&[1.0, 3.0]], 1);
        assert!(climate.pred.mean[0].is_nan() && climate.std_ratio[0].unwrap().is_nan());
    }

    #[test]
    fn a_constant_truth_has_no_ratio() {
        let climate = Climate::of(&[&[1.0, 2.0]], &[&[2.0, 2.0]], 1);
        assert_eq!(climate.std_ratio, [None]);
    }
}
