//! Cross entropy of logits, with smoothed labels and weights of classes.
//!
//! ```text
//! l_i  = −Σ_c w_c t_ic log softmax(logits_i)_c      t_ic = (1 − s) [c = y_i] + s / classes
//! loss = Σ_i l_i / Σ_i w_{y_i}
//! ```
//!
//! Source: Szegedy et al. 2016, §7, arXiv:1512.00567, the smoothing; weights enter, and the sum is
//! divided, as in `torch.nn.CrossEntropyLoss`.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, assert_shape};

/// The mean cross entropy of a batch.
///
/// # Shapes
/// - `logits`: `[batch, classes]`; `labels`: `[batch]`, from 0
/// - `class_weights`: `[classes]`, one where absent
/// - returns: `[1]`
///
/// `smoothing` is the share of a label that is spread over all classes, 0 for none.
///
/// # Panics
/// If the shapes disagree or a label is not a class.
#[must_use]
pub fn cross_entropy(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    smoothing: f64,
    class_weights: Option<Tensor<1>>,
) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    assert_shape!(labels, [batch]);
    let like = (&logits.device(), logits.dtype());
    let at = labels.reshape([batch, 1]);
    let hot = Tensor::<2>::zeros([batch, classes], like);
    let hot =
        hot.scatter(1, at, Tensor::ones([batch, 1], like), burn::tensor::IndexingUpdateOp::Add);
    let (hot, weights) = match class_weights {
        None => (hot, None),
        Some(weights) => {
            assert_shape!(weights, [classes]);
            let weights = weights.reshape([1, classes]);
            (hot * weights.clone(), Some(weights))
        }
    };
    let total = hot.clone().sum();
    let target = if smoothing == 0.0 {
        hot
    } else {
        let spread = Tensor::full([batch, classes], smoothing / classes as f64, like);
        let spread = weights.map_or(spread.clone(), |weights| spread * weights);
        hot * (1.0 - smoothing) + spread
    };
    -(target * log_softmax(logits, 1)).sum() / total
}
