//! Back through one step of the cell: hidden state, cell, gates, attention.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use super::backward::{BackwardScan, Scratch};
use super::forward::normalise;
use super::lanes::{ROWS, elu, elu_slope, product};
use super::plan::{NormWeights, Sizes};
use super::setting::Site;
use crate::cpu::layout::transpose;
use crate::cpu::math::Tables;
use crate::cpu::simd::{Scalar, Vector, load_each, splat_each};

impl<S: Tables> BackwardScan<'_, S> {
    /// `∂y` of the norm of the hidden state.
    #[inline(always)]
    pub(super) unsafe fn hidden<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
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
                    let [g, dh_at, mask] =
                        load_each::<V, 3>([grad.add(at), dh.add(at), mask.add(at)]);
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
            self.hidden_x_hat::<V>(chunk, t, x_hat);
            self.hand_in::<V>(Site::Hidden, chunk, dh, x_hat);
        }
    }

    /// The hidden state of a step, normalised but for `γ` and `β`.
    #[inline(always)]
    unsafe fn hidden_x_hat<V: Vector<Scalar = S>>(&self, chunk: usize, t: usize, to: *mut S) {
        let Sizes { d, n_start, .. } = self.sizes;
        let o = self.memory.gates.at(chunk, t).wrapping_add(3 * d * ROWS);
        let cell = self.memory.cells.at(chunk, n_start + t);
        let norm = self.norm(Site::Hidden);
        for f in 0..d {
            unsafe {
                let [mean, inverse] = splat_each::<V, 2>([norm.mean[f], norm.inverse[f]]);
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
            let [mean, dot] = splat_each::<V, 2>([means[0][f], means[1][f]]);
            dy.sub(mean).sub(x_hat.mul(dot)).mul(slope).mul(mask)
        }
    }

    /// `∂y` of the norm of the cell, and the gradient of the output gate.
    #[inline(always)]
    pub(super) unsafe fn cell<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
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
                self.close::<V>(chunk, slot, dc);
            }
            if t + self.sizes.n_out() >= time {
                self.read(chunk, t + self.sizes.n_out(), grad);
                for at in (0..d * ROWS).step_by(V::LANES) {
                    V::load(dc.add(at)).add(V::load(grad.add(at))).store(dc.add(at));
                }
            }
            self.hidden_x_hat::<V>(chunk, t, x_hat);
            let (norm, inner) = (self.norm(Site::Hidden), self.norm(Site::Cell));
            for f in 0..d {
                let [mean, inverse] = splat_each::<V, 2>([inner.mean[f], inner.inverse[f]]);
                for l in (0..ROWS).step_by(V::LANES) {
                    let at = f * ROWS + l;
                    let gate = |i: usize| gates.add(i * d * ROWS + at);
                    let [dh, x, lanes] =
                        load_each::<V, 3>([dh.add(at), x_hat.add(at), lanes.as_ptr().add(l)]);
                    let de = Self::through_norm(norm, &self.common().means, f, [dh, x, lanes]);
                    let [g, forget, i, o] = load_each::<V, 4>([gate(0), gate(1), gate(2), gate(3)]);
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

    /// Gradients of the other gates, of the cell before, and `∂y` of the norm of the attention.
    #[inline(always)]
    pub(super) unsafe fn gates<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        scratch: &mut Scratch<S>,
    ) {
        let Sizes { d, d_in, n_start, .. } = self.sizes;
        let gates = self.memory.gates.at(chunk, t);
        let past = self.memory.cells.at(chunk, n_start + t - 1);
        let (dc, da) = (self.grads.cell.at(chunk, 0), self.grads.attention.at(chunk, 0));
        let lanes = self.sizes.mask::<S>(chunk);
        let norm = self.norm(Site::Cell);
        unsafe {
            for f in 0..d {
                let [mean, inverse] = splat_each::<V, 2>([norm.mean[f], norm.inverse[f]]);
                for l in (0..ROWS).step_by(V::LANES) {
                    let at = f * ROWS + l;
                    let gate = |i: usize| gates.add(i * d * ROWS + at);
                    let [g, forget, i] = load_each::<V, 3>([gate(0), gate(1), gate(2)]);
                    let past = V::load(past.add(at));
                    let x = g.mul_add(i, past.mul(forget)).sub(mean).mul(inverse);
                    let dy = V::load(dc.add(at));
                    let mask = V::load(lanes.as_ptr().add(l));
                    let dx = Self::through_norm(norm, &self.common().means, f, [dy, x, mask]);
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
            let norm = self.norm(Site::Attention);
            for f in 0..d {
                let [mean, inverse] = splat_each::<V, 2>([norm.mean[f], norm.inverse[f]]);
                for at in (f * ROWS..(f + 1) * ROWS).step_by(V::LANES) {
                    V::load(a.add(at)).sub(mean).mul(inverse).store(x_hat.add(at));
                }
            }
            self.hand_in::<V>(Site::Attention, chunk, da, x_hat);
        }
    }

    /// Gradients of attention, query, keys and values; what the hidden state before gets.
    #[inline(always)]
    pub(super) unsafe fn attend<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
        scratch: &mut Scratch<S>,
    ) {
        let Sizes { d, d_in, .. } = self.sizes;
        let (plan, lanes) = (self.plan, self.sizes.mask::<S>(chunk));
        let gates = self.memory.gates.at(chunk, t);
        let a = self.memory.attention.at(chunk, t);
        let d_output = self.grads.output.at(chunk, t);
        let (dh, da) = (self.grads.hidden.at(chunk, 0), self.grads.attention.at(chunk, 0));
        let norm = self.norm(Site::Attention);
        unsafe {
            for f in 0..d {
                let [mean, inverse] = splat_each::<V, 2>([norm.mean[f], norm.inverse[f]]);
                for l in (0..ROWS).step_by(V::LANES) {
                    let at = f * ROWS + l;
                    let y = V::load(a.add(at));
                    let x = y.sub(mean).mul(inverse);
                    let (dy, mask) = (V::load(da.add(at)), V::load(lanes.as_ptr().add(l)));
                    let dx = Self::through_norm(norm, &self.common().means, f, [dy, x, mask]);
                    dx.mul(elu_slope(y)).store(d_output.add(at));
                }
            }
            normalise::<V, S>(d, a, norm, a);
            let d_read = scratch.grad.as_mut_ptr();
            product::<V>([d, d], (plan.output.at(0), d), d_output, d_read, false);
            self.read_out::<V>(chunk, t, scratch);
            let (z, query) = (gates.cast_const(), gates.add(4 * d * ROWS));
            let weight = plan.gates.at(d_in * 4 * d);
            product::<V>([d, 4 * d], (weight, 4 * d), z, dh, false);
            let weight = plan.query.at(d_in * d);
            product::<V>([d, d], (weight, d), query, dh, true);
        }
    }

    /// Gradients of a cell of the start, and of the hidden state with the last of them.
    #[inline(always)]
    pub(super) unsafe fn end<V: Vector<Scalar = S>>(&self, chunk: usize, slot: usize) {
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
            self.close::<V>(chunk, slot, dc);
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
