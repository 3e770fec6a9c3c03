//! The content of `report.json` of a run that learns an operator: field names are the JSON keys.

use regard_data::operator::{FunctionSet, Points};
use serde::{Deserialize, Serialize};

use super::certificate::Certificate;
use super::schema::{RunInfo, TrainingInfo};
use crate::metric::function::FunctionScores;

/// Everything a finished run says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorReport {
    /// Version of this layout, [`OperatorReport::FORMAT_VERSION`] when written by this crate.
    pub format_version: u32,
    /// `"operator"`; reports of forecasts have no such key.
    pub task: String,
    /// Which run this is.
    pub run: RunInfo,
    /// What it was trained and scored on.
    pub data: OperatorData,
    /// What was trained.
    pub model: OperatorInfo,
    /// How the training went.
    pub training: TrainingInfo,
    /// One row per method; the trained model first.
    pub scores: Vec<OperatorRow>,
    /// Functions of the first test part, for pictures.
    pub examples: Vec<FunctionExample>,
    /// Which waves of the first test part the model finds, where its points are equally spaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectra: Option<FunctionSpectra>,
    /// What was measured of it under refinement, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
}

/// The pairs of functions behind a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorData {
    /// What was read.
    pub source: String,
    /// Channels of the inputs.
    pub inputs: Vec<String>,
    /// Channels of the outputs.
    pub outputs: Vec<String>,
    /// Fits the weights and the normalisation.
    pub train: OperatorPart,
    /// Chooses the weights.
    pub validation: Option<OperatorPart>,
    /// Give the scores; the first is the one that is summed up.
    pub tests: Vec<OperatorPart>,
}

/// One part of the data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorPart {
    /// Name in tables.
    pub name: String,
    /// Number of functions.
    pub functions: usize,
    /// Number of points, along each axis.
    pub points: Vec<usize>,
    /// Where the points of a grid lie.
    pub placement: Option<String>,
}

/// The trained model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorInfo {
    /// Name in tables.
    pub name: String,
    /// Number of trained real numbers.
    pub n_parameters: u64,
}

/// One method on the parts that it was not fitted to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OperatorRow {
    /// Name of the method.
    pub name: String,
    /// Whether the method is a baseline.
    pub is_baseline: bool,
    /// Number of fitted real numbers.
    pub n_parameters: Option<u64>,
    /// Seconds of training.
    pub seconds: Option<f64>,
    /// Scores on the part that chose the weights.
    pub validation: Option<FunctionScores>,
    /// Scores on the test parts, in their order; `None` where the method knows other points.
    pub tests: Vec<Option<FunctionScores>>,
}

/// A function, what the model makes of it, and what it should be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionExample {
    /// Which one: `"median"`, `"worst"`.
    pub name: String,
    /// Its relative L2 error.
    pub relative_l2: f64,
    /// Number of points, along each axis.
    pub shape: Vec<usize>,
    /// Where the points of a line lie; empty for a grid.
    pub coordinates: Vec<f64>,
    /// The first channel of the input.
    pub input: Vec<f64>,
    /// The first channel of the output.
    pub truth: Vec<f64>,
    /// The first channel of what the model makes of the input.
    pub found: Vec<f64>,
}

/// Mean power at the wave numbers 1, 2, …
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionSpectra {
    /// Of the functions.
    pub truth: Vec<f64>,
    /// Of what the model makes of the inputs.
    pub found: Vec<f64>,
    /// Of the difference.
    pub error: Vec<f64>,
}

impl OperatorPart {
    /// What is to be said of a set.
    #[must_use]
    pub fn of(name: &str, set: &FunctionSet) -> Self {
        Self {
            name: name.to_owned(),
            functions: set.samples(),
            points: set.points().shape(),
            placement: match set.points() {
                Points::Line(_) => None,
                Points::Grid { placement, .. } => Some(placement.name().to_owned()),
            },
        }
    }

    /// Its points in words: `64 × 64 nodes`, `200 points`.
    #[must_use]
    pub fn points_text(&self) -> String {
        let sizes: Vec<String> = self.points.iter().map(ToString::to_string).collect();
        format!("{} {}", sizes.join(" × "), self.placement.as_deref().unwrap_or("points"))
    }
}

impl OperatorReport {
    /// Version of the layout that this crate writes and reads.
    pub const FORMAT_VERSION: u32 = 1;
    /// What [`OperatorReport::task`] says.
    pub const TASK: &'static str = "operator";

    /// Whether the trained model is nearer to the functions of the first test part than their mean over the
    /// training part; of the validation part if there is no test part.
    #[must_use]
    pub fn beats_mean(&self) -> bool {
        let error = |row: Option<&OperatorRow>| row?.scores().map(|scores| scores.relative_l2);
        let model = error(self.scores.iter().find(|row| !row.is_baseline));
        let mean = error(self.scores.iter().find(|row| row.name == "mean"));
        match (model, mean) {
            (Some(model), Some(mean)) => model < mean,
            // Nothing was held out, or on points of its own: there is nothing to object.
            _ => true,
        }
    }
}

impl OperatorRow {
    /// Scores on the first test part; on the validation part where there is no other.
    #[must_use]
    pub fn scores(&self) -> Option<&FunctionScores> {
        self.tests.first().and_then(Option::as_ref).or(self.validation.as_ref())
    }
}
