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
use burn::tensor::{Bool, Device, Tensor, TensorData, assert_shape};
use regard_kernels::plan::{Plan, PlanBuilder};
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use super::readout::{ForecastShape, Readout, ReadoutRule};
use crate::error::{InvalidConfig, positive};
use crate::layer::{
    Encoder, EncoderConfig, NormPlace, TimeSpaceEmbedding, TimeSpaceEmbeddingConfig,
    TimeSpaceReadout, TimeSpaceReadoutConfig,
};
use crate::mechanism::{Mechanism, MechanismConfig};
use crate::parameter::TimeMatrix;

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
    /// How the maps along time of embedding and read-out are made. The read-out has smooth functions
    /// where the embedding has them, and is dense otherwise.
    #[serde(default)]
    pub time_maps: TimeMatrix,
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
            matrix: self.time_maps,
        }
    }

    fn encoder(&self) -> EncoderConfig {
        EncoderConfig {
            d_model: self.d_model,
            d_ff: self.d_ff,
            n_layers: self.n_layers,
            norm: NormPlace::Post,
            activation: Activation::Relu,
            dropout: 0.0,
            mechanism: self.mechanism.clone(),
        }
    }

    fn time_space_readout(&self, shape: ForecastShape) -> TimeSpaceReadoutConfig {
        TimeSpaceReadoutConfig {
            d_model: self.d_model,
            channels: shape.channels,
            time_in: shape.window,
            time_out: shape.horizon,
            matrix: match self.time_maps {
                TimeMatrix::Basis { .. } => self.time_maps,
                _ => TimeMatrix::Dense {},
            },
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

    /// [`Forecaster::forward`] from one window after another, without tensors: several times
    /// faster where forecasts are made one at a time, and bit for bit the same.
    ///
    /// Takes `[window, channels]` without missing values, gives `[horizon, channels]`. `None` if an
    /// easy attention has a gate, a mechanism is recurrent, or the parameters are not on the CPU.
    #[must_use]
    pub fn plan(&self, shape: ForecastShape) -> Option<Plan> {
        let mut plan = PlanBuilder::new(&self.embedding.lift.weight.val())?;
        let x = plan.input([shape.window, shape.channels]);
        let embedded = self.embedding.plan(&mut plan, x);
        let encoded = self.encoder.plan(&mut plan, embedded)?;
        let net = self.readout.plan(&mut plan, encoded);
        let forecast = self.rule.plan(&mut plan, x, net);
        Some(plan.finish(forecast))
    }

    /// Forecasts from windows with missing values.
    ///
    /// A missing value is replaced by the last one observed in its channel, before the first
    /// observation by the first, and without any by zero, the mean. Rows without any observation
    /// are blocked in the attention of every block.
    ///
    /// # Shapes
    /// - `x`: `[batch, window, channels]`, anything where missing
    /// - `observed`: the same, `true` where `x` was observed
    /// - returns: `[batch, horizon, channels]`
    ///
    /// # Panics
    /// If the shapes are not those the forecaster was built for, or the device cannot hand over its
    /// memory.
    #[must_use]
    pub fn forward_observed(&self, x: Tensor<3>, observed: Tensor<3, Bool>) -> Tensor<3> {
        let [batch, window, channels] = x.dims();
        assert_shape!(observed, [batch, window, channels]);
        let blocked = observed.clone().int().sum_dim(2).equal_elem(0).reshape([batch, window]);
        let x = filled(&x, &observed);
        let encoded = self.encoder.forward(self.embedding.forward(x.clone()), Some(&blocked));
        self.rule.forecast(x, self.readout.forward(encoded))
    }

    /// The same forecaster for windows of another length.
    ///
    /// A shorter window takes the newest rows and columns of every map along time. A longer one
    /// needs maps that go on beyond what was trained: `α` and `time_maps` of the kind `toeplitz`,
    /// for more steps of the same length, or `basis`, for shorter steps over the same duration.
    /// The forecast is of as many steps as before.
    ///
    /// # Errors
    /// [`InvalidConfig::Zero`], or [`InvalidConfig::FixedWindow`] for a longer window with maps that
    /// do not go on; the message names the part and the remedy.
    pub fn resized(&self, window: usize) -> Result<Self, InvalidConfig> {
        positive(("window", window))?;
        Ok(Self {
            embedding: self.embedding.resized(window)?,
            encoder: self.encoder.resized(window)?,
            readout: self.readout.resized(window)?,
            rule: self.rule.clone(),
        })
    }

    /// What every block is given, first block first.
    ///
    /// # Shapes
    /// - `x`: `[batch, window, channels]`
    /// - each of the results: `[batch, window, d_model]`
    ///
    /// # Panics
    /// If the shape of `x` is not the one the forecaster was built for.
    #[must_use]
    pub fn block_inputs(&self, x: Tensor<3>) -> Vec<Tensor<3>> {
        self.encoder.inputs(self.embedding.forward(x), None)
    }

    /// The attention of every block, first block first.
    pub fn mechanisms(&self) -> impl Iterator<Item = &Mechanism> {
        self.encoder.mechanisms()
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

/// `x` with missing values replaced as [`Forecaster::forward_observed`] says.
pub(super) fn filled(x: &Tensor<3>, observed: &Tensor<3, Bool>) -> Tensor<3> {
    let [_, window, channels] = x.dims();
    let mut values = x.clone().try_into_vec_as::<f64>().expect("inputs are readable");
    let observed = observed.clone().into_data().convert::<bool>().try_into_vec::<bool>();
    let observed = observed.expect("a mask is readable as what it is");
    for start in (0..values.len()).step_by(window * channels) {
        for channel in 0..channels {
            let at = |t: usize| start + t * channels + channel;
            let mut last = (0..window).find(|&t| observed[at(t)]).map_or(0.0, |t| values[at(t)]);
            for t in 0..window {
                if observed[at(t)] {
                    last = values[at(t)];
                }
                values[at(t)] = last;
            }
        }
    }
    Tensor::from_data(TensorData::new(values, x.dims()), (&x.device(), x.dtype()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mechanism::EasyConfig;
    use regard_kernels::testing::{assert_close, double, normal};

    #[test]
    fn block_inputs_lead_to_the_forecast() {
        let config = ForecasterConfig {
            d_model: 6,
            d_ff: 7,
            n_layers: 2,
            readout: Readout::Direct,
            time_maps: TimeMatrix::default(),
            mechanism: MechanismConfig::Easy(EasyConfig::new(3)),
        };
        let shape = ForecastShape { window: 5, horizon: 2, channels: 3 };
        let model = double(config.init(shape, &[], &Device::default()).unwrap());
        let x = normal([2, 5, 3], 1);
        let inputs = model.block_inputs(x.clone());
        assert_eq!(inputs.len(), 2);
        assert_close(&inputs[0], &model.embedding.forward(x.clone()), 0.0);
        let last = model.encoder.blocks[1].forward(inputs[1].clone(), None);
        let expected = model.rule.forecast(x.clone(), model.readout.forward(last));
        assert_close(&model.forward(x), &expected, 0.0);
    }
}
