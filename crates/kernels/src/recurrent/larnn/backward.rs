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

use super::lanes::{ROWS, add_sums};
use super::plan::{Blocks, Memory, NormWeights, Plan, Sizes};
use super::setting::Site;
use super::statistics::{Now, PartialsPtr};
use super::team::{Phases, Team, go_through};
use crate::cpu::dispatch::Kernel;
use crate::cpu::layout::transpose;
use crate::cpu::math::Tables;
use crate::cpu::simd::Vector;
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

/// One member of the team.
pub(super) struct Backward<'a, S> {
    pub(super) scan: BackwardScan<'a, S>,
    pub(super) team: &'a Team,
    pub(super) member: usize,
}

/// What the members share; each works on chunks of its own.
pub(super) struct BackwardScan<'a, S> {
    pub(super) sizes: Sizes,
    pub(super) plan: &'a Plan<S>,
    pub(super) memory: &'a Memory<S>,
    pub(super) grads: &'a Grads<S>,
    pub(super) partials: PartialsPtr,
    /// Changed between phases.
    pub(super) common: Ptr<Common<S>>,
    /// What the norms saw, as the forward pass wrote it; empty without batch statistics.
    pub(super) seen: &'a [f64],
    /// Gradient of the result, `[batch, out_rows, d]`.
    pub(super) out: Ptr<S>,
    /// Where the gradients of the start go.
    pub(super) start: [Ptr<S>; 2],
}

/// Norms and coefficients that are the same for all rows.
pub(super) struct Common<S> {
    pub(super) now: Now<S>,
    /// Means of `∂y` and of `∂y ⊙ x̂`.
    pub(super) means: [Vec<S>; 2],
    /// `α` and `δ`, `[time, 2 d]`, and their sums over the steps that attend to a slot.
    pub(super) slopes: [Vec<f64>; 2],
    pub(super) left: [Vec<S>; 2],
}

impl<S: Tables> Common<S> {
    pub(super) fn new(plan: &Plan<S>, sizes: &Sizes) -> Self {
        let Sizes { time, d, .. } = *sizes;
        let pair = |n: usize| [vec![S::ZERO; n], vec![S::ZERO; n]];
        Self {
            now: Now::new(plan, sizes, None),
            means: pair(d),
            slopes: [vec![0.0; time * 2 * d], vec![0.0; time * 2 * d]],
            left: pair(2 * d),
        }
    }
}

/// What a member needs for one chunk at a time.
pub(super) struct Scratch<S> {
    pub(super) grad: Vec<S>,
    pub(super) normed: Vec<S>,
    pub(super) mask: Vec<S>,
    pub(super) weights: Vec<S>,
    pub(super) scores: Vec<S>,
    pub(super) query: Vec<S>,
    pub(super) read: Vec<S>,
}

impl<S: Tables> Kernel<S> for Backward<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Sizes { d, window, .. } = self.scan.sizes;
        let zeros = |n: usize| vec![S::ZERO; n * ROWS];
        let mut scratch = Scratch {
            grad: zeros(d),
            normed: zeros(d),
            mask: zeros(d.max(window)),
            weights: zeros(window),
            scores: zeros(window),
            query: zeros(d),
            read: zeros(d),
        };
        unsafe { go_through::<V, _>(&self.scan, self.team, self.member, &mut scratch) };
    }
}

/// The phases of a step, and those before and after all steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Begin,
    Hidden,
    Cell,
    Gates,
    Attend,
    /// Keys and values at their age, where their moments are those of the batch.
    Age,
    /// A cell of the start.
    End,
}

impl<S: Tables> Phases<S> for BackwardScan<'_, S> {
    type Scratch = Scratch<S>;

    fn count(&self) -> usize {
        1 + self.sizes.time * self.parts().len() + self.sizes.n_start
    }

    #[inline(always)]
    unsafe fn work<V: Vector<Scalar = S>>(
        &self,
        phase: usize,
        chunk: usize,
        scratch: &mut Scratch<S>,
    ) {
        let (part, t) = self.part(phase);
        unsafe {
            match part {
                Part::Begin => self.begin(chunk),
                Part::Hidden => self.hidden::<V>(chunk, t, scratch),
                Part::Cell => self.cell::<V>(chunk, t, scratch),
                Part::Gates => self.gates::<V>(chunk, t, scratch),
                Part::Attend => {
                    self.attend::<V>(chunk, t, scratch);
                    if self.plan.ages.is_some() && !self.plan.by_age() {
                        self.age::<V>(chunk, t);
                    }
                }
                Part::Age => self.age::<V>(chunk, t),
                Part::End => self.end::<V>(chunk, t),
            }
        }
    }

    unsafe fn between(&self, phase: usize) {
        if !self.plan.coupled {
            return;
        }
        let (part, t) = self.part(phase);
        let n_start = self.sizes.n_start;
        let common = unsafe { &mut *self.common.at(0) };
        unsafe {
            match part {
                Part::Begin | Part::Age => {}
                Part::Hidden => self.means(Site::Hidden, common),
                Part::Cell => self.means(Site::Cell, common),
                Part::Gates => self.means(Site::Attention, common),
                Part::Attend => {
                    if self.plan.normalises_keys {
                        self.slopes(t, common);
                    }
                    if self.plan.by_slot() {
                        self.leave(n_start + t - 1, common);
                    }
                }
                Part::End => {
                    if self.plan.by_slot() && t > 0 {
                        self.leave(t - 1, common);
                    }
                }
            }
            if let (Part::Hidden, t) = self.part((phase + 1).min(self.count() - 1)) {
                let sites = if self.plan.normalises_keys { 5 } else { 3 };
                for site in &Site::ALL[..sites] {
                    common.now.recall(&self.sizes, *site, t, self.seen);
                }
            }
        }
    }
}

impl<S: Tables> BackwardScan<'_, S> {
    fn parts(&self) -> &'static [Part] {
        let parts = &[Part::Hidden, Part::Cell, Part::Gates, Part::Attend, Part::Age];
        if self.plan.by_age() { parts } else { &parts[..4] }
    }

    /// What a phase is, and its step, or its slot at the end.
    fn part(&self, phase: usize) -> (Part, usize) {
        let (parts, time) = (self.parts(), self.sizes.time);
        if phase == 0 {
            return (Part::Begin, 0);
        }
        let (round, part) = ((phase - 1) / parts.len(), (phase - 1) % parts.len());
        if round < time {
            (parts[part], time - 1 - round)
        } else {
            (Part::End, self.count() - 1 - phase)
        }
    }

    #[inline(always)]
    pub(super) fn common(&self) -> &Common<S> {
        unsafe { &*self.common.at(0) }
    }

    #[inline(always)]
    pub(super) fn norm(&self, site: Site) -> &NormWeights<S> {
        &self.common().now.norms[site as usize]
    }

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
    pub(super) unsafe fn read(&self, chunk: usize, row: usize, to: *mut S) {
        let (d, out_rows) = (self.sizes.d, self.sizes.out_rows());
        let from = self.out.at((chunk * ROWS * out_rows + row) * d);
        unsafe {
            to.write_bytes(0, d * ROWS);
            transpose(self.sizes.rows(chunk), d, from, out_rows * d, to, ROWS);
        }
    }

    /// Hands in `Σ ∂y` and `Σ ∂y x̂` of a norm, which are also the gradients of `β` and `γ`.
    #[inline(always)]
    pub(super) unsafe fn hand_in<V: Vector<Scalar = S>>(
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
    pub(super) unsafe fn add_norm(
        &self,
        chunk: usize,
        site: Site,
        f: usize,
        gamma: f64,
        beta: f64,
    ) {
        let d = self.sizes.d;
        let to = self.grads.norms.at(chunk * 10 * d + site as usize * d + f);
        unsafe {
            *to += gamma;
            *to.add(5 * d) += beta;
        }
    }

    /// Means over the batch of what the chunks handed in.
    unsafe fn means(&self, site: Site, common: &mut Common<S>) {
        let d = self.sizes.d;
        for (part, means) in common.means.iter_mut().enumerate() {
            for (f, mean) in means.iter_mut().enumerate() {
                let sum: f64 = (0..self.sizes.chunks())
                    .map(|chunk| unsafe { *self.partials.site(site, chunk).add(part * d + f) })
                    .sum();
                *mean = S::from_f64(sum / self.sizes.batch as f64);
            }
        }
    }
}
