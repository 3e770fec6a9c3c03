//! Windows, centring, and runs of heads with keys of their own.

use burn::tensor::{Bool, Device, Tensor, TensorData};

use super::reference::{self, Sizes};
use super::{
    HeadKeys, KeyMask, KeyWeight, Part, attention, attention_of_heads, attention_of_parts,
    composed_of_heads, self_attention,
};
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

const BATCH: usize = 2;

fn keys(heads: usize, time_k: usize, d: [usize; 2], seed: u64) -> HeadKeys {
    HeadKeys {
        k: normal([BATCH, heads, time_k, d[0]], seed),
        v: normal([BATCH, heads, time_k, d[1]], seed + 1),
        weight: KeyWeight::None,
        mask: KeyMask::All,
    }
}

/// One run by the definition; `w` is `[batch, heads, time_k]`.
fn by_definition(q: &Tensor<4>, keys: &HeadKeys, w: Option<&[f64]>, scale: f64) -> Tensor<4> {
    let [batch, heads, time_q, d_k] = q.dims();
    let [_, _, time_k, d_v] = keys.v.dims();
    let sizes = Sizes { heads: batch * heads, time_q, time_k, d_k, d_v };
    let [q, k, v] = [q.clone(), keys.k.clone(), keys.v.clone()].map(|x| to_f64(&x));
    let out = reference::attention(sizes, [&q, &k, &v], w, scale, keys.mask);
    from_f64(out, [batch, heads, time_q, d_v])
}

/// The log-weights of centring by the definition.
fn centring(k: &Tensor<4>, beta: &[f64], scale: f64, blocked: &[bool]) -> Vec<f64> {
    let [batch, heads, time, d] = k.dims();
    let values = to_f64(k);
    (0..batch)
        .flat_map(|b| {
            let seen: Vec<bool> =
                blocked[b * time..(b + 1) * time].iter().map(|blocked| !blocked).collect();
            let of = &values[b * heads * time * d..(b + 1) * heads * time * d];
            reference::centring([heads, time, d], of, beta, scale, &seen)
        })
        .collect()
}

fn blocked(time: usize) -> Vec<bool> {
    (0..BATCH * time).map(|i| i % time > time / 2 + i / time).collect()
}

fn mask_of(blocked: &[bool], time: usize) -> Tensor<2, Bool> {
    Tensor::from_data(TensorData::new(blocked.to_vec(), [BATCH, time]), &Device::default())
}

#[test]
fn a_window_equals_the_definition() {
    for (time_q, rate) in [(1, 1), (5, 1), (131, 1), (300, 2), (197, 7)] {
        let time_k = time_q / rate;
        for reach in [0, 2, 70] {
            let mask = KeyMask::Window { reach, rate };
            let keys = HeadKeys { mask, ..keys(3, time_k, [7, 5], 2) };
            let q = normal([BATCH, 3, time_q, 7], 1);
            let expected = by_definition(&q, &keys, None, 0.3);
            for f in [attention_of_heads, composed_of_heads] {
                assert_close(&f(q.clone(), vec![keys.clone()], 0.3), &expected, 1e-13);
            }
        }
    }
}

#[test]
fn centring_equals_the_definition() {
    let (time, beta, scale) = (67, [0.3, -1.2, 0.9], 0.4);
    for hide in [false, true] {
        let hidden = if hide { blocked(time) } else { vec![false; BATCH * time] };
        let plain = keys(3, time, [19, 5], 2);
        let weight = KeyWeight::Centred {
            beta: from_f64(beta.to_vec(), [3]),
            blocked: hide.then(|| mask_of(&hidden, time)),
        };
        let keys = HeadKeys { weight, ..plain };
        let w = centring(&keys.k, &beta, scale, &hidden);
        let q = normal([BATCH, 3, 11, 19], 1);
        let expected = by_definition(&q, &keys, Some(&w), scale);
        for f in [attention_of_heads, composed_of_heads] {
            assert_close(&f(q.clone(), vec![keys.clone()], scale), &expected, 1e-13);
        }
    }
}

#[test]
fn gradients_of_a_centred_window_match_central_differences() {
    let hidden = mask_of(&blocked(7), 7);
    let (q, beta) = (normal([BATCH, 3, 14, 5], 1), from_f64(vec![0.3, -1.2, 0.9], [3]));
    for blocked in [None, Some(hidden)] {
        for mask in [KeyMask::All, KeyMask::Window { reach: 1, rate: 2 }] {
            let of = |k: Tensor<4>, v: Tensor<4>, q: Tensor<4>, beta: Tensor<1>| {
                let weight = KeyWeight::Centred { beta, blocked: blocked.clone() };
                attention_of_heads(q, vec![HeadKeys { k, v, weight, mask }], 0.4)
            };
            let HeadKeys { k, v, .. } = keys(3, 7, [5, 5], 2);
            let f = |[k, v]: [Tensor<4>; 2]| of(k, v, q.clone(), beta.clone());
            assert_gradients([k.clone(), v.clone()], f, 1e-8);
            let f = |[q]: [Tensor<4>; 1]| of(k.clone(), v.clone(), q, beta.clone());
            assert_gradients([q.clone()], f, 1e-8);
            let f = |[beta]: [Tensor<1>; 1]| of(k.clone(), v.clone(), q.clone(), beta);
            assert_gradients([beta.clone()], f, 1e-8);
        }
    }
}

/// Runs of one to three heads, with all kinds of weights and masks.
fn runs(n: usize, time: usize, tracked: bool) -> Vec<HeadKeys> {
    let track = |x: Tensor<4>| if tracked { x.autodiff().require_grad() } else { x };
    let lift = |x: Tensor<3>| if tracked { x.autodiff().require_grad() } else { x };
    (0..n)
        .map(|i| {
            let (heads, time_k) = (1 + i % 3, (time / (1 + i)).max(1));
            let HeadKeys { k, v, .. } = keys(heads, time_k, [7, 5], 10 * i as u64);
            let weight = match i % 3 {
                0 => KeyWeight::None,
                1 => {
                    let beta = normal([heads], 5);
                    let beta = if tracked { beta.autodiff().require_grad() } else { beta };
                    KeyWeight::Centred { beta, blocked: None }
                }
                _ => KeyWeight::Log(lift(normal([BATCH, heads, time_k], 6))),
            };
            let rate = 1 + i;
            let mask = [KeyMask::All, KeyMask::Window { reach: 3, rate }][usize::from(i % 4 == 1)];
            HeadKeys { k: track(k), v: track(v), weight, mask }
        })
        .collect()
}

#[test]
fn runs_of_heads_equal_each_on_its_own_with_all_gradients() {
    // Ten runs are more than one operation takes; 150 steps are several tiles.
    for (n, time) in [(1, 5), (3, 150), (10, 40)] {
        let heads = (0..n).map(|i| 1 + i % 3).sum();
        let cotangent = normal([BATCH, heads, time, 5], 99).autodiff();
        let run = |f: fn(Tensor<4>, Vec<HeadKeys>, f64) -> Tensor<4>| {
            let q = normal([BATCH, heads, time, 7], 77).autodiff().require_grad();
            let keys = runs(n, time, true);
            let out = f(q.clone(), keys.clone(), 0.4);
            let grads = (out.clone() * cotangent.clone()).sum().backward();
            let mut found = vec![to_f64(&out.inner()), to_f64(&q.grad(&grads).unwrap())];
            for keys in keys {
                found.extend([keys.k, keys.v].map(|x| to_f64(&x.grad(&grads).unwrap())));
                match keys.weight {
                    KeyWeight::None => {}
                    KeyWeight::Log(w) => found.push(to_f64(&w.grad(&grads).unwrap())),
                    KeyWeight::Centred { beta, .. } => {
                        found.push(to_f64(&beta.grad(&grads).unwrap()));
                    }
                }
            }
            found
        };
        for (a, b) in run(attention_of_heads).into_iter().zip(run(composed_of_heads)) {
            let n = a.len();
            assert_close(&from_f64(a, [n]), &from_f64(b, [n]), 1e-12);
        }
    }
}

#[test]
fn one_run_of_all_keys_is_attention() {
    let q = normal([BATCH, 3, 11, 7], 1);
    let HeadKeys { k, v, .. } = keys(3, 13, [7, 5], 2);
    let keys = HeadKeys { k: k.clone(), v: v.clone(), ..keys(3, 13, [7, 5], 2) };
    let expected = attention(q.clone(), k, v, None, 0.2, false);
    assert_close(&attention_of_heads(q, vec![keys], 0.2), &expected, 0.0);
}

/// Two tensors of heads: queries, keys and values of one run, two heads that are nothing, and keys and
/// values of `n − 1` shorter runs.
fn parts(n: usize, time: usize) -> (Vec<Tensor<4>>, Part, Vec<HeadKeys<Part>>) {
    let plain = |k, v| HeadKeys { k, v, weight: KeyWeight::None, mask: KeyMask::All };
    let part = |tensor, first, heads| Part { tensor, first, heads };
    let first = plain(part(0, n + 1, 2), part(0, n + 3, 2));
    let others = (1..n).map(|i| plain(part(1, 2 * i + 1, 1), part(1, 2 * i, 1)));
    let tensors = vec![normal([BATCH, n + 5, time, 6], 1), normal([BATCH, 2 * n, time / 2, 6], 2)];
    (tensors, part(0, 0, n + 1), std::iter::once(first).chain(others).collect())
}

#[test]
fn parts_of_tensors_equal_copies_of_them_with_all_gradients() {
    // 300 steps are several tiles and several tasks of one head; seven runs are two operations.
    for (n, time) in [(2, 9), (2, 300), (7, 40)] {
        let run = |copies: bool| {
            let (tensors, q, keys) = parts(n, time);
            let tensors: Vec<_> =
                tensors.into_iter().map(|x| x.autodiff().require_grad()).collect();
            let out = if copies {
                let keys = keys.into_iter().map(|keys| HeadKeys {
                    k: keys.k.of(&tensors),
                    v: keys.v.of(&tensors),
                    weight: keys.weight,
                    mask: keys.mask,
                });
                composed_of_heads(q.of(&tensors), keys.collect(), 0.4)
            } else {
                attention_of_parts(tensors.clone(), q, keys, 0.4)
            };
            let cotangent = normal(out.dims(), 99).autodiff();
            let grads = (out.clone() * cotangent).sum().backward();
            let mut found = vec![to_f64(&out.inner())];
            found.extend(tensors.iter().map(|x| to_f64(&x.grad(&grads).expect("a gradient"))));
            found
        };
        for (a, b) in run(false).into_iter().zip(run(true)) {
            let n = a.len();
            assert_close(&from_f64(a, [n]), &from_f64(b, [n]), 1e-12);
        }
    }
}

#[test]
fn self_attention_equals_attention_of_its_thirds() {
    let qkv = normal([BATCH, 9, 70, 5], 1);
    let [q, k, v] = [0, 3, 6].map(|first| qkv.clone().narrow(1, first, 3));
    let w = normal([BATCH, 3, 70], 2);
    for causal in [false, true] {
        let expected = attention(q.clone(), k.clone(), v.clone(), Some(w.clone()), 0.3, causal);
        assert_close(&self_attention(qkv.clone(), Some(w.clone()), 0.3, causal), &expected, 0.0);
    }
}

#[test]
#[should_panic(expected = "overlap")]
fn parts_must_not_overlap() {
    let (tensors, q, mut keys) = parts(2, 4);
    keys[0].v = Part { first: 2, ..keys[0].v };
    let _ = attention_of_parts(tensors, q, keys, 0.3);
}

#[test]
#[should_panic(expected = "heads 6 to 8 of tensor 0, which has 7")]
fn parts_must_lie_in_their_tensor() {
    let (tensors, q, mut keys) = parts(2, 4);
    keys[0].v = Part { first: 6, ..keys[0].v };
    let _ = attention_of_parts(tensors, q, keys, 0.3);
}

#[test]
#[should_panic(expected = "the runs hold 2 heads, the queries 3")]
fn runs_must_hold_all_heads() {
    let _ = attention_of_heads(normal([BATCH, 3, 5, 7], 1), vec![keys(2, 5, [7, 5], 2)], 0.3);
}
