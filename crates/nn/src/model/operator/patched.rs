//! Attention between patches of a field, each seen as a function: `ViTNO` and `FANO`.
//!
//! ```text
//! u_p = lift([x, X, Y]) on patch p          X, Y the coordinates of a point along columns and rows
//! s(p, r) = ⟨Q u_p, K u_r⟩ / n              n points of the whole field: the inner product of L²
//! (A u)_p(x) = Σ_r softmax_r(s(p, r)) (V u_r)(x)      per head, then a map of the features
//! y = u W_out + b_out                       and y ← y + convolution of y over the whole field
//! ```
//!
//! With `field_modes` every block adds a convolution of `u` over the whole field to `A u`: attention decides
//! by content between patches, the convolution reaches across their borders. This is ours.
//!
//! The number of patches is fixed, not their size: on a finer grid a patch has more points. Feature
//! `c = j h + i` belongs to head `i` of `h`.
//!
//! | | `ViTNO` | `FANO` |
//! |---|---|---|
//! | `Q`, `K`, `V` | a matrix at every point | a convolution on the patch |
//! | lift | a convolution on the patch | a matrix at every point |
//!
//! Source: Calvello et al. 2025, §5, arXiv:2406.06486, and its program. Cost: `n² d/p + …` multiply-adds for
//! attention between `p` patches of `n/p` points.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData, assert_shape};
use regard_kernels::heads::split_in_turn;
use regard_kernels::pointwise::Activation;
use regard_kernels::softmax::{attention, self_attention};
use serde::{Deserialize, Serialize};

use super::tno::affine;
use super::{OperatorShape, Sites, copies};
use crate::error::{InvalidConfig, divides, positive};
use crate::layer::{EncoderBlock, EncoderBlockConfig, NormPlace};
use crate::parameter::{Affine, Multipliers, MultipliersConfig};

/// Configuration of [`PatchedOperator`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatchedConfig {
    /// Width between input and output.
    pub d_model: usize,
    /// Width between the two feed-forward maps.
    pub d_ff: usize,
    /// Number of heads; divides `d_model`.
    pub n_heads: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// Patches down and across.
    pub patches: [usize; 2],
    /// Modes of convolutions on a patch, along rows from either end and along columns.
    pub modes: [usize; 2],
    /// Modes of a convolution over the whole field beside the attention of every block; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_modes: Option<[usize; 2]>,
    /// Modes of the convolution behind the output, as many along both axes; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smoothing: Option<usize>,
    /// Where the norms stand.
    pub norm: NormPlace,
    /// Whether all blocks start from the same values.
    pub same_start: bool,
}

/// Small, for fields of 64 × 64 points: no more modes than half a patch.
impl Default for PatchedConfig {
    fn default() -> Self {
        Self {
            d_model: 32,
            d_ff: 64,
            n_heads: 4,
            n_layers: 4,
            patches: [4, 4],
            modes: [8, 8],
            field_modes: None,
            smoothing: None,
            norm: NormPlace::Post,
            same_start: false,
        }
    }
}

/// What queries, keys and values are made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchMaps {
    /// A matrix at every point; the lift is a convolution.
    Pointwise,
    /// A convolution on every patch; the lift is a matrix.
    Convolution,
}

/// An operator between fields; build with [`super::OperatorConfig::init`].
#[derive(Module, Debug)]
pub struct PatchedOperator {
    pub(super) lift: PatchMap,
    pub(super) blocks: Vec<EncoderBlock<PatchAttention>>,
    pub(super) output: Affine,
    pub(super) smoothing: Option<Multipliers>,
    patches: [usize; 2],
}

/// A map of the functions on patches.
#[derive(Module, Debug)]
pub(super) enum PatchMap {
    /// At every point.
    Pointwise(Affine),
    /// By Fourier multipliers.
    Convolution(Multipliers),
}

/// Attention between patches.
#[derive(Module, Debug)]
pub(super) struct PatchAttention {
    pub(super) query: PatchMap,
    pub(super) key: PatchMap,
    pub(super) value: PatchMap,
    pub(super) output: Affine,
    field: Option<Multipliers>,
    n_heads: usize,
}

impl PatchedConfig {
    pub(super) fn init(
        &self,
        maps: PatchMaps,
        shape: OperatorShape,
        device: &Device,
    ) -> Result<PatchedOperator, InvalidConfig> {
        let counts = [
            ("d_model", self.d_model),
            ("d_ff", self.d_ff),
            ("n_layers", self.n_layers),
            ("patches[0]", self.patches[0]),
            ("patches[1]", self.patches[1]),
            ("modes[0]", self.modes[0]),
            ("modes[1]", self.modes[1]),
            ("field_modes[0]", self.field_modes.map_or(1, |modes| modes[0])),
            ("field_modes[1]", self.field_modes.map_or(1, |modes| modes[1])),
            ("smoothing", self.smoothing.unwrap_or(1)),
        ];
        counts.into_iter().try_for_each(positive)?;
        divides(("d_model", self.d_model), ("n_heads", self.n_heads))?;
        if shape.dimension != 2 {
            let (expected, found) = (2, shape.dimension);
            return Err(InvalidConfig::WrongDimension { expected, found });
        }
        let (inner, outer) = match maps {
            PatchMaps::Pointwise => (Kind::Pointwise, Kind::Convolution),
            PatchMaps::Convolution => (Kind::Convolution, Kind::Pointwise),
        };
        let lift = self.map(outer, shape.d_in + 2, device);
        let block = || {
            let [query, key, value] = [(); 3].map(|()| self.map(inner, self.d_model, device));
            let output = affine(self.d_model, self.d_model).init(device);
            let field = self.field().map(|config| config.init(device));
            let attention =
                PatchAttention { query, key, value, output, field, n_heads: self.n_heads };
            self.block().init(attention, device)
        };
        let first = block();
        let others = if self.same_start {
            copies(&first, self.n_layers - 1)
        } else {
            (1..self.n_layers).map(|_| block()).collect()
        };
        Ok(PatchedOperator {
            lift,
            blocks: std::iter::once(first).chain(others).collect(),
            output: affine(self.d_model, shape.d_out).init(device),
            smoothing: self.smoothing(shape).map(|config| config.init(device)),
            patches: self.patches,
        })
    }

    pub(super) fn n_parameters(&self, maps: PatchMaps, shape: OperatorShape) -> usize {
        let d = self.d_model;
        let pointwise = |d_in| affine(d_in, d).n_parameters();
        let convolution = |d_in| self.convolution(d_in).n_parameters();
        let (lift, map) = match maps {
            PatchMaps::Pointwise => (convolution(shape.d_in + 2), pointwise(d)),
            PatchMaps::Convolution => (pointwise(shape.d_in + 2), convolution(d)),
        };
        let field = self.field().map_or(0, |config| config.n_parameters());
        let block = 3 * map + pointwise(d) + field + self.block().n_parameters();
        let smoothing = self.smoothing(shape).map_or(0, |config| config.n_parameters());
        lift + self.n_layers * block + affine(d, shape.d_out).n_parameters() + smoothing
    }

    fn map(&self, kind: Kind, d_in: usize, device: &Device) -> PatchMap {
        match kind {
            Kind::Pointwise => PatchMap::Pointwise(affine(d_in, self.d_model).init(device)),
            Kind::Convolution => PatchMap::Convolution(self.convolution(d_in).init(device)),
        }
    }

    fn convolution(&self, d_in: usize) -> MultipliersConfig {
        MultipliersConfig { d_in, d_out: self.d_model, modes: self.modes }
    }

    fn field(&self) -> Option<MultipliersConfig> {
        let (d_in, d_out) = (self.d_model, self.d_model);
        self.field_modes.map(|modes| MultipliersConfig { d_in, d_out, modes })
    }

    fn smoothing(&self, shape: OperatorShape) -> Option<MultipliersConfig> {
        let (d_in, d_out) = (shape.d_out, shape.d_out);
        self.smoothing.map(|modes| MultipliersConfig { d_in, d_out, modes: [modes; 2] })
    }

    fn block(&self) -> EncoderBlockConfig {
        let Self { d_model, d_ff, norm, .. } = *self;
        EncoderBlockConfig { d_model, d_ff, activation: Activation::Gelu, norm, dropout: 0.0 }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Pointwise,
    Convolution,
}

impl PatchedOperator {
    /// As [`super::Operator::accepts`].
    ///
    /// # Errors
    /// [`InvalidConfig::NotOnGrid`]; [`InvalidConfig::NoWholePatches`].
    pub fn accepts(&self, sites: &Sites) -> Result<(), InvalidConfig> {
        let grid = sites.rows_and_columns("vitno or fano")?;
        let divides = |(n, patches): (usize, &usize)| n > 0 && n.is_multiple_of(*patches);
        if grid.into_iter().zip(&self.patches).all(divides) {
            return Ok(());
        }
        Err(InvalidConfig::NoWholePatches { grid, patches: self.patches })
    }

    /// As [`super::Operator::forward`].
    ///
    /// # Panics
    /// If the shapes disagree, or the points are not [accepted](PatchedOperator::accepts).
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, sites: &Sites) -> Tensor<3> {
        let [batch, points, d_in] = x.dims();
        assert_shape!(x, [batch, sites.n_points(), d_in]);
        let patching = Patching::new(self.patches, sites);
        let u = self.lift.forward(patching.cut(with_coordinates(x, sites)), &patching);
        let u = self
            .blocks
            .iter()
            .fold(u, |u, block| block.apply(u, |attention, u| attention.forward(u, &patching)));
        let y = patching.join(self.output.forward(u, Activation::Identity));
        let Some(smoothing) = &self.smoothing else { return y };
        let [_, _, d_out] = y.dims();
        let [rows, columns] = patching.grid;
        let smooth = smoothing.forward(y.clone().reshape([batch, rows, columns, d_out]));
        y + smooth.reshape([batch, points, d_out])
    }
}

/// The fields with their coordinates behind them: `X` along columns, then `Y` along rows.
pub(super) fn with_coordinates(x: Tensor<3>, sites: &Sites) -> Tensor<3> {
    let [batch, points, _] = x.dims();
    let xy: Vec<f64> = sites.coordinates().chunks_exact(2).flat_map(|p| [p[1], p[0]]).collect();
    let device = x.device().without_autodiff();
    let xy = Tensor::<3>::from_data(TensorData::new(xy, [1, points, 2]), (&device, x.dtype()));
    Tensor::cat(vec![x, xy.expand([batch, points, 2])], 2)
}

/// How fields of one grid are cut into patches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patching {
    grid: [usize; 2],
    patches: [usize; 2],
    /// Rows and columns of a patch.
    size: [usize; 2],
    /// As [`Sites::is_closed`].
    closed: bool,
}

impl Patching {
    pub(super) fn new(patches: [usize; 2], sites: &Sites) -> Self {
        let grid = sites.rows_and_columns("vitno or fano").expect("the points are a grid");
        let size = [grid[0] / patches[0], grid[1] / patches[1]];
        let covered = [size[0] * patches[0], size[1] * patches[1]];
        assert_eq!(covered, grid, "the patches divide the grid");
        Self { grid, patches, size, closed: sites.is_closed() }
    }

    fn n_patches(&self) -> usize {
        self.patches[0] * self.patches[1]
    }

    fn points(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// `[batch, rows · columns, d]` to `[batch · patches, points of a patch, d]`.
    fn cut(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, _, d] = x.dims();
        let ([down, across], [rows, columns]) = (self.patches, self.size);
        x.reshape([batch, down, rows, across, columns, d]).swap_dims(2, 3).reshape([
            batch * self.n_patches(),
            self.points(),
            d,
        ])
    }

    /// The inverse of [`Patching::cut`].
    fn join(&self, x: Tensor<3>) -> Tensor<3> {
        let [n, points, d] = x.dims();
        let ([down, across], [rows, columns]) = (self.patches, self.size);
        let batch = n / self.n_patches();
        x.reshape([batch, down, across, rows, columns, d]).swap_dims(2, 3).reshape([
            batch,
            self.n_patches() * points,
            d,
        ])
    }
}

impl PatchMap {
    /// `[batch · patches, points, d_in]` to `[batch · patches, points, d_out]`.
    fn forward(&self, u: Tensor<3>, patching: &Patching) -> Tensor<3> {
        match self {
            Self::Pointwise(map) => map.forward(u, Activation::Identity),
            Self::Convolution(multipliers) => {
                let ([n, points, d], [rows, columns]) = (u.dims(), patching.size);
                let y = multipliers.forward(u.reshape([n, rows, columns, d]));
                let [_, _, _, d_out] = y.dims();
                y.reshape([n, points, d_out])
            }
        }
    }
}

impl PatchAttention {
    /// `[batch · patches, points, d]` to the same.
    pub(super) fn forward(&self, u: Tensor<3>, patching: &Patching) -> Tensor<3> {
        let [n, points, d] = u.dims();
        let patches = patching.n_patches();
        let batch = n / patches;
        // A patch is one key, as wide as the features of a head at all of its points.
        let share = 1.0 / (patches * points) as f64;
        let maps = [&self.query, &self.key, &self.value];
        let o = if let [
            PatchMap::Pointwise(query),
            PatchMap::Pointwise(key),
            PatchMap::Pointwise(value),
        ] = maps
        {
            let rows = u.clone().reshape([batch, patches * points, d]);
            let qkv = Affine::to_heads(&[query, key, value], rows, self.n_heads, points);
            self_attention(qkv, None, share, false)
        } else {
            let [q, k, v] = maps.map(|map| {
                let y = map.forward(u.clone(), patching);
                split_in_turn(y.reshape([batch, patches, points * d]), self.n_heads)
            });
            attention(q, k, v, None, share, false)
        };
        let o = self.output.of_heads(o, points).reshape([n, points, d]);
        let Some(field) = &self.field else { return o };
        let [rows, columns] = patching.grid;
        let whole = patching.join(u).reshape([batch, rows, columns, d]);
        let whole = if patching.closed { field.closed(whole) } else { field.forward(whole) };
        o + patching.cut(whole.reshape([batch, patches * points, d]))
    }
}
