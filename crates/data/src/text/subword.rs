//! Parts of words as tokens, from a `tokenizer.json` of the `tokenizers` library.
//!
//! Every text must have tokens, and every token must be bytes that do not depend on its neighbours. So a
//! file is taken if it knows all 256 bytes: as the characters of a byte-level BPE (GPT-2 and most models
//! after it), or as `<0x00>` … `<0xFF>`, where `▁` stands for a space (BPE in the manner of
//! `SentencePiece`).

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;

use super::{Text, TextError};
use crate::DataError;

/// A tokeniser with its file, which is saved with a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subwords(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    json: String,
    tokenizer: Tokenizer,
    /// Of every token.
    bytes: Vec<Vec<u8>>,
}

impl PartialEq for Subwords {
    fn eq(&self, other: &Self) -> bool {
        self.0.json == other.0.json
    }
}

impl Eq for Subwords {}

impl Subwords {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`TextError::Tokenizer`] if it is no such file or does not know every byte.
    pub fn read(file: &Path) -> Result<Self, DataError> {
        let json = std::fs::read_to_string(file).map_err(|source| DataError::Io {
            file: file.to_owned(),
            action: "read",
            source,
        })?;
        let error = |reason| TextError::Tokenizer { origin: file.display().to_string(), reason };
        Ok(Self::new(json).map_err(error)?)
    }

    fn new(json: String) -> Result<Self, String> {
        let tokenizer: Tokenizer = json.parse().map_err(|e: tokenizers::Error| e.to_string())?;
        let vocabulary = tokenizer.get_vocab(true);
        let characters = byte_characters();
        let missing = |token: &dyn Fn(usize) -> String| {
            (0..256).find(|&byte| !vocabulary.contains_key(&token(byte)))
        };
        let is_byte_level = match (missing(&|byte| characters[byte].into()), missing(&fallback)) {
            (None, _) => true,
            (_, None) => false,
            (Some(byte), Some(_)) => {
                return Err(format!(
                    "it has no token for the byte {byte}, as {:?} or {:?}",
                    characters[byte],
                    fallback(byte)
                ));
            }
        };
        let n = vocabulary.values().max().map_or(0, |&last| last as usize + 1);
        let mut bytes = vec![Vec::new(); n];
        for (token, id) in vocabulary {
            bytes[id as usize] =
                if is_byte_level { of_characters(&token, &characters) } else { of_piece(&token) };
        }
        Ok(Self(Arc::new(Parts { json, tokenizer, bytes })))
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.bytes.len()
    }

    /// Whether there is no token, which no file that could be read has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.bytes.is_empty()
    }

    /// The bytes of a token.
    ///
    /// # Panics
    /// If there is no such token.
    #[must_use]
    pub fn bytes(&self, token: u32) -> &[u8] {
        &self.0.bytes[token as usize]
    }

    /// The tokens of a part of a text, without any that the file would put around it.
    ///
    /// # Errors
    /// [`TextError::Tokenizer`] if the library cannot split it.
    pub(super) fn encode(&self, text: &Text, part: &str) -> Result<Vec<u32>, DataError> {
        let encoding = self.0.tokenizer.encode_fast(part, false).map_err(|error| {
            TextError::Tokenizer { origin: text.origin().to_owned(), reason: error.to_string() }
        })?;
        Ok(encoding.get_ids().to_vec())
    }
}

impl TryFrom<String> for Subwords {
    type Error = String;

    fn try_from(json: String) -> Result<Self, String> {
        Self::new(json)
    }
}

impl From<Subwords> for String {
    fn from(subwords: Subwords) -> Self {
        subwords.0.json.clone()
    }
}

/// The character that stands for each byte in a byte-level vocabulary: itself if it is visible in Latin-1, else
/// the next one from U+0100 on.
fn byte_characters() -> [char; 256] {
    let mut others = (0x100..).filter_map(char::from_u32);
    let mut characters = ['\0'; 256];
    for (byte, character) in (0..=255u8).zip(&mut characters) {
        let is_visible = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        *character = if is_visible { char::from(byte) } else { others.next().unwrap_or(char::MAX) };
    }
    characters
}

/// Bytes of a byte-level token; characters that stand for no byte, as in special tokens, are themselves.
fn of_characters(token: &str, characters: &[char; 256]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for character in token.chars() {
        match (0..=255u8).zip(characters).find(|(_, c)| **c == character) {
            Some((byte, _)) => bytes.push(byte),
            None => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    bytes
}

/// The token of a byte that no piece has.
fn fallback(byte: usize) -> String {
    let mut token = String::new();
    let _ = write!(token, "<0x{byte:02X}>");
    token
}

/// Bytes of a piece of words, or of a byte.
fn of_piece(token: &str) -> Vec<u8> {
    let byte = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
        Some(byte) => vec![byte],
        None => token.replace('▁', " ").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Tokenizer, TokenizerConfig};
    use super::*;

    /// A byte-level BPE with two merges.
    fn byte_level() -> Value {
        let mut vocabulary = serde_json::Map::new();
        for (id, character) in byte_characters().iter().enumerate() {
            vocabulary.insert(character.to_string(), id.into());
        }
        for token in ["th", "Ġth"] {
            let id = vocabulary.len();
            vocabulary.insert(token.to_owned(), id.into());
        }
        json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": null, "post_processor": null,
            "pre_tokenizer":
                {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "decoder":
                {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                "vocab": vocabulary, "merges": [["t", "h"], ["Ġ", "th"]],
            },
        })
    }

    fn decoded(tokenizer: &Tokenizer, tokens: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &token in tokens {
            tokenizer.decode(token, &mut bytes);
        }
        bytes
    }

    #[test]
    fn text_comes_back_from_byte_level_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokenizer.json");
        std::fs::write(&file, byte_level().to_string()).unwrap();
        let text = Text::new("a", "the thin ä\n\0 path".as_bytes().to_vec()).unwrap();
        let tokenizer = TokenizerConfig::Bpe { file }.fit(&text, 0..3).unwrap();
        assert_eq!((tokenizer.n_tokens(), tokenizer.unit()), (258, "part of a word"));
        let all = 0..text.bytes().len();
        let tokens = tokenizer.encode(&text, all).unwrap();
        // "th" three times, once with its space.
        assert_eq!(tokens.len(), text.bytes().len() - 4);
        assert_eq!(&tokens[..3], [256, u32::from(b'e'), 257]);
        assert_eq!(decoded(&tokenizer, &tokens), text.bytes());
        let saved = serde_json::to_string(&tokenizer).unwrap();
        let again: Tokenizer = serde_json::from_str(&saved).unwrap();
        assert_eq!(again, tokenizer);
        assert_eq!(again.encode(&text, 0..3).unwrap(), tokens[..2]);
    }

    #[test]
    fn pieces_with_bytes_to_fall_back_on() {
        let mut file = byte_level();
        let mut vocabulary: serde_json::Map<_, _> =
            (0..256).map(|byte| (fallback(byte), Value::from(byte))).collect();
        for (id, token) in (256..).zip(["▁", "a", "b", "▁a"]) {
            vocabulary.insert(token.to_owned(), id.into());
        }
        file["model"]["vocab"] = vocabulary.into();
        file["model"]["merges"] = json!([["▁", "a"]]);
        file["model"]["byte_fallback"] = true.into();
        file["pre_tokenizer"] = Value::Null;
        file["decoder"] = Value::Null;
        file["normalizer"] = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
        let subwords = Subwords::new(file.to_string()).unwrap();
        let text = Text::new("a", "b aö".as_bytes().to_vec()).unwrap();
        let tokens = subwords.encode(&text, "b aö").unwrap();
        assert_eq!(tokens, [258, 259, 0xc3, 0xb6]);
        let bytes: Vec<u8> = tokens.iter().flat_map(|&t| subwords.bytes(t)).copied().collect();
        assert_eq!(bytes, text.bytes());
    }

    #[test]
    fn files_that_cannot_read_every_text_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokenizer.json");
        let message = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Subwords::read(&file).unwrap_err().to_string().replace(&*file.to_string_lossy(), "FILE")
        };
        let mut without = byte_level();
        without["model"]["vocab"].as_object_mut().unwrap().remove("A");
        assert_eq!(
            message(&without.to_string()),
            "FILE: it has no token for the byte 65, as 'A' or \"<0x41>\"; expected a tokenizer.json with a \
             byte-level BPE, or one that falls back on bytes"
        );
        let damaged = message("{");
        assert!(damaged.starts_with("FILE: EOF while parsing"), "{damaged}");
        let absent = Subwords::read(&folder.path().join("no.json")).unwrap_err().to_string();
        assert!(absent.contains("no.json"), "{absent}");
    }
}
