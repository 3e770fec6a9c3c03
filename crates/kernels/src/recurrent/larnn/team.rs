//! A few threads that go through a scan in step with each other.
//!
//! Batch norms need every row of a batch several times per step. Tasks of a pool may run one after
//! the other and must not wait for each other, so a team has threads of its own for the time of one
//! scan; they wait by spinning, which takes less than a microsecond where the processors are free.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Rounds of spinning before a thread lets others run.
const SPINS: usize = 4000;

/// Where the members of a team wait for each other.
#[derive(Debug)]
pub(super) struct Barrier {
    members: usize,
    arrived: AtomicUsize,
    rounds: AtomicUsize,
}

impl Barrier {
    pub(super) fn new(members: usize) -> Self {
        Self { members, arrived: AtomicUsize::new(0), rounds: AtomicUsize::new(0) }
    }

    /// Returns when all members have called it; what they wrote before is seen by all.
    pub(super) fn wait(&self) {
        if self.members == 1 {
            return;
        }
        let round = self.rounds.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.members {
            self.arrived.store(0, Ordering::Relaxed);
            self.rounds.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut spins = 0;
        while self.rounds.load(Ordering::Acquire) == round {
            if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

/// Calls `f(member, barrier)` for all of `members` threads at once; the caller is the first.
pub(super) fn together(members: usize, f: impl Fn(usize, &Barrier) + Sync) {
    let barrier = Barrier::new(members);
    if members == 1 {
        f(0, &barrier);
        return;
    }
    std::thread::scope(|scope| {
        for member in 1..members {
            let (f, barrier) = (&f, &barrier);
            scope.spawn(move || f(member, barrier));
        }
        f(0, &barrier);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_leaves_before_all_have_arrived() {
        let counts: [AtomicUsize; 3] = Default::default();
        together(3, |member, barrier| {
            for round in 1..500 {
                counts[member].fetch_add(1, Ordering::Relaxed);
                barrier.wait();
                for count in &counts {
                    assert!(count.load(Ordering::Relaxed) >= round);
                }
                barrier.wait();
            }
        });
    }
}
