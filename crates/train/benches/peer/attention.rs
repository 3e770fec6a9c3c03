//! Attention alone: kernels, modules, a stream.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use regard_kernels::log_linear::{self, Context, LogLinear, LogStream, Values};
use regard_kernels::pointwise::inner_product;
use regard_kernels::softmax;
use regard_nn::mechanism::{
    Attention as _, Mechanism, MechanismConfig, PrimalDualConfig, SoftmaxConfig,
};

use super::{Work, normal};

/// Softmax attention alone: batch 1, 8 heads, `d_head` 64.
pub(super) struct Attention {
    qkv: [Tensor<4>; 3],
    grad: Tensor<4>,
    causal: bool,
    backward: bool,
}

impl Attention {
    pub(super) fn new(time: usize, causal: bool, backward: bool) -> Self {
        let plain = Device::default();
        let device = if backward { plain.autodiff() } else { plain };
        let make = |seed| normal([1, 8, time, 64], seed, &device);
        let qkv = [make(1), make(2), make(3)];
        let qkv = if backward { qkv.map(Tensor::require_grad) } else { qkv };
        Self { qkv, grad: make(4), causal, backward }
    }
}

impl Work for Attention {
    fn run(&mut self) {
        let [q, k, v] = self.qkv.clone();
        let o = softmax::attention(q, k, v, None, 0.125, self.causal);
        if self.backward {
            let grads = inner_product(o, self.grad.clone()).backward();
            for x in &self.qkv {
                std::hint::black_box(x.grad(&grads));
            }
        } else {
            std::hint::black_box(o);
        }
    }
}

/// Causal exponential-kernel attention alone: batch 1, 8 heads, `d_head` 64.
pub(super) struct LogAttention {
    qkv: [Tensor<4>; 3],
    grad: Tensor<4>,
    backward: bool,
}

impl LogAttention {
    pub(super) fn new(time: usize, backward: bool) -> Self {
        let Attention { qkv, grad, .. } = Attention::new(time, true, backward);
        Self { qkv, grad, backward }
    }
}

impl Work for LogAttention {
    fn run(&mut self) {
        let [q, k, v] = self.qkv.clone();
        let y = log_linear::attention(q, k, v, LogLinear::default(), &Context::default());
        if self.backward {
            let grads = inner_product(y, self.grad.clone()).backward();
            for x in &self.qkv {
                std::hint::black_box(x.grad(&grads));
            }
        } else {
            std::hint::black_box(y);
        }
    }
}

/// One token after another of exponential-kernel attention, on plain numbers.
pub(super) struct LogSteps {
    stream: LogStream,
    /// Queries, keys and values of some tokens, over and over.
    tokens: Vec<[Vec<f64>; 3]>,
    y: Vec<f64>,
    place: usize,
}

impl LogSteps {
    pub(super) fn new(heads: usize, d: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut row = || (0..heads * d).map(|_| StandardNormal.sample(&mut rng)).collect();
        let tokens = (0..64).map(|_| [row(), row(), row()]).collect();
        let stream = LogStream::new(heads, [d, d], Values::Log);
        Self { stream, tokens, y: vec![0.0; heads * d], place: 0 }
    }
}

impl Work for LogSteps {
    fn run(&mut self) {
        let token = &self.tokens[self.place % self.tokens.len()];
        self.stream.step(token.each_ref().map(Vec::as_slice), &mut self.y);
        self.place += 1;
        std::hint::black_box(&self.y);
    }
}

/// An attention module, forward and backward to the input and all parameters.
pub(super) struct Heads {
    module: Mechanism,
    x: Tensor<3>,
    grad: Tensor<3>,
}

impl Heads {
    /// `variant` is softmax, Attention-BN, Attention-SH or both; `size` batch, time, width and heads.
    pub(super) fn new(variant: &str, size: &[usize]) -> Option<Self> {
        let &[batch, time, d_model, n_heads] = size else { return None };
        let config = match variant {
            "softmax" | "sdpa" => {
                MechanismConfig::Softmax(SoftmaxConfig { n_heads, causal: false })
            }
            "batch-norm" | "scaled-heads" | "batch-norm-scaled-heads" => {
                let batch_norm = variant.starts_with("batch-norm").then(Default::default);
                let scaled_heads = variant.ends_with("scaled-heads").then(Default::default);
                let plain = PrimalDualConfig::new(n_heads);
                MechanismConfig::PrimalDual(PrimalDualConfig { batch_norm, scaled_heads, ..plain })
            }
            _ => return None,
        };
        let device = Device::default().autodiff();
        device.seed(1);
        let shape = [batch, time, d_model];
        Some(Self {
            module: config.init(d_model, time, &device).ok()?.train(),
            x: normal(shape, 1, &device).require_grad(),
            grad: normal(shape, 2, &device),
        })
    }
}

impl Work for Heads {
    fn run(&mut self) {
        let rows = self.module.forward(self.x.clone(), None);
        let grads = inner_product(rows, self.grad.clone()).backward();
        std::hint::black_box(self.x.grad(&grads));
    }

    fn n_parameters(&self) -> Option<usize> {
        Some(self.module.num_params())
    }
}
