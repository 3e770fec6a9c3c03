//! The file of a run that learns to forecast.
//!
//! Every key has a default but the data, so a file of three lines is a valid configuration.

use std::path::{Path, PathBuf};

use regard_data::file::ReadOptions;
use regard_data::simulate::{
    KuramotoSivashinsky, Lorenz, Lorenz96, Reactor, Rossler, ShearFlow, Simulate, Simulation,
    Sinusoids, System, VanDerPol,
};
use regard_data::split::SplitConfig;
use regard_nn::mechanism::{EasyConfig, MechanismConfig, TimeMatrix};
use regard_nn::model::{ForecasterConfig, ModelConfig, Readout};
use serde::{Deserialize, Serialize};

use crate::classical::BaselinesConfig;
use crate::error::{TrainError, nearest};
use crate::fit::FitConfig;
use crate::optimizer::OptimizerConfig;
use crate::precision::Precision;
use crate::run_config::{RunConfig, TaskFile, check_section};

/// A run that learns to forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForecastConfig {
    /// Heading of the report.
    pub title: String,
    /// Seed of the parameters and of the order of batches.
    pub seed: u64,
    /// Type of the model's numbers, in training and in forecasts.
    pub precision: Precision,
    /// Where the numbers come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<DataConfig>,
    /// Noise added to what is seen; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseConfig>,
    /// Which part trains, validates, and is scored.
    pub split: SplitConfig,
    /// What is forecast from what.
    pub task: TaskConfig,
    /// The model.
    pub model: ModelConfig,
    /// How it is trained.
    pub fit: FitConfig,
    /// How it is scored.
    pub evaluate: EvaluateConfig,
    /// Methods without gradients beside it; by default with as many lags as the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baselines: Option<BaselinesConfig>,
}

/// Where the numbers come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum DataConfig {
    /// Simulated Lorenz-63 trajectories.
    Lorenz(SimulatedData<Lorenz>),
    /// Simulated Rössler trajectories.
    Rossler(SimulatedData<Rossler>),
    /// Simulated Lorenz-96 trajectories.
    Lorenz96(SimulatedData<Lorenz96>),
    /// Simulated fields of the Kuramoto–Sivashinsky equation.
    KuramotoSivashinsky(SimulatedData<KuramotoSivashinsky>),
    /// Simulated van der Pol trajectories.
    VanDerPol(SimulatedData<VanDerPol>),
    /// Simulated amplitudes of the nine-equation shear flow.
    ShearFlow(SimulatedData<ShearFlow>),
    /// Simulated trajectories of a boiling-water reactor.
    Reactor(SimulatedData<Reactor>),
    /// Sums of sinusoids.
    Sinusoids(SimulatedData<Sinusoids>),
    /// A table or array on disk.
    File(FileData),
}

/// Simulated trajectories to learn from, and others to score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(
    serialize = "S: System + Serialize",
    deserialize = "S: System + serde::de::DeserializeOwned"
))]
pub struct SimulatedData<S: System> {
    /// Trajectories to train and validate on; the keys stand in `[data]` itself.
    #[serde(flatten)]
    pub simulation: Simulation<S>,
    /// Trajectories to score; same system and time step.
    pub test: TestSeries,
}

/// How many trajectories to score, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TestSeries {
    /// Number of trajectories.
    pub n_series: usize,
    /// Steps of each.
    pub n_steps: usize,
    /// Seed of the initial states; must differ from that of the training series.
    pub seed: u64,
}

/// A file, and how to read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileData {
    /// CSV, TSV, Parquet, NPZ or NPY.
    pub path: PathBuf,
    /// Largest Lyapunov exponent per unit of time, if known: the unit of valid prediction times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lyapunov_exponent: Option<f64>,
    /// Columns, id column, array, missing values; the keys stand in `[data]` itself.
    #[serde(flatten)]
    pub options: ReadOptions,
}

/// Gaussian observation noise, to study how methods bear it: training, validation and the rows that
/// a forecast starts from have it, the rows that a forecast is compared with have not.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseConfig {
    /// Standard deviation, as a share of each variable's own over the training part.
    pub std: f64,
    /// Seed of the noise.
    #[serde(default)]
    pub seed: u64,
    /// Whether the rows that test forecasts start from have it, too.
    #[serde(default = "yes")]
    pub starts: bool,
}

fn yes() -> bool {
    true
}

/// What is forecast from what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskConfig {
    /// The task, in the file of a run.
    pub kind: ForecastKind,
    /// Steps given.
    pub window: usize,
    /// Steps forecast at once.
    pub horizon: usize,
}

/// The name of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForecastKind {
    /// Values that follow.
    #[default]
    Forecast,
}

/// How a model is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateConfig {
    /// Free-running forecasts, from starts spread evenly over the test part.
    pub rollouts: usize,
    /// Steps of each; fewer if the test series are shorter.
    pub steps: usize,
}

impl Default for TestSeries {
    fn default() -> Self {
        Self { n_series: 25, n_steps: 2500, seed: 2 }
    }
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self { kind: ForecastKind::Forecast, window: 32, horizon: 1 }
    }
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self { rollouts: 100, steps: 500 }
    }
}

impl Default for ForecastConfig {
    fn default() -> Self {
        Self {
            title: "Forecast".to_owned(),
            seed: 0,
            precision: Precision::F32,
            data: None,
            noise: None,
            split: SplitConfig::Time { train: 0.7, validation: 0.15 },
            task: TaskConfig::default(),
            model: ModelConfig::Forecaster(ForecasterConfig {
                d_model: 64,
                d_ff: 128,
                n_layers: 2,
                readout: Readout::Increment,
                time_maps: TimeMatrix::default(),
                mechanism: MechanismConfig::Easy(EasyConfig::new(4)),
            }),
            fit: FitConfig::default(),
            evaluate: EvaluateConfig::default(),
            baselines: None,
        }
    }
}

/// Names of sources, simulated ones first.
const SOURCES: &[&str] = &[
    Lorenz::KIND,
    Rossler::KIND,
    Lorenz96::KIND,
    KuramotoSivashinsky::KIND,
    VanDerPol::KIND,
    ShearFlow::KIND,
    Reactor::KIND,
    Sinusoids::KIND,
    "file",
];

/// Keys of `[data]` for each source; flattened sections cannot refuse unknown keys themselves.
/// Of a simulated system they are those of `[data]` that it shares with the others, and its own.
const SAMPLING_KEYS: &[&str] =
    &["source", "n_series", "n_steps", "dt", "substeps", "burn_in", "seed", "test"];
const SYSTEM_KEYS: &[(&str, &[&str])] = &[
    (Lorenz::KIND, &["sigma", "rho", "beta"]),
    (Rossler::KIND, &["a", "b", "c"]),
    (Lorenz96::KIND, &["n_variables", "forcing"]),
    (KuramotoSivashinsky::KIND, &["length", "n_points"]),
    (VanDerPol::KIND, &["mu"]),
    (ShearFlow::KIND, &["reynolds", "length_x", "length_z"]),
    (Reactor::KIND, &["gain"]),
    (Sinusoids::KIND, &["amplitudes", "frequencies", "phases", "max_start"]),
];
const FILE_KEYS: &[&str] = &[
    "source",
    "path",
    "lyapunov_exponent",
    "columns",
    "id_column",
    "time_column",
    "array",
    "missing",
];

/// Where the numbers come from, whatever the system.
pub enum DataSource<'a> {
    /// A table or array on disk.
    File(&'a FileData),
    /// A simulation, and the series of it that are scored.
    Simulation(&'a dyn Simulate, &'a TestSeries),
}

impl DataConfig {
    /// The file or the simulation.
    #[must_use]
    pub fn source(&self) -> DataSource<'_> {
        fn simulated<S: System>(data: &SimulatedData<S>) -> DataSource<'_> {
            DataSource::Simulation(&data.simulation, &data.test)
        }
        match self {
            Self::Lorenz(data) => simulated(data),
            Self::Rossler(data) => simulated(data),
            Self::Lorenz96(data) => simulated(data),
            Self::KuramotoSivashinsky(data) => simulated(data),
            Self::VanDerPol(data) => simulated(data),
            Self::ShearFlow(data) => simulated(data),
            Self::Reactor(data) => simulated(data),
            Self::Sinusoids(data) => simulated(data),
            Self::File(data) => DataSource::File(data),
        }
    }
}

impl ForecastConfig {
    /// As [`RunConfig::load`], for a run that learns to forecast.
    ///
    /// # Errors
    /// As [`RunConfig::load`]; [`TrainError::OtherTask`] for a run of another task.
    pub fn load(spec: &str, set: &[String]) -> Result<Self, TrainError> {
        RunConfig::load(spec, set)?.forecast()
    }

    /// As [`RunConfig::parse`], for a run that learns to forecast.
    ///
    /// # Errors
    /// As [`ForecastConfig::load`].
    pub fn parse(origin: &str, text: &str, set: &[String]) -> Result<Self, TrainError> {
        RunConfig::parse(origin, text, set)?.forecast()
    }

    /// Takes the numbers from a file instead; keys of a file source stay.
    pub(crate) fn use_data_file(&mut self, path: &Path) {
        let path = path.to_owned();
        if let Some(DataConfig::File(file)) = &mut self.data {
            file.path = path;
            return;
        }
        let file = FileData { path, lyapunov_exponent: None, options: ReadOptions::default() };
        self.data = Some(DataConfig::File(file));
    }
}

impl TaskFile for ForecastConfig {
    fn title_mut(&mut self) -> &mut String {
        &mut self.title
    }

    fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match &mut self.data {
            Some(DataConfig::File(file)) => Some(&mut file.path),
            _ => None,
        }
    }

    fn check_keys(origin: &str, table: &toml::Table) -> Result<(), TrainError> {
        check_data_keys(origin, table)
    }

    fn check(&self) -> Result<(), TrainError> {
        self.fit.check()?;
        if matches!(self.fit.optimizer, OptimizerConfig::ClosedForm(_))
            && !matches!(self.model, ModelConfig::Lifted(_))
        {
            let found = crate::registry::name_of(&self.model);
            return Err(TrainError::NotLinear { found });
        }
        let positive = |key, value: usize| {
            if value > 0 {
                return Ok(());
            }
            Err(TrainError::OutOfRange { key, value: value.to_string(), expected: "at least 1" })
        };
        positive("task.window", self.task.window)?;
        positive("task.horizon", self.task.horizon)?;
        positive("evaluate.rollouts", self.evaluate.rollouts)?;
        positive("evaluate.steps", self.evaluate.steps)?;
        if let Some(noise) = self.noise
            && !(noise.std > 0.0 && noise.std.is_finite())
        {
            let expected = "a positive number; leave [noise] out for none";
            return Err(TrainError::OutOfRange {
                key: "noise.std",
                value: noise.std.to_string(),
                expected,
            });
        }
        if let Some(DataSource::Simulation(simulation, test)) =
            self.data.as_ref().map(DataConfig::source)
            && test.seed == simulation.sampling().seed
        {
            return Err(TrainError::OutOfRange {
                key: "data.test.seed",
                value: test.seed.to_string(),
                expected: "another seed than data.seed, so that no series is both trained on and scored",
            });
        }
        Ok(())
    }
}

/// Refuses unknown keys of `[data]`, and a missing `source`.
fn check_data_keys(origin: &str, table: &toml::Table) -> Result<(), TrainError> {
    let Some(data) = table.get("data") else { return Ok(()) };
    let error = |message| Err(TrainError::Config { origin: origin.to_owned(), message });
    let Some(data) = data.as_table() else {
        return error("data is not a section; write [data] and its keys below".to_owned());
    };
    let quoted = || SOURCES.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(", ");
    let known = match data.get("source").and_then(toml::Value::as_str) {
        Some("file") => FILE_KEYS.to_vec(),
        Some(source) => match SYSTEM_KEYS.iter().find(|(kind, _)| *kind == source) {
            Some((_, own)) => [SAMPLING_KEYS, *own].concat(),
            None => {
                return error(format!(
                    "data.source = \"{source}\"{}; known: {}",
                    nearest(source, SOURCES),
                    quoted()
                ));
            }
        },
        None => return error(format!("data.source is missing; use one of {}", quoted())),
    };
    check_section(origin, "data", data, &known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_simulated_source_has_the_keys_of_its_system() {
        for (source, own) in SYSTEM_KEYS {
            let text = format!("[data]\nsource = \"{source}\"\n[data.test]\nseed = 9\n");
            let run = RunConfig::parse("my.toml", &text, &[]).unwrap();
            let config = run.clone().forecast().unwrap();
            let DataSource::Simulation(simulation, _) = config.data.as_ref().unwrap().source()
            else {
                panic!("{source} is simulated");
            };
            assert_eq!(simulation.kind(), *source);
            // What is written has every key and reads back.
            let written = run.to_toml();
            assert_eq!(RunConfig::parse("run.toml", &written, &[]).unwrap(), run);
            let table: toml::Table = toml::from_str(&written).unwrap();
            let found: Vec<&str> =
                table["data"].as_table().unwrap().keys().map(String::as_str).collect();
            for key in SAMPLING_KEYS.iter().chain(*own) {
                assert!(found.contains(key), "{source} has no {key}: {found:?}");
            }
            assert_eq!(found.len(), SAMPLING_KEYS.len() + own.len(), "{source}: {found:?}");
        }
        assert_eq!(SOURCES.len(), SYSTEM_KEYS.len() + 1);
    }
}
