//! The Lorenz system of 1996, waves on a circle of latitude.
//!
//! ```text
//! dx_j/dt = (x_{j+1} - x_{j-2}) x_{j-1} - x_j + F,    j modulo N
//! ```
//!
//! Source: Lorenz 1996, *Predictability: a problem partly solved*, ECMWF Seminar on Predictability 1,
//! eq. (1). Dimensionless; Lorenz counts one time unit as five days. The first term, advection,
//! neither makes nor takes energy `Σ x_j²/2`.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::rk4::Rk4;
use super::system::check_finite;
use super::{Ode, SamplingConfig, Stepper, System};
use crate::DataError;

/// Largest Lyapunov exponent for `N = 40` and `F = 8`, per time unit.
///
/// The value in common use; a test measures it anew.
pub const LYAPUNOV: f64 = 1.68;

/// Size and forcing; the default is `N = 40`, `F = 8`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lorenz96 {
    /// Number of variables `N`, at least 4.
    pub n_variables: usize,
    /// Forcing `F`.
    pub forcing: f64,
}

impl Default for Lorenz96 {
    fn default() -> Self {
        Self { n_variables: 40, forcing: 8.0 }
    }
}

impl Lorenz96 {
    /// Calls `each` with `j`, `j - 2`, `j - 1` and `j + 1`.
    fn for_neighbours(n: usize, mut each: impl FnMut(usize, usize, usize, usize)) {
        each(0, n - 2, n - 1, 1);
        each(1, n - 1, 0, 2);
        (2..n - 1).for_each(|j| each(j, j - 2, j - 1, j + 1));
        each(n - 1, n - 3, n - 2, 0);
    }
}

impl Ode for Lorenz96 {
    fn dimension(&self) -> usize {
        self.n_variables
    }

    fn derivative(&self, x: &[f64], dx: &mut [f64]) {
        Self::for_neighbours(x.len(), |j, back2, back, ahead| {
            dx[j] = (x[ahead] - x[back2]) * x[back] - x[j] + self.forcing;
        });
    }

    fn tangent(&self, x: &[f64], v: &[f64], dv: &mut [f64]) {
        Self::for_neighbours(x.len(), |j, back2, back, ahead| {
            let advection = (v[ahead] - v[back2]) * x[back] + (x[ahead] - x[back2]) * v[back];
            dv[j] = advection - v[j];
        });
    }
}

impl System for Lorenz96 {
    const KIND: &'static str = "lorenz96";
    const TITLE: &'static str = "Lorenz-96";
    const METHOD: &'static str = "RK4";
    const SAMPLING: SamplingConfig = SamplingConfig {
        n_series: 20,
        n_steps: 1000,
        dt: 0.05,
        substeps: 5,
        burn_in: 400,
        seed: 0,
    };

    fn check(&self) -> Result<(), DataError> {
        if self.n_variables < 4 {
            return Err(DataError::InvalidParameter {
                name: "n_variables",
                found: self.n_variables.to_string(),
                expected: "at least 4",
            });
        }
        check_finite(&[("forcing", self.forcing)])
    }

    fn columns(&self) -> Vec<String> {
        (1..=self.n_variables).map(|j| format!("x{j}")).collect()
    }

    fn parameters(&self) -> String {
        format!("N = {}, F = {}", self.n_variables, self.forcing)
    }

    fn lyapunov_exponent(&self) -> Option<f64> {
        (*self == Self::default()).then_some(LYAPUNOV)
    }

    /// Within 1 of the resting state `x_j = F`.
    fn initial_state(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        (0..self.n_variables).map(|_| self.forcing + rng.random_range(-1.0..1.0)).collect()
    }

    fn stepper(&self, dt: f64) -> impl Stepper + use<> {
        Rk4::new(*self, dt, vec![0.0; self.n_variables])
    }
}

#[cfg(test)]
mod tests {
    use super::super::lyapunov::{LyapunovConfig, exponents};
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn advection_conserves_energy() {
        for n in [4, 5, 11] {
            let system = Lorenz96 { n_variables: n, forcing: 0.0 };
            let x = system.initial_state(&mut ChaCha8Rng::seed_from_u64(n as u64));
            let mut slope = vec![0.0; n];
            system.derivative(&x, &mut slope);
            // Without forcing, Σ x x' + Σ x² is what advection adds.
            let gain: f64 = x.iter().zip(&slope).map(|(x, dx)| x * (dx + x)).sum();
            assert!(gain.abs() < 1e-14 * n as f64, "{gain} for N = {n}");
        }
    }

    #[test]
    fn rotated_states_have_rotated_slopes() {
        let system = Lorenz96 { n_variables: 7, ..Lorenz96::default() };
        let mut x = system.initial_state(&mut ChaCha8Rng::seed_from_u64(3));
        let (mut slope, mut rotated) = (vec![0.0; 7], vec![0.0; 7]);
        system.derivative(&x, &mut slope);
        x.rotate_left(2);
        slope.rotate_left(2);
        system.derivative(&x, &mut rotated);
        assert_eq!(rotated, slope);
        // Written out once, with subscripts: x = (…, x[5], x[6], x[0], x[1], …).
        assert!((slope[0] - ((x[1] - x[5]) * x[6] - x[0] + 8.0)).abs() < 1e-15, "{}", slope[0]);
    }

    #[test]
    fn the_largest_exponent_is_the_published_one() {
        let system = Lorenz96::default();
        let start = system.initial_state(&mut ChaCha8Rng::seed_from_u64(1));
        let config = LyapunovConfig { warm_up: 2_000, steps: 20_000, interval: 5 };
        let found = exponents(&system, &start, 1, 0.05, &config)[0];
        assert!((found - LYAPUNOV).abs() < 0.05, "{found}");
    }

    #[test]
    fn fewer_than_four_variables_are_refused() {
        let error = Lorenz96 { n_variables: 3, ..Lorenz96::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "n_variables = 3, expected at least 4");
    }
}
