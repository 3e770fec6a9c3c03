//! Weighted attention against the authors' program, and its convergence: see
//! `tests/golden/continuum/README.md`.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Rule, gauss_legendre, log_weights, midpoint, trapezoid};
use crate::softmax::{HeadKeys, KeyMask, KeyWeight, attention, composed_weights};
use crate::testing::{assert_close, from_f64, golden, to_f64};

fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/continuum");
    folder.join(format!("{name}.safetensors"))
}

/// Weights of every point of a file as the kernel takes them.
fn log_weight(weights: &[f64], [batch, heads]: [usize; 2]) -> Tensor<3> {
    log_weights(weights, None, [batch, heads, weights.len()], (&Device::default(), DType::F64))
}

/// Result, density and gradients of one file; scores are divided by 2.
fn check(name: &str, weights: &[f64]) {
    let file = file(name);
    let [q, k, v] = ["q", "k", "v"].map(|x| golden::<4>(&file, x).autodiff().require_grad());
    let [batch, heads, time_q, _] = q.dims();
    let w = log_weight(weights, [batch, heads]);
    let out = attention(q.clone(), k.clone(), v.clone(), Some(w.clone()), 0.5, false);
    assert_close(&out.clone().inner(), &golden(&file, "out"), 1e-13);
    let grads = (out * golden::<4>(&file, "upstream").autodiff()).sum().backward();
    for (x, name) in [(&q, "grad.q"), (&k, "grad.k"), (&v, "grad.v")] {
        assert_close(&x.grad(&grads).expect("a gradient"), &golden(&file, name), 1e-12);
    }
    let weight = KeyWeight::Log(w);
    let keys = HeadKeys { k: k.inner(), v: v.inner(), weight, mask: KeyMask::All };
    let masses = composed_weights(q.inner(), &keys, 0.5);
    let weights = from_f64(weights.to_vec(), [1, 1, 1, weights.len()]);
    let density = golden::<4>(&file, "attention_density");
    assert_close(&masses, &(density.clone() * weights.clone()), 1e-13);
    let ones = Tensor::ones([batch, heads, time_q, 1], (&Device::default(), DType::F64));
    assert_close(&(density * weights).sum_dim(3), &ones, 1e-13);
}

#[test]
fn attention_with_trapezoid_weights_equals_the_authors() {
    for name in ["sdpa1d_uniform", "sdpa1d_nonuniform", "sdpa1d_nonuniform_cross"] {
        let coords = to_f64(&golden::<2>(&file(name), "coords"));
        check(name, &trapezoid(&coords).unwrap());
    }
    check("sdpa_plain_2dcoords", &[1.0; 6]);
}

/// Nine queries that attend to a function on [0, 1] through matrices of the file.
struct Operator {
    q: Tensor<4>,
    key: Tensor<2>,
    value: Tensor<2>,
    phase: f64,
    reference: Vec<f64>,
}

impl Operator {
    fn new() -> Self {
        let file = file("continuum_convergence");
        let [phase] = to_f64(&golden::<1>(&file, "phase"))[..] else { panic!("one phase") };
        let [query, key, value] = ["Q", "K", "V"].map(|name| golden::<2>(&file, name));
        let points = to_f64(&golden::<1>(&file, "query_points"));
        let q = function(&points, phase).matmul(query).unsqueeze();
        let reference = to_f64(&golden::<2>(&file, "reference"));
        Self { q, key, value, phase, reference }
    }

    /// Differences from the reference at all queries and channels.
    fn errors(&self, nodes: &[f64], weights: &[f64]) -> Vec<f64> {
        let u = function(nodes, self.phase);
        let [k, v] = [&self.key, &self.value].map(|map| u.clone().matmul(map.clone()).unsqueeze());
        let w = log_weight(weights, [1, 1]);
        let out = to_f64(&attention(self.q.clone(), k, v, Some(w), 0.5, false));
        out.iter().zip(&self.reference).map(|(found, expected)| found - expected).collect()
    }

    fn error(&self, nodes: &[f64], weights: &[f64]) -> f64 {
        self.errors(nodes, weights).into_iter().map(f64::abs).fold(0.0, f64::max)
    }
}

/// `u(t) = [sin(2πt + φ) + cos(5t)/2, t² − 0.3φ, e^{−t}]`, row after row.
fn function(t: &[f64], phase: f64) -> Tensor<2> {
    let row = |&t: &f64| {
        let wave = (std::f64::consts::TAU * t + phase).sin() + 0.5 * (5.0 * t).cos();
        [wave, t * t - 0.3 * phase, (-t).exp()]
    };
    from_f64(t.iter().flat_map(row).collect(), [t.len(), 3])
}

/// Slope of a line through `(ln n, ln error)`, by least squares.
fn slope(points: &[(usize, f64)]) -> f64 {
    let points: Vec<_> = points.iter().map(|&(n, error)| ((n as f64).ln(), error.ln())).collect();
    let mean = |f: fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / points.len() as f64;
    let [x_mean, y_mean] = [mean(|p| p.0), mean(|p| p.1)];
    let covariance: f64 = points.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    covariance / points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum::<f64>()
}

fn uniform(n: usize) -> Vec<f64> {
    (0..n).map(|i| i as f64 / (n - 1) as f64).collect()
}

#[test]
fn gauss_legendre_gives_the_reference() {
    let Rule { nodes, weights } = gauss_legendre([0.0, 1.0], 60).unwrap();
    assert!(Operator::new().error(&nodes, &weights) < 1e-13);
}

/// The largest error of a rule of so many points.
type Error<'a> = &'a dyn Fn(usize) -> f64;

/// Errors of the largest grids are 1e-5, and rounding 1e-15: ten digits of them are exact.
#[test]
fn rules_converge_as_fast_as_their_order() {
    let operator = Operator::new();
    let file = file("continuum_convergence");
    let plain = |nodes: Vec<f64>| operator.error(&nodes, &vec![1.0; nodes.len()]);
    let weighted = |nodes: Vec<f64>| operator.error(&nodes, &trapezoid(&nodes).unwrap());
    let squares = |n| uniform(n).into_iter().map(|s| s * s).collect();
    let centres = |n| midpoint([0.0, 1.0], n).unwrap().nodes;
    let cases: [(&str, Error, [f64; 2]); 4] = [
        ("trapezoid_uniform", &|n| weighted(uniform(n)), [-2.2, -1.85]),
        ("trapezoid_quadratic_grid", &|n| weighted(squares(n)), [-2.2, -1.85]),
        ("plain_softmax_nodes", &|n| plain(uniform(n)), [-1.1, -0.9]),
        ("plain_softmax_midpoints", &|n| plain(centres(n)), [-2.15, -1.85]),
    ];
    for (name, error, band) in cases {
        let sizes = [9, 17, 33, 65, 129, 257];
        let errors = sizes.map(|n| (n, error(n)));
        let expected = to_f64(&golden::<1>(&file, &format!("max_error.{name}")));
        for ((n, found), expected) in errors.iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-9, "{name}, {n}: {found}, not {expected}");
        }
        let slope = slope(&errors[2..]);
        assert!(band[0] <= slope && slope <= band[1], "{name}: slope {slope}");
    }
}

#[test]
fn trapezoid_weights_correct_random_nodes() {
    let operator = Operator::new();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let errors = [33, 65, 129, 257].map(|n| {
        let mut errors: Vec<f64> = (0..20)
            .map(|_| {
                let mut nodes: Vec<f64> = (2..n).map(|_| rng.random()).collect();
                nodes.extend([0.0, 1.0]);
                nodes.sort_by(f64::total_cmp);
                operator.error(&nodes, &trapezoid(&nodes).unwrap())
            })
            .collect();
        errors.sort_by(f64::total_cmp);
        (n, 0.5 * (errors[9] + errors[10]))
    });
    assert!(slope(&errors) <= -1.3, "{errors:?}");
}

#[test]
fn plain_softmax_over_drawn_points_is_a_monte_carlo_estimate() {
    const DRAWS: usize = 400;
    let operator = Operator::new();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let errors = [16, 64, 256, 1024].map(|n| {
        let squares: f64 = (0..DRAWS)
            .map(|_| {
                let nodes: Vec<f64> = (0..n).map(|_| rng.random()).collect();
                let errors = operator.errors(&nodes, &vec![1.0; n]);
                errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64
            })
            .sum();
        (n, (squares / DRAWS as f64).sqrt())
    });
    let slope = slope(&errors);
    assert!((-0.6..=-0.42).contains(&slope), "slope {slope} of {errors:?}");
}

#[test]
fn weights_carry_what_they_should_and_nothing_else() {
    let operator = Operator::new();
    let nodes = [0.0, 0.1, 0.15, 0.4, 0.7, 0.75, 1.0];
    let weights = trapezoid(&nodes).unwrap();
    let expected = operator.errors(&nodes, &weights);
    let same = |found: Vec<f64>| {
        let n = found.len();
        assert_close(&from_f64(found, [n]), &from_f64(expected.clone(), [n]), 1e-13);
    };
    // An affine change of the coordinate scales all weights, and attention normalises.
    let stretched = nodes.map(|t| 3.0 - 7.0 * t);
    same(operator.errors(&nodes, &trapezoid(&stretched).unwrap()));
    // Points and their weights in the other order.
    let mut backwards = nodes;
    backwards.reverse();
    same(operator.errors(&backwards, &trapezoid(&backwards).unwrap()));
    // A third node at the same place has no width; the second shares the weight.
    let repeated = [0.0, 0.1, 0.15, 0.4, 0.4, 0.4, 0.7, 0.75, 1.0];
    let weights = trapezoid(&repeated).unwrap();
    assert_eq!(weights[4].to_bits(), 0.0f64.to_bits());
    same(operator.errors(&repeated, &weights));
    // Without weights the result is another one.
    let plain = operator.errors(&nodes, &[1.0; 7]);
    assert!(plain.iter().zip(&expected).any(|(plain, weighted)| (plain - weighted).abs() > 0.1));
}
