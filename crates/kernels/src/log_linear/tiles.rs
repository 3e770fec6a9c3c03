//! One chunk of one head in working memory: scaled exponentials and products of them.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use std::ops::Range;

use super::products::{dot, lower_product, lower_times, transposed_times};
use super::state::{Factors, HeadState, NOTHING};
use crate::cpu::math::{Tables, exp};
use crate::cpu::matmul::MatMul;
use crate::cpu::simd::Vector;
use crate::cpu::view::Ptr;
use crate::pointwise::{load, store};

/// Extra row length of transposed tiles, so that rows do not fall into the same cache sets.
const PAD: usize = 16;

/// The rows of one head in a tensor.
#[derive(Clone, Copy)]
pub(super) struct Rows<S> {
    pub(super) first: Ptr<S>,
    /// Distance between rows.
    pub(super) row: usize,
}

impl<S> Rows<S> {
    #[inline(always)]
    pub(super) fn at(self, t: usize) -> *mut S {
        self.first.at(t * self.row)
    }
}

/// Working memory of one head. Rows of the hats have the length of a head.
pub(super) struct Tiles<S> {
    pub(super) d_k: usize,
    pub(super) d_v: usize,
    /// Row length of the transposed tiles and of the scores.
    pub(super) row: usize,
    /// `Q̂`, `[chunk, d_k]`.
    pub(super) q: Vec<S>,
    /// `K̂`, `[chunk, d_k]`.
    pub(super) k: Vec<S>,
    /// `V̂`, `[chunk, d_v]`.
    pub(super) v: Vec<S>,
    /// `K̂ᵀ` or `V̂ᵀ`, `[d, row]`.
    pub(super) transposed: Vec<S>,
    /// `P`, `[chunk, row]`.
    pub(super) p: Vec<S>,
    /// `Ŝ`, `[chunk, d_v]`.
    pub(super) s: Vec<S>,
    /// `Ẑ`, `[chunk]`.
    pub(super) z: Vec<S>,
    /// `M`, `[d_k, d_v]`, rounded.
    pub(super) sums: Vec<S>,
    /// `m`, rounded.
    pub(super) norm: Vec<S>,
    /// `a`
    pub(super) key_max: Vec<S>,
    /// `c`
    pub(super) value_max: Vec<S>,
    /// `K̂ᵀ V̂` of one chunk.
    pub(super) grown: Vec<S>,
    /// What brings the state, not yet moved, to the maxima.
    pending: Option<Factors>,
}

impl<S: Tables> Tiles<S> {
    pub(super) fn new(chunk: usize, d_k: usize, d_v: usize) -> Self {
        let row = chunk.next_multiple_of(2 * PAD) + PAD;
        let zeros = |n| vec![S::ZERO; n];
        Self {
            d_k,
            d_v,
            row,
            q: zeros(chunk * d_k),
            k: zeros(chunk * d_k),
            v: zeros(chunk * d_v),
            transposed: zeros(d_k.max(d_v) * row),
            p: zeros(chunk * row),
            s: zeros(chunk * d_v),
            z: zeros(chunk),
            sums: zeros(d_k * d_v),
            norm: zeros(d_k),
            key_max: zeros(d_k),
            value_max: zeros(d_v),
            grown: zeros(d_k * d_v),
            pending: None,
        }
    }

    /// Takes over a state; its maxima move to numbers of this precision.
    #[inline(always)]
    pub(super) fn load(&mut self, state: &mut HeadState, log: bool) {
        for (to, a) in self.key_max.iter_mut().zip(&*state.key_max) {
            *to = S::from_f64(a.max(NOTHING));
        }
        for (to, c) in self.value_max.iter_mut().zip(&*state.value_max) {
            *to = if log { S::from_f64(c.max(NOTHING)) } else { S::ZERO };
        }
        state.rescale(&self.key_max, &self.value_max);
        self.round(state);
    }

    /// `M` and `m` in this precision.
    #[inline(always)]
    pub(super) fn round(&mut self, state: &HeadState) {
        for (to, m) in self.sums.iter_mut().zip(&*state.sums) {
            *to = S::from_f64(*m);
        }
        for (to, m) in self.norm.iter_mut().zip(&*state.norm) {
            *to = S::from_f64(*m);
        }
    }

    /// Raises the maxima to those of some keys, and moves the rounded state to them; the state itself
    /// follows with [`Tiles::absorb`].
    #[inline(always)]
    pub(super) unsafe fn raise<V: Vector<Scalar = S>>(
        &mut self,
        state: &mut HeadState,
        [k, v]: [Rows<S>; 2],
        tokens: &Range<usize>,
        seen: Option<&[bool]>,
        log: bool,
    ) {
        unsafe {
            column_max::<V>(k, tokens, seen, &mut self.key_max);
            if log {
                column_max::<V>(v, tokens, seen, &mut self.value_max);
            }
        }
        self.pending = state.raise(&self.key_max, &self.value_max);
        if let Some(factors) = &self.pending {
            factors.apply(&mut self.sums, &mut self.norm);
        }
    }

    /// `K̂` and `V̂` of some keys; zero where blocked.
    #[inline(always)]
    pub(super) unsafe fn keys_and_values<V: Vector<Scalar = S>>(
        &mut self,
        [k, v]: [Rows<S>; 2],
        tokens: &Range<usize>,
        seen: Option<&[bool]>,
        log: bool,
    ) {
        for (r, t) in tokens.clone().enumerate() {
            let k_hat = &mut self.k[r * self.d_k..(r + 1) * self.d_k];
            let v_hat = &mut self.v[r * self.d_v..(r + 1) * self.d_v];
            if seen.is_some_and(|seen| !seen[t]) {
                k_hat.fill(S::ZERO);
                v_hat.fill(S::ZERO);
                continue;
            }
            unsafe {
                exp_of_difference::<V>(k.at(t), &self.key_max, k_hat);
                if log {
                    exp_of_difference::<V>(v.at(t), &self.value_max, v_hat);
                } else {
                    std::ptr::copy_nonoverlapping(v.at(t), v_hat.as_mut_ptr(), self.d_v);
                }
            }
        }
    }

    /// `Q̂` of some queries.
    #[inline(always)]
    pub(super) unsafe fn queries<V: Vector<Scalar = S>>(
        &mut self,
        q: Rows<S>,
        tokens: &Range<usize>,
    ) {
        let d = self.d_k;
        for (r, t) in tokens.clone().enumerate() {
            let to = self.q[r * d..(r + 1) * d].as_mut_ptr();
            let (from, a) = (q.at(t).cast_const(), self.key_max.as_ptr());
            unsafe {
                let mut largest = V::splat(S::NEG_INFINITY);
                let mut j = 0;
                while j + V::LANES <= d {
                    let sum = V::load(from.add(j)).add(V::load(a.add(j)));
                    sum.store(to.add(j));
                    largest = sum.max(largest);
                    j += V::LANES;
                }
                let mut b = largest.largest();
                for j in j..d {
                    let sum = (*from.add(j)).add(*a.add(j));
                    *to.add(j) = sum;
                    b = if sum > b { sum } else { b };
                }
                let b = V::splat(b);
                let mut j = 0;
                while j < d {
                    let n = V::LANES.min(d - j);
                    store(exp(load::<V>(to.add(j), n).sub(b)), to.add(j), n);
                    j += n;
                }
            }
        }
    }

    /// `P = tril(Q̂ K̂ᵀ)`, zero up to a whole register beyond the diagonal.
    #[inline(always)]
    pub(super) unsafe fn scores<V: Vector<Scalar = S>>(&mut self, n: usize) {
        unsafe {
            let (d, to) = (self.d_k, self.transposed.as_mut_ptr());
            V::transpose([n, d], (self.k.as_ptr(), d), (to, self.row));
            let p = &mut self.p;
            lower_product::<V>(n, d, self.q.as_ptr(), &self.transposed, p, self.row);
        }
    }

    /// `Ŝ = Q̂ M` and `Ẑ = Q̂ m`.
    #[inline(always)]
    pub(super) unsafe fn read_state<V: Vector<Scalar = S>>(&mut self, n: usize) {
        let (d_k, d_v) = (self.d_k, self.d_v);
        unsafe {
            V::matmul(MatMul {
                m: n,
                n: d_v,
                k: d_k,
                a: self.q.as_ptr(),
                a_row: d_k,
                a_col: 1,
                b: self.sums.as_ptr(),
                b_row: d_v,
                c: self.s.as_mut_ptr(),
                c_row: d_v,
                accumulate: false,
            });
            for (r, z) in self.z[..n].iter_mut().enumerate() {
                *z = dot::<V>(&self.q[r * d_k..(r + 1) * d_k], &self.norm);
            }
        }
    }

    /// Adds `P V̂` to `Ŝ` and `P 1` to `Ẑ`.
    #[inline(always)]
    pub(super) unsafe fn read_chunk<V: Vector<Scalar = S>>(&mut self, n: usize) {
        unsafe {
            lower_times::<V>(n, self.d_v, &self.p, self.row, &self.v, &mut self.s);
            for (r, z) in self.z[..n].iter_mut().enumerate() {
                let p = self.p.as_ptr().add(r * self.row);
                let mut sum = V::zero();
                for j in (0..=r).step_by(V::LANES) {
                    sum = sum.add(V::load(p.add(j)));
                }
                *z = z.add(sum.sum());
            }
        }
    }

    /// `M ← M + K̂ᵀ V̂`, `m ← m + K̂ᵀ 1`, with `M` and `m` at the present maxima.
    #[inline(always)]
    pub(super) unsafe fn absorb<V: Vector<Scalar = S>>(&mut self, state: &mut HeadState, n: usize) {
        let (d_k, d_v) = (self.d_k, self.d_v);
        unsafe {
            transposed_times::<V>([n, d_k, d_v], &self.k, &self.v, &mut self.grown, false);
            for j in (0..d_k).step_by(V::LANES) {
                let lanes = V::LANES.min(d_k - j);
                let mut sum = V::zero();
                for r in 0..n {
                    sum = sum.add(load::<V>(self.k.as_ptr().add(r * d_k + j), lanes));
                }
                store(sum, self.norm.as_mut_ptr().add(j), lanes);
            }
        }
        if let Some(factors) = self.pending.take() {
            factors.apply(state.sums, state.norm);
        }
        for (m, grown) in state.norm.iter_mut().zip(&mut self.norm) {
            *m += grown.to_f64();
            *grown = S::from_f64(*m);
        }
        let to = self.sums.iter_mut().zip(&self.grown);
        for (m, (rounded, grown)) in state.sums.iter_mut().zip(to) {
            *m += grown.to_f64();
            *rounded = S::from_f64(*m);
        }
    }
}

/// Raises `max` to the largest of every column over the rows that are seen; NaN is passed over.
#[inline(always)]
unsafe fn column_max<V: Vector>(
    x: Rows<V::Scalar>,
    tokens: &Range<usize>,
    seen: Option<&[bool]>,
    max: &mut [V::Scalar],
) {
    let d = max.len();
    let mut j = 0;
    while j < d {
        let n = V::LANES.min(d - j);
        unsafe {
            let mut largest = load::<V>(max.as_ptr().add(j), n);
            for t in tokens.clone() {
                if seen.is_none_or(|seen| seen[t]) {
                    largest = load::<V>(x.at(t).add(j), n).max(largest);
                }
            }
            store(largest, max.as_mut_ptr().add(j), n);
        }
        j += n;
    }
}

/// `e^{x − max}`.
#[inline(always)]
pub(super) unsafe fn exp_of_difference<V: Vector<Scalar: Tables>>(
    x: *const V::Scalar,
    max: &[V::Scalar],
    to: &mut [V::Scalar],
) {
    let d = max.len();
    let mut j = 0;
    while j < d {
        let n = V::LANES.min(d - j);
        unsafe {
            let x = load::<V>(x.add(j), n).sub(load::<V>(max.as_ptr().add(j), n));
            store(exp(x), to.as_mut_ptr().add(j), n);
        }
        j += n;
    }
}
