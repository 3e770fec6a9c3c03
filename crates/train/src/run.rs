//! The life of a run, whatever its task: train, resume, evaluate.

use std::path::{Path, PathBuf};

use regard_data::file;
use regard_data::simulate::Simulate;

use crate::classification;
use crate::error::TrainError;
use crate::forecast_run;
use crate::language;
use crate::observer::Observer;
use crate::operator;
use crate::precision::Precision;
use crate::report::{EpochRow, RunInfo, RunReport};
use crate::run_config::RunConfig;
use crate::run_folder::RunFolder;

/// How a run is named and where it goes.
#[derive(Debug, Clone, Default)]
pub struct TrainOptions {
    /// Preset or stem of the configuration file.
    pub name: String,
    /// The run folder; `runs/DATE-NAME` by default.
    pub out: Option<PathBuf>,
    /// The command line, for the report.
    pub command: String,
}

/// A finished run.
#[derive(Debug)]
pub struct Outcome {
    /// Its folder.
    pub folder: PathBuf,
    /// Its report, also in the folder.
    pub report: RunReport,
}

/// A task as a run needs it.
pub(crate) trait Task {
    /// Everything that is trained and scored on.
    type Data: Sync;

    /// Reads or simulates, splits and normalises; `origin` is what messages call the configuration.
    fn prepare(&self, origin: &str) -> Result<Self::Data, TrainError>;

    /// Builds the model once without using it: its configuration is checked against the data.
    fn check_model(&self, data: &Self::Data) -> Result<(), TrainError>;

    /// Trains from the start or a checkpoint and scores nothing; returns the rows of all epochs.
    fn fit(
        &self,
        data: &Self::Data,
        folder: &RunFolder,
        observer: &mut dyn Observer,
    ) -> Result<Vec<EpochRow>, TrainError>;

    /// Trains from the start or a checkpoint, scores, and writes everything into the folder.
    fn finish(
        &self,
        data: &Self::Data,
        place: &Place<'_>,
        observer: &mut dyn Observer,
    ) -> Result<RunReport, TrainError>;
}

/// Where a run goes, and how it is called.
pub(crate) struct Place<'a> {
    pub(crate) folder: &'a RunFolder,
    /// Preset or stem of the configuration file.
    pub(crate) name: &'a str,
    /// The command line.
    pub(crate) command: &'a str,
}

impl Place<'_> {
    /// What the report says about the run itself.
    pub(crate) fn info(&self, title: &str, seed: u64, precision: Precision) -> RunInfo {
        RunInfo {
            name: self.folder.name(),
            preset: self.name.to_owned(),
            title: title.to_owned(),
            created: jiff::Zoned::now().strftime("%Y-%m-%d %H:%M %Z").to_string(),
            command: self.command.to_owned(),
            seed,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            device: format!("CPU, {} threads, {}", rayon::current_num_threads(), precision.name()),
        }
    }
}

/// Trains, scores and reports; everything ends up in one folder.
///
/// Wrong input is found before the folder is made.
///
/// # Errors
/// [`TrainError`] for wrong input; [`TrainError::Interrupted`] when the observer asked to stop.
pub fn train(
    config: &RunConfig,
    options: &TrainOptions,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    // Messages name files as they were given; what is saved finds them from any folder.
    let mut saved = config.clone();
    saved.make_absolute()?;
    match config {
        RunConfig::Forecast(task) => begin(task, &saved, options, observer),
        RunConfig::Classify(task) => begin(task, &saved, options, observer),
        RunConfig::Language(task) => begin(task, &saved, options, observer),
        RunConfig::Operator(task) => begin(task, &saved, options, observer),
    }
}

/// Continues a run that was stopped; a finished run is returned as it is.
///
/// The model is byte for byte the one of an uninterrupted run.
///
/// # Errors
/// As [`train`]; [`TrainError::RunFolder`] if there is no run in the folder.
pub fn resume(run: &Path, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    let folder = RunFolder::open(run)?;
    if let Some(report) = folder.report()? {
        observer.note("this run is finished; nothing to resume");
        return Ok(Outcome { folder: folder.path().to_owned(), report });
    }
    match &folder.config()? {
        RunConfig::Forecast(task) => go_on(task, &folder, observer),
        RunConfig::Classify(task) => go_on(task, &folder, observer),
        RunConfig::Language(task) => go_on(task, &folder, observer),
        RunConfig::Operator(task) => go_on(task, &folder, observer),
    }
}

/// Trains in `folder`, or goes on there, without scoring: [`resume`] on the folder does the rest.
///
/// Returns the rows of all epochs.
///
/// # Errors
/// As [`train`].
pub(crate) fn fit_only(
    config: &RunConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<Vec<EpochRow>, TrainError> {
    let mut saved = config.clone();
    saved.make_absolute()?;
    match config {
        RunConfig::Forecast(task) => fit_task(task, &saved, folder, observer),
        RunConfig::Classify(task) => fit_task(task, &saved, folder, observer),
        RunConfig::Language(task) => fit_task(task, &saved, folder, observer),
        RunConfig::Operator(task) => fit_task(task, &saved, folder, observer),
    }
}

/// Scores a saved run again: on its own test part, or on all of another file.
///
/// # Errors
/// [`TrainError`] if the run, its data or the file cannot be read, or the columns differ.
pub fn evaluate(
    run: &Path,
    data: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<RunReport, TrainError> {
    let folder = RunFolder::open(run)?;
    Ok(match &folder.config()? {
        RunConfig::Forecast(config) => {
            RunReport::Forecast(forecast_run::evaluate(&folder, config, data, observer)?)
        }
        RunConfig::Classify(config) => {
            RunReport::Classify(classification::evaluate(&folder, config, data, observer)?)
        }
        RunConfig::Language(config) => {
            RunReport::Language(language::evaluate(&folder, config, data, observer)?)
        }
        RunConfig::Operator(config) => {
            RunReport::Operator(operator::evaluate(&folder, config, data, observer)?)
        }
    })
}

fn begin<T: Task + Sync>(
    task: &T,
    saved: &RunConfig,
    options: &TrainOptions,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    observer.phase("preparing data", None);
    let data = task.prepare(&options.name)?;
    task.check_model(&data)?;
    let folder = RunFolder::create(options.out.as_deref(), &options.name)?;
    let place = Place { folder: &folder, name: &options.name, command: &options.command };
    let result =
        folder.write_config(saved).and_then(|()| in_pool(|| task.finish(&data, &place, observer)));
    if result.is_err() {
        folder.remove_if_useless();
    }
    Ok(Outcome { folder: folder.path().to_owned(), report: result? })
}

fn go_on<T: Task + Sync>(
    task: &T,
    folder: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    observer.phase("preparing data", None);
    let name = folder.name();
    let data = task.prepare(&name)?;
    let command = format!("regard train --resume {}", folder.path().display());
    let place = Place { folder, name: &name, command: &command };
    let report = in_pool(|| task.finish(&data, &place, observer))?;
    Ok(Outcome { folder: folder.path().to_owned(), report })
}

fn fit_task<T: Task + Sync>(
    task: &T,
    saved: &RunConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<Vec<EpochRow>, TrainError> {
    observer.phase("preparing data", None);
    let name = folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let data = task.prepare(&name)?;
    task.check_model(&data)?;
    let folder = match RunFolder::open(folder) {
        Ok(folder) => folder,
        Err(_) => RunFolder::create(Some(folder), &name)?,
    };
    let result =
        folder.write_config(saved).and_then(|()| in_pool(|| task.fit(&data, &folder, observer)));
    if result.is_err() {
        folder.remove_if_useless();
    }
    result
}

/// Runs `work` on a thread of the pool: a step enters the pool some hundred times, which from outside
/// means two changes of threads each. A small model trains a fifth faster so.
pub(crate) fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

/// Simulates trajectories into a file; returns how many were rejected and replaced.
///
/// # Errors
/// [`TrainError::Data`] if a parameter is out of range or the file cannot be written.
pub fn make_data(simulation: &dyn Simulate, out: &Path) -> Result<usize, TrainError> {
    let simulated = simulation.simulate()?;
    file::write(out, &simulated.set)?;
    Ok(simulated.n_rejected)
}
