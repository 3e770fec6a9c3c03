//! Mean and maximum of neighbouring features, side by side.
//!
//! ```text
//! y[i] = (x[2i] + x[2i+1]) / 2      y[d/2 + i] = max(x[2i], x[2i+1])      i < d/2
//! ```
//!
//! The gradient of the maximum goes to the larger feature, to the first if they are equal.
//!
//! Source: the time-space embedding released with Solera-Rico et al. 2024,
//! doi:10.1038/s41467-024-45578-4.
#![expect(unsafe_code, reason = "raw memory, rows written by one thread each")]

use burn::tensor::Tensor;

use super::rows::for_each_chunk;
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::simd::Scalar;
use crate::cpu::view::{FlexTensor, Output, Storage, View, by_dtype, contiguous, dims};

/// Mean of features `(2i, 2i + 1)` in the first half, their maximum in the second.
///
/// # Shapes
/// - `x` and the result: `[batch, time, d]`, `d` even
///
/// # Panics
/// If `d` is odd.
#[must_use]
pub fn pair_pool(x: Tensor<3>) -> Tensor<3> {
    let [_, _, d] = x.dims();
    assert!(d % 2 == 0, "d = {d} must be even");
    if on_cpu(&x) { apply(PairPool, [x.into_dispatch()]) } else { composed_pair_pool(x) }
}

/// The same out of Burn operations.
pub(super) fn composed_pair_pool(x: Tensor<3>) -> Tensor<3> {
    let [batch, time, d] = x.dims();
    let pairs = x.reshape([batch, time, d / 2, 2]);
    let mean = pairs.clone().mean_dim(3).reshape([batch, time, d / 2]);
    let max = pairs.max_dim(3).reshape([batch, time, d / 2]);
    Tensor::cat(vec![mean, max], 2)
}

#[derive(Clone, Copy, Debug)]
struct PairPool;

impl FusedOp<1> for PairPool {
    type Saved = FlexTensor;

    fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, FlexTensor) {
        let x = contiguous(x);
        (by_dtype!(x, forward(&x)), x)
    }

    fn backward(&self, x: FlexTensor, grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let grad = contiguous(grad);
        [Some(by_dtype!(x, backward(&x, &grad)))]
    }
}

fn forward<S: Storage>(x: &FlexTensor) -> FlexTensor {
    let [batch, time, d] = dims(x);
    let mut y = Output::<S>::new(batch * time * d);
    let (from, to) = (View::<S, 3>::new(x).ptr, y.ptr());
    for_each_chunk(batch * time, d, |first, n| {
        for r in first..first + n {
            unsafe { pool_row(d, from.at(r * d), to.at(r * d)) };
        }
    });
    unsafe { y.finish([batch, time, d]) }
}

/// One row of [`pair_pool`].
#[inline(always)]
pub(crate) unsafe fn pool_row<S: Scalar>(d: usize, x: *const S, y: *mut S) {
    let half = S::from_f64(0.5);
    for i in 0..d / 2 {
        unsafe {
            let (a, b) = (*x.add(2 * i), *x.add(2 * i + 1));
            *y.add(i) = a.add(b).mul(half);
            *y.add(d / 2 + i) = if b > a { b } else { a };
        }
    }
}

fn backward<S: Storage>(x: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    let [batch, time, d] = dims(x);
    let mut dx = Output::<S>::new(batch * time * d);
    let (from, grad, to) = (View::<S, 3>::new(x).ptr, View::<S, 3>::new(grad).ptr, dx.ptr());
    let half = S::from_f64(0.5);
    for_each_chunk(batch * time, d, |first, n| {
        for r in first..first + n {
            let (x, g, dx) = (from.at(r * d), grad.at(r * d), to.at(r * d));
            for i in 0..d / 2 {
                unsafe {
                    let second = *x.add(2 * i + 1) > *x.add(2 * i);
                    let mean = (*g.add(i)).mul(half);
                    let max = *g.add(d / 2 + i);
                    *dx.add(2 * i) = if second { mean } else { mean.add(max) };
                    *dx.add(2 * i + 1) = if second { mean.add(max) } else { mean };
                }
            }
        }
    });
    unsafe { dx.finish([batch, time, d]) }
}
