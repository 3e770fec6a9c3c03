//! The `regard` command: parse, call, print one error, exit code.
//!
//! Standard output carries what was asked for, standard error everything else. Exit codes: 0 done,
//! 1 done with a bad verdict, 2 failed.

mod allocator;
mod args;
mod commands;
mod fetch;
mod interrupt;
mod message;
mod progress;
mod stdout;
mod verdict;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::stdout::Stdout;

fn main() -> ExitCode {
    allocator::tune();
    let cli = Cli::parse();
    let mut out = Stdout::lock();
    let ended = commands::run(cli, &mut out).and_then(|verdict| {
        out.flush()?;
        Ok(verdict)
    });
    match ended {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            // Nobody is left to tell if standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {}", message::chain(&error));
            ExitCode::from(2)
        }
    }
}
