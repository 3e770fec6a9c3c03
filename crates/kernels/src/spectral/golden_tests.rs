//! Against the authors' program: see `tests/golden/continuum/README.md`.

use std::path::{Path, PathBuf};

use burn::tensor::{FloatDType, Tensor};

use super::{composed, spectral};
use crate::testing::{golden, to_f64};

const FILES: [&str; 4] =
    ["spectral2d_even", "spectral2d_odd", "spectral2d_full_nyquist", "spectral2d_overlap"];

fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/continuum");
    folder.join(format!("{name}.safetensors"))
}

/// A field of a file, channels last.
fn field(name: &str, array: &str) -> Tensor<4> {
    golden::<4>(&file(name), array).permute([0, 2, 3, 1])
}

/// Fields on patches, which go into the batch.
fn patches(name: &str, array: &str) -> Tensor<4> {
    let x = golden::<5>(&file(name), array);
    let [batch, patches, channels, rows, columns] = x.dims();
    x.reshape([batch * patches, channels, rows, columns]).permute([0, 2, 3, 1])
}

/// Multipliers of a file, `[d_in, d_out, m1, m2, 2]` for either half of the rows.
fn multipliers(name: &str, prefix: &str) -> Tensor<5> {
    let half = |i: usize| {
        let array = format!("{prefix}w.weights{i}.ri");
        golden::<5>(&file(name), &array).permute([2, 3, 4, 0, 1])
    };
    Tensor::cat(vec![half(1), half(2)], 0)
}

/// Largest difference, relative to the largest number.
#[track_caller]
fn check<const D: usize>(found: Tensor<D>, expected: Tensor<D>, tol: f64) {
    assert_eq!(found.dims(), expected.dims());
    let (found, expected) = (to_f64(&found), to_f64(&expected));
    let largest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!((found - expected).abs() <= tol * largest, "{i}: {found}, not {expected}");
    }
}

/// Result and gradients in both precisions, fused and composed.
fn compare(name: &str, read: fn(&str, &str) -> Tensor<4>) {
    for form in [spectral, composed] {
        let tolerances = [(FloatDType::F64, [1e-13, 1e-13]), (FloatDType::F32, [2e-5, 2e-4])];
        for (float, [of_result, of_gradients]) in tolerances {
            let x = read(name, "x").cast(float).autodiff().require_grad();
            let weight = multipliers(name, "").cast(float).autodiff().require_grad();
            let y = form(x.clone(), weight.clone());
            check(y.clone().inner(), read(name, "out"), of_result);
            let cotangent = read(name, "upstream").cast(float).autodiff();
            let grads = (y * cotangent).sum().backward();
            check(x.grad(&grads).expect("a gradient"), read(name, "grad.x"), of_gradients);
            let expected = multipliers(name, "grad.");
            check(weight.grad(&grads).expect("a gradient"), expected, of_gradients);
        }
    }
}

#[test]
fn fields_equal_the_authors() {
    for name in FILES {
        compare(name, field);
    }
}

#[test]
fn patches_equal_the_authors() {
    compare("spectral_lift_per_patch", patches);
}
