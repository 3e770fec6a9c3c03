//! A convolution along time that keeps the length, as one operation.
//!
//! ```text
//! y_t = Σ_j x_{t+j−h} W_j      j < length = 2h + 1, rows outside the series are zero
//! ∂x_t = Σ_j ∂y_{t+j−h} W_{length−1−j}ᵀ      ∂W_j = Σ_t x_{t+j−h}ᵀ ∂y_t
//! ```
//!
//! With zeros at both ends, rows `t … t + length − 1` of a series stand one behind the other in
//! memory, so each of the three sums is a product whose left factor has overlapping rows: nothing is
//! unfolded. Threads share the batch, in chunks of a fixed size.
//!
//! Cost: `2 length d_in d_out` flops per row forward, twice that backward; saves nothing but its
//! inputs.

mod op;
pub mod reference;

pub use op::{composed, convolution};
#[cfg(test)]
mod tests;
