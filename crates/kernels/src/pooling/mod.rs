//! Means of groups of rows: the pooled tokens of scaled heads.
//!
//! ```text
//! y[b, g] = (1/n_bg) Σ_{t in g} m_bt x[b, t]      n_bg = Σ_{t in g} m_bt      m = 0 where blocked
//! ∂x[b, t] = m_bt ∂y[b, g(t)] / n_bg
//! ```
//!
//! [`Groups`] says which rows are averaged: windows of consecutive rows, or blocks of a grid.
//!
//! Source: average pooling of keys and values in Nguyen et al. 2023, "A Primal-Dual Framework for
//! Transformers and Neural Networks", ICLR, as far as its abstract and summaries tell. Cost: one pass
//! over `x` forward, one over `∂x` backward.

mod groups;
mod op;
pub mod reference;
#[cfg(test)]
mod tests;

pub use groups::Groups;
pub use op::{composed, pool};
