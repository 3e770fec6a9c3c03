//! From a configuration to normalised series, split, with their windows.

use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use regard_data::normalize::Normalization;
use regard_data::simulate::SamplingConfig;
use regard_data::simulate::agreement::{Against, Agreement};
use regard_data::split::{Split, SplitConfig};
use regard_data::window::{self, WindowIndex};
use regard_data::{DataError, Series, SeriesSet, file};
use regard_nn::model::ForecastShape;

use crate::error::TrainError;
use crate::forecast_config::{
    DataConfig, DataSource, ForecastConfig, NoiseConfig, TaskConfig, TestSeries,
};
use crate::metric::normalized_error::rms_state;
use crate::precision::{Precision, tensor};
use crate::report::{Ceiling, DataInfo, SplitInfo};

/// States that the ceiling of the valid prediction time is a median over.
const CEILING_STARTS: usize = 5;
/// Rows that are looked ahead for it, at least.
const CEILING_STEPS: usize = 4000;
/// Error that ends a valid forecast there.
const CEILING_THRESHOLD: f64 = 0.5;

/// One part of the data in normalised units, with its windows.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// What a method may see.
    pub(crate) set: SeriesSet,
    /// What forecasts are compared with, where that is not what was seen: rows without noise.
    pub(crate) truth: Option<SeriesSet>,
    pub(crate) windows: WindowIndex,
}

/// Everything a forecaster is trained and scored on.
#[derive(Debug, Clone)]
pub(crate) struct Forecasting {
    pub(crate) shape: ForecastShape,
    pub(crate) train: Part,
    pub(crate) validation: Part,
    pub(crate) test: Part,
    pub(crate) normalization: Normalization,
    pub(crate) info: DataInfo,
}

/// Series as read, before splitting.
pub(crate) struct Source {
    pub(crate) set: SeriesSet,
    /// Series that are only scored.
    pub(crate) test: Option<SeriesSet>,
    pub(crate) lyapunov_exponent: Option<f64>,
    pub(crate) description: String,
}

/// Reads or simulates what the configuration names.
pub(crate) fn source(config: &ForecastConfig, origin: &str) -> Result<Source, TrainError> {
    let Some(data) = &config.data else {
        return Err(TrainError::NoData { origin: origin.to_owned() });
    };
    let (simulation, test) = match data.source() {
        DataSource::File(data) => {
            return Ok(Source {
                set: file::read(&data.path, &data.options)?,
                test: None,
                lyapunov_exponent: data.lyapunov_exponent,
                description: data.path.display().to_string(),
            });
        }
        DataSource::Simulation(simulation, test) => (simulation, *test),
    };
    let TestSeries { n_series, n_steps, seed } = test;
    let test = SamplingConfig { n_series, n_steps, seed, ..*simulation.sampling() };
    Ok(Source {
        set: simulation.simulate()?.set,
        test: Some(simulation.simulate_sampled(test)?.set),
        lyapunov_exponent: simulation.lyapunov_exponent(),
        description: simulation.describe(),
    })
}

impl Forecasting {
    /// Reads or simulates, splits and normalises.
    ///
    /// # Errors
    /// If there is no data, it cannot be read, or a part is too short for one window.
    pub(crate) fn prepare(config: &ForecastConfig, origin: &str) -> Result<Self, TrainError> {
        let source = source(config, origin)?;
        let TaskConfig { window, horizon, .. } = config.task;
        window::check(&source.set, window, horizon)?;
        let Split { train, validation, test } =
            split(&config.split, &source.set, source.test.is_some(), window, horizon)?;
        let test = source.test.unwrap_or(test);
        if validation.series.is_empty() || test.series.is_empty() {
            let (key, value) = if test.series.is_empty() {
                ("split", "no test part")
            } else {
                ("split.validation", "0")
            };
            let value = value.to_owned();
            let expected = "fractions that leave something to validate and to test on";
            return Err(TrainError::OutOfRange { key, value, expected });
        }
        for part in [&train, &validation, &test] {
            window::check(part, window, horizon)?;
        }
        // Noise is an observer's: it falls on what is seen, not on what forecasts are held against.
        let clean = config.noise.is_some().then(|| test.clone());
        let [train, validation, test] = match config.noise {
            None => [train, validation, test],
            Some(noise) => {
                let std = Normalization::fit(&train).std;
                let [train, validation] =
                    [(train, 0), (validation, 1)].map(|(set, i)| noise.observe(set, &std, i));
                let test = if noise.starts { noise.observe(test, &std, 2) } else { test };
                [train, validation, test]
            }
        };
        let normalization = Normalization::fit(&train);
        let channels = train.channels();
        let shape = ForecastShape { window, horizon, channels };
        // The loss may look several forecasts ahead.
        let ahead = TaskConfig { horizon: horizon * config.fit.rollout.steps, ..config.task };
        for set in [&train, &validation] {
            window::check(set, ahead.window, ahead.horizon)?;
        }
        let part = |set: &SeriesSet, task| part(set, &normalization, task);
        let (train, validation) = (part(&train, ahead), part(&validation, ahead));
        let mut test = part(&test, config.task);
        test.truth = clean.map(|set| normalized(&set, &normalization));
        let ceiling = ceiling(config, &test, &normalization);
        let info = DataInfo {
            ceiling,
            source: source.description,
            columns: train.set.columns.clone(),
            dt: train.set.dt,
            lyapunov_exponent: source.lyapunov_exponent,
            train: train.info(),
            validation: validation.info(),
            test: test.info(),
        };
        Ok(Self { shape, train, validation, test, normalization, info })
    }
}

/// How long the truth agrees with other computations of itself, from states of the test part.
fn ceiling(config: &ForecastConfig, test: &Part, normalization: &Normalization) -> Option<Ceiling> {
    let Some(DataSource::Simulation(simulation, _)) = config.data.as_ref().map(DataConfig::source)
    else {
        return None;
    };
    // Without chaos nothing grows, and a signal that is a formula has no state to start from.
    simulation.lyapunov_exponent().filter(|exponent| *exponent > 0.0)?;
    let truth = test.truth();
    let rms = rms_state(truth.series.iter().map(|s| s.values.as_slice()), truth.channels());
    let difference = |a: &[f64], b: &[f64]| {
        let terms = a.iter().zip(b).zip(&normalization.std);
        terms.map(|((a, b), std)| ((a - b) / std).powi(2)).sum::<f64>().sqrt() / rms
    };
    let series = truth.series.first()?;
    let max_steps = config.evaluate.steps.max(CEILING_STEPS);
    let median = |against| {
        let mut times: Vec<f64> = (0..CEILING_STARTS)
            .map(|i| {
                let row = series.row(i * (series.steps() - 1) / CEILING_STARTS);
                let start = normalization.phys_from_norm(row);
                let threshold = CEILING_THRESHOLD;
                let agreement =
                    Agreement { against, difference: &difference, threshold, max_steps };
                simulation.agreement(&start, &agreement).unwrap_or(f64::INFINITY)
            })
            .collect();
        times.sort_by(f64::total_cmp);
        Some(times[CEILING_STARTS / 2]).filter(|t| t.is_finite())
    };
    Some(Ceiling {
        threshold: CEILING_THRESHOLD,
        half_step: median(Against::HalfStep),
        single_precision: median(Against::SinglePrecision),
        searched: max_steps as f64 * simulation.sampling().dt,
    })
}

/// With series of its own to score, the fractions share the rest.
fn split(
    config: &SplitConfig,
    set: &SeriesSet,
    has_test: bool,
    window: usize,
    horizon: usize,
) -> Result<Split, DataError> {
    let whole = |train: f64, validation: f64| {
        if has_test {
            (train / (train + validation), validation / (train + validation))
        } else {
            (train, validation)
        }
    };
    let config = match *config {
        SplitConfig::Series { train, validation, seed } => {
            let (train, validation) = whole(train, validation);
            SplitConfig::Series { train, validation, seed }
        }
        SplitConfig::Time { train, validation } => {
            let (train, validation) = whole(train, validation);
            SplitConfig::Time { train, validation }
        }
    };
    config.split(set, window, horizon)
}

/// Normalises a set and indexes its windows.
pub(crate) fn part(set: &SeriesSet, normalization: &Normalization, task: TaskConfig) -> Part {
    let windows = WindowIndex::new(&set.lengths(), task.window, task.horizon);
    Part { set: normalized(set, normalization), truth: None, windows }
}

fn normalized(set: &SeriesSet, normalization: &Normalization) -> SeriesSet {
    let series = set
        .series
        .iter()
        .map(|s| Series::new(s.name.clone(), normalization.norm_from_phys(&s.values), s.channels))
        .collect();
    SeriesSet { columns: set.columns.clone(), series, dt: set.dt }
}

impl NoiseConfig {
    /// Adds noise to every row; `stream` keeps the parts of the data apart.
    fn observe(self, mut set: SeriesSet, deviations: &[f64], stream: u64) -> SeriesSet {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        for series in &mut set.series {
            for row in series.values.chunks_exact_mut(deviations.len()) {
                for (x, deviation) in row.iter_mut().zip(deviations) {
                    let noise: f64 = StandardNormal.sample(&mut rng);
                    *x += self.std * deviation * noise;
                }
            }
        }
        set
    }
}

impl Part {
    /// What forecasts are compared with.
    pub(crate) fn truth(&self) -> &SeriesSet {
        self.truth.as_ref().unwrap_or(&self.set)
    }

    pub(crate) fn info(&self) -> SplitInfo {
        SplitInfo {
            n_series: self.set.series.len(),
            n_steps: self.set.n_steps(),
            n_windows: self.windows.len(),
        }
    }

    /// Inputs `[batch, window, channels]` and targets `[batch, horizon, channels]`.
    pub(crate) fn batch(
        &self,
        indices: &[usize],
        device: &Device,
        precision: Precision,
    ) -> [Tensor<3>; 2] {
        let channels = self.set.channels();
        let (inputs, targets) = self.windows.gather(&self.set, indices);
        let n = indices.len();
        [
            tensor(&inputs, [n, self.windows.window(), channels], device, precision),
            tensor(&targets, [n, self.windows.horizon(), channels], device, precision),
        ]
    }
}
