//! Whole classifiers against an independent reference in double precision: see
//! `tests/golden/README.md`.

use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, Gradients, Int, TensorData};
use regard_kernels::testing::{assert_close, double, golden, to_f64};

use super::*;
use crate::layer::NormPlace;
use crate::mechanism::{
    BatchNormConfig, MechanismConfig, PrimalDualConfig, ScaledHeadsConfig, SoftmaxConfig,
};

/// Of the golden set.
const FORWARD: f64 = 1e-12;
const GRADIENT: f64 = 1e-10;
/// Input 2, positions 1, 16 of each block, norm 2, output 2.
const SOFTMAX_ARRAYS: usize = 39;

fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/primal-dual");
    folder.join(format!("classifier_{name}.safetensors"))
}

fn recipe(mechanism: MechanismConfig, padding: PaddingPolicy) -> Classifier {
    let config = ClassifierConfig::Classifier(AttentionClassifierConfig {
        stem: Vec::new(),
        d_model: 16,
        activation: InputActivation::Identity,
        positions: Positions::Faint,
        block: BlockConfig::Encoder(EncoderBlocks {
            d_ff: 32,
            n_layers: 2,
            activation: BlockActivation::Gelu,
            norm: NormPlace::Post,
            padding,
        }),
        mechanism,
        pooling: Pooling::Flatten,
        dropout: 0.0,
    });
    double(config.init(ClassifyShape::series(13, 3, 4), &Device::default()).unwrap())
}

/// Their name of our parameter.
fn theirs(path: &str) -> String {
    let name = path.strip_prefix("Classifier.").unwrap();
    let ends = [
        ("input.map.weight", "in_w"),
        ("input.map.bias", "in_b"),
        ("positions", "pos"),
        ("head.pool.norm.gamma", "lnf_w"),
        ("head.pool.norm.beta", "lnf_b"),
        ("head.output.weight", "out_w"),
        ("head.output.bias", "out_b"),
    ];
    if let Some((_, name)) = ends.iter().find(|(ours, _)| *ours == name) {
        return (*name).to_owned();
    }
    let (layer, name) = name.strip_prefix("body.Encoder.blocks.").unwrap().split_once('.').unwrap();
    let parts = [
        ("norm_attention.gamma", "ln1_w"),
        ("norm_attention.beta", "ln1_b"),
        ("norm_feed_forward.gamma", "ln2_w"),
        ("norm_feed_forward.beta", "ln2_b"),
        ("expand.weight", "ff1_w"),
        ("expand.bias", "ff1_b"),
        ("contract.weight", "ff2_w"),
        ("contract.bias", "ff2_b"),
        ("query.weight", "wq"),
        ("query.bias", "bq"),
        ("key.weight", "wk"),
        ("key.bias", "bk"),
        ("value.weight", "wv"),
        ("value.bias", "bv"),
        ("output.weight", "wo"),
        ("output.bias", "bo"),
    ];
    let (_, part) = parts.iter().find(|(ours, _)| name.ends_with(ours)).unwrap();
    format!("l{layer}.{part}")
}

/// Columns of the maps of keys and values that our parameter has: two of four heads where the heads are in
/// runs of one rate.
fn columns(path: &str) -> Option<std::ops::Range<usize>> {
    let (_, run) = path.split_once(".runs.")?;
    let (run, _) = run.split_once('.')?;
    let first = 8 * run.parse::<usize>().unwrap();
    Some(first..first + 8)
}

/// Their values of our parameter.
fn part<const D: usize>(file: &Path, kind: &str, path: &str) -> Tensor<D> {
    let whole = values::<D>(file, &format!("{kind}{}", theirs(path)));
    match columns(path) {
        None => whole,
        Some(columns) => whole.narrow(D - 1, columns.start, columns.len()),
    }
}

/// Their values in our layout: maps are `[out, in]` there.
fn values<const D: usize>(file: &Path, name: &str) -> Tensor<D> {
    let last = name.rsplit('.').next().unwrap();
    let is_map = last.starts_with('w') || last.starts_with("ff") || last.starts_with("in_");
    if D == 2 && (is_map || last == "out_w") {
        let weight = golden::<2>(file, name).transpose();
        let dims: [usize; D] = weight.dims().as_slice().try_into().unwrap();
        return weight.reshape(dims);
    }
    golden(file, name)
}

struct Load<'a>(&'a Path, Vec<String>);

impl ModuleMapper for Load<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.1.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.1.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.1.join(".");
        param.map(|_| part(self.0, "", &path))
    }
}

/// Compares the gradient of every parameter.
struct Compare<'a> {
    file: &'a Path,
    path: Vec<String>,
    grads: &'a Gradients,
    count: usize,
}

impl ModuleVisitor for Compare<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        let grad = param.val().grad(self.grads).unwrap_or_else(|| panic!("{path}: no gradient"));
        assert_close(&grad, &part(self.file, "grad.", &path), GRADIENT);
        self.count += 1;
    }
}

fn check(name: &str, mechanism: MechanismConfig, padding: PaddingPolicy, n_arrays: usize) {
    let file = file(name);
    let model = recipe(mechanism, padding).map(&mut Load(&file, Vec::new())).train();
    let x = golden::<3>(&file, "x");
    let device = x.device();
    let valid = golden::<2>(&file, "valid");
    let (shape, valid) = (valid.dims(), to_f64(&valid));
    let padded: Vec<bool> = valid.iter().map(|&valid| valid < 0.5).collect();
    let padded = Tensor::<2, Bool>::from_data(TensorData::new(padded, shape), &device);
    let logits = model.forward(x.autodiff(), Some(padded));
    assert_close(&logits.clone().inner(), &golden(&file, "logits"), FORWARD);
    let labels = Tensor::<1, Int>::from_data([0, 1, 2], &device.autodiff());
    let loss = cross_entropy(logits, labels, 0.0, None);
    assert_close(&loss.clone().inner(), &golden(&file, "loss"), FORWARD);
    let grads = loss.backward();
    let mut compare = Compare { file: &file, path: Vec::new(), grads: &grads, count: 0 };
    model.visit(&mut compare);
    assert_eq!(compare.count, n_arrays);
}

fn softmax() -> MechanismConfig {
    MechanismConfig::Softmax(SoftmaxConfig { n_heads: 4, causal: false })
}

#[test]
fn the_recipe_that_attends_to_padding_equals_the_reference() {
    check("softmax", softmax(), PaddingPolicy::Ignore, SOFTMAX_ARRAYS);
}

#[test]
fn the_recipe_that_masks_padding_equals_the_reference() {
    check("softmax_keymask", softmax(), PaddingPolicy::Mask, SOFTMAX_ARRAYS);
}

#[test]
fn the_recipe_with_batch_normalisation_and_scaled_heads_equals_the_reference() {
    let mechanism = MechanismConfig::PrimalDual(PrimalDualConfig {
        batch_norm: Some(BatchNormConfig { beta: 0.5, ..BatchNormConfig::default() }),
        scaled_heads: Some(ScaledHeadsConfig::default()),
        ..PrimalDualConfig::new(4)
    });
    // Keys and values of a block come in two runs of heads: four arrays more.
    check("bnsh_recentre_b0p5", mechanism, PaddingPolicy::Ignore, SOFTMAX_ARRAYS + 2 * 4);
}
