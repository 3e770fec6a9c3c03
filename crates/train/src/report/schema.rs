//! The content of `report.json`: field names are the JSON keys.

use serde::{Deserialize, Serialize};

use super::nullable;
use super::rollout::RolloutPlots;
use super::score::ScoreRow;
use crate::metric::valid_prediction_time::TimeScale;

/// Everything a finished run says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this layout, [`Report::FORMAT_VERSION`] when written by this crate.
    pub format_version: u32,
    /// Which run this is.
    pub run: RunInfo,
    /// What it was trained and scored on.
    pub data: DataInfo,
    /// What was trained.
    pub model: ModelInfo,
    /// How the training went.
    pub training: TrainingInfo,
    /// One row per method on the test split; the trained model and the baselines.
    pub scores: Vec<ScoreRow>,
    /// Free-running forecasts of the test split, for pictures.
    pub rollouts: RolloutPlots,
    /// Attention scores per layer and head; empty for models without attention.
    pub attention: Vec<ScoreMatrix>,
}

/// Name, origin and surroundings of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Name of the run folder.
    pub name: String,
    /// Preset or file the run was started from.
    pub preset: String,
    /// One line for people: what the run is about.
    pub title: String,
    /// When the run finished, UTC, RFC 3339.
    pub created: String,
    /// Command line that started the run.
    pub command: String,
    /// Seed of every random stream.
    pub seed: u64,
    /// Version of the crate that wrote the report.
    pub version: String,
    /// Device the run used, in words.
    pub device: String,
}

/// The data behind a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataInfo {
    /// File name or simulator, in words.
    pub source: String,
    /// Names of the variables, in the order of every per-variable list.
    pub columns: Vec<String>,
    /// Time between two steps, in the data's unit of time.
    pub dt: Option<f64>,
    /// Largest Lyapunov exponent, per unit of time.
    pub lyapunov_exponent: Option<f64>,
    /// How long any forecast of a simulated system can be valid; `None` for other data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Ceiling>,
    /// Fits the weights and the normalisation.
    pub train: SplitInfo,
    /// Chooses the weights.
    pub validation: SplitInfo,
    /// Gives the scores and is used for nothing else.
    pub test: SplitInfo,
}

/// Ceilings of the valid prediction time, computed from the system itself: medians over some states of
/// the test part of the time until two computations of the truth differ by more than the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// Threshold on the relative error.
    pub threshold: f64,
    /// Against the same method with half the step, in the data's unit of time: how far the truth is the
    /// system's. `None` beyond `searched`.
    pub half_step: Option<f64>,
    /// Against itself with every row rounded to single precision: how far a perfect forecaster gets that
    /// hands its state on in f32. `None` beyond `searched`.
    pub single_precision: Option<f64>,
    /// Time until which was looked.
    pub searched: f64,
}

/// Size of one part of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitInfo {
    /// Number of series.
    pub n_series: usize,
    /// Time steps of all series together.
    pub n_steps: usize,
    /// Windows of input and target together.
    pub n_windows: usize,
}

/// The trained model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Kind of model, for example `forecaster` or `lstm`.
    pub kind: String,
    /// Attention mechanism; `None` for a model without one.
    pub mechanism: Option<String>,
    /// Number of trained numbers.
    pub n_parameters: u64,
    /// Multiply-adds of the forward pass for one window.
    pub multiply_adds: u64,
    /// Steps the model sees.
    pub window: usize,
    /// Steps it predicts at once.
    pub horizon: usize,
    /// What the output means, for example `increment` or `value`.
    pub target: String,
}

/// How the training went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingInfo {
    /// Epochs done.
    pub epochs: usize,
    /// Epoch whose weights were kept: the one with the lowest validation loss.
    pub best_epoch: usize,
    /// Optimiser steps done.
    pub steps: u64,
    /// Wall-clock time of the whole training, in seconds.
    #[serde(deserialize_with = "nullable::number")]
    pub seconds: f64,
    /// Median wall-clock time of an epoch, in seconds.
    #[serde(deserialize_with = "nullable::number")]
    pub seconds_per_epoch: f64,
    /// One row per epoch.
    pub curve: Vec<EpochRow>,
}

/// One epoch of the training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// Number of the epoch; the first is 1.
    pub epoch: usize,
    /// Mean loss over the training windows, standardised units.
    #[serde(deserialize_with = "nullable::number")]
    pub train_loss: f64,
    /// Mean loss over the validation windows, standardised units.
    pub validation_loss: Option<f64>,
    /// Share of the validation part classified right; classification only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// Share of the test part classified right; reported, chooses nothing; classification only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Learning rate at the end of the epoch.
    #[serde(deserialize_with = "nullable::number")]
    pub learning_rate: f64,
    /// Wall-clock time, in seconds.
    #[serde(deserialize_with = "nullable::number")]
    pub seconds: f64,
}

/// Scores of one attention head: row `i` says how output position `i` weighs the input positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreMatrix {
    /// Layer, counted from 0.
    pub layer: usize,
    /// Head, counted from 0.
    pub head: usize,
    /// Whether these are learned numbers or means over inputs.
    pub meaning: ScoreMeaning,
    /// Output positions.
    pub rows: usize,
    /// Input positions.
    pub cols: usize,
    /// `rows × cols` scores, row after row.
    #[serde(deserialize_with = "nullable::singles")]
    pub values: Vec<f32>,
}

/// What the numbers of a [`ScoreMatrix`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreMeaning {
    /// The learned α of easy attention: the same for every input.
    Learned,
    /// Attention weights, averaged over windows of the test split.
    MeanWeights,
}

impl Report {
    /// Version of the layout that this crate writes and reads.
    pub const FORMAT_VERSION: u32 = 1;
}

impl DataInfo {
    /// Most telling scale of forecast times that these data allow; valid prediction times use it.
    #[must_use]
    pub fn time_scale(&self) -> TimeScale {
        // Without chaos there is no Lyapunov time.
        let exponent = self.lyapunov_exponent.filter(|exponent| *exponent > 0.0);
        TimeScale::from_known(self.dt, exponent)
    }

    /// The ceilings in words, in the unit of [`DataInfo::time_scale`].
    #[must_use]
    pub fn ceiling_note(&self) -> Option<String> {
        let (ceiling, dt) = (self.ceiling?, self.dt?);
        let time = |t: Option<f64>| {
            let shown = self.time_from_steps(t.unwrap_or(ceiling.searched) / dt);
            format!("{}{shown:.1}", if t.is_some() { "" } else { "more than " })
        };
        Some(format!(
            "Ceiling at {}: the truth agrees with itself at half the integration step for {}, and with itself \
             rounded to f32 at every row for {} {}.",
            ceiling.threshold,
            time(ceiling.half_step),
            time(ceiling.single_precision),
            self.time_scale().unit()
        ))
    }

    /// Forecast time after `steps` steps, in the unit of [`DataInfo::time_scale`].
    ///
    /// Negative before the first prediction.
    #[must_use]
    pub fn time_from_steps(&self, steps: f64) -> f64 {
        steps * self.time_scale().time_from_steps(1)
    }
}

impl ModelInfo {
    /// Short name: the kind and, where there is one, the mechanism.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.mechanism {
            Some(mechanism) => format!("{} · {mechanism}", self.kind),
            None => self.kind.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;

    #[test]
    fn forecast_time_uses_the_most_telling_unit_the_data_allow() {
        let mut data = synthetic::lorenz().data;
        let mut seen = Vec::new();
        for (dt, exponent) in [(Some(0.5), Some(0.25)), (Some(0.5), Some(0.0)), (None, Some(0.25))]
        {
            (data.dt, data.lyapunov_exponent) = (dt, exponent);
            seen.push(format!("{} {}", data.time_from_steps(6.0), data.time_scale().unit()));
        }
        assert_eq!(seen, ["0.75 Lyapunov times", "3 time units", "6 steps"]);
    }
}
