//! Dropout in one pass.
//!
//! ```text
//! y_i = x_i [h_i ≥ p 2³²] / (1 − p)      ∂x_i = ∂y_i [h_i ≥ p 2³²] / (1 − p)
//! ```
//!
//! `h` is a hash of seed and place: nothing is stored, the backward pass computes it again, and the
//! result does not depend on the number of threads.
//!
//! Source: Srivastava et al. 2014, Journal of Machine Learning Research 15:1929–1958, in the form that
//! scales in training; the hash is in `cpu/hash.rs`.
#![expect(unsafe_code, reason = "raw memory, parts written by one thread each")]

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::hash::{Rate, mix64};
use crate::cpu::math::Tables;
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::simd::Vector;
use crate::cpu::view::{FlexTensor, Output, Storage, View, by_dtype, contiguous};

/// Numbers that share a key.
const PART: usize = 1 << 13;

/// Sets each number to zero with probability `rate` and divides the others by `1 − rate`; equal seeds
/// leave out the same places.
///
/// # Panics
/// If `rate` is not from 0 to below 1.
#[must_use]
pub fn dropout<const D: usize>(x: Tensor<D>, rate: f64, seed: u64) -> Tensor<D> {
    let Some(rate) = Rate::new(rate) else { return x };
    if on_cpu(&x) {
        apply(Dropout { rate, seed }, [x.into_dispatch()])
    } else {
        composed(x, rate, seed)
    }
}

/// The same with factors made on the host.
fn composed<const D: usize>(x: Tensor<D>, rate: Rate, seed: u64) -> Tensor<D> {
    let shape = x.dims();
    let n: usize = shape.iter().product();
    let factors = (0..n).map(|i| {
        let stays = rate.keeps(key(seed, i / PART), place(i % PART));
        if stays { rate.scale } else { 0.0 }
    });
    let factors = TensorData::new(factors.collect::<Vec<f64>>(), shape);
    let like = (&x.device().without_autodiff(), x.dtype());
    let factors = Tensor::<D>::from_data(factors, like);
    if x.device().is_autodiff() { x * factors.autodiff() } else { x * factors }
}

/// The key of one part.
fn key(seed: u64, part: usize) -> u32 {
    (mix64(mix64(seed).wrapping_add(part as u64)) >> 32) as u32
}

#[expect(clippy::cast_possible_truncation, reason = "a place is below PART")]
const fn place(i: usize) -> u32 {
    i as u32
}

#[derive(Clone, Copy, Debug)]
struct Dropout {
    rate: Rate,
    seed: u64,
}

impl FusedOp<1> for Dropout {
    type Saved = ();

    fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, ()) {
        (self.run(x), ())
    }

    fn backward(&self, (): (), grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [Some(self.run(grad))]
    }
}

impl Dropout {
    /// Forward and backward pass are one linear map.
    fn run(self, x: FlexTensor) -> FlexTensor {
        let x = contiguous(x);
        by_dtype!(x, run(&x, self))
    }
}

fn run<S: Storage + Tables>(x: &FlexTensor, op: Dropout) -> FlexTensor {
    let shape = x.layout().shape().clone();
    let n = shape.num_elements();
    let mut y = Output::<S>::new(n);
    let (from, to) = (View::<S, 0>::new(x).ptr, y.ptr());
    (0..n.div_ceil(PART)).into_par_iter().for_each(|part| {
        let (first, key) = (part * PART, key(op.seed, part));
        let n = place(PART.min(n - first));
        let (from, to) = (from.at(first).cast_const(), to.at(first));
        unsafe { launch(Part { n, from, to, key, rate: op.rate }) };
    });
    unsafe { y.finish([n]) }.reshape(shape)
}

/// Numbers of one key.
struct Part<S> {
    n: u32,
    from: *const S,
    to: *mut S,
    key: u32,
    rate: Rate,
}

impl<S: Tables> Kernel<S> for Part<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let scale = S::from_f64(self.rate.scale);
        for i in 0..self.n {
            let factor = if self.rate.keeps(self.key, i) { scale } else { S::ZERO };
            unsafe { *self.to.add(i as usize) = (*self.from.add(i as usize)).mul(factor) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

    #[test]
    fn the_fused_form_equals_the_composed_one() {
        let x = normal([3, 59, 101], 1); // two whole parts and some of a third
        let rate = Rate::new(0.3).unwrap();
        for seed in [0, 7] {
            let fused = dropout(x.clone(), 0.3, seed);
            assert_close(&fused, &composed(x.clone(), rate, seed), 1e-15);
        }
        assert_close(&dropout(x.clone(), 0.0, 1), &x, 0.0);
    }

    #[test]
    fn gradients_match_central_differences() {
        assert_gradients([normal([2, 3, 5], 1)], |[x]| dropout(x, 0.4, 3), 1e-8);
    }

    #[test]
    fn every_seed_leaves_out_its_own_share() {
        let n = 20_000;
        let ones = from_f64(vec![1.0; n], [n]);
        let left_out = |seed| -> Vec<bool> {
            to_f64(&dropout(ones.clone(), 0.2, seed)).iter().map(|&y| y == 0.0).collect()
        };
        let (a, b) = (left_out(1), left_out(2));
        let share = |picked: &dyn Fn(usize) -> bool| {
            (0..n).filter(|&i| picked(i)).count() as f64 / n as f64
        };
        // Four standard errors: 4 √(0.2 · 0.8 / n) = 0.011, 4 √(0.04 · 0.96 / n) = 0.0056.
        assert!((share(&|i| a[i]) - 0.2).abs() < 0.011);
        assert!((share(&|i| a[i] && b[i]) - 0.04).abs() < 0.0056);
        // The second part repeats nothing of the first.
        assert!((share(&|i| a[i] && a[(i + PART) % n]) - 0.04).abs() < 0.0056);
    }
}
