//! `report.json` as text: indented objects, numbers of a list on one line.

use std::io::{self, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Serializer;
use serde_json::ser::Formatter;
use thiserror::Error;

use super::schema::Report;

/// Why a `report.json` cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The text is not JSON, or a key is missing or of the wrong kind.
    #[error("the report is not readable: the file is damaged or was not written by `regard`")]
    Unreadable(#[from] serde_json::Error),
    /// Another version of the program wrote it.
    #[error("the report has format version {found}, this program reads {expected}")]
    Version {
        /// Version in the file.
        found: u64,
        /// Version this crate reads.
        expected: u32,
    },
}

impl Report {
    /// The report as JSON, ending in a newline. NaN and ±∞ become `null`.
    #[must_use]
    pub fn to_json_pretty(&self) -> String {
        pretty(self)
    }

    /// Reads what [`Report::to_json_pretty`] wrote.
    ///
    /// # Errors
    /// [`ReportError`] if the text is no report or one of another format version.
    pub fn from_json(text: &str) -> Result<Self, ReportError> {
        version_checked(serde_json::from_str(text)?, Self::FORMAT_VERSION)
    }
}

/// A document as JSON, ending in a newline.
pub(super) fn pretty(document: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Layout::default());
    document.serialize(&mut serializer).expect("keys are strings and memory takes every byte");
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("serde_json writes UTF-8")
}

/// A document, unless another version of the program wrote it.
pub(super) fn version_checked<T: DeserializeOwned>(
    value: serde_json::Value,
    expected: u32,
) -> Result<T, ReportError> {
    match value.get("format_version").and_then(serde_json::Value::as_u64) {
        Some(found) if found != u64::from(expected) => {
            Err(ReportError::Version { found, expected })
        }
        _ => Ok(serde_json::from_value(value)?),
    }
}

/// Puts every object and every list inside a list on lines of its own, and scalars side by side.
#[derive(Default)]
struct Layout {
    open: Vec<Open>,
}

struct Open {
    is_list: bool,
    has_lines: bool,
}

impl Layout {
    fn begin<W: ?Sized + Write>(&mut self, out: &mut W, is_list: bool) -> io::Result<()> {
        if let Some(parent) = self.open.last_mut().filter(|parent| parent.is_list) {
            parent.has_lines = true;
            self.new_line(out)?;
        }
        self.open.push(Open { is_list, has_lines: false });
        out.write_all(if is_list { b"[" } else { b"{" })
    }

    fn end<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        if self.open.pop().is_some_and(|closed| closed.has_lines) {
            self.new_line(out)?;
        }
        out.write_all(bracket)
    }

    fn new_line<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(b"\n")?;
        self.open.iter().try_for_each(|_| out.write_all(b"  "))
    }
}

impl Formatter for Layout {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, true)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"]")
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, false)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        if let Some(object) = self.open.last_mut() {
            object.has_lines = true;
        }
        self.new_line(out)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;

    #[test]
    fn reading_what_was_written_gives_the_same_report() {
        let report = synthetic::lorenz();
        assert_eq!(Report::from_json(&report.to_json_pretty()).unwrap(), report);
    }

    #[test]
    fn non_finite_numbers_are_null_and_come_back_as_missing() {
        let mut report = synthetic::lorenz();
        report.training.seconds = f64::NAN;
        report.training.curve[1].validation_loss = Some(f64::INFINITY);
        report.scores[0].one_step_mse = Some(f64::NAN);
        report.scores[0].vpt[0].q75 = f64::NAN;
        report.scores[0].climate_std_ratio = Some(vec![1.0, f64::NEG_INFINITY, 2.0]);
        report.rollouts.examples[0].forecast[1][2] = f64::INFINITY;
        report.attention[0].values[3] = f32::NAN;
        let text = report.to_json_pretty();
        assert!(!text.contains("NaN") && !text.contains("inf"));

        let back = Report::from_json(&text).unwrap();
        assert!(back.training.seconds.is_nan());
        assert_eq!(back.training.curve[1].validation_loss, None);
        assert_eq!(back.scores[0].one_step_mse, None);
        assert!(back.scores[0].vpt[0].q75.is_nan());
        let ratios = back.scores[0].climate_std_ratio.as_ref().unwrap();
        assert_eq!(format!("{ratios:?}"), "[1.0, NaN, 2.0]");
        assert!(back.rollouts.examples[0].forecast[1][2].is_nan());
        assert!(back.attention[0].values[3].is_nan());
    }

    #[test]
    fn lists_of_numbers_stay_on_one_line() {
        #[derive(Serialize)]
        struct Sample {
            numbers: Vec<f64>,
            table: Vec<Vec<u8>>,
            rows: Vec<std::collections::BTreeMap<&'static str, u8>>,
            empty: Vec<u8>,
        }
        let sample = Sample {
            numbers: vec![0.5, f64::NAN],
            table: vec![vec![1, 2], vec![3]],
            rows: vec![[("a", 1)].into()],
            empty: vec![],
        };
        let mut bytes = Vec::new();
        sample.serialize(&mut Serializer::with_formatter(&mut bytes, Layout::default())).unwrap();
        insta::assert_snapshot!(String::from_utf8(bytes).unwrap(), @r#"
        {
          "numbers": [0.5,null],
          "table": [
            [1,2],
            [3]
          ],
          "rows": [
            {
              "a": 1
            }
          ],
          "empty": []
        }
        "#);
    }

    #[test]
    fn another_format_version_is_named() {
        let mut report = synthetic::lorenz();
        report.format_version = 7;
        let error = Report::from_json(&report.to_json_pretty()).unwrap_err();
        assert_eq!(error.to_string(), "the report has format version 7, this program reads 1");
        let error = Report::from_json("{\"format_version\": 1}").unwrap_err();
        assert!(matches!(error, ReportError::Unreadable(_)));
    }
}
