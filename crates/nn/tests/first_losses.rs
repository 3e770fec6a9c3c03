//! The first ten losses of every model equal those of PyTorch.
//!
//! Parameters and data are filled by a formula, so that forward and backward passes of whole models
//! are compared with an independent implementation. `golden/first_losses.py` computes the numbers.

#![expect(clippy::unreadable_literal, reason = "numbers as the script prints them")]

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, Tensor, TensorData};
use regard_kernels::pointwise::mean_squared_error;
use regard_nn::model::{ForecastShape, ModelConfig};

// PyTorch 2.15.0, NumPy not used, float64 on a CPU.
const EASY_RIGHT: [f64; 10] = [
    1.1211009629944246,
    0.9844857000837516,
    0.9307932714542831,
    0.9060371365232621,
    0.8934309289069456,
    0.8863285357193563,
    0.8818230949912055,
    0.8785839737056172,
    0.8759888462185912,
    0.8737403518677359,
];
const EASY_LEFT: [f64; 10] = [
    0.5916952217257082,
    0.5789245504587118,
    0.568672808097146,
    0.5603478983608787,
    0.5535262878351176,
    0.5478960814174264,
    0.5432219072676684,
    0.5393228745323618,
    0.5360575261007482,
    0.5333136998199509,
];
const SOFTMAX: [f64; 10] = [
    1.093962985994169,
    0.9720251208254821,
    0.9244730559189005,
    0.9025813420613088,
    0.8913349178268533,
    0.8848623527229589,
    0.8806329971074108,
    0.8775046358550728,
    0.8749477942160181,
    0.8727117296680488,
];
const LSTM: [f64; 10] = [
    0.5547139601837837,
    0.5525989193581059,
    0.5506015590160676,
    0.5487152340084778,
    0.5469336836534703,
    0.5452510085305738,
    0.5436616487777944,
    0.5421603637837341,
    0.540742213175552,
    0.5394025390115734,
];

/// Both sides compute in `f64`; ten steps of a smooth problem leave rounding far below this.
const TOLERANCE: f64 = 1e-12;
const SHAPE: ForecastShape = ForecastShape { window: 5, horizon: 2, channels: 2 };
const BATCH: usize = 3;

/// Element `i` of parameter `k` becomes `0.3 sin(1 + 0.7 i + 2.1 k)`, in `f64`.
struct Fill {
    k: usize,
}

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let phase = 1.0 + 2.1 * self.k as f64;
        self.k += 1;
        param.map(|old| filled(old.dims(), |i| 0.3 * (0.7 * i + phase).sin()))
    }
}

fn filled<const D: usize>(shape: [usize; D], value: impl Fn(f64) -> f64) -> Tensor<D> {
    let values = (0..shape.iter().product()).map(|i: usize| value(i as f64)).collect();
    let data = TensorData::new::<f64, _>(values, shape);
    Tensor::from_data(data, (&Device::default(), DType::F64))
}

fn assert_losses(config: &str, expected: [f64; 10]) {
    let config: ModelConfig = serde_json::from_str(config).expect("the text is a configuration");
    let model = config.init(SHAPE, &[0.5, 2.0], &Device::default()).expect("the sizes fit");
    let mut model = model.map(&mut Fill { k: 0 }).train();
    let mut optimizer = SgdConfig::new().init();
    let ForecastShape { window, horizon, channels } = SHAPE;
    let x = filled([BATCH, window, channels], |i| (0.3 * i).cos()).autodiff();
    let y = filled([BATCH, horizon, channels], |i| (0.5 * i).sin()).autodiff();
    for (step, expected) in expected.into_iter().enumerate() {
        let loss = mean_squared_error(model.forward(x.clone()), y.clone());
        let found = loss.clone().into_scalar::<f64>();
        let error = (found - expected).abs();
        assert!(error < TOLERANCE, "step {step}: {found}, PyTorch has {expected}");
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.05, model, gradients);
    }
}

fn assert_forecaster(readout: &str, mechanism: &str, expected: [f64; 10]) {
    let config = format!(
        r#"{{ "kind": "forecaster", "d_model": 6, "d_ff": 7, "n_layers": 2,
              "readout": "{readout}", "mechanism": {{ "n_heads": 3, {mechanism} }} }}"#
    );
    assert_losses(&config, expected);
}

#[test]
fn easy_attention_with_right_values_trains_like_pytorch() {
    assert_forecaster("increment", r#""kind": "easy", "form": "right""#, EASY_RIGHT);
}

#[test]
fn easy_attention_with_left_values_trains_like_pytorch() {
    assert_forecaster("direct", r#""kind": "easy", "form": "left""#, EASY_LEFT);
}

#[test]
fn softmax_attention_trains_like_pytorch() {
    assert_forecaster("increment", r#""kind": "softmax""#, SOFTMAX);
}

#[test]
fn the_lstm_trains_like_pytorch() {
    assert_losses(r#"{ "kind": "lstm", "d_hidden": 3, "n_layers": 2 }"#, LSTM);
}
