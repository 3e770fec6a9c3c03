//! A boiling-water reactor in five equations: point kinetics with one group of delayed neutrons, the
//! fuel's temperature, and the void reactivity as a damped oscillator.
//!
//! ```text
//! n' = ((ρ - β) n + ρ)/Λ + λ c      c' = β n/Λ - λ c        T' = a1 n - a2 T
//! r'' + a3 r' + a4 r = k T          ρ = r + D T             k = -3.70e-3 gain
//! ```
//!
//! `n` and `c` are relative deviations from the steady state, `T` is in kelvin above it, time in
//! seconds. The state holds `u = ln(1 + n)` in place of `n`, which spans two decades:
//! `u' = (ρ - β)/Λ + (β/Λ + λ c) e^{-u}`.
//!
//! Source: the model of March-Leuba, Cacuci & Perez 1986, Nucl. Sci. Eng. 93, 111–123, with its
//! constants as commonly quoted. **A substitute**: the easy-attention paper has a reactor model
//! whose equations could not be obtained. Stiff (prompt neutrons need milliseconds), hence
//! [`Radau`].

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::radau::Radau;
use super::system::{array, check_positive};
use super::{Ode, SamplingConfig, Stepper, System};
use crate::DataError;

/// Fraction of delayed neutrons `β`.
const DELAYED: f64 = 0.0056;
/// Generation time `Λ`, s.
const GENERATION: f64 = 4e-5;
/// Decay of the precursors `λ`, 1/s.
const DECAY: f64 = 0.08;
/// Doppler coefficient `D`, 1/K.
const DOPPLER: f64 = -2.52e-5;
/// `a1` to `a4`: K/s, 1/s, 1/s, 1/s².
const A: [f64; 4] = [25.04, 0.23, 2.25, 6.82];
/// `k` at gain 1, 1/(K s²).
const FEEDBACK: f64 = -3.70e-3;

/// Gain of the void feedback. About 1 and below, oscillations decay; from there to about 1.6 they
/// settle on a limit cycle; the default 1.9 is irregular.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reactor {
    /// `k` over `-3.70e-3`.
    pub gain: f64,
}

impl Default for Reactor {
    fn default() -> Self {
        Self { gain: 1.9 }
    }
}

impl Ode for Reactor {
    fn dimension(&self) -> usize {
        5
    }

    fn derivative(&self, x: &[f64], dx: &mut [f64]) {
        let [u, c, t, r, dr] = *array(x);
        let (rho, n) = (r + DOPPLER * t, u.exp_m1());
        let source = DELAYED / GENERATION + DECAY * c;
        dx.copy_from_slice(&[
            (rho - DELAYED) / GENERATION + source * (-u).exp(),
            DELAYED / GENERATION * n - DECAY * c,
            A[0] * n - A[1] * t,
            dr,
            self.gain * FEEDBACK * t - A[2] * dr - A[3] * r,
        ]);
    }

    fn tangent(&self, x: &[f64], v: &[f64], dv: &mut [f64]) {
        let ([u, c, ..], [du, dc, dt, dr, ddr]): ([f64; 5], [f64; 5]) = (*array(x), *array(v));
        let source = DELAYED / GENERATION + DECAY * c;
        dv.copy_from_slice(&[
            (dr + DOPPLER * dt) / GENERATION + (DECAY * dc - source * du) * (-u).exp(),
            DELAYED / GENERATION * u.exp() * du - DECAY * dc,
            A[0] * u.exp() * du - A[1] * dt,
            ddr,
            self.gain * FEEDBACK * dt - A[2] * ddr - A[3] * dr,
        ]);
    }
}

impl System for Reactor {
    const KIND: &'static str = "reactor";
    const TITLE: &'static str = "Boiling-water reactor";
    const METHOD: &'static str = "Radau IIA";
    const SAMPLING: SamplingConfig = SamplingConfig {
        n_series: 20,
        n_steps: 2000,
        dt: 0.05,
        substeps: 5,
        burn_in: 6000,
        seed: 0,
    };

    fn check(&self) -> Result<(), DataError> {
        check_positive(&[("gain", self.gain)])
    }

    fn columns(&self) -> Vec<String> {
        ["log_power", "precursors", "temperature", "void_reactivity", "void_rate"]
            .map(String::from)
            .to_vec()
    }

    fn parameters(&self) -> String {
        format!("gain = {}", self.gain)
    }

    fn lyapunov_exponent(&self) -> Option<f64> {
        None
    }

    /// The steady state with a void reactivity of up to half the delayed fraction.
    fn initial_state(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        vec![0.0, 0.0, 0.0, DELAYED * rng.random_range(-0.5..0.5), 0.0]
    }

    fn stepper(&self, dt: f64) -> impl Stepper + use<> {
        Radau::new(*self, dt)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rk4::Rk4;
    use super::*;

    const START: [f64; 5] = [0.0, 0.0, 0.0, 0.1 * DELAYED, 0.0];

    fn run(gain: f64, start: [f64; 5], seconds: f64) -> [f64; 5] {
        let (mut x, h) = (start, 0.01);
        let mut stepper = Reactor { gain }.stepper(h);
        let mut time = 0.0;
        while time < seconds - 0.5 * h {
            stepper.step(&mut x);
            time += h;
        }
        x
    }

    /// Lowest and highest `n` in ten seconds.
    fn range(gain: f64, mut x: [f64; 5]) -> [f64; 2] {
        let mut stepper = Reactor { gain }.stepper(0.01);
        let mut ends = [f64::INFINITY, f64::NEG_INFINITY];
        for _ in 0..1000 {
            stepper.step(&mut x);
            let n = x[0].exp_m1();
            ends = [ends[0].min(n), ends[1].max(n)];
        }
        ends
    }

    #[test]
    fn the_steady_state_stays() {
        assert_eq!(run(1.9, [0.0; 5], 1.0).to_vec(), vec![0.0; 5]);
    }

    #[test]
    fn the_tangent_flow_is_the_derivative() {
        let (x, eps) = ([0.4, 80.0, 20.0, 1e-3, 2e-3], 1e-4);
        for axis in 0..5 {
            let mut v = [0.0; 5];
            v[axis] = 1.0;
            let slope = |h: f64| {
                let (mut x, mut dx) = (x, [0.0; 5]);
                x[axis] += h;
                Reactor::default().derivative(&x, &mut dx);
                dx
            };
            let (high, low, mut dv) = (slope(eps), slope(-eps), [0.0; 5]);
            Reactor::default().tangent(&x, &v, &mut dv);
            for i in 0..5 {
                let difference = (high[i] - low[i]) / (2.0 * eps);
                assert!((dv[i] - difference).abs() < 1e-5, "{} {difference}", dv[i]);
            }
        }
    }

    #[test]
    fn the_implicit_method_agrees_with_short_explicit_steps() {
        let mut x = START;
        let mut explicit = Rk4::new(Reactor::default(), 1e-4, [0.0; 5]);
        (0..20_000).for_each(|_| explicit.step(&mut x));
        let implicit = run(1.9, START, 2.0);
        for (implicit, explicit) in implicit.iter().zip(x) {
            assert!((implicit - explicit).abs() < 1e-5 * explicit.abs(), "{implicit} {explicit}");
        }
    }

    #[test]
    fn oscillations_decay_at_gain_one_and_reach_a_cycle_above() {
        let [low, high] = range(1.0, run(1.0, START, 200.0));
        let [later_low, later_high] = range(1.0, run(1.0, START, 400.0));
        assert!(later_high - later_low < 0.95 * (high - low), "{high} {later_high}");
        // Limits of the cycle at gain 1.1, computed elsewhere with an adaptive stiff solver.
        let [low, high] = range(1.1, run(1.1, START, 600.0));
        assert!((low + 0.56).abs() < 0.01 && (high - 1.48).abs() < 0.01, "{low} {high}");
    }
}
