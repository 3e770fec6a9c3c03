//! The gradient of a weight, `xᵀ dz`: a small result of long sums.
//!
//! Threads share the rows, as many groups as the sizes say and not as there are threads, and the partial sums of
//! the groups are added in order. Where a sum is small its group makes it chunk by chunk, while the chunk is in cache for
//! the sake of `∂x`; else `gemm` packs both factors.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory, and calls of `gemm`")]

use rayon::prelude::*;

use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::Tables;
use crate::cpu::matmul::MatMul;
use crate::cpu::simd::{Scalar, Vector};
use crate::cpu::view::{FlexTensor, Output, Ptr, Storage, View};
use crate::pointwise::{
    Activation, CHUNK, Slope, add_rows, begins_group, column_sums, for_each_chunk_of_groups,
};

/// `to = xᵀ dz`, or `to += xᵀ dz`, of some rows of `x` and `dz`, both without gaps.
pub(super) unsafe fn product<S: Tables>(
    (x, dz): (*const S, *const S),
    rows: usize,
    [d_in, d_out]: [usize; 2],
    to: *mut S,
    accumulate: bool,
) {
    let product = MatMul {
        m: d_in,
        n: d_out,
        k: rows,
        a: x,
        a_row: 1,
        a_col: d_in,
        b: dz,
        b_row: d_out,
        c: to,
        c_row: d_out,
        accumulate,
    };
    unsafe { launch(Product(product)) };
}

struct Product<S>(MatMul<S>);

impl<S: Tables> Kernel<S> for Product<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        unsafe { V::matmul(self.0) }
    }
}

/// Memory for the partial sums of `groups`, each written by the first of its rows.
pub(super) fn partial<S: Scalar>(rows: usize, len: usize) -> Output<S> {
    if rows == 0 { Output::zeros(len) } else { Output::new(len) }
}

/// The sum of partial results, in order.
pub(super) unsafe fn add_partial<S: Storage>(
    mut partial: Output<S>,
    groups: usize,
    [rows, columns]: [usize; 2],
) -> FlexTensor {
    let (to, size) = (partial.ptr(), rows * columns);
    if groups > 1 {
        let add = |row: usize| {
            let at = row * columns;
            unsafe { add_rows(to.at(at), columns, (to.at(size + at), size), groups - 1) };
        };
        if groups * size < SERIAL {
            (0..rows).for_each(add);
        } else {
            (0..rows).into_par_iter().with_min_len(16).for_each(add);
        }
    }
    unsafe { partial.finish_first([rows, columns]) }
}

/// Numbers at most of a weight whose gradient is summed up chunk by chunk.
pub(super) const SMALL: usize = 1 << 16;
/// Chunks at least that share one partial `∂W`, and numbers at most of all partial sums.
const GROUP_CHUNKS: usize = 4;
const PARTIAL: usize = 1 << 19;

/// How many partial sums of `size` numbers, whatever the threads, so that the sum does not depend on them.
pub(super) fn n_groups(rows: usize, size: usize) -> usize {
    let chunks = rows.div_ceil(CHUNK);
    (chunks / GROUP_CHUNKS).min((PARTIAL / size.max(1)).max(LARGE_GROUPS)).clamp(1, MAX_GROUPS)
}

/// At most so many partial sums.
const MAX_GROUPS: usize = 32;

/// Rows that share one partial `∂W` of a large weight, and how many there are at most.
const GROUP_ROWS: usize = 512;
const LARGE_GROUPS: usize = 8;
/// Columns of it that one task computes: with 512 rows they fill half of a large cache.
const GROUP_COLUMNS: usize = 512;
/// Below this many numbers to add, partial sums are added by one thread.
const SERIAL: usize = 1 << 16;

/// `xᵀ dz`, by `gemm`: both factors are long and the result is large, so packing them pays.
pub(super) fn weight_gradient<S: Storage>(
    x: &FlexTensor,
    dz: Ptr<S>,
    [rows, d_in, d_out]: [usize; 3],
) -> FlexTensor {
    let x = View::<S, 3>::new(x).ptr;
    let size = d_in * d_out;
    let blocks = d_out.div_ceil(GROUP_COLUMNS);
    let groups = (rows / GROUP_ROWS).clamp(1, LARGE_GROUPS);
    let rows_each = rows.div_ceil(groups);
    let mut partial = Output::<S>::new(groups * size);
    let to = partial.ptr();
    let product = |task: usize| {
        let (group, column) = (task / blocks, task % blocks * GROUP_COLUMNS);
        let first = group * rows_each;
        let n = rows_each.min(rows - first);
        let [row_in, row_out] = [d_in, d_out].map(usize::cast_signed);
        unsafe {
            gemm::gemm(
                d_in,
                GROUP_COLUMNS.min(d_out - column),
                n,
                to.at(group * size + column),
                1,
                row_out,
                false,
                x.at(first * d_in),
                row_in,
                1,
                dz.at(first * d_out + column),
                1,
                row_out,
                S::ZERO,
                S::ONE,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    };
    let tasks = groups * blocks;
    (0..tasks).into_par_iter().with_max_len(1).for_each(product);
    unsafe { add_partial(partial, groups, [d_in, d_out]) }
}

/// Partial sums over rows of the gradients of a weight and of a bias.
pub(super) struct Sums<S> {
    rows: usize,
    groups: usize,
    size: [usize; 2],
    weight: Ptr<S>,
    bias: Ptr<S>,
}

impl<S: Storage + Tables> Sums<S> {
    /// Calls `chunk(sums, group, first_row, n_rows)` for all rows, and returns the gradients of a weight of `size` and
    /// of its bias, summed up by [`Sums::add`].
    pub(super) fn over(
        rows: usize,
        size: [usize; 2],
        chunk: impl Fn(&Self, usize, usize, usize) + Sync,
    ) -> [FlexTensor; 2] {
        let [d_in, d_out] = size;
        let groups = n_groups(rows, d_in * d_out);
        let mut weight = partial::<S>(rows, groups * d_in * d_out);
        let mut bias = Output::<S>::zeros(rows.div_ceil(CHUNK) * d_out);
        let sums = Self { rows, groups, size, weight: weight.ptr(), bias: bias.ptr() };
        for_each_chunk_of_groups(groups, rows, d_in * d_out, |group, first, rows| {
            chunk(&sums, group, first, rows);
        });
        let bias = column_sums(sums.bias, rows, d_out);
        unsafe { [add_partial(weight, groups, size), bias.finish([d_out])] }
    }

    /// Adds `aᵀ dz` and the column sums of `dz`.
    pub(super) unsafe fn add(
        &self,
        group: usize,
        first: usize,
        rows: usize,
        (a, dz): (*const S, *mut S),
    ) {
        let [d_in, d_out] = self.size;
        unsafe {
            launch(Slope {
                rows,
                d: d_out,
                z: dz,
                grad: dz,
                dz,
                bias_grad: Some(self.bias.at(first / CHUNK * d_out)),
                activation: Activation::Identity,
            });
            let adds = !begins_group(group, self.groups, self.rows, first);
            product((a, dz), rows, self.size, self.weight.at(group * d_in * d_out), adds);
        }
    }
}
