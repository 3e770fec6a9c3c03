//! Axis lengths of one scan, and how the batch is shared out.

use rayon::prelude::*;

/// Rows of the batch scanned together: fixed, so that sums over the batch do not depend on the
/// number of threads. Sixteen divide into whole register tiles and leave the weights in cache.
const CHUNK: usize = 16;

/// Below this many multiply-adds a scan is not worth a second thread.
const SERIAL: usize = 1 << 16;

/// Axis lengths of one scan.
#[derive(Clone, Copy, Debug)]
pub(in crate::recurrent) struct Sizes {
    pub(in crate::recurrent) batch: usize,
    pub(in crate::recurrent) time: usize,
    pub(in crate::recurrent) d_in: usize,
    pub(in crate::recurrent) d_hidden: usize,
    /// Whether the result ends with the last cell.
    pub(in crate::recurrent) with_cell: bool,
}

impl Sizes {
    /// Rows of the result per sequence.
    pub(in crate::recurrent) fn out_time(&self) -> usize {
        self.time + usize::from(self.with_cell)
    }

    /// Numbers of the result per sequence.
    pub(in crate::recurrent) fn out_row(&self) -> usize {
        self.out_time() * self.d_hidden
    }

    /// Distance between rows of gates in scratch memory: rows a power of two apart would share
    /// few lines of the cache.
    pub(in crate::recurrent) fn gate_row(&self) -> usize {
        4 * self.d_hidden + 16
    }

    /// Number of chunks that share the batch.
    pub(in crate::recurrent) fn chunks(&self) -> usize {
        self.batch.div_ceil(CHUNK)
    }

    /// Calls `f(chunk, first_row, n_rows)` for every chunk of the batch, on all threads if it pays.
    pub(in crate::recurrent) fn for_each_chunk(&self, f: impl Fn(usize, usize, usize) + Sync) {
        let chunks = self.chunks();
        let call = |i: usize| f(i, i * CHUNK, CHUNK.min(self.batch - i * CHUNK));
        let work = self.batch * self.time * 4 * self.d_hidden * (self.d_in + self.d_hidden);
        if work < SERIAL || chunks < 2 {
            (0..chunks).for_each(call);
        } else {
            (0..chunks).into_par_iter().with_max_len(1).for_each(call);
        }
    }
}
