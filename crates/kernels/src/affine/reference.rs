//! The definition, on host numbers in `f64`: slow and plain.

/// `x W + bias` for one row.
#[must_use]
pub fn affine_row(x: &[f64], weight: &[f64], bias: Option<&[f64]>, d_out: usize) -> Vec<f64> {
    (0..d_out)
        .map(|j| {
            let sum: f64 = x.iter().enumerate().map(|(i, x)| x * weight[i * d_out + j]).sum();
            sum + bias.map_or(0.0, |b| b[j])
        })
        .collect()
}
