//! Trajectories of known systems, made here instead of read.

pub mod lorenz;
pub mod ode;

pub use lorenz::{Lorenz, LorenzConfig};
