//! What is asked of the fused kernel: sizes, scale, mask.
#![expect(unsafe_code, reason = "reads the log-weights through raw views")]

use std::ops::Range;

use rayon::prelude::*;

use super::KeyMask;
use crate::cpu::simd::Scalar;
use crate::cpu::view::View;

/// Below this many multiply-adds a task is not worth a thread.
const SERIAL: usize = 1 << 16;

/// One attention problem, without data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    pub(crate) time_q: usize,
    pub(crate) time_k: usize,
    pub(crate) d_k: usize,
    pub(crate) d_v: usize,
    pub(crate) scale: f64,
    pub(crate) mask: KeyMask,
    /// Heads in a row of the result, of which `heads` are meant.
    pub(crate) row_heads: usize,
}

impl Problem {
    /// The keys that query `t` sees; neither end moves back as `t` grows.
    #[inline(always)]
    pub(super) fn visible_keys(&self, t: usize) -> Range<usize> {
        self.mask.visible_keys(t, [self.time_q, self.time_k])
    }

    /// At least the queries that see any of the keys in `keys`, which is not empty.
    #[inline(always)]
    pub(super) fn queries_seeing(&self, keys: Range<usize>) -> Range<usize> {
        match self.mask {
            KeyMask::All => 0..self.time_q,
            KeyMask::Causal => (keys.start + self.time_q).saturating_sub(self.time_k)..self.time_q,
            KeyMask::Window { reach, rate } => {
                let first = keys.start.saturating_sub(reach).saturating_mul(rate);
                let end = keys.end.saturating_add(reach).saturating_mul(rate);
                first.min(self.time_q)..end.min(self.time_q)
            }
        }
    }

    /// Calls `f(batch, head, i)` for all heads and `i < per_head`, on all threads if it pays.
    pub(super) fn for_each_task(&self, per_head: usize, f: impl Fn(usize, usize, usize) + Sync) {
        let heads = self.batch * self.heads;
        let tasks = heads * per_head;
        let call = |i: usize| f(i % heads / self.heads, i % heads % self.heads, i / heads);
        let work = heads * self.time_q * self.time_k * (self.d_k + self.d_v);
        if work < SERIAL || tasks < 2 {
            (0..tasks).for_each(call);
        } else {
            (0..tasks).into_par_iter().with_max_len(1.max(tasks / 64)).for_each(call);
        }
    }

    /// Log-weights of `n` keys from `first`, in units of `ln 2`; the rest of `bias` blocks (−∞).
    #[inline(always)]
    pub(super) fn key_bias<S: Scalar>(
        log_weight: Option<&View<S, 3>>,
        [batch, head]: [usize; 2],
        first: usize,
        n: usize,
        bias: &mut [S],
    ) {
        let (keys, rest) = bias.split_at_mut(n);
        match log_weight {
            None => keys.fill(S::ZERO),
            Some(w) => {
                let log2_e = S::from_f64(std::f64::consts::LOG2_E);
                let from = w.ptr.at(batch * w.strides[0] + head * w.strides[1] + first);
                for (i, key) in keys.iter_mut().enumerate() {
                    *key = unsafe { *from.add(i) }.mul(log2_e);
                }
            }
        }
        rest.fill(S::NEG_INFINITY);
    }
}
