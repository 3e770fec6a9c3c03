//! Whole classifiers: a series in, one logit per class out.
//!
//! ```text
//! x [batch, time, channels] → network → logits [batch, classes]      p(class) = softmax(logits)
//! ```
//!
//! [`ClassifierConfig`] chooses one by its key `kind`; [`Classifier`] is any of them. Series of
//! unequal length are padded behind and come with a mask; what stands in padded rows never changes
//! the logits of a series, nor do the rows themselves unless [`PaddingPolicy::Ignore`] says so. Dropout and statistics of the batch are in use where the input is on a
//! device with autodiff, as in training, and not elsewhere.

mod attention;
mod cnn;
mod gru;
mod head;
mod input;
mod loss;
mod lstm;
mod paper_larnn;
mod pooling;
mod residual_bilstm;
mod stem;
mod stream;
mod vision;

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, assert_shape};
use serde::{Deserialize, Serialize};

pub use attention::{
    AttentionClassifier, AttentionClassifierConfig, BlockActivation, BlockConfig, EncoderBlocks,
    PaddingPolicy, Positions,
};
pub use cnn::{CnnClassifier, CnnClassifierConfig, Convolution};
pub use gru::{GruClassifier, GruClassifierConfig};
pub use input::InputActivation;
pub use loss::cross_entropy;
pub use lstm::{LstmClassifier, LstmClassifierConfig};
pub use paper_larnn::{PaperLarnnClassifier, PaperLarnnClassifierConfig};
pub use pooling::Pooling;
pub use residual_bilstm::{ResidualBilstmClassifier, ResidualBilstmClassifierConfig};
pub use stem::StemConvolution;
pub use stream::{ClassifierState, SeriesState};
pub use vision::{ImagePooling, Patches, VisionClassifier, VisionClassifierConfig};

use crate::error::InvalidConfig;
use crate::mechanism::Mechanism;

/// Sizes that the data fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifyShape {
    /// Steps of the longest series.
    pub time: usize,
    /// Values per step.
    pub channels: usize,
    /// Number of classes.
    pub classes: usize,
    /// Height and width of an image whose pixels are the steps, row by row; `None` for a series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<[usize; 2]>,
}

impl ClassifyShape {
    /// The sizes of series.
    #[must_use]
    pub const fn series(time: usize, channels: usize, classes: usize) -> Self {
        Self { time, channels, classes, grid: None }
    }
}

/// Every classifier and its configuration, chosen by the key `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ClassifierConfig {
    /// Any attention mechanism, in encoder blocks or by itself.
    Classifier(AttentionClassifierConfig),
    /// Images, cut into patches, with any attention mechanism.
    Vision(VisionClassifierConfig),
    /// Stacked LSTM layers.
    Lstm(LstmClassifierConfig),
    /// Stacked layers of gated recurrent units.
    Gru(GruClassifierConfig),
    /// Residual blocks of bidirectional LSTM layers.
    ResidualBilstm(ResidualBilstmClassifierConfig),
    /// Convolutions along time.
    Cnn(CnnClassifierConfig),
    /// The network behind the published figures of LARNN, whose cell is not trained.
    PaperLarnn(PaperLarnnClassifierConfig),
}

/// Any classifier; build with [`ClassifierConfig::init`].
#[derive(Module, Debug)]
pub enum Classifier {
    /// Any attention mechanism, in encoder blocks or by itself.
    Classifier(AttentionClassifier),
    /// Images, cut into patches, with any attention mechanism.
    Vision(VisionClassifier),
    /// Stacked LSTM layers.
    Lstm(LstmClassifier),
    /// Stacked layers of gated recurrent units.
    Gru(GruClassifier),
    /// Residual blocks of bidirectional LSTM layers.
    ResidualBilstm(ResidualBilstmClassifier),
    /// Convolutions along time.
    Cnn(CnnClassifier),
    /// The network behind the published figures of LARNN, whose cell is not trained.
    PaperLarnn(PaperLarnnClassifier),
}

impl ClassifierConfig {
    /// Checks the fields and draws the parameters from the seeded stream of `device`.
    ///
    /// # Errors
    /// [`InvalidConfig`] naming the field that describes no model.
    pub fn init(&self, shape: ClassifyShape, device: &Device) -> Result<Classifier, InvalidConfig> {
        Ok(match self {
            Self::Classifier(config) => Classifier::Classifier(config.init(shape, device)?),
            Self::Vision(config) => Classifier::Vision(config.init(shape, device)?),
            Self::Lstm(config) => Classifier::Lstm(config.init(shape, device)?),
            Self::Gru(config) => Classifier::Gru(config.init(shape, device)?),
            Self::ResidualBilstm(config) => Classifier::ResidualBilstm(config.init(shape, device)?),
            Self::Cnn(config) => Classifier::Cnn(config.init(shape, device)?),
            Self::PaperLarnn(config) => Classifier::PaperLarnn(config.init(shape, device)?),
        })
    }

    /// Number of trained values.
    #[must_use]
    pub fn n_parameters(&self, shape: ClassifyShape) -> usize {
        match self {
            Self::Classifier(config) => config.n_parameters(shape),
            Self::Vision(config) => config.n_parameters(shape),
            Self::Lstm(config) => config.n_parameters(shape),
            Self::Gru(config) => config.n_parameters(shape),
            Self::ResidualBilstm(config) => config.n_parameters(shape),
            Self::Cnn(config) => config.n_parameters(shape),
            Self::PaperLarnn(config) => config.n_parameters(shape),
        }
    }

    /// Multiply-adds of matrix products in one forward pass over one series of full length.
    #[must_use]
    pub fn multiply_adds(&self, shape: ClassifyShape) -> u64 {
        match self {
            Self::Classifier(config) => config.multiply_adds(shape),
            Self::Vision(config) => config.multiply_adds(shape),
            Self::Lstm(config) => config.multiply_adds(shape),
            Self::Gru(config) => config.multiply_adds(shape),
            Self::ResidualBilstm(config) => config.multiply_adds(shape),
            Self::Cnn(config) => config.multiply_adds(shape),
            Self::PaperLarnn(config) => config.multiply_adds(shape),
        }
    }
}

impl Classifier {
    /// The logits of every series.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, channels]`, anything in padded rows
    /// - `padding`: `[batch, time]`, `true` where there is no row: none, or some behind the last row
    ///   of a series, of which there is at least one
    /// - returns: `[batch, classes]`
    ///
    /// # Panics
    /// If `x` has other channels than the classifier was built for, no step, or more steps than
    /// learned positions, if `padding` is of another shape, or if an image has any.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, padding: Option<Tensor<2, Bool>>) -> Tensor<2> {
        let [batch, time, channels] = x.dims();
        let x = match &padding {
            None => x,
            Some(padding) => {
                assert_shape!(padding, [batch, time]);
                let blocked = padding.clone().unsqueeze_dim::<3>(2);
                x.mask_fill(blocked.expand([batch, time, channels]), 0.0)
            }
        };
        let padding = padding.as_ref();
        match self {
            Self::Classifier(model) => model.forward(x, padding),
            Self::Vision(model) => model.forward(x, padding),
            Self::Lstm(model) => model.forward(x, padding),
            Self::Gru(model) => model.forward(x, padding),
            Self::ResidualBilstm(model) => model.forward(x, padding),
            Self::Cnn(model) => model.forward(x, padding),
            Self::PaperLarnn(model) => model.forward(x, padding),
        }
    }

    /// The attention of every block, first block first; none in a model without blocks of attention.
    #[must_use]
    pub fn mechanisms(&self) -> Vec<&Mechanism> {
        match self {
            Self::Classifier(model) => model.mechanisms(),
            Self::Vision(model) => model.mechanisms(),
            _ => Vec::new(),
        }
    }

    /// What each of [`mechanisms`](Self::mechanisms) is given, and the padding of its rows.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward); each of the results is `[batch, rows, d_model]`, the padding
    /// `[batch, rows]`.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn block_inputs(
        &self,
        x: Tensor<3>,
        padding: Option<&Tensor<2, Bool>>,
    ) -> (Vec<Tensor<3>>, Option<Tensor<2, Bool>>) {
        match self {
            Self::Classifier(model) => model.block_inputs(x, padding),
            Self::Vision(model) => (model.block_inputs(x, padding), None),
            _ => (Vec::new(), None),
        }
    }
}

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod tests;
