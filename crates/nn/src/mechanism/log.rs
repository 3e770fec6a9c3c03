//! Multi-head attention with an exponential kernel: linear in time, and a state that does not grow.
//!
//! ```text
//! q, k, v = x W_Q + b_Q, x W_K + b_K, x W_V + b_V         split into heads of width d_head
//! o_t = Σ_s A[t, s] v_s / Σ_s A[t, s]      A[t, s] = Σ_i e^{q_ti + k_si}; causal: s ≤ t
//! y = [o_1 … o_h] W_O + b_O
//! ```
//!
//! With `decay`, `A[t, s] = Σ_i e^{q_ti + k_si + (t − s) g_i}` where `e^{g} = σ(θ)` is learned per head and
//! feature of its keys: ours, not the paper's, where nothing is forgotten.
//!
//! With [`LogValues::Log`], `v` are logarithms of positive values, and what goes into `W_O` is `ln o_t`,
//! as in the paper; a row that sees no other gives the bias alone either way.
//!
//! Source: Heinsen 2024, eq. (1) to (6), arXiv:2404.05843. Differs: values of any sign are the default;
//! biases and initial weights as in [`super::SoftmaxAttention`]. Cost: `4 p d² + 2 p d d_head`
//! multiply-adds per sequence; a causal step costs the same at every row.

use burn::module::{Module, Param};
use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Bool, Device, Tensor, TensorData, assert_shape};
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
    /// Whether the past fades, at a learned rate per head and key feature; causal only.
    #[serde(default)]
    pub decay: bool,
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
    /// All rows see each other, values of any sign, nothing fades.
    #[must_use]
    pub fn new(n_heads: usize) -> Self {
        Self { n_heads, causal: false, values: LogValues::Linear, decay: false }
    }

    /// Checks the fields and draws `W_Q`, `W_K`, `W_V`, `W_O` in this order.
    ///
    /// With a decay, the features of every head start with memories of 8 to 256 rows, spaced evenly in
    /// the logarithm.
    ///
    /// # Errors
    /// [`InvalidConfig::NotDivisible`] if `n_heads` does not divide `d_model`;
    /// [`InvalidConfig::Incompatible`] for a decay without `causal`.
    pub fn init(&self, d_model: usize, device: &Device) -> Result<LogAttention, InvalidConfig> {
        divides(("d_model", d_model), ("n_heads", self.n_heads))?;
        if self.decay && !self.causal {
            return Err(InvalidConfig::Incompatible {
                name: "decay = true",
                other: "causal = false",
                remedy: "set causal = true, or leave the decay out",
            });
        }
        let projection = projection(d_model);
        Ok(LogAttention {
            query: projection.init(device),
            key: projection.init(device),
            value: projection.init(device),
            output: projection.init(device),
            n_heads: self.n_heads,
            causal: self.causal,
            log_values: self.values == LogValues::Log,
            decay: self.decay.then(|| initial_decay(self.n_heads, d_model / self.n_heads, device)),
        })
    }

    /// `4 (d² + d)`, and `d` with a decay.
    #[must_use]
    pub fn n_parameters(&self, d_model: usize) -> usize {
        4 * projection(d_model).n_parameters() + usize::from(self.decay) * d_model
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
    /// `θ`, `[heads, d_head]`.
    decay: Option<Param<Tensor<2>>>,
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
        let context = Context { blocked, ..self.context() };
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
        attention(q, k, v, setting, &self.context())
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

    /// What remains of the past from one row to the next, as a logarithm.
    fn context(&self) -> Context {
        let log_decay = self.decay.as_ref().map(|theta| log_sigmoid(theta.val()));
        Context { log_decay, ..Context::default() }
    }

    fn setting(&self) -> LogLinear {
        let values = if self.log_values { Values::Log } else { Values::Linear };
        LogLinear { values, causal: self.causal, ..LogLinear::default() }
    }
}

/// `θ` of memories `1 / (1 − σ(θ))` from `2³` rows to `2⁸`.
fn initial_decay(n_heads: usize, d_head: usize, device: &Device) -> Param<Tensor<2>> {
    let theta = |i: usize| {
        let place = (i % d_head) as f64 / (d_head - 1).max(1) as f64;
        ((3.0 + 5.0 * place).exp2() - 1.0).ln()
    };
    let values: Vec<f64> = (0..n_heads * d_head).map(theta).collect();
    Param::from_tensor(Tensor::from_data(TensorData::new(values, [n_heads, d_head]), device))
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
        let context = Context { state: past, ..self.context() };
        let (o, state) = attention_with_state(q, k, v, self.setting(), context);
        (self.output.forward(join_heads(o), Activation::Identity), state)
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward(x, None)
    }
}

#[cfg(test)]
mod tests {
    use regard_kernels::testing::{assert_close, double, normal, to_f64};

    use super::super::streaming;
    use super::*;

    fn fading(values: LogValues) -> LogAttention {
        let config = LogConfig { causal: true, values, decay: true, ..LogConfig::new(2) };
        double(config.init(6, &Device::default()).unwrap())
    }

    #[test]
    fn steps_with_a_decay_equal_the_whole_sequence() {
        for values in [LogValues::Linear, LogValues::Log] {
            let attention = fading(values);
            let x = normal([3, 11, 6], 1);
            assert_close(&streaming(&attention, x.clone()), &attention.forward(x, None), 1e-12);
        }
    }

    #[test]
    fn equal_rows_weigh_less_the_older_they_are() {
        let row = normal([1, 1, 6], 1);
        let weights = to_f64(&fading(LogValues::Linear).weights(row.expand([1, 5, 6])));
        for head in 0..2 {
            let last = &weights[head * 25 + 20..head * 25 + 25];
            assert!(last.windows(2).all(|pair| pair[0] < 0.99 * pair[1]), "{last:?}");
        }
    }

    #[test]
    fn a_decay_adds_a_number_per_feature_and_needs_causality() {
        let config = LogConfig { causal: true, decay: true, ..LogConfig::new(2) };
        let attention = config.init(6, &Device::default()).unwrap();
        assert_eq!(attention.num_params(), config.n_parameters(6));
        assert_eq!(config.n_parameters(6), 4 * 42 + 6);
        let error = LogConfig { causal: false, ..config }.init(6, &Device::default());
        assert!(matches!(error, Err(InvalidConfig::Incompatible { .. })));
    }

    #[test]
    fn memories_start_between_8_and_256_rows() {
        let keeps = |theta: f64| 1.0 / (1.0 - 1.0 / (1.0 + (-theta).exp()));
        let theta = initial_decay(2, 3, &Device::default());
        let memories: Vec<f64> = to_f64(&theta.val()).into_iter().map(keeps).collect();
        for (memory, expected) in memories.iter().zip([8.0, 45.254_834, 256.0].repeat(2)) {
            assert!((memory / expected - 1.0).abs() < 1e-4, "{memories:?}");
        }
    }
}
