//! Matrices from smooth functions of the position in the window, for windows of any length.
//!
//! ```text
//! α[r, c] = (1/cols) Σ_kl φ_k(x_r) C[k, l] φ_l(x_c),      x_t = (t + ½)/p in (0, 1)
//! cosine:   φ_0 = 1,  φ_k(x) = √2 cos(π k x)
//! legendre: φ_k(x) = √(2k + 1) P_k(2x − 1)
//! ```
//!
//! `α` is an integral kernel over relative time: the factor `1/cols` is the width of a step, so
//! that a window of the same duration with other sampling gives about the same result. Both sets
//! are orthonormal on `[0, 1]`; cosines also at the points `x_t` (they are the DCT-II), so that
//! for cosines `‖α‖_F = ‖C‖_F` and, with `K = p`, `α` is a rotated dense matrix.
//!
//! Cost: `2 p K d` multiply-adds, and `heads · p K²` for `Φ C`. Ours, not the paper's.

use std::f64::consts::{PI, SQRT_2};

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{Size, Weights};

/// Smooth functions on a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Cosines, `√2 cos(π k x)`: level at both ends of the window.
    #[default]
    Cosine,
    /// Legendre polynomials: finest at both ends of the window.
    Legendre,
}

/// An entry is `1/cols` times a sum of `n²` products with functions of mean square one.
pub(super) fn bound(entry: f64, n: usize, cols: usize) -> f64 {
    entry * cols as f64 / n as f64
}

impl Basis {
    pub(super) fn weights(self, stored: Tensor<3>, [rows, cols]: Size) -> Weights {
        let [heads, n, _] = stored.dims();
        let left = self.functions(n, rows, &stored).matmul(stored.clone()) / cols as f64;
        let right = self.functions(n, cols, &stored).swap_dims(1, 2);
        Weights::product(left, right.expand([heads, n, cols]))
    }

    /// `Φ`, `[1, steps, n]`, on the device of `like`.
    pub(crate) fn functions(self, n: usize, steps: usize, like: &Tensor<3>) -> Tensor<3> {
        let position = |t: usize| (t as f64 + 0.5) / steps as f64;
        let values: Vec<f64> = (0..steps).flat_map(|t| self.at(n, position(t))).collect();
        Tensor::from_data(TensorData::new(values, [1, steps, n]), (&like.device(), like.dtype()))
    }

    /// The first `n` functions at `x`.
    fn at(self, n: usize, x: f64) -> Vec<f64> {
        match self {
            Self::Cosine => (0..n)
                .map(|k| if k == 0 { 1.0 } else { SQRT_2 * (PI * k as f64 * x).cos() })
                .collect(),
            Self::Legendre => {
                let y = 2.0 * x - 1.0;
                let (mut before, mut current) = (0.0, 1.0);
                let mut values = Vec::with_capacity(n);
                for k in 0..n {
                    let k = k as f64;
                    values.push((2.0 * k + 1.0).sqrt() * current);
                    // (k + 1) P_{k+1} = (2k + 1) y P_k − k P_{k−1}
                    let next = ((2.0 * k + 1.0) * y * current - k * before) / (k + 1.0);
                    (before, current) = (current, next);
                }
                values
            }
        }
    }
}
