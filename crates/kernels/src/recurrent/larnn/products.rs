//! Gradients of input and weights, once the scan has come back to its start.
//!
//! Each is a sum over rows and steps of what went into a map times what came back from it. A few
//! steps at a time are laid out so that each map takes one long product; the chunks are shared by
//! groups whose number depends on the batch alone, and the sums of the groups are added in order.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use std::ops::Range;

use rayon::prelude::*;

use super::backward::Grads;
use super::lanes::{ROWS, product};
use super::plan::{Memory, Plan, Sizes};
use super::setting::position_table;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::layout::transpose;
use crate::cpu::math::Tables;
use crate::cpu::matmul::MatMul;
use crate::cpu::simd::{Scalar, Vector};
use crate::cpu::view::Ptr;

/// Steps whose products are taken together: enough for a long sum, few enough for the cache.
const STEPS: usize = 4;
/// Most groups of chunks.
const GROUPS: usize = 8;

/// Gradients of the weights, row-major as the weights are.
pub(super) struct WeightGrads<S> {
    pub(super) gates: Vec<S>,
    pub(super) gates_bias: Vec<S>,
    pub(super) query: Vec<S>,
    pub(super) query_bias: Vec<S>,
    pub(super) key_value: Vec<S>,
    pub(super) key_value_bias: Vec<S>,
    pub(super) output: Vec<S>,
    pub(super) output_bias: Vec<S>,
}

/// Columns of what went into the maps: `read 1 x hidden attention cell 1`.
#[derive(Clone, Copy)]
struct Columns {
    d: usize,
    d_in: usize,
}

impl Columns {
    fn one(self) -> usize {
        self.d
    }
    fn x(self) -> usize {
        self.d + 1
    }
    fn hidden(self) -> usize {
        self.x() + self.d_in
    }
    fn attention(self) -> usize {
        self.hidden() + self.d
    }
    fn cell(self) -> usize {
        self.attention() + self.d
    }
    fn last_one(self) -> usize {
        self.cell() + self.d
    }
    fn width(self) -> usize {
        self.last_one() + 1
    }
    /// Sizes of the transposed gradients: gates, query, output, keys and values.
    fn parts(self) -> [[usize; 2]; 4] {
        let Self { d, d_in } = self;
        [[4 * d, 1 + d_in + 2 * d], [d, 1 + d_in + d], [d, d + 1], [2 * d, d + 1]]
    }
}

/// Gradients of all weights, and of `x` where it is wanted.
pub(super) fn gradients<S: Tables>(
    sizes: &Sizes,
    plan: &Plan<S>,
    memory: &Memory<S>,
    grads: &Grads<S>,
    x: Ptr<S>,
    dx: Option<Ptr<S>>,
) -> WeightGrads<S> {
    let columns = Columns { d: sizes.d, d_in: sizes.d_in };
    let size: usize = columns.parts().iter().map(|[m, n]| m * n).sum();
    let chunks = sizes.chunks();
    let groups = chunks.min(GROUPS);
    let mut partial = vec![S::ZERO; groups * size];
    let to = Ptr(partial.as_mut_ptr());
    let run = |group: usize| unsafe {
        let chunks = group * chunks / groups..(group + 1) * chunks / groups;
        let to = to.at(group * size);
        launch(Products { sizes: *sizes, plan, memory, grads, columns, chunks, x, dx, to });
    };
    if groups == 1 {
        run(0);
    } else {
        (0..groups).into_par_iter().with_max_len(1).for_each(run);
    }
    let mut sums = vec![0.0; size];
    for part in partial.chunks_exact(size) {
        for (sum, x) in sums.iter_mut().zip(part) {
            *sum += x.to_f64();
        }
    }
    split(sizes, columns, &sums, &ages(sizes, plan, grads))
}

/// Sums over the batch of the gradient of keys and values at each age, `[window, 2 d]`.
fn ages<S: Scalar>(sizes: &Sizes, plan: &Plan<S>, grads: &Grads<S>) -> Vec<f64> {
    let n = if plan.ages.is_some() { sizes.window * 2 * sizes.d } else { 0 };
    let mut sums = vec![0.0; n];
    for chunk in 0..sizes.chunks() {
        for (i, sum) in sums.iter_mut().enumerate() {
            let from = grads.ages.at(chunk, 0).wrapping_add(i * ROWS);
            *sum += (0..ROWS).map(|l| unsafe { *from.add(l) }.to_f64()).sum::<f64>();
        }
    }
    sums
}

/// The sums in the layout of the weights.
fn split<S: Scalar>(sizes: &Sizes, columns: Columns, sums: &[f64], ages: &[f64]) -> WeightGrads<S> {
    let Sizes { d, d_in, n_position, window, .. } = *sizes;
    let mut rest = sums;
    let parts = columns.parts().map(|[m, n]| {
        let (part, after) = rest.split_at(m * n);
        rest = after;
        (part, n)
    });
    // Columns `first..first + n` of a transposed gradient, as rows.
    let rows = |(part, width): (&[f64], usize), first: usize, n: usize| -> Vec<S> {
        let columns = first..first + n;
        columns.flat_map(|c| part.iter().skip(c).step_by(width).map(|x| S::from_f64(*x))).collect()
    };
    let [gates, query, output, key_value] = parts;
    let mut d_key_value = rows(key_value, 0, d);
    let table = position_table(window);
    for i in 0..n_position {
        d_key_value.extend((0..2 * d).map(|f| {
            let at = |age: usize| table[age * n_position + i] * ages[age * 2 * d + f];
            S::from_f64((0..window).map(at).sum())
        }));
    }
    WeightGrads {
        gates: rows(gates, 1, d_in + 2 * d),
        gates_bias: rows(gates, 0, 1),
        query: rows(query, 1, d_in + d),
        query_bias: rows(query, 0, 1),
        key_value: d_key_value,
        key_value_bias: rows(key_value, d, 1),
        output: rows(output, 0, d),
        output_bias: rows(output, d, 1),
    }
}

/// The products of some chunks.
struct Products<'a, S> {
    sizes: Sizes,
    plan: &'a Plan<S>,
    memory: &'a Memory<S>,
    grads: &'a Grads<S>,
    columns: Columns,
    chunks: Range<usize>,
    x: Ptr<S>,
    dx: Option<Ptr<S>>,
    /// Zeros, to which the transposed gradients are added.
    to: *mut S,
}

impl<S: Tables> Kernel<S> for Products<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { columns, .. } = self;
        let Sizes { time, d, d_in, n_start, .. } = self.sizes;
        let (width, k) = (columns.width(), STEPS * ROWS);
        // What went in, a row per step and lane; what came back, a row per feature.
        let mut inputs = vec![S::ZERO; k * width];
        for row in inputs.chunks_exact_mut(width) {
            row[columns.one()] = S::ONE;
            row[columns.last_one()] = S::ONE;
        }
        let mut back = vec![S::ZERO; 8 * d * k];
        let mut dx = vec![S::ZERO; d_in * ROWS];
        for chunk in self.chunks.clone() {
            for first in (0..time).step_by(STEPS) {
                let steps = STEPS.min(time - first);
                for s in 0..steps {
                    unsafe {
                        self.inputs(chunk, first + s, &mut inputs[s * ROWS * width..]);
                        self.back(chunk, first + s, s, &mut back);
                        if let Some(to) = self.dx {
                            self.input_grad::<V>(chunk, first + s, &mut dx, to);
                        }
                    }
                }
                let mut c = self.to;
                let froms = [columns.one(), columns.one(), 0, columns.cell()];
                let firsts = [0, 4 * d, 5 * d, 6 * d];
                for ([m, n], (from, feature)) in
                    columns.parts().into_iter().zip(froms.into_iter().zip(firsts))
                {
                    unsafe {
                        let a = back.as_ptr().add(feature * k);
                        let b = inputs.as_ptr().add(from);
                        accumulate::<V>([m, n, steps * ROWS], (a, k), (b, width), c);
                        c = c.add(m * n);
                    }
                }
            }
            let [_, _, _, [m, n]] = columns.parts();
            let last: usize = columns.parts()[..3].iter().map(|[m, n]| m * n).sum();
            for slot in 0..n_start {
                unsafe {
                    let cell = self.memory.cells.at(chunk, slot);
                    let to = inputs.as_mut_ptr().add(columns.cell());
                    transpose(d, ROWS, cell, ROWS, to, width);
                    let a = self.grads.key_value.at(chunk, slot).cast_const();
                    accumulate::<V>([m, n, ROWS], (a, ROWS), (to, width), self.to.add(last));
                }
            }
        }
    }
}

impl<S: Tables> Products<'_, S> {
    /// What went into the maps of a step, one row per lane.
    #[inline(always)]
    unsafe fn inputs(&self, chunk: usize, t: usize, to: &mut [S]) {
        let Sizes { time, d, d_in, n_start, .. } = self.sizes;
        let (columns, memory, rows) = (self.columns, self.memory, self.sizes.rows(chunk));
        let width = columns.width();
        for (lane, to) in to.chunks_exact_mut(width).take(ROWS).enumerate() {
            let to = &mut to[columns.x()..columns.hidden()];
            if lane < rows {
                let from = self.x.at(((chunk * ROWS + lane) * time + t) * d_in);
                unsafe { to.as_mut_ptr().copy_from_nonoverlapping(from, d_in) };
            } else {
                to.fill(S::ZERO);
            }
        }
        for (from, column) in [
            (memory.read.at(chunk, t), 0),
            (memory.hidden.at(chunk, t), columns.hidden()),
            (memory.attention.at(chunk, t), columns.attention()),
            (memory.cells.at(chunk, n_start + t), columns.cell()),
        ] {
            let to = to[column..].as_mut_ptr();
            unsafe { transpose(d, ROWS, from, ROWS, to, width) };
        }
    }

    /// What came back: gates and query, output map, keys and values.
    #[inline(always)]
    unsafe fn back(&self, chunk: usize, t: usize, s: usize, to: &mut [S]) {
        let (d, slot) = (self.sizes.d, self.sizes.n_start + t);
        for (from, first, n) in [
            (self.memory.gates.at(chunk, t), 0, 5 * d),
            (self.grads.output.at(chunk, t), 5 * d, d),
            (self.grads.key_value.at(chunk, slot), 6 * d, 2 * d),
        ] {
            for f in 0..n {
                let to = to[((first + f) * STEPS + s) * ROWS..][..ROWS].as_mut_ptr();
                unsafe { to.copy_from_nonoverlapping(from.add(f * ROWS), ROWS) };
            }
        }
    }

    /// The gradient of `x` at a step.
    #[inline(always)]
    unsafe fn input_grad<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        dx: &mut [S],
        to: Ptr<S>,
    ) {
        let Sizes { time, d, d_in, .. } = self.sizes;
        let z = self.memory.gates.at(chunk, t);
        let (gates, query) = (self.plan.gates.at(0), self.plan.query.at(0));
        unsafe {
            product::<V>([d_in, 4 * d], (gates, 4 * d), z, dx.as_mut_ptr(), false);
            product::<V>([d_in, d], (query, d), z.add(4 * d * ROWS), dx.as_mut_ptr(), true);
            let to = to.at((chunk * ROWS * time + t) * d_in);
            transpose(d_in, self.sizes.rows(chunk), dx.as_ptr(), ROWS, to, time * d_in);
        }
    }
}

/// `C += A B`, where rows of `A` and of `B` lie `a_row` and `b_row` apart.
#[inline(always)]
unsafe fn accumulate<V: Vector>(
    [m, n, k]: [usize; 3],
    (a, a_row): (*const V::Scalar, usize),
    (b, b_row): (*const V::Scalar, usize),
    c: *mut V::Scalar,
) {
    let (a_col, c_row, accumulate) = (1, n, true);
    unsafe { V::matmul(MatMul { m, n, k, a, a_row, a_col, b, b_row, c, c_row, accumulate }) };
}
