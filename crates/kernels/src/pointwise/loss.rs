//! Mean squared error, summed in `f64` in a fixed order.
//!
//! ```text
//! L = 1/n Σ (prediction − target)²      ∂prediction = 2/n (prediction − target) ∂L
//! ```
#![expect(unsafe_code, reason = "raw memory, rows written by one thread each")]

use burn::tensor::{Tensor, assert_shape};

use super::rows::{CHUNK, for_each_chunk};
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::view::{FlexTensor, Output, Storage, View, by_dtype, contiguous, dims};

/// Mean over all elements of the squared difference.
///
/// # Shapes
/// - `prediction`, `target`: `[batch, time, d]`; returns: `[1]`
///
/// # Panics
/// If the shapes or types disagree.
#[must_use]
pub fn mean_squared_error(prediction: Tensor<3>, target: Tensor<3>) -> Tensor<1> {
    let [batch, time, d] = prediction.dims();
    assert_shape!(target, [batch, time, d]);
    if !on_cpu(&prediction) {
        return (prediction - target).square().mean();
    }
    apply(MeanSquaredError, [prediction.into_dispatch(), target.into_dispatch()])
}

#[derive(Clone, Copy, Debug)]
struct MeanSquaredError;

impl FusedOp<2> for MeanSquaredError {
    type Saved = [FlexTensor; 2];

    fn forward(&self, inputs: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let inputs = inputs.map(contiguous);
        (by_dtype!(inputs[0], forward(&inputs)), inputs)
    }

    fn backward(
        &self,
        inputs: Self::Saved,
        grad: FlexTensor,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        by_dtype!(inputs[0], backward(&inputs, &contiguous(grad), wanted))
    }
}

fn forward<S: Storage>([prediction, target]: &[FlexTensor; 2]) -> FlexTensor {
    let [batch, time, d] = dims(prediction);
    let rows = batch * time;
    let (p, t) = (View::<S, 3>::new(prediction).ptr, View::<S, 3>::new(target).ptr);
    let mut partial = Output::<f64>::new(rows.div_ceil(CHUNK));
    let sums = partial.ptr();
    for_each_chunk(rows, d, |first, n| {
        let mut sum = 0.0;
        for i in first * d..(first + n) * d {
            let e = unsafe { (*p.at(i)).to_f64() - (*t.at(i)).to_f64() };
            sum += e * e;
        }
        unsafe { *sums.at(first / CHUNK) = sum };
    });
    let total: f64 = (0..rows.div_ceil(CHUNK)).map(|i| unsafe { *sums.at(i) }).sum();
    let mut mean = Output::<S>::new(1);
    unsafe {
        *mean.ptr().at(0) = S::from_f64(total / (rows * d) as f64);
        mean.finish([1])
    }
}

fn backward<S: Storage>(
    [prediction, target]: &[FlexTensor; 2],
    grad: &FlexTensor,
    wanted: [bool; 2],
) -> [Option<FlexTensor>; 2] {
    let [batch, time, d] = dims(prediction);
    let rows = batch * time;
    let (p, t) = (View::<S, 3>::new(prediction).ptr, View::<S, 3>::new(target).ptr);
    let upstream = unsafe { *View::<S, 1>::new(grad).ptr.at(0) }.to_f64();
    let side = |sign: f64| {
        let factor = S::from_f64(sign * 2.0 * upstream / (rows * d) as f64);
        let mut dx = Output::<S>::new(rows * d);
        let to = dx.ptr();
        for_each_chunk(rows, d, |first, n| {
            for i in first * d..(first + n) * d {
                unsafe { *to.at(i) = (*p.at(i)).sub(*t.at(i)).mul(factor) };
            }
        });
        unsafe { dx.finish([batch, time, d]) }
    };
    [wanted[0].then(|| side(1.0)), wanted[1].then(|| side(-1.0))]
}
