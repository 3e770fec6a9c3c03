//! What a path holds, and how to read it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::classes::assign;
use super::part::Part;
use super::{LabelledData, LabelledError, npz, table, uci_har};
use crate::DataError;
use crate::file::{Format, Missing};

/// How to read labelled series; the default suits files whose arrays or columns have usual names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LabelledOptions {
    /// Array of the windows in an `.npz` file; `X`, `x` or `values` by default.
    pub values: Option<String>,
    /// Array or column of the labels; `y`, `label` or `labels` by default.
    pub label: Option<String>,
    /// Array or column of the groups; `subject`, `group` or `groups` by default, where present.
    pub group: Option<String>,
    /// Column of a table that says which window a row belongs to; `series` or `window` by default.
    pub series: Option<String>,
    /// The classes, in this order; those of the data by default. Where all labels are numbers and
    /// no names, they count the classes, from 0 or from 1.
    pub classes: Vec<String>,
    /// The channels, in this order; all by default. One name for each channel of an array that has
    /// none gives it its names.
    pub columns: Vec<String>,
    /// What to do where a value is missing or infinite; a row that is dropped shortens its window.
    pub missing: Missing,
}

/// Extensions that a folder's `train` and `test` may have, in order of preference.
const EXTENSIONS: [&str; 4] = ["npz", "parquet", "csv", "tsv"];

/// Reads labelled series from a file or a folder.
///
/// # Errors
/// A [`DataError`] that names the file, the place in it, the value found and what was expected.
pub fn read(path: &Path, options: &LabelledOptions) -> Result<LabelledData, DataError> {
    if !path.is_dir() {
        return assign(read_file(path, options)?, None, options);
    }
    if let Some(folder) = uci_har::find(path) {
        let train = uci_har::read(&folder, "train", options)?;
        let test = uci_har::read(&folder, "test", options)?;
        return assign(train, Some(test), options);
    }
    let [train, test] = ["train", "test"].map(|name| part_file(path, name));
    let Some(train) = train else {
        return Err(LabelledError::UnknownLayout { folder: path.to_owned() }.into());
    };
    let test = test.map(|test| read_file(&test, options)).transpose()?;
    assign(read_file(&train, options)?, test, options)
}

fn part_file(folder: &Path, name: &str) -> Option<PathBuf> {
    let files = EXTENSIONS.map(|extension| folder.join(format!("{name}.{extension}")));
    files.into_iter().find(|file| file.is_file())
}

fn read_file(path: &Path, options: &LabelledOptions) -> Result<Part, DataError> {
    match Format::of(path)? {
        Format::Npz => npz::read(path, options),
        Format::Csv | Format::Tsv | Format::Parquet => table::read(path, options),
        Format::Npy => Err(DataError::UnknownExtension {
            file: path.to_owned(),
            found: "npy".into(),
            known: EXTENSIONS.map(|known| format!(".{known}")).join(", "),
        }),
    }
}
