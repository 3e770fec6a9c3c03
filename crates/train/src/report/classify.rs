//! The content of `report.json` of a run that classifies: field names are the JSON keys.

use serde::{Deserialize, Serialize};

use super::schema::{RunInfo, TrainingInfo};
use crate::metric::classification::ClassScores;

/// Everything a finished run says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassifyReport {
    /// Version of this layout, [`ClassifyReport::FORMAT_VERSION`] when written by this crate.
    pub format_version: u32,
    /// `"classify"`; reports of forecasts have no such key.
    pub task: String,
    /// Which run this is.
    pub run: RunInfo,
    /// What it was trained and scored on.
    pub data: ClassData,
    /// What was trained.
    pub model: ClassModel,
    /// How the training went.
    pub training: TrainingInfo,
    /// One row per method; the trained model first.
    pub scores: Vec<ClassRow>,
}

/// The data behind a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassData {
    /// What was read, in words.
    pub source: String,
    /// Names of the channels.
    pub columns: Vec<String>,
    /// Names of the classes, in the order of every per-class list.
    pub classes: Vec<String>,
    /// Fits the weights and the normalisation.
    pub train: ClassPart,
    /// Chooses the epoch; empty if nothing was held out.
    pub validation: ClassPart,
    /// Gives the scores.
    pub test: ClassPart,
}

/// One part of the data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassPart {
    /// Number of series.
    pub n: usize,
    /// Number of series of each class.
    pub counts: Vec<usize>,
    /// The groups in it, such as persons; empty where they are not known.
    pub groups: Vec<String>,
}

/// The trained model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassModel {
    /// Name in tables: its mechanism, or its kind.
    pub name: String,
    /// Number of trained numbers.
    pub n_parameters: u64,
    /// Multiply-adds of the forward pass for one series.
    pub multiply_adds: u64,
    /// Steps of the longest series.
    pub time: usize,
}

/// One method on the test part.
///
/// Three accuracies, since the literature reports the second: `test` is of the parameters that the
/// validation part chose, [`ClassRow::best_on_test`] of the epoch that the test part itself would have chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassRow {
    /// Name of the method.
    pub name: String,
    /// Whether the method is a baseline.
    pub is_baseline: bool,
    /// Number of fitted numbers.
    pub n_parameters: Option<u64>,
    /// Seconds per epoch; `None` for a method without epochs.
    pub seconds_per_epoch: Option<f64>,
    /// Scores on the test part of the parameters that were kept.
    pub test: Option<ClassScores>,
    /// Accuracy of the same on the validation part.
    pub validation_accuracy: Option<f64>,
    /// Epoch kept, and epochs done.
    pub epochs: Option<(usize, usize)>,
    /// Test accuracy after the last epoch.
    pub last_epoch: Option<f64>,
    /// Mean test accuracy of the last five epochs.
    pub last_five: Option<f64>,
    /// Highest test accuracy of all epochs: no one could have chosen it without the test part.
    pub best_on_test: Option<f64>,
    /// Why figures are missing.
    pub note: Option<String>,
}

impl ClassifyReport {
    /// Version of the layout that this crate writes and reads.
    pub const FORMAT_VERSION: u32 = 1;
    /// What [`ClassifyReport::task`] says.
    pub const TASK: &'static str = "classify";

    /// Whether the trained model is right more often than naming the most frequent class.
    #[must_use]
    pub fn beats_majority(&self) -> bool {
        let accuracy = |row: Option<&ClassRow>| row?.test.as_ref().map(|t| t.accuracy);
        let model = accuracy(self.scores.iter().find(|row| !row.is_baseline));
        let majority = accuracy(self.scores.iter().find(|row| row.name == "majority"));
        match (model, majority) {
            (Some(model), Some(majority)) => model > majority,
            (model, _) => model.is_some(),
        }
    }
}

impl ClassRow {
    /// Fills in what follows from the curve of a training.
    #[must_use]
    pub fn with_curve(mut self, training: &TrainingInfo) -> Self {
        let test: Vec<f64> = training.curve.iter().filter_map(|row| row.test_accuracy).collect();
        let tail = &test[test.len().saturating_sub(5)..];
        self.epochs = Some((training.best_epoch, training.epochs));
        self.last_epoch = test.last().copied();
        self.last_five = (!tail.is_empty()).then(|| tail.iter().sum::<f64>() / tail.len() as f64);
        self.best_on_test = test.iter().copied().max_by(f64::total_cmp);
        let best = training.curve.get(training.best_epoch.wrapping_sub(1));
        self.validation_accuracy = best.and_then(|row| row.validation_accuracy);
        self.seconds_per_epoch =
            (training.epochs > 0).then(|| training.seconds / training.epochs as f64);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::EpochRow;

    #[test]
    fn the_columns_of_the_curve() {
        let row = |epoch: usize, test: f64| EpochRow {
            epoch,
            validation_accuracy: Some(test - 0.1),
            test_accuracy: Some(test),
            ..EpochRow::default()
        };
        let curve: Vec<EpochRow> = [0.5, 0.9, 0.6, 0.7, 0.8, 0.7, 0.6]
            .iter()
            .enumerate()
            .map(|(i, t)| row(i + 1, *t))
            .collect();
        let training = TrainingInfo {
            epochs: 7,
            best_epoch: 4,
            steps: 7,
            seconds: 14.0,
            seconds_per_epoch: 2.0,
            curve,
        };
        let row = ClassRow::default().with_curve(&training);
        assert_eq!((row.last_epoch, row.best_on_test), (Some(0.6), Some(0.9)));
        assert!((row.last_five.unwrap() - 0.68).abs() < 1e-12);
        assert!((row.validation_accuracy.unwrap() - 0.6).abs() < 1e-12);
        assert_eq!((row.epochs, row.seconds_per_epoch), (Some((4, 7)), Some(2.0)));
    }
}
