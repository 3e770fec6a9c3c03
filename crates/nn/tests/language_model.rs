//! The language model against the one released with its paper, run in f64: see `golden/README.md`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, FloatDType, Gradients, Int, Tensor, TensorData};
use regard_kernels::adam::{AdamRule, AdamState, AdamStep, adam};
use regard_kernels::testing::{assert_close, from_f64, golden, to_f64};
use regard_nn::mechanism::Recurrent;
use regard_nn::model::classifier::cross_entropy;
use regard_nn::model::language_model::{
    LanguageBlockConfig, LanguageModel, LanguageModelConfig, LanguageModelKind, LanguagePosition,
    LanguageShape, LogMixerConfig, MixerConfig,
};

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/log-attention/language_model_2layers_vocab61.safetensors")
}

/// Numbers by the path of their parameter.
type Values = BTreeMap<String, Vec<f64>>;

/// What a parameter is called in the file, and whether it stands there transposed.
fn stored_name(ours: &str) -> (String, bool) {
    let name = match ours {
        "embedding" => "embed.weight".to_owned(),
        "norm.gamma" => "lnorm.weight".to_owned(),
        "norm.beta" => "lnorm.bias".to_owned(),
        _ => ours
            .replace("position.dense", "embed_pos.dense")
            .replace("blocks.", "layers.")
            .replace("norm.gamma", "feedforward1.0.weight")
            .replace("norm.beta", "feedforward1.0.bias")
            .replace("mixer.Attention.projection", "feedforward1.1")
            .replace("maps.Glu.expand", "feedforward2.0")
            .replace("maps.Glu.contract", "feedforward2.2.weight"),
    };
    (name, ours != "embedding")
}

/// A parameter, its gradient or its trained value in the file, as we lay it out.
fn stored<const D: usize>(prefix: &str, ours: &str, end: &str) -> Tensor<D> {
    let (name, transposed) = stored_name(ours);
    let value = golden::<D>(&file(), &format!("{prefix}.{name}{end}"));
    if D == 2 && transposed { value.transpose() } else { value }
}

/// Walks over a model: puts the stored parameters in, and collects what it is asked for.
struct Walk<'a> {
    path: Vec<String>,
    prefix: &'a str,
    end: &'a str,
    gradients: Option<&'a Gradients>,
    found: Values,
    expected: Values,
}

impl Walk<'_> {
    fn new<'a>(prefix: &'a str, end: &'a str, gradients: Option<&'a Gradients>) -> Walk<'a> {
        let (path, found, expected) = (Vec::new(), Values::new(), Values::new());
        Walk { path, prefix, end, gradients, found, expected }
    }

    /// Asserts that everything found is as expected, within a share of its largest entry.
    fn assert_near(&self, tolerance: f64) {
        assert_eq!(self.found.len(), 19);
        for (name, expected) in &self.expected {
            let largest = expected.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
            let pairs = self.found[name].iter().zip(expected);
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0_f64, f64::max);
            assert!(worst <= tolerance * largest, "{name}: off by {worst} of {largest}");
        }
    }
}

impl ModuleMapper for Walk<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let value = stored::<D>(self.prefix, &self.path.join("."), self.end);
        assert_eq!(value.dims(), param.val().dims(), "{}", self.path.join("."));
        param.map(|_| value)
    }
}

impl ModuleVisitor for Walk<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        let value = match self.gradients {
            None => param.val(),
            Some(gradients) => param.val().grad(gradients).unwrap(),
        };
        let expected = stored::<D>(self.prefix, &name, self.end);
        self.expected.insert(name.clone(), to_f64(&expected));
        self.found.insert(name, to_f64(&value));
    }
}

/// The model of the file on a device without automatic differentiation.
fn model(dtype: FloatDType) -> LanguageModel {
    struct Cast(FloatDType);
    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|x| x.cast(self.0))
        }
    }
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
    let model = config.init(shape, &Device::default()).unwrap();
    model.map(&mut Walk::new("weight", "", None)).map(&mut Cast(dtype))
}

/// Whole numbers of the file.
fn integers(name: &str) -> Vec<i64> {
    let bytes = std::fs::read(file()).unwrap();
    let n = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + n]).unwrap();
    let at = |i: usize| {
        usize::try_from(header[name]["data_offsets"][i].as_u64().unwrap()).unwrap() + 8 + n
    };
    bytes[at(0)..at(1)].as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect()
}

fn tokens<const D: usize>(values: Vec<i64>, shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::I64))
}

fn loss(model: &LanguageModel, device: &Device) -> Tensor<1> {
    let logits = model.forward(tokens(integers("token_ids"), [2, 24], device)).reshape([48, 61]);
    cross_entropy(logits, tokens(integers("target_ids"), [48], device), 0.0, None)
}

#[test]
fn logits_loss_and_gradients_equal_those_of_the_released_model() {
    let device = Device::default();
    for (dtype, tolerance) in [(FloatDType::F64, 1e-11), (FloatDType::F32, 2e-5)] {
        let model = model(dtype);
        let logits = model.forward(tokens(integers("token_ids"), [2, 24], &device));
        assert_close(&logits.cast(FloatDType::F64), &golden(&file(), "logits_f64"), tolerance);

        let model = model.train();
        let loss = loss(&model, &device.clone().autodiff());
        let value = from_f64(vec![loss.clone().into_scalar::<f64>()], [1]);
        assert_close(&value, &golden(&file(), "loss_f64"), tolerance / 20.0);
        let gradients = loss.backward();
        let mut walk = Walk::new("grad_weight", "_f64", Some(&gradients));
        model.visit(&mut walk);
        walk.assert_near(tolerance);
    }
}

#[test]
fn the_stream_gives_the_logits_and_the_most_probable_text_of_the_released_model() {
    let device = Device::default();
    let model = model(FloatDType::F64);
    let sequences = tokens(integers("token_ids"), [2, 24], &device);
    let expected = golden::<3>(&file(), "logits_streamed_f64");
    let mut state = None;
    for t in 0..24 {
        let (logits, next) = model.step(sequences.clone().narrow(1, t, 1), state);
        assert_close(&logits, &expected.clone().narrow(1, t, 1), 1e-11);
        state = Some(next);
    }
    let (mut text, expected) = (integers("prompt_ids"), integers("greedy_ids"));
    let (n_prompt, mut state, mut at) = (text.len(), None, 0);
    while text.len() < n_prompt + expected.len() {
        let (logits, next) = model.step(tokens(vec![text[at]], [1, 1], &device), state);
        (state, at) = (Some(next), at + 1);
        if at == text.len() {
            text.push(logits.argmax(2).into_data().iter::<i64>().next().unwrap());
        }
    }
    assert_eq!(text[n_prompt..], expected);
}

#[test]
fn steps_of_adam_with_decay_of_matrices_go_the_way_of_the_reference() {
    struct Apply<'a> {
        path: Vec<String>,
        moments: BTreeMap<String, [Tensor<1>; 2]>,
        gradients: Option<&'a Gradients>,
        step: u64,
    }
    impl ModuleMapper for Apply<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, value, mapper) = param.consume();
            let grad = value.grad(self.gradients.unwrap()).unwrap();
            let shape = value.dims();
            let n: usize = shape.iter().product();
            let param = value.inner().reshape([n]);
            let zeros = param.zeros_like();
            let name = self.path.join(".");
            let [mean, square] = self.moments.remove(&name).unwrap_or([zeros.clone(), zeros]);
            let step = AdamStep {
                rule: AdamRule::Plain,
                learning_rate: 1e-3,
                beta_1: 0.9,
                beta_2: 0.95,
                eps: 1e-8,
                weight_decay: if D > 1 { 0.1 } else { 0.0 },
                l2: 0.0,
                step: self.step,
                grad_scale: 1.0,
            };
            let state = adam(AdamState { param, mean, square }, grad.reshape([n]), &step);
            self.moments.insert(name, [state.mean, state.square]);
            let value = Tensor::from_inner(state.param.reshape(shape)).require_grad();
            Param::from_mapped_value(id, value, mapper)
        }
    }
    let device = Device::default().autodiff();
    let mut model = model(FloatDType::F64).train();
    let mut moments = BTreeMap::new();
    let mut trace = Vec::new();
    for step in 1..=8 {
        let loss = loss(&model, &device);
        trace.push(loss.clone().into_scalar::<f64>());
        let gradients = loss.backward();
        let path = Vec::new();
        let mut apply = Apply { path, moments, gradients: Some(&gradients), step };
        model = model.map(&mut apply);
        moments = apply.moments;
    }
    assert_close(&from_f64(trace, [8]), &golden(&file(), "adamw_loss_trace_f64"), 1e-9);
    let mut walk = Walk::new("weight_after_adamw", "_f64", None);
    model.valid().visit(&mut walk);
    walk.assert_near(1e-7);
}
