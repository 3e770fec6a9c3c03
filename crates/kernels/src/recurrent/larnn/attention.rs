//! Forward through the window: keys and values of a cell, and what the heads read.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use super::forward::{ForwardScan, Scratch};
use super::lanes::{
    ROWS, bias_elu, dot_cells, moments, product, softmax, sum_cells, window_moments,
};
use super::plan::{NormWeights, Plan, Sizes};
use super::setting::Site;
use crate::cpu::layout::transpose;
use crate::cpu::math::Tables;
use crate::cpu::simd::{Vector, splat_each};

impl<S: Tables> ForwardScan<'_, S> {
    /// Keys and values of the cell in a slot of the memory, whose number is `slot`.
    #[inline(always)]
    pub(super) unsafe fn project<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        at: usize,
        slot: usize,
        by_slot: bool,
    ) {
        let (d, plan, place) = (self.sizes.d, self.plan, self.memory.place(chunk));
        let to = self.memory.key_value.at(place, at);
        let cell = self.memory.cells.at(place, at);
        unsafe {
            product::<V>([2 * d, d], (plan.key_value_t.as_ptr(), d), cell, to, false);
            if plan.ages.is_none() {
                bias_elu::<V>(2 * d, to, plan.key_value_bias.as_ptr(), plan.linear);
            }
            if by_slot {
                let mask = self.sizes.mask::<S>(chunk);
                let to_partial = self.partials.slot(slot, chunk);
                moments::<V>(2 * d, self.sizes.rows(chunk), to, mask.as_ptr(), to_partial);
            }
        }
    }

    /// Keys and values of the window at their age.
    #[inline(always)]
    pub(super) unsafe fn age<V: Vector<Scalar = S>>(&self, chunk: usize, t: usize, slot: usize) {
        let Sizes { d, window, .. } = self.sizes;
        let (n, place) = (self.sizes.n_cells(t), self.memory.place(chunk));
        let raw = self.memory.key_value.at(place, slot - n);
        let aged = self.memory.aged.at(place, 0);
        unsafe { aged_window::<V, S>(self.plan, [n, d, window], raw, aged) };
        if self.plan.by_age() {
            let (mask, rows) = (self.sizes.mask::<S>(chunk), self.sizes.rows(chunk));
            let to = self.partials.slot(0, chunk);
            unsafe { window_moments::<V>([n, 2 * d], rows, aged, mask.as_ptr(), to) };
        }
    }

    /// First part of the gates, query, and attention before its norm.
    #[inline(always)]
    pub(super) unsafe fn attend<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        slot: usize,
        norms: &[NormWeights<S>; 5],
        scratch: &mut Scratch<S>,
    ) {
        let Sizes { time, d_in, d, n_heads, window, .. } = self.sizes;
        let (plan, memory, place) = (self.plan, self.memory, self.memory.place(chunk));
        let (n, d_head, rows) = (self.sizes.n_cells(t), d / n_heads, self.sizes.rows(chunk));
        let (gates, hidden) = (memory.gates.at(place, t), memory.hidden.at(place, t));
        let x = scratch.x.as_mut_ptr();
        unsafe {
            if rows < ROWS {
                scratch.x.fill(S::ZERO);
            }
            let from = self.x.at((chunk * ROWS * time + t) * d_in);
            transpose(rows, d_in, from, time * d_in, x, ROWS);
            let seen = plan.seen_t.as_ptr();
            product::<V>([5 * d, d_in], (seen, d_in + d), x, gates, false);
            product::<V>([5 * d, d], (seen.add(d_in), d_in + d), hidden, gates, true);
            let query = gates.add(4 * d * ROWS);
            bias_elu::<V>(d, query, plan.query_bias.as_ptr(), false);
            let scaled = scratch.query.as_mut_ptr();
            let key = &norms[Site::Key as usize];
            scale::<V, S>(d, query, key, 1.0 / (d_head as f64).sqrt(), scaled);

            let uv = if plan.ages.is_some() {
                memory.aged.at(place, 0)
            } else {
                memory.key_value.at(place, slot - n)
            };
            let step = 2 * d * ROWS;
            let p = memory.weights.at(place, t);
            let (read, normed) = (memory.read.at(place, t), scratch.read.as_mut_ptr());
            for head in 0..n_heads {
                let p = p.add(head * window * ROWS);
                let part = head * d_head * ROWS;
                dot_cells::<V>(n, d_head, scaled.add(part), (uv.add(part), step), p);
                softmax::<V>(n, p);
                let p = self.masked::<V>(chunk, t, head, p, scratch);
                let value = uv.add(d * ROWS + part);
                sum_cells::<V>(n, d_head, p, (value, step), read.add(part));
                let value = &norms[Site::Value as usize];
                for f in head * d_head..(head + 1) * d_head {
                    let [mean, inverse, gamma, beta] = splat_each::<V, 4>([
                        value.mean[f],
                        value.inverse[f],
                        value.gamma[f],
                        value.beta[f],
                    ]);
                    for l in (0..ROWS).step_by(V::LANES) {
                        let (at, share) = (f * ROWS + l, V::load(scratch.share.as_ptr().add(l)));
                        let r = V::load(read.add(at)).sub(mean.mul(share)).mul(inverse);
                        r.store(read.add(at));
                        r.mul_add(gamma, beta.mul(share)).store(normed.add(at));
                    }
                }
            }

            let a = memory.attention.at(place, t);
            product::<V>([d, d], (plan.output_t.as_ptr(), d), normed, a, false);
            bias_elu::<V>(d, a, plan.output_bias.as_ptr(), false);
            self.hand_in::<V>(Site::Attention, chunk, a);
        }
    }

    /// Attention weights of one head after dropout; their sums go to `scratch.share`.
    #[inline(always)]
    unsafe fn masked<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        head: usize,
        p: *const S,
        scratch: &mut Scratch<S>,
    ) -> *const S {
        let Some(source) = &self.plan.attention_mask else {
            scratch.share = [S::ONE; ROWS];
            return p;
        };
        let (n, window) = (self.sizes.n_cells(t), self.sizes.window);
        let (weights, mask) = (scratch.weights.as_mut_ptr(), scratch.mask.as_mut_ptr());
        let indices = head * window + window - n..(head + 1) * window;
        unsafe {
            source.fill(&self.sizes, chunk, t, indices, mask);
            for l in (0..ROWS).step_by(V::LANES) {
                let mut sum = V::zero();
                for j in 0..n {
                    let at = j * ROWS + l;
                    let p = V::load(p.add(at)).mul(V::load(mask.add(at)));
                    p.store(weights.add(at));
                    sum = sum.add(p);
                }
                sum.store(scratch.share.as_mut_ptr().add(l));
            }
        }
        weights
    }
}

/// `x · gamma · inverse · factor`, what a norm of the other side of a product leaves.
#[inline(always)]
pub(super) unsafe fn scale<V: Vector<Scalar = S>, S: Tables>(
    d: usize,
    x: *const S,
    norm: &NormWeights<S>,
    factor: f64,
    to: *mut S,
) {
    for f in 0..d {
        let all = norm.gamma[f].mul(norm.inverse[f]).mul(S::from_f64(factor));
        for at in (f * ROWS..(f + 1) * ROWS).step_by(V::LANES) {
            unsafe { V::load(x.add(at)).mul(V::splat(all)).store(to.add(at)) };
        }
    }
}

/// Keys and values of `n` cells at their age.
#[inline(always)]
pub(super) unsafe fn aged_window<V: Vector<Scalar = S>, S: Tables>(
    plan: &Plan<S>,
    [n, d, window]: [usize; 3],
    raw: *const S,
    to: *mut S,
) {
    let Some(ages) = &plan.ages else { return };
    let size = 2 * d * ROWS;
    for j in 0..n {
        unsafe {
            let to = to.add(j * size);
            to.copy_from_nonoverlapping(raw.add(j * size), size);
            let age = ages.as_ptr().add((window - n + j) * 2 * d);
            bias_elu::<V>(2 * d, to, age, plan.linear);
        }
    }
}
