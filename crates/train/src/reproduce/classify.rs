//! Studies of classes: rows of models on one labelled data set, accuracies over seeds.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::seeds::{Variant, each_seed};
use super::{Claim, ReproduceOptions};
use crate::error::TrainError;
use crate::observer::Observer;
use crate::report::{ClassRow, ClassifyReport};

/// A paper's experiments with classes as we can run them.
#[derive(Debug)]
pub struct ClassifyStudy {
    /// Name on the command line.
    pub name: &'static str,
    /// Heading of the results.
    pub title: &'static str,
    /// What can and what cannot be compared with the paper.
    pub preface: &'static str,
    /// The configuration that every row changes.
    pub(super) preset: &'static str,
    /// Changes of every row.
    pub(super) set: &'static [&'static str],
    pub(super) rows: &'static [Row],
    pub(super) claims: fn(&ClassifyResults) -> Vec<Claim>,
}

/// One model.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) label: &'static str,
    /// Another preset.
    pub(super) preset: Option<&'static str>,
    /// A model by name in place of the preset's.
    pub(super) model: Option<&'static str>,
    /// Changes of the configuration.
    pub(super) set: &'static [&'static str],
    /// Changes in the quick form; `None` leaves the row out of it.
    pub(super) quick: Option<&'static [&'static str]>,
    /// Most seeds, where a run takes long.
    pub(super) max_seeds: u64,
}

/// What came out.
#[derive(Debug, Serialize)]
pub struct ClassifyResults {
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
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Persons, or other groups, of the validation part.
    pub held_out: Vec<String>,
    /// Trained rows, then baselines.
    pub rows: Vec<SeedRow>,
    /// One entry per claim of the paper.
    pub claims: Vec<Claim>,
}

/// A method with all its seeds.
#[derive(Debug, Serialize)]
pub struct SeedRow {
    /// Name of the method.
    pub label: String,
    /// Whether it is one of the baselines without gradients.
    pub is_baseline: bool,
    /// One score per seed.
    pub scores: Vec<ClassRow>,
    /// Test accuracy of every epoch, per seed.
    pub curves: Vec<Vec<f64>>,
    /// Seconds of the fastest epoch, per seed: what other programs on the machine disturb least.
    pub fastest_epochs: Vec<f64>,
    /// Folders of the runs; empty for a baseline.
    pub runs: Vec<PathBuf>,
}

/// Runs a study; a folder per run lies below `options.out`. `after_row` sees the results so far.
///
/// # Errors
/// As [`crate::train`], and those of `after_row`.
pub(super) fn run(
    study: &ClassifyStudy,
    options: &ReproduceOptions,
    observer: &mut dyn Observer,
    after_row: impl Fn(&ClassifyResults) -> Result<(), TrainError>,
) -> Result<ClassifyResults, TrainError> {
    let start = Instant::now();
    let mut results = ClassifyResults {
        study: study.name.to_owned(),
        command: options.command.clone(),
        version: options.version.clone(),
        device: format!("CPU, {} threads", rayon::current_num_threads()),
        quick: options.quick,
        seconds: 0.0,
        classes: Vec::new(),
        held_out: Vec::new(),
        rows: Vec::new(),
        claims: Vec::new(),
    };
    let mut baselines: Vec<ClassRow> = Vec::new();
    for row in study.rows {
        let quick = match (options.quick, row.quick) {
            (true, None) => continue,
            (true, Some(set)) => set,
            (false, _) => &[],
        };
        let seeds = if options.quick { 1 } else { options.seeds.min(row.max_seeds) };
        let mut result = SeedRow::new(row.label, false);
        let set: Vec<String> =
            [study.set, row.set, quick].concat().iter().map(ToString::to_string).collect();
        let preset = row.preset.unwrap_or(study.preset);
        let mut config = Variant { preset, model: row.model, set: &set }.config(row.label)?;
        if let Some(data) = &options.data {
            config.use_data_file(data);
        }
        each_seed(row.label, Path::new(""), &config, seeds, options, observer, |outcome| {
            let report = outcome
                .report
                .classify()
                .ok_or(TrainError::OtherTask { found: "forecast", wanted: "classify" })?;
            if baselines.is_empty() {
                baselines = report.scores.iter().filter(|r| r.is_baseline).cloned().collect();
                results.classes.clone_from(&report.data.classes);
                results.held_out.clone_from(&report.data.validation.groups);
            }
            result.add(report, outcome.folder);
            Ok(())
        })?;
        // Baselines stay below the trained rows.
        results.rows.retain(|row| !row.is_baseline);
        results.rows.push(result);
        results.rows.extend(baselines.iter().map(of_baseline));
        results.seconds = start.elapsed().as_secs_f64();
        results.claims = (study.claims)(&results);
        after_row(&results)?;
    }
    Ok(results)
}

impl SeedRow {
    pub(super) fn new(label: &str, is_baseline: bool) -> Self {
        Self {
            label: label.to_owned(),
            is_baseline,
            scores: Vec::new(),
            curves: Vec::new(),
            fastest_epochs: Vec::new(),
            runs: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, report: ClassifyReport, folder: PathBuf) {
        let curve = report.training.curve.iter().filter_map(|row| row.test_accuracy);
        self.curves.push(curve.collect());
        let seconds = report.training.curve.iter().map(|row| row.seconds);
        self.fastest_epochs.extend(seconds.min_by(f64::total_cmp));
        self.scores.extend(report.scores.into_iter().next());
        self.runs.push(folder);
    }

    /// One number per seed.
    pub(super) fn values(&self, of: impl Fn(&ClassRow) -> Option<f64>) -> Vec<f64> {
        self.scores.iter().filter_map(of).collect()
    }

    /// Test accuracy per seed, of the epoch that the validation part chose.
    pub(super) fn chosen(&self) -> Vec<f64> {
        self.values(|row| row.test.as_ref().map(|t| t.accuracy))
    }
}

impl ClassifyResults {
    /// A method.
    pub(super) fn row(&self, label: &str) -> Option<&SeedRow> {
        self.rows.iter().find(|row| row.label == label && !row.scores.is_empty())
    }
}

fn of_baseline(row: &ClassRow) -> SeedRow {
    SeedRow { scores: vec![row.clone()], ..SeedRow::new(&row.name, true) }
}
