//! A linear map of the last axis with bias and activation, as one operation.
//!
//! ```text
//! y = a(z), z = x W + bias      dz = ∂y ∘ a'(z)
//! ∂x = dz Wᵀ      ∂W = Σ_rows xᵀ dz      ∂bias = Σ_rows dz
//! ```
//!
//! All positions of a batch form one matrix, so that `∂W` is one product. Cost: `2 rows d_in
//! d_out` flops forward, twice that backward; saves `x` and, for GELU, the slope.

mod heads;
mod op;
mod product;
pub mod reference;
mod weight_gradient;

pub use heads::{from_heads, to_heads};
pub use op::{MAX_MAPS, affine, composed, side_by_side};
pub(crate) use product::Packed;
#[cfg(test)]
mod heads_tests;
#[cfg(test)]
mod tests;
