//! The definition, on host numbers in `f64`: slow and plain.

/// `α V` for one head of one sample; `alpha` is `[time_q, time_k]`, `v` is `[time_k, d]`.
#[must_use]
pub fn mix(alpha: &[f64], v: &[f64], time_k: usize, d: usize) -> Vec<f64> {
    let mut out = vec![0.0; alpha.len() / time_k * d];
    for (row, alpha) in out.chunks_exact_mut(d).zip(alpha.chunks_exact(time_k)) {
        for (a, v) in alpha.iter().zip(v.chunks_exact(d)) {
            for (out, v) in row.iter_mut().zip(v) {
                *out += a * v;
            }
        }
    }
    out
}
