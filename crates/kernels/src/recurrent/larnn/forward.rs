//! Forward through all steps, chunk by chunk of the batch, in phases between batch statistics.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use super::lanes::{ROWS, elu, moments, product};
use super::plan::{Memory, NormWeights, Plan, Sizes};
use super::setting::Site;
use super::statistics::{Now, PartialsPtr};
use super::team::{Phases, Team, go_through};
use crate::cpu::dispatch::Kernel;
use crate::cpu::layout::transpose;
use crate::cpu::math::{Tables, sigmoid, tanh};
use crate::cpu::simd::{Vector, splat_each};
use crate::cpu::view::Ptr;

/// One member of the team.
pub(super) struct Forward<'a, S> {
    pub(super) scan: ForwardScan<'a, S>,
    pub(super) team: &'a Team,
    pub(super) member: usize,
}

/// What the members share; each works on chunks of its own.
pub(super) struct ForwardScan<'a, S> {
    pub(super) sizes: Sizes,
    pub(super) plan: &'a Plan<S>,
    pub(super) memory: &'a Memory<S>,
    pub(super) partials: PartialsPtr,
    /// The norms of the phase at hand, changed between phases.
    pub(super) now: Ptr<Now<S>>,
    /// `[batch, time, d_in]`
    pub(super) x: Ptr<S>,
    /// Hidden state `[batch, d]`, cells `[batch, n_start, d]`.
    pub(super) start: [Ptr<S>; 2],
    /// `[batch, out_rows, d]`
    pub(super) out: Ptr<S>,
}

/// What a member needs for one chunk at a time.
pub(super) struct Scratch<S> {
    pub(super) x: Vec<S>,
    pub(super) query: Vec<S>,
    pub(super) read: Vec<S>,
    pub(super) normed: Vec<S>,
    pub(super) mask: Vec<S>,
    pub(super) weights: Vec<S>,
    pub(super) share: [S; ROWS],
}

impl<S: Tables> Kernel<S> for Forward<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Sizes { d, d_in, n_heads, window, .. } = self.scan.sizes;
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
        unsafe { go_through::<V, _>(&self.scan, self.team, self.member, &mut scratch) };
    }
}

/// The phases of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The start of the sequence, before the first step.
    Start,
    /// Keys and values at their age, where their moments are those of the batch.
    Age,
    Attend,
    Gate,
    Push,
    /// The result of the last step.
    Finish,
}

impl<S: Tables> Phases<S> for ForwardScan<'_, S> {
    type Scratch = Scratch<S>;

    fn count(&self) -> usize {
        2 + self.sizes.time * self.parts().len()
    }

    #[inline(always)]
    unsafe fn work<V: Vector<Scalar = S>>(
        &self,
        phase: usize,
        chunk: usize,
        scratch: &mut Scratch<S>,
    ) {
        let (part, t) = self.part(phase);
        let (norms, by_slot) = (unsafe { &(*self.now.at(0)).norms }, self.plan.by_slot());
        let slot = self.place(t.min(self.sizes.time - 1));
        unsafe {
            if t > 0 && (part == self.parts()[0] || part == Part::Finish) {
                self.finish::<V>(chunk, t - 1, norms, scratch);
                if part != Part::Finish && slot < self.place(t - 1) {
                    self.shift(chunk);
                }
            }
            match part {
                Part::Start => self.start::<V>(chunk, by_slot),
                Part::Age => self.age::<V>(chunk, t, slot),
                Part::Attend => {
                    if self.plan.ages.is_some() && !self.plan.by_age() {
                        self.age::<V>(chunk, t, slot);
                    }
                    self.attend::<V>(chunk, t, slot, norms, scratch);
                }
                Part::Gate => self.gate::<V>(chunk, t, slot, norms, scratch),
                Part::Push => self.push::<V>(chunk, t, slot, norms, by_slot),
                Part::Finish => {}
            }
        }
    }

    unsafe fn between(&self, phase: usize) {
        if !self.plan.coupled {
            return;
        }
        let Self { sizes, partials, .. } = self;
        let now = unsafe { &mut *self.now.at(0) };
        let (part, t) = self.part(phase);
        unsafe {
            match part {
                Part::Start if self.plan.by_slot() => {
                    (0..sizes.n_start).for_each(|slot| now.merge_slot(partials, sizes, slot));
                    now.merge_window(sizes, 0);
                }
                Part::Age => now.merge_aged(partials, sizes, t),
                Part::Attend => now.merge_site(partials, sizes, Site::Attention, t),
                Part::Gate => now.merge_site(partials, sizes, Site::Cell, t),
                Part::Push => {
                    now.merge_site(partials, sizes, Site::Hidden, t);
                    if self.plan.by_slot() && t + 1 < sizes.time {
                        now.merge_slot(partials, sizes, sizes.n_start + t);
                        now.merge_window(sizes, t + 1);
                    }
                }
                Part::Start | Part::Finish => {}
            }
        }
    }
}

impl<S: Tables> ForwardScan<'_, S> {
    fn parts(&self) -> &'static [Part] {
        let parts = &[Part::Age, Part::Attend, Part::Gate, Part::Push];
        if self.plan.by_age() { parts } else { &parts[1..] }
    }

    /// What a phase is, and its step.
    fn part(&self, phase: usize) -> (Part, usize) {
        let (parts, time) = (self.parts(), self.sizes.time);
        if phase == 0 {
            (Part::Start, 0)
        } else if phase > time * parts.len() {
            (Part::Finish, time)
        } else {
            (parts[(phase - 1) % parts.len()], (phase - 1) / parts.len())
        }
    }

    /// Where the cell of step `t` lies in memory: the window moves to the front when it is full.
    fn place(&self, t: usize) -> usize {
        let (slot, capacity) = (self.sizes.n_start + t, self.memory.capacity);
        if slot < capacity {
            slot
        } else {
            self.sizes.window + (slot - capacity) % (capacity - self.sizes.window)
        }
    }

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

    /// Moments of a block before its norm, where they are those of the batch.
    #[inline(always)]
    pub(super) unsafe fn hand_in<V: Vector<Scalar = S>>(
        &self,
        site: Site,
        chunk: usize,
        x: *const S,
    ) {
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
                let b = |gate: usize| V::splat(*bias.add(gate * d + f));
                let b = [b(0), b(1), b(2), b(3)];
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
                splat_each::<V, 4>([norm.mean[f], norm.inverse[f], norm.gamma[f], norm.beta[f]]);
            for at in (f * ROWS..(f + 1) * ROWS).step_by(V::LANES) {
                let x = V::load(x.add(at)).sub(mean).mul(inverse);
                x.mul_add(gamma, beta).store(to.add(at));
            }
        }
    }
}
