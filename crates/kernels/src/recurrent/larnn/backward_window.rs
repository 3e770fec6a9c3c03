//! Back through the window: from what the heads read to queries, keys and values.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use super::attention::{aged_window, scale};
use super::backward::{BackwardScan, Common, Scratch};
use super::lanes::{ROWS, Return, dot_cells, elu_slope, product};
use super::plan::Sizes;
use super::setting::Site;
use crate::cpu::math::Tables;
use crate::cpu::simd::{Scalar, Vector, load_each, splat_each};

impl<S: Tables> BackwardScan<'_, S> {
    /// `α_t` and `δ_t` out of what the chunks handed in at step `t`.
    pub(super) unsafe fn slopes(&self, t: usize, common: &mut Common<S>) {
        let d = self.sizes.d;
        let rows = (self.sizes.batch * self.sizes.n_cells(t)) as f64;
        let merged = |i: usize| -> f64 {
            let of = |chunk| unsafe { *self.partials.slot(0, chunk).add(i) };
            (0..self.sizes.chunks()).map(of).sum::<f64>() / rows
        };
        for (first, site) in [(0, Site::Key), (d, Site::Value)] {
            let norm = &common.now.norms[site as usize];
            for f in 0..d {
                let [gamma, inverse, mean] =
                    [norm.gamma[f], norm.inverse[f], norm.mean[f]].map(Scalar::to_f64);
                let alpha = gamma * inverse * inverse * merged(first + f);
                let shift = if first == 0 { 0.0 } else { gamma * inverse * merged(2 * d + f) };
                common.slopes[0][t * 2 * d + first + f] = alpha;
                common.slopes[1][t * 2 * d + first + f] = alpha * mean - shift;
            }
        }
    }

    /// Sums `α` and `δ` over the steps that attend to a slot.
    pub(super) fn leave(&self, slot: usize, common: &mut Common<S>) {
        let Sizes { time, d, window, n_start, .. } = self.sizes;
        let first = (slot + 1).saturating_sub(n_start);
        let end = (slot + 1 + window).saturating_sub(n_start).min(time);
        for (slopes, left) in common.slopes.iter().zip(&mut common.left) {
            for (i, left) in left.iter_mut().enumerate() {
                *left = S::from_f64((first..end).map(|t| slopes[t * 2 * d + i]).sum());
            }
        }
    }

    /// Keys and values of a slot that no step before attends to: adds what they return to `to`.
    #[inline(always)]
    pub(super) unsafe fn close<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        slot: usize,
        to: *mut S,
    ) {
        let (d, plan, left) = (self.sizes.d, self.plan, &self.common().left);
        let grad = self.grads.key_value.at(chunk, slot);
        let value = self.memory.key_value.at(chunk, slot);
        let lanes = self.sizes.mask::<S>(chunk);
        unsafe {
            if plan.ages.is_none() && !plan.linear {
                for (f, (&alpha, &delta)) in left[0].iter().zip(&left[1]).enumerate().take(2 * d) {
                    let [alpha, delta] = splat_each::<V, 2>([alpha, delta]);
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

    /// From the gradient of what the heads read, in `scratch.grad`, to query, keys and values.
    #[expect(
        clippy::too_many_lines,
        reason = "one pass over the window, whose parts share registers"
    )]
    #[inline(always)]
    pub(super) unsafe fn read_out<V: Vector<Scalar = S>>(
        &self,
        chunk: usize,
        t: usize,
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
        let (key, value) = (self.norm(Site::Key), self.norm(Site::Value));
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
                let cells = Return {
                    weight: weights,
                    score: scores,
                    grad: through.add(part),
                    query: scaled.add(part),
                    key: uv.add(part),
                    d_value: d_uv.add(d * ROWS + part),
                    d_key: d_uv.add(part),
                    step,
                    out: scratch.normed.as_mut_ptr().add(part),
                };
                cells.run::<V>(n, d_head);
                for f in features {
                    let at = f * ROWS;
                    let slope = splat_each::<V, 2>([value.gamma[f], value.beta[f]]);
                    let mut sums = [V::zero(); 3];
                    let key_scale = key.inverse[f].mul(S::from_f64(root));
                    let query_scale = V::splat(key_scale.mul(key.gamma[f]));
                    for l in (0..ROWS).step_by(V::LANES) {
                        let [dr, r, q, w] = load_each::<V, 4>([
                            d_read.add(at + l),
                            read.add(at + l),
                            query.add(at + l),
                            scratch.normed.as_ptr().add(at + l),
                        ]);
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
                    let (dot, sum) = (sums[1].sum().to_f64(), sums[2].sum().to_f64());
                    let key_dot = sums[0].sum().to_f64() * key_scale.to_f64();
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
    pub(super) unsafe fn age<V: Vector<Scalar = S>>(&self, chunk: usize, t: usize) {
        let Sizes { d, window, n_start, .. } = self.sizes;
        let n = self.sizes.n_cells(t);
        let lanes = self.sizes.mask::<S>(chunk);
        for j in 0..n {
            let value = self.memory.aged.at(chunk, j);
            let grad = self.grads.aged.at(chunk, j);
            let to = self.grads.key_value.at(chunk, n_start + t - n + j);
            let age = self.grads.ages.at(chunk, window - n + j);
            for f in 0..2 * d {
                let slope = |i: usize| S::from_f64(self.common().slopes[i][t * 2 * d + f]);
                let [alpha, delta] =
                    if self.plan.by_age() { [slope(0), slope(1)] } else { [S::ZERO, S::ZERO] };
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
}
