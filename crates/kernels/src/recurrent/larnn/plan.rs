//! Axis lengths of a scan, its weights as the kernels want them, and where its numbers lie.
#![expect(unsafe_code, reason = "threads write disjoint chunks of the batch")]

use std::ops::Range;

use super::dropout::{Place, key};
use super::lanes::ROWS;
use crate::cpu::hash::Rate;
use crate::cpu::math::Tables;
use crate::cpu::simd::Scalar;
use crate::cpu::view::Ptr;

/// Axis lengths of one scan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) time: usize,
    pub(super) d_in: usize,
    /// Width of the hidden state.
    pub(super) d: usize,
    pub(super) n_heads: usize,
    pub(super) window: usize,
    pub(super) n_position: usize,
    /// Cells before the first step.
    pub(super) n_start: usize,
}

impl Sizes {
    pub(super) fn chunks(&self) -> usize {
        self.batch.div_ceil(ROWS)
    }

    /// Rows of the batch in a chunk.
    pub(super) fn rows(&self, chunk: usize) -> usize {
        ROWS.min(self.batch - chunk * ROWS)
    }

    /// Cells that a step attends to.
    pub(super) fn n_cells(&self, t: usize) -> usize {
        (self.n_start + t).min(self.window)
    }

    /// All cells of a sequence: slot `n_start + t` is that of step `t`.
    pub(super) fn slots(&self) -> usize {
        self.n_start + self.time
    }

    /// Cells that the result ends with.
    pub(super) fn n_out(&self) -> usize {
        self.time.min(self.window)
    }

    /// Rows of the result per sequence: results, last cells, last hidden state.
    pub(super) fn out_rows(&self) -> usize {
        self.time + self.n_out() + 1
    }

    /// Ones for the lanes that hold a row of the batch, else zeros.
    pub(super) fn mask<S: Scalar>(&self, chunk: usize) -> [S; ROWS] {
        let mut mask = [S::ZERO; ROWS];
        mask[..self.rows(chunk)].fill(S::ONE);
        mask
    }
}

/// Weights where the caller has them, and the transposes that the forward pass reads.
#[expect(clippy::struct_excessive_bools, reason = "each says what a scan has, in any combination")]
pub(super) struct Plan<S> {
    /// Rows `x`, hidden, attention; columns `g f i o`.
    pub(super) gates: Ptr<S>,
    /// Rows `x`, hidden.
    pub(super) query: Ptr<S>,
    /// Rows cell, position; columns keys, values.
    pub(super) key_value: Ptr<S>,
    pub(super) output: Ptr<S>,
    /// `[5 d, d_in + d]`: gates, then query, of `x` and hidden.
    pub(super) seen_t: Vec<S>,
    /// `[4 d, d]`
    pub(super) attention_t: Vec<S>,
    /// `[d, d]`
    pub(super) output_t: Vec<S>,
    /// `[2 d, d]`
    pub(super) key_value_t: Vec<S>,
    pub(super) gates_bias: Vec<S>,
    pub(super) query_bias: Vec<S>,
    pub(super) output_bias: Vec<S>,
    pub(super) key_value_bias: Vec<S>,
    /// What positions add to keys and values, with their bias, oldest first: `[window, 2 d]`.
    pub(super) ages: Option<Vec<S>>,
    /// Neither ELU nor norm for keys and values.
    pub(super) linear: bool,
    /// By site; where nothing is normalised, the identity.
    pub(super) norms: [NormWeights<S>; 5],
    /// Whether statistics are those of the batch.
    pub(super) coupled: bool,
    /// Whether keys and values are normalised.
    pub(super) normalises_keys: bool,
    pub(super) attention_mask: Option<Source<S>>,
    pub(super) output_mask: Option<Source<S>>,
    /// Whether the next step sees the masked result.
    pub(super) carried: bool,
}

impl<S> Plan<S> {
    /// Whether keys and values are normalised by moments that follow from those of the slots.
    pub(super) fn by_slot(&self) -> bool {
        self.coupled && self.normalises_keys && self.ages.is_none()
    }

    /// Whether their moments have to be taken anew at each step.
    pub(super) fn by_age(&self) -> bool {
        self.coupled && self.normalises_keys && self.ages.is_some()
    }
}

/// One norm: `(x − mean) · inverse · gamma + beta`.
#[derive(Clone, Debug)]
pub(super) struct NormWeights<S> {
    pub(super) gamma: Vec<S>,
    pub(super) beta: Vec<S>,
    /// Replaced at every step where statistics are those of the batch.
    pub(super) mean: Vec<S>,
    pub(super) inverse: Vec<S>,
}

impl<S: Scalar> NormWeights<S> {
    pub(super) fn identity(d: usize) -> Self {
        let (zeros, ones) = (vec![S::ZERO; d], vec![S::ONE; d]);
        Self { gamma: ones.clone(), beta: zeros.clone(), mean: zeros, inverse: ones }
    }
}

/// Columns `from` of a row-major matrix as rows, `[n, k]`; rows of the matrix are `step` apart.
pub(super) unsafe fn transposed<S: Scalar>(
    from: Ptr<S>,
    step: usize,
    [n, k]: [usize; 2],
    to: &mut [S],
    to_row: usize,
) {
    for i in 0..n {
        for j in 0..k {
            to[i * to_row + j] = unsafe { *from.at(j * step + i) };
        }
    }
}

/// Where dropout factors come from.
#[derive(Clone, Copy)]
pub(super) enum Source<S> {
    Hashed {
        seed: u64,
        place: Place,
        rate: Rate,
    },
    /// `[batch, time, size]`
    Given {
        factors: Ptr<S>,
        size: usize,
    },
}

impl<S: Tables> Source<S> {
    /// Factors of the rows of a chunk at step `t`, one block for each of the indices.
    #[inline(always)]
    pub(super) unsafe fn fill(
        &self,
        sizes: &Sizes,
        chunk: usize,
        t: usize,
        indices: Range<usize>,
        to: *mut S,
    ) {
        let first = chunk * ROWS;
        match *self {
            Self::Hashed { seed, place, rate } => {
                // Loops, and not `array::map`: see `cpu::simd::splat_each`.
                let mut keys = [0; ROWS];
                for (l, to) in keys.iter_mut().enumerate() {
                    *to = key(seed, place, t, first + l);
                }
                let scale = S::from_f64(rate.scale);
                for (i, index) in indices.enumerate() {
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "places of one row are few"
                    )]
                    let index = index as u32;
                    let to = to.wrapping_add(i * ROWS);
                    for (l, &key) in keys.iter().enumerate() {
                        let factor = if rate.keeps(key, index) { scale } else { S::ZERO };
                        unsafe { *to.add(l) = factor };
                    }
                }
            }
            Self::Given { factors, size } => {
                for (i, index) in indices.enumerate() {
                    for l in 0..ROWS {
                        let row = (first + l).min(sizes.batch - 1);
                        let from = factors.at((row * sizes.time + t) * size + index);
                        unsafe { *to.add(i * ROWS + l) = *from };
                    }
                }
            }
        }
    }
}

/// Blocks `[n, ROWS]` by chunk and step; one block for all steps where they are not kept.
#[derive(Clone, Copy)]
pub(super) struct Blocks<S> {
    first: Ptr<S>,
    chunk: usize,
    step: usize,
}

impl<S> Blocks<S> {
    #[inline(always)]
    pub(super) fn at(&self, chunk: usize, step: usize) -> *mut S {
        self.first.0.wrapping_add(chunk * self.chunk + step * self.step)
    }
}

/// Everything that a scan keeps, uninitialised until it is computed.
pub(super) struct Memory<S> {
    owned: Vec<Vec<S>>,
    /// Chunk whose numbers come first.
    first_chunk: usize,
    /// `[5 d]` by step: gates `g f i o` after their activation, then the query.
    pub(super) gates: Blocks<S>,
    /// `[d]` by step: what the heads read, before `γ` and `β`.
    pub(super) read: Blocks<S>,
    /// `[d]` by step: attention before its norm.
    pub(super) attention: Blocks<S>,
    /// `[heads, window]` by step: attention weights, before dropout.
    pub(super) weights: Blocks<S>,
    /// `[d]` by step, from the state before the first.
    pub(super) hidden: Blocks<S>,
    /// `[d]` by slot.
    pub(super) cells: Blocks<S>,
    /// `[2 d]` by slot: keys and values before their norm; with positions, before age and ELU.
    pub(super) key_value: Blocks<S>,
    /// `[window, 2 d]`, one per chunk, with positions only: keys and values at their age.
    pub(super) aged: Blocks<S>,
    /// Slots in memory at a time.
    pub(super) capacity: usize,
}

impl<S: Scalar> Memory<S> {
    /// For the chunks given; all steps if `keep`, else what a step needs.
    pub(super) fn new(sizes: &Sizes, chunks: Range<usize>, keep: bool) -> Self {
        let Sizes { time, d, n_heads, window, .. } = *sizes;
        let n_chunks = chunks.len();
        let mut owned = Vec::new();
        let mut blocks = |n: usize, steps: usize, moves: bool| {
            let (step, chunk) = (if moves { n * ROWS } else { 0 }, steps * n * ROWS);
            owned.push(Vec::with_capacity(n_chunks * chunk));
            let first = owned.last_mut().map(|m: &mut Vec<S>| Ptr(m.as_mut_ptr()));
            Blocks { first: first.expect("pushed above"), chunk, step }
        };
        let steps = if keep { time } else { 1 };
        let capacity = if keep { sizes.slots() } else { sizes.slots().min(2 * window + 1) };
        let gates = blocks(5 * d, steps, keep);
        let read = blocks(d, steps, keep);
        let attention = blocks(d, steps, keep);
        let weights = blocks(n_heads * window, steps, keep);
        let hidden = blocks(d, if keep { time + 1 } else { 1 }, keep);
        let cells = blocks(d, capacity, true);
        let key_value = blocks(2 * d, capacity, true);
        let aged = blocks(2 * d, if sizes.n_position > 0 { window } else { 0 }, true);
        let first_chunk = chunks.start;
        Self {
            owned,
            first_chunk,
            gates,
            read,
            attention,
            weights,
            hidden,
            cells,
            key_value,
            aged,
            capacity,
        }
    }

    /// A further set of blocks for the same chunks.
    pub(super) fn more(sizes: &Sizes, n: usize, steps: usize, to: &mut Vec<Vec<S>>) -> Blocks<S> {
        let chunk = steps * n * ROWS;
        to.push(Vec::with_capacity(sizes.chunks() * chunk));
        let first = to.last_mut().map(|m| Ptr(m.as_mut_ptr())).expect("pushed above");
        Blocks { first, chunk, step: n * ROWS }
    }

    /// Number of a chunk in this memory.
    #[inline(always)]
    pub(super) fn place(&self, chunk: usize) -> usize {
        chunk - self.first_chunk
    }
}

impl<S> std::fmt::Debug for Memory<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Memory of {} blocks", self.owned.len())
    }
}
