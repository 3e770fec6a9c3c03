//! A classifier of stacked layers of gated recurrent units.
//!
//! ```text
//! x      = stem(series), or the series
//! e_t    = activation(x_t W_in + b_in), or x_t
//! h      = GRU_n(… GRU_1(e))          dropout between two layers
//! logits = pool(h) W_out + b_out
//! ```
//!
//! Source: Cho et al. 2014, §2.3, arXiv:1406.1078, in the form of `torch.nn.GRU`; weights of the
//! packed `3H`-wide matrices are Xavier-uniform, both biases of a layer start at zero. Cost: one
//! scan over the series per layer: see [`regard_kernels::recurrent::gru`].

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor};
use regard_kernels::recurrent::gru::gru;
use serde::{Deserialize, Serialize};

use super::head::{Head, HeadConfig};
use super::input::{InputActivation, InputMap};
use super::stem::{Stem, StemConvolution};
use super::stream::{SeriesState, series_parallel, series_step};
use super::{ClassifyShape, Pooling};
use crate::error::{InvalidConfig, positive, rate};
use crate::layer::dropout;
use crate::mechanism::{Recurrent, State, StateVisitor};
use crate::parameter::{AffineConfig, constant, uniform, xavier_bound};

/// Configuration of [`GruClassifier`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GruClassifierConfig {
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
    /// How the rows become one.
    #[serde(default)]
    pub pooling: Pooling,
    /// Dropout between two layers.
    #[serde(default)]
    pub dropout: f64,
}

/// A classifier of gated recurrent units; build with [`GruClassifierConfig::init`].
#[derive(Module, Debug)]
pub struct GruClassifier {
    stem: Stem,
    input: Option<InputMap>,
    layers: Vec<GruLayer>,
    pub(super) head: Head,
    #[module(skip)]
    dropout: f64,
}

#[derive(Module, Debug)]
struct GruLayer {
    /// `W_x`, `[d_in, 3 d_hidden]`.
    weight_input: Param<Tensor<2>>,
    /// `W_h`, `[d_hidden, 3 d_hidden]`.
    weight_hidden: Param<Tensor<2>>,
    bias_input: Param<Tensor<1>>,
    bias_hidden: Param<Tensor<1>>,
}

impl GruClassifierConfig {
    /// Checks the fields and draws stem, input map, layers and output in this order.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a size is zero or `dropout` is not a rate.
    pub fn init(
        &self,
        shape: ClassifyShape,
        device: &Device,
    ) -> Result<GruClassifier, InvalidConfig> {
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
        let layer = |d_in| GruLayer::new(d_in, h, device);
        Ok(GruClassifier {
            stem,
            input,
            layers: self.input_widths(channels).map(layer).collect(),
            head: self.head(shape).init(device),
            dropout: self.dropout,
        })
    }

    /// Those of the stem, `(n + 1) H` of the input map, `3H (d_in + H + 2)` per layer, `H` of attention pooling,
    /// `(H + 1) m` for `n` channels behind the stem and `m` classes.
    #[must_use]
    pub fn n_parameters(&self, shape: ClassifyShape) -> usize {
        let stem = Stem::n_parameters(&self.stem, shape.channels);
        let shape = Stem::shape(&self.stem, shape);
        let input = self.input_map(shape.channels).map_or(0, |map| map.n_parameters());
        let layer = |d_in| 3 * self.d_hidden * (d_in + self.d_hidden + 2);
        stem + input
            + self.input_widths(shape.channels).map(layer).sum::<usize>()
            + self.head(shape).n_parameters()
    }

    /// Those of the stem, `p (n H + Σ 3H (d_in + H)) + H m` for `p` rows behind it.
    #[must_use]
    pub fn multiply_adds(&self, shape: ClassifyShape) -> u64 {
        let stem = Stem::multiply_adds(&self.stem, shape);
        let shape = Stem::shape(&self.stem, shape);
        let input = self.input_map(shape.channels).map_or(0, |map| map.multiply_adds());
        let layer = |d_in| 3 * self.d_hidden * (d_in + self.d_hidden);
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

impl GruClassifier {
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

impl GruLayer {
    fn new(d_in: usize, d_hidden: usize, device: &Device) -> Self {
        let gates = 3 * d_hidden;
        Self {
            weight_input: uniform([d_in, gates], xavier_bound(d_in, gates), device),
            weight_hidden: uniform([d_hidden, gates], xavier_bound(d_hidden, gates), device),
            bias_input: constant([gates], 0.0, device),
            bias_hidden: constant([gates], 0.0, device),
        }
    }

    /// The hidden states of all steps after the state `start`.
    fn scan(&self, x: Tensor<3>, start: Option<Tensor<2>>) -> Tensor<3> {
        let weights = [self.weight_input.val(), self.weight_hidden.val()];
        gru(x, weights, [self.bias_input.val(), self.bias_hidden.val()], start)
    }
}

/// The hidden state of a layer, `[batch, d_hidden]`.
#[derive(Clone, Debug)]
pub struct GruState(Tensor<2>);

impl State for GruState {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        visitor.tensor("hidden", &mut self.0, None);
    }
}

impl Recurrent for GruLayer {
    type Input = Tensor<3>;
    type State = GruState;

    fn step(&self, x: Tensor<3>, past: Option<GruState>) -> (Tensor<3>, GruState) {
        let row = self.scan(x, past.map(|past| past.0));
        (row.clone(), GruState(row.squeeze_dim(1)))
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        self.scan(x, None)
    }
}

/// As in evaluation.
impl Recurrent for GruClassifier {
    type Input = Tensor<3>;
    type State = SeriesState<Vec<GruState>>;

    fn step(&self, x: Tensor<3>, past: Option<Self::State>) -> (Tensor<3>, Self::State) {
        series_step(&self.stem, &self.head, x, past, |row, past| {
            self.layers.step(self.below(row), past)
        })
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        series_parallel(&self.stem, &self.head, x, |x| self.layers.parallel(self.below(x)))
    }
}
