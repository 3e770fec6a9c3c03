//! `regard certify`: whether a trained operator is the same operator on every mesh.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use regard_train::operator;
use regard_train::report::Certificate;
use serde::Serialize;

use crate::interrupt::StopFlag;
use crate::progress::Progress;
use crate::verdict::Verdict;

const EXAMPLES: &str = "\
Examples:
  regard certify runs/darcy
  regard certify runs/darcy --json | jq '.certificate.lines[] | {property, measured}'

Measures the order of convergence under refinement of regular, uneven and random meshes, and what must
not matter: the order of points, how one is cut in two. A transformer that is told the numbers of
pixels fails. The result also goes into report.html of the run. Exit code 1 if a line fails.";

/// Measure whether a trained operator converges as its mesh is refined.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CertifyArgs {
    /// Folder written by `regard train`, of a run that learns an operator.
    run: PathBuf,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    folder: &'a PathBuf,
    holds: bool,
    certificate: &'a Certificate,
}

/// Measures the run and prints its certificate.
pub(crate) fn run(args: &CertifyArgs, out: &mut impl Write) -> Result<Verdict> {
    // Nothing to save: Ctrl-C ends the process as usual.
    let mut progress = Progress::new(StopFlag::default());
    let certificate = operator::certify(&args.run, &mut progress)?;
    drop(progress);
    let holds = certificate.holds();
    if args.json {
        let document = Document { folder: &args.run, holds, certificate: &certificate };
        writeln!(out, "{}", serde_json::to_string(&document)?)?;
    } else {
        write!(out, "{}", certificate.text())?;
    }
    out.flush()?;
    Ok(if holds { Verdict::Good } else { Verdict::Bad })
}
