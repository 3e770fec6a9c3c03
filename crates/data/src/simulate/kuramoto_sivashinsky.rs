//! The Kuramoto–Sivashinsky equation on a periodic line, the simplest field that is turbulent.
//!
//! ```text
//! ∂u/∂t = -u ∂u/∂x - ∂²u/∂x² - ∂⁴u/∂x⁴,    u(x + L, t) = u(x, t)
//! dû_q/dt = (q² - q⁴) û_q - (i q/2) FFT(u²)_q,    q = 2πk/L
//! ```
//!
//! The mean of `u` is conserved; it is zero here. Space is spectral on `n_points` points; time is
//! [`Etdrk4`].
//!
//! Source: Kassam & Trefethen 2005, SIAM J. Sci. Comput. 26, 1214–1233, §5; the length 22:
//! Cvitanović, Davidchack & Siminos 2010, SIAM J. Appl. Dyn. Syst. 9, 1–33. Dimensionless.
//! Cost: ten Fourier transforms a step.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::etdrk4::Etdrk4;
use super::system::check_positive;
use super::{SamplingConfig, Stepper, System};
use crate::DataError;
use crate::fourier::{Complex64, Fourier};

/// Largest Lyapunov exponent for `L = 22`, per time unit.
///
/// Published values scatter between 0.043 (Edson, Bunder, Mattner & Roberts 2019, ANZIAM J. 61,
/// 270–285) and 0.048 (Cvitanović, Davidchack & Siminos 2010).
pub const LYAPUNOV: f64 = 0.048;

/// Waves in the initial state.
const N_INITIAL: usize = 4;

/// Length and resolution; the default is `L = 22` on 64 points.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KuramotoSivashinsky {
    /// Period `L`; waves longer than `2π` grow.
    pub length: f64,
    /// Grid points, at `j L / n_points`; an even number from 16.
    pub n_points: usize,
}

impl Default for KuramotoSivashinsky {
    fn default() -> Self {
        Self { length: 22.0, n_points: 64 }
    }
}

impl System for KuramotoSivashinsky {
    const KIND: &'static str = "kuramoto-sivashinsky";
    const TITLE: &'static str = "Kuramoto–Sivashinsky";
    const METHOD: &'static str = "ETDRK4";
    const SAMPLING: SamplingConfig = SamplingConfig {
        n_series: 20,
        n_steps: 1000,
        dt: 0.25,
        substeps: 1,
        burn_in: 800,
        seed: 0,
    };

    fn check(&self) -> Result<(), DataError> {
        if self.n_points < 16 || !self.n_points.is_multiple_of(2) {
            return Err(DataError::InvalidParameter {
                name: "n_points",
                found: self.n_points.to_string(),
                expected: "an even number from 16",
            });
        }
        check_positive(&[("length", self.length)])
    }

    fn columns(&self) -> Vec<String> {
        (0..self.n_points).map(|j| format!("u{j}")).collect()
    }

    fn parameters(&self) -> String {
        format!("L = {}, {} points", self.length, self.n_points)
    }

    fn lyapunov_exponent(&self) -> Option<f64> {
        (self.length.to_bits() == Self::default().length.to_bits()).then_some(LYAPUNOV)
    }

    /// Four long waves with coefficients in `[-0.5, 0.5)`.
    fn initial_state(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let waves: [[f64; 2]; N_INITIAL] =
            std::array::from_fn(|_| std::array::from_fn(|_| rng.random_range(-0.5..0.5)));
        let value = |j: usize| {
            let wave = |(k, [a, b]): (usize, &[f64; 2])| {
                let angle = TAU * ((k + 1) * j) as f64 / self.n_points as f64;
                a * angle.cos() + b * angle.sin()
            };
            waves.iter().enumerate().map(wave).sum()
        };
        (0..self.n_points).map(value).collect()
    }

    fn stepper(&self, dt: f64) -> impl Stepper + use<> {
        Spectral::new(self, dt)
    }
}

/// The method between transforms from and to the grid.
struct Spectral {
    method: Etdrk4,
    nonlinear: Nonlinear,
    /// Coefficients of the state, then of each tangent.
    modes: Vec<Complex64>,
}

/// `-(i q/2) FFT(u²)` of the state, `-i q FFT(u v)` of each tangent.
struct Nonlinear {
    /// Wave numbers `q`; zero for the shortest wave, whose derivative is not on the grid.
    wave_numbers: Vec<f64>,
    fourier: Fourier,
    /// The state on the grid.
    state: Vec<Complex64>,
}

impl Spectral {
    fn new(system: &KuramotoSivashinsky, h: f64) -> Self {
        let n = system.n_points;
        let wave_number = |j: usize| {
            let k = if j <= n / 2 { j as f64 } else { j as f64 - n as f64 };
            TAU * k / system.length
        };
        let nonlinear = Nonlinear {
            wave_numbers: (0..n).map(|j| if j == n / 2 { 0.0 } else { wave_number(j) }).collect(),
            fourier: Fourier::new(n),
            state: vec![Complex64::default(); n],
        };
        let growth = (0..n).map(|j| wave_number(j).powi(2) - wave_number(j).powi(4));
        Self { method: Etdrk4::new(growth, h), nonlinear, modes: Vec::new() }
    }
}

impl Stepper for Spectral {
    fn step(&mut self, x: &mut [f64]) {
        self.step_with_tangents(x, &mut []);
    }

    fn step_with_tangents(&mut self, x: &mut [f64], tangents: &mut [f64]) {
        let Self { method, nonlinear, modes } = self;
        let n = x.len();
        modes.clear();
        modes.extend(x.iter().chain(&*tangents).map(|&u| Complex64::new(u, 0.0)));
        modes.chunks_exact_mut(n).for_each(|field| nonlinear.fourier.forward(field));
        method.step(modes, |u, slope| nonlinear.apply(u, slope));
        modes.chunks_exact_mut(n).for_each(|field| nonlinear.fourier.inverse(field));
        for (u, mode) in x.iter_mut().chain(tangents).zip(&*modes) {
            *u = mode.re;
        }
    }
}

impl Nonlinear {
    fn apply(&mut self, u: &[Complex64], slope: &mut [Complex64]) {
        let n = self.state.len();
        slope.copy_from_slice(u);
        for (i, field) in slope.chunks_exact_mut(n).enumerate() {
            self.fourier.inverse(field);
            if i == 0 {
                self.state.copy_from_slice(field);
            }
            let factor = if i == 0 { 0.5 } else { 1.0 };
            for (v, u) in field.iter_mut().zip(&self.state) {
                *v = Complex64::new(u.re * v.re * factor, 0.0);
            }
            self.fourier.forward(field);
            for (v, q) in field.iter_mut().zip(&self.wave_numbers) {
                *v *= Complex64::new(0.0, -q);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lyapunov::{LyapunovConfig, exponents};
    use super::*;
    use rand::SeedableRng;

    /// A state on the attractor.
    fn developed() -> Vec<f64> {
        let system = KuramotoSivashinsky::default();
        let mut x = system.initial_state(&mut ChaCha8Rng::seed_from_u64(1));
        run(&mut x, 0.25, 800);
        x
    }

    fn run(x: &mut [f64], h: f64, steps: usize) {
        let system = KuramotoSivashinsky { n_points: x.len(), ..KuramotoSivashinsky::default() };
        let mut stepper = system.stepper(h);
        (0..steps).for_each(|_| stepper.step(x));
    }

    fn distance(x: &[f64], y: &[f64]) -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn the_order_of_convergence_is_four() {
        let start = developed();
        let end = |steps: usize| {
            let mut x = start.clone();
            run(&mut x, 4.0 / steps as f64, steps);
            x
        };
        let exact = end(4096);
        // The fast decay of the shortest waves lets longer steps converge more slowly.
        for steps in [256, 512] {
            let error = |steps| distance(&end(steps), &exact);
            let order = (error(steps) / error(2 * steps)).log2();
            assert!((order - 4.0).abs() < 0.3, "order {order} from {steps} steps");
        }
    }

    #[test]
    fn the_mean_is_conserved() {
        let mut x = developed();
        for u in &mut x {
            *u += 0.3;
        }
        run(&mut x, 0.25, 400);
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        assert!((mean - 0.3).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn a_small_wave_grows_at_its_linear_rate() {
        let (system, h) = (KuramotoSivashinsky::default(), 0.25);
        for k in [1.0, 2.0, 5.0] {
            let q = TAU * k / system.length;
            let wave = |amplitude: f64| -> Vec<f64> {
                (0..64)
                    .map(|j| amplitude * (q * system.length * f64::from(j) / 64.0).sin())
                    .collect()
            };
            let mut x = wave(1e-8);
            run(&mut x, h, 8);
            let expected = wave(1e-8 * ((q * q - q.powi(4)) * 8.0 * h).exp());
            assert!(distance(&x, &expected) < 1e-14, "k = {k}");
        }
    }

    #[test]
    fn shifted_fields_have_shifted_trajectories_and_finer_grids_agree() {
        let start = developed();
        let (mut x, mut shifted) = (start.clone(), start.clone());
        shifted.rotate_left(11);
        run(&mut x, 0.25, 40);
        run(&mut shifted, 0.25, 40);
        shifted.rotate_right(11);
        assert!(distance(&x, &shifted) < 1e-10, "{}", distance(&x, &shifted));
        // Every second point of 64 resolves the field as well, but for its shortest waves.
        let mut coarse: Vec<f64> = start.iter().step_by(2).copied().collect();
        run(&mut coarse, 0.25, 40);
        let fine: Vec<f64> = x.iter().step_by(2).copied().collect();
        assert!(distance(&coarse, &fine) < 1e-3, "{}", distance(&coarse, &fine));
    }

    #[test]
    fn the_largest_exponent_lies_with_the_published_ones() {
        let config = LyapunovConfig { warm_up: 400, steps: 40_000, interval: 10 };
        let system = KuramotoSivashinsky { n_points: 32, ..KuramotoSivashinsky::default() };
        let start: Vec<f64> = developed().iter().step_by(2).copied().collect();
        let found = exponents(&system, &start, 1, 0.25, &config)[0];
        // The mean over 10⁴ time units fluctuates by about 0.003.
        assert!((0.038..0.053).contains(&found), "{found}");
    }
}
