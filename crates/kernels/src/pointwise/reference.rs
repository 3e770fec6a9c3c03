//! The definitions, on host rows in `f64`: slow and plain.

/// Layer norm of one row.
#[must_use]
pub fn layer_norm(row: &[f64], gamma: &[f64], beta: &[f64], eps: f64) -> Vec<f64> {
    let n = row.len() as f64;
    let mean = row.iter().sum::<f64>() / n;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / (variance + eps).sqrt();
    (0..row.len()).map(|i| gamma[i] * (row[i] - mean) * scale + beta[i]).collect()
}

/// `Φ(x)` by Simpson's rule on the density from 0 to `x`.
#[must_use]
pub fn normal_cdf(x: f64) -> f64 {
    let steps = 2000;
    let h = x / f64::from(steps);
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let sum: f64 = (0..=steps)
        .map(|i| {
            let weight = if i == 0 || i == steps {
                1.0
            } else if i % 2 == 1 {
                4.0
            } else {
                2.0
            };
            weight * density(f64::from(i) * h)
        })
        .sum();
    0.5 + sum * h / 3.0
}

/// Exact GELU.
#[must_use]
pub fn gelu(x: f64) -> f64 {
    x * normal_cdf(x)
}

/// Mean and maximum of neighbouring features of one row.
#[must_use]
pub fn pair_pool(row: &[f64]) -> Vec<f64> {
    let pairs = row.chunks_exact(2);
    let means = pairs.clone().map(|p| f64::midpoint(p[0], p[1]));
    means.chain(pairs.map(|p| p[0].max(p[1]))).collect()
}
