//! Pairs of functions in files of arrays: archives of `NumPy`, and HDF5 with the feature of that name.
//!
//! On a grid an array is `[samples, rows, columns]`, on a line `[samples, points]`, each with a
//! last axis of channels where there are several; an axis of one element behind the samples is left
//! out. Samples may lie along more than one axis, as snapshots of trajectories do; with a lag a
//! snapshot is paired with a later one of its trajectory. A file may hold several parts under
//! different names, such as other resolutions. What [`write_npz`] writes says itself where the points
//! lie: an array `coordinates` of a line, or an array `placement` of a grid.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::array_file::{ArrayFile, ArrayInfo};
use super::{FunctionSet, Functions, OperatorError, Placement, Points};
use crate::DataError;
use crate::file::{encode, encode_texts, start_stored, write_atomically};

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
    /// How many snapshots an output lies behind its input, along the last axis of the samples.
    pub lag: usize,
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
            lag: 0,
        }
    }
}

/// An open archive of pairs of functions.
pub struct FunctionArchive<'a> {
    path: &'a Path,
    file: ArrayFile<'a>,
}

impl<'a> FunctionArchive<'a> {
    /// Opens a file and reads what its arrays are.
    ///
    /// # Errors
    /// [`DataError::Io`] or [`DataError::Corrupt`]; [`OperatorError::NoHdf5`] for `.h5` and `.hdf5` without
    /// the feature `hdf5`.
    pub fn open(path: &'a Path) -> Result<Self, DataError> {
        Ok(Self { path, file: ArrayFile::open(path)? })
    }

    /// The names of all arrays.
    #[must_use]
    pub fn arrays(&self) -> Vec<String> {
        self.file.names()
    }

    /// Reads the pairs of one part.
    ///
    /// # Errors
    /// [`DataError::UnknownName`] with the arrays there are, for one that is not there;
    /// [`DataError::Operator`] for a shape that does not fit, or for values that are not finite.
    pub fn read(&mut self, arrays: &PairArrays) -> Result<FunctionSet, DataError> {
        let (points, input) = self.input(arrays)?;
        let output = self.header(&arrays.output, "output", arrays, points.dimensions())?;
        let n_axes = arrays.sample_axes + points.dimensions();
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
        let (inputs, outputs) = self.lagged(arrays, &input, inputs, outputs)?;
        Ok(FunctionSet::new(points, inputs, outputs)?)
    }

    /// Reads the inputs of one part alone, and where they are known; `arrays.output` and `arrays.lag` play
    /// no part.
    ///
    /// # Errors
    /// As [`FunctionArchive::read`].
    pub fn read_inputs(&mut self, arrays: &PairArrays) -> Result<(Points, Functions), DataError> {
        let (points, input) = self.input(arrays)?;
        let inputs = self.functions(&input, arrays.sample_axes + points.dimensions())?;
        // What a set refuses of its inputs is refused here too.
        let set = FunctionSet::new(points, inputs.clone(), inputs)?;
        Ok((set.points().clone(), set.inputs().clone()))
    }

    /// The points, and the array of the inputs.
    fn input(&mut self, arrays: &PairArrays) -> Result<(Points, ArrayInfo), DataError> {
        let line = match &arrays.points {
            PointArrays::Grid(_) => false,
            PointArrays::Line(_) | PointArrays::Interval(_) => true,
            PointArrays::Named(part) => self.file.find(&array_name(part, COORDINATES)).is_some(),
        };
        let input = self.header(&arrays.input, "input", arrays, if line { 1 } else { 2 })?;
        Ok((self.points(&arrays.points, &input, arrays.sample_axes)?, input))
    }

    /// An array of functions, without an axis of one element behind the samples.
    fn header(
        &self,
        name: &str,
        key: &'static str,
        arrays: &PairArrays,
        point_axes: usize,
    ) -> Result<ArrayInfo, DataError> {
        let mut array = self.file.info(self.path, name, key)?;
        let axes = arrays.sample_axes;
        if array.shape.len() > axes + point_axes && array.shape.get(axes) == Some(&1) {
            array.shape.remove(axes);
        }
        self.check_axes(&array, axes, point_axes)?;
        Ok(array)
    }

    /// Inputs with the outputs of later snapshots.
    fn lagged(
        &self,
        arrays: &PairArrays,
        input: &ArrayInfo,
        inputs: Functions,
        outputs: Functions,
    ) -> Result<(Functions, Functions), DataError> {
        let (axes, lag) = (arrays.sample_axes, arrays.lag);
        if lag == 0 {
            return Ok((inputs, outputs));
        }
        let snapshots = if axes < 2 { 1 } else { input.shape[axes - 1] };
        if snapshots <= lag {
            let (file, array) = (self.path.to_owned(), input.name.clone());
            return Err(OperatorError::TooFewSnapshots { file, array, snapshots, lag }.into());
        }
        let trajectories: usize = input.shape[..axes - 1].iter().product();
        let part = |functions: Functions, first: usize| {
            let width = functions.values.len() / (trajectories * snapshots);
            let n = (snapshots - lag) * width;
            let of_trajectory = |values: &[f64]| values[first * width..first * width + n].to_vec();
            let trajectories = functions.values.chunks_exact(snapshots * width);
            Functions { values: trajectories.flat_map(of_trajectory).collect(), ..functions }
        };
        Ok((part(inputs, 0), part(outputs, lag)))
    }

    fn points(
        &mut self,
        points: &PointArrays,
        input: &ArrayInfo,
        sample_axes: usize,
    ) -> Result<Points, DataError> {
        let size = |axis: usize| input.shape[sample_axes + axis];
        match points {
            PointArrays::Grid(placement) => {
                Ok(Points::Grid { rows: size(0), columns: size(1), placement: *placement })
            }
            PointArrays::Interval(placement) => Ok(Points::Line(placement.coordinates(size(0)))),
            PointArrays::Line(name) => {
                let array = self.file.info(self.path, name, "points")?;
                array.check_numeric(self.path, "data.points")?;
                if array.shape != [size(0)] {
                    let expected = format!("[{}], as array {:?} has points", size(0), input.name);
                    return Err(self.wrong_shape(&array, expected));
                }
                Ok(Points::Line(self.file.numbers(&array)?))
            }
            PointArrays::Named(part) => {
                let [line, grid] = [COORDINATES, PLACEMENT].map(|name| array_name(part, name));
                if self.file.find(&line).is_some() {
                    return self.points(&PointArrays::Line(line), input, sample_axes);
                }
                let Some(array) = self.file.find(&grid).filter(ArrayInfo::is_text) else {
                    return Err(OperatorError::UnknownPoints { file: self.path.to_owned() }.into());
                };
                let found = self.file.strings(&array)?.join(" ");
                let placement = Placement::ALL.into_iter().find(|known| known.name() == found);
                let unknown =
                    || OperatorError::UnknownPlacement { file: self.path.to_owned(), found };
                let placement = placement.ok_or_else(unknown)?;
                self.points(&PointArrays::Grid(placement), input, sample_axes)
            }
        }
    }

    /// Refuses an array that is not samples on points, with or without channels.
    fn check_axes(
        &self,
        array: &ArrayInfo,
        samples: usize,
        points: usize,
    ) -> Result<(), DataError> {
        let n_axes = samples + points;
        let found = array.shape.len();
        if samples > 0 && (found == n_axes || found == n_axes + 1) {
            return array.check_numeric(self.path, "data.input, data.output");
        }
        let mut axes = vec!["samples"; samples.max(1)];
        axes.extend(if points == 2 { &["rows", "columns"][..] } else { &["points"] });
        let plain = axes.join(", ");
        Err(self.wrong_shape(array, format!("[{plain}] or [{plain}, channels]")))
    }

    fn wrong_shape(&self, array: &ArrayInfo, expected: String) -> DataError {
        OperatorError::ArrayShape {
            file: self.path.to_owned(),
            array: array.name.clone(),
            found: array.shape.clone(),
            expected,
        }
        .into()
    }

    fn functions(&mut self, array: &ArrayInfo, n_axes: usize) -> Result<Functions, DataError> {
        let channels = array.shape.get(n_axes).copied().unwrap_or(1);
        let named = self.file.find(&format!("{}_channels", array.name));
        let named = match named.filter(|names| names.is_text() && names.shape == [channels]) {
            Some(names) => Some(self.file.strings(&names)?),
            None => None,
        };
        let names = named.unwrap_or_else(|| match channels {
            1 => vec![array.name.clone()],
            many => (0..many).map(|channel| format!("{}{channel}", array.name)).collect(),
        });
        Ok(Functions { channels: names, values: self.file.numbers(array)? })
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

    #[test]
    fn an_axis_of_one_element_is_left_out() {
        // [2, 1, 3, 4]: the layout of PDEBench, whose second axis is that of one quantity.
        let values = Functions::new(["u"], (0..24).map(f64::from).collect());
        let points = Points::Grid { rows: 1, columns: 12, placement: Placement::Cells };
        let set = FunctionSet::new(points, values.clone(), values).unwrap();
        let (_folder, path) = written(&[("", &set)]);
        let arrays =
            PairArrays { points: PointArrays::Interval(Placement::Cells), ..PairArrays::default() };
        let found = FunctionArchive::open(&path).unwrap().read(&arrays).unwrap();
        assert_eq!((found.samples(), found.points().count()), (2, 12));
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
    fn snapshots_are_paired_with_later_ones() {
        // Two trajectories of three snapshots on two points, as [samples, rows, columns].
        let points = Points::Grid { rows: 3, columns: 2, placement: Placement::Cells };
        let values: Vec<f64> = (0..12).map(f64::from).collect();
        let both = [Functions::new(["w"], values.clone()), Functions::new(["w"], values)];
        let [inputs, outputs] = both;
        let set = FunctionSet::new(points, inputs, outputs).unwrap();
        let (_folder, path) = written(&[("", &set)]);
        let arrays = PairArrays {
            points: PointArrays::Interval(Placement::Edges),
            sample_axes: 2,
            lag: 2,
            ..PairArrays::default()
        };
        let pairs = FunctionArchive::open(&path).unwrap().read(&arrays).unwrap();
        assert_eq!(pairs.inputs().values, [0.0, 1.0, 6.0, 7.0]);
        assert_eq!(pairs.outputs().values, [4.0, 5.0, 10.0, 11.0]);
        assert_eq!(
            refused(&path, &PairArrays { lag: 3, ..arrays }),
            "pairs.npz, array \"input\": found 3 snapshots of a trajectory, expected more than \
             data.lag = 3; lower it, or say with data.sample_axes = 2 that there are trajectories"
        );
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
            "pairs.npz, array \"a_placement\": found the type text, expected a float of 4 or 8 \
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
