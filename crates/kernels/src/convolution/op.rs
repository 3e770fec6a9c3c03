//! The operation and its gradient.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use burn::tensor::module::conv1d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData, assert_shape};
use rayon::prelude::*;

use crate::affine::Packed;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::Tables;
use crate::cpu::matmul::MatMul;
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::simd::Vector;
use crate::cpu::view::{FlexTensor, Output, Ptr, Storage, View, by_dtype, contiguous, dims};

/// Series that share one partial `∂W`: fixed, so that the sum does not depend on threads.
const CHUNK: usize = 16;
/// Below this many multiply-adds a second thread does not pay.
const SERIAL: usize = 1 << 16;

/// A convolution along time that keeps the length.
///
/// # Shapes
/// - `x`: `[batch, time, d_in]`; `weight`: `[length, d_in, d_out]` with an odd `length`
/// - returns: `[batch, time, d_out]`
///
/// # Panics
/// If the shapes or types disagree, or `length` is even.
#[must_use]
pub fn convolution(x: Tensor<3>, weight: Tensor<3>) -> Tensor<3> {
    let [_, _, d_in] = x.dims();
    let [length, _, d_out] = weight.dims();
    assert_shape!(weight, [length, d_in, d_out]);
    assert!(!length.is_multiple_of(2), "length = {length} is even: a filter has a middle");
    if !on_cpu(&x) {
        return composed(x, weight);
    }
    apply(Convolution, [x.into_dispatch(), weight.into_dispatch()])
}

/// The same out of Burn operations.
///
/// # Shapes
/// As [`convolution`].
#[must_use]
pub fn composed(x: Tensor<3>, weight: Tensor<3>) -> Tensor<3> {
    let [length, _, _] = weight.dims();
    let options = ConvOptions::new([1], [length / 2], [1], 1);
    conv1d(x.swap_dims(1, 2), weight.permute([2, 1, 0]), None, options).swap_dims(1, 2)
}

#[derive(Clone, Copy, Debug)]
struct Convolution;

impl FusedOp<2> for Convolution {
    /// The inputs.
    type Saved = [FlexTensor; 2];

    fn forward(&self, inputs: [FlexTensor; 2]) -> (FlexTensor, [FlexTensor; 2]) {
        let [x, weight] = inputs.map(contiguous);
        (by_dtype!(x, forward(&x, &weight)), [x, weight])
    }

    fn backward(
        &self,
        [x, weight]: [FlexTensor; 2],
        grad: FlexTensor,
        [want_x, want_weight]: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let grad = contiguous(grad);
        let sizes = Sizes::new(&x, &weight);
        [
            want_x.then(|| by_dtype!(grad, input_gradient(sizes, &weight, &grad))),
            want_weight.then(|| by_dtype!(grad, weight_gradient(sizes, &x, &grad))),
        ]
    }
}

/// Axis lengths of one convolution.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    time: usize,
    length: usize,
    d_in: usize,
    d_out: usize,
}

impl Sizes {
    fn new(x: &FlexTensor, weight: &FlexTensor) -> Self {
        let ([batch, time, _], [length, d_in, d_out]) = (dims(x), dims(weight));
        Self { batch, time, length, d_in, d_out }
    }

    /// Calls `f(chunk, first_series, n_series)` for every chunk of the batch.
    fn for_each_chunk(&self, f: impl Fn(usize, usize, usize) + Sync) {
        let chunks = self.batch.div_ceil(CHUNK);
        let call = |i: usize| f(i, i * CHUNK, CHUNK.min(self.batch - i * CHUNK));
        let work = self.batch * self.time * self.length * self.d_in * self.d_out;
        if work < SERIAL || chunks < 2 {
            (0..chunks).for_each(call);
        } else {
            (0..chunks).into_par_iter().with_max_len(1).for_each(call);
        }
    }

    /// Room for a series of rows of this width between zeros.
    fn padding<S: Tables>(&self, width: usize) -> Vec<S> {
        vec![S::ZERO; (self.time + self.length - 1) * width]
    }

    /// Copies a series of rows of this width between the zeros.
    unsafe fn pad<S: Tables>(&self, x: *const S, width: usize, to: &mut [S]) {
        let n = self.time * width;
        let to = &mut to[self.length / 2 * width..][..n];
        unsafe { std::ptr::copy_nonoverlapping(x, to.as_mut_ptr(), n) };
    }
}

fn forward<S: Storage + Tables>(x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    let sizes = Sizes::new(x, weight);
    let Sizes { length, d_in, d_out, .. } = sizes;
    let w = View::<S, 3>::new(weight).ptr;
    let w = unsafe { Packed::new(w, length * d_in, d_out, d_out, 1) };
    convolved(sizes, x, &w)
}

/// A convolution of the gradient, with the filters turned around.
fn input_gradient<S: Storage + Tables>(
    sizes: Sizes,
    weight: &FlexTensor,
    grad: &FlexTensor,
) -> FlexTensor {
    let Sizes { length, d_in, d_out, .. } = sizes;
    let weight = S::storage(weight);
    let mut turned = vec![S::ZERO; length * d_in * d_out];
    for (j, to) in turned.chunks_exact_mut((d_in * d_out).max(1)).enumerate() {
        let from = &weight[(length - 1 - j) * d_in * d_out..];
        for i in 0..d_in {
            for o in 0..d_out {
                to[o * d_in + i] = from[i * d_out + o];
            }
        }
    }
    let turned = Ptr(turned.as_mut_ptr());
    let w = unsafe { Packed::new(turned, length * d_out, d_in, d_in, 1) };
    convolved(Sizes { d_in: d_out, d_out: d_in, ..sizes }, grad, &w)
}

fn convolved<S: Storage + Tables>(sizes: Sizes, x: &FlexTensor, w: &Packed<S>) -> FlexTensor {
    let Sizes { batch, time, d_in, d_out, .. } = sizes;
    let mut y = Output::<S>::new(batch * time * d_out);
    let (x, y_ptr) = (View::<S, 3>::new(x).ptr, y.ptr());
    sizes.for_each_chunk(|_, first, n_series| unsafe {
        let (x, y) = (x.at(first * time * d_in), y_ptr.at(first * time * d_out));
        launch(Convolve { sizes, n_series, x, w, y });
    });
    unsafe { y.finish([batch, time, d_out]) }
}

fn weight_gradient<S: Storage + Tables>(
    sizes: Sizes,
    x: &FlexTensor,
    grad: &FlexTensor,
) -> FlexTensor {
    let Sizes { batch, time, length, d_in, d_out } = sizes;
    let size = length * d_in * d_out;
    let mut partial = vec![S::ZERO; batch.div_ceil(CHUNK) * size];
    let partial_ptr = Ptr(partial.as_mut_ptr());
    let [x, grad] = [x, grad].map(|x| View::<S, 3>::new(x).ptr);
    sizes.for_each_chunk(|chunk, first, n_series| unsafe {
        let (x, grad) = (x.at(first * time * d_in), grad.at(first * time * d_out));
        launch(Correlate { sizes, n_series, x, grad, sum: partial_ptr.at(chunk * size) });
    });
    let mut sums = vec![0.0; size];
    for part in partial.chunks_exact(size.max(1)) {
        for (sum, x) in sums.iter_mut().zip(part) {
            *sum += x.to_f64();
        }
    }
    let sums: Vec<S> = sums.into_iter().map(S::from_f64).collect();
    FlexTensor::from_data(TensorData::new(sums, [length, d_in, d_out]))
}

/// `y` of some series; all pointers are at the first of them.
struct Convolve<'a, S> {
    sizes: Sizes,
    n_series: usize,
    x: *const S,
    /// `[length d_in, d_out]`
    w: &'a Packed<S>,
    y: *mut S,
}

impl<S: Tables> Kernel<S> for Convolve<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Sizes { time, d_in, d_out, .. } = self.sizes;
        let mut padded = self.sizes.padding(d_in);
        for series in 0..self.n_series {
            unsafe {
                self.sizes.pad(self.x.add(series * time * d_in), d_in, &mut padded);
                let y = self.y.add(series * time * d_out);
                self.w.multiply::<V>(time, (padded.as_ptr(), d_in), (y, d_out));
            }
        }
    }
}

/// `∂W` of some series, added to `sum`.
struct Correlate<S> {
    sizes: Sizes,
    n_series: usize,
    x: *const S,
    grad: *const S,
    sum: *mut S,
}

impl<S: Tables> Kernel<S> for Correlate<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Sizes { time, length, d_in, d_out, .. } = self.sizes;
        let mut padded = self.sizes.padding(d_in);
        for series in 0..self.n_series {
            unsafe {
                self.sizes.pad(self.x.add(series * time * d_in), d_in, &mut padded);
                V::matmul(MatMul {
                    m: length * d_in,
                    n: d_out,
                    k: time,
                    a: padded.as_ptr(),
                    a_row: 1,
                    a_col: d_in,
                    b: self.grad.add(series * time * d_out),
                    b_row: d_out,
                    c: self.sum,
                    c_row: d_out,
                    accumulate: true,
                });
            }
        }
    }
}
