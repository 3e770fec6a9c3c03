//! One part of a source as its reader leaves it: series, and a text for the label of each.

use std::path::Path;

use super::LabelledError;
use crate::file::{Missing, resolve};
use crate::{Cell, DataError, Position, Series, SeriesSet};

/// Series with the labels that their source gives them.
#[derive(Debug)]
pub(super) struct Part {
    /// The file, or the folder of files.
    pub(super) source: String,
    pub(super) set: SeriesSet,
    /// Label of each series.
    pub(super) labels: Vec<String>,
    /// Where each label stands.
    pub(super) places: Places,
    /// The classes that the source declares, if it does.
    pub(super) classes: Vec<String>,
    pub(super) groups: Option<Vec<String>>,
    /// Height and width, where the series are images.
    pub(super) grid: Option<[usize; 2]>,
}

/// Where the labels stand: the name of a file or array, and the row of each label in it.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) within: String,
    pub(super) positions: Vec<Position>,
}

impl Places {
    /// Label `i` stands in row `i` of an array.
    pub(super) fn rows(within: String, count: usize) -> Self {
        Self { within, positions: (0..count).map(Position::Row).collect() }
    }

    /// Label `i` stands in line `i + 1` of a file.
    pub(super) fn lines(within: String, count: usize) -> Self {
        Self { within, positions: (1..=count as u64).map(Position::Line).collect() }
    }

    /// The place of label `i`, for a message.
    pub(super) fn of(&self, i: usize) -> String {
        format!("{}, {}", self.within, self.positions[i])
    }
}

/// A series without missing values, as the policy leaves it.
///
/// A dropped row shortens the series and does not cut it: a series stays one example.
pub(super) fn complete(
    name: String,
    values: Vec<f64>,
    channels: usize,
    policy: Missing,
    cell: impl Fn(usize, usize) -> Cell,
) -> Result<Series, DataError> {
    let file = |cell: Cell| DataError::AllRowsDropped { file: cell.file };
    let mut pieces = resolve(values, channels, policy, &cell)?;
    let values = match pieces.len() {
        0 => return Err(file(cell(0, 0))),
        1 => pieces.remove(0),
        _ => pieces.concat(),
    };
    Ok(Series::new(name, values, channels))
}

/// Refuses labels or groups that are not one for each window.
pub(super) fn check_count(
    place: String,
    what: &'static str,
    found: usize,
    expected: usize,
    reference: impl FnOnce() -> String,
) -> Result<(), DataError> {
    if found == expected {
        return Ok(());
    }
    Err(LabelledError::WrongCount { place, what, found, expected, reference: reference() }.into())
}

/// `file, array "name"`.
pub(super) fn array_place(file: &Path, array: &str) -> String {
    format!("{}, array {array:?}", file.display())
}
