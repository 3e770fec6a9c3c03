use burn::tensor::{FloatDType, Tensor};

use super::{affine, composed, reference, side_by_side};
use crate::pointwise::Activation;
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

const ALL: [Activation; 3] = [Activation::Identity, Activation::Relu, Activation::Gelu];

#[test]
fn equals_the_definition_at_all_sizes() {
    for (rows, d_in, d_out) in
        [([1, 1], 1, 1), ([2, 3], 5, 7), ([5, 29], 17, 67), ([3, 97], 64, 33)]
    {
        let [batch, time] = rows;
        let (x, w, b) =
            (normal([batch, time, d_in], 1), normal([d_in, d_out], 2), normal([d_out], 3));
        let (wv, bv) = (to_f64(&w), to_f64(&b));
        let rows = to_f64(&x)
            .chunks_exact(d_in)
            .flat_map(|row| reference::affine_row(row, &wv, Some(&bv), d_out))
            .collect();
        let expected = from_f64(rows, [batch, time, d_out]);
        assert_close(&affine(x, w, Some(b), Activation::Identity), &expected, 1e-13);
    }
}

#[test]
fn equals_the_composed_form_with_every_activation() {
    for activation in ALL {
        for bias in [None, Some(normal([33], 3))] {
            let (x, w) = (normal([3, 31, 17], 1), normal([17, 33], 2));
            let expected = composed(x.clone(), w.clone(), bias.clone(), activation);
            assert_close(&affine(x, w, bias, activation), &expected, 1e-12);
        }
    }
}

#[test]
fn gradients_match_central_differences() {
    for activation in ALL {
        let (w, b) = (normal([5, 7], 2), normal([7], 3));
        assert_gradients(
            [normal([2, 3, 5], 1)],
            |[x]| affine(x, w.clone(), Some(b.clone()), activation),
            1e-8,
        );
        let x = normal([2, 3, 5], 1);
        assert_gradients([w.clone()], |[w]| affine(x.clone(), w, None, activation), 1e-8);
        assert_gradients([b], |[b]| affine(x.clone(), w.clone(), Some(b), activation), 1e-8);
    }
}

#[test]
fn gradients_equal_those_of_the_composed_form_over_many_rows() {
    for activation in ALL {
        let make = || {
            let x = normal([7, 41, 19], 1).autodiff().require_grad();
            let w = normal([19, 70], 2).autodiff().require_grad();
            let b = normal([70], 3).autodiff().require_grad();
            (x, w, b)
        };
        let cotangent = normal([7, 41, 70], 5).autodiff();
        let (x1, w1, b1) = make();
        let (x2, w2, b2) = make();
        let y1 = affine(x1.clone(), w1.clone(), Some(b1.clone()), activation);
        let y2 = composed(x2.clone(), w2.clone(), Some(b2.clone()), activation);
        let g1 = (y1 * cotangent.clone()).sum().backward();
        let g2 = (y2 * cotangent.clone()).sum().backward();
        let pair = |a: Option<Tensor<3>>, b: Option<Tensor<3>>| {
            assert_close(&a.expect("gradient"), &b.expect("gradient"), 1e-12);
        };
        pair(x1.grad(&g1), x2.grad(&g2));
        assert_close(&w1.grad(&g1).expect("gradient"), &w2.grad(&g2).expect("gradient"), 1e-12);
        assert_close(&b1.grad(&g1).expect("gradient"), &b2.grad(&g2).expect("gradient"), 1e-12);
    }
}

#[test]
fn maps_side_by_side_equal_each_on_its_own_with_all_gradients() {
    // One row reads the weights in place; 1,100 rows are two partial sums.
    for (rows, widths) in
        [(1, vec![3, 5, 2]), (7, vec![33]), (550, vec![7, 40, 7]), (60, vec![64, 32])]
    {
        let run = |together: bool| {
            let track = |x: Tensor<2>| x.autodiff().require_grad();
            let x = normal([2, rows, 19], 1).autodiff().require_grad();
            let maps: Vec<(Tensor<2>, Tensor<1>)> = (2..)
                .zip(&widths)
                .map(|(seed, n)| {
                    (track(normal([19, *n], seed)), normal([*n], 9).autodiff().require_grad())
                })
                .collect();
            let y = if together {
                side_by_side(x.clone(), maps.clone())
            } else {
                let alone = |(w, b): &(Tensor<2>, Tensor<1>)| {
                    affine(x.clone(), w.clone(), Some(b.clone()), Activation::Identity)
                };
                Tensor::cat(maps.iter().map(alone).collect(), 2)
            };
            let cotangent = normal(y.dims(), 5).autodiff();
            let grads = (y.clone() * cotangent).sum().backward();
            let mut found = vec![to_f64(&y.inner()), to_f64(&x.grad(&grads).expect("a gradient"))];
            for (w, b) in &maps {
                found.push(to_f64(&w.grad(&grads).expect("a gradient")));
                found.push(to_f64(&b.grad(&grads).expect("a gradient")));
            }
            found
        };
        for (a, b) in run(true).into_iter().zip(run(false)) {
            let n = a.len();
            assert_close(&from_f64(a, [n]), &from_f64(b, [n]), 1e-13);
        }
    }
}

#[test]
#[should_panic(expected = "4 maps of the same rows, expected 1 to 3")]
fn more_than_three_maps_are_refused() {
    let map = (normal([5, 2], 1), normal([2], 2));
    let _ = side_by_side(normal([1, 3, 5], 3), vec![map; 4]);
}

#[test]
fn single_precision_is_as_accurate_as_the_composed_form() {
    let (x, w) = (normal([3, 50, 128], 1), normal([128, 64], 2));
    let expected = composed(x.clone(), w.clone(), None, Activation::Gelu);
    let single = affine(x.cast(FloatDType::F32), w.cast(FloatDType::F32), None, Activation::Gelu);
    // Sums of 128 products of size 1: error of order √128 · 2⁻²⁴ of values of order 10.
    assert_close(&single.cast(FloatDType::F64), &expected, 2e-5);
}
