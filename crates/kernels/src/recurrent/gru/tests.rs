use burn::tensor::{FloatDType, Tensor};

use super::{composed, gru, reference};
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

/// Weights and biases of moderate size, so that gates neither close nor open.
fn weights(d_in: usize, d_hidden: usize) -> ([Tensor<2>; 2], [Tensor<1>; 2]) {
    let gates = 3 * d_hidden;
    let scale = 1.0 / (d_hidden as f64).sqrt();
    let matrices =
        [normal([d_in, gates], 2).mul_scalar(0.5), normal([d_hidden, gates], 3).mul_scalar(scale)];
    (matrices, [normal([gates], 4), normal([gates], 5)])
}

#[test]
fn equals_the_definition_at_all_sizes() {
    for ([batch, time], d_in, d_hidden) in
        [([1, 1], 1, 1), ([2, 3], 5, 7), ([19, 11], 3, 17), ([33, 5], 13, 8)]
    {
        let x = normal([batch, time, d_in], 1);
        let (w, b) = weights(d_in, d_hidden);
        let (w_host, b_host) = (w.each_ref().map(to_f64), b.each_ref().map(to_f64));
        let mut expected = Vec::new();
        for x in to_f64(&x).chunks_exact(time * d_in) {
            expected.extend(reference::gru(x, &w_host[0], &w_host[1], &b_host[0], &b_host[1]));
        }
        let expected = from_f64(expected, [batch, time, d_hidden]);
        // Rounding grows with the number of steps; gates keep it bounded.
        assert_close(&gru(x.clone(), w.clone(), b.clone(), None), &expected, 1e-13);
        assert_close(&composed(x, w, b, None), &expected, 1e-13);
    }
}

#[test]
fn a_sequence_in_two_parts_equals_the_whole() {
    let x = normal([3, 7, 2], 1);
    let (w, b) = weights(2, 5);
    let first = gru(x.clone().narrow(1, 0, 4), w.clone(), b.clone(), None);
    let state = first.clone().narrow(1, 3, 1).squeeze_dim::<2>(1);
    let second = gru(x.clone().narrow(1, 4, 3), w.clone(), b.clone(), Some(state));
    assert_close(&Tensor::cat(vec![first, second], 1), &gru(x, w, b, None), 1e-15);
}

#[test]
fn gradients_match_central_differences() {
    // 11 steps: more than one group of steps in the backward pass.
    let (batch, time, d_in, d_hidden) = (2, 11, 3, 5);
    let x = normal([batch, time, d_in], 1);
    let (w, b) = weights(d_in, d_hidden);
    let start = normal([batch, d_hidden], 6);
    let of = |x: Tensor<3>, w: [Tensor<2>; 2], b: [Tensor<1>; 2]| gru(x, w, b, Some(start.clone()));
    assert_gradients([x.clone()], |[x]| of(x, w.clone(), b.clone()), 1e-8);
    assert_gradients(w.clone(), |w| of(x.clone(), w, b.clone()), 1e-8);
    assert_gradients(b.clone(), |b| of(x.clone(), w.clone(), b), 1e-8);
    let from = |[start]: [Tensor<2>; 1]| gru(x.clone(), w.clone(), b.clone(), Some(start));
    assert_gradients([start.clone()], from, 1e-8);
}

/// Three chunks of the batch, the last of three rows; every input tracked, no start.
#[test]
fn gradients_equal_those_of_the_composed_form_over_several_chunks() {
    let (batch, time, d_in, d_hidden) = (35, 19, 3, 13);
    let cotangent = normal([batch, time, d_hidden], 7).autodiff();
    let (w, b) = weights(d_in, d_hidden);
    let gradients = |fused: bool| {
        let x = normal([batch, time, d_in], 1).autodiff().require_grad();
        let w = w.clone().map(|w| w.autodiff().require_grad());
        let b = b.clone().map(|b| b.autodiff().require_grad());
        let form = if fused { gru } else { composed };
        let rows = form(x.clone(), w.clone(), b.clone(), None);
        let grads = (rows * cotangent.clone()).sum().backward();
        let w = w.map(|w| w.grad(&grads).expect("a gradient"));
        (x.grad(&grads).expect("a gradient"), w, b.map(|b| b.grad(&grads).expect("a gradient")))
    };
    let (found, expected) = (gradients(true), gradients(false));
    assert_close(&found.0, &expected.0, 1e-12);
    for i in 0..2 {
        assert_close(&found.1[i], &expected.1[i], 1e-12);
        assert_close(&found.2[i], &expected.2[i], 1e-12);
    }
}

#[test]
fn results_and_gradients_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (w, b) = weights(5, 16);
            let w = w.map(|w| w.autodiff().require_grad());
            let x = normal([67, 9, 5], 1).autodiff();
            let rows = gru(x, w.clone(), b.map(Tensor::autodiff), None);
            let grads = rows.clone().powi_scalar(2).sum().backward();
            (to_f64(&rows.inner()), w.map(|w| to_f64(&w.grad(&grads).expect("a gradient"))))
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn single_precision_stays_close_to_double_over_many_steps() {
    let x = normal([3, 200, 5], 1);
    let (w, b) = weights(5, 32);
    let expected = gru(x.clone(), w.clone(), b.clone(), None);
    let single = FloatDType::F32;
    let found = gru(x.cast(single), w.map(|w| w.cast(single)), b.map(|b| b.cast(single)), None);
    // Sums of 37 products of size 1 per step: √37 · 2⁻²⁴, forgotten within a few steps.
    assert_close(&found.cast(FloatDType::F64), &expected, 2e-5);
}

#[test]
fn gates_driven_far_out_saturate_without_nan() {
    let x = normal([2, 3, 5], 1).mul_scalar(1e4);
    let (w, b) = weights(5, 7);
    let expected = composed(x.clone(), w.clone(), b.clone(), None);
    assert_close(&gru(x, w, b, None), &expected, 1e-13);
}
