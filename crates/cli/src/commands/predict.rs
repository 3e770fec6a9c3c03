//! `regard predict`: continue the series of a file, or apply an operator to functions.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use regard_train::{PredictRequest, Prediction};

const EXAMPLES: &str = "\
Examples:
  regard predict runs/sensors --input today.csv --horizon 100 --output forecast.csv
  regard data make lorenz --out start.csv --series 1 --steps 200 --seed 7
  regard predict runs/lorenz --input start.csv --horizon 500 --output forecast.parquet
  regard predict runs/seed0 runs/seed1 runs/seed2 --input today.csv --horizon 100 --output fan.csv
  regard predict runs/darcy --input fields.npz --output pressure.npz
  regard predict runs/darcy --input fields.npz --points wells.csv --output pressure.csv

The input of a forecast has the columns the model was trained on and at least one window of rows;
the forecast starts after its last row. Missing values in the input are told to the model, which
leaves them out where it can (docs/mechanisms/easy.md). Formats by extension: .csv .tsv .parquet
.npz .npy.

The input of an operator is an archive .npz such as `regard data make darcy` writes; its results are
known at the points of the functions, or with --points at any places (columns x and y, in the unit
square; one column for functions on a line). Formats: also .vti, which ParaView opens.";

/// More columns than this are counted, not named.
const MAX_NAMED: usize = 12;

/// Forecast the series of a file with a trained model or an ensemble, or apply an operator to functions.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PredictArgs {
    /// Folders written by `regard train`; several make an ensemble, whose forecast has a mean and the
    /// central 90 % of its members for each column.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// File with the past of the series, or archive of functions.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Number of steps to forecast.
    #[arg(long, value_name = "N")]
    horizon: Option<usize>,
    /// Rows that the model reads, where they differ from those it was trained on.
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// Table of places at which the results of an operator are wanted.
    #[arg(long, value_name = "FILE")]
    points: Option<PathBuf>,
    /// Array of the functions that an operator reads; `input` by default.
    #[arg(long, value_name = "NAME")]
    array: Option<String>,
    /// File to write the result to.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// Predicts and says what was written.
pub(crate) fn run(args: &PredictArgs, out: &mut impl Write) -> Result<()> {
    let request = PredictRequest {
        input: args.input.clone(),
        output: args.output.clone(),
        horizon: args.horizon,
        window: args.window,
        points: args.points.clone(),
        array: args.array.clone(),
    };
    let output = args.output.display();
    match regard_train::predict(&args.runs, &request)? {
        Prediction::Series { n_series, columns, horizon } => {
            let series = plural(n_series, "series", "series");
            writeln!(out, "wrote {output}: {series}, {horizon} steps of {}", named(&columns))?;
        }
        Prediction::Functions { functions, columns, places, interpolated } => {
            let functions = plural(functions, "function", "functions");
            let how = if interpolated { ", by cubics between the points of the input" } else { "" };
            let columns = named(&columns);
            writeln!(out, "wrote {output}: {functions}, {columns} at {places} points{how}")?;
        }
    }
    Ok(())
}

fn plural(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn named(columns: &[String]) -> String {
    match columns.len() {
        n if n > MAX_NAMED => format!("{n} columns"),
        _ => columns.join(", "),
    }
}
