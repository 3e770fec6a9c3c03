//! The discrete Fourier transform of a power of two of points.
//!
//! - [`Fourier`]: of points on a line.
//! - [`PlaneFourier`]: of points on a square grid.

mod line;
mod plane;

pub use line::{Complex, Fourier};
pub use plane::{Plane, PlaneFourier};
