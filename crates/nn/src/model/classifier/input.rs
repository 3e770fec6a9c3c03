//! The first map of a classifier, `activation(x W + b)`, from the channels to the width of the model.
//!
//! Xavier-uniform weight, unless a model has another law, and bias `U(±1/√channels)`, as in the code
//! released with Chevalier 2018, arXiv:1808.05578.

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use crate::parameter::{Affine, AffineConfig, BiasInit, WeightInit};

/// What follows the first affine map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputActivation {
    /// Nothing.
    Identity,
    /// `max(z, 0)`.
    Relu,
    /// `z` where positive, `exp(z) − 1` elsewhere.
    #[default]
    Elu,
}

/// The first map of a classifier.
#[derive(Module, Debug)]
pub(super) struct InputMap {
    pub(super) map: Affine,
    #[module(skip)]
    activation: InputActivation,
}

impl InputMap {
    pub(super) const fn config(channels: usize, d_model: usize) -> AffineConfig {
        let (weight, bias) = (WeightInit::Xavier, BiasInit::FanIn);
        AffineConfig { d_in: channels, d_out: d_model, weight, bias }
    }

    pub(super) fn new(map: AffineConfig, activation: InputActivation, device: &Device) -> Self {
        Self { map: map.init(device), activation }
    }

    /// `[batch, time, channels]` to `[batch, time, d_model]`.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self.activation {
            InputActivation::Identity => self.map.forward(x, Activation::Identity),
            InputActivation::Relu => self.map.forward(x, Activation::Relu),
            InputActivation::Elu => activation::elu(self.map.forward(x, Activation::Identity), 1.0),
        }
    }
}
