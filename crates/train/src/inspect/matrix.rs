//! What singular values, signs and eigenvalues say about a score matrix, in `f64`.
//!
//! ```text
//! r99 = least k with Σ_{j≤k} σ_j² ≥ 0.99 Σ σ²        effective rank: regard_nn::theory::spectrum
//! ```

use faer::MatRef;
use regard_nn::theory::spectrum::effective_rank;
use serde::Serialize;

/// Part of the energy that `r99` holds.
const ENERGY: f64 = 0.99;

/// Singular values and signs of a matrix, or their means over several.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatrixStats {
    /// `σ_1`, the largest gain `‖M v‖ / ‖v‖`.
    pub largest: f64,
    /// `σ_k / σ_1`, from 1 downwards.
    pub decay: Vec<f64>,
    /// Effective rank, from 1 to the size of the matrix; 0 for a matrix of zeros.
    pub effective_rank: f64,
    /// Least number of singular values that hold 99 % of `Σ σ²`.
    pub r99: f64,
    /// Part of the entries below zero.
    pub negative: f64,
}

/// An eigenvalue as growth and turning per step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Eigenvalue {
    /// `|λ|`.
    pub modulus: f64,
    /// `|arg λ| / (2π dt)`: cycles per unit of time, or per step where `dt` is not known.
    pub frequency: f64,
    /// `Re λ`.
    pub re: f64,
    /// `Im λ`.
    pub im: f64,
}

impl MatrixStats {
    /// Of a matrix, row after row; `None` if it holds a number that is not finite.
    pub(super) fn of(values: &[f64], [rows, cols]: [usize; 2]) -> Option<Self> {
        let sigma = singular_values(values, rows, cols)?;
        let largest = sigma.first().copied().unwrap_or(0.0);
        let energy: f64 = sigma.iter().map(|s| s * s).sum();
        let mut held = 0.0;
        let short = sigma.iter().take_while(|s| {
            let is_short = held < ENERGY * energy;
            held += *s * *s;
            is_short
        });
        let scale = if largest > 0.0 { largest } else { 1.0 };
        Some(Self {
            largest,
            r99: short.count() as f64,
            effective_rank: effective_rank(&sigma),
            decay: sigma.iter().map(|s| s / scale).collect(),
            negative: values.iter().filter(|x| **x < 0.0).count() as f64 / values.len() as f64,
        })
    }

    /// The mean of every figure; `None` of none.
    pub(super) fn mean(all: &[Self]) -> Option<Self> {
        let first = all.first()?;
        let mean = |f: &dyn Fn(&Self) -> f64| all.iter().map(f).sum::<f64>() / all.len() as f64;
        Some(Self {
            largest: mean(&|s| s.largest),
            decay: (0..first.decay.len()).map(|k| mean(&|s| s.decay[k])).collect(),
            effective_rank: mean(&|s| s.effective_rank),
            r99: mean(&|s| s.r99),
            negative: mean(&|s| s.negative),
        })
    }
}

/// In decreasing order; `None` if a number is not finite.
fn singular_values(values: &[f64], rows: usize, cols: usize) -> Option<Vec<f64>> {
    if values.iter().any(|x| !x.is_finite()) {
        return None;
    }
    MatRef::from_row_major_slice(values, rows, cols).singular_values().ok()
}

/// `‖M‖₂`; NaN if the matrix holds a number that is not finite.
pub(super) fn spectral_norm(values: &[f64], rows: usize, cols: usize) -> f64 {
    let values = singular_values(values, rows, cols);
    values.map_or(f64::NAN, |sigma| sigma.first().copied().unwrap_or(0.0))
}

/// One of each conjugate pair, the largest first; empty if a number is not finite.
pub(super) fn eigenvalues(values: &[f64], size: usize, dt: f64) -> Vec<Eigenvalue> {
    if values.iter().any(|x| !x.is_finite()) {
        return Vec::new();
    }
    let found = MatRef::from_row_major_slice(values, size, size).eigenvalues();
    let mut found: Vec<Eigenvalue> = found
        .unwrap_or_default()
        .into_iter()
        .filter(|z| z.im >= 0.0)
        .map(|z| Eigenvalue {
            modulus: z.re.hypot(z.im),
            frequency: z.im.atan2(z.re).abs() / (std::f64::consts::TAU * dt),
            re: z.re,
            im: z.im,
        })
        .collect();
    found.sort_by(|a, b| b.modulus.total_cmp(&a.modulus));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_diagonal_matrix_are_those_computed_by_hand() {
        // σ = 4, 2, 2, 0: p = ½, ¼, ¼; entropy ½ ln 2 + ½ ln 4 = 1.5 ln 2; energy 16 + 4 + 4.
        let mut values = vec![0.0; 16];
        for (i, x) in [2.0, -4.0, 0.0, 2.0].into_iter().enumerate() {
            values[i * 4 + i] = x;
        }
        let stats = MatrixStats::of(&values, [4; 2]).unwrap();
        assert!((stats.largest - 4.0).abs() < 1e-14);
        assert!((stats.effective_rank - 2.0_f64.powf(1.5)).abs() < 1e-12);
        assert!((stats.r99 - 3.0).abs() < 1e-14);
        assert!((stats.negative - 1.0 / 16.0).abs() < 1e-14);
        for (found, expected) in stats.decay.iter().zip([1.0, 0.5, 0.5, 0.0]) {
            assert!((found - expected).abs() < 1e-14);
        }
    }

    #[test]
    fn a_matrix_of_equal_rows_has_rank_one() {
        let row = [0.1, 0.7, 0.2];
        let stats = MatrixStats::of(&row.repeat(3), [3; 2]).unwrap();
        assert!((stats.effective_rank - 1.0).abs() < 1e-6, "{}", stats.effective_rank);
        assert!((stats.r99 - 1.0).abs() < 1e-14);
        let zero = MatrixStats::of(&[0.0; 9], [3; 2]).unwrap();
        assert!(zero.effective_rank.abs() < 1e-14 && zero.r99.abs() < 1e-14);
        assert!(MatrixStats::of(&[f64::NAN; 9], [3; 2]).is_none());
    }

    #[test]
    fn a_rotation_turns_at_its_own_frequency() {
        // 0.9 times a rotation by 2π·3 Hz·0.01 s per step.
        let angle = std::f64::consts::TAU * 3.0 * 0.01;
        let (c, s) = (0.9 * angle.cos(), 0.9 * angle.sin());
        let found = eigenvalues(&[c, -s, s, c], 2, 0.01);
        let [one] = found.as_slice() else { panic!("one of the pair: {found:?}") };
        assert!((one.modulus - 0.9).abs() < 1e-12 && (one.frequency - 3.0).abs() < 1e-10);
        assert!((spectral_norm(&[c, -s, s, c], 2, 2) - 0.9).abs() < 1e-12);
    }
}
