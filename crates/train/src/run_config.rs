//! The one file that describes a run; it is saved with the run.
//!
//! `task.kind` says what is learned, and so which keys there are: [`ForecastConfig`],
//! [`ClassifyConfig`], [`LanguageConfig`] or
//! [`OperatorRunConfig`]. `--set section.key=value` changes one key of a file or preset before it is checked.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::classification::ClassifyConfig;
use crate::error::{TrainError, nearest};
use crate::forecast_config::ForecastConfig;
use crate::language::LanguageConfig;
use crate::operator::OperatorRunConfig;
use crate::preset;

/// Names of the tasks, in `task.kind`; the first is the default.
const TASKS: &[&str] = &["forecast", "classify", "language", "operator"];

/// A whole run, by its task.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RunConfig {
    /// Learns to forecast.
    Forecast(ForecastConfig),
    /// Learns to tell classes of series apart.
    Classify(ClassifyConfig),
    /// Learns to go on with a text.
    Language(LanguageConfig),
    /// Learns an operator between functions.
    Operator(OperatorRunConfig),
}

/// What every task's file has.
pub(crate) trait TaskFile: Serialize + DeserializeOwned {
    /// Heading of the report.
    fn title_mut(&mut self) -> &mut String;
    /// File or folder of the data, if it is on disk.
    fn path_mut(&mut self) -> Option<&mut PathBuf>;
    /// Refuses unknown keys in sections that cannot do so themselves.
    fn check_keys(origin: &str, table: &toml::Table) -> Result<(), TrainError>;
    /// Refuses values out of range.
    fn check(&self) -> Result<(), TrainError>;
}

impl RunConfig {
    /// Reads a preset or a file, changes the keys in `set` (`"fit.epochs=3"`), and checks it.
    ///
    /// A path inside the file is relative to the file.
    ///
    /// # Errors
    /// [`TrainError::UnknownPreset`], [`TrainError::Config`] with line and key,
    /// [`TrainError::OutOfRange`].
    pub fn load(spec: &str, set: &[String]) -> Result<Self, TrainError> {
        let path = Path::new(spec);
        let is_file = path.extension().is_some_and(|e| e == "toml") || path.is_file();
        let (origin, text) = if is_file {
            let text = std::fs::read_to_string(path).map_err(TrainError::io("read", path))?;
            (spec.to_owned(), text)
        } else {
            (format!("preset {spec}"), preset::find(spec)?.toml.into_owned())
        };
        let mut config = Self::parse(&origin, &text, set)?;
        if let Some(data) = config.path_mut()
            && data.is_relative()
            && let Some(folder) = path.parent().filter(|_| is_file)
        {
            *data = folder.join(&*data);
        }
        Ok(config)
    }

    /// Parses the text of a configuration.
    ///
    /// # Errors
    /// As [`RunConfig::load`]; messages begin with `origin`.
    pub fn parse(origin: &str, text: &str, set: &[String]) -> Result<Self, TrainError> {
        let table: toml::Table = toml::from_str(text).map_err(|e| unreadable(origin, &e))?;
        Ok(match task_of(origin, &table)? {
            "classify" => Self::Classify(parse_task(origin, text, &table, set)?),
            "language" => Self::Language(parse_task(origin, text, &table, set)?),
            "operator" => Self::Operator(parse_task(origin, text, &table, set)?),
            _ => Self::Forecast(parse_task(origin, text, &table, set)?),
        })
    }

    /// The complete configuration as a file.
    ///
    /// # Panics
    /// Never: every field has a TOML form.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("every field of the configuration has a TOML form")
    }

    /// Takes the numbers from a file or folder instead; other keys of the data stay.
    pub fn use_data_file(&mut self, path: &Path) {
        match self {
            Self::Forecast(config) => config.use_data_file(path),
            Self::Classify(config) => config.data.path = Some(path.to_owned()),
            Self::Language(config) => config.data.path = Some(path.to_owned()),
            Self::Operator(config) => config.data.path = Some(path.to_owned()),
        }
    }

    /// Replaces the model by another of about the same size.
    ///
    /// # Errors
    /// [`TrainError::UnknownModel`], with the nearest name.
    pub fn use_model(&mut self, name: &str) -> Result<(), TrainError> {
        match self {
            Self::Forecast(config) => config.model = crate::registry::model(name, &config.model)?,
            Self::Classify(config) => {
                config.model = crate::registry::classifier(name, &config.model)?;
            }
            Self::Language(config) => {
                config.model = crate::registry::language_model(name, &config.model)?;
            }
            Self::Operator(config) => {
                config.model = crate::registry::operator(name, &config.model)?;
            }
        }
        Ok(())
    }

    /// Seed of every random stream.
    #[must_use]
    pub fn seed(&self) -> u64 {
        match self {
            Self::Forecast(config) => config.seed,
            Self::Classify(config) => config.seed,
            Self::Language(config) => config.seed,
            Self::Operator(config) => config.seed,
        }
    }

    /// Gives every random stream another seed.
    pub fn set_seed(&mut self, seed: u64) {
        match self {
            Self::Forecast(config) => config.seed = seed,
            Self::Classify(config) => config.seed = seed,
            Self::Language(config) => config.seed = seed,
            Self::Operator(config) => config.seed = seed,
        }
    }

    /// Heading of the report.
    #[must_use]
    pub fn title(&self) -> &str {
        match self {
            Self::Forecast(config) => &config.title,
            Self::Classify(config) => &config.title,
            Self::Language(config) => &config.title,
            Self::Operator(config) => &config.title,
        }
    }

    /// Name of the model in tables: its mechanism, or its kind.
    #[must_use]
    pub fn model_name(&self) -> &'static str {
        match self {
            Self::Forecast(config) => crate::registry::name_of(&config.model),
            Self::Classify(config) => crate::registry::classifier_name(&config.model),
            Self::Language(config) => crate::registry::language_model_name(&config.model),
            Self::Operator(config) => crate::registry::operator_name(&config.model),
        }
    }

    /// The configuration of a run that forecasts.
    ///
    /// # Errors
    /// [`TrainError::OtherTask`] if it does not.
    pub fn forecast(self) -> Result<ForecastConfig, TrainError> {
        match self {
            Self::Forecast(config) => Ok(config),
            other => Err(other.other_task("forecast")),
        }
    }

    /// The configuration of a run that classifies.
    ///
    /// # Errors
    /// [`TrainError::OtherTask`] if it does not.
    pub fn classify(self) -> Result<ClassifyConfig, TrainError> {
        match self {
            Self::Classify(config) => Ok(config),
            other => Err(other.other_task("classify")),
        }
    }

    /// The configuration of a run that learns to go on with a text.
    ///
    /// # Errors
    /// [`TrainError::OtherTask`] if it does not.
    pub fn language(self) -> Result<LanguageConfig, TrainError> {
        match self {
            Self::Language(config) => Ok(config),
            other => Err(other.other_task("go on with a text")),
        }
    }

    /// The configuration of a run that learns an operator.
    ///
    /// # Errors
    /// [`TrainError::OtherTask`] if it does not.
    pub fn operator(self) -> Result<OperatorRunConfig, TrainError> {
        match self {
            Self::Operator(config) => Ok(config),
            other => Err(other.other_task("learn an operator")),
        }
    }

    fn other_task(&self, wanted: &'static str) -> TrainError {
        let found = match self {
            Self::Forecast(_) => "forecast",
            Self::Classify(_) => "classify",
            Self::Language(_) => "go on with a text",
            Self::Operator(_) => "learn an operator",
        };
        TrainError::OtherTask { found, wanted }
    }

    /// A saved configuration must find its file from any folder.
    pub(crate) fn make_absolute(&mut self) -> Result<(), TrainError> {
        let tokenizer = match self {
            Self::Language(config) => config.tokenizer_file_mut(),
            _ => None,
        };
        tokenizer.map_or(Ok(()), absolute)?;
        self.path_mut().map_or(Ok(()), absolute)
    }

    fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Forecast(config) => config.path_mut(),
            Self::Classify(config) => config.path_mut(),
            Self::Language(config) => config.path_mut(),
            Self::Operator(config) => config.path_mut(),
        }
    }
}

fn absolute(path: &mut PathBuf) -> Result<(), TrainError> {
    *path = std::path::absolute(&*path).map_err(TrainError::io("find", path))?;
    Ok(())
}

/// `task.kind`, or the default.
fn task_of<'a>(origin: &str, table: &'a toml::Table) -> Result<&'a str, TrainError> {
    let kind = table.get("task").and_then(|t| t.get("kind")).and_then(toml::Value::as_str);
    let kind = kind.unwrap_or(TASKS[0]);
    if TASKS.contains(&kind) {
        return Ok(kind);
    }
    Err(TrainError::Config {
        origin: origin.to_owned(),
        message: format!(
            "task.kind = \"{kind}\"{}; known: {}",
            nearest(kind, TASKS),
            TASKS.join(", ")
        ),
    })
}

/// Parses and checks the file of one task.
fn parse_task<T: TaskFile>(
    origin: &str,
    text: &str,
    table: &toml::Table,
    set: &[String],
) -> Result<T, TrainError> {
    T::check_keys(origin, table)?;
    // Parsed from the text first: only so do messages know the line.
    let config: T = toml::from_str(text).map_err(|e| unreadable(origin, &e))?;
    let mut config = if set.is_empty() {
        config
    } else {
        // Keys are set in the complete configuration, where every section says its kind.
        let mut table = toml::Table::try_from(&config).expect("a configuration is a table");
        for argument in set {
            set_key(&mut table, argument)?;
            let origin = format!("--set {argument}");
            T::check_keys(&origin, &table)?;
            T::deserialize(table.clone()).map_err(|e| unreadable(&origin, &e))?;
        }
        T::deserialize(table).map_err(|e| unreadable("--set", &e))?
    };
    config.check()?;
    if config.title_mut().is_empty() {
        origin.clone_into(config.title_mut());
    }
    Ok(config)
}

fn unreadable(origin: &str, error: &toml::de::Error) -> TrainError {
    TrainError::Config {
        origin: origin.to_owned(),
        message: with_nearest_key(error.to_string().trim_end()),
    }
}

/// Refuses keys of a section that are not `known`.
pub(crate) fn check_section(
    origin: &str,
    section: &str,
    table: &toml::Table,
    known: &[&str],
) -> Result<(), TrainError> {
    let unknown = table.keys().find(|key| !known.contains(&key.as_str()));
    let Some(key) = unknown else { return Ok(()) };
    Err(TrainError::Config {
        origin: origin.to_owned(),
        message: format!(
            "unknown key \"{section}.{key}\"{}; known: {}",
            nearest(key, known),
            known.join(", ")
        ),
    })
}

/// Appends the nearest known key to serde's message about an unknown one.
pub(crate) fn with_nearest_key(message: &str) -> String {
    let Some(rest) = message.split("unknown field `").nth(1) else { return message.to_owned() };
    let mut quoted = rest.split('`').step_by(2);
    let Some(found) = quoted.next() else { return message.to_owned() };
    let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
    let hint = nearest(found, &known);
    if hint.is_empty() { message.to_owned() } else { format!("{message}{hint}") }
}

/// Sets one dotted key: `section.key=value`, the value in TOML or a bare word.
fn set_key(table: &mut toml::Table, argument: &str) -> Result<(), TrainError> {
    let error = |message: &str| TrainError::Config {
        origin: format!("--set {argument}"),
        message: message.to_owned(),
    };
    let (path, text) =
        argument.split_once('=').ok_or_else(|| error("expected key=value, as in fit.epochs=10"))?;
    let (path, text) = (path.trim(), text.trim());
    let value = toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut t| t.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()));
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().filter(|k| !k.is_empty()).ok_or_else(|| error("the key is empty"))?;
    let mut section = table;
    for key in keys {
        let next =
            section.entry(key.to_owned()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        section = next
            .as_table_mut()
            .ok_or_else(|| error(&format!("{key} is a value, not a section")))?;
    }
    if last == "kind" && section.get(last) != Some(&value) {
        // The other keys belong to the old kind.
        section.clear();
    }
    section.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use regard_nn::mechanism::{EasyForm, MechanismConfig};
    use regard_nn::model::ModelConfig;

    fn message(text: &str, set: &[&str]) -> String {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        RunConfig::parse("my.toml", text, &set).unwrap_err().to_string()
    }

    #[test]
    fn a_file_of_three_lines_is_enough() {
        let text = "[data]\nsource = \"file\"\npath = \"a.csv\"\n";
        let config = RunConfig::parse("my.toml", text, &[]).unwrap().forecast().unwrap();
        assert_eq!(config.task.window, 32);
    }

    #[test]
    fn what_is_written_reads_back() {
        for preset in preset::all() {
            let config = RunConfig::load(&preset.name, &[]).unwrap();
            assert_eq!(RunConfig::parse("run.toml", &config.to_toml(), &[]).unwrap(), config);
        }
    }

    #[test]
    fn set_changes_one_key() {
        let set = ["fit.epochs=3".to_owned(), "model.mechanism.form=left".to_owned()];
        let config = ForecastConfig::load("lorenz", &set).unwrap();
        assert_eq!(config.fit.epochs, 3);
        let ModelConfig::Forecaster(model) = config.model else { panic!("a forecaster") };
        let MechanismConfig::Easy(easy) = model.mechanism else { panic!("easy") };
        assert_eq!(easy.form, EasyForm::Left);
    }

    #[test]
    fn set_reaches_sections_that_the_file_leaves_out() {
        let set = ["fit.optimizer.learning_rate=0.01".to_owned()];
        let config = RunConfig::parse("my.toml", "", &set).unwrap().forecast().unwrap();
        assert!((config.fit.optimizer.adam().unwrap().learning_rate - 0.01).abs() < 1e-15);
    }

    #[test]
    fn another_kind_starts_from_its_own_defaults() {
        let set = ["fit.optimizer.kind=adam".to_owned(), "fit.schedule.kind=constant".to_owned()];
        let config = ForecastConfig::load("series", &set).unwrap();
        assert!(matches!(config.fit.optimizer, crate::optimizer::OptimizerConfig::Adam { .. }));
    }

    #[test]
    fn unknown_keys_are_named_with_line_and_nearest_key() {
        let text = message("[fit]\nepoch = 3\n", &[]);
        assert!(text.starts_with("my.toml: TOML parse error at line 2"), "{text}");
        assert!(text.ends_with("(did you mean \"epochs\"?)"), "{text}");
        let text = message("", &["fit.epoch=3"]);
        assert!(text.starts_with("--set fit.epoch=3: unknown field `epoch`"), "{text}");
        let text = message("[data]\nsource = \"lorenz\"\nn_step = 3\n", &[]);
        assert!(text.contains("\"data.n_step\" (did you mean \"n_steps\"?)"), "{text}");
    }

    #[test]
    fn values_out_of_range_are_named() {
        assert_eq!(message("[task]\nwindow = 0\n", &[]), "task.window = 0: expected at least 1");
    }

    #[test]
    fn an_unknown_task_gets_the_nearest_name() {
        assert_eq!(
            message("[task]\nkind = \"clasify\"\n", &[]),
            "my.toml: task.kind = \"clasify\" (did you mean \"classify\"?); known: forecast, classify, language, operator"
        );
    }
}
