//! The runs in a folder.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::TrainError;
use crate::report::RunReport;
use crate::run_folder::RunFolder;

/// One line about a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSummary {
    /// Name of its folder.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// When its report was written; empty for an unfinished run.
    pub created: String,
    /// `"done"` or `"unfinished"`.
    pub state: &'static str,
    /// Mechanism or kind of its model.
    pub model: String,
    /// Share of the test part classified right.
    pub accuracy: Option<f64>,
    /// Bits per character of the test part, or of the validation part without one.
    pub bits_per_character: Option<f64>,
    /// Mean squared one-step error on the test part, normalised units.
    pub one_step_mse: Option<f64>,
    /// Median valid prediction time at threshold 0.4.
    pub vpt_median_04: Option<f64>,
}

/// All about a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunDetail {
    /// The line about it.
    pub summary: RunSummary,
    /// Its configuration.
    pub config_toml: String,
    /// Its report, if it is finished.
    pub report: Option<RunReport>,
}

/// All runs below `root`, by name, also those inside comparisons.
///
/// # Errors
/// [`TrainError::Io`] if the folder cannot be read; a missing folder holds no runs.
pub fn list(root: &Path) -> Result<Vec<RunSummary>, TrainError> {
    let mut found = Vec::new();
    if root.is_dir() {
        collect(root, 2, &mut found)?;
    }
    found.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(found)
}

/// One run.
///
/// # Errors
/// [`TrainError::RunFolder`] if there is none in the folder; errors of its files.
pub fn show(run: &Path) -> Result<RunDetail, TrainError> {
    let folder = RunFolder::open(run)?;
    let report = folder.report()?;
    let config_toml = folder.config_text()?;
    let model = folder.config()?.model_name().to_owned();
    let (score, classes) = match &report {
        Some(RunReport::Forecast(report)) => (report.scores.first(), None),
        Some(RunReport::Classify(report)) => (None, report.scores.first()),
        Some(RunReport::Language(_) | RunReport::Operator(_)) | None => (None, None),
    };
    let bits_per_character = match &report {
        Some(RunReport::Language(report)) => report.scores.first().and_then(|row| row.scores()),
        _ => None,
    };
    let summary = RunSummary {
        name: folder.name(),
        folder: folder.path().to_owned(),
        created: report.as_ref().map_or_else(String::new, |r| r.run().created.clone()),
        state: if report.is_some() { "done" } else { "unfinished" },
        model,
        accuracy: classes.and_then(|row| row.test.as_ref()).map(|test| test.accuracy),
        one_step_mse: score.and_then(|s| s.one_step_mse),
        bits_per_character: bits_per_character.map(|scores| scores.bits_per_character),
        vpt_median_04: score.and_then(|s| {
            s.vpt.iter().find(|v| (v.threshold - 0.4).abs() < 1e-9).map(|v| v.median)
        }),
    };
    Ok(RunDetail { summary, config_toml, report })
}

fn collect(folder: &Path, depth: usize, to: &mut Vec<RunSummary>) -> Result<(), TrainError> {
    let entries = std::fs::read_dir(folder).map_err(TrainError::io("read", folder))?;
    for entry in entries {
        let path = entry.map_err(TrainError::io("read", folder))?.path();
        if path.join("run.toml").is_file() {
            to.push(show(&path)?.summary);
        } else if path.is_dir() && depth > 1 {
            collect(&path, depth - 1, to)?;
        }
    }
    Ok(())
}
