//! The forecaster: time-space embedding, encoder blocks with any attention, read-out.
//!
//! ```text
//! [batch, window, channels] → embedding → n_layers encoder blocks → read-out
//!                           → direct or increment → [batch, horizon, channels]
//! ```
//!
//! Source: the predictor released with Solera-Rico et al. 2024, arXiv:2304.03571, which is the
//! architecture of easy attention, arXiv:2308.12874. The embedding keeps the window length
//! (`p′ = p`), as in every released model. Differs: the increment read-out is ours.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use super::readout::{ForecastShape, Readout, ReadoutRule};
use crate::error::InvalidConfig;
use crate::layer::{
    Encoder, EncoderConfig, TimeSpaceEmbedding, TimeSpaceEmbeddingConfig, TimeSpaceReadout,
    TimeSpaceReadoutConfig,
};
use crate::mechanism::{Mechanism, MechanismConfig};

/// Configuration of [`Forecaster`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecasterConfig {
    /// Width of the encoder; even.
    pub d_model: usize,
    /// Width between the feed-forward maps of a block.
    pub d_ff: usize,
    /// Number of encoder blocks.
    pub n_layers: usize,
    /// What the output of the network stands for.
    #[serde(default)]
    pub readout: Readout,
    /// The attention of every block.
    pub mechanism: MechanismConfig,
}

/// A forecaster for one shape of data; build with [`ForecasterConfig::init`].
#[derive(Module, Debug)]
pub struct Forecaster {
    embedding: TimeSpaceEmbedding,
    encoder: Encoder,
    readout: TimeSpaceReadout,
    #[module(skip)]
    rule: ReadoutRule,
}

/// The trained score matrix of one head.
#[derive(Debug, Clone, PartialEq)]
pub struct AlphaMatrix {
    /// Encoder block, from 0.
    pub layer: usize,
    /// Head, from 0.
    pub head: usize,
    /// Rows and columns of the matrix: the window length.
    pub time: usize,
    /// `time × time` values, row after row.
    pub values: Vec<f64>,
}

impl ForecasterConfig {
    /// Checks the fields and draws embedding, encoder and read-out in this order.
    ///
    /// `increment_std` is the standard deviation of one-step differences of each normalised
    /// channel; only [`Readout::Increment`] reads it.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a size is zero, `d_model` is odd or not a multiple of the heads, or
    /// `increment_std` does not fit the channels.
    pub fn init(
        &self,
        shape: ForecastShape,
        increment_std: &[f64],
        device: &Device,
    ) -> Result<Forecaster, InvalidConfig> {
        let rule = self.readout.rule(shape.channels, increment_std)?;
        Ok(Forecaster {
            embedding: self.embedding(shape).init(device)?,
            encoder: self.encoder().init(shape.window, device)?,
            readout: self.time_space_readout(shape).init(device)?,
            rule,
        })
    }

    /// Number of trained values.
    #[must_use]
    pub fn n_parameters(&self, shape: ForecastShape) -> usize {
        self.embedding(shape).n_parameters()
            + self.encoder().n_parameters(shape.window)
            + self.time_space_readout(shape).n_parameters()
    }

    /// Multiply-adds of matrix products in one forward pass over one window.
    #[must_use]
    pub fn multiply_adds(&self, shape: ForecastShape) -> u64 {
        self.embedding(shape).multiply_adds()
            + self.encoder().multiply_adds(shape.window)
            + self.time_space_readout(shape).multiply_adds()
    }

    fn embedding(&self, shape: ForecastShape) -> TimeSpaceEmbeddingConfig {
        TimeSpaceEmbeddingConfig {
            channels: shape.channels,
            d_model: self.d_model,
            time_in: shape.window,
            time_out: shape.window,
        }
    }

    fn encoder(&self) -> EncoderConfig {
        EncoderConfig {
            d_model: self.d_model,
            d_ff: self.d_ff,
            n_layers: self.n_layers,
            activation: Activation::Relu,
            mechanism: self.mechanism.clone(),
        }
    }

    fn time_space_readout(&self, shape: ForecastShape) -> TimeSpaceReadoutConfig {
        TimeSpaceReadoutConfig {
            d_model: self.d_model,
            channels: shape.channels,
            time_in: shape.window,
            time_out: shape.horizon,
        }
    }
}

impl Forecaster {
    /// Forecasts from every window, in normalised units.
    ///
    /// # Shapes
    /// - `x`: `[batch, window, channels]`
    /// - returns: `[batch, horizon, channels]`
    ///
    /// # Panics
    /// If the shape of `x` is not the one the forecaster was built for.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let encoded = self.encoder.forward(self.embedding.forward(x.clone()), None);
        self.rule.forecast(x, self.readout.forward(encoded))
    }

    /// The trained `α` of every block and head; empty for other mechanisms.
    ///
    /// # Panics
    /// If the device cannot hand over its memory.
    #[must_use]
    pub fn alphas(&self) -> Vec<AlphaMatrix> {
        let mut matrices = Vec::new();
        for (layer, mechanism) in self.encoder.mechanisms().enumerate() {
            let Mechanism::Easy(easy) = mechanism else { continue };
            let [_, time, _] = easy.alpha().dims();
            let values = easy.alpha().try_into_vec_as::<f64>().expect("parameters are readable");
            let heads = values.chunks_exact(time * time).enumerate();
            matrices.extend(heads.map(|(head, values)| AlphaMatrix {
                layer,
                head,
                time,
                values: values.to_vec(),
            }));
        }
        matrices
    }
}
