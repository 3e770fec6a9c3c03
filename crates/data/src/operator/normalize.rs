//! One mean and one deviation for all values of a set of functions.
//!
//! ```text
//! norm = (phys - mean) / (std + eps),    std = √(Σ (x - mean)² / n)
//! ```
//!
//! A mean per point would tie the statistics to one grid. Source: the experiments of Calvello et
//! al. 2025, arXiv:2406.06486.

use serde::{Deserialize, Serialize};

/// Added to the deviation, so that constant functions are not divided by zero.
const EPS: f64 = 1e-5;

/// What takes physical values to mean 0 and deviation 1, and back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScalarNormalization {
    /// Mean, in the unit of the values.
    pub mean: f64,
    /// Standard deviation of the population, in the unit of the values.
    pub std: f64,
}

impl ScalarNormalization {
    /// Measures values, which are to be of the training part alone.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn fit(values: &[f64]) -> Self {
        assert!(!values.is_empty(), "statistics need at least one value");
        let n = values.len() as f64;
        // Shifted by one of them, the mean of equal values is exact.
        let mean = values[0] + values.iter().map(|x| x - values[0]).sum::<f64>() / n;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        Self { mean, std: variance.sqrt() }
    }

    /// Normalises physical values.
    #[must_use]
    pub fn norm_from_phys(&self, x_phys: &[f64]) -> Vec<f64> {
        x_phys.iter().map(|x| (x - self.mean) / (self.std + EPS)).collect()
    }

    /// Turns normalised values back into physical ones.
    #[must_use]
    pub fn phys_from_norm(&self, x_norm: &[f64]) -> Vec<f64> {
        x_norm.iter().map(|x| x * (self.std + EPS) + self.mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_and_constants_become_zero() {
        // Mean 4, variance (9 + 1 + 1 + 9)/4 = 5.
        let fitted = ScalarNormalization::fit(&[1.0, 3.0, 5.0, 7.0]);
        assert_eq!((fitted.mean, fitted.std), (4.0, 5.0_f64.sqrt()));
        let norm = fitted.norm_from_phys(&[1.0, 7.0]);
        assert!((norm[1] - 3.0 / (5.0_f64.sqrt() + 1e-5)).abs() < 1e-15);
        for (back, x) in fitted.phys_from_norm(&norm).iter().zip([1.0, 7.0]) {
            assert!((back - x).abs() < 1e-15, "{back} {x}");
        }
        assert_eq!(ScalarNormalization::fit(&[0.1; 7]).norm_from_phys(&[0.1]), [0.0]);
    }
}
