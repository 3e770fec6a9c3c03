//! `regard classify`: name the class of every window of a file.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use regard_train::classification::classify;

const EXAMPLES: &str = "\
Examples:
  regard classify runs/uci-har --input walk.csv --output classes.csv
  regard classify runs/uci-har --input windows.npz --output classes.parquet

The input has the channels the model was trained on, one row per time step; each series is cut into
windows as long as those of the training, one after the other. Each case of a .ts or .arff file,
with or without label, is one window. The output has one row per window: the number of the class,
from 0, and the probability of each class.
Formats by extension: .csv .tsv .parquet .npz .npy; to read also .ts .ts.gz .arff .arff.gz.";

/// Name the class of every window of a file with a trained classifier.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ClassifyArgs {
    /// Folder written by `regard train`.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// File with the series.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// File to write the classes to.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// Classifies and says what was written.
pub(crate) fn run(args: &ClassifyArgs, out: &mut impl Write) -> Result<()> {
    let found = classify(&args.run, &args.input, &args.output)?;
    let windows = if found.n_windows == 1 { "window" } else { "windows" };
    writeln!(
        out,
        "wrote {}: {} {windows}; classes: {}",
        args.output.display(),
        found.n_windows,
        found
            .classes
            .iter()
            .enumerate()
            .map(|(i, c)| format!("{i} {c}"))
            .collect::<Vec<_>>()
            .join(", ")
    )?;
    Ok(())
}
