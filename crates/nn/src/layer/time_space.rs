//! The time-space embedding of a window of raw values, and the read-out of a forecast.
//!
//! ```text
//! embedding:  X [p, n] → X W + b [p, d] → M (…) + c along time [p′, d]
//!             → pairwise mean and max of features [p′, d] → (…) W′ + b′ [p′, d]
//! read-out:   Z [p′, d] → M Z + c along time [q, d] → (…) W + b [q, n]
//! ```
//!
//! Source: the code released with Solera-Rico et al. 2024, arXiv:2304.03571, and Wang et al. 2024,
//! doi:10.1016/j.ijheatfluidflow.2023.109254; the two agree. Embedding: Xavier weights, biases
//! `U(±1/√fan_in)`; read-out: Xavier weights, zero biases. Differs: `M (X W + 1 bᵀ) + c 1ᵀ` is
//! computed as `(M X) W + (M 1) bᵀ + c 1ᵀ`, the same function for `n/d` of the work along time.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use regard_kernels::affine::affine;
use regard_kernels::plan::{PlanBuilder, Slot};
use regard_kernels::pointwise::{Activation, pair_pool};

use crate::error::{InvalidConfig, even, positive};
use crate::parameter::{
    Affine, AffineConfig, BiasInit, TimeMatrix, TimeMixing, TimeMixingConfig, WeightInit,
};

/// Configuration of [`TimeSpaceEmbedding`].
#[derive(Debug, Clone, Copy)]
pub struct TimeSpaceEmbeddingConfig {
    /// Values per time step, the paper's `n`.
    pub channels: usize,
    /// Width of the result; even, because features are pooled in pairs.
    pub d_model: usize,
    /// Steps of the input, `p`.
    pub time_in: usize,
    /// Steps of the result, `p′`.
    pub time_out: usize,
    /// How `M` is made.
    pub matrix: TimeMatrix,
}

/// Embeds a window of raw values; build with [`TimeSpaceEmbeddingConfig::init`].
#[derive(Module, Debug)]
pub struct TimeSpaceEmbedding {
    pub(crate) lift: Affine,
    mixing: TimeMixing,
    project: Affine,
}

/// Configuration of [`TimeSpaceReadout`].
#[derive(Debug, Clone, Copy)]
pub struct TimeSpaceReadoutConfig {
    /// Width of the input.
    pub d_model: usize,
    /// Values per time step of the result.
    pub channels: usize,
    /// Steps of the input, `p′`.
    pub time_in: usize,
    /// Steps of the result, `q`.
    pub time_out: usize,
    /// How `M` is made.
    pub matrix: TimeMatrix,
}

/// Reads a forecast off an encoded window; build with [`TimeSpaceReadoutConfig::init`].
#[derive(Module, Debug)]
pub struct TimeSpaceReadout {
    mixing: TimeMixing,
    project: Affine,
}

impl TimeSpaceEmbeddingConfig {
    /// Checks the fields and draws the maps in the order of the equation.
    ///
    /// # Errors
    /// [`InvalidConfig::Odd`] if `d_model` is odd; [`InvalidConfig::Zero`] if a size is zero;
    /// [`InvalidConfig::TooLarge`] if `matrix` does not fit `time_in`.
    pub fn init(&self, device: &Device) -> Result<TimeSpaceEmbedding, InvalidConfig> {
        even(("d_model", self.d_model))?;
        let counts =
            [("channels", self.channels), ("time_in", self.time_in), ("time_out", self.time_out)];
        counts.into_iter().try_for_each(positive)?;
        self.matrix.check(self.time_in)?;
        Ok(TimeSpaceEmbedding {
            lift: self.lift().init(device),
            mixing: self.mixing().init(device),
            project: self.project().init(device),
        })
    }

    /// `(n d + d) + (p p′ + p′) + (d² + d)`.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        self.lift().n_parameters() + self.mixing().n_parameters() + self.project().n_parameters()
    }

    /// `p n d + p p′ d + p′ d²`, counted in the order of the source.
    #[must_use]
    pub fn multiply_adds(&self) -> u64 {
        self.time_in as u64 * self.lift().multiply_adds()
            + self.mixing().multiply_adds(self.d_model)
            + self.time_out as u64 * self.project().multiply_adds()
    }

    fn lift(&self) -> AffineConfig {
        let Self { channels: d_in, d_model: d_out, .. } = *self;
        AffineConfig { d_in, d_out, weight: WeightInit::Xavier, bias: BiasInit::FanIn }
    }

    fn mixing(&self) -> TimeMixingConfig {
        let Self { time_in, time_out, matrix, .. } = *self;
        TimeMixingConfig { time_in, time_out, bias: BiasInit::FanIn, matrix }
    }

    fn project(&self) -> AffineConfig {
        AffineConfig { d_in: self.d_model, ..self.lift() }
    }
}

impl TimeSpaceEmbedding {
    /// Embeds every window.
    ///
    /// # Shapes
    /// - `x`: `[batch, time_in, channels]`
    /// - returns: `[batch, time_out, d_model]`
    ///
    /// # Panics
    /// If the shape of `x` is not the one configured.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let mixed = self.mixing.mix(x);
        let lifted = affine(mixed, self.lift.weight.val(), None, Activation::Identity);
        let pooled = pair_pool(lifted + self.offset().unsqueeze_dim(0));
        self.project.forward(pooled, Activation::Identity)
    }

    /// The embedding of one window as steps of a plan.
    pub(crate) fn plan(&self, plan: &mut PlanBuilder, x: Slot) -> Slot {
        let mixed = self.mixing.plan_mix(plan, x);
        let lifted = plan.affine(mixed, self.lift.weight.val(), None, Activation::Identity);
        let lifted = plan.add(lifted, self.offset());
        let pooled = plan.pair_pool(lifted);
        self.project.plan(plan, pooled, Activation::Identity)
    }

    /// `(M 1) bᵀ + c 1ᵀ`, `[time_out, d_model]`.
    fn offset(&self) -> Tensor<2> {
        self.mixing.row_sums() * self.lift.bias.val().unsqueeze_dim(0) + self.mixing.bias()
    }

    /// The same embedding of windows of `time` steps into as many.
    ///
    /// # Errors
    /// [`InvalidConfig::FixedWindow`] if `M` cannot have more rows than were trained.
    pub(crate) fn resized(&self, time: usize) -> Result<Self, InvalidConfig> {
        Ok(Self { mixing: self.mixing.resized(time, time)?, ..self.clone() })
    }
}

impl TimeSpaceReadoutConfig {
    /// Checks the fields and draws the maps in the order of the equation.
    ///
    /// # Errors
    /// [`InvalidConfig::Zero`] if a size is zero; [`InvalidConfig::TooLarge`] if `matrix` does not
    /// fit `time_in`.
    pub fn init(&self, device: &Device) -> Result<TimeSpaceReadout, InvalidConfig> {
        let counts = [
            ("d_model", self.d_model),
            ("channels", self.channels),
            ("time_in", self.time_in),
            ("time_out", self.time_out),
        ];
        counts.into_iter().try_for_each(positive)?;
        self.matrix.check(self.time_in)?;
        Ok(TimeSpaceReadout {
            mixing: self.mixing().init(device),
            project: self.project().init(device),
        })
    }

    /// `(p′ q + q) + (d n + n)`.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        self.mixing().n_parameters() + self.project().n_parameters()
    }

    /// `p′ q d + q d n`.
    #[must_use]
    pub fn multiply_adds(&self) -> u64 {
        self.mixing().multiply_adds(self.d_model)
            + self.time_out as u64 * self.project().multiply_adds()
    }

    fn mixing(&self) -> TimeMixingConfig {
        let Self { time_in, time_out, matrix, .. } = *self;
        TimeMixingConfig { time_in, time_out, bias: BiasInit::Zero, matrix }
    }

    fn project(&self) -> AffineConfig {
        let Self { d_model: d_in, channels: d_out, .. } = *self;
        AffineConfig { d_in, d_out, weight: WeightInit::Xavier, bias: BiasInit::Zero }
    }
}

impl TimeSpaceReadout {
    /// Reads the forecast of every window.
    ///
    /// # Shapes
    /// - `x`: `[batch, time_in, d_model]`
    /// - returns: `[batch, time_out, channels]`
    ///
    /// # Panics
    /// If the shape of `x` is not the one configured.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.project.forward(self.mixing.forward(x), Activation::Identity)
    }

    /// The read-out of one window as steps of a plan.
    pub(crate) fn plan(&self, plan: &mut PlanBuilder, x: Slot) -> Slot {
        let [d_model, _] = self.project.weight.dims();
        let mixed = self.mixing.plan(plan, x, d_model);
        self.project.plan(plan, mixed, Activation::Identity)
    }

    /// The same read-out of `time_in` steps; `time_out` stays.
    ///
    /// # Errors
    /// None: no kind of matrix refuses other columns.
    pub(crate) fn resized(&self, time_in: usize) -> Result<Self, InvalidConfig> {
        Ok(Self { mixing: self.mixing.with_input_steps(time_in)?, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameter::Basis;
    use regard_kernels::testing::{assert_close, double, normal};

    const CONFIG: TimeSpaceEmbeddingConfig = TimeSpaceEmbeddingConfig {
        channels: 3,
        d_model: 14,
        time_in: 5,
        time_out: 7,
        matrix: TimeMatrix::Dense {},
    };
    const KINDS: [TimeMatrix; 3] = [
        TimeMatrix::Dense {},
        TimeMatrix::Toeplitz { causal: false },
        TimeMatrix::Basis { n_basis: 3, basis: Basis::Cosine },
    ];

    #[test]
    fn the_reordered_embedding_equals_the_order_of_the_source() {
        for matrix in KINDS {
            let config = TimeSpaceEmbeddingConfig { matrix, ..CONFIG };
            let module = double(config.init(&Device::default()).unwrap());
            let x = normal([2, 5, 3], 1);
            let lifted = module.lift.forward(x.clone(), Activation::Identity);
            let pooled = pair_pool(module.mixing.forward(lifted));
            let expected = module.project.forward(pooled, Activation::Identity);
            assert_close(&module.forward(x), &expected, 1e-13);
        }
    }

    #[test]
    fn an_odd_width_is_refused() {
        let config = TimeSpaceEmbeddingConfig { d_model: 7, ..CONFIG };
        let error = config.init(&Device::default()).unwrap_err();
        assert_eq!(error, InvalidConfig::Odd { name: "d_model", value: 7 });
    }

    #[test]
    fn formulas_count_the_parameters_of_the_modules() {
        let device = Device::default();
        for matrix in KINDS {
            let config = TimeSpaceEmbeddingConfig { matrix, ..CONFIG };
            assert_eq!(config.init(&device).unwrap().num_params(), config.n_parameters());
            let (d_model, channels, time_in, time_out) = (7, 3, 5, 2);
            let config = TimeSpaceReadoutConfig { d_model, channels, time_in, time_out, matrix };
            assert_eq!(config.init(&device).unwrap().num_params(), config.n_parameters());
        }
    }
}
