//! A sequence in several calls: the state between them, its gradient, and streams.

use burn::tensor::Tensor;

use super::state::length;
use super::tests::{BATCH, BOTH, HEADS, inputs, outlier, settings, tracked};
use super::{Context, LogLinear, LogState, LogStream, Values, attention, attention_with_state};
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

#[test]
fn gradients_of_the_first_state_match_central_differences() {
    for setting in settings(3) {
        let [q, k, v] = [1, 2, 3].map(|seed| normal([1, 2, 5, 3], seed));
        let maxima = normal([1, 2, 6], 4);
        let maxima = if setting.values == Values::Log {
            maxima
        } else {
            Tensor::cat(vec![maxima.narrow(2, 0, 3), normal([1, 2, 3], 4) * 0.0], 2)
        };
        let f = |[sums]: [Tensor<3>; 1]| {
            let graph = sums.device().is_autodiff();
            let maxima = if graph { maxima.clone().autodiff() } else { maxima.clone() };
            let packed = Tensor::cat(vec![sums, maxima], 2);
            let state = Some(LogState::from_packed(packed, [3, 3]));
            let context = Context { state, ..Context::default() };
            attention(q.clone(), k.clone(), v.clone(), setting, &context)
        };
        let sums = normal([1, 2, 12], 5).powi_scalar(2) + 0.3;
        assert_gradients([sums], f, 2e-9);
    }
}

/// A sequence in two calls, with gradients through the state.
fn in_two([q, k, v]: [Tensor<4>; 3], setting: LogLinear, cut: usize) -> (Tensor<4>, LogState) {
    let [_, _, time, _] = q.dims();
    let part = |x: &Tensor<4>, first: usize, n: usize| x.clone().narrow(2, first, n);
    let first = [&q, &k, &v].map(|x| part(x, 0, cut));
    let second = [&q, &k, &v].map(|x| part(x, cut, time - cut));
    let [q, k, v] = first;
    let (a, state) = attention_with_state(q, k, v, setting, Context::default());
    let context = Context { state: Some(state), ..Context::default() };
    let [q, k, v] = second;
    let (b, state) = attention_with_state(q, k, v, setting, context);
    (Tensor::cat(vec![a, b], 2), state)
}

#[test]
fn gradients_pass_through_the_state_of_a_sequence_cut_in_two() {
    for values in BOTH {
        for far in [false, true] {
            let setting = LogLinear { values, chunk: 4, ..LogLinear::default() };
            let x = inputs(13, 13, [3, 5]);
            let x = if far { outlier(x) } else { x };
            let cotangent = normal([BATCH, HEADS, 13, 5], 9).autodiff();
            let (a, b) = (tracked(&x), tracked(&x));
            let [q, k, v] = a.clone();
            let whole = attention(q, k, v, setting, &Context::default());
            let (cut, _) = in_two(b.clone(), setting, 6);
            assert_close(&cut.clone().inner(), &whole.clone().inner(), 1e-12);
            let ga = (whole * cotangent.clone()).sum().backward();
            let gb = (cut * cotangent).sum().backward();
            for (a, b) in a.iter().zip(&b) {
                assert_close(&b.grad(&gb).unwrap(), &a.grad(&ga).unwrap(), 1e-11);
            }
        }
    }
}

#[test]
fn steps_equal_the_whole_sequence() {
    for values in BOTH {
        let setting = LogLinear { values, ..LogLinear::default() };
        let [q, k, v] = inputs(37, 37, [5, 11]);
        let whole = attention(q.clone(), k.clone(), v.clone(), setting, &Context::default());
        let mut context = Context::default();
        let mut rows = Vec::new();
        for t in 0..37 {
            let [q, k, v] = [&q, &k, &v].map(|x| x.clone().narrow(2, t, 1));
            let (row, state) = attention_with_state(q, k, v, setting, context);
            rows.push(row);
            context = Context { state: Some(state), ..Context::default() };
        }
        assert_close(&Tensor::cat(rows, 2), &whole, 1e-12);
        // The same on plain numbers, for one sequence.
        let one = |x: &Tensor<4>| x.clone().narrow(0, 0, 1).swap_dims(1, 2);
        let [q, k, v, y] = [&q, &k, &v, &whole].map(|x| to_f64(&one(x)));
        let mut stream = LogStream::new(HEADS, [5, 11], values);
        let mut out = vec![0.0; HEADS * 11];
        for t in 0..37 {
            let [a, b] = [5, 11].map(|d| t * HEADS * d..(t + 1) * HEADS * d);
            stream.step([&q[a.clone()], &k[a], &v[b.clone()]], &mut out);
            let expected = from_f64(y[b].to_vec(), [HEADS * 11]);
            assert_close(&from_f64(out.clone(), [HEADS * 11]), &expected, 1e-12);
            stream = LogStream::resume(&stream.state(), values);
        }
    }
}

#[test]
fn merged_states_are_those_of_all_their_keys() {
    for values in BOTH {
        let setting = LogLinear { values, causal: false, chunk: 8 };
        let [q, k, v] = inputs(5, 20, [3, 7]);
        let (expected, _) =
            attention_with_state(q.clone(), k.clone(), v.clone(), setting, Context::default());
        let state = |first: usize, n: usize| {
            let part = |x: &Tensor<4>| x.clone().narrow(2, first, n);
            let (_, state) =
                attention_with_state(q.clone(), part(&k), part(&v), setting, Context::default());
            state
        };
        let merged = state(13, 5).merge(state(0, 13));
        let context = Context { state: Some(merged), ..Context::default() };
        let rest = [&k, &v].map(|x| x.clone().narrow(2, 18, 2));
        let [k, v] = rest;
        assert_close(&attention(q.clone(), k, v, setting, &context), &expected, 1e-12);
    }
}

#[test]
fn a_state_given_twice_stays_as_it_was() {
    let setting = LogLinear::default();
    let [q, k, v] = inputs(3, 3, [3, 5]);
    let (_, state) =
        attention_with_state(q.clone(), k.clone(), v.clone(), setting, Context::default());
    let before = state.packed();
    for n in [1, 3] {
        let [q, k, v] = [&q, &k, &v].map(|x| x.clone().narrow(2, 0, n));
        let context = Context { state: Some(state.clone()), ..Context::default() };
        let _ = attention_with_state(q, k, v, setting, context);
        assert_close(&state.packed(), &before, 0.0);
    }
    assert_eq!(before.dims(), [BATCH, HEADS, length(3, 5)]);
}
