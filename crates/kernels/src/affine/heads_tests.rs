use burn::tensor::FloatDType::{F32, F64};
use burn::tensor::Tensor;

use super::op::composed;
use super::{from_heads, to_heads};
use crate::pointwise::Activation;
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

/// Time, points, input width, maps, heads and features of a head at a point.
const SIZES: [[usize; 6]; 5] = [
    [1, 1, 1, 1, 1, 1],
    [3, 5, 7, 2, 3, 2],
    [7, 64, 32, 3, 4, 8],
    [4, 29, 17, 3, 2, 19],
    [2, 9, 8, 1, 8, 1],
];

fn maps([d_in, width]: [usize; 2], n: usize) -> Vec<(Tensor<2>, Tensor<1>)> {
    (0..n as u64).map(|i| (normal([d_in, width], 2 + i), normal([width], 12 + i))).collect()
}

/// By the definition, number by number.
fn into_heads(x: &Tensor<3>, maps: &[(Tensor<2>, Tensor<1>)], heads: usize, n: usize) -> Tensor<4> {
    let ([batch, rows, d_in], [_, width]) = (x.dims(), maps[0].0.dims());
    let (time, d) = (rows / n, width / heads);
    let x = to_f64(x);
    let mut y = Vec::new();
    for b in 0..batch {
        for (weight, bias) in maps {
            let (weight, bias) = (to_f64(weight), to_f64(bias));
            for (i, t) in (0..heads).flat_map(|i| (0..time).map(move |t| (i, t))) {
                for (p, j) in (0..n).flat_map(|p| (0..d).map(move |j| (p, j))) {
                    let row = &x[(b * rows + t * n + p) * d_in..][..d_in];
                    let column = j * heads + i;
                    let products =
                        row.iter().enumerate().map(|(l, x)| x * weight[l * width + column]);
                    y.push(products.sum::<f64>() + bias[column]);
                }
            }
        }
    }
    from_f64(y, [batch, maps.len() * heads, time, n * d])
}

#[test]
fn maps_into_heads_equal_the_definition() {
    for [time, points, d_in, n, heads, d] in SIZES {
        let (x, maps) = (normal([2, time * points, d_in], 1), maps([d_in, heads * d], n));
        let expected = into_heads(&x, &maps, heads, points);
        for (dtype, tolerance) in [(F64, 1e-13), (F32, 1e-5)] {
            let maps = maps.iter().map(|(w, b)| (w.clone().cast(dtype), b.clone().cast(dtype)));
            let found = to_heads(x.clone().cast(dtype), maps.collect(), heads, points);
            assert_close(&found.cast(F64), &expected, tolerance);
        }
    }
}

/// The identity from rows into heads and back is the identity; then any map.
#[test]
fn maps_of_heads_take_the_order_that_maps_into_heads_give() {
    for [time, points, d_in, _, heads, d] in SIZES {
        let width = heads * d;
        let x = normal([2, time * points, d_in], 1);
        let (weight, bias) = maps([d_in, width], 1).remove(0);
        let rows = composed(x.clone(), weight.clone(), Some(bias.clone()), Activation::Identity);
        let y = to_heads(x, vec![(weight, bias)], heads, points);
        let (weight, bias) = (normal([width, 13], 8), normal([13], 9));
        let expected = composed(rows, weight.clone(), Some(bias.clone()), Activation::Identity);
        // In the order in which they are made, and with every head's tokens in a row.
        let turned = from_f64(to_f64(&y), y.dims());
        for y in [y, turned] {
            let found = from_heads(y, weight.clone(), bias.clone(), points);
            assert_close(&found, &expected, 1e-12);
        }
    }
}

#[test]
fn gradients_match_central_differences() {
    let (x, maps) = (normal([2, 6, 5], 1), maps([5, 4], 3));
    assert_gradients([x.clone()], |[x]| to_heads(x, maps.clone(), 2, 3), 1e-8);
    for map in 0..3 {
        let with = |weight: Tensor<2>, bias: Tensor<1>| {
            let mut maps = maps.clone();
            maps[map] = (weight, bias);
            to_heads(x.clone(), maps, 2, 3)
        };
        let (weight, bias) = maps[map].clone();
        assert_gradients([weight.clone()], |[w]| with(w, bias.clone()), 1e-8);
        assert_gradients([bias.clone()], |[b]| with(weight.clone(), b), 1e-8);
    }
    let (y, weight, bias) = (normal([2, 2, 3, 8], 4), normal([4, 5], 5), normal([5], 6));
    assert_gradients([y.clone()], |[y]| from_heads(y, weight.clone(), bias.clone(), 4), 1e-8);
    assert_gradients([weight.clone()], |[w]| from_heads(y.clone(), w, bias.clone(), 4), 1e-8);
    assert_gradients([bias], |[b]| from_heads(y.clone(), weight.clone(), b, 4), 1e-8);
}

/// Many partial sums and parts of tokens in a chunk.
#[test]
fn gradients_over_many_rows_equal_those_of_the_composed_forms() {
    let (heads, points, d_in) = (4, 29, 12);
    let leaf = |x: Tensor<2>| x.autodiff().require_grad();
    let x = normal([3, 31 * points, d_in], 1).autodiff().require_grad();
    let (w, out) = (leaf(normal([d_in, 24], 2)), leaf(normal([24, 9], 3)));
    let (b, c) = (normal([24], 4).autodiff(), normal([9], 5).autodiff());
    let cotangent = normal([3, 31 * points, 9], 6).autodiff();
    let fused = {
        let y = to_heads(x.clone(), vec![(w.clone(), b.clone())], heads, points);
        (from_heads(y, out.clone(), c.clone(), points) * cotangent.clone()).sum().backward()
    };
    let plain = {
        let y = composed(x.clone(), w.clone(), Some(b), Activation::Identity);
        (composed(y, out.clone(), Some(c), Activation::Identity) * cotangent).sum().backward()
    };
    let pair = |x: &Tensor<2>| {
        assert_close(&x.grad(&fused).expect("a leaf"), &x.grad(&plain).expect("a leaf"), 1e-10);
    };
    pair(&w);
    pair(&out);
    assert_close(&x.grad(&fused).expect("a leaf"), &x.grad(&plain).expect("a leaf"), 1e-11);
}
