//! Operators between functions: training steps, and Fourier multipliers alone.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use regard_kernels::pointwise::inner_product;
use regard_kernels::quadrature::trapezoid;
use regard_kernels::spectral::spectral;
use regard_nn::model::operator::{
    FnoConfig, Operator, OperatorConfig, OperatorShape, PatchedConfig, Sites, TnoConfig,
};
use regard_train::optimizer::{AdamConfig, Optimizer};

use super::{LEARNING_RATE, Work, normal};

/// Points along a side of a field.
const SIDE: usize = 64;

/// A whole training step of an operator from one channel to one, relative L2.
pub(super) struct OperatorStep {
    model: Option<Operator>,
    optimizer: Optimizer,
    sites: Sites,
    input: Tensor<3>,
    target: Tensor<3>,
}

impl OperatorStep {
    /// `model` is tno on 200 points, or vitno, fano or fno on a field.
    pub(super) fn new(model: &str) -> Option<Self> {
        let patched = PatchedConfig { patches: [8, 8], modes: [4, 4], ..PatchedConfig::default() };
        let (config, batch) = match model {
            "tno" => (OperatorConfig::Tno(TnoConfig::default()), 16),
            "vitno" => (OperatorConfig::Vitno(PatchedConfig { smoothing: Some(8), ..patched }), 4),
            "fano" => (OperatorConfig::Fano(patched), 4),
            "fno" => (OperatorConfig::Fno(FnoConfig::default()), 8),
            _ => return None,
        };
        let axis = |n: usize| -> Vec<f64> { (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect() };
        let (sites, dimension) = if model == "tno" {
            let t = axis(200);
            let weights = trapezoid(&t).expect("the points ascend");
            (Sites::line(t, weights), 1)
        } else {
            (Sites::grid(&axis(SIDE), &axis(SIDE)), 2)
        };
        let device = Device::default().autodiff();
        device.seed(1);
        let shape = OperatorShape { d_in: 1, d_out: 1, dimension };
        let function = |seed| normal([batch, sites.n_points(), 1], seed, &device);
        Some(Self {
            model: Some(config.init(shape, &device).expect("the sizes are valid").train()),
            optimizer: Optimizer::new(AdamConfig::new(LEARNING_RATE, 1e-8), None),
            input: function(1),
            target: function(2),
            sites,
        })
    }
}

/// Root mean square of every function.
fn norm(f: Tensor<3>) -> Tensor<3> {
    f.square().mean_dim(1).sqrt()
}

impl Work for OperatorStep {
    fn run(&mut self) {
        let model = self.model.take().expect("put back after every step");
        let found = model.forward(self.input.clone(), &self.sites);
        let loss = (norm(found - self.target.clone()) / norm(self.target.clone())).mean();
        let grads = loss.backward();
        self.model = Some(self.optimizer.step(model, &grads, LEARNING_RATE));
    }

    fn n_parameters(&self) -> Option<usize> {
        self.model.as_ref().map(Module::num_params)
    }
}

/// Fourier multipliers over whole fields, forward and backward to field and multipliers.
pub(super) struct SpectralConvolution {
    x: Tensor<4>,
    weight: Tensor<5>,
    grad: Tensor<4>,
}

impl SpectralConvolution {
    pub(super) fn new(batch: usize, points: usize, d: usize, modes: usize) -> Self {
        let device = Device::default().autodiff();
        let shape = [batch, points, points, d];
        Self {
            x: normal(shape, 1, &device).require_grad(),
            weight: normal([2 * modes, modes, 2, d, d], 2, &device).require_grad(),
            grad: normal(shape, 3, &device),
        }
    }
}

impl Work for SpectralConvolution {
    fn run(&mut self) {
        let y = spectral(self.x.clone(), self.weight.clone());
        let grads = inner_product(y, self.grad.clone()).backward();
        std::hint::black_box((self.x.grad(&grads), self.weight.grad(&grads)));
    }
}
