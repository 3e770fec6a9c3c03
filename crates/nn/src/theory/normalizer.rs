//! What divides the sum over keys: the second of the three choices that make an attention.
//!
//! ```text
//! f(x) = Σ_j κ(x, k_j) v_j / h(x)
//!
//! sum       h(x) = Σ_j κ(x, k_j)     the weights sum to one: softmax and linear attention
//! count     h(x) = N                 a mean of kernel values, as in Galerkin-type attention
//! length    h(x) = √κ(x, x)          as if all features had length one
//! ```
//!
//! Source: `f` and `sum` as in Nguyen et al. 2023, arXiv:2406.13781; the others are ours.

use std::fmt;
use std::sync::Arc;

use burn::tensor::{Tensor, assert_shape};

use super::Kernel;

type OfRowsAndKeys = dyn Fn(Tensor<4>, Tensor<4>) -> Tensor<4> + Send + Sync;

/// The normaliser `h`, positive at every row.
#[derive(Clone)]
pub enum Normalizer {
    /// `Σ_j κ(x, k_j)`.
    Sum,
    /// The number of keys.
    Count,
    /// `√κ(x, x)`.
    Length,
    /// Another one: [`Normalizer::function`].
    Function(Arc<OfRowsAndKeys>),
}

impl fmt::Debug for Normalizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sum => "Sum",
            Self::Count => "Count",
            Self::Length => "Length",
            Self::Function(_) => "Function",
        })
    }
}

impl Normalizer {
    /// A normaliser of one's own, from rows and keys.
    ///
    /// # Shapes
    /// - `h`: `[batch, heads, time, d]` and `[batch, heads, time_k, d]` to `[batch, heads, time, 1]`;
    ///   keys that are padding are zero before they are normalised
    #[must_use]
    pub fn function(h: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4> + Send + Sync + 'static) -> Self {
        Self::Function(Arc::new(h))
    }

    /// `h` at every row of `x`, for keys of which those count whose `present` is 1.
    ///
    /// # Shapes
    /// - `x`: `[batch, heads, time, d]`; `keys`: `[batch, heads, time_k, d]`
    /// - `present`: `[batch, heads, time_k, 1]`
    /// - returns: `[batch, heads, time, 1]`
    ///
    /// # Panics
    /// If the shapes disagree, or a closure returns another shape.
    #[must_use]
    pub fn values(
        &self,
        kernel: &Kernel,
        x: Tensor<4>,
        keys: Tensor<4>,
        present: Tensor<4>,
    ) -> Tensor<4> {
        let [batch, heads, time, _] = x.dims();
        let [_, _, time_k, _] = keys.dims();
        assert_shape!(present, [batch, heads, time_k, 1]);
        let h = match self {
            Self::Sum => kernel.sum(x, keys, present),
            Self::Count => present.sum_dim(2).expand([batch, heads, time, 1]),
            Self::Length => kernel.diagonal(x).sqrt(),
            Self::Function(h) => h(x, keys),
        };
        assert_shape!(h, [batch, heads, time, 1]);
        h
    }
}
