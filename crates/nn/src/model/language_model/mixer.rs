//! What lets the rows of a language model see earlier ones.
//!
//! ```text
//! log, softmax, linear:  [q_i k_i v_i] = x W_i + b_i for head i,  o = [attention(q_1, k_1, v_1) …]
//! easy:                  o_t = [Σ_{j < p} κ_1j v_{t−j} …],  v = x W       p lags, the training window
//! lstm, larnn:           the recurrence itself, of width d
//! ```
//!
//! There is no output map: what follows is the block's. Source: log attention is Heinsen 2024,
//! arXiv:2404.05843; with log-values the results stay logarithms, as there. The others take its place in
//! the same skeleton: see [`crate::mechanism`] for theirs.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use regard_kernels::affine::affine;
use regard_kernels::linear::{self, feature_map};
use regard_kernels::log_linear::{self, Context, LogLinear, LogState, Values};
use regard_kernels::pointwise::Activation;
use regard_kernels::recurrent::lstm::LstmState;
use regard_kernels::softmax;
use serde::{Deserialize, Serialize};

use super::ParameterCount;
use super::block::{count, dense};
use crate::error::{InvalidConfig, divides};
use crate::mechanism::{Attention, Larnn, LarnnConfig, LarnnState, Recurrent, TimeMatrix};
use crate::model::baseline::LstmLayer;
use crate::parameter::{Affine, fan_in_bound, uniform, xavier_bound};

/// What mixes rows, chosen by the key `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MixerConfig {
    /// Log attention: a state of constant size.
    Log(LogMixerConfig),
    /// Softmax attention: keys and values of all rows are kept.
    Softmax(HeadsConfig),
    /// Linear attention with the map `elu + 1`: a state of constant size.
    Linear(HeadsConfig),
    /// Easy attention: one trained number per head and lag; the values of one window are kept.
    Easy(HeadsConfig),
    /// A layer of LSTM cells.
    Lstm {},
    /// Recurrent cells that attend to a window of their past.
    Larnn(LarnnConfig),
}

/// Configuration of a mixer of heads; each is `d_model / n_heads` wide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadsConfig {
    /// Number of heads; divides `d_model`.
    pub n_heads: usize,
}

/// Configuration of log attention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogMixerConfig {
    /// Number of heads; divides `d_model`.
    pub n_heads: usize,
    /// What the values are; logarithms unless given, as in the paper.
    #[serde(default)]
    pub values: ValueForm,
}

/// What the values of log attention are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueForm {
    /// Logarithms of positive numbers, mixed as those; the result is a logarithm, too.
    #[default]
    Log,
    /// Numbers of any sign.
    Linear,
}

impl LogMixerConfig {
    /// The paper's, with so many heads.
    #[must_use]
    pub fn new(n_heads: usize) -> Self {
        Self { n_heads, values: ValueForm::Log }
    }
}

/// Any mixer; build with [`MixerConfig::init`].
#[derive(Module, Debug)]
pub(super) enum Mixer {
    Attention(MultiHead),
    Easy(Lags),
    Lstm(LstmLayer),
    Larnn(Larnn),
}

/// A map to queries, keys and values, and how rows attend.
#[derive(Module, Debug)]
pub(super) struct MultiHead {
    /// Per head: queries, keys, values.
    projection: Affine,
    n_heads: usize,
    #[module(skip)]
    kernel: Kernel,
}

/// How rows attend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    Log(Values),
    Softmax,
    Linear,
}

/// One number per head and lag.
#[derive(Module, Debug)]
pub(super) struct Lags {
    /// `κ`, `[heads, lags]`.
    kernel: Param<Tensor<2>>,
    /// `W`, `[d, d]`.
    value: Param<Tensor<2>>,
}

/// What a mixer carries from one row to the next.
#[derive(Debug, Clone)]
pub(super) enum MixerState {
    Log(LogState),
    /// Keys and values, `[batch, heads, time, d_head]`.
    Softmax([Tensor<4>; 2]),
    /// `Σ φ(k) vᵀ` and `Σ φ(k)`.
    Linear([Tensor<4>; 2]),
    /// The values of the last rows.
    Easy(Tensor<3>),
    Lstm(LstmState),
    Larnn(LarnnState),
}

impl MixerConfig {
    /// Checks the fields and draws the parameters.
    ///
    /// # Errors
    /// [`InvalidConfig`] if the heads do not divide `d_model`, or the cells of a LARNN refuse their fields.
    pub(super) fn init(
        &self,
        d: usize,
        window: usize,
        device: &Device,
    ) -> Result<Mixer, InvalidConfig> {
        let heads = |n_heads, kernel| {
            divides(("d_model", d), ("n_heads", n_heads))?;
            let projection = dense(d, 3 * d).init(device);
            Ok(Mixer::Attention(MultiHead { projection, n_heads, kernel }))
        };
        match self {
            Self::Log(config) => {
                let values = match config.values {
                    ValueForm::Linear => Values::Linear,
                    ValueForm::Log => Values::Log,
                };
                heads(config.n_heads, Kernel::Log(values))
            }
            Self::Softmax(config) => heads(config.n_heads, Kernel::Softmax),
            Self::Linear(config) => heads(config.n_heads, Kernel::Linear),
            Self::Easy(HeadsConfig { n_heads }) => {
                divides(("d_model", d), ("n_heads", *n_heads))?;
                Ok(Mixer::Easy(Lags {
                    kernel: uniform([*n_heads, window], xavier_bound(window, window), device),
                    value: uniform([d, d], fan_in_bound(d), device),
                }))
            }
            Self::Lstm {} => Ok(Mixer::Lstm(LstmLayer::new(d, d, 1.0, device))),
            Self::Larnn(config) => Ok(Mixer::Larnn(config.init(d, device)?)),
        }
    }

    /// Heads: `3d²` and `3d`; easy: `h p + d²` for `p` lags; LSTM: `8d²` and `8d`; LARNN: its own.
    pub(super) fn n_parameters(&self, d: usize, window: usize) -> ParameterCount {
        match self {
            Self::Log(_) | Self::Softmax(_) | Self::Linear(_) => count(dense(d, 3 * d)),
            Self::Easy(config) => {
                ParameterCount { matrices: config.n_heads * window + d * d, vectors: 0 }
            }
            Self::Lstm {} => ParameterCount { matrices: 8 * d * d, vectors: 8 * d },
            Self::Larnn(config) => {
                let matrices = config.n_weights(d);
                ParameterCount { matrices, vectors: config.n_parameters(d) - matrices }
            }
        }
    }

    /// For `p` rows: maps, and the scores or sums of the mechanism.
    pub(super) fn multiply_adds(&self, d: usize, time: usize) -> u64 {
        let sums = |n_heads: usize| 3 * d * d + 2 * d * (d / n_heads) + d;
        let visible = time.div_ceil(2); // a row sees half of the window on average
        let row = match self {
            Self::Log(LogMixerConfig { n_heads, .. }) | Self::Linear(HeadsConfig { n_heads }) => {
                sums(*n_heads)
            }
            Self::Softmax(_) => 3 * d * d + 2 * d * visible,
            Self::Easy(_) => d * d + d * visible,
            Self::Lstm {} => 8 * d * d,
            Self::Larnn(config) => return config.multiply_adds(d, time),
        };
        (time * row) as u64
    }
}

impl Mixer {
    /// `[batch, time, d]` to the same.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Attention(heads) => heads.forward(x),
            Self::Easy(lags) => lags.forward(x),
            Self::Lstm(layer) => layer.forward(x),
            Self::Larnn(cells) => cells.forward(x, None),
        }
    }

    /// The next row, and the state behind it.
    pub(super) fn step(&self, x: Tensor<3>, past: Option<MixerState>) -> (Tensor<3>, MixerState) {
        match (self, past) {
            (Self::Attention(heads), past) => heads.step(x, past),
            (Self::Easy(lags), past) => {
                let past = match past {
                    Some(MixerState::Easy(values)) => Some(values),
                    _ => None,
                };
                let (row, values) = lags.step(x, past);
                (row, MixerState::Easy(values))
            }
            (Self::Lstm(layer), past) => {
                let past = match past {
                    Some(MixerState::Lstm(state)) => Some(state),
                    _ => None,
                };
                let (row, state) = layer.step(x, past);
                (row, MixerState::Lstm(state))
            }
            (Self::Larnn(cells), past) => {
                let past = match past {
                    Some(MixerState::Larnn(state)) => Some(state),
                    _ => None,
                };
                let (row, state) = cells.step(x, past);
                (row, MixerState::Larnn(state))
            }
        }
    }
}

impl MultiHead {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [q, k, v] = self.project(x);
        join(match self.kernel {
            Kernel::Log(values) => {
                log_linear::attention(q, k, v, causal(values), &Context::default())
            }
            Kernel::Softmax => softmax_attention(q, k, v),
            Kernel::Linear => linear::attention(q, k, v, None, true),
        })
    }

    fn step(&self, x: Tensor<3>, past: Option<MixerState>) -> (Tensor<3>, MixerState) {
        let [q, k, v] = self.project(x);
        let (o, state) = match (self.kernel, past) {
            (Kernel::Log(values), past) => {
                let state = match past {
                    Some(MixerState::Log(state)) => Some(state),
                    _ => None,
                };
                let context = Context { state, ..Context::default() };
                let (o, state) = log_linear::attention_with_state(q, k, v, causal(values), context);
                (o, MixerState::Log(state))
            }
            (Kernel::Softmax, past) => {
                let [k, v] = match past {
                    Some(MixerState::Softmax([past_k, past_v])) => {
                        [Tensor::cat(vec![past_k, k], 2), Tensor::cat(vec![past_v, v], 2)]
                    }
                    _ => [k, v],
                };
                (softmax_attention(q, k.clone(), v.clone()), MixerState::Softmax([k, v]))
            }
            (Kernel::Linear, past) => {
                let (q, k) = (feature_map(q), feature_map(k));
                let (mut kv, mut norm) = (k.clone().swap_dims(2, 3).matmul(v), k);
                if let Some(MixerState::Linear([past_kv, past_norm])) = past {
                    kv = kv + past_kv;
                    norm = norm + past_norm;
                }
                let sum = (q.clone() * norm.clone()).sum_dim(3); // [batch, heads, 1, 1]
                (q.matmul(kv.clone()) / sum, MixerState::Linear([kv, norm]))
            }
        };
        (join(o), state)
    }

    /// Queries, keys and values, each `[batch, heads, time, d_head]`.
    fn project(&self, x: Tensor<3>) -> [Tensor<4>; 3] {
        let [batch, time, d] = x.dims();
        let d_head = d / self.n_heads;
        let y = self.projection.forward(x, Activation::Identity);
        let y = y.reshape([batch, time, self.n_heads, 3 * d_head]).swap_dims(1, 2);
        [0, 1, 2].map(|i| y.clone().narrow(3, i * d_head, d_head))
    }
}

fn causal(values: Values) -> LogLinear {
    LogLinear { values, causal: true, ..LogLinear::default() }
}

/// Causal; the last query sees all keys.
fn softmax_attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    let [_, _, _, d_head] = q.dims();
    softmax::attention(q, k, v, None, 1.0 / (d_head as f64).sqrt(), true)
}

/// `[batch, heads, time, d_head]` to `[batch, time, d]`.
fn join(o: Tensor<4>) -> Tensor<3> {
    let [batch, heads, time, d_head] = o.dims();
    o.swap_dims(1, 2).reshape([batch, time, heads * d_head])
}

impl Lags {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let v = affine(x, self.value.val(), None, Activation::Identity);
        self.mix(v)
    }

    /// A row of the last `p` values, oldest first.
    fn step(&self, x: Tensor<3>, past: Option<Tensor<3>>) -> (Tensor<3>, Tensor<3>) {
        let [_, lags] = self.kernel.val().dims();
        let row = affine(x, self.value.val(), None, Activation::Identity);
        let mut values = match past {
            None => row,
            Some(past) => Tensor::cat(vec![past, row], 1),
        };
        let [batch, time, d] = values.dims();
        if time > lags {
            values = values.narrow(1, time - lags, lags);
        }
        let time = time.min(lags);
        let heads = self.heads(values.clone()); // [batch, heads, time, d_head]
        let weights = self.kernel.val().narrow(1, 0, time).flip([1]); // oldest first
        let [n_heads, _] = weights.dims();
        let mixed = weights.reshape([1, n_heads, 1, time]).matmul(heads);
        (join(mixed).reshape([batch, 1, d]), values)
    }

    /// Every row with those before it.
    fn mix(&self, v: Tensor<3>) -> Tensor<3> {
        let [_, time, _] = v.dims();
        let kernel = self.kernel.val();
        let [n_heads, lags] = kernel.dims();
        let kernel = if time <= lags {
            kernel.narrow(1, 0, time)
        } else {
            let zeros = Tensor::zeros([n_heads, time - lags], (&v.device(), v.dtype()));
            Tensor::cat(vec![kernel, zeros], 1)
        };
        let matrix = TimeMatrix::Toeplitz { causal: true };
        join(matrix.weights(kernel.unsqueeze_dim(1), [time, time]).mix(self.heads(v)))
    }

    fn heads(&self, v: Tensor<3>) -> Tensor<4> {
        let [batch, time, d] = v.dims();
        let [n_heads, _] = self.kernel.val().dims();
        v.reshape([batch, time, n_heads, d / n_heads]).swap_dims(1, 2)
    }
}
