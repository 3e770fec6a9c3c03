//! The definition, loop by loop, on host numbers in `f64`: slow and plain.

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
    causal: bool,
) -> Vec<f64> {
    let mut out = vec![0.0; n.heads * n.time_q * n.d_v];
    for h in 0..n.heads {
        for t in 0..n.time_q {
            let score = |s: usize| {
                let future = causal && s + n.time_q > t + n.time_k;
                let dot: f64 = (0..n.d_k)
                    .map(|j| q[(h * n.time_q + t) * n.d_k + j] * k[(h * n.time_k + s) * n.d_k + j])
                    .sum();
                let w = log_weight.map_or(0.0, |w| w[h * n.time_k + s]);
                if future { f64::NEG_INFINITY } else { scale * dot + w }
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
