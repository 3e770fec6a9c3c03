//! The oscillator of van der Pol, whose damping is negative near rest: it settles on a limit cycle.
//!
//! ```text
//! dx/dt = y
//! dy/dt = mu (1 - x²) y - x
//! ```
//!
//! Source: van der Pol 1926, Phil. Mag. 2, 978–992, eq. (1). Dimensionless. Large `mu` makes it
//! stiff: keep the step below about `1/mu`.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::rk4::Rk4;
use super::system::{array, check_finite};
use super::{Ode, SamplingConfig, Stepper, System};
use crate::DataError;

/// Strength of the damping; the default is 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VanDerPol {
    /// Damping, negative near rest.
    pub mu: f64,
}

impl Default for VanDerPol {
    fn default() -> Self {
        Self { mu: 1.0 }
    }
}

impl Ode for VanDerPol {
    fn dimension(&self) -> usize {
        2
    }

    #[inline]
    fn derivative(&self, x: &[f64], dx: &mut [f64]) {
        let [x, y] = *array(x);
        dx.copy_from_slice(&[y, self.mu * (1.0 - x * x) * y - x]);
    }

    fn tangent(&self, x: &[f64], v: &[f64], dv: &mut [f64]) {
        let ([x, y], [u, v]) = (*array(x), *array(v));
        let dy = self.mu * ((1.0 - x * x) * v - 2.0 * x * y * u) - u;
        dv.copy_from_slice(&[v, dy]);
    }
}

impl System for VanDerPol {
    const KIND: &'static str = "van-der-pol";
    const TITLE: &'static str = "van der Pol";
    const METHOD: &'static str = "RK4";
    const SAMPLING: SamplingConfig =
        SamplingConfig { n_series: 20, n_steps: 1000, dt: 0.1, substeps: 10, burn_in: 0, seed: 0 };

    fn check(&self) -> Result<(), DataError> {
        check_finite(&[("mu", self.mu)])
    }

    fn columns(&self) -> Vec<String> {
        ["x", "y"].map(String::from).to_vec()
    }

    fn parameters(&self) -> String {
        format!("μ = {}", self.mu)
    }

    /// The cycle's is 0, which gives no unit of time.
    fn lyapunov_exponent(&self) -> Option<f64> {
        None
    }

    /// Inside and outside the cycle.
    fn initial_state(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        vec![rng.random_range(-3.0..3.0), rng.random_range(-3.0..3.0)]
    }

    fn stepper(&self, dt: f64) -> impl Stepper + use<> {
        Rk4::new(*self, dt, [0.0; 2])
    }
}

#[cfg(test)]
mod tests {
    use super::super::lyapunov::{LyapunovConfig, exponents};
    use super::*;

    #[test]
    fn the_amplitude_of_the_cycle_is_that_of_the_expansion() {
        // Andersen & Geer 1982: 2 + μ²/96 - 1033 μ⁴/552960 + O(μ⁶).
        let mu: f64 = 0.3;
        let mut stepper = VanDerPol { mu }.stepper(0.001);
        for start in [[0.1, 0.0], [3.0, 3.0]] {
            let mut x = start;
            (0..100_000).for_each(|_| stepper.step(&mut x));
            let mut amplitude: f64 = 0.0;
            for _ in 0..7_000 {
                stepper.step(&mut x);
                amplitude = amplitude.max(x[0]);
            }
            let expected = 2.0 + mu.powi(2) / 96.0 - 1033.0 / 552_960.0 * mu.powi(4);
            assert!((amplitude - expected).abs() < 1e-6, "{amplitude} {expected}");
        }
    }

    #[test]
    fn the_cycle_neither_draws_together_nor_apart_along_itself() {
        let config = LyapunovConfig { warm_up: 2_000, steps: 20_000, interval: 5 };
        let found = exponents(&VanDerPol::default(), &[2.0, 0.0], 2, 0.02, &config);
        assert!(found[0].abs() < 0.002 && found[1] < -0.9, "{found:?}");
    }
}
