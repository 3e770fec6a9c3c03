//! Forward through all steps, chunk by chunk of the batch, in phases between batch statistics.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use std::ops::Range;

use super::lanes::{
    ROWS, bias_elu, dot_cells, elu, moments, product, softmax, sum_cells, window_moments,
};
use super::plan::{Memory, NormWeights, Plan, Sizes};
use super::setting::Site;
use super::statistics::{Now, PartialsPtr};
use super::team::Barrier;
use crate::cpu::dispatch::Kernel;
use crate::cpu::math::{Tables, sigmoid, tanh};
use crate::cpu::matmul::transpose;
use crate::cpu::simd::Vector;
use crate::cpu::view::Ptr;

/// One member of the team, with its chunks of the batch.
pub(super) struct Forward<'a, S> {
    pub(super) sizes: Sizes,
    pub(super) plan: &'a Plan<S>,
    pub(super) memory: &'a Memory<S>,
    pub(super) chunks: Range<usize>,
    pub(super) barrier: &'a Barrier,
    pub(super) partials: PartialsPtr,
    /// Where the first member writes what the norms saw.
    pub(super) seen: Option<Ptr<f64>>,
    /// `[batch, time, d_in]`
    pub(super) x: Ptr<S>,
    /// Hidden state `[batch, d]`, cells `[batch, n_start, d]`.
    pub(super) start: [Ptr<S>; 2],
    /// `[batch, out_rows, d]`
    pub(super) out: Ptr<S>,
}

/// What a member needs for one chunk at a time.
pub(super) struct Scratch<S> {
    x: Vec<S>,
    query: Vec<S>,
    read: Vec<S>,
    pub(super) normed: Vec<S>,
    mask: Vec<S>,
    weights: Vec<S>,
    share: [S; ROWS],
}

impl<S: Tables> Kernel<S> for Forward<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { sizes, plan, partials, .. } = &self;
        let Sizes { time, d, d_in, n_heads, window, n_start, .. } = *sizes;
        let by_slot = plan.coupled && plan.normalises_keys && plan.ages.is_none();
        let by_age = plan.coupled && plan.normalises_keys && plan.ages.is_some();
        let zeros = |n: usize| vec![S::ZERO; n * ROWS];
        let mut scratch = Scratch {
            x: zeros(d_in),
            query: zeros(d),
            read: zeros(d),
            normed: zeros(d),
            mask: zeros(d.max(n_heads * window)),
            weights: zeros(window),
            share: [S::ZERO; ROWS],
        };
        let mut now = Now::new(plan, sizes, self.seen);
        // The slot that stands first in memory.
        let mut base = 0;
        unsafe {
            for chunk in self.chunks.clone() {
                self.start::<V>(chunk, by_slot);
            }
            if by_slot {
                self.barrier.wait();
                (0..n_start).for_each(|slot| now.merge_slot(partials, sizes, slot));
            }
            for t in 0..time {
                if n_start + t - base == self.memory.capacity {
                    self.chunks.clone().for_each(|chunk| self.shift(chunk));
                    base += self.memory.capacity - window;
                }
                let slot = n_start + t - base;
                if plan.ages.is_some() {
                    for chunk in self.chunks.clone() {
                        self.age::<V>(chunk, t, slot, by_age);
                    }
                }
                if by_age {
                    self.barrier.wait();
                    now.merge_aged(partials, sizes, t);
                }
                if by_slot {
                    now.merge_window(sizes, t);
                }
                for chunk in self.chunks.clone() {
                    self.attend::<V>(chunk, t, slot, &now.norms, &mut scratch);
                }
                if plan.coupled {
                    self.barrier.wait();
                    now.merge_site(partials, sizes, Site::Attention, t);
                }
                for chunk in self.chunks.clone() {
                    self.gate::<V>(chunk, t, slot, &now.norms, &mut scratch);
                }
                if plan.coupled {
                    self.barrier.wait();
                    now.merge_site(partials, sizes, Site::Cell, t);
                }
                for chunk in self.chunks.clone() {
                    self.push::<V>(chunk, t, slot, &now.norms, by_slot);
                }
                if plan.coupled {
                    self.barrier.wait();
                    now.merge_site(partials, sizes, Site::Hidden, t);
                    if by_slot {
                        now.merge_slot(partials, sizes, n_start + t);
                    }
                }
                for chunk in self.chunks.clone() {
                    self.finish::<V>(chunk, t, &now.norms, &mut scratch);
                }
            }
        }
    }
}

impl<S: Tables> Forward<'_, S> {
    /// Takes the start of a chunk into memory, with the keys and values of its cells.
    #[inline(always)]
    unsafe fn start<V: Vector<Scalar = S>>(&self, chunk: usize, by_slot: bool) {
        let Sizes { d, n_start, .. } = self.sizes;
        let (rows, place) = (self.sizes.rows(chunk), self.memory.place(chunk));
        let [hidden, cells] = self.start;
        unsafe {
            let to = self.memory.hidden.at(place, 0);
            to.write_bytes(0, d * ROWS);
            transpose(rows, d, hidden.at(chunk * ROWS * d), d, to, ROWS);
            for slot in 0..n_start {
                let to = self.memory.cells.at(place, slot);
                to.write_bytes(0, d * ROWS);
                let from = cells.at((chunk * ROWS * n_start + slot) * d);
                transpose(rows, d, from, n_start * d, to, ROWS);
                self.project::<V>(chunk, slot, slot, by_slot);
            }
        }
    }

    /// Keys and values of the cell in a slot of the memory, whose number is `slot`.
    #[inline(always)]
    unsafe fn project<V: Vector<Scalar = S>>(
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

    /// Moves the window to the front of the memory.
    unsafe fn shift(&self, chunk: usize) {
        let Sizes { d, window, .. } = self.sizes;
        let (place, from) = (self.memory.place(chunk), self.memory.capacity - window);
        let Memory { cells, key_value, .. } = self.memory;
        for (blocks, n) in [(cells, d), (key_value, 2 * d)] {
            unsafe {
                std::ptr::copy(blocks.at(place, from), blocks.at(place, 0), window * n * ROWS);
            }
        }
    }

    /// Keys and values of the window at their age.
    #[inline(always)]
    unsafe fn age<V: Vector<Scalar = S>>(&self, chunk: usize, t: usize, slot: usize, by_age: bool) {
        let Sizes { d, window, .. } = self.sizes;
        let (n, place) = (self.sizes.n_cells(t), self.memory.place(chunk));
        let raw = self.memory.key_value.at(place, slot - n);
        let aged = self.memory.aged.at(place, 0);
        unsafe { aged_window::<V, S>(self.plan, [n, d, window], raw, aged) };
        if by_age {
            let (mask, rows) = (self.sizes.mask::<S>(chunk), self.sizes.rows(chunk));
            let to = self.partials.slot(0, chunk);
            unsafe { window_moments::<V>([n, 2 * d], rows, aged, mask.as_ptr(), to) };
        }
    }

    /// First part of the gates, query, and attention before its norm.
    #[inline(always)]
    unsafe fn attend<V: Vector<Scalar = S>>(
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
                    let [mean, inverse, gamma, beta] =
                        [value.mean[f], value.inverse[f], value.gamma[f], value.beta[f]]
                            .map(|x| V::splat(x));
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

    /// Moments of a block before its norm, where they are those of the batch.
    #[inline(always)]
    unsafe fn hand_in<V: Vector<Scalar = S>>(&self, site: Site, chunk: usize, x: *const S) {
        if self.plan.coupled {
            let (mask, rows) = (self.sizes.mask::<S>(chunk), self.sizes.rows(chunk));
            let to = self.partials.site(site, chunk);
            unsafe { moments::<V>(self.sizes.d, rows, x, mask.as_ptr(), to) };
        }
    }

    /// Gates, and the cell before its norm.
    #[inline(always)]
    unsafe fn gate<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        slot: usize,
        norms: &[NormWeights<S>; 5],
        scratch: &mut Scratch<S>,
    ) {
        let (d, plan, memory) = (self.sizes.d, self.plan, self.memory);
        let place = memory.place(chunk);
        let (gates, a) = (memory.gates.at(place, t), scratch.normed.as_mut_ptr());
        let cell = memory.cells.at(place, slot);
        let past = memory.cells.at(place, slot - 1);
        let bias = plan.gates_bias.as_ptr();
        unsafe {
            normalise::<V, S>(
                d,
                memory.attention.at(place, t),
                &norms[Site::Attention as usize],
                a,
            );
            product::<V>([4 * d, d], (plan.attention_t.as_ptr(), d), a, gates, true);
            for f in 0..d {
                let b = [0, 1, 2, 3].map(|gate| V::splat(*bias.add(gate * d + f)));
                for at in (f * ROWS..(f + 1) * ROWS).step_by(V::LANES) {
                    let z = |gate: usize| gates.add(gate * d * ROWS + at);
                    let g = tanh(V::load(z(0)).add(b[0]));
                    let forget = sigmoid(V::load(z(1)).add(b[1]));
                    let i = sigmoid(V::load(z(2)).add(b[2]));
                    let o = sigmoid(V::load(z(3)).add(b[3]));
                    g.store(z(0));
                    forget.store(z(1));
                    i.store(z(2));
                    o.store(z(3));
                    g.mul_add(i, V::load(past.add(at)).mul(forget)).store(cell.add(at));
                }
            }
            self.hand_in::<V>(Site::Cell, chunk, cell);
        }
    }

    /// The cell, its keys and values, and the hidden state before its norm.
    #[inline(always)]
    unsafe fn push<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        slot: usize,
        norms: &[NormWeights<S>; 5],
        by_slot: bool,
    ) {
        let Sizes { time, d, n_start, .. } = self.sizes;
        let (memory, place) = (self.memory, self.memory.place(chunk));
        let cell = memory.cells.at(place, slot);
        let (o, e) =
            (memory.gates.at(place, t).wrapping_add(3 * d * ROWS), memory.hidden.at(place, t + 1));
        unsafe {
            normalise::<V, S>(d, cell, &norms[Site::Cell as usize], cell);
            for at in (0..d * ROWS).step_by(V::LANES) {
                V::load(o.add(at)).mul(elu(V::load(cell.add(at)))).store(e.add(at));
            }
            self.hand_in::<V>(Site::Hidden, chunk, e);
            self.project::<V>(chunk, slot, n_start + t, by_slot);
            let n_out = self.sizes.n_out();
            if t + n_out >= time {
                self.write(chunk, t + n_out, cell);
            }
        }
    }

    /// The result of a step and the hidden state after it.
    #[inline(always)]
    unsafe fn finish<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        norms: &[NormWeights<S>; 5],
        scratch: &mut Scratch<S>,
    ) {
        let Sizes { time, d, .. } = self.sizes;
        let (plan, place) = (self.plan, self.memory.place(chunk));
        let hidden = self.memory.hidden.at(place, t + 1);
        unsafe {
            normalise::<V, S>(d, hidden, &norms[Site::Hidden as usize], hidden);
            let mut result = hidden;
            if let Some(source) = &plan.output_mask {
                let mask = scratch.mask.as_mut_ptr();
                source.fill(&self.sizes, chunk, t, 0..d, mask);
                if !plan.carried {
                    result = scratch.normed.as_mut_ptr();
                }
                for at in (0..d * ROWS).step_by(V::LANES) {
                    V::load(hidden.add(at)).mul(V::load(mask.add(at))).store(result.add(at));
                }
            }
            self.write(chunk, t, result);
            if t + 1 == time {
                self.write(chunk, self.sizes.out_rows() - 1, hidden);
            }
        }
    }

    /// A block to a row of the result.
    #[inline(always)]
    unsafe fn write(&self, chunk: usize, row: usize, from: *const S) {
        let (d, out_rows) = (self.sizes.d, self.sizes.out_rows());
        let to = self.out.at((chunk * ROWS * out_rows + row) * d);
        unsafe { transpose(d, self.sizes.rows(chunk), from, ROWS, to, out_rows * d) };
    }
}

/// `(x − mean) · inverse · gamma + beta`; both may be the same block.
#[inline(always)]
pub(super) unsafe fn normalise<V: Vector<Scalar = S>, S: Tables>(
    d: usize,
    x: *const S,
    norm: &NormWeights<S>,
    to: *mut S,
) {
    for f in 0..d {
        unsafe {
            let [mean, inverse, gamma, beta] =
                [norm.mean[f], norm.inverse[f], norm.gamma[f], norm.beta[f]].map(|x| V::splat(x));
            for at in (f * ROWS..(f + 1) * ROWS).step_by(V::LANES) {
                let x = V::load(x.add(at)).sub(mean).mul(inverse);
                x.mul_add(gamma, beta).store(to.add(at));
            }
        }
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
