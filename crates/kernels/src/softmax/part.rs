//! Some heads of a tensor that holds more of them.

use burn::tensor::Tensor;

/// Consecutive heads of one of several tensors, `[batch, heads, time, d]` each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which of the tensors.
    pub tensor: usize,
    /// The first head.
    pub first: usize,
    /// How many heads.
    pub heads: usize,
}

impl Part {
    /// These heads on their own.
    ///
    /// # Panics
    /// If there is no such tensor, or it has fewer heads.
    #[must_use]
    pub fn of(&self, tensors: &[Tensor<4>]) -> Tensor<4> {
        tensors[self.tensor].clone().narrow(1, self.first, self.heads)
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.tensor == other.tensor
            && self.first < other.first + other.heads
            && other.first < self.first + self.heads
    }
}
