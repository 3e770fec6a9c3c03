//! How many singular values of a matrix count.
//!
//! ```text
//! effective rank = exp(−Σ p_k ln p_k),   p_k = σ_k / Σ σ
//! ```
//!
//! Source: Roy & Vetterli 2007, EUSIPCO, §3.

/// The effective rank, from 1 to the number of singular values; 0 if all are zero.
#[must_use]
pub fn effective_rank(sigma: &[f64]) -> f64 {
    let sum: f64 = sigma.iter().sum();
    let entropy = |s: &f64| if *s > 0.0 { -(s / sum) * (s / sum).ln() } else { 0.0 };
    if sum > 0.0 { sigma.iter().map(entropy).sum::<f64>().exp() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_count_fully_and_others_by_their_share() {
        assert!((effective_rank(&[3.0; 5]) - 5.0).abs() < 1e-13);
        // p = ½, ¼, ¼; entropy ½ ln 2 + ½ ln 4 = 1.5 ln 2.
        assert!((effective_rank(&[4.0, 2.0, 2.0, 0.0]) - 2.0_f64.powf(1.5)).abs() < 1e-13);
        assert!(effective_rank(&[0.0, 0.0]).abs() < 1e-15);
    }
}
