//! A past that fades, against the recurrence of logarithms.

use burn::tensor::Tensor;

use super::reference::{Sizes, fading};
use super::tests::{BATCH, BOTH, HEADS, inputs};
use super::{Context, LogLinear, LogStream, Values, attention, attention_with_state, composed};
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

/// Rates from slow to fast, `[HEADS, d_k]`.
fn rates(d_k: usize) -> Tensor<2> {
    let rate = |i: usize| -0.9 * (i + 1) as f64 / (HEADS * d_k) as f64;
    from_f64((0..HEADS * d_k).map(rate).collect(), [HEADS, d_k])
}

fn with(log_decay: Tensor<2>) -> Context {
    Context { log_decay: Some(log_decay), ..Context::default() }
}

/// Log-values, token by token.
fn by_definition([q, k, u]: &[Tensor<4>; 3], log_decay: &Tensor<2>) -> Tensor<4> {
    let ([batch, heads, time, d_k], [.., d_v]) = (q.dims(), u.dims());
    let sizes = Sizes { time_q: time, time_k: time, d_k, d_v };
    let [q, k, u] = [q, k, u].map(to_f64);
    let g = to_f64(log_decay);
    let mut out = Vec::new();
    for head in 0..batch * heads {
        let part = |x: &[f64], n: usize| x[head * n..(head + 1) * n].to_vec();
        let qkv = [part(&q, time * d_k), part(&k, time * d_k), part(&u, time * d_v)];
        let h = head % heads;
        out.extend(fading(sizes, qkv.each_ref().map(Vec::as_slice), &g[h * d_k..(h + 1) * d_k]));
    }
    from_f64(out, [batch, heads, time, d_v])
}

#[test]
fn equals_the_definition_at_all_sizes() {
    for (time, chunk) in [(1, 64), (2, 1), (7, 3), (131, 64), (61, 200)] {
        for [d_k, d_v] in [[7, 11], [3, 1], [1, 19]] {
            let x = inputs(time, time, [d_k, d_v]);
            let expected = by_definition(&x, &rates(d_k));
            let context = with(rates(d_k));
            for values in BOTH {
                let setting = LogLinear { values, chunk, ..LogLinear::default() };
                let [q, k, u] = x.clone();
                // The mixture of e^u is e^y.
                let linear = values == Values::Linear;
                let v = if linear { u.exp() } else { u };
                let as_log = |y: Tensor<4>| if linear { y.log() } else { y };
                let y = attention(q.clone(), k.clone(), v.clone(), setting, &context);
                assert_close(&as_log(y), &expected, 1e-12);
                let (y, _) = composed(q, k, v, setting, &context);
                assert_close(&as_log(y), &expected, 1e-12);
            }
        }
    }
}

#[test]
fn a_decay_of_zero_changes_nothing() {
    let [q, k, v] = inputs(37, 37, [5, 11]);
    let setting = LogLinear::default();
    let plain = attention(q.clone(), k.clone(), v.clone(), setting, &Context::default());
    let y = attention(q, k, v, setting, &with(rates(5) * 0.0));
    assert_close(&y, &plain, 0.0);
}

#[test]
fn gradients_match_central_differences() {
    for values in BOTH {
        let setting = LogLinear { values, chunk: 3, ..LogLinear::default() };
        let [q, k, v] = [1, 2, 3].map(|seed| normal([2, HEADS, 7, 3], seed));
        let f = |[q, k, v, g]: [Tensor<4>; 4]| {
            attention(q, k, v, setting, &with(g.reshape([HEADS, 3])))
        };
        assert_gradients([q, k, v, rates(3).reshape([1, HEADS, 1, 3])], f, 2e-9);
    }
}

/// Three calls of 6, 1 and 6 tokens.
fn in_three([q, k, v]: &[Tensor<4>; 3], g: &Tensor<2>, setting: LogLinear) -> Tensor<4> {
    let (mut state, mut rows) = (None, Vec::new());
    for (first, n) in [(0, 6), (6, 1), (7, 6)] {
        let [q, k, v] = [q, k, v].map(|x| x.clone().narrow(2, first, n));
        let context = Context { state: state.take(), ..with(g.clone()) };
        let (row, next) = attention_with_state(q, k, v, setting, context);
        rows.push(row);
        state = Some(next);
    }
    Tensor::cat(rows, 2)
}

#[test]
fn a_sequence_in_parts_has_the_results_and_gradients_of_the_whole() {
    for values in BOTH {
        let setting = LogLinear { values, chunk: 4, ..LogLinear::default() };
        let x = inputs(13, 13, [3, 5]);
        let cotangent = normal([BATCH, HEADS, 13, 5], 9).autodiff();
        let track = || {
            let x = x.clone().map(|x| x.autodiff().require_grad());
            (x, rates(3).autodiff().require_grad())
        };
        let ((a, g_a), (b, g_b)) = (track(), track());
        let [q, k, v] = a.clone();
        let whole = attention(q, k, v, setting, &with(g_a.clone()));
        let parts = in_three(&b, &g_b, setting);
        assert_close(&parts.clone().inner(), &whole.clone().inner(), 1e-12);
        assert_close(&in_three(&x, &rates(3), setting), &whole.clone().inner(), 1e-12);
        let whole = (whole * cotangent.clone()).sum().backward();
        let parts = (parts * cotangent).sum().backward();
        for (a, b) in a.iter().zip(&b) {
            assert_close(&b.grad(&parts).unwrap(), &a.grad(&whole).unwrap(), 1e-11);
        }
        assert_close(&g_b.grad(&parts).unwrap(), &g_a.grad(&whole).unwrap(), 1e-11);
    }
}

#[test]
fn steps_of_a_stream_equal_the_whole_sequence() {
    for values in BOTH {
        let setting = LogLinear { values, ..LogLinear::default() };
        let [q, k, v] = inputs(37, 37, [5, 11]).map(|x| x.narrow(0, 0, 1));
        let whole = attention(q.clone(), k.clone(), v.clone(), setting, &with(rates(5)));
        let [q, k, v, y] = [q, k, v, whole].map(|x| to_f64(&x.swap_dims(1, 2)));
        let fades = to_f64(&rates(5));
        let mut stream = LogStream::new(HEADS, [5, 11], values).with_log_decay(fades.clone());
        let mut out = vec![0.0; HEADS * 11];
        for t in 0..37 {
            let [a, b] = [5, 11].map(|d| t * HEADS * d..(t + 1) * HEADS * d);
            stream.step([&q[a.clone()], &k[a], &v[b.clone()]], &mut out);
            let expected = from_f64(y[b].to_vec(), [HEADS * 11]);
            assert_close(&from_f64(out.clone(), [HEADS * 11]), &expected, 1e-12);
            stream = LogStream::resume(&stream.state(), values).with_log_decay(fades.clone());
        }
    }
}

/// Shifts reach `2048 · 0.1`; two sums and two products are rounded, each by at most
/// `2⁻²⁴ · 204.8 = 1.2e-5`.
#[test]
fn single_precision_loses_no_more_than_the_ramp_does() {
    let f32 = |x: Tensor<4>| x.cast(burn::tensor::FloatDType::F32);
    let [q, k, v] = [1, 2, 3].map(|seed| normal([1, HEADS, 4096, 8], seed));
    let setting = LogLinear::default();
    let g = rates(8) * (0.1 / 0.9);
    let exact = attention(q.clone(), k.clone(), v.clone(), setting, &with(g.clone()));
    let y = attention(f32(q), f32(k), f32(v), setting, &with(g));
    assert_close(&y, &exact, 4.9e-5);
}
