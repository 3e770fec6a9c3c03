//! The file of a run that learns to go on with a text.

use std::path::PathBuf;

use regard_data::text::{TextSplit, TokenizerConfig};
use regard_nn::model::language_model::LanguageModelConfig;
use serde::{Deserialize, Serialize};

use crate::descent::Descent;
use crate::error::TrainError;
use crate::language::generate::Sampling;
use crate::optimizer::{Decay, OptimizerConfig};
use crate::precision::Precision;
use crate::run_config::TaskFile;
use crate::schedule::ScheduleConfig;

/// A run that learns to go on with a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageConfig {
    /// Heading of the report.
    #[serde(default)]
    pub title: String,
    /// Seed of the parameters, the windows of each step and the generated text.
    #[serde(default)]
    pub seed: u64,
    /// Type of the model's numbers.
    #[serde(default)]
    pub precision: Precision,
    /// What is learned.
    pub task: LanguageTask,
    /// Where the text comes from, and what its tokens are.
    #[serde(default)]
    pub data: TextSource,
    /// Shares of the text that train and validate; the rest tests.
    #[serde(default)]
    pub split: TextSplit,
    /// The model.
    pub model: LanguageModelConfig,
    /// How it is trained.
    #[serde(default)]
    pub fit: LanguageFit,
    /// The text generated for the report.
    #[serde(default)]
    pub sample: SampleConfig,
}

/// What is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageTask {
    /// The task, in the file of a run.
    pub kind: LanguageKind,
    /// Tokens of a window, in training and where a text is scored.
    #[serde(default = "window")]
    pub window: usize,
}

/// The name of the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LanguageKind {
    /// The next token, from those before it.
    Language,
}

/// A text, and what its tokens are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextSource {
    /// A file of text, plain or `.gz`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What a token is.
    pub tokenizer: TokenizerConfig,
}

/// How a language model is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanguageFit {
    /// Steps in all; a multiple of `evaluate_every`.
    pub steps: usize,
    /// Steps from one scoring of the validation part to the next; the report calls them an epoch.
    pub evaluate_every: usize,
    /// Windows per step.
    pub batch_size: usize,
    /// Largest norm of the gradient; larger ones are scaled down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// The learning rate over time.
    pub schedule: ScheduleConfig,
}

/// The text generated for the report, from the first token of the text on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SampleConfig {
    /// Tokens to generate; 0 for none.
    pub tokens: usize,
    /// Divides the logits.
    pub temperature: f64,
    /// Number of tokens to choose among, the most probable ones; all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
}

fn window() -> usize {
    64
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self { tokens: 500, temperature: 0.8, top_k: None }
    }
}

impl Default for LanguageFit {
    fn default() -> Self {
        Self {
            steps: 2000,
            evaluate_every: 200,
            batch_size: 12,
            clip_norm: Some(1.0),
            optimizer: OptimizerConfig::AdamW {
                learning_rate: 1e-3,
                eps: 1e-8,
                weight_decay: 0.1,
                beta_2: 0.99,
                decay: Decay::Matrices,
            },
            schedule: ScheduleConfig::Cosine { final_fraction: 0.1, warmup_steps: 100 },
        }
    }
}

impl LanguageFit {
    /// The loop that these keys describe; an epoch is what lies between two scorings.
    ///
    /// # Errors
    /// [`TrainError::NotLinear`] for the closed form.
    pub(super) fn descent(&self, seed: u64) -> Result<Descent<'_>, TrainError> {
        let found = "language-model";
        let adam = self.optimizer.adam().ok_or(TrainError::NotLinear { found })?;
        Ok(Descent {
            epochs: self.steps / self.evaluate_every,
            batch_size: self.batch_size,
            drop_last: false,
            patience: None,
            clip_norm: self.clip_norm,
            adam,
            schedule: &self.schedule,
            seed,
        })
    }
}

impl SampleConfig {
    /// How tokens are drawn.
    #[must_use]
    pub(super) fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, top_k: self.top_k }
    }
}

impl LanguageConfig {
    /// The file of the tokeniser, if it has one.
    pub(crate) fn tokenizer_file_mut(&mut self) -> Option<&mut PathBuf> {
        match &mut self.data.tokenizer {
            TokenizerConfig::Bpe { file } => Some(file),
            TokenizerConfig::Byte {} | TokenizerConfig::Char { .. } => None,
        }
    }
}

impl TaskFile for LanguageConfig {
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
            ("task.window", self.task.window),
            ("fit.steps", fit.steps),
            ("fit.evaluate_every", fit.evaluate_every),
            ("fit.batch_size", fit.batch_size),
        ] {
            if value == 0 {
                return error(key, "0".to_owned(), "at least 1");
            }
        }
        if !fit.steps.is_multiple_of(fit.evaluate_every) {
            return error("fit.steps", fit.steps.to_string(), "a multiple of fit.evaluate_every");
        }
        if let Some(norm) = fit.clip_norm
            && !(norm > 0.0 && norm.is_finite())
        {
            return error("fit.clip_norm", norm.to_string(), "a positive number");
        }
        self.split.check()?;
        self.sample.sampling().check("sample.temperature", "sample.top_k")?;
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
        RunConfig::load("text", &set).unwrap_err().to_string()
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (set, expected) in [
            ("task.window=0", "task.window = 0: expected at least 1"),
            ("fit.steps=201", "fit.steps = 201: expected a multiple of fit.evaluate_every"),
            ("split.train=1.5", "split.train = 1.5, expected more than 0, at most 1"),
            (
                "sample.temperature=-1.0",
                "sample.temperature = -1: expected zero or a positive number",
            ),
            ("sample.top_k=0", "sample.top_k = 0: expected at least 1"),
            ("fit.optimizer.beta_2=1.0", "fit.optimizer.beta_2 = 1: expected from 0 to below 1"),
        ] {
            assert_eq!(message(&[set]), expected);
        }
    }

    #[test]
    fn unknown_keys_get_the_nearest_name() {
        let found = message(&["data.tokeniser=byte"]);
        assert!(found.ends_with("(did you mean \"tokenizer\"?)"), "{found}");
        let found = message(&["fit.batchsize=3"]);
        assert!(found.ends_with("(did you mean \"batch_size\"?)"), "{found}");
    }
}
