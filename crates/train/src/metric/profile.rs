//! Error of a profile over a coordinate, such as the mean velocity of a shear flow over `y`.
//!
//! ```text
//! error = ∫ |pred(y) − true(y)| dy / (2 max |true|)
//! ```
//!
//! by the trapezoidal rule; for `y` from −1 to 1 that is the mean deviation in units of the largest
//! value. The reading "difference integrated over y, divided by twice the maximum" of the errors in
//! Srinivasan et al. 2019 (Physical Review Fluids 4:054603) is a common one and not confirmed.

use super::climate::Moments;

/// A mean profile and the root mean square of what fluctuates around it, in the unit of the values.
#[derive(Clone, Debug, PartialEq)]
pub struct Profiles {
    /// Mean at each point.
    pub mean: Vec<f64>,
    /// Standard deviation at each point.
    pub fluctuation: Vec<f64>,
}

impl Profiles {
    /// Profiles of samples of a field along one coordinate, NaN without samples.
    ///
    /// Samples may be of different times and of different places that the profile averages over.
    ///
    /// # Shapes
    /// - `samples`: `[samples, points]` row-major
    ///
    /// # Panics
    /// If the samples do not consist of whole rows.
    #[must_use]
    pub fn of(samples: &[f64], points: usize) -> Self {
        let Moments { mean, std } = Moments::of(&[samples], points);
        Self { mean, fluctuation: std }
    }
}

/// Integrated deviation of a profile, in units of twice the largest value of the true one.
///
/// `None` if the true profile is zero everywhere; NaN if the forecast is not finite.
///
/// # Shapes
/// - `y`, `pred`, `truth`: `[points]`, `y` increasing
///
/// # Units
/// That of `y`; a part of 1 where `y` runs from −1 to 1.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn profile_error(y: &[f64], pred: &[f64], truth: &[f64]) -> Option<f64> {
    assert_eq!(y.len(), pred.len(), "one forecast for each point");
    assert_eq!(y.len(), truth.len(), "one true value for each point");
    let deviation: Vec<f64> = pred.iter().zip(truth).map(|(p, t)| (p - t).abs()).collect();
    let trapezoid = |(y, d): (&[f64], &[f64])| (y[1] - y[0]) * (d[0] + d[1]) / 2.0;
    let integral: f64 = y.windows(2).zip(deviation.windows(2)).map(trapezoid).sum();
    let largest = truth.iter().fold(0.0, |largest, t| t.abs().max(largest));
    (largest > 0.0)
        .then(|| if integral.is_finite() { integral / (2.0 * largest) } else { f64::NAN })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_that_is_a_tenth_too_large_is_wrong_by_a_tenth_of_its_mean() {
        let y: Vec<f64> = (0..=400).map(|i| f64::from(i) / 200.0 - 1.0).collect();
        let truth: Vec<f64> = y.iter().map(|y| 3.0 * y).collect();
        let pred: Vec<f64> = truth.iter().map(|u| 1.1 * u).collect();
        // ∫ 0.3 |y| dy = 0.3, over 2 · 3.
        assert!((profile_error(&y, &pred, &truth).unwrap() - 0.05).abs() < 1e-12);
        let shifted: Vec<f64> = truth.iter().map(|u| u - 0.6).collect();
        assert!((profile_error(&y, &shifted, &truth).unwrap() - 0.2).abs() < 1e-12);
    }

    #[test]
    fn points_need_not_be_equally_spaced() {
        // |pred − true| = 0, 1, 1 over widths 1 and 3: 0.5 + 3.
        let error = profile_error(&[0.0, 1.0, 4.0], &[5.0, 4.0, 1.0], &[5.0, 5.0, 0.0]).unwrap();
        assert!((error - 0.35).abs() < 1e-15);
        assert_eq!(profile_error(&[0.0, 1.0], &[1.0, 1.0], &[0.0, 0.0]), None);
        assert!(profile_error(&[0.0, 1.0], &[f64::NAN, 1.0], &[1.0, 1.0]).unwrap().is_nan());
    }

    #[test]
    fn profiles_are_moments_at_each_point() {
        let profiles = Profiles::of(&[1.0, 10.0, 3.0, 10.0], 2);
        assert_eq!((profiles.mean, profiles.fluctuation), (vec![2.0, 10.0], vec![1.0, 0.0]));
    }
}
