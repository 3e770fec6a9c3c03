//! Regard's side of `bench/run`: timed work on request, one line each way over stdin and stdout.
//!
//! The protocol is described in `bench/README.md`. Rows, sizes and constants are those of
//! `bench/peers/`, which does the same work in PyTorch.
#![expect(clippy::print_stdout, reason = "stdout is the protocol")]

use std::io::{BufRead, Write};
use std::time::Instant;

use burn::module::Module;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use regard_kernels::adam::AdamRule;
use regard_kernels::log_linear::{self, Context, LogLinear, LogStream, Values};
use regard_kernels::plan::Plan;
use regard_kernels::pointwise::{Activation, mean_squared_error};
use regard_kernels::recurrent::lstm::lstm;
use regard_kernels::softmax;
use regard_nn::layer::{Encoder, EncoderConfig, NormPlace};
use regard_nn::mechanism::{
    Attention as _, Basis, EasyConfig, Larnn, LarnnConfig, LarnnStream, Mechanism, MechanismConfig,
    PrimalDualConfig, SoftmaxConfig, TimeMatrix,
};
use regard_nn::model::classifier::{Classifier, ClassifyShape, cross_entropy};
use regard_nn::model::{ForecastShape, ForecasterConfig, Model, ModelConfig, Readout};
use regard_train::optimizer::{AdamConfig, Optimizer};
use regard_train::{RunConfig, registry};

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
        "lstm/b256t128i9h64" => Box::new(LstmLayer::new([256, 128, 9], 64)),
        "larnn/b256t128d32h4k10L2" => Box::new(LarnnLayers::new([256, 128, 32], [4, 10, 2])),
        "larnn/b256t128d81h27k38L3" => Box::new(LarnnLayers::new([256, 128, 81], [27, 38, 3])),
        "log/step/h8d64" => Box::new(LogSteps::new(8, 64)),
        "stream/larnn/d32h4k10L2" => Box::new(LarnnSteps::new(32, [4, 10, 2])),
        "uea-epoch/n120t315i3c8" => Box::new(ArchiveEpoch::new(120, [315, 3, 8])),
        _ => {
            let mut parts = name.split('/');
            match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
                ("heads", variant, Some(size), None) => {
                    Box::new(Heads::new(variant, &numbers(size)?)?)
                }
                // Ours is the same whatever it is compared with.
                ("log", pass, Some(time), Some("chunked" | "sdpa")) => {
                    let backward = one_of(pass, ["forward", "train"])?;
                    let time = time.strip_prefix('n')?.parse().ok()?;
                    Box::new(LogAttention::new(time, backward))
                }
                ("attention", pass, Some(time), Some(mask)) => {
                    let backward = one_of(pass, ["forward", "train"])?;
                    let causal = one_of(mask, ["full", "causal"])?;
                    let time = time.strip_prefix('n')?.parse().ok()?;
                    Box::new(Attention::new(time, causal, backward))
                }
                (model, size, None, None) => Box::new(TrainingStep::new(&Sizes::new(model, size)?)),
                ("infer", model, Some(size), None) => {
                    Box::new(Inference::new(&Sizes::new(model, size)?))
                }
                ("rollout", model, Some(size), None) => {
                    Box::new(Rollout::new(&Sizes::new(model, size)?))
                }
                _ => return None,
            }
        }
    })
}

/// The numbers of a size like `b16n315d512h8`, in their order.
fn numbers(size: &str) -> Option<Vec<usize>> {
    let parts = size.split(|c: char| c.is_ascii_alphabetic()).skip(1);
    parts.map(|n| n.parse().ok()).collect()
}

/// Whether a word is the second of two; `None` if it is neither.
fn one_of(word: &str, [no, yes]: [&str; 2]) -> Option<bool> {
    (word == no || word == yes).then_some(word == yes)
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

/// Causal exponential-kernel attention alone: batch 1, 8 heads, `d_head` 64.
struct LogAttention {
    qkv: [Tensor<4>; 3],
    grad: Tensor<4>,
    backward: bool,
}

impl LogAttention {
    fn new(time: usize, backward: bool) -> Self {
        let Attention { qkv, grad, .. } = Attention::new(time, true, backward);
        Self { qkv, grad, backward }
    }
}

impl Work for LogAttention {
    fn run(&mut self) {
        let [q, k, v] = self.qkv.clone();
        let y = log_linear::attention(q, k, v, LogLinear::default(), &Context::default());
        if self.backward {
            let grads = (y * self.grad.clone()).sum().backward();
            for x in &self.qkv {
                std::hint::black_box(x.grad(&grads));
            }
        } else {
            std::hint::black_box(y);
        }
    }
}

/// One token after another of exponential-kernel attention, on plain numbers.
struct LogSteps {
    stream: LogStream,
    /// Queries, keys and values of some tokens, over and over.
    tokens: Vec<[Vec<f64>; 3]>,
    y: Vec<f64>,
    place: usize,
}

impl LogSteps {
    fn new(heads: usize, d: usize) -> Self {
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
struct Heads {
    module: Mechanism,
    x: Tensor<3>,
    grad: Tensor<3>,
}

impl Heads {
    /// `variant` is softmax, Attention-BN, Attention-SH or both; `size` batch, time, width and heads.
    fn new(variant: &str, size: &[usize]) -> Option<Self> {
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
        let grads = (rows * self.grad.clone()).sum().backward();
        std::hint::black_box(self.x.grad(&grads));
    }

    fn n_parameters(&self) -> Option<usize> {
        Some(self.module.num_params())
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
            norm: NormPlace::Post,
            mechanism: MechanismConfig::Softmax(SoftmaxConfig { n_heads, causal: false }),
            dropout: 0.0,
        };
        let model = Some(config.init(time, &device).expect("the sizes are valid"));
        let config = AdamConfig::new(LEARNING_RATE, 1e-8);
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

/// An epoch of the preset `uea/NAME`.
struct ArchiveEpoch {
    model: Option<Classifier>,
    optimizer: Optimizer,
    batches: Vec<(Tensor<3>, Tensor<1, Int>)>,
}

impl ArchiveEpoch {
    fn new(n_series: usize, [time, channels, classes]: [usize; 3]) -> Self {
        let preset = RunConfig::load("uea/UWaveGestureLibrary", &[]).expect("a preset");
        let RunConfig::Classify(config) = preset else { unreachable!("the preset classifies") };
        let device = Device::default().autodiff();
        device.seed(1);
        let shape = ClassifyShape { time, channels, classes, grid: None };
        let adam = AdamConfig { rule: AdamRule::Rectified, ..AdamConfig::new(LEARNING_RATE, 1e-8) };
        let x = normal([n_series, time, channels], 1, &device);
        let batch = config.fit.batch_size;
        let batches = (0..n_series).step_by(batch).map(|first| {
            let n = batch.min(n_series - first);
            #[expect(clippy::cast_possible_wrap, reason = "few classes")]
            let labels: Vec<i64> = (first..first + n).map(|i| (i % classes) as i64).collect();
            let labels = Tensor::from_data(labels.as_slice(), &device);
            (x.clone().narrow(0, first, n), labels)
        });
        Self {
            model: Some(config.model.init(shape, &device).expect("the sizes are valid").train()),
            optimizer: Optimizer::new(adam, config.fit.clip_norm),
            batches: batches.collect(),
        }
    }
}

impl Work for ArchiveEpoch {
    fn run(&mut self) {
        for (x, labels) in &self.batches {
            let model = self.model.take().expect("put back after every step");
            let logits = model.forward(x.clone(), None);
            let grads = cross_entropy(logits, labels.clone(), 0.0, None).backward();
            self.model = Some(self.optimizer.step(model, &grads, LEARNING_RATE));
        }
    }

    fn n_parameters(&self) -> Option<usize> {
        self.model.as_ref().map(Module::num_params)
    }
}

/// One LSTM layer, forward and backward to the input and all parameters.
struct LstmLayer {
    x: Tensor<3>,
    weights: [Tensor<2>; 2],
    bias: Tensor<1>,
    grad: Tensor<3>,
}

impl LstmLayer {
    fn new([batch, time, d_in]: [usize; 3], d_hidden: usize) -> Self {
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
        let grads = (rows * self.grad.clone()).sum().backward();
        std::hint::black_box((self.x.grad(&grads), self.bias.grad(&grads)));
        for weight in &self.weights {
            std::hint::black_box(weight.grad(&grads));
        }
    }
}

/// Stacked LARNN cells, forward and backward to the input and all parameters, without dropout.
struct LarnnLayers {
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
    fn new(shape: [usize; 3], sizes: [usize; 3]) -> Self {
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
        let grads = (rows * self.grad.clone()).sum().backward();
        std::hint::black_box(self.x.grad(&grads));
    }
}

/// One row of one live sequence through stacked LARNN cells in evaluation.
struct LarnnSteps {
    stream: LarnnStream,
    row: Vec<f64>,
}

impl LarnnSteps {
    fn new(d_model: usize, sizes: [usize; 3]) -> Self {
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

/// A forecaster by the name of its mechanism (or `lstm`), its sizes and its batch.
struct Sizes {
    config: ModelConfig,
    shape: ForecastShape,
    batch: usize,
}

impl Sizes {
    /// `model` is a name of [`registry::MODELS`] or of [`alpha`]; an LSTM is the one the registry puts beside an
    /// encoder of these sizes: twice as wide, as many layers.
    fn new(model: &str, size: &str) -> Option<Self> {
        let (size, batch) = size.rsplit_once('b')?;
        let (window, channels, [d_model, n_heads, n_layers, d_ff]) = match size {
            "p64d64h4L4f128" => (64, 2, [64, 4, 4, 128]),
            "p32d32h4L2f64" => (32, 3, [32, 4, 2, 64]),
            _ => return None,
        };
        let like = ModelConfig::Forecaster(ForecasterConfig {
            d_model,
            d_ff,
            n_layers,
            readout: Readout::Direct,
            time_maps: TimeMatrix::default(),
            mechanism: MechanismConfig::Softmax(SoftmaxConfig { n_heads, causal: false }),
        });
        let mut config = registry::model(alpha(model).map_or(model, |_| "easy"), &like).ok()?;
        if let (Some(alpha), ModelConfig::Forecaster(config)) = (alpha(model), &mut config) {
            let easy = EasyConfig { alpha, ..EasyConfig::new(n_heads) };
            config.mechanism = MechanismConfig::Easy(easy);
        }
        let shape = ForecastShape { window, horizon: 1, channels };
        Some(Self { config, shape, batch: batch.parse().ok()? })
    }

    fn init(&self, device: &Device) -> Model {
        device.seed(1);
        self.config.init(self.shape, &[], device).expect("the sizes are valid")
    }

    fn input(&self, device: &Device) -> Tensor<3> {
        normal([self.batch, self.shape.window, self.shape.channels], 1, device)
    }
}

/// Kinds of `α` other than dense, form right, by the names of their rows.
fn alpha(model: &str) -> Option<TimeMatrix> {
    Some(match model {
        "easy-diagonal" => TimeMatrix::Diagonal {},
        "easy-banded" => TimeMatrix::Banded { offset: 4 },
        "easy-causal" => TimeMatrix::Causal {},
        "easy-toeplitz" => TimeMatrix::Toeplitz { causal: false },
        "easy-low-rank" => TimeMatrix::LowRank { rank: 4 },
        "easy-basis" => TimeMatrix::Basis { n_basis: 8, basis: Basis::Cosine },
        _ => return None,
    })
}

/// A whole training step of a forecaster.
struct TrainingStep {
    model: Option<Model>,
    optimizer: Optimizer,
    input: Tensor<3>,
    target: Tensor<3>,
}

impl TrainingStep {
    fn new(sizes: &Sizes) -> Self {
        let device = Device::default().autodiff();
        let config = AdamConfig::new(LEARNING_RATE, 1e-7);
        Self {
            model: Some(sizes.init(&device)),
            optimizer: Optimizer::new(config, None),
            input: sizes.input(&device),
            target: normal([sizes.batch, 1, sizes.shape.channels], 2, &device),
        }
    }
}

impl Work for TrainingStep {
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

/// One-step forecasts from a batch of windows.
struct Inference {
    model: Model,
    input: Tensor<3>,
}

impl Inference {
    fn new(sizes: &Sizes) -> Self {
        let device = Device::default();
        Self { model: sizes.init(&device), input: sizes.input(&device) }
    }
}

impl Work for Inference {
    fn run(&mut self) {
        std::hint::black_box(self.model.forward(self.input.clone()));
    }

    fn n_parameters(&self) -> Option<usize> {
        Some(self.model.num_params())
    }
}

/// One step of a free-running forecast: the forecast row joins the window. With a plan where the
/// model has one, as rollouts are made.
struct Rollout {
    model: Model,
    plan: Option<Plan>,
    shape: ForecastShape,
    window: Vec<f64>,
}

impl Rollout {
    fn new(sizes: &Sizes) -> Self {
        let device = Device::default();
        let window = sizes.input(&device).try_into_vec_as::<f64>().expect("readable");
        let model = sizes.init(&device);
        Self { plan: model.plan(sizes.shape), model, shape: sizes.shape, window }
    }
}

impl Work for Rollout {
    fn run(&mut self) {
        let ForecastShape { window, channels, .. } = self.shape;
        let mut row = vec![0.0; channels];
        if let Some(plan) = &mut self.plan {
            plan.forward(&self.window, &mut row);
        } else {
            let device = Device::default();
            let x = TensorData::new(self.window.clone(), [1, window, channels]);
            let y = self.model.forward(Tensor::from_data(x, (&device, DType::F32)));
            row = y.try_into_vec_as::<f64>().expect("readable");
        }
        self.window.drain(..channels);
        self.window.extend(row);
    }

    fn n_parameters(&self) -> Option<usize> {
        Some(self.model.num_params())
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
