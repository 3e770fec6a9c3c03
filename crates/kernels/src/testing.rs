//! What tests of kernels and models share: seeded inputs, closeness, gradients, golden files.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Standard normal numbers made on the host, in `f64`, the same on every machine.
#[must_use]
pub fn normal<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let n = shape.iter().product();
    let values: Vec<f64> = (0..n).map(|_| StandardNormal.sample(&mut rng)).collect();
    from_f64(values, shape)
}

/// A tensor in `f64` from host numbers, row-major.
#[must_use]
pub fn from_f64<const D: usize>(values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (&Device::default(), DType::F64))
}

/// The numbers of a tensor, row-major, in `f64`.
///
/// # Panics
/// If the tensor holds no floating-point numbers.
#[must_use]
pub fn to_f64<const D: usize>(x: &Tensor<D>) -> Vec<f64> {
    x.to_data().convert::<f64>().try_into_vec::<f64>().expect("converted to f64 above")
}

/// Asserts `|actual − expected| ≤ tol · max(1, |expected|)` for every element; NaN never passes.
///
/// # Panics
/// If the shapes differ or any element is too far off; the message names the worst one.
#[track_caller]
pub fn assert_close<const D: usize>(actual: &Tensor<D>, expected: &Tensor<D>, tol: f64) {
    assert_eq!(actual.dims(), expected.dims(), "shapes differ");
    let (a, e) = (to_f64(actual), to_f64(expected));
    let mut worst = (0, 0.0);
    for (i, (a, e)) in a.iter().zip(&e).enumerate() {
        let error = (a - e).abs() / e.abs().max(1.0);
        let same_infinity =
            a.is_infinite() && e.is_infinite() && a.is_sign_positive() == e.is_sign_positive();
        let error = if same_infinity {
            0.0
        } else if error.is_nan() {
            f64::INFINITY
        } else {
            error
        };
        if error > worst.1 {
            worst = (i, error);
        }
    }
    let (i, error) = worst;
    assert!(
        error <= tol,
        "element {i} of {:?}: {} instead of {} (error {error:e}, tolerance {tol:e})",
        actual.dims(),
        a[i],
        e[i],
    );
}

/// Asserts that the gradient of every input agrees with central differences in `f64`.
///
/// The result of `f` is contracted with a fixed random cotangent.
///
/// # Panics
/// If any gradient is missing or differs by more than `tol` relative to `max(1, |gradient|)`.
#[track_caller]
pub fn assert_gradients<const N: usize, const D: usize, const E: usize>(
    inputs: [Tensor<D>; N],
    f: impl Fn([Tensor<D>; N]) -> Tensor<E>,
    tol: f64,
) {
    let tracked = inputs.clone().map(|x| x.autodiff().require_grad());
    let out = f(tracked.clone());
    let cotangent = normal(out.dims(), 0x5eed);
    let loss = (out * cotangent.clone().autodiff()).sum();
    let grads = loss.backward();
    let value = |inputs: [Tensor<D>; N]| to_f64(&(f(inputs) * cotangent.clone()).sum())[0];
    for (i, x) in tracked.iter().enumerate() {
        let grad = x.grad(&grads).expect("every input has a gradient");
        let values = to_f64(&inputs[i]);
        // Truncation error h² and rounding error ε/h balance near ε^(1/3).
        let step = 6e-6;
        let difference: Vec<f64> = (0..values.len())
            .map(|j| {
                let shifted = |by: f64| {
                    let mut values = values.clone();
                    values[j] += by;
                    let mut inputs = inputs.clone();
                    inputs[i] = from_f64(values, inputs[i].dims());
                    value(inputs)
                };
                (shifted(step) - shifted(-step)) / (2.0 * step)
            })
            .collect();
        assert_close(&grad, &from_f64(difference, x.dims()), tol);
    }
}

/// A module with its parameters in `f64`, drawn anew so that a test computes the same in each run.
///
/// Initial values come from a stream that the tests running beside this one share. Parameters in
/// which values repeat, as in biases at zero, are not random and stay; of the others, one of `n`
/// rows gets normal draws of variance `1 / n`, from a seed that counts them.
#[must_use]
pub fn double<M: Module>(module: M) -> M {
    struct Double(u64);
    impl ModuleMapper for Double {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let mut values = to_f64(&param.val());
            let count = values.len();
            values.sort_by(f64::total_cmp);
            values.dedup();
            if 2 * values.len() <= count {
                return param.map(|x| x.cast(FloatDType::F64));
            }
            self.0 += 1;
            let seed = self.0;
            param.map(|x| normal(x.dims(), seed) / (x.dims()[0] as f64).sqrt())
        }
    }
    module.map(&mut Double(0))
}

/// One array of a golden file (safetensors), in `f64`; a single number has rank 1.
///
/// # Panics
/// If the file or the name is missing, or the rank is not `D`.
#[must_use]
pub fn golden<const D: usize>(file: &Path, name: &str) -> Tensor<D> {
    let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let tensors = safetensors::SafeTensors::deserialize(&bytes)
        .unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let view = tensors.tensor(name).unwrap_or_else(|e| panic!("{}: {name}: {e}", file.display()));
    let values: Vec<f64> = match view.dtype() {
        safetensors::Dtype::F64 => {
            view.data().as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect()
        }
        safetensors::Dtype::F32 => view
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f64::from(f32::from_le_bytes(*b)))
            .collect(),
        other => panic!("{}: {name} has type {other:?}", file.display()),
    };
    let shape = if view.shape().is_empty() { &[1] } else { view.shape() };
    let shape: [usize; D] = shape.try_into().expect("the rank the test asks for");
    from_f64(values, shape)
}
