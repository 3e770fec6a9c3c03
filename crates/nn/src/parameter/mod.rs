//! Trained values with the kernels that use them: the bricks below mechanisms and layers.
//!
//! Every initial value is drawn at once, in the order of the calls, from the generator that
//! [`Device::seed`](burn::tensor::Device::seed) sets. On the CPU that is one `ChaCha` stream read by
//! one thread at a time, so a seed fixes a model whatever the number of threads. Nothing is lazy:
//! the order of draws is the order of `init`, not of first use.

mod affine;
mod batch_norm;
mod init;
mod layer_norm;
mod multipliers;
mod time_matrix;
mod time_mixing;

pub use affine::{Affine, AffineConfig, BiasInit, WeightInit};
pub(crate) use batch_norm::BatchNorm;
pub use init::{constant, fan_in_bound, uniform, xavier_bound};
pub use layer_norm::LayerNorm;
pub use multipliers::{Multipliers, MultipliersConfig};
pub(crate) use time_matrix::Weights;
pub use time_matrix::{Basis, TimeMatrix};
pub(crate) use time_mixing::mix_time;
pub use time_mixing::{TimeMixing, TimeMixingConfig};
