//! The cell of the linear attention recurrent neural network over a whole sequence.
//!
//! ```text
//! q = ELU([x_t h] W_q + b_q)                                  h, c: hidden state and cell before t
//! u_j = N(ELU([c_j pos(age of c_j)] W_k + b_k)), v_j likewise  the last n ≤ window cells c_j
//! p = softmax_j(q · u_j / √d_head) per head      r = Σ_j p_j v_j
//! a = N(ELU(r W_o + b_o))
//! [g f i o] = [x_t h a] W + b                                  g through tanh, f, i, o through σ
//! c_t = N(g ⊙ i + c ⊙ f)      h_t = N(o ⊙ ELU(c_t))
//! ```
//!
//! The normalised `c_t` is what later steps attend to and go on from. `N` is a batch norm whose
//! statistics are taken at each step, a layer norm, a norm with given statistics, or nothing; keys
//! and values have one each, over the rows of the window. A sequence starts with one zero cell,
//! which is attended to like any other until it has left the window. Dropout may act on the attention
//! weights, on cells and positions before they become keys and values, and on the result.
//!
//! The fused form projects each cell once, when it is pushed; positions are added to the projections
//! by age. Norms of keys and values are folded into query and read-out: what shifts all keys cancels
//! in the softmax, and their moments follow from those of the slots. Sixteen rows of the batch lie
//! side by side in the lanes of the registers; a team of threads goes through the phases between
//! two statistics. Weight gradients are long products after the way back.
//!
//! Source: Chevalier 2018, arXiv:1808.05578, and the author's PyTorch cell, whose unused norm of the
//! gates is left out. Differs: keys and values have a norm each. Cost per step and row, in
//! multiply-adds: `4d (d_in + 2d) + d (d_in + d) + 3d²` for the products and `2 d` per cell of the
//! window, twice that on the way back; keeps `11 d + n_heads window` numbers.

mod attention;
mod backward;
mod backward_step;
mod backward_window;
mod composed;
mod dropout;
mod forward;
mod fused;
mod lanes;
mod moments;
mod op;
mod plan;
mod prepare;
mod products;
pub mod reference;
mod setting;
mod statistics;
mod stream;
mod team;

pub use composed::composed;
pub use dropout::{Dropout, DropoutMasks, HashedDropout};
pub use moments::{Moments, RunningUpdate, StepMoments};
pub use op::{LarnnOutput, larnn};
pub use setting::{
    KeyValue, LarnnSetting, LarnnState, LarnnWeights, Norm, n_position, position_table,
};
pub use stream::LarnnStream;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod tests;
