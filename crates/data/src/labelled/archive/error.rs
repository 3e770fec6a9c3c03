//! What can be wrong in a `.ts` or `.arff` file, one variant per cause.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::DataError;
use crate::labelled::LabelledError;
use crate::place::listing;

/// What is wrong in a file of an archive, and where.
#[derive(Debug, Error)]
#[error("{file}, line {line}, column {column}: {problem}")]
pub struct ArchiveError {
    /// The file.
    pub file: PathBuf,
    /// Line, counted from 1.
    pub line: u64,
    /// Byte in the line, counted from 1.
    pub column: usize,
    /// What is wrong, and how to mend it.
    pub problem: ArchiveProblem,
}

/// What is wrong, and how to mend it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveProblem {
    /// A file without the line that ends its header.
    #[error(
        "the file ends before @data, expected the line @data, then one case per line; add it, or \
         get the file again if it is cut short"
    )]
    NoData,
    /// A file without cases.
    #[error("the file ends after @data, expected one case per line; get the file again")]
    NoCases,
    /// Compressed data that cannot be unpacked.
    #[error("the gzip data end early or are damaged; get the file again")]
    Damaged,
    /// A line of the header that is none.
    #[error(
        "found {found:?} before @data, expected a key that begins with @, or a comment that begins \
         with # or %; put the line @data before the cases"
    )]
    NotAKey {
        /// The start of the line.
        found: String,
    },
    /// A key of the header with a value that is none.
    #[error("found {found:?} after {key}, expected {expected}; correct the header")]
    KeyValue {
        /// The key, with its `@`.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// Cases with a number each instead of a class.
    #[error(
        "found @targetLabel true, a number for each case to predict, expected @classLabel true; \
         this is a regression problem, give a classification problem"
    )]
    Regression,
    /// Cases without labels where labels are needed.
    #[error(
        "the header says that the cases have no label, expected one for each; give a file with \
         labels, or name their classes with `regard classify`"
    )]
    Unlabelled,
    /// An attribute of an `.arff` file that cannot be part of a series.
    #[error("found the attribute {found:?}, expected {expected}; correct the header")]
    Attribute {
        /// Its name and type.
        found: String,
        /// What may stand here.
        expected: &'static str,
    },
    /// Text where a number belongs.
    #[error("found {found:?}, expected a number, or ? where it is missing; correct the value")]
    NotANumber {
        /// The text.
        found: String,
    },
    /// A case with too many or too few dimensions.
    #[error(
        "found {found} dimensions, expected {expected}; complete the case, or correct the header"
    )]
    Dimensions {
        /// Dimensions of the case.
        found: usize,
        /// The number, and who says so.
        expected: Expected,
    },
    /// A dimension with too many or too few values.
    #[error(
        "found {found} values in dimension {dimension}, expected {expected}; complete the case, or \
         correct the header"
    )]
    Steps {
        /// Values of the dimension.
        found: usize,
        /// The dimension, counted from 1.
        dimension: usize,
        /// The number, and who says so.
        expected: Expected,
    },
    /// A dimension without a value.
    #[error(
        "dimension {dimension} has no value, expected at least one to fill the others from; remove \
         the case, or choose other dimensions with data.columns"
    )]
    NoValue {
        /// The dimension, counted from 1.
        dimension: usize,
    },
    /// A case without a label.
    #[error("found {found}, expected : and the label of the case; complete the case")]
    NoLabel {
        /// What stands there.
        found: String,
    },
    /// A label that the header does not declare.
    #[error(
        "found the label {found:?}, expected one of {}, which line {line} declares; correct the \
         label, or declare it there",
        listing(.known)
    )]
    UndeclaredLabel {
        /// The label.
        found: String,
        /// The declared ones.
        known: Vec<String>,
        /// The line that declares them.
        line: u64,
    },
    /// A case that is not written as its format asks.
    #[error("found {found}, expected {expected}; correct the case")]
    Syntax {
        /// What stands there.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A stamp that is no time.
    #[error("found the stamp {found:?}, expected {expected}; correct the stamp")]
    NotAStamp {
        /// The stamp.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// Stamps that do not increase.
    #[error("found the stamp {found:?} after {before:?}, expected a later one; sort the values")]
    StampOrder {
        /// The stamp.
        found: String,
        /// The one before.
        before: String,
    },
    /// Dimensions of a case that were not measured together.
    #[error(
        "found the stamp {found:?} in dimension {dimension}, expected {expected:?} as in dimension \
         1; give all dimensions the same stamps, with ? where a value is missing"
    )]
    StampMismatch {
        /// The stamp.
        found: String,
        /// The dimension, counted from 1.
        dimension: usize,
        /// The stamp of the first dimension.
        expected: String,
    },
}

/// A size, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The size.
    pub size: usize,
    /// Such as `as @dimensions says in line 4`.
    pub reason: String,
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}", self.size, self.reason)
    }
}

impl ArchiveError {
    /// A problem at a place.
    pub(super) fn at(file: &Path, line: u64, column: usize, problem: ArchiveProblem) -> DataError {
        let error = Self { file: file.to_owned(), line, column, problem };
        LabelledError::Archive(error).into()
    }
}

/// The start of a text, for a message: some signs, with one for each byte that is not UTF-8.
pub(super) fn excerpt(text: &[u8]) -> String {
    const SHOWN: usize = 40;
    let start = String::from_utf8_lossy(&text[..text.len().min(4 * SHOWN)]);
    let mut signs = start.chars();
    let shown: String = signs.by_ref().take(SHOWN).collect();
    if signs.next().is_some() { format!("{shown}…") } else { shown }
}
