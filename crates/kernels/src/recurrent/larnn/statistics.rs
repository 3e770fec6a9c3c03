//! Batch statistics out of those of the chunks.
//!
//! ```text
//! mean = Σ n_c mean_c / n      M2 = Σ M2_c + n_c (mean_c − mean)²      var = M2 / n
//! ```
//!
//! Every member of the team merges for itself, in the order of the chunks: no further meeting is
//! needed, and the result does not depend on the number of threads. Means and sums of squared
//! deviations stay accurate where the variance is tiny, as it is for the zero cell of the start.
#![expect(unsafe_code, reason = "threads write disjoint chunks of the batch")]

use super::plan::{NormWeights, Plan, Sizes};
use super::setting::{EPS, Site};
use crate::cpu::simd::Scalar;
use crate::cpu::view::Ptr;

/// What the chunks hand in, for all members to read after they have met.
pub(super) struct Partials {
    /// Of cell, hidden state, attention: `[3, chunks, 2 d]`.
    sites: Vec<f64>,
    /// Of keys and values, by slot, or one for the window at hand: `[n, chunks, 4 d]`.
    slots: Vec<f64>,
    chunks: usize,
    d: usize,
}

/// [`Partials`] as the members share them.
#[derive(Clone, Copy)]
pub(super) struct PartialsPtr {
    sites: Ptr<f64>,
    slots: Ptr<f64>,
    chunks: usize,
    d: usize,
}

impl Partials {
    pub(super) fn new(sizes: &Sizes, slots: usize) -> Self {
        let (chunks, d) = (sizes.chunks(), sizes.d);
        let (sites, slots) = (vec![0.0; 3 * chunks * 2 * d], vec![0.0; slots * chunks * 4 * d]);
        Self { sites, slots, chunks, d }
    }

    pub(super) fn ptr(&mut self) -> PartialsPtr {
        let (sites, slots) = (Ptr(self.sites.as_mut_ptr()), Ptr(self.slots.as_mut_ptr()));
        PartialsPtr { sites, slots, chunks: self.chunks, d: self.d }
    }
}

impl PartialsPtr {
    #[inline(always)]
    pub(super) fn site(&self, site: Site, chunk: usize) -> *mut f64 {
        self.sites.at((site as usize * self.chunks + chunk) * 2 * self.d)
    }

    #[inline(always)]
    pub(super) fn slot(&self, slot: usize, chunk: usize) -> *mut f64 {
        self.slots.at((slot * self.chunks + chunk) * 4 * self.d)
    }
}

/// Means and sums of squared deviations of `n` features, merged over the chunks.
#[inline(always)]
pub(super) unsafe fn merge(
    from: *const f64,
    sizes: &Sizes,
    n: usize,
    cells: usize,
    mean: &mut [f64],
    m2: &mut [f64],
) {
    let (mean, m2) = (&mut mean[..n], &mut m2[..n]);
    mean.fill(0.0);
    m2.fill(0.0);
    let of = |chunk: usize, part: usize| unsafe {
        std::slice::from_raw_parts(from.add((2 * chunk + part) * n), n)
    };
    let all = sizes.batch as f64;
    for chunk in 0..sizes.chunks() {
        let share = sizes.rows(chunk) as f64 / all;
        for (mean, x) in mean.iter_mut().zip(of(chunk, 0)) {
            *mean += share * x;
        }
    }
    for chunk in 0..sizes.chunks() {
        let count = (sizes.rows(chunk) * cells) as f64;
        for i in 0..n {
            let off = of(chunk, 0)[i] - mean[i];
            m2[i] += of(chunk, 1)[i] + count * off * off;
        }
    }
}

/// The norms of the step at hand, and what was seen at every step.
pub(super) struct Now<S> {
    pub(super) norms: [NormWeights<S>; 5],
    /// Means, then sums of squared deviations, of keys and values in each slot.
    slots: [Vec<f64>; 2],
    /// Where the first member writes means, then variances: `[2, time, n_norms, d]`.
    seen: Option<Ptr<f64>>,
    n_norms: usize,
    mean: Vec<f64>,
    m2: Vec<f64>,
}

impl<S: Scalar> Now<S> {
    pub(super) fn new(plan: &Plan<S>, sizes: &Sizes, seen: Option<Ptr<f64>>) -> Self {
        let slots = if plan.coupled && plan.normalises_keys { sizes.slots() } else { 0 };
        let n_norms = if plan.normalises_keys { 5 } else { 3 };
        let n = 2 * sizes.d;
        Self {
            norms: plan.norms.clone(),
            slots: [vec![0.0; slots * n], vec![0.0; slots * n]],
            seen,
            n_norms,
            mean: vec![0.0; n],
            m2: vec![0.0; n],
        }
    }

    /// Merges the statistics of cell, hidden state or attention.
    #[inline(always)]
    pub(super) unsafe fn merge_site(
        &mut self,
        partials: &PartialsPtr,
        sizes: &Sizes,
        site: Site,
        t: usize,
    ) {
        let from = partials.site(site, 0);
        unsafe { merge(from, sizes, sizes.d, 1, &mut self.mean, &mut self.m2) };
        self.set(sizes, site, 0, t, sizes.batch);
    }

    /// Merges the statistics of keys and values of one slot over the batch.
    #[inline(always)]
    pub(super) unsafe fn merge_slot(&mut self, partials: &PartialsPtr, sizes: &Sizes, slot: usize) {
        let n = 2 * sizes.d;
        let [mean, m2] = &mut self.slots;
        let part = slot * n..(slot + 1) * n;
        let (mean, m2) = (&mut mean[part.clone()], &mut m2[part]);
        unsafe { merge(partials.slot(slot, 0), sizes, n, 1, mean, m2) };
    }

    /// The norms of keys and values for the window of step `t`, out of its slots.
    #[inline(always)]
    pub(super) fn merge_window(&mut self, sizes: &Sizes, t: usize) {
        let (n, cells) = (2 * sizes.d, sizes.n_cells(t));
        let first = sizes.n_start + t - cells;
        let [means, m2s] = &self.slots;
        let slot = |j: usize| (first + j) * n..(first + j + 1) * n;
        self.mean.fill(0.0);
        self.m2.fill(0.0);
        let share = 1.0 / cells as f64;
        for j in 0..cells {
            for (mean, x) in self.mean.iter_mut().zip(&means[slot(j)]) {
                *mean += share * x;
            }
        }
        for j in 0..cells {
            let (means, m2s) = (&means[slot(j)], &m2s[slot(j)]);
            for i in 0..n {
                let off = means[i] - self.mean[i];
                self.m2[i] += m2s[i] + sizes.batch as f64 * off * off;
            }
        }
        self.set_window(sizes, t, cells);
    }

    /// The norms of keys and values for a window whose moments the chunks have handed in.
    #[inline(always)]
    pub(super) unsafe fn merge_aged(&mut self, partials: &PartialsPtr, sizes: &Sizes, t: usize) {
        let (n, cells) = (2 * sizes.d, sizes.n_cells(t));
        let from = partials.slot(0, 0);
        unsafe { merge(from, sizes, n, cells, &mut self.mean, &mut self.m2) };
        self.set_window(sizes, t, cells);
    }

    #[inline(always)]
    fn set_window(&mut self, sizes: &Sizes, t: usize, cells: usize) {
        self.set(sizes, Site::Key, 0, t, sizes.batch * cells);
        self.set(sizes, Site::Value, sizes.d, t, sizes.batch * cells);
    }

    /// Takes `d` merged moments from `first` on as those of a norm.
    #[inline(always)]
    fn set(&mut self, sizes: &Sizes, site: Site, first: usize, t: usize, rows: usize) {
        let d = sizes.d;
        let norm = &mut self.norms[site as usize];
        for f in 0..d {
            let (mean, var) = (self.mean[first + f], self.m2[first + f] / rows as f64);
            norm.mean[f] = S::from_f64(mean);
            norm.inverse[f] = S::from_f64(1.0 / (var + EPS).sqrt());
            if let Some(seen) = self.seen {
                let at = (t * self.n_norms + site as usize) * d + f;
                unsafe {
                    *seen.at(at) = mean;
                    *seen.at(sizes.time * self.n_norms * d + at) = var;
                }
            }
        }
    }

    /// The norm of a site at step `t`, as it was seen.
    #[inline(always)]
    pub(super) fn recall(&mut self, sizes: &Sizes, site: Site, t: usize, seen: &[f64]) {
        let d = sizes.d;
        let (means, vars) = seen.split_at(sizes.time * self.n_norms * d);
        let at = (t * self.n_norms + site as usize) * d;
        let norm = &mut self.norms[site as usize];
        for f in 0..d {
            norm.mean[f] = S::from_f64(means[at + f]);
            norm.inverse[f] = S::from_f64(1.0 / (vars[at + f] + EPS).sqrt());
        }
    }
}
