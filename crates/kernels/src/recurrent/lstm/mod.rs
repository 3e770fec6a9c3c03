//! A long short-term memory layer over a whole sequence, as one operation.
//!
//! ```text
//! [i f o g] = x_t W_x + h_{t-1} W_h + b          i, f, o through σ, g through tanh
//! c_t = f ⊙ c_{t-1} + i ⊙ g      h_t = o ⊙ tanh(c_t)
//!
//! back in time, from dh (what step t + 1 returns, plus ∂h_t) and dc (what it returns):
//! dc += dh ⊙ o ⊙ (1 − tanh²(c_t))
//! dz = [dc ⊙ g ⊙ i(1−i)   dc ⊙ c_{t-1} ⊙ f(1−f)   dh ⊙ tanh(c_t) ⊙ o(1−o)   dc ⊙ i ⊙ (1−g²)]
//! dc ← dc ⊙ f      dh ← dz W_hᵀ      ∂x_t = dz W_xᵀ
//! ∂W_x = Σ x_tᵀ dz      ∂W_h = Σ h_{t-1}ᵀ dz      ∂b = Σ dz
//! ```
//!
//! The three sigmoids stand side by side, then `g`; PyTorch orders the columns `i f g o`.
//!
//! Threads share the batch, in chunks of a fixed size; within a chunk, input and hidden state
//! stand side by side, so that a step is one product with the stacked weights, packed once. The
//! backward pass gathers a few steps and takes their weight gradient as one product while they are
//! in cache.
//!
//! Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000.
//! Cost: `8 d_hidden (d_in + d_hidden)` flops per step forward, twice that backward; saves the
//! gates and cells, `5 batch time d_hidden` numbers beside input and result.

mod backward;
mod forward;
mod op;
pub mod reference;
mod sizes;

pub(super) use backward::{slope_of_sigmoid, slope_of_tanh, sum_of_parts, tensor};
pub use op::{LstmState, composed, lstm, lstm_with_state};
pub(super) use sizes::Sizes;
#[cfg(test)]
mod tests;
