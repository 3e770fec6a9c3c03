//! Times at which trajectories are known, equally spaced or not.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::DataError;
use crate::simulate::check_positive;

/// How times are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spacing {
    /// `0, dt, 2 dt, …`, the end left out.
    Uniform,
    /// The first half of the uniform times, and every second one of the second half.
    HalfRate,
    /// As many sorted normal draws, stretched to the whole duration, both ends included.
    SortedNormal,
}

/// Times of a trajectory; all pairs of a set share them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeGrid {
    /// Time step of the uniform times.
    pub dt: f64,
    /// Number of uniform times; the duration is `n_points dt`.
    pub n_points: usize,
    /// How the times are spaced.
    pub spacing: Spacing,
}

impl Default for TimeGrid {
    /// Two time units at the rate of the published data.
    fn default() -> Self {
        Self { dt: 0.01, n_points: 200, spacing: Spacing::Uniform }
    }
}

impl TimeGrid {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`DataError::InvalidParameter`] for a time step that is not above zero, or fewer than two
    /// times.
    pub fn check(&self) -> Result<(), DataError> {
        check_positive(&[("dt", self.dt)])?;
        if self.n_points < 2 {
            let found = self.n_points.to_string();
            return Err(DataError::InvalidParameter {
                name: "n_points",
                found,
                expected: "at least 2",
            });
        }
        Ok(())
    }

    /// The times; random numbers are drawn for [`Spacing::SortedNormal`] alone.
    #[must_use]
    pub fn times(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let n = self.n_points;
        let uniform = (0..n).map(|i| i as f64 * self.dt);
        match self.spacing {
            Spacing::Uniform => uniform.collect(),
            Spacing::HalfRate => {
                let half = n / 2;
                uniform.clone().take(half).chain(uniform.skip(half).step_by(2)).collect()
            }
            Spacing::SortedNormal => {
                let mut draws: Vec<f64> = (0..n).map(|_| rng.sample(StandardNormal)).collect();
                draws.sort_by(f64::total_cmp);
                let (low, high) = (draws[0], draws[n - 1]);
                let duration = n as f64 * self.dt;
                draws.iter().map(|x| duration * ((x - low) / (high - low))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn times(n_points: usize, spacing: Spacing) -> Vec<f64> {
        let grid = TimeGrid { dt: 0.25, n_points, spacing };
        grid.check().unwrap();
        grid.times(&mut ChaCha8Rng::seed_from_u64(1))
    }

    #[test]
    fn times_are_those_of_their_definitions() {
        assert_eq!(times(5, Spacing::Uniform), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(times(7, Spacing::HalfRate), [0.0, 0.25, 0.5, 0.75, 1.25]);
        let normal = times(101, Spacing::SortedNormal);
        assert_eq!((normal.len(), normal[0], normal[100]), (101, 0.0, 25.25));
        assert!(normal.windows(2).all(|pair| pair[1] > pair[0]));
        // Normal draws crowd in the middle: two thirds lie within one deviation.
        let middle = normal.iter().filter(|t| (8.0..17.0).contains(*t)).count();
        assert!(middle > 50, "{middle}");
    }

    #[test]
    fn wrong_parameters_are_named() {
        let message = |grid: TimeGrid| grid.check().unwrap_err().to_string();
        let default = TimeGrid::default();
        assert_eq!(
            message(TimeGrid { n_points: 1, ..default }),
            "n_points = 1, expected at least 2"
        );
        let expected = "dt = 0, expected a finite number above zero";
        assert_eq!(message(TimeGrid { dt: 0.0, ..default }), expected);
    }
}
