//! Sizes, causality, streaming and trainability of language models.

use burn::module::{ModuleVisitor, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::TensorData;
use burn::tensor::activation::log_softmax;
use regard_kernels::testing::{assert_close, double};

use super::*;
use crate::mechanism::{LarnnConfig, certify};
use crate::model::classifier::cross_entropy;

const SHAPE: LanguageShape = LanguageShape { vocabulary: 11, window: 5 };

/// Every mixer, in either block, with and without position and convolution.
fn configs() -> Vec<LanguageModelConfig> {
    let heads = || HeadsConfig { n_heads: 3 };
    let log = |values| MixerConfig::Log(LogMixerConfig { n_heads: 3, values });
    let larnn = LarnnConfig { window: 3, n_layers: 2, ..LarnnConfig::new(2) };
    let mixers = [
        log(ValueForm::Log),
        log(ValueForm::Linear),
        MixerConfig::Softmax(heads()),
        MixerConfig::Linear(heads()),
        MixerConfig::Easy(heads()),
        MixerConfig::Lstm {},
        MixerConfig::Larnn(larnn),
    ];
    let blocks = [
        (LanguageBlockConfig::Glu {}, LanguagePosition::Recurrence, 0),
        (LanguageBlockConfig::Mlp { d_ff: 7 }, LanguagePosition::None, 3),
    ];
    let of = |mixer: &MixerConfig| {
        blocks.clone().map(|(block, position, convolution)| LanguageModelConfig {
            kind: LanguageModelKind::LanguageModel,
            d_model: 6,
            n_layers: 2,
            mixer: mixer.clone(),
            block,
            position,
            convolution,
        })
    };
    mixers.iter().flat_map(of).collect()
}

fn model(config: &LanguageModelConfig) -> LanguageModel {
    double(config.init(SHAPE, &Device::default()).unwrap())
}

/// `[2, time]`, other tokens for another seed.
fn tokens(time: usize, seed: i64) -> Tensor<2, Int> {
    let tokens: Vec<i64> = (0..).map(|i| (i * i * 7 + i * seed + 3) % 11).take(2 * time).collect();
    Tensor::from_data(TensorData::new(tokens, [2, time]), &Device::default())
}

#[test]
fn the_paper_s_model_has_its_number_of_parameters_and_its_share_of_decay() {
    let shape = LanguageShape { vocabulary: 50_304, window: 1024 };
    let count = LanguageModelConfig::paper().n_parameters(shape);
    assert_eq!(count.total(), 124_879_872);
    assert_eq!((count.matrices, count.vectors), (124_747_776, 132_096));
}

#[test]
#[ignore = "half a gigabyte of parameters, and some seconds"]
fn the_paper_s_model_runs_at_full_size() {
    let shape = LanguageShape { vocabulary: 50_304, window: 1024 };
    let device = Device::default();
    let model = LanguageModelConfig::paper().init(shape, &device).unwrap();
    assert_eq!(model.num_params(), 124_879_872);
    let x: Vec<i64> = (0..64).map(|i| (i * 7919) % 50_304).collect();
    let x = Tensor::<2, Int>::from_data(TensorData::new(x, [1, 64]), &device);
    let logits = model.forward(x);
    assert_eq!(logits.dims(), [1, 64, 50_304]);
    let loss = -log_softmax(logits, 2).mean().into_scalar::<f32>();
    // Untrained: no token is much likelier than others.
    assert!((loss - 50_304.0_f32.ln()).abs() < 0.5, "{loss}");
}

#[test]
fn formulas_count_the_module_s_parameters() {
    #[derive(Default)]
    struct Count(ParameterCount, Vec<String>);
    impl ModuleVisitor for Count {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.1.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.1.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let n = param.val().dims().iter().product();
            let is_in = |names: &[&str]| self.1.iter().any(|name| names.contains(&name.as_str()));
            let (matrices, vectors) = if is_in(&["running"]) {
                (0, 0) // statistics of a norm are not trained
            } else if D == 1 || is_in(&["gamma", "beta"]) {
                (0, n)
            } else {
                (n, 0)
            };
            self.0 = self.0.plus(ParameterCount { matrices, vectors });
        }
    }
    for config in configs() {
        let mut count = Count::default();
        config.init(SHAPE, &Device::default()).unwrap().visit(&mut count);
        assert_eq!(count.0, config.n_parameters(SHAPE), "{config:?}");
    }
}

#[test]
fn steps_equal_the_whole_sequence_also_beyond_the_window() {
    for config in configs() {
        let certificate = certify(&model(&config), tokens(9, 1));
        assert!(certificate.holds(), "{config:?}: {certificate:?}");
    }
}

#[test]
fn a_later_token_changes_no_earlier_logit() {
    for config in configs() {
        let model = model(&config);
        let changed = Tensor::cat(vec![tokens(7, 1).narrow(1, 0, 4), tokens(3, 5)], 1);
        let [a, b] = [tokens(7, 1), changed].map(|tokens| model.forward(tokens).narrow(1, 0, 4));
        // The largest key of a chunk is taken out of all exponentials, and cancels.
        assert_close(&a, &b, 1e-13);
    }
}

#[test]
fn models_of_every_mixer_learn_a_text_by_heart() {
    let (tokens, targets) = (tokens(7, 1), tokens(7, 4));
    let labels = targets.reshape([14]);
    for config in configs() {
        // Norms over a batch of two sequences alike would hide what they differ in.
        if matches!(config.mixer, MixerConfig::Larnn(_)) {
            continue;
        }
        let mut model = model(&config).train();
        let device = Device::default().autodiff();
        let mut optimizer = AdamConfig::new().init();
        let mut losses = Vec::new();
        for _ in 0..60 {
            let tokens = Tensor::<2, Int>::from_data(tokens.to_data(), &device);
            let labels = Tensor::<1, Int>::from_data(labels.to_data(), &device);
            let logits = model.forward(tokens).reshape([14, 11]);
            let loss = cross_entropy(logits, labels, 0.0, None);
            losses.push(loss.clone().into_scalar::<f64>());
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(3e-2, model, gradients);
        }
        assert!(losses[59] < 0.2 * losses[0], "{config:?}: {} to {}", losses[0], losses[59]);
    }
}

#[test]
fn a_configuration_survives_being_written_and_read_and_refuses_other_keys() {
    for config in configs() {
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<LanguageModelConfig>(&text).unwrap(), config, "{text}");
    }
    let wrong = r#"{"kind":"language-model","d_model":6,"n_layers":1,"mixer":{"kind":"log","n_heads":2,"d":1}}"#;
    let error = serde_json::from_str::<LanguageModelConfig>(wrong).unwrap_err().to_string();
    assert!(error.contains("unknown field `d`"), "{error}");
    let mixer = MixerConfig::Softmax(HeadsConfig { n_heads: 4 });
    let odd = LanguageModelConfig { mixer, ..configs().remove(0) };
    assert_eq!(
        odd.init(SHAPE, &Device::default()).unwrap_err().to_string(),
        "d_model = 6 is not a multiple of n_heads = 4"
    );
}
