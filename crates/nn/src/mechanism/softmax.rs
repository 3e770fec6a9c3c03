//! Multi-head scaled dot-product attention.
//!
//! ```text
//! q, k, v = x W_Q + b_Q, x W_K + b_K, x W_V + b_V         split into heads of width d_head
//! o_i = softmax(q_i k_iᵀ / √d_head) v_i                   causal: row t sees rows 0..=t
//! y = [o_1 … o_h] W_O + b_O
//! ```
//!
//! Source: Vaswani et al. 2017, §3.2.2, arXiv:1706.03762, with biases on all four maps as in the
//! self-attention baseline of the easy-attention authors. Initial weights are Xavier-uniform per
//! `d_model × d_model` matrix, biases zero. Cost: `4 p d² + 2 p² d` multiply-adds per sequence;
//! memory linear in `p`, because the kernel never stores the score matrix.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Tensor, assert_shape};
use regard_kernels::mask::padding_log_weight;
use regard_kernels::plan::{PlanBuilder, Slot};
use regard_kernels::pointwise::Activation;
use regard_kernels::softmax::{attention, self_attention};
use serde::{Deserialize, Serialize};

use super::{Attention, HeadMaps, Recurrent, State, StateVisitor, join_heads, split_heads};
use crate::error::{InvalidConfig, divides};
use crate::parameter::{Affine, AffineConfig, BiasInit, WeightInit};

/// Configuration of [`SoftmaxAttention`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftmaxConfig {
    /// Number of heads; divides `d_model`.
    pub n_heads: usize,
    /// Whether a row sees only itself and earlier rows.
    #[serde(default)]
    pub causal: bool,
}

/// Multi-head scaled dot-product attention; build with [`SoftmaxConfig::init`].
#[derive(Module, Debug)]
pub struct SoftmaxAttention {
    query: Affine,
    key: Affine,
    value: Affine,
    output: Affine,
    n_heads: usize,
    causal: bool,
}

/// Keys and values of the rows seen so far; grows by one row per step.
#[derive(Debug, Clone)]
pub struct SoftmaxState {
    k: Grown,
    v: Grown,
}

/// Rows to which one is added at a time, with room behind them: adding copies that row alone.
#[derive(Debug, Clone)]
struct Grown {
    /// `[batch, heads, room, d_head]`.
    rows: Tensor<4>,
    /// How many of them there are.
    len: usize,
}

impl Grown {
    fn new(rows: Tensor<4>) -> Self {
        Self { len: rows.dims()[2], rows }
    }

    /// Adds a row, `[batch, heads, 1, d_head]`.
    fn push(self, row: Tensor<4>) -> Self {
        let Self { rows, len } = self;
        let [batch, heads, room, d_head] = rows.dims();
        let rows = if len < room {
            rows
        } else {
            let more = [batch, heads, room.max(16), d_head];
            Tensor::cat(vec![rows, Tensor::zeros(more, (&row.device(), row.dtype()))], 2)
        };
        let rows = rows.slice_assign([0..batch, 0..heads, len..len + 1, 0..d_head], row);
        Self { rows, len: len + 1 }
    }

    /// The rows without the room behind them.
    fn rows(&self) -> Tensor<4> {
        self.rows.clone().narrow(2, 0, self.len)
    }
}

impl SoftmaxConfig {
    /// Checks the fields and draws `W_Q`, `W_K`, `W_V`, `W_O` in this order.
    ///
    /// # Errors
    /// [`InvalidConfig::NotDivisible`] if `n_heads` does not divide `d_model`.
    pub fn init(&self, d_model: usize, device: &Device) -> Result<SoftmaxAttention, InvalidConfig> {
        divides(("d_model", d_model), ("n_heads", self.n_heads))?;
        let projection = projection(d_model);
        Ok(SoftmaxAttention {
            query: projection.init(device),
            key: projection.init(device),
            value: projection.init(device),
            output: projection.init(device),
            n_heads: self.n_heads,
            causal: self.causal,
        })
    }

    /// `4 (d² + d)`.
    #[must_use]
    pub fn n_parameters(&self, d_model: usize) -> usize {
        4 * projection(d_model).n_parameters()
    }

    /// `4 p d² + 2 p² d`; a causal row mixes on average `(p + 1)/2` rows: `4 p d² + p (p + 1) d`.
    #[must_use]
    pub fn multiply_adds(&self, d_model: usize, time: usize) -> u64 {
        let visible = if self.causal { time * (time + 1) } else { 2 * time * time };
        4 * time as u64 * projection(d_model).multiply_adds() + (visible * d_model) as u64
    }
}

/// A map of rows, as the four of multi-head attention are.
pub(super) fn projection(d_model: usize) -> AffineConfig {
    AffineConfig { d_in: d_model, d_out: d_model, weight: WeightInit::Xavier, bias: BiasInit::Zero }
}

/// `1/√d_head`.
fn scale(d_head: usize) -> f64 {
    1.0 / (d_head as f64).sqrt()
}

impl SoftmaxAttention {
    /// The scores `S = Q Kᵀ / √d_head` of every row for every row, before masks and softmax.
    ///
    /// They are stored in full: for looking at, not for attending.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_model]`
    /// - returns: `[batch, heads, time, time]`
    #[must_use]
    pub fn scores(&self, x: Tensor<3>) -> Tensor<4> {
        let (q, k) = (self.heads(&self.query, x.clone()), self.heads(&self.key, x));
        let [_, _, _, d_head] = q.dims();
        q.matmul(k.swap_dims(2, 3)) / (d_head as f64).sqrt()
    }

    /// The weights `A = softmax(S)` of every row, those of later rows zero if causal.
    ///
    /// # Shapes
    /// As [`SoftmaxAttention::scores`].
    #[must_use]
    pub fn weights(&self, x: Tensor<3>) -> Tensor<4> {
        let [batch, time, _] = x.dims();
        let scores = self.scores(x);
        let scores = if self.causal {
            let device = scores.device().without_autodiff();
            let later = Tensor::<2, Bool>::tril_mask([time, time], 0, &device);
            scores.mask_fill(later.expand([batch, self.n_heads, time, time]), f64::NEG_INFINITY)
        } else {
            scores
        };
        softmax(scores, 3)
    }

    /// The attention over one sequence as steps of a plan.
    pub(super) fn plan(&self, plan: &mut PlanBuilder, x: Slot) -> Slot {
        let [d_model, _] = self.query.weight.dims();
        let scale = scale(d_model / self.n_heads);
        let qkv = [&self.query, &self.key, &self.value]
            .map(|layer| layer.plan(plan, x, Activation::Identity));
        let o = plan.attention(qkv, self.n_heads, scale, self.causal);
        self.output.plan(plan, o, Activation::Identity)
    }

    /// What every head makes of a sequence, before `W_O`.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_model]`; `blocked`: `[batch, time]`
    /// - returns: `[batch, heads, time, d_head]`
    ///
    /// # Panics
    /// If the shapes disagree.
    #[must_use]
    pub fn head_outputs(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<4> {
        let [batch, time, _] = x.dims();
        let log_weight = blocked.map(|blocked| {
            assert_shape!(blocked, [batch, time]);
            padding_log_weight(blocked, self.n_heads).cast(x.dtype())
        });
        let maps = [&self.query, &self.key, &self.value];
        let qkv = split_heads(Affine::side_by_side(&maps, x), 3 * self.n_heads);
        let [_, _, _, d_head] = qkv.dims();
        self_attention(qkv, log_weight, scale(d_head), self.causal)
    }

    /// Whether a row sees only itself and earlier rows.
    pub(super) fn is_causal(&self) -> bool {
        self.causal
    }

    pub(super) fn head_maps(&self) -> HeadMaps {
        let columns = |map| HeadMaps::columns(map, self.n_heads);
        HeadMaps {
            query: columns(&self.query),
            key: columns(&self.key),
            value: columns(&self.value),
            output: HeadMaps::rows(&self.output, self.n_heads),
        }
    }

    fn heads(&self, layer: &Affine, x: Tensor<3>) -> Tensor<4> {
        split_heads(layer.forward(x, Activation::Identity), self.n_heads)
    }
}

impl Attention for SoftmaxAttention {
    fn forward(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let o = join_heads(self.head_outputs(x, blocked));
        self.output.forward(o, Activation::Identity)
    }
}

impl SoftmaxState {
    /// What the newest query reads from its key and those before it, `[batch, heads, 1, d_head]`.
    ///
    /// # Shapes
    /// - `q`, `k`, `v`: `[batch, heads, 1, d_head]`
    pub(crate) fn attend([q, k, v]: [Tensor<4>; 3], past: Option<Self>) -> (Tensor<4>, Self) {
        let state = match past {
            None => Self { k: Grown::new(k), v: Grown::new(v) },
            Some(past) => Self { k: past.k.push(k), v: past.v.push(v) },
        };
        let [_, _, _, d_head] = q.dims();
        let o = attention(q, state.k.rows(), state.v.rows(), None, scale(d_head), true);
        (o, state)
    }
}

impl State for SoftmaxState {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        for (name, grown) in [("k", &mut self.k), ("v", &mut self.v)] {
            let mut rows = grown.rows();
            visitor.tensor(name, &mut rows, Some(2));
            *grown = Grown::new(rows);
        }
    }
}

/// # Panics
/// `step` panics unless the attention is causal: otherwise earlier rows would have to change.
impl Recurrent for SoftmaxAttention {
    type Input = Tensor<3>;
    type State = SoftmaxState;

    fn step(&self, x: Tensor<3>, past: Option<SoftmaxState>) -> (Tensor<3>, SoftmaxState) {
        assert!(self.causal, "only causal attention can be stepped");
        let [batch, _, d_model] = x.dims();
        assert_shape!(x, [batch, 1, d_model]);
        let qkv = [&self.query, &self.key, &self.value].map(|layer| self.heads(layer, x.clone()));
        let (o, state) = SoftmaxState::attend(qkv, past);
        (self.output.forward(join_heads(o), Activation::Identity), state)
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward(x, None)
    }
}
