//! Mean squared error of one-step forecasts, from a stream of rows.
//!
//! ```text
//! MSE = Σ_{t,j} (pred_tj − true_tj)² / (rows · channels)
//! ```

/// Sums squared errors row by row; the true mean over all values, never divided twice.
///
/// # Units
/// The square of the values' unit: dimensionless for normalised values.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanSquaredError {
    sums: Vec<f64>,
    n_rows: usize,
}

impl MeanSquaredError {
    /// Starts with no row of `channels` values.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self { sums: vec![0.0; channels], n_rows: 0 }
    }

    /// Adds rows, `[time, channels]` row-major each; NaN and infinite values show in the result.
    ///
    /// # Panics
    /// If the two differ in length or do not consist of whole rows.
    pub fn add(&mut self, pred: &[f64], truth: &[f64]) {
        let channels = self.sums.len();
        assert_eq!(pred.len(), truth.len(), "one forecast for each true value");
        assert_eq!(pred.len() % channels, 0, "whole rows of {channels} values");
        for (i, (p, t)) in pred.iter().zip(truth).enumerate() {
            self.sums[i % channels] += (p - t).powi(2);
        }
        self.n_rows += pred.len() / channels;
    }

    /// Adds the rows that another accumulator has seen.
    ///
    /// # Panics
    /// If the other has another number of channels.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.sums.len(), other.sums.len(), "both see the same channels");
        self.sums.iter_mut().zip(&other.sums).for_each(|(sum, more)| *sum += more);
        self.n_rows += other.n_rows;
    }

    /// Rows seen.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Mean over rows and channels; NaN before the first row.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sums.iter().sum::<f64>() / (self.n_rows * self.sums.len()) as f64
    }

    /// Mean over rows of each channel; NaN before the first row.
    #[must_use]
    pub fn per_channel(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.n_rows as f64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_over_all_values_seen() {
        let mut error = MeanSquaredError::new(2);
        error.add(&[1.0, 2.0, 3.0, 4.0], &[1.0, 0.0, 0.0, 4.0]);
        error.add(&[5.0, 5.0], &[8.0, 5.0]);
        // Squares: 0, 4, 9, 0, 9, 0.
        assert_eq!(error.per_channel(), [6.0, 4.0 / 3.0]);
        assert!((error.mean() - 22.0 / 6.0).abs() < 1e-15);
        assert_eq!(error.n_rows(), 3);
    }

    #[test]
    fn parts_merge_into_the_whole() {
        let (mut whole, mut part) = (MeanSquaredError::new(1), MeanSquaredError::new(1));
        whole.add(&[1.0, 2.0], &[0.0, 0.0]);
        part.add(&[3.0], &[0.0]);
        part.merge(&{
            let mut rest = MeanSquaredError::new(1);
            rest.add(&[1.0, 2.0], &[0.0, 0.0]);
            rest
        });
        whole.add(&[3.0], &[0.0]);
        assert_eq!(part, whole);
    }

    #[test]
    fn a_nan_forecast_is_not_hidden_and_nothing_has_no_mean() {
        let mut error = MeanSquaredError::new(2);
        assert!(error.mean().is_nan());
        error.add(&[f64::NAN, 1.0], &[0.0, 1.0]);
        assert!(error.mean().is_nan());
        assert!(error.per_channel()[1].abs() < 1e-15);
    }
}
