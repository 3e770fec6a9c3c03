//! Softmax attention with an additive log-weight per key.
//!
//! ```text
//! s[t, s'] = scale · q_t · k_s' + w_s'      P = softmax over s' of s      o_t = Σ_s' P[t, s'] v_s'
//! ```
//!
//! One argument `w` carries everything that weighs keys: quadrature weights (`w = ln ω`), the key
//! bias of Attention-BN (made and differentiated here where [`KeyWeight::Centred`] asks for it), and
//! padding (`w = −∞`). [`KeyMask`] says which keys a query sees by position: all, those up to its
//! own, or a window. A query whose keys are all blocked gets zeros,
//! and no gradient passes through it.
//!
//! [`attention_of_heads`] gives runs of heads keys of their own, of different number;
//! [`attention_of_parts`] reads queries, keys and values where one map has put them side by side.
//!
//! Three forms compute the same function: [`mod@reference`] from the definition, [`composed`] of Burn
//! operations on any device, and the fused form behind [`attention`] on the CPU.
//!
//! Source: Vaswani et al. 2017, §3.2.1 eq. (1), arXiv:1706.03762. Differs: `w`, and blocked rows.
//! Cost: `2 time_q time_k (d_k + d_v)` flops forward, `10 time_q time_k d_head` backward; memory
//! linear in time on the CPU.

mod backward;
mod centring;
mod composed;
mod forward;
mod fused;
#[cfg(test)]
mod heads_tests;
mod mask;
mod op;
mod part;
mod problem;
pub mod reference;
mod row;
mod scratch;
#[cfg(test)]
mod tests;

pub use composed::{composed, composed_of_heads, composed_weights};
pub(crate) use forward::{Inputs, forward_here};
pub use mask::KeyMask;
pub use op::{
    HeadKeys, KeyWeight, attention, attention_of_heads, attention_of_parts, self_attention,
};
pub use part::Part;
pub(crate) use problem::Problem;
