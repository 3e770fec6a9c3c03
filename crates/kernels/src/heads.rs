//! Features of all heads in turn, and head by head.
//!
//! ```text
//! y[b, i, t, j] = x[b, t, j h + i]          i < h heads, j < d
//! ```
//!
//! Where features are ordered so, as in the program of Calvello et al. 2025, arXiv:2406.06486, the features of a head do not
//! lie side by side, and attention would have to gather them. Cost: one pass over the numbers.
#![expect(unsafe_code, reason = "raw memory, rows written by one thread each")]

use burn::tensor::Tensor;

use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::Tables;
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::simd::Vector;
use crate::cpu::view::{
    FlexTensor, Output, Storage, View, by_dtype, contiguous, dims, with_contiguous_rows,
};
use crate::pointwise::for_each_chunk;

/// Features of all heads in turn to features head by head.
///
/// # Shapes
/// - `x`: `[batch, time, d · heads]`
/// - returns: `[batch, heads, time, d]`
///
/// # Panics
/// If `heads` does not divide the features.
#[must_use]
pub fn split_in_turn(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, time, features] = x.dims();
    assert!(features % heads == 0, "{heads} heads do not divide {features} features");
    if on_cpu(&x) {
        apply(Split { heads }, [x.into_dispatch()])
    } else {
        x.reshape([batch, time, features / heads, heads]).permute([0, 3, 1, 2])
    }
}

#[derive(Clone, Copy, Debug)]
struct Split {
    heads: usize,
}

impl FusedOp<1> for Split {
    type Saved = ();

    fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, ()) {
        let x = contiguous(x);
        (by_dtype!(x, split(&x, self.heads)), ())
    }

    fn backward(&self, (): (), grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let grad = with_contiguous_rows(grad);
        [Some(by_dtype!(grad, join(&grad)))]
    }
}

fn split<S: Storage + Tables>(x: &FlexTensor, heads: usize) -> FlexTensor {
    let [batch, time, features] = dims(x);
    let d = features / heads;
    let mut y = Output::<S>::new(batch * time * features);
    let (from, to) = (View::<S, 3>::new(x).ptr, y.ptr());
    for_each_chunk(batch * time, features, |first, rows| {
        for row in first..first + rows {
            let (b, t) = (row / time, row % time);
            let to = to.at((b * heads * time + t) * d);
            unsafe {
                launch(Turn {
                    size: [d, heads],
                    from: (from.at(row * features), heads),
                    to: (to, time * d),
                });
            }
        }
    });
    unsafe { y.finish([batch, heads, time, d]) }
}

/// The inverse of [`split`].
fn join<S: Storage + Tables>(x: &FlexTensor) -> FlexTensor {
    let [batch, heads, time, d] = dims(x);
    let features = heads * d;
    let mut y = Output::<S>::new(batch * time * features);
    let (View { ptr, strides: [of_batch, of_head, of_time, _] }, to) =
        (View::<S, 4>::new(x), y.ptr());
    for_each_chunk(batch * time, features, |first, rows| {
        for row in first..first + rows {
            let from = ptr.at(row / time * of_batch + row % time * of_time);
            let to = to.at(row * features);
            unsafe { launch(Turn { size: [heads, d], from: (from, of_head), to: (to, heads) }) };
        }
    });
    unsafe { y.finish([batch, time, features]) }
}

/// One transpose.
struct Turn<S> {
    size: [usize; 2],
    from: (*mut S, usize),
    to: (*mut S, usize),
}

impl<S: Storage + Tables> Kernel<S> for Turn<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        unsafe { V::transpose(self.size, (self.from.0.cast_const(), self.from.1), self.to) };
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::FloatDType::{F32, F64};

    use super::*;
    use crate::pointwise::inner_product;
    use crate::testing::{assert_gradients, from_f64, normal, to_f64};

    /// By the definition, element by element.
    fn by_definition(x: &Tensor<3>, heads: usize) -> Tensor<4> {
        let [batch, time, features] = x.dims();
        let (values, d) = (to_f64(x), features / heads);
        let mut y = vec![0.0; values.len()];
        for b in 0..batch {
            for t in 0..time {
                for (i, j) in (0..heads).flat_map(|i| (0..d).map(move |j| (i, j))) {
                    let from = (b * time + t) * features + j * heads + i;
                    y[((b * heads + i) * time + t) * d + j] = values[from];
                }
            }
        }
        from_f64(y, [batch, heads, time, d])
    }

    #[test]
    fn equals_the_definition_with_its_gradient() {
        for (time, heads, d) in [(1, 1, 1), (7, 3, 5), (53, 4, 8), (16, 8, 64), (3, 5, 37)] {
            let x = normal([2, time, heads * d], 1);
            let expected = by_definition(&x, heads);
            for dtype in [F64, F32] {
                let x = x.clone().cast(dtype);
                let expected = expected.clone().cast(dtype);
                // Once as it is, and once as attention returns it.
                let turned = expected.clone().swap_dims(1, 2).mul_scalar(1.0).swap_dims(1, 2);
                for upstream in [expected.clone(), turned] {
                    let tracked = x.clone().autodiff().require_grad();
                    let y = split_in_turn(tracked.clone(), heads);
                    assert_eq!(
                        to_f64(&y.clone().inner()),
                        to_f64(&expected),
                        "{time} × {heads} × {d}"
                    );
                    let grads = inner_product(y, upstream.autodiff()).backward();
                    let found = tracked.grad(&grads).expect("a leaf");
                    assert_eq!(to_f64(&found), to_f64(&x), "{time} × {heads} × {d}");
                }
            }
        }
    }

    #[test]
    fn gradients_match_central_differences() {
        assert_gradients([normal([2, 5, 12], 1)], |[x]| split_in_turn(x, 3), 1e-9);
    }
}
