//! The training loop: gradient descent on the mean squared error of the forecast.
//!
//! Each epoch visits every training window once, in an order that follows from the seed and the
//! epoch; the epoch's losses are true means over windows. The validation loss decides when to stop
//! and which parameters are kept. Equal configurations give equal bytes, whatever the number of
//! threads, and also if the run was stopped and resumed in between.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use regard_kernels::pointwise::mean_squared_error;
use regard_nn::model::Model;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, Progress};
use crate::error::TrainError;
use crate::forecasting::{Forecasting, Part};
use crate::lbfgs::minimize;
use crate::model_file::{Array, Parameters, gradients, parameters, with_parameters};
use crate::observer::Observer;
use crate::optimizer::{Optimizer, OptimizerConfig};
use crate::precision::{Precision, tensor};
use crate::report::EpochRow;
use crate::run_folder::RunFolder;
use crate::schedule::{Position, ScheduleConfig};

/// Seconds between checkpoints inside an epoch; there is one at the end of each epoch as well.
const CHECKPOINT_SECONDS: f64 = 20.0;
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
/// [`TrainError::NonFiniteLoss`], [`TrainError::Interrupted`] after saving a checkpoint, or an
/// error of the checkpoint file.
pub(crate) fn fit(
    model: Model,
    data: &Forecasting,
    config: &FitConfig,
    seed: u64,
    folder: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<Fitted, TrainError> {
    let device = Device::default().autodiff();
    let checkpoint_file = folder.checkpoint();
    let batches = data.train.windows.len().div_ceil(config.batch_size);
    let total_steps = (config.epochs * batches) as u64;
    let adam = config.optimizer.adam().ok_or(TrainError::NotLinear { found: "another model" })?;
    let precision = Precision::of_module(&model);
    let mut optimizer = Optimizer::new(adam, config.clip_norm);
    let mut progress = Progress::default();
    let mut model = model;
    let mut best = parameters(&model);
    if let Some(mut saved) = Checkpoint::load(&checkpoint_file)? {
        let error = |problem| TrainError::ModelFile { file: checkpoint_file.clone(), problem };
        model = with_parameters(model, saved.model).map_err(error)?;
        optimizer.load_host(&mut saved.moments, &device.clone().without_autodiff());
        optimizer.steps = saved.progress.steps;
        (progress, best) = (saved.progress, saved.best);
    }
    let (earlier, start) = (progress.seconds, Instant::now());
    let mut saved_at = Instant::now();

    while progress.epoch < config.epochs && !out_of_patience(&progress, config) {
        let order = epoch_order(data.train.windows.len(), seed, progress.epoch);
        let (earlier_epoch, epoch_start) = (progress.epoch_seconds, Instant::now());
        while progress.batch < batches {
            let first = progress.batch * config.batch_size;
            let indices = &order[first..order.len().min(first + config.batch_size)];
            let position = Position {
                epoch: progress.epoch,
                epochs: config.epochs,
                step: progress.steps,
                steps: total_steps,
            };
            let learning_rate =
                adam.learning_rate * config.schedule.fraction(position, &progress.plateau);

            let [input, target] = data.train.batch(indices, &device, precision);
            let input = noisy(input, config.input_noise, seed, progress.steps);
            let steps = config.rollout.steps_at(progress.epoch);
            let loss = rollout_loss(&model, input, target, steps, config.rollout.gradient_steps);
            let value = loss.clone().into_scalar::<f64>();
            check_finite(value, &progress, learning_rate)?;
            let gradients = loss.backward();
            model = optimizer.step(model, &gradients, learning_rate);

            progress.batch += 1;
            progress.steps += 1;
            progress.loss_sum += value * indices.len() as f64;
            progress.n_seen += indices.len();
            observer.advance(progress.steps, Some(value));
            let stop = observer.stop();
            if stop || saved_at.elapsed().as_secs_f64() > CHECKPOINT_SECONDS {
                progress.seconds = earlier + start.elapsed().as_secs_f64();
                progress.epoch_seconds = earlier_epoch + epoch_start.elapsed().as_secs_f64();
                save(folder, &progress, &model, &best, &optimizer)?;
                saved_at = Instant::now();
            }
            if stop {
                return Err(TrainError::Interrupted { folder: folder.path().to_owned() });
            }
        }
        let seconds = earlier_epoch + epoch_start.elapsed().as_secs_f64();
        let validation_loss = mean_loss(&model.valid(), &data.validation, config.rollout.steps);
        check_finite(validation_loss, &progress, adam.learning_rate)?;
        if validation_loss < progress.best_loss {
            progress.best_loss = validation_loss;
            progress.best_epoch = progress.epoch + 1;
            best = parameters(&model);
        }
        config.schedule.observe(validation_loss, &mut progress.plateau);
        let last = Position {
            epoch: progress.epoch,
            epochs: config.epochs,
            step: progress.steps - 1,
            steps: total_steps,
        };
        let row = EpochRow {
            epoch: progress.epoch + 1,
            train_loss: progress.loss_sum / progress.n_seen as f64,
            validation_loss: Some(validation_loss),
            learning_rate: adam.learning_rate * config.schedule.fraction(last, &progress.plateau),
            seconds,
        };
        observer.epoch(&row, config.epochs);
        progress.curve.push(row);
        progress.epoch += 1;
        (progress.batch, progress.loss_sum, progress.n_seen) = (0, 0.0, 0);
        progress.epoch_seconds = 0.0;
        progress.seconds = earlier + start.elapsed().as_secs_f64();
        save(folder, &progress, &model, &best, &optimizer)?;
        saved_at = Instant::now();
    }
    let model = with_parameters(model, best).expect("the parameters came from this model");
    let model = match config.finish {
        None => model,
        Some(finish) => finished(model, data, config, finish, &mut progress, folder, observer)?,
    };
    Ok(Fitted { model: model.valid(), progress })
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

fn check_finite(loss: f64, at: &Progress, learning_rate: f64) -> Result<(), TrainError> {
    if loss.is_finite() {
        return Ok(());
    }
    let (epoch, step) = (at.epoch + 1, at.steps + 1);
    Err(TrainError::NonFiniteLoss { loss, epoch, step, learning_rate })
}

fn out_of_patience(progress: &Progress, config: &FitConfig) -> bool {
    config
        .patience
        .is_some_and(|p| progress.batch == 0 && progress.epoch >= progress.best_epoch + p)
}

/// The order of windows in one epoch: a stream of its own for each epoch.
fn epoch_order(n: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch as u64 + 1);
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut rng);
    order
}

fn save(
    folder: &RunFolder,
    progress: &Progress,
    model: &Model,
    best: &Parameters,
    optimizer: &Optimizer,
) -> Result<(), TrainError> {
    let mut moments = Parameters::new();
    optimizer.to_host(&mut moments);
    let (model, best) = (parameters(model), best.clone());
    folder.write_metrics(&progress.curve)?;
    Checkpoint { progress: progress.clone(), model, best, moments }.save(&folder.checkpoint())
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
    fn every_epoch_has_its_own_order_of_all_windows() {
        let (a, b) = (epoch_order(100, 1, 0), epoch_order(100, 1, 1));
        assert_ne!(a, b);
        assert_eq!(a, epoch_order(100, 1, 0));
        let mut sorted = a;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

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

    #[test]
    fn patience_counts_epochs_since_the_best() {
        let config = FitConfig { patience: Some(3), ..FitConfig::default() };
        let at = |epoch, best_epoch| Progress { epoch, best_epoch, ..Progress::default() };
        assert!(!out_of_patience(&at(0, 0), &config));
        assert!(!out_of_patience(&at(7, 5), &config));
        assert!(out_of_patience(&at(8, 5), &config));
    }
}
