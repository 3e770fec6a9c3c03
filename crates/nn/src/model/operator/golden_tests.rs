//! Outputs and gradients of the released program: see `tests/golden/continuum/README.md`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Tensor};
use regard_kernels::pointwise::Activation;
use regard_kernels::quadrature::trapezoid;
use regard_kernels::testing::{assert_close, golden, to_f64};

use super::patched::{PatchAttention, Patching};
use super::*;
use crate::layer::{EncoderBlock, EncoderBlockConfig, NormPlace};
use crate::mechanism::{ContinuumAttention, ContinuumConfig, ContinuumKernel};

fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/continuum");
    folder.join(format!("{name}.safetensors"))
}

/// One parameter of the released program, and how it lies in ours.
#[derive(Clone, Debug)]
enum Named {
    /// The same.
    Same(String),
    /// A matrix, whose transpose is ours.
    Matrix(String),
    /// Multipliers `weights1`, `weights2`, `[in, out, rows, columns, 2]`.
    Multipliers(String),
    /// The same per head, `[in, out, rows, columns, heads, 2]`.
    HeadMultipliers(String),
}

impl Named {
    fn read<const D: usize>(&self, file: &Path, prefix: &str) -> Tensor<D> {
        let data = match self {
            Self::Same(name) => return golden(file, &format!("{prefix}{name}")),
            Self::Matrix(name) => {
                golden::<2>(file, &format!("{prefix}{name}")).transpose().into_data()
            }
            Self::Multipliers(name) => {
                let half = |i: usize| {
                    let half = golden::<5>(file, &format!("{prefix}{name}.weights{i}.ri"));
                    half.permute([2, 3, 4, 0, 1])
                };
                Tensor::cat(vec![half(1), half(2)], 0).into_data()
            }
            Self::HeadMultipliers(name) => {
                let half = |i: usize| {
                    let half = golden::<6>(file, &format!("{prefix}{name}.weights{i}.ri"));
                    let [d_in, d_out, rows, columns, heads, _] = half.dims();
                    half.permute([2, 3, 5, 0, 1, 4]).reshape([
                        rows,
                        columns,
                        2,
                        d_in,
                        d_out * heads,
                    ])
                };
                Tensor::cat(vec![half(1), half(2)], 0).into_data()
            }
        };
        Tensor::from_data(data, (&Device::default(), DType::F64))
    }
}

fn affine(name: &str) -> [Named; 2] {
    [Named::Matrix(format!("{name}.weight")), Named::Same(format!("{name}.bias"))]
}

fn norm(name: &str) -> [Named; 2] {
    ["weight", "bias"].map(|part| Named::Same(format!("{name}.{part}")))
}

/// The parameters of a block in the order of ours.
fn block(attention: Vec<Named>, name: &str, [fc1, fc2]: [&str; 2]) -> Vec<Named> {
    let rest = [
        norm(&format!("{name}norm1")),
        affine(&format!("{name}{fc1}")),
        affine(&format!("{name}{fc2}")),
        norm(&format!("{name}norm2")),
    ];
    attention.into_iter().chain(rest.into_iter().flatten()).collect()
}

fn continuum_names(name: &str) -> Vec<Named> {
    ["W_q", "W_k", "W_v", "W_o"].iter().flat_map(|map| affine(&format!("{name}{map}"))).collect()
}

fn line_block(name: &str) -> Vec<Named> {
    let attention = continuum_names(&format!("{name}self_attn."));
    block(attention, name, ["feed_forward.fc1", "feed_forward.fc2"])
}

fn patch_names(maps: PatchMaps, name: &str) -> Vec<Named> {
    match maps {
        PatchMaps::Pointwise => continuum_names(name),
        PatchMaps::Convolution => ["query", "key", "value"]
            .iter()
            .map(|map| Named::HeadMultipliers(format!("{name}{map}_operator")))
            .chain(affine(&format!("{name}out_linear")))
            .collect(),
    }
}

fn patch_block(maps: PatchMaps, name: &str) -> Vec<Named> {
    let attention = patch_names(maps, &format!("{name}self_attn."));
    block(attention, name, ["linear1", "linear2"])
}

/// Puts the arrays of a file in the place of parameters, in their order.
fn filled<M: Module>(module: M, file: &Path, names: &[Named]) -> M {
    filled_from(module, file, "w.", names)
}

fn filled_from<M: Module>(module: M, file: &Path, prefix: &str, names: &[Named]) -> M {
    struct Fill<'a> {
        file: &'a Path,
        prefix: &'a str,
        names: VecDeque<Named>,
    }
    impl ModuleMapper for Fill<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let name = self.names.pop_front().expect("there is a name for every parameter");
            let value = name.read::<D>(self.file, self.prefix);
            assert_eq!(value.dims(), param.val().dims(), "{name:?}");
            Param::from_tensor(value)
        }
    }
    let mut fill = Fill { file, prefix, names: names.iter().cloned().collect() };
    let module = module.map(&mut fill);
    assert!(fill.names.is_empty(), "{:?} are left", fill.names);
    module
}

/// Compares the gradients of parameters with those of a file, in their order.
fn assert_gradients<M: Module>(
    module: &M,
    grads: &Gradients,
    file: &Path,
    prefix: &str,
    names: &[Named],
    tolerance: f64,
) {
    struct Compare<'a> {
        grads: &'a Gradients,
        file: &'a Path,
        prefix: &'a str,
        names: VecDeque<Named>,
        tolerance: f64,
    }
    impl ModuleVisitor for Compare<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let name = self.names.pop_front().expect("there is a name for every parameter");
            if matches!(&name, Named::Same(name) if name.contains("running")) {
                return;
            }
            let expected = name.read::<D>(self.file, self.prefix);
            let found = param.val().grad(self.grads).unwrap_or_else(|| panic!("{name:?}"));
            close(&found, &expected, self.tolerance);
        }
    }
    let names = names.iter().cloned().collect();
    module.visit(&mut Compare { grads, file, prefix, names, tolerance });
}

/// Relative to the largest number; the gradient of a key bias is zero but for rounding.
#[track_caller]
fn close<const D: usize>(found: &Tensor<D>, expected: &Tensor<D>, tolerance: f64) {
    let largest = to_f64(expected).into_iter().fold(0.0, |a: f64, b| a.max(b.abs()));
    let scale = 1.0 / largest.max(1e-6);
    assert_close(&(found.clone() * scale), &(expected.clone() * scale), tolerance);
}

fn line(file: &Path) -> Sites {
    let coordinates = to_f64(&golden::<2>(file, "coords"));
    let weights = trapezoid(&coordinates).unwrap();
    Sites::line(coordinates, weights)
}

/// Checks output and all gradients of a module for the loss `Σ out · upstream`.
fn assert_golden<M: Module, const D: usize>(
    module: &M,
    file: &Path,
    names: &[Named],
    forward: impl Fn(&M, Tensor<3>) -> Tensor<3>,
    flat: impl Fn(Tensor<D>) -> Tensor<3>,
) {
    let module = filled(module.clone(), file, names);
    let x = flat(golden::<D>(file, "x"));
    let out = flat(golden::<D>(file, "out"));
    close(&forward(&module, x.clone()), &out, 1e-10);
    let module = module.train();
    let x = x.autodiff().require_grad();
    let upstream = flat(golden::<D>(file, "upstream")).autodiff();
    let grads = (forward(&module, x.clone()) * upstream).sum().backward();
    close(&x.grad(&grads).unwrap(), &flat(golden::<D>(file, "grad.x")), 1e-8);
    assert_gradients(&module, &grads, file, "grad.w.", names, 1e-8);
}

fn continuum(n_heads: usize) -> ContinuumConfig {
    ContinuumConfig { n_heads, kernel: ContinuumKernel::Softmax, dropout: 0.0 }
}

#[test]
fn attention_between_functions_equals_the_released_program() {
    let file = file("mha1d_nonuniform");
    let sites = line(&file);
    let attention = continuum(2).init(8, &Device::default()).unwrap();
    let names = continuum_names("");
    let forward = |a: &ContinuumAttention, x| a.forward(x, sites.weights(), None);
    assert_golden(&attention, &file, &names, forward, |x: Tensor<3>| x);
}

#[test]
fn blocks_of_functions_equal_the_released_program() {
    for (name, activation, layers) in [
        ("encoder_layer1d_gelu", Activation::Gelu, 1),
        ("encoder_layer1d_relu", Activation::Relu, 1),
        ("encoder1d_2layers", Activation::Gelu, 2),
    ] {
        let file = file(name);
        let sites = line(&file);
        let prefix = |i: usize| if layers == 1 { String::new() } else { format!("layers.{i}.") };
        let fc1 = golden::<2>(&file, &format!("w.{}feed_forward.fc1.weight", prefix(0)));
        let [d_ff, d_model] = fc1.dims();
        let config =
            EncoderBlockConfig { d_model, d_ff, activation, norm: NormPlace::Post, dropout: 0.0 };
        let device = Device::default();
        let blocks: Vec<EncoderBlock<ContinuumAttention>> = (0..layers)
            .map(|_| config.init(continuum(2).init(d_model, &device).unwrap(), &device))
            .collect();
        let names: Vec<Named> = (0..layers).flat_map(|i| line_block(&prefix(i))).collect();
        let forward = |blocks: &Vec<EncoderBlock<ContinuumAttention>>, x| {
            blocks
                .iter()
                .fold(x, |x, block| block.apply(x, |a, x| a.forward(x, sites.weights(), None)))
        };
        assert_golden(&blocks, &file, &names, forward, |x: Tensor<3>| x);
    }
}

/// Mean over the batch of `‖found − wanted‖ / ‖wanted‖`.
fn relative_l2(found: Tensor<3>, wanted: Tensor<3>) -> Tensor<1> {
    let size = |x: Tensor<3>| x.square().sum_dim(2).sum_dim(1).sqrt();
    (size(found - wanted.clone()) / size(wanted)).mean()
}

#[test]
fn operators_on_a_line_equal_the_released_program() {
    let with = |encoding, first_output| TnoConfig {
        d_model: 8,
        d_ff: 8,
        n_layers: 2,
        mechanism: continuum(2),
        encoding,
        first_output,
        norm: NormPlace::Post,
        cross_readout: false,
        same_start: false,
    };
    let append = with(PointEncoding::Append, false);
    let encoded = |encoding| TnoConfig { n_layers: 1, ..with(encoding, false) };
    let cases = [
        ("tno_append_position", append.clone()),
        ("tno_append_position_nonuniform", append),
        ("tno_initial_condition_token", with(PointEncoding::Append, true)),
        ("tno_pe_continuous", encoded(PointEncoding::Continuous { coefficient: 1.0 })),
        ("tno_pe_discrete", encoded(PointEncoding::Number)),
    ];
    for (name, config) in cases {
        let file = file(name);
        let sites = line(&file);
        let x = golden::<3>(&file, "x");
        let y = golden::<3>(&file, "y");
        let [_, points, d_out] = y.dims();
        let first = y.clone().narrow(1, 0, 1).repeat_dim(1, points);
        let input = |x: Tensor<3>, first: Tensor<3>| {
            if config.first_output { Tensor::cat(vec![x, first], 2) } else { x }
        };
        let d_in = input(x.clone(), first.clone()).dims()[2];
        let shape = OperatorShape { d_in, d_out, dimension: 1 };
        let model = config.init(shape, &Device::default()).unwrap();
        let appends = config.encoding == PointEncoding::Append;
        let lift = affine(if appends { "linear_in_position" } else { "linear_in" });
        let lift_first = config.first_output.then(|| affine("linear_in_initialcond"));
        let names: Vec<Named> = lift
            .into_iter()
            .chain(lift_first.into_iter().flatten())
            .chain((0..config.n_layers).flat_map(|i| line_block(&format!("encoder.layers.{i}."))))
            .chain(affine("linear_out"))
            .collect();
        let model = filled(model, &file, &names);
        let out = model.forward(input(x.clone(), first.clone()), &sites);
        // The program's table of numbered points is in single precision.
        let numbered = config.encoding == PointEncoding::Number;
        let [of_values, of_gradients] = if numbered { [1e-6, 1e-5] } else { [1e-10, 1e-8] };
        close(&out, &golden(&file, "out"), of_values);
        let model = model.train();
        let x = x.autodiff().require_grad();
        let out = model.forward(input(x.clone(), first.autodiff()), &sites);
        let loss = relative_l2(out, y.autodiff());
        close(&loss.clone().inner(), &golden::<1>(&file, "loss_rel_l2"), of_values);
        let grads = loss.backward();
        close(&x.grad(&grads).unwrap(), &golden(&file, "grad.x"), of_gradients);
        assert_gradients(&model, &grads, &file, "grad.w.", &names, of_gradients);
    }
}

/// `[1, patches, rows, columns, d]` as our blocks take it.
fn patches(x: Tensor<5>) -> Tensor<3> {
    let [batch, n, rows, columns, d] = x.dims();
    x.reshape([batch * n, rows * columns, d])
}

fn square(n: usize) -> Sites {
    let axis: Vec<f64> = (0..n).map(|i| i as f64 / (n - 1) as f64).collect();
    Sites::grid(&axis, &axis)
}

fn patched(d_ff: usize, n_layers: usize, patches: usize, modes: usize) -> PatchedConfig {
    PatchedConfig {
        d_model: 4,
        d_ff,
        n_heads: 2,
        n_layers,
        patches: [patches; 2],
        modes: [modes; 2],
        field_modes: None,
        smoothing: None,
        norm: NormPlace::Post,
        same_start: false,
    }
}

#[test]
fn attention_between_patches_equals_the_released_program() {
    let shape = OperatorShape { d_in: 1, d_out: 1, dimension: 2 };
    let patching = Patching::new([2, 2], &square(8));
    for (maps, name) in [(PatchMaps::Pointwise, "vitno"), (PatchMaps::Convolution, "fano")] {
        let model = patched(8, 1, 2, 3).init(maps, shape, &Device::default()).unwrap();
        let block = &model.blocks[0];
        let forward = |a: &PatchAttention, u| a.forward(u, &patching);
        let names = patch_names(maps, "");
        let path = file(&format!("{name}_attention"));
        assert_golden(&block.mechanism, &path, &names, forward, patches);
        let forward = |block: &EncoderBlock<PatchAttention>, u| {
            block.apply(u, |attention, u| attention.forward(u, &patching))
        };
        let path = file(&format!("{name}_layer"));
        assert_golden(block, &path, &patch_block(maps, ""), forward, patches);
    }
}

/// With its norms first, normalised rows take the place of those that they come from, and the second norm stays behind the
/// feed-forward map: no block of ours is like that.
#[test]
fn the_parts_of_a_block_give_the_released_program_s_norms_first() {
    let shape = OperatorShape { d_in: 1, d_out: 1, dimension: 2 };
    let (patching, maps) = (Patching::new([2, 2], &square(8)), PatchMaps::Convolution);
    let model = patched(8, 1, 2, 3).init(maps, shape, &Device::default()).unwrap();
    let forward = |block: &EncoderBlock<PatchAttention>, u| {
        let u = block.norm_attention.forward(u);
        let u = u.clone() + block.mechanism.forward(u, &patching);
        block.norm_feed_forward.forward(u.clone() + block.feed_forward(u))
    };
    let path = file("fano_layer_norm_first");
    assert_golden(&model.blocks[0], &path, &patch_block(maps, ""), forward, patches);
}

/// `(‖e‖ + |e|₁) / (‖y‖ + |y|₁)` with the gradient by differences of neighbours, mean over the batch.
fn relative_h1(found: Tensor<3>, wanted: Tensor<3>) -> Tensor<1> {
    let along = |x: Tensor<3>, axis: usize| {
        let n = x.dims()[axis];
        let part = |first, len| x.clone().narrow(axis, first, len);
        let ends = [part(1, 1) - part(0, 1), part(n - 1, 1) - part(n - 2, 1)];
        let [first, last] = ends;
        Tensor::cat(vec![first, (part(2, n - 2) - part(0, n - 2)) * 0.5, last], axis)
    };
    let size = |x: Tensor<3>| x.square().mean_dim(2).mean_dim(1).sqrt();
    let norm = |x: Tensor<3>| {
        let slope = along(x.clone(), 1).square() + along(x.clone(), 2).square();
        size(x) + slope.mean_dim(2).mean_dim(1).sqrt()
    };
    (norm(found - wanted.clone()) / norm(wanted)).mean()
}

#[test]
fn operators_between_fields_equal_the_released_program() {
    let whole = patched(8, 2, 2, 3);
    let small = PatchedConfig { smoothing: Some(4), ..patched(6, 1, 3, 3) };
    let vitno = PatchedConfig { smoothing: Some(3), ..whole.clone() };
    let cases = [
        ("vitno_model", PatchMaps::Pointwise, vitno, ["res8", "res24"]),
        ("vitno_model_sameres_modes", PatchMaps::Pointwise, small.clone(), ["res18", "res24"]),
        ("fano_model", PatchMaps::Convolution, whole, ["res8", "res24"]),
        ("fano_model_smoothing", PatchMaps::Convolution, small, ["res18", "res24"]),
    ];
    for (name, maps, config, others) in cases {
        let file = file(name);
        let shape = OperatorShape { d_in: 1, d_out: 1, dimension: 2 };
        let model = config.init(maps, shape, &Device::default()).unwrap();
        let lift = match maps {
            PatchMaps::Pointwise => vec![Named::Multipliers("linear_in".to_owned())],
            PatchMaps::Convolution => affine("linear_in").to_vec(),
        };
        let smoothing = config.smoothing.map(|_| Named::Multipliers("smoothing".to_owned()));
        let names: Vec<Named> = lift
            .into_iter()
            .chain(
                (0..config.n_layers)
                    .flat_map(|i| patch_block(maps, &format!("encoder.layers.{i}."))),
            )
            .chain(affine("linear_out"))
            .chain(smoothing)
            .collect();
        let model = filled(model, &file, &names);
        let field = |name: &str| golden::<3>(&file, name);
        let flat = |x: Tensor<3>| {
            let [batch, rows, columns] = x.dims();
            (x.reshape([batch, rows * columns, 1]), rows)
        };
        for resolution in others.into_iter().chain(["train_res"]) {
            let (x, n) = flat(field(&format!("{resolution}.x")));
            let (out, _) = flat(field(&format!("{resolution}.out")));
            close(&model.forward(x, &square(n)), &out, 1e-10);
        }
        let model = model.train();
        let x = field("train_res.x");
        let shape @ [batch, n, _] = x.dims();
        let x = x.autodiff().require_grad();
        let out = model.forward(x.clone().reshape([batch, n * n, 1]), &square(n)).reshape(shape);
        let loss = relative_h1(out, field("train_res.y").autodiff());
        let expected = golden::<1>(&file, "train_res.loss_rel_h1");
        close(&loss.clone().inner(), &expected, 1e-10);
        let grads = loss.backward();
        close(&x.grad(&grads).unwrap(), &field("train_res.grad_of_h1.x"), 1e-8);
        assert_gradients(&model, &grads, &file, "train_res.grad_of_h1.w.", &names, 1e-8);
    }
}

#[test]
fn the_released_fourier_operator_equals_the_released_program() {
    let file = file("fno_model");
    let config = FnoConfig { d_model: 4, n_layers: 2, modes: [3, 3], form: FnoForm::Released };
    let shape = OperatorShape { d_in: 1, d_out: 1, dimension: 2 };
    let model = config.init(shape, &Device::default()).unwrap();
    let layer = |i: usize| {
        let name = format!("fno.layers.{i}");
        std::iter::once(Named::Multipliers(format!("{name}.conv")))
            .chain(affine(&format!("{name}.linear")))
            .chain(norm(&format!("{name}.norm")))
            .chain(["mean", "var"].map(|x| Named::Same(format!("{name}.norm.running_{x}"))))
    };
    let names: Vec<Named> = affine("linear_in")
        .into_iter()
        .chain((0..2).flat_map(layer))
        .chain(affine("linear_out"))
        .collect();
    let model = filled_from(model, &file, "w_before.", &names);
    let flat = |name: &str| {
        let x = golden::<3>(&file, name);
        let [batch, rows, columns] = x.dims();
        (x.reshape([batch, rows * columns, 1]), rows)
    };
    let (x, n) = flat("x");
    let trained = model.train();
    let x_in = x.clone().autodiff().require_grad();
    let out = trained.forward(x_in.clone(), &square(n));
    close(&out.clone().inner(), &flat("out_train_mode").0, 1e-10);
    let grads = (out * flat("upstream").0.autodiff()).sum().backward();
    close(&x_in.grad(&grads).unwrap(), &flat("grad.x").0, 1e-8);
    assert_gradients(&trained, &grads, &file, "grad.w.", &names, 1e-8);
    let model = trained.valid();
    close(&model.forward(x, &square(n)), &flat("out_eval_mode_after_one_train_pass").0, 1e-10);
    let (x, n) = flat("res2.x");
    close(&model.forward(x, &square(n)), &flat("res2.out_eval_mode").0, 1e-10);
}
