//! A trained affine map along time, the same for every feature.
//!
//! ```text
//! y[t, :] = Σ_s M[t, s] x[s, :] + c[t]
//! ```
//!
//! It is a 1×1 convolution that takes time steps for channels. `M` may be of any kind of
//! [`TimeMatrix`]. `c` follows it: one number per step, one for all steps of a lag kernel, or
//! `c = Φ b` for smooth functions.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use regard_kernels::mixing::mix;
use regard_kernels::plan::{PlanBuilder, Slot};

use super::affine::BiasInit;
use super::init::{constant, fan_in_bound, uniform, xavier_bound};
use super::time_matrix::{TimeMatrix, Weights};
use crate::error::InvalidConfig;

/// Configuration of [`TimeMixing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeMixingConfig {
    /// Steps of the input.
    pub time_in: usize,
    /// Steps of the output.
    pub time_out: usize,
    /// Law of the initial `c`; the fan-in is `time_in`.
    pub bias: BiasInit,
    /// How `M` is made.
    pub matrix: TimeMatrix,
}

/// A trained affine map along time; build with [`TimeMixingConfig::init`].
#[derive(Module, Debug)]
pub struct TimeMixing {
    /// What `M` is made of; `[time_out, time_in]`, `M` itself, if it is dense.
    weight: Param<Tensor<2>>,
    /// What `c` is made of; `[time_out]`, `c` itself, if there is one number per step.
    bias: Param<Tensor<1>>,
    #[module(skip)]
    matrix: TimeMatrix,
    time_in: usize,
    time_out: usize,
}

impl TimeMixingConfig {
    /// Draws `M` by the Xavier rule, then `c`.
    #[must_use]
    pub fn init(&self, device: &Device) -> TimeMixing {
        let Self { time_in, time_out, bias, matrix } = *self;
        let size = [time_out, time_in];
        let [_, rows, cols] = matrix.shape(1, size);
        let bound = matrix.bound(xavier_bound(time_in, time_out), size);
        let n_bias = self.n_bias();
        // Each of K functions has mean square one.
        let bias_bound = match matrix {
            TimeMatrix::Basis { n_basis, .. } => fan_in_bound(time_in) / (n_basis as f64).sqrt(),
            _ => fan_in_bound(time_in),
        };
        TimeMixing {
            weight: uniform([rows, cols], bound, device),
            bias: match bias {
                BiasInit::Zero => constant([n_bias], 0.0, device),
                BiasInit::FanIn => uniform([n_bias], bias_bound, device),
            },
            matrix,
            time_in,
            time_out,
        }
    }

    /// Number of trained values; `time_in·time_out + time_out` if `M` is dense.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        self.matrix.n_parameters(1, [self.time_out, self.time_in]) + self.n_bias()
    }

    /// Multiply-adds for `features` features; `time_in·time_out·features` if `M` is dense.
    #[must_use]
    pub fn multiply_adds(&self, features: usize) -> u64 {
        self.matrix.multiply_adds(1, [self.time_out, self.time_in], features)
    }

    fn n_bias(&self) -> usize {
        match self.matrix {
            TimeMatrix::Toeplitz { .. } => 1,
            TimeMatrix::Basis { n_basis, .. } => n_basis,
            _ => self.time_out,
        }
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
        self.mix(x) + self.bias().unsqueeze_dim::<3>(0)
    }

    /// `M x`, without `c`.
    pub(crate) fn mix(&self, x: Tensor<3>) -> Tensor<3> {
        self.weights().mix(x.unsqueeze_dim(1)).squeeze_dim(1)
    }

    /// `M x` as a step of a plan.
    pub(crate) fn plan_mix(&self, plan: &mut PlanBuilder, x: Slot) -> Slot {
        self.weights().plan(plan, x)
    }

    /// [`TimeMixing::forward`] as steps of a plan, for `features` features.
    pub(crate) fn plan(&self, plan: &mut PlanBuilder, x: Slot, features: usize) -> Slot {
        let mixed = self.plan_mix(plan, x);
        plan.add(mixed, self.bias().expand([self.time_out, features]))
    }

    /// `M 1`, `[time_out, 1]`.
    pub(crate) fn row_sums(&self) -> Tensor<2> {
        self.weights().matrix().sum_dim(2).squeeze_dim(0)
    }

    /// `c`, `[time_out, 1]`, or `[1, 1]` if it is the same for every step.
    pub(crate) fn bias(&self) -> Tensor<2> {
        let bias = self.bias.val().unsqueeze_dim::<2>(1);
        match self.matrix {
            TimeMatrix::Basis { n_basis, basis } => {
                let bias = bias.unsqueeze_dim::<3>(0);
                basis.functions(n_basis, self.time_out, &bias).matmul(bias).squeeze_dim(0)
            }
            _ => bias,
        }
    }

    /// The same map for another number of steps; see [`TimeMatrix`].
    ///
    /// # Errors
    /// [`InvalidConfig::FixedWindow`] if `M` cannot have more rows than were trained.
    pub(crate) fn resized(&self, time_in: usize, time_out: usize) -> Result<Self, InvalidConfig> {
        let (from, to) = ([self.time_out, self.time_in], [time_out, time_in]);
        let weight = self.weight.val().unsqueeze_dim(0);
        let weight = self.matrix.resized(weight, from, to, "time_maps")?;
        let bias = match self.matrix {
            TimeMatrix::Toeplitz { .. } | TimeMatrix::Basis { .. } => self.bias.val(),
            _ => self.bias.val().narrow(0, self.time_out - time_out, time_out),
        };
        Ok(Self {
            weight: Param::from_tensor(weight.squeeze_dim(0)),
            bias: Param::from_tensor(bias),
            matrix: self.matrix,
            time_in,
            time_out,
        })
    }

    /// The same map of another number of steps to as many as before.
    ///
    /// # Errors
    /// None: no kind of matrix refuses other columns.
    pub(crate) fn with_input_steps(&self, time_in: usize) -> Result<Self, InvalidConfig> {
        self.resized(time_in, self.time_out)
    }

    fn weights(&self) -> Weights {
        self.matrix.weights(self.weight.val().unsqueeze_dim(0), [self.time_out, self.time_in])
    }
}

/// `M x` along time: `[time_out, time_in]` times `[batch, time_in, features]`.
pub(crate) fn mix_time(weight: Tensor<2>, x: Tensor<3>) -> Tensor<3> {
    mix(weight.unsqueeze_dim(0), x.unsqueeze_dim(1)).squeeze_dim(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameter::Basis;
    use regard_kernels::testing::{assert_close, double, normal};

    #[test]
    fn mixing_acts_on_time_and_leaves_features_apart() {
        let kinds = [
            TimeMatrix::Dense {},
            TimeMatrix::Toeplitz { causal: false },
            TimeMatrix::Basis { n_basis: 3, basis: Basis::Cosine },
        ];
        for matrix in kinds {
            let config =
                TimeMixingConfig { time_in: 5, time_out: 3, bias: BiasInit::FanIn, matrix };
            let module = double(config.init(&Device::default()));
            let x = normal([2, 5, 7], 1);
            let rows = x.clone().swap_dims(1, 2); // [batch, features, time_in]
            let weight = module.weights().matrix().swap_dims(1, 2);
            let bias = module.bias().expand([3, 1]).swap_dims(0, 1).unsqueeze_dim::<3>(0);
            let expected = (rows.matmul(weight) + bias).swap_dims(1, 2);
            assert_close(&module.forward(x), &expected, 1e-14);
            assert_eq!(module.num_params(), config.n_parameters(), "{matrix:?}");
        }
    }

    #[test]
    fn a_dense_map_may_get_older_inputs_but_no_older_outputs() {
        let config = TimeMixingConfig {
            time_in: 5,
            time_out: 3,
            bias: BiasInit::FanIn,
            matrix: TimeMatrix::Dense {},
        };
        let module = double(config.init(&Device::default()));
        let x = normal([2, 8, 7], 1);
        let longer = module.resized(8, 3).unwrap();
        let newest = module.forward(x.clone().narrow(1, 3, 5));
        assert_close(&longer.forward(x), &newest, 1e-14);
        assert!(module.resized(8, 4).is_err());
    }
}
