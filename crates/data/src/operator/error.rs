//! What can be wrong with pairs of functions, one variant per cause.

use std::path::PathBuf;

use thiserror::Error;

/// What is wrong with points, functions or their files, and how to mend it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// Coordinates in no order.
    #[error(
        "coordinate index {index}: found {found} after {before}, expected coordinates that \
         strictly {direction}; sort the points and remove repeated ones"
    )]
    NotMonotone {
        /// The first coordinate that breaks the order, from 0.
        index: usize,
        /// Its value.
        found: f64,
        /// The value before it.
        before: f64,
        /// `increase` or `decrease`, as the first two coordinates do.
        direction: &'static str,
    },
    /// A coordinate that is infinite or not a number.
    #[error("coordinate index {index}: found {found}, expected a finite number")]
    CoordinateNotFinite {
        /// The coordinate, from 0.
        index: usize,
        /// Its value.
        found: f64,
    },
    /// A table of places with other columns than coordinates.
    #[error("{file}: found {found} columns, expected {expected}, one per coordinate")]
    Coordinates {
        /// The file.
        file: PathBuf,
        /// Columns.
        found: usize,
        /// Coordinates of a point.
        expected: usize,
    },
    /// A place where the functions are not known.
    #[error(
        "{file}, place {place}: found {coordinate} = {found}, expected a coordinate from {low} to {high}, \
         inside the domain of the functions"
    )]
    Outside {
        /// The file.
        file: PathBuf,
        /// The place, from 0.
        place: usize,
        /// The coordinate.
        coordinate: &'static str,
        /// Its value.
        found: f64,
        /// Its least value.
        low: f64,
        /// Its largest value.
        high: f64,
    },
    /// An HDF5 file, and a program without the feature.
    #[error(
        "{file}: HDF5 is read by a program built with `--features hdf5`; build it so, or convert the \
         file to .npz"
    )]
    NoHdf5 {
        /// The file.
        file: PathBuf,
    },
    /// Trajectories that are no longer than the lag between an input and its output.
    #[error(
        "{file}, array {array:?}: found {snapshots} snapshots of a trajectory, expected more than \
         data.lag = {lag}; lower it, or say with data.sample_axes = 2 that there are trajectories"
    )]
    TooFewSnapshots {
        /// The file.
        file: PathBuf,
        /// The array of the inputs.
        array: String,
        /// Snapshots along the last axis of the samples; 1 where they lie along one axis.
        snapshots: usize,
        /// The lag.
        lag: usize,
    },
    /// Too few points to be a line or a grid.
    #[error("found {found} {what}, expected at least {expected}")]
    TooFewPoints {
        /// `points`, `rows` or `columns`.
        what: &'static str,
        /// Their number.
        found: usize,
        /// The least number.
        expected: usize,
    },
    /// No pair at all.
    #[error("found no samples, expected at least one pair of functions")]
    NoSamples,
    /// Functions without a channel.
    #[error("the {what} functions have no channel, expected at least one")]
    NoChannels {
        /// `input` or `output`.
        what: &'static str,
    },
    /// Values that do not fill samples, points and channels.
    #[error(
        "found {found} {what} values, expected a multiple of {} = {points} points × {channels} \
         channels", .points * .channels
    )]
    NotWholeSamples {
        /// `input` or `output`.
        what: &'static str,
        /// Number of values.
        found: usize,
        /// Points of a function.
        points: usize,
        /// Channels of a function.
        channels: usize,
    },
    /// Inputs and outputs that do not pair up.
    #[error("found {outputs} output functions for {inputs} input functions, expected one for each")]
    Unpaired {
        /// Number of inputs.
        inputs: usize,
        /// Number of outputs.
        outputs: usize,
    },
    /// A value that is infinite or not a number.
    #[error(
        "{what} of sample {sample}, point {point}, channel {channel:?}: found {found}, expected a \
         finite number; remove the sample or complete it"
    )]
    NotFinite {
        /// `input` or `output`.
        what: &'static str,
        /// The sample, from 0.
        sample: usize,
        /// The point, from 0, row by row on a grid.
        point: usize,
        /// The channel.
        channel: String,
        /// The value.
        found: f64,
    },
    /// An array of another shape than its points ask for.
    #[error("{file}, array {array:?}: found the shape {found:?}, expected {expected}")]
    ArrayShape {
        /// The file.
        file: PathBuf,
        /// The array.
        array: String,
        /// Its shape.
        found: Vec<usize>,
        /// The axes, by name.
        expected: String,
    },
    /// Inputs and outputs on different points.
    #[error(
        "{file}: array {output:?} has the shape {found:?}, expected {expected:?} before any \
         channels, as array {input:?} has"
    )]
    ShapesDiffer {
        /// The file.
        file: PathBuf,
        /// The array of the inputs.
        input: String,
        /// Its samples and points.
        expected: Vec<usize>,
        /// The array of the outputs.
        output: String,
        /// Its shape.
        found: Vec<usize>,
    },
    /// An archive that does not say where its functions are known.
    #[error(
        "{file} does not say where its functions are known: found no array {:?} and no array {:?}; \
         say it with data.points",
        "coordinates",
        "placement"
    )]
    UnknownPoints {
        /// The file.
        file: PathBuf,
    },
    /// Another word where a file says how a grid is placed.
    #[error("{file}, array \"placement\": found {found:?}, expected cells, nodes or edges")]
    UnknownPlacement {
        /// The file.
        file: PathBuf,
        /// The text.
        found: String,
    },
    /// Parts of one file that share a name.
    #[error("found the array name {name:?} twice, expected distinct names for all parts of a file")]
    DuplicateArray {
        /// The name.
        name: String,
    },
    /// Functions on a line where an image is asked for.
    #[error(
        "{file}: found functions on a line, expected a grid of rows and columns; write .npz instead"
    )]
    NoGrid {
        /// The file to write.
        file: PathBuf,
    },
    /// A field that does not have one value per point.
    #[error("field {field:?} has {found} values, expected {expected}, one per point")]
    FieldLength {
        /// The field.
        field: String,
        /// Its values.
        found: usize,
        /// Points of the grid.
        expected: usize,
    },
    /// A linear system that iterations do not solve.
    #[error(
        "the Darcy equation is not solved after {iterations} iterations, the residual is \
         {residual:e} of the source: the coefficient spans too many decades; raise field.alpha or \
         field.tau"
    )]
    NotConverged {
        /// Iterations made.
        iterations: usize,
        /// Norm of the residual, relative to that of the source.
        residual: f64,
    },
    /// A begun file of other samples.
    #[error(
        "{file} holds samples that were begun with other options or another version; finish them \
         with those, or remove the file"
    )]
    OtherSamples {
        /// The file.
        file: PathBuf,
    },
}
