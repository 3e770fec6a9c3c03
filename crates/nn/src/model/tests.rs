//! Sizes, costs and trainability of whole models.

use super::*;
use crate::mechanism::{AlphaInit, EasyConfig, EasyForm, MechanismConfig, SoftmaxConfig};
use burn::optim::{AdamConfig, GradientsParams};
use regard_kernels::pointwise::mean_squared_error;
use regard_kernels::testing::{double, normal};

fn easy(n_heads: usize, form: EasyForm) -> MechanismConfig {
    MechanismConfig::Easy(EasyConfig { n_heads, form, init: AlphaInit::Stacked })
}

fn softmax(n_heads: usize) -> MechanismConfig {
    MechanismConfig::Softmax(SoftmaxConfig { n_heads, causal: false })
}

fn forecaster(d_model: usize, n_layers: usize, mechanism: MechanismConfig) -> ModelConfig {
    let (d_ff, readout) = (2 * d_model, Readout::Direct);
    ModelConfig::Forecaster(ForecasterConfig { d_model, d_ff, n_layers, readout, mechanism })
}

fn lstm(d_hidden: usize, n_layers: usize) -> ModelConfig {
    ModelConfig::Lstm(LstmConfig { d_hidden, n_layers, readout: Readout::Direct })
}

/// The flow past two plates of Solera-Rico et al. 2024.
const PLATES: ForecastShape = ForecastShape { window: 64, horizon: 1, channels: 2 };
/// The wake of a square cylinder of Wang et al. 2024.
const WAKE: ForecastShape = ForecastShape { window: 128, horizon: 1, channels: 10 };

#[test]
fn parameters_equal_those_in_the_released_files() {
    // Counted in the files, except the last: that one is the formula, its file is not readable.
    let released = [
        (forecaster(64, 4, easy(4, EasyForm::Right)), PLATES, 157_955),
        (forecaster(64, 4, easy(4, EasyForm::Left)), PLATES, 157_955),
        (forecaster(64, 4, softmax(4)), PLATES, 142_595),
        (lstm(128, 4), PLATES, 464_130),
        (forecaster(128, 4, easy(8, EasyForm::Right)), WAKE, 891_403),
        (forecaster(128, 4, easy(8, EasyForm::Left)), WAKE, 891_403),
        (forecaster(128, 4, softmax(8)), WAKE, 565_771),
        (lstm(256, 4), WAKE, 1_856_010),
    ];
    for (config, shape, expected) in released {
        assert_eq!(config.n_parameters(shape), expected, "formula, {config:?}");
        let model = config.init(shape, &[], &Device::default()).unwrap();
        assert_eq!(model.num_params(), expected, "module, {config:?}");
    }
}

#[test]
fn formulas_hold_where_no_two_sizes_are_equal() {
    let shape = ForecastShape { window: 5, horizon: 3, channels: 2 };
    let configs = [
        forecaster(14, 2, easy(7, EasyForm::Right)),
        forecaster(14, 2, easy(7, EasyForm::Left)),
        forecaster(14, 2, softmax(7)),
        lstm(11, 2),
    ];
    for config in configs {
        let model = config.init(shape, &[], &Device::default()).unwrap();
        assert_eq!(model.num_params(), config.n_parameters(shape), "{config:?}");
        assert_eq!(model.forward(Tensor::zeros([7, 5, 2], &Device::default())).dims(), [7, 3, 2]);
    }
}

#[test]
fn easy_attention_takes_six_tenths_of_the_multiply_adds() {
    for (d_model, n_heads, shape, ratio) in [(64, 4, PLATES, 0.619), (128, 8, WAKE, 0.620)] {
        let count = |mechanism| forecaster(d_model, 4, mechanism).multiply_adds(shape) as f64;
        let found = count(easy(n_heads, EasyForm::Right)) / count(softmax(n_heads));
        assert!((found - ratio).abs() < 0.001, "{found}");
    }
}

#[test]
fn multiply_adds_equal_the_counts_by_hand() {
    // 4 (2·64³ + 2·64·64·128) + 64·2·64 + 64³ + 64³ + 64·64 + 64·2
    assert_eq!(forecaster(64, 4, easy(4, EasyForm::Right)).multiply_adds(PLATES), 6_828_160);
    // 4 (6·64³ + 2·64·64·128) + the same ends
    assert_eq!(forecaster(64, 4, softmax(4)).multiply_adds(PLATES), 11_022_464);
    // 64 (4·128·130 + 3·8·128²) + 128·2
    assert_eq!(lstm(128, 4).multiply_adds(PLATES), 29_425_920);
}

#[test]
fn every_model_overfits_one_batch() {
    let shape = ForecastShape { window: 5, horizon: 2, channels: 3 };
    let configs = [
        forecaster(12, 1, easy(3, EasyForm::Right)),
        forecaster(12, 1, easy(3, EasyForm::Left)),
        forecaster(12, 1, softmax(3)),
        lstm(16, 2),
    ];
    let (x, y) = (normal([4, 5, 3], 1).autodiff(), normal([4, 2, 3], 2).autodiff());
    for config in configs {
        let mut model = double(config.init(shape, &[], &Device::default()).unwrap()).train();
        let mut optimizer = AdamConfig::new().init();
        let mut loss = f64::NAN;
        for _ in 0..400 {
            let error = mean_squared_error(model.forward(x.clone()), y.clone());
            loss = error.clone().into_scalar::<f64>();
            let gradients = GradientsParams::from_grads(error.backward(), &model);
            model = optimizer.step(1e-2, model, gradients);
        }
        assert!(loss < 1e-2, "{config:?}: {loss}"); // targets have mean square 1
    }
}

#[test]
fn score_matrices_come_out_by_layer_and_head() {
    let shape = ForecastShape { window: 5, horizon: 1, channels: 2 };
    let model = forecaster(6, 2, easy(3, EasyForm::Right)).init(shape, &[], &Device::default());
    let alphas = model.unwrap().alphas();
    let places: Vec<_> = alphas.iter().map(|alpha| (alpha.layer, alpha.head)).collect();
    assert_eq!(places, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
    assert!(alphas.iter().all(|alpha| alpha.time == 5 && alpha.values.len() == 25));
    assert_ne!(alphas[0].values, alphas[1].values);
    let other = lstm(3, 1).init(shape, &[], &Device::default()).unwrap();
    assert!(other.alphas().is_empty());
}

#[test]
fn a_configuration_survives_being_written_and_read() {
    for config in [forecaster(64, 4, easy(4, EasyForm::Left)), lstm(7, 2)] {
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ModelConfig>(&text).unwrap(), config, "{text}");
    }
    let error = serde_json::from_str::<ModelConfig>(
        r#"{ "kind": "lstm", "d_hidden": 3, "n_layers": 2, "d_model": 4 }"#,
    )
    .unwrap_err();
    assert!(error.to_string().contains("unknown field `d_model`"), "{error}");
}

#[test]
fn a_size_of_zero_is_refused_by_name() {
    let empty = ForecastShape { window: 0, horizon: 1, channels: 2 };
    for config in [forecaster(6, 2, softmax(3)), lstm(7, 2)] {
        assert!(config.init(empty, &[], &Device::default()).is_err());
    }
    let error = lstm(0, 2).init(PLATES, &[], &Device::default()).unwrap_err();
    assert_eq!(error.to_string(), "d_hidden = 0, expected at least 1");
}
