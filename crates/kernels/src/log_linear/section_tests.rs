//! One long sequence in sections for several threads, against a batch of so many copies of it that
//! each is computed from its first token to its last.

use burn::tensor::{Bool, FloatDType, Tensor};

use super::tests::{BOTH, mask, tracked};
use super::{Context, LogLinear, LogState, Values, attention, attention_with_state};
use crate::testing::{assert_close, from_f64, normal, to_f64};

/// Two sections, and a rest that fills no chunk.
const TIME: usize = 2 * 1024 + 37;
const COPIES: usize = 4;

/// Log-values that rise, so that every section has other maxima; a state before them.
fn sequence(values: Values) -> ([Tensor<4>; 3], Tensor<3>) {
    let slope = from_f64((0..TIME).map(|t| 0.01 * t as f64).collect(), [1, 1, TIME, 1]);
    let rise = |x: Tensor<4>| x + slope.clone();
    let [q, k, v] = [(1, 3), (2, 3), (3, 5)].map(|(seed, d)| normal([1, 1, TIME, d], seed));
    let v = if values == Values::Log { rise(v) } else { v };
    let sums = normal([1, 1, 18], 5).powi_scalar(2) + 0.3;
    let maxima = normal([1, 1, 8], 6);
    let maxima = if values == Values::Log {
        maxima
    } else {
        Tensor::cat(vec![maxima.narrow(2, 0, 3), sums.clone().narrow(2, 0, 5) * 0.0], 2)
    };
    ([q, rise(k), v], Tensor::cat(vec![sums, maxima], 2))
}

fn contexts(causal: bool) -> Vec<Context> {
    let blocked: Vec<bool> = (0..TIME).map(|t| t < 3 || t % 5 == 4).collect();
    let starts: Vec<bool> = (0..TIME).map(|t| t == 700 || t == 1500).collect();
    let masked = Context { blocked: Some(mask([blocked])), ..Context::default() };
    let mut contexts = vec![Context::default(), masked];
    if causal {
        contexts.push(Context { starts: Some(mask([starts])), ..Context::default() });
    }
    contexts
}

/// The same for every copy.
fn copied(context: &Context) -> Context {
    let copies = |x: &Tensor<2, Bool>| x.clone().repeat_dim(0, COPIES);
    Context {
        blocked: context.blocked.as_ref().map(copies),
        starts: context.starts.as_ref().map(copies),
        ..context.clone()
    }
}

#[test]
fn a_sequence_in_sections_is_the_sequence_with_its_gradients_and_state() {
    for values in BOTH {
        for causal in [true, false] {
            let setting = LogLinear { values, causal, ..LogLinear::default() };
            let (x, state) = sequence(values);
            let copies = x.clone().map(|x| x.repeat_dim(0, COPIES));
            let upstream = normal([1, 1, TIME, 5], 9).autodiff();
            for context in contexts(causal) {
                let run = |x: &[Tensor<4>; 3], context: &Context| {
                    let n = x[0].dims()[0];
                    let [q, k, v] = tracked(x);
                    let sums = state.clone().repeat_dim(0, n).autodiff().require_grad();
                    let context = Context {
                        state: Some(LogState::from_packed(sums.clone(), [3, 5])),
                        ..context.clone()
                    };
                    let y = attention(q.clone(), k.clone(), v.clone(), setting, &context);
                    let first = y.clone().inner().narrow(0, 0, 1);
                    let grads = (y.narrow(0, 0, 1) * upstream.clone()).sum().backward();
                    let [q, k, v] = [q, k, v].map(|x| x.grad(&grads).unwrap().narrow(0, 0, 1));
                    let state = sums.grad(&grads).unwrap().narrow(0, 0, 1);
                    (first, [q, k, v], state)
                };
                let (y, grads, of_state) = run(&x, &context);
                let (expected, expected_grads, expected_of_state) = run(&copies, &copied(&context));
                assert_close(&y, &expected, 1e-12);
                for (found, expected) in grads.iter().zip(&expected_grads) {
                    assert_close(found, expected, 1e-11);
                }
                assert_close(&of_state, &expected_of_state, 1e-11);
            }
        }
    }
}

#[test]
fn the_state_behind_the_sections_is_that_of_the_whole_sequence() {
    for values in BOTH {
        for causal in [true, false] {
            let setting = LogLinear { values, causal, ..LogLinear::default() };
            let ([q, k, v], _) = sequence(values);
            let context = Context::default();
            let copies = [&q, &k, &v].map(|x| x.clone().repeat_dim(0, COPIES));
            let (_, state) = attention_with_state(q, k, v, setting, context.clone());
            let [q, k, v] = copies;
            let (_, expected) = attention_with_state(q, k, v, setting, context);
            let expected = expected.packed().narrow(0, 0, 1);
            assert_close(&state.packed(), &expected, 1e-12);
        }
    }
}

#[test]
fn a_section_beyond_the_range_of_f32_is_computed_in_f64() {
    let ([q, k, v], _) = sequence(Values::Linear);
    // A channel whose keys rise by e^100 in the middle: what came before is lost in f32.
    let step = k.clone().slice_fill([0..1, 0..1, 0..1000, 0..3], 0.0);
    let step = step.greater_elem(0.0).float().cast(FloatDType::F64) * 100.0;
    let k = k + step;
    let setting = LogLinear { values: Values::Linear, ..LogLinear::default() };
    let exact = attention(q.clone(), k.clone(), v.clone(), setting, &Context::default());
    let [q, k, v] = [q, k, v].map(|x| x.cast(FloatDType::F32));
    let found = attention(q, k, v, setting, &Context::default());
    let worst =
        to_f64(&found).iter().zip(to_f64(&exact)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 2e-4, "{worst}");
}
