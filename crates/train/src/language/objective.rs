//! The loss of a language model, and its scores on a part.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor};
use regard_data::text::{TokenPart, TrainingWindows, scoring_windows};
use regard_nn::model::classifier::cross_entropy;
use regard_nn::model::language_model::LanguageModel;

use super::config::LanguageConfig;
use super::data::{Language, batch};
use crate::descent::{EpochScores, Objective};
use crate::metric::language::TokenScores;

/// Logits in one batch where nothing is learned; it bounds the memory for large vocabularies.
const SCORE_LOGITS: usize = 1 << 22;

/// Mean cross entropy of the tokens of some windows.
pub(super) struct TokenError<'a> {
    data: &'a Language,
    config: &'a LanguageConfig,
    windows: TrainingWindows,
}

impl<'a> TokenError<'a> {
    pub(super) fn new(data: &'a Language, config: &'a LanguageConfig) -> Self {
        let n_tokens = data.train.tokens.len();
        let windows = TrainingWindows::new(n_tokens, data.shape.window, config.seed);
        Self { data, config, windows }
    }
}

impl Objective for TokenError<'_> {
    type Model = LanguageModel;

    fn n_train(&self) -> usize {
        self.config.fit.evaluate_every * self.config.fit.batch_size
    }

    /// The windows follow from the step alone; `examples` says how many.
    fn loss(&self, model: &LanguageModel, examples: &[usize], _: usize, step: u64) -> Tensor<1> {
        let device = Device::default().autodiff();
        let first = step * self.config.fit.batch_size as u64;
        let starts = self.windows.starts(first, examples.len());
        let window = self.data.shape.window;
        let [tokens, targets] = batch(&self.data.train.tokens, &starts, window, &device);
        let rows = starts.len() * window;
        let logits = model.forward(tokens).reshape([rows, self.data.shape.vocabulary]);
        cross_entropy(logits, targets.reshape([rows]), 0.0, None)
    }

    fn scores(&self, model: &LanguageModel) -> EpochScores {
        let validation = &self.data.validation;
        let loss = (!validation.tokens.is_empty())
            .then(|| score(model, validation, self.data.shape.window).nats_per_token);
        EpochScores { validation_loss: loss, criterion: loss, ..EpochScores::default() }
    }
}

/// Scores a model that no longer learns in windows side by side; each begins without a past.
pub(super) fn score(model: &LanguageModel, part: &TokenPart, window: usize) -> TokenScores {
    let device = Device::default();
    let windows: Vec<_> = scoring_windows(part.tokens.len(), window).collect();
    let mut nats = 0.0;
    for same_length in windows.chunk_by(|a, b| a.len() == b.len()) {
        let length = same_length[0].len();
        let vocabulary = model.n_tokens();
        let at_once = (SCORE_LOGITS / (length * vocabulary)).max(1);
        for some in same_length.chunks(at_once) {
            let starts: Vec<usize> = some.iter().map(|range| range.start).collect();
            let [tokens, targets] = batch(&part.tokens, &starts, length, &device);
            let log_p = log_softmax(model.forward(tokens), 2);
            let of_targets = log_p.gather(2, targets.unsqueeze_dim(2)).into_data();
            nats -= of_targets.iter::<f64>().sum::<f64>();
        }
    }
    TokenScores::new(nats, part.n_predicted(), part.n_predicted_characters)
}
