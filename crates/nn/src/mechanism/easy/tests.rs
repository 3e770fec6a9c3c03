//! Easy attention of every kind against its formula.

use super::*;
use crate::parameter::Basis;
use burn::tensor::s;
use regard_kernels::testing::{assert_close, assert_gradients, double, from_f64, normal, to_f64};

/// Without a gate.
type NoGate = fn(Tensor<3>, Tensor<4>) -> Tensor<4>;

fn attend_dense(
    form: EasyForm,
    alpha: Tensor<3>,
    value: Tensor<2>,
    x: Tensor<3>,
    seen: Option<Tensor<2>>,
) -> Tensor<3> {
    let [_, time, _] = alpha.dims();
    let weights = TimeMatrix::Dense {}.weights(alpha, [time, time]);
    attend(form, weights, value, x, seen, None::<NoGate>)
}

/// `H_i = α_i V_i` spelled out head by head.
fn reference(form: EasyForm, alpha: &Tensor<3>, value: &Tensor<2>, x: &Tensor<3>) -> Tensor<3> {
    let [batch, _, d_model] = x.dims();
    let [heads, time, _] = alpha.dims();
    let d_head = d_model / heads;
    let sequences = (0..batch).map(|b| {
        let x = x.clone().slice(s![b, .., ..]).reshape([time, d_model]);
        let v = match form {
            EasyForm::Right => x.matmul(value.clone()),
            EasyForm::Left => value.clone().matmul(x),
        };
        let parts = (0..heads).map(|i| {
            let alpha = alpha.clone().slice(s![i, .., ..]).reshape([time, time]);
            alpha.matmul(v.clone().slice(s![.., i * d_head..(i + 1) * d_head]))
        });
        Tensor::cat(parts.collect(), 1)
    });
    Tensor::stack(sequences.collect(), 0)
}

#[test]
fn both_forms_equal_the_formula_head_by_head() {
    for (form, side) in [(EasyForm::Right, 14), (EasyForm::Left, 5)] {
        let (alpha, value) = (normal([7, 5, 5], 1), normal([side, side], 2));
        let x = normal([3, 5, 14], 3);
        let expected = reference(form, &alpha, &value, &x);
        assert_close(&attend_dense(form, alpha, value, x, None), &expected, 1e-12);
    }
}

#[test]
fn gradients_of_alpha_value_and_input_match_central_differences() {
    for (form, side) in [(EasyForm::Right, 6), (EasyForm::Left, 5)] {
        let inputs = [normal([3, 5, 5], 1), normal([1, side, side], 2), normal([2, 5, 6], 3)];
        let f = |[alpha, value, x]: [Tensor<3>; 3]| {
            attend_dense(form, alpha, value.squeeze_dim(0), x, None)
        };
        assert_gradients(inputs, f, 1e-6);
    }
}

#[test]
fn initial_scores_fill_the_published_bounds() {
    // √(6/(64² + 4·64)) and √(6/(128² + 8·128)), then √(6/128) and √(6/256).
    let cases = [
        (AlphaInit::Stacked, 64, 4, 0.03713),
        (AlphaInit::Stacked, 128, 8, 0.01856),
        (AlphaInit::PerHead, 64, 4, 0.2165),
        (AlphaInit::PerHead, 128, 8, 0.1531),
    ];
    for (init, time, n_heads, bound) in cases {
        let config = EasyConfig { init, ..EasyConfig::new(n_heads) };
        assert!((init.bound(n_heads, time) - bound).abs() < 1e-4);
        let module = config.init(time, time, &Device::default()).unwrap();
        let largest = f64::from(module.alpha().abs().max().into_scalar::<f32>());
        assert!((largest - bound).abs() < 1e-4, "{init:?}: {largest} against {bound}");
    }
}

fn kinds() -> [TimeMatrix; 7] {
    [
        TimeMatrix::Diagonal {},
        TimeMatrix::Banded { offset: 1 },
        TimeMatrix::Causal {},
        TimeMatrix::Toeplitz { causal: false },
        TimeMatrix::Toeplitz { causal: true },
        TimeMatrix::LowRank { rank: 2 },
        TimeMatrix::Basis { n_basis: 2, basis: Basis::Legendre },
    ]
}

fn module(config: &EasyConfig) -> EasyAttention {
    double(config.init(6, 5, &Device::default()).unwrap())
}

#[test]
fn every_kind_equals_the_formula_with_the_dense_matrix_it_stands_for() {
    for alpha in kinds() {
        for form in [EasyForm::Right, EasyForm::Left] {
            let module = module(&EasyConfig { form, alpha, ..EasyConfig::new(3) });
            let x = normal([2, 5, 6], 3);
            let expected = reference(form, &module.alpha(), &module.value(), &x);
            assert_close(&module.forward(x, None), &expected, 1e-12);
        }
    }
}

#[test]
fn the_weights_of_a_blocked_row_are_taken_over_by_the_others() {
    let seen = from_f64(vec![1.0, 0.0, 1.0, 1.0, 0.0], [1, 5]);
    for (form, side) in [(EasyForm::Right, 6), (EasyForm::Left, 5)] {
        let (alpha, value) = (normal([3, 5, 5], 1), normal([side, side], 2));
        let x = normal([1, 5, 6], 3) * seen.clone().reshape([1, 5, 1]);
        let plain = to_f64(&attend_dense(form, alpha.clone(), value.clone(), x.clone(), None));
        let reached = match form {
            EasyForm::Right => alpha.clone(),
            EasyForm::Left => alpha.clone().matmul(value.clone().unsqueeze_dim(0)),
        };
        let (weights, m) = (to_f64(&reached), to_f64(&seen));
        let expected = plain.iter().enumerate().map(|(i, y)| {
            let (r, head) = (i / 6, i % 6 / 2);
            let row = &weights[(head * 5 + r) * 5..][..5];
            let all: f64 = row.iter().map(|a| a.abs()).sum();
            let left: f64 = row.iter().zip(&m).map(|(a, m)| a.abs() * m).sum();
            y * all / left
        });
        let expected = from_f64(expected.collect(), [1, 5, 6]);
        let found = attend_dense(form, alpha, value, x, Some(seen.clone()));
        assert_close(&found, &expected, 1e-12);
    }
}

#[test]
fn gradients_with_blocked_rows_match_central_differences() {
    let seen = from_f64(vec![1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], [2, 5]);
    for (form, side) in [(EasyForm::Right, 6), (EasyForm::Left, 5)] {
        let inputs = [normal([3, 5, 5], 1), normal([1, side, side], 2), normal([2, 5, 6], 3)];
        let f = |[alpha, value, x]: [Tensor<3>; 3]| {
            let x = x.clone() * seen.clone().reshape([2, 5, 1]);
            attend_dense(form, alpha, value.squeeze_dim(0), x, Some(seen.clone()))
        };
        assert_gradients(inputs, f, 1e-6);
    }
}

#[test]
fn a_row_that_sees_only_blocked_rows_becomes_zero() {
    let module = module(&EasyConfig { alpha: TimeMatrix::Diagonal {}, ..EasyConfig::new(3) });
    let x = normal([1, 5, 6], 1);
    let blocked = Tensor::<2>::from_data([[0.0, 1.0, 0.0, 0.0, 1.0]], &x.device()).equal_elem(1.0);
    let y = module.forward(x.clone(), Some(blocked));
    let expected = module.forward(x, None) * from_f64(vec![1.0, 0.0, 1.0, 1.0, 0.0], [1, 5, 1]);
    assert_close(&y, &expected, 1e-13);
}

#[test]
fn a_gate_starts_without_effect() {
    let x = normal([2, 5, 6], 1);
    let gated = module(&EasyConfig { gate_rank: 2, ..EasyConfig::new(3) });
    let expected = reference(EasyForm::Right, &gated.alpha(), &gated.value(), &x);
    assert_close(&gated.forward(x, None), &expected, 1e-12);
}

#[test]
fn the_gate_adds_the_low_rank_scores_of_its_equation() {
    let (x, v) = (normal([2, 5, 6], 1), normal([2, 3, 5, 2], 2));
    let (a, b) = (normal([6, 12], 3), normal([6, 12], 4)); // three heads of rank 4
    let n = Tensor::full([1, 1, 1, 1], 5.0, (&x.device(), x.dtype()));
    let found = gate::gated(a.clone(), b.clone(), 3, x.clone(), v.clone(), n);
    for head in 0..3 {
        let map = |weight: &Tensor<2>| {
            let weight = weight.clone().narrow(1, 4 * head, 4).unsqueeze_dim::<3>(0);
            x.clone().matmul(weight)
        };
        let alpha = map(&a).matmul(map(&b).swap_dims(1, 2)) / 5.0;
        let expected = alpha.matmul(v.clone().narrow(1, head, 1).squeeze_dim(1));
        assert_close(&found.clone().narrow(1, head, 1).squeeze_dim(1), &expected, 1e-12);
    }
}

#[test]
fn gradients_of_the_gate_match_central_differences() {
    let (x, v) = (normal([1, 5, 6], 1), normal([1, 3, 5, 2], 2));
    let n = Tensor::full([1, 1, 1, 1], 5.0, (&x.device(), x.dtype()));
    let f = |[a, b, x]: [Tensor<3>; 3]| {
        gate::gated(a.squeeze_dim(0), b.squeeze_dim(0), 3, x, v.clone(), n.clone())
    };
    assert_gradients([normal([1, 6, 6], 3), normal([1, 6, 6], 4), x], f, 1e-6);
}

#[test]
fn a_gate_on_causal_scores_is_refused() {
    for alpha in kinds() {
        let config = EasyConfig { alpha, gate_rank: 2, ..EasyConfig::new(3) };
        let result = config.init(6, 5, &Device::default());
        assert_eq!(result.is_err(), alpha.is_causal(), "{alpha:?}");
    }
    let alpha = TimeMatrix::Causal {};
    let config = EasyConfig { alpha, gate_rank: 2, ..EasyConfig::new(3) };
    assert_eq!(
        config.init(6, 5, &Device::default()).unwrap_err().to_string(),
        "gate_rank = 2 does not go with a causal alpha: the gate would see the future; \
         use 0, or another kind of alpha"
    );
}

#[test]
fn parameters_and_work_follow_the_formulas() {
    // p = 5, d = 6, three heads, a gate of rank 2: 2·3·6·2 parameters, 2·5·6·2·(3 + 1) more work.
    let config = EasyConfig { gate_rank: 2, ..EasyConfig::new(3) };
    assert_eq!(config.n_parameters(6, 5), 3 * 25 + 36 + 72);
    assert_eq!(config.multiply_adds(6, 5), 5 * 36 + 25 * 6 + 480);
    for (gate_rank, alpha) in kinds().into_iter().map(|alpha| (0, alpha)) {
        let config = EasyConfig { gate_rank, alpha, ..EasyConfig::new(3) };
        assert_eq!(module(&config).num_params(), config.n_parameters(6, 5), "{alpha:?}");
    }
    assert_eq!(module(&config).num_params(), config.n_parameters(6, 5));
}

#[test]
fn form_left_is_bound_to_its_window_from_above() {
    let alpha = TimeMatrix::Toeplitz { causal: false };
    let module = module(&EasyConfig { alpha, form: EasyForm::Left, ..EasyConfig::new(3) });
    assert_eq!(
        module.resized(6).unwrap_err().to_string(),
        "the value matrix of form left was trained for windows of 5 steps and cannot be used for \
         6: give at most 5, or train with form = \"right\""
    );
    let shorter = module.resized(4).unwrap();
    assert_close(&shorter.value(), &module.value().slice(s![1.., 1..]), 0.0);
    assert_close(&shorter.alpha(), &module.alpha().slice(s![.., 1.., 1..]), 0.0);
}
