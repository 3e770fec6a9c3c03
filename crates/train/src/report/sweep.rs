//! The content of a sweep's `report.json`: field names are the JSON keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::nullable;

/// Everything that a sweep says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepReport {
    /// Version of this layout, [`SweepReport::FORMAT_VERSION`] when written by this crate.
    pub format_version: u32,
    /// Name of its file.
    pub name: String,
    /// Preset or file that every trial starts from.
    pub base: String,
    /// What the trials are judged by; never a score of the test part.
    pub objective: String,
    /// Whether the smaller value is the better one.
    pub is_minimised: bool,
    /// `"random"`, `"grid"` or `"tpe"`.
    pub method: String,
    /// Seed of the search.
    pub seed: u64,
    /// When it was written, UTC, RFC 3339.
    pub created: String,
    /// Version of the crate that wrote it.
    pub version: String,
    /// The searched keys.
    pub keys: Vec<SweepKey>,
    /// Trials with a value: finished and pruned ones; importances are computed from them.
    pub n_judged: usize,
    /// The finished trial with the best value.
    pub best: Option<SweepBest>,
    /// All trials, by number.
    pub trials: Vec<SweepTrial>,
}

/// A searched key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepKey {
    /// Dotted key of the configuration.
    pub key: String,
    /// Its range, in words.
    pub range: String,
    /// Its values, if it is a choice.
    pub choices: Vec<String>,
    /// Smallest and largest value; first and last of a choice.
    pub ends: [String; 2],
    /// Share of the variance of the trials' ranks that goes with it; `None` with too few trials.
    pub importance: Option<f64>,
    /// Groups of values that the share was computed with.
    pub n_groups: usize,
}

/// The chosen trial, and how to have its model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepBest {
    /// Number of the trial.
    pub number: usize,
    /// Trains it again from nothing.
    pub command: String,
    /// Scores the trained model on the test part.
    pub score: String,
}

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepTrial {
    /// Number, from 1.
    pub number: usize,
    /// `"finished"`, `"pruned"`, `"failed"` or `"running"`.
    pub state: String,
    /// Best value of the objective.
    pub objective: Option<f64>,
    /// Epoch of it, from 1.
    pub best_epoch: Option<usize>,
    /// Epochs done.
    pub epochs: usize,
    /// Wall-clock time, in seconds.
    #[serde(deserialize_with = "nullable::number")]
    pub seconds: f64,
    /// Values of the searched keys.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Place of each key's value in its range, 0 to 1, in the order of the keys.
    #[serde(deserialize_with = "nullable::numbers")]
    pub positions: Vec<f64>,
    /// Why it failed.
    pub message: Option<String>,
}

impl SweepReport {
    /// Version of the layout that this crate writes and reads.
    pub const FORMAT_VERSION: u32 = 1;

    /// 1 where the smaller value is the better one, −1 elsewhere.
    pub(super) fn sign(&self) -> f64 {
        if self.is_minimised { 1.0 } else { -1.0 }
    }

    /// Number of trials in a state.
    pub(super) fn count(&self, state: &str) -> usize {
        self.trials.iter().filter(|trial| trial.state == state).count()
    }

    /// The trial that was chosen.
    pub(super) fn best_trial(&self) -> Option<&SweepTrial> {
        let number = self.best.as_ref()?.number;
        self.trials.iter().find(|trial| trial.number == number)
    }

    /// Trials, best first: finished ones, then pruned ones, then those without a value.
    pub(super) fn ranked(&self) -> Vec<&SweepTrial> {
        let class = |trial: &SweepTrial| match (trial.state.as_str(), trial.objective) {
            ("finished", Some(_)) => 0,
            ("pruned", Some(_)) => 1,
            _ => 2,
        };
        let value = |trial: &SweepTrial| self.sign() * trial.objective.unwrap_or(f64::INFINITY);
        let mut all: Vec<&SweepTrial> = self.trials.iter().collect();
        all.sort_by(|a, b| class(a).cmp(&class(b)).then(value(a).total_cmp(&value(b))));
        all
    }

    /// Best value of the finished trials up to each one, by number; NaN before the first.
    pub(super) fn best_so_far(&self) -> Vec<(f64, f64)> {
        let mut best = f64::NAN;
        let step = |trial: &SweepTrial| {
            let value = trial.objective.filter(|_| trial.state == "finished").unwrap_or(f64::NAN);
            best = if self.is_minimised { best.min(value) } else { best.max(value) };
            (trial.number as f64, best)
        };
        self.trials.iter().map(step).collect()
    }
}

/// A value of a key as it is written in a configuration.
pub(super) fn shown(value: &serde_json::Value) -> String {
    match value.as_str() {
        Some(word) => word.to_owned(),
        None => value.to_string(),
    }
}
