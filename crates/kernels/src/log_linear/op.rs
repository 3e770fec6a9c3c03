//! The fused form as a Burn operation: checks, dispatch, gradient.
#![expect(unsafe_code, reason = "hands finished buffers to the tensor type")]

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::backward::{self, Gradients};
use super::composed::{self, composed};
use super::decay::Spread;
use super::forward::{self, Least};
use super::head::{Head, Kept, Range};
use super::setting::Problem;
use super::state::{HeadState, length};
use super::step::Step;
use super::tiles::Rows;
use super::{Context, LogLinear, LogState};
use crate::cpu::dispatch::launch;
use crate::cpu::math::Tables;
use crate::cpu::op::{FusedOp, apply, flex, on_cpu, tensor};
use crate::cpu::view::{
    FlexTensor, Output, Ptr, Storage, View, by_dtype, contiguous, dims, with_contiguous_rows,
};

/// Below this many multiply-adds a head is not worth a thread.
const SERIAL: usize = 1 << 16;

/// Exponential-kernel attention, fused on the CPU.
///
/// ```text
/// o_t = Σ_s A[t, s] v_s / Σ_s A[t, s]      A[t, s] = Σ_i e^{q_ti + k_si}
/// ```
///
/// There is no scale. A query that sees no key gets `−∞` for log-values and zero for others, and
/// passes no gradient. Strided views are read in place, and the result is a view of
/// `[batch, time, heads, d_v]`.
///
/// # Shapes
/// - `q`: `[batch, heads, time_q, d_k]`; `k`: `[batch, heads, time_k, d_k]`
/// - `v`: `[batch, heads, time_k, d_v]`; `context`: see [`Context`]
/// - returns: `[batch, heads, time_q, d_v]`
///
/// # Panics
/// If the shapes or types disagree, causal attention has not as many queries as keys, `chunk` is zero,
/// or there is a decay, or a sequence that starts in the middle, without `causal`.
///
/// Source: Heinsen 2024, eq. (1) to (4), arXiv:2404.05843.
#[must_use]
pub fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    setting: LogLinear,
    context: &Context,
) -> Tensor<4> {
    if context.log_decay.is_some() {
        let Spread { q, k, context, .. } = Spread::new(q, k, setting, context.clone());
        return attention(q, k, v, setting, &context);
    }
    let problem = Problem::new(setting, [&q, &k, &v], context);
    if !on_cpu(&q) {
        return composed(q, k, v, setting, context).0;
    }
    if is_tracked([&q, &k, &v], context) {
        return tracked(problem, [q, k, v], context);
    }
    untracked(&problem, [q, k, v], context.state.clone()).0
}

/// [`attention`], and what its keys and values leave behind for those that come after.
///
/// Gradients flow through the state as well. Taking `context` by value lets a single token change the
/// state in place.
///
/// # Shapes
/// As [`attention`].
///
/// # Panics
/// As [`attention`].
#[must_use]
pub fn attention_with_state(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    setting: LogLinear,
    context: Context,
) -> (Tensor<4>, LogState) {
    if context.log_decay.is_some() {
        let Spread { q, k, context, end } = Spread::new(q, k, setting, context);
        let (y, state) = attention_with_state(q, k, v, setting, context);
        return (y, end.of(state));
    }
    let problem = Problem::new(setting, [&q, &k, &v], &context);
    if !on_cpu(&q) {
        return composed(q, k, v, setting, &context);
    }
    if is_tracked([&q, &k, &v], &context) {
        let state = composed::state_after(&k, &v, &problem, &context);
        return (tracked(problem, [q, k, v], &context), state);
    }
    untracked(&problem, [q, k, v], context.state)
}

fn is_tracked(qkv: [&Tensor<4>; 3], context: &Context) -> bool {
    let state = context.state.iter().map(|state| state.packed.device());
    qkv.map(Tensor::device).into_iter().chain(state).any(|device| device.is_autodiff())
}

fn tracked(problem: Problem, qkv: [Tensor<4>; 3], context: &Context) -> Tensor<4> {
    let [q, k, v] = qkv.map(Tensor::into_dispatch);
    let op = Attend(problem);
    match &context.state {
        None => apply(op, [q, k, v]),
        Some(state) => apply(op, [q, k, v, state.packed.clone().into_dispatch()]),
    }
}

fn untracked(p: &Problem, qkv: [Tensor<4>; 3], state: Option<LogState>) -> (Tensor<4>, LogState) {
    let qkv = qkv.map(|x| with_contiguous_rows(flex(x)));
    let state = state.map(|state| flex(state.packed));
    let (y, state) = if p.is_one_token() {
        by_dtype!(qkv[0], one_token(p, &qkv, state))
    } else {
        let (y, state, _) = by_dtype!(qkv[0], forward_of(p, &qkv, state, false));
        (y, state)
    };
    (tensor(y), LogState::from_packed(tensor(state), [p.d_k, p.d_v]))
}

/// The states of all heads, to be changed in place.
fn state_or_empty(p: &Problem, state: Option<FlexTensor>) -> FlexTensor {
    if let Some(state) = state {
        return contiguous(state);
    }
    let mut head = vec![0.0; length(p.d_k, p.d_v)];
    HeadState::new(&mut head, p.d_k, p.d_v).clear(p.log);
    let mut states = Output::<f64>::new(p.batch * p.heads * head.len());
    for i in 0..p.batch * p.heads {
        let to = states.ptr().at(i * head.len());
        unsafe { std::ptr::copy_nonoverlapping(head.as_ptr(), to, head.len()) };
    }
    unsafe { states.finish([p.batch, p.heads, head.len()]) }
}

/// One token of every sequence: all in f64, the state in place.
fn one_token<S: Storage>(
    p: &Problem,
    qkv: &[FlexTensor; 3],
    state: Option<FlexTensor>,
) -> (FlexTensor, FlexTensor) {
    let n = p.batch * p.heads;
    let host = |x: &FlexTensor, d: usize| {
        let view = View::<S, 4>::new(x);
        let number = |i: usize| {
            let head = i / d;
            let (b, h) = (head / p.heads, head % p.heads);
            let at = b * view.strides[0] + h * view.strides[1] + i % d;
            unsafe { *view.ptr.at(at) }.to_f64()
        };
        (0..n * d).map(number).collect::<Vec<f64>>()
    };
    let [q, k, v] = qkv;
    let [q, k, v] = [host(q, p.d_k), host(k, p.d_k), host(v, p.d_v)];
    let mut y = vec![0.0; n * p.d_v];
    let mut state = state_or_empty(p, state);
    let mut scratch = vec![0.0; 2 * (p.d_k + p.d_v)];
    let step = Step {
        heads: n,
        d_k: p.d_k,
        d_v: p.d_v,
        log: p.log,
        qkv: [&q, &k, &v],
        state: state.storage_mut::<f64>(),
        scratch: &mut scratch,
        y: &mut y,
    };
    unsafe { launch(step) };
    let mut out = Output::<S>::new(y.len());
    for (i, y) in y.iter().enumerate() {
        unsafe { *out.ptr().at(i) = S::from_f64(*y) };
    }
    let out = unsafe { out.finish([p.batch, 1, p.heads, p.d_v]) }.transpose(1, 2);
    (out, state)
}

/// The operation; with `N = 4` the last input is a state.
#[derive(Clone, Debug)]
struct Attend(Problem);

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Saved {
    qkv: [FlexTensor; 3],
    /// The result, for values of any sign.
    y: Option<FlexTensor>,
    start: Option<FlexTensor>,
    /// `Ŝ`, `Ẑ` and states: see [`Kept`].
    kept: [FlexTensor; 3],
    ranges: Arc<[Range]>,
}

impl FusedOp<3> for Attend {
    type Saved = Saved;

    fn forward(&self, qkv: [FlexTensor; 3]) -> (FlexTensor, Saved) {
        self.run(qkv, None)
    }

    fn backward(&self, saved: Saved, grad: FlexTensor, _: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let grad = with_contiguous_rows(grad);
        let [q, k, v, _] = by_dtype!(grad, backward_of(&self.0, &saved, &grad));
        [q, k, v]
    }
}

impl FusedOp<4> for Attend {
    const DOUBLE: usize = 1;
    type Saved = Saved;

    fn forward(&self, [q, k, v, state]: [FlexTensor; 4]) -> (FlexTensor, Saved) {
        self.run([q, k, v], Some(state))
    }

    fn backward(&self, saved: Saved, grad: FlexTensor, _: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let grad = with_contiguous_rows(grad);
        by_dtype!(grad, backward_of(&self.0, &saved, &grad))
    }
}

impl Attend {
    fn run(&self, qkv: [FlexTensor; 3], start: Option<FlexTensor>) -> (FlexTensor, Saved) {
        let qkv = qkv.map(with_contiguous_rows);
        let start = start.map(contiguous);
        let p = &self.0;
        let (y, _, kept) = by_dtype!(qkv[0], forward_of(p, &qkv, start.clone(), true));
        let (kept, ranges) = kept.expect("asked for");
        let of_linear = (!p.log).then(|| y.clone());
        (y, Saved { qkv, y: of_linear, start, kept, ranges })
    }
}

/// The rows of a head in a tensor `[batch, heads, time, d]`.
fn rows<S: Storage>(x: &FlexTensor, batch: usize, head: usize) -> Rows<S> {
    let x = View::<S, 4>::new(x);
    let first = x.ptr.at(batch * x.strides[0] + head * x.strides[1]);
    Rows { first: Ptr(first), row: x.strides[2] }
}

/// The rows of a head in fresh memory `[batch, time, heads, d]`.
fn fresh_rows<S>(to: Ptr<S>, [time, heads, d]: [usize; 3], batch: usize, head: usize) -> Rows<S> {
    Rows { first: Ptr(to.at((batch * time * heads + head) * d)), row: heads * d }
}

fn for_each_head(p: &Problem, f: impl Fn(usize) -> Range + Sync + Send) -> Arc<[Range]> {
    let heads = p.batch * p.heads;
    let work = p.time_k.max(p.time_q) * p.d_k * p.d_v;
    if heads < 2 || work * heads < SERIAL {
        (0..heads).map(f).collect()
    } else {
        (0..heads).into_par_iter().with_max_len(1.max(heads / 64)).map(f).collect::<Vec<_>>().into()
    }
}

/// What was kept, and which range each head needed.
type KeptTensors = ([FlexTensor; 3], Arc<[Range]>);

fn forward_of<S: Storage + Tables + Least>(
    p: &Problem,
    [q, k, v]: &[FlexTensor; 3],
    state: Option<FlexTensor>,
    keep: bool,
) -> (FlexTensor, FlexTensor, Option<KeptTensors>) {
    let Problem { batch, heads, time_q, d_k, d_v, log, .. } = *p;
    let mut y = Output::<S>::new(batch * time_q * heads * d_v);
    let mut state = state_or_empty(p, state);
    let per_head = length(d_k, d_v);
    let states = Ptr(state.storage_mut::<f64>().as_mut_ptr());
    let n = if keep { batch * heads } else { 0 };
    let n_states = p.kept_states();
    let mut kept_s = Output::<S>::zeros(if log { n * time_q * d_v } else { 0 });
    let mut kept_z = Output::<S>::zeros(n * time_q);
    let mut kept_states = Output::<S>::zeros(n * n_states * per_head);
    let y_ptr = y.ptr();
    let kept = Kept { s: kept_s.ptr(), z: kept_z.ptr(), states: kept_states.ptr() };
    let ranges = for_each_head(p, |i| {
        let (b, h) = (i / heads, i % heads);
        let head = Head {
            p,
            seen: p.seen(b),
            pieces: p.pieces(b),
            q: rows(q, b, h),
            k: rows(k, b, h),
            v: rows(v, b, h),
            y: fresh_rows(y_ptr, [time_q, heads, d_v], b, h),
        };
        let state = unsafe { std::slice::from_raw_parts_mut(states.at(i * per_head), per_head) };
        forward::forward::<S>(&head, state, keep.then(|| kept.of_head(p, i)))
    });
    let y = unsafe { y.finish([batch, time_q, heads, d_v]) }.transpose(1, 2);
    let kept = keep.then(|| unsafe {
        let s = kept_s.finish([if log { n * time_q * d_v } else { 0 }]);
        let z = kept_z.finish([n * time_q]);
        ([s, z, kept_states.finish([n * n_states * per_head])], ranges)
    });
    (y, state, kept)
}

impl<S> Kept<S> {
    /// The part of head `i`.
    fn of_head(self, p: &Problem, i: usize) -> Self {
        let d_v = if p.log { p.d_v } else { 0 };
        Self {
            s: Ptr(self.s.at(i * p.time_q * d_v)),
            z: Ptr(self.z.at(i * p.time_q)),
            states: Ptr(self.states.at(i * p.kept_states() * length(p.d_k, p.d_v))),
        }
    }
}

/// The gradients of queries, keys, values and state.
fn backward_of<S: Storage + Tables + Least>(
    p: &Problem,
    saved: &Saved,
    grad: &FlexTensor,
) -> [Option<FlexTensor>; 4] {
    let Problem { batch, heads, time_q, time_k, d_k, d_v, log, .. } = *p;
    let mut dq = Output::<S>::new(batch * time_q * heads * d_k);
    let mut dk = Output::<S>::new(batch * time_k * heads * d_k);
    let mut dv = Output::<S>::new(batch * time_k * heads * d_v);
    let per_head = length(d_k, d_v);
    let n_states = if saved.start.is_some() { batch * heads } else { 0 };
    let mut d_state = Output::<f64>::new(n_states * per_head);
    let to = (dq.ptr(), dk.ptr(), dv.ptr(), d_state.ptr());
    let [s, z, states] = saved.kept.each_ref().map(|x| View::<S, 1>::new(x).ptr);
    let kept = Kept { s, z, states };
    let start = state_or_empty(p, saved.start.clone());
    let start = f64::storage(&start);
    let [q, k, v] = &saved.qkv;
    for_each_head(p, |i| {
        let (b, h) = (i / heads, i % heads);
        // Log-values need no result here.
        let y = saved.y.as_ref().map_or_else(|| rows(v, b, h), |y| rows(y, b, h));
        let (seen, pieces) = (p.seen(b), p.pieces(b));
        let head =
            Head { p, seen, pieces, q: rows(q, b, h), k: rows(k, b, h), v: rows(v, b, h), y };
        debug_assert!(log || saved.y.is_some());
        let state = saved.start.is_some().then(|| Ptr(to.3.at(i * per_head)));
        let gradients = Gradients {
            q: fresh_rows(to.0, [time_q, heads, d_k], b, h),
            k: fresh_rows(to.1, [time_k, heads, d_k], b, h),
            v: fresh_rows(to.2, [time_k, heads, d_v], b, h),
            state,
        };
        let start = &start[i * per_head..(i + 1) * per_head];
        let kept = kept.of_head(p, i);
        backward::backward::<S>(&head, start, kept, saved.ranges[i], rows(grad, b, h), &gradients);
        saved.ranges[i]
    });
    unsafe {
        let q = dq.finish([batch, time_q, heads, d_k]).transpose(1, 2);
        let k = dk.finish([batch, time_k, heads, d_k]).transpose(1, 2);
        let v = dv.finish([batch, time_k, heads, d_v]).transpose(1, 2);
        let state = saved.start.as_ref().map(|start| d_state.finish::<3>(dims(start)));
        [Some(q), Some(k), Some(v), state]
    }
}
