//! A character model with log attention beside the same skeleton with other mixers: after as many steps, and
//! after as many seconds.

use std::path::Path;

use serde::Serialize;

use super::super::ReproduceOptions;
use super::super::seeds::{Variant, each_seed};
use crate::error::TrainError;
use crate::observer::Observer;
use crate::report::{LanguageReport, RunReport};

/// Models of a text.
#[derive(Debug, Clone, Serialize)]
pub struct Characters {
    /// In the order in which they were trained.
    pub rows: Vec<CharacterRow>,
}

/// A model with all its seeds; losses in nats per character.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CharacterRow {
    /// Name of the row.
    pub label: String,
    /// Whether it got the seconds of log attention, and not its steps.
    pub equal_seconds: bool,
    /// Trained numbers.
    pub n_parameters: u64,
    /// Steps.
    pub steps: u64,
    /// Least validation loss per seed: that of the parameters that are kept.
    pub best: Vec<f64>,
    /// Validation loss per seed after the last step.
    pub last: Vec<f64>,
    /// Seconds of training per seed: the shortest time between two scorings, which other programs disturbed
    /// least, times their number.
    pub seconds: Vec<f64>,
}

/// A mixer, and what makes the model as large as that with log attention.
struct Row {
    label: &'static str,
    mixer: &'static str,
    set: &'static [&'static str],
}

/// The usual split of this text, and no sample of it.
const ALL: [&str; 3] = ["split.train=0.9", "split.validation=0.1", "sample.tokens=0"];
const QUICK: [&str; 2] = ["fit.steps=100", "fit.evaluate_every=50"];
/// The skeleton of the paper and nothing else.
const PAPER: &[&str] =
    &["model.block={kind=\"glu\"}", "model.convolution=0", "fit.optimizer.learning_rate=1e-3"];

pub(super) const LOG: &str = "log";
pub(super) const SOFTMAX: &str = "softmax";
pub(super) const PAPER_LOG: &str = "log, the paper's skeleton";
pub(super) const PAPER_SOFTMAX: &str = "softmax, the paper's skeleton";

const ROWS: [Row; 7] = [
    Row { label: LOG, mixer: "log", set: &[] },
    Row { label: SOFTMAX, mixer: "softmax", set: &[] },
    Row { label: "linear", mixer: "linear", set: &[] },
    Row { label: "LSTM", mixer: "lstm", set: &["model.block.d_ff=191"] },
    Row { label: "log, values of any sign", mixer: "log", set: &["model.mixer.values=\"linear\""] },
    Row { label: PAPER_LOG, mixer: "log", set: PAPER },
    Row { label: PAPER_SOFTMAX, mixer: "softmax", set: PAPER },
];
/// Rows that are run a second time, as long as log attention takes.
const TIMED: [&str; 3] = [SOFTMAX, "linear", "LSTM"];

/// Trains every row; `each` sees them in order.
pub(super) fn run(
    options: &ReproduceOptions,
    observer: &mut dyn Observer,
    mut each: impl FnMut(CharacterRow) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let mut trained: Vec<CharacterRow> = Vec::new();
    for row in &ROWS {
        let found = row.run(None, options, observer)?;
        each(found.clone())?;
        trained.push(found);
    }
    let budget = least(&trained[0].seconds);
    for (row, first) in ROWS.iter().zip(&trained).filter(|(row, _)| TIMED.contains(&row.label)) {
        let steps = steps_within(budget, first, every(options));
        each(row.run(Some(steps), options, observer)?)?;
    }
    Ok(())
}

/// Steps between two scorings.
fn every(options: &ReproduceOptions) -> u64 {
    if options.quick { 50 } else { 200 }
}

/// Steps that fit into so many seconds, a whole number of scorings.
fn steps_within(budget: f64, row: &CharacterRow, every: u64) -> u64 {
    let steps = row.steps as f64 * budget / least(&row.seconds);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    let scorings = (steps / every as f64).round() as u64;
    scorings.max(1) * every
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

impl Row {
    fn set(&self, steps: Option<u64>, options: &ReproduceOptions) -> Vec<String> {
        let quick: &[&str] = if options.quick { &QUICK } else { &[] };
        let fixed = [&ALL, self.set, quick].concat();
        let steps = steps.map(|n| format!("fit.steps={n}"));
        fixed.iter().map(ToString::to_string).chain(steps).collect()
    }

    /// All seeds, with so many steps where they are given.
    fn run(
        &self,
        steps: Option<u64>,
        options: &ReproduceOptions,
        observer: &mut dyn Observer,
    ) -> Result<CharacterRow, TrainError> {
        let set = self.set(steps, options);
        let variant = Variant { preset: "text", model: Some(self.mixer), set: &set };
        let mut config = variant.config(self.label)?;
        if let Some(data) = &options.data {
            config.use_data_file(data);
        }
        let seeds = if options.quick { 1 } else { options.seeds };
        let mut row = CharacterRow {
            label: self.label.to_owned(),
            equal_seconds: steps.is_some(),
            ..CharacterRow::default()
        };
        let group = if steps.is_some() { "equal-seconds" } else { "equal-steps" };
        each_seed(self.label, Path::new(group), &config, seeds, options, observer, |outcome| {
            let RunReport::Language(report) = outcome.report else {
                return Err(TrainError::OtherTask { found: "another", wanted: "language" });
            };
            row.add(&report);
            Ok(())
        })?;
        Ok(row)
    }
}

impl CharacterRow {
    fn add(&mut self, report: &LanguageReport) {
        let losses: Vec<f64> =
            report.training.curve.iter().filter_map(|row| row.validation_loss).collect();
        self.n_parameters = report.model.n_parameters;
        self.steps = report.training.steps;
        self.best.push(losses.iter().copied().fold(f64::INFINITY, f64::min));
        self.last.extend(losses.last());
        let curve = &report.training.curve;
        let shortest = curve.iter().map(|row| row.seconds).fold(f64::INFINITY, f64::min);
        self.seconds.push(shortest * curve.len() as f64);
    }
}

#[cfg(test)]
mod tests {
    use regard_nn::model::language_model::LanguageShape;

    use super::*;
    use crate::run_config::RunConfig;

    fn options() -> ReproduceOptions {
        ReproduceOptions {
            out: "out".into(),
            data: None,
            quick: false,
            seeds: 3,
            command: String::new(),
            version: String::new(),
        }
    }

    #[test]
    fn models_have_as_many_parameters_as_the_one_with_log_attention() {
        let shape = LanguageShape { vocabulary: 65, window: 64 };
        let counts = ROWS.each_ref().map(|row| {
            let set = row.set(None, &options());
            let variant = Variant { preset: "text", model: Some(row.mixer), set: &set };
            let RunConfig::Language(config) = variant.config(row.label).unwrap() else {
                panic!("a language model")
            };
            (row.set == PAPER, config.model.n_parameters(shape).total() as f64)
        });
        for (is_paper, count) in counts {
            let of_log = if is_paper { counts[5].1 } else { counts[0].1 };
            assert!((count / of_log - 1.0).abs() < 0.02, "{counts:?}");
        }
    }

    #[test]
    fn seconds_become_a_whole_number_of_scorings() {
        let row =
            CharacterRow { steps: 2000, seconds: vec![60.0, 70.0], ..CharacterRow::default() };
        assert_eq!(steps_within(93.0, &row, 200), 3200);
        assert_eq!(steps_within(0.1, &row, 200), 200);
    }
}
