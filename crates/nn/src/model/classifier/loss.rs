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

#[cfg(test)]
mod tests {
    use super::*;
    use regard_kernels::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

    const LABELS: [i64; 5] = [2, 0, 0, 1, 2];

    fn loss(logits: Tensor<2>, smoothing: f64, weights: Option<Vec<f64>>) -> Tensor<1> {
        let labels = Tensor::from_data(LABELS, &logits.device());
        let weights = weights.map(|w| {
            let like = (&logits.device(), logits.dtype());
            Tensor::from_data(burn::tensor::TensorData::new(w, [3]), like)
        });
        cross_entropy(logits, labels, smoothing, weights)
    }

    #[test]
    fn equals_the_definition() {
        let logits = normal([5, 3], 1);
        let rows = to_f64(&logits);
        for smoothing in [0.0, 0.3] {
            for weights in [[1.0, 1.0, 1.0], [0.5, 3.0, 1.5]] {
                let (mut sum, mut total) = (0.0, 0.0);
                for (z, label) in rows.chunks_exact(3).zip(LABELS) {
                    let norm: f64 = z.iter().map(|z| z.exp()).sum();
                    for (class, (z, w)) in (0..).zip(z.iter().zip(weights)) {
                        let one = if class == label { 1.0 } else { 0.0 };
                        let target = (1.0 - smoothing) * one + smoothing / 3.0;
                        sum -= w * target * (z.exp() / norm).ln();
                        total += w * one;
                    }
                }
                let found = loss(logits.clone(), smoothing, Some(weights.to_vec()));
                assert_close(&found, &from_f64(vec![sum / total], [1]), 1e-14);
                if weights.iter().all(|w: &f64| (w - 1.0).abs() < f64::EPSILON) {
                    assert_close(&loss(logits.clone(), smoothing, None), &found, 1e-14);
                }
            }
        }
    }

    #[test]
    fn equal_logits_cost_the_logarithm_of_the_classes_and_large_ones_stay_finite() {
        let expected = from_f64(vec![3.0_f64.ln()], [1]);
        assert_close(&loss(from_f64(vec![7.0; 15], [5, 3]), 0.1, None), &expected, 1e-15);
        let right =
            LABELS.iter().flat_map(|&y| (0..3).map(move |c| if c == y { 1e4 } else { -1e4 }));
        let right = from_f64(right.collect(), [5, 3]);
        assert_close(&loss(right.clone(), 0.0, None), &from_f64(vec![0.0], [1]), 0.0);
        assert_close(&loss(-right, 0.0, None), &from_f64(vec![2e4], [1]), 1e-3);
    }

    #[test]
    fn gradients_match_central_differences() {
        let weights = Some(vec![0.5, 3.0, 1.5]);
        assert_gradients([normal([5, 3], 1)], |[z]| loss(z, 0.2, weights.clone()), 1e-8);
    }
}
