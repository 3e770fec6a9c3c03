//! Easy attention row by row, where `α` is one kernel of past lags.
//!
//! ```text
//! H_i[t] = Σ_{j < p} κ_i[j] V_i[t − j]        values before the first row are zero
//! ```
//!
//! The state is the values of the last `p` rows. Cost: `p d` multiply-adds per row.

use burn::tensor::{Tensor, assert_shape};
use regard_kernels::affine::affine;
use regard_kernels::pointwise::Activation;

use super::super::{Attention, Recurrent, State, StateVisitor, join_heads, split_heads};
use super::EasyAttention;

/// The values of the last rows, no more than there are lags.
#[derive(Debug, Clone)]
pub struct LagState {
    /// Oldest first, `[batch, n, d_model]`.
    values: Tensor<3>,
}

impl State for LagState {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        visitor.tensor("values", &mut self.values, Some(1));
    }
}

/// Mixes a row of values with those before it.
///
/// # Shapes
/// - `kernel`: `κ`, `[heads, lags]`, the present first; `row` and the result: `[batch, 1, d_model]`
pub(crate) fn lag_step(
    kernel: Tensor<2>,
    row: Tensor<3>,
    past: Option<LagState>,
) -> (Tensor<3>, LagState) {
    let [heads, lags] = kernel.dims();
    let mut values = match past {
        None => row,
        Some(past) => Tensor::cat(vec![past.values, row], 1),
    };
    let [_, seen, _] = values.dims();
    let n = seen.min(lags);
    if seen > lags {
        values = values.narrow(1, seen - lags, lags);
    }
    let weights = kernel.narrow(1, 0, n).flip([1]).reshape([1, heads, 1, n]);
    let mixed = weights.matmul(split_heads(values.clone(), heads));
    (join_heads(mixed), LagState { values })
}

/// # Panics
/// `step` panics unless `α` is a causal Toeplitz matrix and the form is right.
impl Recurrent for EasyAttention {
    type Input = Tensor<3>;
    type State = LagState;

    fn step(&self, x: Tensor<3>, past: Option<LagState>) -> (Tensor<3>, LagState) {
        assert!(self.is_recurrent(), "only a kernel of past lags, form right, can be stepped");
        let [batch, _, d_model] = x.dims();
        assert_shape!(x, [batch, 1, d_model]);
        let row = affine(x, self.value.val(), None, Activation::Identity);
        lag_step(self.alpha.val().squeeze_dim(1), row, past)
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        assert!(self.is_recurrent(), "only a kernel of past lags, form right, can be stepped");
        let [_, time, _] = x.dims();
        let resized = self.resized(time).expect("a kernel of lags goes on beyond its window");
        resized.forward(x, None)
    }
}
