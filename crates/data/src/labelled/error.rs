//! What can be wrong with labels, windows and groups, one variant per cause.

use std::path::PathBuf;

use thiserror::Error;

use super::{ArchiveError, ImageError};
use crate::Cell;
use crate::place::listing;

/// What is wrong with labelled data, and how to mend it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LabelledError {
    /// A folder in which no known arrangement of files is found.
    #[error(
        "{folder} holds no labelled data, expected train.npz (or .csv, .tsv, .parquet, .ts, .arff) \
         and test.npz, NAME_TRAIN.ts and NAME_TEST.ts, images, or the folder \"UCI HAR Dataset\"; \
         give the folder that holds them, or one file"
    )]
    UnknownLayout {
        /// The folder.
        folder: PathBuf,
    },
    /// A problem of the archives that is not there, or cannot be told among others.
    #[error("{folder} {}", problem(.asked.as_deref(), .known))]
    NoProblem {
        /// The folder.
        folder: PathBuf,
        /// The problem asked for.
        asked: Option<String>,
        /// The problems there are.
        known: Vec<String>,
    },
    /// A fault in a file of the archives.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A fault in a file of images.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A file that belongs to the others.
    #[error("{file} does not exist, expected {holds}; {remedy}")]
    MissingFile {
        /// The file.
        file: PathBuf,
        /// What it should hold.
        holds: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// An array or column that cannot be told by its name.
    #[error(
        "{file} has no {what} named {}, expected one for the {holds}; name it with the key \
         data.{key}; it has {}",
        .tried.join(", "), listing(.known)
    )]
    NotFound {
        /// The file.
        file: PathBuf,
        /// `array` or `column`.
        what: &'static str,
        /// What it should hold.
        holds: &'static str,
        /// The names that need not be given.
        tried: &'static [&'static str],
        /// The configuration key that names it.
        key: &'static str,
        /// The names there are.
        known: Vec<String>,
    },
    /// Windows of a shape that is not one of windows.
    #[error(
        "{file}, array {array:?}: found the shape {found:?}, expected [series, steps, channels], or \
         [series, steps] for one channel"
    )]
    WindowShape {
        /// The file.
        file: PathBuf,
        /// The array.
        array: String,
        /// Its shape.
        found: Vec<usize>,
    },
    /// Labels or groups in more than one row.
    #[error("{place}: found the shape {found:?}, expected [series], {what} one for each window")]
    LabelShape {
        /// The file and the array in it.
        place: String,
        /// `labels` or `groups`.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A line with more or fewer numbers than a window has steps.
    #[error(
        "{file}, line {line}: found {found} numbers, expected {expected}, one for each step of a \
         window; the file is damaged: get it again"
    )]
    WindowLength {
        /// The file.
        file: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// Numbers in the line.
        found: usize,
        /// Steps of a window.
        expected: usize,
    },
    /// Files, or arrays of one file, that do not hold the same windows.
    #[error(
        "{place}: found {found} {what}, expected {expected} as there are windows in {reference}; \
         the two do not belong together, or one is cut short"
    )]
    WrongCount {
        /// The file, and the array in it.
        place: String,
        /// `windows`, `labels` or `groups`.
        what: &'static str,
        /// Number of them.
        found: usize,
        /// Number of windows.
        expected: usize,
        /// The file, and the array in it, that has that many.
        reference: String,
    },
    /// A label that is no class.
    #[error(
        "{place}: found the label {found:?}, expected one of {}; {remedy}",
        listing(.known)
    )]
    UnknownClass {
        /// Where.
        place: String,
        /// The label.
        found: String,
        /// The classes.
        known: Vec<String>,
        /// What to do.
        remedy: &'static str,
    },
    /// A line that does not name an activity.
    #[error(
        "{file}, line {line}: found {found:?}, expected a number and a name, such as 1 WALKING"
    )]
    NotAnActivity {
        /// The file.
        file: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// The line.
        found: String,
    },
    /// A class that only the test part has.
    #[error(
        "{place}: found the class {class:?}, which no series of the training part has; add \
         examples to the training part, or remove them from the test part"
    )]
    UnseenClass {
        /// Where.
        place: String,
        /// The class.
        class: String,
    },
    /// An empty label, or a group without a name.
    #[error("{place}: found nothing, expected the {what} of the window; complete the data")]
    NoLabel {
        /// Where.
        place: String,
        /// `label` or `group`.
        what: &'static str,
    },
    /// A number that counts nothing.
    #[error(
        "{place}: found {found}, expected a whole number or a text; class labels are not measured"
    )]
    NotALabel {
        /// Where.
        place: String,
        /// The number.
        found: f64,
    },
    /// Nothing to tell apart.
    #[error(
        "found the one class {class:?} in the training part, expected at least two to tell apart; \
         is data.label the right one?"
    )]
    OneClass {
        /// The class.
        class: String,
    },
    /// A window whose rows do not agree.
    #[error(
        "{cell}: found {found:?}, expected {expected:?} as in the rows before of window \
         {window:?}; a window has one {what}: cut it there"
    )]
    MixedWindow {
        /// Where the first row stands that differs.
        cell: Cell,
        /// `label` or `group`.
        what: &'static str,
        /// Its value.
        found: String,
        /// The value of the rows before.
        expected: String,
        /// The window.
        window: String,
    },
    /// A window that is interrupted by rows of others.
    #[error(
        "{cell}: found window {window:?} again after other rows, expected the rows of a window in \
         one run; number the windows so that no two share a name, or sort the rows"
    )]
    SplitWindow {
        /// Where the window goes on.
        cell: Cell,
        /// The window.
        window: String,
    },
    /// A split by group of data without groups.
    #[error(
        "the data say of no series to which group it belongs, expected groups to split by group; \
         name their array or column with data.group, or split with by = \"stratified\""
    )]
    NoGroups,
    /// Fewer groups than parts.
    #[error(
        "found {}, expected at least {parts} groups to split by group into {parts} parts; give \
         data of more groups, or split with by = \"stratified\"",
        .groups.describe()
    )]
    TooFewGroups {
        /// The groups.
        groups: Groups,
        /// Parts with a share above zero.
        parts: usize,
    },
    /// A group both in the training and in the test part of the source.
    #[error(
        "found group {group:?} in the training and in the test part, expected whole groups in one \
         part; move its series, or split with by = \"stratified\""
    )]
    SharedGroup {
        /// The group.
        group: String,
    },
    /// A class that cannot be in every part.
    #[error(
        "class {class:?} is in {found} {what}, expected at least {parts} of them, one for each \
         part; give more examples of it, or lower the number of parts"
    )]
    TooFewOfClass {
        /// The class.
        class: String,
        /// Groups or series that have it.
        found: usize,
        /// `groups` or `series`.
        what: &'static str,
        /// Parts with a share above zero.
        parts: usize,
    },
    /// Fewer series than parts.
    #[error(
        "found {found} series, expected at least {parts} of them, one for each part; give more \
         examples, or lower the number of parts"
    )]
    TooFewSeries {
        /// Number of series.
        found: usize,
        /// Parts with a share above zero.
        parts: usize,
    },
    /// Groups whose every division that was tried leaves a class out of a part.
    #[error(
        "{tried} divisions of {groups} groups into {parts} parts all leave a part without class \
         {class:?}, expected every class in every part; change the shares or the seed, or split \
         with by = \"stratified\""
    )]
    NoDivision {
        /// Divisions that were tried.
        tried: usize,
        /// Number of groups.
        groups: usize,
        /// Parts with a share above zero.
        parts: usize,
        /// The class that was left out most often.
        class: String,
    },
}

fn problem(asked: Option<&str>, known: &[String]) -> String {
    let known = listing(known);
    let Some(asked) = asked else {
        return format!(
            "holds the problems {known}; name one of them with the key data.problem, or give its \
             folder"
        );
    };
    let has = if known.is_empty() { String::new() } else { format!(" it has {known};") };
    format!(
        "has no files {asked}_TRAIN.ts (or .ts.gz, .arff, .arff.gz), which data.problem asks for;\
         {has} give the folder of the problem, or the one that holds it"
    )
}

/// The groups of a set, for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups(pub Vec<String>);

impl Groups {
    fn describe(&self) -> String {
        match &self.0[..] {
            [only] => format!("the one group {only:?}"),
            many => format!("{} groups ({})", many.len(), listing(many)),
        }
    }
}
