//! How well a text is predicted, token by token.
//!
//! ```text
//! nats = −Σ_t log p(token_t | tokens before it)
//! nats per token = nats / tokens         perplexity = e^(nats per token)
//! nats per character = nats / characters            bits per character = nats / (characters · ln 2)
//! ```
//!
//! Tokens and characters are those that were predicted: all but the first token. Figures per character
//! compare models with different tokens, those per token do not.

use serde::{Deserialize, Serialize};

/// Scores of the tokens of one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenScores {
    /// Tokens predicted.
    pub n_tokens: usize,
    /// Characters of them.
    pub n_characters: usize,
    /// Mean negative log-probability of a token, nats.
    pub nats_per_token: f64,
    /// The same for each character.
    pub nats_per_character: f64,
    /// The same in bits.
    pub bits_per_character: f64,
    /// `e` to the nats per token: as uncertain as a fair choice among so many tokens.
    pub perplexity: f64,
}

impl TokenScores {
    /// Of a sum of negative log-probabilities.
    #[must_use]
    pub fn new(nats: f64, n_tokens: usize, n_characters: usize) -> Self {
        let nats_per_token = nats / n_tokens as f64;
        let nats_per_character = nats / n_characters as f64;
        Self {
            n_tokens,
            n_characters,
            nats_per_token,
            nats_per_character,
            bits_per_character: nats_per_character / std::f64::consts::LN_2,
            perplexity: nats_per_token.exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fair_choice_among_four_in_tokens_of_two_characters() {
        let scores = TokenScores::new(10.0 * 4.0_f64.ln(), 10, 20);
        assert!((scores.perplexity - 4.0).abs() < 1e-12);
        assert!((scores.bits_per_character - 1.0).abs() < 1e-12);
        assert!((scores.nats_per_token - 2.0 * scores.nats_per_character).abs() < 1e-12);
    }
}
