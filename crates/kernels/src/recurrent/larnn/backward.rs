//! Back through all steps, in the phases of the forward pass.
//!
//! ```text
//! y = γ x̂ + β of a batch norm over n rows:  ∂x = γ/s (∂y − mean ∂y − x̂ mean(∂y ⊙ x̂))
//! keys and values in the window of step t:   ∂x += −α_t x + δ_t for every cell of the window,
//!   α_t = γ/s² mean(∂y ⊙ x̂)      δ_t = α_t μ − γ/s mean ∂y      the same for all rows
//! ```
//!
//! so that a cell needs the sums of `α` and `δ` over the steps that attend to it, once, when it is
//! left. `Σ_j ∂scores_j = 0` makes `mean ∂y` of the keys vanish.
//!
//! Gradients take the place of what they no longer need: those of gates and query that of the gates,
//! the read-out that of its normalised form, the normed attention that of the attention.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use std::ops::Range;

use super::forward::{aged_window, normalise, scale};
use super::lanes::{ROWS, add_outer, add_sums, dot_cells, elu, elu_slope, product, sum_cells};
use super::plan::{Blocks, Memory, NormWeights, Plan, Sizes};
use super::setting::Site;
use super::statistics::{Now, PartialsPtr};
use super::team::Barrier;
use crate::cpu::dispatch::Kernel;
use crate::cpu::math::Tables;
use crate::cpu::matmul::transpose;
use crate::cpu::simd::{Scalar, Vector};
use crate::cpu::view::Ptr;

/// Gradients on the way back, beside those that take another's place.
pub(super) struct Grads<S> {
    /// `[d]`: what the next step returns for the hidden state, the cell, the attention.
    pub(super) hidden: Blocks<S>,
    pub(super) cell: Blocks<S>,
    pub(super) attention: Blocks<S>,
    /// `[d]` by step: before the ELU of the attention.
    pub(super) output: Blocks<S>,
    /// `[2 d]` by slot: keys and values, before their ELU once the slot is left.
    pub(super) key_value: Blocks<S>,
    /// With positions: `[2 d]` by place in the window, of the step at hand and over all steps.
    pub(super) aged: Blocks<S>,
    pub(super) ages: Blocks<S>,
    /// Of `γ`, then `β`, by site: `[chunks, 2, 5, d]`.
    pub(super) norms: Ptr<f64>,
}

/// One member of the team, with its chunks of the batch.
pub(super) struct Backward<'a, S> {
    pub(super) sizes: Sizes,
    pub(super) plan: &'a Plan<S>,
    pub(super) memory: &'a Memory<S>,
    pub(super) grads: &'a Grads<S>,
    pub(super) chunks: Range<usize>,
    pub(super) barrier: &'a Barrier,
    pub(super) partials: PartialsPtr,
    /// What the norms saw, as the forward pass wrote it; empty without batch statistics.
    pub(super) seen: &'a [f64],
    /// Gradient of the result, `[batch, out_rows, d]`.
    pub(super) out: Ptr<S>,
    /// Where the gradients of the start go.
    pub(super) start: [Ptr<S>; 2],
}

/// What a member needs for one chunk at a time, and the coefficients that all its chunks share.
struct Scratch<S> {
    grad: Vec<S>,
    normed: Vec<S>,
    mask: Vec<S>,
    weights: Vec<S>,
    scores: Vec<S>,
    query: Vec<S>,
    read: Vec<S>,
    /// Means of `∂y` and of `∂y ⊙ x̂`.
    means: [Vec<S>; 2],
    /// `α` and `δ`, `[time, 2 d]`, and their sums over the steps that attend to a slot.
    slopes: [Vec<f64>; 2],
    left: [Vec<S>; 2],
}

impl<S: Tables> Scratch<S> {
    fn new(sizes: &Sizes) -> Self {
        let Sizes { time, d, window, .. } = *sizes;
        let zeros = |n: usize| vec![S::ZERO; n * ROWS];
        let pair = |n: usize| [vec![S::ZERO; n], vec![S::ZERO; n]];
        Self {
            grad: zeros(d),
            normed: zeros(d),
            mask: zeros(d.max(window)),
            weights: zeros(window),
            scores: zeros(window),
            query: zeros(d),
            read: zeros(d),
            means: pair(d),
            slopes: [vec![0.0; time * 2 * d], vec![0.0; time * 2 * d]],
            left: pair(2 * d),
        }
    }
}

impl<S: Tables> Kernel<S> for Backward<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { sizes, plan, .. } = &self;
        let Sizes { time, n_start, .. } = *sizes;
        let by_age = plan.coupled && plan.normalises_keys && plan.ages.is_some();
        let by_slot = plan.coupled && plan.normalises_keys && plan.ages.is_none();
        let mut scratch = Scratch::new(sizes);
        let mut now = Now::new(plan, sizes, None);
        let meet = || {
            if plan.coupled {
                self.barrier.wait();
            }
        };
        unsafe {
            for chunk in self.chunks.clone() {
                self.begin(chunk);
            }
            for t in (0..time).rev() {
                if plan.coupled {
                    let sites = if plan.normalises_keys { 5 } else { 3 };
                    for site in &Site::ALL[..sites] {
                        now.recall(sizes, *site, t, self.seen);
                    }
                }
                for chunk in self.chunks.clone() {
                    self.hidden::<V>(chunk, t, &now.norms, &mut scratch);
                }
                meet();
                if by_slot && t + 1 < time {
                    self.slopes(t + 1, &mut now, &mut scratch);
                    self.leave(n_start + t, &mut scratch);
                }
                self.means(Site::Hidden, &mut scratch);
                for chunk in self.chunks.clone() {
                    self.cell::<V>(chunk, t, &now.norms, &mut scratch);
                }
                meet();
                self.means(Site::Cell, &mut scratch);
                for chunk in self.chunks.clone() {
                    self.gates::<V>(chunk, t, &now.norms, &mut scratch);
                }
                meet();
                self.means(Site::Attention, &mut scratch);
                for chunk in self.chunks.clone() {
                    self.attend::<V>(chunk, t, &now.norms, &mut scratch);
                }
                if by_age {
                    meet();
                    self.slopes(t, &mut now, &mut scratch);
                }
                if plan.ages.is_some() {
                    for chunk in self.chunks.clone() {
                        self.age::<V>(chunk, t, by_age, &scratch);
                    }
                }
            }
            if by_slot {
                meet();
                self.slopes(0, &mut now, &mut scratch);
            }
            for slot in (0..n_start).rev() {
                if by_slot {
                    self.leave(slot, &mut scratch);
                }
                for chunk in self.chunks.clone() {
                    self.end::<V>(chunk, slot, &mut scratch);
                }
            }
        }
    }
}

impl<S: Tables> Backward<'_, S> {
    /// Gradients behind the last step: that of the last hidden state, else zeros.
    unsafe fn begin(&self, chunk: usize) {
        let Sizes { d, window, .. } = self.sizes;
        let Grads { hidden, cell, key_value, ages, .. } = self.grads;
        unsafe {
            self.read(chunk, self.sizes.out_rows() - 1, hidden.at(chunk, 0));
            cell.at(chunk, 0).write_bytes(0, d * ROWS);
            key_value.at(chunk, 0).write_bytes(0, self.sizes.slots() * 2 * d * ROWS);
            if self.plan.ages.is_some() {
                ages.at(chunk, 0).write_bytes(0, window * 2 * d * ROWS);
            }
            let norms = self.grads.norms.at(chunk * 10 * d);
            norms.write_bytes(0, 10 * d);
        }
    }

    /// A row of the result's gradient as a block.
    #[inline(always)]
    unsafe fn read(&self, chunk: usize, row: usize, to: *mut S) {
        let (d, out_rows) = (self.sizes.d, self.sizes.out_rows());
        let from = self.out.at((chunk * ROWS * out_rows + row) * d);
        unsafe {
            to.write_bytes(0, d * ROWS);
            transpose(self.sizes.rows(chunk), d, from, out_rows * d, to, ROWS);
        }
    }

    /// Hands in `Σ ∂y` and `Σ ∂y x̂` of a norm, which are also the gradients of `β` and `γ`.
    #[inline(always)]
    unsafe fn hand_in<V: Vector<Scalar = S>>(
        &self,
        site: Site,
        chunk: usize,
        dy: *const S,
        x_hat: *const S,
    ) {
        let d = self.sizes.d;
        let mask = self.sizes.mask::<S>(chunk);
        let to = self.partials.site(site, chunk);
        for f in 0..d {
            unsafe {
                let at = f * ROWS;
                let [sum, dot] = add_sums::<V>(dy.add(at), x_hat.add(at), mask.as_ptr());
                *to.add(f) = sum;
                *to.add(d + f) = dot;
                self.add_norm(chunk, site, f, dot, sum);
            }
        }
    }

    #[inline(always)]
    unsafe fn add_norm(&self, chunk: usize, site: Site, f: usize, gamma: f64, beta: f64) {
        let d = self.sizes.d;
        let to = self.grads.norms.at(chunk * 10 * d + site as usize * d + f);
        unsafe {
            *to += gamma;
            *to.add(5 * d) += beta;
        }
    }

    /// Means over the batch of what the chunks handed in; zero where rows are independent.
    #[inline(always)]
    unsafe fn means(&self, site: Site, scratch: &mut Scratch<S>) {
        let d = self.sizes.d;
        if !self.plan.coupled {
            return;
        }
        for (part, means) in scratch.means.iter_mut().enumerate() {
            for (f, mean) in means.iter_mut().enumerate() {
                let sum: f64 = (0..self.sizes.chunks())
                    .map(|chunk| unsafe { *self.partials.site(site, chunk).add(part * d + f) })
                    .sum();
                *mean = S::from_f64(sum / self.sizes.batch as f64);
            }
        }
    }

    /// `α_t` and `δ_t` out of what the chunks handed in at step `t`.
    #[inline(always)]
    unsafe fn slopes(&self, t: usize, now: &mut Now<S>, scratch: &mut Scratch<S>) {
        let d = self.sizes.d;
        let rows = (self.sizes.batch * self.sizes.n_cells(t)) as f64;
        let merged = |i: usize| -> f64 {
            let of = |chunk| unsafe { *self.partials.slot(0, chunk).add(i) };
            (0..self.sizes.chunks()).map(of).sum::<f64>() / rows
        };
        for (first, site) in [(0, Site::Key), (d, Site::Value)] {
            now.recall(&self.sizes, site, t, self.seen);
            let norm = &now.norms[site as usize];
            for f in 0..d {
                let [gamma, inverse, mean] =
                    [norm.gamma[f], norm.inverse[f], norm.mean[f]].map(|x| x.to_f64());
                let alpha = gamma * inverse * inverse * merged(first + f);
                let shift = if first == 0 { 0.0 } else { gamma * inverse * merged(2 * d + f) };
                scratch.slopes[0][t * 2 * d + first + f] = alpha;
                scratch.slopes[1][t * 2 * d + first + f] = alpha * mean - shift;
            }
        }
        // The caller is at another step by now.
        if t > 0 && self.plan.ages.is_none() {
            for site in [Site::Key, Site::Value] {
                now.recall(&self.sizes, site, t - 1, self.seen);
            }
        }
    }

    /// Sums `α` and `δ` over the steps that attend to a slot.
    #[inline(always)]
    fn leave(&self, slot: usize, scratch: &mut Scratch<S>) {
        let Sizes { time, d, window, n_start, .. } = self.sizes;
        let first = (slot + 1).saturating_sub(n_start);
        let end = (slot + 1 + window).saturating_sub(n_start).min(time);
        for (slopes, left) in scratch.slopes.iter().zip(&mut scratch.left) {
            for (i, left) in left.iter_mut().enumerate() {
                *left = S::from_f64((first..end).map(|t| slopes[t * 2 * d + i]).sum());
            }
        }
    }

    /// `∂y` of the norm of the hidden state.
    #[inline(always)]
    unsafe fn hidden<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        norms: &[NormWeights<S>; 5],
        scratch: &mut Scratch<S>,
    ) {
        let (d, plan) = (self.sizes.d, self.plan);
        let dh = self.grads.hidden.at(chunk, 0);
        let (grad, mask) = (scratch.grad.as_mut_ptr(), scratch.mask.as_mut_ptr());
        unsafe {
            self.read(chunk, t, grad);
            if let Some(source) = &plan.output_mask {
                source.fill(&self.sizes, chunk, t, 0..d, mask);
                for at in (0..d * ROWS).step_by(V::LANES) {
                    let [g, dh_at, mask] = [grad, dh, mask].map(|x| V::load(x.add(at)));
                    let both =
                        if plan.carried { g.add(dh_at).mul(mask) } else { g.mul_add(mask, dh_at) };
                    both.store(dh.add(at));
                }
            } else {
                for at in (0..d * ROWS).step_by(V::LANES) {
                    V::load(grad.add(at)).add(V::load(dh.add(at))).store(dh.add(at));
                }
            }
            let x_hat = scratch.normed.as_mut_ptr();
            self.hidden_x_hat::<V>(chunk, t, norms, x_hat);
            self.hand_in::<V>(Site::Hidden, chunk, dh, x_hat);
        }
    }

    /// The hidden state of a step, normalised but for `γ` and `β`.
    #[inline(always)]
    unsafe fn hidden_x_hat<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        norms: &[NormWeights<S>; 5],
        to: *mut S,
    ) {
        let Sizes { d, n_start, .. } = self.sizes;
        let o = self.memory.gates.at(chunk, t).wrapping_add(3 * d * ROWS);
        let cell = self.memory.cells.at(chunk, n_start + t);
        let norm = &norms[Site::Hidden as usize];
        for f in 0..d {
            unsafe {
                let [mean, inverse] = [norm.mean[f], norm.inverse[f]].map(|x| V::splat(x));
                for at in (f * ROWS..(f + 1) * ROWS).step_by(V::LANES) {
                    let e = V::load(o.add(at)).mul(elu(V::load(cell.add(at))));
                    e.sub(mean).mul(inverse).store(to.add(at));
                }
            }
        }
    }

    /// Back through a norm: `∂x` of feature `f` at `at`, zero in lanes without a row.
    #[inline(always)]
    unsafe fn through_norm<V: Vector<Scalar = S>>(
        norm: &NormWeights<S>,
        means: &[Vec<S>; 2],
        f: usize,
        [dy, x_hat, mask]: [V; 3],
    ) -> V {
        unsafe {
            let slope = V::splat(norm.gamma[f].mul(norm.inverse[f]));
            let [mean, dot] = [means[0][f], means[1][f]].map(|x| V::splat(x));
            dy.sub(mean).sub(x_hat.mul(dot)).mul(slope).mul(mask)
        }
    }

    /// `∂y` of the norm of the cell, and the gradient of the output gate.
    #[inline(always)]
    unsafe fn cell<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        norms: &[NormWeights<S>; 5],
        scratch: &mut Scratch<S>,
    ) {
        let Sizes { time, d, n_start, .. } = self.sizes;
        let slot = n_start + t;
        let gates = self.memory.gates.at(chunk, t);
        let [cell, past] = [slot, slot - 1].map(|slot| self.memory.cells.at(chunk, slot));
        let (dh, dc) = (self.grads.hidden.at(chunk, 0), self.grads.cell.at(chunk, 0));
        let (grad, x_hat) = (scratch.grad.as_mut_ptr(), scratch.normed.as_mut_ptr());
        let lanes = self.sizes.mask::<S>(chunk);
        unsafe {
            if t + 1 < time {
                self.close::<V>(chunk, slot, dc, scratch);
            }
            if t + self.sizes.n_out() >= time {
                self.read(chunk, t + self.sizes.n_out(), grad);
                for at in (0..d * ROWS).step_by(V::LANES) {
                    V::load(dc.add(at)).add(V::load(grad.add(at))).store(dc.add(at));
                }
            }
            self.hidden_x_hat::<V>(chunk, t, norms, x_hat);
            let (norm, inner) = (&norms[Site::Hidden as usize], &norms[Site::Cell as usize]);
            for f in 0..d {
                let [mean, inverse] = [inner.mean[f], inner.inverse[f]].map(|x| V::splat(x));
                for l in (0..ROWS).step_by(V::LANES) {
                    let at = f * ROWS + l;
                    let gate = |i: usize| gates.add(i * d * ROWS + at);
                    let [dh, x, lanes] =
                        [dh.add(at).cast_const(), x_hat.add(at), lanes.as_ptr().add(l)]
                            .map(|x| V::load(x));
                    let de = Self::through_norm(norm, &scratch.means, f, [dh, x, lanes]);
                    let [g, forget, i, o] = [0, 1, 2, 3].map(|i| V::load(gate(i)));
                    let squashed = elu(V::load(cell.add(at)));
                    let d_cell = de.mul(o).mul_add(elu_slope(squashed), V::load(dc.add(at)));
                    d_cell.store(dc.add(at));
                    de.mul(squashed).mul(slope_of_sigmoid(o)).store(gate(3));
                    let before = g.mul_add(i, V::load(past.add(at)).mul(forget));
                    before.sub(mean).mul(inverse).store(x_hat.add(at));
                }
            }
            self.hand_in::<V>(Site::Cell, chunk, dc, x_hat);
        }
    }

    /// Keys and values of a slot that no step before attends to: adds what they return to `to`.
    #[inline(always)]
    unsafe fn close<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        slot: usize,
        to: *mut S,
        scratch: &mut Scratch<S>,
    ) {
        let (d, plan) = (self.sizes.d, self.plan);
        let grad = self.grads.key_value.at(chunk, slot);
        let value = self.memory.key_value.at(chunk, slot);
        let lanes = self.sizes.mask::<S>(chunk);
        unsafe {
            if plan.ages.is_none() && !plan.linear {
                for f in 0..2 * d {
                    let [alpha, delta] =
                        [scratch.left[0][f], scratch.left[1][f]].map(|x| V::splat(x));
                    for l in (0..ROWS).step_by(V::LANES) {
                        let at = f * ROWS + l;
                        let y = V::load(value.add(at));
                        let dy = V::load(grad.add(at)).add(delta).sub(alpha.mul(y));
                        let mask = V::load(lanes.as_ptr().add(l));
                        dy.mul(elu_slope(y)).mul(mask).store(grad.add(at));
                    }
                }
            }
            product::<V>([d, 2 * d], (plan.key_value.at(0), 2 * d), grad, to, true);
        }
    }

    /// Gradients of the other gates, of the cell before, and `∂y` of the norm of the attention.
    #[inline(always)]
    unsafe fn gates<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        norms: &[NormWeights<S>; 5],
        scratch: &mut Scratch<S>,
    ) {
        let Sizes { d, d_in, n_start, .. } = self.sizes;
        let gates = self.memory.gates.at(chunk, t);
        let past = self.memory.cells.at(chunk, n_start + t - 1);
        let (dc, da) = (self.grads.cell.at(chunk, 0), self.grads.attention.at(chunk, 0));
        let lanes = self.sizes.mask::<S>(chunk);
        let norm = &norms[Site::Cell as usize];
        unsafe {
            for f in 0..d {
                let [mean, inverse] = [norm.mean[f], norm.inverse[f]].map(|x| V::splat(x));
                for l in (0..ROWS).step_by(V::LANES) {
                    let at = f * ROWS + l;
                    let gate = |i: usize| gates.add(i * d * ROWS + at);
                    let [g, forget, i] = [0, 1, 2].map(|i| V::load(gate(i)));
                    let past = V::load(past.add(at));
                    let x = g.mul_add(i, past.mul(forget)).sub(mean).mul(inverse);
                    let dy = V::load(dc.add(at));
                    let mask = V::load(lanes.as_ptr().add(l));
                    let dx = Self::through_norm(norm, &scratch.means, f, [dy, x, mask]);
                    dx.mul(i).mul(slope_of_tanh(g)).store(gate(0));
                    dx.mul(past).mul(slope_of_sigmoid(forget)).store(gate(1));
                    dx.mul(g).mul(slope_of_sigmoid(i)).store(gate(2));
                    dx.mul(forget).store(dc.add(at));
                }
            }
            let weight = self.plan.gates.at((d_in + d) * 4 * d);
            product::<V>([d, 4 * d], (weight, 4 * d), gates, da, false);
            let a = self.memory.attention.at(chunk, t);
            let x_hat = scratch.normed.as_mut_ptr();
            let norm = &norms[Site::Attention as usize];
            for f in 0..d {
                let [mean, inverse] = [norm.mean[f], norm.inverse[f]].map(|x| V::splat(x));
                for at in (f * ROWS..(f + 1) * ROWS).step_by(V::LANES) {
                    V::load(a.add(at)).sub(mean).mul(inverse).store(x_hat.add(at));
                }
            }
            self.hand_in::<V>(Site::Attention, chunk, da, x_hat);
        }
    }

    /// Gradients of attention, query, keys and values; what the hidden state before gets.
    #[inline(always)]
    unsafe fn attend<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        norms: &[NormWeights<S>; 5],
        scratch: &mut Scratch<S>,
    ) {
        let Sizes { d, d_in, .. } = self.sizes;
        let (plan, lanes) = (self.plan, self.sizes.mask::<S>(chunk));
        let gates = self.memory.gates.at(chunk, t);
        let a = self.memory.attention.at(chunk, t);
        let d_output = self.grads.output.at(chunk, t);
        let (dh, da) = (self.grads.hidden.at(chunk, 0), self.grads.attention.at(chunk, 0));
        let norm = &norms[Site::Attention as usize];
        unsafe {
            for f in 0..d {
                let [mean, inverse] = [norm.mean[f], norm.inverse[f]].map(|x| V::splat(x));
                for l in (0..ROWS).step_by(V::LANES) {
                    let at = f * ROWS + l;
                    let y = V::load(a.add(at));
                    let x = y.sub(mean).mul(inverse);
                    let (dy, mask) = (V::load(da.add(at)), V::load(lanes.as_ptr().add(l)));
                    let dx = Self::through_norm(norm, &scratch.means, f, [dy, x, mask]);
                    dx.mul(elu_slope(y)).store(d_output.add(at));
                }
            }
            normalise::<V, S>(d, a, norm, a);
            let d_read = scratch.grad.as_mut_ptr();
            product::<V>([d, d], (plan.output.at(0), d), d_output, d_read, false);
            self.read_out::<V>(chunk, t, norms, scratch);
            let (z, query) = (gates.cast_const(), gates.add(4 * d * ROWS));
            let weight = plan.gates.at(d_in * 4 * d);
            product::<V>([d, 4 * d], (weight, 4 * d), z, dh, false);
            let weight = plan.query.at(d_in * d);
            product::<V>([d, d], (weight, d), query, dh, true);
        }
    }

    /// From the gradient of what the heads read, in `scratch.grad`, to query, keys and values.
    #[inline(always)]
    unsafe fn read_out<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        norms: &[NormWeights<S>; 5],
        scratch: &mut Scratch<S>,
    ) {
        let Sizes { d, n_heads, window, n_start, .. } = self.sizes;
        let (n, d_head, plan) = (self.sizes.n_cells(t), d / n_heads, self.plan);
        let (slot, lanes) = (n_start + t - n, self.sizes.mask::<S>(chunk));
        let raw = self.memory.key_value.at(chunk, slot);
        let (uv, d_uv) = if plan.ages.is_some() {
            let (aged, grad) = (self.memory.aged.at(chunk, 0), self.grads.aged.at(chunk, 0));
            unsafe {
                aged_window::<V, S>(plan, [n, d, window], raw, aged);
                grad.write_bytes(0, n * 2 * d * ROWS);
            }
            (aged, grad)
        } else {
            (raw, self.grads.key_value.at(chunk, slot))
        };
        let step = 2 * d * ROWS;
        let query = self.memory.gates.at(chunk, t).wrapping_add(4 * d * ROWS);
        let read = self.memory.read.at(chunk, t);
        let (key, value) = (&norms[Site::Key as usize], &norms[Site::Value as usize]);
        let root = 1.0 / (d_head as f64).sqrt();
        let (scaled, d_read) = (scratch.query.as_mut_ptr(), scratch.grad.as_ptr());
        let (through, mask) = (scratch.read.as_mut_ptr(), scratch.mask.as_mut_ptr());
        let (scores, weights) = (scratch.scores.as_mut_ptr(), scratch.weights.as_mut_ptr());
        let to = self.partials.slot(0, chunk);
        unsafe {
            scale::<V, S>(d, query, key, root, scaled);
            scale::<V, S>(d, d_read, value, 1.0, through);
            for head in 0..n_heads {
                let p = self.memory.weights.at(chunk, t).add(head * window * ROWS);
                let part = head * d_head * ROWS;
                let features = head * d_head..(head + 1) * d_head;
                if let Some(source) = &plan.attention_mask {
                    let indices = head * window + window - n..(head + 1) * window;
                    source.fill(&self.sizes, chunk, t, indices, mask);
                }
                let masked = plan.attention_mask.is_some();
                let values = uv.add(d * ROWS + part).cast_const();
                dot_cells::<V>(n, d_head, through.add(part), (values, step), scores);
                let mut shares = [S::ZERO; ROWS];
                for l in (0..ROWS).step_by(V::LANES) {
                    // What a value's mean and `β` return to every weight of the head.
                    let mut constant = V::zero();
                    for f in features.clone() {
                        let slope = value.gamma[f].mul(value.inverse[f]).mul(value.mean[f]);
                        let shift = V::splat(value.beta[f].sub(slope));
                        constant = V::load(d_read.add(f * ROWS + l)).mul_add(shift, constant);
                    }
                    let (mut share, mut dot) = (V::zero(), V::zero());
                    for j in 0..n {
                        let at = j * ROWS + l;
                        let (p, dp) = (V::load(p.add(at)), V::load(scores.add(at)).add(constant));
                        let (kept, dp) = if masked {
                            let mask = V::load(mask.add(at));
                            (p.mul(mask), dp.mul(mask))
                        } else {
                            (p, dp)
                        };
                        kept.store(weights.add(at));
                        dp.store(scores.add(at));
                        share = share.add(kept);
                        dot = p.mul_add(dp, dot);
                    }
                    if !masked {
                        share = V::splat(S::ONE);
                    }
                    share.store(shares.as_mut_ptr().add(l));
                    for j in 0..n {
                        let at = j * ROWS + l;
                        let ds = V::load(scores.add(at)).sub(dot).mul(V::load(p.add(at)));
                        ds.store(scores.add(at));
                    }
                }
                add_outer::<V>(
                    n,
                    d_head,
                    weights,
                    through.add(part),
                    (d_uv.add(d * ROWS + part), step),
                );
                add_outer::<V>(n, d_head, scores, scaled.add(part), (d_uv.add(part), step));
                let returned = scratch.normed.as_mut_ptr().add(part);
                sum_cells::<V>(n, d_head, scores, (uv.add(part).cast_const(), step), returned);

                for f in features {
                    let at = f * ROWS;
                    let slope = [value.gamma[f], value.beta[f]].map(|x| V::splat(x));
                    let mut sums = [V::zero(); 3];
                    let key_scale = key.inverse[f].mul(S::from_f64(root));
                    let query_scale = V::splat(key_scale.mul(key.gamma[f]));
                    for l in (0..ROWS).step_by(V::LANES) {
                        let [dr, r, q, w] = [
                            d_read.add(at + l),
                            read.add(at + l).cast_const(),
                            query.add(at + l).cast_const(),
                            scratch.normed.as_ptr().add(at + l),
                        ]
                        .map(|x| V::load(x));
                        let lanes = V::load(lanes.as_ptr().add(l));
                        let share = V::load(shares.as_ptr().add(l));
                        let dr = dr.mul(lanes);
                        sums[0] = q.mul(w).mul_add(lanes, sums[0]);
                        sums[1] = dr.mul_add(r, sums[1]);
                        sums[2] = dr.mul_add(share, sums[2]);
                        r.mul_add(slope[0], slope[1].mul(share)).store(read.add(at + l));
                        let dq = w.mul(query_scale).mul(elu_slope(q)).mul(lanes);
                        dq.store(query.add(at + l));
                    }
                    let [key_dot, dot, sum] = sums.map(|sum| sum.sum().to_f64());
                    let key_dot = key_dot * key_scale.to_f64();
                    if plan.normalises_keys {
                        *to.add(f) = key_dot;
                        *to.add(d + f) = dot;
                        *to.add(2 * d + f) = sum;
                        self.add_norm(chunk, Site::Key, f, key_dot, 0.0);
                        self.add_norm(chunk, Site::Value, f, dot, sum);
                    }
                }
            }
        }
    }

    /// With positions: from keys and values at their age to those of the cells and of the ages.
    #[inline(always)]
    unsafe fn age<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        by_age: bool,
        scratch: &Scratch<S>,
    ) {
        let Sizes { d, window, n_start, .. } = self.sizes;
        let n = self.sizes.n_cells(t);
        let lanes = self.sizes.mask::<S>(chunk);
        for j in 0..n {
            let value = self.memory.aged.at(chunk, j);
            let grad = self.grads.aged.at(chunk, j);
            let to = self.grads.key_value.at(chunk, n_start + t - n + j);
            let age = self.grads.ages.at(chunk, window - n + j);
            for f in 0..2 * d {
                let slope = |i: usize| S::from_f64(scratch.slopes[i][t * 2 * d + f]);
                let [alpha, delta] = if by_age { [slope(0), slope(1)] } else { [S::ZERO, S::ZERO] };
                for l in (0..ROWS).step_by(V::LANES) {
                    let at = f * ROWS + l;
                    unsafe {
                        let y = V::load(value.add(at));
                        let mut dy = V::load(grad.add(at));
                        if !self.plan.linear {
                            dy = dy.add(V::splat(delta)).sub(V::splat(alpha).mul(y));
                            dy = dy.mul(elu_slope(y));
                        }
                        let dy = dy.mul(V::load(lanes.as_ptr().add(l)));
                        V::load(to.add(at)).add(dy).store(to.add(at));
                        V::load(age.add(at)).add(dy).store(age.add(at));
                    }
                }
            }
        }
    }

    /// Gradients of a cell of the start, and of the hidden state with the last of them.
    #[inline(always)]
    unsafe fn end<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        slot: usize,
        scratch: &mut Scratch<S>,
    ) {
        let Sizes { d, n_start, .. } = self.sizes;
        let (dh, dc) = (self.grads.hidden.at(chunk, 0), self.grads.cell.at(chunk, 0));
        let [hidden, cells] = self.start;
        let (rows, first) = (self.sizes.rows(chunk), chunk * ROWS);
        unsafe {
            if slot + 1 == n_start {
                transpose(d, rows, dh, ROWS, hidden.at(first * d), d);
            } else {
                dc.write_bytes(0, d * ROWS);
            }
            self.close::<V>(chunk, slot, dc, scratch);
            let to = cells.at((first * n_start + slot) * d);
            transpose(d, rows, dc, ROWS, to, n_start * d);
        }
    }
}

/// `1 − y²`, the slope of `tanh` where its value is `y`.
#[inline(always)]
unsafe fn slope_of_tanh<V: Vector>(y: V) -> V {
    unsafe { V::zero().sub(y).mul_add(y, V::splat(V::Scalar::ONE)) }
}

/// `y (1 − y)`, the slope of `σ` where its value is `y`.
#[inline(always)]
unsafe fn slope_of_sigmoid<V: Vector>(y: V) -> V {
    unsafe { y.mul(V::splat(V::Scalar::ONE).sub(y)) }
}
