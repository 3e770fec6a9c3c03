//! Causal log attention of a whole window and of one row.
//!
//! ```text
//! o_t = Σ_{s ≤ t} A_ts v_s / Σ_{s ≤ t} A_ts        A_ts = Σ_i e^(q_ti + k_si)
//! ```
//!
//! with values `v_s = e^(u_s)` given and results returned as logarithms, or values as they are. Largest
//! keys per channel, queries per row and log-values per channel are taken out before any exponential;
//! they cancel, so the gradient need not know them. The state holds them with the scaled sums,
//!
//! ```text
//! Σ_s e^(k_si) v_sj = e^(a_i + c_j) M_ij        Σ_s e^(k_si) = e^(a_i) m_i
//! ```
//!
//! Source: Heinsen 2024, eq. (1) and (5) to (7), arXiv:2404.05843. Differs: sums start empty.

use burn::tensor::{Bool, Tensor};

/// The sums of the rows so far, and what was taken out of them.
#[derive(Debug, Clone)]
pub(super) struct LogState {
    /// `a`, `[batch, heads, 1, d_k]`.
    max_key: Tensor<4>,
    /// `c`, `[batch, heads, 1, d_v]`; zero where values are as they are.
    max_value: Tensor<4>,
    /// `M`, `[batch, heads, d_k, d_v]`.
    kv: Tensor<4>,
    /// `m`, `[batch, heads, 1, d_k]`.
    norm: Tensor<4>,
}

/// A whole window; `is_log` says that values and results are logarithms.
pub(super) fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, is_log: bool) -> Tensor<4> {
    let [_, _, time, _] = q.dims();
    let max_key = k.clone().detach().max_dim(2);
    let max_value = taken_out(&v, is_log);
    let k = (k - max_key.clone()).exp();
    let q = scaled_queries(q, max_key);
    let device = q.device().without_autodiff();
    let future = Tensor::<2, Bool>::tril_mask([time, time], 0, &device);
    let weights = q.matmul(k.swap_dims(2, 3)).mask_fill(future.unsqueeze::<4>(), 0.0);
    let sums = weights.clone().sum_dim(3);
    if is_log {
        let values = (v - max_value.clone()).exp();
        weights.matmul(values).log() - sums.log() + max_value
    } else {
        weights.matmul(v) / sums
    }
}

/// One row, given the state before it.
pub(super) fn step(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    is_log: bool,
    past: Option<LogState>,
) -> (Tensor<4>, LogState) {
    let (mut max_key, mut max_value) = (k.clone(), taken_out(&v, is_log));
    if let Some(past) = &past {
        max_key = max_key.max_pair(past.max_key.clone());
        max_value = max_value.max_pair(past.max_value.clone());
    }
    let key = (k - max_key.clone()).exp();
    let value = if is_log { (v - max_value.clone()).exp() } else { v };
    let (mut kv, mut norm) = (key.clone().swap_dims(2, 3).matmul(value), key);
    if let Some(past) = past {
        let by_key = (past.max_key - max_key.clone()).exp();
        let by_value = (past.max_value - max_value.clone()).exp();
        kv = kv + past.kv * by_key.clone().swap_dims(2, 3) * by_value;
        norm = norm + past.norm * by_key;
    }
    let q = scaled_queries(q, max_key.clone());
    let sum = (q.clone() * norm.clone()).sum_dim(3);
    let mixed = q.matmul(kv.clone());
    let row = if is_log { mixed.log() - sum.log() + max_value.clone() } else { mixed / sum };
    (row, LogState { max_key, max_value, kv, norm })
}

/// `e^(q + a − max)`, the maximum over the channels of a row.
fn scaled_queries(q: Tensor<4>, max_key: Tensor<4>) -> Tensor<4> {
    let q = q + max_key;
    let max = q.clone().detach().max_dim(3);
    (q - max).exp()
}

/// The largest log-value of each channel; zero for values as they are.
fn taken_out(v: &Tensor<4>, is_log: bool) -> Tensor<4> {
    let max = v.clone().detach().max_dim(2);
    if is_log { max } else { max.zeros_like() }
}
