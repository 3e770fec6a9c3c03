//! Gaussian random functions on a periodic square.
//!
//! ```text
//! ŵ_k = √2 n² σ (|k|² + τ²)^{-α/2} ξ_k,    σ = τ^{α-1},    ŵ_0 = 0,    E|ξ_k|² = 1
//! ```
//!
//! on `n` by `n` points with integer wave numbers `k`; the function is the real inverse transform
//! of the half spectrum, whose variance is `2 σ² Σ (|k|² + τ²)^{-α}` but for the waves with `k_y`
//! zero or `n/2`, which are halved because a real function takes their even part.
//!
//! Source: the initial vorticity of Li et al. 2021, arXiv:2010.08895, §5.3, on a square of side
//! `2π`; `α` and `τ` are the caller's. Cost: one transform of the plane.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::fourier::{Complex64, PlaneFourier};

/// The covariance of a random periodic function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeriodicField {
    /// Smoothness `α`.
    pub alpha: f64,
    /// Wave number `τ` below which all waves are alike.
    pub tau: f64,
}

/// The wave number of each point of the transform along an axis of `n` points.
pub(super) fn wave_numbers(n: usize) -> Vec<f64> {
    (0..n).map(|j| if j < n.div_ceil(2) { j as f64 } else { j as f64 - n as f64 }).collect()
}

impl PeriodicField {
    /// A random function, `[n, n]`.
    #[must_use]
    pub fn draw(&self, n: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let (k, sigma) = (wave_numbers(n), self.tau.powf(self.alpha - 1.0));
        let scale = SQRT_2 * (n * n) as f64 * sigma;
        let mut coefficients = Vec::with_capacity(n * n);
        for kx in &k {
            for ky in &k {
                let decay = (kx * kx + ky * ky + self.tau * self.tau).powf(-0.5 * self.alpha);
                let [re, im]: [f64; 2] = std::array::from_fn(|_| rng.sample(StandardNormal));
                coefficients.push(Complex64::new(re, im) * (scale * decay * FRAC_1_SQRT_2));
            }
        }
        coefficients[0] = Complex64::default();
        real_inverse(n, &coefficients)
    }
}

/// The real function of the coefficients with `0 ≤ k_y ≤ n/2`; the others are not read.
///
/// # Shapes
/// `coefficients` and the result: `[n, n]`
///
/// # Panics
/// If the shape differs.
#[must_use]
pub fn real_inverse(n: usize, coefficients: &[Complex64]) -> Vec<f64> {
    assert_eq!(coefficients.len(), n * n, "coefficients of {n} by {n} waves");
    let column = |j: usize| coefficients.iter().skip(j).step_by(n).copied();
    let mut waves: Vec<Complex64> = (0..=n / 2).flat_map(column).collect();
    let mut field = vec![0.0; n * n];
    PlaneFourier::new(n).backward(&mut waves, &mut field);
    let scale = 1.0 / (n * n) as f64;
    field.iter().map(|w| w * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_variance_is_the_sum_over_the_waves() {
        let (field, n) = (PeriodicField { alpha: 2.5, tau: 7.0 }, 16);
        let (k, sigma) = (wave_numbers(n), field.tau.powf(1.5));
        let share = |kx: f64, ky: f64| {
            let is_own_mirror = ky.abs() < 0.5 || ky < -7.5;
            let factor = if is_own_mirror { 1.0 } else { 2.0 };
            factor * (sigma * (kx * kx + ky * ky + 49.0).powf(-1.25)).powi(2)
        };
        let sum: f64 = k.iter().flat_map(|&kx| k.iter().map(move |&ky| share(kx, ky))).sum();
        let expected = sum - share(0.0, 0.0);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let draws: Vec<f64> = (0..100).flat_map(|_| field.draw(n, &mut rng)).collect();
        let variance = draws.iter().map(|w| w * w).sum::<f64>() / draws.len() as f64;
        assert!((variance / expected - 1.0).abs() < 0.05, "{variance} {expected}");
        let mean = draws[..256].iter().sum::<f64>() / 256.0;
        assert!(mean.abs() < 1e-14, "{mean}");
    }
}
