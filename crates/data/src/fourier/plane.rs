//! The transform of real numbers on a square grid.
//!
//! ```text
//! û_kl = Σ_ij u_ij e^{-2πi (ik + jl)/n}        n² u_ij = Σ_kl û_kl e^{2πi (ik + jl)/n}
//! ```
//!
//! The grid `u` is `[n, n]`. Of its waves those with `0 ≤ l ≤ n/2` are kept, `[n/2 + 1, n]` with `l` first: the
//! others are their conjugates, and one transposition suffices either way.
//!
//! Two grids at once are the parts of one complex grid: `û + i v̂` is all that one transform of complex
//! numbers needs, which takes less time than two of real ones.

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
    /// All waves of two grids, `[n, n]`.
    both: Vec<Complex64>,
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
            both: zeros(n * n),
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
        transform_lines(&*self.backward, waves, &mut self.scratch);
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

    /// `u + i v` of two real grids to `û` and `v̂`; the grid is overwritten.
    ///
    /// # Panics
    /// If a size is another.
    pub fn forward_pair(&mut self, points: &mut [Complex64], [u, v]: [&mut [Complex64]; 2]) {
        self.assert_pair(points.len(), [u.len(), v.len()]);
        let n = self.n;
        self.forward.process_with_scratch(points, &mut self.scratch);
        transpose(points, &mut self.both, n, n);
        self.forward.process_with_scratch(&mut self.both, &mut self.scratch);
        for (l, (u, v)) in u.chunks_exact_mut(n).zip(v.chunks_exact_mut(n)).enumerate() {
            let here = &self.both[l * n..][..n];
            let mirror = &self.both[(n - l) % n * n..][..n];
            let mut part = |k: usize, opposite: usize| {
                // û = (z(k) + z̄(-k)) / 2 and v̂ = (z(k) - z̄(-k)) / 2i.
                let (z, c) = (here[k], mirror[opposite].conj());
                let (sum, difference) = ((z + c) * 0.5, (z - c) * 0.5);
                u[k] = sum;
                v[k] = Complex64::new(difference.im, -difference.re);
            };
            part(0, 0);
            (1..n).for_each(|k| part(k, n - k));
        }
    }

    /// `û` and `v̂` of two real grids to `n² (u + i v)`.
    ///
    /// # Panics
    /// If a size is another.
    pub fn backward_pair(&mut self, [u, v]: [&[Complex64]; 2], points: &mut [Complex64]) {
        self.assert_pair(points.len(), [u.len(), v.len()]);
        let (n, half) = (self.n, self.n / 2 + 1);
        for (l, line) in self.both.chunks_exact_mut(n).enumerate() {
            if l < half {
                let waves = u[l * n..][..n].iter().zip(&v[l * n..][..n]);
                for (z, (u, v)) in line.iter_mut().zip(waves) {
                    *z = Complex64::new(u.re - v.im, u.im + v.re);
                }
            } else {
                // Conjugates of the opposite waves.
                let (u, v) = (&u[(n - l) * n..][..n], &v[(n - l) * n..][..n]);
                let opposite = |k: usize| Complex64::new(u[k].re + v[k].im, v[k].re - u[k].im);
                line[0] = opposite(0);
                for (k, z) in line.iter_mut().enumerate().skip(1) {
                    *z = opposite(n - k);
                }
            }
        }
        transform_lines(&*self.backward, &mut self.both, &mut self.scratch);
        transpose(&self.both, points, n, n);
        self.backward.process_with_scratch(points, &mut self.scratch);
    }

    fn assert_pair(&self, points: usize, waves: [usize; 2]) {
        let n = self.n;
        assert_eq!(points, n * n, "points of {n} by {n}");
        assert_eq!(waves, [self.n_waves(); 2], "waves of {n} by {n}");
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

/// Transforms line by line, but for lines of zeros.
fn transform_lines(fft: &dyn Fft<f64>, lines: &mut [Complex64], scratch: &mut [Complex64]) {
    for line in lines.chunks_exact_mut(fft.len()) {
        if line.iter().any(|z| *z != Complex64::default()) {
            fft.process_with_scratch(line, scratch);
        }
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

    #[test]
    fn two_grids_at_once_are_both_of_them() {
        for n in [1, 2, 9, 16] {
            let grid =
                |f: fn(f64) -> f64| -> Vec<f64> { (0..n * n).map(|j| f(j as f64)).collect() };
            let fields = [grid(|j| (1.3 * j).sin() + j % 5.0), grid(|j| (0.7 * j * j).cos())];
            let mut fourier = PlaneFourier::new(n);
            let mut single = [(); 2].map(|()| vec![Complex64::default(); fourier.n_waves()]);
            for (field, waves) in fields.iter().zip(&mut single) {
                fourier.forward(field, waves);
            }
            let both = fields[0].iter().zip(&fields[1]).map(|(u, v)| Complex64::new(*u, *v));
            let mut points: Vec<Complex64> = both.clone().collect();
            let [mut u, mut v] = single.clone();
            fourier.forward_pair(&mut points, [&mut u, &mut v]);
            for (found, expected) in u.iter().chain(&v).zip(single.iter().flatten()) {
                assert!((found - expected).norm() < 1e-10, "{n} points: {found} {expected}");
            }
            fourier.backward_pair([&u, &v], &mut points);
            let scale = (n * n) as f64;
            for (found, expected) in points.iter().zip(both) {
                assert!((found / scale - expected).norm() < 1e-12, "{n} points");
            }
        }
    }
}
