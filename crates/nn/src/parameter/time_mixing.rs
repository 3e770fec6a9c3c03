//! A trained affine map along time, the same for every feature.
//!
//! ```text
//! y[t, :] = Σ_s M[t, s] x[s, :] + c[t]
//! ```
//!
//! It is a 1×1 convolution that takes time steps for channels.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use regard_kernels::mixing::mix;

use super::affine::BiasInit;
use super::init::{constant, fan_in_bound, uniform, xavier_bound};

/// Configuration of [`TimeMixing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeMixingConfig {
    /// Steps of the input.
    pub time_in: usize,
    /// Steps of the output.
    pub time_out: usize,
    /// Law of the initial `c`; the fan-in is `time_in`.
    pub bias: BiasInit,
}

/// A trained affine map along time; build with [`TimeMixingConfig::init`].
#[derive(Module, Debug)]
pub struct TimeMixing {
    /// `M`, `[time_out, time_in]`.
    pub(crate) weight: Param<Tensor<2>>,
    /// `c`, `[time_out]`.
    pub(crate) bias: Param<Tensor<1>>,
}

impl TimeMixingConfig {
    /// Draws `M` by the Xavier rule, then `c`.
    #[must_use]
    pub fn init(&self, device: &Device) -> TimeMixing {
        let Self { time_in, time_out, bias } = *self;
        TimeMixing {
            weight: uniform([time_out, time_in], xavier_bound(time_in, time_out), device),
            bias: match bias {
                BiasInit::Zero => constant([time_out], 0.0, device),
                BiasInit::FanIn => uniform([time_out], fan_in_bound(time_in), device),
            },
        }
    }

    /// Number of trained values, `time_in·time_out + time_out`.
    #[must_use]
    pub const fn n_parameters(&self) -> usize {
        self.time_in * self.time_out + self.time_out
    }

    /// Multiply-adds for `features` features, `time_in·time_out·features`.
    #[must_use]
    pub const fn multiply_adds(&self, features: usize) -> u64 {
        (self.time_in * self.time_out * features) as u64
    }
}

impl TimeMixing {
    /// Mixes the steps of every feature and adds `c`.
    ///
    /// # Shapes
    /// - `x`: `[batch, time_in, features]`
    /// - returns: `[batch, time_out, features]`
    ///
    /// # Panics
    /// If the time axis of `x` is not `time_in`.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.mix(x) + self.bias.val().reshape([1, -1, 1])
    }

    /// `M x`, without `c`.
    pub(crate) fn mix(&self, x: Tensor<3>) -> Tensor<3> {
        mix_time(self.weight.val(), x)
    }
}

/// `M x` along time: `[time_out, time_in]` times `[batch, time_in, features]`.
pub(crate) fn mix_time(weight: Tensor<2>, x: Tensor<3>) -> Tensor<3> {
    mix(weight.unsqueeze_dim(0), x.unsqueeze_dim(1)).squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regard_kernels::testing::{assert_close, double, normal};

    #[test]
    fn mixing_acts_on_time_and_leaves_features_apart() {
        let config = TimeMixingConfig { time_in: 5, time_out: 3, bias: BiasInit::FanIn };
        let module = double(config.init(&Device::default()));
        let x = normal([2, 5, 7], 1);
        let rows = x.clone().swap_dims(1, 2); // [batch, features, time_in]
        let weight = module.weight.val().transpose().unsqueeze_dim::<3>(0);
        let expected = rows.matmul(weight) + module.bias.val().reshape([1, 1, 3]);
        assert_close(&module.forward(x), &expected.swap_dims(1, 2), 1e-14);
    }
}
