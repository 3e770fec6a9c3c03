//! The transform of complex numbers at points on a line.
//!
//! ```text
//! û_k = Σ_j u_j e^{-2πi jk/n}        u_j = (1/n) Σ_k û_k e^{2πi jk/n}
//! ```

use std::fmt;
use std::sync::Arc;

use rustfft::{Fft, FftPlanner};

use super::Complex64;

/// The transform of `n` points.
#[derive(Clone)]
pub struct Fourier {
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

impl Fourier {
    /// The transform of `n` points.
    #[must_use]
    pub fn new(n: usize) -> Self {
        let mut planner = FftPlanner::new();
        Self { forward: planner.plan_fft_forward(n), inverse: planner.plan_fft_inverse(n) }
    }

    /// `u` to `û`, in place.
    ///
    /// # Panics
    /// If `u` does not have `n` points.
    pub fn forward(&self, u: &mut [Complex64]) {
        self.assert_length(u);
        self.forward.process(u);
    }

    /// `û` to `u`, in place.
    ///
    /// # Panics
    /// If `u` does not have `n` points.
    pub fn inverse(&self, u: &mut [Complex64]) {
        self.assert_length(u);
        self.inverse.process(u);
        let scale = 1.0 / u.len() as f64;
        for u in u {
            *u *= scale;
        }
    }

    fn assert_length(&self, u: &[Complex64]) {
        assert_eq!(u.len(), self.forward.len(), "points of the transform");
    }
}

impl fmt::Debug for Fourier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fourier").field("n", &self.forward.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    #[test]
    fn it_is_the_sum_that_defines_it_and_has_an_inverse() {
        for n in [1, 2, 16, 52, 63] {
            let value = |j: usize| Complex64::new((1.3 * j as f64).sin(), (j * j % 7) as f64 - 3.0);
            let u: Vec<Complex64> = (0..n).map(value).collect();
            let (mut fast, fourier) = (u.clone(), Fourier::new(n));
            fourier.forward(&mut fast);
            for (k, found) in fast.iter().enumerate() {
                let turned = |(j, u): (usize, &Complex64)| {
                    u * Complex64::cis(-TAU * (j * k % n) as f64 / n as f64)
                };
                let expected: Complex64 = u.iter().enumerate().map(turned).sum();
                assert!((found - expected).norm() < 1e-12, "{n} points, wave {k}");
            }
            fourier.inverse(&mut fast);
            assert!(fast.iter().zip(&u).all(|(a, b)| (a - b).norm() < 1e-13), "{n} points");
        }
    }
}
