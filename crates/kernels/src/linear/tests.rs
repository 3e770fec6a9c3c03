use burn::tensor::{Bool, Device, Tensor, TensorData};

use super::{attention, composed_weights, feature_map, reference, weighted};
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

const BATCH: usize = 2;
const HEADS: usize = 3;

fn inputs(time_q: usize, time_k: usize) -> [Tensor<4>; 3] {
    [
        normal([BATCH, HEADS, time_q, 5], 1),
        normal([BATCH, HEADS, time_k, 5], 2),
        normal([BATCH, HEADS, time_k, 7], 3),
    ]
}

fn by_definition([q, k, v]: &[Tensor<4>; 3], seen: &[bool], causal: bool) -> Tensor<4> {
    let ([_, _, time_q, d_k], [_, _, time_k, d_v]) = (q.dims(), v.dims());
    let [q, k, v] = [q, k, v].map(to_f64);
    let rows = (0..BATCH * HEADS).flat_map(|head| {
        let part = |x: &[f64], n: usize| x[head * n..(head + 1) * n].to_vec();
        let (q, k, v) = (part(&q, time_q * d_k), part(&k, time_k * d_k), part(&v, time_k * d_v));
        let seen = &seen[head / HEADS * time_k..(head / HEADS + 1) * time_k];
        reference::attention([&q, &k, &v], [d_k, d_v], seen, causal)
    });
    from_f64(rows.collect(), [BATCH, HEADS, time_q, d_v])
}

fn mask(seen: &[bool]) -> Tensor<2, Bool> {
    let blocked: Vec<bool> = seen.iter().map(|seen| !seen).collect();
    let shape = [BATCH, seen.len() / BATCH];
    Tensor::from_data(TensorData::new(blocked, shape), &Device::default())
}

#[test]
fn equals_the_definition_at_all_sizes() {
    for (time_q, time_k, causal) in [
        (1, 1, false),
        (5, 7, false),
        (131, 70, false),
        (1, 1, true),
        (64, 64, true),
        (197, 197, true),
    ] {
        let x = inputs(time_q, time_k);
        let all = vec![true; BATCH * time_k];
        let some: Vec<bool> = (0..BATCH * time_k).map(|i| i % 3 != 1).collect();
        for (seen, blocked) in [(&all, None), (&some, Some(mask(&some)))] {
            let expected = by_definition(&x, seen, causal);
            let [q, k, v] = x.clone();
            let actual = attention(q.clone(), k.clone(), v.clone(), blocked.clone(), causal);
            assert_close(&actual, &expected, 1e-13);
            let weights = composed_weights(q, k, blocked, causal);
            assert_close(&weights.matmul(v), &expected, 1e-13);
        }
    }
}

#[test]
fn a_weight_of_two_is_a_key_seen_twice_and_of_zero_one_not_seen() {
    let [q, k, v] = inputs(5, 4);
    let weights = from_f64(vec![1.0, 2.0, 0.0, 1.0, 1.0, 0.0, 1.0, 2.0], [BATCH, 4]);
    let found = weighted(q.clone(), k.clone(), v.clone(), Some(weights));
    let keys = [[0, 1, 1, 3], [0, 2, 3, 3]];
    let of_batch = |b: usize, x: &Tensor<4>| {
        let x = x.clone().narrow(0, b, 1);
        Tensor::cat(keys[b].map(|key| x.clone().narrow(2, key, 1)).to_vec(), 2)
    };
    for b in 0..BATCH {
        let q = q.clone().narrow(0, b, 1);
        let expected = attention(q, of_batch(b, &k), of_batch(b, &v), None, false);
        assert_close(&found.clone().narrow(0, b, 1), &expected, 1e-13);
    }
}

#[test]
fn gradients_match_central_differences() {
    // 67 rows are two chunks.
    for (time, causal) in [(5, false), (67, true)] {
        let make = |seed| normal([1, 1, time, 2], seed);
        let blocked = Tensor::<2, Bool>::from_data(
            TensorData::new((0..time).map(|t| t % 4 == 2).collect::<Vec<_>>(), [1, time]),
            &Device::default(),
        );
        for blocked in [None, Some(blocked)] {
            let f = |[q, k, v]: [Tensor<4>; 3]| attention(q, k, v, blocked.clone(), causal);
            assert_gradients([make(1), make(2), make(3)], f, 1e-8);
        }
    }
}

#[test]
fn the_feature_map_has_slope_one_at_zero() {
    let x = from_f64(vec![-2.0, 0.0, 3.0], [3]).autodiff().require_grad();
    let y = feature_map(x.clone());
    assert_close(&y.clone().inner(), &from_f64(vec![(-2.0_f64).exp(), 1.0, 4.0], [3]), 1e-15);
    let slope = x.grad(&y.sum().backward()).unwrap();
    assert_close(&slope, &from_f64(vec![(-2.0_f64).exp(), 1.0, 1.0], [3]), 1e-15);
}

#[test]
fn a_sequence_whose_keys_are_all_blocked_gives_zeros_and_no_gradient() {
    for causal in [false, true] {
        let x = inputs(5, 5).map(|x| x.autodiff().require_grad());
        let [q, k, v] = x.clone();
        let seen = [vec![false; 5], vec![true; 5]].concat();
        let out = attention(q, k, v, Some(mask(&seen)), causal);
        let first = out.clone().inner().narrow(0, 0, 1);
        assert_close(&first, &first.zeros_like(), 0.0);
        let grads = out.powi_scalar(2).sum().backward();
        for x in &x {
            let first = x.grad(&grads).unwrap().narrow(0, 0, 1);
            assert_close(&first, &first.zeros_like(), 0.0);
        }
    }
}
