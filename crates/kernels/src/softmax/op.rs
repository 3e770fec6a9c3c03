//! Softmax attention as a function of tensors: checks, and which form computes it.

use burn::tensor::{Bool, Tensor, assert_shape};

use super::composed::composed_of_heads;
use super::fused::{MAX_RUNS, fused};
use super::{KeyMask, Part};
use crate::cpu::op::on_cpu;

/// Keys and values of some consecutive heads.
///
/// # Shapes
/// - `k`: `[batch, heads, time_k, d_k]`; `v`: `[batch, heads, time_k, d_v]`
#[derive(Debug, Clone)]
pub struct HeadKeys<T = Tensor<4>> {
    /// Keys.
    pub k: T,
    /// Values, one per key.
    pub v: T,
    /// What is added to all scores of a key.
    pub weight: KeyWeight,
    /// Which keys a query sees.
    pub mask: KeyMask,
}

/// What is added to all scores of a key.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one per run of heads; a box would buy nothing")]
pub enum KeyWeight {
    /// Nothing.
    None,
    /// A number per key, `[batch, heads, time_k]`; −∞ blocks a key.
    Log(Tensor<3>),
    /// `−β scale μ · k_s`, with `μ` the mean of the keys that are not blocked: queries recentred by
    /// `β μ` under softmax.
    Centred {
        /// `β`, `[heads]`.
        beta: Tensor<1>,
        /// `[batch, time_k]`, `true` where a key is blocked.
        blocked: Option<Tensor<2, Bool>>,
    },
}

/// Softmax attention, fused on the CPU.
///
/// ```text
/// o_t = Σ_s softmax_s(scale · q_t · k_s + log_weight_s) v_s
/// ```
///
/// With `causal`, query `t` sees keys `s ≤ t + time_k − time_q`: the last query sees all keys. A
/// log-weight of `−∞` blocks its key; a row whose keys are all blocked is zero and passes no
/// gradient. Strided views (`swap_dims` of `[batch, time, heads, d]`) are read in place, and the
/// result is such a view, so that `swap_dims(1, 2)` and a reshape to `[batch, time, d_model]`
/// cost nothing.
///
/// # Shapes
/// - `q`: `[batch, heads, time_q, d_k]`; `k`: `[batch, heads, time_k, d_k]`
/// - `v`: `[batch, heads, time_k, d_v]`; `log_weight`: `[batch, heads, time_k]`
/// - returns: `[batch, heads, time_q, d_v]`
///
/// # Panics
/// If the shapes disagree, `scale` is not positive, or the types are not all the same.
///
/// Source: Vaswani et al. 2017, §3.2.1, arXiv:1706.03762. Differs: the log-weight; blocked rows.
#[must_use]
pub fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    log_weight: Option<Tensor<3>>,
    scale: f64,
    causal: bool,
) -> Tensor<4> {
    let weight = log_weight.map_or(KeyWeight::None, KeyWeight::Log);
    let mask = if causal { KeyMask::Causal } else { KeyMask::All };
    attention_of_heads(q, vec![HeadKeys { k, v, weight, mask }], scale)
}

/// [`attention`] between the rows of one sequence, whose queries, keys and values lie side by side.
///
/// # Shapes
/// - `qkv`: `[batch, 3 heads, time, d]`, first all queries, then all keys, then all values
/// - `log_weight`: `[batch, heads, time]`
/// - returns: `[batch, heads, time, d]`
///
/// # Panics
/// As [`attention`]; if the heads are no multiple of three.
#[must_use]
pub fn self_attention(
    qkv: Tensor<4>,
    log_weight: Option<Tensor<3>>,
    scale: f64,
    causal: bool,
) -> Tensor<4> {
    let [_, all, _, _] = qkv.dims();
    assert!(all.is_multiple_of(3), "{all} heads of queries, keys and values");
    let heads = all / 3;
    let [q, k, v] = [0, 1, 2].map(|i| Part { tensor: 0, first: i * heads, heads });
    let weight = log_weight.map_or(KeyWeight::None, KeyWeight::Log);
    let mask = if causal { KeyMask::Causal } else { KeyMask::All };
    attention_of_parts(vec![qkv], q, vec![HeadKeys { k, v, weight, mask }], scale)
}

/// Softmax attention whose heads see keys of their own, in runs of consecutive heads: each run has
/// its number of keys, its log-weights and its mask. One operation, whose result and whose gradient
/// of `q` are written once.
///
/// # Shapes
/// - `q`: `[batch, heads, time_q, d_k]`, the heads of all runs one after the other
/// - returns: `[batch, heads, time_q, d_v]`
///
/// # Panics
/// If the shapes disagree, there are no runs, `scale` is not positive, or the types are not all the
/// same.
#[must_use]
pub fn attention_of_heads(q: Tensor<4>, keys: Vec<HeadKeys>, scale: f64) -> Tensor<4> {
    let mut tensors = Vec::with_capacity(1 + 2 * keys.len());
    let mut whole = |x: Tensor<4>| {
        let part = Part { tensor: tensors.len(), first: 0, heads: x.dims()[1] };
        tensors.push(x);
        part
    };
    let q = whole(q);
    let keys = keys.into_iter().map(|HeadKeys { k, v, weight, mask }| HeadKeys {
        k: whole(k),
        v: whole(v),
        weight,
        mask,
    });
    let keys = keys.collect();
    attention_of_parts(tensors, q, keys, scale)
}

/// [`attention_of_heads`] whose queries, keys and values are heads of shared tensors: what one product
/// with several matrices makes of a row, side by side. The gradient of such a tensor is written once,
/// where copies of its parts would each be added to it.
///
/// # Shapes
/// - `tensors`: `[batch, heads, time, d]` each; heads that are no part of anything get no gradient
/// - returns: `[batch, heads of q, time_q, d_v]`
///
/// # Panics
/// As [`attention_of_heads`]; if a part is not in its tensor, or two parts overlap.
#[must_use]
pub fn attention_of_parts(
    tensors: Vec<Tensor<4>>,
    q: Part,
    keys: Vec<HeadKeys<Part>>,
    scale: f64,
) -> Tensor<4> {
    assert!(scale > 0.0, "scale = {scale} must be positive");
    check(&tensors, q, &keys);
    if !on_cpu(&tensors[q.tensor]) {
        let keys = keys.into_iter().map(|HeadKeys { k, v, weight, mask }| HeadKeys {
            k: k.of(&tensors),
            v: v.of(&tensors),
            weight,
            mask,
        });
        return composed_of_heads(q.of(&tensors), keys.collect(), scale);
    }
    if keys.len() > MAX_RUNS {
        return some_at_a_time(&tensors, q, keys, scale);
    }
    fused(tensors, q, keys, scale)
}

fn check(tensors: &[Tensor<4>], q: Part, keys: &[HeadKeys<Part>]) {
    let mut parts = vec![q];
    parts.extend(keys.iter().flat_map(|keys| [keys.k, keys.v]));
    for (i, part) in parts.iter().enumerate() {
        let Part { tensor, first, heads } = *part;
        let found = tensors.get(tensor).map_or(0, |x| x.dims()[1]);
        assert!(
            first + heads <= found,
            "heads {first} to {} of tensor {tensor}, which has {found}",
            first + heads
        );
        let mut others = parts[..i].iter();
        let other = others.find(|other| part.overlaps(other));
        assert!(other.is_none(), "{part:?} and {other:?} overlap");
    }
    let dims = |part: Part| {
        let [batch, _, time, d] = tensors[part.tensor].dims();
        [batch, part.heads, time, d]
    };
    let [batch, heads, _, d_k] = dims(q);
    let d_v = keys.first().map_or(0, |keys| dims(keys.v)[3]);
    let mut found = 0;
    for HeadKeys { k, v, weight, .. } in keys {
        let [_, heads, time_k, _] = dims(*k);
        let (k, v) = (dims(*k), dims(*v));
        let expected = [[batch, heads, time_k, d_k], [batch, heads, time_k, d_v]];
        assert!([k, v] == expected, "keys {k:?} and values {v:?}, expected {expected:?}");
        match weight {
            KeyWeight::None => {}
            KeyWeight::Log(w) => assert_shape!(w, [batch, heads, time_k]),
            KeyWeight::Centred { beta, blocked } => {
                assert_shape!(beta, [heads]);
                if let Some(blocked) = blocked {
                    assert_shape!(blocked, [batch, time_k]);
                }
            }
        }
        found += heads;
    }
    assert_eq!(found, heads, "the runs hold {found} heads, the queries {heads}");
}

/// More than [`MAX_RUNS`] runs.
fn some_at_a_time(
    tensors: &[Tensor<4>],
    mut q: Part,
    mut keys: Vec<HeadKeys<Part>>,
    scale: f64,
) -> Tensor<4> {
    let mut results = Vec::new();
    while !keys.is_empty() {
        let rest = keys.split_off(MAX_RUNS.min(keys.len()));
        let heads = keys.iter().map(|keys| keys.k.heads).sum();
        // Only the tensors that these runs need.
        let mut needed: Vec<usize> = Vec::new();
        let mut place = |part: Part| {
            let known = needed.iter().position(|tensor| *tensor == part.tensor);
            let tensor = known.unwrap_or_else(|| {
                needed.push(part.tensor);
                needed.len() - 1
            });
            Part { tensor, ..part }
        };
        let of_q = place(Part { heads, ..q });
        let of_keys = keys.into_iter().map(|keys| HeadKeys {
            k: place(keys.k),
            v: place(keys.v),
            weight: keys.weight,
            mask: keys.mask,
        });
        let of_keys = of_keys.collect();
        let tensors = needed.iter().map(|tensor| tensors[*tensor].clone()).collect();
        results.push(fused(tensors, of_q, of_keys, scale));
        q = Part { first: q.first + heads, heads: q.heads - heads, ..q };
        keys = rest;
    }
    Tensor::cat(results, 1)
}
