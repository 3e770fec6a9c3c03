//! The definition, on host numbers in `f64`: slow and plain.

/// Linear attention of one head: `q` is `[time_q, d_k]`, `k` is `[time_k, d_k]`, `v` is `[time_k, d_v]`;
/// keys that are not `seen` have no weight. Causal needs as many queries as keys.
#[must_use]
pub fn attention(
    [q, k, v]: [&[f64]; 3],
    [d_k, d_v]: [usize; 2],
    seen: &[bool],
    causal: bool,
) -> Vec<f64> {
    let phi = |x: f64| if x > 0.0 { x + 1.0 } else { x.exp() };
    let mut out = Vec::new();
    for (t, q) in q.chunks_exact(d_k).enumerate() {
        let weight = |(s, k): (usize, &[f64])| {
            let hidden = !seen[s] || causal && s > t;
            let dot = q.iter().zip(k).map(|(q, k)| phi(*q) * phi(*k)).sum();
            if hidden { 0.0 } else { dot }
        };
        let weights: Vec<f64> = k.chunks_exact(d_k).enumerate().map(weight).collect();
        let sum: f64 = weights.iter().sum();
        for j in 0..d_v {
            let mixed: f64 = weights.iter().zip(v.chunks_exact(d_v)).map(|(w, v)| w * v[j]).sum();
            out.push(if sum == 0.0 { 0.0 } else { mixed / sum });
        }
    }
    out
}
