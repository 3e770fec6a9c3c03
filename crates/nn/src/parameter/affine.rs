//! A trained affine map of features, `y = activation(x W + b)`.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use regard_kernels::affine::{affine, from_heads, side_by_side, to_heads};
use regard_kernels::plan::{PlanBuilder, Slot};
use regard_kernels::pointwise::Activation;

use super::init::{constant, fan_in_bound, uniform, xavier_bound};

/// Law of the initial weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightInit {
    /// `U(±√(6/(d_in + d_out)))`.
    Xavier,
    /// `U(±1/√d_in)`.
    FanIn,
}

/// Law of the initial bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BiasInit {
    /// All zero.
    Zero,
    /// `U(±1/√d_in)`.
    FanIn,
}

/// Configuration of [`Affine`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AffineConfig {
    /// Width of the input.
    pub d_in: usize,
    /// Width of the output.
    pub d_out: usize,
    /// Law of the initial weight.
    pub weight: WeightInit,
    /// Law of the initial bias.
    pub bias: BiasInit,
}

/// A trained affine map of features; build with [`AffineConfig::init`].
#[derive(Module, Debug)]
pub struct Affine {
    /// `W`, `[d_in, d_out]`.
    pub(crate) weight: Param<Tensor<2>>,
    /// `b`, `[d_out]`.
    pub(crate) bias: Param<Tensor<1>>,
}

impl AffineConfig {
    /// Draws the weight, then the bias.
    #[must_use]
    pub fn init(&self, device: &Device) -> Affine {
        let Self { d_in, d_out, weight, bias } = *self;
        let bound = match weight {
            WeightInit::Xavier => xavier_bound(d_in, d_out),
            WeightInit::FanIn => fan_in_bound(d_in),
        };
        Affine {
            weight: uniform([d_in, d_out], bound, device),
            bias: match bias {
                BiasInit::Zero => constant([d_out], 0.0, device),
                BiasInit::FanIn => uniform([d_out], fan_in_bound(d_in), device),
            },
        }
    }

    /// Number of trained values, `d_in·d_out + d_out`.
    #[must_use]
    pub const fn n_parameters(&self) -> usize {
        self.d_in * self.d_out + self.d_out
    }

    /// Multiply-adds of one row, `d_in·d_out`.
    #[must_use]
    pub const fn multiply_adds(&self) -> u64 {
        (self.d_in * self.d_out) as u64
    }
}

impl Affine {
    /// Applies the map to every row.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_in]`
    /// - returns: `[batch, time, d_out]`
    ///
    /// # Panics
    /// If the last axis of `x` is not `d_in`.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, activation: Activation) -> Tensor<3> {
        affine(x, self.weight.val(), Some(self.bias.val()), activation)
    }

    /// Several maps of the same rows, their results side by side.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_in]`
    /// - returns: `[batch, time, Σ d_out]`
    ///
    /// # Panics
    /// As [`side_by_side`].
    #[must_use]
    pub(crate) fn side_by_side(maps: &[&Self], x: Tensor<3>) -> Tensor<3> {
        side_by_side(x, maps.iter().map(|map| (map.weight.val(), map.bias.val())).collect())
    }

    /// Several maps of the same rows into heads of tokens of `points` points; shapes as [`to_heads`].
    ///
    /// # Panics
    /// As [`to_heads`].
    pub(crate) fn to_heads(maps: &[&Self], x: Tensor<3>, heads: usize, points: usize) -> Tensor<4> {
        let maps = maps.iter().map(|map| (map.weight.val(), map.bias.val())).collect();
        to_heads(x, maps, heads, points)
    }

    /// The map of the features of all heads at every one of `points` points; shapes as [`from_heads`].
    ///
    /// # Panics
    /// As [`from_heads`].
    pub(crate) fn of_heads(&self, x: Tensor<4>, points: usize) -> Tensor<3> {
        from_heads(x, self.weight.val(), self.bias.val(), points)
    }

    /// The map as a step of a plan; shapes as in [`Affine::forward`] without the batch.
    pub(crate) fn plan(&self, plan: &mut PlanBuilder, x: Slot, activation: Activation) -> Slot {
        plan.affine(x, self.weight.val(), Some(self.bias.val()), activation)
    }
}
