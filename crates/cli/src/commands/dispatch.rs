//! From the parsed command line to the command.

use std::io::Write;

use anyhow::{Context, Result};

use super::{
    certify, classify, compare, completions, data, evaluate, generate, inspect, man, predict,
    presets, reproduce, runs, stream, sweep, train,
};
use crate::args::{Cli, Command};
use crate::verdict::Verdict;

/// Sets up the threads and runs the command.
pub(crate) fn run(cli: Cli, out: &mut impl Write) -> Result<Verdict> {
    if let Some(threads) = cli.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads));
        pool.build_global().with_context(|| format!("cannot start {threads} threads"))?;
    }
    let done = |()| Verdict::Good;
    match cli.command {
        Command::Train(args) => train::run(&args, out),
        Command::Predict(args) => predict::run(&args, out).map(done),
        Command::Classify(args) => classify::run(&args, out).map(done),
        Command::Stream(args) => stream::run(&args, out).map(done),
        Command::Generate(args) => generate::run(&args, out).map(done),
        Command::Evaluate(args) => evaluate::run(&args, out),
        Command::Compare(args) => compare::run(&args, out),
        Command::Reproduce(args) => reproduce::run(&args, out).map(done),
        Command::Sweep(args) => sweep::run(&args, out).map(done),
        Command::Certify(args) => certify::run(&args, out),
        Command::Inspect(args) => inspect::run(&args, out).map(done),
        Command::Runs(command) => runs::run(&command, out).map(done),
        Command::Presets(command) => presets::run(&command, out).map(done),
        Command::Data(command) => data::run(&command, out).map(done),
        Command::Completions(args) => completions::run(&args, out).map(done),
        Command::Man(args) => man::run(&args, out).map(done),
    }
}
