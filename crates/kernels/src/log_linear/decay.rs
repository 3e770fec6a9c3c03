//! A past that fades: every key channel of a head forgets at a rate of its own.
//!
//! ```text
//! A[t, s] = Σ_i e^{q_ti + k_si + (t − s) g_i}      g_i ≤ 0, causal
//! H_ij ← ln(e^{H_ij + g_i} + e^{k_i + u_j})        the state, as a logarithm
//! ```
//!
//! `(t − s) g` is `t g` in the query and `−s g` in the key, so the kernel needs nothing new: what it adds
//! up is relative to running maxima. A state is relative to its last token; a token later, its maxima
//! are `a + g`. Positions count from the middle of a sequence: in f32 a shift is rounded by at most
//! `2⁻²⁵ time |g|`.
//!
//! Within a chunk of `C` tokens sums span `C |g|` more than without: from `|g| ≈ 0.6` on, chunks of 64
//! leave f32. Ours, not in Heinsen 2024, where nothing is forgotten.

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData, assert_shape};

use super::setting::{Context, LogLinear};
use super::state::{LogState, Parts};

/// Queries and keys that carry a decay themselves, and the context without it.
pub(super) struct Spread {
    pub(super) q: Tensor<4>,
    pub(super) k: Tensor<4>,
    pub(super) context: Context,
    pub(super) end: End,
}

/// How far the last token is from the one that positions count from.
pub(super) struct End {
    log_decay: Option<Tensor<2>>,
    steps: usize,
}

impl End {
    /// The state after the last token, relative to it.
    pub(super) fn of(self, state: LogState) -> LogState {
        match self.log_decay {
            None => state,
            Some(log_decay) => aged(state, &log_decay, self.steps),
        }
    }
}

impl Spread {
    /// Moves the decay of `context` into queries, keys and state.
    pub(super) fn new(q: Tensor<4>, k: Tensor<4>, setting: LogLinear, context: Context) -> Self {
        let Some(log_decay) = context.log_decay else {
            let end = End { log_decay: None, steps: 0 };
            return Self { q, k, context, end };
        };
        let [_, heads, time, d_k] = k.dims();
        assert!(setting.causal, "a decay needs causal attention: it would make later keys grow");
        assert_shape!(log_decay, [heads, d_k]);
        let last = time.saturating_sub(1);
        let middle = last / 2;
        let state = context.state.map(|state| aged(state, &log_decay, 1 + middle));
        let context = Context { state, log_decay: None, ..context };
        let end = |log_decay| End { log_decay: Some(log_decay), steps: last - middle };
        if time < 2 {
            return Self { q, k, context, end: end(log_decay) };
        }
        let tracked = [q.device(), k.device(), log_decay.device()].iter().any(Device::is_autodiff);
        let (q, k) = (as_tracked(q, tracked), as_tracked(k, tracked));
        let g = as_tracked(cast(log_decay.clone(), q.dtype()), tracked);
        let steps: Vec<f64> = (0..time).map(|t| t as f64 - middle as f64).collect();
        let steps = TensorData::new(steps, [1, 1, time, 1]);
        let steps = Tensor::<4>::from_data(steps, (&q.device(), q.dtype()));
        let shift = g.reshape([1, heads, 1, d_k]) * steps;
        Self { q: q + shift.clone(), k: k - shift, context, end: end(log_decay) }
    }
}

/// A state some tokens later: `a + n g`, with the gradient of `g` through the sums.
fn aged(state: LogState, log_decay: &Tensor<2>, n: usize) -> LogState {
    if n == 0 {
        return state;
    }
    let [_, heads, d_k, _] = state.sizes();
    let tracked = state.packed.device().is_autodiff() || log_decay.device().is_autodiff();
    let g = as_tracked(cast(log_decay.clone(), state.packed.dtype()), tracked);
    let shift = g.reshape([1, heads, d_k, 1]) * n as f64;
    let Parts { mut sums, mut norm, key_max, value_max } = state.parts();
    if tracked {
        // One, with the slope of e^{n g}.
        let one = (shift.clone() - shift.clone().detach()).exp();
        sums = as_tracked(sums, true) * one.clone();
        norm = as_tracked(norm, true) * one;
    }
    let [key_max, value_max] = [key_max, value_max].map(|x| as_tracked(x, tracked));
    Parts { sums, norm, key_max: key_max + shift.detach(), value_max }.pack()
}

fn as_tracked<const D: usize>(x: Tensor<D>, tracked: bool) -> Tensor<D> {
    if tracked && !x.device().is_autodiff() { x.autodiff() } else { x }
}

fn cast<const D: usize>(x: Tensor<D>, dtype: DType) -> Tensor<D> {
    if x.dtype() == dtype {
        return x;
    }
    x.cast(if dtype == DType::F64 { FloatDType::F64 } else { FloatDType::F32 })
}
