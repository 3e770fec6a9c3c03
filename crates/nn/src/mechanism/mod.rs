//! Attention mechanisms: one file each, one variant of [`MechanismConfig`] each.
//!
//! A model holds a [`Mechanism`] and does not know which one. To add a mechanism, write its file
//! with `init`, `n_parameters`, `multiply_adds` and [`Attention`], then add its variant below; the
//! compiler names every place that needs it.

mod easy;
mod larnn;
mod per_head;
mod softmax;

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use regard_kernels::plan::{PlanBuilder, Slot};
use serde::{Deserialize, Serialize};

pub use easy::{AlphaInit, EasyAttention, EasyConfig, EasyForm};
pub use larnn::{
    Evaluation, GateMode, KeyValueForm, Larnn, LarnnConfig, LarnnInit, LarnnState, LarnnStream,
    NormKind, RunningRule, Stack,
};
pub use per_head::HeadWeights;
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

/// Reads a sequence one row at a time, carrying what the past leaves behind.
pub trait Recurrent {
    /// What a step needs from the rows before it.
    type State;

    /// Takes one new row, given the state after the previous ones (`None` at the start).
    ///
    /// # Shapes
    /// - `x`: `[batch, 1, width of a row]`
    /// - the row returned: `[batch, 1, width of a result]`
    ///
    /// # Panics
    /// If the shapes disagree.
    fn step(&self, x: Tensor<3>, past: Option<Self::State>) -> (Tensor<3>, Self::State);
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
}

/// Any mechanism; build with [`MechanismConfig::init`].
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one per block; a box would buy nothing")]
pub enum Mechanism {
    /// Scaled dot-product attention.
    Softmax(SoftmaxAttention),
    /// Easy attention.
    Easy(EasyAttention),
    /// Recurrent cells that attend to a window of their past.
    Larnn(Larnn),
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
        })
    }

    /// Number of trained values.
    #[must_use]
    pub fn n_parameters(&self, d_model: usize, time: usize) -> usize {
        match self {
            Self::Softmax(config) => config.n_parameters(d_model),
            Self::Easy(config) => config.n_parameters(d_model, time),
            Self::Larnn(config) => config.n_parameters(d_model),
        }
    }

    /// Multiply-adds of matrix products in one forward pass over one sequence of `time` rows.
    #[must_use]
    pub fn multiply_adds(&self, d_model: usize, time: usize) -> u64 {
        match self {
            Self::Softmax(config) => config.multiply_adds(d_model, time),
            Self::Easy(config) => config.multiply_adds(d_model, time),
            Self::Larnn(config) => config.multiply_adds(d_model, time),
        }
    }
}

impl Mechanism {
    /// The same attention for sequences of another length; only easy attention is bound to one.
    ///
    /// # Errors
    /// [`InvalidConfig::FixedWindow`] if the mechanism is bound to the length it was trained for.
    pub fn resized(&self, time: usize) -> Result<Self, InvalidConfig> {
        Ok(match self {
            Self::Softmax(attention) => Self::Softmax(attention.clone()),
            Self::Easy(attention) => Self::Easy(attention.resized(time)?),
            Self::Larnn(cells) => Self::Larnn(cells.clone()),
        })
    }

    /// Attention over one sequence as steps of a plan; `None` if it has steps that plans have not.
    pub(crate) fn plan(&self, plan: &mut PlanBuilder, x: Slot) -> Option<Slot> {
        match self {
            Self::Softmax(attention) => Some(attention.plan(plan, x)),
            Self::Easy(attention) => attention.plan(plan, x),
            Self::Larnn(_) => None,
        }
    }
}

impl Attention for Mechanism {
    fn forward(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<3> {
        match self {
            Self::Softmax(attention) => attention.forward(x, blocked),
            Self::Easy(attention) => attention.forward(x, blocked),
            Self::Larnn(cells) => cells.forward(x, blocked),
        }
    }
}

/// Streams a whole sequence through [`Recurrent::step`] and joins the rows it returns.
///
/// # Shapes
/// - `x`: `[batch, time, width of a row]` with at least one row
/// - returns: `[batch, time, width of a result]`
///
/// # Panics
/// If `x` has no rows.
#[must_use]
pub fn streaming<R: Recurrent>(module: &R, x: Tensor<3>) -> Tensor<3> {
    let [_, time, _] = x.dims();
    let mut state = None;
    let mut rows = Vec::with_capacity(time);
    for t in 0..time {
        let (row, next) = module.step(x.clone().narrow(1, t, 1), state);
        rows.push(row);
        state = Some(next);
    }
    Tensor::cat(rows, 1)
}

#[cfg(test)]
mod tests;
