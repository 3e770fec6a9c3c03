//! Steps against whole sequences on data of the user's.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use regard_train::stream::{Progress, Stream};
use regard_train::{Precision, StreamCertificate};

use super::command::Settings;
use super::input::{Parts, whole};
use super::rows;

/// Most rows or tokens that are compared; the whole sequence of them is held in memory.
const MAX_ROWS: usize = 4096;
/// Bytes of text that are read: no token is shorter than one, and no character longer than four.
const MAX_BYTES: usize = 4 * MAX_ROWS;

/// Prints the certificate.
pub(super) fn run(
    stream: &Stream,
    run: &Path,
    file: &Path,
    settings: Settings,
    out: &mut impl Write,
) -> Result<()> {
    let (mut input, name): (Box<dyn BufRead>, String) = if file == Path::new("-") {
        (Box::new(std::io::stdin().lock()), "standard input".to_owned())
    } else {
        let name = file.display().to_string();
        let opened = File::open(file).with_context(|| format!("cannot read {name}"))?;
        (Box::new(BufReader::new(opened)), name)
    };
    let at_most = match settings.window {
        0 => MAX_ROWS,
        window => window.min(MAX_ROWS),
    };
    let (certificate, unit, precision) = match stream {
        Stream::Classes(stream) => {
            let rows = read_rows(input, stream.columns(), at_most)?;
            (stream.certify(&rows), "rows", stream.precision())
        }
        Stream::Forecast(stream) => {
            let rows = read_rows(input, stream.columns(), at_most)?;
            (stream.certify(&rows), "rows", stream.precision())
        }
        Stream::Text(stream) => {
            let mut bytes = Vec::new();
            let limit = MAX_BYTES as u64;
            input
                .by_ref()
                .take(limit)
                .read_to_end(&mut bytes)
                .with_context(|| format!("cannot read {name}"))?;
            if bytes.len() == MAX_BYTES {
                bytes.truncate(whole(&bytes));
            }
            (stream.certify(&name, &bytes, MAX_ROWS)?, "tokens", stream.precision())
        }
    };
    print(&certificate, run, unit, precision, out)
}

/// The first rows, one after another.
fn read_rows(input: impl BufRead, channels: &[String], at_most: usize) -> Result<Vec<f64>> {
    let mut parts = Parts::new(input, rows::MAX_LINE);
    let mut progress = Progress::default();
    let mut values = Vec::new();
    while values.len() < at_most * channels.len()
        && let Some(part) = parts.next()?
    {
        if let Some(row) = rows::next_row(&part, &mut progress, channels)? {
            values.extend(row);
        }
        progress.lines += 1;
    }
    if values.is_empty() {
        bail!("no row to compare; give a file with lines of numbers, or pipe one in");
    }
    Ok(values)
}

fn print(
    certificate: &StreamCertificate,
    run: &Path,
    unit: &str,
    precision: Precision,
    out: &mut impl Write,
) -> Result<()> {
    let StreamCertificate { n_rows, difference, scale, bound } = *certificate;
    let relative = certificate.relative();
    writeln!(
        out,
        "{}: {n_rows} {unit}, in steps and at once, {}",
        run.display(),
        precision.name()
    )?;
    writeln!(out, "largest difference  {difference:.3e}, of values up to {scale:.3e}")?;
    writeln!(out, "relative            {relative:.3e}")?;
    writeln!(out, "bound               {bound:.3e}")?;
    if !certificate.holds() {
        out.flush()?;
        bail!(
            "steps and the whole sequence differ by {relative:.3e} of the largest value, more than the \
             {bound:.3e} of rounding"
        );
    }
    writeln!(out, "steps and the whole sequence are equal up to rounding")?;
    Ok(())
}
