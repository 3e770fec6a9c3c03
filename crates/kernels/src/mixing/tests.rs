use burn::tensor::Tensor;
use proptest::prelude::*;

use super::{Lookup, Reach, composed, composed_spread, mix, mix_within, reference, spread};
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

/// `alpha` with zeros outside the band.
fn banded(alpha: Tensor<3>, reach: Reach) -> Tensor<3> {
    let [heads, time, _] = alpha.dims();
    let mut values = to_f64(&alpha);
    for (i, value) in values.iter_mut().enumerate() {
        let (r, c) = (i / time % time, i % time);
        if c + reach.back < r || r + reach.ahead < c {
            *value = 0.0;
        }
    }
    from_f64(values, [heads, time, time])
}

#[test]
fn a_limited_reach_equals_the_whole_product_with_zeros() {
    let reaches = [(0, 0), (1, 0), (0, 3), (4, 4), (60, 0), (0, 60), (9, 60)];
    for (back, ahead) in reaches {
        let reach = Reach { back, ahead };
        for time in [1, 5, 12, 29, 64] {
            let alpha = banded(normal([3, time, time], 1), reach);
            let v = normal([2, 3, time, 5], 2);
            let expected = by_definition(&alpha, &v);
            assert_close(&mix_within(reach, alpha, v), &expected, 1e-13);
        }
    }
}

#[test]
fn gradients_within_a_reach_equal_those_of_the_whole_product() {
    for reach in [Reach { back: 3, ahead: 2 }, Reach { back: 60, ahead: 0 }] {
        let make = || {
            let alpha = banded(normal([3, 29, 29], 1), reach).autodiff().require_grad();
            (alpha, normal([5, 3, 29, 7], 2).autodiff().require_grad())
        };
        let ((a1, v1), (a2, v2)) = (make(), make());
        let cotangent = normal([5, 3, 29, 7], 3).autodiff();
        let g1 = (mix_within(reach, a1.clone(), v1.clone()) * cotangent.clone()).sum().backward();
        let g2 = (mix(a2.clone(), v2.clone()) * cotangent).sum().backward();
        assert_close(&v1.grad(&g1).expect("gradient"), &v2.grad(&g2).expect("gradient"), 1e-12);
        let within = |grad: Tensor<3>| banded(grad, reach);
        let [found, expected] = [a1.grad(&g1), a2.grad(&g2)].map(|g| within(g.expect("gradient")));
        assert_close(&found, &expected, 1e-12);
    }
}

#[test]
fn a_table_is_spread_over_its_slots_and_gathers_their_gradients() {
    // A lag kernel of 5 × 3 with its oldest lag left out.
    let slot = |r: usize, c: usize| (r + 2 - c).checked_sub(1);
    let lookup = Lookup::new([5, 3], 6, slot);
    assert_eq!(lookup.n_entries(), 14);
    let table = normal([2, 6], 1);
    let values = to_f64(&table);
    let entry = |i: usize| slot(i / 3 % 5, i % 3).map_or(0.0, |s| values[i / 15 * 6 + s]);
    let expected = from_f64((0..30).map(entry).collect(), [2, 5, 3]);
    assert_close(&spread(table.clone(), &lookup), &expected, 0.0);
    assert_close(&composed_spread(table.clone(), &lookup), &expected, 0.0);
    assert_gradients([table.clone()], |[table]| spread(table, &lookup), 1e-8);
    assert_gradients([table], |[table]| composed_spread(table, &lookup), 1e-8);
}
