use burn::tensor::{Bool, Device, FloatDType, Tensor, TensorData};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::reference::{self, Sizes};
use super::{Context, LogLinear, Values, attention, attention_with_state, composed};
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

/// Unequal primes, so that swapped axes fail.
pub(super) const BATCH: usize = 2;
pub(super) const HEADS: usize = 3;

pub(super) const BOTH: [Values; 2] = [Values::Log, Values::Linear];

pub(super) fn inputs(time_q: usize, time_k: usize, [d_k, d_v]: [usize; 2]) -> [Tensor<4>; 3] {
    [
        normal([BATCH, HEADS, time_q, d_k], 1),
        normal([BATCH, HEADS, time_k, d_k], 2),
        normal([BATCH, HEADS, time_k, d_v], 3),
    ]
}

pub(super) fn mask<const N: usize>(rows: [Vec<bool>; N]) -> Tensor<2, Bool> {
    let time = rows[0].len();
    Tensor::from_data(TensorData::new(rows.concat(), [N, time]), &Device::default())
}

/// By pairs of tokens; `hidden` is `[batch, time_k]`.
pub(super) fn by_definition(
    [q, k, v]: &[Tensor<4>; 3],
    setting: LogLinear,
    hidden: impl Fn(usize, usize, usize) -> bool,
) -> Tensor<4> {
    let ([batch, heads, time_q, d_k], [_, _, time_k, d_v]) = (q.dims(), v.dims());
    let sizes = Sizes { time_q, time_k, d_k, d_v };
    let [q, k, v] = [q, k, v].map(to_f64);
    let mut out = Vec::new();
    for head in 0..batch * heads {
        let part = |x: &[f64], n: usize| x[head * n..(head + 1) * n].to_vec();
        let qkv = [part(&q, time_q * d_k), part(&k, time_k * d_k), part(&v, time_k * d_v)];
        let qkv = qkv.each_ref().map(Vec::as_slice);
        let sees = |t: usize, s: usize| !hidden(head / heads, t, s) && (!setting.causal || s <= t);
        out.extend(match setting.values {
            Values::Log => reference::quadratic(sizes, qkv, sees),
            Values::Linear => reference::quadratic_linear(sizes, qkv, sees),
        });
    }
    from_f64(out, [batch, heads, time_q, d_v])
}

pub(super) fn settings(chunk: usize) -> impl Iterator<Item = LogLinear> {
    let of = move |values| [true, false].map(|causal| LogLinear { values, causal, chunk });
    BOTH.into_iter().flat_map(of)
}

pub(super) fn tracked(x: &[Tensor<4>; 3]) -> [Tensor<4>; 3] {
    x.clone().map(|x| x.autodiff().require_grad())
}

#[test]
fn equals_the_definition_at_all_sizes() {
    for (time, chunk) in [(1, 64), (7, 3), (61, 64), (131, 64), (97, 200), (35, 1)] {
        for d in [[7, 11], [16, 8], [3, 1], [1, 19]] {
            for setting in settings(chunk) {
                let time_q = if setting.causal { time } else { time / 2 + 1 };
                let x = inputs(time_q, time, d);
                let expected = by_definition(&x, setting, |_, _, _| false);
                let [q, k, v] = x;
                let context = Context::default();
                let y = attention(q.clone(), k.clone(), v.clone(), setting, &context);
                assert_close(&y, &expected, 1e-12);
                let (y, _) = composed(q, k, v, setting, &context);
                assert_close(&y, &expected, 1e-12);
            }
        }
    }
}

/// Masks that hide the first keys of one sequence, some in the middle, and start others.
pub(super) fn masks(time: usize) -> (Vec<Vec<bool>>, Vec<Vec<bool>>) {
    let blocked = vec![
        (0..time).map(|t| t < 3 || t % 5 == 4).collect(),
        (0..time).map(|t| t % 7 == 2).collect::<Vec<bool>>(),
    ];
    let starts = vec![
        (0..time).map(|t| t == 5 || t == 6 || t == 20).collect(),
        (0..time).map(|t| t == 0 || t == 11).collect::<Vec<bool>>(),
    ];
    (blocked, starts)
}

#[test]
fn padding_and_sequences_in_a_row_equal_the_definition() {
    let time = 29;
    let (blocked, starts) = masks(time);
    let segment = |b: usize, t: usize| starts[b][..=t].iter().filter(|start| **start).count();
    for chunk in [4, 64] {
        for setting in settings(chunk) {
            let x = inputs(time, time, [5, 7]);
            let packed = setting.causal;
            let expected = by_definition(&x, setting, |b, t, s| {
                blocked[b][s] || packed && segment(b, t) != segment(b, s)
            });
            let context = Context {
                blocked: Some(mask([blocked[0].clone(), blocked[1].clone()])),
                starts: packed.then(|| mask([starts[0].clone(), starts[1].clone()])),
                ..Context::default()
            };
            let [q, k, v] = x.clone();
            let (y, state) =
                attention_with_state(q.clone(), k.clone(), v.clone(), setting, context.clone());
            assert_close(&y, &expected, 1e-12);
            let (y, composed_state) = composed(q, k, v, setting, &context);
            assert_close(&y, &expected, 1e-12);
            // Bases differ; what follows is the same.
            let [q, k, v] = inputs(4, 4, [5, 7]);
            let [a, b] = [state, composed_state].map(|state| {
                let context = Context { state: Some(state), ..Context::default() };
                attention(q.clone(), k.clone(), v.clone(), setting, &context)
            });
            assert_close(&a, &b, 1e-12);
        }
    }
}

#[test]
fn gradients_match_central_differences() {
    let (blocked, starts) = masks(7);
    for setting in settings(3) {
        let masked = Context {
            blocked: Some(mask([blocked[0].clone()])),
            starts: setting.causal.then(|| mask([starts[0].clone()])),
            ..Context::default()
        };
        for context in [Context::default(), masked] {
            let x = [1, 2, 3].map(|seed| normal([1, 2, 7, 3], seed));
            let f = |[q, k, v]: [Tensor<4>; 3]| {
                let y = attention(q, k, v, setting, &context);
                // The first rows of the masked case see nothing: −∞ has no difference.
                y.narrow(2, 3, 4)
            };
            assert_gradients(x, f, 2e-9);
        }
    }
}

/// A later key that outweighs all others by `e^900` in one channel, so that no sum is large enough.
pub(super) fn outlier(mut x: [Tensor<4>; 3]) -> [Tensor<4>; 3] {
    let [batch, heads, time, d_k] = x[1].dims();
    let mut keys = to_f64(&x[1]);
    for head in 0..batch * heads {
        keys[(head * time + time - 2) * d_k] = 900.0;
    }
    x[1] = from_f64(keys, [batch, heads, time, d_k]);
    x
}

#[test]
fn numbers_beyond_f64_equal_the_definition_with_their_gradients() {
    for values in BOTH {
        let setting = LogLinear { values, ..LogLinear::default() };
        let x = outlier(inputs(11, 11, [3, 5]));
        let [q, k, v] = x.clone();
        let context = Context::default();
        let expected = by_definition(&x, setting, |_, _, _| false);
        assert_close(&attention(q, k, v, setting, &context), &expected, 1e-12);
        let x = outlier([1, 2, 3].map(|seed| normal([1, 2, 7, 3], seed)));
        assert_gradients(x, |[q, k, v]| attention(q, k, v, setting, &context), 2e-9);
    }
}

#[test]
fn values_that_are_low_where_keys_are_high_stay_accurate_without_causality() {
    let [q, k, _] = inputs(7, 11, [5, 3]);
    // Two keys alone see channel 0, and their values are e^−800 of the others.
    let mut keys = to_f64(&k);
    let mut values = to_f64(&normal([BATCH, HEADS, 11, 3], 3));
    for head in 0..BATCH * HEADS {
        keys[head * 55] += 800.0;
        keys[head * 55 + 5] += 800.0;
        values[head * 33..head * 33 + 6].iter_mut().for_each(|u| *u -= 800.0);
    }
    let x = [q, from_f64(keys, k.dims()), from_f64(values, [BATCH, HEADS, 11, 3])];
    let setting = LogLinear { causal: false, ..LogLinear::default() };
    let expected = by_definition(&x, setting, |_, _, _| false);
    let [q, k, v] = x.clone();
    assert_close(&attention(q, k, v, setting, &Context::default()), &expected, 1e-12);
    let f = |[q, k, v]: [Tensor<4>; 3]| attention(q, k, v, setting, &Context::default());
    let small = x.map(|x| x.narrow(0, 0, 1).narrow(1, 0, 1));
    // Results of −800 have 1e-13 of rounding, which a difference divides by 1e-5.
    assert_gradients(small, f, 5e-7);
}

#[test]
fn the_composed_form_has_the_same_gradients_and_state() {
    let (blocked, starts) = masks(29);
    for setting in settings(8) {
        let context = Context {
            blocked: Some(mask([blocked[0].clone(), blocked[1].clone()])),
            starts: setting.causal.then(|| mask([starts[0].clone(), starts[1].clone()])),
            ..Context::default()
        };
        let x = inputs(29, 29, [3, 5]);
        let (a, b) = (tracked(&x), tracked(&x));
        let finite = |y: Tensor<4>| {
            // −∞ of the rows that see nothing has no product.
            let nothing = y.clone().inner().equal_elem(f64::NEG_INFINITY);
            y.mask_fill(nothing, 0.0)
        };
        let cotangent = normal([BATCH, HEADS, 29, 5], 9).autodiff();
        let [q, k, v] = a.clone();
        let ya = finite(attention(q, k, v, setting, &context));
        let [q, k, v] = b.clone();
        let yb = finite(composed(q, k, v, setting, &context).0);
        let ga = (ya * cotangent.clone()).sum().backward();
        let gb = (yb * cotangent).sum().backward();
        for (a, b) in a.iter().zip(&b) {
            assert_close(&a.grad(&ga).unwrap(), &b.grad(&gb).unwrap(), 1e-11);
        }
    }
}

#[test]
fn a_query_that_sees_no_key_gets_nothing_and_passes_no_gradient() {
    for dtype in [FloatDType::F32, FloatDType::F64] {
        for setting in settings(4) {
            // Of the first sequence nothing is seen, of the second the first five keys are not.
            let blocked = mask([vec![true; 9], (0..9).map(|t| t < 5).collect()]);
            let junk = |x: Tensor<4>| {
                let rows = blocked.clone().reshape([BATCH, 1, 9, 1]).expand(x.dims());
                x.mask_fill(rows, f64::NAN)
            };
            let [q, k, v] = inputs(9, 9, [3, 5]);
            let x = tracked(&[q, junk(k), junk(v)].map(|x| x.cast(dtype)));
            let context = Context { blocked: Some(blocked.clone()), ..Context::default() };
            let [q, k, v] = x.clone();
            let y = attention(q, k, v, setting, &context);
            let nothing = if setting.values == Values::Log { f64::NEG_INFINITY } else { 0.0 };
            let rows = if setting.causal { 5 } else { 0 };
            let values = y.clone().inner();
            let empty = to_f64(&values.clone().narrow(0, 0, 1));
            let prefix = to_f64(&values.narrow(0, 1, 1).narrow(2, 0, rows.max(1)));
            assert!(empty.iter().all(|y| y.total_cmp(&nothing).is_eq()), "{setting:?}");
            if setting.causal {
                assert!(prefix.iter().all(|y| y.total_cmp(&nothing).is_eq()), "{setting:?}");
            }
            // The gradient is taken at every row, also where the result is −∞.
            let cotangent = normal([BATCH, HEADS, 9, 5], 9).cast(dtype).autodiff();
            let grads = (y * cotangent).sum().backward();
            for (x, keys) in x.iter().zip([false, true, true]) {
                let g = x.grad(&grads).unwrap();
                assert!(to_f64(&g).iter().all(|g| g.is_finite()), "{setting:?}");
                let first = g.clone().narrow(0, 0, 1);
                assert_close(&first, &first.zeros_like(), 0.0);
                if keys {
                    let prefix = g.narrow(0, 1, 1).narrow(2, 0, 5);
                    assert_close(&prefix, &prefix.zeros_like(), 0.0);
                }
            }
        }
    }
}

#[test]
fn shifts_of_queries_keys_and_values_act_as_the_formula_says() {
    let x = inputs(23, 23, [5, 7]);
    let [q, k, u] = x.clone();
    let run = |q: &Tensor<4>, k: &Tensor<4>, u: &Tensor<4>| {
        let setting = LogLinear { chunk: 8, ..LogLinear::default() };
        attention(q.clone(), k.clone(), u.clone(), setting, &Context::default())
    };
    let y = run(&q, &k, &u);
    let of_query = normal([BATCH, HEADS, 23, 1], 11);
    let of_channel = normal([BATCH, HEADS, 1, 5], 12);
    let of_value = normal([BATCH, HEADS, 1, 7], 13);
    assert_close(&run(&(q.clone() + of_query), &k, &u), &y, 1e-13);
    assert_close(&run(&q, &(k.clone() + 3.7), &u), &y, 1e-13);
    let moved = (q.clone() + of_channel.clone(), k.clone() - of_channel);
    assert_close(&run(&moved.0, &moved.1, &u), &y, 1e-13);
    let shifted = run(&q, &k, &(u.clone() + of_value.clone()));
    assert_close(&shifted, &(y.clone() + of_value), 1e-13);
    // Equal queries and keys: the running mean of the values.
    let flat = run(&(q.clone() * 0.0), &(k.clone() * 0.0), &u);
    let count = Tensor::<1>::ones([23], (&u.device(), u.dtype())).cumsum(0);
    let mean = u.clone().exp().cumsum(2) / count.reshape([1, 1, 23, 1]);
    assert_close(&flat, &mean.log(), 1e-13);
    assert_close(&y.narrow(2, 0, 1), &u.narrow(2, 0, 1), 1e-13);
}

#[test]
fn gradients_obey_the_identities_of_the_invariances() {
    for (dtype, tolerance) in [(FloatDType::F64, 1e-12), (FloatDType::F32, 1e-5)] {
        let x = tracked(&inputs(131, 131, [5, 7]).map(|x| x.cast(dtype)));
        let [q, k, v] = x.clone();
        let y = attention(q, k, v, LogLinear::default(), &Context::default());
        let g = normal([BATCH, HEADS, 131, 7], 9).cast(dtype);
        let grads = (y * g.clone().autodiff()).sum().backward();
        let [dq, dk, du] = x.each_ref().map(|x| x.grad(&grads).unwrap().cast(FloatDType::F64));
        let g = g.cast(FloatDType::F64);
        let largest = |x: &Tensor<4>| to_f64(&x.clone().abs().max())[0];
        let small = |x: Tensor<4>, like: &Tensor<4>| {
            let error = largest(&x) / largest(like);
            assert!(error <= tolerance, "{error:e} in {dtype:?}");
        };
        small(dq.clone().sum_dim(3), &dq);
        small(dk.clone().sum_dim(2).sum_dim(3), &dk);
        small(dq.clone().sum_dim(2) - dk.clone().sum_dim(2), &dk);
        small(du.clone().sum_dim(2) - g.sum_dim(2), &du);
    }
}

#[test]
fn signed_values_are_mixed_linearly_and_stay_between_those_seen() {
    let setting = LogLinear { values: Values::Linear, chunk: 16, ..LogLinear::default() };
    let [q, k, v] = inputs(61, 61, [5, 7]);
    let w = normal([BATCH, HEADS, 61, 7], 8);
    let run = |v: Tensor<4>| attention(q.clone(), k.clone(), v, setting, &Context::default());
    let whole = run(v.clone() * 0.3 - w.clone() * 2.0);
    assert_close(&whole, &(run(v.clone()) * 0.3 - run(w) * 2.0), 1e-13);
    let o = to_f64(&run(v.clone()));
    let v = to_f64(&v);
    for (at, o) in o.iter().enumerate() {
        let (head, t, j) = (at / (61 * 7), at / 7 % 61, at % 7);
        let seen = (0..=t).map(|s| v[(head * 61 + s) * 7 + j]);
        let (low, high) = seen.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        assert!((low - 1e-12..=high + 1e-12).contains(o));
    }
}

#[test]
fn nan_in_a_key_reaches_the_result() {
    for setting in settings(4) {
        let [q, k, v] = inputs(5, 5, [3, 2]);
        let mut values = to_f64(&k);
        values[0] = f64::NAN;
        let y = attention(q, from_f64(values, k.dims()), v, setting, &Context::default());
        assert!(to_f64(&y)[0].is_nan());
    }
}

#[test]
fn strided_views_give_the_same_result() {
    let make = |seed, d| normal([BATCH, 13, HEADS, d], seed).swap_dims(1, 2);
    let views = [make(1, 5), make(2, 5), make(3, 7)];
    let packed = views.clone().map(|x| from_f64(to_f64(&x), x.dims()));
    let [a, b] = [views, packed]
        .map(|[q, k, v]| attention(q, k, v, LogLinear::default(), &Context::default()));
    assert_close(&a, &b, 0.0);
}

/// The property below draws from here, so that each run draws the same.
fn runner(cases: u32) -> TestRunner {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    TestRunner::new_with_rng(config, rng)
}

#[test]
fn chunks_splits_and_masks_do_not_change_the_result() {
    let drawn = (1..140_usize, 1..90_usize, 0..1000_usize, 0.0..0.4_f64, 0..1000_u64);
    runner(48)
        .run(&drawn, |(time, chunk, cut, density, seed)| {
            for values in BOTH {
                let x = [(5, 1), (5, 2), (7, 3)]
                    .map(|(d, stream)| normal([1, 2, time, d], seed * 3 + stream));
                let drawn = to_f64(&normal([1, time], seed + 5000));
                let blocked: Vec<bool> = drawn.iter().map(|x| x.abs() < density).collect();
                let setting = LogLinear { values, chunk, ..LogLinear::default() };
                let expected = by_definition(&x, setting, |_, _, s| blocked[s]);
                let cut = cut * time / 1000;
                for (dtype, tolerance) in [(FloatDType::F64, 1e-12), (FloatDType::F32, 2e-6)] {
                    let mut state = None;
                    let mut rows = Vec::new();
                    for (first, n) in [(0, cut), (cut, time - cut)] {
                        if n == 0 {
                            continue;
                        }
                        let [q, k, v] = x.clone().map(|x| x.cast(dtype).narrow(2, first, n));
                        let blocked = Some(mask([blocked[first..first + n].to_vec()]));
                        let context = Context { blocked, state, ..Context::default() };
                        let (row, next) = attention_with_state(q, k, v, setting, context);
                        rows.push(row);
                        state = Some(next);
                    }
                    assert_close(&Tensor::cat(rows, 2), &expected, tolerance);
                }
            }
            Ok(())
        })
        .unwrap();
}
