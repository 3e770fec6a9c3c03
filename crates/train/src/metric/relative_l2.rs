//! Relative L² error of each variable along time, from a stream of rows.
//!
//! ```text
//! rel_j = ‖pred_j − true_j‖₂ / ‖true_j‖₂        rel = mean over j
//! ```
//!
//! The values are physical: in normalised ones every mean is zero and the ratio is another.

/// Sums squared errors and squared truths of each variable.
///
/// # Units
/// Rows in physical units; the results are ratios, 1 for 100 %.
#[derive(Clone, Debug, PartialEq)]
pub struct RelativeL2 {
    error: Vec<f64>,
    truth: Vec<f64>,
}

impl RelativeL2 {
    /// Starts with no row of `channels` values.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self { error: vec![0.0; channels], truth: vec![0.0; channels] }
    }

    /// Adds rows, `[time, channels]` row-major each; NaN and infinite values show in the result.
    ///
    /// # Panics
    /// If the two differ in length or do not consist of whole rows.
    pub fn add(&mut self, pred: &[f64], truth: &[f64]) {
        let channels = self.error.len();
        assert_eq!(pred.len(), truth.len(), "one forecast for each true value");
        assert_eq!(pred.len() % channels, 0, "whole rows of {channels} values");
        for (i, (p, t)) in pred.iter().zip(truth).enumerate() {
            self.error[i % channels] += (p - t).powi(2);
            self.truth[i % channels] += t.powi(2);
        }
    }

    /// Adds the rows that another accumulator has seen.
    ///
    /// # Panics
    /// If the other has another number of channels.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.error.len(), other.error.len(), "both see the same channels");
        self.error.iter_mut().zip(&other.error).for_each(|(sum, more)| *sum += more);
        self.truth.iter_mut().zip(&other.truth).for_each(|(sum, more)| *sum += more);
    }

    /// The ratio of each variable; `None` where the truth is zero throughout and there is none.
    #[must_use]
    pub fn per_variable(&self) -> Vec<Option<f64>> {
        let ratio = |(error, truth): (&f64, &f64)| (*truth != 0.0).then(|| (error / truth).sqrt());
        self.error.iter().zip(&self.truth).map(ratio).collect()
    }

    /// Mean over the variables that have a ratio; `None` if none has.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let ratios: Vec<f64> = self.per_variable().into_iter().flatten().collect();
        (!ratios.is_empty()).then(|| ratios.iter().sum::<f64>() / ratios.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_mean_over_variables_of_norms_along_time() {
        let mut error = RelativeL2::new(2);
        // First variable: error (3, 4), truth (6, 8). Second: error (0, 1), truth (0, −4).
        error.add(&[9.0, 0.0], &[6.0, 0.0]);
        error.add(&[12.0, -3.0], &[8.0, -4.0]);
        assert_eq!(error.per_variable(), [Some(0.5), Some(0.25)]);
        assert_eq!(error.mean(), Some(0.375));
    }

    #[test]
    fn parts_merge_into_the_whole() {
        let (mut whole, mut one, mut two) =
            (RelativeL2::new(1), RelativeL2::new(1), RelativeL2::new(1));
        whole.add(&[1.0, 5.0], &[2.0, 3.0]);
        one.add(&[1.0], &[2.0]);
        two.add(&[5.0], &[3.0]);
        one.merge(&two);
        assert_eq!(one, whole);
    }

    #[test]
    fn a_variable_that_is_always_zero_has_no_ratio_and_does_not_spoil_the_mean() {
        let mut error = RelativeL2::new(2);
        error.add(&[1.0, 1.0], &[0.0, 2.0]);
        assert_eq!(error.per_variable(), [None, Some(0.5)]);
        assert_eq!(error.mean(), Some(0.5));
        assert_eq!(RelativeL2::new(3).mean(), None);
    }

    #[test]
    fn a_nan_forecast_is_not_hidden() {
        let mut error = RelativeL2::new(1);
        error.add(&[f64::NAN], &[1.0]);
        assert!(error.mean().unwrap().is_nan());
    }
}
