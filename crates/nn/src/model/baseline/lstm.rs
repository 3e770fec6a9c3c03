//! Stacked LSTM layers with a linear read-out of the last step.
//!
//! ```text
//! [i f o g] = x_t W_x + b_x + h_{t-1} W_h + b_h
//! c_t = σ(f) ⊙ c_{t-1} + σ(i) ⊙ tanh(g)      h_t = σ(o) ⊙ tanh(c_t)
//! ```
//!
//! Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000; sizes, two bias
//! vectors, Xavier weights (of the packed `4H`-wide matrices) and zero biases as in the baseline of
//! the easy-attention authors. Cost: `4H (n + H)` multiply-adds per step in the first layer,
//! `8H²` in the others. Each layer is one scan over the window: see [`regard_kernels::recurrent`].

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use regard_kernels::pointwise::Activation;
use regard_kernels::recurrent::lstm;
use serde::{Deserialize, Serialize};

use crate::error::{InvalidConfig, positive};
use crate::mechanism::Recurrent;
use crate::model::readout::{ForecastShape, Readout, ReadoutRule};
use crate::parameter::{
    Affine, AffineConfig, BiasInit, WeightInit, constant, uniform, xavier_bound,
};

/// Configuration of [`LstmForecaster`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmConfig {
    /// Width of the hidden state, `H`.
    pub d_hidden: usize,
    /// Number of layers.
    pub n_layers: usize,
    /// What the output of the network stands for.
    #[serde(default)]
    pub readout: Readout,
}

/// An LSTM forecaster for one shape of data; build with [`LstmConfig::init`].
#[derive(Module, Debug)]
pub struct LstmForecaster {
    stack: LstmStack,
    output: Affine,
    horizon: usize,
    #[module(skip)]
    rule: ReadoutRule,
}

/// LSTM layers, each reading the hidden states of the one below.
#[derive(Module, Debug)]
pub struct LstmStack {
    layers: Vec<LstmLayer>,
}

/// Hidden and cell state of every layer.
#[derive(Debug, Clone)]
pub struct LstmState {
    layers: Vec<lstm::LstmState>,
}

/// One LSTM layer.
#[derive(Module, Debug)]
pub(in crate::model) struct LstmLayer {
    /// `W_x`, `[d_in, 4 d_hidden]`.
    weight_input: Param<Tensor<2>>,
    /// `W_h`, `[d_hidden, 4 d_hidden]`.
    weight_hidden: Param<Tensor<2>>,
    bias_input: Param<Tensor<1>>,
    bias_hidden: Param<Tensor<1>>,
}

impl LstmConfig {
    /// Checks the fields and draws the layers, first layer first, then the read-out.
    ///
    /// `increment_std` is the standard deviation of one-step differences of each normalised
    /// channel; only [`Readout::Increment`] reads it.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a size is zero or `increment_std` does not fit the channels.
    pub fn init(
        &self,
        shape: ForecastShape,
        increment_std: &[f64],
        device: &Device,
    ) -> Result<LstmForecaster, InvalidConfig> {
        let counts = [
            ("d_hidden", self.d_hidden),
            ("n_layers", self.n_layers),
            ("window", shape.window),
            ("horizon", shape.horizon),
            ("channels", shape.channels),
        ];
        counts.into_iter().try_for_each(positive)?;
        let rule = self.readout.rule(shape.channels, increment_std)?;
        let widths = self.input_widths(shape.channels);
        let layers = widths.map(|d_in| LstmLayer::new(d_in, self.d_hidden, 0.0, device)).collect();
        Ok(LstmForecaster {
            stack: LstmStack { layers },
            output: self.output(shape).init(device),
            horizon: shape.horizon,
            rule,
        })
    }

    /// `4H (n + H + 2) + (n_layers − 1) 4H (2H + 2) + (H + 1) q n`.
    #[must_use]
    pub fn n_parameters(&self, shape: ForecastShape) -> usize {
        let layer = |d_in| 4 * self.d_hidden * (d_in + self.d_hidden + 2);
        self.input_widths(shape.channels).map(layer).sum::<usize>()
            + self.output(shape).n_parameters()
    }

    /// `p (4H (n + H) + (n_layers − 1) 8H²) + H q n`.
    #[must_use]
    pub fn multiply_adds(&self, shape: ForecastShape) -> u64 {
        let step = |d_in| 4 * self.d_hidden * (d_in + self.d_hidden);
        let steps = shape.window * self.input_widths(shape.channels).map(step).sum::<usize>();
        steps as u64 + self.output(shape).multiply_adds()
    }

    /// What each layer reads: the channels, then hidden states.
    fn input_widths(&self, channels: usize) -> impl Iterator<Item = usize> {
        std::iter::once(channels).chain(std::iter::repeat(self.d_hidden)).take(self.n_layers)
    }

    fn output(&self, shape: ForecastShape) -> AffineConfig {
        AffineConfig {
            d_in: self.d_hidden,
            d_out: shape.horizon * shape.channels,
            weight: WeightInit::Xavier,
            bias: BiasInit::Zero,
        }
    }
}

impl LstmForecaster {
    /// Forecasts from every window, in normalised units.
    ///
    /// # Shapes
    /// - `x`: `[batch, window, channels]`
    /// - returns: `[batch, horizon, channels]`
    ///
    /// # Panics
    /// If `x` has no rows or other channels than the forecaster was built for.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, window, channels] = x.dims();
        let rows = self.stack.layers.iter().fold(x.clone(), |x, layer| layer.forward(x));
        let last = rows.narrow(1, window - 1, 1);
        let net = self.output.forward(last, Activation::Identity);
        self.rule.forecast(x, net.reshape([batch, self.horizon, channels]))
    }
}

impl Recurrent for LstmStack {
    type State = LstmState;

    fn step(&self, x: Tensor<3>, past: Option<LstmState>) -> (Tensor<3>, LstmState) {
        let mut past = past.map(|state| state.layers.into_iter());
        let mut layers = Vec::with_capacity(self.layers.len());
        let mut row = x;
        for layer in &self.layers {
            let state;
            (row, state) = layer.step(row, past.as_mut().and_then(Iterator::next));
            layers.push(state);
        }
        (row, LstmState { layers })
    }
}

impl LstmLayer {
    /// Draws `W_x`, then `W_h`.
    pub(in crate::model) fn new(
        d_in: usize,
        d_hidden: usize,
        forget_bias: f64,
        device: &Device,
    ) -> Self {
        let gates = 4 * d_hidden;
        let bias =
            [0.0, forget_bias, 0.0, 0.0].map(|value| Tensor::full([d_hidden], value, device));
        Self {
            weight_input: uniform([d_in, gates], xavier_bound(d_in, gates), device),
            weight_hidden: uniform([d_hidden, gates], xavier_bound(d_hidden, gates), device),
            bias_input: Param::from_tensor(Tensor::cat(bias.to_vec(), 0)),
            bias_hidden: constant([gates], 0.0, device),
        }
    }

    /// The hidden states of all steps.
    pub(in crate::model) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        lstm::lstm(x, self.weight_input.val(), self.weight_hidden.val(), self.bias(), None)
    }

    /// `h_t` from the row `x_t` and the state before it, and the state after it.
    pub(crate) fn step(
        &self,
        x: Tensor<3>,
        past: Option<lstm::LstmState>,
    ) -> (Tensor<3>, lstm::LstmState) {
        let weights = (self.weight_input.val(), self.weight_hidden.val());
        lstm::lstm_with_state(x, weights.0, weights.1, self.bias(), past)
    }

    fn bias(&self) -> Tensor<1> {
        self.bias_input.val() + self.bias_hidden.val()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mechanism::streaming;
    use regard_kernels::testing::{assert_close, double, normal};

    #[test]
    fn steps_equal_the_whole_sequence() {
        let config = LstmConfig { d_hidden: 7, n_layers: 2, readout: Readout::Direct };
        let shape = ForecastShape { window: 5, horizon: 2, channels: 3 };
        let model = double(config.init(shape, &[], &Device::default()).unwrap());
        let x = normal([2, 5, 3], 1);
        let whole = model.stack.layers.iter().fold(x.clone(), |x, layer| layer.forward(x));
        assert_close(&streaming(&model.stack, x), &whole, 1e-14);
    }
}
