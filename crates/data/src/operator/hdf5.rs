//! HDF5 files as named arrays; a group is a part of the name: `t0_fields/vorticity`.

use std::path::Path;

use hdf5_reader::error::Error;
use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Datatype, Hdf5File};

use super::array_file::{ArrayInfo, ArrayKind};
use crate::DataError;

/// An open file and what its data sets are.
pub(super) struct Hdf5<'a> {
    path: &'a Path,
    file: Hdf5File,
    arrays: Vec<ArrayInfo>,
}

impl<'a> Hdf5<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, DataError> {
        // A missing file is told from a corrupt one.
        std::fs::File::open(path).map_err(|source| io(path, source))?;
        let file = Hdf5File::open(path).map_err(|error| corrupt(path, error))?;
        let mut arrays = Vec::new();
        let root = file.root_group().map_err(|error| corrupt(path, error))?;
        list(&root, "", &mut arrays).map_err(|error| corrupt(path, error))?;
        Ok(Self { path, file, arrays })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.arrays.iter().map(|array| array.name.clone()).collect()
    }

    pub(super) fn find(&self, name: &str) -> Option<ArrayInfo> {
        self.arrays.iter().find(|array| array.name == name).cloned()
    }

    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>, DataError> {
        let read = || {
            let array = self.file.dataset(name)?;
            Ok(match array.dtype() {
                Datatype::FloatingPoint { size: 8, .. } => all::<f64>(&array, |x| x)?,
                Datatype::FloatingPoint { .. } => all::<f32>(&array, f64::from)?,
                Datatype::FixedPoint { signed: true, size: 8, .. } => {
                    all::<i64>(&array, |x| x as f64)?
                }
                Datatype::FixedPoint { signed: true, size: 4, .. } => {
                    all::<i32>(&array, f64::from)?
                }
                Datatype::FixedPoint { signed: true, size: 2, .. } => {
                    all::<i16>(&array, f64::from)?
                }
                Datatype::FixedPoint { signed: true, .. } => all::<i8>(&array, f64::from)?,
                Datatype::FixedPoint { size: 8, .. } => all::<u64>(&array, |x| x as f64)?,
                Datatype::FixedPoint { size: 4, .. } => all::<u32>(&array, f64::from)?,
                Datatype::FixedPoint { size: 2, .. } => all::<u16>(&array, f64::from)?,
                _ => all::<u8>(&array, f64::from)?,
            })
        };
        read().map_err(|error| corrupt(self.path, error))
    }

    pub(super) fn strings(&self, name: &str) -> Result<Vec<String>, DataError> {
        let read = || self.file.dataset(name)?.read_strings();
        read().map_err(|error| corrupt(self.path, error))
    }
}

/// Every data set below a group.
fn list(group: &Group, prefix: &str, arrays: &mut Vec<ArrayInfo>) -> Result<(), Error> {
    let (groups, sets) = group.members()?;
    for array in sets {
        let shape = array.shape().iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX));
        arrays.push(ArrayInfo {
            name: format!("{prefix}{}", array.name()),
            shape: shape.collect(),
            kind: kind(array.dtype()),
        });
    }
    groups.iter().try_for_each(|group| list(group, &format!("{prefix}{}/", group.name()), arrays))
}

fn kind(of: &Datatype) -> ArrayKind {
    match of {
        Datatype::FloatingPoint { size: 4 | 8, .. }
        | Datatype::FixedPoint { size: 1 | 2 | 4 | 8, .. } => ArrayKind::Numbers,
        Datatype::String { .. } | Datatype::VarLen { .. } => ArrayKind::Texts,
        other => {
            let name = format!("{other:?}");
            ArrayKind::Other(name.split([' ', '{', '(']).next().unwrap_or_default().to_owned())
        }
    }
}

fn all<T: hdf5_reader::H5Type + Clone>(
    array: &Dataset,
    number: impl Fn(T) -> f64,
) -> Result<Vec<f64>, Error> {
    Ok(array.read_array::<T>()?.into_iter().map(number).collect())
}

fn io(path: &Path, source: std::io::Error) -> DataError {
    DataError::Io { action: "read", file: path.to_owned(), source }
}

fn corrupt(path: &Path, error: Error) -> DataError {
    DataError::Corrupt { file: path.to_owned(), format: "HDF5", source: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{FunctionArchive, PairArrays, Placement, PointArrays};

    fn file(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/hdf5").join(name)
    }

    #[test]
    fn hdf5_in_the_layout_of_pdebench_gives_pairs() {
        let path = file("pdebench.hdf5");
        let mut archive = FunctionArchive::open(&path).unwrap();
        assert_eq!(archive.arrays(), ["nu", "tensor", "x-coordinate", "y-coordinate"]);
        let arrays = PairArrays {
            input: "nu".into(),
            output: "tensor".into(),
            points: PointArrays::Grid(Placement::Cells),
            ..PairArrays::default()
        };
        let set = archive.read(&arrays).unwrap();
        assert_eq!((set.samples(), set.points().shape()), (3, vec![4, 4]));
        assert_eq!(set.input(2)[15..16], [47.0]);
        assert_eq!(set.output(1)[3..4], [2.0 * set.input(1)[3]]);
    }

    #[test]
    fn hdf5_in_the_layout_of_the_well_gives_later_snapshots() {
        let path = file("well.hdf5");
        let mut archive = FunctionArchive::open(&path).unwrap();
        let arrays = PairArrays {
            input: "t0_fields/vorticity".into(),
            output: "t1_fields/velocity".into(),
            points: PointArrays::Grid(Placement::Edges),
            sample_axes: 2,
            lag: 1,
        };
        let set = archive.read(&arrays).unwrap();
        assert_eq!((set.samples(), set.outputs().channels.len()), (4, 2));
        assert_eq!(set.input(3), [16.0, 17.0, 18.0, 19.0]);
        assert_eq!(set.output(3)[..4], [20.0, -20.0, 21.0, -21.0]);
        let unknown = PairArrays { input: "t0_fields/vorticty".into(), ..arrays };
        let message = archive.read(&unknown).unwrap_err().to_string();
        assert!(message.contains("did you mean \"t0_fields/vorticity\"?"), "{message}");
    }

    #[test]
    fn an_hdf5_file_cut_short_is_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("short.h5");
        let bytes = std::fs::read(file("well.hdf5")).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
        let opened = FunctionArchive::open(&path).and_then(|mut archive| {
            archive.read(&PairArrays { input: "notes".into(), ..PairArrays::default() })
        });
        assert!(opened.is_err(), "a third of a file is no file");
        let none = FunctionArchive::open(&folder.path().join("none.h5")).err().unwrap().to_string();
        assert!(none.starts_with("cannot read"), "{none}");
    }
}
