//! `regard compare`: several models on the same data with the same budget, in one table.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::Args;
use regard_train::report::{RunReport, text};
use regard_train::{Comparison, RunConfig, TrainError, TrainOptions};
use serde::Serialize;

use super::train::run_name;
use crate::interrupt::stop_flag;
use crate::message::{command_line, quoted_path};
use crate::progress::Progress;
use crate::verdict::Verdict;

const EXAMPLES: &str = "\
Examples:
  regard compare lorenz --mechanisms easy,softmax,lstm
  regard compare lorenz --mechanisms easy,softmax --seeds 3 --set fit.epochs=5
  regard compare my.toml --mechanisms easy,lstm --data sensors.csv --out runs/comparison
  regard compare lorenz --mechanisms easy,lstm --json > comparison.json";

/// Train several models on the same data and compare them.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompareArgs {
    /// A preset, or a configuration file (.toml).
    #[arg(value_name = "PRESET | FILE.toml")]
    config: String,
    /// Models to compare, separated by commas: easy, softmax, lstm.
    #[arg(long, value_name = "M,…", value_delimiter = ',', required = true)]
    mechanisms: Vec<String>,
    /// Number of seeds for each model, counted up from the seed of the configuration.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Train on this file: .csv, .tsv, .parquet, .npz or .npy, one row per time step; for classes,
    /// labelled windows or a folder of them.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Give a key of the configuration another value; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder of the comparison; a new one in runs/ by default. Runs that it already holds are
    /// taken as they are, or continued.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    folder: &'a Path,
    reports: &'a [RunReport],
}

/// Trains every model with every seed and prints one table.
pub(crate) fn run(args: &CompareArgs, out: &mut impl Write) -> Result<Verdict> {
    let mut config = RunConfig::load(&args.config, &args.set)?;
    if let Some(data) = &args.data {
        config.use_data_file(data);
    }
    let options = TrainOptions {
        name: run_name(&args.config),
        out: args.out.clone(),
        command: command_line(),
    };
    let mut progress = Progress::new(stop_flag()?);
    let compared =
        regard_train::compare(&config, &args.mechanisms, args.seeds, &options, &mut progress);
    drop(progress);
    let Comparison { folder, reports, .. } =
        compared.map_err(|error| resumable(error, args.out.is_some()))?;
    if args.json {
        let document = Document { folder: &folder, reports: &reports };
        writeln!(out, "{}", serde_json::to_string(&document)?)?;
    } else {
        write!(out, "{}", text::runs(&reports))?;
        writeln!(out, "\nreport    {}", folder.join("report.html").display())?;
    }
    out.flush()?;
    Ok(Verdict::of(&reports))
}

/// An interruption as a message that says how to go on; every other error as it is.
///
/// A comparison goes on where its folder is given: finished runs are taken, a stopped one resumed.
fn resumable(error: TrainError, has_folder: bool) -> anyhow::Error {
    match error {
        TrainError::Interrupted { folder: run } => {
            let folder = run.parent().filter(|_| !has_folder);
            let out = folder.map(|folder| format!(" --out {}", quoted_path(folder)));
            anyhow!(
                "stopped before the end, a checkpoint is saved; continue with: {}{}",
                command_line(),
                out.unwrap_or_default()
            )
        }
        error => error.into(),
    }
}
