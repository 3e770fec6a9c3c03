//! Draws made side by side and handed on in order.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use super::generator::{Generator, Request, Seeded};
use crate::DataError;
use crate::operator::{FunctionSet, Functions};

/// Makes pairs in memory.
///
/// # Errors
/// [`DataError::InvalidParameter`] for a parameter outside its range; [`DataError`] if an equation
/// is not solved.
pub fn samples<G: Generator>(generator: &G, request: &Request) -> Result<FunctionSet, DataError> {
    let seeded = Seeded::new(generator, request)?;
    let mut pairs = Pairs::new(&seeded, request.count);
    in_order(&seeded, 0..seeded.draws(request.count), request.threads, |values| {
        pairs.append(&values);
        Ok(ControlFlow::Continue(()))
    })?;
    pairs.into_set(seeded)
}

/// Pairs that are put together from draws.
pub(super) struct Pairs {
    count: usize,
    widths: [usize; 2],
    inputs_of_draw: usize,
    values: [Vec<f64>; 2],
}

impl Pairs {
    pub(super) fn new<G: Generator>(seeded: &Seeded<'_, G>, count: usize) -> Self {
        let ([inputs_of_draw, _], widths) = (seeded.widths_of_draw(), seeded.widths());
        let values = widths.map(|width| Vec::with_capacity(count * width));
        Self { count, widths, inputs_of_draw, values }
    }

    /// Adds the pairs of the next draw; what goes beyond the count is left out.
    pub(super) fn append(&mut self, draw: &[f64]) {
        let (inputs, outputs) = draw.split_at(self.inputs_of_draw);
        for ((all, width), new) in self.values.iter_mut().zip(self.widths).zip([inputs, outputs]) {
            let left = self.count * width - all.len();
            all.extend_from_slice(&new[..new.len().min(left)]);
        }
    }

    pub(super) fn into_set<G: Generator>(
        self,
        seeded: Seeded<'_, G>,
    ) -> Result<FunctionSet, DataError> {
        let ([inputs, outputs], [x, y]) = (seeded.generator.channels(), self.values);
        let (inputs, outputs) = (Functions::new(inputs, x), Functions::new(outputs, y));
        Ok(FunctionSet::new(seeded.points, inputs, outputs)?)
    }
}

/// Makes draws on several threads and hands them to `take` one after the other, until it breaks.
pub(super) fn in_order<G: Generator>(
    seeded: &Seeded<'_, G>,
    draws: Range<usize>,
    threads: usize,
    mut take: impl FnMut(Vec<f64>) -> Result<ControlFlow<()>, DataError>,
) -> Result<(), DataError> {
    let threads = threads.clamp(1, draws.len().max(1));
    let (next, stopped) = (AtomicUsize::new(draws.start), AtomicBool::new(false));
    // A few draws may wait, so that a slow writer holds the threads up and not the memory.
    let (sender, receiver) = sync_channel(2 * threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, stopped) = (sender.clone(), &next, &stopped);
            scope.spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    // The receiver goes away when the taker breaks.
                    if i >= draws.end || sender.send((i, seeded.draw(i))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let (mut early, mut expected) = (BTreeMap::new(), draws.start);
        let mut ended = Ok(());
        'all: for (i, draw) in receiver {
            early.insert(i, draw);
            while let Some(draw) = early.remove(&expected) {
                expected += 1;
                match draw.and_then(&mut take) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ControlFlow::Break(())) => break 'all,
                    Err(error) => {
                        ended = Err(error);
                        break 'all;
                    }
                }
            }
        }
        stopped.store(true, Ordering::Relaxed);
        ended
    })
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::operator::Points;

    /// Random pairs, three a draw; a draw may be slow, so that others overtake it.
    #[derive(Debug)]
    struct Noise;

    impl Generator for Noise {
        const KIND: &'static str = "noise";

        fn check(&self) -> Result<(), DataError> {
            Ok(())
        }

        fn points(&self, _: &mut ChaCha8Rng) -> Points {
            Points::Line(vec![0.0, 1.0])
        }

        fn channels(&self) -> [Vec<String>; 2] {
            [vec!["x".into()], vec!["y".into(), "z".into()]]
        }

        fn pairs_per_draw(&self) -> usize {
            3
        }

        fn draw(
            &self,
            _: &Points,
            rng: &mut ChaCha8Rng,
            inputs: &mut Vec<f64>,
            outputs: &mut Vec<f64>,
        ) -> Result<(), DataError> {
            let first: f64 = rng.random();
            if first < 0.3 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            inputs.extend([first; 6]);
            outputs.extend((0..12).map(|_| rng.random::<f64>()));
            Ok(())
        }
    }

    #[test]
    fn pairs_depend_neither_on_threads_nor_on_their_number() {
        let request = |count, threads| Request { count, seed: 4, threads };
        let all = samples(&Noise, &request(40, 1)).unwrap();
        assert_eq!(samples(&Noise, &request(40, 5)).unwrap(), all);
        let few = samples(&Noise, &request(11, 3)).unwrap();
        assert_eq!(few, all.select(&(0..11).collect::<Vec<_>>()).unwrap());
        assert_eq!(all.input(3)[0].to_bits(), all.input(5)[0].to_bits());
        assert_ne!(all.input(3)[0].to_bits(), all.input(6)[0].to_bits());
        let other = samples(&Noise, &Request { seed: 5, ..request(40, 1) }).unwrap();
        assert_ne!(other.input(0), all.input(0));
    }

    #[test]
    fn a_break_ends_all_threads_after_whole_draws() {
        let request = Request { count: 3000, seed: 4, threads: 3 };
        let seeded = Seeded::new(&Noise, &request).unwrap();
        let mut taken = Vec::new();
        let take = |draw: Vec<f64>| {
            taken.push(draw);
            Ok(if taken.len() == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        in_order(&seeded, 0..1000, 3, take).unwrap();
        let expected: Vec<_> = (0..7).map(|i| seeded.draw(i).unwrap()).collect();
        assert_eq!(taken, expected);
    }
}
