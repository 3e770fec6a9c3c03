//! The Lorenz system of 1963, three equations that are chaotic at the classical parameters.
//!
//! ```text
//! dx/dt = sigma (y - x)
//! dy/dt = x (rho - z) - y
//! dz/dt = x y - beta z
//! ```
//!
//! Source: Lorenz 1963, J. Atmos. Sci. 20, 130–141, eqs. (25)–(27). Variables and time are
//! dimensionless.

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
/// `0.9056, 0, -14.5723`. A test measures it anew.
pub const LYAPUNOV: f64 = 0.9056;

/// The box of initial states, low and high ends of x, y and z; it covers the attractor's middle.
const INITIAL_BOX: [(f64, f64); 3] = [(-15.0, 15.0), (-15.0, 15.0), (10.0, 35.0)];

/// Parameters of the system; the default is the classical `10, 28, 8/3`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lorenz {
    /// Prandtl number.
    pub sigma: f64,
    /// Rayleigh number over its critical value.
    pub rho: f64,
    /// Aspect ratio of the convection rolls.
    pub beta: f64,
}

impl Default for Lorenz {
    fn default() -> Self {
        Self { sigma: 10.0, rho: 28.0, beta: 8.0 / 3.0 }
    }
}

impl Ode for Lorenz {
    fn dimension(&self) -> usize {
        3
    }

    #[inline]
    fn derivative(&self, x: &[f64], dx: &mut [f64]) {
        let [x, y, z] = *array(x);
        let slope = [self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z];
        dx.copy_from_slice(&slope);
    }

    fn tangent(&self, x: &[f64], v: &[f64], dv: &mut [f64]) {
        let ([x, y, z], [u, v, w]) = (*array(x), *array(v));
        let dy = u * (self.rho - z) - x * w - v;
        dv.copy_from_slice(&[self.sigma * (v - u), dy, u * y + x * v - self.beta * w]);
    }
}

impl System for Lorenz {
    const KIND: &'static str = "lorenz";
    const TITLE: &'static str = "Lorenz-63";
    const METHOD: &'static str = "RK4";
    const SAMPLING: SamplingConfig = SamplingConfig {
        n_series: 20,
        n_steps: 1000,
        dt: 0.01,
        substeps: 1,
        burn_in: 500,
        seed: 0,
    };

    fn check(&self) -> Result<(), DataError> {
        check_positive(&[("sigma", self.sigma), ("rho", self.rho), ("beta", self.beta)])
    }

    fn columns(&self) -> Vec<String> {
        ["x", "y", "z"].map(String::from).to_vec()
    }

    fn parameters(&self) -> String {
        format!("σ = {}, ρ = {}, β = {:.4}", self.sigma, self.rho, self.beta)
    }

    fn lyapunov_exponent(&self) -> Option<f64> {
        (*self == Self::default()).then_some(LYAPUNOV)
    }

    fn initial_state(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        INITIAL_BOX.map(|(low, high)| rng.random_range(low..high)).to_vec()
    }

    fn stepper(&self, dt: f64) -> impl Stepper + use<> {
        Rk4::new(*self, dt, [0.0; 3])
    }
}

#[cfg(test)]
mod tests {
    use super::super::lyapunov::{LyapunovConfig, exponents};
    use super::*;
    use rand::SeedableRng;

    fn run(start: [f64; 3], dt: f64, steps: usize) -> [f64; 3] {
        let (mut stepper, mut x) = (Lorenz::default().stepper(dt), start);
        (0..steps).for_each(|_| stepper.step(&mut x));
        x
    }

    #[test]
    fn fixed_points_stay_fixed() {
        let lorenz = Lorenz::default();
        let r = (lorenz.beta * (lorenz.rho - 1.0)).sqrt();
        for point in [[0.0; 3], [r, r, lorenz.rho - 1.0], [-r, -r, lorenz.rho - 1.0]] {
            for (end, start) in run(point, 0.01, 100).iter().zip(point) {
                assert!((end - start).abs() < 1e-12, "{end} after {start}");
            }
        }
    }

    #[test]
    fn mirrored_states_have_mirrored_trajectories() {
        let state = run([3.0, -5.0, 17.0], 0.01, 1000);
        let mirrored = run([-3.0, 5.0, 17.0], 0.01, 1000);
        assert_eq!(mirrored.to_vec(), [-state[0], -state[1], state[2]].to_vec());
    }

    #[test]
    fn the_order_of_convergence_is_four() {
        let end = |steps: usize| run([5.0, 5.0, 20.0], 2.0 / steps as f64, steps);
        let exact = end(12_800);
        let error =
            |steps| end(steps).iter().zip(exact).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt();
        for steps in [400, 800] {
            let order = (error(steps) / error(2 * steps)).log2();
            assert!((order - 4.0).abs() < 0.3, "order {order} from {steps} steps");
        }
    }

    #[test]
    fn exponents_are_the_published_ones_and_sum_to_the_divergence() {
        let config = LyapunovConfig { warm_up: 10_000, steps: 400_000, interval: 10 };
        let found = exponents(&Lorenz::default(), &[1.0, 1.0, 20.0], 3, 0.01, &config);
        // A mean over 4·10³ time units still fluctuates by about 0.003.
        assert!((found[0] - LYAPUNOV).abs() < 0.01, "{found:?}");
        assert!(found[1].abs() < 0.005, "{found:?}");
        let sum: f64 = found.iter().sum();
        // The method's own error at this step is 1e-4.
        assert!((sum + 10.0 + 1.0 + 8.0 / 3.0).abs() < 5e-4, "sum {sum}");
    }

    #[test]
    fn initial_states_lie_in_the_box() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..20 {
            let state = Lorenz::default().initial_state(&mut rng);
            for (value, (low, high)) in state.iter().zip(INITIAL_BOX) {
                assert!((low..high).contains(value), "{value}");
            }
        }
    }

    #[test]
    #[ignore = "measures speed"]
    fn a_million_steps_take_less_than_a_tenth_of_a_second() {
        let start = std::time::Instant::now();
        let end = run([3.0, -5.0, 17.0], 1e-3, 1_000_000);
        let seconds = start.elapsed().as_secs_f64();
        println!("10⁶ RK4 steps in {:.1} ms, ending in {end:?}", 1e3 * seconds);
        assert!(seconds < 0.1, "{seconds} s");
    }
}
