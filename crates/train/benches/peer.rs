//! Regard's side of `bench/run`: timed work on request, one line each way over stdin and stdout.
//!
//! The protocol is described in `bench/README.md`. Rows, sizes and constants are those of
//! `bench/peers/`, which does the same work in PyTorch.
#![expect(clippy::print_stdout, reason = "stdout is the protocol")]

use std::io::{BufRead, Write};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use regard_kernels::pointwise::{Activation, mean_squared_error};
use regard_kernels::softmax;
use regard_nn::layer::{Encoder, EncoderConfig};
use regard_nn::mechanism::{EasyConfig, MechanismConfig, SoftmaxConfig, TimeMatrix};
use regard_nn::model::{ForecastShape, Forecaster, ForecasterConfig, Readout};
use regard_train::optimizer::{AdamConfig, Optimizer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LEARNING_RATE: f64 = 1e-3;
const WARM_UP_SECONDS: f64 = 0.5;

/// Something that can be timed.
trait Work {
    fn run(&mut self);
    fn n_parameters(&self) -> Option<usize> {
        None
    }
}

/// `mi_option_purge_delay`; see `crates/cli/src/allocator.rs`, whose settings these are.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, name] = &arguments[..]
        && command == "memory"
    {
        let bytes = prepare(name).and_then(|mut work| extra_memory(work.as_mut()));
        println!("{}", bytes.map_or_else(|| "unknown".to_owned(), |b| b.to_string()));
        return;
    }
    #[expect(unsafe_code, reason = "the allocator's settings are a C interface")]
    unsafe {
        libmimalloc_sys::mi_option_set(libmimalloc_sys::mi_option_large_os_pages, 1);
        libmimalloc_sys::mi_option_set(PURGE_DELAY, -1);
    }
    let stdin = std::io::stdin();
    let mut work: Option<(String, Box<dyn Work + Send>)> = None;
    for line in stdin.lock().lines() {
        let line = line.expect("the driver closes stdin only between lines");
        let words: Vec<&str> = line.split_whitespace().collect();
        let reply = match words[..] {
            ["prepare", name] => match prepare(name) {
                None => format!("unknown {name}"),
                Some(mut made) => {
                    warm_up(made.as_mut());
                    let json = made
                        .n_parameters()
                        .map_or_else(|| "{}".to_owned(), |n| format!("{{\"params\": {n}}}"));
                    work = Some((name.to_owned(), made));
                    format!("ready {name} {json}")
                }
            },
            ["time", name, count] => match (&mut work, count.parse::<u64>()) {
                (Some((ready, made)), Ok(count)) if ready == name => {
                    let start = Instant::now();
                    rayon::scope(|_| {
                        for _ in 0..count {
                            made.run();
                        }
                    });
                    format!("ns {name} {}", start.elapsed().as_nanos())
                }
                _ => format!("unknown {name}"),
            },
            ["memory", name] => memory_of_a_fresh_process(name)
                .map_or_else(|| format!("unknown {name}"), |b| format!("bytes {name} {b}")),
            ["drop", _] => {
                work = None;
                continue;
            }
            ["quit"] => return,
            _ => format!("unknown {line}"),
        };
        println!("{reply}");
        std::io::stdout().flush().expect("the driver reads stdout");
    }
}

fn warm_up(work: &mut (dyn Work + Send)) {
    let start = Instant::now();
    let mut count = 0;
    while count < 3 || start.elapsed().as_secs_f64() < WARM_UP_SECONDS {
        work.run();
        count += 1;
    }
}

fn prepare(name: &str) -> Option<Box<dyn Work + Send>> {
    Some(match name {
        "encoder/16x256x128" => Box::new(EncoderStep::new([16, 256, 128], 8, 512)),
        "encoder/32x64x64" => Box::new(EncoderStep::new([32, 64, 64], 4, 256)),
        "easy/p64d64h4L4f128b256" => Box::new(EasyStep::new(256, [64, 2], [64, 4, 4, 128])),
        "easy/p32d32h4L2f64b128" => Box::new(EasyStep::new(128, [32, 3], [32, 4, 2, 64])),
        _ => {
            let mut parts = name.split('/');
            if parts.next()? != "attention" {
                return None;
            }
            let backward = match parts.next()? {
                "forward" => false,
                "train" => true,
                _ => return None,
            };
            let time = parts.next()?.strip_prefix('n')?.parse().ok()?;
            let causal = match parts.next()? {
                "full" => false,
                "causal" => true,
                _ => return None,
            };
            Box::new(Attention::new(time, causal, backward))
        }
    })
}

fn normal<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let n: usize = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|_| StandardNormal.sample(&mut rng)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Softmax attention alone: batch 1, 8 heads, `d_head` 64.
struct Attention {
    qkv: [Tensor<4>; 3],
    grad: Tensor<4>,
    causal: bool,
    backward: bool,
}

impl Attention {
    fn new(time: usize, causal: bool, backward: bool) -> Self {
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
            // ⟨o, grad⟩ has the gradient `grad` at `o`.
            let grads = (o * self.grad.clone()).sum().backward();
            for x in &self.qkv {
                std::hint::black_box(x.grad(&grads));
            }
        } else {
            std::hint::black_box(o);
        }
    }
}

/// A whole training step of a post-norm softmax encoder.
struct EncoderStep {
    model: Option<Encoder>,
    optimizer: Optimizer,
    input: Tensor<3>,
    target: Tensor<3>,
}

impl EncoderStep {
    fn new(shape: [usize; 3], n_heads: usize, d_ff: usize) -> Self {
        let device = Device::default().autodiff();
        device.seed(1);
        let [_, time, d_model] = shape;
        let config = EncoderConfig {
            d_model,
            d_ff,
            n_layers: 4,
            activation: Activation::Gelu,
            mechanism: MechanismConfig::Softmax(SoftmaxConfig { n_heads, causal: false }),
        };
        let model = Some(config.init(time, &device).expect("the sizes are valid"));
        let config = AdamConfig { learning_rate: LEARNING_RATE, eps: 1e-8, weight_decay: 0.0 };
        let (input, target) = (normal(shape, 1, &device), normal(shape, 2, &device));
        Self { model, optimizer: Optimizer::new(config, None), input, target }
    }
}

impl Work for EncoderStep {
    fn run(&mut self) {
        let model = self.model.take().expect("put back after every step");
        let output = model.forward(self.input.clone(), None);
        let grads = mean_squared_error(output, self.target.clone()).backward();
        self.model = Some(self.optimizer.step(model, &grads, LEARNING_RATE));
    }

    fn n_parameters(&self) -> Option<usize> {
        self.model.as_ref().map(Module::num_params)
    }
}

/// A whole training step of the easy-attention forecaster.
struct EasyStep {
    model: Option<Forecaster>,
    optimizer: Optimizer,
    input: Tensor<3>,
    target: Tensor<3>,
}

impl EasyStep {
    fn new(
        batch: usize,
        [window, channels]: [usize; 2],
        [d_model, n_heads, n_layers, d_ff]: [usize; 4],
    ) -> Self {
        let device = Device::default().autodiff();
        device.seed(1);
        let mechanism = MechanismConfig::Easy(EasyConfig::new(n_heads));
        let readout = Readout::Direct;
        let time_maps = TimeMatrix::default();
        let config = ForecasterConfig { d_model, d_ff, n_layers, readout, time_maps, mechanism };
        let shape = ForecastShape { window, horizon: 1, channels };
        let model = Some(config.init(shape, &[], &device).expect("the sizes are valid"));
        let config = AdamConfig { learning_rate: LEARNING_RATE, eps: 1e-7, weight_decay: 0.0 };
        Self {
            model,
            optimizer: Optimizer::new(config, None),
            input: normal([batch, window, channels], 1, &device),
            target: normal([batch, 1, channels], 2, &device),
        }
    }
}

impl Work for EasyStep {
    fn run(&mut self) {
        let model = self.model.take().expect("put back after every step");
        let output = model.forward(self.input.clone());
        let grads = mean_squared_error(output, self.target.clone()).backward();
        self.model = Some(self.optimizer.step(model, &grads, LEARNING_RATE));
    }

    fn n_parameters(&self) -> Option<usize> {
        self.model.as_ref().map(Module::num_params)
    }
}

/// [`extra_memory`] in a process that does not keep what it frees: here the peak would hide.
fn memory_of_a_fresh_process(name: &str) -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let output = std::process::Command::new(program).args(["memory", name]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Peak of resident memory during one run above what was resident before it, in bytes; Linux only.
fn extra_memory(work: &mut (dyn Work + Send)) -> Option<u64> {
    #[expect(unsafe_code, reason = "asks the allocator to return free pages first")]
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
    let field = |name: &str| {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find(|l| l.starts_with(name))?;
        let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kilobytes * 1024)
    };
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    let before = field("VmRSS")?;
    work.run();
    Some(field("VmHWM")?.saturating_sub(before))
}
