//! A million tokens one by one: constant time and memory per token, and an error that does not grow.
//!
//! ```text
//! cargo run --release -p regard-kernels --example million_tokens [TOKENS]
//! ```
//!
//! Eight heads of width 64, standard normal queries, keys and log-values in single precision. The stream
//! is compared at every token with the same sequence in chunks, all in f64, and so are chunks in f32.
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::time::{Duration, Instant};

use burn::tensor::{FloatDType, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use regard_kernels::log_linear::{
    Context, LogLinear, LogState, LogStream, Values, attention_with_state,
};

const HEADS: usize = 8;
const D: usize = 64;
/// Tokens between two comparisons, whose time is taken as a whole.
const BLOCK: usize = 10_000;

fn main() {
    let tokens = std::env::args().nth(1).map_or(1_000_000, |n| n.parse().expect("a number"));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut stream = LogStream::new(HEADS, [D, D], Values::Log);
    let mut states: [Option<LogState>; 2] = [None, None];
    let mut times = Vec::new();
    let (mut of_steps, mut of_chunks) = (0.0_f64, 0.0_f64);
    let mut resident = Vec::new();
    for _ in 0..tokens / BLOCK {
        let x = [0; 3].map(|_| block(&mut rng));
        let (rows, time) = steps(&mut stream, &x);
        times.push(time);
        let [expected, single] = [FloatDType::F64, FloatDType::F32].map(|dtype| {
            let place = usize::from(dtype == FloatDType::F32);
            let [q, k, v] = x.each_ref().map(|x| tensor(x).cast(dtype));
            let context = Context { state: states[place].take(), ..Context::default() };
            let (y, state) = attention_with_state(q, k, v, LogLinear::default(), context);
            states[place] = Some(state);
            let y = y.swap_dims(1, 2).to_data().convert::<f64>();
            y.iter::<f64>().collect::<Vec<f64>>()
        });
        let apart =
            |x: &[f64]| x.iter().zip(&expected).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
        of_steps = of_steps.max(apart(&rows));
        of_chunks = of_chunks.max(apart(&single));
        resident.push(resident_bytes());
    }
    let micros = |time: &Duration| time.as_secs_f64() * 1e6 / BLOCK as f64;
    let [first, last] = [times.first(), times.last()].map(|time| time.map_or(0.0, micros));
    println!("tokens {tokens}, {HEADS} heads, d {D}");
    println!("per token: first {BLOCK} {first:.2} µs, last {BLOCK} {last:.2} µs");
    println!("steps, rounded to f32, against chunks in f64: {of_steps:.2e}");
    println!("chunks in f32 against chunks in f64: {of_chunks:.2e}");
    // The first blocks fill the allocator.
    if let [Some(early), Some(late)] =
        [resident.get(2), resident.last()].map(Option::<&i64>::copied)
    {
        println!("resident memory: {} kB more than after three blocks", (late - early) / 1024);
    }
}

/// Queries, keys or values of a block, `[BLOCK, HEADS, D]`, as numbers of single precision.
fn block(rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut draw = || -> f32 { StandardNormal.sample(rng) };
    (0..BLOCK * HEADS * D).map(|_| f64::from(draw())).collect()
}

fn tensor(x: &[f64]) -> Tensor<4> {
    let data = TensorData::new(x.to_vec(), [1, BLOCK, HEADS, D]);
    let device = burn::tensor::Device::default();
    Tensor::<4>::from_data(data, (&device, burn::tensor::DType::F64)).swap_dims(1, 2)
}

/// The results of a block token by token, rounded to single precision, and the time of the steps.
fn steps(stream: &mut LogStream, [q, k, v]: &[Vec<f64>; 3]) -> (Vec<f64>, Duration) {
    let mut rows = vec![0.0; BLOCK * HEADS * D];
    let start = Instant::now();
    for (t, row) in rows.chunks_exact_mut(HEADS * D).enumerate() {
        let token = t * HEADS * D..(t + 1) * HEADS * D;
        stream.step([&q[token.clone()], &k[token.clone()], &v[token]], row);
    }
    let time = start.elapsed();
    #[expect(clippy::cast_possible_truncation, reason = "rounding is the point")]
    for y in &mut *rows {
        *y = f64::from(*y as f32);
    }
    (rows, time)
}

/// Resident memory of this process, where `/proc` tells.
fn resident_bytes() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split_whitespace().nth(1)?.parse::<i64>().ok());
    pages.unwrap_or(0) * 4096
}
