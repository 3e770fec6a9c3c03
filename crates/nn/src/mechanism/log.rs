//! Multi-head attention with an exponential kernel: linear in time, and a state that does not grow.
//!
//! ```text
//! q, k, v = x W_Q + b_Q, x W_K + b_K, x W_V + b_V         split into heads of width d_head
//! o_t = Σ_s A[t, s] v_s / Σ_s A[t, s]      A[t, s] = Σ_i e^{q_ti + k_si}; causal: s ≤ t
//! y = [o_1 … o_h] W_O + b_O
//! ```
//!
//! With [`LogValues::Log`], `v` are logarithms of positive values, and what goes into `W_O` is `ln o_t`,
//! as in the paper; a row that sees no other gives the bias alone either way.
//!
//! Source: Heinsen 2024, eq. (1) to (6), arXiv:2404.05843. Differs: values of any sign are the default;
//! biases and initial weights as in [`super::SoftmaxAttention`]. Cost: `4 p d² + 2 p d d_head`
//! multiply-adds per sequence; a causal step costs the same at every row.

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, assert_shape};
use regard_kernels::log_linear::{
    Context, LogLinear, LogState, Values, attention, attention_with_state,
};
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use super::softmax::projection;
use super::{Attention, HeadMaps, Recurrent, join_heads, split_heads};
use crate::error::{InvalidConfig, divides};
use crate::parameter::Affine;

/// Configuration of [`LogAttention`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Number of heads; divides `d_model`.
    pub n_heads: usize,
    /// Whether a row sees only itself and earlier rows.
    #[serde(default)]
    pub causal: bool,
    /// What the values are.
    #[serde(default)]
    pub values: LogValues,
}

/// What the values of [`LogAttention`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogValues {
    /// Numbers of any sign.
    #[default]
    Linear,
    /// Logarithms of positive numbers, mixed as those; the result is a logarithm too.
    Log,
}

impl LogConfig {
    /// All rows see each other, values of any sign.
    #[must_use]
    pub fn new(n_heads: usize) -> Self {
        Self { n_heads, causal: false, values: LogValues::Linear }
    }

    /// Checks the fields and draws `W_Q`, `W_K`, `W_V`, `W_O` in this order.
    ///
    /// # Errors
    /// [`InvalidConfig::NotDivisible`] if `n_heads` does not divide `d_model`.
    pub fn init(&self, d_model: usize, device: &Device) -> Result<LogAttention, InvalidConfig> {
        divides(("d_model", d_model), ("n_heads", self.n_heads))?;
        let projection = projection(d_model);
        Ok(LogAttention {
            query: projection.init(device),
            key: projection.init(device),
            value: projection.init(device),
            output: projection.init(device),
            n_heads: self.n_heads,
            causal: self.causal,
            log_values: self.values == LogValues::Log,
        })
    }

    /// `4 (d² + d)`.
    #[must_use]
    pub fn n_parameters(&self, d_model: usize) -> usize {
        4 * projection(d_model).n_parameters()
    }

    /// `4 p d² + 2 p d d_head + p d`: maps, sums and their product with the queries, denominators.
    #[must_use]
    pub fn multiply_adds(&self, d_model: usize, time: usize) -> u64 {
        let row = 4 * d_model * d_model + 2 * d_model * d_model / self.n_heads + d_model;
        (time * row) as u64
    }
}

/// Multi-head attention with an exponential kernel; build with [`LogConfig::init`].
#[derive(Module, Debug)]
pub struct LogAttention {
    query: Affine,
    key: Affine,
    value: Affine,
    output: Affine,
    n_heads: usize,
    causal: bool,
    log_values: bool,
}

impl LogAttention {
    /// What every head makes of a sequence, before `W_O`; zero where a row sees no other.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_model]`; `blocked`: `[batch, time]`
    /// - returns: `[batch, heads, time, d_head]`
    #[must_use]
    pub fn head_outputs(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<4> {
        let empty = blocked.is_some();
        let [q, k, v] = self.projected(x);
        let context = Context { blocked, ..Context::default() };
        let o = attention(q, k, v, self.setting(), &context);
        if empty && self.log_values { without_infinities(o) } else { o }
    }

    /// The weights `A[t, s] / Σ A[t, s]`, which attending never forms.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_model]`
    /// - returns: `[batch, heads, time, time]`
    #[must_use]
    pub fn weights(&self, x: Tensor<3>) -> Tensor<4> {
        let [batch, time, _] = x.dims();
        let [q, k, _] = self.projected(x);
        // Values that are one for one row and zero for all others make the results the weights.
        let each = Tensor::<2>::eye(time, &q.device()).cast(q.dtype());
        let v = each.reshape([1, 1, time, time]).expand([batch, self.n_heads, time, time]);
        let setting = LogLinear { values: Values::Linear, ..self.setting() };
        attention(q, k, v, setting, &Context::default())
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

    /// The values, heads side by side.
    #[cfg(test)]
    pub(super) fn values(&self, x: Tensor<3>) -> Tensor<3> {
        self.value.forward(x, Activation::Identity)
    }

    fn projected(&self, x: Tensor<3>) -> [Tensor<4>; 3] {
        [&self.query, &self.key, &self.value]
            .map(|layer| split_heads(layer.forward(x.clone(), Activation::Identity), self.n_heads))
    }

    fn setting(&self) -> LogLinear {
        let values = if self.log_values { Values::Log } else { Values::Linear };
        LogLinear { values, causal: self.causal, ..LogLinear::default() }
    }
}

/// Zero for the `−∞` of a row that sees no other.
fn without_infinities(o: Tensor<4>) -> Tensor<4> {
    let nothing = o.clone().equal_elem(f64::NEG_INFINITY);
    o.mask_fill(nothing, 0.0)
}

impl Attention for LogAttention {
    fn forward(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let o = join_heads(self.head_outputs(x, blocked));
        self.output.forward(o, Activation::Identity)
    }
}

/// # Panics
/// `step` panics unless the attention is causal: otherwise earlier rows would have to change.
impl Recurrent for LogAttention {
    type Input = Tensor<3>;
    type State = LogState;

    fn step(&self, x: Tensor<3>, past: Option<LogState>) -> (Tensor<3>, LogState) {
        assert!(self.causal, "only causal attention can be stepped");
        let [batch, _, d_model] = x.dims();
        assert_shape!(x, [batch, 1, d_model]);
        let [q, k, v] = self.projected(x);
        let context = Context { state: past, ..Context::default() };
        let (o, state) = attention_with_state(q, k, v, self.setting(), context);
        (self.output.forward(join_heads(o), Activation::Identity), state)
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward(x, None)
    }
}
