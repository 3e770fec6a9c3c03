use burn::tensor::{Bool, Device, Tensor};
use proptest::prelude::*;

use super::reference::{self, Sizes};
use super::{KeyMask, attention, composed};
use crate::mask::padding_log_weight;
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

/// Unequal primes, so that swapped axes fail.
const BATCH: usize = 2;
const HEADS: usize = 3;

fn inputs(time_q: usize, time_k: usize, d_k: usize, d_v: usize) -> [Tensor<4>; 3] {
    [
        normal([BATCH, HEADS, time_q, d_k], 1),
        normal([BATCH, HEADS, time_k, d_k], 2),
        normal([BATCH, HEADS, time_k, d_v], 3),
    ]
}

fn by_definition(
    [q, k, v]: &[Tensor<4>; 3],
    w: Option<&Tensor<3>>,
    scale: f64,
    causal: bool,
) -> Tensor<4> {
    let [batch, heads, time_q, d_k] = q.dims();
    let [_, _, time_k, d_v] = v.dims();
    let sizes = Sizes { heads: batch * heads, time_q, time_k, d_k, d_v };
    let [q, k, v] = [q, k, v].map(to_f64);
    let w = w.map(to_f64);
    let mask = if causal { KeyMask::Causal } else { KeyMask::All };
    let out = reference::attention(sizes, [&q, &k, &v], w.as_deref(), scale, mask);
    from_f64(out, [batch, heads, time_q, d_v])
}

#[test]
fn equals_the_definition_at_all_sizes() {
    let few = [(1, 1), (1, 7), (1, 259), (3, 530), (4, 4)];
    let many = [(5, 5), (7, 5), (47, 131), (97, 97), (130, 259)];
    for (time_q, time_k) in few.into_iter().chain(many) {
        for (d_k, d_v) in [(7, 11), (16, 16), (3, 1), (4, 8), (64, 32)] {
            for causal in [false, true] {
                let x = inputs(time_q, time_k, d_k, d_v);
                let w = normal([BATCH, HEADS, time_k], 4);
                let expected = by_definition(&x, Some(&w), 0.3, causal);
                let [q, k, v] = x.clone();
                let actual = attention(q, k, v, Some(w), 0.3, causal);
                assert_close(&actual, &expected, 1e-13);
                let [q, k, v] = x.clone();
                let actual = attention(q, k, v, None, 0.3, causal);
                assert_close(&actual, &by_definition(&x, None, 0.3, causal), 1e-13);
            }
        }
    }
}

#[test]
fn composed_form_equals_the_definition() {
    for causal in [false, true] {
        let x = inputs(7, 5, 3, 11);
        let w = normal([BATCH, HEADS, 5], 4);
        let expected = by_definition(&x, Some(&w), 0.7, causal);
        let [q, k, v] = x;
        assert_close(&composed(q, k, v, Some(w), 0.7, causal), &expected, 1e-14);
    }
}

#[test]
fn single_precision_errs_no_more_than_twice_the_composed_form() {
    for d in [3, 8, 16, 32] {
        for causal in [false, true] {
            let x = inputs(97, 131, d, d);
            let expected = by_definition(&x, None, 0.2, causal);
            let single = || x.clone().map(|x| x.cast(burn::tensor::FloatDType::F32));
            let error = |y: Tensor<4>| {
                let (y, e) = (to_f64(&y), to_f64(&expected));
                y.iter().zip(e).map(|(y, e)| (y - e).abs()).fold(0.0, f64::max)
            };
            let [q, k, v] = single();
            let fused = error(attention(q, k, v, None, 0.2, causal));
            let [q, k, v] = single();
            let naive = error(composed(q, k, v, None, 0.2, causal));
            assert!(fused <= 2.0 * naive.max(1e-6), "d {d}: fused {fused:e}, composed {naive:e}");
        }
    }
}

#[test]
fn gradients_match_central_differences() {
    for causal in [false, true] {
        let x = [normal([2, 3, 5, 7], 1), normal([2, 3, 5, 7], 2), normal([2, 3, 5, 7], 3)];
        assert_gradients(x, |[q, k, v]| attention(q, k, v, None, 0.4, causal), 1e-8);
    }
}

#[test]
fn gradient_of_the_log_weight_matches_central_differences() {
    let [q, k, v] = inputs(5, 7, 3, 11);
    for causal in [false, true] {
        let f =
            |[w]: [Tensor<3>; 1]| attention(q.clone(), k.clone(), v.clone(), Some(w), 0.4, causal);
        assert_gradients([normal([BATCH, HEADS, 7], 5)], f, 1e-8);
    }
}

/// At widths that fill several registers, one, and less than half of one.
#[test]
fn gradients_equal_those_of_the_composed_form_across_tiles() {
    use burn::tensor::FloatDType::{F32, F64};
    for (dtype, d_k, d_v, tolerance) in [
        (F64, 16, 5, 1e-12),
        (F64, 3, 4, 1e-12),
        (F32, 8, 7, 1e-4),
        (F32, 16, 11, 1e-4),
        (F32, 40, 33, 1e-4),
    ] {
        for (time_q, time_k, causal) in [(131, 131, true), (101, 197, false), (60, 150, true)] {
            let leaf = |x: Tensor<4>| x.cast(dtype).autodiff().require_grad();
            let make = || inputs(time_q, time_k, d_k, d_v).map(leaf);
            let weight = || normal([BATCH, HEADS, time_k], 4).cast(dtype).autodiff().require_grad();
            let cotangent = normal([BATCH, HEADS, time_q, d_v], 9).cast(dtype).autodiff();
            let (a, b, wa, wb) = (make(), make(), weight(), weight());
            let run = |x: &[Tensor<4>; 3], w: &Tensor<3>, fused: bool| {
                let [q, k, v] = x.clone();
                let f = if fused { attention } else { composed };
                (f(q, k, v, Some(w.clone()), 0.25, causal) * cotangent.clone()).sum().backward()
            };
            let (ga, gb) = (run(&a, &wa, true), run(&b, &wb, false));
            for (a, b) in a.iter().zip(&b) {
                let (a, b) = (a.grad(&ga).expect("gradient"), b.grad(&gb).expect("gradient"));
                assert_close(&a.cast(F64), &b.cast(F64), tolerance);
            }
            let (a, b) = (wa.grad(&ga).expect("gradient"), wb.grad(&gb).expect("gradient"));
            assert_close(&a.cast(F64), &b.cast(F64), tolerance);
        }
    }
}

#[test]
fn a_fully_blocked_row_is_zero_and_passes_no_gradient() {
    let blocked = Tensor::<2, Bool>::from_data(
        [[true; 5], [false, false, true, false, true]],
        &Device::default(),
    );
    let w = padding_log_weight(blocked, HEADS).cast(burn::tensor::FloatDType::F64);
    for f in [attention, composed] {
        let x = inputs(5, 5, 3, 7).map(|x| x.autodiff().require_grad());
        let [q, k, v] = x.clone();
        let out = f(q, k, v, Some(w.clone().autodiff()), 0.5, false);
        let rows = out.clone().inner();
        assert_close(
            &rows.clone().narrow(0, 0, 1),
            &Tensor::zeros_like(&rows.narrow(0, 0, 1)),
            0.0,
        );
        let grads = out.powi_scalar(2).sum().backward();
        for x in &x {
            let g = x.grad(&grads).expect("gradient");
            assert!(to_f64(&g).iter().all(|g| g.is_finite()));
            let first = g.narrow(0, 0, 1);
            assert_close(&first.clone(), &Tensor::zeros_like(&first), 0.0);
        }
    }
}

#[test]
fn scores_of_ten_thousand_stay_finite() {
    let x = inputs(7, 11, 3, 5).map(|x| x * 1e2);
    let [q, k, v] = x.clone();
    let actual = attention(q, k, v, None, 1.0, false);
    assert_close(&actual, &by_definition(&x, None, 1.0, false), 1e-12);
}

#[test]
fn nan_in_a_key_reaches_the_result() {
    let [q, k, v] = inputs(3, 5, 2, 2);
    let mut values = to_f64(&k);
    values[0] = f64::NAN;
    let out = attention(q, from_f64(values, [BATCH, HEADS, 5, 2]), v, None, 1.0, false);
    assert!(to_f64(&out)[0].is_nan());
}

#[test]
fn strided_views_give_the_same_result_and_come_back_as_views() {
    let make = |seed| normal([BATCH, 13, HEADS, 8], seed).swap_dims(1, 2);
    let [q, k, v] = [make(1), make(2), make(3)];
    let expected = by_definition(&[q.clone(), k.clone(), v.clone()], None, 0.3, true);
    assert_close(&attention(q, k, v, None, 0.3, true), &expected, 1e-13);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn permuting_the_keys_changes_nothing(time_k in 1usize..70, shift in 0usize..70, d in 1usize..20) {
        let q = normal([1, 2, 3, d], 1);
        let k = normal([1, 2, time_k, d], 2);
        let v = normal([1, 2, time_k, d], 3);
        let roll = |x: &Tensor<4>| {
            let cut = shift % time_k;
            if cut == 0 { return x.clone(); }
            Tensor::cat(vec![x.clone().narrow(2, cut, time_k - cut), x.clone().narrow(2, 0, cut)], 2)
        };
        let a = attention(q.clone(), k.clone(), v.clone(), None, 0.5, false);
        let b = attention(q, roll(&k), roll(&v), None, 0.5, false);
        assert_close(&a, &b, 1e-13);
    }

    #[test]
    fn later_keys_do_not_change_earlier_rows(time in 2usize..90, d in 1usize..9) {
        let (q, k, v) = (normal([1, 1, time, d], 1), normal([1, 1, time, d], 2), normal([1, 1, time, d], 3));
        let cut = time / 2;
        let change = |x: &Tensor<4>| Tensor::cat(vec![x.clone().narrow(2, 0, cut), x.clone().narrow(2, cut, time - cut) * 3.0 + 1.0], 2);
        let a = attention(q.clone(), k.clone(), v.clone(), None, 0.5, true).narrow(2, 0, cut);
        let b = attention(q, change(&k), change(&v), None, 0.5, true).narrow(2, 0, cut);
        assert_close(&a, &b, 0.0);
    }

    #[test]
    fn a_log_weight_of_ln_two_counts_a_key_twice(time_k in 1usize..40, twice in 0usize..40) {
        let twice = twice % time_k;
        let (q, k, v) = (normal([1, 1, 3, 5], 1), normal([1, 1, time_k, 5], 2), normal([1, 1, time_k, 5], 3));
        let mut w = vec![0.0; time_k];
        w[twice] = std::f64::consts::LN_2;
        let weighted = attention(q.clone(), k.clone(), v.clone(), Some(from_f64(w, [1, 1, time_k])), 0.5, false);
        let repeat = |x: &Tensor<4>| Tensor::cat(vec![x.clone(), x.clone().narrow(2, twice, 1)], 2);
        let repeated = attention(q, repeat(&k), repeat(&v), None, 0.5, false);
        assert_close(&weighted, &repeated, 1e-13);
    }
}
