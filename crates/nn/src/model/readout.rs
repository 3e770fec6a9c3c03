//! How the output of a network becomes a forecast.
//!
//! ```text
//! direct:     x̂_{p+j} = net_j
//! increment:  x̂_{p+j} = x_p + σ_Δ ⊙ net_j          x_p: last row of the window
//! ```
//!
//! `σ_Δ` is the standard deviation of one-step differences, a constant per channel: the network
//! then predicts a quantity of order one even when a time step changes the state by little.

use burn::tensor::{Tensor, TensorData, assert_shape};
use regard_kernels::plan::{PlanBuilder, Slot};
use serde::{Deserialize, Serialize};

use crate::error::InvalidConfig;

/// What the output of the network stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readout {
    /// The next values themselves.
    #[default]
    Direct,
    /// Their distance from the last row, in units of the one-step standard deviation.
    Increment,
}

/// Sizes that the data fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecastShape {
    /// Steps given, the paper's `p`.
    pub window: usize,
    /// Steps forecast, the paper's `q`.
    pub horizon: usize,
    /// Values per step, the paper's `n`.
    pub channels: usize,
}

/// Turns network outputs into forecasts; holds `σ_Δ` where it is needed.
#[derive(Debug, Clone)]
pub(crate) struct ReadoutRule {
    increment_std: Option<Vec<f64>>,
}

impl Readout {
    /// Checks that `increment_std` has a deviation for every channel, if it is used at all.
    pub(crate) fn rule(
        self,
        channels: usize,
        increment_std: &[f64],
    ) -> Result<ReadoutRule, InvalidConfig> {
        if self == Self::Direct {
            return Ok(ReadoutRule { increment_std: None });
        }
        let (name, found) = ("increment_std", increment_std.len());
        if found != channels {
            return Err(InvalidConfig::WrongLength { name, found, expected: channels });
        }
        for (index, &value) in increment_std.iter().enumerate() {
            if !value.is_finite() || value < 0.0 {
                return Err(InvalidConfig::NotADeviation { name, index, value });
            }
        }
        Ok(ReadoutRule { increment_std: Some(increment_std.to_vec()) })
    }
}

impl ReadoutRule {
    /// `σ_Δ`; `None` for the direct read-out.
    pub(crate) fn increment_std(&self) -> Option<&[f64]> {
        self.increment_std.as_deref()
    }

    /// The forecast from the window `x` and the network's output `net`.
    ///
    /// # Shapes
    /// - `x`: `[batch, window, channels]`
    /// - `net` and the result: `[batch, horizon, channels]`
    pub(crate) fn forecast(&self, x: Tensor<3>, net: Tensor<3>) -> Tensor<3> {
        let Some(increment_std) = &self.increment_std else { return net };
        let [batch, window, channels] = x.dims();
        assert_shape!(net, [batch, _, channels]);
        let data = TensorData::new(increment_std.clone(), [1, 1, channels]);
        let increment_std = Tensor::from_data(data, (&net.device(), net.dtype()));
        x.narrow(1, window - 1, 1) + net * increment_std
    }

    /// [`ReadoutRule::forecast`] from one window as a step of a plan.
    pub(crate) fn plan(&self, plan: &mut PlanBuilder, x: Slot, net: Slot) -> Slot {
        match &self.increment_std {
            None => net,
            Some(increment_std) => plan.increment(x, net, increment_std),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regard_kernels::testing::{assert_close, normal};

    #[test]
    fn increments_start_from_the_last_row_in_units_of_their_deviation() {
        let rule = Readout::Increment.rule(3, &[0.5, 0.0, 2.0]).unwrap();
        let (x, net) = (normal([2, 5, 3], 1), normal([2, 7, 3], 2));
        let last = x.clone().narrow(1, 4, 1);
        let deviation = normal::<3>([1, 1, 3], 3).zeros_like()
            + Tensor::<1>::from_data([0.5_f64, 0.0, 2.0], (&x.device(), x.dtype()))
                .reshape([1, 1, 3]);
        let expected = last.expand([2, 7, 3]) + net.clone() * deviation.expand([2, 7, 3]);
        assert_close(&rule.forecast(x, net), &expected, 1e-15);
    }

    #[test]
    fn deviations_are_checked_only_where_they_are_read() {
        assert!(Readout::Direct.rule(3, &[]).is_ok());
        let error = Readout::Increment.rule(3, &[1.0]).unwrap_err();
        let message = "increment_std has 1 values, expected one per channel: 3";
        assert_eq!(error.to_string(), message);
        let error = Readout::Increment.rule(2, &[1.0, f64::NAN]).unwrap_err();
        assert!(error.to_string().starts_with("increment_std[1] = NaN is not"), "{error}");
    }
}
