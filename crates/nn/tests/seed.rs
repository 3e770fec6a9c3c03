//! One seed gives one model. Alone in its file: the stream that a seed starts is shared by a process.

use burn::tensor::Device;
use regard_nn::model::{ForecastShape, Model, ModelConfig};

#[test]
fn a_seed_fixes_every_initial_value() {
    let config = r#"{ "kind": "forecaster", "d_model": 6, "d_ff": 7, "n_layers": 2,
                      "mechanism": { "kind": "easy", "n_heads": 3 } }"#;
    let config: ModelConfig = serde_json::from_str(config).unwrap();
    let shape = ForecastShape { window: 5, horizon: 2, channels: 2 };
    let device = Device::default();
    let init = |seed| -> Model {
        device.seed(seed);
        config.init(shape, &[], &device).unwrap()
    };
    let forecast = |model: &Model| {
        let x = burn::tensor::Tensor::ones([1, 5, 2], &device);
        model.forward(x).try_into_vec_as::<f32>().unwrap()
    };
    // `b` is used before `a` is, in case anything were drawn at first use.
    let (a, b, c) = (init(7), init(7), init(8));
    let (forecast_b, forecast_a) = (forecast(&b), forecast(&a));
    assert_eq!(forecast_a, forecast_b);
    assert_eq!(a.alphas(), b.alphas());
    assert_ne!(forecast_a, forecast(&c));
}
