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
use regard_kernels::linear;
use regard_kernels::log_linear::{self, Context, LogLinear, LogState, Values};
use regard_kernels::pointwise::Activation;
use regard_kernels::recurrent::lstm::LstmState;
use regard_kernels::softmax;
use serde::{Deserialize, Serialize};

use super::ParameterCount;
use super::block::{count, dense};
use crate::error::{InvalidConfig, divides};
use crate::mechanism::{
    LagState, Larnn, LarnnConfig, LarnnState, LinearState, Recurrent, SoftmaxState, State,
    StateVisitor, TimeMatrix, join_heads, lag_step, recurrent_enum, split_heads,
};
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

recurrent_enum! {
    /// What a mixer carries from one row to the next.
    pub(super) MixerState of Mixer {
        /// Sums, or keys and values.
        Attention(HeadsState),
        /// The values of the last rows.
        Easy(LagState),
        /// Hidden state and cell.
        Lstm(LstmState),
        /// Hidden states and windows of cells.
        Larnn(LarnnState),
    }
}

/// What heads carry from one row to the next.
#[derive(Debug, Clone)]
pub(super) enum HeadsState {
    /// Sums relative to the largest keys.
    Log(LogState),
    /// Keys and values of all rows.
    Softmax(SoftmaxState),
    /// Sums.
    Linear(LinearState),
}

impl State for HeadsState {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        match self {
            Self::Log(state) => state.visit(visitor),
            Self::Softmax(state) => state.visit(visitor),
            Self::Linear(state) => state.visit(visitor),
        }
    }
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

impl Recurrent for MultiHead {
    type Input = Tensor<3>;
    type State = HeadsState;

    fn step(&self, x: Tensor<3>, past: Option<HeadsState>) -> (Tensor<3>, HeadsState) {
        const OTHER: &str = "the state is that of another mixer";
        let [q, k, v] = self.project(x);
        let (o, state) = match self.kernel {
            Kernel::Log(values) => {
                let state = past.map(|past| match past {
                    HeadsState::Log(state) => state,
                    _ => panic!("{OTHER}"),
                });
                let context = Context { state, ..Context::default() };
                let (o, state) = log_linear::attention_with_state(q, k, v, causal(values), context);
                (o, HeadsState::Log(state))
            }
            Kernel::Softmax => {
                let past = past.map(|past| match past {
                    HeadsState::Softmax(state) => state,
                    _ => panic!("{OTHER}"),
                });
                let (o, state) = SoftmaxState::attend([q, k, v], past);
                (o, HeadsState::Softmax(state))
            }
            Kernel::Linear => {
                let past = past.map(|past| match past {
                    HeadsState::Linear(state) => state,
                    _ => panic!("{OTHER}"),
                });
                let (o, state) = LinearState::attend([q, k, v], past);
                (o, HeadsState::Linear(state))
            }
        };
        (join_heads(o), state)
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        let [q, k, v] = self.project(x);
        join_heads(match self.kernel {
            Kernel::Log(values) => {
                log_linear::attention(q, k, v, causal(values), &Context::default())
            }
            Kernel::Softmax => {
                let [_, _, _, d_head] = q.dims();
                softmax::attention(q, k, v, None, 1.0 / (d_head as f64).sqrt(), true)
            }
            Kernel::Linear => linear::attention(q, k, v, None, true),
        })
    }
}

impl MultiHead {
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

impl Recurrent for Lags {
    type Input = Tensor<3>;
    type State = LagState;

    fn step(&self, x: Tensor<3>, past: Option<LagState>) -> (Tensor<3>, LagState) {
        lag_step(self.kernel.val(), self.values(x), past)
    }

    /// Every row with those before it.
    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, time, _] = x.dims();
        let kernel = self.kernel.val();
        let [n_heads, lags] = kernel.dims();
        let kernel = if time <= lags {
            kernel.narrow(1, 0, time)
        } else {
            let zeros = Tensor::zeros([n_heads, time - lags], (&x.device(), x.dtype()));
            Tensor::cat(vec![kernel, zeros], 1)
        };
        let matrix = TimeMatrix::Toeplitz { causal: true };
        let weights = matrix.weights(kernel.unsqueeze_dim(1), [time, time]);
        join_heads(weights.mix(split_heads(self.values(x), n_heads)))
    }
}

impl Lags {
    fn values(&self, x: Tensor<3>) -> Tensor<3> {
        affine(x, self.value.val(), None, Activation::Identity)
    }
}
