//! Ridge regression over a stream of examples, by orthogonal triangularisation.
//!
//! ```text
//! W = argmin Σ_i ‖y_i − Wᵀ f_i‖² + penalty · Σ_{j ≥ 1, k} W_jk²        f_0 = 1 is not penalised
//!
//! [R_ff R_fy]              [√penalty·I  0]
//! [  0  R_yy]  =  Qᵀ ·     [    F       Y]        R_ff W = R_fy
//! ```
//!
//! Rows are folded into the triangle block by block, so the examples are never all in memory and
//! the error grows with the condition number of `F`, not with its square as in normal equations:
//! delayed rows of a smooth signal are nearly dependent, and forming `FᵀF` would lose half of the
//! digits that a one-step error of 1e-8 needs.
//!
//! Cost: about `3.3 n_examples n_features²` operations and `16 n_features²` bytes.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::qr::no_pivoting::factor;
use faer::linalg::triangular_solve::solve_upper_triangular_in_place;
use faer::{Mat, Par, Spec};

/// Fewest example rows folded at once; below that the blocks are too flat to be fast.
const MIN_BLOCK: usize = 256;

/// The triangle of all examples so far, and the block of those not yet folded into it.
#[derive(Debug)]
pub(crate) struct LeastSquares {
    /// The triangle in the first `n_columns` rows, the waiting examples below: `[f | y]` each.
    stack: Mat<f64>,
    n_features: usize,
    n_targets: usize,
    n_waiting: usize,
}

impl LeastSquares {
    /// Starts with no example; `penalty` is the ridge strength times the number of examples.
    pub(crate) fn new(n_features: usize, n_targets: usize, penalty: f64) -> Self {
        let n_columns = n_features + n_targets;
        let mut stack = Mat::zeros(n_columns + n_columns.max(MIN_BLOCK), n_columns);
        for j in 1..n_features {
            stack[(j, j)] = penalty.sqrt();
        }
        Self { stack, n_features, n_targets, n_waiting: 0 }
    }

    /// Adds one example; `features[0]` is the constant 1.
    pub(crate) fn add(&mut self, features: &[f64], targets: &[f64]) {
        assert_eq!(features.len(), self.n_features, "one value per feature");
        assert_eq!(targets.len(), self.n_targets, "one value per target");
        let row = self.stack.ncols() + self.n_waiting;
        for (j, &x) in features.iter().chain(targets).enumerate() {
            self.stack[(row, j)] = x;
        }
        self.n_waiting += 1;
        if row + 1 == self.stack.nrows() {
            self.fold();
        }
    }

    /// The same examples with another penalty, from their triangle alone.
    pub(crate) fn with_penalty(&self, penalty: f64) -> Self {
        let mut other = Self::new(self.n_features, self.n_targets, penalty);
        let n_columns = self.stack.ncols();
        let (mut features, mut targets) = (vec![], vec![]);
        for row in 0..n_columns + self.n_waiting {
            features.clear();
            targets.clear();
            features.extend((0..self.n_features).map(|j| self.stack[(row, j)]));
            targets.extend((self.n_features..n_columns).map(|j| self.stack[(row, j)]));
            // Below the diagonal of the triangle lie reflectors, not numbers.
            if row < n_columns {
                features[..row.min(self.n_features)].fill(0.0);
                targets[..row.saturating_sub(self.n_features)].fill(0.0);
            }
            other.add(&features, &targets);
        }
        other
    }

    /// Weights, `[n_features, n_targets]` row-major; `None` if the triangle is singular.
    pub(crate) fn solve(mut self) -> Option<Vec<f64>> {
        self.fold();
        let (n, n_targets) = (self.n_features, self.n_targets);
        let triangle = self.stack.as_ref().submatrix(0, 0, n, n);
        let diagonal = || (0..n).map(|j| triangle[(j, j)].abs());
        let largest = diagonal().fold(0.0, f64::max);
        let smallest = diagonal().fold(f64::INFINITY, f64::min);
        if smallest <= largest * f64::EPSILON {
            return None;
        }
        let mut weights = self.stack.as_ref().submatrix(0, n, n, n_targets).to_owned();
        solve_upper_triangular_in_place(triangle, weights.as_mut(), Par::Seq);
        let entry = |i: usize| weights[(i / n_targets, i % n_targets)];
        let weights: Vec<f64> = (0..n * n_targets).map(entry).collect();
        weights.iter().all(|w| w.is_finite()).then_some(weights)
    }

    /// Brings triangle and waiting examples back to one triangle.
    fn fold(&mut self) {
        if self.n_waiting == 0 {
            return;
        }
        let n_columns = self.stack.ncols();
        let mut rows = self.stack.as_mut().subrows_mut(0, n_columns + self.n_waiting);
        let n_rows = rows.nrows();
        let block = factor::recommended_block_size::<f64>(n_rows, n_columns);
        let mut householder = Mat::zeros(block, n_columns);
        // One thread: the order of every sum, and with it every bit, is the same on all machines
        // of one kind. The rollouts are what runs in parallel.
        let need =
            factor::qr_in_place_scratch::<f64>(n_rows, n_columns, block, Par::Seq, Spec::default());
        factor::qr_in_place(
            rows.as_mut(),
            householder.as_mut(),
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(need)),
            Spec::default(),
        );
        // What is left below the diagonal are the reflectors. They are zero in the rows of the
        // triangle, which was zero there before, and the next examples overwrite the rest.
        self.n_waiting = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `y = 3 − 2u + 0.5v` at the points of a grid, enough of them for several folds.
    fn examples() -> impl Iterator<Item = ([f64; 3], [f64; 1])> {
        (0..1000u32).map(|i| {
            let (u, v) = (f64::from(i % 37) - 18.0, f64::from(i % 11) - 5.0);
            ([1.0, u, v], [3.0 - 2.0 * u + 0.5 * v])
        })
    }

    #[test]
    fn recovers_an_exact_linear_law() {
        let mut regression = LeastSquares::new(3, 1, 0.0);
        examples().for_each(|(f, y)| regression.add(&f, &y));
        for (w, expected) in regression.solve().unwrap().iter().zip([3.0, -2.0, 0.5]) {
            assert!((w - expected).abs() < 1e-12, "{w} is not {expected}");
        }
    }

    #[test]
    fn equals_the_ridge_normal_equations_solved_by_hand() {
        // One feature besides the constant, u = −1, 0, 1 and y = 1, 2, 6, penalty 2:
        // the constant is mean(y) = 3, the slope Σuy / (Σu² + 2) = 5 / 4.
        let mut regression = LeastSquares::new(2, 1, 2.0);
        for (u, y) in [(-1.0, 1.0), (0.0, 2.0), (1.0, 6.0)] {
            regression.add(&[1.0, u], &[y]);
        }
        let weights = regression.solve().unwrap();
        assert!((weights[0] - 3.0).abs() < 1e-14 && (weights[1] - 1.25).abs() < 1e-14);
    }

    #[test]
    fn another_penalty_from_the_triangle_equals_a_fit_with_it() {
        let mut plain = LeastSquares::new(3, 1, 0.0);
        let mut penalised = LeastSquares::new(3, 1, 50.0);
        for (f, y) in examples() {
            plain.add(&f, &y);
            penalised.add(&f, &y);
        }
        let (a, b) = (plain.with_penalty(50.0).solve().unwrap(), penalised.solve().unwrap());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        }
    }

    #[test]
    fn equal_columns_are_singular_without_a_penalty_and_share_the_weight_with_one() {
        let fit = |penalty| {
            let mut regression = LeastSquares::new(3, 1, penalty);
            for u in 0..50u32 {
                let u = f64::from(u) - 24.5;
                regression.add(&[1.0, u, u], &[4.0 * u]);
            }
            regression.solve()
        };
        assert_eq!(fit(0.0), None);
        let weights = fit(1e-6).unwrap();
        assert!((weights[1] - 2.0).abs() < 1e-6 && (weights[2] - 2.0).abs() < 1e-6);
    }
}
