//! Tree-structured Parzen estimators: the next value of a key, from the values of all trials before.
//!
//! ```text
//! l(u) = density of u over the good trials      g(u) = density over all others
//! u* = argmax l(u) / g(u)  over candidates drawn from l
//! density(u) = (1 + Σ_i N(u; u_i, s_i)) / (1 + n),  each N normalised on [0, 1]
//! s_i = the larger distance to a neighbour, between 1 / min(100, n + 1) and 1
//! ```
//!
//! Positions `u` are those of the quantile function of a range, so the prior is uniform. A choice has
//! counts in place of normal densities. Densities are tabulated on cells, which normalises them at the
//! edges and makes integers exact.
//!
//! Cost: cells × trials exponentials per key.
//!
//! Source: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization", §4. Differs: the prior
//! is the uniform density itself, not a wide normal one; running and failed trials count as bad.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Cells of a range that cannot be counted, or not well.
pub(crate) const FINE: usize = 512;
/// Candidates drawn from the density of the good trials.
const CANDIDATES: usize = 24;
/// Share of the trials that are good; γ in the source.
const GOOD_SHARE: f64 = 0.15;

/// How the positions of a key are related.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cells {
    /// Neighbours are alike.
    Ordered(usize),
    /// Nothing follows from one value for another.
    Unordered(usize),
}

/// How many of `n` trials are good.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
pub(crate) fn n_good(n: usize) -> usize {
    (GOOD_SHARE * n as f64).ceil() as usize
}

/// A position from 0 to 1 for the next trial.
pub(crate) fn next(good: &[f64], bad: &[f64], cells: Cells, rng: &mut ChaCha8Rng) -> f64 {
    let (l, g) = (density(good, cells), density(bad, cells));
    let candidates = (0..CANDIDATES).map(|_| drawn(&l, rng.random::<f64>()));
    let best = candidates.max_by(|&a, &b| (l[a] / g[a]).total_cmp(&(l[b] / g[b])));
    let cell = best.expect("there is at least one candidate");
    (cell as f64 + rng.random::<f64>()) / l.len() as f64
}

/// Probability of every cell.
fn density(positions: &[f64], cells: Cells) -> Vec<f64> {
    let total = 1.0 + positions.len() as f64;
    match cells {
        Cells::Unordered(n) => {
            let mut share = vec![1.0 / (n as f64 * total); n];
            for u in positions {
                share[cell(*u, n)] += 1.0 / total;
            }
            share
        }
        Cells::Ordered(n) => {
            let mut share = vec![1.0 / (n as f64 * total); n];
            let mut sorted = positions.to_vec();
            sorted.sort_by(f64::total_cmp);
            for (i, &mean) in sorted.iter().enumerate() {
                let left = if i == 0 { 0.0 } else { sorted[i - 1] };
                let right = sorted.get(i + 1).copied().unwrap_or(1.0);
                let narrowest = 1.0 / (sorted.len() as f64 + 1.0).min(100.0);
                let width = (mean - left).max(right - mean).clamp(narrowest, 1.0);
                let normal: Vec<f64> = (0..n)
                    .map(|j| {
                        let z = ((j as f64 + 0.5) / n as f64 - mean) / width;
                        (-0.5 * z * z).exp()
                    })
                    .collect();
                let sum: f64 = normal.iter().sum();
                share.iter_mut().zip(normal).for_each(|(s, p)| *s += p / (sum * total));
            }
            share
        }
    }
}

/// The cell in which the sum of probabilities passes `u`.
fn drawn(share: &[f64], u: f64) -> usize {
    let mut sum = 0.0;
    let passes = |p: &f64| {
        sum += p;
        sum > u
    };
    share.iter().position(passes).unwrap_or(share.len() - 1)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ u ≤ 1")]
fn cell(u: f64, n: usize) -> usize {
    ((u * n as f64) as usize).min(n - 1)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_density_sums_to_one_and_is_highest_where_trials_are() {
        for cells in [Cells::Ordered(7), Cells::Ordered(FINE), Cells::Unordered(5)] {
            for positions in [&[][..], &[0.9], &[0.0, 0.11, 1.0, 0.1]] {
                let share = density(positions, cells);
                assert!((share.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                assert!(share.iter().all(|p| *p > 0.0));
            }
        }
        // Prior 1/3 each, then two trials in the first of three: (1/3 + 2) / 3, (1/3) / 3.
        let share = density(&[0.1, 0.2], Cells::Unordered(3));
        assert!((share[0] - 7.0 / 9.0).abs() < 1e-12 && (share[2] - 1.0 / 9.0).abs() < 1e-12);
        let share = density(&[0.4, 0.41, 0.42], Cells::Ordered(100));
        let highest = (0..100).max_by(|&a, &b| share[a].total_cmp(&share[b])).unwrap();
        assert!((39..=43).contains(&highest), "{highest}");
    }

    #[test]
    fn the_next_value_is_near_good_and_far_from_bad_trials() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let good = [0.7, 0.72, 0.74, 0.76, 0.78, 0.8];
        let bad: Vec<f64> = (0..20).map(|i| (f64::from(i) + 0.5) / 20.0).collect();
        let mut near = 0;
        for _ in 0..100 {
            let u = next(&good, &bad, Cells::Ordered(FINE), &mut rng);
            assert!((0.0..1.0).contains(&u));
            near += usize::from((0.6..0.9).contains(&u));
        }
        // Uniform draws would be there 30 times.
        assert!(near > 80, "{near} of 100");
        let choice = |rng: &mut _| next(&[0.5], &[0.1, 0.9], Cells::Unordered(3), rng);
        assert!((0..20).all(|_| cell(choice(&mut rng), 3) == 1));
    }
}
