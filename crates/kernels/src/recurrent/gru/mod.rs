//! A layer of gated recurrent units over a whole sequence, as one operation.
//!
//! ```text
//! [u_r u_z u_n] = x_t W_x + b_x      [v_r v_z v_n] = h_{t-1} W_h + b_h
//! r = σ(u_r + v_r)      z = σ(u_z + v_z)      n = tanh(u_n + r ⊙ v_n)
//! h_t = (1 − z) ⊙ n + z ⊙ h_{t-1}
//!
//! back in time, from dh (what step t + 1 returns, plus ∂h_t):
//! dn = dh ⊙ (1−z) ⊙ (1−n²)      dr = dn ⊙ v_n ⊙ r(1−r)      dz = dh ⊙ (h_{t-1} − n) ⊙ z(1−z)
//! du = [dr dz dn]      dv = [dr dz dn⊙r]      ∂x_t = du W_xᵀ      dh ← dh ⊙ z + dv W_hᵀ
//! ∂W_x = Σ x_tᵀ du      ∂b_x = Σ du      ∂W_h = Σ h_{t-1}ᵀ dv      ∂b_h = Σ dv
//! ```
//!
//! The reset gate `r` acts on the product with the hidden state, as in PyTorch, and not on the hidden
//! state itself, so that one product per step has all three columns.
//!
//! Threads share the batch, in chunks of a fixed size. The backward pass gathers a few steps and
//! takes their weight gradients as two products while they are in cache.
//!
//! Source: Cho et al. 2014, §2.3, arXiv:1406.1078; the form with `r` behind the product is that of
//! `torch.nn.GRU`. Cost: `6 d_hidden (d_in + d_hidden)` flops per step forward, twice that backward;
//! saves `r`, `z`, `n` and `v_n`, `4 batch time d_hidden` numbers beside input and result.

mod backward;
mod forward;
mod op;
pub mod reference;

pub use op::{composed, gru};
#[cfg(test)]
mod tests;
