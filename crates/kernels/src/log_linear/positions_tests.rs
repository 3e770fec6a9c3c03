//! The recurrence that gives tokens their place.

use burn::tensor::{FloatDType, Tensor};

use super::{composed_positions, positions};
use crate::testing::{assert_close, assert_gradients, normal};

#[test]
fn gradients_of_positions_match_central_differences() {
    let start = normal([2, 3], 2);
    let x = normal([2, 5, 6], 1);
    let f = |[x]: [Tensor<3>; 1]| positions(x, Some(start.clone()));
    assert_gradients([x.clone()], f, 2e-9);
    let f = |[start]: [Tensor<2>; 1]| positions(x.clone(), Some(start));
    assert_gradients([start.clone()], f, 2e-9);
}

#[test]
fn positions_go_on_from_their_last_row_and_equal_the_composed_form() {
    let x = normal([2, 11, 6], 1);
    let whole = positions(x.clone(), None);
    assert_close(&composed_positions(x.clone(), None), &whole, 1e-13);
    let first = positions(x.clone().narrow(1, 0, 4), None);
    let start = first.clone().narrow(1, 3, 1).squeeze_dim(1);
    let rest = positions(x.narrow(1, 4, 7), Some(start));
    assert_close(&Tensor::cat(vec![first, rest], 1), &whole, 1e-14);
}

#[test]
fn positions_in_single_precision_stay_accurate_over_65536_tokens() {
    let x = normal([1, 65_536, 6], 1).cast(FloatDType::F32);
    let single = positions(x.clone(), None);
    let double = positions(x.cast(FloatDType::F64), None);
    assert_close(&single, &double, 2e-6);
}
