//! The operation: checks and dispatch.

use burn::tensor::Tensor;

use super::composed::composed;
use super::moments::StepMoments;
use super::setting::{LarnnSetting, LarnnState, LarnnWeights};

/// What a scan returns.
#[derive(Clone, Debug)]
pub struct LarnnOutput {
    /// The result of every step, `[batch, time, d_hidden]`.
    pub rows: Tensor<3>,
    /// The state after the last step, from which another sequence may go on.
    pub state: LarnnState,
    /// What the norms saw, if they take their statistics from the batch; carries no gradient.
    pub moments: Option<StepMoments>,
}

/// Results of a linear attention recurrent cell, see [the module](super).
///
/// Whether it trains is said by the setting alone: batch statistics or given ones, dropout or not.
/// Without `start`, hidden state and the one cell before the first step are zero. Gradients reach
/// `x`, all weights and the start. With batch statistics the rows of a batch depend on each other,
/// and a single row is normalised to `β`.
///
/// # Shapes
/// - `x`: `[batch, time, d_in]` with at least one step
/// - `weights`, `start`, result: see [`LarnnWeights`], [`LarnnState`], [`LarnnOutput`]
///
/// # Panics
/// If the shapes or types disagree, a size is zero, the heads do not divide `d_hidden`, the start
/// has no cell or more than the window, or a dropout rate is not in `[0, 1)`.
#[must_use]
pub fn larnn(
    x: Tensor<3>,
    weights: &LarnnWeights,
    start: Option<LarnnState>,
    setting: &LarnnSetting,
) -> LarnnOutput {
    composed(x, weights, start, setting)
}

/// Cells in the window of each step.
pub(crate) fn n_cells(n_start: usize, time: usize, window: usize) -> Vec<usize> {
    (0..time).map(|t| (n_start + t).min(window)).collect()
}
