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
//! additive log-weight `w` per key and its gradient. Cost: `10 time_q time_k d_head` flops; memory
//! beside the gradients: a fixed number of partial `∂Q`, and tiles per thread.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use std::ops::Range;

use rayon::prelude::*;

use super::Problem;
use super::forward::{Inputs, within};
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::{Tables, exp};
use crate::cpu::matmul::{MatMul, transpose};
use crate::cpu::simd::Vector;
use crate::cpu::view::{Output, Ptr, Storage, View};

/// Queries per tile; rows of the products that make `∂Q`.
const QUERIES: usize = 48;
/// Keys per tile.
const KEYS: usize = 64;
/// What a row of a score tile is longer than its keys: padding against cache-set conflicts.
const PADDING: usize = 16;
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

/// Gradients: `k`, `v` as `[batch, time, heads, d]`, `log_weight` as `[batch, heads, time_k]`.
pub(super) struct Gradients<S> {
    pub(super) k: Output<S>,
    pub(super) v: Output<S>,
    pub(super) log_weight: Output<S>,
}

/// Adds `∂Q` to zeros at `q`, `[batch, time_q, row_heads, d_k]` from the first of the heads on, and
/// returns the other gradients.
pub(super) fn backward<S: Storage + Tables>(
    p: &Problem,
    inputs: &Inputs<S>,
    saved: &Saved<S>,
    q: Ptr<S>,
) -> Gradients<S> {
    let key_tiles = p.time_k.div_ceil(KEYS);
    let chunks = (TASKS / (p.batch * p.heads)).clamp(1, key_tiles);
    let q_len = p.batch * p.time_q * p.heads * p.d_k;
    let mut gradients = Gradients {
        k: Output::new(p.batch * p.time_k * p.heads * p.d_k),
        v: Output::new(p.batch * p.time_k * p.heads * p.d_v),
        log_weight: Output::new(p.batch * p.heads * p.time_k),
    };
    let mut partial = Output::<S>::zeros(q_len * (chunks - 1));
    let dot = dot_rows(p, saved);
    let [k, v, w] = [gradients.k.ptr(), gradients.v.ptr(), gradients.log_weight.ptr()];
    let partial_ptr = partial.ptr();
    p.for_each_task(chunks, |batch, head, chunk| {
        let (q, q_heads) = if chunk == 0 {
            (q, p.row_heads)
        } else {
            (Ptr(partial_ptr.at((chunk - 1) * q_len)), p.heads)
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
            q_heads,
            k,
            v,
            w,
        };
        unsafe { launch(kernel) };
    });
    // ∂Q = scale · (sum of the partial results, in order).
    let scale = S::from_f64(p.scale);
    let row = p.heads * p.d_k;
    (0..p.batch * p.time_q).into_par_iter().with_min_len(64).for_each(|t| unsafe {
        for i in 0..row {
            let to = q.at(t * p.row_heads * p.d_k + i);
            let mut sum = *to;
            for chunk in 1..chunks {
                sum = sum.add(*partial_ptr.at((chunk - 1) * q_len + t * row + i));
            }
            *to = sum.mul(scale);
        }
    });
    gradients
}

/// `D[batch, head, t] = Σ_j G[t, j] O[t, j]`.
fn dot_rows<S: Storage>(p: &Problem, saved: &Saved<S>) -> Vec<S> {
    let mut dot = vec![S::ZERO; p.batch * p.heads * p.time_q];
    dot.par_iter_mut().with_min_len(256).enumerate().for_each(|(i, dot)| {
        let (head_index, t) = (i / p.time_q, i % p.time_q);
        let (b, h) = (head_index / p.heads, head_index % p.heads);
        let row = |x: &View<S, 4>| x.ptr.at(b * x.strides[0] + h * x.strides[1] + t * x.strides[2]);
        let (g, o) = (row(&saved.grad), row(&saved.o));
        let sum: f64 =
            (0..p.d_v).map(|j| unsafe { (*g.add(j)).to_f64() * (*o.add(j)).to_f64() }).sum();
        *dot = S::from_f64(sum);
    });
    dot
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
    q: Ptr<S>,
    /// Heads in a row of `q`.
    q_heads: usize,
    k: Ptr<S>,
    v: Ptr<S>,
    w: Ptr<S>,
}

/// Tiles of one task, reused over its loop; no larger than the sequences.
struct Scratch<S> {
    /// Row length of `k_t`, `v_t`, `p` and `ds`.
    row: usize,
    k: Vec<S>,
    k_t: Vec<S>,
    v_t: Vec<S>,
    q: Vec<S>,
    g: Vec<S>,
    dk: Vec<S>,
    dv: Vec<S>,
    dw: Vec<S>,
    p: Vec<S>,
    ds: Vec<S>,
    bias: Vec<S>,
}

impl<S: Storage + Tables> Scratch<S> {
    fn new(p: &Problem) -> Self {
        let (d_k, d_v) = (p.d_k, p.d_v);
        let (keys, queries) = (KEYS.min(p.time_k), QUERIES.min(p.time_q));
        // Whole registers of any instruction set fit into the last columns.
        let row = keys.next_multiple_of(PADDING) + PADDING;
        let zeros = |n| vec![S::ZERO; n];
        Self {
            row,
            k: zeros(keys * d_k),
            k_t: zeros(d_k * row),
            v_t: zeros(d_v * row),
            q: zeros(queries * d_k),
            g: zeros(queries * d_v),
            dk: zeros(keys * d_k),
            dv: zeros(keys * d_v),
            dw: zeros(row),
            p: zeros(queries * row),
            ds: zeros(queries * row),
            bias: zeros(row),
        }
    }
}

impl<S: Storage + Tables> Kernel<S> for Chunk<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let p = self.p;
        let mut scratch = Scratch::new(p);
        for key in (self.first_tile * KEYS..p.time_k).step_by(self.tile_step * KEYS) {
            let n = KEYS.min(p.time_k - key);
            unsafe {
                self.load_keys(&mut scratch, key, n);
                let seeing = p.queries_seeing(key..key + n);
                let start = seeing.start / QUERIES * QUERIES;
                for first in (start..seeing.end).step_by(QUERIES) {
                    let rows = QUERIES.min(p.time_q - first);
                    self.queries::<V>(&mut scratch, [key, n], [first, rows]);
                }
                self.store_keys(&scratch, key, n);
            }
        }
    }
}

impl<S: Storage + Tables> Chunk<'_, S> {
    /// Packs a tile of keys and values, and clears its gradients.
    #[inline(always)]
    unsafe fn load_keys(&self, scratch: &mut Scratch<S>, key: usize, n: usize) {
        let (p, inputs) = (self.p, self.inputs);
        let row = |x: &View<S, 4>| {
            x.ptr.at(self.batch * x.strides[0] + self.head * x.strides[1] + key * x.strides[2])
        };
        let padded = scratch.row - PADDING;
        for buffer in
            [&mut scratch.k_t, &mut scratch.v_t, &mut scratch.dk, &mut scratch.dv, &mut scratch.dw]
        {
            buffer.fill(S::ZERO);
        }
        unsafe {
            let (k, v) = (row(&inputs.k), row(&inputs.v));
            copy_rows(n, p.d_k, k, inputs.k.strides[2], scratch.k.as_mut_ptr(), p.d_k);
            transpose(n, p.d_k, k, inputs.k.strides[2], scratch.k_t.as_mut_ptr(), scratch.row);
            transpose(n, p.d_v, v, inputs.v.strides[2], scratch.v_t.as_mut_ptr(), scratch.row);
        }
        Problem::key_bias(
            inputs.log_weight.as_ref(),
            [self.batch, self.head],
            key,
            n,
            &mut scratch.bias[..padded],
        );
    }

    /// Writes a finished tile of `∂K`, `∂V`, `∂w`.
    #[inline(always)]
    unsafe fn store_keys(&self, scratch: &Scratch<S>, key: usize, n: usize) {
        let p = self.p;
        let scale = S::from_f64(p.scale);
        let first = (self.batch * p.time_k + key) * p.heads + self.head;
        unsafe {
            for r in 0..n {
                let to = self.k.at((first + r * p.heads) * p.d_k);
                for j in 0..p.d_k {
                    *to.add(j) = scratch.dk[r * p.d_k + j].mul(scale);
                }
            }
            let to = self.v.at(first * p.d_v);
            copy_rows(n, p.d_v, scratch.dv.as_ptr(), p.d_v, to, p.heads * p.d_v);
            let to = self.w.at((self.batch * p.heads + self.head) * p.time_k + key);
            std::ptr::copy_nonoverlapping(scratch.dw.as_ptr(), to, n);
        }
    }

    /// One tile of queries against the loaded tile of keys.
    #[inline(always)]
    unsafe fn queries<V: Vector<Scalar = S>>(
        &self,
        scratch: &mut Scratch<S>,
        [key, n]: [usize; 2],
        [first, rows]: [usize; 2],
    ) {
        let (p, inputs, saved) = (self.p, self.inputs, self.saved);
        let (d_k, d_v) = (p.d_k, p.d_v);
        let row = |x: &View<S, 4>| {
            x.ptr.at(self.batch * x.strides[0] + self.head * x.strides[1] + first * x.strides[2])
        };
        let (width, score_row) = (n.next_multiple_of(V::LANES), scratch.row);
        unsafe {
            copy_rows(rows, d_k, row(&inputs.q), inputs.q.strides[2], scratch.q.as_mut_ptr(), d_k);
            copy_rows(
                rows,
                d_v,
                row(&saved.grad),
                saved.grad.strides[2],
                scratch.g.as_mut_ptr(),
                d_v,
            );
            // S = Q Kᵀ and dP = G Vᵀ.
            let product = |a: &[S], d: usize, b: &[S], c: &mut [S]| {
                V::matmul(MatMul {
                    m: rows,
                    n: width,
                    k: d,
                    a: a.as_ptr(),
                    a_row: d,
                    a_col: 1,
                    b: b.as_ptr(),
                    b_row: score_row,
                    c: c.as_mut_ptr(),
                    c_row: score_row,
                    accumulate: false,
                });
            };
            product(&scratch.q, d_k, &scratch.k_t, &mut scratch.p);
            product(&scratch.g, d_v, &scratch.v_t, &mut scratch.ds);
            let head_row = (self.batch * p.heads + self.head) * p.time_q + first;
            for r in 0..rows {
                let seen = within(p.visible_keys(first + r), key, n);
                self.score_gradients::<V>(scratch, r, seen, width, head_row + r);
            }
            // ∂V += Pᵀ G and ∂K += dSᵀ Q.
            let product = |a: &[S], b: &[S], d: usize, c: &mut [S]| {
                V::matmul(MatMul {
                    m: n,
                    n: d,
                    k: rows,
                    a: a.as_ptr(),
                    a_row: 1,
                    a_col: score_row,
                    b: b.as_ptr(),
                    b_row: d,
                    c: c.as_mut_ptr(),
                    c_row: d,
                    accumulate: true,
                });
            };
            product(&scratch.p, &scratch.g, d_v, &mut scratch.dv);
            product(&scratch.ds, &scratch.q, d_k, &mut scratch.dk);
            V::matmul(MatMul {
                m: rows,
                n: d_k,
                k: n,
                a: scratch.ds.as_ptr(),
                a_row: score_row,
                a_col: 1,
                b: scratch.k.as_ptr(),
                b_row: d_k,
                c: self.q.at(((self.batch * p.time_q + first) * self.q_heads + self.head) * d_k),
                c_row: self.q_heads * d_k,
                accumulate: true,
            });
        }
    }

    /// Row `r`: products become `P`, `dP` becomes `dS`, and `dS` is added to `∂w`.
    #[inline(always)]
    unsafe fn score_gradients<V: Vector<Scalar = S>>(
        &self,
        scratch: &mut Scratch<S>,
        r: usize,
        seen: Range<usize>,
        width: usize,
        row: usize,
    ) {
        unsafe {
            let scale = V::splat(S::from_f64(self.p.scale));
            let lse = V::splat(*self.saved.lse.at(row));
            let dot = V::splat(self.dot[row]);
            let row_length = scratch.row;
            let (p, ds) = (
                scratch.p.as_mut_ptr().add(r * row_length),
                scratch.ds.as_mut_ptr().add(r * row_length),
            );
            for j in (0..seen.start).chain(seen.end..width) {
                *p.add(j) = S::NEG_INFINITY;
            }
            for j in (0..width).step_by(V::LANES) {
                let bias = V::load(scratch.bias.as_ptr().add(j));
                let s = V::load(p.add(j)).mul_add(scale, bias);
                let weight = exp(s.sub(lse));
                let gradient = V::load(ds.add(j)).sub(dot).mul(weight);
                weight.store(p.add(j));
                gradient.store(ds.add(j));
                let dw = scratch.dw.as_mut_ptr().add(j);
                V::load(dw).add(gradient).store(dw);
            }
        }
    }
}

#[inline(always)]
unsafe fn copy_rows<S: Copy>(
    rows: usize,
    cols: usize,
    from: *const S,
    from_row: usize,
    to: *mut S,
    to_row: usize,
) {
    for r in 0..rows {
        unsafe {
            std::ptr::copy_nonoverlapping(from.add(r * from_row), to.add(r * to_row), cols);
        }
    }
}
