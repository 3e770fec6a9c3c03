//! `regard evaluate`: score a trained model again, on its own test split or on other data.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use regard_train::evaluate_ensemble;
use regard_train::report::RunReport;
use serde::Serialize;

use crate::interrupt::StopFlag;
use crate::progress::Progress;
use crate::verdict::Verdict;

const EXAMPLES: &str = "\
Examples:
  regard evaluate runs/lorenz
  regard evaluate runs/lorenz --data other.csv       every row of the file is test data
  regard evaluate runs/plays --data novel.txt        all of the text is test data
  regard evaluate runs/seed0 runs/seed1 runs/seed2   CRPS and coverage of the ensemble
  regard evaluate runs/lorenz --json | jq .report.scores";

/// Score a trained model on its test split or on other data; several runs as an ensemble.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EvaluateArgs {
    /// Folders written by `regard train`; several are scored as an ensemble, on the test split of the
    /// first.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Score on this file instead of the test split of the run.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    folder: &'a Path,
    beats_baseline: bool,
    report: &'a RunReport,
}

/// Scores the run and prints one report.
pub(crate) fn run(args: &EvaluateArgs, out: &mut impl Write) -> Result<Verdict> {
    // Nothing to save: Ctrl-C ends the process as usual.
    let mut progress = Progress::new(StopFlag::default());
    let [run] = &args.runs[..] else {
        let report = evaluate_ensemble(&args.runs, args.data.as_deref(), &mut progress)?;
        drop(progress);
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&report)?)?;
        } else {
            write!(out, "{}", report.text())?;
        }
        return Ok(Verdict::Good);
    };
    let report = regard_train::evaluate(run, args.data.as_deref(), &mut progress)?;
    drop(progress);
    if args.json {
        let beats_baseline = report.objection().is_none();
        let document = Document { folder: run, beats_baseline, report: &report };
        writeln!(out, "{}", serde_json::to_string(&document)?)?;
    } else {
        write!(out, "{}", report.text())?;
    }
    out.flush()?;
    Ok(Verdict::of(&[report]))
}
