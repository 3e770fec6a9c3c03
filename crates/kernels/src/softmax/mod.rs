//! Softmax attention with an additive log-weight per key.
//!
//! ```text
//! s[t, s'] = scale · q_t · k_s' + w_s'      P = softmax over s' of s      o_t = Σ_s' P[t, s'] v_s'
//! ```
//!
//! One argument `w` carries everything that weighs keys: quadrature weights (`w = ln ω`), the key
//! bias of Attention-BN, and padding (`w = −∞`). A query whose keys are all blocked gets zeros,
//! and no gradient passes through it.
//!
//! Three forms compute the same function: [`mod@reference`] from the definition, [`composed`] of Burn
//! operations on any device, and the fused form behind [`attention`] on the CPU.
//!
//! Source: Vaswani et al. 2017, §3.2.1 eq. (1), arXiv:1706.03762. Differs: `w`, and blocked rows.
//! Cost: `2 time_q time_k (d_k + d_v)` flops forward, `10 time_q time_k d_head` backward; memory
//! linear in time on the CPU.

mod backward;
mod composed;
mod forward;
mod op;
mod problem;
pub mod reference;
#[cfg(test)]
mod tests;

pub use composed::composed;
pub(crate) use forward::{Inputs, forward_here};
pub use op::attention;
pub(crate) use problem::Problem;
