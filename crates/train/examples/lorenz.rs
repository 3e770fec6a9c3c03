//! Trains a preset from Rust, without the command line: `cargo run --release --example lorenz`.
//!
//! Four epochs of the Lorenz preset by default; arguments are a preset or configuration file, then
//! `key=value` pairs.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use regard_train::{Observer, RunConfig, TrainError, TrainOptions, report::EpochRow, train};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Prints each epoch.
struct Lines;

impl Observer for Lines {
    fn phase(&mut self, name: &str, _: Option<u64>) {
        println!("{name}");
    }
    fn advance(&mut self, _: u64, _: Option<f64>) {}
    fn epoch(&mut self, row: &EpochRow, epochs: usize) {
        let validation = row.validation_loss.unwrap_or(f64::NAN);
        println!(
            "epoch {} of {epochs}: train {:.3e}, validation {validation:.3e}, {:.2} s",
            row.epoch, row.train_loss, row.seconds
        );
    }
    fn note(&mut self, text: &str) {
        println!("{text}");
    }
    fn stop(&self) -> bool {
        false
    }
}

fn main() -> Result<(), TrainError> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        arguments = ["lorenz", "fit.epochs=4"].map(String::from).to_vec();
    }
    let spec = arguments.remove(0);
    let set = arguments;
    let config = RunConfig::load(&spec, &set)?;
    let options = TrainOptions { name: spec, ..TrainOptions::default() };
    let outcome = train(&config, &options, &mut Lines)?;
    println!("{}", outcome.report.text());
    println!("{}", outcome.folder.display());
    Ok(())
}
