//! The kernel against the author's program, in PyTorch: see `tests/golden/log_linear/README.md`.

use std::path::{Path, PathBuf};

use burn::tensor::{FloatDType, Tensor};

use super::reference::{self, Sizes};
use super::{Context, LogLinear, Values, attention, attention_with_state, composed, positions};
use crate::testing::{assert_close, from_f64, golden, to_f64};

fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/log_linear");
    folder.join(format!("{name}.safetensors"))
}

/// Rows of a file as `[batch, heads, time, d]`, whatever axes it has in front.
fn read(name: &str, array: &str) -> Tensor<4> {
    let bytes = std::fs::read(file(name)).unwrap();
    let rank = safetensors::SafeTensors::deserialize(&bytes).unwrap().tensor(array).unwrap();
    match rank.shape().len() {
        2 => golden::<2>(&file(name), array).unsqueeze(),
        3 => golden::<3>(&file(name), array).unsqueeze(),
        _ => golden::<4>(&file(name), array),
    }
}

/// Files of log-values, whether causal, and the tolerances of result and gradients in f32.
const FILES: [(&str, bool, [f64; 2]); 13] = [
    ("causal_n10_dk4_dv4_nolead", true, ORDINARY),
    ("causal_b2_h3_n17_dk5_dv7", true, ORDINARY),
    ("causal_b1_h2_n128_dk16_dv16", true, ORDINARY),
    ("causal_b1_h1_n300_dk32_dv32_scale3", true, ORDINARY),
    ("noncausal_b2_h2_nq9_nk33_dk8_dv6", false, ORDINARY),
    ("noncausal_b1_h1_nq64_nk64_dk16_dv16", false, ORDINARY),
    ("stress_causal_b1_h2_n512_dk16_dv16_uniform60", true, STRESS),
    ("adversarial_antialigned_n48", true, STRESS),
    ("adversarial_rising_keys_n96", true, STRESS),
    ("adversarial_first_key_outlier_n64", true, STRESS),
    ("adversarial_key_vs_value_opposed_n64", true, STRESS),
    ("masked_tokens_low_keys_n24", true, ORDINARY),
    ("identity_zero_q_zero_k_n40", true, ORDINARY),
];

/// One unit in the last place of numbers up to a few hundred is 3e-5.
const ORDINARY: [f64; 2] = [1e-5, 2e-5];
const STRESS: [f64; 2] = [1e-4, 2e-4];
const DOUBLE: [f64; 2] = [1e-11, 1e-11];

/// Largest absolute difference.
fn difference<const D: usize>(x: &Tensor<D>, y: &Tensor<D>) -> f64 {
    assert_eq!(x.dims(), y.dims());
    let apart = |(x, y): (f64, f64)| if (x - y).is_nan() { f64::INFINITY } else { (x - y).abs() };
    to_f64(x).into_iter().zip(to_f64(y)).map(apart).fold(0.0, f64::max)
}

fn largest<const D: usize>(x: &Tensor<D>) -> f64 {
    to_f64(x).into_iter().map(f64::abs).fold(0.0, f64::max)
}

/// Result absolutely, gradients relative to their largest entry, absolutely where that is below one.
fn check(
    case: &str,
    inputs: [&str; 3],
    [out, grad]: [&str; 2],
    setting: LogLinear,
    dtype: FloatDType,
    [result, gradient]: [f64; 2],
) {
    let qkv = inputs.map(|name| read(case, name).cast(dtype).autodiff().require_grad());
    let [q, k, v] = qkv.clone();
    let y = attention(q, k, v, setting, &Context::default());
    let error = difference(&y.clone().inner(), &read(case, out));
    assert!(error <= result, "{case} {setting:?} {dtype:?}: result off by {error:e}");
    let g = read(case, grad).cast(dtype).autodiff();
    let grads = (y * g).sum().backward();
    for (x, name) in qkv.iter().zip(inputs) {
        let expected = read(case, &format!("grad_{name}_f64"));
        let found = x.grad(&grads).unwrap();
        let error = difference(&found, &expected) / largest(&expected).max(1.0);
        assert!(
            error <= gradient,
            "{case} {setting:?} {dtype:?}: gradient of {name} off by {error:e}"
        );
    }
}

#[test]
fn log_values_equal_the_authors_program_in_both_precisions() {
    for (case, causal, tolerance) in FILES {
        let names = (["q", "k", "log_v"], ["log_y_f64", "grad_log_y"]);
        for chunk in [64, 13] {
            let setting = LogLinear { causal, chunk, ..LogLinear::default() };
            check(case, names.0, names.1, setting, FloatDType::F64, DOUBLE);
            check(case, names.0, names.1, setting, FloatDType::F32, tolerance);
        }
    }
}

#[test]
fn signed_values_equal_the_definition_in_both_precisions() {
    let case = "signed_values_causal_b1_h2_n64";
    // The gradient of `v_signed` has another name.
    for (dtype, [result, gradient]) in [(FloatDType::F64, DOUBLE), (FloatDType::F32, ORDINARY)] {
        for chunk in [64, 7] {
            let setting = LogLinear { values: Values::Linear, chunk, ..LogLinear::default() };
            let names = ["q", "k", "v_signed"];
            let qkv = names.map(|name| read(case, name).cast(dtype).autodiff().require_grad());
            let [q, k, v] = qkv.clone();
            let o = attention(q, k, v, setting, &Context::default());
            assert!(difference(&o.clone().inner(), &read(case, "o_f64")) <= result);
            let grads = (o * read(case, "grad_o").cast(dtype).autodiff()).sum().backward();
            for (x, name) in qkv.iter().zip(["grad_q_f64", "grad_k_f64", "grad_v_f64"]) {
                let expected = read(case, name);
                let error = difference(&x.grad(&grads).unwrap(), &expected) / largest(&expected);
                assert!(error <= gradient, "{name} off by {error:e}");
            }
        }
    }
}

#[test]
fn the_last_state_equals_the_authors() {
    for (case, causal, _) in FILES {
        let [q, k, v] = ["q", "k", "log_v"].map(|name| read(case, name));
        let setting = LogLinear { causal, ..LogLinear::default() };
        let (_, state) = attention_with_state(q, k, v, setting, Context::default());
        let (z, s) = state.log_domain();
        let flat = |name: &str, like: &Tensor<4>| {
            let bytes = std::fs::read(file(case)).unwrap();
            let arrays = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            let numbers = arrays.tensor(name).unwrap().data().as_chunks::<8>().0.to_vec();
            from_f64(numbers.into_iter().map(f64::from_le_bytes).collect(), like.dims())
        };
        assert_close(&z, &flat("final_state_log_z_f64", &z), 1e-11);
        assert_close(&s, &flat("final_state_log_s_f64", &s), 1e-11);
    }
}

#[test]
fn a_stream_of_keys_is_read_by_the_same_queries() {
    let case = "noncausal_keys_streamed";
    let [q, k, v] = ["q", "k", "log_v"].map(|name| read(case, name));
    let setting = LogLinear { causal: false, ..LogLinear::default() };
    let mut context = Context::default();
    let mut first = 0;
    for end in [4, 5, 16] {
        let part = |x: &Tensor<4>| x.clone().narrow(2, first, end - first);
        let (y, state) = attention_with_state(q.clone(), part(&k), part(&v), setting, context);
        assert_close(&y, &read(case, &format!("log_y_after_{end}_keys_f64")), 1e-11);
        context = Context { state: Some(state), ..Context::default() };
        first = end;
    }
}

#[test]
fn the_reference_forms_equal_the_authors_program() {
    for (case, causal, _) in FILES {
        let [q, k, u] = ["q", "k", "log_v"].map(|name| read(case, name));
        let ([_, heads, time_q, d_k], [batch, _, time_k, d_v]) = (q.dims(), u.dims());
        if time_k > 200 {
            continue; // the linearised form takes time² d_k d_v
        }
        let sizes = Sizes { time_q, time_k, d_k, d_v };
        let [q, k, u] = [q, k, u].map(|x| to_f64(&x));
        let mut forms = vec![Vec::new(), Vec::new(), Vec::new()];
        for head in 0..batch * heads {
            let part = |x: &[f64], n: usize| x[head * n..(head + 1) * n].to_vec();
            let qku = [part(&q, time_q * d_k), part(&k, time_k * d_k), part(&u, time_k * d_v)];
            let qku = qku.each_ref().map(Vec::as_slice);
            forms[0].extend(reference::quadratic(sizes, qku, |t, s| !causal || s <= t));
            forms[1].extend(reference::linearised(sizes, qku, causal));
            if causal {
                forms[2].extend(reference::sequential(sizes, qku));
            }
        }
        let expected = read(case, "log_y_f64");
        for form in forms.into_iter().filter(|form| !form.is_empty()) {
            assert_close(&from_f64(form, expected.dims()), &expected, 1e-11);
        }
    }
}

#[test]
fn the_composed_form_equals_the_authors_program() {
    for (case, causal, _) in FILES {
        let [q, k, v] = ["q", "k", "log_v"].map(|name| read(case, name));
        let setting = LogLinear { causal, chunk: 31, ..LogLinear::default() };
        let (y, _) = composed(q, k, v, setting, &Context::default());
        assert_close(&y, &read(case, "log_y_f64"), 1e-11);
    }
}

#[test]
fn positions_equal_the_authors_program_in_both_precisions() {
    // The author's parallel form subtracts sums that grow with the length: its own gradients of the long
    // file, in f64, are 7e-11 of the largest from those of the recurrence in 80-bit arithmetic.
    let cases = [("embed_position_b2_n40_d12", 1e-11), ("embed_position_b1_n1024_d8_wide", 1e-10)];
    for (case, double) in cases {
        for (dtype, result, gradient) in
            [(FloatDType::F64, 1e-11, double), (FloatDType::F32, 2e-6, 2e-5)]
        {
            let weight = golden::<2>(&file(case), "weight.dense.weight").cast(dtype);
            let weight = weight.autodiff().require_grad();
            let bias = golden::<1>(&file(case), "weight.dense.bias").cast(dtype);
            let bias = bias.autodiff().require_grad();
            let tokens = golden::<3>(&file(case), "tokens").cast(dtype).autodiff().require_grad();
            let gates = tokens.clone().matmul(weight.clone().transpose().unsqueeze())
                + bias.clone().unsqueeze();
            let out = tokens.clone() + positions(gates, None);
            let expected = golden::<3>(&file(case), "out_f64");
            let error = difference(&out.clone().inner(), &expected);
            assert!(error <= result, "{case} {dtype:?}: {error:e}");
            let g = golden::<3>(&file(case), "grad_out").cast(dtype).autodiff();
            let grads = (out * g).sum().backward();
            let check = |name: &str, error: f64, largest: f64| {
                let error = error / largest.max(1.0);
                assert!(error <= gradient, "{case} {dtype:?}: gradient of {name} off by {error:e}");
            };
            let expected = golden::<3>(&file(case), "grad_tokens_f64");
            let found = tokens.grad(&grads).unwrap();
            check("tokens", difference(&found, &expected), largest(&expected));
            let expected = golden::<2>(&file(case), "grad_weight.dense.weight_f64");
            let found = weight.grad(&grads).unwrap();
            check("weight", difference(&found, &expected), largest(&expected));
            let expected = golden::<1>(&file(case), "grad_weight.dense.bias_f64");
            let found = bias.grad(&grads).unwrap();
            check("bias", difference(&found, &expected), largest(&expected));
        }
    }
}
