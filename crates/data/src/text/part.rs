//! The parts of a text, as bytes and as tokens.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::source::{begins_character, n_characters};
use super::{Text, Tokenizer};
use crate::DataError;

/// Shares of the characters; what `train` and `validation` leave is the test part, the end of the text.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextSplit {
    /// Share that trains, above 0: the start of the text.
    pub train: f64,
    /// Share that validates; 0 for none.
    pub validation: f64,
}

impl Default for TextSplit {
    fn default() -> Self {
        Self { train: 0.9, validation: 0.05 }
    }
}

impl TextSplit {
    /// Refuses shares that are none.
    ///
    /// # Errors
    /// [`DataError::InvalidParameter`].
    pub fn check(&self) -> Result<(), DataError> {
        let error = |name, found: f64, expected| {
            let found = found.to_string();
            Err(DataError::InvalidParameter { name, found, expected })
        };
        if !(self.train > 0.0 && self.train <= 1.0) {
            return error("split.train", self.train, "more than 0, at most 1");
        }
        if !(0.0..=1.0).contains(&self.validation) {
            return error("split.validation", self.validation, "from 0 to 1");
        }
        let sum = self.train + self.validation;
        // Shares that are written in decimals add up to one but for rounding.
        if sum > 1.0 + 1e-9 {
            return error("split.train + split.validation", sum, "at most 1");
        }
        Ok(())
    }

    /// The bytes of the three parts; a part ends after `⌊share · characters⌋` of them.
    #[must_use]
    pub fn ranges(&self, text: &Text) -> [Range<usize>; 3] {
        let bytes = text.bytes();
        let n = n_characters(bytes);
        let share = self.train + self.validation;
        let rest = if share > 1.0 - 1e-9 { bytes.len() } else { offset(bytes, floor(share, n)) };
        let train = offset(bytes, floor(self.train, n));
        [0..train, train..rest, rest..bytes.len()]
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count is a count"
)]
fn floor(share: f64, n: usize) -> usize {
    ((share * n as f64).floor() as usize).min(n)
}

/// Where the character of this number begins, or the end of the text.
fn offset(bytes: &[u8], character: usize) -> usize {
    let mut starts = (0..bytes.len()).filter(|&at| begins_character(bytes[at]));
    starts.nth(character).unwrap_or(bytes.len())
}

/// One part of a text as tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenPart {
    /// The tokens, in order.
    pub tokens: Vec<u32>,
    /// Characters of all tokens but the first, for which there is nothing to predict it from.
    pub n_predicted_characters: usize,
}

impl TokenPart {
    /// The tokens of some bytes of a text.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    ///
    /// # Panics
    /// As there.
    pub fn new(text: &Text, range: Range<usize>, tokenizer: &Tokenizer) -> Result<Self, DataError> {
        let tokens = tokenizer.encode(text, range.clone())?;
        let mut first = Vec::new();
        if let Some(&token) = tokens.first() {
            tokenizer.decode(token, &mut first);
        }
        let n_predicted_characters = n_characters(&text.bytes()[range]) - n_characters(&first);
        Ok(Self { tokens, n_predicted_characters })
    }

    /// Tokens that can be predicted: all but the first.
    #[must_use]
    pub fn n_predicted(&self) -> usize {
        self.tokens.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::TokenizerConfig;

    #[test]
    fn parts_end_between_characters() {
        let text = Text::new("a", "äöüabcdefg".as_bytes().to_vec()).unwrap();
        let split = TextSplit { train: 0.2, validation: 0.25 };
        assert_eq!(split.ranges(&text), [0..4, 4..7, 7..13]);
        let all = TextSplit { train: 0.9, validation: 0.1 };
        assert_eq!(all.ranges(&text), [0..12, 12..13, 13..13]);
    }

    #[test]
    fn the_shares_of_the_usual_preparation() {
        // 1,115,394 characters, of which 1,003,854 train and 111,540 validate.
        let text = Text::new("a", vec![b'x'; 1_115_394]).unwrap();
        let split = TextSplit { train: 0.9, validation: 0.1 };
        assert_eq!(split.ranges(&text).map(|part| part.len()), [1_003_854, 111_540, 0]);
    }

    #[test]
    fn the_first_token_is_not_predicted() {
        let text = Text::new("a", "äbä".as_bytes().to_vec()).unwrap();
        for (config, tokens, characters) in
            [(TokenizerConfig::default(), 2, 2), (TokenizerConfig::Byte {}, 4, 2)]
        {
            let tokenizer = config.fit(&text, 0..5).unwrap();
            let part = TokenPart::new(&text, 0..5, &tokenizer).unwrap();
            assert_eq!((part.n_predicted(), part.n_predicted_characters), (tokens, characters));
        }
    }

    #[test]
    fn shares_that_are_none_are_named() {
        let message =
            |train, validation| TextSplit { train, validation }.check().unwrap_err().to_string();
        assert_eq!(message(0.0, 0.1), "split.train = 0, expected more than 0, at most 1");
        assert_eq!(message(0.5, -0.1), "split.validation = -0.1, expected from 0 to 1");
        assert_eq!(message(0.75, 0.5), "split.train + split.validation = 1.25, expected at most 1");
        assert!(TextSplit { train: 0.7, validation: 0.3 }.check().is_ok());
    }
}
