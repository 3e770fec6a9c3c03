//! The end of a classifier: rows are pooled to one, which an affine map turns into logits.

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use regard_kernels::affine::affine;
use regard_kernels::pointwise::Activation;

use super::pooling::{Pool, PoolState, Pooling};
use crate::parameter::{Affine, AffineConfig, BiasInit, WeightInit};

/// Configuration of [`Head`].
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadConfig {
    /// Width of the rows.
    pub(super) d_in: usize,
    /// Rows of the longest series.
    pub(super) time: usize,
    pub(super) classes: usize,
    pub(super) pooling: Pooling,
    /// Dropout of flattened rows.
    pub(super) dropout: f64,
}

/// The end of a classifier.
#[derive(Module, Debug)]
pub(super) struct Head {
    pool: Pool,
    pub(super) output: Affine,
}

impl HeadConfig {
    /// Draws what the pooling trains, then the map.
    pub(super) fn init(&self, device: &Device) -> Head {
        let pool = self.pooling.init(self.d_in, self.dropout, device);
        Head { pool, output: self.output().init(device) }
    }

    pub(super) fn n_parameters(&self) -> usize {
        self.pooling.n_parameters(self.d_in) + self.output().n_parameters()
    }

    /// The pooling takes none that are worth counting.
    pub(super) fn multiply_adds(&self) -> u64 {
        self.output().multiply_adds()
    }

    fn output(&self) -> AffineConfig {
        // Flattened rows are many: Xavier's bound would be √6 times that of their number alone.
        let flat = self.pooling == Pooling::Flatten;
        let weight = if flat { WeightInit::FanIn } else { WeightInit::Xavier };
        let d_in = self.pooling.d_out(self.d_in, self.time);
        AffineConfig { d_in, d_out: self.classes, weight, bias: BiasInit::FanIn }
    }
}

impl Head {
    /// Logits `[batch, 1, classes]` after one more row `[batch, 1, d_in]`, and the state after it.
    pub(super) fn step(&self, h: Tensor<3>, past: Option<PoolState>) -> (Tensor<3>, PoolState) {
        let (row, state) = self.pool.step(h, past);
        (self.output.forward(row, Activation::Identity), state)
    }

    /// Whether logits can follow row by row.
    pub(super) fn is_recurrent(&self) -> bool {
        self.pool.pooling != Pooling::Flatten
    }

    /// `[batch, time, d_in]` to `[batch, classes]`; flattened rows that are fewer than those of the
    /// longest series are as if padded.
    pub(super) fn forward(&self, x: Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Tensor<2> {
        let row = self.pool.forward(x, padding);
        let [_, _, width] = row.dims();
        let weight = self.output.weight.val().narrow(0, 0, width);
        affine(row, weight, Some(self.output.bias.val()), Activation::Identity).squeeze_dim(1)
    }
}
