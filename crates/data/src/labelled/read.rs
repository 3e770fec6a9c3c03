//! What a path holds, and how to read it.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::archive::{self, ArchiveFormat};
use super::classes::assign;
use super::part::Part;
use super::{LabelledData, LabelledError, image, npz, table, uci_har};
use crate::file::{Format, Missing};
use crate::{DataError, SeriesSet};

/// How to read labelled series; the default suits files whose arrays or columns have usual names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LabelledOptions {
    /// Problem of a folder of UEA and UCR problems; the only one there by default.
    pub problem: Option<String>,
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
    /// Order of the classes of a `.ts` or `.arff` file where none is given.
    pub class_order: ClassOrder,
    /// The channels, in this order; all by default. One name for each channel of an array that has
    /// none gives it its names.
    pub columns: Vec<String>,
    /// What to do where a value is missing or infinite; a row that is dropped shortens its window.
    /// By default it is an error, but in `.ts` and `.arff` files interpolated, the edges held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

/// Order of the classes of a `.ts` or `.arff` file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassOrder {
    /// By letter, as published scores count them: `10` comes before `2`.
    #[default]
    Sorted,
    /// As the header declares them.
    Declared,
}

/// Extensions that a folder's `train` and `test` may have, in order of preference.
const EXTENSIONS: [&str; 8] = ["npz", "parquet", "csv", "tsv", "ts", "ts.gz", "arff", "arff.gz"];

/// Reads labelled series from a file or a folder.
///
/// # Errors
/// A [`DataError`] that names the file, the place in it, the value found and what was expected.
pub fn read(path: &Path, options: &LabelledOptions) -> Result<LabelledData, DataError> {
    if !path.is_dir() {
        return assemble(path, None, options);
    }
    if let Some(folder) = uci_har::find(path) {
        let train = uci_har::read(&folder, "train", options)?;
        let test = uci_har::read(&folder, "test", options)?;
        return assign(train, Some(test), options);
    }
    let [train, test] = ["train", "test"].map(|name| part_file(path, name));
    if let Some(train) = train {
        return assemble(&train, test.as_deref(), options);
    }
    if let Some(image::Parts { train, test }) = image::read_folder(path, options)? {
        return assign(train, test, options);
    }
    match archive::find(path, options.problem.as_deref())? {
        Some(files) => assemble(&files.train, files.test.as_deref(), options),
        None => Err(LabelledError::UnknownLayout { folder: path.to_owned() }.into()),
    }
}

/// Reads labelled series in the text of a `.ts` or `.arff` file, plain or gzip, from anywhere.
///
/// The extension of `name` tells the format; messages call the text by it.
///
/// # Errors
/// A [`DataError`] as of [`read`].
pub fn read_from(
    input: impl BufRead,
    name: &Path,
    options: &LabelledOptions,
) -> Result<LabelledData, DataError> {
    let format =
        ArchiveFormat::of(name).ok_or_else(|| unknown_extension(name, &EXTENSIONS[4..]))?;
    Ok(cutting(assign(format.read_from(input, name, options)?, None, options)?))
}

/// Reads the series of a `.ts` or `.arff` file, which need no labels; `None` for another file.
///
/// # Errors
/// A [`DataError`] as of [`read`].
pub fn read_series(path: &Path, options: &LabelledOptions) -> Result<Option<SeriesSet>, DataError> {
    ArchiveFormat::of(path).map(|format| format.series(path, options)).transpose()
}

fn part_file(folder: &Path, name: &str) -> Option<PathBuf> {
    let files = EXTENSIONS.map(|extension| folder.join(format!("{name}.{extension}")));
    files.into_iter().find(|file| file.is_file())
}

fn assemble(
    train: &Path,
    test: Option<&Path>,
    options: &LabelledOptions,
) -> Result<LabelledData, DataError> {
    let test = test.map(|test| read_file(test, options)).transpose()?;
    let data = assign(read_file(train, options)?, test, options)?;
    Ok(if ArchiveFormat::of(train).is_some() { cutting(data) } else { data })
}

/// Data whose series may be cut, the test part to the steps of the training part.
fn cutting(mut data: LabelledData) -> LabelledData {
    data.may_cut = true;
    let steps = data.train.longest();
    if let Some(test) = &mut data.test {
        let cut = test.cut(steps);
        if cut > 0 {
            let note = format!("; {cut} test series cut to the {steps} steps of the training part");
            data.description.push_str(&note);
        }
    }
    data
}

fn read_file(path: &Path, options: &LabelledOptions) -> Result<Part, DataError> {
    if let Some(format) = ArchiveFormat::of(path) {
        return format.read(path, options);
    }
    if image::is_idx(path) {
        return image::read_idx(path, options);
    }
    match Format::of(path)? {
        Format::Npz => npz::read(path, options),
        Format::Csv | Format::Tsv | Format::Parquet => table::read(path, options),
        Format::Npy => Err(unknown_extension(path, &EXTENSIONS)),
    }
}

fn unknown_extension(path: &Path, known: &[&str]) -> DataError {
    DataError::UnknownExtension {
        file: path.to_owned(),
        found: path.extension().map_or_else(String::new, |e| e.to_string_lossy().into_owned()),
        known: known.iter().map(|known| format!(".{known}")).collect::<Vec<_>>().join(", "),
    }
}
