//! The characters that a model knows, numbered in the order of their code points.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Distinct characters; the number of one is its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Vocabulary(Vec<char>);

impl Vocabulary {
    /// The distinct characters of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.chars().collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// Number of characters.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no character.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of a character, if it has one.
    #[must_use]
    pub fn token(&self, character: char) -> Option<u32> {
        let at = self.0.binary_search(&character).ok()?;
        u32::try_from(at).ok()
    }

    /// The character of a number.
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    pub fn character(&self, token: u32) -> char {
        self.0[token as usize]
    }
}

impl From<String> for Vocabulary {
    fn from(text: String) -> Self {
        Self::of(&text)
    }
}

impl From<Vocabulary> for String {
    fn from(vocabulary: Vocabulary) -> Self {
        vocabulary.0.into_iter().collect()
    }
}
