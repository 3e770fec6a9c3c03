//! What a trial is judged by: a column of the epochs' rows that the test part has no share in.

use serde::{Deserialize, Serialize};

use crate::error::nearest;
use crate::report::EpochRow;

/// Names, and whether the smaller value is the better one.
const KNOWN: &[(&str, bool)] = &[("validation_loss", true), ("validation_accuracy", false)];

/// Scores of the test part, and words that such names contain.
const OF_THE_TEST_PART: &[&str] =
    &["test", "vpt", "one_step_mse", "relative_l2", "rollout", "accuracy", "f1", "error_at"];

/// The quantity that a sweep optimises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Objective {
    name: String,
    is_minimised: bool,
}

impl Objective {
    /// The objective of this name, or why there is none.
    pub(crate) fn find(name: &str) -> Result<Self, String> {
        if let Some((name, is_minimised)) = KNOWN.iter().find(|(known, _)| *known == name) {
            return Ok(Self { name: (*name).to_owned(), is_minimised: *is_minimised });
        }
        let known: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
        let list = known.join(", ");
        let is_validated = name.starts_with("valid");
        if !is_validated && OF_THE_TEST_PART.iter().any(|word| name.contains(word)) {
            return Err(format!(
                "objective = \"{name}\" is a score of the test part; a sweep that chose by it would \
                 report the luck of its best trial as skill. Use one of {list}; the chosen trial is \
                 scored on the test part once, at the end"
            ));
        }
        Err(format!("objective = \"{name}\"{}: expected one of {list}", nearest(name, &known)))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_minimised(&self) -> bool {
        self.is_minimised
    }

    /// 1 where the smaller value is the better one, −1 elsewhere: `sign · value` is minimised.
    pub(crate) fn sign(&self) -> f64 {
        if self.is_minimised { 1.0 } else { -1.0 }
    }

    /// The value of an epoch; `None` if runs of this task have none.
    pub(crate) fn of(&self, row: &EpochRow) -> Option<f64> {
        // The names are those of `metrics.jsonl`.
        serde_json::to_value(row).ok()?.get(&self.name)?.as_f64()
    }

    /// Epoch, from 1, and value of the best of `values`, which are those of epoch 1, 2, ….
    pub(crate) fn best(&self, values: &[f64]) -> Option<(usize, f64)> {
        let finite = values.iter().copied().enumerate().filter(|(_, value)| value.is_finite());
        // The first of equals: it is the one whose weights a run keeps.
        let best = finite.min_by(|(_, a), (_, b)| (self.sign() * a).total_cmp(&(self.sign() * b)));
        best.map(|(i, value)| (i + 1, value))
    }
}

impl TryFrom<String> for Objective {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::find(&name)
    }
}

impl From<Objective> for String {
    fn from(objective: Objective) -> Self {
        objective.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_the_test_part_are_refused_with_the_reason() {
        for name in ["test_loss", "test_accuracy", "vpt", "accuracy"] {
            let message = Objective::find(name).unwrap_err();
            assert!(message.contains("score of the test part"), "{message}");
        }
        assert_eq!(
            Objective::find("validation_los").unwrap_err(),
            "objective = \"validation_los\" (did you mean \"validation_loss\"?): expected one of \
             validation_loss, validation_accuracy"
        );
    }

    #[test]
    fn the_first_of_the_best_epochs_counts() {
        let loss = Objective::find("validation_loss").unwrap();
        assert_eq!(loss.best(&[3.0, f64::NAN, 1.0, 1.0, 2.0]), Some((3, 1.0)));
        assert_eq!(loss.best(&[]), None);
        let accuracy = Objective::find("validation_accuracy").unwrap();
        assert_eq!(accuracy.best(&[0.3, 0.9, 0.9]), Some((2, 0.9)));
    }

    #[test]
    fn an_epoch_without_the_value_has_none() {
        let row = EpochRow {
            epoch: 1,
            train_loss: 2.0,
            validation_loss: Some(0.5),
            validation_accuracy: None,
            test_accuracy: Some(0.9),
            learning_rate: 1e-3,
            seconds: 1.0,
        };
        assert_eq!(Objective::find("validation_loss").unwrap().of(&row), Some(0.5));
        assert_eq!(Objective::find("validation_accuracy").unwrap().of(&row), None);
        let row = EpochRow { validation_loss: None, ..row };
        assert_eq!(Objective::find("validation_loss").unwrap().of(&row), None);
    }
}
