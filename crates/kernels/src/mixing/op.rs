//! The operation and its gradient.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use std::ops::Range;

use burn::tensor::{Tensor, assert_shape};
use rayon::prelude::*;

use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::layout::transpose;
use crate::cpu::math::Tables;
use crate::cpu::matmul::MatMul;
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::simd::Vector;
use crate::cpu::view::{
    FlexTensor, Output, Storage, View, by_dtype, contiguous, dims, with_contiguous_rows,
};

/// Samples that share one partial sum of `∂α`: fixed, so that the sum does not depend on threads.
const GROUP: usize = 32;

/// Rows of a banded score matrix that are multiplied at once: small, so that little of what lies
/// outside the band is multiplied with them.
const BLOCK: usize = 12;

/// How far a row of a square score matrix looks: `α[r, c] = 0` unless `r − back ≤ c ≤ r + ahead`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Steps into the past.
    pub back: usize,
    /// Steps into the future.
    pub ahead: usize,
}

impl Reach {
    /// The whole window.
    pub const FULL: Self = Self { back: usize::MAX, ahead: usize::MAX };

    /// The reach of `αᵀ`.
    fn transposed(self) -> Self {
        Self { back: self.ahead, ahead: self.back }
    }

    /// Blocks of rows, each with the columns that it can see.
    pub(crate) fn blocks(
        self,
        rows: usize,
        cols: usize,
    ) -> impl Iterator<Item = [Range<usize>; 2]> {
        let sees_all = |span: usize| span >= rows.max(cols);
        let height = if sees_all(self.back) && sees_all(self.ahead) { rows } else { BLOCK };
        (0..rows).step_by(height.max(1)).map(move |first| {
            let end = rows.min(first + height);
            let low = first.saturating_sub(self.back).min(cols);
            [first..end, low..cols.min(end.saturating_add(self.ahead))]
        })
    }
}

/// Mixes values along time with one score matrix per head.
///
/// Strided views (`swap_dims` of `[batch, time, heads, d]`) are read in place, and the result is
/// such a view.
///
/// # Shapes
/// - `alpha`: `[heads, time_q, time_k]`; `v`: `[batch, heads, time_k, d_head]`
/// - returns: `[batch, heads, time_q, d_head]`
///
/// # Panics
/// If the shapes or types disagree.
#[must_use]
pub fn mix(alpha: Tensor<3>, v: Tensor<4>) -> Tensor<4> {
    mix_within(Reach::FULL, alpha, v)
}

/// The same for scores that are zero outside `reach`: what lies outside is skipped, forward and
/// backward, up to blocks of twelve rows, and its gradient is zero.
///
/// # Shapes
/// As [`mix`], with `time_q = time_k` unless the reach is full.
///
/// # Panics
/// As [`mix`].
#[must_use]
pub fn mix_within(reach: Reach, alpha: Tensor<3>, v: Tensor<4>) -> Tensor<4> {
    let [heads, time_q, time_k] = alpha.dims();
    let [batch, _, _, d_head] = v.dims();
    assert_shape!(v, [batch, heads, time_k, d_head]);
    assert!(
        reach == Reach::FULL || time_q == time_k,
        "a limited reach needs a square matrix, not {time_q} x {time_k}"
    );
    if !on_cpu(&v) {
        return composed(alpha, v);
    }
    apply(Mix(reach), [alpha.into_dispatch(), v.into_dispatch()])
}

/// The same out of Burn operations.
///
/// # Shapes
/// As [`mix`].
#[must_use]
pub fn composed(alpha: Tensor<3>, v: Tensor<4>) -> Tensor<4> {
    alpha.unsqueeze_dim::<4>(0).matmul(v)
}

#[derive(Clone, Copy, Debug)]
struct Mix(Reach);

impl FusedOp<2> for Mix {
    type Saved = [FlexTensor; 2];

    fn forward(&self, [alpha, v]: [FlexTensor; 2]) -> (FlexTensor, Self::Saved) {
        let (alpha, v) = (contiguous(alpha), with_contiguous_rows(v));
        let [_, time_q, _] = dims(&alpha);
        (by_dtype!(v, product(&alpha, &v, time_q, self.0, false)), [alpha, v])
    }

    fn backward(
        &self,
        [alpha, v]: Self::Saved,
        grad: FlexTensor,
        wanted: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let grad = with_contiguous_rows(grad);
        let [_, _, time_k] = dims(&alpha);
        let d_alpha = wanted[0].then(|| by_dtype!(v, score_gradient(&v, &grad, self.0)));
        let back = self.0.transposed();
        let d_v = wanted[1].then(|| by_dtype!(v, product(&alpha, &grad, time_k, back, true)));
        [d_alpha, d_v]
    }
}

/// `α v`, or `αᵀ v`, with `rows` rows per head.
fn product<S: Storage + Tables>(
    alpha: &FlexTensor,
    v: &FlexTensor,
    rows: usize,
    reach: Reach,
    transposed: bool,
) -> FlexTensor {
    let [batch, heads, time, d] = dims(v);
    let mut out = Output::<S>::new(batch * rows * heads * d);
    let (alpha, v, out_ptr) = (View::<S, 3>::new(alpha).ptr, View::<S, 4>::new(v), out.ptr());
    let [vb, vh, vt, _] = v.strides;
    let (a_row, a_col) = if transposed { (1, rows) } else { (time, 1) };
    let one = |task: usize| {
        let (b, h) = (task / heads, task % heads);
        for [rows_here, cols] in reach.blocks(rows, time) {
            let (first, low) = (rows_here.start, cols.start);
            let product = MatMul {
                m: rows_here.len(),
                n: d,
                k: cols.len(),
                a: alpha.at(h * rows * time + first * a_row + low * a_col).cast_const(),
                a_row,
                a_col,
                b: v.ptr.at(b * vb + h * vh + low * vt).cast_const(),
                b_row: vt,
                c: out_ptr.at(((b * rows + first) * heads + h) * d),
                c_row: heads * d,
                accumulate: false,
            };
            unsafe { launch(Product(product)) };
        }
    };
    for_each(batch * heads, rows * time * d, one);
    unsafe { out.finish([batch, rows, heads, d]).transpose(1, 2) }
}

/// `∂α = Σ_b g vᵀ`.
fn score_gradient<S: Storage + Tables>(
    v: &FlexTensor,
    grad: &FlexTensor,
    reach: Reach,
) -> FlexTensor {
    let [batch, heads, time_k, d] = dims(v);
    let [_, _, time_q, _] = dims(grad);
    let groups = batch.div_ceil(GROUP);
    let size = time_q * time_k;
    let mut partial = Output::<S>::zeros(groups * heads * size);
    let partial_ptr = partial.ptr();
    let (v, grad) = (View::<S, 4>::new(v), View::<S, 4>::new(grad));
    let one = |task: usize| {
        let (group, head) = (task / heads, task % heads);
        let samples = [group * GROUP, batch.min((group + 1) * GROUP)];
        let to = partial_ptr.at(task * size);
        let sizes = [time_q, time_k, d];
        unsafe { launch(ScoreGradient { v, grad, samples, head, sizes, reach, to }) };
    };
    for_each(groups * heads, GROUP * size * d, one);
    let mut sum = Output::<S>::new(heads * size);
    let to = sum.ptr();
    for i in 0..heads * size {
        let mut total = unsafe { *partial_ptr.at(i) };
        for group in 1..groups {
            total = total.add(unsafe { *partial_ptr.at(group * heads * size + i) });
        }
        unsafe { *to.at(i) = total };
    }
    unsafe { sum.finish([heads, time_q, time_k]) }
}

/// Calls `f` for all tasks, on all threads if it pays.
fn for_each(tasks: usize, work: usize, f: impl Fn(usize) + Sync) {
    if tasks * work < 1 << 16 || tasks < 2 {
        (0..tasks).for_each(&f);
    } else {
        (0..tasks).into_par_iter().with_min_len(1.max((1 << 14) / work.max(1))).for_each(&f);
    }
}

struct Product<S>(MatMul<S>);

impl<S: Tables> Kernel<S> for Product<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        unsafe { V::matmul(self.0) }
    }
}

/// `to += Σ_b g vᵀ` over some samples of one head.
struct ScoreGradient<S> {
    v: View<S, 4>,
    grad: View<S, 4>,
    samples: [usize; 2],
    head: usize,
    /// `time_q`, `time_k`, `d`.
    sizes: [usize; 3],
    reach: Reach,
    to: *mut S,
}

impl<S: Tables> Kernel<S> for ScoreGradient<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let [time_q, time_k, d] = self.sizes;
        let row = time_k.next_multiple_of(V::LANES);
        let mut v_t = vec![S::ZERO; d * row];
        for b in self.samples[0]..self.samples[1] {
            let at = |x: &View<S, 4>| x.ptr.at(b * x.strides[0] + self.head * x.strides[1]);
            unsafe {
                transpose(time_k, d, at(&self.v), self.v.strides[2], v_t.as_mut_ptr(), row);
                for [rows, cols] in self.reach.blocks(time_q, time_k) {
                    V::matmul(MatMul {
                        m: rows.len(),
                        n: cols.len(),
                        k: d,
                        a: at(&self.grad).wrapping_add(rows.start * self.grad.strides[2]),
                        a_row: self.grad.strides[2],
                        a_col: 1,
                        b: v_t.as_ptr().add(cols.start),
                        b_row: row,
                        c: self.to.add(rows.start * time_k + cols.start),
                        c_row: time_k,
                        accumulate: true,
                    });
                }
            }
        }
    }
}
