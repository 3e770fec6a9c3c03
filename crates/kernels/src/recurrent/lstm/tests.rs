use burn::tensor::{FloatDType, Tensor};

use super::{LstmState, composed, lstm, lstm_with_state, reference};
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

/// `W_x`, `W_h` and bias of moderate size, so that gates neither close nor open.
fn weights(d_in: usize, d_hidden: usize) -> (Tensor<2>, Tensor<2>, Tensor<1>) {
    let gates = 4 * d_hidden;
    let scale = 1.0 / (d_hidden as f64).sqrt();
    (
        normal([d_in, gates], 2).mul_scalar(0.5),
        normal([d_hidden, gates], 3).mul_scalar(scale),
        normal([gates], 4),
    )
}

fn start(batch: usize, d_hidden: usize) -> LstmState {
    LstmState { hidden: normal([batch, d_hidden], 5), cell: normal([batch, d_hidden], 6) }
}

#[test]
fn equals_the_definition_at_all_sizes() {
    for ([batch, time], d_in, d_hidden) in
        [([1, 1], 1, 1), ([2, 3], 5, 7), ([19, 11], 3, 17), ([33, 5], 13, 8)]
    {
        let x = normal([batch, time, d_in], 1);
        let (w_x, w_h, b) = weights(d_in, d_hidden);
        let [w_x_host, w_h_host] = [&w_x, &w_h].map(to_f64);
        let b_host = to_f64(&b);
        let mut expected = [Vec::new(), Vec::new()];
        for x in to_f64(&x).chunks_exact(time * d_in) {
            let [hidden, cells] = reference::lstm(x, &w_x_host, &w_h_host, &b_host);
            expected[0].extend(hidden);
            expected[1].extend_from_slice(&cells[(time - 1) * d_hidden..]);
        }
        let [hidden, cell] = expected;
        let hidden = from_f64(hidden, [batch, time, d_hidden]);
        let cell = from_f64(cell, [batch, d_hidden]);
        // Rounding grows with the number of steps; gates keep it bounded.
        assert_close(&lstm(x.clone(), w_x.clone(), w_h.clone(), b.clone(), None), &hidden, 1e-13);
        let (found, state) = lstm_with_state(x, w_x, w_h, b, None);
        assert_close(&found, &hidden, 1e-13);
        assert_close(&state.cell, &cell, 1e-13);
    }
}

#[test]
fn equals_the_composed_form_from_a_given_state() {
    let x = normal([19, 5, 3], 1);
    let (w_x, w_h, b) = weights(3, 11);
    let state = Some(start(19, 11));
    let (expected, after) = composed(x.clone(), w_x.clone(), w_h.clone(), b.clone(), state.clone());
    let (found, found_after) = lstm_with_state(x, w_x, w_h, b, state);
    assert_close(&found, &expected, 1e-13);
    assert_close(&found_after.hidden, &after.hidden, 1e-13);
    assert_close(&found_after.cell, &after.cell, 1e-13);
}

#[test]
fn a_sequence_in_two_parts_equals_the_whole() {
    let x = normal([3, 7, 2], 1);
    let (w_x, w_h, b) = weights(2, 5);
    let scan = |x, state| lstm_with_state(x, w_x.clone(), w_h.clone(), b.clone(), state);
    let (first, state) = scan(x.clone().narrow(1, 0, 4), None);
    let (second, _) = scan(x.clone().narrow(1, 4, 3), Some(state));
    let whole = lstm(x, w_x.clone(), w_h.clone(), b.clone(), None);
    assert_close(&Tensor::cat(vec![first, second], 1), &whole, 1e-15);
}

#[test]
fn gradients_match_central_differences() {
    // 11 steps: more than one group of steps in the backward pass.
    let (batch, time, d_in, d_hidden) = (2, 11, 3, 5);
    let x = normal([batch, time, d_in], 1);
    let (w_x, w_h, b) = weights(d_in, d_hidden);
    assert_gradients([x.clone()], |[x]| lstm(x, w_x.clone(), w_h.clone(), b.clone(), None), 1e-8);
    assert_gradients(
        [w_x.clone(), w_h.clone()].map(|w| w.unsqueeze_dim::<3>(0)),
        |[w_x, w_h]| lstm(x.clone(), w_x.squeeze_dim(0), w_h.squeeze_dim(0), b.clone(), None),
        1e-8,
    );
    assert_gradients([b.clone()], |[b]| lstm(x.clone(), w_x.clone(), w_h.clone(), b, None), 1e-8);
    let LstmState { hidden, cell } = start(batch, d_hidden);
    let both = |[hidden, cell]: [Tensor<2>; 2]| {
        let state = Some(LstmState { hidden, cell });
        let (rows, after) = lstm_with_state(x.clone(), w_x.clone(), w_h.clone(), b.clone(), state);
        let after = [after.hidden, after.cell].map(|s| s.unsqueeze_dim(1));
        Tensor::cat([vec![rows], after.to_vec()].concat(), 1)
    };
    assert_gradients([hidden, cell], both, 1e-8);
}

/// Three chunks of the batch, the last of three rows; every input tracked.
#[test]
fn gradients_equal_those_of_the_composed_form_over_several_chunks() {
    let (batch, time, d_in, d_hidden) = (35, 19, 3, 13);
    let cotangent = normal([batch, time, d_hidden], 7).autodiff();
    let (w_x, w_h, b) = weights(d_in, d_hidden);
    let LstmState { hidden, cell } = start(batch, d_hidden);
    let gradients = |fused: bool| {
        let x = normal([batch, time, d_in], 1).autodiff().require_grad();
        let [w_x, w_h, hidden, cell] =
            [&w_x, &w_h, &hidden, &cell].map(|w| w.clone().autodiff().require_grad());
        let b = b.clone().autodiff().require_grad();
        let state = Some(LstmState { hidden: hidden.clone(), cell: cell.clone() });
        let inputs = (x.clone(), w_x.clone(), w_h.clone(), b.clone());
        let rows = if fused {
            lstm(inputs.0, inputs.1, inputs.2, inputs.3, state)
        } else {
            composed(inputs.0, inputs.1, inputs.2, inputs.3, state).0
        };
        let grads = (rows * cotangent.clone()).sum().backward();
        let matrices = [w_x, w_h, hidden, cell].map(|w| w.grad(&grads).expect("a gradient"));
        (x.grad(&grads).expect("a gradient"), b.grad(&grads).expect("a gradient"), matrices)
    };
    let (found, expected) = (gradients(true), gradients(false));
    assert_close(&found.0, &expected.0, 1e-12);
    assert_close(&found.1, &expected.1, 1e-12);
    for (found, expected) in found.2.iter().zip(&expected.2) {
        assert_close(found, expected, 1e-12);
    }
}

#[test]
fn results_and_gradients_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (w_x, w_h, b) = weights(5, 16);
            let w_h = w_h.autodiff().require_grad();
            let x = normal([67, 9, 5], 1).autodiff();
            let rows = lstm(x, w_x.autodiff(), w_h.clone(), b.autodiff(), None);
            let grads = rows.clone().powi_scalar(2).sum().backward();
            (to_f64(&rows.inner()), to_f64(&w_h.grad(&grads).expect("a gradient")))
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn single_precision_stays_close_to_double_over_many_steps() {
    let x = normal([3, 200, 5], 1);
    let (w_x, w_h, b) = weights(5, 32);
    let expected = lstm(x.clone(), w_x.clone(), w_h.clone(), b.clone(), None);
    let single = FloatDType::F32;
    let found = lstm(x.cast(single), w_x.cast(single), w_h.cast(single), b.cast(single), None);
    // Sums of 37 products of size 1 per step: √37 · 2⁻²⁴, forgotten within a few steps.
    assert_close(&found.cast(FloatDType::F64), &expected, 2e-5);
}

#[test]
fn gates_driven_far_out_saturate_without_nan() {
    let x = normal([2, 3, 5], 1).mul_scalar(1e4);
    let (w_x, w_h, b) = weights(5, 7);
    let expected = composed(x.clone(), w_x.clone(), w_h.clone(), b.clone(), None).0;
    assert_close(&lstm(x, w_x, w_h, b, None), &expected, 1e-13);
}
