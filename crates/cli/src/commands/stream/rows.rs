//! Lines of numbers: the class of the rows so far, or the row after each.

use std::io::Write;

use anyhow::{Context, Result, anyhow, bail};
use regard_train::stream::{ClassStream, ForecastStream, Progress};

use super::command::{Each, Settings};
use super::input::Part;

/// Longest line, in bytes; a longer one is no row of a table.
pub(super) const MAX_LINE: usize = 1 << 20;

/// Takes one row and writes its class where that is due.
pub(super) fn classify(
    stream: &mut ClassStream,
    progress: &mut Progress,
    part: &Part,
    settings: Settings,
    out: &mut impl Write,
) -> Result<()> {
    let Some(row) = next_row(part, progress, stream.columns())? else { return Ok(()) };
    let probabilities = stream.push(&row);
    let ends = ends_window(progress, settings);
    if settings.each == Each::Step || ends {
        let best = (1..probabilities.len())
            .fold(0, |best, i| if probabilities[i] > probabilities[best] { i } else { best });
        let shown: Vec<String> = probabilities.iter().map(|p| format!("{p:.6}")).collect();
        writeln!(out, "{},{},{}", progress.rows, stream.classes()[best], shown.join(","))?;
        out.flush()?;
    }
    if ends {
        stream.restart();
    }
    Ok(())
}

/// Takes one row and writes the one after it.
pub(super) fn forecast(
    stream: &mut ForecastStream,
    progress: &mut Progress,
    part: &Part,
    settings: Settings,
    out: &mut impl Write,
) -> Result<()> {
    let Some(row) = next_row(part, progress, stream.columns())? else { return Ok(()) };
    let next: Vec<String> = stream.push(&row).iter().map(ToString::to_string).collect();
    let ends = ends_window(progress, settings);
    writeln!(out, "{},{}", progress.rows, next.join(","))?;
    out.flush()?;
    if ends {
        stream.restart();
    }
    Ok(())
}

/// Counts the row and tells whether it is the last of a window.
fn ends_window(progress: &mut Progress, settings: Settings) -> bool {
    progress.rows += 1;
    settings.window > 0 && progress.rows.is_multiple_of(settings.window as u64)
}

/// The row of a line, physical units, in the order of the channels; `None` of an empty line and of a
/// header, which says where the channels are from now on.
pub(super) fn next_row(
    part: &Part,
    progress: &mut Progress,
    channels: &[String],
) -> Result<Option<Vec<f64>>> {
    let number = progress.lines + 1;
    if part.bytes.len() >= MAX_LINE {
        bail!("line {number} has more than {MAX_LINE} bytes; give one row of numbers per line");
    }
    let line = std::str::from_utf8(&part.bytes)
        .with_context(|| format!("line {number} is not text; give one row of numbers per line"))?;
    let cells: Vec<&str> = line.trim_end().split(',').map(unquoted).collect();
    if cells == [""] {
        return Ok(None);
    }
    // A stream that goes on knows its columns, but its input may begin with their names again.
    let is_header = part.first && cells.iter().all(|cell| cell.parse::<f64>().is_err());
    if progress.columns.is_none() || is_header {
        let (found, is_header) = assigned(&cells, channels, number)?;
        progress.columns = Some(found);
        if is_header {
            return Ok(None);
        }
    }
    let columns = progress.columns.as_deref().unwrap_or_default();
    row(&cells, columns, channels, number).map(Some)
}

fn unquoted(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell)
}

/// Where each channel stands in a row, and whether the first line said so.
fn assigned(first: &[&str], channels: &[String], number: u64) -> Result<(Vec<usize>, bool)> {
    if first.iter().all(|cell| cell.parse::<f64>().is_ok()) {
        return Ok(((0..channels.len()).collect(), false));
    }
    let place = |name: &String| {
        first.iter().position(|cell| cell == name).ok_or_else(|| {
            anyhow!(
                "line {number} has no column {name:?}; the model reads {}, found {}",
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
        let (columns, is_header) = assigned(&["time", "y", "x"], &channels, 1).unwrap();
        assert_eq!((columns.clone(), is_header), (vec![2, 1], true));
        assert_eq!(row(&["0", "2.5", "-1"], &columns, &channels, 2).unwrap(), [-1.0, 2.5]);
        assert_eq!(assigned(&["1", "2"], &channels, 1).unwrap(), (vec![0, 1], false));
        assert_eq!(
            assigned(&["x", "z"], &channels, 1).unwrap_err().to_string(),
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
