//! `regard predict`: continue the series of a file with a trained model.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use regard_train::PredictRequest;

const EXAMPLES: &str = "\
Examples:
  regard predict runs/sensors --input today.csv --horizon 100 --output forecast.csv
  regard data make lorenz --out start.csv --series 1 --steps 200 --seed 7
  regard predict runs/lorenz --input start.csv --horizon 500 --output forecast.parquet
  regard predict runs/seed0 runs/seed1 runs/seed2 --input today.csv --horizon 100 --output fan.csv

The input has the columns the model was trained on and at least one window of rows; the forecast
starts after its last row. Missing values in the input are told to the model, which leaves them out
where it can (docs/mechanisms/easy.md). Formats by extension: .csv .tsv .parquet .npz .npy.";

/// More columns than this are counted, not named.
const MAX_NAMED: usize = 12;

/// Forecast the series of a file with a trained model, or with several as an ensemble.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PredictArgs {
    /// Folders written by `regard train`; several make an ensemble, whose forecast has a mean and the
    /// central 90 % of its members for each column.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// File with the past of the series.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Number of steps to forecast.
    #[arg(long, value_name = "N")]
    horizon: usize,
    /// Rows that the model reads, where they differ from those it was trained on.
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// File to write the forecast to.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// Forecasts and says what was written.
pub(crate) fn run(args: &PredictArgs, out: &mut impl Write) -> Result<()> {
    let request = PredictRequest {
        input: args.input.clone(),
        horizon: args.horizon,
        output: args.output.clone(),
        window: args.window,
    };
    let prediction = regard_train::predict(&args.runs, &request)?;
    let series = match prediction.n_series {
        1 => String::from("1 series"),
        n => format!("{n} series"),
    };
    let columns = match prediction.columns.len() {
        n if n > MAX_NAMED => format!("{n} columns"),
        _ => prediction.columns.join(", "),
    };
    let (output, steps) = (args.output.display(), prediction.horizon);
    writeln!(out, "wrote {output}: {series}, {steps} steps of {columns}")?;
    Ok(())
}
