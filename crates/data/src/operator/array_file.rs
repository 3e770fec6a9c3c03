//! Files of named arrays: archives of NumPy arrays, and HDF5 with the feature of that name.

use std::path::Path;

#[cfg(feature = "hdf5")]
use super::hdf5::Hdf5;
use crate::DataError;
use crate::file::{Archive, index_of};

/// An open file of arrays.
pub(super) enum ArrayFile<'a> {
    Npz(Archive<'a>),
    #[cfg(feature = "hdf5")]
    Hdf5(Hdf5<'a>),
}

/// What is known of an array before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ArrayInfo {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) kind: ArrayKind,
}

/// The type of an array's elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ArrayKind {
    /// Real numbers.
    Numbers,
    /// Texts, along one axis.
    Texts,
    /// Something else, in the words of the format.
    Other(String),
}

impl<'a> ArrayFile<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, DataError> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("h5" | "hdf5" | "hdf")) {
            #[cfg(feature = "hdf5")]
            return Ok(Self::Hdf5(Hdf5::open(path)?));
            #[cfg(not(feature = "hdf5"))]
            return Err(super::OperatorError::NoHdf5 { file: path.to_owned() }.into());
        }
        Ok(Self::Npz(Archive::open(path)?))
    }

    /// The names of all arrays.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            Self::Npz(archive) => archive.names(),
            #[cfg(feature = "hdf5")]
            Self::Hdf5(file) => file.names(),
        }
    }

    /// What is known of an array, if it is there.
    pub(super) fn find(&self, name: &str) -> Option<ArrayInfo> {
        match self {
            Self::Npz(archive) => archive.header(name).map(|header| ArrayInfo {
                name: header.name.clone(),
                shape: header.shape.clone(),
                kind: if header.is_text() {
                    ArrayKind::Texts
                } else if header.is_numeric() {
                    ArrayKind::Numbers
                } else {
                    ArrayKind::Other(header.type_name())
                },
            }),
            #[cfg(feature = "hdf5")]
            Self::Hdf5(file) => file.find(name),
        }
    }

    /// What is known of an array that `key` asks for.
    pub(super) fn info(
        &self,
        path: &Path,
        name: &str,
        key: &'static str,
    ) -> Result<ArrayInfo, DataError> {
        let names = self.names();
        let index = index_of(path, &names, name, "array", key)?;
        Ok(self.find(&names[index]).expect("a name of this file"))
    }

    /// The elements of an array of numbers, row after row.
    pub(super) fn numbers(&mut self, array: &ArrayInfo) -> Result<Vec<f64>, DataError> {
        match self {
            Self::Npz(archive) => {
                let header = archive.header(&array.name).expect("an array of this file").clone();
                archive.numbers(&header)
            }
            #[cfg(feature = "hdf5")]
            Self::Hdf5(file) => file.numbers(&array.name),
        }
    }

    /// The elements of an array of texts.
    pub(super) fn strings(&mut self, array: &ArrayInfo) -> Result<Vec<String>, DataError> {
        match self {
            Self::Npz(archive) => {
                let header = archive.header(&array.name).expect("an array of this file").clone();
                archive.strings(&header)
            }
            #[cfg(feature = "hdf5")]
            Self::Hdf5(file) => file.strings(&array.name),
        }
    }
}

impl ArrayInfo {
    pub(super) fn is_text(&self) -> bool {
        self.kind == ArrayKind::Texts
    }

    /// Refuses an array that holds no numbers; `key` chose it.
    pub(super) fn check_numeric(&self, file: &Path, key: &'static str) -> Result<(), DataError> {
        let found = match &self.kind {
            ArrayKind::Numbers => return Ok(()),
            ArrayKind::Texts => "text".to_owned(),
            ArrayKind::Other(found) => found.clone(),
        };
        Err(DataError::UnsupportedType {
            file: file.to_owned(),
            what: "array",
            name: self.name.clone(),
            found,
            expected: "a float of 4 or 8 bytes, or an integer",
            key,
        })
    }
}
