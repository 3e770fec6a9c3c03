//! An encoder and a classifier.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use regard_kernels::adam::AdamRule;
use regard_kernels::pointwise::{Activation, mean_squared_error};
use regard_nn::layer::{Encoder, EncoderConfig, NormPlace};
use regard_nn::mechanism::{MechanismConfig, SoftmaxConfig};
use regard_nn::model::classifier::{Classifier, ClassifyShape, cross_entropy};
use regard_train::RunConfig;
use regard_train::optimizer::{AdamConfig, Optimizer};

use super::{LEARNING_RATE, Work, normal};

/// A whole training step of a post-norm softmax encoder.
pub(super) struct EncoderStep {
    model: Option<Encoder>,
    optimizer: Optimizer,
    input: Tensor<3>,
    target: Tensor<3>,
}

impl EncoderStep {
    pub(super) fn new(shape: [usize; 3], n_heads: usize, d_ff: usize) -> Self {
        let device = Device::default().autodiff();
        device.seed(1);
        let [_, time, d_model] = shape;
        let config = EncoderConfig {
            d_model,
            d_ff,
            n_layers: 4,
            activation: Activation::Gelu,
            norm: NormPlace::Post,
            mechanism: MechanismConfig::Softmax(SoftmaxConfig { n_heads, causal: false }),
            dropout: 0.0,
        };
        let model = Some(config.init(time, &device).expect("the sizes are valid"));
        let config = AdamConfig::new(LEARNING_RATE, 1e-8);
        let (input, target) = (normal(shape, 1, &device), normal(shape, 2, &device));
        Self { model, optimizer: Optimizer::new(config, None), input, target }
    }
}

impl Work for EncoderStep {
    fn run(&mut self) {
        let model = self.model.take().expect("put back after every step");
        let output = model.forward(self.input.clone(), None);
        let grads = mean_squared_error(output, self.target.clone()).backward();
        self.model = Some(self.optimizer.step(model, &grads, LEARNING_RATE));
    }

    fn n_parameters(&self) -> Option<usize> {
        self.model.as_ref().map(Module::num_params)
    }
}

/// An epoch of the preset `uea/NAME`.
pub(super) struct ArchiveEpoch {
    model: Option<Classifier>,
    optimizer: Optimizer,
    batches: Vec<(Tensor<3>, Tensor<1, Int>)>,
}

impl ArchiveEpoch {
    pub(super) fn new(n_series: usize, [time, channels, classes]: [usize; 3]) -> Self {
        let preset = RunConfig::load("uea/UWaveGestureLibrary", &[]).expect("a preset");
        let RunConfig::Classify(config) = preset else { unreachable!("the preset classifies") };
        let device = Device::default().autodiff();
        device.seed(1);
        let shape = ClassifyShape { time, channels, classes, grid: None };
        let adam = AdamConfig { rule: AdamRule::Rectified, ..AdamConfig::new(LEARNING_RATE, 1e-8) };
        let x = normal([n_series, time, channels], 1, &device);
        let batch = config.fit.batch_size;
        let batches = (0..n_series).step_by(batch).map(|first| {
            let n = batch.min(n_series - first);
            #[expect(clippy::cast_possible_wrap, reason = "few classes")]
            let labels: Vec<i64> = (first..first + n).map(|i| (i % classes) as i64).collect();
            let labels = Tensor::from_data(labels.as_slice(), &device);
            (x.clone().narrow(0, first, n), labels)
        });
        Self {
            model: Some(config.model.init(shape, &device).expect("the sizes are valid").train()),
            optimizer: Optimizer::new(adam, config.fit.clip_norm),
            batches: batches.collect(),
        }
    }
}

impl Work for ArchiveEpoch {
    fn run(&mut self) {
        for (x, labels) in &self.batches {
            let model = self.model.take().expect("put back after every step");
            let logits = model.forward(x.clone(), None);
            let grads = cross_entropy(logits, labels.clone(), 0.0, None).backward();
            self.model = Some(self.optimizer.step(model, &grads, LEARNING_RATE));
        }
    }

    fn n_parameters(&self) -> Option<usize> {
        self.model.as_ref().map(Module::num_params)
    }
}
