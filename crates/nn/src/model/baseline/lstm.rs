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
use regard_kernels::recurrent::lstm::{LstmState, lstm, lstm_with_state};
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
        let rows = self.stack.layers.parallel(x.clone());
        let last = rows.narrow(1, window - 1, 1);
        let net = self.output.forward(last, Activation::Identity);
        self.rule.forecast(x, net.reshape([batch, self.horizon, channels]))
    }

    /// The forecast from every row and its hidden state, `[batch, time, horizon · channels]`.
    fn forecasts(&self, x: Tensor<3>, hidden: Tensor<3>) -> Tensor<3> {
        let [batch, time, channels] = x.dims();
        let net = self.output.forward(hidden, Activation::Identity);
        let net = net.reshape([batch * time, self.horizon, channels]);
        let forecast = self.rule.forecast(x.reshape([batch * time, 1, channels]), net);
        forecast.reshape([batch, time, self.horizon * channels])
    }
}

/// A row gives the forecast from it and all rows before it, steps side by side.
impl Recurrent for LstmForecaster {
    type Input = Tensor<3>;
    type State = Vec<LstmState>;

    /// `[batch, 1, channels]` to `[batch, 1, horizon · channels]`.
    fn step(&self, x: Tensor<3>, past: Option<Vec<LstmState>>) -> (Tensor<3>, Vec<LstmState>) {
        let (rows, states) = self.stack.layers.step(x.clone(), past);
        (self.forecasts(x, rows), states)
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        let rows = self.stack.layers.parallel(x.clone());
        self.forecasts(x, rows)
    }
}

impl Recurrent for LstmLayer {
    type Input = Tensor<3>;
    type State = LstmState;

    fn step(&self, x: Tensor<3>, past: Option<LstmState>) -> (Tensor<3>, LstmState) {
        let weights = (self.weight_input.val(), self.weight_hidden.val());
        lstm_with_state(x, weights.0, weights.1, self.bias(), past)
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        lstm(x, self.weight_input.val(), self.weight_hidden.val(), self.bias(), None)
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

    fn bias(&self) -> Tensor<1> {
        self.bias_input.val() + self.bias_hidden.val()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mechanism::{certify, streaming};
    use regard_kernels::testing::{assert_close, double, normal};

    #[test]
    fn steps_forecast_as_windows_of_all_rows_so_far() {
        for readout in [Readout::Direct, Readout::Increment] {
            let config = LstmConfig { d_hidden: 7, n_layers: 2, readout };
            let shape = ForecastShape { window: 5, horizon: 2, channels: 3 };
            let model = double(config.init(shape, &[0.5, 1.0, 2.0], &Device::default()).unwrap());
            let x = normal([2, 7, 3], 1);
            assert!(certify(&model, x.clone()).holds());
            let steps = streaming(&model, x.clone());
            for t in [0, 4, 6] {
                let window = model.forward(x.clone().narrow(1, 0, t + 1)).reshape([2, 1, 6]);
                assert_close(&steps.clone().narrow(1, t, 1), &window, 1e-13);
            }
        }
    }
}
