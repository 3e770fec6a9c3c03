//! Matrices row by row, in chunks of a fixed size.
#![expect(unsafe_code, reason = "threads write disjoint rows")]

use rayon::prelude::*;

use crate::cpu::simd::Scalar;
use crate::cpu::view::{Output, Ptr};

/// Rows per task: a multiple of the matrix product's row tiles, and fixed, so that sums over rows
/// do not depend on the number of threads.
pub(crate) const CHUNK: usize = 48;

/// Below this many elements a pass is not worth a second thread.
const SERIAL: usize = 1 << 14;

/// Where the work allows, at least so many pieces, so that threads end together.
const PIECES: usize = 64;

/// Calls `f(first_row, n_rows)` for every chunk of rows, on all threads if it pays.
pub(crate) fn for_each_chunk(rows: usize, work_per_row: usize, f: impl Fn(usize, usize) + Sync) {
    let chunks = rows.div_ceil(CHUNK);
    let call = |i: usize| f(i * CHUNK, CHUNK.min(rows - i * CHUNK));
    if rows * work_per_row < SERIAL || chunks < 2 {
        (0..chunks).for_each(call);
    } else {
        // Left to itself rayon cuts into two pieces per thread, and the thread that ends first waits for half of
        // the other's last.
        let piece = (chunks / PIECES).max(SERIAL / (CHUNK * work_per_row)).max(1);
        (0..chunks).into_par_iter().with_max_len(piece).for_each(call);
    }
}

/// Calls `f(group, first_row, n_rows)` for every chunk of rows, the chunks of a group in order, so that it may add up what
/// they give; [`begins_group`] tells the first.
pub(crate) fn for_each_chunk_of_groups(
    groups: usize,
    rows: usize,
    work_per_row: usize,
    f: impl Fn(usize, usize, usize) + Sync,
) {
    let chunks = rows.div_ceil(CHUNK);
    let call = |group: usize| {
        for i in group * chunks / groups..(group + 1) * chunks / groups {
            f(group, i * CHUNK, CHUNK.min(rows - i * CHUNK));
        }
    };
    if rows * work_per_row < SERIAL || groups < 2 {
        (0..groups).for_each(call);
    } else {
        (0..groups).into_par_iter().with_max_len(1).for_each(call);
    }
}

/// Whether a group of [`for_each_chunk_of_groups`] begins with this row.
pub(crate) fn begins_group(group: usize, groups: usize, rows: usize, first_row: usize) -> bool {
    first_row == group * rows.div_ceil(CHUNK) / groups * CHUNK
}

/// Adds `rows` rows of `n` numbers, `step` apart, to the one at `to`, in order.
///
/// # Safety
/// The rows are valid, and `to` is none of them.
pub(crate) unsafe fn add_rows<S: Scalar>(
    to: *mut S,
    n: usize,
    (from, step): (*const S, usize),
    rows: usize,
) {
    let to = unsafe { std::slice::from_raw_parts_mut(to, n) };
    for row in 0..rows {
        let from = unsafe { std::slice::from_raw_parts(from.add(row * step), n) };
        for (to, from) in to.iter_mut().zip(from) {
            *to = to.add(*from);
        }
    }
}

/// Adds the partial sums of all chunks, `[chunks, n]`, in order.
pub(crate) fn column_sums<S: Scalar>(partial: Ptr<S>, rows: usize, n: usize) -> Output<S> {
    let chunks = rows.div_ceil(CHUNK);
    let mut sums = Output::new(n);
    let to = sums.ptr();
    let mut total = vec![0.0f64; n];
    for chunk in 0..chunks {
        for (j, total) in total.iter_mut().enumerate() {
            *total += unsafe { *partial.at(chunk * n + j) }.to_f64();
        }
    }
    for (j, total) in total.iter().enumerate() {
        unsafe { *to.at(j) = S::from_f64(*total) };
    }
    sums
}
