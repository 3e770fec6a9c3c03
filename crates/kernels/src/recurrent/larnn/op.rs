//! The operation: checks and dispatch.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Tensor, TensorData};

use super::composed::composed;
use super::fused::Scan;
use super::moments::StepMoments;
use super::setting::{LarnnSetting, LarnnState, LarnnWeights, Norm, check};
use crate::cpu::op::{apply, on_cpu};

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

/// Results of a linear attention recurrent cell, fused on the CPU; see [the module](super).
///
/// Whether it trains is said by the setting alone: batch statistics or given ones, dropout or not.
/// Without `start`, hidden state and the one cell before the first step are zero. Gradients reach
/// `x`, all weights and the start. With batch statistics the rows of a batch depend on each other,
/// and a single row is normalised to `β`. Layer norm and dropout of the memory take the composed
/// form everywhere.
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
    let [batch, time, _] = x.dims();
    let fits = !matches!(setting.norm, Norm::Layer) && !setting.dropout.disturbs_memory();
    if !on_cpu(&x) || !fits || batch == 0 {
        return composed(x, weights, start, setting);
    }
    let [_, d] = check(&x, weights, start.as_ref(), setting);
    let start = start.unwrap_or_else(|| LarnnState::zero(batch, d, &x.clone().without_autodiff()));
    let n_cells = n_cells(start.cells.dims()[1], time, setting.window);
    let (dtype, plain) = (x.dtype(), x.device().without_autodiff());
    let w = weights.clone();
    let matrices = [w.gates, w.query, w.key_value, w.output, w.gamma, w.beta, start.hidden];
    let biases = [w.gates_bias, w.query_bias, w.key_value_bias, w.output_bias];
    let tracked = matrices.iter().map(Tensor::device).chain(biases.iter().map(Tensor::device));
    let tracked = tracked.chain([x.device(), start.cells.device()]).any(|d| d.is_autodiff());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let scan = Scan { setting: setting.clone(), tracked, seen: seen.clone() };
    let [gates, query, key_value, output, gamma, beta, hidden] =
        matrices.map(Tensor::into_dispatch);
    let [gates_bias, query_bias, key_value_bias, output_bias] = biases.map(Tensor::into_dispatch);
    let cells = start.cells.clone().into_dispatch();
    let inputs = [
        x.into_dispatch(),
        gates,
        gates_bias,
        query,
        query_bias,
        key_value,
        key_value_bias,
        output,
        output_bias,
        gamma,
        beta,
        hidden,
        cells,
    ];
    let all: Tensor<3> = apply(scan, inputs);

    let n_new = time.min(setting.window);
    let cells = all.clone().narrow(1, time, n_new);
    let [_, n_start, _] = start.cells.dims();
    let n_old = n_start.min(setting.window - n_new);
    let cells = if n_old == 0 {
        cells
    } else {
        Tensor::cat(vec![start.cells.narrow(1, n_start - n_old, n_old), cells], 1)
    };
    let hidden = all.clone().narrow(1, time + n_new, 1).reshape([batch, d]);
    let moments = matches!(setting.norm, Norm::Batch).then(|| {
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (mean, var) = seen.split_at(seen.len() / 2);
        let [mean, var] = [mean, var].map(|values| {
            let data = TensorData::new(values.to_vec(), [time, setting.n_norms(), d]);
            Tensor::from_data(data, (&plain, dtype))
        });
        StepMoments { mean, var, batch, n_cells }
    });
    LarnnOutput { rows: all.narrow(1, 0, time), state: LarnnState { hidden, cells }, moments }
}

/// Cells in the window of each step.
pub(super) fn n_cells(n_start: usize, time: usize, window: usize) -> Vec<usize> {
    (0..time).map(|t| (n_start + t).min(window)).collect()
}
