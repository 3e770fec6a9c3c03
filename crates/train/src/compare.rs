//! Several models on the same data with the same budget, in one table.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::TrainError;
use crate::observer::Observer;
use crate::report::file::write_atomically;
use crate::report::{RunReport, html};
use crate::run::{Outcome, TrainOptions, resume, train};
use crate::run_config::RunConfig;
use crate::run_folder::RunFolder;

/// A finished comparison.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// Folder with `report.html`, `comparison.json` and one run folder per model and seed.
    pub folder: PathBuf,
    /// One report per model and seed.
    pub reports: Vec<RunReport>,
}

/// Trains every model with seeds `config.seed`, `config.seed + 1`, … and compares them.
///
/// With an existing folder in `options.out` the runs that it already holds are taken as they are,
/// or resumed: a comparison that was stopped goes on.
///
/// # Errors
/// As [`train`]; an unknown model is found before any is trained.
///
/// # Panics
/// Never: reports have a JSON form.
pub fn compare(
    config: &RunConfig,
    models: &[String],
    seeds: u64,
    options: &TrainOptions,
    observer: &mut dyn Observer,
) -> Result<Comparison, TrainError> {
    let mut runs = Vec::new();
    for model in models {
        for k in 0..seeds {
            let mut config = config.clone();
            config.use_model(model)?;
            config.set_seed(config.seed() + k);
            let name = format!("{model}-seed{}", config.seed());
            runs.push((name, config));
        }
    }
    let folder = if let Some(path) = &options.out {
        path.clone()
    } else {
        RunFolder::create(None, &format!("compare-{}", options.name))?.path().to_owned()
    };
    let mut reports = Vec::new();
    for (name, config) in runs {
        let out = folder.join(&name);
        let run = TrainOptions { name, out: Some(out), command: options.command.clone() };
        let outcome = train_or_take(config, &run, observer).inspect_err(|_| {
            // Nothing but an empty folder may be left of wrong input.
            let _ = std::fs::remove_dir(&folder);
            let _ = std::fs::remove_dir(crate::run_folder::ROOT);
        })?;
        reports.push(outcome.report);
    }
    let page = html::render_runs(config.title(), &reports);
    let json = serde_json::to_string_pretty(&reports).expect("reports have a JSON form");
    for (file, text) in [("report.html", page), ("comparison.json", json)] {
        let file = folder.join(file);
        write_atomically(&file, text.as_bytes()).map_err(TrainError::io("write", &file))?;
    }
    Ok(Comparison { folder, reports })
}

/// Trains into `options.out`; takes or resumes the run that is already there.
pub(crate) fn train_or_take(
    config: RunConfig,
    options: &TrainOptions,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let Some(out) = options.out.as_ref().filter(|out| out.join("run.toml").exists()) else {
        return train(&config, options, observer);
    };
    let held = RunFolder::open(out)?;
    let mut wanted = config;
    wanted.make_absolute()?;
    if held.config()? != wanted {
        return Err(held.error("holds a run of another configuration; choose another --out"));
    }
    resume(out, observer)
}
