//! The form composed of Burn operations: any device, gradients by automatic differentiation.
//!
//! Chunks as in [`super`], in the type of the inputs throughout, also the state: it has no way out where
//! that range ends, about 80 in f32 between the logarithms that one channel adds up within a chunk.

use burn::tensor::{Bool, DType, FloatDType, Tensor, TensorData};

use super::decay::Spread;
use super::setting::Problem;
use super::state::{NOTHING, Parts};
use super::{Context, LogLinear, LogState};
use crate::cpu::op::on_cpu;

/// Exponential-kernel attention out of Burn operations, and the state behind it.
///
/// Same arguments and result as [`super::attention_with_state`].
///
/// # Shapes
/// As [`super::attention`].
///
/// # Panics
/// As [`super::attention`].
#[must_use]
pub fn composed(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    setting: LogLinear,
    context: &Context,
) -> (Tensor<4>, LogState) {
    if context.log_decay.is_some() {
        let Spread { q, k, context, end } = Spread::new(q, k, setting, context.clone());
        let (y, state) = composed(q, k, v, setting, &context);
        return (y, end.of(state));
    }
    let problem = Problem::new(setting, [&q, &k, &v], context);
    let p = &problem;
    let tokens = Tokens::new(p, context);
    let mut state = start(p, &k, context, k.dtype());
    let cut = |x: &Tensor<4>, first: usize, n: usize| x.clone().narrow(2, first, n);
    let mut rows = Vec::new();
    if !p.causal {
        state = absorb(p, state, [&k, &v], &tokens, 0).0;
        let part = q.clone() + state.key_max.clone().swap_dims(2, 3);
        let q_hat = (part.clone() - part.max_dim(3).detach()).exp();
        let s = q_hat.clone().matmul(state.sums.clone());
        let z = q_hat.matmul(state.norm.clone());
        return (result(p, s, z, &state.value_max), state.pack());
    }
    for first in (0..p.time_k).step_by(p.chunk) {
        let n = p.chunk.min(p.time_k - first);
        let [q, k, v] = [&q, &k, &v].map(|x| cut(x, first, n));
        let before = tokens.before(first);
        let (next, [k_hat, v_hat, sums, norm]) = absorb(p, state, [&k, &v], &tokens, first);
        let part = q + next.key_max.clone().swap_dims(2, 3);
        let q_hat = (part.clone() - part.max_dim(3).detach()).exp();
        let weights = hide(q_hat.clone().matmul(k_hat.swap_dims(2, 3)), |b, t, s| {
            s > t || tokens.segment(b, first + t) != tokens.segment(b, first + s)
        });
        let hide_state =
            |x: Tensor<4>| hide(x, |b, t, _| tokens.segment(b, first + t) != before[b]);
        let s = hide_state(q_hat.clone().matmul(sums)) + weights.clone().matmul(v_hat);
        let z = hide_state(q_hat.matmul(norm)) + weights.sum_dim(3);
        rows.push(result(p, s, z, &next.value_max));
        state = next;
    }
    (Tensor::cat(rows, 2), state.pack())
}

/// The state after a whole sequence, with its gradient.
pub(super) fn state_after(
    k: &Tensor<4>,
    v: &Tensor<4>,
    p: &Problem,
    context: &Context,
) -> LogState {
    let dtype = if on_cpu(k) { DType::F64 } else { k.dtype() };
    let wide = |x: &Tensor<4>| {
        x.clone().cast(if dtype == DType::F64 { FloatDType::F64 } else { FloatDType::F32 })
    };
    let (k, v) = if k.dtype() == dtype { (k.clone(), v.clone()) } else { (wide(k), wide(v)) };
    let state = start(p, &k, context, dtype);
    absorb(p, state, [&k, &v], &Tokens::new(p, context), 0).0.pack()
}

/// The state before the first token.
fn start(p: &Problem, like: &Tensor<4>, context: &Context, dtype: DType) -> Parts {
    if let Some(state) = &context.state {
        let parts = state.parts();
        if parts.sums.dtype() == dtype {
            return parts.with_linear_values(!p.log);
        }
        let cast = |x: Tensor<4>| x.cast(FloatDType::F32);
        let Parts { sums, norm, key_max, value_max } = parts;
        let [sums, norm, key_max, value_max] = [sums, norm, key_max, value_max].map(cast);
        return Parts { sums, norm, key_max, value_max }.with_linear_values(!p.log);
    }
    let device = like.device();
    let full = |shape: [usize; 2], value: f64| {
        Tensor::full([p.batch, p.heads, shape[0], shape[1]], value, (&device, dtype))
    };
    Parts {
        sums: full([p.d_k, p.d_v], 0.0),
        norm: full([p.d_k, 1], 0.0),
        key_max: full([p.d_k, 1], NOTHING),
        value_max: full([1, p.d_v], if p.log { NOTHING } else { 0.0 }),
    }
}

/// The state after some keys; their hats, and the sums before them in the basis after them.
fn absorb(
    p: &Problem,
    state: Parts,
    [k, v]: [&Tensor<4>; 2],
    tokens: &Tokens,
    first: usize,
) -> (Parts, [Tensor<4>; 4]) {
    let [_, _, n, _] = k.dims();
    let fill = |x: Tensor<4>, value: f64| fill(x, value, |b, t, _| tokens.is_blocked(b, first + t));
    let key_max = fill(k.clone().detach(), NOTHING).max_dim(2).swap_dims(2, 3);
    let key_max = state.key_max.clone().max_pair(key_max);
    let value_max = if p.log {
        state.value_max.clone().max_pair(fill(v.clone().detach(), NOTHING).max_dim(2))
    } else {
        state.value_max.clone()
    };
    // Filled before the exponential too: what is blocked may be anything.
    let k_hat = fill((fill(k.clone(), NOTHING) - key_max.clone().swap_dims(2, 3)).exp(), 0.0);
    let v = fill(v.clone(), 0.0);
    let v_hat = if p.log { fill((v - value_max.clone()).exp(), 0.0) } else { v };
    let [sums, norm] = state.in_basis(key_max.clone(), value_max.clone());
    let (before, last) = (tokens.before(first), first + n - 1);
    let keep =
        hide(k_hat.clone(), |b, t, _| tokens.segment(b, first + t) != tokens.segment(b, last));
    let forget = |x: Tensor<4>| hide(x, |b, _, _| tokens.segment(b, last) != before[b]);
    let next = Parts {
        sums: forget(sums.clone()) + keep.clone().swap_dims(2, 3).matmul(v_hat.clone()),
        norm: forget(norm.clone()) + keep.sum_dim(2).swap_dims(2, 3),
        key_max,
        value_max,
    };
    (next, [k_hat, v_hat, sums, norm])
}

/// `c + ln Ŝ − ln Ẑ` or `Ŝ / Ẑ`; without gradient where nothing was seen.
fn result(p: &Problem, s: Tensor<4>, z: Tensor<4>, value_max: &Tensor<4>) -> Tensor<4> {
    let nothing = z.clone().equal_elem(0.0);
    let everywhere = nothing.clone().expand(s.dims());
    let z = z.mask_fill(nothing, 1.0);
    let s = s.mask_fill(everywhere.clone(), 1.0);
    if p.log {
        (s.log() - z.log() + value_max.clone()).mask_fill(everywhere, f64::NEG_INFINITY)
    } else {
        (s / z).mask_fill(everywhere, 0.0)
    }
}

/// Which tokens are blocked, and to which of several sequences in a row they belong.
struct Tokens {
    batch: usize,
    blocked: Option<Vec<bool>>,
    segments: Option<Vec<usize>>,
    time: usize,
}

impl Tokens {
    fn new(p: &Problem, context: &Context) -> Self {
        let host = |mask: &Tensor<2, Bool>| mask.to_data().iter::<bool>().collect::<Vec<_>>();
        let count = |starts: Vec<bool>| {
            let of_row = |row: &[bool]| {
                let count = |n: &mut usize, start: &bool| {
                    *n += usize::from(*start);
                    Some(*n)
                };
                row.iter().scan(0, count).collect::<Vec<_>>()
            };
            starts.chunks_exact(p.time_k).flat_map(of_row).collect()
        };
        Self {
            batch: p.batch,
            blocked: context.blocked.as_ref().map(host),
            segments: context.starts.as_ref().map(host).map(count),
            time: p.time_k,
        }
    }

    fn is_blocked(&self, batch: usize, t: usize) -> bool {
        self.blocked.as_ref().is_some_and(|blocked| blocked[batch * self.time + t])
    }

    fn segment(&self, batch: usize, t: usize) -> usize {
        self.segments.as_ref().map_or(0, |segments| segments[batch * self.time + t])
    }

    /// The sequences to which the tokens before a place belong.
    fn before(&self, first: usize) -> Vec<usize> {
        let of = |b| if first == 0 { 0 } else { self.segment(b, first - 1) };
        (0..self.batch).map(of).collect()
    }
}

/// Zero where told so by batch, row and column.
fn hide(x: Tensor<4>, hidden: impl Fn(usize, usize, usize) -> bool) -> Tensor<4> {
    fill(x, 0.0, hidden)
}

/// `value` where told so by batch, row and column.
fn fill(x: Tensor<4>, value: f64, hidden: impl Fn(usize, usize, usize) -> bool) -> Tensor<4> {
    let [batch, heads, rows, columns] = x.dims();
    let mut mask = Vec::with_capacity(batch * rows * columns);
    for b in 0..batch {
        for t in 0..rows {
            mask.extend((0..columns).map(|s| hidden(b, t, s)));
        }
    }
    if !mask.contains(&true) {
        return x;
    }
    let device = x.device().without_autodiff();
    let mask = TensorData::new(mask, [batch, 1, rows, columns]);
    let mask = Tensor::<4, Bool>::from_data(mask, &device);
    x.mask_fill(mask.expand([batch, heads, rows, columns]), value)
}
