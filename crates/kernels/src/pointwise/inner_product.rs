//! The inner product of two tensors, which makes a vector-Jacobian product of the backward pass.
#![expect(unsafe_code, reason = "raw memory of tensors")]

use burn::tensor::Tensor;

use super::rows::{CHUNK, for_each_chunk};
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::view::{FlexTensor, Output, Storage, View, by_dtype, contiguous};

/// `⟨x, y⟩ = Σ_i x_i y_i`.
///
/// Its gradient at `x` is `y` itself, the same memory: `inner_product(f(x), y).backward()` is the
/// vector-Jacobian product of `f` with `y` and costs one pass over both more than `f`.
///
/// # Shapes
/// - `x`, `y`: the same
/// - returns: `[1]`
///
/// # Panics
/// If the shapes or types differ.
#[must_use]
pub fn inner_product<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<1> {
    assert_eq!(x.dims(), y.dims(), "an inner product of tensors of different shapes");
    if !on_cpu(&x) {
        return (x * y).sum();
    }
    apply(InnerProduct, [x.into_dispatch(), y.into_dispatch()])
}

#[derive(Clone, Copy, Debug)]
struct InnerProduct;

impl FusedOp<2> for InnerProduct {
    type Saved = [FlexTensor; 2];

    fn forward(&self, inputs: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let inputs = inputs.map(contiguous);
        (by_dtype!(inputs[0], forward(&inputs)), inputs)
    }

    fn backward(
        &self,
        [x, y]: Self::Saved,
        grad: FlexTensor,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let grad = contiguous(grad);
        let scaled = |other: FlexTensor| by_dtype!(grad, scaled(other, &grad));
        [wanted[0].then(|| scaled(y)), wanted[1].then(|| scaled(x))]
    }
}

/// Sums of one chunk, so that an addition need not wait for the one before it.
const SUMS: usize = 8;

fn forward<S: Storage>([x, y]: &[FlexTensor; 2]) -> FlexTensor {
    let [rows, d] = rows(x);
    let (x, y) = (View::<S, 0>::new(x).ptr, View::<S, 0>::new(y).ptr);
    let mut partial = Output::<f64>::new(rows.div_ceil(CHUNK));
    let to = partial.ptr();
    for_each_chunk(rows, d, |first, n| {
        let chunk = |x: *const S| unsafe { std::slice::from_raw_parts(x.add(first * d), n * d) };
        let (x, y) = (chunk(x.at(0)), chunk(y.at(0)));
        let (x, x_rest) = x.as_chunks::<SUMS>();
        let (y, y_rest) = y.as_chunks::<SUMS>();
        let mut sums = [0.0; SUMS];
        for (x, y) in x.iter().zip(y) {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum += x[i].to_f64() * y[i].to_f64();
            }
        }
        let rest: f64 = x_rest.iter().zip(y_rest).map(|(x, y)| x.to_f64() * y.to_f64()).sum();
        unsafe { *to.at(first / CHUNK) = sums.iter().sum::<f64>() + rest };
    });
    let total: f64 = (0..rows.div_ceil(CHUNK)).map(|i| unsafe { *to.at(i) }).sum();
    let mut result = Output::<S>::new(1);
    unsafe {
        *result.ptr().at(0) = S::from_f64(total);
        result.finish([1])
    }
}

/// `factor · x`; the same memory where the factor is 1, as it is behind `backward()`.
fn scaled<S: Storage>(x: FlexTensor, factor: &FlexTensor) -> FlexTensor {
    let factor = unsafe { *View::<S, 1>::new(factor).ptr.at(0) };
    if factor == S::ONE {
        return x;
    }
    let shape = x.layout().shape().clone();
    let [rows, d] = rows(&x);
    let from = View::<S, 0>::new(&x).ptr;
    let mut result = Output::<S>::new(rows * d);
    let to = result.ptr();
    for_each_chunk(rows, d, |first, n| {
        for i in first * d..(first + n) * d {
            unsafe { *to.at(i) = (*from.at(i)).mul(factor) };
        }
    });
    unsafe { result.finish([rows * d]) }.reshape(shape)
}

/// How many rows, and how long they are.
fn rows(x: &FlexTensor) -> [usize; 2] {
    let shape = x.layout().shape();
    let (n, rank) = (shape.num_elements(), shape.num_dims());
    let d = if rank == 0 { 1 } else { shape[rank - 1].max(1) };
    [n / d, d]
}
