//! Pairs of functions in archives of NumPy arrays.
//!
//! On a grid an array is `[samples, rows, columns]`, on a line `[samples, points]`, each with a
//! last axis of channels where there are several. Samples may lie along more than one axis, as
//! snapshots of trajectories do. An archive may hold several parts under different names, such as
//! other resolutions. What [`write_npz`] writes says itself where the points lie: an array
//! `coordinates` of a line, or an array `placement` of a grid.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::{FunctionSet, Functions, OperatorError, Placement, Points};
use crate::DataError;
use crate::file::{
    Archive, Header, encode, encode_texts, index_of, start_stored, write_atomically,
};

const COORDINATES: &str = "coordinates";
const PLACEMENT: &str = "placement";

/// Which arrays hold the pairs; the default is what [`write_npz`] writes for the part of no name.
#[derive(Debug, Clone, PartialEq)]
pub struct PairArrays {
    /// The array of the input functions.
    pub input: String,
    /// The array of the output functions.
    pub output: String,
    /// Where the functions are known.
    pub points: PointArrays,
    /// Axes along which the samples lie, at least 1.
    pub sample_axes: usize,
}

/// Where an archive's functions are known.
#[derive(Debug, Clone, PartialEq)]
pub enum PointArrays {
    /// As the archive says; `coordinates` and `placement` of this part, see [`write_npz`].
    Named(String),
    /// On a grid on the unit square.
    Grid(Placement),
    /// On a line, at the coordinates in this array.
    Line(String),
    /// On the unit interval, equally spaced.
    Interval(Placement),
}

impl Default for PairArrays {
    fn default() -> Self {
        Self::part("")
    }
}

impl PairArrays {
    /// The arrays of a part written by [`write_npz`].
    #[must_use]
    pub fn part(part: &str) -> Self {
        Self {
            input: array_name(part, "input"),
            output: array_name(part, "output"),
            points: PointArrays::Named(part.to_owned()),
            sample_axes: 1,
        }
    }
}

/// An open archive of pairs of functions.
pub struct FunctionArchive<'a> {
    path: &'a Path,
    archive: Archive<'a>,
}

impl<'a> FunctionArchive<'a> {
    /// Opens an archive and reads the headers of its arrays.
    ///
    /// # Errors
    /// [`DataError::Io`] or [`DataError::Corrupt`].
    pub fn open(path: &'a Path) -> Result<Self, DataError> {
        Ok(Self { path, archive: Archive::open(path)? })
    }

    /// The names of all arrays.
    #[must_use]
    pub fn arrays(&self) -> Vec<String> {
        self.archive.names()
    }

    /// Reads the pairs of one part.
    ///
    /// # Errors
    /// [`DataError::UnknownName`] with the arrays there are, for one that is not there;
    /// [`DataError::Operator`] for a shape that does not fit, or for values that are not finite.
    pub fn read(&mut self, arrays: &PairArrays) -> Result<FunctionSet, DataError> {
        let input = self.header(&arrays.input, "input")?;
        let output = self.header(&arrays.output, "output")?;
        let axes = arrays.sample_axes;
        let points = self.points(&arrays.points, &input, axes)?;
        let (n_axes, point_axes) = (axes + points.dimensions(), points.dimensions());
        self.check_axes(&input, axes, point_axes)?;
        self.check_axes(&output, axes, point_axes)?;
        if input.shape[..n_axes] != output.shape[..n_axes] {
            return Err(OperatorError::ShapesDiffer {
                file: self.path.to_owned(),
                input: input.name,
                expected: input.shape[..n_axes].to_vec(),
                output: output.name,
                found: output.shape,
            }
            .into());
        }
        let inputs = self.functions(&input, n_axes)?;
        let outputs = self.functions(&output, n_axes)?;
        Ok(FunctionSet::new(points, inputs, outputs)?)
    }

    fn header(&self, name: &str, key: &'static str) -> Result<Header, DataError> {
        let index = index_of(self.path, &self.archive.names(), name, "array", key)?;
        Ok(self.archive.headers()[index].clone())
    }

    fn points(
        &mut self,
        points: &PointArrays,
        input: &Header,
        sample_axes: usize,
    ) -> Result<Points, DataError> {
        let size = |axis: usize| input.shape.get(sample_axes + axis).copied().unwrap_or(0);
        match points {
            PointArrays::Grid(placement) => {
                self.check_axes(input, sample_axes, 2)?;
                Ok(Points::Grid { rows: size(0), columns: size(1), placement: *placement })
            }
            PointArrays::Interval(placement) => Ok(Points::Line(placement.coordinates(size(0)))),
            PointArrays::Line(name) => {
                let header = self.header(name, "points")?;
                header.check_numeric(self.path, "data.points")?;
                if header.shape != [size(0)] {
                    let expected = format!("[{}], as array {:?} has points", size(0), input.name);
                    return Err(self.wrong_shape(&header, expected));
                }
                Ok(Points::Line(self.archive.numbers(&header)?))
            }
            PointArrays::Named(part) => {
                let [line, grid] = [COORDINATES, PLACEMENT].map(|name| array_name(part, name));
                if self.archive.header(&line).is_some() {
                    return self.points(&PointArrays::Line(line), input, sample_axes);
                }
                let Some(header) = self.archive.header(&grid).filter(|header| header.is_text())
                else {
                    return Err(OperatorError::UnknownPoints { file: self.path.to_owned() }.into());
                };
                let header = header.clone();
                let found = self.archive.strings(&header)?.join(" ");
                let placement = Placement::ALL.into_iter().find(|known| known.name() == found);
                let unknown =
                    || OperatorError::UnknownPlacement { file: self.path.to_owned(), found };
                let placement = placement.ok_or_else(unknown)?;
                self.points(&PointArrays::Grid(placement), input, sample_axes)
            }
        }
    }

    /// Refuses an array that is not samples on points, with or without channels.
    fn check_axes(&self, header: &Header, samples: usize, points: usize) -> Result<(), DataError> {
        let n_axes = samples + points;
        let found = header.shape.len();
        if samples > 0 && (found == n_axes || found == n_axes + 1) {
            return header.check_numeric(self.path, "data.input, data.output");
        }
        let mut axes = vec!["samples"; samples.max(1)];
        axes.extend(if points == 2 { &["rows", "columns"][..] } else { &["points"] });
        let plain = axes.join(", ");
        Err(self.wrong_shape(header, format!("[{plain}] or [{plain}, channels]")))
    }

    fn wrong_shape(&self, header: &Header, expected: String) -> DataError {
        OperatorError::ArrayShape {
            file: self.path.to_owned(),
            array: header.name.clone(),
            found: header.shape.clone(),
            expected,
        }
        .into()
    }

    fn functions(&mut self, header: &Header, n_axes: usize) -> Result<Functions, DataError> {
        let channels = header.shape.get(n_axes).copied().unwrap_or(1);
        let named = self.archive.texts(&format!("{}_channels", header.name), channels)?;
        let names = named.unwrap_or_else(|| match channels {
            1 => vec![header.name.clone()],
            many => (0..many).map(|channel| format!("{}{channel}", header.name)).collect(),
        });
        Ok(Functions { channels: names, values: self.archive.numbers(header)? })
    }
}

/// Writes parts with their names; the same parts give the same bytes.
///
/// A part `test` becomes the arrays `test_input` and `test_output`, with a last axis only where
/// there are several channels, `test_input_channels` and `test_output_channels`, and
/// `test_coordinates` or `test_placement`; the part of no name has `input` and so on.
///
/// # Errors
/// [`OperatorError::DuplicateArray`] if two parts have one name, [`DataError::Io`] if the file
/// cannot be written.
pub fn write_npz(path: &Path, parts: &[(&str, &FunctionSet)]) -> Result<(), DataError> {
    for (i, (name, _)) in parts.iter().enumerate() {
        if parts[..i].iter().any(|(other, _)| other == name) {
            return Err(OperatorError::DuplicateArray { name: array_name(name, "input") }.into());
        }
    }
    write_atomically(path, |file| {
        let mut out = zip::ZipWriter::new(BufWriter::new(file));
        for (part, set) in parts {
            for (name, functions) in [("input", set.inputs()), ("output", set.outputs())] {
                let mut shape = vec![set.samples()];
                shape.extend(set.points().shape());
                if functions.channels.len() > 1 {
                    shape.push(functions.channels.len());
                }
                start_stored(&mut out, &array_name(part, name))?;
                encode(&shape, functions.values.iter().copied(), &mut out)?;
                start_stored(&mut out, &array_name(part, &format!("{name}_channels")))?;
                encode_texts(&functions.channels, &mut out)?;
            }
            match set.points() {
                Points::Line(x) => {
                    start_stored(&mut out, &array_name(part, COORDINATES))?;
                    encode(&[x.len()], x.iter().copied(), &mut out)?;
                }
                Points::Grid { placement, .. } => {
                    start_stored(&mut out, &array_name(part, PLACEMENT))?;
                    encode_texts(&[placement.name().to_owned()], &mut out)?;
                }
            }
        }
        out.finish()?.flush()
    })
}

fn array_name(part: &str, name: &str) -> String {
    if part.is_empty() { name.to_owned() } else { format!("{part}_{name}") }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn grid(rows: usize, columns: usize) -> FunctionSet {
        let n = rows * columns;
        let points = Points::Grid { rows, columns, placement: Placement::Cells };
        let inputs = Functions::new(["a"], (0..3 * n).map(|i| (i as f64).sqrt()).collect());
        let outputs = Functions::new(["u", "v"], (0..6 * n).map(|i| i as f64 / 3.0).collect());
        FunctionSet::new(points, inputs, outputs).unwrap()
    }

    fn line() -> FunctionSet {
        let inputs = Functions::new(["x", "y"], (0..12).map(f64::from).collect());
        let outputs = Functions::new(["z"], (0..6).map(f64::from).collect());
        FunctionSet::new(Points::Line(vec![0.0, 0.3, 0.7]), inputs, outputs).unwrap()
    }

    fn written(parts: &[(&str, &FunctionSet)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.npz");
        write_npz(&path, parts).unwrap();
        (folder, path)
    }

    fn refused(path: &Path, arrays: &PairArrays) -> String {
        let error = FunctionArchive::open(path).unwrap().read(arrays).unwrap_err();
        error.to_string().replace(&path.display().to_string(), "pairs.npz")
    }

    #[test]
    fn parts_come_back() {
        let (small, large, line) = (grid(2, 3), grid(5, 7), line());
        let (_folder, path) = written(&[("", &small), ("test", &large), ("time", &line)]);
        let mut archive = FunctionArchive::open(&path).unwrap();
        assert_eq!(archive.read(&PairArrays::default()).unwrap(), small);
        assert_eq!(archive.read(&PairArrays::part("test")).unwrap(), large);
        assert_eq!(archive.read(&PairArrays::part("time")).unwrap(), line);
        // Samples along two axes, the points said by the caller.
        let (_folder, path) = written(&[("", &small)]);
        let arrays = PairArrays {
            points: PointArrays::Interval(Placement::Edges),
            output: "input".into(),
            sample_axes: 2,
            ..PairArrays::default()
        };
        let rows = FunctionArchive::open(&path).unwrap().read(&arrays).unwrap();
        assert_eq!((rows.samples(), rows.input(3)), (6, &small.inputs().values[9..12]));
        assert_eq!(rows.points().coordinates(), Placement::Edges.coordinates(3));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let (small, line) = (grid(2, 3), line());
        let (_folder, path) = written(&[("a", &small), ("b", &line)]);
        let part = PairArrays::part;
        assert_eq!(
            refused(&path, &PairArrays { input: "a_inpt".into(), ..part("a") }),
            "pairs.npz has no array \"a_inpt\", asked for by data.input; did you mean \"a_input\"? \
             it has a_input, a_input_channels, a_output, a_output_channels, a_placement, b_input, \
             b_input_channels, b_output, b_output_channels, b_coordinates"
        );
        assert_eq!(
            refused(&path, &PairArrays { output: "b_output".into(), ..part("a") }),
            "pairs.npz, array \"b_output\": found the shape [2, 3], expected [samples, rows, \
             columns] or [samples, rows, columns, channels]"
        );
        assert_eq!(
            refused(&path, &PairArrays { output: "a_input".into(), ..part("b") }),
            "pairs.npz: array \"a_input\" has the shape [3, 2, 3], expected [2, 3] before any \
             channels, as array \"b_input\" has"
        );
        let elsewhere = PointArrays::Line("a_placement".into());
        assert_eq!(
            refused(&path, &PairArrays { points: elsewhere, ..part("b") }),
            "pairs.npz, array \"a_placement\": found the type <U5, expected a float of 4 or 8 \
             bytes, or an integer; convert it, or leave it out (data.points)"
        );
        assert_eq!(
            refused(&path, &PairArrays { points: PointArrays::Named("c".into()), ..part("b") }),
            "pairs.npz does not say where its functions are known: found no array \"coordinates\" \
             and no array \"placement\"; say it with data.points"
        );
        let error = write_npz(&path, &[("a", &small), ("a", &line)]).unwrap_err().to_string();
        assert!(error.starts_with("found the array name \"a_input\" twice"), "{error}");
    }
}
