//! Ensemble forecasts: how far and how sharp a sample of forecasts is (CRPS), and its intervals.
//!
//! ```text
//! CRPS      = mean_i |x_i − y| − Σ_{i,j} |x_i − x_j| / (2 m²)            the ensemble is the forecast
//! fair CRPS = mean_i |x_i − y| − Σ_{i,j} |x_i − x_j| / (2 m (m − 1))     it is a sample of the forecast
//! ```
//!
//! Both have the unit of the values and are the absolute error for one member. The first is what
//! these `m` members are worth; the second does not depend on `m` in expectation and compares
//! ensembles of different size. The double sum is taken in order of rank, in `O(m log m)`.
//!
//! Source: Gneiting and Raftery 2007, JASA 102:359–378, eq. 21, doi 10.1198/016214506000001437;
//! the fair form Ferro 2014, Quarterly Journal 140:1917–1923, doi 10.1002/qj.2270.

use super::quartiles::quantile;

/// Continuous ranked probability score of the members taken as the whole forecast.
///
/// Infinite where a member or the truth is not finite.
///
/// # Panics
/// If there is no member.
#[must_use]
pub fn crps(members: &[f64], truth: f64) -> f64 {
    score(members, truth, members.len() as f64)
}

/// Continuous ranked probability score of the forecast that the members are a sample of.
///
/// May be negative for a single forecast, not in the mean. Infinite where a value is not finite.
///
/// # Panics
/// If there is no member.
#[must_use]
pub fn fair_crps(members: &[f64], truth: f64) -> f64 {
    score(members, truth, (members.len() - 1).max(1) as f64)
}

fn score(members: &[f64], truth: f64, pairs_per_member: f64) -> f64 {
    assert!(!members.is_empty(), "an ensemble has members");
    let m = members.len() as f64;
    if !truth.is_finite() || members.iter().any(|x| !x.is_finite()) {
        return f64::INFINITY;
    }
    let mut sorted = members.to_vec();
    sorted.sort_by(f64::total_cmp);
    let distance: f64 = sorted.iter().map(|x| (x - truth).abs()).sum();
    // Each value is the larger of `rank` pairs and the smaller of `m − 1 − rank`.
    let spread: f64 =
        sorted.iter().enumerate().map(|(rank, x)| (2.0 * rank as f64 + 1.0 - m) * x).sum();
    (distance - spread / pairs_per_member) / m
}

/// The interval that holds the middle part `level` of the members, equal parts beyond both ends.
///
/// Ends are quantiles by linear interpolation (Hyndman and Fan, definition 7), so that `m` members
/// of the same law as the truth hold it with probability `level (m − 1) / (m + 1)` only.
///
/// # Units
/// As the members; NaN if there is none or one is NaN.
///
/// # Panics
/// If `level` is not between 0 and 1.
#[must_use]
pub fn central_interval(members: &[f64], level: f64) -> (f64, f64) {
    assert!((0.0..=1.0).contains(&level), "level = {level} is no probability");
    if members.is_empty() || members.iter().any(|x| x.is_nan()) {
        return (f64::NAN, f64::NAN);
    }
    let mut sorted = members.to_vec();
    sorted.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    (quantile(&sorted, tail), quantile(&sorted, 1.0 - tail))
}

/// The part of the truths that lie in their interval, 0 to 1; NaN without truths.
///
/// # Panics
/// If the two differ in length.
#[must_use]
pub fn coverage(intervals: &[(f64, f64)], truths: &[f64]) -> f64 {
    assert_eq!(intervals.len(), truths.len(), "one interval for each true value");
    let inside = |&((low, high), y): &(&(f64, f64), &f64)| low <= y && y <= high;
    intervals.iter().zip(truths).filter(inside).count() as f64 / truths.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_member_has_its_absolute_error() {
        assert_eq!((crps(&[3.0], 5.0), fair_crps(&[3.0], 5.0)), (2.0, 2.0));
    }

    #[test]
    fn equals_the_double_sum() {
        // |x − y| = 4, 0, 2; pairs |1 − 5| + |1 − 7| + |5 − 7| = 12.
        let members = [7.0, 1.0, 5.0];
        assert!((crps(&members, 5.0) - (2.0 - 12.0 / 9.0)).abs() < 1e-15);
        assert!((fair_crps(&members, 5.0) - (2.0 - 12.0 / 6.0)).abs() < 1e-15);
    }

    #[test]
    fn a_uniform_forecast_has_its_closed_form_whatever_the_size() {
        // Uniform on [0, 1] and truth y: (y³ + (1 − y)³) / 3.
        let y = 0.3f64;
        let expected = (y.powi(3) + (1.0 - y).powi(3)) / 3.0;
        let grid: Vec<f64> = (0..2000).map(|i| (f64::from(i) + 0.5) / 2000.0).collect();
        assert!((crps(&grid, y) - expected).abs() < 1e-6);
        // Every ensemble of two from a grid of 60, so that the expectation is exact.
        let pairs = (0..60u32).flat_map(|i| (0..60u32).map(move |j| (i, j)));
        let at = |i: u32| (f64::from(i) + 0.5) / 60.0;
        let (mut fair, mut biased) = (0.0, 0.0);
        for (i, j) in pairs {
            fair += fair_crps(&[at(i), at(j)], y) / 3600.0;
            biased += crps(&[at(i), at(j)], y) / 3600.0;
        }
        assert!((fair - expected).abs() < 1e-3, "{fair} is not {expected}");
        // The other is too large by half the mean distance, 1/3, over m.
        assert!((biased - expected - 1.0 / 12.0).abs() < 1e-3, "{biased}");
    }

    #[test]
    fn values_that_are_not_finite_are_infinitely_wrong() {
        assert!(crps(&[1.0, f64::NAN], 1.0).is_infinite());
        assert!(fair_crps(&[1.0, f64::INFINITY], 1.0).is_infinite());
    }

    #[test]
    fn intervals_leave_equal_parts_on_both_sides() {
        let members: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        let (low, high) = central_interval(&members, 0.9);
        assert!((low - 5.0).abs() < 1e-12 && (high - 95.0).abs() < 1e-12);
        assert_eq!(central_interval(&members, 0.0), (50.0, 50.0));
        assert!(central_interval(&[], 0.5).0.is_nan());
        assert!((coverage(&[(0.0, 1.0), (0.0, 1.0)], &[0.5, 1.5]) - 0.5).abs() < 1e-15);
    }
}
