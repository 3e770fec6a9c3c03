//! The paper on softmax attention with constant cost per token: its forms are one function, a million tokens
//! in a row, time against length, and a character model beside its controls.
//!
//! Source: Heinsen 2024, "Softmax Attention with Constant Cost per Token", arXiv:2404.05843.

mod characters;
mod claims;
mod forms;
mod page;
mod scaling;
mod tokens;

use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use regard_data::text::Text;
use serde::Serialize;

use super::{Claim, ReproduceOptions};
use crate::error::TrainError;
use crate::observer::Observer;

pub use characters::{CharacterRow, Characters};
pub use forms::{FormRow, Forms};
pub use scaling::{LengthRow, Scaling};
pub use tokens::Tokens;

/// Name on the command line.
pub(super) const NAME: &str = "log-attention";

/// Heads of everything but the character model.
const HEADS: usize = 8;
/// Width of a head.
const D_HEAD: usize = 64;

/// What came out.
#[derive(Debug, Serialize)]
pub struct LogResults {
    /// Name of the study.
    pub study: String,
    /// Command that made it.
    pub command: String,
    /// Version of the program.
    pub version: String,
    /// Device, in words.
    pub device: String,
    /// Whether small budgets were used.
    pub quick: bool,
    /// Time of everything, in seconds; runs taken from an earlier call not counted.
    pub seconds: f64,
    /// How far the forms are apart.
    pub forms: Forms,
    /// Many tokens one by one; `None` until it is run.
    pub tokens: Option<Tokens>,
    /// Time against length; `None` until it is run.
    pub scaling: Option<Scaling>,
    /// Models of a text; `None` without one.
    pub characters: Option<Characters>,
    /// One entry per claim of the paper.
    pub claims: Vec<Claim>,
}

/// Runs the study; runs of the character models lie below `options.out`. `after_part` sees the results
/// so far.
///
/// # Errors
/// As [`crate::train`], those of `after_part`, and [`TrainError::Interrupted`].
pub(super) fn run(
    options: &ReproduceOptions,
    observer: &mut dyn Observer,
    after_part: impl Fn(&LogResults) -> Result<(), TrainError>,
) -> Result<LogResults, TrainError> {
    let start = Instant::now();
    // The models of the text come last: a wrong file is to be known before the minutes in between.
    options.data.as_deref().map(Text::read).transpose()?;
    observer.note("forms");
    let mut results = LogResults {
        study: NAME.to_owned(),
        command: options.command.clone(),
        version: options.version.clone(),
        device: format!("CPU, {} threads", rayon::current_num_threads()),
        quick: options.quick,
        seconds: 0.0,
        forms: forms::measure(if options.quick { 300 } else { 1000 }),
        tokens: None,
        scaling: None,
        characters: None,
        claims: Vec::new(),
    };
    let kept = |results: &mut LogResults| {
        results.seconds = start.elapsed().as_secs_f64();
        results.claims = claims::all(results);
        after_part(results)
    };
    kept(&mut results)?;
    let stopped = || TrainError::Interrupted { folder: options.out.clone() };
    let n = if options.quick { 100_000 } else { 1_000_000 };
    results.tokens = Some(tokens::measure(n, observer).ok_or_else(stopped)?);
    kept(&mut results)?;
    let longest = if options.quick { 1024 } else { 16_384 };
    results.scaling = Some(scaling::measure(longest, observer).ok_or_else(stopped)?);
    kept(&mut results)?;
    if options.data.is_some() {
        let mut rows = Vec::new();
        characters::run(options, observer, |row| {
            rows.push(row);
            results.characters = Some(Characters { rows: rows.clone() });
            kept(&mut results)
        })?;
    }
    Ok(results)
}

/// The page so far.
pub(super) fn page(results: &LogResults) -> String {
    page::page(results)
}

/// `n` numbers of single precision around zero.
fn normal(n: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let draw = |_| -> f64 {
        let x: f32 = StandardNormal.sample(rng);
        f64::from(x)
    };
    (0..n).map(draw).collect()
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Largest distance of two lists.
fn apart(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

/// A number of this process from `/proc/self/status`, in bytes; `None` on systems without it.
fn process_bytes(key: &str) -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<i64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::Silent;

    #[test]
    fn a_text_that_cannot_be_read_is_named_before_anything_is_measured() {
        let options = ReproduceOptions {
            out: "out".into(),
            data: Some("no/such.txt".into()),
            quick: true,
            seeds: 1,
            command: String::new(),
            version: String::new(),
        };
        let error = run(&options, &mut Silent, |_| panic!("something was measured")).unwrap_err();
        assert!(error.to_string().contains("no/such.txt"), "{error}");
    }
}
