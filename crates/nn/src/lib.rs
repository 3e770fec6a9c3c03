//! Attention mechanisms and the models made of them.
//!
//! - [`mechanism`]: one file per attention mechanism, behind one configuration.
//! - [`layer`]: what a model is stacked from: encoder blocks, embeddings, read-outs.
//! - [`model`]: whole forecasters, and the baselines they are measured against.
//! - [`parameter`]: trained values with the kernels that use them; the bricks of the above.
//! - [`theory`]: attention as support vector regression, redundancy of heads, cost.
//!
//! Modules take and return `[batch, time, d_model]`; only kernels see heads.

pub mod error;
pub mod layer;
pub mod mechanism;
pub mod model;
pub mod parameter;
pub mod theory;
