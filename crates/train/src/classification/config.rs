//! The file of a run that learns to classify.

use std::path::PathBuf;

use regard_data::augment::AugmentConfig;
use regard_data::labelled::{HoldOut, LabelledOptions};
use regard_nn::model::classifier::ClassifierConfig;
use serde::{Deserialize, Serialize};

use crate::classical::PENALTIES;
use crate::descent::Descent;
use crate::error::TrainError;
use crate::optimizer::OptimizerConfig;
use crate::precision::Precision;
use crate::registry;
use crate::run_config::{TaskFile, check_section};
use crate::schedule::ScheduleConfig;

/// A run that learns to tell classes of series apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifyConfig {
    /// Heading of the report.
    #[serde(default)]
    pub title: String,
    /// Seed of the parameters, the order of batches, dropout and augmentation.
    #[serde(default)]
    pub seed: u64,
    /// Type of the model's numbers.
    #[serde(default)]
    pub precision: Precision,
    /// What is learned.
    pub task: ClassifyTask,
    /// Where the series and labels come from.
    #[serde(default)]
    pub data: LabelledSource,
    /// Random changes of the training series; none by default.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// What is held out of the training part.
    #[serde(default = "hold_out")]
    pub split: HoldOut,
    /// The model.
    pub model: ClassifierConfig,
    /// How it is trained.
    #[serde(default)]
    pub fit: ClassifyFit,
    /// What stands beside it in the table.
    #[serde(default)]
    pub baselines: ClassifyBaselines,
}

/// What is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifyTask {
    /// The task, in the file of a run.
    pub kind: ClassifyKind,
}

/// The name of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassifyKind {
    /// One class for each series.
    Classify,
}

/// A file or folder of labelled series, and how to read it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LabelledSource {
    /// A file of windows, or a folder with a training and a test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Whether each channel is brought to mean 0 and deviation 1 of the training part.
    #[serde(default = "yes")]
    pub normalize: bool,
    /// Arrays, columns and class names; the keys stand in `[data]` itself.
    #[serde(flatten)]
    pub options: LabelledOptions,
}

/// How a classifier is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifyFit {
    /// Passes over the training series.
    pub epochs: usize,
    /// Series per step.
    pub batch_size: usize,
    /// Whether the last, smaller batch of an epoch is left out; batch statistics of a few series are noise.
    pub drop_last: bool,
    /// Epochs without a better validation score before the run ends; never by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Largest norm of the gradient; larger ones are scaled down; never by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Share of the target probability spread over all classes.
    pub label_smoothing: f64,
    /// How much each class counts in the loss.
    pub class_weights: ClassWeights,
    /// What chooses the epoch whose parameters are kept.
    pub select: Select,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// The learning rate over time.
    pub schedule: ScheduleConfig,
}

/// How much each class counts in the loss.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// Every series counts the same.
    #[default]
    Equal,
    /// Every class counts the same: `n / (classes · count)`.
    Balanced,
    /// As given, in the order of the classes.
    Given(Vec<f64>),
}

/// What chooses the epoch whose parameters are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Select {
    /// The lowest validation loss.
    #[default]
    Loss,
    /// The highest validation accuracy.
    Accuracy,
    /// The last epoch, whatever its scores.
    Last,
}

/// What stands beside the model in the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifyBaselines {
    /// Methods without gradients beside the majority; all by default.
    pub classical: Vec<ClassicalMethod>,
    /// Penalties of ridge regression, to choose from by leaving one out; none leaves it out.
    pub ridge: Vec<f64>,
    /// Half-widths of the band of warping, as shares of the length, to choose from by leaving one out.
    pub dtw_windows: Vec<f64>,
    /// Models trained in the same loop, by name: `lstm`, `gru`, `residual-bilstm`, `cnn`, `softmax`.
    pub trained: Vec<String>,
}

/// A classifier without gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassicalMethod {
    /// The nearest training series, step by step.
    NearestEuclid,
    /// The nearest training series by dynamic time warping.
    NearestDtw,
    /// Ridge regression on the values, padded to the longest training series.
    RidgeRaw,
    /// Ridge regression on summary features.
    RidgeSummary,
    /// Ridge regression on shares of time above thresholds of fixed convolutions.
    Minirocket,
}

impl ClassicalMethod {
    /// All methods, in the order of the table.
    pub const ALL: [Self; 5] = [
        Self::NearestEuclid,
        Self::NearestDtw,
        Self::RidgeRaw,
        Self::RidgeSummary,
        Self::Minirocket,
    ];

    /// Name in tables and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NearestEuclid => "nearest-euclid",
            Self::NearestDtw => "nearest-dtw",
            Self::RidgeRaw => "ridge-raw",
            Self::RidgeSummary => "ridge-summary",
            Self::Minirocket => "minirocket",
        }
    }
}

fn yes() -> bool {
    true
}

fn hold_out() -> HoldOut {
    HoldOut::Stratified { validation: 0.2, test: 0.2, seed: 0 }
}

impl Default for ClassifyFit {
    fn default() -> Self {
        Self {
            epochs: 30,
            batch_size: 128,
            drop_last: false,
            patience: None,
            clip_norm: None,
            label_smoothing: 0.0,
            class_weights: ClassWeights::Equal,
            select: Select::Loss,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
        }
    }
}

impl Default for ClassifyBaselines {
    fn default() -> Self {
        Self {
            classical: ClassicalMethod::ALL.to_vec(),
            ridge: PENALTIES.to_vec(),
            dtw_windows: vec![1.0],
            trained: Vec::new(),
        }
    }
}

impl ClassifyFit {
    /// The loop that these keys describe.
    ///
    /// # Errors
    /// [`TrainError::NotLinear`] for the closed form.
    pub(super) fn descent(&self, seed: u64) -> Result<Descent<'_>, TrainError> {
        let adam = self.optimizer.adam().ok_or(TrainError::NotLinear { found: "classifier" })?;
        Ok(Descent {
            epochs: self.epochs,
            batch_size: self.batch_size,
            drop_last: self.drop_last,
            patience: self.patience,
            clip_norm: self.clip_norm,
            adam,
            schedule: &self.schedule,
            seed,
        })
    }
}

/// Keys of `[data]`; a flattened section cannot refuse unknown keys itself.
const DATA_KEYS: &[&str] = &[
    "path",
    "normalize",
    "problem",
    "values",
    "label",
    "group",
    "series",
    "classes",
    "class_order",
    "columns",
    "missing",
];

impl TaskFile for ClassifyConfig {
    fn title_mut(&mut self) -> &mut String {
        &mut self.title
    }

    fn path_mut(&mut self) -> Option<&mut PathBuf> {
        self.data.path.as_mut()
    }

    fn check_keys(origin: &str, table: &toml::Table) -> Result<(), TrainError> {
        let Some(data) = table.get("data").and_then(toml::Value::as_table) else { return Ok(()) };
        check_section(origin, "data", data, DATA_KEYS)
    }

    fn check(&self) -> Result<(), TrainError> {
        let error =
            |key, value: String, expected| Err(TrainError::OutOfRange { key, value, expected });
        let fit = &self.fit;
        for (key, value) in [
            ("fit.epochs", Some(fit.epochs)),
            ("fit.batch_size", Some(fit.batch_size)),
            ("fit.patience", fit.patience),
        ] {
            if value == Some(0) {
                return error(key, "0".to_owned(), "at least 1");
            }
        }
        if let Some(norm) = fit.clip_norm
            && !(norm > 0.0 && norm.is_finite())
        {
            return error("fit.clip_norm", norm.to_string(), "a positive number");
        }
        if !(0.0..1.0).contains(&fit.label_smoothing) {
            let value = fit.label_smoothing.to_string();
            return error("fit.label_smoothing", value, "from 0 to below 1");
        }
        if let ClassWeights::Given(weights) = &fit.class_weights
            && !weights.iter().all(|w| *w > 0.0 && w.is_finite())
        {
            let value = format!("{weights:?}");
            return error("fit.class_weights.given", value, "a positive number for each class");
        }
        if let Some(penalty) = self.baselines.ridge.iter().find(|p| !(**p > 0.0 && p.is_finite())) {
            return error("baselines.ridge", penalty.to_string(), "positive numbers");
        }
        if let Some(window) = self.baselines.dtw_windows.iter().find(|w| !(0.0..=1.0).contains(*w))
        {
            return error("baselines.dtw_windows", window.to_string(), "shares from 0 to 1");
        }
        for name in &self.baselines.trained {
            registry::classifier(name, &self.model)?;
        }
        fit.descent(self.seed)?;
        fit.optimizer.check()?;
        fit.schedule.check()
    }
}

#[cfg(test)]
mod tests {
    use crate::run_config::RunConfig;

    fn message(set: &[&str]) -> String {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        RunConfig::load("uci-har", &set).unwrap_err().to_string()
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (set, expected) in [
            ("fit.epochs=0", "fit.epochs = 0: expected at least 1"),
            ("fit.label_smoothing=1.0", "fit.label_smoothing = 1: expected from 0 to below 1"),
            ("baselines.ridge=[0.0]", "baselines.ridge = 0: expected positive numbers"),
            (
                "baselines.dtw_windows=[2.0]",
                "baselines.dtw_windows = 2: expected shares from 0 to 1",
            ),
        ] {
            assert_eq!(message(&[set]), expected);
        }
    }

    #[test]
    fn unknown_keys_and_models_get_the_nearest_name() {
        let found = message(&["data.labels=y"]);
        assert!(found.contains("\"data.labels\" (did you mean \"label\"?)"), "{found}");
        let found = message(&["baselines.trained=[\"lst\"]"]);
        assert!(found.contains("(did you mean \"lstm\"?)"), "{found}");
    }
}
