//! Runs that learn to tell classes of series apart.
//!
//! ```text
//! labelled series → split by group → normalised → batches → classifier → cross entropy → scores
//! ```

mod baselines;
mod config;
mod data;
mod objective;
mod predict;
mod run;

pub use config::{
    ClassWeights, ClassicalMethod, ClassifyBaselines, ClassifyConfig, ClassifyFit, ClassifyKind,
    ClassifyTask, LabelledSource, Select,
};
pub(crate) use data::{Batch, Classification, Part};
pub use predict::{Classified, classify};
pub(crate) use run::{evaluate, other_set};
