//! A sum of sinusoids, one variable that obeys a linear recurrence.
//!
//! ```text
//! x(t) = Σ_k A_k sin(ω_k t + φ_k)
//! ```
//!
//! `K` terms sampled at equal steps obey `x_t = Σ_{j=1}^{2K} c_j x_{t-j}` exactly. The default is a
//! stand-in for the paper's signals, which could not be obtained: `sin t + 0.5 sin(1.7 t + 0.3) +
//! 0.25 sin 2.9 t`. Time and values are dimensionless.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::system::check_finite;
use super::{SamplingConfig, Stepper, System};
use crate::DataError;

/// The terms; three lists of one length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sinusoids {
    /// `A_k`.
    pub amplitudes: Vec<f64>,
    /// `ω_k`, in radians per time unit.
    pub frequencies: Vec<f64>,
    /// `φ_k`, in radians.
    pub phases: Vec<f64>,
    /// Series start at a random time in `[0, max_start)`; at 0 if this is 0.
    pub max_start: f64,
}

impl Default for Sinusoids {
    fn default() -> Self {
        Self {
            amplitudes: vec![1.0, 0.5, 0.25],
            frequencies: vec![1.0, 1.7, 2.9],
            phases: vec![0.0, 0.3, 0.0],
            max_start: 1000.0,
        }
    }
}

/// The state is the time.
struct Clock {
    dt: f64,
}

impl Stepper for Clock {
    fn step(&mut self, time: &mut [f64]) {
        time[0] += self.dt;
    }

    fn step_with_tangents(&mut self, time: &mut [f64], _tangents: &mut [f64]) {
        self.step(time);
    }
}

impl Sinusoids {
    /// `x(t)`.
    #[must_use]
    pub fn value(&self, t: f64) -> f64 {
        let terms = self.amplitudes.iter().zip(&self.frequencies).zip(&self.phases);
        terms.map(|((amplitude, omega), phase)| amplitude * (omega * t + phase).sin()).sum()
    }
}

impl System for Sinusoids {
    const KIND: &'static str = "sinusoids";
    const TITLE: &'static str = "Sum of sinusoids";
    const METHOD: &'static str = "closed form,";
    const SAMPLING: SamplingConfig =
        SamplingConfig { n_series: 1, n_steps: 4000, dt: 0.1, substeps: 1, burn_in: 0, seed: 0 };

    fn check(&self) -> Result<(), DataError> {
        let lists = [
            ("amplitudes", &self.amplitudes),
            ("frequencies", &self.frequencies),
            ("phases", &self.phases),
        ];
        for (name, list) in lists {
            if list.len() != self.frequencies.len() || list.is_empty() {
                return Err(DataError::InvalidParameter {
                    name,
                    found: format!("{list:?}"),
                    expected: "as many entries, at least one, as there are frequencies",
                });
            }
            list.iter().try_for_each(|&x| check_finite(&[(name, x)]))?;
        }
        if self.max_start < 0.0 {
            return Err(DataError::InvalidParameter {
                name: "max_start",
                found: self.max_start.to_string(),
                expected: "a finite number from 0",
            });
        }
        check_finite(&[("max_start", self.max_start)])
    }

    fn columns(&self) -> Vec<String> {
        vec!["x".to_owned()]
    }

    fn parameters(&self) -> String {
        let terms = self.amplitudes.iter().zip(&self.frequencies).zip(&self.phases);
        let terms: Vec<String> =
            terms.map(|((a, omega), phase)| format!("{a} sin({omega} t + {phase})")).collect();
        terms.join(" + ")
    }

    /// It is 0, which gives no unit of time.
    fn lyapunov_exponent(&self) -> Option<f64> {
        None
    }

    /// The time of the first row.
    fn initial_state(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        vec![self.max_start * rng.random::<f64>()]
    }

    fn stepper(&self, dt: f64) -> impl Stepper + use<> {
        Clock { dt }
    }

    fn observe(&self, state: &[f64], rows: &mut Vec<f64>) {
        rows.push(self.value(state[0]));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Simulate, Simulation};
    use super::*;

    #[test]
    fn rows_obey_the_linear_recurrence() {
        // Each term is annihilated by 1 - 2 cos(ω dt) B + B², B one step back.
        let simulation = Simulation::<Sinusoids>::default();
        let set = simulation.simulate().unwrap().set;
        let mut x = set.series[0].values.clone();
        for omega in &simulation.system.frequencies {
            let c = 2.0 * (omega * 0.1).cos();
            x = x.windows(3).map(|w| w[2] - c * w[1] + w[0]).collect();
        }
        let worst = x.iter().fold(0.0_f64, |worst, x| worst.max(x.abs()));
        // The clock adds 4000 steps to about 1000, each rounded to 1e-13.
        assert!(worst < 1e-10, "{worst}");
    }

    #[test]
    fn a_series_from_zero_is_the_formula() {
        let mut simulation = Simulation::<Sinusoids>::default();
        simulation.system.max_start = 0.0;
        let rows = simulation.simulate().unwrap().set.series.remove(0).values;
        let t: f64 = 0.1;
        let second = t.sin() + 0.5 * (1.7 * t + 0.3).sin() + 0.25 * (2.9 * t).sin();
        assert!((rows[0] - 0.5 * 0.3_f64.sin()).abs() < 1e-15, "{}", rows[0]);
        assert!((rows[1] - second).abs() < 1e-15, "{}", rows[1]);
    }

    #[test]
    fn lists_of_different_lengths_are_named() {
        let system = Sinusoids { phases: vec![0.0], ..Sinusoids::default() };
        let message = system.check().unwrap_err().to_string();
        let expected =
            "phases = [0.0], expected as many entries, at least one, as there are frequencies";
        assert_eq!(message, expected);
    }
}
