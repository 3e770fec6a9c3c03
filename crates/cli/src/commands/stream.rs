//! `regard stream`: classify rows as they arrive on standard input.

use std::io::{BufRead, Read, Write};
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::{Args, ValueEnum};
use regard_train::classification::ClassStream;

const EXAMPLES: &str = "\
Examples:
  sensor | regard stream runs/uci-har
  regard stream runs/uci-har --each window < walk.csv > classes.csv
  sensor | regard stream runs/uci-har --window 0        never start anew

Input: lines of comma-separated numbers, one per time step. A first line of names says which column
is which channel, and other columns are ignored; without one, the columns are those of the training.
Output: a header, then lines of step, class and the probability of each class, as soon as they are
known. The memory does not grow with the stream, and each line is what the whole window so far gives.";

/// Longest line, in bytes; a longer one is no row of a table.
const MAX_LINE: u64 = 1 << 20;

/// Classify a live stream of rows from standard input with a recurrent classifier.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StreamArgs {
    /// Folder written by `regard train`.
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// When to write a line.
    #[arg(long, value_enum, default_value_t = Each::Step)]
    each: Each,
    /// Start anew after so many rows; 0 for never. As many as in training by default.
    #[arg(long, value_name = "N")]
    window: Option<usize>,
}

/// When a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Each {
    /// After every row.
    Step,
    /// After the last row of every window.
    Window,
}

/// Reads rows until the input ends.
pub(crate) fn run(args: &StreamArgs, out: &mut impl Write) -> Result<()> {
    let mut stream = ClassStream::open(&args.run)?;
    let window = args.window.unwrap_or(stream.window());
    if window == 0 && args.each == Each::Window {
        bail!("--window 0 has no last row: leave out --each window, or give the rows of a window");
    }
    classify(&mut stream, &mut std::io::stdin().lock(), out, args.each, window)
}

fn classify(
    stream: &mut ClassStream,
    input: &mut impl BufRead,
    out: &mut impl Write,
    each: Each,
    window: usize,
) -> Result<()> {
    let header: Vec<String> = stream.classes().iter().map(|class| format!("p_{class}")).collect();
    writeln!(out, "step,class,{}", header.join(","))?;
    out.flush()?;
    let mut line = String::new();
    let mut columns: Option<Vec<usize>> = None;
    let (mut n_line, mut step) = (0u64, 0usize);
    loop {
        line.clear();
        if input.by_ref().take(MAX_LINE).read_line(&mut line)? == 0 {
            break;
        }
        n_line += 1;
        if line.len() as u64 == MAX_LINE {
            bail!("line {n_line} has more than {MAX_LINE} bytes; give one row of numbers per line");
        }
        let cells: Vec<&str> = line.trim_end().split(',').map(unquoted).collect();
        if cells == [""] {
            continue;
        }
        if columns.is_none() {
            let (found, is_header) = assigned(&cells, stream.columns())?;
            columns = Some(found);
            if is_header {
                continue;
            }
        }
        let columns = columns.as_deref().unwrap_or_default();
        let row = row(&cells, columns, stream.columns(), n_line)?;
        put(stream, &row, &mut step, each, window, out)?;
    }
    Ok(())
}

/// Takes one row and writes its line where one is due.
fn put(
    stream: &mut ClassStream,
    row: &[f64],
    step: &mut usize,
    each: Each,
    window: usize,
    out: &mut impl Write,
) -> Result<()> {
    let probabilities = stream.push(row);
    *step += 1;
    let ends = window > 0 && step.is_multiple_of(window);
    if each == Each::Step || ends {
        let best = (1..probabilities.len())
            .fold(0, |best, i| if probabilities[i] > probabilities[best] { i } else { best });
        let shown: Vec<String> = probabilities.iter().map(|p| format!("{p:.6}")).collect();
        writeln!(out, "{step},{},{}", stream.classes()[best], shown.join(","))?;
        out.flush()?;
    }
    if ends {
        stream.restart();
    }
    Ok(())
}

fn unquoted(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell)
}

/// Where each channel stands in a row, and whether the first line said so.
fn assigned(first: &[&str], channels: &[String]) -> Result<(Vec<usize>, bool)> {
    if first.iter().all(|cell| cell.parse::<f64>().is_ok()) {
        return Ok(((0..channels.len()).collect(), false));
    }
    let place = |name: &String| {
        first.iter().position(|cell| cell == name).ok_or_else(|| {
            anyhow!(
                "line 1 has no column {name:?}; the model reads {}, found {}",
                channels.join(", "),
                first.join(", ")
            )
        })
    };
    Ok((channels.iter().map(place).collect::<Result<_>>()?, true))
}

fn row(cells: &[&str], columns: &[usize], names: &[String], line: u64) -> Result<Vec<f64>> {
    let value = |(&column, name): (&usize, &String)| {
        let cell = cells.get(column).ok_or_else(|| {
            anyhow!(
                "line {line} has {} cells, column {name:?} is number {}",
                cells.len(),
                column + 1
            )
        })?;
        match cell.parse::<f64>() {
            Ok(x) if x.is_finite() => Ok(x),
            _ => Err(anyhow!(
                "line {line}, column {name:?}: found {cell:?}, expected a finite number; fill gaps before \
                 the stream"
            )),
        }
    };
    columns.iter().zip(names).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_header_says_which_column_is_which_channel() {
        let channels = names(&["x", "y"]);
        let (columns, is_header) = assigned(&["time", "y", "x"], &channels).unwrap();
        assert_eq!((columns.clone(), is_header), (vec![2, 1], true));
        assert_eq!(row(&["0", "2.5", "-1"], &columns, &channels, 2).unwrap(), [-1.0, 2.5]);
        assert_eq!(assigned(&["1", "2"], &channels).unwrap(), (vec![0, 1], false));
        assert_eq!(
            assigned(&["x", "z"], &channels).unwrap_err().to_string(),
            "line 1 has no column \"y\"; the model reads x, y, found x, z"
        );
    }

    #[test]
    fn wrong_cells_are_named() {
        let channels = names(&["x", "y"]);
        let message = |cells: &[&str]| row(cells, &[0, 1], &channels, 7).unwrap_err().to_string();
        assert_eq!(message(&["1"]), "line 7 has 1 cells, column \"y\" is number 2");
        for cell in ["a", "NaN", "inf", ""] {
            let expected =
                format!("line 7, column \"y\": found {cell:?}, expected a finite number");
            assert!(message(&["1", cell]).starts_with(&expected), "{}", message(&["1", cell]));
        }
    }
}
