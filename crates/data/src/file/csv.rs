//! Text tables: a header line, then one row per time step.
//!
//! Numbers are written with the fewest digits that give the same `f64` back.

use std::io::{self, BufWriter};
use std::path::Path;

use ::csv::{ErrorKind, Reader, ReaderBuilder, StringRecord, Trim, WriterBuilder};

use super::columns::{Extra, Roles};
use super::format::read_bytes;
use super::table::{Table, absent};
use super::time::{Stamps, Times};
use super::{Missing, ReadOptions, write_atomically};
use crate::series::numbered_columns;
use crate::{Cell, DataError, Position, SeriesSet};

/// Reads a table whose cells `delimiter` separates, and the columns `texts` as they are written.
pub(super) fn read<'a>(
    path: &'a Path,
    delimiter: u8,
    options: &ReadOptions,
    texts: &[String],
) -> Result<Table<'a>, DataError> {
    let text = read_bytes(path)?;
    let mut reader = reader(&text, delimiter);
    let names = header(path, &text, &mut reader, delimiter)?;
    let roles = Roles::assign(path, &names, options, texts)?;

    let (mut values, mut lines, mut ids, mut times) = (vec![], vec![], vec![], vec![]);
    let mut texts = vec![Vec::new(); roles.texts.len()];
    let mut counter = LineCounter::new(&text);
    for record in reader.records() {
        let record = record.map_err(|error| wrong(path, &text, error))?;
        let line = counter.line_at(record.position());
        lines.push(line);
        for &column in &roles.channels {
            let cell = || cell(path, line, &names[column]);
            values.push(number(&record[column], options.missing, cell)?);
        }
        ids.extend(roles.id.map(|column| record[column].to_owned()));
        times.extend(roles.time.map(|column| record[column].to_owned()));
        for (text, &column) in texts.iter_mut().zip(&roles.texts) {
            text.push(record[column].to_owned());
        }
    }

    let times = match roles.time {
        Some(column) => {
            let column = names[column].clone();
            let cell = |row: usize| cell(path, lines[row], &column);
            let stamps = Stamps::parse(times.iter().map(String::as_str), cell)?;
            Some(Times { column, stamps })
        }
        None => None,
    };
    Ok(Table {
        file: path,
        columns: roles.channels.iter().map(|&column| names[column].clone()).collect(),
        values,
        ids: roles.id.map(|column| (names[column].clone(), ids)),
        times,
        texts,
        lines: Some(lines),
    })
}

/// The names of the columns of a table whose cells `delimiter` separates.
pub(super) fn column_names(path: &Path, delimiter: u8) -> Result<Vec<String>, DataError> {
    let text = read_bytes(path)?;
    header(path, &text, &mut reader(&text, delimiter), delimiter)
}

fn reader(text: &[u8], delimiter: u8) -> Reader<&[u8]> {
    ReaderBuilder::new().delimiter(delimiter).trim(Trim::All).from_reader(text)
}

fn header(
    path: &Path,
    text: &[u8],
    reader: &mut Reader<&[u8]>,
    delimiter: u8,
) -> Result<Vec<String>, DataError> {
    let header = reader.headers().map_err(|error| wrong(path, text, error))?;
    check_header(path, header, delimiter)?;
    Ok(header.iter().map(String::from).collect())
}

/// Writes a table whose cells `delimiter` separates.
pub(super) fn write(path: &Path, delimiter: u8, set: &SeriesSet) -> Result<(), DataError> {
    let (extra, names) = Extra::of(path, set)?;
    write_atomically(path, |file| {
        let mut writer =
            WriterBuilder::new().delimiter(delimiter).from_writer(BufWriter::new(file));
        writer.write_record(&names)?;
        let mut record = StringRecord::new();
        for series in &set.series {
            for t in 0..series.steps() {
                record.clear();
                if extra.id {
                    record.push_field(&series.name);
                }
                let time = extra.dt.map(|dt| t as f64 * dt);
                for value in time.iter().chain(series.row(t)) {
                    record.push_field(&format!("{value:?}"));
                }
                writer.write_record(&record)?;
            }
        }
        writer.flush()
    })
}

fn cell(path: &Path, line: u64, column: &str) -> Cell {
    Cell { file: path.to_owned(), position: Position::Line(line), column: column.to_owned() }
}

/// The value of a cell; NaN or an infinity if it is missing and the policy deals with that.
fn number(text: &str, policy: Missing, cell: impl FnOnce() -> Cell) -> Result<f64, DataError> {
    if text.is_empty() {
        return absent(policy, "an empty cell", cell);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => absent(policy, text, cell),
        Err(_) => Err(DataError::NotANumber { cell: cell(), found: text.to_owned() }),
    }
}

/// Refuses an empty file, another separator and a first line of values.
fn check_header(path: &Path, header: &StringRecord, delimiter: u8) -> Result<(), DataError> {
    if header.is_empty() {
        return Err(DataError::EmptyFile { file: path.to_owned() });
    }
    let expected = char::from(delimiter);
    if let (1, Some(found)) = (header.len(), header[0].chars().find(|c| ";,\t|".contains(*c))) {
        return Err(DataError::WrongSeparator { file: path.to_owned(), found, expected });
    }
    // pandas names the columns of a plain array 0, 1, 2, …
    let are_indices = header.iter().enumerate().all(|(i, name)| name.parse() == Ok(i));
    if header.iter().all(|name| name.parse::<f64>().is_ok()) && !are_indices {
        let columns = numbered_columns(header.len().min(3));
        return Err(DataError::NoHeader {
            file: path.to_owned(),
            found: header[0].to_owned(),
            example: columns.join(&expected.to_string()),
        });
    }
    Ok(())
}

fn wrong(path: &Path, text: &[u8], error: ::csv::Error) -> DataError {
    let file = path.to_owned();
    let line = |position: &Option<_>| LineCounter::new(text).line_at(position.as_ref());
    match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            DataError::RaggedRow { file, line: line(pos), found: *len, expected: *expected_len }
        }
        ErrorKind::Utf8 { pos, .. } => DataError::NotUtf8 { file, line: line(pos) },
        _ => DataError::Io { file, action: "read", source: io::Error::from(error) },
    }
}

/// Counts lines as an editor does, blank ones too, up to a position that never goes back.
struct LineCounter<'a> {
    text: &'a [u8],
    counted: usize,
    line: u64,
}

impl<'a> LineCounter<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, counted: 0, line: 1 }
    }

    /// The line of the record at a position, which is that of the blank lines before it, if any.
    fn line_at(&mut self, position: Option<&::csv::Position>) -> u64 {
        let start = position.map_or(0, ::csv::Position::byte);
        let start = usize::try_from(start).expect("the text is in memory");
        let is_blank = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let start = start + self.text[start..].iter().take_while(is_blank).count();
        let pieces = self.text[self.counted..start].split(|&byte| byte == b'\n').count();
        self.line += pieces as u64 - 1;
        self.counted = start;
        self.line
    }
}
