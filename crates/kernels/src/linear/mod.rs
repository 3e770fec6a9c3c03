//! Linear attention: softmax's exponential kernel replaced by a product of positive features.
//!
//! ```text
//! φ(x) = elu(x) + 1
//! o_t = Σ_s φ(q_t) · φ(k_s) v_s / Σ_s φ(q_t) · φ(k_s)     causal: s ≤ t
//!     = φ(q_t) S / φ(q_t) · z,   S = Σ_s φ(k_s) v_sᵀ,  z = Σ_s φ(k_s)
//! ```
//!
//! No scale and no stabiliser. A row whose keys are all blocked is zero and passes no gradient.
//!
//! [`attention`] never forms the scores: `S` of the whole sequence, or of the chunks before, and the
//! scores of one chunk of 64 rows. It is made of Burn operations, which differentiate themselves;
//! [`composed_weights`] forms the scores, and [`mod@reference`] follows the definition.
//!
//! Source: Katharopoulos et al. 2020, §3.2–3.4, arXiv:2006.16236. Differs: without the `ε` that
//! their code adds to the denominator. Cost: `4 time d_k d_v` flops per head; causal
//! `4 time d_k d_v + 2 · 64 time (d_k + d_v)`. Memory linear in time.

mod composed;
pub mod reference;
#[cfg(test)]
mod tests;

pub use composed::{attention, composed_weights, feature_map, weighted};
