//! Several runs as one forecast: is the spread of the members as large as their error?
//!
//! All members start from the same rows, those of the test part of the first run or of another file, and
//! roll out freely in their own normalised units. Scores are in the normalised units of the first run.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use regard_data::window;
use serde::Serialize;

use crate::error::TrainError;
use crate::evaluate::{Rollouts, Starts};
use crate::forecast_run::read_like;
use crate::forecasting::{Forecasting, part};
use crate::metric::ensemble::{central_interval, coverage, crps, fair_crps};
use crate::metric::normalized_error::{normalized_error, rms_state};
use crate::metric::quartiles::Quartiles;
use crate::metric::valid_prediction_time::ValidPredictionTime;
use crate::model_file;
use crate::observer::Observer;
use crate::rollout::model_rollouts;
use crate::run_folder::RunFolder;

/// Threshold of the valid prediction times.
const THRESHOLD: f64 = 0.5;
/// Share of the members inside the interval whose coverage is counted.
const LEVEL: f64 = 0.9;
/// Steps at which the ensemble is scored, where the forecasts are as long.
const HORIZONS: [usize; 6] = [1, 10, 50, 100, 200, 500];

/// What the members say together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnsembleReport {
    /// The members' folders.
    pub runs: Vec<PathBuf>,
    /// What was forecast, in words.
    pub source: String,
    /// Starts of forecasts.
    pub n_starts: usize,
    /// Median valid prediction time at 0.5 of each member.
    pub member_valid_times: Vec<f64>,
    /// The same of the mean of the members.
    pub mean_valid_time: f64,
    /// Unit of both.
    pub unit: String,
    /// Scores at some horizons.
    pub at: Vec<EnsembleAt>,
}

/// Scores of an ensemble after a number of free-running steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EnsembleAt {
    /// Steps after the last input.
    pub steps: usize,
    /// Median relative error of one member, over members and starts.
    pub member_error: f64,
    /// Median relative error of the mean, over starts.
    pub mean_error: f64,
    /// Continuous ranked probability score, mean over variables and starts, normalised units.
    pub crps: f64,
    /// The same as if the members were a sample.
    pub fair_crps: f64,
    /// Share of true values inside the central 90 % of the members.
    pub coverage: f64,
}

/// Scores several runs as one ensemble, on the test part of the first or on all of another file.
///
/// # Errors
/// [`TrainError`] if a run, its data or the file cannot be read, or the columns differ.
///
/// # Panics
/// If `runs` is empty.
pub fn evaluate_ensemble(
    runs: &[PathBuf],
    data: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<EnsembleReport, TrainError> {
    let folder = RunFolder::open(&runs[0])?;
    let config = folder.forecast_config()?;
    let mut members = Vec::new();
    for run in runs {
        members.push(model_file::load(&RunFolder::open(run)?.model(), &Device::default())?);
    }
    let first = members[0].1.clone();
    for (run, (_, card)) in runs.iter().zip(&members) {
        if card.columns != first.columns {
            return Err(TrainError::RunFolder {
                folder: run.clone(),
                problem: format!(
                    "forecasts {}, the first run of the ensemble {}; give runs of the same columns",
                    card.columns.join(", "),
                    first.columns.join(", ")
                ),
            });
        }
    }
    observer.phase("preparing data", None);
    let mut prepared = Forecasting::prepare(&config, &folder.name())?;
    if let Some(path) = data {
        let set = read_like(&config, &first, path)?;
        window::check(&set, first.shape.window, first.shape.horizon)?;
        prepared.test = part(&set, &first.normalization, config.task);
        prepared.info.source = path.display().to_string();
    }
    let (test, channels) = (&prepared.test, first.shape.channels);
    let history = members.iter().map(|(_, card)| card.shape.window).max().unwrap_or(1);
    let starts = Starts::spread(test, history, config.evaluate);
    let rms = rms_state(test.truth().series.iter().map(|s| s.values.as_slice()), channels);
    let mut rollouts: Vec<Rollouts> = Vec::new();
    for (i, (model, card)) in members.iter().enumerate() {
        observer.phase(&format!("member {}", i + 1), Some(starts.steps as u64));
        let to =
            |x: &[f64]| card.normalization.norm_from_phys(&first.normalization.phys_from_norm(x));
        let back =
            |x: &[f64]| first.normalization.norm_from_phys(&card.normalization.phys_from_norm(x));
        let own: Vec<Vec<f64>> = starts.histories(test).into_iter().map(to).collect();
        let own: Vec<&[f64]> = own.iter().map(Vec::as_slice).collect();
        let found = model_rollouts(model, card.shape, &own, starts.steps, |step| {
            observer.advance(step as u64, None);
        });
        rollouts.push(found.iter().map(|r| back(r)).collect());
    }
    let truths = starts.truths(test);
    let mean = mean_of(&rollouts);
    let errors = |rollouts: &Rollouts| -> Vec<Vec<f64>> {
        let pairs = rollouts.iter().zip(&truths);
        pairs.map(|(pred, truth)| normalized_error(pred, truth, channels, rms)).collect()
    };
    let scale = prepared.info.time_scale();
    let valid =
        |errors: &[Vec<f64>]| ValidPredictionTime::of(errors, THRESHOLD, &scale).quartiles.median;
    let member_errors: Vec<Vec<Vec<f64>>> = rollouts.iter().map(errors).collect();
    let mean_errors = errors(&mean);
    let at = HORIZONS
        .into_iter()
        .filter(|&steps| steps <= starts.steps && !truths.is_empty())
        .map(|steps| {
            let row = |x: &[f64]| x[(steps - 1) * channels..steps * channels].to_vec();
            let (mut sum, mut fair, mut n) = (0.0, 0.0, 0.0);
            let (mut intervals, mut values) = (Vec::new(), Vec::new());
            for (start, truth) in truths.iter().enumerate() {
                for (channel, y) in row(truth).into_iter().enumerate() {
                    let at: Vec<f64> = rollouts.iter().map(|r| row(&r[start])[channel]).collect();
                    sum += crps(&at, y);
                    fair += if at.len() > 1 { fair_crps(&at, y) } else { crps(&at, y) };
                    n += 1.0;
                    intervals.push(central_interval(&at, LEVEL));
                    values.push(y);
                }
            }
            let median = |errors: Vec<f64>| Quartiles::of(&errors).median;
            EnsembleAt {
                steps,
                member_error: median(
                    member_errors.iter().flatten().map(|e| e[steps - 1]).collect(),
                ),
                mean_error: median(mean_errors.iter().map(|e| e[steps - 1]).collect()),
                crps: sum / n,
                fair_crps: fair / n,
                coverage: coverage(&intervals, &values),
            }
        })
        .collect();
    Ok(EnsembleReport {
        runs: runs.to_vec(),
        source: prepared.info.source.clone(),
        n_starts: truths.len(),
        member_valid_times: member_errors.iter().map(|e| valid(e)).collect(),
        mean_valid_time: valid(&mean_errors),
        unit: scale.unit().to_owned(),
        at,
    })
}

/// The mean of the members at every step of every start.
fn mean_of(rollouts: &[Rollouts]) -> Rollouts {
    let k = rollouts.len() as f64;
    let starts = 0..rollouts[0].len();
    starts
        .map(|start| {
            let steps = 0..rollouts[0][start].len();
            steps.map(|i| rollouts.iter().map(|r| r[start][i]).sum::<f64>() / k).collect()
        })
        .collect()
}

impl EnsembleReport {
    /// The report as text, as `regard evaluate` prints it.
    #[must_use]
    pub fn text(&self) -> String {
        use std::fmt::Write;
        let mut out = format!(
            "{} members · {} starts · {}\n\nvalid prediction time at {THRESHOLD}, {}: mean of the members \
             {:.2}, members {}\n\nsteps  one member  mean of all      CRPS  fair CRPS  inside 90 %\n",
            self.runs.len(),
            self.n_starts,
            self.source,
            self.unit,
            self.mean_valid_time,
            self.member_valid_times
                .iter()
                .map(|t| format!("{t:.2}"))
                .collect::<Vec<_>>()
                .join(", ")
        );
        for at in &self.at {
            let _ = writeln!(
                out,
                "{:5}  {:10.3e}  {:11.3e}  {:8.2e}   {:8.2e}  {:9.0} %",
                at.steps,
                at.member_error,
                at.mean_error,
                at.crps,
                at.fair_crps,
                100.0 * at.coverage
            );
        }
        let k = self.runs.len() as f64;
        let _ = writeln!(
            out,
            "\nMedian relative errors over the starts; CRPS in standardised units, mean over variables and \
             starts. Inside: share of\ntrue values in the central 90 % of the members; {:.0} % would be right \
             for {} members of the law of the truth.",
            100.0 * LEVEL * (k - 1.0) / (k + 1.0),
            self.runs.len()
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_taken_step_by_step() {
        let members = [vec![vec![1.0, 2.0], vec![0.0]], vec![vec![3.0, 6.0], vec![1.0]]];
        assert_eq!(mean_of(&members), [vec![2.0, 4.0], vec![0.5]]);
    }
}
