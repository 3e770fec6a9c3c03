//! Where attention comes from, and what it costs, as code.
//!
//! - [`svr`]: support vector regression in `f64`: Gram matrix, solver, both objectives, expansion.
//! - [`kernel`], [`normalizer`], [`training_set`]: the three choices from which an attention follows.
//! - [`kernel_attention`]: that attention as a module, and its certificate, the regression solved.
//! - [`redundancy`]: how far apart the heads of a layer are.
//! - [`spectrum`]: effective rank.
//! - [`cost`]: multiply-adds and stored weights, from sizes alone.
//!
//! `docs/theory.md` has the derivation. Source: Nguyen et al. 2023, "A Primal-Dual Framework for
//! Transformers and Neural Networks", arXiv:2406.13781, of which only the abstract was at hand; what
//! is here is derived again and tested, and each file says where a choice is ours.

pub mod cost;
pub mod kernel;
pub mod kernel_attention;
pub mod matrix;
pub mod normalizer;
pub mod redundancy;
pub mod spectrum;
pub mod svr;
pub mod training_set;

pub use kernel::Kernel;
pub use kernel_attention::{Certificate, KernelAttention, KernelAttentionConfig};
pub use matrix::Matrix;
pub use normalizer::Normalizer;
pub use training_set::{Center, TrainingSet};
