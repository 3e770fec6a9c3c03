//! Studies of classes: rows of models on one labelled data set, accuracies over seeds.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::{Claim, ReproduceOptions};
use crate::compare::train_or_take;
use crate::error::TrainError;
use crate::observer::Observer;
use crate::report::{ClassRow, ClassifyReport};
use crate::run::TrainOptions;
use crate::run_config::RunConfig;

/// Two-sided 95 % points of Student's t for 1, 2, … degrees of freedom.
const STUDENT: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
/// The same for many.
const NORMAL: f64 = 1.96;

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
        for seed in 0..seeds {
            let set: Vec<String> =
                [study.set, row.set, quick].concat().iter().map(ToString::to_string).collect();
            let mut config = RunConfig::load(row.preset.unwrap_or(study.preset), &[])?;
            if let Some(model) = row.model {
                config.use_model(model)?;
            }
            let mut config = RunConfig::parse(row.label, &config.to_toml(), &set)?;
            config.set_seed(seed);
            if let Some(data) = &options.data {
                config.use_data_file(data);
            }
            let name = format!("{}-seed{seed}", row.label.replace([' ', ','], "-"));
            let out = options.out.join("runs").join(&name);
            observer.note(&format!("{}, seed {seed}", row.label));
            let run = TrainOptions { name, out: Some(out), command: options.command.clone() };
            let outcome = train_or_take(config, &run, observer)?;
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
        }
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
    fn new(label: &str, is_baseline: bool) -> Self {
        Self {
            label: label.to_owned(),
            is_baseline,
            scores: Vec::new(),
            curves: Vec::new(),
            runs: Vec::new(),
        }
    }

    fn add(&mut self, report: ClassifyReport, folder: PathBuf) {
        let curve = report.training.curve.iter().filter_map(|row| row.test_accuracy);
        self.curves.push(curve.collect());
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

/// Mean and sample variance; `None` of nothing.
pub(super) fn moments(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let square: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    Some((mean, if values.len() > 1 { square / (n - 1.0) } else { f64::NAN }))
}

/// Difference of the means of two independent samples, and the half-width of its 95 % interval by Welch's
/// t; infinite if one sample is too small for an interval.
pub(super) fn difference(a: &[f64], b: &[f64]) -> Option<(f64, f64)> {
    let ((mean_a, var_a), (mean_b, var_b)) = (moments(a)?, moments(b)?);
    if a.len() < 2 || b.len() < 2 {
        return Some((mean_a - mean_b, f64::INFINITY));
    }
    let (se_a, se_b) = (var_a / a.len() as f64, var_b / b.len() as f64);
    let square = (se_a + se_b).powi(2);
    let spread = se_a.powi(2) / (a.len() - 1) as f64 + se_b.powi(2) / (b.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "degrees of freedom are a small positive number, rounded down"
    )]
    let freedom = if spread > 0.0 { (square / spread) as usize } else { a.len() + b.len() - 2 };
    let t = STUDENT.get(freedom.max(1) - 1).copied().unwrap_or(NORMAL);
    Some((mean_a - mean_b, t * (se_a + se_b).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_of_two_samples_by_hand() {
        // Variances 1 and 4, three values each: standard error √(5/3), freedom 25/17 · 2 = 2.94.
        let (mean, half) = difference(&[1.0, 2.0, 3.0], &[4.0, 6.0, 8.0]).unwrap();
        assert!((mean + 4.0).abs() < 1e-12);
        assert!((half - 4.303 * (5.0f64 / 3.0).sqrt()).abs() < 1e-9, "{half}");
        assert_eq!(difference(&[1.0], &[4.0, 6.0]), Some((-4.0, f64::INFINITY)));
        assert_eq!(difference(&[], &[1.0]), None);
    }
}
