//! Polynomial map: the next row is a polynomial of the current one.
//!
//! ```text
//! x_{t+1} = x_t + Wᵀ f_t        f_t = all monomials of x_t ⊕ … ⊕ x_{t−lags+1} up to degree
//! ```
//!
//! Without noise the flow of a polynomial differential equation over a short step is nearly such a
//! map, and its error falls by orders of magnitude with the degree: on the Lorenz system with step
//! 0.01 the root mean square one-step error, fitted without a penalty to 10,000 rows, is 2e-7 at
//! degree 4, 7e-12 at 6 and 5e-16 at 8. The monomials stay as they are, in normalised values, since the orthogonal
//! triangularisation of the regression loses nothing by their condition.
//!
//! Cost of a step: `C(lags·channels + degree, degree) · (channels + 1)` multiply-adds.

use serde::{Deserialize, Serialize};

use super::increment::check;
use super::monomials::{DelayMap, Delays};
use super::series::count_examples;
use super::{Classical, ClassicalError, SeriesView};

const NAME: &str = "polynomial";
const MAX_DEGREE: usize = 8;
/// Fewer examples for each feature describe the training rows, not the system.
const EXAMPLES_PER_FEATURE: usize = 10;

/// Configuration of [`Polynomial`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolynomialConfig {
    /// Past rows that enter, the newest included; 1 by default.
    pub lags: usize,
    /// Highest degree of the monomials, 1 to 8; 8 by default. A lower one, at least 1, is taken
    /// where this has more than `max_features` features or more than one for ten examples.
    pub degree: usize,
    /// Penalty on squared weights per example, dimensionless; 1e-18 by default, which decides
    /// between dependent monomials and nothing else: on clean data every larger one costs digits
    /// that a high degree has.
    pub ridge: f64,
    /// Most features; 1024 by default, where the regression takes 17 MB and some 0.2 ms for each
    /// training row. Both grow with the square of the number of features.
    pub max_features: usize,
}

/// Polynomial forecaster; build with [`PolynomialConfig::fit`].
#[derive(Clone, Debug)]
pub struct Polynomial(DelayMap);

impl Default for PolynomialConfig {
    fn default() -> Self {
        Self { lags: 1, degree: MAX_DEGREE, ridge: 1e-18, max_features: 1024 }
    }
}

impl PolynomialConfig {
    /// Fits the weights to all series; an example never straddles two of them.
    ///
    /// # Errors
    /// [`ClassicalError`] if a field is out of range, there would be too many features at degree 1,
    /// the series are too short or not finite, or the regression is singular.
    ///
    /// # Panics
    /// If the series differ in their number of channels.
    pub fn fit(&self, series: &[SeriesView]) -> Result<Polynomial, ClassicalError> {
        let &Self { lags, degree, ridge, max_features } = self;
        if !(1..=MAX_DEGREE).contains(&degree) {
            let (value, expected) = (degree as f64, "1 to 8");
            let key = "degree";
            return Err(ClassicalError::InvalidConfig { method: NAME, key, value, expected });
        }
        let channels = series.first().map_or(1, SeriesView::channels);
        let linear = Delays { lags, stride: 1, degree: 1, channels };
        let features = (linear.n_features(), || linear.formula());
        check(NAME, lags, ridge, features, max_features)?;
        let most = max_features.min(count_examples(NAME, series, lags)? / EXAMPLES_PER_FEATURE);
        let mut higher = (2..=degree).rev().map(|degree| Delays { degree, ..linear });
        let delays = higher.find(|d| d.n_features() <= most).unwrap_or(linear);
        Ok(Polynomial(DelayMap::fit(NAME, delays, ridge, series)?))
    }
}

impl Polynomial {
    /// Highest degree of the monomials, which may be lower than the one asked for.
    #[must_use]
    pub fn degree(&self) -> usize {
        self.0.delays.degree
    }
}

impl Classical for Polynomial {
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

    /// The chaotic map `x' = T_8(x)` of [−1, 1] to itself.
    fn series(n: usize) -> Vec<f64> {
        std::iter::successors(Some(0.3f64), |x| Some((8.0 * x.acos()).cos())).take(n).collect()
    }

    #[test]
    fn a_law_of_degree_eight_is_learned_with_its_coefficients() {
        let values = series(400);
        let config = PolynomialConfig { ridge: 0.0, ..PolynomialConfig::default() };
        let method = config.fit(&[SeriesView::new(&values, 1)]).unwrap();
        assert_eq!((method.degree(), method.n_parameters(), method.window()), (8, 9, 1));
        // T_8(x) = 128x⁸ − 256x⁶ + 160x⁴ − 32x² + 1, at 1/2: 0.5 − 4 + 10 − 8 + 1.
        let mut out = Vec::new();
        method.forecast(&[0.5], 1, 1, &mut out);
        assert!((out[0] + 0.5).abs() < 1e-11, "{out:?}");
        let lower = PolynomialConfig { degree: 7, ..config };
        lower.fit(&[SeriesView::new(&values, 1)]).unwrap().forecast(&[0.5], 1, 1, &mut out);
        assert!((out[0] + 0.5).abs() > 0.01, "degree 7 cannot: {out:?}");
    }

    #[test]
    fn the_degree_is_lowered_to_what_features_and_examples_allow() {
        let values: Vec<f64> = (0..3000u32).map(|i| f64::from(i * i % 97) / 97.0).collect();
        let degree = |config: PolynomialConfig, rows: usize| {
            config.fit(&[SeriesView::new(&values[..rows * 3], 3)]).unwrap().degree()
        };
        let config = PolynomialConfig::default();
        // 3 channels: 4, 10, 20, 35, 56, 84, 120, 165 features at degree 1 to 8.
        assert_eq!(degree(config.clone(), 1000), 6);
        assert_eq!(degree(config.clone(), 351), 4);
        assert_eq!(degree(config.clone(), 350), 3);
        assert_eq!(degree(config.clone(), 20), 1);
        assert_eq!(degree(PolynomialConfig { max_features: 20, ..config }, 1000), 3);
    }

    #[test]
    fn fields_out_of_range_are_named() {
        let values = [0.0; 2048];
        let message = |config: PolynomialConfig| {
            config.fit(&[SeriesView::new(&values, 1024)]).unwrap_err().to_string()
        };
        let degree = PolynomialConfig { degree: 9, ..PolynomialConfig::default() };
        assert_eq!(message(degree), "polynomial: degree = 9, expected 1 to 8");
        assert_eq!(
            message(PolynomialConfig::default()),
            "polynomial would have 1025 features (monomials up to degree 1 of 1 lags × 1024 \
             channels), the limit is 1024; use fewer lags or fewer columns, or raise max_features"
        );
    }
}
