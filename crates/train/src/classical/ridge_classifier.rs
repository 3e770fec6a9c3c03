//! Classification by ridge regression on summary features.
//!
//! ```text
//! f = summary features, each with mean 0 and deviation 1 on the training series
//! W = argmin Σ_i ‖y_i − Wᵀ [1 f_i]‖² + λ n ‖W without constants‖²      y_ic = ±1: is it class c?
//! class of a series: the largest entry of Wᵀ [1 f]
//! ```
//!
//! Of several penalties `λ` the one with the most right answers on the validation series is taken,
//! the largest of equally good ones. Cost: `3.3 n F²` operations for `n` series of `F` features.

use rayon::prelude::*;

use super::ClassicalError;
use super::least_squares::LeastSquares;
use super::summary_features::{n_features, summary_features};
use crate::metric::classification::largest;

/// The name in messages.
const METHOD: &str = "ridge on summary features";
/// Most features: beyond, the regression takes gigabytes.
const MAX_FEATURES: usize = 8192;
/// Penalties to choose from, per training series; features have deviation one.
pub const PENALTIES: [f64; 7] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0];

/// A series, `[time, channels]` row-major, and its class.
pub type Labelled<'a> = (&'a [f64], usize);

/// Ridge regression on summary features; build with [`RidgeClassifier::fit`].
#[derive(Clone, Debug)]
pub struct RidgeClassifier {
    channels: usize,
    classes: usize,
    /// Mean of every feature, and what a centred feature is multiplied by.
    standard: Vec<(f64, f64)>,
    /// `[1 + features, classes]`, row-major.
    weights: Vec<f64>,
    penalty: f64,
}

impl RidgeClassifier {
    /// Fits the weights to `train` and chooses the penalty on `validation`.
    ///
    /// # Errors
    /// If there is no training series, no validation series to choose among several penalties, a
    /// series without rows, a value that is not finite, a penalty that is not positive, or there are
    /// so many channels that there would be more than 8192 features.
    ///
    /// # Panics
    /// If a label is not below `classes`, or a series does not consist of whole rows.
    pub fn fit(
        train: &[Labelled],
        validation: &[Labelled],
        channels: usize,
        classes: usize,
        penalties: &[f64],
    ) -> Result<Self, ClassicalError> {
        let invalid = |key, value, expected| {
            Err(ClassicalError::InvalidConfig { method: METHOD, key, value, expected })
        };
        if let Some(&penalty) = penalties.iter().find(|&&p| !(p > 0.0 && p.is_finite())) {
            return invalid("penalty", penalty, "a positive number");
        }
        if penalties.is_empty() {
            return invalid("number of penalties", 0.0, "at least one");
        }
        if penalties.len() > 1 && validation.is_empty() {
            return invalid("number of validation series", 0.0, "at least one, or one penalty");
        }
        let n_features = n_features(channels);
        if n_features > MAX_FEATURES {
            let formula = "14 per channel".to_owned();
            let (method, features, limit) = (METHOD, n_features, MAX_FEATURES);
            return Err(ClassicalError::TooManyFeatures { method, features, formula, limit });
        }
        check(train, channels, classes)?;
        check(validation, channels, classes)?;
        let features = |part: &[Labelled]| -> Vec<Vec<f64>> {
            part.par_iter().map(|(values, _)| summary_features(values, channels)).collect()
        };
        let (train_features, validation_features) = (features(train), features(validation));
        let standard = standard(&train_features);
        let mut regression = LeastSquares::new(1 + n_features, classes, 0.0);
        for (features, (_, label)) in train_features.iter().zip(train) {
            let targets: Vec<f64> =
                (0..classes).map(|class| if class == *label { 1.0 } else { -1.0 }).collect();
            regression.add(&with_constant(features, &standard), &targets);
        }
        let mut best: Option<(usize, Self)> = None;
        for &penalty in penalties {
            let solved = regression.with_penalty(penalty * train.len() as f64).solve();
            let Some(weights) = solved else { continue };
            let standard = standard.clone();
            let fitted = Self { channels, classes, standard, weights, penalty };
            let right = validation_features
                .iter()
                .zip(validation)
                .filter(|(features, (_, label))| largest(&fitted.scores(features)) == *label);
            let right = right.count();
            let better = best.as_ref().is_none_or(|(most, other)| {
                right > *most || right == *most && penalty > other.penalty
            });
            if better {
                best = Some((right, fitted));
            }
        }
        let singular = ClassicalError::Singular { method: METHOD, ridge: penalties[0] };
        best.map(|(_, fitted)| fitted).ok_or(singular)
    }

    /// A score per class; the largest is the class predicted.
    ///
    /// # Shapes
    /// - `series`: `[time, channels]` row-major
    /// - returns: `[classes]`
    ///
    /// # Panics
    /// If the series has no row, or does not consist of whole rows.
    #[must_use]
    pub fn predict_scores(&self, series: &[f64]) -> Vec<f64> {
        assert!(!series.is_empty(), "a series has at least one row");
        assert_eq!(series.len() % self.channels, 0, "whole rows of {} values", self.channels);
        self.scores(&summary_features(series, self.channels))
    }

    /// Number of fitted values.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        self.weights.len()
    }

    /// The penalty that was chosen.
    #[must_use]
    pub fn penalty(&self) -> f64 {
        self.penalty
    }

    fn scores(&self, features: &[f64]) -> Vec<f64> {
        let mut scores = vec![0.0; self.classes];
        let features = with_constant(features, &self.standard);
        for (feature, weights) in features.iter().zip(self.weights.chunks_exact(self.classes)) {
            for (score, weight) in scores.iter_mut().zip(weights) {
                *score += feature * weight;
            }
        }
        scores
    }
}

fn check(part: &[Labelled], channels: usize, classes: usize) -> Result<(), ClassicalError> {
    let longest = part.iter().map(|(values, _)| values.len() / channels).max().unwrap_or(0);
    for (series, (values, label)) in part.iter().enumerate() {
        assert!(*label < classes, "label {label} of series {series} is not below {classes}");
        assert_eq!(values.len() % channels, 0, "whole rows of {channels} values");
        if values.is_empty() {
            let (method, needed, n_series) = (METHOD, 1, part.len());
            return Err(ClassicalError::TooShort { method, needed, n_series, longest });
        }
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            let (row, column, value) = (at / channels, at % channels, values[at]);
            return Err(ClassicalError::NotFinite { method: METHOD, series, row, column, value });
        }
    }
    Ok(())
}

/// Mean and inverse deviation of every feature; 0 in place of the latter where it is constant.
fn standard(features: &[Vec<f64>]) -> Vec<(f64, f64)> {
    let n = features.len() as f64;
    (0..features.first().map_or(0, Vec::len))
        .map(|j| {
            let mean = features.iter().map(|f| f[j]).sum::<f64>() / n;
            let variance = features.iter().map(|f| (f[j] - mean).powi(2)).sum::<f64>() / n;
            let rounding = f64::EPSILON * mean.abs();
            (mean, if variance.sqrt() > rounding { variance.sqrt().recip() } else { 0.0 })
        })
        .collect()
}

fn with_constant(features: &[f64], standard: &[(f64, f64)]) -> Vec<f64> {
    let features = features.iter().zip(standard).map(|(x, (mean, scale))| (x - mean) * scale);
    std::iter::once(1.0).chain(features).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    /// Noise whose second channel is smooth in class 1 and twice as large in class 2.
    fn series(n: usize, seed: u64) -> Vec<(Vec<f64>, usize)> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let one = |i: usize| {
            let (label, time) = (i % 3, 60 + i % 5);
            let mut last = 0.0;
            let mut values = Vec::new();
            for _ in 0..time {
                let [a, b]: [f64; 2] = std::array::from_fn(|_| StandardNormal.sample(&mut rng));
                last = if label == 1 { 0.9 * last + 0.4 * b } else { b };
                values.extend([a, if label == 2 { 2.0 * last } else { last }]);
            }
            (values, label)
        };
        (0..n).map(one).collect()
    }

    fn borrowed(part: &[(Vec<f64>, usize)]) -> Vec<Labelled<'_>> {
        part.iter().map(|(values, label)| (&values[..], *label)).collect()
    }

    #[test]
    fn classes_that_differ_in_size_and_smoothness_are_told_apart() {
        let parts = [series(300, 1), series(60, 2), series(300, 3)];
        let [train, validation, test] = parts.each_ref().map(|part| borrowed(part));
        let fitted = RidgeClassifier::fit(&train, &validation, 2, 3, &PENALTIES).unwrap();
        let right = test
            .iter()
            .filter(|(values, label)| largest(&fitted.predict_scores(values)) == *label)
            .count();
        assert!(right > 270, "{right} of 300");
        assert_eq!(fitted.n_parameters(), 3 * (1 + n_features(2)));
        assert!(PENALTIES.contains(&fitted.penalty()));
    }

    #[test]
    fn wrong_data_is_named() {
        let message = |train: &[Labelled], penalties: &[f64]| {
            RidgeClassifier::fit(train, &[], 2, 3, penalties).unwrap_err().to_string()
        };
        let (good, bad) = ([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, f64::NAN]);
        assert_eq!(
            message(&[(&good, 0), (&bad, 1)], &[1.0]),
            "ridge on summary features: training series 1 holds NaN at row 1, column 1"
        );
        assert!(message(&[(&good, 0)], &[1.0, -2.0]).contains("penalty = -2"));
        assert!(message(&[(&good, 0)], &[1.0, 2.0]).contains("number of validation series = 0"));
        assert!(message(&[(&good, 0), (&[], 1)], &[1.0]).contains("at least 1 rows"));
    }
}
