//! Climatology: every day is the average day.
//!
//! ```text
//! x_{t+h} = mean of all training rows
//! ```
//!
//! In values normalised by the same rows the mean is zero up to rounding; it is computed all the
//! same, so that the row is right for any normalisation.

use super::series::count_examples;
use super::{Classical, ClassicalError, SeriesView};

/// Predicts the training mean whatever the past; build with [`Climatology::fit`].
#[derive(Clone, Debug)]
pub struct Climatology {
    mean: Vec<f64>,
}

impl Climatology {
    /// Averages all rows of all series.
    ///
    /// # Errors
    /// If there is no row or a value is not finite.
    ///
    /// # Panics
    /// If the series differ in their number of channels.
    pub fn fit(series: &[SeriesView]) -> Result<Self, ClassicalError> {
        let n_rows = count_examples("climatology", series, 0)?;
        let mut mean = vec![0.0; series[0].channels()];
        for row in series.iter().flat_map(|one| one.values().chunks_exact(one.channels())) {
            for (sum, x) in mean.iter_mut().zip(row) {
                *sum += x / n_rows as f64;
            }
        }
        Ok(Self { mean })
    }
}

impl Classical for Climatology {
    fn name(&self) -> &'static str {
        "climatology"
    }

    fn n_parameters(&self) -> usize {
        self.mean.len()
    }

    fn window(&self) -> usize {
        0
    }

    fn forecast(&self, _history: &[f64], channels: usize, steps: usize, out: &mut Vec<f64>) {
        assert_eq!(channels, self.mean.len(), "climatology was fitted to other columns");
        out.clear();
        for _ in 0..steps {
            out.extend_from_slice(&self.mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_over_all_rows_of_all_series() {
        let (one, two) = ([1.0, 10.0, 2.0, 20.0], [6.0, 60.0]);
        let series = [SeriesView::new(&one, 2), SeriesView::new(&two, 2)];
        let climatology = Climatology::fit(&series).unwrap();
        let mut out = Vec::new();
        climatology.forecast(&[], 2, 2, &mut out);
        for (x, expected) in out.iter().zip([3.0, 30.0, 3.0, 30.0]) {
            assert!((x - expected).abs() < 1e-14, "{x} is not {expected}");
        }
        assert_eq!(out.len(), 4);
    }
}
