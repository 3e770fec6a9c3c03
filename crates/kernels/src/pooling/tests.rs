use burn::tensor::{Bool, Device, Tensor, TensorData};
use proptest::prelude::*;

use super::{Groups, composed, pool, reference};
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

fn mask(rows: &[&[bool]]) -> Tensor<2, Bool> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), &Device::default())
}

fn flags(mask: Option<Tensor<2, Bool>>) -> Vec<bool> {
    mask.expect("given a mask").into_data().iter::<bool>().collect()
}

#[test]
fn windows_drop_or_keep_the_remainder_and_are_never_none() {
    let sizes = |g: &Groups| (0..g.n_groups()).map(|i| g.rows(i).len()).collect::<Vec<_>>();
    assert_eq!(sizes(&Groups::windows(13, 4, false)), [4, 4, 4]);
    assert_eq!(sizes(&Groups::windows(13, 4, true)), [4, 4, 4, 1]);
    assert_eq!(sizes(&Groups::windows(3, 8, false)), [3]);
    assert_eq!(sizes(&Groups::windows(3, 8, true)), [3]);
    assert!(Groups::windows(5, 1, false).is_identity());
    assert!(!Groups::windows(5, 5, false).is_identity());
}

#[test]
fn blocks_are_squares_of_the_grid_behind_the_class_token() {
    // A grid of 3 lines of 5 cells, in blocks of 2 × 2, by hand.
    let groups = Groups::blocks([3, 5], [2, 2], false, true);
    assert_eq!(groups.n_groups(), 3);
    assert_eq!(groups.rows(0), [0]);
    assert_eq!(groups.rows(1), [1, 2, 6, 7]);
    assert_eq!(groups.rows(2), [3, 4, 8, 9]);
    assert_eq!(groups.of_row(5), None);
    let groups = Groups::blocks([3, 5], [2, 2], true, false);
    assert_eq!(groups.n_groups(), 6);
    assert_eq!(groups.rows(5), [14]);
    assert_eq!(Groups::blocks([2, 2], [4, 4], false, false).rows(0), [0, 1, 2, 3]);
}

#[test]
fn equals_the_definition_with_and_without_blocked_rows() {
    let (batch, time, d) = (3, 150, 7);
    let seen: Vec<bool> = (0..batch * time).map(|i| i % 5 != 3 && i % time < 120).collect();
    let blocked: Vec<bool> = seen.iter().map(|seen| !seen).collect();
    let blocked = mask(&blocked.chunks_exact(time).collect::<Vec<_>>());
    let x = normal([batch, time, d], 1);
    let values = to_f64(&x);
    let all = [
        Groups::windows(time, 4, true),
        Groups::windows(time, 1, true),
        Groups::blocks([10, 15], [3, 2], true, false),
    ];
    for groups in all {
        let expected = |seen: &dyn Fn(usize) -> Vec<bool>| {
            let rows = (0..batch).flat_map(|b| {
                reference::pool(&values[b * time * d..(b + 1) * time * d], d, &groups, &seen(b))
            });
            from_f64(rows.collect(), [batch, groups.n_groups(), d])
        };
        for f in [pool, composed] {
            let (y, none) = f(x.clone(), &groups, None);
            assert!(none.is_none());
            assert_close(&y, &expected(&|_| vec![true; time]), 1e-14);
            let (y, hidden) = f(x.clone(), &groups, Some(blocked.clone()));
            let of = |b: usize| seen[b * time..(b + 1) * time].to_vec();
            assert_close(&y, &expected(&of), 1e-14);
            let none_seen = |b: usize, g: usize| groups.rows(g).iter().all(|t| !of(b)[*t]);
            let expected: Vec<bool> = (0..batch)
                .flat_map(|b| (0..groups.n_groups()).map(move |g| (b, g)))
                .map(|(b, g)| none_seen(b, g))
                .collect();
            assert_eq!(flags(hidden), expected);
        }
    }
}

#[test]
fn gradients_match_central_differences() {
    let blocked = mask(&[
        &[false, false, true, false, true, true, true],
        &[false, false, false, true, false, false, false],
    ]);
    for groups in [Groups::windows(7, 2, true), Groups::windows(7, 2, false)] {
        let f = |[x]: [Tensor<3>; 1]| pool(x, &groups, None).0;
        assert_gradients([normal([2, 7, 3], 1)], f, 1e-9);
        let f = |[x]: [Tensor<3>; 1]| pool(x, &groups, Some(blocked.clone())).0;
        assert_gradients([normal([2, 7, 3], 1)], f, 1e-9);
    }
}

#[test]
fn what_is_blocked_may_be_anything() {
    let x = Tensor::cat(
        vec![
            normal([1, 4, 3], 1),
            Tensor::full([1, 3, 3], f64::NAN, (&Device::default(), burn::tensor::DType::F64)),
        ],
        1,
    );
    let blocked = mask(&[&[false, false, false, false, true, true, true]]);
    for f in [pool, composed] {
        let (y, hidden) = f(x.clone(), &Groups::windows(7, 3, true), Some(blocked.clone()));
        assert!(to_f64(&y).iter().all(|y| y.is_finite()));
        assert_eq!(flags(hidden), [false, false, true]);
    }
}

proptest! {
    #[test]
    fn a_padded_sequence_has_the_means_of_the_unpadded_one(
        time in 1_usize..20, padding in 0_usize..9, rate in 1_usize..9, partial: bool,
    ) {
        let x = normal([1, time, 3], 1);
        let padded = Tensor::cat(vec![x.clone(), normal([1, padding.max(1), 3], 2)], 1);
        let padded = padded.narrow(1, 0, time + padding);
        let flags_of: Vec<bool> = (0..time + padding).map(|t| t >= time).collect();
        let (short, none) = pool(x, &Groups::windows(time, rate, partial), None);
        prop_assert!(none.is_none());
        let groups = Groups::windows(time + padding, rate, partial);
        let (long, hidden) = pool(padded, &groups, Some(mask(&[&flags_of])));
        let n = short.dims()[1];
        let hidden = flags(hidden);
        prop_assert!(hidden.iter().enumerate().all(|(g, hidden)| *hidden == (g >= n)));
        assert_close(&long.narrow(1, 0, n), &short, 1e-14);
    }
}
