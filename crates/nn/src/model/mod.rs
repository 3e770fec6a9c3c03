//! Whole forecasters: a window of past values in, the next values out. Models of other tasks are in
//! [`classifier`], [`language_model`] and [`operator`].
//!
//! [`ModelConfig`] chooses one by its key `kind`; [`Model`] is any of them. All work in normalised
//! units, `[batch, window, channels]` to `[batch, horizon, channels]`.

pub mod baseline;
pub mod classifier;
mod forecaster;
pub mod language_model;
mod lifted;
pub mod operator;
mod readout;

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};
use regard_kernels::plan::Plan;
use serde::{Deserialize, Serialize};

pub use forecaster::{AlphaMatrix, Forecaster, ForecasterConfig};
pub use lifted::{LIFT_SCALE, Lift, LiftedConfig, LiftedForecaster};
pub use readout::{ForecastShape, Readout};

use crate::error::{InvalidConfig, positive};
use baseline::{LstmConfig, LstmForecaster};

/// Every model and its configuration, chosen by the key `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ModelConfig {
    /// Embedding, encoder blocks with any attention mechanism, read-out.
    Forecaster(ForecasterConfig),
    /// Easy attention on polynomials of each row.
    Lifted(LiftedConfig),
    /// Stacked LSTM layers.
    Lstm(LstmConfig),
}

/// Any model; build with [`ModelConfig::init`].
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one per run; a box would buy nothing")]
pub enum Model {
    /// Embedding, encoder blocks, read-out.
    Forecaster(Forecaster),
    /// Easy attention on polynomials of each row.
    Lifted(LiftedForecaster),
    /// Stacked LSTM layers.
    Lstm(LstmForecaster),
}

impl ModelConfig {
    /// Checks the fields and draws the parameters from the seeded stream of `device`.
    ///
    /// `increment_std` is the standard deviation of one-step differences of each normalised
    /// channel; only the read-out [`Readout::Increment`] reads it.
    ///
    /// # Errors
    /// [`InvalidConfig`] naming the field that describes no model.
    pub fn init(
        &self,
        shape: ForecastShape,
        increment_std: &[f64],
        device: &Device,
    ) -> Result<Model, InvalidConfig> {
        Ok(match self {
            Self::Forecaster(config) => {
                Model::Forecaster(config.init(shape, increment_std, device)?)
            }
            Self::Lifted(config) => Model::Lifted(config.init(shape, increment_std, device)?),
            Self::Lstm(config) => Model::Lstm(config.init(shape, increment_std, device)?),
        })
    }

    /// Number of trained values.
    #[must_use]
    pub fn n_parameters(&self, shape: ForecastShape) -> usize {
        match self {
            Self::Forecaster(config) => config.n_parameters(shape),
            Self::Lifted(config) => config.n_parameters(shape),
            Self::Lstm(config) => config.n_parameters(shape),
        }
    }

    /// Multiply-adds of matrix products in one forward pass over one window.
    #[must_use]
    pub fn multiply_adds(&self, shape: ForecastShape) -> u64 {
        match self {
            Self::Forecaster(config) => config.multiply_adds(shape),
            Self::Lifted(config) => config.multiply_adds(shape),
            Self::Lstm(config) => config.multiply_adds(shape),
        }
    }
}

impl Model {
    /// Forecasts from every window, in normalised units.
    ///
    /// # Shapes
    /// - `x`: `[batch, window, channels]`
    /// - returns: `[batch, horizon, channels]`
    ///
    /// # Panics
    /// If the shape of `x` is not the one the model was built for.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Forecaster(model) => model.forward(x),
            Self::Lifted(model) => model.forward(x),
            Self::Lstm(model) => model.forward(x),
        }
    }

    /// [`Model::forward`] from one window after another, without tensors.
    ///
    /// As [`Forecaster::plan`]; `None` also for other models.
    #[must_use]
    pub fn plan(&self, shape: ForecastShape) -> Option<Plan> {
        match self {
            Self::Forecaster(model) => model.plan(shape),
            Self::Lifted(_) | Self::Lstm(_) => None,
        }
    }

    /// Forecasts from windows with missing values, in normalised units.
    ///
    /// Every model fills a gap with the last observation; attention then leaves rows out that were not
    /// observed at all, as [`Forecaster::forward_observed`] says.
    ///
    /// # Shapes
    /// - `x`: `[batch, window, channels]`, anything where missing; `observed`: the same
    /// - returns: `[batch, horizon, channels]`
    ///
    /// # Panics
    /// As [`Model::forward`].
    #[must_use]
    pub fn forward_observed(&self, x: Tensor<3>, observed: Tensor<3, Bool>) -> Tensor<3> {
        match self {
            Self::Forecaster(model) => model.forward_observed(x, observed),
            Self::Lifted(model) => model.forward(forecaster::filled(&x, &observed)),
            Self::Lstm(model) => model.forward(forecaster::filled(&x, &observed)),
        }
    }

    /// The same model for windows of another length.
    ///
    /// # Errors
    /// As [`Forecaster::resized`]; an LSTM reads windows of any length.
    pub fn resized(&self, window: usize) -> Result<Self, InvalidConfig> {
        positive(("window", window))?;
        Ok(match self {
            Self::Forecaster(model) => Self::Forecaster(model.resized(window)?),
            Self::Lifted(model) => Self::Lifted(model.resized(window)?),
            Self::Lstm(model) => Self::Lstm(model.clone()),
        })
    }

    /// The trained `α` of every block and head of easy attention; empty for other models.
    #[must_use]
    pub fn alphas(&self) -> Vec<AlphaMatrix> {
        match self {
            Self::Forecaster(model) => model.alphas(),
            Self::Lifted(model) => model.alphas(),
            Self::Lstm(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
