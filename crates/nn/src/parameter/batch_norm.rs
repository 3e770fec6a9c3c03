//! Batch normalisation of channels, with padding left out of the statistics.
//!
//! ```text
//! y = γ ⊙ (x − μ) / √(σ² + ε) + β      training: μ, σ² over all rows of the batch
//! μ̄ ← 0.9 μ̄ + 0.1 μ                    elsewhere: μ̄ and σ̄²
//! σ̄² ← 0.9 σ̄² + 0.1 σ² n/(n−1)
//! ```
//!
//! Source: Ioffe & Szegedy 2015, §3, arXiv:1502.03167, with constants and running values as in
//! PyTorch.

use burn::module::{Module, Param, RunningState};
use burn::tensor::module::batch_norm_train;
use burn::tensor::{Device, Tensor};

use super::constant;

/// Keeps the division finite where all rows are equal.
const EPS: f64 = 1e-5;
/// Weight of the newest batch in the running values.
const MOMENTUM: f64 = 0.1;

/// Batch normalisation of channels.
#[derive(Module, Debug)]
pub(crate) struct BatchNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    running_mean: RunningState<Tensor<1>>,
    running_variance: RunningState<Tensor<1>>,
}

impl BatchNorm {
    pub(crate) fn new(channels: usize, device: &Device) -> Self {
        Self {
            gamma: constant([channels], 1.0, device),
            beta: constant([channels], 0.0, device),
            running_mean: RunningState::new(Tensor::zeros([channels], device)),
            running_variance: RunningState::new(Tensor::ones([channels], device)),
        }
    }

    /// `x`: `[batch, time, channels]`; `present`: `[batch, time, 1]`, zero where there is padding.
    pub(crate) fn forward(&self, x: Tensor<3>, present: Option<&Tensor<3>>) -> Tensor<3> {
        let shape @ [batch, time, channels] = x.dims();
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        if !x.device().is_autodiff() {
            let (mean, variance) = (self.running_mean.value(), self.running_variance.value());
            let scale = gamma / (variance + EPS).sqrt();
            let shift = beta - mean * scale.clone();
            return x * scale.unsqueeze() + shift.unsqueeze();
        }
        let Some(present) = present else {
            let train = batch_norm_train(x.reshape([batch * time, channels]), gamma, beta, EPS);
            let n = (batch * time) as f64;
            let unbiased = train.variance * (n / (n - 1.0).max(1.0));
            self.update(train.mean, unbiased);
            return train.output.reshape(shape);
        };
        let over_rows = |x: Tensor<3>| (x * present.clone()).sum_dim(1).sum_dim(0);
        let n = present.clone().sum_dim(1).sum_dim(0);
        let mean = over_rows(x.clone()) / n.clone();
        let centred = x - mean.clone();
        let variance = over_rows(centred.clone().square()) / n.clone();
        let flat = |x: Tensor<3>| x.reshape([channels]);
        let unbiased = variance.clone() * n.clone() / (n - 1.0).clamp_min(1.0);
        self.update(flat(mean), flat(unbiased));
        centred / (variance + EPS).sqrt() * gamma.unsqueeze() + beta.unsqueeze()
    }

    fn update(&self, mean: Tensor<1>, variance: Tensor<1>) {
        for (state, new) in [(&self.running_mean, mean), (&self.running_variance, variance)] {
            let old = state.value_sync();
            state.update((old * (1.0 - MOMENTUM) + new.detach() * MOMENTUM).detach());
            // At once, so that what is saved now has it.
            let _ = state.value_sync();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Module;
    use regard_kernels::testing::{assert_close, double, from_f64, normal, to_f64};

    fn norm(channels: usize) -> BatchNorm {
        double(BatchNorm::new(channels, &Device::default()))
    }

    #[test]
    fn training_normalises_and_keeps_running_values() {
        let x = normal([5, 3, 2], 1) * 3.0 + 7.0;
        let norm = norm(2).train();
        let y = norm.forward(x.clone().autodiff(), None).inner();
        let values = to_f64(&x.clone().permute([2, 0, 1]));
        let (mut mean, mut variance) = (Vec::new(), Vec::new());
        for (c, values) in values.chunks_exact(15).enumerate() {
            let m = values.iter().sum::<f64>() / 15.0;
            let squares: f64 = values.iter().map(|x| (x - m).powi(2)).sum();
            let expected = values.iter().map(|x| (x - m) / (squares / 15.0 + EPS).sqrt());
            let expected = from_f64(expected.collect(), [5, 3, 1]);
            assert_close(&y.clone().narrow(2, c, 1), &expected, 1e-13);
            mean.push(0.1 * m);
            variance.push(0.9 + 0.1 * squares / 14.0);
        }
        let valid = norm.valid();
        assert_close(&valid.running_mean.value(), &from_f64(mean.clone(), [2]), 1e-13);
        assert_close(&valid.running_variance.value(), &from_f64(variance.clone(), [2]), 1e-13);
        let row = x.clone().narrow(0, 0, 1).narrow(2, 0, 1);
        let expected = (row - mean[0]) / (variance[0] + EPS).sqrt();
        assert_close(&valid.forward(x, None).narrow(0, 0, 1).narrow(2, 0, 1), &expected, 1e-13);
    }

    #[test]
    fn padding_is_left_out_of_the_statistics() {
        // Series of 3 and 1 rows, padded to 4, and the same 4 rows as one series.
        let x = normal([2, 4, 3], 2);
        let part = |i, n| x.clone().narrow(0, i, 1).narrow(1, 0, n);
        let joined = Tensor::cat(vec![part(0, 3), part(1, 1)], 1);
        let present = from_f64(vec![1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0], [2, 4, 1]).autodiff();
        let (padded, plain) = (norm(3).train(), norm(3).train());
        let y = padded.forward(x.clone().autodiff(), Some(&present)).inner();
        let expected = plain.forward(joined.autodiff(), None).inner();
        assert_close(
            &y.clone().narrow(0, 0, 1).narrow(1, 0, 3),
            &expected.clone().narrow(1, 0, 3),
            1e-13,
        );
        assert_close(&y.narrow(0, 1, 1).narrow(1, 0, 1), &expected.narrow(1, 3, 1), 1e-13);
        let running = |norm: &BatchNorm| norm.valid().running_variance.value();
        assert_close(&running(&padded), &running(&plain), 1e-13);
    }
}
