//! A classifier with any attention mechanism, in encoder blocks or by itself.
//!
//! ```text
//! x      = stem(series), or the series
//! e_t    = activation(x_t W_in + b_in) (+ p_t)         faint: e_t = √d activation(…) + p_t
//! h      = encoder blocks(e), or mechanism(e) alone
//! logits = pool(h) W_out + b_out
//! ```
//!
//! Source: the ends are those of Chevalier 2018, arXiv:1808.05578, and of its code (exponential
//! linear unit, last row); blocks and the places of dropout (sums of embedding and position, what
//! each sub-layer adds) are those of Vaswani et al. 2017, §5.4, arXiv:1706.03762. Positions are
//! trained, one per step, and start as `U(±1/√d)`. With faint positions, post-norm blocks with GELU
//! and flattened rows it is the classifier released with Zerveas et al. 2021, arXiv:2010.02803, with
//! the layer norms of Wu et al. 2022, arXiv:2202.06258.

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor};
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use super::head::{Head, HeadConfig};
use super::input::{InputActivation, InputMap};
use super::stem::{Stem, StemConvolution};
use super::stream::{SeriesState, series_parallel, series_step};
use super::{ClassifyShape, Pooling};
use crate::error::{InvalidConfig, positive, rate};
use crate::layer::{Encoder, EncoderConfig, NormPlace, dropout};
use crate::mechanism::{
    Attention, Mechanism, MechanismConfig, MechanismState, Recurrent, recurrent_enum,
};
use crate::parameter::{AffineConfig, WeightInit, fan_in_bound, uniform};

/// Bound of the initial positions where they are faint.
const FAINT: f64 = 0.02;

/// Configuration of [`AttentionClassifier`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionClassifierConfig {
    /// Convolutions before all else, first to last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stem: Vec<StemConvolution>,
    /// Width of the rows between input and output.
    pub d_model: usize,
    /// What follows the first affine map.
    #[serde(default)]
    pub activation: InputActivation,
    /// How a mechanism that does not see the order of rows is told.
    #[serde(default)]
    pub positions: Positions,
    /// What stands around the mechanism.
    pub block: BlockConfig,
    /// The attention of every block.
    pub mechanism: MechanismConfig,
    /// How the rows become one.
    #[serde(default)]
    pub pooling: Pooling,
    /// Dropout of the embedded input, in encoder blocks of what stands between the feed-forward maps and
    /// of what each sub-layer adds, and of flattened rows.
    #[serde(default)]
    pub dropout: f64,
}

/// How the order of rows enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// Not at all, or through the mechanism.
    #[default]
    None,
    /// A trained row is added to each row of the input.
    Learned,
    /// Likewise, but the rows start as `U(±0.02)`, and the input map, whose weights start as
    /// `U(±1/√channels)`, is made `√d` times larger: at first the input counts for much more.
    Faint,
}

/// What stands around the mechanism, chosen by the key `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BlockConfig {
    /// Encoder blocks: residual sums, layer norms, feed-forward maps.
    Encoder(EncoderBlocks),
    /// Nothing: the mechanism alone, as for a recurrent one that is a stack by itself.
    Bare {},
}

/// Encoder blocks around a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderBlocks {
    /// Width between the feed-forward maps.
    pub d_ff: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// What stands between the feed-forward maps.
    #[serde(default)]
    pub activation: BlockActivation,
    /// Where the norms stand.
    #[serde(default)]
    pub norm: NormPlace,
    /// Whether attention sees the rows behind the end of a series.
    #[serde(default)]
    pub padding: PaddingPolicy,
}

/// What stands between the feed-forward maps of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockActivation {
    /// `max(z, 0)`.
    #[default]
    Relu,
    /// `z Φ(z)`, exact.
    Gelu,
}

/// What attention makes of the rows behind the end of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaddingPolicy {
    /// No row sees them: a padded series gives the result of the series alone.
    #[default]
    Mask,
    /// Every row sees them, embedded zeros with their positions, as in the code released with Wu et al.
    /// 2022: the result depends on the length of the longest series.
    Ignore,
}

/// A classifier with any attention mechanism; build with [`AttentionClassifierConfig::init`].
#[derive(Module, Debug)]
pub struct AttentionClassifier {
    stem: Stem,
    input: InputMap,
    /// `p`, `[time, d_model]`.
    positions: Option<Param<Tensor<2>>>,
    body: Body,
    pub(super) head: Head,
    /// Factor on the input map.
    #[module(skip)]
    scale: f64,
    #[module(skip)]
    padding: PaddingPolicy,
    #[module(skip)]
    dropout: f64,
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one per model; a box would buy nothing")]
enum Body {
    Encoder(Encoder),
    Bare(Mechanism),
}

impl AttentionClassifierConfig {
    /// Checks the fields and draws stem, input map, positions, blocks and output in this order.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a size is zero, `dropout` is not a rate, or the mechanism refuses its
    /// own fields.
    pub fn init(
        &self,
        shape: ClassifyShape,
        device: &Device,
    ) -> Result<AttentionClassifier, InvalidConfig> {
        let counts = [
            ("d_model", self.d_model),
            ("time", shape.time),
            ("channels", shape.channels),
            ("classes", shape.classes),
        ];
        counts.into_iter().try_for_each(positive)?;
        rate(("dropout", self.dropout))?;
        let stem = Stem::new(&self.stem, shape.channels, device)?;
        let shape = Stem::shape(&self.stem, shape);
        let ClassifyShape { time, channels, .. } = shape;
        let d = self.d_model;
        let (law, scale, bound) = match self.positions {
            Positions::None => (WeightInit::Xavier, 1.0, None),
            Positions::Learned => (WeightInit::Xavier, 1.0, Some(fan_in_bound(d))),
            Positions::Faint => (WeightInit::FanIn, (d as f64).sqrt(), Some(FAINT)),
        };
        let map = AffineConfig { weight: law, ..InputMap::config(channels, d) };
        Ok(AttentionClassifier {
            stem,
            input: InputMap::new(map, self.activation, device),
            positions: bound.map(|bound| uniform([time, d], bound, device)),
            body: match self.encoder() {
                Some(encoder) => Body::Encoder(encoder.init(time, device)?),
                None => Body::Bare(self.mechanism.init(d, time, device)?),
            },
            head: self.head(shape).init(device),
            scale,
            padding: self.block.padding(),
            dropout: self.dropout,
        })
    }

    /// Those of the stem, `(n + 1) d`, `p d` of learned positions, the blocks, `d` of attention
    /// pooling, `(d + 1) m` for `n` channels and `p` rows behind the stem and `m` classes; `2 d` and
    /// `(p d + 1) m` where rows are flattened.
    #[must_use]
    pub fn n_parameters(&self, shape: ClassifyShape) -> usize {
        let stem = Stem::n_parameters(&self.stem, shape.channels);
        let shape = Stem::shape(&self.stem, shape);
        let ClassifyShape { time, channels, .. } = shape;
        let positions = if self.positions == Positions::None { 0 } else { time * self.d_model };
        let body = match self.encoder() {
            Some(encoder) => encoder.n_parameters(time),
            None => self.mechanism.n_parameters(self.d_model, time),
        };
        stem + InputMap::config(channels, self.d_model).n_parameters()
            + positions
            + body
            + self.head(shape).n_parameters()
    }

    /// Those of the stem, `p n d`, the blocks, `d m` or `p d m`.
    #[must_use]
    pub fn multiply_adds(&self, shape: ClassifyShape) -> u64 {
        let stem = Stem::multiply_adds(&self.stem, shape);
        let shape = Stem::shape(&self.stem, shape);
        let ClassifyShape { time, channels, .. } = shape;
        let body = match self.encoder() {
            Some(encoder) => encoder.multiply_adds(time),
            None => self.mechanism.multiply_adds(self.d_model, time),
        };
        stem + time as u64 * InputMap::config(channels, self.d_model).multiply_adds()
            + body
            + self.head(shape).multiply_adds()
    }

    fn encoder(&self) -> Option<EncoderConfig> {
        let BlockConfig::Encoder(blocks) = self.block else { return None };
        Some(blocks.around(self.mechanism.clone(), self.d_model, self.dropout))
    }

    fn head(&self, shape: ClassifyShape) -> HeadConfig {
        let ClassifyShape { time, classes, .. } = shape;
        HeadConfig {
            d_in: self.d_model,
            time,
            classes,
            pooling: self.pooling,
            dropout: self.dropout,
        }
    }
}

impl BlockConfig {
    /// Post-norm encoder blocks with ReLU.
    #[must_use]
    pub fn encoder(d_ff: usize, n_layers: usize) -> Self {
        let (activation, norm) = (BlockActivation::Relu, NormPlace::Post);
        let padding = PaddingPolicy::Mask;
        Self::Encoder(EncoderBlocks { d_ff, n_layers, activation, norm, padding })
    }

    fn padding(&self) -> PaddingPolicy {
        match self {
            Self::Encoder(blocks) => blocks.padding,
            Self::Bare {} => PaddingPolicy::Mask,
        }
    }
}

impl EncoderBlocks {
    /// The encoder of these blocks.
    pub(super) fn around(
        &self,
        mechanism: MechanismConfig,
        d_model: usize,
        dropout: f64,
    ) -> EncoderConfig {
        let Self { d_ff, n_layers, activation, norm, padding: _ } = *self;
        let activation = match activation {
            BlockActivation::Relu => Activation::Relu,
            BlockActivation::Gelu => Activation::Gelu,
        };
        EncoderConfig { d_model, d_ff, n_layers, activation, norm, dropout, mechanism }
    }
}

impl AttentionClassifier {
    /// The logits of every series.
    ///
    /// # Shapes
    /// As [`Classifier::forward`](super::Classifier::forward), with zeros in padded rows.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Tensor<2> {
        let (e, padding) = self.embedded_series(x, padding);
        let padding = padding.as_ref();
        let blocked = padding.filter(|_| self.padding == PaddingPolicy::Mask);
        let h = match &self.body {
            Body::Encoder(encoder) => encoder.forward(e, blocked),
            Body::Bare(mechanism) => mechanism.forward(e, blocked.cloned()),
        };
        self.head.forward(h, padding)
    }

    /// What the attention of every block is given, first block first, and the padding of its rows.
    ///
    /// # Shapes
    /// As [`AttentionClassifier::forward`]; each of the results is `[batch, rows, d_model]`, and the
    /// padding `[batch, rows]`, with fewer rows than steps behind a stem with strides.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn block_inputs(
        &self,
        x: Tensor<3>,
        padding: Option<&Tensor<2, Bool>>,
    ) -> (Vec<Tensor<3>>, Option<Tensor<2, Bool>>) {
        let (e, padding) = self.embedded_series(x, padding);
        let inputs = match &self.body {
            Body::Encoder(encoder) => {
                let blocked = padding.as_ref().filter(|_| self.padding == PaddingPolicy::Mask);
                encoder.inputs(e, blocked)
            }
            Body::Bare(_) => vec![e],
        };
        (inputs, padding)
    }

    /// What the first block is given, and the padding of its rows.
    fn embedded_series(
        &self,
        x: Tensor<3>,
        padding: Option<&Tensor<2, Bool>>,
    ) -> (Tensor<3>, Option<Tensor<2, Bool>>) {
        let (x, padding) = self.stem.forward(x, padding);
        let [_, time, _] = x.dims();
        let mut e = self.input.forward(x);
        if let Some(positions) = &self.positions {
            e = e * self.scale + positions.val().narrow(0, 0, time).unsqueeze_dim(0);
        }
        (dropout(e, self.dropout), padding)
    }

    /// Whether logits can follow row by row: nothing depends on the place of a row or on how many there
    /// are, as easy attention does, which makes up for the rows that a short series lacks.
    pub(super) fn is_recurrent(&self) -> bool {
        let is_recurrent = |mechanism: &&Mechanism| {
            mechanism.is_recurrent() && !matches!(mechanism, Mechanism::Easy(_))
        };
        self.positions.is_none()
            && self.padding == PaddingPolicy::Mask
            && self.head.is_recurrent()
            && self.mechanisms().iter().all(is_recurrent)
    }

    /// The attention of every block, first block first.
    #[must_use]
    pub fn mechanisms(&self) -> Vec<&Mechanism> {
        match &self.body {
            Body::Encoder(encoder) => encoder.mechanisms().collect(),
            Body::Bare(mechanism) => vec![mechanism],
        }
    }
}

recurrent_enum! {
    /// What blocks or a mechanism carry from one row to the next.
    #[expect(clippy::large_enum_variant, reason = "one per stream; a box would buy nothing")]
    pub BodyState of Body {
        /// Of every block.
        Encoder(Vec<MechanismState>),
        /// Of the mechanism.
        Bare(MechanismState),
    }
}

/// As in evaluation.
impl Recurrent for AttentionClassifier {
    type Input = Tensor<3>;
    type State = SeriesState<BodyState>;

    fn step(&self, x: Tensor<3>, past: Option<Self::State>) -> (Tensor<3>, Self::State) {
        series_step(&self.stem, &self.head, x, past, |row, past| {
            self.body.step(self.input.forward(row), past)
        })
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        series_parallel(&self.stem, &self.head, x, |x| self.body.parallel(self.input.forward(x)))
    }
}
