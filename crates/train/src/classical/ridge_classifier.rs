//! Classification by ridge regression on features, the penalty chosen by leaving one out.
//!
//! ```text
//! f = features, each with mean 0 and deviation 1 on the n training examples
//! W = argmin Σ_i ‖y_i − Wᵀ [1 f_i]‖² + λ n ‖W without constants‖²      y_ic = ±1: is it class c?
//! class of an example: the largest entry of Wᵀ [1 f]
//!
//! F = U S Vᵀ      r = S² / (S² + λ n)      W = Fᵀ U (S² + λ n)⁻¹ Uᵀ Y
//! left out: (y_i − ŷ_i) / (1 − 1/n − Σ_k U_ik² r_k)
//! ```
//!
//! Of several penalties `λ` the one with the smallest sum of squared errors of examples left out is
//! taken; these follow from one decomposition, so no part of the data is given away for the choice. `U`
//! and `S²` come from the smaller of `F Fᵀ` and `Fᵀ F`.
//!
//! Source: Golub, Heath, Wahba 1979, doi:10.1080/00401706.1979.10489751, §2 (the error of an example
//! left out). Cost: `n F min(n, F) + 9 min(n, F)³` products for `n` examples of `F` features.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Spec};
use rayon::prelude::*;

use super::ClassicalError;

/// Most products of the decomposition, those of 4096 examples or features: minutes.
const MAX_OPERATIONS: f64 = 9.0 * (4096.0 * 4096.0 * 4096.0);
/// Columns of a product that one thread computes.
const PANEL: usize = 64;
/// Penalties to choose from, per training example; features have deviation one.
pub const PENALTIES: [f64; 9] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1000.0];

/// Ridge regression on features; build with [`RidgeClassifier::fit`].
#[derive(Clone, Debug)]
pub struct RidgeClassifier {
    classes: usize,
    /// Mean of every feature, and what a centred feature is multiplied by.
    standard: Vec<(f64, f64)>,
    /// `[1 + features, classes]`, row-major.
    weights: Vec<f64>,
    penalty: f64,
}

impl RidgeClassifier {
    /// Fits the weights and chooses the penalty; `method` is the name in messages.
    ///
    /// # Errors
    /// If there is no example, a penalty that is not positive, or there are more than 4096 examples of
    /// more than 4096 features.
    ///
    /// # Panics
    /// If a label is not below `classes`, or the examples differ in their number of features.
    pub fn fit(
        method: &'static str,
        features: &[Vec<f64>],
        labels: &[usize],
        classes: usize,
        penalties: &[f64],
    ) -> Result<Self, ClassicalError> {
        assert_eq!(features.len(), labels.len(), "one label per example");
        let invalid = |key, value, expected| {
            Err(ClassicalError::InvalidConfig { method, key, value, expected })
        };
        if let Some(&penalty) = penalties.iter().find(|&&p| !(p > 0.0 && p.is_finite())) {
            return invalid("penalty", penalty, "a positive number");
        }
        if penalties.is_empty() {
            return invalid("number of penalties", 0.0, "at least one");
        }
        let (n, n_features) = (features.len(), features.first().map_or(0, Vec::len));
        if n == 0 {
            return invalid("number of examples", 0.0, "at least one");
        }
        Self::check_size(method, n, n_features)?;
        let standard = standard(features);
        let f = Mat::from_fn(n, n_features, |i, j| {
            let (mean, scale) = standard[j];
            (features[i][j] - mean) * scale
        });
        let target = |i: usize, c: usize| if labels[i] == c { 1.0 } else { -1.0 };
        let constants: Vec<f64> =
            (0..classes).map(|c| (0..n).map(|i| target(i, c)).sum::<f64>() / n as f64).collect();
        let y = Mat::from_fn(n, classes, |i, c| target(i, c) - constants[c]);
        let singular = ClassicalError::Singular { method, ridge: penalties[0] };
        let (u, squares) = left_singular(f.as_ref()).ok_or(singular)?;
        let projected = product(u.transpose(), y.as_ref());

        let mut sorted = penalties.to_vec();
        sorted.sort_by(f64::total_cmp);
        let mut best = (f64::INFINITY, *sorted.last().expect("there is a penalty"));
        for penalty in sorted {
            let shares: Vec<f64> = squares.iter().map(|s| s / (s + penalty * n as f64)).collect();
            let error = left_out(u.as_ref(), &shares, projected.as_ref(), y.as_ref());
            // The larger of equally good ones.
            if error <= best.0 {
                best = (error, penalty);
            }
        }
        let penalty = best.1;
        let dual = Mat::from_fn(squares.len(), classes, |k, c| {
            projected[(k, c)] / (squares[k] + penalty * n as f64)
        });
        let dual = product(u.as_ref(), dual.as_ref());
        let slopes = product(f.transpose(), dual.as_ref());
        let mut weights = constants;
        for j in 0..n_features {
            weights.extend((0..classes).map(|c| slopes[(j, c)]));
        }
        Ok(Self { classes, standard, weights, penalty })
    }

    /// Whether so many examples of so many features can be fitted, before features are computed.
    ///
    /// # Errors
    /// If both numbers exceed 4096.
    pub fn check_size(
        method: &'static str,
        n: usize,
        n_features: usize,
    ) -> Result<(), ClassicalError> {
        let side = n.min(n_features) as f64;
        let (operations, limit) = (9.0 * side.powi(3), MAX_OPERATIONS);
        if operations > limit {
            let remedy = "learn from fewer series, or leave it out of baselines.classical";
            return Err(ClassicalError::TooSlow { method, operations, limit, remedy });
        }
        Ok(())
    }

    /// A score per class; the largest is the class predicted.
    ///
    /// # Panics
    /// If the number of features is not that of the training.
    #[must_use]
    pub fn predict_scores(&self, features: &[f64]) -> Vec<f64> {
        assert_eq!(features.len(), self.standard.len(), "features of the training");
        let (constants, slopes) = self.weights.split_at(self.classes);
        let mut scores = constants.to_vec();
        let rows = features.iter().zip(&self.standard).zip(slopes.chunks_exact(self.classes));
        for ((x, (mean, scale)), weights) in rows {
            let x = (x - mean) * scale;
            scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += x * weight);
        }
        scores
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

/// Left singular vectors, `[examples, rank]`, and squared singular values; `None` if the iteration fails.
fn left_singular(f: MatRef<'_, f64>) -> Option<(Mat<f64>, Vec<f64>)> {
    let is_wide = f.nrows() <= f.ncols();
    let gram = if is_wide { product(f, f.transpose()) } else { product(f.transpose(), f) };
    let (vectors, values) = eigen(gram.as_ref())?;
    let largest = values.iter().copied().fold(0.0, f64::max);
    // Below, eigenvalues are rounding.
    let least = largest * f64::EPSILON * f.nrows().max(f.ncols()) as f64;
    let kept: Vec<usize> = (0..values.len()).filter(|&k| values[k] > least).collect();
    let squares: Vec<f64> = kept.iter().map(|&k| values[k]).collect();
    let vectors = Mat::from_fn(vectors.nrows(), kept.len(), |i, k| vectors[(i, kept[k])]);
    if is_wide {
        return Some((vectors, squares));
    }
    let mut u = product(f, vectors.as_ref());
    for (k, square) in squares.iter().enumerate() {
        u.col_mut(k).iter_mut().for_each(|x| *x /= square.sqrt());
    }
    Some((u, squares))
}

/// Eigenvectors in columns, and eigenvalues.
fn eigen(a: MatRef<'_, f64>) -> Option<(Mat<f64>, Vec<f64>)> {
    let n = a.nrows();
    let (mut vectors, mut values) = (Mat::zeros(n, n), Diag::zeros(n));
    // One thread: every bit is the same for any number of them.
    let need =
        self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, Spec::default());
    self_adjoint_evd(
        a,
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(need)),
        Spec::default(),
    )
    .ok()?;
    let values = values.column_vector().iter().copied().collect();
    Some((vectors, values))
}

/// Sum of squared errors of examples that are left out, one at a time.
fn left_out(
    u: MatRef<'_, f64>,
    shares: &[f64],
    projected: MatRef<'_, f64>,
    y: MatRef<'_, f64>,
) -> f64 {
    let n = u.nrows();
    let error = |i: usize| -> f64 {
        let leverage: f64 =
            shares.iter().enumerate().map(|(k, share)| share * u[(i, k)].powi(2)).sum();
        let rest = 1.0 - 1.0 / n as f64 - leverage;
        let of_class = |c: usize| {
            let found = shares.iter().enumerate();
            let found: f64 = found.map(|(k, share)| share * u[(i, k)] * projected[(k, c)]).sum();
            ((y[(i, c)] - found) / rest).powi(2)
        };
        (0..y.ncols()).map(of_class).sum()
    };
    let errors: Vec<f64> = (0..n).into_par_iter().map(error).collect();
    let sum: f64 = errors.iter().sum();
    if sum.is_finite() { sum } else { f64::INFINITY }
}

/// A product whose columns are shared among the threads; each is summed by one, so their number changes
/// no bit.
fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(a.nrows(), b.ncols());
    out.par_col_chunks_mut(PANEL).enumerate().for_each(|(panel, out)| {
        let b = b.subcols(panel * PANEL, out.ncols());
        matmul(out, Accum::Replace, a, b, 1.0, Par::Seq);
    });
    out
}

#[cfg(test)]
mod tests {
    use super::super::least_squares::LeastSquares;
    use super::*;
    use crate::metric::classification::largest;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    /// Noise whose first feature says the class, three classes in turn.
    fn examples(n: usize, n_features: usize) -> (Vec<Vec<f64>>, Vec<usize>) {
        let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
        let mut one = |label: usize| -> Vec<f64> {
            let mut row: Vec<f64> =
                (0..n_features).map(|_| StandardNormal.sample(&mut rng)).collect();
            row[label] += 3.0;
            row
        };
        let labels: Vec<usize> = (0..n).map(|i| i % 3).collect();
        (labels.iter().map(|&label| one(label)).collect(), labels)
    }

    /// Errors of every example by a fit without it, on features standardised with all.
    fn left_out_by_hand(features: &[Vec<f64>], labels: &[usize], penalty: f64) -> f64 {
        let (n, p) = (features.len(), features[0].len());
        let standard = standard(features);
        let row = |i: usize| -> Vec<f64> {
            let scaled = features[i].iter().zip(&standard).map(|(x, (m, s))| (x - m) * s);
            std::iter::once(1.0).chain(scaled).collect()
        };
        let y = |i: usize| [0, 1, 2].map(|c| if labels[i] == c { 1.0 } else { -1.0 });
        let mut sum = 0.0;
        for left in 0..n {
            let mut regression = LeastSquares::new(1 + p, 3, penalty * n as f64);
            (0..n).filter(|i| *i != left).for_each(|i| regression.add(&row(i), &y(i)));
            let weights = regression.solve().unwrap();
            for (c, y) in y(left).iter().enumerate() {
                let found: f64 =
                    row(left).iter().enumerate().map(|(j, x)| x * weights[3 * j + c]).sum();
                sum += (y - found).powi(2);
            }
        }
        sum
    }

    #[test]
    fn the_penalty_is_the_one_that_leaving_one_out_by_hand_chooses() {
        // More examples than features, and fewer: both sides of the decomposition.
        for (n, p) in [(23, 5), (13, 29)] {
            let (features, labels) = examples(n, p);
            let errors: Vec<f64> =
                PENALTIES.iter().map(|&x| left_out_by_hand(&features, &labels, x)).collect();
            let best = largest(&errors.iter().map(|e| -e).collect::<Vec<_>>());
            let fitted = RidgeClassifier::fit("r", &features, &labels, 3, &PENALTIES).unwrap();
            assert!((fitted.penalty() - PENALTIES[best]).abs() < 1e-12, "{errors:?}");
        }
    }

    #[test]
    fn the_weights_are_those_of_least_squares() {
        for (n, p) in [(23, 5), (13, 29)] {
            let (features, labels) = examples(n, p);
            let fitted = RidgeClassifier::fit("r", &features, &labels, 3, &[0.1]).unwrap();
            let standard = standard(&features);
            let mut regression = LeastSquares::new(1 + p, 3, 0.1 * n as f64);
            for (row, label) in features.iter().zip(&labels) {
                let scaled = row.iter().zip(&standard).map(|(x, (m, s))| (x - m) * s);
                let row: Vec<f64> = std::iter::once(1.0).chain(scaled).collect();
                regression.add(&row, &[0, 1, 2].map(|c| if *label == c { 1.0 } else { -1.0 }));
            }
            for (a, b) in fitted.weights.iter().zip(regression.solve().unwrap()) {
                assert!((a - b).abs() < 1e-10, "{a} is not {b}");
            }
            assert_eq!(fitted.n_parameters(), 3 * (1 + p));
        }
    }

    #[test]
    fn classes_are_told_apart_and_a_constant_feature_does_no_harm() {
        let ((mut features, labels), (mut test, truth)) = (examples(300, 5), examples(301, 5));
        features.iter_mut().chain(&mut test).for_each(|row| row.push(0.3));
        let fitted = RidgeClassifier::fit("r", &features, &labels, 3, &PENALTIES).unwrap();
        let named = test.iter().map(|row| largest(&fitted.predict_scores(row)));
        let right = named.zip(&truth).filter(|(a, b)| a == *b).count();
        assert!(right > 270, "{right} of 301");
    }

    #[test]
    fn wrong_settings_are_named() {
        let (features, labels) = examples(5, 4);
        let message = |n: usize, penalties: &[f64]| {
            let fitted = RidgeClassifier::fit("r", &features[..n], &labels[..n], 3, penalties);
            fitted.unwrap_err().to_string()
        };
        assert_eq!(message(5, &[1.0, -2.0]), "r: penalty = -2, expected a positive number");
        assert!(message(5, &[]).contains("number of penalties = 0"));
        assert!(message(0, &[1.0]).contains("number of examples = 0"));
        let large = RidgeClassifier::check_size("r", 7352, 9996).unwrap_err().to_string();
        assert!(large.contains("r would need 3.6e12 operations, the limit is 6.2e11"), "{large}");
        assert!(RidgeClassifier::check_size("r", 100_000, 200).is_ok());
    }
}
