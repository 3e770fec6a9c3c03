//! `sweep.toml`: what is searched, how, and with which budget.
//!
//! ```toml
//! base = "lorenz"
//! objective = "validation_loss"
//!
//! [search]
//! method = "tpe"
//! trials = 40
//!
//! [set]
//! "fit.epochs" = 25
//!
//! [keys]
//! "fit.optimizer.learning_rate" = { distribution = "log-uniform", low = 1e-4, high = 1e-2 }
//! "model.n_layers" = { distribution = "integer", low = 1, high = 4 }
//! "model.readout" = { choices = ["increment", "direct"] }
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::Value;

use super::config_check;
use super::objective::Objective;
use super::prune::PruneConfig;
use super::space::{Key, Parameters};
use super::trial;
use crate::error::TrainError;
use crate::run_config::{RunConfig, with_nearest_key};

/// A whole sweep, checked.
#[derive(Debug, Clone)]
pub struct SweepConfig {
    /// File that it was read from.
    pub(crate) file: PathBuf,
    /// The file's text.
    pub(crate) text: String,
    /// Preset, or file of a run; as `regard train` takes it.
    pub(crate) base: String,
    /// The configuration of `base` with `set`; every trial starts from it.
    pub(crate) base_config: RunConfig,
    pub(crate) objective: Objective,
    pub(crate) search: SearchConfig,
    pub(crate) prune: Option<PruneConfig>,
    /// Changes of every trial.
    pub(crate) set: Parameters,
    /// Searched keys, by name.
    pub(crate) keys: Vec<Key>,
}

/// How the keys of a trial are chosen, and when to stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// Random, a grid, or tree-structured Parzen estimators.
    pub method: Method,
    /// Seed of the draws; not of the trainings, whose seed is that of `base`.
    pub seed: u64,
    /// Largest number of trials, pruned and failed ones included; that of all combinations for a grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trials: Option<usize>,
    /// No trial starts once all trials together have taken so long: `"2h"`, `"90 min"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Random trials before `tpe` learns from them.
    pub startup: usize,
}

/// How the keys of a trial are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Each key drawn from its range, independently of all trials before.
    Random,
    /// Every combination of the values of every key.
    Grid,
    /// Tree-structured Parzen estimators: where good trials are denser than others.
    Tpe,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    base: String,
    #[serde(default = "validation_loss")]
    objective: String,
    #[serde(default)]
    search: SearchConfig,
    prune: Option<PruneConfig>,
    #[serde(default)]
    set: toml::Table,
    #[serde(default)]
    keys: toml::Table,
}

fn validation_loss() -> String {
    "validation_loss".to_owned()
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self { method: Method::Tpe, seed: 0, trials: None, time: None, startup: 10 }
    }
}

impl Method {
    /// Name in `sweep.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Grid => "grid",
            Self::Tpe => "tpe",
        }
    }
}

impl SearchConfig {
    /// The time budget; checked when the file is read.
    pub(crate) fn time(&self) -> Option<Duration> {
        let time: jiff::SignedDuration = self.time.as_ref()?.parse().ok()?;
        Duration::try_from(time).ok().filter(|time| !time.is_zero())
    }
}

impl SweepConfig {
    /// Reads a file and checks it: every key is tried on `base` at every end of its range.
    ///
    /// A path in `base` is relative to the file.
    ///
    /// # Errors
    /// [`TrainError::Io`]; [`TrainError::Config`] with the place, the value found and what is expected.
    pub fn load(file: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(file).map_err(TrainError::io("read", file))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        Self::parse(file, &text, folder)
    }

    /// Parses the text of `file`; a path in `base` is relative to `folder`.
    pub(crate) fn parse(file: &Path, text: &str, folder: &Path) -> Result<Self, TrainError> {
        let error =
            |message: String| TrainError::Config { origin: file.display().to_string(), message };
        let raw: File =
            toml::from_str(text).map_err(|e| error(with_nearest_key(e.to_string().trim_end())))?;
        let objective = Objective::find(&raw.objective).map_err(error)?;
        let set = config_check::settings(&raw.set);
        let keys = config_check::keys(&raw.keys).map_err(error)?;
        config_check::search(&raw.search, &keys).map_err(error)?;
        if let Some(prune) = &raw.prune {
            prune.check().map_err(error)?;
        }
        let beside = folder.join(&raw.base);
        let is_file = Path::new(&raw.base).extension().is_some_and(|e| e == "toml");
        let base = if is_file { beside.display().to_string() } else { raw.base };
        let base_config = trial::configuration(&base, &assignments(&set)).map_err(|e| {
            error(format!("base = \"{base}\" with the keys of [set]: {}", config_check::reason(&e)))
        })?;
        let config = Self {
            file: file.to_owned(),
            text: text.to_owned(),
            base,
            base_config,
            objective,
            search: raw.search,
            prune: raw.prune,
            set,
            keys,
        };
        config_check::on_the_base(&config).map_err(error)?;
        Ok(config)
    }

    /// Name of the sweep: the file without folder and extension.
    pub(crate) fn name(&self) -> String {
        self.file.file_stem().map_or_else(|| "sweep".into(), |s| s.to_string_lossy().into_owned())
    }

    /// The changes of a trial, as `regard train --set` takes them.
    pub(crate) fn assignments(&self, parameters: &Parameters) -> Vec<String> {
        let mut all = self.set.clone();
        all.extend(parameters.iter().map(|(key, value)| (key.clone(), value.clone())));
        assignments(&all)
    }

    /// The value of an integer key of the base.
    pub(crate) fn fixed_integer(&self, path: &str) -> Option<i64> {
        let table = toml::Table::try_from(&self.base_config).ok()?;
        config_check::at(&table, path)?.as_integer()
    }

    /// What must not change while a sweep goes on, by section. Budgets may.
    pub(crate) fn identity(&self) -> Result<[(&'static str, String); 6], TrainError> {
        let mut base = self.base_config.clone();
        base.make_absolute()?;
        let search = SearchConfig { trials: None, time: None, ..self.search.clone() };
        let json = |value: serde_json::Result<String>| value.expect("it has a JSON form");
        Ok([
            ("objective", self.objective.name().to_owned()),
            ("search", json(serde_json::to_string(&search))),
            ("prune", json(serde_json::to_string(&self.prune))),
            ("set", json(serde_json::to_string(&self.set))),
            ("keys", json(serde_json::to_string(&self.keys))),
            ("base", base.to_toml()),
        ])
    }
}

/// `key=value`, a `kind` before the keys that belong to it.
fn assignments(values: &Parameters) -> Vec<String> {
    let is_kind = |key: &str| key.rsplit('.').next() == Some("kind");
    let (kinds, others): (Vec<_>, Vec<_>) = values.iter().partition(|(key, _)| is_kind(key));
    kinds.into_iter().chain(others).map(|(key, value)| format!("{key}={}", plain(value))).collect()
}

/// A value as TOML; a string that reads as one without quotes stands bare.
fn plain(value: &Value) -> String {
    match value.as_str() {
        Some(word) if is_bare(word) => word.to_owned(),
        _ => value.to_string(),
    }
}

fn is_bare(word: &str) -> bool {
    let starts = word.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    starts && plain && !["true", "false", "inf", "nan"].contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let file = Path::new("my.toml");
        SweepConfig::parse(file, text, Path::new("")).unwrap_err().to_string()
    }

    fn with_key(key: &str) -> String {
        format!("base = \"lorenz\"\n[search]\ntrials = 3\n[keys]\n{key}\n")
    }

    #[test]
    fn quoted_and_dotted_keys_are_the_same() {
        let text = |set: &str, key: &str| {
            let key = format!("{key} = {{ distribution = \"uniform\", low = 0.1, high = 0.2 }}");
            let text =
                format!("base = \"lorenz\"\n[search]\ntrials = 3\n[set]\n{set}\n[keys]\n{key}\n");
            SweepConfig::parse(Path::new("my.toml"), &text, Path::new("")).unwrap()
        };
        let quoted = text("\"fit.epochs\" = 5", "\"fit.optimizer.learning_rate\"");
        let dotted = text("fit.epochs = 5", "fit.optimizer.learning_rate");
        assert_eq!(quoted.identity().unwrap(), dotted.identity().unwrap());
        assert_eq!(quoted.base_config.forecast().unwrap().fit.epochs, 5);
    }

    #[test]
    fn assignments_set_what_they_say() {
        let parameters: Parameters = [
            ("fit.schedule.final_fraction", Value::from(0.25)),
            ("fit.schedule.kind", Value::from("cosine")),
            ("fit.epochs", Value::from(7)),
            ("title", Value::from("a b")),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        let set = assignments(&parameters);
        assert_eq!(
            set,
            [
                "fit.schedule.kind=cosine",
                "fit.epochs=7",
                "fit.schedule.final_fraction=0.25",
                "title=\"a b\""
            ]
        );
        let config = RunConfig::load("lorenz", &set).unwrap().forecast().unwrap();
        assert_eq!((config.fit.epochs, config.title.as_str()), (7, "a b"));
    }

    #[test]
    fn wrong_keys_are_named_with_place_and_remedy() {
        let rate = "\"fit.optimizer.learning_rate\"";
        let cases = [
            (
                "\"fit.epoch\" = { distribution = \"integer\", low = 1, high = 3 }".to_owned(),
                "my.toml: keys.\"fit.epoch\" = 1: unknown field `epoch`, expected one of",
            ),
            (
                format!("{rate} = {{ distribution = \"uniform\", low = 2, high = 1 }}"),
                "my.toml: keys.\"fit.optimizer.learning_rate\": low = 2 is above high = 1",
            ),
            (
                format!("{rate} = {{ distribution = \"uniform\", low = 1, high = 1 }}"),
                "my.toml: keys.\"fit.optimizer.learning_rate\": low = high = 1 leaves nothing to \
                 search; put the value into [set]",
            ),
            (
                format!("{rate} = {{ distribution = \"log-uniform\", low = 0, high = 1 }}"),
                "my.toml: keys.\"fit.optimizer.learning_rate\": low = 0: a logarithm needs a \
                 positive number",
            ),
            (
                format!("{rate} = {{ distribution = \"log-unifrom\", low = 1, high = 2 }}"),
                "my.toml: keys.\"fit.optimizer.learning_rate\": distribution = \"log-unifrom\" (did \
                 you mean \"log-uniform\"?): expected one of uniform, log-uniform, integer, \
                 log-integer, choice",
            ),
            (
                "\"model.readout\" = { choices = [\"increment\", \"sum\"] }".to_owned(),
                "my.toml: keys.\"model.readout\" = \"sum\": unknown variant `sum`, expected",
            ),
            (
                "\"model.n_layers\" = { choices = [1, 2.5] }".to_owned(),
                "my.toml: keys.\"model.n_layers\" = 2.5: invalid type: floating point `2.5`",
            ),
            (
                "\"model.n_layers\" = { choices = [] }".to_owned(),
                "my.toml: keys.\"model.n_layers\": choices is empty",
            ),
            (
                "\"model.n_layers\" = 3".to_owned(),
                "my.toml: keys.\"model.n_layers\" = 3: expected a range, as in { distribution = \
                 \"uniform\", low = 0.1, high = 0.5 } or { choices = [..] }; a fixed value belongs \
                 to [set]",
            ),
            (
                "\"model.d_model\" = { distribution = \"integer\", low = 8, high = 64, \
                 multiple_of = \"model.heads\" }"
                    .to_owned(),
                "my.toml: keys.\"model.d_model\": multiple_of = \"model.heads\" is no integer of \
                 [keys] or of the base",
            ),
            (
                "\"fit.epochs\" = { distribution = \"integer\", low = 1, high = 3, stpe = 1 }"
                    .to_owned(),
                "my.toml: keys.\"fit.epochs\": unknown field `stpe`",
            ),
        ];
        for (key, expected) in cases {
            let found = message(&with_key(&key));
            assert!(found.starts_with(expected), "{found}\nis not\n{expected}");
        }
    }

    #[test]
    fn wrong_sections_are_named() {
        let keys = "[keys]\n\"fit.epochs\" = { distribution = \"integer\", low = 1, high = 3 }\n";
        let cases = [
            (
                format!("base = \"lorenz\"\n{keys}"),
                "my.toml: no budget: give search.trials or search.time",
            ),
            (
                format!("base = \"lorenz\"\n[search]\ntrials = 0\n{keys}"),
                "my.toml: search.trials = 0: expected at least 1",
            ),
            (
                format!("base = \"lorenz\"\n[search]\ntime = \"long\"\n{keys}"),
                "my.toml: search.time = \"long\": expected a time, as in \"2h\" or \"90 min\"",
            ),
            (
                "base = \"lorenz\"\n[search]\ntrials = 3\n".to_owned(),
                "my.toml: [keys] is empty: name at least one key and its range",
            ),
            (
                format!("base = \"lorens\"\n[search]\ntrials = 3\n{keys}"),
                "my.toml: base = \"lorens\" with the keys of [set]: no preset and no file is called \
                 \"lorens\" (did you mean \"lorenz\"?)",
            ),
            (
                format!(
                    "base = \"lorenz\"\n[search]\ntrials = 3\n[set]\n\"fit.epochs\" = 2\n{keys}"
                ),
                "my.toml: \"fit.epochs\" stands both in [set] and in [keys]; keep one of them",
            ),
            (
                format!("base = \"lorenz\"\nobjective = \"test_loss\"\n{keys}"),
                "my.toml: objective = \"test_loss\" is a score of the test part",
            ),
            (
                format!("base = \"lorenz\"\n[serach]\ntrials = 3\n{keys}"),
                "my.toml: TOML parse error at line 2",
            ),
        ];
        for (text, expected) in cases {
            let found = message(&text);
            assert!(found.starts_with(expected), "{found}\nis not\n{expected}");
        }
    }

    #[test]
    fn the_search_of_the_larnn_paper_is_a_sweep() {
        let text = include_str!("../../../../presets/sweeps/larnn.toml");
        let config = SweepConfig::parse(Path::new("larnn.toml"), text, Path::new("")).unwrap();
        assert_eq!((config.keys.len(), config.objective.is_minimised()), (12, false));
        // Their form L(0.6) around 64, in whole numbers: 64 / e^0.6 = 35.1, 64 e^0.6 = 116.6.
        let width = &config.keys.iter().find(|key| key.path == "model.d_model").unwrap();
        assert!(width.distribution.describe().starts_with("integers 35 to 117"), "{width:?}");
    }

    #[test]
    fn a_grid_of_real_numbers_needs_points() {
        let text = "base = \"lorenz\"\n[search]\nmethod = \"grid\"\n[keys]\n\
                    \"fit.optimizer.learning_rate\" = { distribution = \"uniform\", low = 0.1, high = 0.2";
        let found = message(&format!("{text} }}\n"));
        assert!(found.contains("a grid needs points = N"), "{found}");
        let text = format!("{text}, points = 3 }}\n");
        SweepConfig::parse(Path::new("my.toml"), &text, Path::new("")).unwrap();
    }
}
