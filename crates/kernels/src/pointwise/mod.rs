//! Operations on every position by itself: normalization, bias and activation, pooling, loss.
//!
//! Each is one pass over memory on the CPU, forward and backward, where separate operations would
//! take several. All results are the same whatever the number of threads: sums over rows are made
//! of partial sums over chunks of a fixed size, added in order.

mod activation;
mod inner_product;
mod loss;
mod norm;
mod pool;
pub mod reference;
mod rows;

pub use activation::{Activation, bias_activation, composed_activation};
pub(crate) use activation::{Epilogue, Slope, load, store};
pub use inner_product::inner_product;
pub use loss::mean_squared_error;
pub(crate) use norm::Forward as NormRows;
pub use norm::{composed_layer_norm, layer_norm, residual_norm};
pub use pool::pair_pool;
pub(crate) use pool::pool_row;
pub(crate) use rows::{
    CHUNK, add_rows, begins_group, column_sums, for_each_chunk, for_each_chunk_of_groups,
};
#[cfg(test)]
mod tests;
