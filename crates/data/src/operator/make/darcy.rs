//! Darcy flow: from a random permeability to the pressure.
//!
//! ```text
//! -∇·(a ∇u) = 1 in the unit square,  u = 0 on its edges;    the operator is a ↦ u
//! log-normal: a = e^g        piecewise: a = high where g ≥ 0, low elsewhere
//! ```
//!
//! for a [`GaussianField`] `g`. The permeability is exact at the points of the set; the pressure is
//! solved on a grid of nodes, as a rule a finer one, and interpolated from there by cubics.
//!
//! Source: Li et al. 2021, arXiv:2010.08895, §5.2, and Calvello et al. 2025, arXiv:2406.06486,
//! whose data are not public: covariance and values of the coefficient follow the former.
//! Dimensionless.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::gaussian_field::GaussianField;
use super::{Generator, elliptic};
use crate::DataError;
use crate::operator::interpolation::on_grid;
use crate::operator::{Placement, Points};
use crate::simulate::check_positive;

/// How the permeability comes from a Gaussian function.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Coefficient {
    /// `e^g`.
    LogNormal,
    /// `high` where `g ≥ 0`, `low` elsewhere.
    Piecewise {
        /// Value where the function is positive.
        high: f64,
        /// Value where it is negative.
        low: f64,
    },
}

/// The generator.
#[derive(Debug, Clone, PartialEq)]
pub struct Darcy {
    /// How the permeability comes from the Gaussian function.
    pub coefficient: Coefficient,
    /// Covariance of the Gaussian function.
    pub field: GaussianField,
    /// Points along each side.
    pub size: usize,
    /// Where they lie.
    pub placement: Placement,
    /// Nodes along each side of the grid on which the equation is solved, both ends included.
    pub solve_nodes: usize,
}

impl Default for Darcy {
    fn default() -> Self {
        Self {
            coefficient: Coefficient::LogNormal,
            field: GaussianField::default(),
            size: 64,
            placement: Placement::Nodes,
            solve_nodes: Self::nodes_for(64),
        }
    }
}

impl Coefficient {
    /// The two values of the published data.
    pub const PIECEWISE: Self = Self::Piecewise { high: 12.0, low: 3.0 };

    /// The permeability where the Gaussian function is `g`.
    #[must_use]
    pub fn value(&self, g: f64) -> f64 {
        match *self {
            Self::LogNormal => g.exp(),
            Self::Piecewise { high, low } => {
                if g >= 0.0 {
                    high
                } else {
                    low
                }
            }
        }
    }
}

impl Darcy {
    /// Nodes of the solve that resolve `size` points twice as finely.
    #[must_use]
    pub fn nodes_for(size: usize) -> usize {
        2 * size.max(16) + 1
    }

    fn permeability(&self, g: Vec<f64>) -> Vec<f64> {
        g.into_iter().map(|g| self.coefficient.value(g)).collect()
    }
}

impl Generator for Darcy {
    const KIND: &'static str = "darcy";

    fn check(&self) -> Result<(), DataError> {
        self.field.check()?;
        if let Coefficient::Piecewise { high, low } = self.coefficient {
            check_positive(&[("high", high), ("low", low)])?;
        }
        if self.solve_nodes < 5 {
            let found = self.solve_nodes.to_string();
            return Err(DataError::InvalidParameter {
                name: "solve_nodes",
                found,
                expected: "at least 5",
            });
        }
        Ok(())
    }

    fn points(&self, _: &mut ChaCha8Rng) -> Points {
        Points::Grid { rows: self.size, columns: self.size, placement: self.placement }
    }

    fn channels(&self) -> [Vec<String>; 2] {
        [vec!["a".into()], vec!["u".into()]]
    }

    fn draw(
        &self,
        _: &Points,
        rng: &mut ChaCha8Rng,
        inputs: &mut Vec<f64>,
        outputs: &mut Vec<f64>,
    ) -> Result<(), DataError> {
        let (n, g) = (self.solve_nodes, self.field.draw(rng));
        let (nodes, x) = (Placement::Nodes.coordinates(n), self.placement.coordinates(self.size));
        let fine = self.permeability(g.evaluate(&nodes, &nodes));
        let u = elliptic::solve(n, &fine, &vec![1.0; n * n])?;
        if self.placement == Placement::Nodes && n == self.size {
            inputs.extend(fine);
            outputs.extend(u);
        } else {
            inputs.extend(self.permeability(g.evaluate(&x, &x)));
            outputs.extend(on_grid(&nodes, &u, &x));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Request, samples};
    use super::*;

    const ONE: Request = Request { count: 2, seed: 3, threads: 2 };

    fn outputs(darcy: &Darcy) -> Vec<f64> {
        samples(darcy, &ONE).unwrap().outputs().values.clone()
    }

    fn distance(x: &[f64], y: &[f64]) -> f64 {
        let difference: f64 = x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum();
        (difference / y.iter().map(|y| y * y).sum::<f64>()).sqrt()
    }

    #[test]
    fn finer_solves_converge_with_order_two_at_any_points() {
        let darcy = Darcy {
            size: 11,
            field: GaussianField { modes: 6, ..GaussianField::default() },
            ..Darcy::default()
        };
        for placement in Placement::ALL {
            let solved = |solve_nodes| outputs(&Darcy { placement, solve_nodes, ..darcy.clone() });
            let exact = solved(257);
            let [coarse, fine] = [33, 65].map(|nodes| distance(&solved(nodes), &exact));
            let order = (coarse / fine).log2();
            // Against an answer that is itself off by a sixteenth of the finer error.
            assert!((order - 2.0).abs() < 0.2, "{placement:?}: order {order}, {coarse} {fine}");
        }
    }

    #[test]
    fn inputs_are_one_function_at_all_points_and_two_values_if_piecewise() {
        let lognormal = Darcy { size: 9, ..Darcy::default() };
        let piecewise = Darcy { coefficient: Coefficient::PIECEWISE, ..lognormal.clone() };
        let [a, b] = [&lognormal, &piecewise].map(|darcy| samples(darcy, &ONE).unwrap());
        for (a, b) in a.inputs().values.iter().zip(&b.inputs().values) {
            assert_eq!(b.to_bits(), if *a >= 1.0 { 12.0_f64 } else { 3.0 }.to_bits());
        }
        let fine = samples(&Darcy { size: 17, ..lognormal }, &ONE).unwrap();
        for i in 0..9 {
            let difference = fine.input(1)[2 * i * 17 + 6] - a.input(1)[i * 9 + 3];
            assert!(difference.abs() < 1e-13, "{difference}");
        }
    }

    #[test]
    fn a_solve_on_the_points_themselves_is_the_same_to_its_error() {
        let fine = Darcy { size: 33, ..Darcy::default() };
        let own = Darcy { solve_nodes: 33, ..fine.clone() };
        let distance = distance(&outputs(&own), &outputs(&fine));
        assert!((1e-5..5e-3).contains(&distance), "{distance}");
    }

    #[test]
    fn wrong_parameters_are_named() {
        let message = |darcy: Darcy| samples(&darcy, &ONE).unwrap_err().to_string();
        let low = Coefficient::Piecewise { high: 12.0, low: 0.0 };
        assert_eq!(
            message(Darcy { coefficient: low, ..Darcy::default() }),
            "low = 0, expected a finite number above zero"
        );
        let field = GaussianField { tau: f64::NAN, ..GaussianField::default() };
        assert_eq!(
            message(Darcy { field, ..Darcy::default() }),
            "field.tau = NaN, expected a finite number above zero"
        );
        assert_eq!(
            message(Darcy { size: 1, ..Darcy::default() }),
            "found 1 rows, expected at least 2"
        );
        let none = Request { count: 0, ..ONE };
        let error = samples(&Darcy::default(), &none).unwrap_err().to_string();
        assert_eq!(error, "count = 0, expected at least 1");
    }

    #[test]
    #[ignore = "measures speed; run with --release -- --ignored"]
    fn twenty_flows_a_second_are_solved_on_one_thread() {
        for coefficient in [Coefficient::LogNormal, Coefficient::PIECEWISE] {
            let darcy = Darcy { coefficient, size: 64, solve_nodes: 64, ..Darcy::default() };
            let start = std::time::Instant::now();
            samples(&darcy, &Request { count: 40, seed: 0, threads: 1 }).unwrap();
            let rate = 40.0 / start.elapsed().as_secs_f64();
            println!("{coefficient:?}, 64² nodes: {rate:.1} a second");
            assert!(rate > 20.0, "{coefficient:?}: {rate} a second");
        }
    }
}
