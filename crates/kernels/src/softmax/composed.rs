//! The form composed of Burn operations: any device, gradients by automatic differentiation.

use burn::tensor::Tensor;

use super::centring::composed_centring;
use super::{HeadKeys, KeyMask, KeyWeight};

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
    let weight = log_weight.map_or(KeyWeight::None, KeyWeight::Log);
    let mask = if causal { KeyMask::Causal } else { KeyMask::All };
    let keys = HeadKeys { k, v, weight, mask };
    composed_weights(q, &keys, scale).matmul(keys.v)
}

/// [`super::attention_of_heads`] out of Burn operations.
///
/// # Shapes
/// - `q`: `[batch, heads, time_q, d_k]`
/// - returns: `[batch, heads, time_q, d_v]`
///
/// # Panics
/// If the shapes disagree.
#[must_use]
pub fn composed_of_heads(q: Tensor<4>, keys: Vec<HeadKeys>, scale: f64) -> Tensor<4> {
    let mut head = 0;
    let run = |keys: HeadKeys| {
        let heads = keys.k.dims()[1];
        let q = q.clone().narrow(1, head, heads);
        head += heads;
        composed_weights(q, &keys, scale).matmul(keys.v)
    };
    Tensor::cat(keys.into_iter().map(run).collect(), 1)
}

/// The weights of one run of heads; rows of a query that sees no key are zero.
///
/// # Shapes
/// - `q`: `[batch, heads, time_q, d_k]`
/// - returns: `[batch, heads, time_q, time_k]`
///
/// # Panics
/// If the shapes disagree.
#[must_use]
pub fn composed_weights(q: Tensor<4>, keys: &HeadKeys, scale: f64) -> Tensor<4> {
    let [batch, heads, time_q, _] = q.dims();
    let k = keys.k.clone();
    let time_k = k.dims()[2];
    let shape = [batch, heads, time_q, time_k];
    let plain = q.device().without_autodiff();
    let log_weight = match &keys.weight {
        KeyWeight::None => None,
        KeyWeight::Log(w) => Some(w.clone()),
        KeyWeight::Centred { beta, blocked } => {
            Some(composed_centring(k.clone(), beta.clone(), scale, blocked.clone()))
        }
    };
    let mut scores = q.matmul(k.swap_dims(2, 3)) * scale;
    if let Some(w) = log_weight {
        scores = scores + w.unsqueeze_dim::<4>(2);
    }
    if let Some(blocked) = keys.mask.blocked([time_q, time_k], &plain) {
        scores = scores.mask_fill(blocked.expand(shape), f64::NEG_INFINITY);
    }
    // A fully blocked row has maximum −∞; subtracting 0 instead keeps NaN out of the gradient.
    let max = scores.clone().detach().max_dim(3);
    let blocked = max.clone().equal_elem(f64::NEG_INFINITY);
    let weights = (scores - max.mask_fill(blocked.clone(), 0.0)).exp();
    let sum = weights.clone().sum_dim(3).mask_fill(blocked, 1.0);
    weights / sum
}
