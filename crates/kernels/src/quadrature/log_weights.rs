//! Weights as softmax attention takes them.

use burn::tensor::{Bool, DType, Device, Tensor, TensorData, assert_shape};

/// Logarithms of weights, for [`crate::softmax::KeyWeight::Log`]; −∞ where a weight is zero or the point
/// blocked, such that no query sees the point.
///
/// Heads, and examples with the same points, share memory.
///
/// # Shapes
/// - `weights`: `[points]`, for all examples, or `[batch, points]`, row-major
/// - `blocked`: `[batch, points]`, `true` where a point is not there
/// - returns: `shape`, which is `[batch, heads, points]`
///
/// # Panics
/// If the shapes disagree, or a weight is negative or not a number.
#[must_use]
pub fn log_weights(
    weights: &[f64],
    blocked: Option<Tensor<2, Bool>>,
    shape: [usize; 3],
    like: (&Device, DType),
) -> Tensor<3> {
    let [batch, _, points] = shape;
    assert!(
        weights.len() == points || weights.len() == batch * points,
        "{} weights for a batch of {batch} with {points} points each",
        weights.len()
    );
    let log = |(i, &weight): (usize, &f64)| {
        assert!(weight >= 0.0, "weight {i} is {weight}: quadrature weights are not negative");
        weight.ln()
    };
    let logs: Vec<f64> = weights.iter().enumerate().map(log).collect();
    let sets = logs.len() / points.max(1);
    let mut logs = Tensor::<3>::from_data(TensorData::new(logs, [sets, 1, points]), like);
    if let Some(blocked) = blocked {
        assert_shape!(blocked, [batch, points]);
        logs = logs
            .expand([batch, 1, points])
            .mask_fill(blocked.reshape([batch, 1, points]), f64::NEG_INFINITY);
    }
    logs.expand(shape)
}
