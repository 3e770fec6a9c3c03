//! Forward through all steps, chunk by chunk of the batch.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use super::op::Inputs;
use super::sizes::Sizes;
use crate::affine::Packed;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::{Tables, sigmoid, tanh};
use crate::cpu::simd::Vector;
use crate::cpu::view::{FlexTensor, Output, Ptr, Storage, View};
use crate::pointwise::{load, store};

/// Up to so many sequences the weights are read once per step, wherever they stand.
const FEW_ROWS: usize = 2;

/// The result, and gates and cells of every step if `keep`.
pub(super) fn forward<S: Storage + Tables>(
    sizes: Sizes,
    inputs: &Inputs,
    bias: &FlexTensor,
    keep: bool,
) -> (FlexTensor, Option<[FlexTensor; 2]>) {
    let Sizes { batch, time, d_in, d_hidden, .. } = sizes;
    let n_gates = 4 * d_hidden;
    let w_x = &S::storage(&inputs.weight_input)[..d_in * n_gates];
    let w_h = &S::storage(&inputs.weight_hidden)[..d_hidden * n_gates];
    let mut stacked = [w_x, w_h].concat();
    let stacked_ptr = Ptr(stacked.as_mut_ptr());
    let k = d_in + d_hidden;
    let weight = if batch <= FEW_ROWS {
        Packed::in_place(stacked_ptr, k, n_gates)
    } else {
        unsafe { Packed::new(stacked_ptr, k, n_gates, n_gates, 1) }
    };
    let mut out = Output::<S>::new(batch * sizes.out_row());
    let mut gates = Output::<S>::new(if keep { batch * time * n_gates } else { 0 });
    let mut cells = Output::<S>::new(if keep { batch * time * d_hidden } else { 0 });
    let (x, bias) = (View::<S, 3>::new(&inputs.x).ptr, View::<S, 1>::new(bias).ptr);
    let start = inputs.start.as_ref().map(|s| s.each_ref().map(|x| View::<S, 2>::new(x).ptr));
    let (out_ptr, kept) = (out.ptr(), Kept { gates: gates.ptr(), cells: cells.ptr() });
    sizes.for_each_chunk(|_, first, rows| unsafe {
        launch(Forward {
            rows,
            sizes,
            x: x.at(first * time * d_in),
            weight: &weight,
            bias: bias.at(0),
            start: start.map(|s| s.map(|s| s.at(first * d_hidden).cast_const())),
            out: out_ptr.at(first * sizes.out_row()),
            kept: keep.then(|| kept.from(first * time, d_hidden)),
        });
    });
    unsafe {
        let kept = keep
            .then(|| [gates.finish([batch, time, n_gates]), cells.finish([batch, time, d_hidden])]);
        (out.finish([batch, sizes.out_time(), d_hidden]), kept)
    }
}

/// Rows of the batch scanned together; all pointers are at the first of them.
struct Forward<'a, S> {
    rows: usize,
    sizes: Sizes,
    /// `[batch, time, d_in]`
    x: *const S,
    /// `[W_x; W_h]`
    weight: &'a Packed<S>,
    bias: *const S,
    /// Hidden state and cell before the first step, `[batch, d_hidden]`; zero where absent.
    start: Option<[*const S; 2]>,
    /// Hidden states, and the last cell where asked for: [`Sizes::out_row`] numbers per row.
    out: *mut S,
    kept: Option<Kept<S>>,
}

/// Where the backward pass finds every step.
#[derive(Clone, Copy)]
pub(super) struct Kept<S> {
    /// `[batch, time, 4 d_hidden]`, after σ and tanh.
    pub(super) gates: Ptr<S>,
    /// `[batch, time, d_hidden]`
    pub(super) cells: Ptr<S>,
}

impl<S: Copy> Kept<S> {
    /// From another step on; the steps of all rows are numbered through.
    pub(super) fn from(self, step: usize, d_hidden: usize) -> Self {
        Self {
            gates: Ptr(self.gates.at(step * 4 * d_hidden)),
            cells: Ptr(self.cells.at(step * d_hidden)),
        }
    }
}

impl<S: Tables> Kernel<S> for Forward<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { rows, sizes, x, weight, start, out, .. } = self;
        let Sizes { time, d_in, d_hidden, .. } = sizes;
        let (a_row, z_row) = (d_in + d_hidden, sizes.gate_row());
        // Rows [x_t h_{t-1}], their products, and cells.
        let mut a = vec![S::ZERO; rows * a_row];
        let mut z = vec![S::ZERO; rows * z_row];
        let mut cells = vec![S::ZERO; rows * d_hidden];
        let copy = |from: *const S, to: &mut [S]| unsafe {
            std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len());
        };
        if let Some([hidden, cell]) = start {
            copy(cell, &mut cells);
            for (r, a) in a.chunks_exact_mut(a_row).enumerate() {
                copy(hidden.wrapping_add(r * d_hidden), &mut a[d_in..]);
            }
        }
        for t in 0..time {
            for (r, a) in a.chunks_exact_mut(a_row).enumerate() {
                copy(x.wrapping_add((r * time + t) * d_in), &mut a[..d_in]);
            }
            unsafe {
                weight.multiply::<V>(rows, (a.as_ptr(), a_row), (z.as_mut_ptr(), z_row));
                for r in 0..rows {
                    self.step::<V>(
                        z.as_ptr().add(r * z_row),
                        cells.as_mut_ptr().add(r * d_hidden),
                        a.as_mut_ptr().add(r * a_row + d_in),
                        r * time + t,
                    );
                    let to = out.add(r * sizes.out_row() + t * d_hidden);
                    std::ptr::copy_nonoverlapping(a.as_ptr().add(r * a_row + d_in), to, d_hidden);
                }
            }
        }
        if sizes.with_cell {
            for (r, cell) in cells.chunks_exact(d_hidden).enumerate() {
                let to = out.wrapping_add(r * sizes.out_row() + time * d_hidden);
                unsafe { std::ptr::copy_nonoverlapping(cell.as_ptr(), to, d_hidden) };
            }
        }
    }
}

impl<S: Tables> Forward<'_, S> {
    /// Gates, cell and hidden state of one row at one step, which `place` numbers.
    #[inline(always)]
    unsafe fn step<V: Vector<Scalar = S>>(
        &self,
        z: *const S,
        cell: *mut S,
        hidden: *mut S,
        place: usize,
    ) {
        let d = self.sizes.d_hidden;
        let mut j = 0;
        while j < d {
            let n = V::LANES.min(d - j);
            unsafe {
                let i = sigmoid(self.gate::<V>(z, j, n));
                let f = sigmoid(self.gate::<V>(z, d + j, n));
                let o = sigmoid(self.gate::<V>(z, 2 * d + j, n));
                let g = tanh(self.gate::<V>(z, 3 * d + j, n));
                let c = f.mul_add(load::<V>(cell.add(j), n), i.mul(g));
                store(c, cell.add(j), n);
                store(o.mul(tanh(c)), hidden.add(j), n);
                if let Some(kept) = self.kept {
                    store(c, kept.cells.at(place * d + j), n);
                    let gates = kept.gates.at(4 * place * d + j);
                    store(i, gates, n);
                    store(f, gates.add(d), n);
                    store(o, gates.add(2 * d), n);
                    store(g, gates.add(3 * d), n);
                }
            }
            j += n;
        }
    }

    /// What goes into a gate: `n` products from column `j`, and their bias.
    #[inline(always)]
    unsafe fn gate<V: Vector<Scalar = S>>(&self, z: *const S, j: usize, n: usize) -> V {
        unsafe { load::<V>(z.add(j), n).add(load::<V>(self.bias.add(j), n)) }
    }
}
