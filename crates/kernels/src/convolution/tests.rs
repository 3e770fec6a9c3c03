use super::{composed, convolution, reference};
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

#[test]
fn equals_the_definition_at_all_sizes() {
    for ([batch, time], [length, d_in, d_out]) in
        [([1, 1], [1, 1, 1]), ([2, 3], [7, 5, 2]), ([19, 11], [3, 17, 33]), ([35, 13], [5, 3, 7])]
    {
        let (x, weight) = (normal([batch, time, d_in], 1), normal([length, d_in, d_out], 2));
        let host = to_f64(&weight);
        let expected = to_f64(&x)
            .chunks_exact(time * d_in)
            .flat_map(|x| reference::convolution(x, &host, [length, d_in, d_out]))
            .collect();
        let expected = from_f64(expected, [batch, time, d_out]);
        // Sums of up to 51 products of size 1.
        assert_close(&convolution(x.clone(), weight.clone()), &expected, 1e-13);
        assert_close(&composed(x, weight), &expected, 1e-13);
    }
}

#[test]
fn gradients_match_central_differences() {
    let inputs = [normal([2, 7, 3], 1), normal([5, 3, 2], 2)];
    assert_gradients(inputs, |[x, weight]| convolution(x, weight), 1e-8);
}

/// Three chunks of the batch, the last of three series.
#[test]
fn gradients_equal_those_of_the_composed_form_over_several_chunks() {
    let cotangent = normal([35, 13, 7], 3).autodiff();
    let gradients = |fused: bool| {
        let x = normal([35, 13, 3], 1).autodiff().require_grad();
        let weight = normal([5, 3, 7], 2).autodiff().require_grad();
        let form = if fused { convolution } else { composed };
        let grads = (form(x.clone(), weight.clone()) * cotangent.clone()).sum().backward();
        [x, weight].map(|input| input.grad(&grads).expect("a gradient"))
    };
    for (found, expected) in gradients(true).iter().zip(&gradients(false)) {
        assert_close(found, expected, 1e-12);
    }
}

#[test]
fn results_and_gradients_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let weight = normal([3, 5, 16], 2).autodiff().require_grad();
            let y = convolution(normal([67, 9, 5], 1).autodiff(), weight.clone());
            let grads = y.clone().powi_scalar(2).sum().backward();
            (to_f64(&y.inner()), to_f64(&weight.grad(&grads).expect("a gradient")))
        })
    };
    assert_eq!(run(1), run(3));
}
