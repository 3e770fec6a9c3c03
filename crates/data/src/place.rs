//! Where in a file, and which name: the parts that messages are made of.

use std::fmt;
use std::path::PathBuf;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The file.
    pub file: PathBuf,
    /// The row.
    pub position: Position,
    /// The column.
    pub column: String,
}

/// A row of a file, as its format counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Line of a text file, counted from 1 at the header.
    Line(u64),
    /// Row of a table or array, counted from 0.
    Row(usize),
    /// Row of one series of an array, both counted from 0.
    Entry {
        /// The series.
        series: usize,
        /// The row.
        row: usize,
    },
}

/// A step in time that is not the usual one.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeStep {
    /// The time before.
    pub before: String,
    /// The time after.
    pub after: String,
    /// The step between them; seconds for dates.
    pub found: f64,
    /// The usual step, the median.
    pub usual: f64,
}

/// A name that a file does not have, and the names it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    /// `column` or `array`.
    pub what: &'static str,
    /// The name asked for.
    pub found: String,
    /// The configuration key that asked.
    pub key: &'static str,
    /// The names there are.
    pub known: Vec<String>,
}

impl UnknownName {
    /// The known name nearest to the one asked for, if one is near.
    #[must_use]
    pub fn nearest(&self) -> Option<&str> {
        let found = self.found.to_lowercase();
        let distance = |known: &str| strsim::damerau_levenshtein(&found, &known.to_lowercase());
        let allowed = (found.chars().count() / 3).max(1); // one typing error in three letters
        let known = self.known.iter().map(|known| (distance(known), known.as_str()));
        let nearest = known.min_by_key(|&(distance, _)| distance);
        nearest.filter(|&(distance, _)| distance <= allowed).map(|(_, known)| known)
    }

    /// The end of a message: what was asked for, the nearest name, all names.
    pub(crate) fn describe(&self) -> String {
        let Self { what, found, key, known } = self;
        let hint = self.nearest().map_or(String::new(), |near| format!("did you mean {near:?}? "));
        format!("{what} {found:?}, asked for by data.{key}; {hint}it has {}", listing(known))
    }
}

impl fmt::Display for TimeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, after, found, usual } = self;
        write!(f, "time goes from {before} to {after}, a step of {found}, expected ")?;
        if *usual > 0.0 {
            write!(f, "equal steps of {usual}")
        } else {
            write!(f, "increasing times")
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, column {:?}", self.file.display(), self.position, self.column)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row index {row}"),
            Self::Entry { series, row } => write!(f, "series index {series}, row index {row}"),
        }
    }
}

/// The names, the first few of many.
pub(crate) fn listing(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() {
        0..=SHOWN => shown,
        many => format!("{shown}, … ({many} in all)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataError;

    fn unknown(found: &str) -> UnknownName {
        let known = ["time", "temp", "Wind speed"].map(String::from).to_vec();
        UnknownName { what: "column", found: found.into(), key: "columns", known }
    }

    #[test]
    fn a_near_name_is_offered_and_a_far_one_is_not() {
        assert_eq!(unknown("tmp").nearest(), Some("temp"));
        assert_eq!(unknown("wind_speed").nearest(), Some("Wind speed"));
        assert_eq!(unknown("pressure").nearest(), None);
        let error = DataError::UnknownName { file: "a.csv".into(), name: Box::new(unknown("tmp")) };
        assert_eq!(
            error.to_string(),
            "a.csv has no column \"tmp\", asked for by data.columns; did you mean \"temp\"? \
             it has time, temp, Wind speed"
        );
    }

    #[test]
    fn a_thousand_columns_fit_a_message() {
        let names: Vec<String> = (0..1024).map(|i| format!("x{i}")).collect();
        assert_eq!(
            listing(&names),
            "x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, … (1024 in all)"
        );
    }
}
