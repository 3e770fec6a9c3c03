//! The definition, on host numbers in `f64`: slow and plain.

/// `y_t = Σ_j x_{t+j−h} W_j` of one series.
///
/// `x` is `[time, d_in]`, `weight` `[length, d_in, d_out]`, the result `[time, d_out]`, all row-major.
#[must_use]
pub fn convolution(x: &[f64], weight: &[f64], [length, d_in, d_out]: [usize; 3]) -> Vec<f64> {
    let time = x.len() / d_in;
    let mut y = vec![0.0; time * d_out];
    for t in 0..time {
        for j in 0..length {
            let Some(s) = (t + j).checked_sub(length / 2).filter(|&s| s < time) else { continue };
            for i in 0..d_in {
                for o in 0..d_out {
                    y[t * d_out + o] += x[s * d_in + i] * weight[(j * d_in + i) * d_out + o];
                }
            }
        }
    }
    y
}
