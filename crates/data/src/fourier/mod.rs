//! Discrete Fourier transforms, through `rustfft` and `realfft`.
//!
//! - [`Fourier`]: of complex numbers at points on a line.
//! - [`PlaneFourier`]: of real numbers on a square grid.
//!
//! Any number of points; those whose prime factors are small are fastest.

mod line;
mod plane;

pub use line::Fourier;
pub use plane::PlaneFourier;
pub use rustfft::num_complex::Complex64;
