//! Pairs of functions, from which an operator between functions is learned.
//!
//! - [`Points`]: where functions are known, on a line or a grid.
//! - [`FunctionSet`]: pairs of an input and an output function on common points; a file of them is
//!   read by [`FunctionArchive`] and written by [`write_npz`].
//! - [`ScalarNormalization`]: one mean and one deviation for all values.
//! - [`make`]: generators of such pairs.
//! - [`vtk`]: fields as files of other programs.

pub mod make;
pub mod vtk;

mod archive;
mod array_file;
mod error;
#[cfg(feature = "hdf5")]
mod hdf5;
mod interpolation;
mod normalize;
mod places;
mod points;
mod set;

pub use archive::{FunctionArchive, PairArrays, PointArrays, write_npz};
pub use error::OperatorError;
pub use interpolation::interpolate;
pub use normalize::ScalarNormalization;
pub use places::read_places;
pub use points::{Placement, Points};
pub use set::{FunctionSet, Functions};
