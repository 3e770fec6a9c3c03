//! A language model: tokens in, one logit per token of the vocabulary for what follows each of them.
//!
//! ```text
//! x_t      = E[token_t]                                  x ← x + s, the position recurrence
//! x        ← block_n(… block_1(x))                       residual, each around a mixer
//! logits_t = LN(x_t) Eᵀ                                  the embedding is also the read-out
//! ```
//!
//! Everything is causal: the logits of a row depend on that row and those before it, and
//! [`LanguageModel::step`] gives them token by token.
//!
//! Source: Heinsen 2024, arXiv:2404.05843, and the language model released with it, whose sizes are
//! [`LanguageModelConfig::paper`]: `E` starts as `U(±1/√d)`, all maps as `U(±1/√fan_in)`, without
//! dropout. Ours: mixers other than log attention in the same skeleton, blocks of the usual
//! transformer, and convolutions of the last rows.

mod block;
mod convolution;
mod mixer;
mod position;
#[cfg(test)]
mod tests;

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, assert_shape};
use regard_kernels::affine::affine;
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use self::block::{LanguageBlock, LanguageBlockState};
use self::position::PositionRecurrence;
use crate::error::{InvalidConfig, positive};
use crate::mechanism::{Recurrent, State, StateVisitor};
use crate::parameter::{LayerNorm, uniform};

pub use self::block::LanguageBlockConfig;
pub use self::mixer::{HeadsConfig, LogMixerConfig, MixerConfig, ValueForm};

/// The name of the model, in the file of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LanguageModelKind {
    /// Tokens in, logits of the next token out.
    #[default]
    LanguageModel,
}

/// Where rows learn their position from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LanguagePosition {
    /// A gated log-linear recurrence below the first block.
    #[default]
    Recurrence,
    /// From the mixers alone.
    None,
}

/// Configuration of [`LanguageModel`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageModelConfig {
    /// The name of the model.
    #[serde(default)]
    pub kind: LanguageModelKind,
    /// Width of the rows, `d`.
    pub d_model: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// What lets rows see earlier ones.
    pub mixer: MixerConfig,
    /// What stands around a mixer.
    #[serde(default)]
    pub block: LanguageBlockConfig,
    /// Where rows learn their position from.
    #[serde(default)]
    pub position: LanguagePosition,
    /// Rows that a convolution in front of each mixer sees, the current one among them; 0 for none.
    #[serde(default)]
    pub convolution: usize,
}

/// Sizes that the data fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageShape {
    /// Number of distinct tokens.
    pub vocabulary: usize,
    /// Tokens of a window in training.
    pub window: usize,
}

/// Numbers of trained values, by what holds them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParameterCount {
    /// In matrices: embedding and maps, to which weight decay applies.
    pub matrices: usize,
    /// In vectors: biases and norms, to which it does not.
    pub vectors: usize,
}

/// A language model; build with [`LanguageModelConfig::init`].
#[derive(Module, Debug)]
pub struct LanguageModel {
    /// `E`, `[vocabulary, d_model]`.
    embedding: Param<Tensor<2>>,
    position: Option<PositionRecurrence>,
    blocks: Vec<LanguageBlock>,
    norm: LayerNorm,
}

/// What a model carries from one token to the next.
#[derive(Debug, Clone)]
pub struct LanguageState {
    /// `s`, `[batch, d_model]`.
    position: Option<Tensor<2>>,
    blocks: Vec<LanguageBlockState>,
}

impl ParameterCount {
    /// All of them.
    #[must_use]
    pub const fn total(self) -> usize {
        self.matrices + self.vectors
    }

    /// Of `n` such parts.
    #[must_use]
    pub const fn times(self, n: usize) -> Self {
        Self { matrices: n * self.matrices, vectors: n * self.vectors }
    }

    /// Of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        let Self { matrices, vectors } = other;
        Self { matrices: self.matrices + matrices, vectors: self.vectors + vectors }
    }
}

impl LanguageModelConfig {
    /// The sizes of the paper's model: 24 layers of width 768 with 24 heads; its vocabulary has 50,304
    /// tokens, its windows 1,024.
    #[must_use]
    pub fn paper() -> Self {
        Self {
            kind: LanguageModelKind::LanguageModel,
            d_model: 768,
            n_layers: 24,
            mixer: MixerConfig::Log(LogMixerConfig::new(24)),
            block: LanguageBlockConfig::Glu {},
            position: LanguagePosition::Recurrence,
            convolution: 0,
        }
    }

    /// Checks the fields and draws embedding, position and blocks in this order.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a size is zero or the mixer refuses its own fields.
    pub fn init(
        &self,
        shape: LanguageShape,
        device: &Device,
    ) -> Result<LanguageModel, InvalidConfig> {
        let counts = [
            ("d_model", self.d_model),
            ("n_layers", self.n_layers),
            ("vocabulary", shape.vocabulary),
            ("window", shape.window),
        ];
        counts.into_iter().try_for_each(positive)?;
        let d = self.d_model;
        let bound = 1.0 / (d as f64).sqrt();
        Ok(LanguageModel {
            embedding: uniform([shape.vocabulary, d], bound, device),
            position: match self.position {
                LanguagePosition::Recurrence => Some(PositionRecurrence::new(d, device)),
                LanguagePosition::None => None,
            },
            blocks: (0..self.n_layers)
                .map(|_| LanguageBlock::new(self, shape.window, device))
                .collect::<Result<_, _>>()?,
            norm: LayerNorm::new(d, device),
        })
    }

    /// `V d` of the embedding, `2d² + 2d` of the position, the blocks, `2d` of the last norm. With log
    /// attention of `h` heads of width `d/h` and GLU blocks that is, for `L` layers,
    /// `V d + 2d² + L (3d² + 3d² )` in matrices and `2d + L (2d + 3d + 2d) + 2d` in vectors.
    #[must_use]
    pub fn n_parameters(&self, shape: LanguageShape) -> ParameterCount {
        let d = self.d_model;
        let ends = ParameterCount { matrices: shape.vocabulary * d, vectors: 2 * d };
        let position = match self.position {
            LanguagePosition::Recurrence => ParameterCount { matrices: 2 * d * d, vectors: 2 * d },
            LanguagePosition::None => ParameterCount::default(),
        };
        let block = LanguageBlock::n_parameters(self, shape.window);
        ends.plus(position).plus(block.times(self.n_layers))
    }

    /// Those of the position, the blocks, and `p d V` of the read-out, for a window of `p` tokens.
    #[must_use]
    pub fn multiply_adds(&self, shape: LanguageShape) -> u64 {
        let (d, p) = (self.d_model, shape.window);
        let position = match self.position {
            LanguagePosition::Recurrence => 2 * d * d * p,
            LanguagePosition::None => 0,
        };
        (position + p * d * shape.vocabulary) as u64
            + self.n_layers as u64 * LanguageBlock::multiply_adds(self, p)
    }
}

impl LanguageModel {
    /// Number of distinct tokens.
    #[must_use]
    pub fn n_tokens(&self) -> usize {
        let [vocabulary, _] = self.embedding.val().dims();
        vocabulary
    }

    /// The logits of what follows each token.
    ///
    /// # Shapes
    /// - `tokens`: `[batch, time]`, from 0; returns: `[batch, time, vocabulary]`
    ///
    /// # Panics
    /// If a token is not of the vocabulary.
    #[must_use]
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let mut x = self.embedded(tokens);
        if let Some(position) = &self.position {
            x = position.forward(x);
        }
        self.logits(self.blocks.parallel(x))
    }

    fn embedded(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let [batch, time] = tokens.dims();
        let rows = self.embedding.val().select(0, tokens.reshape([batch * time]));
        let [_, d] = rows.dims();
        rows.reshape([batch, time, d])
    }

    fn logits(&self, x: Tensor<3>) -> Tensor<3> {
        affine(self.norm.forward(x), self.embedding.val().transpose(), None, Activation::Identity)
    }
}

impl State for LanguageState {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        if let Some(position) = &mut self.position {
            visitor.tensor("position", position, None);
        }
        visitor.enter("blocks");
        self.blocks.visit(visitor);
        visitor.exit();
    }
}

impl Recurrent for LanguageModel {
    type Input = Tensor<2, Int>;
    type State = LanguageState;

    /// One token `[batch, 1]` to the logits of what follows it, `[batch, 1, vocabulary]`.
    fn step(
        &self,
        tokens: Tensor<2, Int>,
        past: Option<LanguageState>,
    ) -> (Tensor<3>, LanguageState) {
        let [batch, _] = tokens.dims();
        assert_shape!(tokens, [batch, 1]);
        let (past_position, past_blocks) = match past {
            None => (None, None),
            Some(state) => (state.position, Some(state.blocks)),
        };
        let mut x = self.embedded(tokens);
        let position = self.position.as_ref().map(|position| {
            let (row, state) = position.step(x.clone(), past_position);
            x = row;
            state
        });
        let (x, blocks) = self.blocks.step(x, past_blocks);
        (self.logits(x), LanguageState { position, blocks })
    }

    fn parallel(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        self.forward(tokens)
    }
}
