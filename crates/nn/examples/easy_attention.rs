//! Easy attention learns a lag: its score matrix becomes the shift that made the data.
//!
//! The target is the input delayed by three steps. No query or key is needed to find that out: the
//! largest entry of every trained row of `α · W_V` moves to three columns before the diagonal.
//!
//! Run: `cargo run --release -p regard-nn --example easy_attention`

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use regard_kernels::pointwise::mean_squared_error;
use regard_nn::error::InvalidConfig;
use regard_nn::mechanism::{Attention, EasyConfig};

const TIME: usize = 12;
const LAG: usize = 3;
const STEPS: usize = 600;
const PRINT_EVERY: usize = 100;

#[expect(clippy::print_stdout, reason = "an example shows what it finds")]
fn main() -> Result<(), InvalidConfig> {
    let device = Device::default().autodiff();
    device.seed(7);
    let config = EasyConfig::new(1);
    let mut attention = config.init(1, TIME, &device)?;
    let mut optimizer = AdamConfig::new().init();

    for step in 0..=STEPS {
        let x = Tensor::random([64, TIME, 1], Distribution::Normal(0.0, 1.0), &device);
        let start = Tensor::zeros([64, LAG, 1], &device);
        let delayed = Tensor::cat(vec![start, x.clone().narrow(1, 0, TIME - LAG)], 1);
        let loss = mean_squared_error(attention.forward(x, None), delayed);
        if step % PRINT_EVERY == 0 {
            println!("step {step:4}: mean squared error {:.2e}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &attention);
        attention = optimizer.step(1e-2, attention, gradients);
    }

    let alpha = attention.valid().alpha();
    let columns = alpha.abs().argmax(2).try_into_vec_as::<i64>();
    let columns = columns.unwrap_or_else(|error| unreachable!("the CPU is readable: {error}"));
    for (row, column) in columns.into_iter().enumerate().skip(LAG) {
        println!("row {row:2} of α looks at step {column:2}");
    }
    Ok(())
}
