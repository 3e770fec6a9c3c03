//! The fused form as a Burn operation: checks, dispatch, gradient.
#![expect(unsafe_code, reason = "hands finished buffers to the tensor type")]

use std::sync::Arc;

use burn::tensor::{Bool, Tensor, assert_shape};

use super::backward::{Gradients, Saved, backward};
use super::centring::Centring;
use super::composed::composed_of_heads;
use super::forward::{Inputs, forward};
use super::{KeyMask, Problem};
use crate::cpu::math::Tables;
use crate::cpu::op::{FusedOp, Input, apply, on_cpu};
use crate::cpu::view::{
    FlexTensor, Output, Ptr, Storage, View, by_dtype, contiguous, dims, with_contiguous_rows,
};

/// Keys and values of some consecutive heads.
///
/// # Shapes
/// - `k`: `[batch, heads, time_k, d_k]`; `v`: `[batch, heads, time_k, d_v]`
#[derive(Debug, Clone)]
pub struct HeadKeys {
    /// Keys.
    pub k: Tensor<4>,
    /// Values, one per key.
    pub v: Tensor<4>,
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
    assert!(scale > 0.0, "scale = {scale} must be positive");
    check(&q, &keys);
    if !on_cpu(&q) {
        return composed_of_heads(q, keys, scale);
    }
    if keys.len() > MAX_RUNS {
        return in_parts(q, keys, scale);
    }
    let mut inputs = vec![q.into_dispatch()];
    let run = |keys: HeadKeys| {
        let heads = keys.k.dims()[1];
        inputs.extend([keys.k.into_dispatch(), keys.v.into_dispatch()]);
        let weight = match keys.weight {
            KeyWeight::None => Weight::None,
            KeyWeight::Log(w) => {
                inputs.push(w.into_dispatch());
                Weight::Log
            }
            KeyWeight::Centred { beta, blocked } => {
                inputs.push(beta.into_dispatch());
                let seen = |blocked: Tensor<2, Bool>| {
                    blocked.into_data().iter::<bool>().map(|blocked| !blocked).collect()
                };
                Weight::Centred(blocked.map(seen))
            }
        };
        Run { heads, mask: keys.mask, weight }
    };
    let runs = keys.into_iter().map(run).collect();
    dispatch(Heads { scale, runs }, inputs)
}

fn check(q: &Tensor<4>, keys: &[HeadKeys]) {
    let [batch, heads, _, d_k] = q.dims();
    let d_v = keys.first().map_or(0, |keys| keys.v.dims()[3]);
    let mut found = 0;
    for HeadKeys { k, v, weight, .. } in keys {
        let [_, heads, time_k, _] = k.dims();
        assert_shape!(k, [batch, heads, time_k, d_k]);
        assert_shape!(v, [batch, heads, time_k, d_v]);
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

/// Runs of one operation: its inputs are an array of known length, compiled for every length. Four
/// hold the rates of eight heads.
const MAX_RUNS: usize = 4;

/// More than [`MAX_RUNS`] runs, some at a time.
fn in_parts(q: Tensor<4>, mut keys: Vec<HeadKeys>, scale: f64) -> Tensor<4> {
    let (mut parts, mut head) = (Vec::new(), 0);
    while !keys.is_empty() {
        let rest = keys.split_off(MAX_RUNS.min(keys.len()));
        let heads = keys.iter().map(|keys| keys.k.dims()[1]).sum();
        parts.push(attention_of_heads(q.clone().narrow(1, head, heads), keys, scale));
        (head, keys) = (head + heads, rest);
    }
    Tensor::cat(parts, 1)
}

/// Runs `op` on as many inputs as there are.
fn dispatch(op: Heads, inputs: Vec<Input>) -> Tensor<4> {
    macro_rules! of_length {
        ($($n:literal)*) => {
            match inputs.len() {
                $($n => {
                    let inputs: Result<[Input; $n], _> = inputs.try_into();
                    apply(op, inputs.ok().expect("the length was matched"))
                })*
                n => unreachable!("queries and 1 to {MAX_RUNS} runs are not {n} inputs"),
            }
        };
    }
    of_length!(3 4 5 6 7 8 9 10 11 12 13)
}

/// Attention of all runs of heads; inputs are `q`, then `k`, `v` and the weight of each run.
#[derive(Clone, Debug)]
struct Heads {
    scale: f64,
    runs: Vec<Run>,
}

#[derive(Clone, Debug)]
struct Run {
    heads: usize,
    mask: KeyMask,
    weight: Weight,
}

/// [`KeyWeight`] without its tensors.
#[derive(Clone, Debug)]
enum Weight {
    None,
    Log,
    /// `false` where a key is blocked.
    Centred(Option<Arc<[bool]>>),
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Kept {
    q: FlexTensor,
    o: FlexTensor,
    runs: Vec<KeptRun>,
}

#[derive(Clone, Debug)]
struct KeptRun {
    k: FlexTensor,
    v: FlexTensor,
    log_weight: Option<FlexTensor>,
    beta: Option<FlexTensor>,
    lse: FlexTensor,
}

impl<const N: usize> FusedOp<N> for Heads {
    type Saved = Kept;

    fn forward(&self, inputs: [FlexTensor; N]) -> (FlexTensor, Kept) {
        let mut inputs = inputs.into_iter().map(with_contiguous_rows);
        let q = inputs.next().expect("the queries come first");
        let inputs: Vec<FlexTensor> = inputs.collect();
        by_dtype!(q, forward_of(self, q, inputs))
    }

    fn backward(&self, kept: Kept, grad: FlexTensor, _: [bool; N]) -> [Option<FlexTensor>; N] {
        let grad = with_contiguous_rows(grad);
        let found = by_dtype!(grad, backward_of(self, &kept, &grad));
        let mut found = found.into_iter();
        std::array::from_fn(|_| found.next())
    }
}

/// The view from one head on.
fn from_head<S: Storage>(x: &FlexTensor, head: usize) -> View<S, 4> {
    let view = View::<S, 4>::new(x);
    View { ptr: Ptr(view.ptr.at(head * view.strides[1])), strides: view.strides }
}

fn inputs<S: Storage>(
    q: &FlexTensor,
    head: usize,
    [k, v]: [&FlexTensor; 2],
    w: Option<&FlexTensor>,
) -> Inputs<S> {
    Inputs { q: from_head(q, head), k: View::new(k), v: View::new(v), log_weight: w.map(View::new) }
}

impl Heads {
    fn problem(&self, run: &Run, q: &FlexTensor, v: &FlexTensor) -> Problem {
        let [batch, row_heads, time_q, d_k] = dims(q);
        let [_, heads, time_k, d_v] = dims(v);
        let (scale, mask) = (self.scale, run.mask);
        Problem { batch, heads, time_q, time_k, d_k, d_v, scale, mask, row_heads }
    }
}

fn forward_of<S: Storage + Tables>(
    op: &Heads,
    q: FlexTensor,
    tensors: Vec<FlexTensor>,
) -> (FlexTensor, Kept) {
    let [batch, heads, time_q, _] = dims(&q);
    let [_, _, _, d_v] = dims(&tensors[1]);
    let mut o = Output::<S>::new(batch * time_q * heads * d_v);
    let o_ptr = o.ptr();
    let mut tensors = tensors.into_iter();
    let mut head = 0;
    let mut runs = Vec::with_capacity(op.runs.len());
    for run in &op.runs {
        let mut next = || tensors.next().expect("every run brings its tensors");
        let (k, v) = (next(), next());
        let p = op.problem(run, &q, &v);
        let (log_weight, beta) = match &run.weight {
            Weight::None => (None, None),
            Weight::Log => (Some(next()), None),
            Weight::Centred(seen) => {
                let beta = next();
                let centring =
                    Centring { beta: View::<S, 1>::new(&beta).ptr, seen: seen.as_deref() };
                let w = centring.forward(&p, &inputs(&q, head, [&k, &v], None));
                (Some(unsafe { w.finish([p.batch, p.heads, p.time_k]) }), Some(beta))
            }
        };
        let from = inputs(&q, head, [&k, &v], log_weight.as_ref());
        let lse = forward(&p, &from, Ptr(o_ptr.at(head * d_v)));
        let lse = unsafe { lse.finish([p.batch, p.heads, p.time_q]) };
        runs.push(KeptRun { k, v, log_weight, beta, lse });
        head += run.heads;
    }
    let o = unsafe { o.finish([batch, time_q, heads, d_v]) }.transpose(1, 2);
    (o.clone(), Kept { q, o, runs })
}

/// The gradients of all inputs, in their order.
fn backward_of<S: Storage + Tables>(op: &Heads, kept: &Kept, grad: &FlexTensor) -> Vec<FlexTensor> {
    let [batch, heads, time_q, d_k] = dims(&kept.q);
    let mut q = Output::<S>::zeros(batch * time_q * heads * d_k);
    let q_ptr = q.ptr();
    let mut head = 0;
    let mut found = Vec::new();
    for (run, KeptRun { k, v, log_weight, beta, lse }) in op.runs.iter().zip(&kept.runs) {
        let p = op.problem(run, &kept.q, v);
        let lse = contiguous(lse.clone());
        let saved = Saved {
            o: from_head(&kept.o, head),
            lse: View::<S, 3>::new(&lse).ptr,
            grad: from_head(grad, head),
        };
        let from = inputs(&kept.q, head, [k, v], log_weight.as_ref());
        let mut gradients = backward(&p, &from, &saved, Ptr(q_ptr.at(head * d_k)));
        let d_beta = beta.as_ref().map(|beta| {
            let Weight::Centred(seen) = &run.weight else { unreachable!("only centring keeps β") };
            let beta = View::<S, 1>::new(beta).ptr;
            let centring = Centring { beta, seen: seen.as_deref() };
            centring.backward(&p, &from, &mut gradients)
        });
        let Gradients { k, v, log_weight } = gradients;
        unsafe {
            found.push(k.finish([p.batch, p.time_k, p.heads, p.d_k]).transpose(1, 2));
            found.push(v.finish([p.batch, p.time_k, p.heads, p.d_v]).transpose(1, 2));
            match (&run.weight, d_beta) {
                (Weight::None, _) => {}
                (Weight::Log, _) => {
                    found.push(log_weight.finish([p.batch, p.heads, p.time_k]));
                }
                (Weight::Centred(_), beta) => found.extend(beta.map(|b| b.finish([p.heads]))),
            }
        }
        head += run.heads;
    }
    let q = unsafe { q.finish([batch, time_q, heads, d_k]) }.transpose(1, 2);
    found.insert(0, q);
    found
}
