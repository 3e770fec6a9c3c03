//! What is asked of the fused kernel: sizes, scale, mask.
#![expect(unsafe_code, reason = "reads the log-weights through raw views")]

use rayon::prelude::*;

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
    pub(crate) causal: bool,
}

impl Problem {
    /// How many keys query `t` sees: all, or those up to its own position, counted from the end.
    #[inline(always)]
    pub(super) fn visible_keys(&self, t: usize) -> usize {
        if self.causal { (t + 1 + self.time_k).saturating_sub(self.time_q) } else { self.time_k }
            .min(self.time_k)
    }

    /// The first query that sees key `s`.
    #[inline(always)]
    pub(super) fn first_query_seeing(&self, s: usize) -> usize {
        if self.causal { (s + self.time_q).saturating_sub(self.time_k) } else { 0 }
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

    /// Log-weights of `n` keys from `first`; the rest of `bias` blocks (−∞).
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
                let from = w.ptr.at(batch * w.strides[0] + head * w.strides[1] + first);
                for (i, key) in keys.iter_mut().enumerate() {
                    *key = unsafe { *from.add(i) };
                }
            }
        }
        rest.fill(S::NEG_INFINITY);
    }
}
