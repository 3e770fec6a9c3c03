//! The end of a classifier: rows are pooled to one, which an affine map turns into logits.

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use regard_kernels::pointwise::Activation;

use super::pooling::{Pool, PoolState, Pooling};
use crate::parameter::{Affine, AffineConfig, BiasInit, WeightInit};

/// Configuration of [`Head`].
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadConfig {
    /// Width of the rows.
    pub(super) d_in: usize,
    pub(super) classes: usize,
    pub(super) pooling: Pooling,
}

/// The end of a classifier.
#[derive(Module, Debug)]
pub(super) struct Head {
    pool: Pool,
    pub(super) output: Affine,
}

impl HeadConfig {
    /// Draws the query where there is one, then the map.
    pub(super) fn init(&self, device: &Device) -> Head {
        Head { pool: self.pooling.init(self.d_in, device), output: self.output().init(device) }
    }

    pub(super) fn n_parameters(&self) -> usize {
        self.pooling.n_parameters(self.d_in) + self.output().n_parameters()
    }

    /// The pooling takes none that are worth counting.
    pub(super) fn multiply_adds(&self) -> u64 {
        self.output().multiply_adds()
    }

    fn output(&self) -> AffineConfig {
        let (weight, bias) = (WeightInit::Xavier, BiasInit::FanIn);
        AffineConfig { d_in: self.d_in, d_out: self.classes, weight, bias }
    }
}

impl Head {
    /// Logits `[batch, 1, classes]` after one more row `[batch, 1, d_in]`, and the state after it.
    pub(super) fn step(&self, h: Tensor<3>, past: Option<PoolState>) -> (Tensor<3>, PoolState) {
        let (row, state) = self.pool.step(h, past);
        (self.output.forward(row, Activation::Identity), state)
    }

    /// `[batch, time, d_in]` to `[batch, classes]`.
    pub(super) fn forward(&self, x: Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Tensor<2> {
        self.output.forward(self.pool.forward(x, padding), Activation::Identity).squeeze_dim(1)
    }
}
