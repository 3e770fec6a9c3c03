//! A classifier of stacked LSTM layers.
//!
//! ```text
//! x      = stem(series), or the series
//! e_t    = activation(x_t W_in + b_in), or x_t
//! h      = LSTM_n(… LSTM_1(e))          dropout between two layers
//! logits = pool(h) W_out + b_out
//! ```
//!
//! Source: with a ReLU input map of the width of the layers, two of them, forget bias 1 and the
//! last row it is the baseline of Chevalier 2018, arXiv:1808.05578, which has normal initial
//! weights. Here they are Xavier-uniform, with two bias vectors per layer. Cost: one scan over the
//! series per layer: see [`regard_kernels::recurrent`].

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use regard_kernels::recurrent::lstm::LstmState;
use serde::{Deserialize, Serialize};

use super::head::{Head, HeadConfig};
use super::input::{InputActivation, InputMap};
use super::stem::{Stem, StemConvolution};
use super::stream::{SeriesState, series_parallel, series_step};
use super::{ClassifyShape, Pooling};
use crate::error::{InvalidConfig, positive, rate};
use crate::layer::dropout;
use crate::mechanism::Recurrent;
use crate::model::baseline::LstmLayer;
use crate::parameter::AffineConfig;

/// Configuration of [`LstmClassifier`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmClassifierConfig {
    /// Convolutions before all else, first to last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stem: Vec<StemConvolution>,
    /// Width of the hidden state, `H`, and of the input map.
    pub d_hidden: usize,
    /// Number of layers.
    pub n_layers: usize,
    /// What follows the input map; without it, the first layer reads the channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputActivation>,
    /// Initial bias of the forget gates.
    #[serde(default = "forget_bias")]
    pub forget_bias: f64,
    /// How the rows become one.
    #[serde(default)]
    pub pooling: Pooling,
    /// Dropout between two layers.
    #[serde(default)]
    pub dropout: f64,
}

fn forget_bias() -> f64 {
    1.0
}

/// A classifier of stacked LSTM layers; build with [`LstmClassifierConfig::init`].
#[derive(Module, Debug)]
pub struct LstmClassifier {
    stem: Stem,
    input: Option<InputMap>,
    layers: Vec<LstmLayer>,
    pub(super) head: Head,
    #[module(skip)]
    dropout: f64,
}

impl LstmClassifierConfig {
    /// Checks the fields and draws stem, input map, layers and output in this order.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a size is zero or `dropout` is not a rate.
    pub fn init(
        &self,
        shape: ClassifyShape,
        device: &Device,
    ) -> Result<LstmClassifier, InvalidConfig> {
        let counts = [
            ("d_hidden", self.d_hidden),
            ("n_layers", self.n_layers),
            ("time", shape.time),
            ("channels", shape.channels),
            ("classes", shape.classes),
        ];
        counts.into_iter().try_for_each(positive)?;
        rate(("dropout", self.dropout))?;
        let stem = Stem::new(&self.stem, shape.channels, device)?;
        let shape = Stem::shape(&self.stem, shape);
        let channels = shape.channels;
        let h = self.d_hidden;
        let input = self
            .input
            .map(|activation| InputMap::new(InputMap::config(channels, h), activation, device));
        let layer = |d_in| LstmLayer::new(d_in, h, self.forget_bias, device);
        Ok(LstmClassifier {
            stem,
            input,
            layers: self.input_widths(channels).map(layer).collect(),
            head: self.head(shape).init(device),
            dropout: self.dropout,
        })
    }

    /// Those of the stem, `(n + 1) H` of the input map, `4H (d_in + H + 2)` per layer, `H` of attention pooling,
    /// `(H + 1) m` for `n` channels behind the stem and `m` classes.
    #[must_use]
    pub fn n_parameters(&self, shape: ClassifyShape) -> usize {
        let stem = Stem::n_parameters(&self.stem, shape.channels);
        let shape = Stem::shape(&self.stem, shape);
        let input = self.input_map(shape.channels).map_or(0, |map| map.n_parameters());
        let layer = |d_in| 4 * self.d_hidden * (d_in + self.d_hidden + 2);
        stem + input
            + self.input_widths(shape.channels).map(layer).sum::<usize>()
            + self.head(shape).n_parameters()
    }

    /// Those of the stem, `p (n H + Σ 4H (d_in + H)) + H m` for `p` rows behind it.
    #[must_use]
    pub fn multiply_adds(&self, shape: ClassifyShape) -> u64 {
        let stem = Stem::multiply_adds(&self.stem, shape);
        let shape = Stem::shape(&self.stem, shape);
        let input = self.input_map(shape.channels).map_or(0, |map| map.multiply_adds());
        let layer = |d_in| 4 * self.d_hidden * (d_in + self.d_hidden);
        let layers = self.input_widths(shape.channels).map(layer).sum::<usize>() as u64;
        stem + shape.time as u64 * (input + layers) + self.head(shape).multiply_adds()
    }

    fn input_map(&self, channels: usize) -> Option<AffineConfig> {
        self.input.map(|_| InputMap::config(channels, self.d_hidden))
    }

    /// What each layer reads.
    fn input_widths(&self, channels: usize) -> impl Iterator<Item = usize> {
        let first = if self.input.is_some() { self.d_hidden } else { channels };
        std::iter::once(first).chain(std::iter::repeat(self.d_hidden)).take(self.n_layers)
    }

    fn head(&self, shape: ClassifyShape) -> HeadConfig {
        let ClassifyShape { time, classes, .. } = shape;
        HeadConfig {
            d_in: self.d_hidden,
            time,
            classes,
            pooling: self.pooling,
            dropout: self.dropout,
        }
    }
}

impl LstmClassifier {
    /// What the first layer reads.
    fn below(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.input {
            None => x,
            Some(input) => input.forward(x),
        }
    }

    /// The logits of every series.
    ///
    /// # Shapes
    /// As [`Classifier::forward`](super::Classifier::forward), with zeros in padded rows.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Tensor<2> {
        let (x, padding) = self.stem.forward(x, padding);
        let mut rows = self.below(x);
        for (i, layer) in self.layers.iter().enumerate() {
            let below = if i > 0 { dropout(rows, self.dropout) } else { rows };
            rows = layer.parallel(below);
        }
        self.head.forward(rows, padding.as_ref())
    }
}

/// As in evaluation.
impl Recurrent for LstmClassifier {
    type Input = Tensor<3>;
    type State = SeriesState<Vec<LstmState>>;

    fn step(&self, x: Tensor<3>, past: Option<Self::State>) -> (Tensor<3>, Self::State) {
        series_step(&self.stem, &self.head, x, past, |row, past| {
            self.layers.step(self.below(row), past)
        })
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        series_parallel(&self.stem, &self.head, x, |x| self.layers.parallel(self.below(x)))
    }
}
