//! Distances between series of several channels: dynamic time warping with a band, and its lower bound.
//!
//! ```text
//! D(i, j) = Σ_c (a_ic − b_jc)² + min(D(i−1, j), D(i, j−1), D(i−1, j−1))      where |i − j| ≤ radius
//! distance = D(last, last)
//! bound    = Σ_j Σ_c (b_jc above the largest, below the smallest a_ic with |i − j| ≤ radius)²
//! ```
//!
//! All channels are warped alike (the dependent form). Cells of equal `i + j` do not depend on each
//! other, so the table is filled along them, several cells at a time, with three of them in memory.
//! Costs are never negative, so two neighbouring diagonals without a cell below `limit` end it: every
//! path has a cell on one of them.
//!
//! Sources: Sakoe and Chiba 1978, doi:10.1109/TASSP.1978.1163055 (the band); Shokoohi-Yekta et al. 2017,
//! doi:10.1007/s10618-016-0455-0 (dependent form); Keogh and Ratanamahatana 2005,
//! doi:10.1007/s10115-004-0154-9, §4 (the bound). Cost: `n_a n_b channels` at most, less with a band.

use std::collections::VecDeque;

/// Diagonals between two looks at the limit.
const STRIDE: usize = 8;

/// A series with each channel by itself.
#[derive(Clone, Debug)]
pub(super) struct Channels {
    /// `[channels][time]`
    pub(super) values: Vec<Vec<f64>>,
}

/// Smallest and largest value around each step, channel by channel.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    /// `[channels][time]`, smallest and largest.
    bounds: Vec<Vec<(f64, f64)>>,
}

/// What a distance is computed in: used again for every pair of a thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    /// Costs of the cells of a diagonal.
    cost: Vec<f64>,
    /// Three diagonals: cell `i` of one at `i + 1`.
    diagonals: [Vec<f64>; 3],
    /// `b` backwards.
    reversed: Vec<Vec<f64>>,
}

impl Channels {
    /// Of `[time, channels]` row-major.
    pub(super) fn new(values: &[f64], channels: usize) -> Self {
        let column = |c| values.iter().skip(c).step_by(channels).copied().collect();
        Self { values: (0..channels).map(column).collect() }
    }

    /// Number of steps.
    pub(super) fn time(&self) -> usize {
        self.values.first().map_or(0, Vec::len)
    }
}

/// The squared distance of two series by warping; infinite if it exceeds `limit`.
///
/// # Panics
/// If the band is too narrow for the two lengths.
pub(super) fn warped(
    a: &Channels,
    b: &Channels,
    radius: usize,
    limit: f64,
    scratch: &mut Scratch,
) -> f64 {
    let (n, m) = (a.time(), b.time());
    assert!(radius >= n.abs_diff(m), "a band of {radius} between {n} and {m} steps");
    let Scratch { cost, diagonals, reversed } = scratch;
    reversed.clear();
    reversed.extend(b.values.iter().map(|column| column.iter().rev().copied().collect()));
    for diagonal in diagonals.iter_mut() {
        diagonal.clear();
        diagonal.resize(n + 2, f64::INFINITY);
    }
    cost.resize(n, 0.0);
    let [before, last, next] = diagonals;
    // The path starts as if it came from a cell of no cost.
    before[0] = 0.0;
    for k in 0..n + m - 1 {
        let first = (k + 1).saturating_sub(m).max(k.saturating_sub(radius).div_ceil(2));
        let end = n.min(k + 1).min(k.midpoint(radius) + 1);
        let width = end.saturating_sub(first);
        let cost = &mut cost[..width];
        cost.fill(0.0);
        for (a, b) in a.values.iter().zip(reversed.iter()) {
            let at = (m - 1 + first).saturating_sub(k);
            for ((cost, a), b) in cost.iter_mut().zip(&a[first..]).zip(&b[at..]) {
                *cost += (a - b) * (a - b);
            }
        }
        let down = &last[first..first + width];
        let right = &last[first + 1..first + 1 + width];
        let across = &before[first..first + width];
        let cells = next[first + 1..first + 1 + width].iter_mut();
        for ((((cell, cost), down), right), across) in
            cells.zip(cost.iter()).zip(down).zip(right).zip(across)
        {
            *cell = cost + least(least(*down, *right), *across);
        }
        // Whatever is left of an earlier diagonal beside this one is outside the band.
        next[first] = f64::INFINITY;
        next[first + 1 + width] = f64::INFINITY;
        if k % STRIDE == STRIDE - 1 {
            let around = first..first + 2 + width;
            let reached = next[around.clone()].iter().chain(&last[around]).copied();
            if reached.fold(f64::INFINITY, least) > limit {
                return f64::INFINITY;
            }
        }
        (*before, *last, *next) =
            (std::mem::take(last), std::mem::take(next), std::mem::take(before));
    }
    last[n]
}

/// Mean squared difference of the rows that both series have.
pub(super) fn straight(a: &Channels, b: &Channels) -> f64 {
    let time = a.time().min(b.time());
    let of_channel = |(a, b): (&Vec<f64>, &Vec<f64>)| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
    };
    a.values.iter().zip(&b.values).map(of_channel).sum::<f64>() / time as f64
}

impl Envelope {
    /// Around each of `time` steps of `series`, `radius` steps to both sides.
    ///
    /// # Panics
    /// If the series ends more than `radius` steps before `time`.
    pub(super) fn new(series: &Channels, radius: usize, time: usize) -> Self {
        let n = series.time();
        assert!(n > 0 && n + radius >= time, "a band of {radius} between {n} and {time} steps");
        let of_channel = |x: &Vec<f64>| {
            let low = extremes(x, radius, time, |a, b| a < b);
            let high = extremes(x, radius, time, |a, b| a > b);
            low.into_iter().zip(high).collect()
        };
        Self { bounds: series.values.iter().map(of_channel).collect() }
    }

    /// At most the warped distance between the series of the envelope and `other`.
    pub(super) fn bound(&self, other: &Channels) -> f64 {
        let outside = |(&x, &(low, high)): (&f64, &(f64, f64))| {
            let by = if x > high { x - high } else { (low - x).max(0.0) };
            by * by
        };
        let of_channel = |(x, bounds): (&Vec<f64>, &Vec<(f64, f64)>)| -> f64 {
            x.iter().zip(bounds).map(|(x, bounds)| -> f64 { outside((x, bounds)) }).sum()
        };
        other.values.iter().zip(&self.bounds).map(of_channel).sum()
    }
}

/// The first value by `is_before` within `radius` steps of each of `time` steps.
fn extremes(
    x: &[f64],
    radius: usize,
    time: usize,
    is_before: impl Fn(f64, f64) -> bool,
) -> Vec<f64> {
    // Steps that may still be the extreme of a later window, best first.
    let mut kept: VecDeque<usize> = VecDeque::new();
    let mut next = 0;
    let at_step = |t: usize| {
        while next < x.len().min(t + radius + 1) {
            while kept.back().is_some_and(|&last| !is_before(x[last], x[next])) {
                kept.pop_back();
            }
            kept.push_back(next);
            next += 1;
        }
        while kept.len() > 1 && kept[0] + radius < t {
            kept.pop_front();
        }
        x[kept[0]]
    };
    (0..time).map(at_step).collect()
}

/// The smaller number; unlike [`f64::min`] one instruction.
fn least(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    fn series(time: usize, channels: usize, seed: u64) -> Channels {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f64> =
            (0..time * channels).map(|_| StandardNormal.sample(&mut rng)).collect();
        Channels::new(&values, channels)
    }

    /// The definition, cell by cell.
    fn by_definition(a: &Channels, b: &Channels, radius: usize) -> f64 {
        let (n, m) = (a.time(), b.time());
        let mut table = vec![vec![f64::INFINITY; m + 1]; n + 1];
        table[0][0] = 0.0;
        for i in 0..n {
            for j in (0..m).filter(|j| i.abs_diff(*j) <= radius) {
                let cost: f64 =
                    a.values.iter().zip(&b.values).map(|(a, b)| (a[i] - b[j]).powi(2)).sum();
                let before = table[i][j].min(table[i + 1][j]).min(table[i][j + 1]);
                table[i + 1][j + 1] = cost + before;
            }
        }
        table[n][m]
    }

    #[test]
    fn warping_by_hand() {
        // 0 1 1 2 against 0 1 2: the doubled 1 costs nothing.
        let (a, b) = (Channels::new(&[0.0, 1.0, 1.0, 2.0], 1), Channels::new(&[0.0, 1.0, 2.0], 1));
        let distance = warped(&a, &b, 3, f64::INFINITY, &mut Scratch::default());
        assert!(distance.abs() < 1e-15, "{distance}");
        assert!((straight(&a, &b) - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn diagonals_give_the_table_of_the_definition() {
        let mut scratch = Scratch::default();
        for (n, m, channels) in [(1, 1, 1), (1, 5, 2), (7, 1, 1), (11, 11, 3), (13, 17, 2)] {
            let (a, b) = (series(n, channels, 1), series(m, channels, 2));
            for radius in n.abs_diff(m)..=n.max(m) {
                let found = warped(&a, &b, radius, f64::INFINITY, &mut scratch);
                let expected = by_definition(&a, &b, radius);
                assert!((found - expected).abs() < 1e-12 * expected, "{n} {m} {radius}: {found}");
                let again = warped(&a, &b, radius, 1.001 * expected, &mut scratch);
                assert!((found - again).abs() < 1e-15, "not given up below the limit");
            }
        }
    }

    #[test]
    fn a_distance_far_above_the_limit_is_given_up() {
        let (a, b) = (series(50, 2, 1), series(50, 2, 2));
        let distance = warped(&a, &b, 50, 1.0, &mut Scratch::default());
        assert!(distance.is_infinite());
    }

    #[test]
    fn the_bound_is_below_the_distance_and_tight_for_no_radius() {
        let mut scratch = Scratch::default();
        for (n, m, radius) in [(19, 19, 0), (19, 19, 3), (19, 23, 4), (23, 19, 30)] {
            let (a, b) = (series(n, 2, 3), series(m, 2, 4));
            let bound = Envelope::new(&a, radius, m).bound(&b);
            let distance = warped(&a, &b, radius, f64::INFINITY, &mut scratch);
            assert!(bound <= distance + 1e-12, "{bound} above {distance}");
            assert!(radius > 0 || (bound - distance).abs() < 1e-12);
            assert!(bound > 0.0);
        }
    }
}
