//! Forecasts of a user's file, by one model or several as an ensemble; what an operator makes of functions.
//!
//! ```text
//! mean = (1/k) Σ_i x̂_i        lower, upper = quantiles 5 % and 95 % of x̂_1 … x̂_k, linear between them
//! ```
//!
//! Members differ in their seed, their data or their model; each works in its own normalised units,
//! and they meet in physical ones.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use regard_data::{Series, SeriesSet, file, window};

use crate::error::TrainError;
use crate::forecast_run::read_to_continue;
use crate::metric::ensemble::central_interval;
use crate::model_file;
use crate::operator;
use crate::rollout::model_rollouts;
use crate::run_config::RunConfig;
use crate::run_folder::RunFolder;

/// Share of the members between the lower and the upper column.
const LEVEL: f64 = 0.9;

/// What to predict, and where to write it.
#[derive(Debug, Clone, Default)]
pub struct PredictRequest {
    /// File whose last rows are continued, or archive of the functions that an operator reads.
    pub input: PathBuf,
    /// File to write; its extension chooses the format.
    pub output: PathBuf,
    /// Rows to forecast for each series.
    pub horizon: Option<usize>,
    /// Rows that a forecaster reads, where they differ from those it was trained on.
    pub window: Option<usize>,
    /// File of places at which the results of an operator are wanted; its own points if absent.
    pub points: Option<PathBuf>,
    /// The array of the functions that an operator reads; `input` if absent.
    pub array: Option<String>,
}

/// What was predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prediction {
    /// Series were continued.
    Series {
        /// Their number.
        n_series: usize,
        /// Names of the columns written.
        columns: Vec<String>,
        /// Rows forecast for each series.
        horizon: usize,
    },
    /// An operator was applied.
    Functions {
        /// Number of functions.
        functions: usize,
        /// Names of the channels written.
        columns: Vec<String>,
        /// Places of each function.
        places: usize,
        /// Whether the places lie between points that the model answers at.
        interpolated: bool,
    },
}

impl PredictRequest {
    /// Refuses what only a forecast has.
    pub(crate) fn refuse_steps(&self) -> Result<(), TrainError> {
        for (key, given) in [("horizon", self.horizon), ("window", self.window)] {
            if let Some(value) = given {
                let expected = "nothing: the run learns an operator between functions";
                return Err(TrainError::OutOfRange { key, value: value.to_string(), expected });
            }
        }
        Ok(())
    }

    /// The steps of a forecast; refuses what only an operator has.
    fn steps(&self) -> Result<usize, TrainError> {
        let points = self.points.as_ref().map(|path| path.display().to_string());
        for (key, given) in [("points", points), ("array", self.array.clone())] {
            if let Some(value) = given {
                let expected = "nothing: the run continues series";
                return Err(TrainError::OutOfRange { key, value, expected });
            }
        }
        match self.horizon {
            Some(steps) if steps > 0 => Ok(steps),
            found => Err(TrainError::OutOfRange {
                key: "horizon",
                value: found.map_or("none".to_owned(), |steps| steps.to_string()),
                expected: "at least 1",
            }),
        }
    }
}

/// Continues every series of a file, or applies an operator to every function of an archive.
///
/// With several runs every channel `c` of a series gets the columns `c` (mean of the members),
/// `c_lower` and `c_upper` (the central 90 % of the members).
///
/// # Errors
/// [`TrainError`] if a run or the file cannot be read, the columns are not those of the model, a series
/// is shorter than a window, or the result cannot be written.
///
/// # Panics
/// If `runs` is empty.
pub fn predict(runs: &[PathBuf], request: &PredictRequest) -> Result<Prediction, TrainError> {
    assert!(!runs.is_empty(), "at least one run predicts");
    for run in runs {
        let folder = RunFolder::open(run)?;
        if let RunConfig::Operator(config) = folder.config()? {
            if runs.len() > 1 {
                return Err(folder.error(
                    "learns an operator: several runs make an ensemble of forecasts; give this one alone",
                ));
            }
            return operator::predict(&folder, &config, request);
        }
    }
    let horizon = request.steps()?;
    let member = |run: &PathBuf| member(run, request, horizon);
    let members = runs.iter().map(member).collect::<Result<Vec<_>, _>>()?;
    for (run, other) in runs.iter().zip(&members) {
        other.check_columns(&members[0].columns).map_err(|source| TrainError::Member {
            run: run.clone(),
            first: runs[0].clone(),
            source: Box::new(source),
        })?;
    }
    let forecast = match &members[..] {
        [one] => one.clone(),
        _ => ensemble(&members),
    };
    file::write(&request.output, &forecast)?;
    let n_series = forecast.series.len();
    Ok(Prediction::Series { n_series, columns: forecast.columns, horizon })
}

/// The forecast of one run, in physical units.
fn member(run: &Path, request: &PredictRequest, horizon: usize) -> Result<SeriesSet, TrainError> {
    let folder = RunFolder::open(run)?;
    let config = folder.forecast_config()?;
    let (mut model, card) = model_file::load(&folder.model(), &Device::default())?;
    let mut shape = card.shape;
    if let Some(window) = request.window {
        model = model.resized(window)?;
        shape.window = window;
    }
    let set = read_to_continue(&config, &card, &request.input)?;
    window::check_inputs(&set, shape.window)?;
    let normalized: Vec<Vec<f64>> =
        set.series.iter().map(|s| card.normalization.norm_from_phys(&s.values)).collect();
    let histories: Vec<&[f64]> = normalized.iter().map(Vec::as_slice).collect();
    let rollouts = model_rollouts(&model, shape, &histories, horizon, |_| ());
    let series = set
        .series
        .iter()
        .zip(rollouts)
        .map(|(s, r)| {
            Series::new(s.name.clone(), card.normalization.phys_from_norm(&r), s.channels)
        })
        .collect();
    Ok(SeriesSet { columns: set.columns, series, dt: set.dt })
}

/// Mean and interval of members that forecast the same series.
fn ensemble(members: &[SeriesSet]) -> SeriesSet {
    let first = &members[0];
    let columns = first
        .columns
        .iter()
        .flat_map(|c| [c.clone(), format!("{c}_lower"), format!("{c}_upper")])
        .collect();
    let series = first
        .series
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let mut values = Vec::with_capacity(3 * s.values.len());
            for k in 0..s.values.len() {
                let at: Vec<f64> = members.iter().map(|m| m.series[i].values[k]).collect();
                let (lower, upper) = central_interval(&at, LEVEL);
                values.extend([at.iter().sum::<f64>() / at.len() as f64, lower, upper]);
            }
            Series::new(s.name.clone(), values, 3 * s.channels)
        })
        .collect();
    SeriesSet { columns, series, dt: first.dt }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ensemble_is_mean_and_interval_of_its_members() {
        let members: Vec<SeriesSet> = (0..21)
            .map(|i| SeriesSet {
                columns: vec!["x".to_owned()],
                series: vec![Series::new("s", vec![f64::from(i), 7.0], 1)],
                dt: Some(0.5),
            })
            .collect();
        let forecast = ensemble(&members);
        assert_eq!(forecast.columns, ["x", "x_lower", "x_upper"]);
        for (found, expected) in
            forecast.series[0].values.iter().zip([10.0, 1.0, 19.0, 7.0, 7.0, 7.0])
        {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    }
}
