//! Every variant and every gradient against an independent implementation: see
//! `tests/golden/primal-dual/README.md`.

use std::path::{Path, PathBuf};

use burn::module::{ModuleMapper, ModuleVisitor};
use burn::tensor::{Device, FloatDType, Gradients};
use regard_kernels::testing::{assert_close, double, golden, normal, to_f64};

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/primal-dual")
}

/// The configuration that a file is named after.
fn config_of(name: &str) -> PrimalDualConfig {
    let n_heads = if name.contains("_h2_") { 2 } else { 4 };
    let kernel = if name.starts_with("linear") {
        AttentionKernel::Linear
    } else if name.starts_with("sparse_window2") {
        AttentionKernel::Window(2)
    } else {
        AttentionKernel::Softmax
    };
    let beta =
        name.split('_').find_map(|word| word.strip_prefix('b')?.replace('p', ".").parse().ok());
    let batch_norm =
        beta.map(|beta| BatchNormConfig { beta, learned: false, scale: name.contains("_full_") });
    let scaled_heads = (name.starts_with("sh_") || name.contains("bnsh") || name.contains("_sh_"))
        .then(|| ScaledHeadsConfig {
            remainder: if name.contains("ceil") { Remainder::Ceil } else { Remainder::Floor },
            ..ScaledHeadsConfig::default()
        });
    PrimalDualConfig { kernel, batch_norm, scaled_heads, ..PrimalDualConfig::new(n_heads) }
}

/// The core on heads, whose keys and values are pooled here.
fn on_heads(
    config: &PrimalDualConfig,
    [q, k, v]: [Tensor<4>; 3],
    blocked: Option<Tensor<2, Bool>>,
) -> (Tensor<4>, Vec<RunKeys>, Option<Tensor<1>>) {
    let [_, _, time, _] = q.dims();
    let mut head = 0;
    let run = |(rate, heads): (usize, usize)| {
        let groups = config.groups(time, rate);
        let pooled = |x: &Tensor<4>| {
            let (x, blocked) =
                pool(join_heads(x.clone().narrow(1, head, heads)), &groups, blocked.clone());
            (split_heads(x, heads), blocked)
        };
        let ((k, blocked), (v, _)) = (pooled(&k), pooled(&v));
        head += heads;
        RunKeys { k, v, blocked, rate }
    };
    let runs = config.runs().into_iter().map(run).collect();
    let beta = config.batch_norm.map(|norm| {
        Tensor::full([config.n_heads], norm.beta, (&q.device().without_autodiff(), q.dtype()))
    });
    (q, runs, beta)
}

fn blocked_of(file: &Path, name: &str) -> Option<Tensor<2, Bool>> {
    name.starts_with("masked").then(|| golden::<2>(file, "valid").equal_elem(0.0))
}

fn check(name: &str, dtype: FloatDType, [tol, tol_grad]: [f64; 2]) {
    let file = folder().join(format!("{name}.safetensors"));
    let config = config_of(name);
    let x = ["q", "k", "v"].map(|x| golden::<4>(&file, x).cast(dtype).autodiff().require_grad());
    let (q, runs, beta) = on_heads(&config, x.clone(), blocked_of(&file, name));
    let out = heads::attend(&config, q, runs, beta);
    let as_f64 = |x: Tensor<4>| x.cast(FloatDType::F64);
    assert_close(&as_f64(out.clone().inner()), &golden(&file, "out"), tol);
    let cotangent = golden::<4>(&file, "grad_out").cast(dtype).autodiff();
    let grads = (out * cotangent).sum().backward();
    for (x, name) in x.iter().zip(["grad_q", "grad_k", "grad_v"]) {
        assert_close(&as_f64(x.grad(&grads).unwrap()), &golden(&file, name), tol_grad);
    }
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| {
            entry
                .unwrap()
                .file_name()
                .into_string()
                .unwrap()
                .strip_suffix(".safetensors")
                .map(str::to_owned)
        })
        .filter(|name| !name.starts_with("module") && !name.starts_with("classifier"))
        .collect();
    names.sort();
    assert_eq!(names.len(), 45, "{names:?}");
    names
}

#[test]
fn every_variant_and_its_gradients_in_double_precision() {
    for name in names() {
        check(&name, FloatDType::F64, [1e-12, 1e-10]);
    }
}

#[test]
fn every_variant_and_its_gradients_in_single_precision() {
    for name in names() {
        check(&name, FloatDType::F32, [2e-5, 1e-4]);
    }
}

#[test]
fn every_weight() {
    for name in names() {
        let file = folder().join(format!("{name}.safetensors"));
        let config = config_of(&name);
        let x = ["q", "k", "v"].map(|x| golden::<4>(&file, x));
        let (q, runs, beta) = on_heads(&config, x, blocked_of(&file, &name));
        let mut head = 0;
        for weights in heads::weights(&config, q, runs, beta) {
            let [batch, heads, time, keys] = weights.dims();
            for i in 0..heads {
                let of_head = weights.clone().narrow(1, i, 1).reshape([batch, time, keys]);
                assert_close(&of_head, &golden(&file, &format!("attn_head{head}")), 1e-12);
                head += 1;
            }
        }
        assert_eq!(head, config.n_heads, "{name}");
    }
}

/// Which part of a stored matrix or bias a parameter is.
fn stored(path: &str, config: &PrimalDualConfig) -> (&'static str, usize, usize) {
    let d_head = 8;
    let words: Vec<&str> = path.split('.').collect();
    match words[..] {
        ["query", _] => ("q", 0, 32),
        ["output", _] => ("o", 0, 32),
        ["runs", run, map, _] => {
            let run: usize = run.parse().unwrap();
            let heads: Vec<usize> = config.runs().into_iter().map(|(_, n)| n).collect();
            let first: usize = heads[..run].iter().sum();
            let letter = if map == "key" { "k" } else { "v" };
            (letter, first * d_head, heads[run] * d_head)
        }
        _ => panic!("{path}"),
    }
}

fn shape<const D: usize>(dims: &[usize]) -> [usize; D] {
    dims.try_into().expect("the rank of our parameter")
}

fn theirs<const D: usize>(
    file: &Path,
    prefix: &str,
    path: &str,
    config: &PrimalDualConfig,
) -> Tensor<D> {
    let (letter, from, n) = stored(path, config);
    if path.ends_with("bias") {
        let bias: Tensor<1> = golden(file, &format!("{prefix}b{letter}"));
        return bias.narrow(0, from, n).reshape::<D, _>(shape(&[n]));
    }
    let weight: Tensor<2> = golden(file, &format!("{prefix}w{letter}"));
    let weight = weight.narrow(0, from, n).transpose();
    let dims = weight.dims();
    weight.reshape::<D, _>(shape(&dims))
}

struct Visit<'a> {
    file: &'a Path,
    config: &'a PrimalDualConfig,
    path: Vec<String>,
    grads: Option<&'a Gradients>,
    count: usize,
}

impl ModuleMapper for Visit<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        param.map(|_| theirs(self.file, "", &path, self.config))
    }
}

impl ModuleVisitor for Visit<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        let grad = param.val().grad(self.grads.expect("given for visits")).expect("a gradient");
        let expected: Tensor<D> = theirs(self.file, "grad_", &path, self.config);
        assert_close(&grad, &expected, 1e-10);
        self.count += grad.dims().iter().product::<usize>();
    }
}

#[test]
fn whole_modules_and_the_gradients_of_all_parameters() {
    for (name, rates) in [("module_softmax", None), ("module_bnsh_recentre_b0p5", Some(vec![]))] {
        let file = folder().join(format!("{name}.safetensors"));
        let config = PrimalDualConfig {
            batch_norm: rates.as_ref().map(|_| BatchNormConfig::default()),
            scaled_heads: rates.map(|rates| ScaledHeadsConfig { rates, ..Default::default() }),
            ..PrimalDualConfig::new(4)
        };
        let visit =
            || Visit { file: &file, config: &config, path: Vec::new(), grads: None, count: 0 };
        let device = Device::default().autodiff();
        let module = double(config.init(32, 13, &device).unwrap()).map(&mut visit()).train();
        let x = golden::<3>(&file, "x").autodiff().require_grad();
        let out = module.forward(x.clone(), None);
        assert_close(&out.clone().inner(), &golden(&file, "out"), 1e-12);
        let grads = (out * golden::<3>(&file, "grad_out").autodiff()).sum().backward();
        assert_close(&x.grad(&grads).unwrap(), &golden(&file, "grad_x"), 1e-10);
        let mut visit = Visit { grads: Some(&grads), ..visit() };
        module.visit(&mut visit);
        assert_eq!(visit.count, config.n_parameters(32));
    }
}

#[test]
fn the_mean_of_pooled_keys_is_that_of_the_keys_where_the_rate_divides_their_number() {
    for (time, same) in [(16, true), (13, false)] {
        let k = normal([1, time, 8], 1);
        let (pooled, _) = pool(k.clone(), &PrimalDualConfig::new(1).groups(time, 2), None);
        let difference = to_f64(&(pooled.mean_dim(1) - k.mean_dim(1)).abs().max())[0];
        assert_eq!(difference < 1e-14, same, "{difference:e}");
    }
}
