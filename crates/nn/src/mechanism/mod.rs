//! Attention mechanisms: one file each, one variant of [`MechanismConfig`] each.
//!
//! A model holds a [`Mechanism`] and does not know which one. To add a mechanism, write its file
//! with `init`, `n_parameters`, `multiply_adds` and [`Attention`], then add its variant below; the
//! compiler names every place that needs it.

mod continuum;
mod easy;
mod larnn;
mod linear;
mod log;
mod per_head;
mod primal_dual;
mod recurrent;
mod softmax;

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use regard_kernels::log_linear::LogState;
use regard_kernels::plan::{PlanBuilder, Slot};
use serde::{Deserialize, Serialize};

pub use continuum::{ContinuumAttention, ContinuumConfig, ContinuumKernel};
pub(crate) use easy::lag_step;
pub use easy::{AlphaInit, EasyAttention, EasyConfig, EasyForm, LagState};
pub use larnn::{
    Evaluation, GateMode, KeyValueForm, Larnn, LarnnConfig, LarnnInit, LarnnState, LarnnStream,
    NormKind, RunningRule, Stack,
};
pub use linear::{LinearAttention, LinearConfig, LinearState};
pub use log::{LogAttention, LogConfig, LogValues};
pub use per_head::HeadMaps;
pub use primal_dual::{
    AttentionKernel, BatchNormConfig, Grid, PoolingKind, PrimalDualAttention, PrimalDualConfig,
    Remainder, ScaledHeadsConfig, default_rates,
};
pub(crate) use recurrent::recurrent_enum;
pub use recurrent::{
    ROUNDINGS, Recurrent, Rows, State, StateVisitor, StreamCertificate, certify, streaming,
};
pub use softmax::{SoftmaxAttention, SoftmaxConfig, SoftmaxState};

use crate::error::InvalidConfig;
pub use crate::parameter::{Basis, TimeMatrix};

/// Maps a sequence to a sequence of the same shape, letting rows see each other.
pub trait Attention {
    /// Attends over a whole sequence.
    ///
    /// # Shapes
    /// - `x` and the result: `[batch, time, d_model]`
    /// - `blocked`: `[batch, time]`, `true` where a row must not be seen by any other
    ///
    /// # Panics
    /// If the shapes disagree with each other or with the parameters.
    fn forward(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<3>;
}

/// Every mechanism and its configuration, chosen by the key `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MechanismConfig {
    /// Scaled dot-product attention.
    Softmax(SoftmaxConfig),
    /// Easy attention: the score matrix is a parameter.
    Easy(EasyConfig),
    /// Recurrent cells that attend to a window of their past.
    Larnn(LarnnConfig),
    /// Linear attention.
    Linear(LinearConfig),
    /// Attention with an exponential kernel.
    Log(LogConfig),
    /// Softmax, linear or windowed attention with batch normalisation and scaled heads.
    PrimalDual(PrimalDualConfig),
}

/// Any mechanism; build with [`MechanismConfig::init`].
#[derive(Module, Debug)]
pub enum Mechanism {
    /// Scaled dot-product attention.
    Softmax(SoftmaxAttention),
    /// Easy attention.
    Easy(EasyAttention),
    /// Recurrent cells that attend to a window of their past.
    Larnn(Larnn),
    /// Linear attention.
    Linear(LinearAttention),
    /// Attention with an exponential kernel.
    Log(LogAttention),
    /// Softmax, linear or windowed attention with batch normalisation and scaled heads.
    PrimalDual(PrimalDualAttention),
}

impl MechanismConfig {
    /// Checks the fields and draws the parameters for sequences of `time` rows.
    ///
    /// # Errors
    /// [`InvalidConfig`] if the heads do not divide `d_model`, a size is zero or too large, or two
    /// fields exclude each other.
    pub fn init(
        &self,
        d_model: usize,
        time: usize,
        device: &Device,
    ) -> Result<Mechanism, InvalidConfig> {
        Ok(match self {
            Self::Softmax(config) => Mechanism::Softmax(config.init(d_model, device)?),
            Self::Easy(config) => Mechanism::Easy(config.init(d_model, time, device)?),
            Self::Larnn(config) => Mechanism::Larnn(config.init(d_model, device)?),
            Self::Linear(config) => Mechanism::Linear(config.init(d_model, device)?),
            Self::Log(config) => Mechanism::Log(config.init(d_model, device)?),
            Self::PrimalDual(config) => Mechanism::PrimalDual(config.init(d_model, time, device)?),
        })
    }

    /// Number of trained values.
    #[must_use]
    pub fn n_parameters(&self, d_model: usize, time: usize) -> usize {
        match self {
            Self::Softmax(config) => config.n_parameters(d_model),
            Self::Easy(config) => config.n_parameters(d_model, time),
            Self::Larnn(config) => config.n_parameters(d_model),
            Self::Linear(config) => config.n_parameters(d_model),
            Self::Log(config) => config.n_parameters(d_model),
            Self::PrimalDual(config) => config.n_parameters(d_model),
        }
    }

    /// Multiply-adds of matrix products in one forward pass over one sequence of `time` rows.
    #[must_use]
    pub fn multiply_adds(&self, d_model: usize, time: usize) -> u64 {
        match self {
            Self::Softmax(config) => config.multiply_adds(d_model, time),
            Self::Easy(config) => config.multiply_adds(d_model, time),
            Self::Larnn(config) => config.multiply_adds(d_model, time),
            Self::Linear(config) => config.multiply_adds(d_model, time),
            Self::Log(config) => config.multiply_adds(d_model, time),
            Self::PrimalDual(config) => config.multiply_adds(d_model, time),
        }
    }
}

recurrent_enum! {
    /// What a mechanism carries from one row to the next.
    pub MechanismState of Mechanism {
        /// Keys and values of all rows.
        Softmax(SoftmaxState),
        /// The values of the last rows.
        Easy(LagState),
        /// Hidden states and windows of cells.
        Larnn(LarnnState),
        /// Sums of constant size.
        Linear(LinearState),
        /// Sums of constant size relative to the largest keys.
        Log(LogState),
    } whole { PrimalDual }
}

impl Mechanism {
    /// Whether it can be read row by row: no row sees a later one, and what a row makes of the rows
    /// before it does not depend on how many there will be.
    #[must_use]
    pub fn is_recurrent(&self) -> bool {
        match self {
            Self::Softmax(attention) => attention.is_causal(),
            Self::Easy(attention) => attention.is_recurrent(),
            Self::Larnn(_) => true,
            Self::Linear(attention) => attention.is_causal(),
            Self::Log(attention) => attention.is_causal(),
            Self::PrimalDual(_) => false,
        }
    }

    /// The same attention for sequences of another length; only easy attention is bound to one, and
    /// scaled heads over the cells of an image.
    ///
    /// # Errors
    /// [`InvalidConfig::FixedWindow`] if the mechanism is bound to the length it was trained for;
    /// [`InvalidConfig::WrongGrid`] if it is bound to an image.
    pub fn resized(&self, time: usize) -> Result<Self, InvalidConfig> {
        Ok(match self {
            Self::Softmax(attention) => Self::Softmax(attention.clone()),
            Self::Easy(attention) => Self::Easy(attention.resized(time)?),
            Self::Larnn(cells) => Self::Larnn(cells.clone()),
            Self::Linear(attention) => Self::Linear(attention.clone()),
            Self::Log(attention) => Self::Log(attention.clone()),
            Self::PrimalDual(attention) => Self::PrimalDual(attention.resized(time)?),
        })
    }

    /// Attention over one sequence as steps of a plan; `None` if it has steps that plans have not.
    pub(crate) fn plan(&self, plan: &mut PlanBuilder, x: Slot) -> Option<Slot> {
        match self {
            Self::Softmax(attention) => Some(attention.plan(plan, x)),
            Self::Easy(attention) => attention.plan(plan, x),
            Self::Larnn(_) | Self::Linear(_) | Self::Log(_) | Self::PrimalDual(_) => None,
        }
    }

    /// What every head makes of a sequence, before the output map; `None` without heads side by side.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_model]`; `blocked`: `[batch, time]`
    /// - returns: `[batch, heads, time, d_head]`
    ///
    /// # Panics
    /// As [`Attention::forward`].
    #[must_use]
    pub fn head_outputs(
        &self,
        x: Tensor<3>,
        blocked: Option<Tensor<2, Bool>>,
    ) -> Option<Tensor<4>> {
        match self {
            Self::Softmax(attention) => Some(attention.head_outputs(x, blocked)),
            Self::Easy(attention) => {
                let heads = attention.n_heads();
                Some(split_heads(attention.forward(x, blocked), heads))
            }
            Self::Larnn(_) => None,
            Self::Linear(attention) => Some(attention.head_outputs(x, blocked)),
            Self::Log(attention) => Some(attention.head_outputs(x, blocked)),
            Self::PrimalDual(attention) => Some(attention.head_outputs(x, blocked)),
        }
    }

    /// The weights that the heads attend with, in runs of consecutive heads with equally many keys;
    /// stored in full. `None` where weights do not sum to one: easy attention and recurrent cells.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_model]`
    /// - returns: `[batch, heads of the run, time, keys]` for every run
    ///
    /// # Panics
    /// As [`Attention::forward`].
    #[must_use]
    pub fn head_weights(&self, x: Tensor<3>) -> Option<Vec<Tensor<4>>> {
        match self {
            Self::Softmax(attention) => Some(vec![attention.weights(x)]),
            Self::Easy(_) | Self::Larnn(_) => None,
            Self::Linear(attention) => Some(vec![attention.weights(x)]),
            Self::Log(attention) => Some(vec![attention.weights(x)]),
            Self::PrimalDual(attention) => Some(attention.weights(x, None)),
        }
    }
}

/// `[batch, time, d_model]` to `[batch, heads, time, d_head]`, as a view.
pub(crate) fn split_heads(x: Tensor<3>, n_heads: usize) -> Tensor<4> {
    let [batch, time, d_model] = x.dims();
    x.reshape([batch, time, n_heads, d_model / n_heads]).swap_dims(1, 2)
}

/// The inverse of [`split_heads`].
pub(crate) fn join_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, time, d_head] = x.dims();
    x.swap_dims(1, 2).reshape([batch, time, heads * d_head])
}

impl Attention for Mechanism {
    fn forward(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<3> {
        match self {
            Self::Softmax(attention) => attention.forward(x, blocked),
            Self::Easy(attention) => attention.forward(x, blocked),
            Self::Larnn(cells) => cells.forward(x, blocked),
            Self::Linear(attention) => attention.forward(x, blocked),
            Self::Log(attention) => attention.forward(x, blocked),
            Self::PrimalDual(attention) => attention.forward(x, blocked),
        }
    }
}

#[cfg(test)]
mod tests;
