//! Reading a sequence row by row: one trait for every module that can.
//!
//! ```text
//! o_t, s_t = step(x_t, s_{t−1})        o_t = parallel(x)_t up to rounding
//! ```
//!
//! [`certify`] measures that promise for any module; a state is tensors with names ([`State`]), so that
//! it can be written down and read back exactly.

mod certificate;
mod stack;
mod state;

use burn::tensor::{Int, Tensor};

pub use certificate::{ROUNDINGS, StreamCertificate, certify, streaming};
pub(crate) use stack::recurrent_enum;
pub use state::{State, StateVisitor};

/// Reads a sequence one row at a time, carrying what the past leaves behind.
pub trait Recurrent {
    /// A sequence as the module takes it.
    type Input: Rows;
    /// What a step needs from the rows before it.
    type State: State;

    /// Takes one new row, given the state after the previous ones (`None` at the start).
    ///
    /// # Shapes
    /// - `x`: one row
    /// - the row returned: `[batch, 1, width of a result]`
    ///
    /// # Panics
    /// If the shapes disagree, the state is that of another module, or this one cannot be stepped.
    fn step(&self, x: Self::Input, past: Option<Self::State>) -> (Tensor<3>, Self::State);

    /// What the steps give for a whole sequence, computed for all rows at once.
    ///
    /// # Shapes
    /// - returns: `[batch, time, width of a result]`
    ///
    /// # Panics
    /// As [`Recurrent::step`], or if there is no row.
    fn parallel(&self, x: Self::Input) -> Tensor<3>;
}

/// A sequence that can be taken apart into rows.
pub trait Rows: Clone {
    /// Number of rows.
    fn n_rows(&self) -> usize;

    /// One row, from 0, as a sequence of its own.
    #[must_use]
    fn row(&self, t: usize) -> Self;
}

/// `[batch, time, width]`.
impl Rows for Tensor<3> {
    fn n_rows(&self) -> usize {
        let [_, time, _] = self.dims();
        time
    }

    fn row(&self, t: usize) -> Self {
        self.clone().narrow(1, t, 1)
    }
}

/// `[batch, time]`, tokens.
impl Rows for Tensor<2, Int> {
    fn n_rows(&self) -> usize {
        let [_, time] = self.dims();
        time
    }

    fn row(&self, t: usize) -> Self {
        self.clone().narrow(1, t, 1)
    }
}
