//! Between text and tokens: bytes, the characters of the training part, or parts of words from a file.

use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Subwords, Text, TextError, Vocabulary};
use crate::DataError;

/// How text becomes tokens, chosen by the key `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TokenizerConfig {
    /// One token for each byte, 256 of them; reads anything.
    Byte {},
    /// One token for each character of the training part.
    Char {
        /// Characters that get a token though the training part may not have them.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        extra: String,
    },
    /// One token for each part of a word that a `tokenizer.json` knows.
    Bpe {
        /// The file.
        file: PathBuf,
    },
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        Self::Char { extra: String::new() }
    }
}

/// What turns text into tokens and back; it is saved with a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tokenizer {
    /// One token for each byte.
    Byte,
    /// One token for each character of a vocabulary.
    Char(Vocabulary),
    /// One token for each part of a word of a vocabulary.
    Bpe(Subwords),
}

impl TokenizerConfig {
    /// The tokeniser of a text whose training part is these bytes.
    ///
    /// # Errors
    /// [`TextError::NotUtf8`], [`TextError::OneCharacter`]; those of [`Subwords::read`].
    ///
    /// # Panics
    /// If the range does not begin and end between characters of the text.
    pub fn fit(&self, text: &Text, train: Range<usize>) -> Result<Tokenizer, DataError> {
        let extra = match self {
            Self::Byte {} => return Ok(Tokenizer::Byte),
            Self::Bpe { file } => return Ok(Tokenizer::Bpe(Subwords::read(file)?)),
            Self::Char { extra } => extra,
        };
        let seen = &text.characters()?[train];
        let mut characters = seen.chars();
        if let Some(character) = characters.next()
            && characters.all(|other| other == character)
        {
            let origin = text.origin().to_owned();
            return Err(TextError::OneCharacter { origin, character }.into());
        }
        Ok(Tokenizer::Char(Vocabulary::of(&[seen, extra.as_str()].concat())))
    }
}

impl Tokenizer {
    /// Number of distinct tokens.
    #[must_use]
    pub fn n_tokens(&self) -> usize {
        match self {
            Self::Byte => 256,
            Self::Char(vocabulary) => vocabulary.len(),
            Self::Bpe(subwords) => subwords.len(),
        }
    }

    /// What a token is: `"byte"`, `"character"`, `"part of a word"`.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Byte => "byte",
            Self::Char(_) => "character",
            Self::Bpe(_) => "part of a word",
        }
    }

    /// The tokens of some bytes of a text.
    ///
    /// # Errors
    /// [`TextError::NotUtf8`]; [`TextError::UnknownCharacter`] with its place in the whole text;
    /// [`TextError::Tokenizer`].
    ///
    /// # Panics
    /// If the range does not begin and end between characters of the text.
    pub fn encode(&self, text: &Text, range: Range<usize>) -> Result<Vec<u32>, DataError> {
        let vocabulary = match self {
            Self::Byte => return Ok(text.bytes()[range].iter().copied().map(u32::from).collect()),
            Self::Bpe(subwords) => return subwords.encode(text, &text.characters()?[range]),
            Self::Char(vocabulary) => vocabulary,
        };
        let token = |(at, character)| {
            vocabulary.token(character).ok_or_else(|| {
                let [line, column] = text.place(range.start + at);
                let (origin, n_characters) = (text.origin().to_owned(), vocabulary.len());
                TextError::UnknownCharacter { origin, line, column, character, n_characters }.into()
            })
        };
        text.characters()?[range.clone()].char_indices().map(token).collect()
    }

    /// Appends the bytes of a token.
    ///
    /// # Panics
    /// If there is no such token.
    pub fn decode(&self, token: u32, to: &mut Vec<u8>) {
        match self {
            Self::Byte => to.push(u8::try_from(token).expect("a byte has 256 values")),
            Self::Char(vocabulary) => {
                let character = vocabulary.character(token);
                to.extend(character.encode_utf8(&mut [0; 4]).bytes());
            }
            Self::Bpe(subwords) => to.extend_from_slice(subwords.bytes(token)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text {
        Text::new("a.txt", text.as_bytes().to_vec()).unwrap()
    }

    fn decoded(tokenizer: &Tokenizer, tokens: &[u32]) -> String {
        let mut bytes = Vec::new();
        for &token in tokens {
            tokenizer.decode(token, &mut bytes);
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn characters_are_numbered_by_code_point_and_come_back() {
        let text = text("bä\nabc");
        let tokenizer = TokenizerConfig::default().fit(&text, 0..7).unwrap();
        let tokens = tokenizer.encode(&text, 0..7).unwrap();
        assert_eq!(tokens, [2, 4, 0, 1, 2, 3]);
        assert_eq!((tokenizer.n_tokens(), decoded(&tokenizer, &tokens).as_str()), (5, "bä\nabc"));
        let saved = serde_json::to_string(&tokenizer).unwrap();
        assert_eq!(saved, r#"{"char":"\nabcä"}"#);
        assert_eq!(serde_json::from_str::<Tokenizer>(&saved).unwrap(), tokenizer);
    }

    #[test]
    fn bytes_are_their_own_numbers() {
        let text = Text::new("a.bin", vec![0, 255, 65]).unwrap();
        let tokenizer = TokenizerConfig::Byte {}.fit(&text, 0..3).unwrap();
        assert_eq!(tokenizer.encode(&text, 1..3).unwrap(), [255, 65]);
        assert_eq!(tokenizer.n_tokens(), 256);
    }

    #[test]
    fn an_unknown_character_is_named_with_its_place_and_the_remedy() {
        let text = text("abab\nab\nxaäb");
        let tokenizer = TokenizerConfig::default().fit(&text, 0..8).unwrap();
        assert_eq!(
            tokenizer.encode(&text, 9..13).unwrap_err().to_string(),
            "a.txt, line 3, column 3: the character 'ä' is not among the 3 of the vocabulary, which is that \
             of the training part; leave it out of the text, or train with it in data.tokenizer.extra, or \
             with data.tokenizer.kind = \"byte\""
        );
        let extra = TokenizerConfig::Char { extra: "äx".to_owned() };
        assert_eq!(extra.fit(&text, 0..8).unwrap().encode(&text, 9..13).unwrap(), [1, 4, 2]);
    }

    #[test]
    fn a_text_of_one_character_is_refused() {
        let error = TokenizerConfig::default().fit(&text("aaaab"), 0..4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.txt: the training part has no character but 'a', expected at least two distinct ones; give \
             another text, or another share of it"
        );
    }
}
