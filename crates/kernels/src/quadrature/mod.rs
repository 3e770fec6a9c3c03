//! Weights that turn a sum over points into an integral, and attention into an operator on functions.
//!
//! ```text
//! ∫_D f ≈ Σ_j w_j f(y_j)      Σ_j w_j = |D|
//! (A u)(x) = ∫ e^{s(x, y)} v(y) dy / ∫ e^{s(x, y)} dy ≈ Σ_j w_j e^{s(x, y_j)} v(y_j) / Σ_j w_j e^{s(x, y_j)}
//! ```
//!
//! | function | points | order |
//! |---|---|---|
//! | [`trapezoid`] | given, sorted | 2 |
//! | [`midpoint`] | centres of equal cells | 2 |
//! | [`gauss_legendre`] | zeros of the Legendre polynomial | exact to degree `2n − 1` |
//! | [`monte_carlo`] | drawn independently and uniformly | ½ |
//! | [`cells`], [`voronoi`] | scattered on a line, in a rectangle | each stands for what is nearest to it |
//!
//! All are nonnegative, plain numbers in `f64`, in the order of the points. [`log_weights`] makes of
//! them what [`crate::softmax::KeyWeight::Log`] takes: attention needs no other code. Its result does
//! not change with a common factor of the weights.
//!
//! Source: Calvello et al. 2025, arXiv:2406.06486, for attention with trapezoid weights. Differs: the
//! other rules; nodes that turn back are an error.

mod error;
#[cfg(test)]
mod golden_tests;
mod line;
mod log_weights;
#[cfg(test)]
mod tests;
mod voronoi;

pub use error::QuadratureError;
pub use line::{Rule, cells, gauss_legendre, midpoint, monte_carlo, product, trapezoid};
pub use log_weights::log_weights;
pub use voronoi::voronoi;
