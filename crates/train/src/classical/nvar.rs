//! Nonlinear vector autoregression, the "next generation reservoir computer".
//!
//! ```text
//! l_t     = x_t ⊕ x_{t−s} ⊕ … ⊕ x_{t−(k−1)s}                k = lags, s = stride
//! f_t     = 1 ⊕ l_t ⊕ (monomials of l_t of degree 2 … degree, each once)
//! x_{t+1} = x_t + Wᵀ f_t
//! ```
//!
//! Source: Gauthier, Bollt, Griffith and Barbosa 2021, Nature Communications 12:5564,
//! doi 10.1038/s41467-021-25801-2. Differs: the constant is not penalised, the penalty is per
//! example, all degrees up to `degree` are present, and the regression is solved by orthogonal
//! triangularisation.
//! Cost of a step: `C(lags·channels + degree, degree) · (channels + 1)` multiply-adds.

use serde::{Deserialize, Serialize};

use super::increment::{MAX_FEATURES, at_least_one, check};
use super::monomials::{DelayMap, Delays};
use super::{Classical, ClassicalError, SeriesView};

const NAME: &str = "nvar";
const MAX_DEGREE: usize = 3;

/// Configuration of [`Nvar`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NvarConfig {
    /// Delayed rows that enter, the newest included; 2 by default.
    pub lags: usize,
    /// Steps between them; 1 by default.
    pub stride: usize,
    /// Highest degree of the monomials, 1 to 3; 2 by default.
    pub degree: usize,
    /// Penalty on squared weights per example, dimensionless; 1e-6 by default. Delayed rows of a
    /// smooth signal are nearly equal, and with much less their large opposite weights let a
    /// rollout explode although the one-step error is smaller.
    pub ridge: f64,
    /// Most features allowed; 8192 by default, where the regression takes 1.1 GB and some 10 ms for
    /// each training row. Both grow with the square of the number of features.
    pub max_features: usize,
}

/// Polynomial forecaster on delayed rows; build with [`NvarConfig::fit`].
#[derive(Clone, Debug)]
pub struct Nvar(DelayMap);

impl Default for NvarConfig {
    fn default() -> Self {
        Self { lags: 2, stride: 1, degree: 2, ridge: 1e-6, max_features: MAX_FEATURES }
    }
}

impl NvarConfig {
    /// Fits the weights to all series; an example never straddles two of them.
    ///
    /// # Errors
    /// [`ClassicalError`] if a field is out of range, there would be too many features, the series
    /// are too short or not finite, or the regression is singular.
    ///
    /// # Panics
    /// If the series differ in their number of channels.
    pub fn fit(&self, series: &[SeriesView]) -> Result<Nvar, ClassicalError> {
        let &Self { lags, stride, degree, ridge, max_features } = self;
        at_least_one(NAME, "stride", stride)?;
        if !(1..=MAX_DEGREE).contains(&degree) {
            let (value, expected) = (degree as f64, "1, 2 or 3");
            let key = "degree";
            return Err(ClassicalError::InvalidConfig { method: NAME, key, value, expected });
        }
        let channels = series.first().map_or(1, SeriesView::channels);
        let delays = Delays { lags, stride, degree, channels };
        let features = (delays.n_features(), || delays.formula());
        check(NAME, lags, ridge, features, max_features)?;
        Ok(Nvar(DelayMap::fit(NAME, delays, ridge, series)?))
    }
}

impl Classical for Nvar {
    fn name(&self) -> &'static str {
        NAME
    }

    fn n_parameters(&self) -> usize {
        self.0.n_parameters()
    }

    fn window(&self) -> usize {
        self.0.delays.window()
    }

    fn forecast(&self, history: &[f64], channels: usize, steps: usize, out: &mut Vec<f64>) {
        self.0.forecast(history, channels, steps, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logistic_map_is_learned_with_its_coefficients() {
        let (mut x, mut values) = (0.3, Vec::new());
        for _ in 0..300 {
            values.push(x);
            x = 3.9 * x * (1.0 - x);
        }
        let config = NvarConfig { lags: 1, ridge: 0.0, ..NvarConfig::default() };
        let method = config.fit(&[SeriesView::new(&values, 1)]).unwrap();
        assert_eq!(method.n_parameters(), 3);
        let mut out = Vec::new();
        method.forecast(&[0.2], 1, 2, &mut out);
        let second = 3.9 * 0.624 * (1.0 - 0.624);
        assert!((out[0] - 0.624).abs() < 1e-10 && (out[1] - second).abs() < 1e-9, "{out:?}");
    }

    #[test]
    fn too_many_features_are_counted_in_the_message() {
        let values = vec![0.0; 4 * 1024];
        let error = NvarConfig::default().fit(&[SeriesView::new(&values, 1024)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "nvar would have 2100225 features (monomials up to degree 2 of 2 lags × 1024 \
             channels), the limit is 8192; use fewer lags or fewer columns, or raise max_features"
        );
    }

    #[test]
    fn fields_out_of_range_are_named() {
        let values = [0.0; 8];
        let message = |config: NvarConfig| {
            config.fit(&[SeriesView::new(&values, 1)]).unwrap_err().to_string()
        };
        let degree = NvarConfig { degree: 4, ..NvarConfig::default() };
        assert_eq!(message(degree), "nvar: degree = 4, expected 1, 2 or 3");
        let stride = NvarConfig { stride: 0, ..NvarConfig::default() };
        assert_eq!(message(stride), "nvar: stride = 0, expected 1 or more");
    }
}
