//! The formats, told apart by the extension of the file name.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use super::table::Table;
use super::{ReadOptions, csv, npz, parquet};
use crate::{DataError, SeriesSet};

/// A file format for trajectories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated text with a header line.
    Csv,
    /// Tab-separated text with a header line.
    Tsv,
    /// Apache Parquet.
    Parquet,
    /// An archive of NumPy arrays.
    Npz,
    /// One NumPy array.
    Npy,
}

impl Format {
    const ALL: [(Self, &str); 5] = [
        (Self::Csv, "csv"),
        (Self::Tsv, "tsv"),
        (Self::Parquet, "parquet"),
        (Self::Npz, "npz"),
        (Self::Npy, "npy"),
    ];

    /// The format of a file, by its extension in upper or lower case.
    ///
    /// # Errors
    /// [`DataError::UnknownExtension`] if there is none or it is not listed here.
    pub fn of(path: &Path) -> Result<Self, DataError> {
        let found = path.extension().map_or(String::new(), |e| e.to_string_lossy().into_owned());
        let format = Self::ALL.iter().find(|(_, known)| found.eq_ignore_ascii_case(known));
        format.map(|&(format, _)| format).ok_or_else(|| DataError::UnknownExtension {
            file: path.to_owned(),
            found,
            known: Self::ALL.map(|(_, known)| format!(".{known}")).join(", "),
        })
    }

    /// Whether the format is a table with named columns, not an array.
    #[must_use]
    pub fn is_table(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv | Self::Parquet)
    }
}

/// Reads all trajectories of a file; its extension tells the format.
///
/// A series takes its name from the id column, else from the file. With [`Missing::DropRow`] the
/// pieces of a series that was cut are named `name#1`, `name#2`, ….
///
/// # Errors
/// A [`DataError`] that names the file, the place in it, the value found and what was expected.
///
/// [`Missing::DropRow`]: super::Missing::DropRow
pub fn read(path: &Path, options: &ReadOptions) -> Result<SeriesSet, DataError> {
    let format = Format::of(path)?;
    let refuse = |key, value: &Option<String>, kind| match value {
        Some(found) => {
            let found = found.clone();
            Err(DataError::WrongOption { file: path.to_owned(), key, found, kind })
        }
        None => Ok(()),
    };
    if format.is_table() {
        refuse("array", &options.array, "table")?;
    } else {
        refuse("id_column", &options.id_column, "array")?;
    }
    match format {
        Format::Csv | Format::Tsv | Format::Parquet => {
            read_table(path, options, &[])?.into_set(options)
        }
        Format::Npz => npz::read_npz(path, options),
        Format::Npy => {
            refuse("array", &options.array, ".npy")?;
            refuse("time_column", &options.time_column, ".npy")?;
            npz::read_npy(path, options)
        }
    }
}

/// Reads the rows of a table, and the columns `texts` as they are written.
///
/// # Panics
/// If the file is no table.
pub(crate) fn read_table<'a>(
    path: &'a Path,
    options: &ReadOptions,
    texts: &[String],
) -> Result<Table<'a>, DataError> {
    match Format::of(path)? {
        Format::Csv => csv::read(path, b',', options, texts),
        Format::Tsv => csv::read(path, b'\t', options, texts),
        Format::Parquet => parquet::read(path, options, texts),
        Format::Npz | Format::Npy => unreachable!("the caller asked is_table"),
    }
}

/// The names of the columns of a table.
///
/// # Panics
/// If the file is no table.
pub(crate) fn column_names(path: &Path) -> Result<Vec<String>, DataError> {
    match Format::of(path)? {
        Format::Csv => csv::column_names(path, b','),
        Format::Tsv => csv::column_names(path, b'\t'),
        Format::Parquet => parquet::column_names(path),
        Format::Npz | Format::Npy => unreachable!("the caller asked is_table"),
    }
}

/// Writes all trajectories to a file; its extension tells the format.
///
/// A table gets the column `time = t · dt` if `dt` is known, and the column `series` if there is
/// not exactly one. An `.npz` file gets the arrays `values` (2-d for one series, else 3-d),
/// `columns`, `series` if `values` is 3-d, and `t` if `dt` is known; an `.npy` file holds the
/// values only. The file appears whole or not at all.
///
/// # Errors
/// [`DataError::UnwritableFolder`] or [`DataError::Io`] if the system refuses;
/// [`DataError::DuplicateColumn`] or [`DataError::DuplicateSeries`] if a reader could not tell two
/// of them apart; [`DataError::UnequalLengths`] if one array cannot hold the series.
///
/// # Panics
/// If a series has another number of channels than there are columns.
pub fn write(path: &Path, set: &SeriesSet) -> Result<(), DataError> {
    for series in &set.series {
        let (channels, expected) = (series.channels, set.channels());
        assert_eq!(channels, expected, "series {:?} has a value per column", series.name);
    }
    let format = Format::of(path)?;
    let mut names = HashSet::new();
    for series in &set.series {
        if !names.insert(&series.name) {
            let series = series.name.clone();
            return Err(DataError::DuplicateSeries { file: path.to_owned(), series });
        }
    }
    match format {
        Format::Csv => csv::write(path, b',', set),
        Format::Tsv => csv::write(path, b'\t', set),
        Format::Parquet => parquet::write(path, set),
        Format::Npz => npz::write_npz(path, set),
        Format::Npy => npz::write_npy(path, set),
    }
}

/// Opens a file for reading.
pub(super) fn open(path: &Path) -> Result<File, DataError> {
    File::open(path).map_err(|source| unreadable(path, source))
}

/// All bytes of a file.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    std::fs::read(path).map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: std::io::Error) -> DataError {
    DataError::Io { file: path.to_owned(), action: "read", source }
}

/// The file name without folder and extension, the name of a series that has none.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_tells_the_format() {
        assert_eq!(Format::of(Path::new("a/b.CSV")).unwrap(), Format::Csv);
        assert_eq!(Format::of(Path::new("b.x.parquet")).unwrap(), Format::Parquet);
        let error = read(Path::new("b.xlsx"), &ReadOptions::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "b.xlsx: unknown extension \"xlsx\", expected one of .csv, .tsv, .parquet, .npz, .npy"
        );
    }

    #[test]
    fn an_option_of_another_kind_of_file_is_refused() {
        let options = ReadOptions { array: Some("u".into()), ..ReadOptions::default() };
        let error = read(Path::new("b.csv"), &options).unwrap_err();
        assert_eq!(
            error.to_string(),
            "b.csv: data.array = \"u\" does not apply to table files; remove the key"
        );
        let options = ReadOptions { id_column: Some("run".into()), ..ReadOptions::default() };
        let error = read(Path::new("b.npz"), &options).unwrap_err();
        assert_eq!(
            error.to_string(),
            "b.npz: data.id_column = \"run\" does not apply to array files; remove the key"
        );
    }

    #[test]
    fn an_absent_file_is_named() {
        let error = read(Path::new("no-such-file.csv"), &ReadOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), "cannot read no-such-file.csv");
    }
}
