//! The definition, loop by loop, on host numbers in `f64`: slow and plain.

use super::KeyMask;

/// Sizes of one problem: `q` is `[batch·heads, time_q, d_k]`, `k` and `v` have `time_k` rows.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Batch times heads.
    pub heads: usize,
    /// Queries.
    pub time_q: usize,
    /// Keys.
    pub time_k: usize,
    /// Width of queries and keys.
    pub d_k: usize,
    /// Width of values.
    pub d_v: usize,
}

/// Attention by the definition; `log_weight` is `[batch·heads, time_k]`.
///
/// # Panics
/// If a slice is shorter than its sizes say.
#[must_use]
pub fn attention(
    n: Sizes,
    [q, k, v]: [&[f64]; 3],
    log_weight: Option<&[f64]>,
    scale: f64,
    mask: KeyMask,
) -> Vec<f64> {
    let mut out = vec![0.0; n.heads * n.time_q * n.d_v];
    for h in 0..n.heads {
        for t in 0..n.time_q {
            let score = |s: usize| {
                let seen = match mask {
                    KeyMask::All => true,
                    KeyMask::Causal => s + n.time_q <= t + n.time_k,
                    KeyMask::Window { reach, rate } => s.abs_diff(t / rate) <= reach,
                };
                let dot: f64 = (0..n.d_k)
                    .map(|j| q[(h * n.time_q + t) * n.d_k + j] * k[(h * n.time_k + s) * n.d_k + j])
                    .sum();
                let w = log_weight.map_or(0.0, |w| w[h * n.time_k + s]);
                if seen { scale * dot + w } else { f64::NEG_INFINITY }
            };
            let scores: Vec<f64> = (0..n.time_k).map(score).collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if max == f64::NEG_INFINITY {
                continue;
            }
            let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for (s, weight) in weights.iter().enumerate() {
                for j in 0..n.d_v {
                    out[(h * n.time_q + t) * n.d_v + j] +=
                        weight / sum * v[(h * n.time_k + s) * n.d_v + j];
                }
            }
        }
    }
    out
}

/// The key bias of centring, `w_s = −β scale μ · k_s` with `μ` the mean of the keys that are `seen`;
/// −∞ for the others. `k` is `[heads, time_k, d_k]`, `beta` has one number per head.
#[must_use]
pub fn centring(
    [heads, time_k, d_k]: [usize; 3],
    k: &[f64],
    beta: &[f64],
    scale: f64,
    seen: &[bool],
) -> Vec<f64> {
    let mut w = vec![f64::NEG_INFINITY; heads * time_k];
    let n = seen.iter().filter(|seen| **seen).count() as f64;
    for h in 0..heads {
        let key = |s: usize, j: usize| k[(h * time_k + s) * d_k + j];
        let all = || (0..time_k).filter(|s| seen[*s]);
        for s in all() {
            let dot = |j: usize| key(s, j) * all().map(|other| key(other, j)).sum::<f64>() / n;
            w[h * time_k + s] = -beta[h] * scale * (0..d_k).map(dot).sum::<f64>();
        }
    }
    w
}
