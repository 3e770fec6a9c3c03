//! The form composed of Burn operations: any device, gradients by automatic differentiation.

use burn::tensor::{Bool, Tensor};

/// Softmax attention out of Burn operations; materializes the `time_q × time_k` scores.
///
/// Same arguments and result as [`super::attention`].
///
/// # Shapes
/// - `q`: `[batch, heads, time_q, d_k]`; `k`: `[batch, heads, time_k, d_k]`
/// - `v`: `[batch, heads, time_k, d_v]`; `log_weight`: `[batch, heads, time_k]`
/// - returns: `[batch, heads, time_q, d_v]`
///
/// # Panics
/// If the shapes disagree.
#[must_use]
pub fn composed(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    log_weight: Option<Tensor<3>>,
    scale: f64,
    causal: bool,
) -> Tensor<4> {
    let [batch, heads, time_q, _] = q.dims();
    let time_k = k.dims()[2];
    let shape = [batch, heads, time_q, time_k];
    let plain = q.device().without_autodiff();
    let mut scores = q.matmul(k.swap_dims(2, 3)) * scale;
    if let Some(w) = log_weight {
        scores = scores + w.unsqueeze_dim::<4>(2);
    }
    if causal {
        let offset = i64::try_from(time_k).expect("fits") - i64::try_from(time_q).expect("fits");
        let future = Tensor::<2, Bool>::tril_mask([time_q, time_k], offset, &plain);
        scores = scores.mask_fill(future.expand(shape), f64::NEG_INFINITY);
    }
    // A fully blocked row has maximum −∞; subtracting 0 instead keeps NaN out of the gradient.
    let max = scores.clone().detach().max_dim(3);
    let blocked = max.clone().equal_elem(f64::NEG_INFINITY);
    let weights = (scores - max.mask_fill(blocked.clone(), 0.0)).exp();
    let sum = weights.clone().sum_dim(3).mask_fill(blocked, 1.0);
    (weights / sum).matmul(v)
}
