//! Families of matrices that mix time, one per head, each made of the numbers it stores.
//!
//! | kind | `α[r, c]` | numbers per head, `p × p` | multiply-adds with `d` features |
//! |---|---|---|---|
//! | `dense` | free | `p²` | `p² d` |
//! | `diagonal` | `a[r]` where `r = c` | `p` | `p d` |
//! | `banded` | free where `\|r − c\| ≤ o` | `p + 2 Σ_{j=1..o} (p − j)` | as many, times `d` |
//! | `causal` | free where `c ≤ r` | `p (p + 1)/2` | as many, times `d` |
//! | `toeplitz` | `κ[r − c]` | `2p − 1`, causal `p` | `p² d`, causal `p (p + 1)/2 · d` |
//! | `low-rank` | `Σ_k U[r, k] V[c, k]` | `2 p r` | `2 p r d` |
//! | `basis` | `(1/p) Σ_kl φ_k(r/p) C[k, l] φ_l(c/p)` | `K²` | `2 p K d` |
//!
//! A matrix of `rows ≠ cols` is aligned at its newest, last row and column. Low rank and basis are
//! multiplied as one matrix where that is cheaper, from `2 r ≥ p` on. A diagonal, band or triangle
//! is laid out as a matrix once per pass, and the product skips what is zero.
//!
//! Source: dense is Sanchis-Agudo et al. 2023, arXiv:2308.12874. The others are ours; low rank
//! without a softmax is the factorised random synthesizer of Tay et al. 2021, arXiv:2005.00743, §3.

mod basis;
mod low_rank;
mod table;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;
use regard_kernels::mixing::{Reach, mix, mix_within, spread};
use regard_kernels::plan::{PlanBuilder, Slot};
use serde::{Deserialize, Serialize};

use crate::error::{InvalidConfig, positive};
pub use basis::Basis;
use table::Pattern;

/// How a matrix that mixes time is made, chosen by the key `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TimeMatrix {
    /// Every entry is free.
    Dense {},
    /// Every step on its own: nothing moves in time.
    Diagonal {},
    /// Free up to a distance in time.
    Banded {
        /// The distance, in steps; 0 is the diagonal.
        offset: usize,
    },
    /// Free for the present and the past.
    Causal {},
    /// One number per lag: the same kernel everywhere in the window.
    Toeplitz {
        /// Whether the lags into the future are left out.
        #[serde(default)]
        causal: bool,
    },
    /// The product of two thin matrices.
    LowRank {
        /// Width of the thin matrices.
        rank: usize,
    },
    /// Smooth functions of the position in the window.
    Basis {
        /// Number of functions along either axis.
        n_basis: usize,
        /// The functions.
        #[serde(default)]
        basis: Basis,
    },
}

/// The matrices themselves, in the form in which they are multiplied.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one per forward pass; a box would buy nothing")]
pub(crate) enum Weights {
    /// `[heads, rows, cols]`, zero outside the reach.
    Whole { matrix: Tensor<3>, reach: Reach },
    /// `left · right`: `[heads, rows, rank]` and `[heads, rank, cols]`.
    Thin { left: Tensor<3>, right: Tensor<3> },
}

/// Rows and columns.
pub(crate) type Size = [usize; 2];

impl Default for TimeMatrix {
    fn default() -> Self {
        Self::Dense {}
    }
}

impl TimeMatrix {
    /// Checks the fields for a matrix with `cols` columns.
    ///
    /// # Errors
    /// [`InvalidConfig::Zero`] or [`InvalidConfig::TooLarge`] for a rank or a number of functions.
    pub(crate) fn check(self, cols: usize) -> Result<(), InvalidConfig> {
        let (name, value) = match self {
            Self::LowRank { rank } => ("rank", rank),
            Self::Basis { n_basis, .. } => ("n_basis", n_basis),
            _ => return Ok(()),
        };
        positive((name, value))?;
        if value > cols {
            return Err(InvalidConfig::TooLarge { name, value, limit_name: "window", limit: cols });
        }
        Ok(())
    }

    /// Shape of the stored numbers.
    pub(crate) fn shape(self, heads: usize, [rows, cols]: Size) -> [usize; 3] {
        match self {
            Self::Dense {} => [heads, rows, cols],
            Self::LowRank { rank } => [heads, rows + cols, rank],
            Self::Basis { n_basis, .. } => [heads, n_basis, n_basis],
            _ => [heads, 1, self.pattern().n_slots([rows, cols])],
        }
    }

    /// Number of stored numbers.
    pub(crate) fn n_parameters(self, heads: usize, size: Size) -> usize {
        self.shape(heads, size).iter().product()
    }

    /// Multiply-adds with `features` features, shared evenly by the heads; of products within a
    /// band or triangle what lies inside.
    pub(crate) fn multiply_adds(self, heads: usize, [rows, cols]: Size, features: usize) -> u64 {
        let count = match self {
            Self::Dense {} => rows * cols * features,
            Self::LowRank { rank } if is_thin(rank, cols) => (rows + cols) * rank * features,
            Self::LowRank { rank } => heads * rows * cols * rank + rows * cols * features,
            Self::Basis { n_basis: n, .. } if is_thin(n, cols) => {
                heads * rows * n * n + (rows + cols) * n * features
            }
            Self::Basis { n_basis: n, .. } => {
                heads * (rows * n * n + rows * cols * n) + rows * cols * features
            }
            _ => self.pattern().n_entries([rows, cols]) * features,
        };
        count as u64
    }

    /// Bound of the stored numbers' uniform law that gives the entries the variance of a uniform
    /// law within `entry`.
    pub(crate) fn bound(self, entry: f64, [_, cols]: Size) -> f64 {
        match self {
            Self::LowRank { rank } => low_rank::bound(entry, rank),
            Self::Basis { n_basis, .. } => basis::bound(entry, n_basis, cols),
            _ => entry,
        }
    }

    /// Whether no row sees a later one.
    pub(crate) fn is_causal(self) -> bool {
        matches!(self, Self::Diagonal {} | Self::Causal {} | Self::Toeplitz { causal: true })
    }

    /// The matrices of the stored numbers.
    pub(crate) fn weights(self, stored: Tensor<3>, size: Size) -> Weights {
        let [heads, _, width] = stored.dims();
        match self {
            Self::Dense {} => Weights::Whole { matrix: stored, reach: Reach::FULL },
            Self::LowRank { .. } => low_rank::weights(stored, size),
            Self::Basis { basis, .. } => basis.weights(stored, size),
            _ => {
                let pattern = self.pattern();
                let matrix = spread(stored.reshape([heads, width]), &pattern.lookup(size));
                let reach = if size[0] == size[1] { pattern.reach() } else { Reach::FULL };
                Weights::Whole { matrix, reach }
            }
        }
    }

    /// The stored numbers for another size.
    ///
    /// Shorter: the block of the newest rows and columns. Longer: lags that were not trained are
    /// zero, smooth functions are evaluated in between, and a dense matrix may get older columns,
    /// which it does not look at. `part` is what a message calls the matrix.
    ///
    /// # Errors
    /// [`InvalidConfig::FixedWindow`] for more rows than were trained, in the other families.
    pub(crate) fn resized(
        self,
        stored: Tensor<3>,
        from: Size,
        to: Size,
        part: &'static str,
    ) -> Result<Tensor<3>, InvalidConfig> {
        let remedy = "train with the kind \"toeplitz\" or \"basis\"";
        let fixed = InvalidConfig::FixedWindow { part, trained: from[0], wanted: to[0], remedy };
        let is_longer = to[0] > from[0];
        Ok(match self {
            _ if from == to => stored,
            Self::Basis { .. } => stored,
            Self::Toeplitz { .. } => self.pattern().resized(stored, from, to),
            _ if is_longer => return Err(fixed),
            Self::Dense {} => newest(newest(stored, 1, to[0]), 2, to[1]),
            Self::LowRank { .. } => low_rank::resized(stored, from, to),
            _ => self.pattern().resized(stored, from, to),
        })
    }

    /// The pattern of the families that look their entries up in a table.
    fn pattern(self) -> Pattern {
        match self {
            Self::Diagonal {} => Pattern::Band { offset: 0 },
            Self::Banded { offset } => Pattern::Band { offset },
            Self::Causal {} => Pattern::Triangle,
            Self::Toeplitz { causal } => Pattern::Lags { causal },
            Self::Dense {} | Self::LowRank { .. } | Self::Basis { .. } => {
                unreachable!("{self:?} has no pattern")
            }
        }
    }
}

impl Weights {
    /// `left · right`, as two thin products if that is cheaper.
    fn product(left: Tensor<3>, right: Tensor<3>) -> Self {
        let [_, rank, cols] = right.dims();
        let thin = Self::Thin { left, right };
        if is_thin(rank, cols) {
            thin
        } else {
            Self::Whole { matrix: thin.matrix(), reach: Reach::FULL }
        }
    }

    /// Number of matrices.
    pub(crate) fn heads(&self) -> usize {
        let (Self::Whole { matrix: x, .. } | Self::Thin { left: x, .. }) = self;
        let [heads, _, _] = x.dims();
        heads
    }

    /// The matrices, `[heads, rows, cols]`.
    pub(crate) fn matrix(self) -> Tensor<3> {
        match self {
            Self::Whole { matrix, .. } => matrix,
            Self::Thin { left, right } => left.matmul(right),
        }
    }

    /// Mixes `v`, `[batch, heads, cols, d]`, along time to `[batch, heads, rows, d]`.
    pub(crate) fn mix(self, v: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Whole { matrix, reach } => mix_within(reach, matrix, v),
            Self::Thin { left, right } => mix(left, mix(right, v)),
        }
    }

    /// [`Weights::mix`] as a step of a plan; the heads' columns lie side by side.
    pub(crate) fn plan(self, plan: &mut PlanBuilder, v: Slot) -> Slot {
        match self {
            Self::Whole { matrix, reach } => plan.mix(reach, matrix, v),
            Self::Thin { left, right } => {
                let mixed = plan.mix(Reach::FULL, right, v);
                plan.mix(Reach::FULL, left, mixed)
            }
        }
    }
}

/// Whether two products of width `rank` are cheaper than one with the whole matrix.
fn is_thin(rank: usize, cols: usize) -> bool {
    2 * rank < cols
}

/// The last `len` steps of `axis`, with zeros before them where there are not as many.
fn newest(x: Tensor<3>, axis: usize, len: usize) -> Tensor<3> {
    let mut dims = x.dims();
    let found = dims[axis];
    if len <= found {
        return x.narrow(axis, found - len, len);
    }
    dims[axis] = len - found;
    let zeros = Tensor::zeros(dims, (&x.device(), x.dtype()));
    Tensor::cat(vec![zeros, x], axis)
}
