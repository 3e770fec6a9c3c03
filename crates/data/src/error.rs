//! Everything that can be wrong with data from outside, one variant per cause.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::labelled::LabelledError;
use crate::operator::OperatorError;
use crate::place::{Cell, TimeStep, UnknownName, listing};
use crate::text::TextError;

/// What is wrong with a file, a simulation or a division of data, and how to mend it.
///
/// A message names the place, the value found and what was expected; it does not repeat its
/// source, so print the whole chain.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused to read or write a file.
    #[error("cannot {action} {file}")]
    Io {
        /// The file.
        file: PathBuf,
        /// `read` or `write`.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// No file can be made in the folder of the file to write.
    #[error("cannot write {file}: the folder {folder} does not exist or takes no new files")]
    UnwritableFolder {
        /// The file to write.
        file: PathBuf,
        /// Its folder.
        folder: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file name does not tell a known format.
    #[error("{file}: unknown extension {found:?}, expected one of {known}")]
    UnknownExtension {
        /// The file.
        file: PathBuf,
        /// Its extension without the dot.
        found: String,
        /// The known extensions.
        known: String,
    },
    /// A file of zero bytes, or of blank lines only.
    #[error(
        "{file} is empty, expected a header line with column names, then one row per time step"
    )]
    EmptyFile {
        /// The file.
        file: PathBuf,
    },
    /// A file with a header or a shape, and no time step.
    #[error("{file} holds no rows, expected one row per time step below the column names")]
    NoRows {
        /// The file.
        file: PathBuf,
    },
    /// The first line of a text table holds values.
    #[error(
        "{file}, line 1: found the number {found:?}, expected column names; \
         add a header line such as {example}"
    )]
    NoHeader {
        /// The file.
        file: PathBuf,
        /// The first cell.
        found: String,
        /// A header of the right width.
        example: String,
    },
    /// The header is one cell that another separator would cut.
    #[error(
        "{file}, line 1: found the separator {found:?}, expected {expected:?}; \
         save the table with {expected:?}, or tab-separated as .tsv"
    )]
    WrongSeparator {
        /// The file.
        file: PathBuf,
        /// The separator in the header.
        found: char,
        /// The separator of this format.
        expected: char,
    },
    /// A text file in another encoding.
    #[error("{file}, line {line}: found bytes that are not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// The file.
        file: PathBuf,
        /// Line, counted from 1.
        line: u64,
    },
    /// A row with more or fewer cells than the header.
    #[error(
        "{file}, line {line}: found {found} cells, expected {expected} as in the header; \
         complete or remove the line"
    )]
    RaggedRow {
        /// The file.
        file: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// Cells in the line.
        found: u64,
        /// Cells in the header.
        expected: u64,
    },
    /// Text in a number column.
    #[error(
        "{cell}: found {found:?}, expected a number; \
         remove the column or list the numeric ones under data.columns \
         (a missing value is an empty cell or NaN)"
    )]
    NotANumber {
        /// Where.
        cell: Cell,
        /// The text found.
        found: String,
    },
    /// A missing or infinite value where the policy allows none.
    #[error(
        "{cell}: found {found}, expected a finite number; complete the data, or set \
         data.missing = \"previous\" | \"linear\" | \"drop-row\""
    )]
    MissingValue {
        /// Where.
        cell: Cell,
        /// What stands there.
        found: String,
    },
    /// A missing value that its policy cannot fill: nothing before it, or nothing after.
    #[error(
        "{cell}: found a missing value, expected a finite one {side} it in the series for \
         data.missing = {policy:?}; complete the data, or set data.missing = \"drop-row\""
    )]
    UnfillableValue {
        /// Where.
        cell: Cell,
        /// `before` or `after`.
        side: &'static str,
        /// The policy in the words of the configuration.
        policy: &'static str,
    },
    /// A policy that leaves nothing.
    #[error(
        "{file}: data.missing = \"drop-row\" drops every row, expected rows without a missing \
         value; list the complete columns under data.columns"
    )]
    AllRowsDropped {
        /// The file.
        file: PathBuf,
    },
    /// A row that does not say which series it belongs to.
    #[error("{cell}: found an empty cell, expected the name of the row's series")]
    EmptyId {
        /// Where.
        cell: Cell,
    },
    /// A time that cannot be read, or is not of the kind of the first one.
    #[error("{cell}: found {found:?}, expected {expected}")]
    NotATime {
        /// Where.
        cell: Cell,
        /// The text found.
        found: String,
        /// A number or a date.
        expected: &'static str,
    },
    /// A gap, a repetition or a step back in the time column.
    #[error(
        "{cell}: {step}; complete or resample the data (to take the rows as equally spaced, \
         rename the column and list the channels under data.columns)"
    )]
    UnevenTime {
        /// Where the later of two times stands.
        cell: Cell,
        /// The step between them.
        step: Box<TimeStep>,
    },
    /// Two series of one file with different time steps.
    #[error(
        "{file}: series {series:?} has a time step of {found}, expected {expected} as in series \
         {first:?}; resample the data to one step"
    )]
    UnequalTimeSteps {
        /// The file.
        file: PathBuf,
        /// The series that differs.
        series: String,
        /// Its time step.
        found: f64,
        /// The series it is compared to.
        first: String,
        /// The time step of that one.
        expected: f64,
    },
    /// A name that the file does not have.
    #[error("{file} has no {}", .name.describe())]
    UnknownName {
        /// The file.
        file: PathBuf,
        /// What was asked for and what there is.
        name: Box<UnknownName>,
    },
    /// One name for two columns.
    #[error("{file}: found the column {column:?} twice, expected distinct names; rename one")]
    DuplicateColumn {
        /// The file.
        file: PathBuf,
        /// The name.
        column: String,
    },
    /// Two series of one name, which the file would merge into one.
    #[error("{file}: found the series {series:?} twice, expected distinct names; rename one")]
    DuplicateSeries {
        /// The file.
        file: PathBuf,
        /// The name.
        series: String,
    },
    /// Nothing left once the id and time columns are taken out.
    #[error("{file} has no channel: every column is an id, a time or an index")]
    NoChannels {
        /// The file.
        file: PathBuf,
    },
    /// A column or array of a type that is not a number.
    #[error(
        "{file}, {what} {name:?}: found the type {found}, expected {expected}; \
         convert it, or leave it out ({key})"
    )]
    UnsupportedType {
        /// The file.
        file: PathBuf,
        /// `column` or `array`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Its type in the file's words.
        found: String,
        /// What is accepted.
        expected: &'static str,
        /// The configuration key that chooses.
        key: &'static str,
    },
    /// A file cut short, damaged or not of the format that its name says.
    #[error("{file} is not a whole {format} file: it is cut short or damaged; make it again")]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// The format that the name says.
        format: &'static str,
        /// The decoder's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No array, or more than one, that can be a table of time steps.
    #[error(
        "{file} holds {found} arrays that can be series, expected one: name it with the key \
         data.array; the arrays are {arrays}"
    )]
    AmbiguousArray {
        /// The file.
        file: PathBuf,
        /// Number of candidates.
        found: usize,
        /// All arrays with their shapes and types.
        arrays: String,
    },
    /// An array of a shape that is not a series.
    #[error(
        "{file}, array {array:?}: found the shape {found:?}, expected [steps], [steps, channels] \
         or [series, steps, channels]"
    )]
    WrongShape {
        /// The file.
        file: PathBuf,
        /// The array.
        array: String,
        /// Its shape.
        found: Vec<usize>,
    },
    /// Times whose number is not the number of steps.
    #[error("{file}, array {array:?}: found {found} times, expected one for each of {steps} steps")]
    WrongTimes {
        /// The file.
        file: PathBuf,
        /// The array of times.
        array: String,
        /// Its length.
        found: usize,
        /// Steps of the series.
        steps: usize,
    },
    /// An option that has no meaning for this kind of file.
    #[error("{file}: data.{key} = {found:?} does not apply to {kind} files; remove the key")]
    WrongOption {
        /// The file.
        file: PathBuf,
        /// The option.
        key: &'static str,
        /// Its value.
        found: String,
        /// The kind of file.
        kind: &'static str,
    },
    /// Series that one array cannot hold.
    #[error(
        "{file}: series {series:?} has {found} steps, expected {expected} as in the first one: \
         one array holds series of one length; write .csv or .parquet"
    )]
    UnequalLengths {
        /// The file to write.
        file: PathBuf,
        /// The series that differs.
        series: String,
        /// Its steps.
        found: usize,
        /// Steps of the first series.
        expected: usize,
    },
    /// Columns other than the ones a model was trained on.
    #[error(
        "the data has the columns {}, expected {} in this order; \
         choose and order them with data.columns",
        listing(.found), listing(.expected)
    )]
    ColumnMismatch {
        /// Columns of the data.
        found: Vec<String>,
        /// Columns that are needed.
        expected: Vec<String>,
    },
    /// Fewer time steps than one window, or than the windows of a split.
    #[error(
        "series {series:?} has {steps} steps, expected at least {needed} {reason}; \
         give longer series, or lower window = {window} or horizon = {horizon}"
    )]
    TooShort {
        /// The longest series.
        series: String,
        /// Its steps.
        steps: usize,
        /// The smallest number that would do.
        needed: usize,
        /// Why that many.
        reason: &'static str,
        /// Input length of a window.
        window: usize,
        /// Output length of a window.
        horizon: usize,
    },
    /// A series that ends before one window is full.
    #[error(
        "series {series:?} has {steps} steps, the model needs the last {window} to go on from; \
         give longer series"
    )]
    TooShortToContinue {
        /// The series.
        series: String,
        /// Its steps.
        steps: usize,
        /// Input length of a window.
        window: usize,
    },
    /// Fewer series than parts.
    #[error(
        "found {series} series, expected at least {parts} to split by series into {parts} parts; \
         give more series, or split by time"
    )]
    TooFewSeries {
        /// Number of series.
        series: usize,
        /// Parts with a fraction above zero.
        parts: usize,
    },
    /// What is wrong with labels, windows or groups.
    #[error(transparent)]
    Labelled(Box<LabelledError>),
    /// What is wrong with a text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// What is wrong with pairs of functions.
    #[error(transparent)]
    Operator(Box<OperatorError>),
    /// A parameter outside its range.
    #[error("{name} = {found}, expected {expected}")]
    InvalidParameter {
        /// The parameter.
        name: &'static str,
        /// Its value.
        found: String,
        /// The range.
        expected: &'static str,
    },
    /// A simulation that left the finite numbers.
    #[error(
        "the simulation of {system} is not finite after {step} steps of dt = {dt}; \
         lower dt or raise substeps"
    )]
    Diverged {
        /// The system.
        system: &'static str,
        /// Steps made.
        step: usize,
        /// Time step.
        dt: f64,
    },
    /// A simulation whose series all reach a state that the system does not accept.
    #[error(
        "{found} series of {system} in a row were rejected, expected one to be accepted; \
         raise burn_in, lower n_steps, or choose other parameters"
    )]
    AllRejected {
        /// The system.
        system: &'static str,
        /// Series that were rejected.
        found: usize,
    },
}

impl DataError {
    /// The only problem of a folder in which another was asked for.
    #[must_use]
    pub fn only_problem(&self) -> Option<String> {
        let Self::Labelled(error) = self else { return None };
        match &**error {
            LabelledError::NoProblem { asked: Some(_), known, .. } => {
                known.first().filter(|_| known.len() == 1).cloned()
            }
            _ => None,
        }
    }
}

impl From<OperatorError> for DataError {
    fn from(error: OperatorError) -> Self {
        Self::Operator(Box::new(error))
    }
}

impl From<LabelledError> for DataError {
    fn from(error: LabelledError) -> Self {
        Self::Labelled(Box::new(error))
    }
}
