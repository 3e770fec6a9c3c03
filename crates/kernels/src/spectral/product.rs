//! The product of every mode with its multipliers, and its gradient.
//!
//! ```text
//! [Re Y]   [Re X  −Im X] [Re W]      ∂W = [the left factor]ᵀ [Re ∂Y]
//! [Im Y] = [Im X   Re X] [Im W]                               [Im ∂Y]
//! ```
//!
//! One product with real numbers per mode, over the whole batch; modes are shared between threads. `∂X` is
//! the same product with `∂Y` and `W*ᵀ`. Only the stacked left factor of [`BLOCK`] fields is made.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use rayon::prelude::*;

use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::Tables;
use crate::cpu::matmul::MatMul;
use crate::cpu::simd::{Scalar, Vector};
use crate::cpu::view::Ptr;

/// Fields whose modes are stacked together: 48 rows, a multiple of the row tiles.
const BLOCK: usize = 24;
/// Modes a thread takes at once, at least: those of a few fields are quick.
const MODES: usize = 4;
/// Below this many multiply-adds a second thread does not pay.
const SERIAL: usize = 1 << 16;

/// Sizes of all products, and which of them there are.
pub(super) struct Modes<'a> {
    /// Rows of multipliers that the grid uses.
    pub(super) used: &'a [usize],
    pub(super) n_columns: usize,
    pub(super) batch: usize,
    pub(super) d_in: usize,
    pub(super) d_out: usize,
}

/// Modes of the gradient of the result, and where those of the input and of the multipliers go.
#[derive(Clone, Copy)]
pub(super) struct Gradients<S> {
    /// `[modes, batch, 2, d_out]`
    pub(super) y: Ptr<S>,
    /// `[modes, batch, 2, d_in]`
    pub(super) x: Option<Ptr<S>>,
    /// `[modes, 2, d_in, d_out]`
    pub(super) weight: Option<Ptr<S>>,
}

impl Modes<'_> {
    /// Calls `f(mode, scratch)` for all modes with memory for `scratch` numbers.
    fn for_each<S: Scalar>(&self, scratch: usize, f: impl Fn(usize, *mut S) + Sync) {
        let n = self.used.len() * self.n_columns;
        let mode = |i: usize| self.used[i / self.n_columns] * self.n_columns + i % self.n_columns;
        let memory = || Vec::<S>::with_capacity(scratch);
        if 4 * n * self.batch * self.d_in * self.d_out < SERIAL {
            let mut memory = memory();
            return (0..n).for_each(|i| f(mode(i), memory.as_mut_ptr()));
        }
        (0..n).into_par_iter().with_min_len(MODES).for_each_init(memory, |memory, i| {
            f(mode(i), memory.as_mut_ptr());
        });
    }

    /// `Y = X W` for all modes: `[modes, batch, 2, d_in]` to `[modes, batch, 2, d_out]`.
    ///
    /// # Safety
    /// The pointers are valid for the sizes.
    pub(super) unsafe fn multiply<S: Tables>(&self, x: Ptr<S>, weight: Ptr<S>, y: Ptr<S>) {
        let Self { batch, d_in, d_out, .. } = *self;
        self.for_each(BLOCK * 4 * d_in, |mode, stack| unsafe {
            launch(Product {
                batch,
                d_in,
                d_out,
                x: x.at(mode * batch * 2 * d_in),
                weight: weight.at(mode * 2 * d_in * d_out),
                y: y.at(mode * batch * 2 * d_out),
                sign: Sign::Plain,
                stack,
            });
        });
    }

    /// The gradients of all modes, where they are wanted; `x` and `weight` are those of the forward pass.
    ///
    /// # Safety
    /// The pointers are valid for the sizes.
    pub(super) unsafe fn differentiate<S: Tables>(
        &self,
        x: Ptr<S>,
        weight: Ptr<S>,
        gradients: Gradients<S>,
    ) {
        let Self { batch, d_in, d_out, .. } = *self;
        let stack_size = BLOCK * 4 * d_in.max(d_out);
        self.for_each(stack_size + 2 * d_in * d_out, |mode, stack| unsafe {
            let grad = gradients.y.at(mode * batch * 2 * d_out);
            if let Some(to) = gradients.weight {
                launch(Correlation {
                    batch,
                    d_in,
                    d_out,
                    x: x.at(mode * batch * 2 * d_in),
                    grad,
                    weight: to.at(mode * 2 * d_in * d_out),
                    stack,
                });
            }
            if let Some(to) = gradients.x {
                let turned = stack.add(stack_size);
                launch(Turn { d_in, d_out, from: weight.at(mode * 2 * d_in * d_out), to: turned });
                launch(Product {
                    batch,
                    d_in: d_out,
                    d_out: d_in,
                    x: grad,
                    weight: turned,
                    y: to.at(mode * batch * 2 * d_in),
                    sign: Sign::Conjugate,
                    stack,
                });
            }
        });
    }
}

/// Whether the multipliers are meant, or their complex conjugates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Plain,
    Conjugate,
}

/// `Y = X W` of one mode.
struct Product<S> {
    batch: usize,
    d_in: usize,
    d_out: usize,
    x: *const S,
    weight: *const S,
    y: *mut S,
    sign: Sign,
    stack: *mut S,
}

impl<S: Tables> Kernel<S> for Product<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { batch, d_in, d_out, .. } = self;
        for first in (0..batch).step_by(BLOCK) {
            let n = BLOCK.min(batch - first);
            unsafe {
                stack::<V>(n, d_in, self.x.add(first * 2 * d_in), self.stack, self.sign);
                V::matmul(MatMul {
                    m: 2 * n,
                    n: d_out,
                    k: 2 * d_in,
                    a: self.stack,
                    a_row: 2 * d_in,
                    a_col: 1,
                    b: self.weight,
                    b_row: d_out,
                    c: self.y.add(first * 2 * d_out),
                    c_row: d_out,
                    accumulate: false,
                });
            }
        }
    }
}

/// `∂W` of one mode.
struct Correlation<S> {
    batch: usize,
    d_in: usize,
    d_out: usize,
    x: *const S,
    grad: *const S,
    weight: *mut S,
    stack: *mut S,
}

impl<S: Tables> Kernel<S> for Correlation<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { batch, d_in, d_out, .. } = self;
        for first in (0..batch).step_by(BLOCK) {
            let n = BLOCK.min(batch - first);
            unsafe {
                stack::<V>(n, d_in, self.x.add(first * 2 * d_in), self.stack, Sign::Plain);
                V::matmul(MatMul {
                    m: 2 * d_in,
                    n: d_out,
                    k: 2 * n,
                    a: self.stack,
                    a_row: 1,
                    a_col: 2 * d_in,
                    b: self.grad.add(first * 2 * d_out),
                    b_row: d_out,
                    c: self.weight,
                    c_row: d_out,
                    accumulate: first > 0,
                });
            }
        }
    }
}

/// Rows `[Re, −Im]` and `[Im, Re]` of each field, or with the sign of `Im` changed.
#[inline(always)]
unsafe fn stack<V: Vector>(
    n: usize,
    d: usize,
    from: *const V::Scalar,
    to: *mut V::Scalar,
    sign: Sign,
) {
    unsafe {
        for field in 0..n {
            let (from, to) = (from.add(field * 2 * d), to.add(field * 4 * d));
            let (re, im) = (from, from.add(d));
            std::ptr::copy_nonoverlapping(re, to, d);
            std::ptr::copy_nonoverlapping(im, to.add(2 * d), d);
            match sign {
                Sign::Plain => {
                    negate::<V>(d, im, to.add(d));
                    std::ptr::copy_nonoverlapping(re, to.add(3 * d), d);
                }
                Sign::Conjugate => {
                    std::ptr::copy_nonoverlapping(im, to.add(d), d);
                    negate::<V>(d, re, to.add(3 * d));
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn negate<V: Vector>(n: usize, from: *const V::Scalar, to: *mut V::Scalar) {
    let mut i = 0;
    unsafe {
        while i + V::LANES <= n {
            V::zero().sub(V::load(from.add(i))).store(to.add(i));
            i += V::LANES;
        }
        while i < n {
            *to.add(i) = V::Scalar::ZERO.sub(*from.add(i));
            i += 1;
        }
    }
}

/// Both parts of the multipliers of one mode, `[d_in, d_out]`, transposed.
struct Turn<S> {
    d_in: usize,
    d_out: usize,
    from: *const S,
    to: *mut S,
}

impl<S: Tables> Kernel<S> for Turn<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let size = self.d_in * self.d_out;
        for part in 0..2 {
            unsafe {
                let (from, to) = (self.from.add(part * size), self.to.add(part * size));
                V::transpose([self.d_in, self.d_out], (from, self.d_out), (to, self.d_in));
            }
        }
    }
}
