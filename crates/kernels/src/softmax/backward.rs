//! Fused backward pass: weights are rebuilt from the saved log-sum-exp, tile by tile.
//!
//! With `G = ∂L/∂O`, `P = exp(scale·Q Kᵀ + w − lse)` and `D = rowsum(G ∘ O)`:
//!
//! ```text
//! dP = G Vᵀ      dS = P ∘ (dP − D)
//! ∂V = Pᵀ G      ∂K = scale·dSᵀ Q      ∂Q = scale·dS K      ∂w = colsum dS
//! ```
//!
//! Source: Dao et al. 2022, arXiv:2205.14135, appendix B.2; Dao 2023, algorithm 2. Differs: the
//! additive log-weight `w` per key and its gradient; scores in units of `ln 2`. Cost: `10 time_q time_k d_head` flops; memory
//! beside the gradients: a fixed number of partial `∂Q`, and tiles per thread.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use std::f64::consts::LOG2_E;

use rayon::prelude::*;

use super::Problem;
use super::forward::Inputs;
use super::row::{block_unseen, scale_row, within};
use super::scratch::{KEYS, PADDING, QUERIES, Scratch, is_narrow, store_sums};
use crate::cpu::aligned::Aligned;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::layout::{copy_rows, pair_rows};
use crate::cpu::math::Tables;
use crate::cpu::matmul::{MatMul, fit_pairs};
use crate::cpu::simd::Vector;
use crate::cpu::view::{Output, Ptr, Storage, View};
use crate::cpu::weight::weight;
use crate::pointwise::{add_rows, load};

/// Work is cut into at least this many tasks where the shape allows; a constant, so that the
/// order of summation does not depend on the number of threads.
const TASKS: usize = 32;

/// What the forward pass left behind.
pub(super) struct Saved<S> {
    pub(super) o: View<S, 4>,
    /// `[batch, heads, time_q]`, contiguous.
    pub(super) lse: Ptr<S>,
    pub(super) grad: View<S, 4>,
}

/// Where the gradient of some heads goes: from the first of them on in rows of the whole tensor.
pub(super) struct Rows<S> {
    pub(super) first: Ptr<S>,
    /// Distance between steps of time; sequences follow each other.
    pub(super) row: usize,
    pub(super) d: usize,
}

impl<S> Clone for Rows<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Rows<S> {}

impl<S> Rows<S> {
    /// Row `step` of all sequences, of this head.
    #[inline(always)]
    pub(super) fn at(&self, step: usize, head: usize) -> *mut S {
        self.first.at(step * self.row + head * self.d)
    }
}

/// Writes `∂Q`, `∂K` and `∂V` to `to`, and returns `∂w`, `[batch, heads, time_k]`, if it is to be summed, else nothing.
pub(super) fn backward<S: Storage + Tables>(
    p: &Problem,
    inputs: &Inputs<S>,
    saved: &Saved<S>,
    [q, k, v]: [Rows<S>; 3],
    sum_weights: bool,
) -> Output<S> {
    let key_tiles = p.time_k.div_ceil(KEYS);
    let chunks = (TASKS / (p.batch * p.heads)).clamp(1, key_tiles);
    let row = p.heads * p.d_k;
    let q_len = p.batch * p.time_q * row;
    let n_weights = if sum_weights { p.batch * p.heads * p.time_k } else { 0 };
    let mut log_weight = Output::new(n_weights);
    let mut partial = Output::<S>::new(q_len * (chunks - 1));
    let dot = dot_rows(p, saved);
    let (w, partial) = (log_weight.ptr(), partial.ptr());
    p.for_each_task(chunks, |batch, head, chunk| {
        let q = if chunk == 0 {
            q
        } else {
            Rows { first: Ptr(partial.at((chunk - 1) * q_len)), row, d: p.d_k }
        };
        let kernel = Chunk {
            p,
            inputs,
            saved,
            dot: &dot,
            batch,
            head,
            first_tile: chunk,
            tile_step: chunks,
            q,
            k,
            v,
            w: sum_weights.then_some(w),
        };
        unsafe { launch(kernel) };
    });
    if chunks > 1 {
        // ∂Q is the sum of the partial results, in order.
        (0..p.batch * p.time_q).into_par_iter().with_min_len(64).for_each(|t| unsafe {
            add_rows(q.at(t, 0), row, (partial.at(t * row), q_len), chunks - 1);
        });
    }
    log_weight
}

/// `D[batch, head, t] = Σ_j G[t, j] O[t, j]`.
fn dot_rows<S: Storage + Tables>(p: &Problem, saved: &Saved<S>) -> Vec<S> {
    const ROWS: usize = 256;
    let mut dot = vec![S::ZERO; p.batch * p.heads * p.time_q];
    dot.par_chunks_mut(ROWS).with_max_len(4).enumerate().for_each(|(i, dot)| {
        unsafe { launch(Dots { p, saved, first: i * ROWS, dot }) };
    });
    dot
}

/// Some numbers of [`dot_rows`].
struct Dots<'a, S> {
    p: &'a Problem,
    saved: &'a Saved<S>,
    first: usize,
    dot: &'a mut [S],
}

impl<S: Storage + Tables> Kernel<S> for Dots<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { p, saved, first, dot } = self;
        for (i, dot) in dot.iter_mut().enumerate() {
            let (head_index, t) = ((first + i) / p.time_q, (first + i) % p.time_q);
            let (b, h) = (head_index / p.heads, head_index % p.heads);
            let row =
                |x: &View<S, 4>| x.ptr.at(b * x.strides[0] + h * x.strides[1] + t * x.strides[2]);
            let (g, o) = (row(&saved.grad), row(&saved.o));
            unsafe {
                let mut sum = V::zero();
                for j in (0..p.d_v).step_by(V::LANES) {
                    let n = V::LANES.min(p.d_v - j);
                    sum = load::<V>(g.add(j), n).mul_add(load::<V>(o.add(j), n), sum);
                }
                *dot = sum.sum();
            }
        }
    }
}

/// The key tiles `first_tile, first_tile + tile_step, …` of one head against all queries that see them.
struct Chunk<'a, S> {
    p: &'a Problem,
    inputs: &'a Inputs<S>,
    saved: &'a Saved<S>,
    dot: &'a [S],
    batch: usize,
    head: usize,
    first_tile: usize,
    tile_step: usize,
    q: Rows<S>,
    k: Rows<S>,
    v: Rows<S>,
    w: Option<Ptr<S>>,
}

impl<S: Storage + Tables> Kernel<S> for Chunk<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let p = self.p;
        let scratch = Scratch::new(p);
        // Tiles of keys add to it.
        for t in 0..p.time_q {
            unsafe { self.q.at(self.batch * p.time_q + t, self.head).write_bytes(0, p.d_k) };
        }
        for key in (self.first_tile * KEYS..p.time_k).step_by(self.tile_step * KEYS) {
            let n = KEYS.min(p.time_k - key);
            unsafe {
                self.load_keys::<V>(&scratch, key, n);
                let seeing = p.queries_seeing(key..key + n);
                let start = seeing.start / QUERIES * QUERIES;
                for first in (start..seeing.end).step_by(QUERIES) {
                    let rows = QUERIES.min(p.time_q - first);
                    self.queries::<V>(&scratch, [key, n], [first, rows]);
                }
                self.store_keys::<V>(&scratch, key, n);
            }
        }
    }
}

impl<S: Storage + Tables> Chunk<'_, S> {
    /// Packs a tile of keys and values, and clears its gradients.
    #[inline(always)]
    unsafe fn load_keys<V: Vector<Scalar = S>>(&self, scratch: &Scratch<S>, key: usize, n: usize) {
        let (p, inputs) = (self.p, self.inputs);
        let row = |x: &View<S, 4>| {
            let at = self.batch * x.strides[0] + self.head * x.strides[1] + key * x.strides[2];
            (x.ptr.at(at).cast_const(), x.strides[2])
        };
        let length = scratch.row;
        let padded = length - PADDING;
        unsafe {
            if n < padded {
                // The last register of a row is read whole.
                for (buffer, rows) in [(&scratch.k_t, p.d_k), (&scratch.v_t, p.d_v)] {
                    for j in 0..rows {
                        buffer.ptr().at(j * length + n).write_bytes(0, padded - n);
                    }
                }
            }
            for (buffer, rows) in [(&scratch.dk, p.d_k), (&scratch.dv, p.d_v), (&scratch.dw, 1)] {
                buffer.ptr().0.write_bytes(0, rows * length);
            }
            let (k, v) = (row(&inputs.k), row(&inputs.v));
            // These keys make ∂Q alone: its scale is theirs.
            let length_of_keys = if fit_pairs(p.d_k, V::LANES) {
                pair_rows([n, p.d_k], k, (scratch.k.ptr().0, V::LANES));
                n.div_ceil(2) * V::LANES
            } else {
                copy_rows::<V>([n, p.d_k], k, (scratch.k.ptr().0, p.d_k));
                n * p.d_k
            };
            scale_row::<V>(scratch.k.ptr().0, length_of_keys, S::from_f64(p.scale));
            V::transpose([n, p.d_k], k, (scratch.k_t.ptr().0, length));
            V::transpose([n, p.d_v], v, (scratch.v_t.ptr().0, length));
            Problem::key_bias(
                inputs.log_weight.as_ref(),
                [self.batch, self.head],
                key,
                n,
                std::slice::from_raw_parts_mut(scratch.bias.ptr().0, padded),
            );
        }
    }

    /// Writes a finished tile of `∂K`, `∂V`, `∂w`.
    #[inline(always)]
    unsafe fn store_keys<V: Vector<Scalar = S>>(&self, scratch: &Scratch<S>, key: usize, n: usize) {
        let p = self.p;
        let to = |rows: &Rows<S>| (rows.at(self.batch * p.time_k + key, self.head), rows.row);
        unsafe {
            let length = p.d_k * if is_narrow::<V>(p.d_k) { scratch.row } else { n };
            scale_row::<V>(scratch.dk.ptr().0, length, S::from_f64(p.scale));
            store_sums::<V>(&scratch.dk, scratch.row, [n, p.d_k], to(&self.k));
            store_sums::<V>(&scratch.dv, scratch.row, [n, p.d_v], to(&self.v));
            if let Some(w) = self.w {
                let to = w.at((self.batch * p.heads + self.head) * p.time_k + key);
                to.copy_from_nonoverlapping(scratch.dw.ptr().0, n);
            }
        }
    }

    /// One tile of queries against the loaded tile of keys.
    #[inline(always)]
    unsafe fn queries<V: Vector<Scalar = S>>(
        &self,
        scratch: &Scratch<S>,
        [key, n]: [usize; 2],
        [first, rows]: [usize; 2],
    ) {
        let (p, inputs, saved) = (self.p, self.inputs, self.saved);
        let (d_k, d_v) = (p.d_k, p.d_v);
        let row = |x: &View<S, 4>| {
            let at = self.batch * x.strides[0] + self.head * x.strides[1] + first * x.strides[2];
            (x.ptr.at(at).cast_const(), x.strides[2])
        };
        let [weights, gradients] = [&scratch.p, &scratch.ds].map(Aligned::ptr);
        let (width, score_row) = (n.next_multiple_of(V::LANES), scratch.row);
        unsafe {
            let (q, g) = (row(&inputs.q), row(&saved.grad));
            copy_rows::<V>([rows, d_k], q, (scratch.q.ptr().0, d_k));
            copy_rows::<V>([rows, d_v], g, (scratch.g.ptr().0, d_v));
            // S = Q Kᵀ and dP = G Vᵀ.
            let product = |a: &Aligned<S>, d: usize, b: &Aligned<S>, c: Ptr<S>| {
                V::matmul(MatMul {
                    m: rows,
                    n: width,
                    k: d,
                    a: a.ptr().0,
                    a_row: d,
                    a_col: 1,
                    b: b.ptr().0,
                    b_row: score_row,
                    c: c.0,
                    c_row: score_row,
                    accumulate: false,
                });
            };
            product(&scratch.q, d_k, &scratch.k_t, weights);
            product(&scratch.g, d_v, &scratch.v_t, gradients);
            let head_row = (self.batch * p.heads + self.head) * p.time_q + first;
            for r in 0..rows {
                let seen = within(p.visible_keys(first + r), key, n);
                block_unseen(weights.at(r * score_row), n, seen);
                let [biased, summed] = [inputs.log_weight.is_some(), self.w.is_some()];
                let (size, row) = ([n, width], head_row + r);
                match (biased, summed) {
                    (_, true) => self.score_gradients::<V, true, true>(scratch, r, size, row),
                    (true, _) => self.score_gradients::<V, true, false>(scratch, r, size, row),
                    _ => self.score_gradients::<V, false, false>(scratch, r, size, row),
                }
            }
            // ∂V += Pᵀ G and ∂K += dSᵀ Q, or both sides transposed.
            let product = |a: Ptr<S>, b: &Aligned<S>, d: usize, c: &Aligned<S>| {
                let (scores, rows_of) = (a.0.cast_const(), b.ptr().0.cast_const());
                let of_keys = MatMul {
                    m: n,
                    n: d,
                    k: rows,
                    a: scores,
                    a_row: 1,
                    a_col: score_row,
                    b: rows_of,
                    b_row: d,
                    c: c.ptr().0,
                    c_row: d,
                    accumulate: true,
                };
                V::matmul(if is_narrow::<V>(d) {
                    MatMul {
                        m: d,
                        n: width,
                        a: rows_of,
                        a_col: d,
                        b: scores,
                        b_row: score_row,
                        c_row: score_row,
                        ..of_keys
                    }
                } else {
                    of_keys
                });
            };
            product(weights, &scratch.g, d_v, &scratch.dv);
            product(gradients, &scratch.q, d_k, &scratch.dk);
            let of_queries = MatMul {
                m: rows,
                n: d_k,
                k: n,
                a: gradients.0,
                a_row: score_row,
                a_col: 1,
                b: scratch.k.ptr().0,
                b_row: d_k,
                c: self.q.at(self.batch * p.time_q + first, self.head),
                c_row: self.q.row,
                accumulate: true,
            };
            // Behind the last score of a row lies a zero.
            if fit_pairs(d_k, V::LANES) {
                V::matmul_pairs(MatMul { b_row: V::LANES, ..of_queries });
            } else {
                V::matmul(of_queries);
            }
        }
    }

    /// Row `r`, products with `n` keys in registers of `width` numbers: products become `P`, `dP` becomes `dS`, and,
    /// with `SUM`, `dS` is added to `∂w`. Without `BIAS` the log-weights are zero, and read where a register holds more than keys
    /// alone, because they block the rest.
    #[inline(always)]
    unsafe fn score_gradients<V: Vector<Scalar = S>, const BIAS: bool, const SUM: bool>(
        &self,
        scratch: &Scratch<S>,
        r: usize,
        [n, width]: [usize; 2],
        row: usize,
    ) {
        unsafe {
            let scale = V::splat(S::from_f64(self.p.scale * LOG2_E));
            let lse = *self.saved.lse.at(row);
            let minus_lse = V::splat(S::ZERO.sub(lse.mul(S::from_f64(LOG2_E))));
            let dot = V::splat(self.dot[row]);
            let (bias, dw) = (scratch.bias.ptr(), scratch.dw.ptr());
            let p = scratch.p.ptr().at(r * scratch.row);
            let ds = scratch.ds.ptr().at(r * scratch.row);
            let plain = if BIAS { 0 } else { n - n % V::LANES };
            for j in (0..plain).step_by(V::LANES) {
                let weight = weight(V::load(p.add(j)).mul_add(scale, minus_lse));
                weight.store(p.add(j));
                V::load(ds.add(j)).sub(dot).mul(weight).store(ds.add(j));
            }
            for j in (plain..width).step_by(V::LANES) {
                let shift = V::load(bias.at(j)).add(minus_lse);
                let weight = weight(V::load(p.add(j)).mul_add(scale, shift));
                weight.store(p.add(j));
                let gradient = V::load(ds.add(j)).sub(dot).mul(weight);
                gradient.store(ds.add(j));
                if SUM {
                    V::load(dw.at(j)).add(gradient).store(dw.at(j));
                }
            }
        }
    }
}
