//! A fixed network for one sequence, evaluated without tensors.
//!
//! A free-running forecast sends one window after another through the same small network. Made of
//! tensor operations, a step costs more in allocations and dispatch than in arithmetic. A [`Plan`]
//! is the same operations as a list, with their constants laid out once in the order in which they
//! are read, and one block of memory in which later results take the place of those that are no
//! longer needed.
//!
//! The operations are those of [`crate::affine`], [`crate::mixing`], [`crate::pointwise`] and
//! [`crate::softmax`] in their fused forms, one after the other on the thread that asks. Results are
//! bit for bit those of the tensor operations.
//!
//! Cost: the multiply-adds of the operations; memory: the constants, shared by all clones, and per
//! clone the largest set of results that are needed at the same time.

mod builder;
mod program;
#[cfg(test)]
mod tests;

pub use builder::{PlanBuilder, Slot};
pub use program::Plan;
use program::{Op, Stage};
