//! A trained language model that goes on with a text, token by token.
//!
//! ```text
//! p(c) = softmax(logits / temperature)_c        of the k most probable tokens, where k is given
//! ```
//!
//! Tokens as probable as the k-th stay, too. Temperature 0, or one token to choose among, is the most
//! probable token; of several the first. Source: Fan et al. 2018, §5.1, arXiv:1805.04833, the k best.

use std::path::Path;

use burn::tensor::Device;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regard_data::text::{Text, Tokenizer};
use regard_nn::mechanism::Recurrent;
use regard_nn::model::language_model::{LanguageModel, LanguageState};

use super::data::token_tensor;
use crate::error::TrainError;
use crate::model_file;
use crate::run_folder::RunFolder;

/// How the next token is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 for the most probable token.
    pub temperature: f64,
    /// Number of tokens to choose among; all where absent.
    pub top_k: Option<usize>,
}

/// A model in the middle of a text.
#[derive(Debug)]
pub struct Generator {
    model: LanguageModel,
    tokenizer: Tokenizer,
    state: Option<LanguageState>,
    /// Of what follows the last token; empty before the first.
    logits: Vec<f64>,
    rng: ChaCha8Rng,
}

impl Sampling {
    /// Refuses values out of range, under the names that they have for the user.
    ///
    /// # Errors
    /// [`TrainError::OutOfRange`].
    pub fn check(&self, temperature: &'static str, top_k: &'static str) -> Result<(), TrainError> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            let (key, value) = (temperature, self.temperature.to_string());
            return Err(TrainError::OutOfRange {
                key,
                value,
                expected: "zero or a positive number",
            });
        }
        if self.top_k == Some(0) {
            let value = "0".to_owned();
            return Err(TrainError::OutOfRange { key: top_k, value, expected: "at least 1" });
        }
        Ok(())
    }

    /// Draws one of the tokens; `chance` is uniform on [0, 1).
    fn draw(&self, logits: &[f64], chance: f64) -> usize {
        let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if self.temperature == 0.0 || self.top_k == Some(1) {
            return logits.iter().position(|&x| x >= max).unwrap_or(0);
        }
        let least = match self.top_k {
            Some(k) if k < logits.len() => {
                let mut sorted = logits.to_vec();
                sorted.sort_unstable_by(|a, b| b.total_cmp(a));
                sorted[k - 1]
            }
            _ => f64::NEG_INFINITY,
        };
        let weight = |x: f64| if x < least { 0.0 } else { ((x - max) / self.temperature).exp() };
        let mut left = chance * logits.iter().map(|&x| weight(x)).sum::<f64>();
        let drawn = logits.iter().position(|&x| {
            left -= weight(x);
            left < 0.0
        });
        // Rounding may leave a little: then it is the last token that may be drawn.
        let last = || logits.iter().rposition(|&x| weight(x) > 0.0);
        drawn.or_else(last).unwrap_or(0)
    }
}

impl Generator {
    /// Opens a run.
    ///
    /// # Errors
    /// [`TrainError`] if the run cannot be read or learns another task.
    pub fn open(run: &Path, seed: u64) -> Result<Self, TrainError> {
        let folder = RunFolder::open(run)?;
        folder.language_config()?;
        let (model, card) = model_file::load_language(&folder.model(), &Device::default())?;
        Ok(Self::new(model, card.tokenizer, seed))
    }

    pub(super) fn new(model: LanguageModel, tokenizer: Tokenizer, seed: u64) -> Self {
        let (state, logits, rng) = (None, Vec::new(), ChaCha8Rng::seed_from_u64(seed));
        Self { model, tokenizer, state, logits, rng }
    }

    /// Reads a text; what is generated follows it. `origin` is what messages call it.
    ///
    /// # Errors
    /// [`TrainError::Data`] if the text is empty or has a character that the model does not know.
    pub fn read(&mut self, origin: &str, text: &str) -> Result<(), TrainError> {
        let text = Text::new(origin, text.as_bytes().to_vec())?;
        for token in self.tokenizer.encode(&text, 0..text.bytes().len())? {
            self.push(token);
        }
        Ok(())
    }

    /// Draws the next token, and appends its bytes; characters of several tokens come in parts.
    ///
    /// # Panics
    /// If nothing was read before.
    pub fn next(&mut self, sampling: &Sampling, to: &mut Vec<u8>) {
        assert!(!self.logits.is_empty(), "the first token follows a text");
        let token = sampling.draw(&self.logits, self.rng.random());
        let token = u32::try_from(token).expect("tokens are numbered in 32 bits");
        self.tokenizer.decode(token, to);
        self.push(token);
    }

    /// Takes one token as the next of the text.
    pub(super) fn push(&mut self, token: u32) {
        let token = token_tensor(std::iter::once(token), [1, 1], &Device::default());
        let (logits, state) = self.model.step(token, self.state.take());
        self.state = Some(state);
        self.logits = logits.into_data().iter::<f64>().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f64; 4] = [1.0, 3.0, 2.0, 2.0];

    /// Shares of many draws, by the middle of equal intervals.
    fn shares(sampling: Sampling) -> [f64; 4] {
        let mut counts = [0.0; 4];
        for i in 0..10_000 {
            counts[sampling.draw(&LOGITS, (f64::from(i) + 0.5) / 10_000.0)] += 1e-4;
        }
        counts
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let found = shares(Sampling { temperature: 0.5, top_k: None });
        let weights = LOGITS.map(|x| (x / 0.5).exp());
        let total: f64 = weights.iter().sum();
        for (share, weight) in found.iter().zip(weights) {
            assert!((share - weight / total).abs() < 2e-4, "{found:?}");
        }
    }

    #[test]
    fn tokens_as_probable_as_the_last_of_the_best_stay() {
        let found = shares(Sampling { temperature: 1.0, top_k: Some(2) });
        assert!(found[0] == 0.0 && found[1] > found[2], "{found:?}");
        assert!((found[2] - found[3]).abs() < 2e-4, "{found:?}");
    }

    #[test]
    fn the_most_probable_token_needs_no_chance() {
        for greedy in [
            Sampling { temperature: 0.0, top_k: None },
            Sampling { temperature: 1.0, top_k: Some(1) },
        ] {
            assert!((shares(greedy)[1] - 1.0).abs() < 1e-9);
        }
    }
}
