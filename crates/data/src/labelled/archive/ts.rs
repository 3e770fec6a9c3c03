//! The `.ts` files of the UEA and UCR archives.
//!
//! A header of keys in any case and order, `@data`, then one case per line:
//!
//! ```text
//! # any text
//! @dimensions 2
//! @classLabel true up down
//! @data
//! 0.5,1,?:3,2,1:up                                dimensions, then the label
//! (0,0.5),(1,1),(2,?):(0,3),(1,2),(2,1):up        the same with @timeStamps true
//! ```
//!
//! A stamp is a number or a date. The stamps of a case must increase, and be the same in all its
//! dimensions; they give the time step where all steps are equal.

use std::path::Path;

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;

use super::cases::{Case, Cases, Dimension};
use super::error::{ArchiveProblem, Expected};
use super::lines::{Field, Line, Lines};
use crate::DataError;
use crate::labelled::LabelledOptions;
use crate::labelled::part::Part;

/// What the header says of the cases.
#[derive(Default)]
struct Header {
    has_stamps: bool,
    /// Whether a case has a label behind its dimensions; it has unless the header denies it.
    unlabelled: bool,
    /// Labels, and the line that declares them.
    declared: Option<(Vec<String>, u64)>,
    dimensions: Option<Expected>,
    univariate: Option<Expected>,
    series_length: Option<Expected>,
    /// Whether all cases are of one length, and the line that says so.
    equal_length: Option<(bool, u64)>,
}

/// Reads one file; one whose cases have no labels only if they need none.
pub(super) fn read(
    mut lines: Lines<'_>,
    file: &Path,
    options: &LabelledOptions,
    labelled: bool,
) -> Result<Part, DataError> {
    let header = Header::read(&mut lines, labelled)?;
    let mut cases = Cases::new(file, options);
    let is_unequal = matches!(header.equal_length, Some((false, _)));
    cases.dimensions = header.dimensions.or(header.univariate);
    cases.steps = header.series_length.filter(|_| !is_unequal);
    cases.equal_since = header.equal_length.and_then(|(equal, line)| equal.then_some(line));
    cases.declared = header.declared;
    let mut stamps = Stamps::Unknown;
    while let Some(line) = lines.next()? {
        if line.is_comment() {
            continue;
        }
        let case = if header.has_stamps {
            stamped_case(line, !header.unlabelled, &mut stamps)?
        } else {
            plain_case(line, !header.unlabelled)?
        };
        cases.push(case)?;
    }
    if cases.is_empty() {
        return Err(lines.end(ArchiveProblem::NoCases));
    }
    Ok(cases.into_part())
}

impl Header {
    /// Reads up to and with the line `@data`.
    fn read(lines: &mut Lines<'_>, labelled: bool) -> Result<Self, DataError> {
        let mut header = Self::default();
        while let Some(line) = lines.next()? {
            if line.is_comment() {
                continue;
            }
            let (key, value) = line.all().word();
            if !key.text.starts_with(b"@") {
                return Err(key.error(ArchiveProblem::NotAKey { found: line.all().excerpt() }));
            }
            if key.text.eq_ignore_ascii_case(b"@data") {
                return Ok(header);
            }
            header.set(&key.lossy().to_ascii_lowercase(), value, labelled)?;
        }
        Err(lines.end(ArchiveProblem::NoData))
    }

    /// Takes a key; those that say nothing of the cases are passed over.
    fn set(&mut self, key: &str, value: Field<'_>, labelled: bool) -> Result<(), DataError> {
        let line = value.line.number;
        let size = |name| {
            let size = count(name, value)?;
            let reason = format!("as {name} says in line {line}");
            Ok::<_, DataError>(Some(Expected { size, reason }))
        };
        match key {
            "@timestamps" => self.has_stamps = flag("@timeStamps", value)?,
            "@univariate" => {
                let reason = format!("as @univariate says in line {line}");
                let is_one = flag("@univariate", value)?;
                self.univariate = is_one.then_some(Expected { size: 1, reason });
            }
            "@dimensions" | "@dimension" => self.dimensions = size("@dimensions")?,
            "@equallength" => self.equal_length = Some((flag("@equalLength", value)?, line)),
            "@serieslength" => self.series_length = size("@seriesLength")?,
            "@targetlabel" if flag("@targetLabel", value)? && labelled => {
                return Err(value.error(ArchiveProblem::Regression));
            }
            "@classlabel" => {
                let (word, names) = value.word();
                self.unlabelled = !flag("@classLabel", word)?;
                if self.unlabelled && labelled {
                    return Err(word.error(ArchiveProblem::Unlabelled));
                }
                let mut declared: Vec<String> = Vec::new();
                for name in names.lossy().split_ascii_whitespace() {
                    if !declared.iter().any(|known| known == name) {
                        declared.push(name.to_owned());
                    }
                }
                self.declared = (!declared.is_empty()).then_some((declared, line));
            }
            _ => {}
        }
        Ok(())
    }
}

fn flag(key: &'static str, value: Field<'_>) -> Result<bool, DataError> {
    let (word, _) = value.word();
    match &word.text.to_ascii_lowercase()[..] {
        b"true" => Ok(true),
        b"false" => Ok(false),
        _ => Err(key_error(key, word, "true or false")),
    }
}

fn count(key: &'static str, value: Field<'_>) -> Result<usize, DataError> {
    let number = std::str::from_utf8(value.text).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| key_error(key, value, "a whole number"))
}

fn key_error(key: &'static str, value: Field<'_>, expected: &'static str) -> DataError {
    value.error(ArchiveProblem::KeyValue { key, found: value.excerpt(), expected })
}

/// `v,v,…:v,v,…:label`
fn plain_case(line: Line<'_>, has_label: bool) -> Result<Case<'_>, DataError> {
    let mut fields: Vec<Field<'_>> = line.all().split(b':').collect();
    let label = if has_label { fields.pop() } else { None };
    if fields.is_empty() {
        let found = format!("{:?} without a colon", line.all().excerpt());
        return Err(line.all().error(ArchiveProblem::NoLabel { found }));
    }
    let dimensions = fields.into_iter().map(Dimension::parse).collect::<Result<_, _>>()?;
    check_label(label)?;
    Ok(Case { line, dimensions, label, times: None })
}

fn check_label(label: Option<Field<'_>>) -> Result<(), DataError> {
    match label {
        Some(label) if label.text.is_empty() => {
            Err(label.error(ArchiveProblem::NoLabel { found: "the end of the line".into() }))
        }
        _ => Ok(()),
    }
}

/// What the stamps of a file are: as the first one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stamps {
    Unknown,
    Numbers,
    Dates,
}

impl Stamps {
    /// The time of a stamp: the number, or seconds since 1970.
    fn time(&mut self, stamp: Field<'_>) -> Result<f64, DataError> {
        let text = stamp.lossy();
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        if *self == Self::Unknown {
            *self = if number.is_some() { Self::Numbers } else { Self::Dates };
        }
        let (time, expected) = match self {
            Self::Numbers | Self::Unknown => (number, "a number"),
            Self::Dates => {
                let nanos = string_to_timestamp_nanos(&text).ok();
                (nanos.map(|nanos| nanos as f64 / 1e9), "a date such as 2026-01-31 12:00:00")
            }
        };
        let found = || stamp.excerpt();
        time.ok_or_else(|| stamp.error(ArchiveProblem::NotAStamp { found: found(), expected }))
    }
}

/// `(t,v),(t,v),…:(t,v),…:label`; the stamps may hold colons.
fn stamped_case<'a>(
    line: Line<'a>,
    has_label: bool,
    stamps: &mut Stamps,
) -> Result<Case<'a>, DataError> {
    let mut reader = Tuples { line, at: 0 };
    let mut dimensions: Vec<Dimension<'a>> = Vec::new();
    let mut first: Vec<(f64, Field<'a>)> = Vec::new();
    let mut label = None;
    loop {
        if reader.peek() != Some(b'(') && has_label {
            label = Some(reader.label()?);
            break;
        }
        let field = reader.rest();
        let mut values = Vec::new();
        loop {
            let (stamp, value) = reader.tuple()?;
            let time = stamps.time(stamp)?;
            if dimensions.is_empty() {
                check_order(first.last(), stamp, time)?;
                first.push((time, stamp));
            } else {
                check_same(&first, values.len(), stamp, time, dimensions.len() + 1)?;
            }
            values.push(value.number()?);
            if !reader.skip(b',') {
                break;
            }
        }
        dimensions.push(Dimension { field, values });
        if !reader.skip(b':') {
            reader.expect_end(has_label)?;
            break;
        }
    }
    if dimensions.is_empty() {
        let found = format!("{:?} without a tuple", line.all().excerpt());
        let expected = "a tuple (stamp,value)";
        return Err(line.all().error(ArchiveProblem::Syntax { found, expected }));
    }
    check_label(label)?;
    let times = Some(first.into_iter().map(|(time, _)| time).collect());
    Ok(Case { line, dimensions, label, times })
}

fn check_order(
    last: Option<&(f64, Field<'_>)>,
    stamp: Field<'_>,
    time: f64,
) -> Result<(), DataError> {
    match last {
        Some((before, text)) if time <= *before => {
            let (found, before) = (stamp.excerpt(), text.excerpt());
            Err(stamp.error(ArchiveProblem::StampOrder { found, before }))
        }
        _ => Ok(()),
    }
}

fn check_same(
    first: &[(f64, Field<'_>)],
    step: usize,
    stamp: Field<'_>,
    time: f64,
    dimension: usize,
) -> Result<(), DataError> {
    match first.get(step) {
        Some((expected, text)) if time.total_cmp(expected).is_ne() => {
            let (found, expected) = (stamp.excerpt(), text.excerpt());
            Err(stamp.error(ArchiveProblem::StampMismatch { found, dimension, expected }))
        }
        _ => Ok(()), // one too many is counted later
    }
}

/// A line of tuples, read from left to right.
struct Tuples<'a> {
    line: Line<'a>,
    at: usize,
}

impl<'a> Tuples<'a> {
    /// The next byte that is not blank.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.line.text[self.at..];
        self.at += rest.len() - rest.trim_ascii_start().len();
        self.line.text.get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let is_it = self.peek() == Some(byte);
        self.at += usize::from(is_it);
        is_it
    }

    fn rest(&self) -> Field<'a> {
        self.line.field(self.at, self.line.text.len())
    }

    /// Up to the next `end`, which is passed.
    fn until(&mut self, end: u8, expected: &'static str) -> Result<Field<'a>, DataError> {
        let rest = &self.line.text[self.at..];
        let stops = |byte: &u8| matches!(byte, b'(' | b')') || *byte == end;
        match rest.iter().position(stops) {
            Some(length) if rest[length] == end => {
                let field = self.line.field(self.at, self.at + length);
                self.at += length + 1;
                Ok(field)
            }
            stop => {
                self.at += stop.unwrap_or(rest.len());
                Err(self.syntax(expected))
            }
        }
    }

    /// `(stamp,value)`
    fn tuple(&mut self) -> Result<(Field<'a>, Field<'a>), DataError> {
        if !self.skip(b'(') {
            return Err(self.syntax("( and a tuple (stamp,value)"));
        }
        let stamp = self.until(b',', "a comma behind the stamp, in a tuple (stamp,value)")?;
        let value = self.until(b')', ") behind the value, in a tuple (stamp,value)")?;
        Ok((stamp, value))
    }

    /// The rest of the line, which is the label.
    fn label(&mut self) -> Result<Field<'a>, DataError> {
        let label = self.rest();
        if label.text.iter().any(|byte| b":()".contains(byte)) {
            return Err(self.syntax("( and a tuple (stamp,value), or the label at the end"));
        }
        Ok(label)
    }

    fn expect_end(&mut self, has_label: bool) -> Result<(), DataError> {
        match (self.peek(), has_label) {
            (None, false) => Ok(()),
            (None, true) => {
                let found = "the end of the line".into();
                Err(self.line.error(self.at, ArchiveProblem::NoLabel { found }))
            }
            (Some(_), _) => Err(self.syntax(", or : behind a tuple")),
        }
    }

    fn syntax(&mut self, expected: &'static str) -> DataError {
        let found = match self.peek() {
            None => "the end of the line".to_owned(),
            Some(_) => format!("{:?}", self.rest().excerpt()),
        };
        self.line.error(self.at, ArchiveProblem::Syntax { found, expected })
    }
}
