use burn::tensor::Tensor;
use proptest::prelude::*;

use super::{composed, mix, reference};
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

fn by_definition(alpha: &Tensor<3>, v: &Tensor<4>) -> Tensor<4> {
    let [heads, time_q, time_k] = alpha.dims();
    let [batch, _, _, d] = v.dims();
    let (a, x) = (to_f64(alpha), to_f64(v));
    let size = time_q * time_k;
    let out = (0..batch * heads)
        .flat_map(|i| {
            let h = i % heads;
            reference::mix(&a[h * size..][..size], &x[i * time_k * d..][..time_k * d], time_k, d)
        })
        .collect();
    from_f64(out, [batch, heads, time_q, d])
}

#[test]
fn equals_the_definition_at_all_sizes() {
    for (time_q, time_k, d) in [(1, 1, 1), (5, 7, 3), (7, 5, 11), (64, 64, 16), (33, 65, 8)] {
        let (alpha, v) = (normal([3, time_q, time_k], 1), normal([2, 3, time_k, d], 2));
        let expected = by_definition(&alpha, &v);
        assert_close(&mix(alpha.clone(), v.clone()), &expected, 1e-13);
        assert_close(&composed(alpha, v), &expected, 1e-13);
    }
}

#[test]
fn gradients_match_central_differences() {
    let v = normal([2, 3, 7, 5], 2);
    assert_gradients([normal([3, 11, 7], 1)], |[alpha]| mix(alpha, v.clone()), 1e-8);
    let alpha = normal([3, 11, 7], 1);
    assert_gradients([normal([2, 3, 7, 5], 2)], |[v]| mix(alpha.clone(), v), 1e-8);
}

#[test]
fn gradients_of_a_large_batch_equal_those_of_the_composed_form() {
    let make = || {
        let alpha = normal([3, 17, 13], 1).autodiff().require_grad();
        let v = normal([71, 13, 3, 8], 2).autodiff().require_grad();
        (alpha, v)
    };
    let (a1, v1) = make();
    let (a2, v2) = make();
    let cotangent = normal([71, 3, 17, 8], 3).autodiff();
    let g1 = (mix(a1.clone(), v1.clone().swap_dims(1, 2)) * cotangent.clone()).sum().backward();
    let g2 = (composed(a2.clone(), v2.clone().swap_dims(1, 2)) * cotangent).sum().backward();
    assert_close(&a1.grad(&g1).expect("gradient"), &a2.grad(&g2).expect("gradient"), 1e-12);
    assert_close(&v1.grad(&g1).expect("gradient"), &v2.grad(&g2).expect("gradient"), 1e-12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn is_linear_in_the_values(time in 1usize..40, d in 1usize..20, c in -3.0f64..3.0) {
        let alpha = normal([2, time, time], 1);
        let (v, w) = (normal([2, 2, time, d], 2), normal([2, 2, time, d], 3));
        let sum = mix(alpha.clone(), v.clone() + w.clone() * c);
        let parts = mix(alpha.clone(), v) + mix(alpha, w) * c;
        assert_close(&sum, &parts, 1e-12);
    }
}
