use burn::module::{ModuleMapper, ModuleVisitor, Param};
use regard_kernels::testing::{assert_close, double, normal};

use super::*;

fn small(n_layers: usize) -> LarnnConfig {
    LarnnConfig { window: 4, n_layers, ..LarnnConfig::new(3) }
}

fn without_dropout(config: LarnnConfig) -> LarnnConfig {
    LarnnConfig { dropout_attention: 0.0, dropout_memory: 0.0, dropout_output: 0.0, ..config }
}

fn init(config: &LarnnConfig, device: &Device) -> Larnn {
    double(config.init(6, device).unwrap())
}

/// Every combination of the switches that change the function.
fn configs() -> Vec<LarnnConfig> {
    let mut configs = Vec::new();
    for mode in [GateMode::Residual, GateMode::Layer] {
        for (positional_encoding, stack) in [(false, Stack::Residual), (true, Stack::Plain)] {
            for key_value in [KeyValueForm::None, KeyValueForm::Elu, KeyValueForm::EluNorm] {
                for norm in [NormKind::Batch, NormKind::Layer, NormKind::None] {
                    configs.push(LarnnConfig {
                        mode,
                        positional_encoding,
                        stack,
                        key_value,
                        norm,
                        init: LarnnInit::Uniform,
                        ..small(2)
                    });
                }
            }
        }
    }
    configs
}

#[test]
fn the_formula_counts_the_parameters_of_the_published_cell() {
    // Cell of the official best run, without the unused norm and with a norm each for keys and
    // values; then its three layers; then `layer` mode, positions, and no norm of keys and values.
    let best = LarnnConfig { window: 38, ..LarnnConfig::new(27) };
    assert_eq!(best.n_parameters(81), 113_319);
    assert_eq!(LarnnConfig { n_layers: 3, ..best.clone() }.n_parameters(81), 3 * 113_319);
    let layer = LarnnConfig { mode: GateMode::Layer, ..best.clone() };
    assert_eq!(layer.n_parameters(81), 113_319 - 4 * 81);
    let positions = LarnnConfig { positional_encoding: true, ..best.clone() };
    assert_eq!(positions.n_parameters(81), 113_319 + 2 * 81 * 16);
    let plain = LarnnConfig { key_value: KeyValueForm::None, ..best };
    assert_eq!(plain.n_parameters(81), 113_319 - 4 * 81);
}

#[test]
fn the_formula_counts_the_parameters_of_the_module() {
    for config in configs() {
        let larnn = init(&config, &Device::default());
        let running = if config.norm == NormKind::Batch { 2 * 6 * config.n_norms() } else { 0 };
        let expected = config.n_parameters(6) + config.n_layers * running;
        assert_eq!(larnn.num_params(), expected, "{config:?}");
    }
}

#[test]
fn a_sequence_in_parts_equals_the_whole() {
    let x = normal([2, 11, 6], 1);
    for config in configs() {
        let larnn = init(&config, &Device::default());
        let whole = larnn.forward(x.clone(), None);
        assert_close(&super::super::streaming(&larnn, x.clone()), &whole, 1e-12);
        let (first, state) = larnn.scan(x.clone().narrow(1, 0, 5), None);
        let (second, state) = larnn.scan(x.clone().narrow(1, 5, 6), Some(state));
        assert_close(&Tensor::cat(vec![first, second], 1), &whole, 1e-12);
        assert_eq!(state.n_cells(), 4);
    }
}

#[test]
fn the_window_grows_to_its_size_and_no_further() {
    let larnn = init(&small(2), &Device::default());
    let mut state = None;
    for t in 0..7 {
        let (_, next) = larnn.step(normal([1, 1, 6], t), state);
        // One zero cell before the first step.
        let expected = usize::try_from(t).unwrap() + 2;
        assert_eq!(next.n_cells(), expected.min(4));
        state = Some(next);
    }
}

#[test]
fn sequences_of_a_batch_do_not_see_each_other_in_evaluation_nor_the_future() {
    for config in configs() {
        let larnn = init(&config, &Device::default());
        let x = normal([3, 9, 6], 1);
        let whole = larnn.forward(x.clone(), None);
        let alone = larnn.forward(x.clone().narrow(0, 1, 1), None);
        assert_close(&alone, &whole.clone().narrow(0, 1, 1), 1e-12);
        let other = Tensor::cat(vec![x.clone().narrow(1, 0, 5), normal([3, 4, 6], 2)], 1);
        let changed = larnn.forward(other, None).narrow(1, 0, 5);
        assert_close(&changed, &whole.narrow(1, 0, 5), 0.0);
        assert_close(&larnn.forward(x.clone(), None), &larnn.forward(x, None), 0.0);
    }
}

#[test]
fn blocked_rows_are_as_if_absent_and_give_zero() {
    let larnn = init(&small(2), &Device::default());
    let x = normal([2, 7, 6], 1);
    let flags = [[false, true, false, false, true, true, false], [false; 7]];
    let blocked = Tensor::<2, Bool>::from_data(flags, &x.device());
    let junk =
        x.clone().mask_fill(blocked.clone().unsqueeze_dim::<3>(2).expand([2, 7, 6]), f64::NAN);
    let found = larnn.forward(junk, Some(blocked));
    let rows = |x: &Tensor<3>, i: usize, rows: &[usize]| {
        let rows = rows.iter().map(|&t| x.clone().narrow(0, i, 1).narrow(1, t, 1)).collect();
        Tensor::cat(rows, 1)
    };
    let seen = larnn.forward(rows(&x, 0, &[0, 2, 3, 6]), None);
    assert_close(&rows(&found, 0, &[0, 2, 3, 6]), &seen, 1e-12);
    assert_close(&rows(&found, 0, &[1, 4, 5]), &Tensor::zeros([1, 3, 6], &x.device()), 0.0);
    let other = larnn.forward(x.clone().narrow(0, 1, 1), None);
    assert_close(&found.narrow(0, 1, 1), &other, 1e-12);
}

/// Paths of parameters and the rows of them whose gradient is zero.
fn without_gradient(larnn: &Larnn, grads: &burn::tensor::Gradients) -> Vec<String> {
    struct Zeros<'a> {
        path: Vec<String>,
        grads: &'a burn::tensor::Gradients,
        found: Vec<String>,
    }
    impl ModuleVisitor for Zeros<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let name = self.path.join(".");
            if name.contains("running") {
                assert!(!param.val().is_require_grad(), "{name}");
                return;
            }
            let grad = param.val().grad(self.grads).unwrap_or_else(|| panic!("{name}"));
            let is_norm = name.contains("norms");
            let rows = if is_norm { grad.dims()[0] } else { 1 };
            let values: Vec<f64> = grad.into_data().iter::<f64>().collect();
            for (row, values) in values.chunks_exact(values.len() / rows).enumerate() {
                // Rounding leaves some 1e-17 where the gradient is zero.
                if values.iter().all(|x| x.abs() < 1e-13) {
                    let row = if is_norm { format!(" {row}") } else { String::new() };
                    self.found.push(format!("{name}{row}"));
                }
            }
        }
    }
    let mut zeros = Zeros { path: Vec::new(), grads, found: Vec::new() };
    larnn.visit(&mut zeros);
    zeros.found
}

#[test]
fn every_parameter_of_every_layer_gets_a_gradient() {
    let device = Device::default();
    // Wide inputs: a layer whose units keep their signs is linear, and a bias before its batch norm
    // then has no gradient.
    let x = (normal([5, 9, 6], 1) * 4.0).autodiff();
    let cotangent = normal([5, 9, 6], 2).autodiff();
    for config in configs().into_iter().map(without_dropout) {
        let larnn = init(&config, &device).train();
        let grads = (larnn.forward(x.clone(), None) * cotangent.clone()).sum().backward();
        let found = without_gradient(&larnn, &grads);
        // What shifts all keys by the same amount drops out of the softmax. A norm over features
        // shifts every key differently.
        let shift = match (config.key_value, config.norm) {
            (KeyValueForm::EluNorm, NormKind::Batch | NormKind::Layer) => Some("norms.beta 3"),
            (KeyValueForm::None, _) => Some("key.bias"),
            _ => None,
        };
        let expected: Vec<String> = shift
            .iter()
            .flat_map(|name| (0..2).map(move |layer| format!("layers.{layer}.{name}")))
            .collect();
        assert_eq!(found, expected, "{config:?}");
    }
}

/// The parameters of one module, …
struct Collect(Vec<(String, Vec<f64>)>, Vec<String>);
impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.1.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.1.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push((self.1.join("."), param.val().to_data().iter::<f64>().collect()));
    }
}
/// … in the places of another.
struct Put(Vec<(String, Vec<f64>)>, Vec<String>);
impl ModuleMapper for Put {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.1.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.1.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.1.join(".");
        let of = |part: &str| {
            let found = self.0.iter().find(|(n, _)| n.ends_with(part));
            found.unwrap_or_else(|| panic!("{part}")).1.clone()
        };
        let values = if name.contains("gates") && name.ends_with("weight") {
            [of("input.weight"), of("hidden"), of("attention.weight")].concat()
        } else if name.contains("gates") {
            let sum = of("input.bias").into_iter().zip(of("attention.bias"));
            sum.map(|(a, b)| a + b).collect()
        } else {
            of(name.strip_prefix("layers.0.").unwrap())
        };
        param.map(|x| {
            let data = TensorData::new(values.clone(), x.dims());
            Tensor::from_data(data, (&x.device(), x.dtype()))
        })
    }
}

#[test]
fn the_gate_modes_are_one_map_cut_differently() {
    let residual = without_dropout(LarnnConfig { init: LarnnInit::Uniform, ..small(1) });
    let layer = LarnnConfig { mode: GateMode::Layer, ..residual.clone() };
    let residual = init(&residual, &Device::default());
    let layer = init(&layer, &Device::default());
    let mut collect = Collect(Vec::new(), Vec::new());
    residual.visit(&mut collect);
    let layer = layer.map(&mut Put(collect.0, Vec::new()));
    let x = normal([2, 7, 6], 1);
    assert_close(&layer.forward(x.clone(), None), &residual.forward(x, None), 1e-12);
}

#[test]
fn running_moments_follow_training_alone_and_clones_keep_theirs() {
    let plain = Device::default();
    let config = without_dropout(small(1));
    let larnn = init(&config, &plain.clone().autodiff());
    let x = normal([5, 9, 6], 1);
    let before = larnn.clone();
    let at_start = larnn.valid().forward(x.clone(), None);
    assert_close(&larnn.valid().forward(x.clone(), None), &at_start, 0.0);
    for _ in 0..3 {
        let _ = larnn.forward(x.clone().autodiff(), None);
    }
    let later = larnn.valid().forward(x.clone(), None);
    assert!((later - at_start.clone()).abs().max().into_scalar::<f64>() > 1e-3);
    assert_close(&before.valid().forward(x, None), &at_start, 0.0);
}

#[test]
fn running_moments_settle_where_evaluation_equals_that_with_batch_statistics() {
    // One step, so that momentum forgets nothing but the start: 0.9²⁰⁰ ≈ 7e-10.
    let device = Device::default().autodiff();
    let x = normal([50, 1, 6], 1);
    for running in [RunningRule::PerStep, RunningRule::Pooled] {
        let config = without_dropout(LarnnConfig { running, ..small(1) });
        let larnn = init(&config, &device);
        let mut trained = x.clone().autodiff();
        for _ in 0..200 {
            trained = larnn.forward(x.clone().autodiff(), None);
        }
        // The running variance is the unbiased one: 50/49 of what the batch was divided by.
        assert_close(&larnn.valid().forward(x.clone(), None), &trained.inner(), 1e-2);
    }
}

#[test]
fn dropout_acts_in_training_only_and_every_call_draws_anew() {
    let device = Device::default().autodiff();
    let config = LarnnConfig { norm: NormKind::None, ..small(2) };
    let larnn = init(&config, &device);
    let x = normal([2, 7, 6], 1);
    let draw = || larnn.forward(x.clone().autodiff(), None).inner();
    let (a, b, evaluated) = (draw(), draw(), larnn.valid().forward(x.clone(), None));
    let differ =
        |a: &Tensor<3>, b: &Tensor<3>| (a.clone() - b.clone()).abs().max().into_scalar::<f64>();
    assert!(differ(&a, &b) > 1e-3 && differ(&a, &evaluated) > 1e-3);
}

#[test]
fn wrong_fields_are_named() {
    let message = |config: LarnnConfig| config.init(6, &Device::default()).unwrap_err().to_string();
    assert_eq!(message(LarnnConfig { window: 0, ..small(1) }), "window = 0, expected at least 1");
    assert_eq!(message(small(0)), "n_layers = 0, expected at least 1");
    assert_eq!(
        message(LarnnConfig { dropout_output: 1.0, ..small(1) }),
        "dropout_output = 1, expected a rate of at least 0 and below 1"
    );
    assert_eq!(
        message(LarnnConfig { gamma: f64::NAN, ..small(1) }),
        "gamma = NaN, expected a finite number"
    );
}

#[test]
fn keys_of_a_file_have_the_documented_defaults() {
    let read = |text: &str| serde_json::from_str::<LarnnConfig>(text);
    assert_eq!(read(r#"{ "n_heads": 4 }"#).unwrap(), LarnnConfig::new(4));
    let config = read(
        r#"{ "n_heads": 4, "stack": "plain", "mode": "layer", "norm": "layer",
        "key_value": "elu", "running": "pooled", "evaluation": "batch", "init": "uniform" }"#,
    );
    let expected = LarnnConfig {
        stack: Stack::Plain,
        mode: GateMode::Layer,
        norm: NormKind::Layer,
        key_value: KeyValueForm::Elu,
        running: RunningRule::Pooled,
        evaluation: Evaluation::Batch,
        init: LarnnInit::Uniform,
        ..LarnnConfig::new(4)
    };
    assert_eq!(config.unwrap(), expected);
    let error = read(r#"{ "n_heads": 4, "dropout": 0.1 }"#).unwrap_err().to_string();
    assert!(error.contains("unknown field `dropout`"), "{error}");
}

#[test]
fn a_stream_without_tensors_gives_the_rows_of_the_whole_sequence() {
    let x = normal([1, 9, 6], 1);
    for config in configs() {
        let larnn = init(&config, &Device::default());
        let expected: Vec<f64> = larnn.forward(x.clone(), None).into_data().iter().collect();
        let rows: Vec<f64> = x.to_data().iter().collect();
        let mut stream = larnn.stream();
        for (row, expected) in rows.chunks_exact(6).zip(expected.chunks_exact(6)) {
            for (a, b) in stream.step(row).iter().zip(expected) {
                assert!((a - b).abs() < 1e-12, "{config:?}: {a} for {b}");
            }
        }
    }
}
