//! Forecasts of a user's file: one model, or several as an ensemble.
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
use crate::rollout::model_rollouts;
use crate::run_folder::RunFolder;

/// Share of the members between the lower and the upper column.
const LEVEL: f64 = 0.9;

/// What to forecast, and where to write it.
#[derive(Debug, Clone)]
pub struct PredictRequest {
    /// File whose last rows are continued.
    pub input: PathBuf,
    /// Rows to forecast for each series.
    pub horizon: usize,
    /// File to write; its extension chooses the format.
    pub output: PathBuf,
    /// Rows that the model reads, where they differ from those it was trained on.
    pub window: Option<usize>,
}

/// What was forecast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// Series continued.
    pub n_series: usize,
    /// Names of the columns written.
    pub columns: Vec<String>,
    /// Rows forecast for each series.
    pub horizon: usize,
}

/// Continues every series of a file.
///
/// With several runs every channel `c` gets the columns `c` (mean of the members), `c_lower` and
/// `c_upper` (the central 90 % of the members).
///
/// # Errors
/// [`TrainError`] if a run or the file cannot be read, the columns are not those of the model, a series
/// is shorter than a window, or the result cannot be written.
///
/// # Panics
/// If `runs` is empty.
pub fn predict(runs: &[PathBuf], request: &PredictRequest) -> Result<Prediction, TrainError> {
    assert!(!runs.is_empty(), "at least one run forecasts");
    if request.horizon == 0 {
        return Err(TrainError::OutOfRange {
            key: "horizon",
            value: "0".to_owned(),
            expected: "at least 1",
        });
    }
    let members = runs.iter().map(|run| member(run, request)).collect::<Result<Vec<_>, _>>()?;
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
    Ok(Prediction {
        n_series: forecast.series.len(),
        columns: forecast.columns,
        horizon: request.horizon,
    })
}

/// The forecast of one run, in physical units.
fn member(run: &Path, request: &PredictRequest) -> Result<SeriesSet, TrainError> {
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
    let rollouts = model_rollouts(&model, shape, &histories, request.horizon, |_| ());
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
