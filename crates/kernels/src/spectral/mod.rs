//! Fourier multipliers with few modes: a periodic convolution of a field, given by its first
//! frequencies.
//!
//! ```text
//! X[f, k] = Σ_{r, c} x[r, c] e^{−2πi (f r / R + k c / C)}      Y[f, k] = X[f, k] W[f, k]
//! y[r, c] = (1 / RC) Re Σ_k α_k Σ_f Y[f, k] e^{2πi (f r / R + k c / C)}
//! α_k = 1 for k = 0 and k = C/2, else 2
//! ```
//!
//! Columns count `k = 0, 1, …`; rows `f = 0, 1, …, −2, −1`, half of them from either end. Rows that both
//! ends would take, where the grid has fewer of them than modes, belong to the second half. This is a
//! transform of the whole grid, a product, and an inverse transform in which columns `0` and `C/2` are
//! read as real. Multipliers do not depend on the resolution. With `g` the transform of `∂y`, times
//! `α_k / RC`, `∂X = g W*`, `∂W = Σ_batch X* g`, and `∂x` is the inverse transform of `∂X` with `α = RC`.
//!
//! As few modes are wanted, the transforms are products with real matrices, of any length ([`mod@reference`]
//! sums from the definition, [`composed`] uses Burn's products). The fused form first adds and subtracts
//! what lies opposite (`r` and `R − r`), which halves the products with cosines and with sines, and
//! shares both between `f` and `−f`. Then each mode has one product over batch and channels.
//!
//! Cost: [`multiply_adds`]; grows as points times modes along an axis, where a fast transform grows as
//! points times their logarithm. Many modes of few channels go through fast transforms instead, by times that were
//! measured. Saves the modes of `x`, not `x`.
//!
//! Source: Li et al. 2021, §4, arXiv:2010.08895; rows, columns and overlap as in the program of Calvello et
//! al. 2025, arXiv:2406.06486.

mod composed;
mod cost;
mod fast;
#[cfg(test)]
mod golden_tests;
mod grid;
mod op;
mod product;
pub mod reference;
mod transform;
mod waves;

pub use composed::composed;
pub use cost::multiply_adds;
pub use grid::truncate;
pub use op::{spectral, spectral_line};
#[cfg(test)]
mod tests;
