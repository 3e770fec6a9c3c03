//! A position as the state of a gated recurrence in the log domain.
//!
//! ```text
//! [a_t b_t] = x_t W + c
//! s_t = log(σ(a_t) e^(s_{t−1}) + e^(b_t)),   s_0 = 0          y_t = x_t + s_t
//! ```
//!
//! Source: Heinsen 2024, arXiv:2404.05843, the position embedding of the released language model. Differs
//! as [`regard_kernels::log_linear::positions`] says. Cost: `2d²` multiply-adds per row.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use regard_kernels::log_linear::positions;
use regard_kernels::pointwise::Activation;

use super::block::dense;
use crate::parameter::Affine;

/// The recurrence; its state is `s`.
#[derive(Module, Debug)]
pub(super) struct PositionRecurrence {
    dense: Affine,
}

impl PositionRecurrence {
    pub(super) fn new(d: usize, device: &Device) -> Self {
        Self { dense: dense(d, 2 * d).init(device) }
    }

    /// `[batch, time, d]` to the same, every row with its position.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let gate_and_input = self.dense.forward(x.clone(), Activation::Identity);
        x + positions(gate_and_input, None)
    }

    /// The next row with its position, and the state behind it.
    pub(super) fn step(&self, x: Tensor<3>, past: Option<Tensor<2>>) -> (Tensor<3>, Tensor<2>) {
        let gate_and_input = self.dense.forward(x.clone(), Activation::Identity);
        let s = positions(gate_and_input, past);
        (x + s.clone(), s.squeeze_dim(1))
    }
}
