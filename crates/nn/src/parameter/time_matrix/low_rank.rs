//! Products of two thin matrices.
//!
//! ```text
//! α = U Vᵀ,   U [rows, k],   V [cols, k]       stored one above the other, [rows + cols, k]
//! ```
//!
//! Cost: `(rows + cols) k d` multiply-adds instead of `rows · cols · d`. Ours, not the paper's.

use burn::tensor::Tensor;

use super::{Size, Weights, newest};

/// An entry is a sum of `rank` products: `(entry²/3) = rank (bound²/3)²`.
pub(super) fn bound(entry: f64, rank: usize) -> f64 {
    (3.0 * entry * entry / rank as f64).sqrt().sqrt()
}

pub(super) fn weights(stored: Tensor<3>, [rows, cols]: Size) -> Weights {
    let left = stored.clone().narrow(1, 0, rows);
    Weights::product(left, stored.narrow(1, rows, cols).swap_dims(1, 2))
}

/// The newest rows of both matrices.
pub(super) fn resized(stored: Tensor<3>, [rows, cols]: Size, to: Size) -> Tensor<3> {
    let left = newest(stored.clone().narrow(1, 0, rows), 1, to[0]);
    let right = newest(stored.narrow(1, rows, cols), 1, to[1]);
    Tensor::cat(vec![left, right], 1)
}
