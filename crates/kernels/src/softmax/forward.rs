//! Fused forward pass: tiled online softmax.
//!
//! For each tile of queries the keys are visited tile by tile; a running maximum `m` and sum `l`
//! rescale what has been accumulated:
//!
//! ```text
//! S = scale·Q Kᵀ + w        m' = max(m, rowmax S)      P = exp(S − m')
//! l' = e^{m − m'} l + rowsum P      O' = e^{m − m'} O + P V      o = O / l,  lse = m + ln l
//! ```
//!
//! Scores, log-weights and the maximum are kept in units of `ln 2`, so that a weight is a power of two.
//!
//! Source: Milakov & Gimelshein 2018, arXiv:1805.02867; Dao 2023, arXiv:2307.08691, algorithm 1.
//! Cost: `2 time_q time_k (d_k + d_v)` flops (half of it when causal, tiles in sight when windowed); memory beside the result:
//! one packed copy of the keys and values and a tile of scores per thread.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use super::Problem;
use super::row::{block_unseen, log_sum, products, scale_row, weights, within};
use crate::cpu::aligned::Aligned;
use crate::cpu::dispatch::{Kernel, lanes, launch};
use crate::cpu::layout::{copy_rows, pair_rows};
use crate::cpu::math::Tables;
use crate::cpu::matmul::{MatMul, fit_pairs};
use crate::cpu::simd::Vector;
use crate::cpu::view::{Output, Ptr, Storage, View};

/// Queries per tile: a multiple of 6 and 12, the rows of the matrix product's register tiles.
const QUERIES: usize = 96;
/// Of these so many at a time: their scores stay in the first cache from one product to the other.
const BLOCK: usize = 24;
/// Keys per tile: with `d_head = 64` in f32 a tile of keys and one of values fit into L2.
const KEYS: usize = 256;
/// Extra row length of packed tiles, so that rows do not fall into the same cache sets.
const PAD: usize = 16;
/// So few queries read keys and values where they lie: packing them would cost more.
const FEW: usize = 4;

/// Pointers of one forward pass.
pub(crate) struct Inputs<S> {
    pub(crate) q: View<S, 4>,
    pub(crate) k: View<S, 4>,
    pub(crate) v: View<S, 4>,
    /// `[batch, heads, time_k]`.
    pub(crate) log_weight: Option<View<S, 3>>,
}

/// Writes the result to `o`, `[batch, time_q, row_heads, d_v]` from the first of the heads on, and
/// returns the log-sum-exp, `[batch, heads, time_q]`.
pub(super) fn forward<S: Storage + Tables>(
    p: &Problem,
    inputs: &Inputs<S>,
    o: Ptr<S>,
) -> Output<S> {
    let mut lse_out = Output::new(p.batch * p.heads * p.time_q);
    let packed = Packed::if_many(p, lanes::<S>());
    if let Some(packed) = &packed {
        p.for_each_task(packed.key_tiles, |batch, head, tile| unsafe {
            launch(Fill { p, inputs, packed, batch, head, tile });
        });
    }
    let tiles = p.time_q.div_ceil(QUERIES);
    let lse = Some(lse_out.ptr());
    p.for_each_task(tiles, |batch, head, tile| {
        // Late tiles of a causal pass are the longest: start with them.
        let first = (tiles - 1 - tile) * QUERIES;
        let packed = packed.as_ref();
        unsafe { launch(Tile { p, inputs, packed, batch, head, first, o, lse }) };
    });
    lse_out
}

/// The result of [`forward`] alone, on this thread, to memory of the caller.
#[inline(always)]
pub(crate) unsafe fn forward_here<V: Vector<Scalar: Storage + Tables>>(
    p: &Problem,
    inputs: &Inputs<V::Scalar>,
    o: Ptr<V::Scalar>,
) {
    let packed = Packed::if_many(p, V::LANES);
    for task in 0..p.batch * p.heads {
        let (batch, head) = (task / p.heads, task % p.heads);
        if let Some(packed) = &packed {
            for tile in 0..packed.key_tiles {
                unsafe { Fill { p, inputs, packed, batch, head, tile }.run::<V>() };
            }
        }
        for first in (0..p.time_q).step_by(QUERIES) {
            let packed = packed.as_ref();
            let tile = Tile { p, inputs, packed, batch, head, first, o, lse: None };
            unsafe { tile.run::<V>() };
        }
    }
}

/// Row length of a tile of scores.
fn tile_width(p: &Problem) -> usize {
    KEYS.min(p.time_k.next_multiple_of(PAD)) + PAD
}

/// Keys transposed tile by tile, values with padded rows or as pairs of rows, for every head.
struct Packed<S> {
    keys: Aligned<S>,
    values: Aligned<S>,
    key_tiles: usize,
    width: usize,
    /// Whether values lie as [`pair_rows`].
    pairs: bool,
    /// Length of a row, or of a pair of rows, of values.
    v_row: usize,
    /// Rows, or pairs of rows, of values of a head.
    v_rows: usize,
}

impl<S: Storage + Tables> Packed<S> {
    /// Memory for all heads, unless queries are [`FEW`].
    fn if_many(p: &Problem, lanes: usize) -> Option<Self> {
        if p.time_q <= FEW {
            return None;
        }
        let width = tile_width(p);
        let key_tiles = p.time_k.div_ceil(KEYS);
        let pairs = fit_pairs(p.d_v, lanes);
        let (v_row, v_rows) = if pairs {
            (lanes, p.time_k.div_ceil(2))
        } else {
            (p.d_v.next_multiple_of(PAD) + PAD, p.time_k)
        };
        let heads = p.batch * p.heads;
        let keys = Aligned::new(heads * key_tiles * p.d_k * width);
        let values = Aligned::new(heads * v_rows * v_row);
        Some(Self { keys, values, key_tiles, width, pairs, v_row, v_rows })
    }

    fn keys_of(&self, p: &Problem, head: usize, tile: usize) -> *mut S {
        self.keys.ptr().at((head * self.key_tiles + tile) * p.d_k * self.width)
    }

    /// The values from `key`, the first of a tile, on.
    fn values_of(&self, head: usize, key: usize) -> *mut S {
        let row = if self.pairs { key / 2 } else { key };
        self.values.ptr().at((head * self.v_rows + row) * self.v_row)
    }
}

/// Packs one tile of keys and values of one head.
struct Fill<'a, S> {
    p: &'a Problem,
    inputs: &'a Inputs<S>,
    packed: &'a Packed<S>,
    batch: usize,
    head: usize,
    tile: usize,
}

impl<S: Storage + Tables> Kernel<S> for Fill<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { p, inputs, packed, batch, head, tile } = self;
        let first = tile * KEYS;
        let n = KEYS.min(p.time_k - first);
        let row = |x: &View<S, 4>| {
            x.ptr.at(batch * x.strides[0] + head * x.strides[1] + first * x.strides[2])
        };
        let head = batch * p.heads + head;
        let (k, v) = (row(&inputs.k).cast_const(), row(&inputs.v).cast_const());
        let (keys, values) = (packed.keys_of(p, head, tile), packed.values_of(head, first));
        let v_step = inputs.v.strides[2];
        unsafe {
            V::transpose([n, p.d_k], (k, inputs.k.strides[2]), (keys, packed.width));
            // The last register of a row is read whole.
            for j in 0..p.d_k {
                for column in n..n.next_multiple_of(V::LANES) {
                    *keys.add(j * packed.width + column) = S::ZERO;
                }
            }
            if packed.pairs {
                pair_rows([n, p.d_v], (v, v_step), (values, packed.v_row));
            } else {
                copy_rows::<V>([n, p.d_v], (v, v_step), (values, packed.v_row));
            }
        }
    }
}

/// One tile of queries of one head against all the keys it may see.
struct Tile<'a, S> {
    p: &'a Problem,
    inputs: &'a Inputs<S>,
    /// `None` if queries are few.
    packed: Option<&'a Packed<S>>,
    batch: usize,
    head: usize,
    first: usize,
    o: Ptr<S>,
    lse: Option<Ptr<S>>,
}

impl<S: Storage + Tables> Kernel<S> for Tile<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { p, inputs, packed, batch, head, first, .. } = self;
        let rows = QUERIES.min(p.time_q - first);
        let head_index = batch * p.heads + head;
        let s_row = tile_width(p);
        let d_v = p.d_v;
        let scores: Aligned<S> = Aligned::new(BLOCK.min(rows) * s_row);
        let acc: Aligned<S> = Aligned::zeros(rows * d_v);
        let mut bias = vec![S::ZERO; s_row];
        let mut running = [(S::NEG_INFINITY, S::ZERO); QUERIES];
        let [qb, qh, qt, _] = inputs.q.strides;
        let q = inputs.q.ptr.at(batch * qb + head * qh + first * qt);
        let visible = p.visible_keys(first).start..p.visible_keys(first + rows - 1).end;
        for tile in visible.start / KEYS..visible.end.div_ceil(KEYS) {
            let key = tile * KEYS;
            let n = KEYS.min(visible.end - key);
            let width = n.next_multiple_of(V::LANES);
            let [kb, kh, kt, _] = inputs.k.strides;
            let [vb, vh, vt, _] = inputs.v.strides;
            let keys = inputs.k.ptr.at(batch * kb + head * kh + key * kt).cast_const();
            let (values, v_row) = match packed {
                Some(packed) => (packed.values_of(head_index, key), packed.v_row),
                None => (inputs.v.ptr.at(batch * vb + head * vh + key * vt), vt),
            };
            Problem::key_bias(
                inputs.log_weight.as_ref(),
                [batch, head],
                key,
                n,
                &mut bias[..width],
            );
            for above in (0..rows).step_by(BLOCK) {
                let rows = BLOCK.min(rows - above);
                let (q, acc) = (q.wrapping_add(above * qt), acc.ptr().at(above * d_v));
                unsafe {
                    if let Some(packed) = packed {
                        V::matmul(MatMul {
                            m: rows,
                            n: width,
                            k: p.d_k,
                            a: q,
                            a_row: qt,
                            a_col: 1,
                            b: packed.keys_of(p, head_index, tile),
                            b_row: packed.width,
                            c: scores.ptr().0,
                            c_row: s_row,
                            accumulate: false,
                        });
                    } else {
                        for r in 0..rows {
                            let row = scores.ptr().at(r * s_row);
                            products::<V>(q.add(r * qt), (keys, kt), p.d_k, (row, n));
                            // The last register is read whole.
                            row.add(n).write_bytes(0, width - n);
                        }
                    }
                    for (r, (m, l)) in running[above..above + rows].iter_mut().enumerate() {
                        let row = scores.ptr().at(r * s_row);
                        let seen = within(p.visible_keys(first + above + r), key, n);
                        block_unseen(row, n, seen);
                        let shrink = if inputs.log_weight.is_some() {
                            weights::<V, true>(p.scale, row, &bias[..width], n, m, l)
                        } else {
                            weights::<V, false>(p.scale, row, &bias[..width], n, m, l)
                        };
                        if shrink != S::ONE {
                            scale_row::<V>(acc.add(r * d_v), d_v, shrink);
                        }
                    }
                    let product = MatMul {
                        m: rows,
                        n: d_v,
                        k: n,
                        a: scores.ptr().0,
                        a_row: s_row,
                        a_col: 1,
                        b: values,
                        b_row: v_row,
                        c: acc,
                        c_row: d_v,
                        accumulate: true,
                    };
                    // Behind the last score of a row lies a zero.
                    if packed.is_some_and(|packed| packed.pairs) {
                        V::matmul_pairs(product);
                    } else {
                        V::matmul(product);
                    }
                }
            }
        }
        unsafe { self.store::<V>(&acc, &running[..rows]) };
    }
}

impl<S: Storage + Tables> Tile<'_, S> {
    /// Divides by the sums and writes the results and their log-sum-exp.
    #[inline(always)]
    unsafe fn store<V: Vector<Scalar = S>>(&self, acc: &Aligned<S>, running: &[(S, S)]) {
        let Self { p, batch, head, first, .. } = *self;
        let (d_v, head_index) = (p.d_v, batch * p.heads + head);
        for (r, (m, l)) in running.iter().copied().enumerate() {
            let t = first + r;
            unsafe {
                let to = self.o.at(((batch * p.time_q + t) * p.row_heads + head) * d_v);
                let row = acc.ptr().at(r * d_v);
                // A row whose keys are all blocked is zero; its lse is +∞ so that going back
                // every weight exp(s − lse) vanishes.
                let blocked = l == S::ZERO;
                let inverse = if blocked { 0.0 } else { 1.0 / l.to_f64() };
                scale_row::<V>(row, d_v, S::from_f64(inverse));
                copy_rows::<V>([1, d_v], (row, d_v), (to, d_v));
                if let Some(to) = self.lse {
                    let lse = if blocked { f64::INFINITY } else { log_sum(m, l) };
                    *to.at(head_index * p.time_q + t) = S::from_f64(lse);
                }
            }
        }
    }
}
