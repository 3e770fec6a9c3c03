//! Ridge regression on many features, by normal equations.
//!
//! ```text
//! W = argmin Σ_i ‖y_i − Wᵀ f_i‖² + penalty · Σ_{j ≥ 1, k} W_jk²        f_0 = 1 is not penalised
//! (FᵀF + penalty·diag(0, 1, …, 1)) W = Fᵀ Y                            by Cholesky
//! ```
//!
//! Three times as fast as [`LeastSquares`] and all of it in matrix products, but the error grows
//! with the square of the condition number of `F`: for features of which each alone says little,
//! and a penalty well above `ε ‖F‖²`.
//!
//! Cost: `n_examples n_features²` operations and `12 n_features²` bytes.
//!
//! [`LeastSquares`]: super::least_squares::LeastSquares

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::{factor, solve};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par, Spec};
use rayon::prelude::*;

/// Examples multiplied at once.
const BLOCK: usize = 256;
/// Columns of the product that one thread computes.
const PANEL: usize = 128;

/// The products of all examples so far, and the block of those not yet multiplied.
#[derive(Debug)]
pub(super) struct NormalEquations {
    /// Waiting examples, `[f | y]` in one column each.
    block: Mat<f64>,
    n_waiting: usize,
    /// Columns `PANEL·p …` of `[F | Y]ᵀ [F | Y]`, from the diagonal down.
    panels: Vec<Mat<f64>>,
    n_features: usize,
    n_targets: usize,
}

impl NormalEquations {
    /// Starts with no example.
    pub(super) fn new(n_features: usize, n_targets: usize) -> Self {
        let n = n_features + n_targets;
        let panel = |first: usize| Mat::zeros(n - first, PANEL.min(n - first));
        let panels = (0..n).step_by(PANEL).map(panel).collect();
        Self { block: Mat::zeros(n, BLOCK), n_waiting: 0, panels, n_features, n_targets }
    }

    /// Adds one example; `features[0]` is the constant 1.
    pub(super) fn add<'a>(
        &mut self,
        features: impl IntoIterator<Item = &'a f64>,
        targets: impl IntoIterator<Item = f64>,
    ) {
        let values = features.into_iter().copied().chain(targets);
        let column = self.block.col_mut(self.n_waiting).iter_mut();
        column.zip(values).for_each(|(entry, x)| *entry = x);
        self.n_waiting += 1;
        if self.n_waiting == BLOCK {
            self.multiply();
        }
    }

    /// Weights, `[n_features, n_targets]` row-major; `None` if the penalty is too small.
    pub(super) fn solve(mut self, penalty: f64) -> Option<Vec<f64>> {
        self.multiply();
        let (n, n_targets) = (self.n_features, self.n_targets);
        let entry = |i: usize, j: usize| self.panels[j / PANEL][(i - j / PANEL * PANEL, j % PANEL)];
        let mut weights = Mat::from_fn(n, n_targets, |i, j| entry(n + j, i));
        let mut factored = Mat::from_fn(n, n, |i, j| if i < j { 0.0 } else { entry(i, j) });
        for j in 1..n {
            factored[(j, j)] += penalty;
        }
        let need = factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Spec::default());
        factor::cholesky_in_place(
            factored.as_mut(),
            factor::LltRegularization::default(),
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(need)),
            Spec::default(),
        )
        .ok()?;
        let need = solve::solve_in_place_scratch::<f64>(n, n_targets, Par::Seq);
        solve::solve_in_place(
            factored.as_ref(),
            weights.as_mut(),
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(need)),
        );
        let entry = |i: usize| weights[(i / n_targets, i % n_targets)];
        let weights: Vec<f64> = (0..n * n_targets).map(entry).collect();
        weights.iter().all(|w| w.is_finite()).then_some(weights)
    }

    /// Adds the products of the waiting examples.
    fn multiply(&mut self) {
        let block = self.block.as_ref().subcols(0, self.n_waiting);
        // A panel belongs to one thread, so the number of threads changes no bit.
        self.panels.par_iter_mut().enumerate().for_each(|(index, panel)| {
            let first = index * PANEL;
            let rows = block.subrows(first, panel.nrows());
            let columns = block.subrows(first, panel.ncols()).transpose();
            matmul(panel.as_mut(), Accum::Add, rows, columns, 1.0, Par::Seq);
        });
        self.n_waiting = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::least_squares::LeastSquares;
    use super::*;

    #[test]
    fn equals_the_triangularisation_over_several_blocks_and_panels() {
        // 201 features in two panels, 700 examples in three blocks.
        let value = |i: usize, j: usize| ((i * 31 + j * j * 17 + i * j * 7) % 101) as f64 / 50.0;
        let penalty = 1e-3;
        let mut normal = NormalEquations::new(201, 2);
        let mut triangle = LeastSquares::new(201, 2, penalty);
        for i in 0..700 {
            let features: Vec<f64> =
                (0..201).map(|j| if j == 0 { 1.0 } else { value(i, j) }).collect();
            let targets = [value(i, 300), value(i, 301) - features[5]];
            normal.add(&features, targets);
            triangle.add(&features, &targets);
        }
        let (normal, triangle) = (normal.solve(penalty).unwrap(), triangle.solve().unwrap());
        assert_eq!(normal.len(), 402);
        // The condition is that of 101 different columns and a penalty of 1e-3.
        for (a, b) in normal.iter().zip(&triangle) {
            assert!((a - b).abs() < 1e-6, "{a} is not {b}");
        }
    }

    #[test]
    fn equal_columns_have_no_solution_without_a_penalty() {
        let fit = |penalty| {
            let mut regression = NormalEquations::new(3, 1);
            for u in [-2.0, -1.0, 1.0, 2.0] {
                regression.add(&[1.0, u, u], [4.0 * u]);
            }
            regression.solve(penalty)
        };
        assert_eq!(fit(0.0), None);
        let weights = fit(1e-6).unwrap();
        assert!((weights[1] - 2.0).abs() < 1e-6 && (weights[2] - 2.0).abs() < 1e-6);
    }
}
