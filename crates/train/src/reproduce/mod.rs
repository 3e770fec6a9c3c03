//! A paper's experiments, run again: every method, several seeds, and a verdict per claim.
//!
//! A study is a list of rows and of claims; a row is a model trained with one or more seeds. Runs that a
//! folder already holds are taken as they are, so that a study that was stopped goes on.

mod classify;
mod classify_markdown;
mod continuum;
mod easy_attention;
mod forecast;
mod larnn;
mod log_attention;
mod markdown;
mod primal_dual;
mod problems;
mod problems_markdown;
mod seeds;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use classify::{ClassifyResults, ClassifyStudy, SeedRow};
pub use continuum::{ContinuumResults, OperatorProblem, OperatorSeeds};
pub(crate) use forecast::THRESHOLD;
pub use forecast::{ExperimentResult, ForecastStudy, Results, RowResult};
pub use log_attention::{
    CharacterRow, Characters, FormRow, Forms, LengthRow, LogResults, Scaling, Tokens,
};
pub use problems::{
    ChoiceTrial, HeadDistances, ProblemResult, ProblemRow, ProblemsResults, ProblemsStudy,
};

use crate::error::TrainError;
use crate::observer::Observer;
use crate::report::file::write_atomically;

/// A paper's experiments as we can run them, by their task.
#[derive(Debug, Clone, Copy)]
pub enum Study {
    /// Forecasts.
    Forecast(&'static ForecastStudy),
    /// Classes.
    Classify(&'static ClassifyStudy),
    /// Classes of several data sets.
    Problems(&'static ProblemsStudy),
    /// Log attention: its forms, cost, and models of a text.
    LogAttention,
    /// Operators between functions.
    Continuum,
}

/// What came out of a study.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum StudyResults {
    /// Forecasts.
    Forecast(Results),
    /// Classes.
    Classify(ClassifyResults),
    /// Classes of several data sets.
    Problems(ProblemsResults),
    /// Log attention.
    LogAttention(LogResults),
    /// Operators between functions.
    Continuum(ContinuumResults),
}

/// How to run a study.
#[derive(Debug, Clone)]
pub struct ReproduceOptions {
    /// Folder of the results and runs.
    pub out: PathBuf,
    /// File or folder of the data, for a study that does not simulate its own.
    pub data: Option<PathBuf>,
    /// One seed and small budgets.
    pub quick: bool,
    /// Seeds of every row that has any.
    pub seeds: u64,
    /// The command line, for the results.
    pub command: String,
    /// What was run, for example the commit.
    pub version: String,
}

/// A claim of the paper and what we found.
#[derive(Debug, Clone, Serialize)]
pub struct Claim {
    /// What the paper says, in our words.
    pub claim: String,
    /// What we measured.
    pub measured: String,
    /// `holds`, `does not hold`, `partly`, or `cannot be checked`.
    pub verdict: String,
}

/// All studies.
#[must_use]
pub fn studies() -> &'static [Study] {
    &[
        Study::Forecast(&easy_attention::STUDY),
        Study::Classify(&larnn::STUDY),
        Study::Problems(&primal_dual::STUDY),
        Study::LogAttention,
        Study::Continuum,
    ]
}

/// The study of this name.
///
/// # Errors
/// [`TrainError::UnknownStudy`], with the nearest name.
pub fn find(name: &str) -> Result<Study, TrainError> {
    studies().iter().copied().find(|s| s.name() == name).ok_or_else(|| TrainError::UnknownStudy {
        name: name.to_owned(),
        known: studies().iter().map(|s| s.name().to_owned()).collect(),
    })
}

impl Study {
    /// Name on the command line.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Forecast(study) => study.name,
            Self::Classify(study) => study.name,
            Self::Problems(study) => study.name,
            Self::LogAttention => log_attention::NAME,
            Self::Continuum => continuum::NAME,
        }
    }
}

/// Runs a study; writes `README.md` and `results.json` to its folder, and a folder per run below.
///
/// # Errors
/// As [`crate::train`].
///
/// # Panics
/// Never: results have a JSON form.
pub fn reproduce(
    study: Study,
    options: &ReproduceOptions,
    observer: &mut dyn Observer,
) -> Result<StudyResults, TrainError> {
    Ok(match study {
        Study::Forecast(study) => {
            let results = forecast::run(study, options, observer)?;
            write(&options.out, &markdown::page(study, &results), &results)?;
            StudyResults::Forecast(results)
        }
        Study::Classify(study) => StudyResults::Classify(classify::run(
            study,
            options,
            observer,
            // Rows take long: a study that is stopped leaves those that it has.
            |results| write(&options.out, &classify_markdown::page(study, results), results),
        )?),
        Study::Problems(study) => {
            StudyResults::Problems(problems::run(study, options, observer, |results| {
                write(&options.out, &problems_markdown::page(study, results), results)
            })?)
        }
        Study::LogAttention => {
            StudyResults::LogAttention(log_attention::run(options, observer, |results| {
                write(&options.out, &log_attention::page(results), results)
            })?)
        }
        Study::Continuum => {
            StudyResults::Continuum(continuum::run(options, observer, |results| {
                write(&options.out, &continuum::page(results), results)
            })?)
        }
    })
}

/// Writes the page and its numbers.
fn write(folder: &Path, page: &str, results: &impl Serialize) -> Result<(), TrainError> {
    std::fs::create_dir_all(folder).map_err(TrainError::io("create", folder))?;
    let json = serde_json::to_string_pretty(results).expect("results have a JSON form");
    for (file, text) in [("README.md", page), ("results.json", &json)] {
        let file = folder.join(file);
        write_atomically(&file, text.as_bytes()).map_err(TrainError::io("write", &file))?;
    }
    Ok(())
}

pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    (n > 0).then(|| f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]))
}
