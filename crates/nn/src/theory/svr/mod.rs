//! Support vector regression whose solution is attention, in `f64`.
//!
//! ```text
//! f(x) = W Φ(x) / h(x) + b,   κ(x, y) = Φ(x)·Φ(y),   G_ij = κ(k_i, k_j) / (h(k_i) h(k_j))
//!
//! primal   min  ½ ‖W‖² + C Σ_jd max(|y_j(d) − f_d(k_j)| − ε, 0)
//! dual     max  −½ aᵀ G a + yᵀ a − ε ‖a‖₁      per column, |a_j| ≤ C, and Σ_j a_j = 0 if b is free
//!
//! expansion      f(x) = Σ_j κ(x, k_j) / h(x) · a_j / h(k_j) + b
//! attention      v_j = a_j / h(k_j),  x = q_i,  b = 0
//! ```
//!
//! The columns of the targets do not meet. The solver takes one dual variable after another to its
//! optimum, `a_j ← clip(soft(y_j − b − (G a)_j + G_jj a_j, ε) / G_jj, ±C)`, until nothing moves. A free
//! bias is the root of `Σ_j a_j(b)`, which falls with `b`, because it is minus the derivative of the
//! primal optimum, convex in `b`.
//!
//! Source: Nguyen et al. 2023, arXiv:2406.13781, state that attention is such an expansion; the set-up is
//! derived in `docs/theory.md`. Soft thresholding in coordinates: Ho & Lin 2012, JMLR 13, §3.2 (for the
//! linear kernel). Cost: `n²` multiply-adds per column and sweep.

#[cfg(test)]
mod tests;

use super::Matrix;
use crate::error::InvalidConfig;

/// A sweep that moves no dual variable by more than this part of the largest ends the search.
const TOLERANCE: f64 = 1e-14;
/// Most sweeps over one column.
const SWEEPS: usize = 50_000;
/// Halvings of an interval that leave it below the spacing of numbers.
const HALVINGS: usize = 64;
/// `C` over the largest dual variable that attention asks for.
const ROOM: f64 = 1.5;

/// A regression problem: `n` training pairs, `d_v` outputs.
#[derive(Debug, Clone)]
pub struct Regression {
    gram: Matrix,
    targets: Matrix,
    eps: f64,
    c: f64,
}

/// What the solver found.
#[derive(Debug, Clone)]
pub struct Dual {
    /// `a`, `[n, d_v]`.
    pub a: Matrix,
    /// `b`, one per output; zero unless it was free.
    pub bias: Vec<f64>,
    /// Sweeps of the slowest column.
    pub sweeps: usize,
    /// Whether every column came to rest before the limit on sweeps.
    pub converged: bool,
}

/// The regression of which an attention is the solution, and that solution.
#[derive(Debug, Clone)]
pub struct AttentionRegression {
    /// What a solver needs; it does not hold the values.
    pub regression: Regression,
    /// `a* = h(k_j) v_j`, `[n, d_v]`.
    pub expected: Matrix,
}

/// `G_ij = κ(k_i, k_j) / (h(k_i) h(k_j))` from `κ` `[n, n]` and `h` at the keys.
///
/// # Panics
/// If the sizes disagree.
#[must_use]
pub fn gram(kernel: &Matrix, h: &[f64]) -> Matrix {
    assert_eq!([kernel.rows(), kernel.cols()], [h.len(); 2], "one kernel value per pair of keys");
    Matrix::from_fn(h.len(), h.len(), |i, j| kernel[(i, j)] / (h[i] * h[j]))
}

/// `f(q_i)` from `κ(q_i, k_j)` `[m, n]`, `h` at queries and keys, and a solution.
///
/// # Panics
/// If the sizes disagree.
#[must_use]
pub fn expand(kernel: &Matrix, h_queries: &[f64], h_keys: &[f64], dual: &Dual) -> Matrix {
    assert_eq!([kernel.rows(), kernel.cols()], [h_queries.len(), h_keys.len()], "κ is [m, n]");
    let features = Matrix::from_fn(h_queries.len(), h_keys.len(), |i, j| {
        kernel[(i, j)] / (h_queries[i] * h_keys[j])
    });
    let f = &features * &dual.a;
    Matrix::from_fn(f.rows(), f.cols(), |i, d| f[(i, d)] + dual.bias[d])
}

impl Regression {
    /// Checks and keeps a problem: `gram` is `[n, n]` and symmetric, `targets` are `[n, d_v]`.
    ///
    /// # Errors
    /// [`InvalidConfig::OutOfRange`] if `eps` is negative, `c` or a diagonal entry of `gram` is not
    /// positive, or a number is not finite.
    ///
    /// # Panics
    /// If the sizes disagree.
    pub fn new(gram: Matrix, targets: Matrix, eps: f64, c: f64) -> Result<Self, InvalidConfig> {
        let n = targets.rows();
        assert_eq!([gram.rows(), gram.cols()], [n, n], "the Gram matrix has a row per target");
        let out_of_range =
            |name, value, expected| Err(InvalidConfig::OutOfRange { name, value, expected });
        if !(eps >= 0.0 && eps.is_finite()) {
            return out_of_range("eps", eps, "a finite tube width of at least 0");
        }
        if !(c > 0.0 && c.is_finite()) {
            return out_of_range("c", c, "a finite penalty above 0");
        }
        for (name, matrix) in [("a kernel value", &gram), ("a target", &targets)] {
            if let Some(&value) = matrix.values().iter().find(|x| !x.is_finite()) {
                return out_of_range(name, value, "a finite number");
            }
        }
        if let Some(j) = (0..n).find(|&j| gram[(j, j)] <= 0.0) {
            return out_of_range("κ(k, k)", gram[(j, j)], "above 0: keys need features");
        }
        Ok(Self { gram, targets, eps, c })
    }

    /// The problem whose solution is attention with `values` `[n, d_v]`: `kernel` is `κ` at the keys,
    /// `h` the normaliser there.
    ///
    /// ```text
    /// a* = h(k_j) v_j,   C = 1.5 max |a*|,   y = G a* + ε sign(v)
    /// ```
    ///
    /// With these targets `a*` satisfies all conditions of optimality; it is the only solution if `G` is
    /// positive definite. Otherwise `f` is still unique, because the primal is strictly convex in `W`.
    ///
    /// # Errors
    /// As [`Regression::new`], and [`InvalidConfig::OutOfRange`] if `h` is not positive at a key or all
    /// values are zero.
    ///
    /// # Panics
    /// If the sizes disagree.
    pub fn of_attention(
        kernel: &Matrix,
        h: &[f64],
        values: &Matrix,
        eps: f64,
    ) -> Result<AttentionRegression, InvalidConfig> {
        assert_eq!(values.rows(), h.len(), "one value per key");
        if let Some(&value) = h.iter().find(|h| **h <= 0.0 || h.is_nan()) {
            let expected = "above 0: use a positive kernel or another normaliser";
            return Err(InvalidConfig::OutOfRange { name: "h(k)", value, expected });
        }
        let gram = gram(kernel, h);
        let expected = Matrix::from_fn(h.len(), values.cols(), |j, d| h[j] * values[(j, d)]);
        let fitted = &gram * &expected;
        let targets = Matrix::from_fn(h.len(), values.cols(), |j, d| {
            let v = values[(j, d)];
            fitted[(j, d)] + if v == 0.0 { 0.0 } else { eps * v.signum() }
        });
        let regression = Self::new(gram, targets, eps, ROOM * expected.largest())?;
        Ok(AttentionRegression { regression, expected })
    }

    /// The same problem with another penalty.
    ///
    /// # Errors
    /// As [`Regression::new`].
    pub fn with_c(self, c: f64) -> Result<Self, InvalidConfig> {
        Self::new(self.gram, self.targets, self.eps, c)
    }

    /// `G`.
    #[must_use]
    pub const fn gram(&self) -> &Matrix {
        &self.gram
    }

    /// `C`.
    #[must_use]
    pub const fn c(&self) -> f64 {
        self.c
    }

    /// The solution with `b = 0`, from `a = 0`.
    #[must_use]
    pub fn solve(&self) -> Dual {
        self.by_column(|d, a| {
            let (sweeps, converged) = self.descend(d, 0.0, a);
            (0.0, sweeps, converged)
        })
    }

    /// The solution with one free bias per output, so that `Σ_j a_j = 0`.
    #[must_use]
    pub fn solve_with_bias(&self) -> Dual {
        self.by_column(|d, a| {
            let targets = self.targets.column(d);
            let low = targets.iter().copied().fold(f64::INFINITY, f64::min);
            let high = targets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let (mut sweeps, mut converged) = (0, true);
            let mut total = |b: f64, a: &mut [f64]| {
                let (n, ok) = self.descend(d, b, a);
                (sweeps, converged) = (sweeps + n, converged && ok);
                a.iter().sum::<f64>()
            };
            // All dual variables are at −C above some bias, and at C below some other.
            let mut width = (high - low).max(self.eps).max(f64::MIN_POSITIVE);
            let (mut below, mut above) = (low, high);
            while total(below, a) < 0.0 {
                below -= width;
                width *= 2.0;
            }
            while total(above, a) > 0.0 {
                above += width;
                width *= 2.0;
            }
            for _ in 0..HALVINGS {
                let middle = f64::midpoint(below, above);
                if total(middle, a) > 0.0 { below = middle } else { above = middle }
            }
            (above, sweeps, converged)
        })
    }

    /// `½ ‖W‖² + C Σ max(|y − f| − ε, 0)`.
    #[must_use]
    pub fn primal(&self, dual: &Dual) -> f64 {
        let fitted = &self.gram * &dual.a;
        let residual = |j, d| self.targets[(j, d)] - fitted[(j, d)] - dual.bias[d];
        let slack = |j, d| f64::max(f64::abs(residual(j, d)) - self.eps, 0.0);
        let slacks: f64 = self.places().map(|(j, d)| slack(j, d)).sum();
        0.5 * dual.a.inner(&fitted) + self.c * slacks
    }

    /// `−½ aᵀ G a + yᵀ a − ε ‖a‖₁`, summed over the outputs.
    #[must_use]
    pub fn dual(&self, dual: &Dual) -> f64 {
        let fitted = &self.gram * &dual.a;
        let size: f64 = self.places().map(|(j, d)| dual.a[(j, d)].abs()).sum();
        self.targets.inner(&dual.a) - 0.5 * dual.a.inner(&fitted) - self.eps * size
    }

    /// `(primal − dual) / |primal|`; zero at an optimum, and nowhere else, up to
    /// [`gap_rounding`](Self::gap_rounding).
    #[must_use]
    pub fn gap(&self, dual: &Dual) -> f64 {
        let primal = self.primal(dual);
        (primal - self.dual(dual)) / primal.abs().max(f64::MIN_POSITIVE)
    }

    /// What rounding in `f64` can make of [`gap`](Self::gap) at an optimum.
    ///
    /// A residual that is zero is computed to `(n + 2) u (|y| + |G| |a| + |b|)`, `u = 2⁻⁵³`, and the
    /// primal objective charges `C` for it: with nearly dependent features, duals and `C` are large.
    #[must_use]
    pub fn gap_rounding(&self, dual: &Dual) -> f64 {
        let n = self.gram.rows();
        let size = |(j, d): (usize, usize)| {
            let fitted: f64 = (0..n).map(|i| (self.gram[(j, i)] * dual.a[(i, d)]).abs()).sum();
            self.targets[(j, d)].abs() + fitted + dual.bias[d].abs()
        };
        let sizes: f64 = self.places().map(size).sum();
        let unit = 0.5 * f64::EPSILON;
        let primal = self.primal(dual).abs().max(f64::MIN_POSITIVE);
        self.c * (n + 2) as f64 * unit * sizes / primal
    }

    /// The largest breach of the conditions of optimality, in units of the targets.
    ///
    /// With `r = y − b − G a`: `r = ε sign(a)` where `0 < |a| < C`, `|r| ≤ ε` where `a = 0`, and
    /// `r sign(a) ≥ ε` where `|a| = C`.
    #[must_use]
    pub fn violation(&self, dual: &Dual) -> f64 {
        let fitted = &self.gram * &dual.a;
        let breach = |(j, d): (usize, usize)| {
            let a = dual.a[(j, d)];
            let r = self.targets[(j, d)] - fitted[(j, d)] - dual.bias[d];
            if a == 0.0 {
                f64::max(r.abs() - self.eps, 0.0)
            } else if a.abs() < self.c {
                (r - self.eps * a.signum()).abs()
            } else {
                f64::max(self.eps - r * a.signum(), 0.0)
            }
        };
        self.places().map(breach).fold(0.0, f64::max)
    }

    /// Descends in column `d` from `a`, in place; sweeps, and whether it came to rest.
    fn descend(&self, d: usize, bias: f64, a: &mut [f64]) -> (usize, bool) {
        let targets = self.targets.column(d);
        let n = targets.len();
        let tolerance = TOLERANCE.max(n as f64 * f64::EPSILON);
        let mut fitted = vec![0.0; n];
        for sweep in 1..=SWEEPS {
            // Anew in every sweep, so that rounding does not add up.
            fitted.fill(0.0);
            for (j, &a) in a.iter().enumerate() {
                add(&mut fitted, a, self.gram.column(j));
            }
            let (mut change, mut size) = (0.0_f64, 0.0_f64);
            for j in 0..n {
                let g = self.gram[(j, j)];
                let r = targets[j] - bias - fitted[j] + g * a[j];
                let soft = r.signum() * (r.abs() - self.eps).max(0.0);
                let next = (soft / g).clamp(-self.c, self.c);
                let step = next - a[j];
                if step != 0.0 {
                    add(&mut fitted, step, self.gram.column(j));
                    a[j] = next;
                }
                (change, size) = (change.max(step.abs()), size.max(next.abs()));
            }
            if change <= tolerance * size {
                return (sweep, true);
            }
        }
        (SWEEPS, false)
    }

    fn by_column(&self, solve: impl Fn(usize, &mut [f64]) -> (f64, usize, bool)) -> Dual {
        let (n, d_v) = (self.targets.rows(), self.targets.cols());
        let mut dual = Dual {
            a: Matrix::from_fn(n, d_v, |_, _| 0.0),
            bias: vec![0.0; d_v],
            sweeps: 0,
            converged: true,
        };
        for d in 0..d_v {
            let (bias, sweeps, converged) = solve(d, dual.a.column_mut(d));
            dual.bias[d] = bias;
            dual.sweeps = dual.sweeps.max(sweeps);
            dual.converged &= converged;
        }
        dual
    }

    /// Every `(j, d)`.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (n, d_v) = (self.targets.rows(), self.targets.cols());
        (0..d_v).flat_map(move |d| (0..n).map(move |j| (j, d)))
    }
}

/// `sum += factor · x`.
fn add(sum: &mut [f64], factor: f64, x: &[f64]) {
    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += factor * x);
}
