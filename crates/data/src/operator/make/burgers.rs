//! The viscous Burgers equation on a periodic line: from the initial state to the one at the end.
//!
//! ```text
//! ∂u/∂t = -u ∂u/∂x + ν ∂²u/∂x²,    u(x + 1, t) = u(x, t)
//! dû_k/dt = -ν q² û_k - (i q/2) FFT(u²)_k,    q = 2πk;    the operator is u(·, 0) ↦ u(·, duration)
//! u(·, 0) = Σ_k σ (q² + τ²)^{-α/2} √2 (ξ_k cos qx + η_k sin qx),    ξ_k, η_k ~ N(0, 1)
//! ```
//!
//! with `σ = 25`, `τ = 5`, `α = 2` and zero mean. Space is spectral on an even number of points, of
//! whose products the upper third of the waves is left out (2/3 rule); time is [`Etdrk4`].
//!
//! Source: Li et al. 2021, arXiv:2010.08895, §5.1 (initial states); Orszag 1971, J. Atmos. Sci. 28,
//! 1074 (2/3 rule). Dimensionless. Cost: eight Fourier transforms a step.

use std::f64::consts::{SQRT_2, TAU};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::Generator;
use super::periodic_field::wave_numbers;
use crate::DataError;
use crate::fourier::{Complex64, Fourier};
use crate::operator::{Placement, Points};
use crate::simulate::check_positive;
use crate::simulate::etdrk4::Etdrk4;

/// The covariance of initial states, `σ² (-Δ + τ²)^{-α}`.
const SIGMA: f64 = 25.0;
const TAU_FIELD: f64 = 5.0;
const ALPHA: f64 = 2.0;

/// The generator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burgers {
    /// Points at which the functions are known, `i/size`; divides `resolution`.
    pub size: usize,
    /// Points on which the equation is solved, an even number from 16.
    pub resolution: usize,
    /// Viscosity `ν`; a shock is about `4ν` wide.
    pub viscosity: f64,
    /// Time between input and output.
    pub duration: f64,
    /// Longest step of the numerical method.
    pub max_step: f64,
}

/// The equation on `n` points and its numerical method.
#[derive(Debug, Clone)]
pub struct BurgersSolver {
    method: Etdrk4,
    fourier: Fourier,
    /// `-i q/2` of each wave; zero for those that are left out of products.
    slopes: Vec<Complex64>,
}

impl Default for Burgers {
    fn default() -> Self {
        Self { size: 128, resolution: 512, viscosity: 0.01, duration: 1.0, max_step: 1e-3 }
    }
}

impl BurgersSolver {
    /// Steps of length `dt` on `n` points.
    #[must_use]
    pub fn new(n: usize, viscosity: f64, dt: f64) -> Self {
        let k = wave_numbers(n);
        let decay = k.iter().map(|k| -viscosity * (TAU * k).powi(2));
        let kept = |k: f64| if 3.0 * k.abs() < n as f64 { TAU * k } else { 0.0 };
        Self {
            method: Etdrk4::new(decay, dt),
            fourier: Fourier::new(n),
            slopes: k.iter().map(|&k| Complex64::new(0.0, -0.5 * kept(k))).collect(),
        }
    }

    /// The state after `steps` steps.
    ///
    /// # Panics
    /// If `u` does not have `n` points.
    #[must_use]
    pub fn run(&mut self, u: &[f64], steps: usize) -> Vec<f64> {
        let Self { method, fourier, slopes } = self;
        let mut modes: Vec<Complex64> = u.iter().map(|&u| Complex64::new(u, 0.0)).collect();
        fourier.forward(&mut modes);
        for _ in 0..steps {
            method.step(&mut modes, |u, slope| {
                slope.copy_from_slice(u);
                fourier.inverse(slope);
                for u in &mut *slope {
                    *u = Complex64::new(u.re * u.re, 0.0);
                }
                fourier.forward(slope);
                for (u, factor) in slope.iter_mut().zip(&*slopes) {
                    *u *= *factor;
                }
            });
        }
        fourier.inverse(&mut modes);
        modes.iter().map(|u| u.re).collect()
    }
}

impl Burgers {
    fn initial_state(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let n = self.resolution;
        let mut modes = vec![Complex64::default(); n];
        for k in 1..n / 2 {
            let q = TAU * k as f64;
            let deviation = SIGMA * (q * q + TAU_FIELD * TAU_FIELD).powf(-0.5 * ALPHA) * SQRT_2;
            let [a, b]: [f64; 2] = std::array::from_fn(|_| rng.sample(StandardNormal));
            // a cos + b sin = Re (a - ib) e^{iqx}: half of it in each of two waves.
            modes[k] = Complex64::new(a, -b) * (0.5 * n as f64 * deviation);
            modes[n - k] = modes[k].conj();
        }
        Fourier::new(n).inverse(&mut modes);
        modes.iter().map(|u| u.re).collect()
    }
}

impl Generator for Burgers {
    const KIND: &'static str = "burgers";

    fn check(&self) -> Result<(), DataError> {
        check_positive(&[
            ("viscosity", self.viscosity),
            ("duration", self.duration),
            ("max_step", self.max_step),
        ])?;
        let invalid = |name, found: usize, expected| {
            Err(DataError::InvalidParameter { name, found: found.to_string(), expected })
        };
        if self.resolution < 16 || !self.resolution.is_multiple_of(2) {
            return invalid("resolution", self.resolution, "an even number from 16");
        }
        if self.size < 2 || !self.resolution.is_multiple_of(self.size) {
            return invalid("size", self.size, "at least 2, and a divisor of resolution");
        }
        Ok(())
    }

    fn points(&self, _: &mut ChaCha8Rng) -> Points {
        Points::Line(Placement::Edges.coordinates(self.size))
    }

    fn channels(&self) -> [Vec<String>; 2] {
        [vec!["u0".into()], vec!["u".into()]]
    }

    fn draw(
        &self,
        _: &Points,
        rng: &mut ChaCha8Rng,
        inputs: &mut Vec<f64>,
        outputs: &mut Vec<f64>,
    ) -> Result<(), DataError> {
        let start = self.initial_state(rng);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of steps"
        )]
        let steps = (self.duration / self.max_step).ceil() as usize;
        let dt = self.duration / steps as f64;
        let end = BurgersSolver::new(self.resolution, self.viscosity, dt).run(&start, steps);
        if !end.iter().all(|u| u.is_finite()) {
            return Err(DataError::Diverged { system: "the Burgers equation", step: steps, dt });
        }
        let stride = self.resolution / self.size;
        inputs.extend(start.iter().step_by(stride));
        outputs.extend(end.iter().step_by(stride));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::super::{Request, samples};
    use super::*;

    fn distance(x: &[f64], y: &[f64]) -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
    }

    /// The solution `-2ν φ_x/φ` of the heat equation's `φ = 2 + e^{-4π²νt} cos 2πx` (Cole 1951).
    fn cole(t: f64, nu: f64) -> Vec<f64> {
        let decay = (-4.0 * PI * PI * nu * t).exp();
        let value =
            |x: f64| 4.0 * PI * nu * decay * (TAU * x).sin() / (2.0 + decay * (TAU * x).cos());
        Placement::Edges.coordinates(64).into_iter().map(value).collect()
    }

    #[test]
    fn a_solution_in_closed_form_is_met_with_order_four() {
        let nu = 0.05;
        let error = |steps: usize| {
            let mut solver = BurgersSolver::new(64, nu, 1.0 / steps as f64);
            distance(&solver.run(&cole(0.0, nu), steps), &cole(1.0, nu))
        };
        assert!(error(200) < 1e-9, "{}", error(200));
        let order = (error(10) / error(20)).log2();
        assert!((order - 4.0).abs() < 0.3, "order {order}: {} {}", error(10), error(20));
    }

    #[test]
    fn the_mean_stays_zero_and_finer_solves_agree() {
        let request = Request { count: 2, seed: 5, threads: 1 };
        let coarse = Burgers { size: 32, ..Burgers::default() };
        let set = samples(&coarse, &request).unwrap();
        for sample in 0..2 {
            let output = set.output(sample);
            let mean = output.iter().sum::<f64>() / 32.0;
            // A sum over every sixteenth point sees the waves that are multiples of 32.
            assert!(mean.abs() < 1e-3, "{mean}");
            let energy = |u: &[f64]| u.iter().map(|u| u * u).sum::<f64>();
            assert!(energy(output) < energy(set.input(sample)));
        }
        let shorter = Burgers { max_step: 5e-4, ..coarse };
        let other = samples(&shorter, &request).unwrap();
        let difference = distance(&set.outputs().values, &other.outputs().values);
        assert!(difference < 1e-8, "{difference}");
    }

    #[test]
    fn initial_states_have_the_deviation_of_their_series() {
        let burgers = Burgers { size: 64, resolution: 64, duration: 1e-3, ..Burgers::default() };
        let set = samples(&burgers, &Request { count: 400, seed: 2, threads: 1 }).unwrap();
        let values = &set.inputs().values;
        let variance = values.iter().map(|u| u * u).sum::<f64>() / values.len() as f64;
        let expected: f64 =
            (1..32).map(|k| 2.0 * (25.0 / ((TAU * f64::from(k)).powi(2) + 25.0)).powi(2)).sum();
        // The first wave has nearly all of it: two normal numbers a state.
        assert!((variance / expected - 1.0).abs() < 0.15, "{variance} {expected}");
    }

    #[test]
    fn wrong_parameters_are_named() {
        let message = |burgers: Burgers| burgers.check().unwrap_err().to_string();
        let default = Burgers::default();
        assert_eq!(
            message(Burgers { size: 100, ..default }),
            "size = 100, expected at least 2, and a divisor of resolution"
        );
        assert_eq!(
            message(Burgers { resolution: 101, ..default }),
            "resolution = 101, expected an even number from 16"
        );
        assert_eq!(
            message(Burgers { viscosity: -1.0, ..default }),
            "viscosity = -1, expected a finite number above zero"
        );
    }
}
