//! Generators of pairs of functions: each pair depends on a seed and its number alone.
//!
//! - [`Generator`]: what every generator has; [`samples`] makes pairs in memory, [`write_samples`]
//!   in a file that goes on where it was stopped.
//! - [`Darcy`], [`Kolmogorov`], [`Burgers`]: partial differential equations.
//! - [`ControlledOde`], [`LorenzComponents`]: operators on functions of time, sampled by a
//!   [`TimeGrid`].
//! - [`gaussian_field`], [`periodic_field`]: random functions.
//! - [`elliptic`], [`vorticity`]: the solvers.

pub mod burgers;
pub mod controlled_ode;
pub mod darcy;
pub mod elliptic;
pub mod gaussian_field;
pub mod kolmogorov;
pub mod lorenz;
pub mod periodic_field;
pub mod time_grid;
pub mod vorticity;

mod dense;
mod draws;
mod file;
mod generator;

pub use burgers::Burgers;
pub use controlled_ode::{ControlledOde, response};
pub use darcy::{Coefficient, Darcy};
pub use draws::samples;
pub use file::{Progress, Written, write_samples};
pub use generator::{Generator, Request};
pub use kolmogorov::Kolmogorov;
pub use lorenz::LorenzComponents;
pub use time_grid::{Spacing, TimeGrid};
