//! The text files of the UEA and UCR archives: `.ts` and `.arff`, plain or gzip.
//!
//! A problem `NAME` is a folder with `NAME_TRAIN.ts` and `NAME_TEST.ts`. Sizes follow from the
//! cases; what the header says of them is checked, and nothing is set aside for it. Memory grows
//! with the values read, `8` bytes each, and with the longest line.
//!
//! Source: Bagnall et al. 2018, arXiv:1811.00075; the files themselves.

mod arff;
mod cases;
mod error;
mod lines;
mod problem;
mod ts;

use std::io::BufRead;
use std::path::Path;

use self::lines::Lines;
use super::LabelledOptions;
use super::part::Part;
use crate::{DataError, SeriesSet};

pub use error::{ArchiveError, ArchiveProblem};
pub(super) use problem::find;

/// A text format of the archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArchiveFormat {
    Ts,
    Arff,
}

impl ArchiveFormat {
    /// The format of a file, by its extension, with or without `.gz` behind it.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "ts" => Some(Self::Ts),
            "arff" => Some(Self::Arff),
            _ => None,
        }
    }

    /// Reads one file.
    pub(super) fn read(self, path: &Path, options: &LabelledOptions) -> Result<Part, DataError> {
        self.parse(Lines::open(path)?, path, options, true)
    }

    /// Reads what `input` holds; messages call it `name`.
    pub(super) fn read_from(
        self,
        input: impl BufRead,
        name: &Path,
        options: &LabelledOptions,
    ) -> Result<Part, DataError> {
        self.parse(Lines::of(input, name)?, name, options, true)
    }

    /// Reads the series of one file, which need no labels.
    pub(super) fn series(
        self,
        path: &Path,
        options: &LabelledOptions,
    ) -> Result<SeriesSet, DataError> {
        Ok(self.parse(Lines::open(path)?, path, options, false)?.set)
    }

    fn parse(
        self,
        lines: Lines<'_>,
        path: &Path,
        options: &LabelledOptions,
        labelled: bool,
    ) -> Result<Part, DataError> {
        let LabelledOptions { values, label, group, series, .. } = options;
        let foreign = [("values", values), ("label", label), ("group", group), ("series", series)];
        if let Some((key, Some(found))) = foreign.into_iter().find(|(_, value)| value.is_some()) {
            let (file, found) = (path.to_owned(), found.clone());
            let kind = match self {
                Self::Ts => ".ts",
                Self::Arff => ".arff",
            };
            return Err(DataError::WrongOption { file, key, found, kind });
        }
        match self {
            Self::Ts => ts::read(lines, path, options, labelled),
            Self::Arff => arff::read(lines, path, options, labelled),
        }
    }
}
