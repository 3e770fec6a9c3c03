//! A stack of encoder blocks around any attention mechanism.
//!
//! ```text
//! F(y) = W_2 dropout(act(W_1 y + b_1)) + b_2
//! post:  y = LN_1(x + dropout(Attention(x)))      z = LN_2(y + dropout(F(y)))
//! pre:   y = x + dropout(Attention(LN_1(x)))      z = y + dropout(F(LN_2(y)))
//! ```
//!
//! and with `pre` one more LN behind the last block.
//!
//! Source: `post` is Vaswani et al. 2017, §3.1 and §3.3, arXiv:1706.03762, `pre` is Dosovitskiy et al.
//! 2021, eq. (2) to (4), arXiv:2010.11929; dropout inside the feed-forward map is that of
//! `torch.nn.TransformerEncoderLayer`. Feed-forward weights and biases start as `U(±1/√fan_in)`, as in
//! the easy-attention authors' code. Their softmax baseline feeds later blocks twice their input; this
//! is the plain stack.

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use regard_kernels::plan::{PlanBuilder, Slot};
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use super::dropout;
use crate::error::{InvalidConfig, positive};
use crate::mechanism::{Attention, Mechanism, MechanismConfig, MechanismState, Recurrent};
use crate::parameter::{Affine, AffineConfig, BiasInit, LayerNorm, WeightInit};

/// Configuration of [`Encoder`].
#[derive(Debug, Clone)]
pub struct EncoderConfig {
    /// Width of input and output.
    pub d_model: usize,
    /// Width between the two feed-forward maps.
    pub d_ff: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// What stands between the two feed-forward maps.
    pub activation: Activation,
    /// Where the norms stand.
    pub norm: NormPlace,
    /// Share of what stands between the feed-forward maps, and of what attention and they add, that is
    /// left out in training.
    pub dropout: f64,
    /// The attention of every block.
    pub mechanism: MechanismConfig,
}

/// Where the norms of an encoder stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormPlace {
    /// Behind each residual sum.
    #[default]
    Post,
    /// Before attention and feed-forward maps, and behind the last block.
    Pre,
}

/// A stack of encoder blocks; build with [`EncoderConfig::init`].
#[derive(Module, Debug)]
pub struct Encoder {
    pub(crate) blocks: Vec<EncoderBlock>,
    /// Behind the last block; only where the norms stand before.
    norm: Option<LayerNorm>,
}

/// One block: attention of any kind, then a feed-forward map, each added to its input.
#[derive(Module, Debug)]
pub struct EncoderBlock<A = Mechanism> {
    pub(crate) mechanism: A,
    pub(crate) norm_attention: LayerNorm,
    expand: Affine,
    contract: Affine,
    pub(crate) norm_feed_forward: LayerNorm,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    place: NormPlace,
    #[module(skip)]
    dropout: f64,
}

impl EncoderConfig {
    /// Checks the fields and draws the blocks in order, for sequences of `time` rows.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a size is zero or the mechanism refuses its own fields.
    pub fn init(&self, time: usize, device: &Device) -> Result<Encoder, InvalidConfig> {
        let counts = [("d_model", self.d_model), ("d_ff", self.d_ff), ("n_layers", self.n_layers)];
        counts.into_iter().try_for_each(positive)?;
        let block = |_| {
            let mechanism = self.mechanism.init(self.d_model, time, device)?;
            Ok(self.block().init(mechanism, device))
        };
        let norm = (self.norm == NormPlace::Pre).then(|| LayerNorm::new(self.d_model, device));
        Ok(Encoder { blocks: (0..self.n_layers).map(block).collect::<Result<_, _>>()?, norm })
    }

    /// Per block: the mechanism, `2 d f + f + d` of the feed-forward maps, `4 d` of the norms; `2 d` of
    /// a norm behind the last.
    #[must_use]
    pub fn n_parameters(&self, time: usize) -> usize {
        let block = self.mechanism.n_parameters(self.d_model, time) + self.block().n_parameters();
        let last = if self.norm == NormPlace::Pre { 2 * self.d_model } else { 0 };
        self.n_layers * block + last
    }

    /// Per block: the mechanism and `2 p d f` of the feed-forward maps.
    #[must_use]
    pub fn multiply_adds(&self, time: usize) -> u64 {
        let maps = time as u64 * self.block().multiply_adds();
        self.n_layers as u64 * (self.mechanism.multiply_adds(self.d_model, time) + maps)
    }

    fn block(&self) -> EncoderBlockConfig {
        let Self { d_model, d_ff, activation, norm, dropout, .. } = *self;
        EncoderBlockConfig { d_model, d_ff, activation, norm, dropout }
    }
}

/// What stands around the attention of an [`EncoderBlock`]; fields as in [`EncoderConfig`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct EncoderBlockConfig {
    pub(crate) d_model: usize,
    pub(crate) d_ff: usize,
    pub(crate) activation: Activation,
    pub(crate) norm: NormPlace,
    pub(crate) dropout: f64,
}

impl EncoderBlockConfig {
    /// Draws the feed-forward maps in order; the fields have been checked.
    pub(crate) fn init<A>(&self, mechanism: A, device: &Device) -> EncoderBlock<A> {
        EncoderBlock {
            mechanism,
            norm_attention: LayerNorm::new(self.d_model, device),
            expand: feed_forward(self.d_model, self.d_ff).init(device),
            contract: feed_forward(self.d_ff, self.d_model).init(device),
            norm_feed_forward: LayerNorm::new(self.d_model, device),
            activation: self.activation,
            place: self.norm,
            dropout: self.dropout,
        }
    }

    /// `2 d f + f + d` of the feed-forward maps, `4 d` of the norms.
    pub(crate) fn n_parameters(&self) -> usize {
        let Self { d_model, d_ff, .. } = *self;
        feed_forward(d_model, d_ff).n_parameters()
            + feed_forward(d_ff, d_model).n_parameters()
            + 4 * d_model
    }

    /// `2 d f` of the feed-forward maps, per row.
    pub(crate) fn multiply_adds(&self) -> u64 {
        2 * feed_forward(self.d_model, self.d_ff).multiply_adds()
    }
}

fn feed_forward(d_in: usize, d_out: usize) -> AffineConfig {
    AffineConfig { d_in, d_out, weight: WeightInit::FanIn, bias: BiasInit::FanIn }
}

impl Encoder {
    /// Passes a sequence through all blocks.
    ///
    /// # Shapes
    /// - `x` and the result: `[batch, time, d_model]`
    /// - `blocked`: `[batch, time]`, `true` where a row must not be seen by any other
    ///
    /// # Panics
    /// If the shapes disagree with each other or with the parameters.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, blocked: Option<&Tensor<2, Bool>>) -> Tensor<3> {
        self.normed(self.blocks.iter().fold(x, |x, block| block.forward(x, blocked.cloned())))
    }

    /// What leaves the last block, behind the norm that may stand there.
    fn normed(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.norm {
            None => x,
            Some(norm) => norm.forward(x),
        }
    }

    /// What the attention of every block is given, first block first.
    ///
    /// # Shapes
    /// - `x` and each of the results: `[batch, time, d_model]`
    /// - `blocked`: `[batch, time]`, as in [`Encoder::forward`]
    ///
    /// # Panics
    /// If the shapes disagree with the parameters.
    #[must_use]
    pub fn inputs(&self, mut x: Tensor<3>, blocked: Option<&Tensor<2, Bool>>) -> Vec<Tensor<3>> {
        let mut inputs = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            inputs.push(block.attention_input(x.clone()));
            x = block.forward(x, blocked.cloned());
        }
        inputs
    }

    /// [`Encoder::forward`] for one sequence as steps of a plan; `None` as [`Mechanism::plan`].
    pub(crate) fn plan(&self, plan: &mut PlanBuilder, x: Slot) -> Option<Slot> {
        if self.norm.is_some() {
            return None;
        }
        self.blocks.iter().try_fold(x, |x, block| block.plan(plan, x))
    }

    /// The same blocks for sequences of another length.
    ///
    /// # Errors
    /// [`InvalidConfig::FixedWindow`] if the mechanism is bound to the length it was trained for.
    pub fn resized(&self, time: usize) -> Result<Self, InvalidConfig> {
        let block = |block: &EncoderBlock| {
            Ok(EncoderBlock { mechanism: block.mechanism.resized(time)?, ..block.clone() })
        };
        let blocks = self.blocks.iter().map(block).collect::<Result<_, _>>()?;
        Ok(Self { blocks, norm: self.norm.clone() })
    }

    /// The attention of every block, first block first.
    pub fn mechanisms(&self) -> impl Iterator<Item = &Mechanism> {
        self.blocks.iter().map(|block| &block.mechanism)
    }
}

/// As in evaluation, with attention that can be read row by row.
impl Recurrent for Encoder {
    type Input = Tensor<3>;
    type State = Vec<MechanismState>;

    fn step(
        &self,
        x: Tensor<3>,
        past: Option<Vec<MechanismState>>,
    ) -> (Tensor<3>, Vec<MechanismState>) {
        let (row, states) = self.blocks.step(x, past);
        (self.normed(row), states)
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        self.normed(self.blocks.parallel(x))
    }
}

impl Recurrent for EncoderBlock {
    type Input = Tensor<3>;
    type State = MechanismState;

    fn step(&self, x: Tensor<3>, past: Option<MechanismState>) -> (Tensor<3>, MechanismState) {
        let (attended, state) = self.mechanism.step(self.attention_input(x.clone()), past);
        (self.around(x, attended), state)
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        let attended = self.mechanism.parallel(self.attention_input(x.clone()));
        self.around(x, attended)
    }
}

impl EncoderBlock {
    /// Passes a sequence through one block; shapes as in [`Encoder::forward`].
    ///
    /// # Panics
    /// If the shapes disagree with each other or with the parameters.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<3> {
        self.apply(x, |mechanism, x| mechanism.forward(x, blocked))
    }

    fn plan(&self, plan: &mut PlanBuilder, x: Slot) -> Option<Slot> {
        let attended = self.mechanism.plan(plan, x)?;
        let y = self.norm_attention.plan(plan, x, attended);
        let hidden = self.expand.plan(plan, y, self.activation);
        let fed = self.contract.plan(plan, hidden, Activation::Identity);
        Some(self.norm_feed_forward.plan(plan, y, fed))
    }
}

impl<A> EncoderBlock<A> {
    /// Passes rows through one block whose attention is `attend`.
    ///
    /// # Shapes
    /// - `x` and the result: `[batch, time, d_model]`
    pub(crate) fn apply(
        &self,
        x: Tensor<3>,
        attend: impl FnOnce(&A, Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let attended = attend(&self.mechanism, self.attention_input(x.clone()));
        self.around(x, dropout(attended, self.dropout))
    }

    /// The block from what goes in and what its attention makes of it.
    fn around(&self, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
        match self.place {
            NormPlace::Post => {
                let y = self.norm_attention.residual(x, attended);
                self.norm_feed_forward.residual(y.clone(), self.feed_forward(y))
            }
            NormPlace::Pre => {
                let y = x + attended;
                y.clone() + self.feed_forward(self.norm_feed_forward.forward(y))
            }
        }
    }

    fn attention_input(&self, x: Tensor<3>) -> Tensor<3> {
        match self.place {
            NormPlace::Post => x,
            NormPlace::Pre => self.norm_attention.forward(x),
        }
    }

    /// What the feed-forward maps add to `y`.
    pub(crate) fn feed_forward(&self, y: Tensor<3>) -> Tensor<3> {
        let hidden = dropout(self.expand.forward(y, self.activation), self.dropout);
        dropout(self.contract.forward(hidden, Activation::Identity), self.dropout)
    }
}
