//! What recurrent modules carry from row to row, as tensors with names.

use burn::tensor::Tensor;
use regard_kernels::log_linear::LogState;
use regard_kernels::recurrent::lstm::LstmState;

/// What a module carries from one row to the next.
///
/// The parts that a state has, their names, types and shapes follow from the module alone, but for the
/// axes that a visitor is told of: so a state that was written down is read back into the state that
/// the module has after any one row.
pub trait State: Clone + std::fmt::Debug {
    /// Shows every part to `visitor`, which may put another in its place.
    fn visit(&mut self, visitor: &mut impl StateVisitor);
}

/// Sees the parts of a [`State`] one after another.
pub trait StateVisitor {
    /// From here on, names stand below `name`.
    fn enter(&mut self, name: &str);

    /// Back from the name entered last.
    fn exit(&mut self);

    /// A tensor; `grows` is the axis along which states of the same module differ in length.
    fn tensor<const D: usize>(&mut self, name: &str, x: &mut Tensor<D>, grows: Option<usize>);

    /// A number of rows.
    fn count(&mut self, name: &str, n: &mut usize);
}

/// States by their number, from 0.
impl<S: State> State for Vec<S> {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        for (i, state) in self.iter_mut().enumerate() {
            visitor.enter(&i.to_string());
            state.visit(visitor);
            visitor.exit();
        }
    }
}

impl State for LstmState {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        visitor.tensor("hidden", &mut self.hidden, None);
        visitor.tensor("cell", &mut self.cell, None);
    }
}

impl State for LogState {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        let mut packed = self.packed();
        visitor.tensor("packed", &mut packed, None);
        *self = Self::from_packed(packed, self.widths());
    }
}
