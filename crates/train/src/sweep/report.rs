//! From the journal to the report of a sweep.

use std::path::Path;

use serde_json::Value;

use super::command;
use super::config::SweepConfig;
use super::importance::share;
use super::journal::{State, Trial, trial_folder};
use super::space::Distribution;
use super::suggest::positions;
use crate::error::TrainError;
use crate::report::file::write_atomically;
use crate::report::html;
use crate::report::{SweepBest, SweepKey, SweepReport, SweepTrial};

/// Everything that a sweep says about itself.
pub(crate) fn build(folder: &Path, config: &SweepConfig, trials: &[Trial]) -> SweepReport {
    let is_judged = |trial: &&Trial| [State::Finished, State::Pruned].contains(&trial.state);
    let judged: Vec<&Trial> = trials
        .iter()
        .filter(is_judged)
        .filter(|trial| trial.objective.is_some_and(f64::is_finite))
        .collect();
    let sign = config.objective.sign();
    let objective: Vec<f64> =
        judged.iter().map(|trial| sign * trial.objective.unwrap_or(f64::NAN)).collect();
    let places: Vec<Vec<f64>> =
        judged.iter().map(|trial| positions(&config.keys, &trial.parameters)).collect();
    let key = |(i, key): (usize, &super::Key)| {
        let at: Vec<f64> = places.iter().map(|place| place[i]).collect();
        let is_choice = matches!(key.distribution, Distribution::Choice(_));
        let found = share(&at, &objective, is_choice);
        let [low, high] = [0.0, 1.0].map(|u| key.distribution.value(u).to_string());
        SweepKey {
            key: key.path.clone(),
            range: key.distribution.describe(),
            choices: match &key.distribution {
                Distribution::Choice(values) => values.iter().map(ToString::to_string).collect(),
                _ => Vec::new(),
            },
            ends: [low, high],
            importance: found.map(|(share, _)| share),
            n_groups: found.map_or(0, |(_, k)| k),
        }
    };
    let finished = judged.iter().filter(|trial| trial.state == State::Finished);
    let best = finished.min_by(|a, b| {
        let value = |trial: &Trial| sign * trial.objective.unwrap_or(f64::INFINITY);
        value(a).total_cmp(&value(b))
    });
    SweepReport {
        format_version: SweepReport::FORMAT_VERSION,
        name: config.name(),
        base: config.base.clone(),
        objective: config.objective.name().to_owned(),
        is_minimised: config.objective.is_minimised(),
        method: config.search.method.name().to_owned(),
        seed: config.search.seed,
        created: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        keys: config.keys.iter().enumerate().map(key).collect(),
        n_judged: judged.len(),
        best: best.map(|trial| best_of(folder, config, trial)),
        trials: trials.iter().map(|trial| row(config, trial)).collect(),
    }
}

/// Writes `report.html` and `report.json`.
pub(crate) fn write(folder: &Path, report: &SweepReport) -> Result<(), TrainError> {
    let json = serde_json::to_string_pretty(report).expect("a report has a JSON form");
    let files = [("report.html", html::render_sweep(report)), ("report.json", json + "\n")];
    for (name, text) in files {
        let file = folder.join(name);
        write_atomically(&file, text.as_bytes()).map_err(TrainError::io("write", &file))?;
    }
    Ok(())
}

fn best_of(folder: &Path, config: &SweepConfig, trial: &Trial) -> SweepBest {
    let settings = config.assignments(&trial.parameters);
    let set = settings.iter().flat_map(|set| ["--set", set.as_str()]);
    let again = command::line(["regard", "train", config.base.as_str()].into_iter().chain(set));
    let run = trial_folder(folder, trial.number).display().to_string();
    SweepBest {
        number: trial.number,
        command: again,
        score: command::line(["regard", "train", "--resume", run.as_str()]),
    }
}

fn row(config: &SweepConfig, trial: &Trial) -> SweepTrial {
    let value = |value: &toml::Value| serde_json::to_value(value).unwrap_or(Value::Null);
    SweepTrial {
        number: trial.number,
        state: trial.state.name().to_owned(),
        objective: trial.objective,
        best_epoch: trial.best_epoch,
        epochs: trial.values.len(),
        seconds: trial.seconds,
        parameters: trial.parameters.iter().map(|(k, v)| (k.clone(), value(v))).collect(),
        positions: positions(&config.keys, &trial.parameters),
        message: trial.message.clone(),
    }
}
