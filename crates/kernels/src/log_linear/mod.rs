//! Attention with an exponential kernel: the cost per token does not depend on the length.
//!
//! ```text
//! A[t, s] = Σ_i e^{q_ti + k_si}          s ≤ t where causal
//! o_t = Σ_s A[t, s] v_s / Σ_s A[t, s]    v_s = e^{u_s}, y_t = ln o_t, or values of any sign
//! ```
//!
//! What keys and values leave behind has a fixed size: a maximum `a_i` per key channel, a maximum
//! `c_j` per value channel, and sums relative to them ([`LogState`]),
//!
//! ```text
//! Σ_s e^{k_si} v_sj = e^{a_i + c_j} M_ij          Σ_s e^{k_si} = e^{a_i} m_i
//! ```
//!
//! Within a chunk of tokens, products of matrices; between chunks, the state. With `a`, `c` the
//! maxima up to the end of the chunk, `b_t = max_i (q_ti + a_i)`, no exponent is positive:
//!
//! ```text
//! K̂ = e^{k − a}    V̂ = e^{u − c} or v    Q̂ = e^{q + a − b}    P = tril(Q̂ K̂ᵀ)
//! Ŝ = Q̂ M + P V̂    Ẑ = Q̂ m + P 1         y = c + ln Ŝ − ln Ẑ or o = Ŝ / Ẑ
//! M ← M + K̂ᵀ V̂     m ← m + K̂ᵀ 1
//! ```
//!
//! Going back, `ĝ = g / Ŝ` and `h = Σ_j g_j / Ẑ` (values of any sign: `ĝ = g / Ẑ`, `h = Σ_j ĝ_j o_j`),
//! and a state that runs backwards:
//!
//! ```text
//! D = tril(ĝ V̂ᵀ − h 1ᵀ)
//! ∂q = Q̂ ∘ (ĝ Mᵀ − h mᵀ + D K̂)    ∂k = K̂ ∘ (V̂ Rᵀ − 1 rᵀ + Dᵀ Q̂)    ∂u = V̂ ∘ (K̂ R + Pᵀ ĝ)
//! R ← R + Q̂ᵀ ĝ                    r ← r + Q̂ᵀ h
//! ```
//!
//! `M` and `m` are kept in f64. A chunk in which a `Ŝ` or `Ẑ` falls below `2^−80` is computed again
//! in f64, and a head in which one falls below `2^−900` by the recurrence of logarithms. A query that
//! sees no key gets `−∞`, or zero for values of any sign, and passes no gradient.
//!
//! Threads share batch and heads, and where these are few one long sequence: the states before its
//! sections are merged from what each leaves behind, `R` and `r` from what each asks.
//!
//! Four forms compute the same function: [`mod@reference`] from the definition, [`composed`] of Burn
//! operations on any device, the fused form behind [`attention`] on the CPU, and [`LogStream`] token
//! by token on plain numbers. A [decay](Context::log_decay) lets the past fade. [`positions`] is the
//! recurrence that gives tokens their place.
//!
//! Source: Heinsen 2024, eq. (1) to (6), arXiv:2404.05843; chunks as in Yang et al. 2024, §3,
//! arXiv:2312.06635. Differs: maxima per channel, values of any sign, states that start empty, padding,
//! several sequences in a row. Cost: `2 C (d_k + d_v) + 4 d_k d_v` flops per token and head forward
//! for chunks of `C`, of which about a third of the first term is left out; three times as many
//! backward. Memory linear in time.

mod backward;
mod composed;
mod decay;
mod forward;
mod head;
mod later;
mod op;
mod positions;
mod products;
pub mod reference;
mod setting;
mod stable;
mod state;
mod step;
mod tiles;

#[cfg(test)]
mod decay_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod positions_tests;
#[cfg(test)]
mod section_tests;
#[cfg(test)]
mod state_tests;
#[cfg(test)]
mod tests;

pub use composed::composed;
pub use op::{attention, attention_with_state};
pub use positions::{composed_positions, positions};
pub use setting::{Context, LogLinear, Values};
pub use state::LogState;
pub use step::LogStream;
