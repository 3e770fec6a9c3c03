use burn::tensor::Tensor;

use super::{
    Activation, bias_activation, composed_activation, composed_layer_norm, inner_product,
    layer_norm, mean_squared_error, pair_pool, reference, residual_norm,
};
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

const EPS: f64 = 1e-5;

fn by_rows<const D: usize>(x: &Tensor<D>, f: impl Fn(&[f64]) -> Vec<f64>) -> Tensor<D> {
    let dims = x.dims();
    let values = to_f64(x).chunks_exact(dims[D - 1]).flat_map(f).collect();
    from_f64(values, dims)
}

/// Widths around the vector lengths, and more rows than one chunk.
fn shapes() -> impl Iterator<Item = [usize; 3]> {
    [1, 2, 3, 7, 8, 11, 17, 64].into_iter().flat_map(|d| [[2, 3, d], [5, 13, d]])
}

#[test]
fn layer_norm_equals_the_definition() {
    for shape in shapes() {
        let d = shape[2];
        let (x, gamma, beta) = (normal(shape, 1), normal([d], 2), normal([d], 3));
        let (g, b) = (to_f64(&gamma), to_f64(&beta));
        let expected = by_rows(&x, |row| reference::layer_norm(row, &g, &b, EPS));
        assert_close(&layer_norm(x.clone(), gamma.clone(), beta.clone(), EPS), &expected, 1e-13);
        assert_close(&composed_layer_norm(x, gamma, beta, EPS), &expected, 1e-13);
    }
}

#[test]
fn residual_norm_is_the_norm_of_the_sum() {
    for shape in shapes() {
        let d = shape[2];
        let (x, r) = (normal(shape, 1), normal(shape, 4));
        let (gamma, beta) = (normal([d], 2), normal([d], 3));
        let expected = layer_norm(x.clone() + r.clone(), gamma.clone(), beta.clone(), EPS);
        assert_close(&residual_norm(x, r, gamma, beta, EPS), &expected, 1e-14);
    }
}

#[test]
fn gradients_of_the_norms_match_central_differences() {
    let (gamma, beta) = (normal([7], 2), normal([7], 3));
    let (g, b) = (gamma.clone(), beta.clone());
    assert_gradients(
        [normal([2, 3, 7], 1), normal([2, 3, 7], 4)],
        move |[x, r]| residual_norm(x, r, g.clone(), b.clone(), EPS),
        1e-8,
    );
    let (g, b) = (gamma.clone(), beta.clone());
    assert_gradients(
        [normal([2, 3, 7], 1)],
        move |[x]| layer_norm(x, g.clone(), b.clone(), EPS),
        1e-8,
    );
    let x = normal([5, 13, 7], 1);
    assert_gradients(
        [gamma, beta],
        move |[g, b]| residual_norm(x.clone(), x.clone() * 0.5, g, b, EPS),
        1e-8,
    );
}

#[test]
fn activations_equal_their_definitions() {
    for shape in shapes() {
        let (x, bias) = (normal(shape, 1) * 2.0, normal([shape[2]], 2));
        let sum = x.clone() + bias.clone().unsqueeze();
        for activation in [Activation::Identity, Activation::Relu, Activation::Gelu] {
            let f = |z: f64| match activation {
                Activation::Identity => z,
                Activation::Relu => z.max(0.0),
                Activation::Gelu => reference::gelu(z),
            };
            let expected = by_rows(&sum, |row| row.iter().map(|&z| f(z)).collect());
            let actual = bias_activation(x.clone(), bias.clone(), activation);
            assert_close(&actual, &expected, 1e-13);
            assert_close(&composed_activation(sum.clone(), activation), &expected, 1e-12);
        }
    }
}

#[test]
fn gradients_of_the_activations_match_central_differences() {
    for activation in [Activation::Identity, Activation::Relu, Activation::Gelu] {
        let bias = normal([7], 2);
        let f = |[x]: [Tensor<3>; 1]| bias_activation(x, bias.clone(), activation);
        assert_gradients([normal([2, 3, 7], 1)], f, 1e-8);
        let x = normal([5, 13, 7], 1);
        let f = |[b]: [Tensor<1>; 1]| bias_activation(x.clone(), b, activation);
        assert_gradients([normal([7], 2)], f, 1e-8);
    }
}

#[test]
fn pair_pool_takes_mean_and_maximum_of_neighbours() {
    let x = normal([5, 13, 14], 1);
    assert_close(&pair_pool(x.clone()), &by_rows(&x, reference::pair_pool), 1e-15);
    assert_close(&super::pool::composed_pair_pool(x.clone()), &pair_pool(x), 1e-15);
    assert_gradients([normal([2, 3, 14], 2)], |[x]| pair_pool(x), 1e-8);
}

#[test]
fn mean_squared_error_equals_the_definition() {
    let (p, t) = (normal([5, 13, 7], 1), normal([5, 13, 7], 2));
    let expected: f64 = to_f64(&p).iter().zip(to_f64(&t)).map(|(p, t)| (p - t).powi(2)).sum();
    let loss = mean_squared_error(p.clone(), t.clone());
    assert_close(&loss, &from_f64(vec![expected / 455.0], [1]), 1e-14);
    assert_gradients([p, t], |[p, t]| mean_squared_error(p, t), 1e-8);
}

#[test]
fn the_inner_product_equals_its_definition_and_hands_over_its_factor() {
    for shape in [[1, 1, 1], [5, 13, 7], [2, 60, 33]] {
        let (x, y) = (normal(shape, 1), normal(shape, 2));
        let expected = to_f64(&x).iter().zip(to_f64(&y)).map(|(x, y)| x * y).sum();
        assert_close(&inner_product(x.clone(), y.clone()), &from_f64(vec![expected], [1]), 1e-13);
        let tracked = x.autodiff().require_grad();
        let of = |scale: f64| {
            let product = inner_product(tracked.clone(), y.clone()) * scale;
            tracked.grad(&product.backward()).expect("x is tracked")
        };
        assert_close(&of(1.0), &y, 0.0);
        assert_close(&of(-2.5), &(y.clone() * -2.5), 1e-15);
    }
    assert_gradients(
        [normal([2, 3, 4], 1), normal([2, 3, 4], 2)],
        |[x, y]| inner_product(x, y),
        1e-8,
    );
}
