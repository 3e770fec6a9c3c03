//! The transform of real numbers on a square grid.
//!
//! ```text
//! û_kl = Σ_ij u_ij e^{-2πi (ik + jl)/n}        n² u_ij = Σ_kl û_kl e^{2πi (ik + jl)/n}
//! ```
//!
//! The grid `u` is `[n, n]`. Of its waves those with `0 ≤ l ≤ n/2` are kept, `[n/2 + 1, n]` with `l` first: the
//! others are their conjugates, and one transposition suffices either way.

use std::fmt;
use std::sync::Arc;

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};
use transpose::transpose;

use super::Complex64;

/// The transform of `n` by `n` points and its working memory.
#[derive(Clone)]
pub struct PlaneFourier {
    n: usize,
    to_waves: Arc<dyn RealToComplex<f64>>,
    to_points: Arc<dyn ComplexToReal<f64>>,
    forward: Arc<dyn Fft<f64>>,
    backward: Arc<dyn Fft<f64>>,
    /// One row of the grid.
    row: Vec<f64>,
    /// Waves along rows, `[n, n/2 + 1]`.
    rows: Vec<Complex64>,
    scratch: Vec<Complex64>,
}

impl PlaneFourier {
    /// The transform of `n` by `n` points.
    #[must_use]
    pub fn new(n: usize) -> Self {
        let (mut real, mut complex) = (RealFftPlanner::new(), FftPlanner::new());
        let (to_waves, to_points) = (real.plan_fft_forward(n), real.plan_fft_inverse(n));
        let (forward, backward) = (complex.plan_fft_forward(n), complex.plan_fft_inverse(n));
        let scratch = [
            to_waves.get_scratch_len(),
            to_points.get_scratch_len(),
            forward.get_inplace_scratch_len(),
            backward.get_inplace_scratch_len(),
        ];
        let zeros = |length| vec![Complex64::default(); length];
        Self {
            n,
            row: vec![0.0; n],
            rows: zeros(n * (n / 2 + 1)),
            scratch: zeros(scratch.into_iter().max().unwrap_or(0)),
            to_waves,
            to_points,
            forward,
            backward,
        }
    }

    /// `n² / 2` waves, and half a row more: those that are kept.
    #[must_use]
    pub fn n_waves(&self) -> usize {
        self.rows.len()
    }

    /// `u` to `û`.
    ///
    /// # Panics
    /// If `u` or `waves` have another size.
    pub fn forward(&mut self, u: &[f64], waves: &mut [Complex64]) {
        self.assert_sizes(u, waves);
        let (n, half) = (self.n, self.n / 2 + 1);
        for (u, row) in u.chunks_exact(n).zip(self.rows.chunks_exact_mut(half)) {
            self.row.copy_from_slice(u);
            self.to_waves
                .process_with_scratch(&mut self.row, row, &mut self.scratch)
                .expect("sizes of the plan");
        }
        transpose(&self.rows, waves, half, n);
        self.forward.process_with_scratch(waves, &mut self.scratch);
    }

    /// `û` to `n² u`; the waves are overwritten.
    ///
    /// # Panics
    /// If `waves` or `u` have another size.
    pub fn backward(&mut self, waves: &mut [Complex64], u: &mut [f64]) {
        self.assert_sizes(u, waves);
        let (n, half) = (self.n, self.n / 2 + 1);
        self.backward.process_with_scratch(waves, &mut self.scratch);
        transpose(waves, &mut self.rows, n, half);
        for (row, u) in self.rows.chunks_exact_mut(half).zip(u.chunks_exact_mut(n)) {
            // The mean and the shortest wave of a real row are real.
            row[0].im = 0.0;
            if n.is_multiple_of(2) {
                row[half - 1].im = 0.0;
            }
            self.to_points
                .process_with_scratch(row, u, &mut self.scratch)
                .expect("sizes of the plan, and real ends");
        }
    }

    fn assert_sizes(&self, u: &[f64], waves: &[Complex64]) {
        let n = self.n;
        assert_eq!(
            [u.len(), waves.len()],
            [n * n, self.n_waves()],
            "points and waves of {n} by {n}"
        );
    }
}

impl fmt::Debug for PlaneFourier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaneFourier").field("n", &self.n).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fourier;
    use super::*;

    #[test]
    fn it_is_the_transform_of_all_rows_and_then_of_all_columns() {
        for n in [1, 2, 9, 16, 52] {
            let u: Vec<f64> = (0..n * n).map(|j| (1.3 * j as f64).sin() + (j % 5) as f64).collect();
            let line = Fourier::new(n);
            let mut expected: Vec<Complex64> = u.iter().map(|&u| u.into()).collect();
            expected.chunks_exact_mut(n).for_each(|row| line.forward(row));
            let mut fourier = PlaneFourier::new(n);
            let mut waves = vec![Complex64::default(); fourier.n_waves()];
            fourier.forward(&u, &mut waves);
            for (l, found) in waves.chunks_exact(n).enumerate() {
                let mut column: Vec<Complex64> = (0..n).map(|i| expected[i * n + l]).collect();
                line.forward(&mut column);
                for (found, expected) in found.iter().zip(column) {
                    assert!((found - expected).norm() < 1e-10, "{n} points: {found} {expected}");
                }
            }
            let (mut again, points) = (vec![0.0; n * n], (n * n) as f64);
            fourier.backward(&mut waves, &mut again);
            for (found, expected) in again.iter().zip(&u) {
                assert!((found / points - expected).abs() < 1e-13, "{n} points");
            }
        }
    }
}
