//! From a configuration to the tokens of three parts, as batches of windows.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use regard_data::text::{Text, TokenPart, Tokenizer, check_window};
use regard_nn::model::language_model::LanguageShape;

use super::config::LanguageConfig;
use crate::error::TrainError;
use crate::report::{LanguageData, TextPart};

/// Everything a language model is trained and scored on.
#[derive(Debug, Clone)]
pub(crate) struct Language {
    pub(super) shape: LanguageShape,
    pub(super) tokenizer: Tokenizer,
    pub(super) train: TokenPart,
    /// Empty if nothing was held out to choose by.
    pub(super) validation: TokenPart,
    /// Empty if nothing was held out to test on.
    pub(super) test: TokenPart,
    pub(super) info: LanguageData,
}

impl Language {
    /// Reads, splits and turns into tokens.
    ///
    /// # Errors
    /// If there is no text, it cannot be read, or a part has no window.
    pub(super) fn prepare(config: &LanguageConfig, origin: &str) -> Result<Self, TrainError> {
        let Some(path) = &config.data.path else {
            return Err(TrainError::NoData { origin: origin.to_owned() });
        };
        let text = Text::read(path)?;
        let [train, validation, test] = config.split.ranges(&text);
        let tokenizer = config.data.tokenizer.fit(&text, train.clone())?;
        let part = |range, name| {
            let part = TokenPart::new(&text, range, &tokenizer)?;
            // A share of nothing is a choice; one too small for a window is a mistake.
            if name == "training" || !part.tokens.is_empty() {
                check_window(text.origin(), name, part.tokens.len(), config.task.window)?;
            }
            Ok::<_, TrainError>(part)
        };
        let train = part(train, "training")?;
        let validation = part(validation, "validation")?;
        let test = part(test, "test")?;
        let info = LanguageData {
            source: text.origin().to_owned(),
            unit: tokenizer.unit().to_owned(),
            vocabulary: tokenizer.n_tokens(),
            train: part_info(&train),
            validation: part_info(&validation),
            test: part_info(&test),
        };
        let shape = LanguageShape { vocabulary: tokenizer.n_tokens(), window: config.task.window };
        Ok(Self { shape, tokenizer, train, validation, test, info })
    }
}

/// Size of a part.
pub(super) fn part_info(part: &TokenPart) -> TextPart {
    TextPart { tokens: part.tokens.len(), predicted_characters: part.n_predicted_characters }
}

/// Tokens as a tensor, row after row.
pub(crate) fn token_tensor<const D: usize>(
    tokens: impl Iterator<Item = u32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D, Int> {
    let tokens: Vec<i64> = tokens.map(i64::from).collect();
    Tensor::from_data(TensorData::new(tokens, shape), (device, DType::I64))
}

/// Windows of one length as tensors: the tokens, and the one behind each of them.
///
/// # Shapes
/// - both: `[windows, length]`
pub(super) fn batch(
    tokens: &[u32],
    starts: &[usize],
    length: usize,
    device: &Device,
) -> [Tensor<2, Int>; 2] {
    [0, 1].map(|ahead| {
        let window = |&start: &usize| &tokens[start + ahead..start + ahead + length];
        let rows = starts.iter().flat_map(window).copied();
        token_tensor(rows, [starts.len(), length], device)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_the_tokens_one_further_on() {
        let tokens = [5, 6, 7, 8, 9];
        let [x, y] = batch(&tokens, &[2, 0], 2, &Device::default());
        let values = |x: Tensor<2, Int>| x.into_data().iter::<i64>().collect::<Vec<_>>();
        assert_eq!((values(x), values(y)), (vec![7, 8, 5, 6], vec![8, 9, 6, 7]));
    }
}
