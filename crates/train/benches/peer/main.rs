//! Regard's side of `bench/run`: timed work on request, one line each way over stdin and stdout.
//!
//! The protocol is described in `bench/README.md`. Rows, sizes and constants are those of
//! `bench/peers/`, which does the same work in PyTorch.
#![expect(clippy::print_stdout, reason = "stdout is the protocol")]

mod attention;
mod flow;
mod forecaster;
mod models;
mod operator;
mod recurrent;

use std::io::{BufRead, Write};
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use attention::{Attention, Heads, LogAttention, LogSteps};
use flow::FlowStep;
use forecaster::{Inference, Rollout, Sizes, TrainingStep};
use models::{ArchiveEpoch, EncoderStep};
use operator::{OperatorStep, SpectralConvolution};
use recurrent::{LarnnLayers, LarnnSteps, LstmLayer};

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
                ("operator", model, None, None) => Box::new(OperatorStep::new(model)?),
                ("spectral", size, None, None) => {
                    let &[batch, points, d, modes] = &numbers(size)?[..] else { return None };
                    Box::new(SpectralConvolution::new(batch, points, d, modes))
                }
                ("flow", size, None, None) => {
                    let &[points] = &numbers(size)?[..] else { return None };
                    Box::new(FlowStep::new(points))
                }
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
