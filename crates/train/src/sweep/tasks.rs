//! A sweep as an array job: by files alone, for machines that share nothing but a folder.
//!
//! `plan` writes one file per trial, `run_task` trains one of them and leaves one result file,
//! `collect` reads all results into a journal and a report. Trial `i` has the same keys as in a sweep of
//! one process, so this is for searches that look at no other trial: random ones and grids, unpruned.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::config::{Method, SweepConfig};
use super::journal::{Journal, Trial, lock_file, most_trials, trial_folder};
use super::lock::Lock;
use super::observer::{Stopped, TrialObserver};
use super::run::{SweepOutcome, failed, finished, label};
use super::space::Parameters;
use super::suggest::suggest;
use super::{report, trial};
use crate::error::TrainError;
use crate::observer::Observer;
use crate::report::file::write_atomically;
use crate::run_config::RunConfig;

/// The file of a task.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    number: usize,
    parameters: Parameters,
    /// The whole configuration of its run.
    config: toml::Table,
}

/// Writes the task files of the sweep in `file` into a new folder `out`; returns how many.
///
/// # Errors
/// [`TrainError::Config`] for a wrong file or for a search that needs to see other trials;
/// [`TrainError::RunFolder`] if the folder holds a plan.
///
/// # Panics
/// Never: what is written has its text form.
pub fn plan(file: &Path, out: &Path) -> Result<usize, TrainError> {
    let config = SweepConfig::load(file)?;
    let error = |message: &str| TrainError::Config {
        origin: file.display().to_string(),
        message: message.to_owned(),
    };
    if config.search.method == Method::Tpe {
        return Err(error(
            "search.method = \"tpe\" chooses a trial by those before it, and a plan is made before all \
             of them; use \"random\" or \"grid\"",
        ));
    }
    if config.prune.is_some() {
        return Err(error(
            "[prune] compares a trial with others while it is trained, which tasks cannot see; leave \
             it out for a plan",
        ));
    }
    let n = most_trials(&config).ok_or_else(|| error("a plan needs search.trials"))?;
    if tasks(out).exists() {
        return Err(folder_error(out, "already holds a plan; choose another --out"));
    }
    let mut base = config.base_config.clone();
    base.make_absolute()?;
    for folder in [tasks(out), out.join("trials"), out.join("results")] {
        std::fs::create_dir_all(&folder).map_err(TrainError::io("create", &folder))?;
    }
    for number in 1..=n {
        let parameters = suggest(&config, number, &[]).ok_or_else(|| error("the grid is empty"))?;
        let mut run = trial::configuration(&config.base, &config.assignments(&parameters))?;
        run.make_absolute()?;
        let config = toml::Table::try_from(&run).expect("a configuration is a table");
        let task = Task { number, parameters, config };
        let text = toml::to_string(&task).expect("a task has a TOML form");
        write(&task_file(out, number), &text)?;
    }
    // The folder is complete in itself: it may go to another machine.
    write(&out.join("base.toml"), &base.to_toml())?;
    let mut text: toml::Table = toml::from_str(&config.text).expect("it was read before");
    text.insert("base".to_owned(), "base.toml".into());
    write(&out.join("sweep.toml"), &text.to_string())?;
    Ok(n)
}

/// Trains task `number` of the plan in `folder` and writes its result; one that is there stays.
///
/// # Errors
/// [`TrainError::RunFolder`] if there is no such task or another process works on it;
/// [`TrainError::Interrupted`] when the observer asked to stop.
///
/// # Panics
/// Never: what is written has its text form.
pub fn run_task(
    folder: &Path,
    number: usize,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    let (config, n) = planned(folder)?;
    let file = task_file(folder, number);
    if number == 0 || number > n || !file.is_file() {
        return Err(folder_error(folder, &format!("no task {number}: the plan has 1 to {n}")));
    }
    if result_file(folder, number).exists() {
        observer.note(&format!("task {number} is finished; nothing to do"));
        return Ok(());
    }
    let Some(lock) = Lock::try_take(&lock_file(folder, number))? else {
        return Err(folder_error(folder, &format!("another process works on task {number}")));
    };
    let text = read(&file)?;
    let wrong =
        |message: String| TrainError::Config { origin: file.display().to_string(), message };
    let task: Task =
        toml::from_str(&text).map_err(|e| wrong(e.to_string().trim_end().to_owned()))?;
    let run = RunConfig::parse(&file.display().to_string(), &task.config.to_string(), &[])?;
    let start = Instant::now();
    let label = label(number, Some(n));
    let mut watcher = TrialObserver::new(observer, label, &config.objective, |_, _, _| Ok(false));
    let result = trial::run(&run, &trial_folder(folder, number), &config.objective, &mut watcher);
    let (stopped, values) = (watcher.stopped.take(), std::mem::take(&mut watcher.values));
    drop(watcher);
    if let Some(Stopped::Error(error)) = stopped {
        return Err(error);
    }
    let seconds = start.elapsed().as_secs_f64();
    let ended = match result {
        Ok(score) => finished(number, task.parameters, score, seconds),
        Err(TrainError::Interrupted { .. }) => {
            return Err(TrainError::Interrupted { folder: folder.to_owned() });
        }
        Err(error) if trial::is_of_this_trial(&error) => {
            observer.note(&format!("task {number} failed: {error}"));
            failed(number, task.parameters, values, seconds, &error)
        }
        Err(error) => return Err(error),
    };
    let json = serde_json::to_string_pretty(&ended).expect("a result has a JSON form");
    write(&result_file(folder, number), &(json + "\n"))?;
    lock.remove();
    Ok(())
}

/// Reads the results that are there into the journal and the report; returns the numbers of those
/// that are missing as well.
///
/// # Errors
/// [`TrainError::RunFolder`] if the folder holds no plan; [`TrainError::Config`] for a broken result.
pub fn collect(folder: &Path) -> Result<(SweepOutcome, Vec<usize>), TrainError> {
    let (config, n) = planned(folder)?;
    let (mut trials, mut missing) = (Vec::new(), Vec::new());
    for number in 1..=n {
        let file = result_file(folder, number);
        if !file.exists() {
            missing.push(number);
            continue;
        }
        let trial: Trial = serde_json::from_str(&read(&file)?).map_err(|e| TrainError::Config {
            origin: file.display().to_string(),
            message: format!("not a result ({e}); delete it and run the task again"),
        })?;
        trials.push(trial);
    }
    let mut journal = Journal::open(folder, &config)?;
    journal.replace(&trials)?;
    let report = report::build(folder, &config, &trials);
    report::write(folder, &report)?;
    Ok((SweepOutcome { folder: folder.to_owned(), report }, missing))
}

/// The sweep of a plan, and its number of tasks.
fn planned(folder: &Path) -> Result<(SweepConfig, usize), TrainError> {
    if !tasks(folder).is_dir() {
        let problem =
            "not a plan: it has no tasks; make one with `regard sweep plan FILE --out DIR`";
        return Err(folder_error(folder, problem));
    }
    let config = SweepConfig::load(&folder.join("sweep.toml"))?;
    let n = most_trials(&config).unwrap_or(0);
    Ok((config, n))
}

fn tasks(folder: &Path) -> PathBuf {
    folder.join("tasks")
}

fn task_file(folder: &Path, number: usize) -> PathBuf {
    tasks(folder).join(format!("{number:04}.toml"))
}

fn result_file(folder: &Path, number: usize) -> PathBuf {
    folder.join("results").join(format!("{number:04}.json"))
}

fn read(file: &Path) -> Result<String, TrainError> {
    std::fs::read_to_string(file).map_err(TrainError::io("read", file))
}

fn write(file: &Path, text: &str) -> Result<(), TrainError> {
    write_atomically(file, text.as_bytes()).map_err(TrainError::io("write", file))
}

fn folder_error(folder: &Path, problem: &str) -> TrainError {
    TrainError::RunFolder { folder: folder.to_owned(), problem: problem.to_owned() }
}
