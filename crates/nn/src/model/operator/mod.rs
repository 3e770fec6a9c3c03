//! Operators: a function in, a function out, both known at points.
//!
//! [`OperatorConfig`] chooses one by its key `kind`; [`Operator`] is any of them. One set of weights serves
//! all [`Sites`]: what a model is applied to may be finer, coarser or elsewhere than what it was trained on.

mod fno;
#[cfg(test)]
mod golden_tests;
mod patched;
mod sites;
#[cfg(test)]
mod tests;
mod tno;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

pub use fno::{Fno, FnoConfig, FnoForm};
pub use patched::{PatchMaps, PatchedConfig, PatchedOperator};
pub use sites::Sites;
pub use tno::{PointEncoding, Tno, TnoConfig};

use crate::error::{InvalidConfig, positive};

/// What an operator maps between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorShape {
    /// Channels of the functions that are read.
    pub d_in: usize,
    /// Channels of the functions that are written.
    pub d_out: usize,
    /// Coordinates of a point.
    pub dimension: usize,
}

impl OperatorShape {
    fn check(self) -> Result<(), InvalidConfig> {
        let counts = [("d_in", self.d_in), ("d_out", self.d_out), ("dimension", self.dimension)];
        counts.into_iter().try_for_each(positive)
    }
}

/// Every operator and its configuration, chosen by the key `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum OperatorConfig {
    /// Continuum attention over all points.
    Tno(TnoConfig),
    /// Attention between patches, with maps at every point.
    Vitno(PatchedConfig),
    /// Attention between patches, with convolutions for maps.
    Fano(PatchedConfig),
    /// Fourier multipliers over the whole field.
    Fno(FnoConfig),
}

/// Any operator; build with [`OperatorConfig::init`].
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one per run; a box would buy nothing")]
pub enum Operator {
    /// Continuum attention over all points.
    Tno(Tno),
    /// Attention between patches.
    Patched(PatchedOperator),
    /// Fourier multipliers over the whole field.
    Fno(Fno),
}

impl OperatorConfig {
    /// Checks the fields and draws the parameters from the seeded stream of `device`.
    ///
    /// # Errors
    /// [`InvalidConfig`] naming the field that describes no model.
    pub fn init(&self, shape: OperatorShape, device: &Device) -> Result<Operator, InvalidConfig> {
        shape.check()?;
        Ok(match self {
            Self::Tno(config) => Operator::Tno(config.init(shape, device)?),
            Self::Vitno(config) => {
                Operator::Patched(config.init(PatchMaps::Pointwise, shape, device)?)
            }
            Self::Fano(config) => {
                Operator::Patched(config.init(PatchMaps::Convolution, shape, device)?)
            }
            Self::Fno(config) => Operator::Fno(config.init(shape, device)?),
        })
    }

    /// Number of trained real values.
    #[must_use]
    pub fn n_parameters(&self, shape: OperatorShape) -> usize {
        match self {
            Self::Tno(config) => config.n_parameters(shape),
            Self::Vitno(config) => config.n_parameters(PatchMaps::Pointwise, shape),
            Self::Fano(config) => config.n_parameters(PatchMaps::Convolution, shape),
            Self::Fno(config) => config.n_parameters(shape),
        }
    }
}

impl Operator {
    /// Whether functions on these points can be read.
    ///
    /// # Errors
    /// [`InvalidConfig`] if the model needs a grid, one that patches divide, or another dimension.
    pub fn accepts(&self, sites: &Sites) -> Result<(), InvalidConfig> {
        match self {
            Self::Tno(model) => model.accepts(sites),
            Self::Patched(model) => model.accepts(sites),
            Self::Fno(model) => model.accepts(sites),
        }
    }

    /// The functions that belong to those given, at the same points, in normalised units.
    ///
    /// # Shapes
    /// - `x`: `[batch, points, d_in]`
    /// - returns: `[batch, points, d_out]`
    ///
    /// # Panics
    /// If the shapes disagree, or the model does not [accept](Operator::accepts) the points.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, sites: &Sites) -> Tensor<3> {
        match self {
            Self::Tno(model) => model.forward(x, sites),
            Self::Patched(model) => model.forward(x, sites),
            Self::Fno(model) => model.forward(x, sites),
        }
    }
}

/// `n` modules of the same values, each a parameter of its own.
fn copies<M: Module>(module: &M, n: usize) -> Vec<M> {
    (0..n).map(|_| module.clone().map(&mut Anew)).collect()
}

/// Gives every parameter a new identity.
struct Anew;

impl ModuleMapper for Anew {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        Param::from_tensor(param.val())
    }
}
