//! The file of a run that learns an operator.

use std::path::PathBuf;

use regard_data::operator::Placement;
use regard_nn::model::operator::OperatorConfig;
use serde::{Deserialize, Serialize};

use crate::descent::Descent;
use crate::error::TrainError;
use crate::optimizer::OptimizerConfig;
use crate::precision::Precision;
use crate::run_config::TaskFile;
use crate::schedule::ScheduleConfig;

/// A run that learns an operator between functions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorRunConfig {
    /// Heading of the report.
    #[serde(default)]
    pub title: String,
    /// Seed of the parameters, the split and the order of the examples.
    #[serde(default)]
    pub seed: u64,
    /// Type of the model's numbers.
    #[serde(default)]
    pub precision: Precision,
    /// What is learned.
    pub task: OperatorTask,
    /// Where the functions come from.
    #[serde(default)]
    pub data: OperatorSource,
    /// Shares of the pairs held out, where the file has no parts for it.
    #[serde(default)]
    pub split: OperatorSplit,
    /// The model.
    pub model: OperatorConfig,
    /// How it is trained.
    #[serde(default)]
    pub fit: OperatorFit,
}

/// What is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorTask {
    /// The task, in the file of a run.
    pub kind: OperatorKind,
    /// How much of the domain a point stands for.
    #[serde(default)]
    pub quadrature: Quadrature,
}

/// The name of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperatorKind {
    /// The output function, from the input function.
    Operator,
}

/// How much of the domain a point stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quadrature {
    /// Trapezoid rule on lines and grids with end points, equal cells elsewhere.
    #[default]
    Rule,
    /// As much as any other, wherever it lies.
    Equal,
}

/// An archive of pairs of functions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperatorSource {
    /// An archive of NumPy arrays, `.npz`; with the feature `hdf5` also `.h5` and `.hdf5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Where the points of a grid on the unit square lie; as the archive says if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// The array of the points of a line; as the archive says if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<String>,
    /// Axes along which the pairs lie: 2 for snapshots of trajectories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_axes: Option<usize>,
    /// How many snapshots an output lies behind its input, along the last axis of the samples; 0 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<usize>,
    /// The arrays of the training part.
    pub train: PartArrays,
    /// The arrays of the part that chooses the weights; a share of the training part if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<PartArrays>,
    /// The arrays of the parts that score; a share of the training part if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<TestArrays>,
}

/// Names of two arrays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PartArrays {
    /// The input functions.
    pub input: String,
    /// The output functions.
    pub output: String,
}

impl Default for PartArrays {
    fn default() -> Self {
        Self { input: "input".to_owned(), output: "output".to_owned() }
    }
}

/// A part that scores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestArrays {
    /// Name in tables; the first part is the one that is summed up.
    pub name: String,
    /// The input functions.
    pub input: String,
    /// The output functions.
    pub output: String,
}

/// Shares of the pairs held out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperatorSplit {
    /// Chooses the weights.
    pub validation: f64,
    /// Scores.
    pub test: f64,
}

impl Default for OperatorSplit {
    fn default() -> Self {
        Self { validation: 0.1, test: 0.1 }
    }
}

/// How an operator is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperatorFit {
    /// Passes over the training part.
    pub epochs: usize,
    /// Pairs per step.
    pub batch_size: usize,
    /// Epochs without a better validation error before training ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Largest norm of the gradient; larger ones are scaled down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// What is minimised.
    pub loss: OperatorLoss,
    /// Whether pairs are mirrored and turned at random; for equations on the square that do not tell its
    /// sides apart.
    pub symmetry: bool,
    /// Sizes of other square grids that batches are seen on: every step draws one of them, or the own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resolutions: Vec<usize>,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// The learning rate over time.
    pub schedule: ScheduleConfig,
}

/// What is minimised, of normalised functions, as a mean over the batch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperatorLoss {
    /// `‖û − u‖ / ‖u‖`.
    #[default]
    RelativeL2,
    /// `(‖e‖ + |e|₁) / (‖u‖ + |u|₁)` with `|·|₁` from differences of neighbouring points, undivided;
    /// grids only.
    RelativeH1,
}

impl Default for OperatorFit {
    fn default() -> Self {
        Self {
            epochs: 100,
            batch_size: 8,
            patience: None,
            clip_norm: None,
            loss: OperatorLoss::RelativeL2,
            symmetry: false,
            resolutions: Vec::new(),
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
        }
    }
}

impl OperatorFit {
    /// The loop that these keys describe.
    ///
    /// # Errors
    /// [`TrainError::NotLinear`] for the closed form.
    pub(super) fn descent(&self, seed: u64) -> Result<Descent<'_>, TrainError> {
        let adam = self.optimizer.adam().ok_or(TrainError::NotLinear { found: "operator" })?;
        Ok(Descent {
            epochs: self.epochs,
            batch_size: self.batch_size,
            drop_last: false,
            patience: self.patience,
            clip_norm: self.clip_norm,
            adam,
            schedule: &self.schedule,
            seed,
        })
    }
}

impl TaskFile for OperatorRunConfig {
    fn title_mut(&mut self) -> &mut String {
        &mut self.title
    }

    fn path_mut(&mut self) -> Option<&mut PathBuf> {
        self.data.path.as_mut()
    }

    fn check_keys(_: &str, _: &toml::Table) -> Result<(), TrainError> {
        Ok(()) // every section refuses unknown keys itself
    }

    fn check(&self) -> Result<(), TrainError> {
        let error =
            |key, value: String, expected| Err(TrainError::OutOfRange { key, value, expected });
        let fit = &self.fit;
        for (key, value) in [
            ("fit.epochs", fit.epochs),
            ("fit.batch_size", fit.batch_size),
            ("data.sample_axes", self.data.sample_axes.unwrap_or(1)),
            ("fit.patience", fit.patience.unwrap_or(1)),
        ] {
            if value == 0 {
                return error(key, "0".to_owned(), "at least 1");
            }
        }
        let OperatorSplit { validation, test } = self.split;
        for (key, share) in [("split.validation", validation), ("split.test", test)] {
            if !(0.0..1.0).contains(&share) {
                return error(key, share.to_string(), "at least 0 and below 1");
            }
        }
        if validation + test >= 1.0 {
            let value = (validation + test).to_string();
            return error("split.validation + split.test", value, "less than 1");
        }
        if let Some(norm) = fit.clip_norm
            && !(norm > 0.0 && norm.is_finite())
        {
            return error("fit.clip_norm", norm.to_string(), "a positive number");
        }
        fit.descent(self.seed)?;
        fit.optimizer.check()?;
        fit.schedule.check()
    }
}
