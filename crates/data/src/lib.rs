//! Where numbers come from: readers, simulators, windows, splits and normalisation.
//!
//! - [`mod@file`]: CSV, TSV, Parquet, NPZ and NPY files to and from a [`SeriesSet`].
//! - [`fourier`]: the discrete Fourier transform.
//! - [`simulate`]: trajectories of known systems.
//! - [`labelled`]: series with one class each, from archives, tables and folders.
//! - [`operator`]: pairs of functions, and generators of them.
//! - [`augment`]: random changes of a series that keep its class.
//! - [`text`]: text as tokens, its parts and windows.
//! - [`window`]: which (input, target) pairs a set of trajectories holds.
//! - [`split`]: training, validation and test parts that share no window.
//! - [`normalize`]: statistics of the training part, applied and undone.
//!
//! Everything is `f64`, row-major with time along the rows, and knows nothing of tensors.

pub mod augment;
pub mod file;
pub mod fourier;
pub mod labelled;
pub mod normalize;
pub mod operator;
pub mod simulate;
pub mod split;
pub mod text;
pub mod window;

mod error;
mod place;
mod series;

pub use error::DataError;
pub use place::{Cell, Position, TimeStep, UnknownName};
pub use series::{Series, SeriesSet};
