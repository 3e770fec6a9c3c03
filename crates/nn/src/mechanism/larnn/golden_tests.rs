//! A classifier around stacks of cells, and one step of Adam, against PyTorch with the author's cell:
//! see `tests/golden/README.md`.

use std::path::{Path, PathBuf};

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Gradients;
use burn::tensor::activation::log_softmax;
use regard_kernels::adam::{AdamRule, AdamState, AdamStep, adam};
use regard_kernels::testing::{assert_close, double, golden};

use super::*;

const NORMS: [&str; 5] = ["bn_cell", "bn_hidden", "bn_attention", "bn_key", "bn_value"];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.safetensors"))
}

/// What PyTorch has for a parameter of ours, in our layout; `kind` is `param`, `grad`, ….
fn theirs<const D: usize>(file: &Path, kind: &str, path: &str) -> Tensor<D> {
    let (layer, name) = path.strip_prefix("layers.").unwrap().split_once('.').unwrap();
    let name = name
        .replace("gates.Residual.hidden", "gates.Residual.hidden.weight")
        .replace("gates.Residual.", "gates_from_")
        .replace("gates.Layer.", "gates_from_concat.")
        .replace("output.", "attention_output.");
    let key = |name: &str| format!("{kind}.layer{layer}.{name}");
    if let Some(kind) = name.strip_prefix("norms.") {
        let row = |norm| golden::<1>(file, &key(&format!("{norm}.{kind}")));
        let rows: Tensor<2> = Tensor::stack(NORMS.map(row).to_vec(), 0);
        return rows.reshape::<D, _>(shape(&[5, 8]));
    }
    if name.ends_with("bias") {
        let bias: Tensor<1> = golden(file, &key(&name));
        let n = bias.dims();
        return bias.reshape::<D, _>(shape(&n));
    }
    let weight = golden::<2>(file, &key(&name)).transpose();
    let dims = weight.dims();
    weight.reshape::<D, _>(shape(&dims))
}

fn shape<const D: usize>(dims: &[usize]) -> [usize; D] {
    dims.try_into().expect("the rank of our parameter")
}

#[derive(Default)]
struct Names(Vec<String>);

struct Load<'a>(&'a Path, Names);

impl ModuleMapper for Load<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.1.0.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.1.0.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.1.0.join(".");
        if path.contains("running") { param } else { param.map(|_| theirs(self.0, "param", &path)) }
    }
}

/// Compares the gradient of every parameter, and the parameter after a step of Adam.
struct Compare<'a> {
    file: &'a Path,
    path: Names,
    grads: &'a Gradients,
    count: usize,
}

impl ModuleVisitor for Compare<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.0.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.0.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.0.join(".");
        if path.contains("running") {
            return;
        }
        let value = param.val();
        let grad = value.grad(self.grads).unwrap_or_else(|| panic!("{path} has no gradient"));
        assert_close(&grad, &theirs(self.file, "grad", &path), 1e-8);
        let value = value.inner();
        let n: usize = value.dims().iter().product();
        let grad = grad.reshape([n]);
        let zeros = grad.zeros_like();
        let state = AdamState { param: value.reshape([n]), mean: zeros.clone(), square: zeros };
        let step = AdamStep {
            rule: AdamRule::Plain,
            learning_rate: 0.006,
            beta_1: 0.9,
            beta_2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            // What PyTorch's `Adam` calls weight decay.
            l2: 0.0013,
            step: 1,
            grad_scale: 1.0,
        };
        let after = adam(state, grad, &step).param;
        let expected: Tensor<D> = theirs(self.file, "param_after_adam", &path);
        assert_close(&after, &expected.reshape([n]), 1e-8);
        self.count += n;
    }
}

fn check(name: &str, config: &LarnnConfig) {
    let file = file(name);
    let device = Device::default();
    let cells = double(config.init(8, &device).unwrap());
    let cells = cells.map(&mut Load(&file, Names::default())).train();
    let tracked = |name: &str| golden::<2>(&file, name).autodiff().require_grad();
    let bias = |name: &str| golden::<1>(&file, name).autodiff().require_grad();
    let [w_in, w_out] = ["param.in.weight", "param.out.weight"].map(tracked);
    let [b_in, b_out] = ["param.in.bias", "param.out.bias"].map(bias);
    let x: Tensor<3> = golden(&file, "x");
    let [time, batch, _] = x.dims();
    let x = x.swap_dims(0, 1).autodiff();
    let z =
        x.reshape([batch * time, 9]).matmul(w_in.clone().transpose()) + b_in.clone().unsqueeze();
    let negative = z.clone().clamp_max(0.0);
    let e = (z - negative.clone() + negative.exp() - 1.0).reshape([batch, time, 8]);
    let s = cells.forward(e, None);
    assert_close(&s.clone().inner(), &golden::<3>(&file, "out.stack_output").swap_dims(0, 1), 1e-8);
    let last = s.narrow(1, time - 1, 1).reshape([batch, 8]);
    let logits = last.matmul(w_out.clone().transpose()) + b_out.clone().unsqueeze();
    assert_close(&logits.clone().inner(), &golden(&file, "out.logits"), 1e-8);
    let labels = golden::<1>(&file, "labels").reshape([batch, 1]).int().autodiff();
    let loss = -log_softmax(logits, 1).gather(1, labels).mean();
    assert_close(&loss.clone().inner(), &golden(&file, "out.loss"), 1e-8);
    let grads = loss.backward();
    for (leaf, name) in [(&w_in, "grad.in.weight"), (&w_out, "grad.out.weight")] {
        assert_close(&leaf.grad(&grads).expect("a gradient"), &golden(&file, name), 1e-8);
    }
    for (leaf, name) in [(&b_in, "grad.in.bias"), (&b_out, "grad.out.bias")] {
        assert_close(&leaf.grad(&grads).expect("a gradient"), &golden(&file, name), 1e-8);
    }
    let mut compare = Compare { file: &file, path: Names::default(), grads: &grads, count: 0 };
    cells.visit(&mut compare);
    assert_eq!(compare.count, config.n_parameters(8));
}

fn plain() -> LarnnConfig {
    LarnnConfig {
        window: 4,
        dropout_attention: 0.0,
        dropout_memory: 0.0,
        dropout_output: 0.0,
        ..LarnnConfig::new(2)
    }
}

#[test]
fn a_residual_stack_of_two_equals_pytorch_after_a_step_of_adam() {
    let name = "model_correct_2layers_stackedresidual_residual_nope_akv_train";
    check(name, &LarnnConfig { n_layers: 2, ..plain() });
}

#[test]
fn a_plain_stack_of_three_equals_pytorch_after_a_step_of_adam() {
    let name = "model_correct_3layers_stacked_layer_pe_akv_train";
    let config = LarnnConfig {
        n_layers: 3,
        stack: Stack::Plain,
        mode: GateMode::Layer,
        positional_encoding: true,
        ..plain()
    };
    check(name, &config);
}
