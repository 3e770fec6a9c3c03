//! What can be wrong with a text, one variant per cause.

use thiserror::Error;

/// What is wrong with a text, and how to mend it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TextError {
    /// Nothing to read.
    #[error("{origin} is empty, expected text")]
    Empty {
        /// The file, or the option that gave the text.
        origin: String,
    },
    /// Bytes in another encoding.
    #[error(
        "{origin}, line {line}: the byte at offset {offset} is not UTF-8; save the text as UTF-8, or set \
         data.tokenizer.kind = \"byte\", which reads any bytes"
    )]
    NotUtf8 {
        /// The file, or the option that gave the text.
        origin: String,
        /// Offset from the start of the text, from 0.
        offset: usize,
        /// Line, from 1.
        line: usize,
    },
    /// Compressed data that cannot be unpacked.
    #[error("{origin}: the gzip data end early or are damaged; get the file again")]
    Damaged {
        /// The file.
        origin: String,
        /// The decoder's reason.
        source: std::io::Error,
    },
    /// A part that holds no window.
    #[error(
        "{origin}: the {part} part has {found} tokens, expected at least {}: a window of {window} and the \
         token behind it; give a longer text, a larger share, or a smaller task.window",
        .window + 1
    )]
    TooShort {
        /// The file.
        origin: String,
        /// `training`, `validation` or `test`.
        part: &'static str,
        /// Tokens of the part.
        found: usize,
        /// Tokens of a window.
        window: usize,
    },
    /// Nothing to tell apart.
    #[error(
        "{origin}: the training part has no character but {character:?}, expected at least two distinct \
         ones; give another text, or another share of it"
    )]
    OneCharacter {
        /// The file.
        origin: String,
        /// The only character.
        character: char,
    },
    /// A file of parts of words that cannot be used.
    #[error(
        "{origin}: {reason}; expected a tokenizer.json with a byte-level BPE, or one that falls back on bytes"
    )]
    Tokenizer {
        /// The file.
        origin: String,
        /// What is wrong.
        reason: String,
    },
    /// A character that the model has no token for.
    #[error(
        "{origin}, line {line}, column {column}: the character {character:?} is not among the \
         {n_characters} of the vocabulary, which is that of the training part; leave it out of the text, \
         or train with it in data.tokenizer.extra, or with data.tokenizer.kind = \"byte\""
    )]
    UnknownCharacter {
        /// The file, or the option that gave the text.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// Character in the line, from 1.
        column: usize,
        /// The character.
        character: char,
        /// Characters that are known.
        n_characters: usize,
    },
}
