//! The loop of gradient steps, whatever the task.
//!
//! Each epoch visits every training example once, in an order that follows from the seed and the
//! epoch; an epoch's loss is the true mean over its examples. The validation part decides when to stop and
//! which parameters are kept; without one the last are. Before each step the device's random stream is
//! set from seed and step, so dropout needs no saved state: equal configurations give equal bytes,
//! whatever the number of threads, and also if the run was stopped and resumed in between.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::checkpoint::{Checkpoint, Progress};
use crate::error::TrainError;
use crate::model_file::{Parameters, parameters, with_parameters};
use crate::observer::Observer;
use crate::optimizer::{AdamConfig, Optimizer};
use crate::report::EpochRow;
use crate::run_folder::RunFolder;
use crate::schedule::{Position, ScheduleConfig};

/// Seconds between checkpoints inside an epoch; there is one at the end of each epoch as well.
const CHECKPOINT_SECONDS: f64 = 20.0;

/// What is minimised.
pub(crate) trait Objective {
    /// What has parameters.
    type Model: Module;

    /// Number of training examples.
    fn n_train(&self) -> usize;

    /// Mean loss over some training examples; `step` is counted over all epochs, from 0.
    fn loss(&self, model: &Self::Model, examples: &[usize], epoch: usize, step: u64) -> Tensor<1>;

    /// Scores of a model that no longer learns, at the end of an epoch.
    fn scores(&self, model: &Self::Model) -> EpochScores;
}

/// What an epoch is judged by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EpochScores {
    /// Mean loss over the validation part; `None` if there is none.
    pub(crate) validation_loss: Option<f64>,
    /// What chooses among epochs, lower is better; `None` keeps the last one.
    pub(crate) criterion: Option<f64>,
    /// Share of the validation part classified right.
    pub(crate) validation_accuracy: Option<f64>,
    /// Share of the test part classified right; chooses nothing.
    pub(crate) test_accuracy: Option<f64>,
}

/// How the loop runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descent<'a> {
    pub(crate) epochs: usize,
    /// Examples per step.
    pub(crate) batch_size: usize,
    /// Whether the last batch of an epoch is left out if it is smaller than the others.
    pub(crate) drop_last: bool,
    /// Epochs without a better criterion before the loop ends.
    pub(crate) patience: Option<usize>,
    /// Largest norm of the gradient.
    pub(crate) clip_norm: Option<f64>,
    pub(crate) adam: AdamConfig,
    pub(crate) schedule: &'a ScheduleConfig,
    /// Of the order of examples and of dropout.
    pub(crate) seed: u64,
}

impl Descent<'_> {
    /// Steps of one epoch over `n` examples.
    pub(crate) fn batches(&self, n: usize) -> usize {
        if self.drop_last && n >= self.batch_size {
            n / self.batch_size
        } else {
            n.div_ceil(self.batch_size)
        }
    }

    /// Trains `model` (built on an autodiff device) from its checkpoint or from the start; returns it
    /// with the parameters that were kept.
    ///
    /// # Errors
    /// [`TrainError::NonFiniteLoss`], [`TrainError::Interrupted`] after saving a checkpoint, or an
    /// error of the checkpoint file.
    pub(crate) fn run<O: Objective>(
        &self,
        model: O::Model,
        objective: &O,
        folder: &RunFolder,
        observer: &mut dyn Observer,
    ) -> Result<(O::Model, Progress), TrainError> {
        let device = Device::default().autodiff();
        let checkpoint_file = folder.checkpoint();
        let batches = self.batches(objective.n_train());
        let total_steps = (self.epochs * batches) as u64;
        let mut optimizer = Optimizer::new(self.adam, self.clip_norm);
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

        while progress.epoch < self.epochs && !self.out_of_patience(&progress) {
            let order = epoch_order(objective.n_train(), self.seed, progress.epoch);
            let (earlier_epoch, epoch_start) = (progress.epoch_seconds, Instant::now());
            while progress.batch < batches {
                let first = progress.batch * self.batch_size;
                let examples = &order[first..order.len().min(first + self.batch_size)];
                let position = Position {
                    epoch: progress.epoch,
                    epochs: self.epochs,
                    step: progress.steps,
                    steps: total_steps,
                };
                let learning_rate =
                    self.adam.learning_rate * self.schedule.fraction(position, &progress.plateau);

                device.seed(step_seed(self.seed, progress.steps));
                let loss = objective.loss(&model, examples, progress.epoch, progress.steps);
                let value = loss.clone().into_scalar::<f64>();
                check_finite(value, &progress, learning_rate)?;
                let gradients = loss.backward();
                model = optimizer.step(model, &gradients, learning_rate);

                progress.batch += 1;
                progress.steps += 1;
                progress.loss_sum += value * examples.len() as f64;
                progress.n_seen += examples.len();
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
            let scores = objective.scores(&model.valid());
            if let Some(loss) = scores.validation_loss {
                check_finite(loss, &progress, self.adam.learning_rate)?;
                self.schedule.observe(loss, &mut progress.plateau);
            }
            if scores.criterion.is_none_or(|criterion| criterion < progress.best_loss) {
                progress.best_loss = scores.criterion.unwrap_or(progress.best_loss);
                progress.best_epoch = progress.epoch + 1;
                best = parameters(&model);
            }
            let last = Position {
                epoch: progress.epoch,
                epochs: self.epochs,
                step: progress.steps - 1,
                steps: total_steps,
            };
            let row = EpochRow {
                epoch: progress.epoch + 1,
                train_loss: progress.loss_sum / progress.n_seen as f64,
                validation_loss: scores.validation_loss,
                validation_accuracy: scores.validation_accuracy,
                test_accuracy: scores.test_accuracy,
                learning_rate: self.adam.learning_rate
                    * self.schedule.fraction(last, &progress.plateau),
                seconds,
            };
            observer.epoch(&row, self.epochs);
            progress.curve.push(row);
            progress.epoch += 1;
            (progress.batch, progress.loss_sum, progress.n_seen) = (0, 0.0, 0);
            progress.epoch_seconds = 0.0;
            progress.seconds = earlier + start.elapsed().as_secs_f64();
            save(folder, &progress, &model, &best, &optimizer)?;
            saved_at = Instant::now();
        }
        let model = with_parameters(model, best).expect("the parameters came from this model");
        Ok((model, progress))
    }

    fn out_of_patience(&self, progress: &Progress) -> bool {
        self.patience
            .is_some_and(|p| progress.batch == 0 && progress.epoch >= progress.best_epoch + p)
    }
}

/// Seed of the device's random stream at a step, far from those of other seeds and steps.
fn step_seed(seed: u64, step: u64) -> u64 {
    // One round of SplitMix64 over both.
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(step);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn check_finite(loss: f64, at: &Progress, learning_rate: f64) -> Result<(), TrainError> {
    if loss.is_finite() {
        return Ok(());
    }
    let (epoch, step) = (at.epoch + 1, at.steps + 1);
    Err(TrainError::NonFiniteLoss { loss, epoch, step, learning_rate })
}

/// The order of examples in one epoch: a stream of its own for each epoch.
fn epoch_order(n: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch as u64 + 1);
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut rng);
    order
}

fn save<M: Module>(
    folder: &RunFolder,
    progress: &Progress,
    model: &M,
    best: &Parameters,
    optimizer: &Optimizer,
) -> Result<(), TrainError> {
    let mut moments = Parameters::new();
    optimizer.to_host(&mut moments);
    let (model, best) = (parameters(model), best.clone());
    folder.write_metrics(&progress.curve)?;
    Checkpoint { progress: progress.clone(), model, best, moments }.save(&folder.checkpoint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_has_its_own_order_of_all_examples() {
        let (a, b) = (epoch_order(100, 1, 0), epoch_order(100, 1, 1));
        assert_ne!(a, b);
        assert_eq!(a, epoch_order(100, 1, 0));
        let mut sorted = a;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn every_step_has_a_random_stream_of_its_own() {
        let mut seeds: Vec<u64> =
            (0..20).flat_map(|seed| (0..500).map(move |step| step_seed(seed, step))).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 10_000);
    }

    fn descent(patience: Option<usize>, drop_last: bool) -> Descent<'static> {
        Descent {
            epochs: 9,
            batch_size: 4,
            drop_last,
            patience,
            clip_norm: None,
            adam: AdamConfig::new(0.1, 1e-8),
            schedule: &ScheduleConfig::Constant { warmup_steps: 0 },
            seed: 0,
        }
    }

    #[test]
    fn patience_counts_epochs_since_the_best() {
        let descent = descent(Some(3), false);
        let at = |epoch, best_epoch| Progress { epoch, best_epoch, ..Progress::default() };
        assert!(!descent.out_of_patience(&at(0, 0)));
        assert!(!descent.out_of_patience(&at(7, 5)));
        assert!(descent.out_of_patience(&at(8, 5)));
    }

    #[test]
    fn the_last_batch_may_be_left_out_but_not_the_only_one() {
        let batches = |drop_last, n| descent(None, drop_last).batches(n);
        assert_eq!((batches(false, 11), batches(true, 11)), (3, 2));
        assert_eq!((batches(false, 3), batches(true, 3)), (1, 1));
    }
}
