//! The loss of a classifier, and its scores on a part.

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use regard_nn::model::classifier::{Classifier, ClassifyShape, cross_entropy};

use super::config::{ClassWeights, ClassifyConfig, Select};
use super::data::{Augmentation, Classification, Part};
use crate::descent::{EpochScores, Objective};
use crate::error::TrainError;
use crate::metric::classification::ClassScores;
use crate::precision::{Precision, tensor};

/// Series per batch where nothing is learned: that of the published scores, which matter where a model
/// is asked to use the statistics of the batch.
const SCORE_BATCH: usize = 256;
/// Seed of the device's random stream where nothing is learned.
const SCORE_SEED: u64 = 0;

/// Cross entropy with label smoothing and class weights.
pub(super) struct ClassError<'a> {
    data: &'a Classification,
    config: &'a ClassifyConfig,
    /// Weight of each class.
    weights: Option<Vec<f64>>,
    /// Whether the test part is scored at each epoch, for the table; it chooses nothing.
    follows_test: bool,
}

impl<'a> ClassError<'a> {
    /// # Errors
    /// If the weights given are not one for each class.
    pub(super) fn new(
        data: &'a Classification,
        config: &'a ClassifyConfig,
    ) -> Result<Self, TrainError> {
        let n_classes = data.shape.classes;
        let weights = match &config.fit.class_weights {
            ClassWeights::Equal => None,
            ClassWeights::Balanced => {
                let n = data.train.len() as f64;
                let weight = |&count: &usize| n / (n_classes as f64 * count.max(1) as f64);
                Some(data.info.train.counts.iter().map(weight).collect())
            }
            ClassWeights::Given(weights) if weights.len() == n_classes => Some(weights.clone()),
            ClassWeights::Given(weights) => {
                return Err(TrainError::OutOfRange {
                    key: "fit.class_weights.given",
                    value: format!("{weights:?}"),
                    expected: "one weight for each class of the data",
                });
            }
        };
        Ok(Self { data, config, weights, follows_test: true })
    }

    /// Sizes of the data that a model of it reads.
    pub(super) fn shape(&self) -> ClassifyShape {
        self.data.shape
    }

    /// The same without a look at the test part.
    pub(super) fn without_test(mut self) -> Self {
        self.follows_test = false;
        self
    }
}

impl Objective for ClassError<'_> {
    type Model = Classifier;

    fn n_train(&self) -> usize {
        self.data.train.len()
    }

    fn loss(&self, model: &Classifier, examples: &[usize], _epoch: usize, step: u64) -> Tensor<1> {
        let device = Device::default().autodiff();
        let ClassifyConfig { precision, augment, seed, fit, .. } = self.config;
        let augmentation = Augmentation { config: augment, std: &self.data.std, seed: *seed, step };
        let batch = self.data.train.batch(examples, &device, *precision, Some(&augmentation));
        let logits = model.forward(batch.x, batch.padding);
        let weights = self.weights.as_ref().map(|w| tensor(w, [w.len()], &device, *precision));
        cross_entropy(logits, batch.labels, fit.label_smoothing, weights)
    }

    fn scores(&self, model: &Classifier) -> EpochScores {
        let mut scores = EpochScores::default();
        if self.follows_test {
            let test = score(model, &self.data.test, self.data.shape.classes);
            scores.test_accuracy = Some(test.accuracy);
        }
        if self.data.validation.is_empty() {
            return scores;
        }
        let validation = score(model, &self.data.validation, self.data.shape.classes);
        scores.validation_loss = validation.log_loss;
        scores.validation_accuracy = Some(validation.accuracy);
        scores.criterion = match self.config.fit.select {
            Select::Loss => validation.log_loss,
            Select::Accuracy => Some(1.0 - validation.accuracy),
            Select::Last => None,
        };
        scores
    }
}

/// Scores a model that no longer learns.
pub(super) fn score(model: &Classifier, part: &Part, n_classes: usize) -> ClassScores {
    let probabilities = probabilities(model, part);
    ClassScores::of_probabilities(&probabilities, &part.set.labels, n_classes)
}

/// Probabilities of the classes, one row per series.
pub(super) fn probabilities(model: &Classifier, part: &Part) -> Vec<f64> {
    let (device, precision) = (Device::default(), Precision::of_module(model));
    // A model that uses chance while it is scored gives the same scores again.
    device.seed(SCORE_SEED);
    let indices: Vec<usize> = (0..part.len()).collect();
    let rows = indices.chunks(SCORE_BATCH).flat_map(|chunk| {
        let batch = part.batch(chunk, &device, precision, None);
        let logits = model.forward(batch.x, batch.padding);
        softmax(logits, 1).try_into_vec_as::<f64>().expect("numbers convert to f64")
    });
    rows.collect()
}
