//! Multi-head linear attention with the feature map `φ(x) = elu(x) + 1`.
//!
//! ```text
//! q, k, v = x W_Q + b_Q, x W_K + b_K, x W_V + b_V         split into heads of width d_head
//! o_t = φ(q_t) S / φ(q_t) · z      S = Σ_s φ(k_s) v_sᵀ, z = Σ_s φ(k_s); causal: s ≤ t
//! y = [o_1 … o_h] W_O + b_O
//! ```
//!
//! Source: Katharopoulos et al. 2020, §3.2–3.4, arXiv:2006.16236. Differs: no `ε` in the denominator;
//! biases and initial weights as in [`super::SoftmaxAttention`]. Cost: `4 p d² + 2 p d d_head`
//! multiply-adds per sequence; a causal step costs the same at every row, and its state does not grow.

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, assert_shape};
use regard_kernels::linear::{attention, composed_weights, feature_map};
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use super::softmax::projection;
use super::{Attention, HeadMaps, Recurrent, State, StateVisitor, join_heads, split_heads};
use crate::error::{InvalidConfig, divides};
use crate::parameter::Affine;

/// Configuration of [`LinearAttention`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearConfig {
    /// Number of heads; divides `d_model`.
    pub n_heads: usize,
    /// Whether a row sees only itself and earlier rows.
    #[serde(default)]
    pub causal: bool,
}

/// Multi-head linear attention; build with [`LinearConfig::init`].
#[derive(Module, Debug)]
pub struct LinearAttention {
    query: Affine,
    key: Affine,
    value: Affine,
    output: Affine,
    n_heads: usize,
    causal: bool,
}

/// Sums over the rows seen so far; their size does not grow.
#[derive(Debug, Clone)]
pub struct LinearState {
    /// `S`, `[batch, heads, d_head, d_head]`.
    kv: Tensor<4>,
    /// `z`, `[batch, heads, 1, d_head]`.
    norm: Tensor<4>,
}

impl LinearConfig {
    /// Checks the fields and draws `W_Q`, `W_K`, `W_V`, `W_O` in this order.
    ///
    /// # Errors
    /// [`InvalidConfig::NotDivisible`] if `n_heads` does not divide `d_model`.
    pub fn init(&self, d_model: usize, device: &Device) -> Result<LinearAttention, InvalidConfig> {
        divides(("d_model", d_model), ("n_heads", self.n_heads))?;
        let projection = projection(d_model);
        Ok(LinearAttention {
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

    /// `4 p d² + 2 p d d_head + p d`: maps, `S` and its product with the queries, denominators.
    #[must_use]
    pub fn multiply_adds(&self, d_model: usize, time: usize) -> u64 {
        let row = 4 * d_model * d_model + 2 * d_model * d_model / self.n_heads + d_model;
        (time * row) as u64
    }
}

impl LinearAttention {
    /// The weights `φ(q_t) · φ(k_s) / φ(q_t) · z`, which attending never forms.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_model]`
    /// - returns: `[batch, heads, time, time]`
    #[must_use]
    pub fn weights(&self, x: Tensor<3>) -> Tensor<4> {
        let [q, k] = [&self.query, &self.key].map(|layer| self.heads(layer, x.clone()));
        composed_weights(q, k, None, self.causal)
    }

    /// What every head makes of a sequence, before `W_O`.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_model]`; `blocked`: `[batch, time]`
    /// - returns: `[batch, heads, time, d_head]`
    #[must_use]
    pub fn head_outputs(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<4> {
        let [q, k, v] =
            [&self.query, &self.key, &self.value].map(|layer| self.heads(layer, x.clone()));
        attention(q, k, v, blocked, self.causal)
    }

    /// The values, heads side by side.
    #[cfg(test)]
    pub(super) fn values(&self, x: Tensor<3>) -> Tensor<3> {
        self.value.forward(x, Activation::Identity)
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

impl Attention for LinearAttention {
    fn forward(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let o = join_heads(self.head_outputs(x, blocked));
        self.output.forward(o, Activation::Identity)
    }
}

impl LinearState {
    /// What the newest query reads from its key and those before it, `[batch, heads, 1, d_head]`.
    ///
    /// # Shapes
    /// - `q`, `k`, `v`: `[batch, heads, 1, d_head]`
    pub(crate) fn attend([q, k, v]: [Tensor<4>; 3], past: Option<Self>) -> (Tensor<4>, Self) {
        let (q, k) = (feature_map(q), feature_map(k));
        let (mut kv, mut norm) = (k.clone().swap_dims(2, 3).matmul(v), k);
        if let Some(past) = past {
            kv = kv + past.kv;
            norm = norm + past.norm;
        }
        let sum = (q.clone() * norm.clone()).sum_dim(3); // [batch, heads, 1, 1]
        (q.matmul(kv.clone()) / sum, Self { kv, norm })
    }
}

impl State for LinearState {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        visitor.tensor("kv", &mut self.kv, None);
        visitor.tensor("norm", &mut self.norm, None);
    }
}

/// # Panics
/// `step` panics unless the attention is causal: otherwise earlier rows would have to change.
impl Recurrent for LinearAttention {
    type Input = Tensor<3>;
    type State = LinearState;

    fn step(&self, x: Tensor<3>, past: Option<LinearState>) -> (Tensor<3>, LinearState) {
        assert!(self.causal, "only causal attention can be stepped");
        let [batch, _, d_model] = x.dims();
        assert_shape!(x, [batch, 1, d_model]);
        let qkv = [&self.query, &self.key, &self.value].map(|layer| self.heads(layer, x.clone()));
        let (o, state) = LinearState::attend(qkv, past);
        (self.output.forward(join_heads(o), Activation::Identity), state)
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward(x, None)
    }
}
