//! Training a forecaster: gradient descent on the mean squared error of the forecast.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use regard_kernels::pointwise::mean_squared_error;
use regard_nn::model::Model;
use serde::{Deserialize, Serialize};

use crate::checkpoint::Progress;
use crate::descent::{Descent, EpochScores, Objective};
use crate::error::TrainError;
use crate::forecasting::{Forecasting, Part};
use crate::lbfgs::minimize;
use crate::model_file::{Array, Parameters, gradients, parameters, with_parameters};
use crate::observer::Observer;
use crate::optimizer::OptimizerConfig;
use crate::precision::{Precision, tensor};
use crate::run_folder::RunFolder;
use crate::schedule::ScheduleConfig;

/// Windows per batch where nothing is learned.
const SCORE_BATCH: usize = 512;

/// How a model is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FitConfig {
    /// Passes over the training windows.
    pub epochs: usize,
    /// Windows per step.
    pub batch_size: usize,
    /// Epochs without a lower validation loss before the run ends; never by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Largest norm of the gradient; larger ones are scaled down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Standard deviation of Gaussian noise on the input rows, in normalised units; makes
    /// free-running forecasts less sensitive to their own errors.
    pub input_noise: f64,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// The learning rate over time.
    pub schedule: ScheduleConfig,
    /// How far ahead the loss looks.
    pub rollout: RolloutConfig,
    /// Last digits after the epochs; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<FinishConfig>,
}

/// The free-running forecasts inside the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RolloutConfig {
    /// Forecasts in a row, each an input of the next; the loss is the mean over them.
    pub steps: usize,
    /// The gradient goes back through at most so many of them.
    pub gradient_steps: usize,
    /// Epochs over which the number of steps grows from 1 to `steps`.
    pub curriculum_epochs: usize,
}

/// L-BFGS over all training windows, in double precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FinishConfig {
    /// Iterations.
    pub iterations: usize,
    /// Pairs of steps and gradient differences that describe the curvature.
    pub history: usize,
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self { steps: 1, gradient_steps: 8, curriculum_epochs: 0 }
    }
}

impl RolloutConfig {
    /// Forecasts in a row at an epoch, from 0.
    fn steps_at(&self, epoch: usize) -> usize {
        if epoch >= self.curriculum_epochs {
            return self.steps;
        }
        1 + (self.steps - 1) * epoch / self.curriculum_epochs
    }
}

impl Default for FinishConfig {
    fn default() -> Self {
        Self { iterations: 200, history: 20 }
    }
}

impl Default for FitConfig {
    fn default() -> Self {
        Self {
            epochs: 50,
            batch_size: 64,
            patience: None,
            clip_norm: None,
            input_noise: 0.0,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            rollout: RolloutConfig::default(),
            finish: None,
        }
    }
}

impl FitConfig {
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let error =
            |key, value: String, expected| Err(TrainError::OutOfRange { key, value, expected });
        let sizes = [
            ("fit.epochs", Some(self.epochs)),
            ("fit.batch_size", Some(self.batch_size)),
            ("fit.patience", self.patience),
            ("fit.rollout.steps", Some(self.rollout.steps)),
            ("fit.rollout.gradient_steps", Some(self.rollout.gradient_steps)),
            ("fit.finish.iterations", self.finish.map(|f| f.iterations)),
            ("fit.finish.history", self.finish.map(|f| f.history)),
        ];
        for (key, value) in sizes {
            if value == Some(0) {
                return error(key, "0".to_owned(), "at least 1");
            }
        }
        if let Some(norm) = self.clip_norm
            && !(norm > 0.0 && norm.is_finite())
        {
            return error("fit.clip_norm", norm.to_string(), "a positive number");
        }
        if !(self.input_noise >= 0.0 && self.input_noise.is_finite()) {
            return error(
                "fit.input_noise",
                self.input_noise.to_string(),
                "zero or a positive number",
            );
        }
        self.optimizer.check()?;
        self.schedule.check()
    }
}

/// A trained model with its history.
#[derive(Debug)]
pub(crate) struct Fitted {
    /// The parameters with the lowest validation loss.
    pub(crate) model: Model,
    pub(crate) progress: Progress,
}

/// Trains `model` (built on an autodiff device) from its checkpoint or from the start.
///
/// # Errors
/// As [`Descent::run`].
pub(crate) fn fit(
    model: Model,
    data: &Forecasting,
    config: &FitConfig,
    seed: u64,
    folder: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<Fitted, TrainError> {
    let adam = config.optimizer.adam().ok_or(TrainError::NotLinear { found: "another model" })?;
    let descent = Descent {
        epochs: config.epochs,
        batch_size: config.batch_size,
        drop_last: false,
        patience: config.patience,
        clip_norm: config.clip_norm,
        adam,
        schedule: &config.schedule,
        seed,
    };
    let precision = Precision::of_module(&model);
    let objective = ForecastError { data, config, seed, precision };
    let (model, mut progress) = descent.run(model, &objective, folder, observer)?;
    let model = match config.finish {
        None => model,
        Some(finish) => finished(model, data, config, finish, &mut progress, folder, observer)?,
    };
    Ok(Fitted { model: model.valid(), progress })
}

/// Mean squared error of forecasts.
struct ForecastError<'a> {
    data: &'a Forecasting,
    config: &'a FitConfig,
    seed: u64,
    precision: Precision,
}

impl Objective for ForecastError<'_> {
    type Model = Model;

    fn n_train(&self) -> usize {
        self.data.train.windows.len()
    }

    fn loss(&self, model: &Model, examples: &[usize], epoch: usize, step: u64) -> Tensor<1> {
        let device = Device::default().autodiff();
        let [input, target] = self.data.train.batch(examples, &device, self.precision);
        let input = noisy(input, self.config.input_noise, self.seed, step);
        let rollout = self.config.rollout;
        rollout_loss(model, input, target, rollout.steps_at(epoch), rollout.gradient_steps)
    }

    fn scores(&self, model: &Model) -> EpochScores {
        let loss = mean_loss(model, &self.data.validation, self.config.rollout.steps);
        EpochScores { validation_loss: Some(loss), criterion: Some(loss), ..EpochScores::default() }
    }
}

/// Minimises the loss over all training windows by L-BFGS; keeps the result if it validates better.
///
/// Nothing is saved on the way: the checkpoint is that of the last epoch, from which the same
/// iterations follow again.
fn finished(
    model: Model,
    data: &Forecasting,
    config: &FitConfig,
    finish: FinishConfig,
    progress: &mut Progress,
    folder: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<Model, TrainError> {
    let start = Instant::now();
    let precision = Precision::of_module(&model);
    let mut current = Precision::F64.cast(model.clone());
    let template = parameters(&current);
    let theta = template.values().flat_map(|a| a.values.iter().copied()).collect();
    observer.phase("L-BFGS", Some(finish.iterations as u64));
    let rollout = config.rollout;
    let mut stopped = false;
    let evaluate = |theta: &[f64], gradient: &mut Vec<f64>| {
        current = with_parameters(current.clone(), unflatten(&template, theta))
            .expect("the parameters came from this model");
        full_gradient(&current, data, rollout, gradient)
    };
    let after = |iteration, value| {
        observer.advance(iteration as u64, Some(value));
        stopped = observer.stop();
        !stopped
    };
    let end = minimize(theta, finish.iterations, finish.history, evaluate, after);
    if stopped {
        return Err(TrainError::Interrupted { folder: folder.path().to_owned() });
    }
    let better = with_parameters(current.clone(), unflatten(&template, &end.theta))
        .expect("the parameters came from this model");
    let better = precision.cast(better);
    let loss = mean_loss(&better.valid(), &data.validation, rollout.steps);
    let note = format!(
        "L-BFGS, {} iterations: validation loss {:.3e} to {loss:.3e}",
        end.iterations, progress.best_loss
    );
    observer.note(&note);
    progress.note = Some(note);
    progress.seconds += start.elapsed().as_secs_f64();
    Ok(if loss < progress.best_loss { better } else { model })
}

/// Parameters of the shapes of `template` from one long vector.
fn unflatten(template: &Parameters, theta: &[f64]) -> Parameters {
    let mut rest = theta;
    let take = |(name, array): (&String, &Array)| {
        let (values, tail) = rest.split_at(array.values.len());
        rest = tail;
        (name.clone(), Array { values: values.to_vec(), ..array.clone() })
    };
    template.iter().map(take).collect()
}

/// Mean loss over all training windows, and its gradient in the order of [`parameters`].
fn full_gradient(
    model: &Model,
    data: &Forecasting,
    rollout: RolloutConfig,
    gradient: &mut Vec<f64>,
) -> f64 {
    let device = Device::default().autodiff();
    let precision = Precision::of_module(model);
    let n = data.train.windows.len();
    let indices: Vec<usize> = (0..n).collect();
    gradient.clear();
    let mut sum = 0.0;
    for chunk in indices.chunks(SCORE_BATCH) {
        let [input, target] = data.train.batch(chunk, &device, precision);
        let loss = rollout_loss(model, input, target, rollout.steps, rollout.gradient_steps);
        let share = chunk.len() as f64 / n as f64;
        sum += loss.clone().into_scalar::<f64>() * share;
        let part: Vec<f64> =
            gradients(model, &loss.backward()).into_values().flat_map(|a| a.values).collect();
        gradient.resize(part.len(), 0.0);
        gradient.iter_mut().zip(part).for_each(|(g, p)| *g += p * share);
    }
    sum
}

/// Mean squared error over `steps` forecasts in a row, each an input of the next.
///
/// # Shapes
/// - `input`: `[batch, window, channels]`; `target`: `[batch, ≥ steps · horizon, channels]`
fn rollout_loss(
    model: &Model,
    input: Tensor<3>,
    target: Tensor<3>,
    steps: usize,
    gradient_steps: usize,
) -> Tensor<1> {
    let [_, window, _] = input.dims();
    let mut past = input;
    let mut sum: Option<Tensor<1>> = None;
    for step in 0..steps {
        let forecast = model.forward(past.clone());
        let [_, horizon, _] = forecast.dims();
        let loss =
            mean_squared_error(forecast.clone(), target.clone().narrow(1, step * horizon, horizon));
        sum = Some(match sum {
            None => loss,
            Some(sum) => sum + loss,
        });
        if step + 1 < steps {
            past = Tensor::cat(vec![past, forecast], 1).narrow(1, horizon, window);
            if (step + 1) % gradient_steps == 0 {
                past = past.detach();
            }
        }
    }
    sum.expect("at least one step") / steps as f64
}

/// `input` plus Gaussian noise that follows from seed and step.
fn noisy(input: Tensor<3>, std: f64, seed: u64, step: u64) -> Tensor<3> {
    if std == 0.0 {
        return input;
    }
    let shape = input.dims();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Streams from the end, far from those of the order of windows.
    rng.set_stream(u64::MAX - step);
    let n: usize = shape.iter().product();
    let noise: Vec<f64> = (0..n)
        .map(|_| {
            let x: f64 = StandardNormal.sample(&mut rng);
            std * x
        })
        .collect();
    let noise = tensor(&noise, shape, &input.device(), Precision::of(input.dtype()));
    input + noise
}

/// Mean squared error over all windows of a part and `steps` forecasts in a row, in normalised units.
pub(crate) fn mean_loss(model: &Model, part: &Part, steps: usize) -> f64 {
    let (device, precision) = (Device::default(), Precision::of_module(model));
    let indices: Vec<usize> = (0..part.windows.len()).collect();
    let mut sum = 0.0;
    for chunk in indices.chunks(SCORE_BATCH) {
        let [input, target] = part.batch(chunk, &device, precision);
        let loss = rollout_loss(model, input, target, steps, steps).into_scalar::<f64>();
        sum += loss * chunk.len() as f64;
    }
    sum / indices.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curriculum_grows_from_one_step_to_all() {
        let rollout = RolloutConfig { steps: 9, gradient_steps: 1, curriculum_epochs: 4 };
        let steps: Vec<usize> = (0..6).map(|epoch| rollout.steps_at(epoch)).collect();
        assert_eq!(steps, [1, 3, 5, 7, 9, 9]);
        assert_eq!(RolloutConfig { curriculum_epochs: 0, ..rollout }.steps_at(0), 9);
    }

    #[test]
    fn noise_follows_from_seed_and_step_and_has_its_deviation() {
        let zeros = || Tensor::<3>::zeros([20, 30, 3], &Device::default());
        let draw = |seed, step| noisy(zeros(), 0.1, seed, step).try_into_vec_as::<f64>().unwrap();
        let noise = draw(1, 5);
        assert_eq!(noise, draw(1, 5));
        assert_ne!(noise, draw(1, 6));
        let std = (noise.iter().map(|x| x * x).sum::<f64>() / noise.len() as f64).sqrt();
        assert!((std - 0.1).abs() < 0.005, "{std}");
    }
}
