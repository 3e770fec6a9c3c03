//! What holds for operators whatever their weights.

use std::f64::consts::TAU;

use burn::tensor::{Device, Tensor};
use regard_kernels::quadrature::trapezoid;
use regard_kernels::testing::{assert_close, double, from_f64, normal, to_f64};

use super::*;
use crate::mechanism::{ContinuumConfig, ContinuumKernel};
use crate::parameter::MultipliersConfig;

const LINE: OperatorShape = OperatorShape { d_in: 1, d_out: 1, dimension: 1 };
const FIELD: OperatorShape = OperatorShape { d_in: 1, d_out: 1, dimension: 2 };

fn tno(kernel: ContinuumKernel, cross_readout: bool) -> TnoConfig {
    TnoConfig {
        d_model: 8,
        d_ff: 16,
        n_layers: 2,
        mechanism: ContinuumConfig { kernel, ..ContinuumConfig::new(2) },
        cross_readout,
        ..TnoConfig::default()
    }
}

fn operator(config: OperatorConfig, shape: OperatorShape) -> Operator {
    double(config.init(shape, &Device::default()).unwrap())
}

fn patched() -> PatchedConfig {
    PatchedConfig {
        d_model: 8,
        d_ff: 16,
        n_heads: 2,
        n_layers: 2,
        modes: [4, 4],
        ..Default::default()
    }
}

fn nodes(n: usize) -> Vec<f64> {
    (0..n).map(|i| i as f64 / (n - 1) as f64).collect()
}

fn cells(n: usize) -> Vec<f64> {
    (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect()
}

/// `sin(5 t) + t²` as the function that is read.
fn on_line(t: &[f64]) -> Tensor<3> {
    from_f64(t.iter().map(|t| (5.0 * t).sin() + t * t).collect(), [1, t.len(), 1])
}

fn on_grid(axis: &[f64]) -> (Tensor<3>, Sites) {
    let value = |x: f64, y: f64| (3.0 * x).sin() * (1.0 + y) + (2.0 * x * y).cos();
    let values = axis.iter().flat_map(|&y| axis.iter().map(move |&x| value(x, y))).collect();
    (from_f64(values, [1, axis.len().pow(2), 1]), Sites::grid(axis, axis))
}

#[test]
fn models_have_as_many_numbers_as_published() {
    // The released program counts a map of 256 numbers that it never uses, and a complex number once.
    let published = TnoConfig::default();
    assert_eq!(published.n_parameters(LINE) + 256, 598_273);
    let first = TnoConfig { first_output: true, ..published.clone() };
    let lorenz = |d_out| OperatorShape { d_in: 1 + d_out, d_out, dimension: 1 };
    assert_eq!(first.n_parameters(lorenz(1)) + 256, 598_785);
    assert_eq!(first.n_parameters(lorenz(2)) + 256, 599_042);
    assert_eq!(published.n_parameters(FIELD) + 256, 598_401);
    let sizes = [
        (32, [123_745, 6_029_345, 2_363_937]),
        (64, [279_489, 24_014_145, 9_454_657]),
        (96, [484_385, 53_955_169, 21_272_161]),
        (128, [738_433, 95_852_417, 37_816_449]),
    ];
    for (d_model, [vitno, fano, fno]) in sizes {
        let config = PatchedConfig {
            d_model,
            d_ff: 128,
            n_heads: 8,
            n_layers: 6,
            modes: [9, 9],
            smoothing: Some(64),
            ..PatchedConfig::default()
        };
        let count = |config: OperatorConfig| config.n_parameters(FIELD);
        assert_eq!(count(OperatorConfig::Vitno(config.clone())), vitno);
        assert_eq!(count(OperatorConfig::Fano(PatchedConfig { smoothing: None, ..config })), fano);
        let config = FnoConfig { d_model, form: FnoForm::Released, ..FnoConfig::default() };
        assert_eq!(count(OperatorConfig::Fno(config)), fno);
    }
}

#[test]
fn counts_are_those_of_the_parameters() {
    let cross = TnoConfig { first_output: true, ..tno(ContinuumKernel::Softmax, true) };
    let two = OperatorShape { d_in: 3, d_out: 2, dimension: 2 };
    for config in [
        OperatorConfig::Tno(cross),
        OperatorConfig::Vitno(PatchedConfig {
            smoothing: Some(3),
            field_modes: Some([3, 2]),
            ..patched()
        }),
        OperatorConfig::Fano(patched()),
        OperatorConfig::Fno(FnoConfig { d_model: 6, modes: [3, 2], ..FnoConfig::default() }),
    ] {
        let model = config.init(two, &Device::default()).unwrap();
        assert_eq!(model.num_params(), config.n_parameters(two), "{config:?}");
    }
}

#[test]
fn the_order_of_points_does_not_matter() {
    let t = [0.0, 0.1, 0.35, 0.4, 0.8, 1.0];
    let weights = trapezoid(&t).unwrap();
    let order = [3, 0, 5, 1, 4, 2];
    for kernel in [ContinuumKernel::Softmax, ContinuumKernel::Linear, ContinuumKernel::Log] {
        let model = operator(OperatorConfig::Tno(tno(kernel, false)), LINE);
        let x = on_line(&t);
        let y = to_f64(&model.forward(x.clone(), &Sites::line(t.to_vec(), weights.clone())));
        let shuffled = order.map(|i| t[i]);
        let sites = Sites::line(shuffled.to_vec(), order.map(|i| weights[i]).to_vec());
        let found = model.forward(on_line(&shuffled), &sites);
        let expected = from_f64(order.map(|i| y[i]).to_vec(), [1, 6, 1]);
        assert_close(&found, &expected, 1e-12);
    }
}

#[test]
fn a_point_cut_in_two_changes_nothing() {
    let t = vec![0.0, 0.3, 0.7];
    let twice = vec![0.0, 0.3, 0.3, 0.7];
    for kernel in [ContinuumKernel::Softmax, ContinuumKernel::Linear, ContinuumKernel::Log] {
        let model = operator(OperatorConfig::Tno(tno(kernel, false)), LINE);
        let once = Sites::line(t.clone(), vec![0.2, 0.5, 0.3]);
        let cut = Sites::line(twice.clone(), vec![0.2, 0.1, 0.4, 0.3]);
        let y = model.forward(on_line(&t), &once);
        let z = model.forward(on_line(&twice), &cut);
        assert_close(&z.clone().narrow(1, 0, 2), &y.clone().narrow(1, 0, 2), 1e-12);
        assert_close(&z.narrow(1, 3, 1), &y.narrow(1, 2, 1), 1e-12);
    }
}

/// Largest distance at the nodes of the coarsest grid between so many nodes and very many.
fn refinement(model: &Operator, quadrature: impl Fn(&[f64]) -> Vec<f64>, n: usize) -> f64 {
    let at = |n: usize| {
        let t = nodes(n);
        let y = model.forward(on_line(&t), &Sites::line(t.clone(), quadrature(&t)));
        to_f64(&y).into_iter().step_by((n - 1) / 16).collect::<Vec<_>>()
    };
    at(n).iter().zip(at(2049)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn an_operator_converges_with_the_order_of_its_quadrature() {
    for kernel in [ContinuumKernel::Softmax, ContinuumKernel::Linear, ContinuumKernel::Log] {
        let model = operator(OperatorConfig::Tno(tno(kernel, false)), LINE);
        let order = |quadrature: fn(&[f64]) -> Vec<f64>| {
            let [coarse, fine] = [33, 129].map(|n| refinement(&model, quadrature, n));
            (coarse / fine).log2() / 2.0
        };
        let trapezoid = order(|t| trapezoid(t).unwrap());
        let equal = order(|t| vec![1.0; t.len()]);
        assert!((1.85..2.2).contains(&trapezoid), "{kernel:?}: order {trapezoid}");
        assert!((0.8..1.2).contains(&equal), "{kernel:?}: order {equal}");
    }
}

#[test]
fn a_cross_readout_answers_anywhere() {
    let model = double(tno(ContinuumKernel::Softmax, true).init(LINE, &Device::default()).unwrap());
    let t = nodes(33);
    let sites = Sites::line(t.clone(), trapezoid(&t).unwrap());
    let targets = Sites::line(vec![0.5, 0.123, 0.0], vec![1.0; 3]);
    let (own, elsewhere) =
        (model.forward(on_line(&t), &sites), model.forward_at(on_line(&t), &sites, &targets));
    assert_close(&elsewhere.clone().narrow(1, 0, 1), &own.clone().narrow(1, 16, 1), 1e-12);
    assert_close(&elsewhere.narrow(1, 2, 1), &own.narrow(1, 0, 1), 1e-12);
}

/// Means over the patches of what a model makes of a field on `n × n` points.
fn patch_means(model: &Operator, axis: &[f64]) -> Vec<f64> {
    let n = axis.len();
    let (x, sites) = on_grid(axis);
    let y = model.forward(x, &sites).reshape([4, n / 4, 4, n / 4]);
    to_f64(&y.mean_dim(3).mean_dim(1))
}

#[test]
fn fields_converge_with_the_resolution() {
    let smooth = PatchedConfig { smoothing: Some(4), ..patched() };
    let field = PatchedConfig { field_modes: Some([4, 4]), ..patched() };
    for config in [
        OperatorConfig::Vitno(smooth),
        OperatorConfig::Vitno(field),
        OperatorConfig::Fano(patched()),
    ] {
        let model = operator(config, FIELD);
        let ratio = |axis: fn(usize) -> Vec<f64>| {
            let fine = patch_means(&model, &axis(256));
            let [coarse, finer] = [32, 64].map(|n| {
                let apart = |(a, b): (f64, &f64)| (a - b).abs();
                patch_means(&model, &axis(n)).into_iter().zip(&fine).map(apart).fold(0.0, f64::max)
            });
            coarse / finer
        };
        let (with_ends, centres) = (ratio(nodes), ratio(cells));
        assert!(with_ends > 1.8, "end points: {with_ends}");
        assert!(centres > 3.5, "centres of cells: {centres}");
    }
}

#[test]
fn fields_of_a_batch_do_not_see_each_other() {
    let sites = on_grid(&cells(8)).1;
    for config in [
        OperatorConfig::Vitno(PatchedConfig { modes: [1, 1], smoothing: Some(2), ..patched() }),
        OperatorConfig::Fano(PatchedConfig { modes: [1, 1], ..patched() }),
        OperatorConfig::Fno(FnoConfig { d_model: 4, modes: [2, 2], ..FnoConfig::default() }),
        OperatorConfig::Tno(tno(ContinuumKernel::Softmax, false)),
    ] {
        let model = operator(config, FIELD);
        let x = normal([3, 64, 1], 1);
        let together = model.forward(x.clone(), &sites);
        for i in 0..3 {
            let alone = model.forward(x.clone().narrow(0, i, 1), &sites);
            assert_close(&together.clone().narrow(0, i, 1), &alone, 1e-12);
        }
    }
}

#[test]
fn blocks_may_start_from_the_same_values_and_stay_apart() {
    let config = PatchedConfig { same_start: true, ..patched() };
    let model = config.init(PatchMaps::Pointwise, FIELD, &Device::default()).unwrap();
    let [a, b] = [0, 1].map(|i| model.blocks[i].mechanism.output.weight.clone());
    assert_close(&a.val(), &b.val(), 0.0);
    assert_ne!(a.id, b.id, "one parameter for two blocks would be trained as one");
}

#[test]
fn points_that_a_model_cannot_read_are_named() {
    let line = Sites::line(nodes(5), vec![0.2; 5]);
    let odd = on_grid(&cells(10)).1;
    let fano = operator(OperatorConfig::Fano(patched()), FIELD);
    let message = |model: &Operator, sites: &Sites| model.accepts(sites).unwrap_err().to_string();
    assert!(
        message(&fano, &line).starts_with("model kind vitno or fano reads grids, not 5 points")
    );
    assert!(
        message(&fano, &odd)
            .starts_with("a grid of 10 × 10 points cannot be cut into patches = [4, 4]")
    );
    let tno = operator(OperatorConfig::Tno(tno(ContinuumKernel::Softmax, false)), LINE);
    assert_eq!(message(&tno, &odd), "points with 2 coordinates, the model reads functions of 1");
    assert!(fano.accepts(&on_grid(&cells(8)).1).is_ok());
    let config = ContinuumConfig { kernel: ContinuumKernel::Log, dropout: 0.1, n_heads: 2 };
    let refused = config.init(8, &Device::default()).unwrap_err().to_string();
    assert!(refused.starts_with("mechanism.dropout does not go with"), "{refused}");
}

#[test]
fn a_convolution_of_a_periodic_function_is_the_same_with_and_without_its_last_point() {
    let config = MultipliersConfig { d_in: 1, d_out: 2, modes: [3, 3] };
    let map = double(config.init(&Device::default()));
    let wave = |x: f64, y: f64| (TAU * (x - 2.0 * y)).sin() + (TAU * y).cos();
    let on = |axis: &[f64]| {
        let values = axis.iter().flat_map(|&y| axis.iter().map(move |&x| wave(x, y)));
        from_f64(values.collect(), [1, axis.len(), axis.len(), 1])
    };
    let edges: Vec<f64> = (0..12).map(|i| f64::from(i) / 12.0).collect();
    let expected = map.forward(on(&edges));
    let found = map.closed(on(&nodes(13)));
    assert_close(&found.clone().narrow(1, 0, 12).narrow(2, 0, 12), &expected, 1e-12);
    assert_close(&found.clone().narrow(1, 12, 1), &found.clone().narrow(1, 0, 1), 1e-12);
    // The same at another number of points.
    let finer = map.closed(on(&nodes(25)));
    assert_close(
        &finer.narrow(1, 12, 1).narrow(2, 4, 1),
        &found.narrow(1, 6, 1).narrow(2, 2, 1),
        1e-12,
    );
}
