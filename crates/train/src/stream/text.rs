//! A trained language model on a live text: how well every line is foreseen.
//!
//! ```text
//! nats of a line = −Σ_t log p(token_t | all tokens before it, of this line and of those before)
//! ```
//!
//! Nothing foresees the first token of a text, so it counts for nothing.

use std::path::Path;

use burn::tensor::Device;
use regard_data::DataError;
use regard_data::text::{Text, TextError, Tokenizer};
use regard_nn::mechanism::{StreamCertificate, certify};
use regard_nn::model::language_model::LanguageModel;

use super::live::{Live, Origin, Saved};
use crate::error::TrainError;
use crate::language::token_tensor;
use crate::model_file::{self, Array, Parameters};
use crate::precision::Precision;
use crate::run_folder::RunFolder;

/// What messages call the text.
const ORIGIN: &str = "standard input";

/// A language model in the middle of a text.
#[derive(Debug)]
pub struct TextStream {
    live: Live<LanguageModel>,
    tokenizer: Tokenizer,
    precision: Precision,
    /// Of what follows the last token; empty before the first.
    logits: Vec<f64>,
    line: Tally,
    total: Tally,
}

/// Sums over some of the text.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Tally {
    /// Characters read, foreseen or not.
    read: u64,
    /// Tokens foreseen.
    tokens: u64,
    /// Characters of them.
    characters: u64,
    nats: f64,
}

/// How well one line was foreseen, its line break included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineScore {
    /// Tokens foreseen.
    pub tokens: u64,
    /// Nats per character of the line; `None` if there is none but the first of the text.
    pub nats_per_character: Option<f64>,
    /// The same of the whole text so far.
    pub mean: Option<f64>,
}

impl Tally {
    fn nats_per_character(self) -> Option<f64> {
        (self.characters > 0).then(|| self.nats / self.characters as f64)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            read: self.read + other.read,
            tokens: self.tokens + other.tokens,
            characters: self.characters + other.characters,
            nats: self.nats + other.nats,
        }
    }

    /// Counts are exact below 2⁵³.
    fn array(self) -> Array {
        let counts = [self.read, self.tokens, self.characters].map(|n| n as f64);
        let values = vec![counts[0], counts[1], counts[2], self.nats];
        Array { shape: vec![4], precision: Precision::F64, values }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts were written; anything else becomes one"
    )]
    fn of(array: &Array) -> Option<Self> {
        let [read, tokens, characters, nats] = array.values[..] else { return None };
        let [read, tokens, characters] = [read, tokens, characters].map(|n| n as u64);
        Some(Self { read, tokens, characters, nats })
    }
}

impl TextStream {
    /// Opens a run.
    ///
    /// # Errors
    /// [`TrainError`] if the run cannot be read or learns another task.
    pub fn open(run: &Path) -> Result<Self, TrainError> {
        let folder = RunFolder::open(run)?;
        folder.language_config()?;
        let (model, card) = model_file::load_language(&folder.model(), &Device::default())?;
        let precision = Precision::of_module(&model);
        let live = Live::new(model, Origin::of(&folder)?);
        let (line, total) = (Tally::default(), Tally::default());
        let (tokenizer, logits) = (card.tokenizer, Vec::new());
        Ok(Self { live, tokenizer, precision, logits, line, total })
    }

    /// What a token is: `"byte"`, `"character"`.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        self.tokenizer.unit()
    }

    /// Precision of the model.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Reads a line, or a part of it that ends between two characters. `line` is its number and `offset`
    /// the number of bytes before it, for messages.
    ///
    /// # Errors
    /// [`TrainError::Data`] if it has a character that the model does not know; nothing of it is read.
    pub fn push(&mut self, bytes: &[u8], line: u64, offset: u64) -> Result<(), TrainError> {
        let place = |error| placed(error, line, offset, self.line.read);
        for (token, characters) in self.tokens(ORIGIN, bytes).map_err(place)? {
            self.line.read += characters;
            if !self.logits.is_empty() {
                self.line.nats += nats(&self.logits, token);
                self.line.tokens += 1;
                self.line.characters += characters;
            }
            let row = token_tensor(std::iter::once(token), [1, 1], &Device::default());
            self.logits = self.live.step(row).into_data().iter::<f64>().collect();
        }
        Ok(())
    }

    /// Ends the line.
    pub fn end_line(&mut self) -> LineScore {
        let line = std::mem::take(&mut self.line);
        self.total = self.total.plus(line);
        LineScore {
            tokens: line.tokens,
            nats_per_character: line.nats_per_character(),
            mean: self.total.nats_per_character(),
        }
    }

    /// Whether a part of a line was read.
    #[must_use]
    pub fn is_within_a_line(&self) -> bool {
        self.line.read > 0 || self.line.tokens > 0
    }

    /// Compares the logits of what follows every token of a text, in steps and at once; of no more tokens
    /// than `at_most`. `origin` is what messages call the text.
    ///
    /// # Errors
    /// [`TrainError::Data`] if the text is empty or has a character that the model does not know.
    pub fn certify(
        &self,
        origin: &str,
        bytes: &[u8],
        at_most: usize,
    ) -> Result<StreamCertificate, TrainError> {
        let tokens = self.tokens(origin, bytes)?;
        let n = tokens.len().min(at_most);
        let tokens = tokens.into_iter().map(|(token, _)| token).take(n);
        Ok(certify(&self.live.model, token_tensor(tokens, [1, n], &Device::default())))
    }

    /// Tokens, and the characters that begin in each.
    fn tokens(&self, origin: &str, bytes: &[u8]) -> Result<Vec<(u32, u64)>, TrainError> {
        let text = Text::new(origin, bytes.to_vec())?;
        let tokens = self.tokenizer.encode(&text, 0..bytes.len())?;
        let mut decoded = Vec::new();
        let with_characters = |token| {
            decoded.clear();
            self.tokenizer.decode(token, &mut decoded);
            let begins = |byte: &&u8| **byte & 0b1100_0000 != 0b1000_0000;
            (token, decoded.iter().filter(begins).count() as u64)
        };
        Ok(tokens.into_iter().map(with_characters).collect())
    }
}

/// `−log p(token)`.
fn nats(logits: &[f64], token: u32) -> f64 {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|x| (x - max).exp()).sum();
    max + sum.ln() - logits[token as usize]
}

/// The place of an error in the whole text, from that in a part of a line.
fn placed(error: TrainError, number: u64, bytes: u64, characters: u64) -> TrainError {
    let whole = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let TrainError::Data(DataError::Text(mut error)) = error else { return error };
    match &mut error {
        TextError::UnknownCharacter { line, column, .. } => {
            *line = whole(number);
            *column += whole(characters);
        }
        TextError::NotUtf8 { line, offset, .. } => {
            *line = whole(number);
            *offset += whole(bytes);
        }
        _ => {}
    }
    TrainError::Data(DataError::Text(error))
}

impl Saved for TextStream {
    fn kind(&self) -> &'static str {
        "text"
    }

    fn origin(&self) -> &Origin {
        &self.live.origin
    }

    fn tensors(&self) -> Parameters {
        let mut tensors = Parameters::from([
            ("text.line".to_owned(), self.line.array()),
            ("text.total".to_owned(), self.total.array()),
        ]);
        if self.logits.is_empty() {
            return tensors;
        }
        let (shape, precision) = (vec![self.logits.len()], Precision::F64);
        let logits = Array { shape, precision, values: self.logits.clone() };
        tensors.insert("text.logits".to_owned(), logits);
        let below = |(name, array)| (format!("model.{name}"), array);
        tensors.extend(self.live.tensors().into_iter().map(below));
        tensors
    }

    fn replace(&mut self, mut tensors: Parameters) -> Result<(), String> {
        let mut tally = |name: &str| {
            let array =
                tensors.remove(name).ok_or_else(|| format!("the state {name} is missing"))?;
            Tally::of(&array).ok_or_else(|| format!("the state {name} has not 4 numbers"))
        };
        let (line, total) = (tally("text.line")?, tally("text.total")?);
        let logits = tensors.remove("text.logits").map_or_else(Vec::new, |array| array.values);
        if !logits.is_empty() && logits.len() != self.tokenizer.n_tokens() {
            return Err(format!(
                "the state text.logits has {} numbers, the model's {}",
                logits.len(),
                self.tokenizer.n_tokens()
            ));
        }
        let model = |(name, array): (String, Array)| {
            (name.strip_prefix("model.").unwrap_or(&name).to_owned(), array)
        };
        let first = token_tensor(std::iter::once(0), [1, 1], &Device::default());
        self.live.replace(first, tensors.into_iter().map(model).collect())?;
        (self.logits, self.line, self.total) = (logits, line, total);
        Ok(())
    }
}
