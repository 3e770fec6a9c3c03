//! The fused form as a Burn operation: checks, dispatch, gradient.
#![expect(unsafe_code, reason = "hands finished buffers to the tensor type")]

use burn::tensor::{Tensor, assert_shape};

use super::backward::{Saved, backward};
use super::forward::{Inputs, forward};
use super::{Problem, composed};
use crate::cpu::math::Tables;
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::view::{
    FlexTensor, Storage, View, by_dtype, contiguous, dims, with_contiguous_rows,
};

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
    let [batch, heads, _, d_k] = q.dims();
    let [_, _, time_k, d_v] = v.dims();
    assert_shape!(k, [batch, heads, time_k, d_k]);
    assert_shape!(v, [batch, heads, time_k, d_v]);
    assert!(scale > 0.0, "scale = {scale} must be positive");
    if let Some(w) = &log_weight {
        assert_shape!(w, [batch, heads, time_k]);
    }
    if !on_cpu(&q) {
        return composed(q, k, v, log_weight, scale, causal);
    }
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    match log_weight {
        None => apply(Plain { scale, causal }, [q, k, v]),
        Some(w) => apply(Weighted { scale, causal }, [q, k, v, w.into_dispatch()]),
    }
}

/// Attention without log-weights.
#[derive(Clone, Copy, Debug)]
struct Plain {
    scale: f64,
    causal: bool,
}

/// Attention with log-weights.
#[derive(Clone, Copy, Debug)]
struct Weighted {
    scale: f64,
    causal: bool,
}

/// Inputs, output and log-sum-exp.
#[derive(Clone, Debug)]
struct Kept {
    q: FlexTensor,
    k: FlexTensor,
    v: FlexTensor,
    log_weight: Option<FlexTensor>,
    o: FlexTensor,
    lse: FlexTensor,
}

impl FusedOp<3> for Plain {
    type Saved = Kept;

    fn forward(&self, [q, k, v]: [FlexTensor; 3]) -> (FlexTensor, Kept) {
        run(q, k, v, None, self.scale, self.causal)
    }

    fn backward(&self, kept: Kept, grad: FlexTensor, _: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let [q, k, v, _] = gradients(kept, grad, self.scale, self.causal);
        [q, k, v].map(Some)
    }
}

impl FusedOp<4> for Weighted {
    type Saved = Kept;

    fn forward(&self, [q, k, v, w]: [FlexTensor; 4]) -> (FlexTensor, Kept) {
        run(q, k, v, Some(w), self.scale, self.causal)
    }

    fn backward(&self, kept: Kept, grad: FlexTensor, _: [bool; 4]) -> [Option<FlexTensor>; 4] {
        gradients(kept, grad, self.scale, self.causal).map(Some)
    }
}

fn run(
    q: FlexTensor,
    k: FlexTensor,
    v: FlexTensor,
    log_weight: Option<FlexTensor>,
    scale: f64,
    causal: bool,
) -> (FlexTensor, Kept) {
    let [q, k, v] = [q, k, v].map(with_contiguous_rows);
    let log_weight = log_weight.map(with_contiguous_rows);
    let kept = |o, lse| Kept {
        q: q.clone(),
        k: k.clone(),
        v: v.clone(),
        log_weight: log_weight.clone(),
        o,
        lse,
    };
    let problem = problem(&q, &v, scale, causal);
    let (o, lse) = by_dtype!(q, forward_of(&problem, [&q, &k, &v], log_weight.as_ref()));
    (o.clone(), kept(o, lse))
}

fn problem(q: &FlexTensor, v: &FlexTensor, scale: f64, causal: bool) -> Problem {
    let [batch, heads, time_q, d_k] = dims(q);
    let [_, _, time_k, d_v] = dims(v);
    Problem { batch, heads, time_q, time_k, d_k, d_v, scale, causal }
}

fn inputs<S: Storage>([q, k, v]: [&FlexTensor; 3], w: Option<&FlexTensor>) -> Inputs<S> {
    Inputs { q: View::new(q), k: View::new(k), v: View::new(v), log_weight: w.map(View::new) }
}

fn forward_of<S: Storage + Tables>(
    p: &Problem,
    qkv: [&FlexTensor; 3],
    w: Option<&FlexTensor>,
) -> (FlexTensor, FlexTensor) {
    let (o, lse) = forward::<S>(p, &inputs(qkv, w));
    unsafe {
        (
            o.finish([p.batch, p.time_q, p.heads, p.d_v]).transpose(1, 2),
            lse.finish([p.batch, p.heads, p.time_q]),
        )
    }
}

fn gradients(kept: Kept, grad: FlexTensor, scale: f64, causal: bool) -> [FlexTensor; 4] {
    let problem = problem(&kept.q, &kept.v, scale, causal);
    let grad = with_contiguous_rows(grad);
    by_dtype!(grad, backward_of(&problem, &kept, &grad))
}

fn backward_of<S: Storage + Tables>(
    p: &Problem,
    kept: &Kept,
    grad: &FlexTensor,
) -> [FlexTensor; 4] {
    let Kept { q, k, v, log_weight, o, lse } = kept;
    let lse = contiguous(lse.clone());
    let saved = Saved { o: View::new(o), lse: View::<S, 3>::new(&lse).ptr, grad: View::new(grad) };
    let grads = backward::<S>(p, &inputs([q, k, v], log_weight.as_ref()), &saved);
    unsafe {
        [
            grads.q.finish([p.batch, p.time_q, p.heads, p.d_k]).transpose(1, 2),
            grads.k.finish([p.batch, p.time_k, p.heads, p.d_k]).transpose(1, 2),
            grads.v.finish([p.batch, p.time_k, p.heads, p.d_v]).transpose(1, 2),
            grads.log_weight.finish([p.batch, p.heads, p.time_k]),
        ]
    }
}
