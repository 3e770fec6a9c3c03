//! Layer normalisation, alone and of a residual sum.
//!
//! ```text
//! s = x + branch      LN(s) = γ ⊙ (s − mean(s)) / √(var(s) + ε) + β
//! ```
//!
//! Source: Ba et al. 2016, §3.1, arXiv:1607.06450; `ε = 1e-5` as in the authors' code.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use regard_kernels::plan::{PlanBuilder, Slot};
use regard_kernels::pointwise::{layer_norm, residual_norm};

use super::init::constant;

/// Keeps the division finite for a row of equal features.
const EPS: f64 = 1e-5;

/// Layer normalisation over the features of every row.
#[derive(Module, Debug)]
pub struct LayerNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
}

impl LayerNorm {
    /// `γ = 1`, `β = 0`.
    #[must_use]
    pub fn new(d_model: usize, device: &Device) -> Self {
        Self { gamma: constant([d_model], 1.0, device), beta: constant([d_model], 0.0, device) }
    }

    /// Normalises `x`, row by row.
    ///
    /// # Shapes
    /// - `x` and the result: `[batch, time, d_model]`
    #[must_use]
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        layer_norm(x, self.gamma.val(), self.beta.val(), EPS)
    }

    /// Normalises `x + branch`, row by row.
    ///
    /// # Shapes
    /// - `x`, `branch` and the result: `[batch, time, d_model]`
    #[must_use]
    pub fn residual(&self, x: Tensor<3>, branch: Tensor<3>) -> Tensor<3> {
        residual_norm(x, branch, self.gamma.val(), self.beta.val(), EPS)
    }

    /// The same as a step of a plan.
    pub(crate) fn plan(&self, plan: &mut PlanBuilder, x: Slot, branch: Slot) -> Slot {
        plan.residual_norm(x, branch, self.gamma.val(), self.beta.val(), EPS)
    }
}
