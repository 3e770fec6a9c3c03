//! Masks; `true` means blocked.

use burn::tensor::{Bool, Tensor};

/// The log-weights of keys of which some are padding: `0` for a key, `−∞` for a blocked one.
///
/// # Shapes
/// - `blocked`: `[batch, time_k]`
/// - returns: `[batch, heads, time_k]`, a view that repeats one row per head
#[must_use]
pub fn padding_log_weight(blocked: Tensor<2, Bool>, heads: usize) -> Tensor<3> {
    let [batch, time] = blocked.dims();
    let zeros = Tensor::<2>::zeros([batch, time], &blocked.device());
    zeros.mask_fill(blocked, f64::NEG_INFINITY).unsqueeze_dim::<3>(1).expand([batch, heads, time])
}
