//! Recurrent layers: whole sequences, and one row of a stream.

use burn::tensor::{Device, Tensor};
use regard_kernels::pointwise::inner_product;
use regard_kernels::recurrent::lstm::lstm;
use regard_nn::mechanism::{Attention as _, Larnn, LarnnConfig, LarnnStream};

use super::{Work, normal};

/// One LSTM layer, forward and backward to the input and all parameters.
pub(super) struct LstmLayer {
    x: Tensor<3>,
    weights: [Tensor<2>; 2],
    bias: Tensor<1>,
    grad: Tensor<3>,
}

impl LstmLayer {
    pub(super) fn new([batch, time, d_in]: [usize; 3], d_hidden: usize) -> Self {
        let device = Device::default().autodiff();
        let weight = |rows, seed| {
            normal([rows, 4 * d_hidden], seed, &device).mul_scalar(0.1).detach().require_grad()
        };
        Self {
            x: normal([batch, time, d_in], 1, &device).require_grad(),
            weights: [weight(d_in, 2), weight(d_hidden, 3)],
            bias: normal([4 * d_hidden], 4, &device).require_grad(),
            grad: normal([batch, time, d_hidden], 5, &device),
        }
    }
}

impl Work for LstmLayer {
    fn run(&mut self) {
        let [w_x, w_h] = self.weights.clone();
        let rows = lstm(self.x.clone(), w_x, w_h, self.bias.clone(), None);
        let grads = inner_product(rows, self.grad.clone()).backward();
        std::hint::black_box((self.x.grad(&grads), self.bias.grad(&grads)));
        for weight in &self.weights {
            std::hint::black_box(weight.grad(&grads));
        }
    }
}

/// Stacked LARNN cells, forward and backward to the input and all parameters, without dropout.
pub(super) struct LarnnLayers {
    cells: Larnn,
    x: Tensor<3>,
    grad: Tensor<3>,
}

fn larnn(d_model: usize, [n_heads, window, n_layers]: [usize; 3], device: &Device) -> Larnn {
    device.seed(1);
    let config = LarnnConfig {
        window,
        n_layers,
        dropout_attention: 0.0,
        dropout_output: 0.0,
        ..LarnnConfig::new(n_heads)
    };
    config.init(d_model, device).expect("the sizes are valid")
}

impl LarnnLayers {
    pub(super) fn new(shape: [usize; 3], sizes: [usize; 3]) -> Self {
        let device = Device::default().autodiff();
        let [_, _, d_model] = shape;
        Self {
            cells: larnn(d_model, sizes, &device),
            x: normal(shape, 1, &device).require_grad(),
            grad: normal(shape, 2, &device),
        }
    }
}

impl Work for LarnnLayers {
    fn run(&mut self) {
        let rows = self.cells.forward(self.x.clone(), None);
        let grads = inner_product(rows, self.grad.clone()).backward();
        std::hint::black_box(self.x.grad(&grads));
    }
}

/// One row of one live sequence through stacked LARNN cells in evaluation.
pub(super) struct LarnnSteps {
    stream: LarnnStream,
    row: Vec<f64>,
}

impl LarnnSteps {
    pub(super) fn new(d_model: usize, sizes: [usize; 3]) -> Self {
        let device = Device::default();
        let row = normal([1, d_model], 1, &device).into_data().iter::<f64>().collect();
        Self { stream: larnn(d_model, sizes, &device).stream(), row }
    }
}

impl Work for LarnnSteps {
    fn run(&mut self) {
        std::hint::black_box(self.stream.step(&self.row));
    }
}
