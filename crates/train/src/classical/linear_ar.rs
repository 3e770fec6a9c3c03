//! Vector autoregression with a bias, fitted by ridge regression.
//!
//! ```text
//! x_{t+1} = x_t + b + Σ_{i<lags} A_iᵀ x_{t−i}
//! ```
//!
//! The same family as `x_{t+1} = b + Σ A_iᵀ x_{t−i}`; writing the increment only makes the penalty
//! pull to persistence. A sum of `k` sinusoids is forecast exactly by `2k` lags of one channel.
//! Cost of a step: `channels (lags·channels + 1)` multiply-adds.

use serde::{Deserialize, Serialize};

use super::increment::{IncrementRegression, IncrementWeights, MAX_FEATURES, check};
use super::{Classical, ClassicalError, SeriesView};

const NAME: &str = "linear-ar";

/// Configuration of [`LinearAr`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinearArConfig {
    /// Past rows that enter; 32 by default.
    pub lags: usize,
    /// Penalty on squared weights per example, dimensionless; 1e-12 by default, which decides
    /// between dependent columns and costs accuracy only where the data are free of noise.
    pub ridge: f64,
    /// Most features allowed; 8192 by default, where the regression takes 1.1 GB and some 10 ms for
    /// each training row. Both grow with the square of the number of features.
    pub max_features: usize,
}

/// Linear forecaster on the last rows; build with [`LinearArConfig::fit`].
#[derive(Clone, Debug)]
pub struct LinearAr {
    lags: usize,
    weights: IncrementWeights,
}

impl Default for LinearArConfig {
    fn default() -> Self {
        Self { lags: 32, ridge: 1e-12, max_features: MAX_FEATURES }
    }
}

impl LinearArConfig {
    /// Fits the weights to all series; an example never straddles two of them.
    ///
    /// # Errors
    /// [`ClassicalError`] if a field is out of range, there would be too many features, the series
    /// are too short or not finite, or the regression is singular.
    ///
    /// # Panics
    /// If the series differ in their number of channels.
    pub fn fit(&self, series: &[SeriesView]) -> Result<LinearAr, ClassicalError> {
        let channels = series.first().map_or(1, SeriesView::channels);
        let n_features = self.lags.saturating_mul(channels).saturating_add(1);
        let formula = || format!("{} lags × {channels} channels + 1", self.lags);
        check(NAME, self.lags, self.ridge, (n_features, formula), self.max_features)?;
        let (window, ridge) = (self.lags, self.ridge);
        let weights = IncrementRegression { method: NAME, window, n_features, ridge, features }
            .fit(series)?;
        Ok(LinearAr { lags: self.lags, weights })
    }
}

impl Classical for LinearAr {
    fn name(&self) -> &'static str {
        NAME
    }

    fn n_parameters(&self) -> usize {
        self.weights.len()
    }

    fn window(&self) -> usize {
        self.lags
    }

    fn forecast(&self, history: &[f64], channels: usize, steps: usize, out: &mut Vec<f64>) {
        self.weights.forecast(history, channels, self.lags, steps, out, features);
    }
}

/// The constant, then the rows as they are.
fn features(past: &[f64], out: &mut Vec<f64>) {
    out.push(1.0);
    out.extend_from_slice(past);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Least squares: the laws below are exact.
    fn config(lags: usize) -> LinearArConfig {
        LinearArConfig { lags, ridge: 0.0, ..LinearArConfig::default() }
    }

    /// Largest deviation of a free rollout of the last `steps` rows from the truth.
    fn rollout_error(method: &LinearAr, values: &[f64], channels: usize, steps: usize) -> f64 {
        let (history, truth) = values.split_at(values.len() - steps * channels);
        let mut out = Vec::new();
        method.forecast(history, channels, steps, &mut out);
        assert_eq!(out.len(), truth.len());
        out.iter().zip(truth).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
    }

    /// `x' = 0.5 + 0.9x − 0.4y`, `y' = −0.2 + 0.3x + 0.8y`, from two starts.
    fn recurrence(mut x: f64, mut y: f64) -> Vec<f64> {
        let mut values = Vec::new();
        for _ in 0..80 {
            values.extend([x, y]);
            (x, y) = (0.5 + 0.9 * x - 0.4 * y, -0.2 + 0.3 * x + 0.8 * y);
        }
        values
    }

    #[test]
    fn a_linear_recurrence_is_recovered_with_its_coefficients() {
        let (one, two) = (recurrence(3.0, -1.0), recurrence(-2.0, 2.0));
        let series = [SeriesView::new(&one, 2), SeriesView::new(&two, 2)];
        let method = config(1).fit(&series).unwrap();
        assert_eq!((method.n_parameters(), method.window()), (6, 1));
        // One step from the origin and from the unit vectors reads the law off.
        for (start, expected) in
            [([0.0, 0.0], [0.5, -0.2]), ([1.0, 0.0], [1.4, 0.1]), ([0.0, 1.0], [0.1, 0.6])]
        {
            let mut out = Vec::new();
            method.forecast(&start, 2, 1, &mut out);
            for (x, y) in out.iter().zip(expected) {
                assert!((x - y).abs() < 1e-10, "{x} is not {y}");
            }
        }
        assert!(rollout_error(&method, &one, 2, 60) < 1e-10);
    }

    #[test]
    fn two_lags_per_sinusoid_are_exact() {
        let values: Vec<f64> = (0..2000u32)
            .map(|i| {
                let t = 0.1 * f64::from(i);
                t.sin() + 0.5 * (1.7 * t + 0.3).sin() + 0.25 * (2.9 * t).sin()
            })
            .collect();
        let series = [SeriesView::new(&values[..1400], 1)];
        let error = |lags| rollout_error(&config(lags).fit(&series).unwrap(), &values, 1, 500);
        assert!(error(6) < 1e-4, "six lags: {:e}", error(6));
        assert!(error(4) > 0.1, "four lags are not enough: {:e}", error(4));
    }

    #[test]
    fn too_many_features_are_counted_in_the_message() {
        let values = vec![0.0; 4 * 1024];
        let error = LinearArConfig::default().fit(&[SeriesView::new(&values, 1024)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "linear-ar would have 32769 features (32 lags × 1024 channels + 1), the limit is \
             8192; use fewer lags or fewer columns, or raise max_features"
        );
    }

    #[test]
    fn fields_out_of_range_are_named() {
        let values = [0.0; 8];
        let series = [SeriesView::new(&values, 1)];
        let error = config(0).fit(&series).unwrap_err();
        assert_eq!(error.to_string(), "linear-ar: lags = 0, expected 1 or more");
        let negative = LinearArConfig { ridge: -1.0, ..config(1) };
        let error = negative.fit(&series).unwrap_err();
        assert_eq!(
            error.to_string(),
            "linear-ar: ridge = -1, expected a finite number, zero or above"
        );
    }

    #[test]
    fn a_constant_series_without_ridge_is_singular() {
        let values = [0.0; 80];
        let error = config(2).fit(&[SeriesView::new(&values, 1)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "linear-ar: the regression has no unique solution; set ridge above 0"
        );
    }
}
