//! A position as the state of a gated recurrence in the log domain.
//!
//! ```text
//! [a_t b_t] = x_t W + c
//! s_t = log(σ(a_t) e^(s_{t−1}) + e^(b_t)),   s_0 = 0          y_t = x_t + s_t
//! ```
//!
//! Source: Heinsen 2024, arXiv:2404.05843, the position embedding of the released language model.
//! Differs: the whole sequence is a scan by doubling, which adds sums of log-gates to a state but never
//! takes their difference; the released formula does, and loses digits with the length. Cost:
//! `2d²` multiply-adds per row, and `d log₂ p` log-sums of two for `p` rows.

use burn::module::Module;
use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Device, Tensor};
use regard_kernels::pointwise::Activation;

use crate::parameter::{Affine, AffineConfig, BiasInit, WeightInit};

/// The recurrence; its state is `s`.
#[derive(Module, Debug)]
pub(super) struct PositionRecurrence {
    dense: Affine,
}

impl PositionRecurrence {
    pub(super) fn new(d: usize, device: &Device) -> Self {
        let (weight, bias) = (WeightInit::FanIn, BiasInit::FanIn);
        Self { dense: AffineConfig { d_in: d, d_out: 2 * d, weight, bias }.init(device) }
    }

    /// `[batch, time, d]` to the same, every row with its position.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, time, d] = x.dims();
        let (mut gate, b) = self.gate_and_input(x.clone());
        let start = Tensor::zeros([batch, 1, d], (&x.device(), x.dtype()));
        let first = log_add_exp(gate.clone().narrow(1, 0, 1) + start, b.clone().narrow(1, 0, 1));
        let mut s =
            if time == 1 { first } else { Tensor::cat(vec![first, b.narrow(1, 1, time - 1)], 1) };
        // After each round a row knows the inputs of twice as many rows, and the product of their gates.
        let mut known = 1;
        while known < time {
            let [earlier, rest] = [0, known].map(|from| s.clone().narrow(1, from, time - known));
            let later = gate.clone().narrow(1, known, time - known);
            let grown = log_add_exp(later.clone() + earlier, rest);
            s = Tensor::cat(vec![s.narrow(1, 0, known), grown], 1);
            let product = later + gate.clone().narrow(1, 0, time - known);
            gate = Tensor::cat(vec![gate.narrow(1, 0, known), product], 1);
            known *= 2;
        }
        x + s
    }

    /// The next row with its position, and the state behind it.
    pub(super) fn step(&self, x: Tensor<3>, past: Option<Tensor<3>>) -> (Tensor<3>, Tensor<3>) {
        let (gate, b) = self.gate_and_input(x.clone());
        let s = match past {
            None => log_add_exp(gate, b),
            Some(s) => log_add_exp(gate + s, b),
        };
        (x + s.clone(), s)
    }

    /// `log σ(a)` and `b`.
    fn gate_and_input(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let [_, _, d] = x.dims();
        let y = self.dense.forward(x, Activation::Identity);
        (log_sigmoid(y.clone().narrow(2, 0, d)), y.narrow(2, d, d))
    }
}

/// `log(e^a + e^b)`; the larger of the two is taken out, which the gradient need not know.
fn log_add_exp(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    let max = a.clone().max_pair(b.clone()).detach();
    max.clone() + ((a - max.clone()).exp() + (b - max).exp()).log()
}
