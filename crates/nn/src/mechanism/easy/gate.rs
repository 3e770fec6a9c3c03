//! An input-dependent addition to the scores of easy attention.
//!
//! ```text
//! α_i(X) = α_i + (1/n) (X A_i)(X B_i)ᵀ,   A_i, B_i [d, k],   B_i = 0 at the start
//! Y_i = α_i V_i + (1/n) (X A_i) ((X B_i)ᵀ V_i)
//! ```
//!
//! `n` counts the rows that are not blocked, so that the addition is a mean over rows and does not
//! grow with the window; it holds no number that depends on the window's length.
//!
//! Ours, not the paper's. Cost: `2 h d k` parameters, `2 p d h k + 2 p d k` multiply-adds.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use regard_kernels::affine::affine;
use regard_kernels::pointwise::Activation;

use crate::parameter::{constant, uniform, xavier_bound};

/// `A` and `B` of all heads, side by side.
#[derive(Module, Debug)]
pub(super) struct Gate {
    /// `A`, `[d_model, heads · rank]`.
    row: Param<Tensor<2>>,
    /// `B`, `[d_model, heads · rank]`.
    column: Param<Tensor<2>>,
    n_heads: usize,
}

impl Gate {
    /// Draws `A` by the Xavier rule of a head; `B` is zero.
    pub(super) fn new(d_model: usize, n_heads: usize, rank: usize, device: &Device) -> Self {
        let shape = [d_model, n_heads * rank];
        Self {
            row: uniform(shape, xavier_bound(d_model, rank), device),
            column: constant(shape, 0.0, device),
            n_heads,
        }
    }

    /// `2 h d k`.
    pub(super) const fn n_parameters(d_model: usize, n_heads: usize, rank: usize) -> usize {
        2 * n_heads * d_model * rank
    }

    /// `2 p d h k + 2 p d k`.
    pub(super) const fn multiply_adds(
        d_model: usize,
        time: usize,
        n_heads: usize,
        rank: usize,
    ) -> u64 {
        (2 * time * d_model * rank * (n_heads + 1)) as u64
    }

    /// What the gate adds to `α V`.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_model]`, zero where blocked; `v`: `[batch, heads, time, d_head]`
    /// - `n`: rows that are not blocked, `[batch, 1, 1, 1]`
    /// - returns: `[batch, heads, time, d_head]`
    pub(super) fn forward(&self, x: Tensor<3>, v: Tensor<4>, n: Tensor<4>) -> Tensor<4> {
        gated(self.row.val(), self.column.val(), self.n_heads, x, v, n)
    }
}

/// `(1/n) (X A)((X B)ᵀ V)` from plain tensors.
pub(super) fn gated(
    row: Tensor<2>,
    column: Tensor<2>,
    n_heads: usize,
    x: Tensor<3>,
    v: Tensor<4>,
    n: Tensor<4>,
) -> Tensor<4> {
    let [batch, time, _] = x.dims();
    let heads = |weight: Tensor<2>, x: Tensor<3>| {
        let [_, width] = weight.dims();
        affine(x, weight, None, Activation::Identity)
            .reshape([batch, time, n_heads, width / n_heads])
            .swap_dims(1, 2)
    };
    let summary = heads(column, x.clone()).swap_dims(2, 3).matmul(v); // [batch, heads, rank, d_head]
    heads(row, x).matmul(summary / n)
}
