//! Runs that learn an operator between functions.
//!
//! ```text
//! pairs of functions → parts → normalised → operator → relative error → scores at every resolution
//! ```

mod baselines;
mod certificate;
mod config;
mod data;
mod kernel_ridge;
mod objective;
mod predict;
mod run;
#[cfg(test)]
mod tests;

pub use certificate::certify;
pub use config::{
    OperatorFit, OperatorKind, OperatorLoss, OperatorRunConfig, OperatorSource, OperatorSplit,
    OperatorTask, PartArrays, Quadrature, TestArrays,
};
pub(crate) use predict::predict;
pub(crate) use run::evaluate;
