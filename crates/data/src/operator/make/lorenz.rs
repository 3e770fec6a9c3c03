//! The Lorenz system of 1963 with one component seen: from `x(t)` to `y(t)`, or to `y(t)` and
//! `z(t)`.
//!
//! Initial states are uniform in a box and no step is left out, so that the transients onto the
//! attractor belong to the data. Time is by the classical Runge–Kutta method with steps of at most
//! `max_step`.
//!
//! Source: Calvello et al. 2025, arXiv:2406.06486. As `y = x + ẋ/σ`, the operator to `y` is a
//! derivative. Dimensionless.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Generator, TimeGrid};
use crate::DataError;
use crate::operator::Points;
use crate::simulate::rk4::Rk4;
use crate::simulate::{Lorenz, Stepper, System, check_positive};

/// The box of initial states, low and high ends of x, y and z.
const INITIAL_BOX: [(f64, f64); 3] = [(-15.0, 15.0), (-15.0, 15.0), (0.0, 40.0)];

/// The generator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LorenzComponents {
    /// The equations.
    pub lorenz: Lorenz,
    /// Times at which the functions are known.
    pub times: TimeGrid,
    /// Whether `z` is an output beside `y`.
    pub with_z: bool,
    /// Longest step of the numerical method; at 1e-3 the error after two time units is near 1e-7.
    pub max_step: f64,
}

impl Default for LorenzComponents {
    fn default() -> Self {
        Self {
            lorenz: Lorenz::default(),
            times: TimeGrid::default(),
            with_z: false,
            max_step: 1e-3,
        }
    }
}

impl LorenzComponents {
    /// The states at increasing times, of which the first has the state `start`.
    ///
    /// # Shapes
    /// `[times, 3]`
    #[must_use]
    pub fn trajectory(&self, start: [f64; 3], times: &[f64]) -> Vec<f64> {
        let (mut state, mut rows) = (start, start.to_vec());
        for pair in times.windows(2) {
            let duration = pair[1] - pair[0];
            // A hair less, so that a quotient just above a whole number does not add a step.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a number of steps"
            )]
            let steps = ((duration / self.max_step - 1e-9).ceil() as usize).max(1);
            let mut stepper = Rk4::new(self.lorenz, duration / steps as f64, [0.0; 3]);
            (0..steps).for_each(|_| stepper.step(&mut state));
            rows.extend(state);
        }
        rows
    }
}

impl Generator for LorenzComponents {
    const KIND: &'static str = "lorenz-operator";

    fn check(&self) -> Result<(), DataError> {
        self.lorenz.check()?;
        check_positive(&[("max_step", self.max_step)])?;
        self.times.check()
    }

    fn points(&self, rng: &mut ChaCha8Rng) -> Points {
        Points::Line(self.times.times(rng))
    }

    fn channels(&self) -> [Vec<String>; 2] {
        let outputs: &[&str] = if self.with_z { &["y", "z"] } else { &["y"] };
        [vec!["x".into()], outputs.iter().map(|name| (*name).to_owned()).collect()]
    }

    fn draw(
        &self,
        points: &Points,
        rng: &mut ChaCha8Rng,
        inputs: &mut Vec<f64>,
        outputs: &mut Vec<f64>,
    ) -> Result<(), DataError> {
        let start = INITIAL_BOX.map(|(low, high)| rng.random_range(low..high));
        let rows = self.trajectory(start, &points.coordinates());
        if let Some(step) = rows.chunks_exact(3).position(|row| !row.iter().all(|x| x.is_finite()))
        {
            return Err(DataError::Diverged { system: Lorenz::TITLE, step, dt: self.max_step });
        }
        let n_outputs = if self.with_z { 2 } else { 1 };
        for row in rows.chunks_exact(3) {
            inputs.push(row[0]);
            outputs.extend_from_slice(&row[1..=n_outputs]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Request, Spacing, samples};
    use super::*;

    const REQUEST: Request = Request { count: 2, seed: 9, threads: 1 };

    #[test]
    fn y_is_x_and_a_tenth_of_its_slope() {
        let times = TimeGrid { dt: 1e-3, ..TimeGrid::default() };
        let set = samples(&LorenzComponents { times, ..LorenzComponents::default() }, &REQUEST);
        let set = set.unwrap();
        let (x, y) = (set.input(1), set.output(1));
        for t in 1..199 {
            let slope = (x[t + 1] - x[t - 1]) / 2e-3;
            // The difference is off by dt² x'''/6 with x''' up to 10⁵.
            assert!((x[t] + slope / 10.0 - y[t]).abs() < 5e-3, "{t}");
        }
    }

    #[test]
    fn the_trajectory_is_the_same_whatever_the_times() {
        let at = |spacing| {
            let times = TimeGrid { dt: 0.01, n_points: 60, spacing };
            let generator =
                LorenzComponents { times, with_z: true, max_step: 1e-4, ..Default::default() };
            samples(&generator, &REQUEST).unwrap()
        };
        let (uniform, half) = (at(Spacing::Uniform), at(Spacing::HalfRate));
        assert_eq!((half.points().count(), half.outputs().channels.len()), (45, 2));
        for (i, j) in [(0, 0), (7, 7), (30, 30), (32, 31), (58, 44)] {
            for channel in 0..2 {
                let difference =
                    uniform.output(1)[2 * i + channel] - half.output(1)[2 * j + channel];
                assert!(difference.abs() < 1e-9, "{i}: {difference}");
            }
        }
        let normal = at(Spacing::SortedNormal);
        assert_eq!(normal.output(1)[..2], uniform.output(1)[..2]);
    }

    #[test]
    fn too_long_steps_are_named() {
        let times = TimeGrid { dt: 1.0, ..TimeGrid::default() };
        let generator = LorenzComponents { times, max_step: 1.0, ..LorenzComponents::default() };
        let message = samples(&generator, &REQUEST).unwrap_err().to_string();
        assert!(
            message.starts_with("the simulation of Lorenz-63 is not finite after"),
            "{message}"
        );
    }
}
