//! A few threads that go through the phases of a scan together.
//!
//! Batch norms need every row of a batch several times per step, so a scan is a long list of short
//! phases: each is some work for every chunk, and then something that needs all of them. Tasks of a
//! pool would have to be started anew for every phase; a team has threads for the time of one scan,
//! which claim chunks, their own first and then those that nobody has taken yet, so that a thread
//! that does not get a processor holds up nobody. They wait by spinning, which takes less than a microsecond
//! where the processors are free. What is computed does not depend on who does it.

#![expect(unsafe_code, reason = "phases are kernels on raw memory")]

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cpu::math::Tables;
use crate::cpu::simd::Vector;

/// Rounds of spinning before a thread lets others run.
const SPINS: usize = 1000;

/// What a team does.
pub(super) trait Phases<S: Tables> {
    /// What a member needs for one chunk at a time.
    type Scratch;

    /// How many phases there are.
    fn count(&self) -> usize;

    /// The part of one chunk in a phase.
    ///
    /// # Safety
    /// The processor has the instructions of `V`; the phases before are done.
    unsafe fn work<V: Vector<Scalar = S>>(
        &self,
        phase: usize,
        chunk: usize,
        scratch: &mut Self::Scratch,
    );

    /// What one member does once a phase is done for all chunks, before the next begins.
    ///
    /// # Safety
    /// Nobody else is at work.
    unsafe fn between(&self, phase: usize);
}

/// Where the members of a team agree on what is done.
#[derive(Debug)]
pub(super) struct Team {
    members: usize,
    chunks: Range<usize>,
    phase: AtomicUsize,
    /// Chunks that are done in this phase.
    done: AtomicUsize,
    /// By chunk, the phase in which it is to be claimed next.
    next: Vec<AtomicUsize>,
}

impl Team {
    fn new(members: usize, chunks: Range<usize>) -> Self {
        let next = chunks.clone().map(|_| AtomicUsize::new(0)).collect();
        Self { members, chunks, phase: AtomicUsize::new(0), done: AtomicUsize::new(0), next }
    }

    /// Whether the caller is to do this chunk in this phase.
    fn claim(&self, i: usize, phase: usize) -> bool {
        let next = &self.next[i];
        next.load(Ordering::Relaxed) == phase
            && next.compare_exchange(phase, phase + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Returns when `phase` is over.
    fn wait(&self, phase: usize) {
        let mut spins = 0;
        while self.phase.load(Ordering::Acquire) == phase {
            if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

/// The part of one member: all phases, from the first to the last.
///
/// # Safety
/// The processor has the instructions of `V`, and all members go through the same phases.
#[inline(always)]
pub(super) unsafe fn go_through<V: Vector<Scalar: Tables>, P: Phases<V::Scalar>>(
    phases: &P,
    team: &Team,
    member: usize,
    scratch: &mut P::Scratch,
) {
    let (count, n) = (phases.count(), team.chunks.len());
    loop {
        let phase = team.phase.load(Ordering::Acquire);
        if phase == count {
            return;
        }
        for i in 0..n {
            let i = (member * n / team.members + i) % n;
            if !team.claim(i, phase) {
                continue;
            }
            unsafe { phases.work::<V>(phase, team.chunks.start + i, scratch) };
            if team.done.fetch_add(1, Ordering::AcqRel) + 1 == n {
                unsafe { phases.between(phase) };
                team.done.store(0, Ordering::Relaxed);
                team.phase.store(phase + 1, Ordering::Release);
            }
        }
        team.wait(phase);
    }
}

/// Calls `f(member, team)` for all of `members` threads at once; the caller is the first.
pub(super) fn together(members: usize, chunks: Range<usize>, f: impl Fn(usize, &Team) + Sync) {
    let team = Team::new(members, chunks);
    if members == 1 {
        f(0, &team);
        return;
    }
    std::thread::scope(|scope| {
        for member in 1..members {
            let (f, team) = (&f, &team);
            scope.spawn(move || f(member, team));
        }
        f(0, &team);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::Portable;

    /// Every chunk counts; between the phases all counts must be equal.
    struct Counting {
        counts: Vec<AtomicUsize>,
        betweens: AtomicUsize,
    }

    impl Phases<f64> for Counting {
        type Scratch = ();

        fn count(&self) -> usize {
            2000
        }

        unsafe fn work<V: Vector<Scalar = f64>>(&self, phase: usize, chunk: usize, (): &mut ()) {
            assert_eq!(self.betweens.load(Ordering::Relaxed), phase);
            assert_eq!(self.counts[chunk - 3].fetch_add(1, Ordering::Relaxed), phase);
        }

        unsafe fn between(&self, phase: usize) {
            for count in &self.counts {
                assert_eq!(count.load(Ordering::Relaxed), phase + 1);
            }
            self.betweens.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn every_chunk_is_done_once_per_phase_and_the_next_waits_for_all() {
        let counts = (0..5).map(|_| AtomicUsize::new(0)).collect();
        let counting = Counting { counts, betweens: AtomicUsize::new(0) };
        together(3, 3..8, |member, team| unsafe {
            go_through::<Portable<f64, 4>, _>(&counting, team, member, &mut ());
        });
        assert_eq!(counting.betweens.load(Ordering::Relaxed), 2000);
    }
}
