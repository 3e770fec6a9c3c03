//! Against the language model released with the paper, run in f64: see `nn/tests/golden/README.md`.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Int, Tensor};
use regard_kernels::testing::{assert_close, from_f64, golden};
use regard_nn::model::classifier::cross_entropy;
use regard_nn::model::language_model::{
    LanguageBlockConfig, LanguageModel, LanguageModelConfig, LanguageModelKind, LanguagePosition,
    LanguageShape, LogMixerConfig, MixerConfig,
};

use crate::model_file::{Array, Parameters, gradients, parameters, with_parameters};
use crate::optimizer::{Decay, Optimizer, OptimizerConfig};
use crate::precision::Precision;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../nn/tests/golden/log-attention/language_model_2layers_vocab61.safetensors")
}

/// Our name, the name in the file, and whether the matrix stands there transposed.
const NAMES: [(&str, &str, bool); 18] = [
    ("embedding", "embed.weight", false),
    ("position.dense.weight", "embed_pos.dense.weight", true),
    ("position.dense.bias", "embed_pos.dense.bias", false),
    ("blocks.0.norm.gamma", "layers.0.feedforward1.0.weight", false),
    ("blocks.0.norm.beta", "layers.0.feedforward1.0.bias", false),
    ("blocks.0.mixer.Attention.projection.weight", "layers.0.feedforward1.1.weight", true),
    ("blocks.0.mixer.Attention.projection.bias", "layers.0.feedforward1.1.bias", false),
    ("blocks.0.maps.Glu.expand.weight", "layers.0.feedforward2.0.weight", true),
    ("blocks.0.maps.Glu.expand.bias", "layers.0.feedforward2.0.bias", false),
    ("blocks.0.maps.Glu.contract", "layers.0.feedforward2.2.weight", true),
    ("blocks.1.norm.gamma", "layers.1.feedforward1.0.weight", false),
    ("blocks.1.norm.beta", "layers.1.feedforward1.0.bias", false),
    ("blocks.1.mixer.Attention.projection.weight", "layers.1.feedforward1.1.weight", true),
    ("blocks.1.mixer.Attention.projection.bias", "layers.1.feedforward1.1.bias", false),
    ("blocks.1.maps.Glu.expand.weight", "layers.1.feedforward2.0.weight", true),
    ("blocks.1.maps.Glu.expand.bias", "layers.1.feedforward2.0.bias", false),
    ("blocks.1.maps.Glu.contract", "layers.1.feedforward2.2.weight", true),
    ("norm.gamma", "lnorm.weight", false),
];

/// One parameter, gradient or trained parameter of the file, in our layout.
fn stored(prefix: &str, name: &str, transposed: bool, end: &str) -> Array {
    let name = format!("{prefix}.{name}{end}");
    if transposed || name.contains("embed.weight") {
        let matrix = golden::<2>(&file(), &name);
        let matrix = if transposed { matrix.transpose() } else { matrix };
        return Array::new(matrix.to_data());
    }
    Array::new(golden::<1>(&file(), &name).to_data())
}

/// All of them.
fn all(prefix: &str, end: &str) -> Parameters {
    let last = ("norm.beta", "lnorm.bias", false);
    NAMES
        .into_iter()
        .chain([last])
        .map(|(ours, theirs, transposed)| {
            (ours.to_owned(), stored(prefix, theirs, transposed, end))
        })
        .collect()
}

fn model(precision: Precision, device: &Device) -> LanguageModel {
    let config = LanguageModelConfig {
        kind: LanguageModelKind::LanguageModel,
        d_model: 32,
        n_layers: 2,
        mixer: MixerConfig::Log(LogMixerConfig::new(4)),
        block: LanguageBlockConfig::Glu {},
        position: LanguagePosition::Recurrence,
        convolution: 0,
    };
    let shape = LanguageShape { vocabulary: 61, window: 24 };
    assert_eq!(config.n_parameters(shape).total(), 16_864);
    let model = config.init(shape, device).unwrap();
    precision.cast(with_parameters(model, all("weight", "")).unwrap())
}

/// Whole numbers of the file.
fn integers<const D: usize>(name: &str, device: &Device) -> Tensor<D, Int> {
    let bytes = std::fs::read(file()).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let view = tensors.tensor(name).unwrap();
    let values: Vec<i64> =
        view.data().as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect();
    let shape: [usize; D] = view.shape().try_into().unwrap();
    Tensor::from_data(burn::tensor::TensorData::new(values, shape), (device, DType::I64))
}

fn loss(model: &LanguageModel, device: &Device) -> Tensor<1> {
    let logits = model.forward(integers("token_ids", device)).reshape([48, 61]);
    cross_entropy(logits, integers::<2>("target_ids", device).reshape([48]), 0.0, None)
}

/// Two sets of arrays, each within a share of its largest entry.
fn assert_near(found: &Parameters, expected: &Parameters, tolerance: f64) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, expected) in expected {
        let largest = expected.values.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
        let errors = found[name].values.iter().zip(&expected.values).map(|(a, b)| (a - b).abs());
        let worst = errors.fold(0.0_f64, f64::max);
        assert!(worst <= tolerance * largest, "{name}: off by {worst} of {largest}");
    }
}

#[test]
fn logits_loss_and_gradients_equal_those_of_the_released_model() {
    let expected = golden::<3>(&file(), "logits_f64");
    let device = Device::default();
    for (precision, tolerance) in [(Precision::F64, 1e-11), (Precision::F32, 2e-5)] {
        let logits = model(precision, &device).forward(integers("token_ids", &device));
        let logits = logits.cast(burn::tensor::FloatDType::F64);
        assert_close(&logits, &expected, tolerance);

        let tracked = device.clone().autodiff();
        let model = model(precision, &tracked);
        let loss = loss(&model, &tracked);
        let value = from_f64(vec![loss.clone().into_scalar::<f64>()], [1]);
        assert_close(&value, &golden::<1>(&file(), "loss_f64"), tolerance / 20.0);
        let found = gradients(&model, &loss.backward());
        assert_near(&found, &all("grad_weight", "_f64"), tolerance);
    }
}

#[test]
fn the_stream_gives_the_logits_and_the_most_probable_text_of_the_released_model() {
    let device = Device::default();
    let model = model(Precision::F64, &device);
    let tokens = integers::<2>("token_ids", &device);
    let expected = golden::<3>(&file(), "logits_streamed_f64");
    let mut state = None;
    for t in 0..24 {
        let (logits, next) = model.step(tokens.clone().narrow(1, t, 1), state);
        assert_close(&logits, &expected.clone().narrow(1, t, 1), 1e-11);
        state = Some(next);
    }
    let prompt = integers::<2>("prompt_ids", &device);
    let [_, n_prompt] = prompt.dims();
    let expected: Vec<i64> =
        integers::<2>("greedy_ids", &device).into_data().iter::<i64>().collect();
    let mut text: Vec<i64> = prompt.into_data().iter::<i64>().collect();
    let (mut state, mut at) = (None, 0);
    while text.len() < n_prompt + expected.len() {
        let token = Tensor::from_data([[text[at]]], (&device, DType::I64));
        let (logits, next) = model.step(token, state);
        (state, at) = (Some(next), at + 1);
        if at == text.len() {
            text.push(logits.argmax(2).into_data().iter::<i64>().next().unwrap());
        }
    }
    assert_eq!(text[n_prompt..], expected);
}

#[test]
fn steps_of_adam_with_decay_of_matrices_go_the_way_of_the_reference() {
    let device = Device::default().autodiff();
    let mut model = model(Precision::F64, &device);
    let config = OptimizerConfig::AdamW {
        learning_rate: 1e-3,
        eps: 1e-8,
        weight_decay: 0.1,
        beta_2: 0.95,
        decay: Decay::Matrices,
    };
    let mut optimizer = Optimizer::new(config.adam().unwrap(), None);
    let mut trace = Vec::new();
    for _ in 0..8 {
        let loss = loss(&model, &device);
        trace.push(loss.clone().into_scalar::<f64>());
        model = optimizer.step(model, &loss.backward(), 1e-3);
    }
    assert_close(&from_f64(trace, [8]), &golden::<1>(&file(), "adamw_loss_trace_f64"), 1e-9);
    let found = parameters(&model);
    assert_near(&found, &all("weight_after_adamw", "_f64"), 1e-7);
}
