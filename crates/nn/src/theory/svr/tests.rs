//! The regression is attention; and it stops being so where the theory says.

use std::path::PathBuf;

use burn::tensor::Tensor;
use proptest::prelude::*;
use regard_kernels::testing::{golden, normal, to_f64};

use super::*;
use crate::theory::Kernel;

/// Bounds: duals relative to their largest, results, and the gap relative to the objective.
const DUALS: f64 = 1e-9;
const RESULTS: f64 = 1e-10;
const GAP: f64 = 1e-10;

struct Golden(PathBuf);

impl Golden {
    fn open(name: &str) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/theory");
        Self(PathBuf::from(folder).join(format!("{name}.safetensors")))
    }
    fn matrix(&self, name: &str) -> Matrix {
        Matrix::of(&golden::<2>(&self.0, name))
    }
    fn list(&self, name: &str) -> Vec<f64> {
        to_f64(&golden::<1>(&self.0, name))
    }
    fn number(&self, name: &str) -> f64 {
        self.list(name)[0]
    }
    /// Queries and keys as the kernel sees them: normalised where the file is about that.
    fn rows(&self, name: &str) -> [Tensor<4>; 2] {
        let [queries, keys] = ["queries", "keys"].map(|name| golden::<2>(&self.0, name));
        let mean = keys.clone().mean_dim(0);
        let shift = mean.clone() * self.number("beta");
        let variance = (keys.clone() - mean).powi_scalar(2).mean_dim(0);
        let s = (variance + self.number("bn_eps")).sqrt();
        [queries, keys].map(|x| {
            let x = match name {
                "svr_bn_recentre" => x - shift.clone(),
                "svr_bn_full" => (x - shift.clone()) / s.clone(),
                _ => x,
            };
            x.unsqueeze::<4>()
        })
    }
}

fn distance(a: &Matrix, b: &Matrix) -> f64 {
    assert_eq!((a.rows(), a.cols()), (b.rows(), b.cols()));
    (a - b).largest()
}

fn kernel(kernel: &Kernel, x: &Tensor<4>, y: &Tensor<4>) -> Matrix {
    let values: Tensor<4> = kernel.matrix(x.clone(), y.clone());
    let [_, _, rows, cols] = values.dims();
    Matrix::of(&values.reshape([rows, cols]))
}

/// `h(x) = Σ_j κ(x, k_j)`.
fn row_sums(kernel: &Matrix) -> Vec<f64> {
    (0..kernel.rows()).map(|i| (0..kernel.cols()).map(|j| kernel[(i, j)]).sum()).collect()
}

#[test]
fn golden_problems_are_solved_and_reproduce_attention() {
    let files = [
        ("svr_softmax", Kernel::softmax()),
        ("svr_linear", Kernel::linear()),
        ("svr_bn_recentre", Kernel::softmax()),
        ("svr_bn_full", Kernel::softmax()),
    ];
    for (name, map) in files {
        let file = Golden::open(name);
        let [queries, keys] = file.rows(name);
        let (kk, qk) = (kernel(&map, &keys, &keys), kernel(&map, &queries, &keys));
        let [h_keys, h_queries] = [&kk, &qk].map(row_sums);
        for (found, expected) in h_keys.iter().zip(file.list("h_keys")) {
            assert!((found - expected).abs() <= 1e-12 * expected, "{name}");
        }
        let gram = gram(&kk, &h_keys);
        assert!(distance(&gram, &file.matrix("gram")) < 1e-12, "{name}");
        // Only keys, targets, ε and C: the solver sees no value.
        let (eps, c) = (file.number("epsilon"), file.number("c"));
        let problem = Regression::new(gram, file.matrix("targets"), eps, c).unwrap();
        let found = problem.solve();
        let expected = file.matrix("dual_expected");
        assert!(found.converged, "{name}");
        assert!(distance(&found.a, &expected) <= DUALS * expected.largest(), "{name}");
        assert!(problem.violation(&found) < 1e-12, "{name}: {}", problem.violation(&found));
        assert!(problem.gap(&found).abs() <= GAP, "{name}: {}", problem.gap(&found));
        for (found, name) in
            [(problem.primal(&found), "primal_value"), (problem.dual(&found), "dual_value")]
        {
            assert!((found - file.number(name)).abs() <= GAP * found.abs(), "{name}: {found}");
        }
        let f = expand(&qk, &h_queries, &h_keys, &found);
        assert!(distance(&f, &file.matrix("attention")) <= RESULTS, "{name}");
        // The other way: values give the targets of the file.
        let values = file.matrix("values");
        let made = Regression::of_attention(&kk, &h_keys, &values, eps).unwrap();
        assert!(distance(&made.expected, &expected) <= 1e-12 * expected.largest(), "{name}");
        let targets = file.matrix("targets");
        assert!(distance(&made.regression.targets, &targets) < 1e-12, "{name}");
        assert!((made.regression.c() - c).abs() < 1e-12 * c, "{name}");
    }
}

/// A problem of random keys and values, and what attention gives at random queries.
struct Drawn {
    problem: AttentionRegression,
    qk: Matrix,
    h_keys: Vec<f64>,
    h_queries: Vec<f64>,
    attention: Matrix,
}

fn drawn(map: &Kernel, n: usize, d: usize, eps: f64, seed: u64) -> Drawn {
    let keys = normal::<4>([1, 1, n, d], seed);
    let queries = normal::<4>([1, 1, 7, d], seed + 1);
    let values = Matrix::of(&normal::<2>([n, 3], seed + 2));
    let (kk, qk) = (kernel(map, &keys, &keys), kernel(map, &queries, &keys));
    let [h_keys, h_queries] = [&kk, &qk].map(row_sums);
    let weights = Matrix::from_fn(7, n, |i, j| qk[(i, j)] / h_queries[i]);
    let attention = &weights * &values;
    let problem = Regression::of_attention(&kk, &h_keys, &values, eps).unwrap();
    Drawn { problem, qk, h_keys, h_queries, attention }
}

impl Drawn {
    fn off(&self, dual: &Dual) -> f64 {
        let f = expand(&self.qk, &self.h_queries, &self.h_keys, dual);
        distance(&f, &self.attention)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..Default::default() })]

    #[test]
    fn attention_solves_its_regression(
        n in 1..18_usize, d in 5..12_usize, tube in 0..2_u8, seed in 0..1000_u64,
    ) {
        let eps = 0.05 * f64::from(tube);
        let drawn = drawn(&Kernel::softmax(), n, d, eps, seed);
        let AttentionRegression { regression, expected } = &drawn.problem;
        let found = regression.solve();
        prop_assert!(found.converged);
        prop_assert!(distance(&found.a, expected) <= DUALS * expected.largest());
        let rounding = regression.gap_rounding(&found);
        prop_assert!(regression.gap(&found).abs() <= GAP + rounding, "{rounding}");
        prop_assert!(drawn.off(&found) <= RESULTS);
    }

    #[test]
    fn weak_duality_holds_everywhere(seed in 0..1000_u64, scale in -2.0..2.0_f64) {
        let drawn = drawn(&Kernel::polynomial(2, 1.0), 7, 5, 0.05, seed);
        let problem = &drawn.problem.regression;
        let mut other = problem.solve();
        let c = problem.c();
        other.a = Matrix::from_fn(7, 3, |j, d| (other.a[(j, d)] * scale).clamp(-c, c));
        prop_assert!(problem.gap(&other) >= -1e-12);
    }
}

#[test]
fn a_penalty_too_small_clips_duals_and_the_result_is_not_attention() {
    let drawn = drawn(&Kernel::softmax(), 13, 8, 0.05, 1);
    let largest = drawn.problem.expected.largest();
    let small = drawn.problem.regression.clone().with_c(0.5 * largest).unwrap();
    let found = small.solve();
    // It is the optimum of the problem with this penalty …
    assert!(found.converged && small.gap(&found).abs() <= GAP && small.violation(&found) < 1e-12);
    // … some duals stand at the bound, and f is not attention.
    assert!((found.a.largest() - 0.5 * largest).abs() <= 1e-15 * largest);
    assert!(drawn.off(&found) > 1e-2, "{}", drawn.off(&found));
}

#[test]
fn a_free_bias_balances_duals_and_the_result_is_not_attention() {
    let drawn = drawn(&Kernel::softmax(), 13, 8, 0.05, 1);
    let problem = &drawn.problem.regression;
    let found = problem.solve_with_bias();
    assert!(found.converged && problem.violation(&found) < 1e-11);
    let size = found.a.largest();
    for d in 0..3 {
        let balance: f64 = found.a.column(d).iter().sum();
        assert!(balance.abs() < 1e-10 * size, "{balance}");
        let demanded: f64 = drawn.problem.expected.column(d).iter().sum();
        assert!(demanded.abs() > 1e-2 * size, "the control is vacuous: {demanded}");
    }
    assert!(problem.gap(&found).abs() <= GAP, "{}", problem.gap(&found));
    assert!(drawn.off(&found) > 1e-2, "{}", drawn.off(&found));
}

#[test]
fn keys_in_too_few_dimensions_leave_duals_open_but_not_the_regressor() {
    // Linear features of 3 numbers for 7 keys: G has rank 3.
    let drawn = drawn(&Kernel::linear(), 7, 3, 0.05, 3);
    let found = drawn.problem.regression.solve();
    assert!(drawn.problem.regression.gap(&found).abs() <= GAP);
    assert!(drawn.off(&found) <= 1e-9, "{}", drawn.off(&found));
    let off = distance(&found.a, &drawn.problem.expected);
    assert!(off > 1e-2 * drawn.problem.expected.largest(), "{off}");
}

fn one(value: f64) -> Matrix {
    Matrix::from_fn(1, 1, |_, _| value)
}

#[test]
fn a_wrong_problem_names_what_is_wrong() {
    let message = |gram: f64, eps, c| {
        let targets = one(1.0);
        Regression::new(one(gram), targets, eps, c).unwrap_err().to_string()
    };
    assert_eq!(message(1.0, 0.1, 0.0), "c = 0, expected a finite penalty above 0");
    assert!(message(1.0, -1.0, 1.0).starts_with("eps = -1, expected"));
    assert!(message(0.0, 0.1, 1.0).starts_with("κ(k, k) = 0, expected above 0"));
    assert!(message(f64::NAN, 0.1, 1.0).starts_with("a kernel value = NaN"));
    let (kernel, values) = (one(-1.0), one(1.0));
    let error = Regression::of_attention(&kernel, &[-1.0], &values, 0.0);
    assert!(error.unwrap_err().to_string().starts_with("h(k) = -1, expected above 0"));
}
