//! The forms composed of Burn operations: any device, gradients by automatic differentiation.

use burn::tensor::activation::relu;
use burn::tensor::{Bool, Tensor, assert_shape};

/// Rows of a chunk of causal attention.
const CHUNK: usize = 64;

/// `φ(x) = elu(x) + 1`: `x + 1` where `x > 0`, else `exp(x)`.
#[must_use]
pub fn feature_map<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone().clamp_max(0.0).exp() + relu(x)
}

/// Linear attention in time linear in the number of keys.
///
/// # Shapes
/// - `q`: `[batch, heads, time_q, d_k]`; `k`: `[batch, heads, time_k, d_k]`
/// - `v`: `[batch, heads, time_k, d_v]`; `blocked`: `[batch, time_k]`, `true` where a key is blocked
/// - returns: `[batch, heads, time_q, d_v]`
///
/// # Panics
/// If the shapes disagree, or `causal` and there are not as many queries as keys.
#[must_use]
pub fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    blocked: Option<Tensor<2, Bool>>,
    causal: bool,
) -> Tensor<4> {
    let (q, k, v) = features(q, k, v, blocked);
    let v = with_ones(v);
    let sums = if causal {
        assert_eq!(q.dims()[2], v.dims()[2], "causal attention has as many queries as keys");
        causal_sums(q, k, v)
    } else {
        q.matmul(k.swap_dims(2, 3).matmul(v))
    };
    divided(sums)
}

/// Linear attention in which keys count as often as their weights say.
///
/// ```text
/// o_t = Σ_s w_s φ(q_t) · φ(k_s) v_s / Σ_s w_s φ(q_t) · φ(k_s)
/// ```
///
/// # Shapes
/// - `q`, `k`, `v` as in [`attention`]; `weights`: `[batch, time_k]`, at least zero; all one if `None`
/// - returns: `[batch, heads, time_q, d_v]`
///
/// # Panics
/// If the shapes disagree.
#[must_use]
pub fn weighted(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, weights: Option<Tensor<2>>) -> Tensor<4> {
    let (q, k, v) = features(q, k, v, None);
    let [batch, _, time_k, _] = v.dims();
    let v = match weights {
        None => with_ones(v),
        Some(weights) => {
            assert_shape!(weights, [batch, time_k]);
            with_ones(v) * weights.reshape([batch, 1, time_k, 1])
        }
    };
    divided(q.matmul(k.swap_dims(2, 3).matmul(v)))
}

/// A column of ones beside the values, so that the denominator comes with the numerator.
fn with_ones(v: Tensor<4>) -> Tensor<4> {
    let [batch, heads, time_k, _] = v.dims();
    let ones = Tensor::ones([batch, heads, time_k, 1], (&v.device(), v.dtype()));
    Tensor::cat(vec![v, ones], 3)
}

/// All columns but the last, divided by the last.
fn divided(sums: Tensor<4>) -> Tensor<4> {
    let [_, _, _, columns] = sums.dims();
    let sum = sums.clone().narrow(3, columns - 1, 1);
    sums.narrow(3, 0, columns - 1) / without_zeros(sum)
}

/// The weights that linear attention never forms; rows of a query that sees no key are zero.
///
/// # Shapes
/// - `q`, `k`, `blocked` as in [`attention`]
/// - returns: `[batch, heads, time_q, time_k]`
///
/// # Panics
/// As [`attention`].
#[must_use]
pub fn composed_weights(
    q: Tensor<4>,
    k: Tensor<4>,
    blocked: Option<Tensor<2, Bool>>,
    causal: bool,
) -> Tensor<4> {
    let (q, k, _) = features(q, k.clone(), k, blocked);
    let [_, _, time_q, _] = q.dims();
    let [_, _, time_k, _] = k.dims();
    let scores = q.matmul(k.swap_dims(2, 3));
    let scores = if causal {
        assert_eq!(time_q, time_k, "causal attention has as many queries as keys");
        up_to_own(scores)
    } else {
        scores
    };
    let sum = scores.clone().sum_dim(3);
    scores / without_zeros(sum)
}

/// `φ(q)`, `φ(k)` and `v`, the last two zero where blocked.
fn features(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    blocked: Option<Tensor<2, Bool>>,
) -> (Tensor<4>, Tensor<4>, Tensor<4>) {
    let [batch, heads, _, d_k] = q.dims();
    let [_, _, time_k, d_v] = v.dims();
    assert_shape!(k, [batch, heads, time_k, d_k]);
    assert_shape!(v, [batch, heads, time_k, d_v]);
    let (q, k) = (feature_map(q), feature_map(k));
    let Some(blocked) = blocked else {
        return (q, k, v);
    };
    assert_shape!(blocked, [batch, time_k]);
    let blocked = blocked.reshape([batch, 1, time_k, 1]);
    let keep = |x: Tensor<4>| {
        let shape = x.dims();
        x.mask_fill(blocked.clone().expand(shape), 0.0)
    };
    (q, keep(k), keep(v))
}

/// A sum of weights to divide by; one where there are none.
fn without_zeros(sum: Tensor<4>) -> Tensor<4> {
    let none = sum.clone().equal_elem(0.0);
    sum.mask_fill(none, 1.0)
}

/// Zero where the column is behind the row.
fn up_to_own<const D: usize>(scores: Tensor<D>) -> Tensor<D> {
    let shape = scores.dims();
    let n = shape[D - 1];
    let later = Tensor::<2, Bool>::tril_mask([n, n], 0, &scores.device().without_autodiff());
    scores.mask_fill(later.expand(shape), 0.0)
}

/// `Σ_{s ≤ t} q_t · k_s v_s` chunk by chunk: within a chunk by its scores, before it by `Σ k vᵀ`.
fn causal_sums(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    let [batch, heads, time, d_k] = q.dims();
    let [_, _, _, d_v] = v.dims();
    if time <= CHUNK {
        return up_to_own(q.matmul(k.swap_dims(2, 3))).matmul(v);
    }
    let chunks = time.div_ceil(CHUNK);
    let cut = |x: Tensor<4>| {
        let [_, _, _, d] = x.dims();
        let missing = chunks * CHUNK - time;
        let zeros = Tensor::zeros([batch, heads, missing, d], (&x.device(), x.dtype()));
        let x = if missing > 0 { Tensor::cat(vec![x, zeros], 2) } else { x };
        x.reshape([batch * heads, chunks, CHUNK, d])
    };
    let (q, k, v) = (cut(q), cut(k), cut(v));
    let own = up_to_own(q.clone().matmul(k.clone().swap_dims(2, 3))).matmul(v.clone());
    let states = k.swap_dims(2, 3).matmul(v); // [batch·heads, chunks, d_k, d_v]
    let nothing = Tensor::zeros([batch * heads, 1, d_k, d_v], (&states.device(), states.dtype()));
    let before = Tensor::cat(vec![nothing, states.narrow(1, 0, chunks - 1).cumsum(1)], 1);
    let sums = own + q.matmul(before);
    sums.reshape([batch, heads, chunks * CHUNK, d_v]).narrow(2, 0, time)
}
