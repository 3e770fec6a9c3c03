//! `regard reproduce`: the experiments of a paper, every method, a verdict per claim.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, anyhow};
use clap::Args;
use regard_train::reproduce::{ReproduceOptions, find, reproduce};
use regard_train::{RUNS_ROOT, TrainError};

use crate::interrupt::stop_flag;
use crate::message::command_line;
use crate::progress::Progress;

const EXAMPLES: &str = "\
Examples:
  regard reproduce easy-attention --quick        a few minutes, one seed
  regard reproduce easy-attention                all seeds and budgets
  regard reproduce easy-attention --out results  a stopped study goes on where its folder is given
  regard reproduce larnn --data DIR              on data that are not simulated

Studies: easy-attention, larnn (UCI HAR; `regard data fetch uci-har` gets it), primal-dual (a folder
with one folder for each problem of the UEA and UCR archives), log-attention (--data FILE, a text, for
its character models), continuum (makes its own data).";

/// Run the experiments of a paper again and judge its claims.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReproduceArgs {
    /// Name of the study.
    #[arg(value_name = "STUDY")]
    study: String,
    /// One seed and small budgets.
    #[arg(long)]
    quick: bool,
    /// Seeds of every trained model.
    #[arg(long, value_name = "N", default_value_t = 3, conflicts_with = "quick")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// File or folder of the data, for a study that does not simulate its own.
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Folder of results and runs; runs/STUDY by default. Runs that it already holds are taken as they
    /// are, or continued.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON document instead of the page.
    #[arg(long)]
    json: bool,
}

/// Runs the study and prints its page.
pub(crate) fn run(args: &ReproduceArgs, out: &mut impl Write) -> Result<()> {
    let study = find(&args.study)?;
    let suffix = if args.quick { "-quick" } else { "" };
    let folder = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new(RUNS_ROOT).join(format!("{}{suffix}", study.name())));
    let options = ReproduceOptions {
        out: folder.clone(),
        data: args.data.clone(),
        quick: args.quick,
        seeds: args.seeds,
        command: command_line(),
        version: version(),
    };
    let mut progress = Progress::new(stop_flag()?);
    let results = reproduce(study, &options, &mut progress);
    drop(progress);
    let results = results.map_err(|error| match error {
        TrainError::Interrupted { .. } => anyhow!(
            "stopped before the end; what is finished is kept, continue with: {}",
            command_line()
        ),
        error => error.into(),
    })?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&results)?)?;
    } else {
        write!(out, "{}", std::fs::read_to_string(folder.join("README.md"))?)?;
        writeln!(out, "\nresults   {}", folder.display())?;
    }
    Ok(())
}

/// The version, with the commit where the program runs inside its repository.
fn version() -> String {
    let commit = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*"])
        .output()
        .ok()
        .filter(|out| out.status.success())
        .map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    let version = concat!("regard ", env!("CARGO_PKG_VERSION"));
    commit.map_or_else(|| version.to_owned(), |c| format!("{version}, commit {c}"))
}
