//! Sizes, costs and trainability of whole models.

use super::*;
use crate::mechanism::{Basis, EasyConfig, EasyForm, MechanismConfig, SoftmaxConfig, TimeMatrix};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Bool, FloatDType, TensorData};
use regard_kernels::pointwise::mean_squared_error;
use regard_kernels::testing::{assert_close, double, from_f64, normal, to_f64};

fn easy(n_heads: usize, form: EasyForm) -> MechanismConfig {
    MechanismConfig::Easy(EasyConfig { form, ..EasyConfig::new(n_heads) })
}

/// Two heads, another kind of `α`, a gate of this rank.
fn easy_of(alpha: TimeMatrix, gate_rank: usize) -> MechanismConfig {
    MechanismConfig::Easy(EasyConfig { gate_rank, alpha, ..EasyConfig::new(2) })
}

fn softmax(n_heads: usize) -> MechanismConfig {
    MechanismConfig::Softmax(SoftmaxConfig { n_heads, causal: false })
}

fn forecaster(d_model: usize, n_layers: usize, mechanism: MechanismConfig) -> ModelConfig {
    let (d_ff, readout) = (2 * d_model, Readout::Direct);
    ModelConfig::Forecaster(ForecasterConfig {
        d_model,
        d_ff,
        n_layers,
        readout,
        time_maps: TimeMatrix::default(),
        mechanism,
    })
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
        forecaster(14, 2, easy_of(TimeMatrix::Banded { offset: 1 }, 3)),
        forecaster(14, 2, easy_of(BASIS, 0)),
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
        forecaster(12, 1, easy_of(TimeMatrix::LowRank { rank: 2 }, 2)),
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

/// `p = 12`, every map along time of this kind.
fn of_kind(kind: TimeMatrix) -> Forecaster {
    let mechanism = MechanismConfig::Easy(EasyConfig { alpha: kind, ..EasyConfig::new(3) });
    let ModelConfig::Forecaster(config) = forecaster(6, 2, mechanism) else { unreachable!() };
    let config = ForecasterConfig { time_maps: kind, ..config };
    let shape = ForecastShape { window: 12, horizon: 2, channels: 3 };
    double(config.init(shape, &[], &Device::default()).unwrap())
}

const BASIS: TimeMatrix = TimeMatrix::Basis { n_basis: 4, basis: Basis::Cosine };
const LAGS: TimeMatrix = TimeMatrix::Toeplitz { causal: true };

/// A smooth signal of three channels over a duration of one, at the middle of `steps` steps.
fn smooth(steps: usize) -> Tensor<3> {
    let time = |t: usize| (t as f64 + 0.5) / steps as f64;
    let row = |t| [time(t).sin(), (2.0 * time(t)).cos(), 1.0 - time(t)];
    from_f64((0..steps).flat_map(row).collect(), [1, steps, 3])
}

#[test]
fn a_model_resized_to_its_own_window_is_itself() {
    for kind in [TimeMatrix::default(), BASIS, LAGS, TimeMatrix::LowRank { rank: 2 }] {
        let (model, x) = (of_kind(kind), normal([2, 12, 3], 1));
        assert_close(&model.resized(12).unwrap().forward(x.clone()), &model.forward(x), 0.0);
    }
}

#[test]
fn smooth_maps_forecast_the_same_from_another_sampling() {
    let model = of_kind(BASIS).resized(48).unwrap();
    let expected = model.forward(smooth(48));
    for window in [40, 96] {
        let found = model.resized(window).unwrap().forward(smooth(window));
        // The midpoint rule of 40 steps: at most 0.025 off in 600 draws of the parameters.
        assert_close(&found, &expected, 0.1);
    }
}

#[test]
fn lag_kernels_see_nothing_beyond_the_lags_they_were_trained_for() {
    // One block: a row of the last 12 depends on its 12 lags, blurred twice by kernels of 12.
    let model = of_kind(LAGS);
    let x = normal([1, 60, 3], 1);
    let long = model.resized(60).unwrap();
    let expected = long.forward(x.clone());
    // Embedding, two blocks, read-out: each looks 11 steps back.
    let old = normal([1, 60 - 45, 3], 2);
    let changed = Tensor::cat(vec![old, x.narrow(1, 15, 45)], 1);
    assert_close(&long.forward(changed), &expected, 1e-13);
}

#[test]
fn a_shorter_window_is_aligned_at_the_newest_step() {
    let model = of_kind(TimeMatrix::default());
    let shorter = model.resized(7).unwrap();
    let [long, short] = [&model, &shorter].map(|model| model.alphas()[4].clone());
    assert_eq!((long.layer, long.head, short.time), (1, 1, 7));
    for (r, row) in short.values.chunks_exact(7).enumerate() {
        assert_eq!(row, &long.values[(r + 5) * 12 + 5..][..7]);
    }
    assert_eq!(shorter.forward(normal([2, 7, 3], 1)).dims(), [2, 2, 3]);
}

#[test]
fn a_longer_window_is_refused_by_name_where_nothing_goes_on() {
    let error = |kind| of_kind(kind).resized(13).unwrap_err().to_string();
    assert_eq!(
        error(TimeMatrix::default()),
        "time_maps was trained for windows of 12 steps and cannot be used for 13: \
         give at most 12, or train with the kind \"toeplitz\" or \"basis\""
    );
    let zero = of_kind(BASIS).resized(0).unwrap_err().to_string();
    assert_eq!(zero, "window = 0, expected at least 1");
}

/// `[batch, 12, 3]`, true where an index of the flat mask is not in `missing`.
fn all_but(batch: usize, missing: &[usize]) -> Tensor<3, Bool> {
    let seen: Vec<bool> = (0..batch * 36).map(|i| !missing.contains(&i)).collect();
    Tensor::from_data(TensorData::new(seen, [batch, 12, 3]), &Device::default())
}

#[test]
fn values_that_are_missing_do_not_matter() {
    for kind in [TimeMatrix::default(), BASIS, LAGS] {
        let (model, x) = (of_kind(kind), normal([2, 12, 3], 1));
        let nothing_missing = model.forward_observed(x.clone(), all_but(2, &[]));
        assert_close(&nothing_missing, &model.forward(x.clone()), 1e-13);
        // The whole rows 0 and 5 of the first window, one value of the second.
        let missing = [0, 1, 2, 15, 16, 17, 40];
        let mut junk = to_f64(&x);
        for &i in &missing {
            junk[i] = f64::NAN;
        }
        let [a, b] = [x, from_f64(junk, [2, 12, 3])]
            .map(|x| model.forward_observed(x, all_but(2, &missing)));
        assert_close(&b, &a, 0.0);
        assert!(to_f64(&a).iter().all(|y| y.is_finite()));
        assert!(to_f64(&(a - nothing_missing)).iter().any(|d| d.abs() > 1e-3), "{kind:?}");
    }
}

#[test]
fn a_window_without_any_observation_still_gives_numbers() {
    let every: Vec<usize> = (0..36).collect();
    let x = Tensor::full([1, 12, 3], f64::NAN, (&Device::default(), burn::tensor::DType::F64));
    let found = of_kind(TimeMatrix::default()).forward_observed(x, all_but(1, &every));
    assert!(to_f64(&found).iter().all(|y| y.is_finite()));
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

#[test]
fn a_plan_forecasts_bit_for_bit_as_the_tensors_do() {
    let shape = ForecastShape { window: 11, horizon: 3, channels: 2 };
    let kinds = [
        TimeMatrix::Dense {},
        TimeMatrix::Diagonal {},
        TimeMatrix::Banded { offset: 2 },
        TimeMatrix::Causal {},
        TimeMatrix::Toeplitz { causal: true },
        TimeMatrix::LowRank { rank: 2 },
        TimeMatrix::LowRank { rank: 7 },
        BASIS,
    ];
    let mechanisms = kinds.map(|alpha| easy_of(alpha, 0)).into_iter().chain([
        easy(7, EasyForm::Left),
        softmax(7),
        MechanismConfig::Softmax(SoftmaxConfig { n_heads: 2, causal: true }),
    ]);
    for mechanism in mechanisms {
        for (readout, time_maps) in [
            (Readout::Direct, TimeMatrix::default()),
            (Readout::Increment, TimeMatrix::Toeplitz { causal: false }),
            (Readout::Increment, BASIS),
        ] {
            let (d_model, d_ff, n_layers) = (14, 5, 2);
            let mechanism = mechanism.clone();
            let config =
                ForecasterConfig { d_model, d_ff, n_layers, readout, time_maps, mechanism };
            let model = ModelConfig::Forecaster(config.clone())
                .init(shape, &[0.3, 0.7], &Device::default())
                .unwrap();
            let single = normal([4, 11, 2], 1).cast(FloatDType::F32);
            for (model, x) in [(model.clone(), single), (double(model), normal([4, 11, 2], 1))] {
                let mut plan = model.plan(shape).expect("no gate, on the CPU");
                let mut found = vec![0.0; 4 * 3 * 2];
                for (x, y) in to_f64(&x).chunks_exact(22).zip(found.chunks_exact_mut(6)) {
                    plan.forward(x, y);
                }
                let expected = model.forward(x).cast(FloatDType::F64);
                assert_close(&from_f64(found, [4, 3, 2]), &expected, 0.0);
            }
        }
    }
    let gated = forecaster(14, 1, easy_of(TimeMatrix::Dense {}, 2));
    for config in [gated, lstm(5, 1)] {
        let model = config.init(shape, &[], &Device::default()).unwrap();
        assert!(model.plan(shape).is_none(), "{config:?}");
    }
}
