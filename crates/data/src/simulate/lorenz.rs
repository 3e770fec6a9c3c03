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

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::ode::rk4;
use crate::{DataError, Series, SeriesSet};

/// Largest Lyapunov exponent at the classical parameters, per time unit.
///
/// Source: Sprott 2003, *Chaos and Time-Series Analysis*, Oxford University Press: exponents
/// `0.9056, 0, -14.5723`. A test measures it anew.
pub const LYAPUNOV: f64 = 0.9056;

/// The box of initial states, low and high ends of x, y and z; it covers the attractor's middle.
const INITIAL_BOX: [(f64, f64); 3] = [(-15.0, 15.0), (-15.0, 15.0), (10.0, 35.0)];

/// Parameters of the system; the default is the classical `10, 28, 8/3`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lorenz {
    /// Prandtl number.
    pub sigma: f64,
    /// Rayleigh number over its critical value.
    pub rho: f64,
    /// Aspect ratio of the convection rolls.
    pub beta: f64,
}

/// A set of trajectories from random initial states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LorenzConfig {
    /// Number of trajectories.
    pub n_series: usize,
    /// Time steps kept of each trajectory.
    pub n_steps: usize,
    /// Time step; one Runge–Kutta step each.
    pub dt: f64,
    /// Time steps left out at the start of each trajectory, on its way to the attractor.
    pub burn_in: usize,
    /// Seed of the initial states; series `i` depends on it and on `i` alone.
    pub seed: u64,
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

impl Lorenz {
    /// `d(x, y, z)/dt` at a state.
    #[must_use]
    pub fn derivative(&self, [x, y, z]: &[f64; 3]) -> [f64; 3] {
        [self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z]
    }
}

impl Default for LorenzConfig {
    fn default() -> Self {
        let Lorenz { sigma, rho, beta } = Lorenz::default();
        let (n_series, n_steps, dt, burn_in, seed) = (20, 1000, 0.01, 500, 0);
        Self { n_series, n_steps, dt, burn_in, seed, sigma, rho, beta }
    }
}

impl LorenzConfig {
    /// Simulates the trajectories, columns `x`, `y`, `z`.
    ///
    /// Each starts uniformly in `[-15, 15]² × [10, 35]`.
    ///
    /// # Errors
    /// [`DataError::InvalidParameter`] for a parameter outside its range, [`DataError::Diverged`]
    /// if `dt` is so large that the method is unstable.
    pub fn simulate(&self) -> Result<SeriesSet, DataError> {
        self.check()?;
        let series = (0..self.n_series).map(|i| self.trajectory(i)).collect::<Result<_, _>>()?;
        let columns = ["x", "y", "z"].map(String::from).to_vec();
        Ok(SeriesSet { columns, series, dt: Some(self.dt) })
    }

    fn trajectory(&self, index: usize) -> Result<Series, DataError> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(index as u64);
        let initial = INITIAL_BOX.map(|(low, high)| rng.random_range(low..high));
        let lorenz = Lorenz { sigma: self.sigma, rho: self.rho, beta: self.beta };
        let states = rk4(|_, state| lorenz.derivative(state), initial, self.dt);
        let mut values = Vec::with_capacity(3 * self.n_steps);
        for (step, state) in states.enumerate().take(self.burn_in + self.n_steps) {
            if !state.iter().all(|x| x.is_finite()) {
                return Err(DataError::Diverged { system: "Lorenz", step, dt: self.dt });
            }
            if step >= self.burn_in {
                values.extend(state);
            }
        }
        Ok(Series::new(format!("lorenz-{index}"), values, 3))
    }

    fn check(&self) -> Result<(), DataError> {
        let positive = [
            ("dt", self.dt),
            ("sigma", self.sigma),
            ("rho", self.rho),
            ("beta", self.beta),
            ("n_series", self.n_series as f64),
            ("n_steps", self.n_steps as f64),
        ];
        match positive.iter().find(|(_, value)| !(value.is_finite() && *value > 0.0)) {
            Some(&(name, value)) => Err(DataError::InvalidParameter {
                name,
                found: value.to_string(),
                expected: "a finite number above zero",
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> LorenzConfig {
        LorenzConfig { n_series: 3, n_steps: 7, burn_in: 2, seed: 5, ..LorenzConfig::default() }
    }

    #[test]
    fn fixed_points_stay_fixed() {
        let lorenz = Lorenz::default();
        let r = (lorenz.beta * (lorenz.rho - 1.0)).sqrt();
        for point in [[0.0; 3], [r, r, lorenz.rho - 1.0], [-r, -r, lorenz.rho - 1.0]] {
            let end = rk4(|_, x| lorenz.derivative(x), point, 0.01).nth(100).unwrap();
            for (end, start) in end.iter().zip(point) {
                assert!((end - start).abs() < 1e-12, "{end} after {start}");
            }
        }
    }

    #[test]
    fn mirrored_states_have_mirrored_trajectories() {
        let lorenz = Lorenz::default();
        let run = |x| rk4(|_, x| lorenz.derivative(x), x, 0.01).nth(1000).unwrap().to_vec();
        let state = run([3.0, -5.0, 17.0]);
        assert_eq!(run([-3.0, 5.0, 17.0]), [-state[0], -state[1], state[2]]);
    }

    #[test]
    fn volumes_shrink_at_the_divergence_of_the_flow() {
        // The determinant of three neighbours' offsets decays as exp(-(sigma + 1 + beta) t).
        let (lorenz, start, offset, dt) = (Lorenz::default(), [3.0, -5.0, 17.0], 1e-6, 1e-3);
        let steps = 20;
        let run = |x| rk4(|_, x| lorenz.derivative(x), x, dt).nth(steps).unwrap();
        let j: [[f64; 3]; 3] = std::array::from_fn(|axis| {
            let shifted = |h: f64| {
                let mut x = start;
                x[axis] += h;
                run(x)
            };
            let (high, low) = (shifted(offset), shifted(-offset));
            std::array::from_fn(|i| (high[i] - low[i]) / (2.0 * offset))
        });
        let volume = j[0][0] * (j[1][1] * j[2][2] - j[1][2] * j[2][1])
            - j[0][1] * (j[1][0] * j[2][2] - j[1][2] * j[2][0])
            + j[0][2] * (j[1][0] * j[2][1] - j[1][1] * j[2][0]);
        let rate = volume.ln() / (steps as f64 * dt);
        assert!((rate + 10.0 + 1.0 + 8.0 / 3.0).abs() < 1e-5, "rate {rate}");
    }

    #[test]
    fn neighbours_separate_at_the_lyapunov_exponent() {
        // Flow and tangent flow together, the tangent rescaled each step (Benettin et al. 1980).
        let lorenz = Lorenz::default();
        let flow = |_: f64, s: &[f64; 6]| {
            let [x, y, z, u, v, w] = *s;
            let [dx, dy, dz] = lorenz.derivative(&[x, y, z]);
            let du = lorenz.sigma * (v - u);
            let dv = u * (lorenz.rho - z) - x * w - v;
            [dx, dy, dz, du, dv, u * y + x * v - lorenz.beta * w]
        };
        let (dt, warm_up, steps) = (0.01, 10_000, 1_000_000);
        let mut state = [1.0, 1.0, 20.0, 1.0, 0.0, 0.0];
        let mut growth = 0.0;
        for step in 0..warm_up + steps {
            state = crate::simulate::ode::rk4_step(flow, 0.0, &state, dt);
            let size = state[3..].iter().map(|u| u * u).sum::<f64>().sqrt();
            state[3..].iter_mut().for_each(|u| *u /= size);
            growth += if step < warm_up { 0.0 } else { size.ln() };
        }
        let exponent = growth / (f64::from(steps) * dt);
        // A mean over 10⁴ time units still fluctuates by about 0.002.
        assert!((exponent - LYAPUNOV).abs() < 0.006, "exponent {exponent}");
    }

    #[test]
    fn a_series_does_not_depend_on_the_others() {
        let few = config().simulate().unwrap();
        let many = LorenzConfig { n_series: 5, ..config() }.simulate().unwrap();
        assert_eq!(few.series[..], many.series[..3]);
        assert_ne!(few.series[0].values, few.series[1].values);
        let other = LorenzConfig { seed: 6, ..config() }.simulate().unwrap();
        assert_ne!(few.series[0].values, other.series[0].values);
    }

    #[test]
    fn burn_in_leaves_out_the_first_steps() {
        let late = config().simulate().unwrap();
        let early = LorenzConfig { burn_in: 0, n_steps: 9, ..config() }.simulate().unwrap();
        assert_eq!(late.series[1].values, early.series[1].rows(2, 9));
        assert_eq!((late.dt, late.lengths()), (Some(0.01), vec![7, 7, 7]));
        for series in &early.series {
            for (value, (low, high)) in series.row(0).iter().zip(INITIAL_BOX) {
                assert!((low..high).contains(value), "{value}");
            }
        }
    }

    #[test]
    fn wrong_parameters_are_named() {
        let message = |config: LorenzConfig| config.simulate().unwrap_err().to_string();
        assert_eq!(
            message(LorenzConfig { dt: -0.01, ..config() }),
            "dt = -0.01, expected a finite number above zero"
        );
        assert_eq!(
            message(LorenzConfig { n_series: 0, ..config() }),
            "n_series = 0, expected a finite number above zero"
        );
        assert!(message(LorenzConfig { rho: f64::NAN, ..config() }).starts_with("rho = NaN"));
        let diverged = message(LorenzConfig { dt: 0.5, n_steps: 100, ..config() });
        assert!(diverged.starts_with("the simulation of Lorenz is not finite after"), "{diverged}");
        assert!(diverged.ends_with("steps of dt = 0.5; lower dt"), "{diverged}");
    }
}
