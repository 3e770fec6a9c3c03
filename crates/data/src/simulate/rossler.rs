//! The Rössler system of 1976, chaotic with one quadratic term.
//!
//! ```text
//! dx/dt = -y - z
//! dy/dt = x + a y
//! dz/dt = b + z (x - c)
//! ```
//!
//! Source: Rössler 1976, Phys. Lett. A 57, 397–398, eq. (2), there with `c = 5.7`. Variables and
//! time are dimensionless.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::rk4::Rk4;
use super::system::{array, check_positive};
use super::{Ode, SamplingConfig, Stepper, System};
use crate::DataError;

/// Largest Lyapunov exponent at the classical parameters, per time unit.
///
/// Source: Sprott 2003, *Chaos and Time-Series Analysis*, Oxford University Press: exponents
/// `0.0714, 0, -5.3943`. A test measures it anew.
pub const LYAPUNOV: f64 = 0.0714;

/// Parameters of the system; the default is the classical `0.2, 0.2, 5.7`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rossler {
    /// Growth rate of the spiral.
    pub a: f64,
    /// Feed of `z`.
    pub b: f64,
    /// The `x` from which `z` grows.
    pub c: f64,
}

impl Default for Rossler {
    fn default() -> Self {
        Self { a: 0.2, b: 0.2, c: 5.7 }
    }
}

impl Ode for Rossler {
    fn dimension(&self) -> usize {
        3
    }

    #[inline]
    fn derivative(&self, x: &[f64], dx: &mut [f64]) {
        let [x, y, z] = *array(x);
        dx.copy_from_slice(&[-y - z, x + self.a * y, self.b + z * (x - self.c)]);
    }

    fn tangent(&self, x: &[f64], v: &[f64], dv: &mut [f64]) {
        let ([x, _, z], [u, v, w]) = (*array(x), *array(v));
        dv.copy_from_slice(&[-v - w, u + self.a * v, z * u + (x - self.c) * w]);
    }
}

impl System for Rossler {
    const KIND: &'static str = "rossler";
    const TITLE: &'static str = "Rössler";
    const METHOD: &'static str = "RK4";
    const SAMPLING: SamplingConfig = SamplingConfig {
        n_series: 20,
        n_steps: 1000,
        dt: 0.1,
        substeps: 10,
        burn_in: 1000,
        seed: 0,
    };

    fn check(&self) -> Result<(), DataError> {
        check_positive(&[("a", self.a), ("b", self.b), ("c", self.c)])
    }

    fn columns(&self) -> Vec<String> {
        ["x", "y", "z"].map(String::from).to_vec()
    }

    fn parameters(&self) -> String {
        format!("a = {}, b = {}, c = {}", self.a, self.b, self.c)
    }

    fn lyapunov_exponent(&self) -> Option<f64> {
        (*self == Self::default()).then_some(LYAPUNOV)
    }

    /// In the plane of the spiral, within the attractor's inner half.
    fn initial_state(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        vec![rng.random_range(-5.0..5.0), rng.random_range(-5.0..5.0), 0.0]
    }

    fn stepper(&self, dt: f64) -> impl Stepper + use<> {
        Rk4::new(*self, dt, [0.0; 3])
    }
}

#[cfg(test)]
mod tests {
    use super::super::lyapunov::{LyapunovConfig, exponents};
    use super::*;

    #[test]
    fn fixed_points_stay_fixed() {
        let Rossler { a, b, c } = Rossler::default();
        for sign in [-1.0, 1.0] {
            let z = (c + sign * (c * c - 4.0 * a * b).sqrt()) / (2.0 * a);
            let mut slope = [1.0; 3];
            Rossler::default().derivative(&[a * z, -z, z], &mut slope);
            assert!(slope.iter().all(|dx| dx.abs() < 1e-12), "{slope:?}");
        }
    }

    #[test]
    fn exponents_are_the_published_ones() {
        let config = LyapunovConfig { warm_up: 5_000, steps: 200_000, interval: 10 };
        let found = exponents(&Rossler::default(), &[1.0, 1.0, 0.0], 3, 0.05, &config);
        assert!((found[0] - LYAPUNOV).abs() < 0.004, "{found:?}");
        assert!(found[1].abs() < 0.002, "{found:?}");
        assert!((found[2] + 5.3943).abs() < 0.03, "{found:?}");
    }
}
