//! Static score matrices times values: mixing along time with learned weights.
//!
//! ```text
//! h[b, i] = α_i v[b, i]      ∂α_i = Σ_b g[b, i] v[b, i]ᵀ      ∂v[b, i] = α_iᵀ g[b, i]
//! ```
//!
//! Source: Sanchis-Agudo et al. 2023, arXiv:2308.12874 (easy attention; the scores do not depend
//! on the input). Cost: `2 batch heads time_q time_k d_head` flops forward, twice that backward;
//! saves `α` and `v`. Scores that are zero outside a band or above the diagonal cost what their
//! [`Reach`] holds.

mod op;
pub mod reference;
mod spread;

pub use op::{Reach, composed, mix, mix_within};
pub use spread::{Lookup, composed_spread, spread};
#[cfg(test)]
mod tests;
