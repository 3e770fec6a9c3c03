//! The definition in several forms, on host numbers of one head in f64: slow and plain.
//!
//! Source: Heinsen 2024, eq. (1), (4), and (5) with (6), arXiv:2404.05843; the state starts empty, not
//! at the zero of eq. (7), with which the forms disagree.

/// Sizes of one head.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Queries.
    pub time_q: usize,
    /// Keys; as many as queries where causal.
    pub time_k: usize,
    /// Width of queries and keys.
    pub d_k: usize,
    /// Width of values.
    pub d_v: usize,
}

/// `ln Σ e^x`; `−∞` of nothing.
fn log_sum_exp(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = x.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + x.map(|x| (x - largest).exp()).sum::<f64>().ln()
}

/// Pairwise scores: `y_tj = LSE_s(A_ts + u_sj) − LSE_s A_ts`, `A_ts = LSE_i(q_ti + k_si)`, over the keys
/// for which `sees(t, s)`.
#[must_use]
pub fn quadratic(
    n: Sizes,
    [q, k, u]: [&[f64]; 3],
    sees: impl Fn(usize, usize) -> bool,
) -> Vec<f64> {
    let mut y = Vec::with_capacity(n.time_q * n.d_v);
    for (t, scores) in scores(n, [q, k], sees).iter().enumerate() {
        debug_assert!(t < n.time_q);
        let sum = log_sum_exp(scores.iter().map(|(_, a)| *a));
        y.extend((0..n.d_v).map(|j| {
            let numerator = log_sum_exp(scores.iter().map(|(s, a)| a + u[s * n.d_v + j]));
            if numerator == f64::NEG_INFINITY { numerator } else { numerator - sum }
        }));
    }
    y
}

/// The same weights on values of any sign; zero where no key is seen.
#[must_use]
pub fn quadratic_linear(
    n: Sizes,
    [q, k, v]: [&[f64]; 3],
    sees: impl Fn(usize, usize) -> bool,
) -> Vec<f64> {
    let mut o = Vec::with_capacity(n.time_q * n.d_v);
    for scores in scores(n, [q, k], sees) {
        let sum = log_sum_exp(scores.iter().map(|(_, a)| *a));
        o.extend(
            (0..n.d_v).map(|j| {
                scores.iter().map(|(s, a)| (a - sum).exp() * v[s * n.d_v + j]).sum::<f64>()
            }),
        );
    }
    o
}

/// `A_ts` of the keys that every query sees, with their place.
fn scores(
    n: Sizes,
    [q, k]: [&[f64]; 2],
    sees: impl Fn(usize, usize) -> bool,
) -> Vec<Vec<(usize, f64)>> {
    let score =
        |t: usize, s: usize| log_sum_exp((0..n.d_k).map(|i| q[t * n.d_k + i] + k[s * n.d_k + i]));
    let row = |t| (0..n.time_k).filter(|s| sees(t, *s)).map(|s| (s, score(t, s))).collect();
    (0..n.time_q).map(row).collect()
}

/// Sums over keys first: `ln S_tj = LSE_i(q_ti + LSE_s(k_si + u_sj))`, `ln Z_t = LSE_i(q_ti + LSE_s k_si)`,
/// with `s ≤ t` where causal.
#[must_use]
pub fn linearised(n: Sizes, [q, k, u]: [&[f64]; 3], causal: bool) -> Vec<f64> {
    let mut y = Vec::with_capacity(n.time_q * n.d_v);
    for t in 0..n.time_q {
        let keys = if causal { t + 1 } else { n.time_k };
        let key = |s: usize, i: usize| k[s * n.d_k + i];
        let inner = |i: usize| log_sum_exp((0..keys).map(|s| key(s, i)));
        let sum = log_sum_exp((0..n.d_k).map(|i| q[t * n.d_k + i] + inner(i)));
        for j in 0..n.d_v {
            let inner = |i: usize| log_sum_exp((0..keys).map(|s| key(s, i) + u[s * n.d_v + j]));
            y.push(log_sum_exp((0..n.d_k).map(|i| q[t * n.d_k + i] + inner(i))) - sum);
        }
    }
    y
}

/// Token by token: `H ← ln(e^H + e^{k + u})`, `H⁰ ← ln(e^{H⁰} + e^k)`.
#[must_use]
pub fn sequential(n: Sizes, qkv: [&[f64]; 3]) -> Vec<f64> {
    fading(n, qkv, &vec![0.0; n.d_k])
}

/// Token by token with a decay: `H ← ln(e^{H + g} + e^{k + u})`, `H⁰ ← ln(e^{H⁰ + g} + e^k)`.
#[must_use]
pub fn fading(n: Sizes, [q, k, u]: [&[f64]; 3], log_decay: &[f64]) -> Vec<f64> {
    let mut h = vec![f64::NEG_INFINITY; n.d_k * n.d_v];
    let mut h_z = vec![f64::NEG_INFINITY; n.d_k];
    let mut y = Vec::with_capacity(n.time_q * n.d_v);
    for t in 0..n.time_q {
        for i in 0..n.d_k {
            let (k, g) = (k[t * n.d_k + i], log_decay[i]);
            h_z[i] = log_sum_exp([h_z[i] + g, k].into_iter());
            for j in 0..n.d_v {
                let place = i * n.d_v + j;
                h[place] = log_sum_exp([h[place] + g, k + u[t * n.d_v + j]].into_iter());
            }
        }
        let query = |i: usize| q[t * n.d_k + i];
        let sum = log_sum_exp((0..n.d_k).map(|i| query(i) + h_z[i]));
        y.extend(
            (0..n.d_v).map(|j| log_sum_exp((0..n.d_k).map(|i| query(i) + h[i * n.d_v + j])) - sum),
        );
    }
    y
}
