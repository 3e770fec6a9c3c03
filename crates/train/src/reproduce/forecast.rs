//! Studies of forecasts: a preset per system, a row per model, valid prediction times.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::seeds::{Variant, each_seed};
use super::{Claim, ReproduceOptions, median};
use crate::error::TrainError;
use crate::observer::Observer;
use crate::report::{Report, ScoreRow};
use crate::run_config::RunConfig;

/// Threshold of the valid prediction times in tables and verdicts.
pub(crate) const THRESHOLD: f64 = 0.5;

/// A paper's experiments with forecasts as we can run them.
#[derive(Debug)]
pub struct ForecastStudy {
    /// Name on the command line.
    pub name: &'static str,
    /// Heading of the results.
    pub title: &'static str,
    /// What can and what cannot be compared with the paper.
    pub preface: &'static str,
    pub(super) experiments: &'static [Experiment],
    pub(super) claims: fn(&Results) -> Vec<Claim>,
}

/// One system or signal.
#[derive(Debug)]
pub(super) struct Experiment {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) preset: &'static str,
    /// Changes for the quick form, beside a single seed.
    pub(super) quick: &'static [&'static str],
    pub(super) rows: &'static [Row],
}

/// One model of an experiment.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) label: &'static str,
    /// A preset of its own; that of the experiment by default.
    pub(super) preset: Option<&'static str>,
    /// A model by name in place of the preset's.
    pub(super) model: Option<&'static str>,
    /// Whether seeds change anything.
    pub(super) seeded: bool,
}

/// What came out.
#[derive(Debug, Serialize)]
pub struct Results {
    /// Name of the study.
    pub study: String,
    /// Command that made it.
    pub command: String,
    /// Version of the program.
    pub version: String,
    /// Device, in words.
    pub device: String,
    /// Whether small budgets were used.
    pub quick: bool,
    /// Time of everything, in seconds; runs taken from an earlier call not counted.
    pub seconds: f64,
    /// One entry per system.
    pub experiments: Vec<ExperimentResult>,
    /// One entry per claim of the paper.
    pub claims: Vec<Claim>,
}

/// What came out of one experiment.
#[derive(Debug, Serialize)]
pub struct ExperimentResult {
    /// Name, also of its folder.
    pub name: String,
    /// Heading.
    pub title: String,
    /// Trained rows, then baselines.
    pub rows: Vec<RowResult>,
}

/// A method with all its seeds.
#[derive(Debug, Serialize)]
pub struct RowResult {
    /// Name of the method.
    pub label: String,
    /// Whether it is one of the baselines without gradients.
    pub is_baseline: bool,
    /// One score per seed.
    pub scores: Vec<ScoreRow>,
    /// Validation loss per seed; empty for a baseline.
    pub validation: Vec<Option<f64>>,
    /// Seconds of training per seed; empty for a baseline.
    pub seconds: Vec<f64>,
    /// Unit of the valid prediction times.
    pub unit: String,
    /// Folders of the runs; empty for a baseline.
    pub runs: Vec<PathBuf>,
}

/// Runs a study; a folder per run lies below `options.out`.
///
/// # Errors
/// As [`crate::train`].
pub(super) fn run(
    study: &ForecastStudy,
    options: &ReproduceOptions,
    observer: &mut dyn Observer,
) -> Result<Results, TrainError> {
    let start = Instant::now();
    let mut experiments = Vec::new();
    for experiment in study.experiments {
        experiments.push(experiment.run(options, observer)?);
    }
    let device = format!("CPU, {} threads", rayon::current_num_threads());
    let mut results = Results {
        study: study.name.to_owned(),
        command: options.command.clone(),
        version: options.version.clone(),
        device,
        quick: options.quick,
        seconds: start.elapsed().as_secs_f64(),
        experiments,
        claims: Vec::new(),
    };
    results.claims = (study.claims)(&results);
    Ok(results)
}

impl Experiment {
    fn run(
        &self,
        options: &ReproduceOptions,
        observer: &mut dyn Observer,
    ) -> Result<ExperimentResult, TrainError> {
        let mut rows = Vec::new();
        let mut baselines: Vec<RowResult> = Vec::new();
        for row in self.rows {
            let seeds = if row.seeded && !options.quick { options.seeds } else { 1 };
            let mut result = RowResult {
                label: row.label.to_owned(),
                is_baseline: false,
                scores: Vec::new(),
                validation: Vec::new(),
                seconds: Vec::new(),
                unit: String::new(),
                runs: Vec::new(),
            };
            let config = self.config(row, options.quick)?;
            let group = Path::new(self.name);
            each_seed(row.label, group, &config, seeds, options, observer, |outcome| {
                let report = outcome
                    .report
                    .forecast()
                    .ok_or(TrainError::OtherTask { found: "classify", wanted: "forecast" })?;
                result.add(&report, &outcome.folder);
                if baselines.is_empty() {
                    baselines = of_baselines(&report);
                }
                Ok(())
            })?;
            rows.push(result);
        }
        rows.append(&mut baselines);
        Ok(ExperimentResult { name: self.name.to_owned(), title: self.title.to_owned(), rows })
    }

    fn config(&self, row: &Row, quick: bool) -> Result<RunConfig, TrainError> {
        let set: Vec<String> = if quick && row.preset.is_none() {
            self.quick.iter().map(ToString::to_string).collect()
        } else {
            Vec::new()
        };
        let preset = row.preset.unwrap_or(self.preset);
        Variant { preset, model: row.model, set: &set }.config(row.label)
    }
}

impl RowResult {
    fn add(&mut self, report: &Report, folder: &Path) {
        if let Some(score) = report.scores.iter().find(|s| !s.is_baseline) {
            self.scores.push(score.clone());
        }
        let best = report.training.curve.get(report.training.best_epoch.wrapping_sub(1));
        self.validation.push(best.and_then(|row| row.validation_loss));
        self.seconds.push(report.training.seconds);
        report.data.time_scale().unit().clone_into(&mut self.unit);
        self.runs.push(folder.to_owned());
    }

    /// Valid prediction times per seed: median over the starts.
    #[must_use]
    pub fn valid_times(&self) -> Vec<f64> {
        self.scores.iter().filter_map(|s| s.vpt_at(THRESHOLD)).map(|v| v.median).collect()
    }

    /// The median over the seeds.
    #[must_use]
    pub fn median_valid_time(&self) -> Option<f64> {
        median(&self.valid_times())
    }

    /// The valid prediction time of the seed with the lowest validation loss.
    #[must_use]
    pub fn chosen_on_validation(&self) -> Option<f64> {
        let best = (0..self.validation.len()).filter(|&i| self.validation[i].is_some()).min_by(
            |&a, &b| {
                let loss = |i: usize| self.validation[i].unwrap_or(f64::INFINITY);
                loss(a).total_cmp(&loss(b))
            },
        )?;
        self.scores.get(best)?.vpt_at(THRESHOLD).map(|v| v.median)
    }

    /// The longest of the seeds' valid prediction times, which no one could have chosen.
    #[must_use]
    pub fn best_on_test(&self) -> Option<f64> {
        self.valid_times().into_iter().max_by(f64::total_cmp)
    }
}

impl Results {
    /// A method of an experiment.
    #[must_use]
    pub fn row(&self, experiment: &str, label: &str) -> Option<&RowResult> {
        let experiment = self.experiments.iter().find(|e| e.name == experiment)?;
        experiment.rows.iter().find(|r| r.label == label)
    }
}

fn of_baselines(report: &Report) -> Vec<RowResult> {
    let rows = report.scores.iter().filter(|s| s.is_baseline);
    rows.map(|score| RowResult {
        label: score.name.clone(),
        is_baseline: true,
        scores: vec![score.clone()],
        validation: Vec::new(),
        seconds: Vec::new(),
        unit: report.data.time_scale().unit().to_owned(),
        runs: Vec::new(),
    })
    .collect()
}
