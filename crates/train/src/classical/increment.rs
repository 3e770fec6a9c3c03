//! Regression of the increment on features of the past: what [`LinearAr`], [`Nvar`] and
//! [`Polynomial`] share.
//!
//! ```text
//! x_{t+1} = x_t + Wᵀ f(x_{t−window+1}, …, x_t)        f_0 = 1
//! ```
//!
//! The penalty pulls `W` to zero, that is to persistence, not to a forecast of zero.
//!
//! [`LinearAr`]: super::LinearAr
//! [`Nvar`]: super::Nvar
//! [`Polynomial`]: super::Polynomial

use super::forecast::roll_out;
use super::least_squares::LeastSquares;
use super::series::count_examples;
use super::{ClassicalError, SeriesView};

/// Most features by default: more would take the memory and the time of a large model.
pub(super) const MAX_FEATURES: usize = 8192;

/// What to regress on.
#[derive(Clone, Debug)]
pub(super) struct IncrementRegression<F> {
    /// Name for messages.
    pub(super) method: &'static str,
    /// Past rows that `features` reads.
    pub(super) window: usize,
    /// Number of features, the constant included.
    pub(super) n_features: usize,
    /// Strength of the penalty per example, dimensionless.
    pub(super) ridge: f64,
    /// Appends the features of `window` rows, given oldest first, to an empty vector.
    pub(super) features: F,
}

/// Fitted weights, `[n_features, channels]` row-major.
#[derive(Clone, Debug)]
pub(super) struct IncrementWeights {
    weights: Vec<f64>,
    channels: usize,
}

impl<F: Fn(&[f64], &mut Vec<f64>)> IncrementRegression<F> {
    /// Fits the weights to every example that lies inside one series.
    pub(super) fn fit(&self, series: &[SeriesView]) -> Result<IncrementWeights, ClassicalError> {
        let &Self { method, window, n_features, ridge, .. } = self;
        let n_examples = count_examples(method, series, window)?;
        let channels = series[0].channels();
        let mut regression = LeastSquares::new(n_features, channels, ridge * n_examples as f64);
        let (mut features, mut increment) = (Vec::new(), Vec::new());
        for one in series {
            for start in 0..one.steps().saturating_sub(window) {
                features.clear();
                (self.features)(one.rows(start, window), &mut features);
                let last = one.rows(start + window - 1, 1);
                increment.clear();
                increment.extend(one.rows(start + window, 1).iter().zip(last).map(|(y, x)| y - x));
                regression.add(&features, &increment);
            }
        }
        let weights = regression.solve().ok_or(ClassicalError::Singular { method, ridge })?;
        Ok(IncrementWeights { weights, channels })
    }
}

impl IncrementWeights {
    /// Number of weights.
    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    /// Rolls out `steps` rows; `features` is what the weights were fitted with.
    pub(super) fn forecast(
        &self,
        history: &[f64],
        channels: usize,
        window: usize,
        steps: usize,
        out: &mut Vec<f64>,
        features: impl Fn(&[f64], &mut Vec<f64>),
    ) {
        assert_eq!(channels, self.channels, "the method was fitted to other columns");
        let mut buffer = Vec::with_capacity(self.weights.len() / channels);
        let mut next = vec![0.0; channels];
        roll_out(history, channels, window, steps, out, |path| {
            buffer.clear();
            features(&path[path.len() - window * channels..], &mut buffer);
            next.fill(0.0);
            for (feature, weights) in buffer.iter().zip(self.weights.chunks_exact(channels)) {
                for (sum, weight) in next.iter_mut().zip(weights) {
                    *sum += feature * weight;
                }
            }
            for (sum, x) in next.iter_mut().zip(&path[path.len() - channels..]) {
                *sum += x;
            }
            path.extend_from_slice(&next);
        });
    }
}

/// Checks the fields that both configurations have, then the number of features.
pub(super) fn check(
    method: &'static str,
    lags: usize,
    ridge: f64,
    (features, formula): (usize, impl FnOnce() -> String),
    limit: usize,
) -> Result<(), ClassicalError> {
    at_least_one(method, "lags", lags)?;
    if !(ridge >= 0.0 && ridge.is_finite()) {
        let expected = "a finite number, zero or above";
        return Err(ClassicalError::InvalidConfig { method, key: "ridge", value: ridge, expected });
    }
    if features > limit {
        let formula = formula();
        return Err(ClassicalError::TooManyFeatures { method, features, formula, limit });
    }
    Ok(())
}

/// Checks a count.
pub(super) fn at_least_one(
    method: &'static str,
    key: &'static str,
    value: usize,
) -> Result<(), ClassicalError> {
    let expected = "1 or more";
    let error = ClassicalError::InvalidConfig { method, key, value: value as f64, expected };
    if value == 0 { Err(error) } else { Ok(()) }
}
