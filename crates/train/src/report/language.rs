//! The content of `report.json` of a run that learns to go on with a text: field names are the JSON keys.

use serde::{Deserialize, Serialize};

use super::schema::{RunInfo, TrainingInfo};
use crate::metric::language::TokenScores;

/// Everything a finished run says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageReport {
    /// Version of this layout, [`LanguageReport::FORMAT_VERSION`] when written by this crate.
    pub format_version: u32,
    /// `"language"`; reports of forecasts have no such key.
    pub task: String,
    /// Which run this is.
    pub run: RunInfo,
    /// What it was trained and scored on.
    pub data: LanguageData,
    /// What was trained.
    pub model: LanguageModelInfo,
    /// How the training went; an epoch is what lies between two scorings of the validation part.
    pub training: TrainingInfo,
    /// One row per method; the trained model first.
    pub scores: Vec<LanguageRow>,
    /// What the model writes.
    pub sample: Option<TextSample>,
}

/// The text behind a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanguageData {
    /// What was read.
    pub source: String,
    /// What a token is: `"byte"`, `"character"`.
    pub unit: String,
    /// Number of distinct tokens.
    pub vocabulary: usize,
    /// Fits the weights, and the counts of the baselines.
    pub train: TextPart,
    /// Chooses the weights; empty if nothing was held out.
    pub validation: TextPart,
    /// Gives the scores; empty if nothing was held out.
    pub test: TextPart,
}

/// One part of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextPart {
    /// Number of tokens.
    pub tokens: usize,
    /// Characters of all of them but the first, which nothing comes before.
    pub predicted_characters: usize,
}

/// The trained model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageModelInfo {
    /// Name in tables: its mixer.
    pub name: String,
    /// Number of trained numbers.
    pub n_parameters: u64,
    /// Those in matrices, which decay where only matrices do.
    pub n_decayed: u64,
    /// Multiply-adds of the forward pass for one window.
    pub multiply_adds: u64,
    /// Tokens of a window.
    pub window: usize,
}

/// One method on the parts that it was not fitted to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LanguageRow {
    /// Name of the method.
    pub name: String,
    /// Whether the method is a baseline.
    pub is_baseline: bool,
    /// Number of fitted numbers.
    pub n_parameters: Option<u64>,
    /// Seconds of training.
    pub seconds: Option<f64>,
    /// Scores on the part that chose the weights.
    pub validation: Option<TokenScores>,
    /// Scores on the part that chose nothing.
    pub test: Option<TokenScores>,
}

/// A text that the model wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextSample {
    /// The first token of the data, and what follows.
    pub text: String,
    /// What the logits were divided by.
    pub temperature: f64,
    /// Number of tokens chosen among; all where absent.
    pub top_k: Option<usize>,
}

impl LanguageReport {
    /// Version of the layout that this crate writes and reads.
    pub const FORMAT_VERSION: u32 = 1;
    /// What [`LanguageReport::task`] says.
    pub const TASK: &'static str = "language";

    /// Whether the trained model predicts better than the frequencies of single tokens, on the test part
    /// or, without one, on the validation part.
    #[must_use]
    pub fn beats_unigram(&self) -> bool {
        let loss = |row: Option<&LanguageRow>| row?.scores().map(|scores| scores.nats_per_token);
        let model = loss(self.scores.iter().find(|row| !row.is_baseline));
        let unigram = loss(self.scores.iter().find(|row| row.name == "unigram"));
        match (model, unigram) {
            (Some(model), Some(unigram)) => model < unigram,
            // Nothing was held out: there is nothing to object.
            _ => true,
        }
    }
}

impl LanguageRow {
    /// Scores on the test part; on the validation part where there is no other.
    #[must_use]
    pub fn scores(&self) -> Option<&TokenScores> {
        self.test.as_ref().or(self.validation.as_ref())
    }
}
