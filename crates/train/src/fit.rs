//! The training loop: gradient descent on the mean squared error of the forecast.
//!
//! Each epoch visits every training window once, in an order that follows from the seed and the
//! epoch; the epoch's losses are true means over windows. The validation loss decides when to stop
//! and which parameters are kept. Equal configurations give equal bytes, whatever the number of
//! threads, and also if the run was stopped and resumed in between.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use regard_kernels::pointwise::mean_squared_error;
use regard_nn::model::Model;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, Progress};
use crate::error::TrainError;
use crate::forecasting::{Forecasting, Part};
use crate::model_file::{Parameters, parameters, with_parameters};
use crate::observer::Observer;
use crate::optimizer::{Optimizer, OptimizerConfig};
use crate::precision::Precision;
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
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// The learning rate over time.
    pub schedule: ScheduleConfig,
}

impl Default for FitConfig {
    fn default() -> Self {
        Self {
            epochs: 50,
            batch_size: 64,
            patience: None,
            clip_norm: None,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
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
            let loss = mean_squared_error(model.forward(input), target);
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
        let validation_loss = mean_loss(&model.valid(), &data.validation);
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
    let model = with_parameters(model, best).expect("the parameters came from this model").valid();
    Ok(Fitted { model, progress })
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

/// Mean squared error over all windows of a part, in normalised units.
pub(crate) fn mean_loss(model: &Model, part: &Part) -> f64 {
    let (device, precision) = (Device::default(), Precision::of_module(model));
    let indices: Vec<usize> = (0..part.windows.len()).collect();
    let mut sum = 0.0;
    for chunk in indices.chunks(SCORE_BATCH) {
        let [input, target] = part.batch(chunk, &device, precision);
        let loss = mean_squared_error(model.forward(input), target).into_scalar::<f64>();
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
    fn patience_counts_epochs_since_the_best() {
        let config = FitConfig { patience: Some(3), ..FitConfig::default() };
        let at = |epoch, best_epoch| Progress { epoch, best_epoch, ..Progress::default() };
        assert!(!out_of_patience(&at(0, 0), &config));
        assert!(!out_of_patience(&at(7, 5), &config));
        assert!(out_of_patience(&at(8, 5), &config));
    }
}
