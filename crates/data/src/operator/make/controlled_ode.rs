//! A differential equation driven by a random signal, in closed form.
//!
//! ```text
//! u(t) = Σ_j ξ_j/j sin(π f_j t),    ξ_j ~ N(0, 1),  f_j ~ U(0, 10),    1 ≤ j ≤ n_terms
//! dz = sin(z) du,  z(0) = 1    ⇒    z(t) = 2 arctan(tan(½) e^{u(t)});    the operator is u ↦ z
//! ```
//!
//! As `u(0) = 0`, `z` depends on `u` at the same time alone: the operator has no memory.
//!
//! Source: Calvello et al. 2025, arXiv:2406.06486; the closed form separates the variables of the
//! equation. Dimensionless.

use std::f64::consts::PI;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::{Generator, TimeGrid};
use crate::DataError;
use crate::operator::Points;

/// The largest frequency `f`.
const MAX_FREQUENCY: f64 = 10.0;

/// The generator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ControlledOde {
    /// Times at which both functions are known.
    pub times: TimeGrid,
    /// Sines of the signal.
    pub n_terms: usize,
}

/// A random signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// `ξ_j`.
    pub xi: Vec<f64>,
    /// `f_j`.
    pub frequencies: Vec<f64>,
}

impl Default for ControlledOde {
    fn default() -> Self {
        Self { times: TimeGrid::default(), n_terms: 10 }
    }
}

impl Signal {
    /// `u(t)`.
    #[must_use]
    pub fn value(&self, t: f64) -> f64 {
        self.sum(|xi, f| xi * (PI * f * t).sin())
    }

    fn sum(&self, term: impl Fn(f64, f64) -> f64) -> f64 {
        let terms = self.xi.iter().zip(&self.frequencies).zip(1_u32..);
        terms.map(|((&xi, &f), j)| term(xi / f64::from(j), f)).sum()
    }
}

/// `z` where the signal is `u`.
#[must_use]
pub fn response(u: f64) -> f64 {
    2.0 * (0.5_f64.tan() * u.exp()).atan()
}

impl Generator for ControlledOde {
    const KIND: &'static str = "controlled-ode";

    fn check(&self) -> Result<(), DataError> {
        if self.n_terms == 0 {
            let found = String::from("0");
            return Err(DataError::InvalidParameter {
                name: "n_terms",
                found,
                expected: "at least 1",
            });
        }
        self.times.check()
    }

    fn points(&self, rng: &mut ChaCha8Rng) -> Points {
        Points::Line(self.times.times(rng))
    }

    fn channels(&self) -> [Vec<String>; 2] {
        [vec!["u".into()], vec!["z".into()]]
    }

    fn draw(
        &self,
        points: &Points,
        rng: &mut ChaCha8Rng,
        inputs: &mut Vec<f64>,
        outputs: &mut Vec<f64>,
    ) -> Result<(), DataError> {
        let signal = Signal {
            xi: (0..self.n_terms).map(|_| rng.sample(StandardNormal)).collect(),
            frequencies: (0..self.n_terms).map(|_| rng.random_range(0.0..MAX_FREQUENCY)).collect(),
        };
        let u: Vec<f64> = points.coordinates().iter().map(|&t| signal.value(t)).collect();
        outputs.extend(u.iter().map(|&u| response(u)));
        inputs.extend(u);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Request, samples};
    use super::*;
    use crate::simulate::rk4::Rk4;
    use crate::simulate::{Ode, Stepper};

    /// `z' = sin(z) u'(t), t' = 1`.
    struct Driven(Signal);

    impl Ode for Driven {
        fn dimension(&self) -> usize {
            2
        }

        fn derivative(&self, x: &[f64], dx: &mut [f64]) {
            let du = self.0.sum(|xi, f| xi * PI * f * (PI * f * x[1]).cos());
            dx.copy_from_slice(&[x[0].sin() * du, 1.0]);
        }

        fn tangent(&self, _: &[f64], _: &[f64], _: &mut [f64]) {
            unreachable!("no tangent is asked for");
        }
    }

    #[test]
    fn the_closed_form_solves_the_equation() {
        let signal = Signal { xi: vec![1.3, -0.4, 2.0], frequencies: vec![0.7, 9.5, 3.1] };
        let mut stepper = Rk4::new(Driven(signal.clone()), 5e-4, [0.0; 2]);
        let mut x = [1.0, 0.0];
        for step in 1..=4000 {
            stepper.step(&mut x);
            let exact = response(signal.value(f64::from(step) * 5e-4));
            assert!((x[0] - exact).abs() < 1e-9, "{} {exact} after {step} steps", x[0]);
        }
    }

    #[test]
    fn pairs_start_at_the_initial_state_and_follow_the_formula() {
        let set = samples(&ControlledOde::default(), &Request { count: 3, seed: 1, threads: 1 });
        let set = set.unwrap();
        assert_eq!((set.points().count(), set.samples()), (200, 3));
        for sample in 0..3 {
            assert_eq!((set.input(sample)[0], set.output(sample)[0]), (0.0, 1.0));
            let expected = response(set.input(sample)[77]);
            assert_eq!(set.output(sample)[77].to_bits(), expected.to_bits());
        }
    }
}
