//! From a kernel to a trained classifier: a new attention in three lines, its certificate, its accuracy.
//!
//! A mark stands at a random place of a noisy series, and the step at the mark has the sign that is the
//! class: attention has to find one row by its content. The kernel is Cauchy's, `1 / (1 + ‖x − y‖²/4)`,
//! with vectors normalised by the statistics of the keys and the second head fitted to pooled pairs.
//!
//! Run: `cargo run --release -p regard-nn --example derive_an_attention`

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Int, Tensor};
use regard_kernels::pointwise::Activation;
use regard_nn::error::InvalidConfig;
use regard_nn::mechanism::Attention;
use regard_nn::model::classifier::cross_entropy;
use regard_nn::parameter::{Affine, AffineConfig, BiasInit, LayerNorm, WeightInit};
use regard_nn::theory::{Kernel, KernelAttention, KernelAttentionConfig, TrainingSet};

const TIME: usize = 12;
const CHANNELS: usize = 4;
const WIDTH: usize = 32;
const STEPS: usize = 300;

#[derive(Module, Debug)]
struct Classifier {
    input: Affine,
    attention: KernelAttention,
    norm: LayerNorm,
    output: Affine,
}

impl Classifier {
    fn new(config: &KernelAttentionConfig, device: &Device) -> Result<Self, InvalidConfig> {
        let (weight, bias) = (WeightInit::Xavier, BiasInit::FanIn);
        let map = |d_in, d_out| AffineConfig { d_in, d_out, weight, bias }.init(device);
        let norm = LayerNorm::new(WIDTH, device);
        let (input, output) = (map(CHANNELS, WIDTH), map(WIDTH, 2));
        Ok(Self { input, attention: config.init(WIDTH, device)?, norm, output })
    }

    fn embedded(&self, x: Tensor<3>) -> Tensor<3> {
        self.input.forward(x, Activation::Relu)
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let e = self.embedded(x);
        let h = self.norm.residual(e.clone(), self.attention.forward(e, None));
        self.output.forward(h.mean_dim(1), Activation::Identity).squeeze_dim(1)
    }
}

/// Series `[n, TIME, CHANNELS]` with noise of unit size in all channels but the mark, and classes.
fn task(n: usize, device: &Device) -> (Tensor<3>, Tensor<1, Int>) {
    let x = Tensor::<3>::random([n, TIME, CHANNELS - 1], Distribution::Normal(0.0, 1.0), device);
    let place = Tensor::<3>::random([n, TIME, 1], Distribution::Default, device);
    let mark = place.clone().greater_equal(place.max_dim(1).expand([n, TIME, 1])).float();
    let at_mark = (x.clone().narrow(2, 0, 1) * mark.clone()).sum_dim(1);
    let class = at_mark.reshape([n]).greater_elem(0.0).int();
    (Tensor::cat(vec![x, mark * 2.0], 2), class)
}

fn train(config: &KernelAttentionConfig, device: &Device) -> Result<Classifier, InvalidConfig> {
    device.seed(3);
    let mut model = Classifier::new(config, device)?;
    let mut optimizer = AdamConfig::new().init();
    for _ in 0..STEPS {
        let (x, class) = task(64, device);
        let loss = cross_entropy(model.forward(x), class, 0.0, None);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
    Ok(model.valid())
}

#[expect(clippy::print_stdout, reason = "an example shows what it finds")]
fn main() -> Result<(), InvalidConfig> {
    let cauchy = Kernel::function("cauchy", |x: Tensor<4>, y: Tensor<4>| {
        let square = |x: &Tensor<4>| x.clone().powi_scalar(2).sum_dim(3);
        let sum = square(&x) + square(&y).swap_dims(2, 3);
        ((sum - x.matmul(y.swap_dims(2, 3)) * 2.0) * 0.25 + 1.0).recip()
    });
    let training_set = TrainingSet::all().standardized(1.0, 1e-5).pooled([1, 2]);
    let derived = KernelAttentionConfig { training_set, ..KernelAttentionConfig::new(2, cauchy) };
    let softmax = KernelAttentionConfig::new(2, Kernel::softmax());
    let device = Device::default();
    for config in [derived, softmax] {
        let model = train(&config, &device.clone().autodiff())?;
        let (x, class) = task(1000, &device);
        let found = model.forward(x.clone()).argmax(1).reshape([1000]);
        let accuracy = found.equal(class).float().mean().into_scalar::<f32>();
        println!("{} attention: accuracy {accuracy:.3} on 1000 new series", config.kernel.name());
        for c in model.attention.certify(model.embedded(x.narrow(0, 0, 1)), 0.05)? {
            let [gap, duals, f] = [c.gap, c.dual_error, c.output_error];
            print!("  head {}, {:2} pairs, certified: {}; ", c.head + 1, c.n_pairs, c.holds());
            println!("gap {gap:.0e}, |a − h v| {duals:.0e}, |f − attention| {f:.0e}");
        }
    }
    Ok(())
}
