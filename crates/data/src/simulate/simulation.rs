//! A system and how it is sampled: what a configuration says about simulated data.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::agreement::{self, Agreement};
use super::system::{Stepper, System, check_positive};
use crate::{DataError, Series, SeriesSet};

/// Rejected series in a row after which a simulation gives up.
const MOST_REJECTED: usize = 200;

/// How many trajectories, how long and how dense.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingConfig {
    /// Number of trajectories.
    pub n_series: usize,
    /// Time steps kept of each trajectory.
    pub n_steps: usize,
    /// Time step between two rows.
    pub dt: f64,
    /// Steps of the numerical method in one time step.
    pub substeps: usize,
    /// Time steps left out at the start of each trajectory, on its way to the attractor.
    pub burn_in: usize,
    /// Seed of the initial states; series `i` depends on it and on `i` alone.
    pub seed: u64,
}

/// A system with its parameters and its sampling; the keys of both stand side by side in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Keys<S>")]
pub struct Simulation<S: System> {
    /// How many trajectories, how long and how dense.
    #[serde(flatten)]
    pub sampling: SamplingConfig,
    /// Parameters of the equations.
    #[serde(flatten)]
    pub system: S,
}

/// The keys in a file; what is not said is the system's own default.
#[derive(Deserialize)]
struct Keys<S> {
    n_series: Option<usize>,
    n_steps: Option<usize>,
    dt: Option<f64>,
    substeps: Option<usize>,
    burn_in: Option<usize>,
    seed: Option<u64>,
    #[serde(flatten)]
    system: S,
}

/// What a simulation made.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// The trajectories.
    pub set: SeriesSet,
    /// Trajectories that the system did not accept and that others replace.
    pub n_rejected: usize,
}

/// A [`Simulation`] of any system.
pub trait Simulate {
    /// Name of the system in configurations: `lorenz`.
    fn kind(&self) -> &'static str;
    /// System, parameters and numerical method in one line.
    fn describe(&self) -> String;
    /// How it is sampled.
    fn sampling(&self) -> &SamplingConfig;
    /// Largest Lyapunov exponent per time unit where it is known for these parameters.
    fn lyapunov_exponent(&self) -> Option<f64>;
    /// Simulates the trajectories.
    ///
    /// # Errors
    /// [`DataError::InvalidParameter`] for a parameter outside its range, [`DataError::Diverged`]
    /// if the steps are so long that the method is unstable, [`DataError::AllRejected`] if the
    /// system accepts no trajectory.
    fn simulate(&self) -> Result<Simulated, DataError>;
    /// The same with another sampling.
    ///
    /// # Errors
    /// As [`Simulate::simulate`].
    fn simulate_sampled(&self, sampling: SamplingConfig) -> Result<Simulated, DataError>;
    /// [`agreement::time`] from a state, at this time step and number of sub-steps.
    fn agreement(&self, start: &[f64], agreement: &Agreement<'_>) -> Option<f64>;
}

impl<S: System> Default for Simulation<S> {
    fn default() -> Self {
        Self { sampling: S::SAMPLING, system: S::default() }
    }
}

impl<S: System> From<Keys<S>> for Simulation<S> {
    fn from(keys: Keys<S>) -> Self {
        let default = S::SAMPLING;
        let sampling = SamplingConfig {
            n_series: keys.n_series.unwrap_or(default.n_series),
            n_steps: keys.n_steps.unwrap_or(default.n_steps),
            dt: keys.dt.unwrap_or(default.dt),
            substeps: keys.substeps.unwrap_or(default.substeps),
            burn_in: keys.burn_in.unwrap_or(default.burn_in),
            seed: keys.seed.unwrap_or(default.seed),
        };
        Self { sampling, system: keys.system }
    }
}

impl SamplingConfig {
    /// Length of one step of the numerical method.
    #[must_use]
    pub fn step(&self) -> f64 {
        self.dt / self.substeps as f64
    }

    fn check(&self) -> Result<(), DataError> {
        check_positive(&[
            ("dt", self.dt),
            ("substeps", self.substeps as f64),
            ("n_series", self.n_series as f64),
            ("n_steps", self.n_steps as f64),
        ])
    }
}

impl<S: System> Simulate for Simulation<S> {
    fn kind(&self) -> &'static str {
        S::KIND
    }

    fn describe(&self) -> String {
        let step = self.sampling.step();
        format!("{} ({}), {} step {step}", S::TITLE, self.system.parameters(), S::METHOD)
    }

    fn sampling(&self) -> &SamplingConfig {
        &self.sampling
    }

    fn lyapunov_exponent(&self) -> Option<f64> {
        self.system.lyapunov_exponent()
    }

    fn simulate(&self) -> Result<Simulated, DataError> {
        self.simulate_sampled(self.sampling)
    }

    fn simulate_sampled(&self, sampling: SamplingConfig) -> Result<Simulated, DataError> {
        sampling.check()?;
        self.system.check()?;
        let mut series = Vec::with_capacity(sampling.n_series);
        let (mut stream, mut in_a_row) = (0, 0);
        while series.len() < sampling.n_series {
            let accepted = trajectory(&self.system, &sampling, stream)?;
            stream += 1;
            if let Some(values) = accepted {
                let name = format!("{}-{}", S::KIND, series.len());
                series.push(Series::new(name, values, self.system.columns().len()));
                in_a_row = 0;
            } else {
                in_a_row += 1;
                if in_a_row == MOST_REJECTED {
                    return Err(DataError::AllRejected { system: S::TITLE, found: in_a_row });
                }
            }
        }
        let n_rejected = usize::try_from(stream).unwrap_or(usize::MAX) - series.len();
        let set = SeriesSet { columns: self.system.columns(), series, dt: Some(sampling.dt) };
        Ok(Simulated { set, n_rejected })
    }

    fn agreement(&self, start: &[f64], agreement: &Agreement<'_>) -> Option<f64> {
        agreement::time(&self.system, start, &self.sampling, agreement)
    }
}

/// The rows that start in the random state of one stream; `None` if the system rejects one.
fn trajectory<S: System>(
    system: &S,
    sampling: &SamplingConfig,
    stream: u64,
) -> Result<Option<Vec<f64>>, DataError> {
    let mut rng = ChaCha8Rng::seed_from_u64(sampling.seed);
    rng.set_stream(stream);
    let mut state = system.initial_state(&mut rng);
    let mut stepper = system.stepper(sampling.step());
    let mut rows = Vec::with_capacity(sampling.n_steps * system.columns().len());
    for step in 0..sampling.burn_in + sampling.n_steps {
        if step > 0 {
            (0..sampling.substeps).for_each(|_| stepper.step(&mut state));
        }
        if !state.iter().all(|x| x.is_finite()) {
            return Err(DataError::Diverged { system: S::TITLE, step, dt: sampling.dt });
        }
        if step >= sampling.burn_in {
            if !system.accepts(&state) {
                return Ok(None);
            }
            system.observe(&state, &mut rows);
        }
    }
    Ok(Some(rows))
}

#[cfg(test)]
mod tests {
    use super::super::Lorenz;
    use super::*;

    fn simulate(change: impl Fn(&mut SamplingConfig)) -> SeriesSet {
        let mut lorenz = Simulation::<Lorenz>::default();
        let (n_series, n_steps, burn_in, seed) = (3, 7, 2, 5);
        lorenz.sampling = SamplingConfig { n_series, n_steps, burn_in, seed, ..lorenz.sampling };
        change(&mut lorenz.sampling);
        lorenz.simulate().unwrap().set
    }

    #[test]
    fn a_series_does_not_depend_on_the_others() {
        let few = simulate(|_| ());
        let many = simulate(|sampling| sampling.n_series = 5);
        assert_eq!(few.series[..], many.series[..3]);
        assert_ne!(few.series[0].values, few.series[1].values);
        let other = simulate(|sampling| sampling.seed = 6);
        assert_ne!(few.series[0].values, other.series[0].values);
    }

    #[test]
    fn burn_in_leaves_out_the_first_steps() {
        let late = simulate(|_| ());
        let early = simulate(|sampling| (sampling.burn_in, sampling.n_steps) = (0, 9));
        assert_eq!(late.series[1].values, early.series[1].rows(2, 9));
        assert_eq!((late.dt, late.lengths()), (Some(0.01), vec![7, 7, 7]));
    }

    #[test]
    fn sub_steps_are_rows_of_a_finer_simulation() {
        let coarse = simulate(|sampling| (sampling.dt, sampling.substeps) = (0.0625, 4));
        let fine = simulate(|sampling| {
            (sampling.dt, sampling.n_steps, sampling.burn_in) = (0.015_625, 25, 8);
        });
        for row in 0..7 {
            assert_eq!(coarse.series[2].row(row), fine.series[2].row(4 * row), "row {row}");
        }
    }

    #[test]
    fn keys_that_are_not_given_are_those_of_the_system() {
        let read = |text| serde_json::from_str::<Simulation<Lorenz>>(text).unwrap();
        assert_eq!(read("{}"), Simulation::default());
        let other = read(r#"{"substeps": 10, "rho": 35}"#);
        assert_eq!(other.sampling.substeps, 10);
        assert_eq!(other.system, Lorenz { rho: 35.0, ..Lorenz::default() });
        let text = serde_json::to_string(&other).unwrap();
        assert_eq!(read(&text), other, "{text}");
    }

    #[test]
    fn wrong_parameters_are_named() {
        let message = |change: &dyn Fn(&mut Simulation<Lorenz>)| {
            let mut lorenz = Simulation::default();
            change(&mut lorenz);
            lorenz.simulate().unwrap_err().to_string()
        };
        let expected = "dt = -0.01, expected a finite number above zero";
        assert_eq!(message(&|lorenz| lorenz.sampling.dt = -0.01), expected);
        let expected = "n_series = 0, expected a finite number above zero";
        assert_eq!(message(&|lorenz| lorenz.sampling.n_series = 0), expected);
        let expected = "substeps = 0, expected a finite number above zero";
        assert_eq!(message(&|lorenz| lorenz.sampling.substeps = 0), expected);
        assert!(message(&|lorenz| lorenz.system.rho = f64::NAN).starts_with("rho = NaN"));
        let diverged = message(&|lorenz| lorenz.sampling.dt = 0.5);
        assert!(
            diverged.starts_with("the simulation of Lorenz-63 is not finite after"),
            "{diverged}"
        );
        let remedy = "steps of dt = 0.5; lower dt or raise substeps";
        assert!(diverged.ends_with(remedy), "{diverged}");
    }
}
