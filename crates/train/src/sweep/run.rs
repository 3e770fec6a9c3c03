//! A sweep from its file to its report, and again after it was stopped.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::config::SweepConfig;
use super::journal::{Claim, Journal, State, Trial, most_trials, trial_folder};
use super::observer::{Stopped, TrialObserver};
use super::report;
use super::trial::{self, TrialScore, is_of_this_trial};
use crate::error::TrainError;
use crate::observer::Observer;
use crate::report::{SweepReport, file::write_atomically, sweep_line};
use crate::run_config::RunConfig;

/// Where sweeps go by default, below the working directory.
const ROOT: &str = "sweeps";
/// So many failures in a row, with no other trial between them, have one cause.
const FAILURES: usize = 5;

/// A sweep whose budget is used up.
#[derive(Debug)]
pub struct SweepOutcome {
    /// Its folder.
    pub folder: PathBuf,
    /// Its report, also in the folder.
    pub report: SweepReport,
}

/// Works on the sweep of `file` until its budget is used up; several processes may do so at once.
///
/// Everything is in the folder `out`, `sweeps/NAME` by default; a sweep that was stopped goes on there.
///
/// # Errors
/// [`TrainError::Config`] for a wrong file, [`TrainError::RunFolder`] if the folder holds another
/// sweep, [`TrainError::Interrupted`] when the observer asked to stop; the error of the last trial if
/// five fail in a row.
pub fn sweep(
    file: &Path,
    out: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<SweepOutcome, TrainError> {
    let config = SweepConfig::load(file)?;
    let folder = out.map_or_else(|| Path::new(ROOT).join(config.name()), Path::to_owned);
    let mut journal = Journal::open(&folder, &config)?;
    keep_file(&folder, &config.text)?;
    let mut failures = 0;
    loop {
        if observer.stop() {
            return Err(TrainError::Interrupted { folder });
        }
        let Some(claim) = journal.claim(&config)? else { break };
        let label = label(claim.number, most_trials(&config));
        if claim.is_continued {
            observer.note(&format!("{label} was abandoned; going on from its checkpoint"));
        }
        let run = trial::configuration(&config.base, &config.assignments(&claim.parameters));
        let (ended, error) = train(&config, run, &claim, &label, &folder, &mut journal, observer)?;
        journal.end(&ended)?;
        claim.lock.remove();
        let trials = journal.trials()?;
        let now = report::build(&folder, &config, &trials);
        let left = seconds_left(&config, &trials);
        observer.note(&sweep_line(&label, ended.number, &now, left));
        report::write(&folder, &now)?;
        failures = if error.is_some() { failures + 1 } else { 0 };
        if let Some(error) = error.filter(|_| failures == FAILURES) {
            observer
                .note(&format!("{FAILURES} trials in a row have failed; the last one says why"));
            return Err(error);
        }
    }
    let report = report::build(&folder, &config, &journal.trials()?);
    report::write(&folder, &report)?;
    Ok(SweepOutcome { folder, report })
}

/// How long the rest of the budget may take, other processes working on as they do.
fn seconds_left(config: &SweepConfig, trials: &[Trial]) -> Option<f64> {
    let running = trials.iter().filter(|trial| trial.state == State::Running).count();
    let taken: f64 = trials.iter().map(|trial| trial.seconds).sum();
    let mean = taken / (trials.len() - running).max(1) as f64;
    let by_number = most_trials(config).map(|most| mean * most.saturating_sub(trials.len()) as f64);
    let by_time = config.search.time().map(|time| (time.as_secs_f64() - taken).max(0.0));
    let left = [by_number, by_time].into_iter().flatten().min_by(f64::total_cmp)?;
    (left > 0.0).then(|| left / (1 + running) as f64)
}

/// Trains one trial to its end, or until it is stopped.
fn train(
    config: &SweepConfig,
    run: Result<RunConfig, TrainError>,
    claim: &Claim,
    label: &str,
    folder: &Path,
    journal: &mut Journal,
    observer: &mut dyn Observer,
) -> Result<(Trial, Option<TrainError>), TrainError> {
    let sign = config.objective.sign();
    let start = Instant::now();
    let number = claim.number;
    let mut watcher =
        TrialObserver::new(observer, label.to_owned(), &config.objective, |row, value, epochs| {
            journal.record(number, row.epoch, value, row.seconds)?;
            let Some(rule) = config.prune.filter(|rule| rule.looks_at(row.epoch)) else {
                return Ok(false);
            };
            let (best, others) = journal.best_until(number, row.epoch, sign)?;
            Ok(row.epoch < epochs && rule.stops(best, &others))
        });
    let result = run.and_then(|run| {
        trial::run(&run, &trial_folder(folder, number), &config.objective, &mut watcher)
    });
    let stopped = watcher.stopped.take();
    drop(watcher);
    let seconds = claim.earlier_seconds + start.elapsed().as_secs_f64();
    let values = || -> Result<Vec<f64>, TrainError> {
        let all = journal.trials()?;
        Ok(all.into_iter().find(|t| t.number == number).map_or_else(Vec::new, |t| t.values))
    };
    let parameters = claim.parameters.clone();
    match (stopped, result) {
        (Some(Stopped::Error(error)), _) => Err(error),
        (_, Ok(score)) => Ok((finished(number, parameters, score, seconds), None)),
        (Some(Stopped::Pruned), Err(TrainError::Interrupted { .. })) => {
            let values = values()?;
            let (best_epoch, objective) = config.objective.best(&values).unzip();
            let state = State::Pruned;
            let message = None;
            let ended = Trial {
                number,
                state,
                parameters,
                objective,
                best_epoch,
                values,
                seconds,
                message,
            };
            Ok((ended, None))
        }
        (None, Err(TrainError::Interrupted { .. })) => {
            Err(TrainError::Interrupted { folder: folder.to_owned() })
        }
        (_, Err(error)) if is_of_this_trial(&error) => {
            let values = values()?;
            Ok((failed(number, parameters, values, seconds, &error), Some(error)))
        }
        (_, Err(error)) => Err(error),
    }
}

pub(super) fn finished(
    number: usize,
    parameters: super::space::Parameters,
    score: TrialScore,
    seconds: f64,
) -> Trial {
    Trial {
        number,
        state: State::Finished,
        parameters,
        objective: Some(score.objective),
        best_epoch: Some(score.best_epoch),
        values: score.values,
        seconds,
        message: None,
    }
}

pub(super) fn failed(
    number: usize,
    parameters: super::space::Parameters,
    values: Vec<f64>,
    seconds: f64,
    error: &TrainError,
) -> Trial {
    let message = Some(error.to_string());
    let (state, objective, best_epoch) = (State::Failed, None, None);
    Trial { number, state, parameters, objective, best_epoch, values, seconds, message }
}

/// "trial 3 of 40".
pub(super) fn label(number: usize, most: Option<usize>) -> String {
    most.map_or_else(|| format!("trial {number}"), |most| format!("trial {number} of {most}"))
}

/// Keeps the file as it was when the sweep began.
fn keep_file(folder: &Path, text: &str) -> Result<(), TrainError> {
    let copy = folder.join("sweep.toml");
    if copy.exists() {
        return Ok(());
    }
    write_atomically(&copy, text.as_bytes()).map_err(TrainError::io("write", &copy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_what_its_trials_or_its_time_allow() {
        let text = "base = \"lorenz\"\n[search]\ntrials = 10\ntime = \"1 min\"\n[keys]\n\
                    \"fit.epochs\" = { distribution = \"integer\", low = 1, high = 9 }\n";
        let config = SweepConfig::parse(Path::new("my.toml"), text, Path::new("")).unwrap();
        let trial = |number, state, seconds| Trial {
            state,
            ..finished(
                number,
                super::super::space::Parameters::new(),
                TrialScore { objective: 1.0, best_epoch: 1, values: Vec::new() },
                seconds,
            )
        };
        // Eight trials of 4 s each, a minute less 8 s.
        let two = [1, 2].map(|n| trial(n, State::Finished, 4.0));
        assert_eq!(seconds_left(&config, &two), Some(32.0));
        // Another process runs: seven trials for two.
        let three = [two.to_vec(), vec![trial(3, State::Running, 0.0)]].concat();
        assert_eq!(seconds_left(&config, &three), Some(14.0));
        assert_eq!(seconds_left(&config, &[trial(1, State::Finished, 55.0)]), Some(5.0));
        assert_eq!(seconds_left(&config, &[trial(1, State::Finished, 61.0)]), None);
    }
}
