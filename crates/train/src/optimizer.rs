//! Adam, plain or rectified, over all parameters of a module, with clipping by the norm of the whole
//! gradient.
//!
//! ```text
//! ‖g‖ = √(Σ over all parameters of g²)      g ← g · min(1, clip_norm / ‖g‖)
//! ```
//!
//! The moments are kept under the path of their parameter, so that a checkpoint of one process
//! continues in another.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};
use regard_kernels::adam::{AdamRule, AdamState, AdamStep, adam, sum_of_squares};
use serde::{Deserialize, Serialize};

use crate::closed_form::ClosedFormConfig;
use crate::error::TrainError;
use crate::model_file::{Array, Parameters};

/// The optimizer and its constants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Adam.
    Adam {
        /// Learning rate before the schedule.
        #[serde(default = "learning_rate")]
        learning_rate: f64,
        /// Keeps the denominator away from zero.
        #[serde(default = "eps")]
        eps: f64,
        /// Penalty `l2/2 ‖θ‖²` on the parameters; its gradient passes through the moments.
        #[serde(default)]
        l2: f64,
    },
    /// Adam with decoupled weight decay.
    AdamW {
        /// Learning rate before the schedule.
        #[serde(default = "learning_rate")]
        learning_rate: f64,
        /// Keeps the denominator away from zero.
        #[serde(default = "eps")]
        eps: f64,
        /// Fraction of each parameter removed per unit of learning rate.
        #[serde(default = "weight_decay")]
        weight_decay: f64,
        /// Decay of the mean of squared gradients.
        #[serde(default = "beta_2")]
        beta_2: f64,
        /// Which parameters decay.
        #[serde(default)]
        decay: Decay,
    },
    /// Rectified Adam: its first steps are those of momentum.
    #[serde(rename = "radam")]
    RAdam {
        /// Learning rate before the schedule.
        #[serde(default = "learning_rate")]
        learning_rate: f64,
        /// Keeps the denominator away from zero.
        #[serde(default = "eps")]
        eps: f64,
    },
    /// Ridge regression, for models that are linear in their parameters.
    ClosedForm(ClosedFormConfig),
}

/// Which parameters lose a fraction of themselves at each step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// All of them.
    #[default]
    All,
    /// Matrices and what has more axes, but not biases and norms.
    Matrices,
}

impl Decay {
    /// Whether a parameter of so many axes with this last name decays.
    fn reaches(self, axes: usize, name: Option<&String>) -> bool {
        // Norms of several rows have two axes, too.
        let is_norm = name.is_some_and(|name| name == "gamma" || name == "beta");
        self == Self::All || (axes > 1 && !is_norm)
    }
}

fn learning_rate() -> f64 {
    1e-3
}

/// That of the paper, which most published configurations use.
fn beta_2() -> f64 {
    0.999
}

fn eps() -> f64 {
    1e-8
}

fn weight_decay() -> f64 {
    1e-2
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Adam { learning_rate: learning_rate(), eps: eps(), l2: 0.0 }
    }
}

impl OptimizerConfig {
    /// Adam's constants; `None` for the closed form, which takes no steps.
    pub(crate) fn adam(&self) -> Option<AdamConfig> {
        Some(match *self {
            Self::Adam { learning_rate, eps, l2 } => {
                AdamConfig { l2, ..AdamConfig::new(learning_rate, eps) }
            }
            Self::AdamW { learning_rate, eps, weight_decay, beta_2, decay } => {
                AdamConfig { weight_decay, beta_2, decay, ..AdamConfig::new(learning_rate, eps) }
            }
            Self::RAdam { learning_rate, eps } => {
                let rule = AdamRule::Rectified;
                AdamConfig { rule, ..AdamConfig::new(learning_rate, eps) }
            }
            Self::ClosedForm(_) => return None,
        })
    }

    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let error = |key, value: f64, expected| {
            Err(TrainError::OutOfRange { key, value: value.to_string(), expected })
        };
        if let Self::ClosedForm(config) = self {
            return config.check();
        }
        let Some(adam) = self.adam() else { return Ok(()) };
        let AdamConfig { learning_rate, eps, weight_decay, l2, beta_2, .. } = adam;
        if !(learning_rate > 0.0 && learning_rate.is_finite()) {
            return error("fit.optimizer.learning_rate", learning_rate, "a positive number");
        }
        if !(eps > 0.0 && eps.is_finite()) {
            return error("fit.optimizer.eps", eps, "a positive number");
        }
        if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            return error("fit.optimizer.weight_decay", weight_decay, "zero or a positive number");
        }
        if !(l2 >= 0.0 && l2.is_finite()) {
            return error("fit.optimizer.l2", l2, "zero or a positive number");
        }
        if !(0.0..1.0).contains(&beta_2) {
            return error("fit.optimizer.beta_2", beta_2, "from 0 to below 1");
        }
        Ok(())
    }
}

/// Constants of Adam; without weight decay it is the plain one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamConfig {
    /// Learning rate before the schedule.
    pub learning_rate: f64,
    /// Keeps the denominator away from zero.
    pub eps: f64,
    /// Fraction of each parameter removed per unit of learning rate.
    pub weight_decay: f64,
    /// Fraction of each parameter added to its gradient.
    pub l2: f64,
    /// What divides the mean of gradients.
    pub rule: AdamRule,
    /// Decay of the mean of squared gradients.
    pub beta_2: f64,
    /// Which parameters the weight decay reaches.
    pub decay: Decay,
}

impl AdamConfig {
    /// The plain rule without decay.
    #[must_use]
    pub const fn new(learning_rate: f64, eps: f64) -> Self {
        let (weight_decay, l2, rule) = (0.0, 0.0, AdamRule::Plain);
        Self { learning_rate, eps, weight_decay, l2, rule, beta_2: 0.999, decay: Decay::All }
    }

    fn step(&self, learning_rate: f64, step: u64, grad_scale: f64) -> AdamStep {
        let Self { eps, weight_decay, l2, rule, beta_2, .. } = *self;
        // That of the paper, which every published configuration here uses.
        let beta_1 = 0.9;
        AdamStep { rule, learning_rate, beta_1, beta_2, eps, weight_decay, l2, step, grad_scale }
    }
}

/// The moments of every parameter and the number of steps taken.
#[derive(Debug, Clone)]
pub struct Optimizer {
    config: AdamConfig,
    clip_norm: Option<f64>,
    /// Steps taken.
    pub(crate) steps: u64,
    moments: BTreeMap<String, Moments>,
}

/// Mean and mean square of one parameter's gradients, flat.
#[derive(Debug, Clone)]
struct Moments {
    mean: Tensor<1>,
    square: Tensor<1>,
}

impl Optimizer {
    /// An optimizer that has taken no step.
    #[must_use]
    pub fn new(config: AdamConfig, clip_norm: Option<f64>) -> Self {
        Self { config, clip_norm, steps: 0, moments: BTreeMap::new() }
    }

    /// One step down the gradient, with the learning rate of this step.
    #[must_use]
    pub fn step<M: Module>(&mut self, module: M, grads: &Gradients, learning_rate: f64) -> M {
        self.steps += 1;
        let scale = self.clip_norm.map_or(1.0, |limit| {
            let norm = gradient_norm(&module, grads);
            if norm > limit { limit / norm } else { 1.0 }
        });
        let step = self.config.step(learning_rate, self.steps, scale);
        let (path, decay) = (Vec::new(), self.config.decay);
        module.map(&mut Apply { path, moments: &mut self.moments, grads, step, decay })
    }

    /// Copies the moments to the host, under `mean.` and `square.`.
    pub(crate) fn to_host(&self, to: &mut Parameters) {
        for (name, moments) in &self.moments {
            for (kind, x) in [("mean", &moments.mean), ("square", &moments.square)] {
                to.insert(format!("{kind}.{name}"), Array::new(x.to_data()));
            }
        }
    }

    /// Takes what [`Optimizer::to_host`] wrote out of `from`.
    pub(crate) fn load_host(&mut self, from: &mut Parameters, device: &Device) {
        let names: Vec<String> =
            from.keys().filter_map(|k| k.strip_prefix("mean.").map(str::to_owned)).collect();
        let mut take = |kind: &str, name: &str| {
            Some(from.remove(&format!("{kind}.{name}"))?.tensor::<1>(device))
        };
        for name in names {
            if let (Some(mean), Some(square)) = (take("mean", &name), take("square", &name)) {
                self.moments.insert(name, Moments { mean, square });
            }
        }
    }
}

struct Apply<'a> {
    path: Vec<String>,
    moments: &'a mut BTreeMap<String, Moments>,
    grads: &'a Gradients,
    step: AdamStep,
    decay: Decay,
}

impl ModuleMapper for Apply<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(grad) = tensor.grad(self.grads) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let shape = tensor.dims();
        let n: usize = shape.iter().product();
        let name = self.path.join(".");
        let moments = self.moments.remove(&name).unwrap_or_else(|| {
            let zeros = Tensor::zeros([n], (&grad.device(), grad.dtype()));
            Moments { mean: zeros.clone(), square: zeros }
        });
        let param = tensor.inner().reshape([n]);
        let state = AdamState { param, mean: moments.mean, square: moments.square };
        let reaches = self.decay.reaches(D, self.path.last());
        let weight_decay = if reaches { self.step.weight_decay } else { 0.0 };
        let step = AdamStep { weight_decay, ..self.step };
        let AdamState { param, mean, square } = adam(state, grad.reshape([n]), &step);
        self.moments.insert(name, Moments { mean, square });
        let tensor = Tensor::from_inner(param.reshape(shape)).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// `√Σ g²` over all parameters, summed in `f64`.
fn gradient_norm<M: Module>(module: &M, grads: &Gradients) -> f64 {
    struct Norm<'a> {
        grads: &'a Gradients,
        sum: f64,
    }
    impl ModuleVisitor for Norm<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(grad) = param.val().grad(self.grads) {
                self.sum += sum_of_squares(&grad);
            }
        }
    }
    let mut norm = Norm { grads, sum: 0.0 };
    module.visit(&mut norm);
    norm.sum.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[derive(Module, Debug)]
    struct Line {
        slope: Param<Tensor<1>>,
    }

    fn fitted(rule: AdamRule, clip_norm: Option<f64>, steps: u64) -> f64 {
        let device = Device::default().autodiff();
        device.seed(3);
        let mut line =
            Line { slope: Param::from_tensor(Tensor::random([1], Distribution::Default, &device)) };
        let mut optimizer =
            Optimizer::new(AdamConfig { rule, ..AdamConfig::new(0.1, 1e-8) }, clip_norm);
        for _ in 0..steps {
            let loss = (line.slope.val() - 5.0).square().sum();
            let grads = loss.backward();
            line = optimizer.step(line, &grads, 0.1);
        }
        line.slope.val().into_scalar::<f64>()
    }

    #[test]
    fn finds_the_minimum_of_a_parabola_with_and_without_clipping() {
        for rule in [AdamRule::Plain, AdamRule::Rectified] {
            assert!((fitted(rule, None, 400) - 5.0).abs() < 1e-3);
            assert!((fitted(rule, Some(0.5), 400) - 5.0).abs() < 1e-3);
        }
    }

    #[derive(Module, Debug)]
    struct Parts {
        weight: Param<Tensor<2>>,
        gamma: Param<Tensor<2>>,
        bias: Param<Tensor<1>>,
    }

    #[test]
    fn decay_of_matrices_leaves_biases_and_norms_alone() {
        let device = Device::default().autodiff();
        for (decay, expected) in [(Decay::All, [0.9; 3]), (Decay::Matrices, [0.9, 1.0, 1.0])] {
            let parts = Parts {
                weight: Param::from_tensor(Tensor::ones([2, 3], &device)),
                gamma: Param::from_tensor(Tensor::ones([2, 3], &device)),
                bias: Param::from_tensor(Tensor::ones([3], &device)),
            };
            let loss = parts.weight.val().sum() + parts.gamma.val().sum() + parts.bias.val().sum();
            // Without a gradient, a step is the decay alone: 1 − 0.2 · 0.5.
            let grads = (loss * 0.0).backward();
            let config = AdamConfig { weight_decay: 0.5, decay, ..AdamConfig::new(0.2, 1e-8) };
            let parts = Optimizer::new(config, None).step(parts, &grads, 0.2);
            let mean = |x: Tensor<1>| x.mean().into_scalar::<f64>();
            let found = [
                mean(parts.weight.val().flatten(0, 1)),
                mean(parts.gamma.val().flatten(0, 1)),
                mean(parts.bias.val()),
            ];
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{decay:?}: {found}");
            }
        }
    }

    #[test]
    fn constants_out_of_range_are_named() {
        let config = OptimizerConfig::Adam { learning_rate: -1.0, eps: 1e-8, l2: 0.0 };
        assert_eq!(
            config.check().unwrap_err().to_string(),
            "fit.optimizer.learning_rate = -1: expected a positive number"
        );
    }
}
