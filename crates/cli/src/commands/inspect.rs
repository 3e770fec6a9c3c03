//! `regard inspect`: what the attention of a trained model looks like.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use regard_train::inspect;

use crate::interrupt::StopFlag;
use crate::progress::Progress;

const EXAMPLES: &str = "\
Examples:
  regard inspect runs/lorenz
  regard inspect runs/lorenz --data other.csv        windows and frequencies of another file
  regard inspect runs/lorenz --json | jq '.heads[0].eigenvalues'

Also writes inspect.html into the folder of the run, with plots.";

/// Show singular values, eigenvalues and gains of the attention of a trained model.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// Folder written by `regard train`.
    run: PathBuf,
    /// Take windows and frequencies from this file instead of the test split of the run.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
}

/// Looks at the run and prints what was found.
pub(crate) fn run(args: &InspectArgs, out: &mut impl Write) -> Result<()> {
    // Nothing to save: Ctrl-C ends the process as usual.
    let mut progress = Progress::new(StopFlag::default());
    let inspection = inspect::inspect(&args.run, args.data.as_deref(), &mut progress)?;
    drop(progress);
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&inspection)?)?;
    } else {
        write!(out, "{}", inspect::table(&inspection))?;
        writeln!(out, "\npage      {}", args.run.join("inspect.html").display())?;
    }
    Ok(())
}
