//! A series as shares of time that fixed convolutions exceed fixed thresholds (`MiniRocket`).
//!
//! ```text
//! kernel k    nine weights, three of them 2 and six −1: all 84 choices
//! C(t) = Σ_{c in channels of kernel and dilation} Σ_{i = −4 … 4} w_i x_c(t + i·dilation)      0 outside
//! feature = share of the t with C(t) > bias
//! bias    = quantile of C over one training series drawn at random
//! ```
//!
//! Dilations are spread evenly over exponents of 2 up to the length of the longest training series,
//! and share 119 features per kernel: 9,996 in all. Quantiles follow the golden ratio. Every second combination
//! counts only the steps at which the whole kernel lies on the series. With several channels a
//! combination of kernel and dilation sums a random choice of up to nine of them.
//!
//! Source: Dempster, Schmidt, Webb 2021, doi:10.1145/3447548.3467231, arXiv:2012.08791, §3. Differs:
//! series of any length, each counted over its own steps; where one is shorter than a kernel all of
//! its steps count. Cost: `time (n_features + 9 · 84 · dilations)` operations per series.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Uniform};

use super::dtw::Channels;

/// Weights of a kernel.
const LENGTH: usize = 9;
/// Kernels: the choices of three places of nine.
const N_KERNELS: usize = 84;
/// Features of each kernel: the most that make up no more than 10,000.
const PER_KERNEL: usize = 119;
/// Most dilations of a kernel.
const MAX_DILATIONS: u32 = 32;
/// Most channels that one combination sums.
const MAX_CHANNELS: f64 = 9.0;

/// Number of features of every series.
pub const N_FEATURES: usize = N_KERNELS * PER_KERNEL;

/// The convolutions and thresholds; build with [`MiniRocket::fit`].
#[derive(Clone, Debug)]
pub struct MiniRocket {
    channels: usize,
    combinations: Vec<Combination>,
}

/// A kernel with a dilation.
#[derive(Clone, Debug)]
struct Combination {
    /// Places of the weight 2.
    places: [usize; 3],
    dilation: usize,
    /// Channels that are summed.
    channels: Vec<usize>,
    /// Whether steps count at which the kernel reaches beyond the series.
    is_padded: bool,
    biases: Vec<f64>,
}

impl MiniRocket {
    /// Draws channels and training series with `seed`, and takes the thresholds from these.
    ///
    /// # Shapes
    /// - `train`: each series `[time, channels]` row-major
    ///
    /// # Panics
    /// If there is no series, or one has no row or does not consist of whole rows.
    #[must_use]
    pub fn fit(train: &[&[f64]], channels: usize, seed: u64) -> Self {
        let longest = train.iter().map(|x| x.len() / channels).max().expect("a training series");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut quantiles =
            (1..).map(|k: u32| (f64::from(k) * std::f64::consts::GOLDEN_RATIO).fract());
        let mut combinations = Vec::new();
        for (index, (dilation, n_features)) in dilations(longest).into_iter().enumerate() {
            for (kernel, places) in places().into_iter().enumerate() {
                let mut combination = Combination {
                    places,
                    dilation,
                    channels: some_channels(channels, &mut rng),
                    is_padded: (index + kernel).is_multiple_of(2),
                    biases: Vec::new(),
                };
                let example = train.choose(&mut rng).expect("a training series");
                let columns = checked(example, channels);
                let mut reached = combination.convolved(&columns, &Terms::new(&columns, dilation));
                reached.sort_by(f64::total_cmp);
                combination.biases =
                    quantiles.by_ref().take(n_features).map(|q| quantile(&reached, q)).collect();
                combinations.push(combination);
            }
        }
        Self { channels, combinations }
    }

    /// The features of one series, each from 0 to 1.
    ///
    /// # Shapes
    /// - `series`: `[time, channels]` row-major
    /// - returns: [`N_FEATURES`]
    ///
    /// # Panics
    /// If the series has no row, or does not consist of whole rows.
    #[must_use]
    pub fn features(&self, series: &[f64]) -> Vec<f64> {
        let columns = checked(series, self.channels);
        let time = columns.time();
        let mut features = Vec::with_capacity(N_FEATURES);
        for same in self.combinations.chunk_by(|a, b| a.dilation == b.dilation) {
            let terms = Terms::new(&columns, same[0].dilation);
            for combination in same {
                let reached = combination.convolved(&columns, &terms);
                let reach = LENGTH / 2 * combination.dilation;
                let counted = if combination.is_padded || time <= 2 * reach {
                    &reached[..]
                } else {
                    &reached[reach..time - reach]
                };
                features.extend(combination.biases.iter().map(|bias| share_above(counted, *bias)));
            }
        }
        features
    }
}

/// What all kernels of a dilation share: the series moved by each place, and the sum of that.
struct Terms {
    /// `[channels][places][time]`
    moved: Vec<Vec<Vec<f64>>>,
    /// `[channels][time]`
    sum: Vec<Vec<f64>>,
}

impl Terms {
    fn new(columns: &Channels, dilation: usize) -> Self {
        let moved: Vec<Vec<Vec<f64>>> = columns
            .values
            .iter()
            .map(|column| (0..LENGTH).map(|place| moved(column, place, dilation)).collect())
            .collect();
        let add = |mut sum: Vec<f64>, x: &Vec<f64>| {
            sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
            sum
        };
        let zero = vec![0.0; columns.time()];
        let sum = moved.iter().map(|places| places.iter().fold(zero.clone(), add)).collect();
        Self { moved, sum }
    }
}

impl Combination {
    /// `C(t)` of all steps.
    fn convolved(&self, columns: &Channels, terms: &Terms) -> Vec<f64> {
        let mut out = vec![0.0; columns.time()];
        let [a, b, c] = self.places;
        for &channel in &self.channels {
            let moved = &terms.moved[channel];
            // −1 at nine places and 3 more at three of them.
            let rows = moved[a].iter().zip(&moved[b]).zip(&moved[c]).zip(&terms.sum[channel]);
            for (out, (((a, b), c), sum)) in out.iter_mut().zip(rows) {
                *out += 3.0 * (a + b + c) - sum;
            }
        }
        out
    }
}

fn checked(series: &[f64], channels: usize) -> Channels {
    assert!(!series.is_empty(), "a series has at least one row");
    assert_eq!(series.len() % channels, 0, "whole rows of {channels} values");
    Channels::new(series, channels)
}

/// `x(t + (place − 4) dilation)` at every step, zero outside.
fn moved(x: &[f64], place: usize, dilation: usize) -> Vec<f64> {
    let n = x.len();
    let mut out = vec![0.0; n];
    let by = place.abs_diff(LENGTH / 2) * dilation;
    if by >= n {
        return out;
    }
    if place < LENGTH / 2 {
        out[by..].copy_from_slice(&x[..n - by]);
    } else {
        out[..n - by].copy_from_slice(&x[by..]);
    }
    out
}

/// All choices of three places, in order.
fn places() -> Vec<[usize; 3]> {
    let pairs = |a| (a + 1..LENGTH).flat_map(move |b| (b + 1..LENGTH).map(move |c| [a, b, c]));
    (0..LENGTH).flat_map(pairs).collect()
}

/// Dilations for series of `time` steps, and the features of each kernel at each of them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive number of steps"
)]
fn dilations(time: usize) -> Vec<(usize, usize)> {
    let largest = (time.saturating_sub(1) as f64 / (LENGTH - 1) as f64).max(1.0).log2();
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for i in 0..MAX_DILATIONS {
        let exponent = largest * f64::from(i) / f64::from(MAX_DILATIONS - 1);
        *counts.entry(exponent.exp2() as usize).or_default() += 1;
    }
    let mut features: Vec<(usize, usize)> =
        counts.into_iter().map(|(d, n)| (d, n * PER_KERNEL / MAX_DILATIONS as usize)).collect();
    let given: usize = features.iter().map(|(_, n)| n).sum();
    let n_dilations = features.len();
    // What rounding left over, to the smallest dilations first.
    (0..PER_KERNEL - given).for_each(|i| features[i % n_dilations].1 += 1);
    features
}

/// Some of the channels: their number is even in its logarithm.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most the number of channels"
)]
fn some_channels(channels: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let largest = (MAX_CHANNELS.min(channels as f64) + 1.0).log2();
    let exponent = Uniform::new(0.0, largest).expect("a range").sample(rng);
    let n = (exponent.exp2() as usize).clamp(1, channels);
    let mut chosen = rand::seq::index::sample(rng, channels, n).into_vec();
    chosen.sort_unstable();
    chosen
}

/// The quantile of sorted numbers, linear between them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among the numbers"
)]
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (low, part) = (at as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + part * (sorted[high] - sorted[low])
}

fn share_above(x: &[f64], bias: f64) -> f64 {
    f64::from(x.iter().map(|x| u32::from(*x > bias)).sum::<u32>()) / x.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::StandardNormal;

    fn noise(time: usize, channels: usize) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(time as u64);
        (0..time * channels).map(|_| StandardNormal.sample(&mut rng)).collect()
    }

    #[test]
    fn kernels_are_the_choices_of_three_places_and_sum_to_zero() {
        let places = places();
        assert_eq!(places.len(), N_KERNELS);
        assert_eq!((places[0], places[83]), ([0, 1, 2], [6, 7, 8]));
        assert_eq!(N_FEATURES, 9996);
    }

    #[test]
    fn dilations_of_the_length_that_the_paper_counts_by_hand() {
        // (315 − 1)/8 = 39.25: from 1 to 39, 119 features of each kernel.
        let found = dilations(315);
        assert_eq!((found[0].0, found.last().unwrap().0), (1, 39));
        for time in [1, 8, 9, 29, 315, 5000] {
            assert_eq!(dilations(time).iter().map(|(_, n)| n).sum::<usize>(), PER_KERNEL, "{time}");
        }
        // Exponents up to 0.81 of 29 steps: dilation 2 and 3 need 1 and 1.58 of log2(3.5) = 1.807.
        assert_eq!(dilations(29).iter().map(|(d, _)| *d).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(dilations(5), [(1, 119)]);
    }

    #[test]
    fn a_convolution_is_the_one_of_the_definition() {
        let (time, channels) = (23, 3);
        let columns = Channels::new(&noise(time, channels), channels);
        for (dilation, places) in [(1, [0, 4, 8]), (2, [1, 2, 7]), (5, [3, 4, 5])] {
            let chosen = vec![0, 2];
            let combination = Combination {
                places,
                dilation,
                channels: chosen.clone(),
                is_padded: true,
                biases: vec![],
            };
            let found = combination.convolved(&columns, &Terms::new(&columns, dilation));
            for (t, found) in found.iter().enumerate() {
                let mut expected = 0.0;
                for &c in &chosen {
                    for i in 0..9 {
                        let weight = if places.contains(&i) { 2.0 } else { -1.0 };
                        let at = (t + i * dilation).checked_sub(4 * dilation);
                        let x = at.and_then(|at| columns.values[c].get(at)).copied();
                        expected += weight * x.unwrap_or(0.0);
                    }
                }
                assert!((found - expected).abs() < 1e-12, "step {t}: {found}, {expected}");
            }
        }
    }

    #[test]
    fn features_are_shares_and_a_constant_added_inside_changes_none_that_is_not_padded() {
        let series = noise(40, 2);
        let rocket = MiniRocket::fit(&[&series], 2, 0);
        let features = rocket.features(&series);
        assert_eq!(features.len(), N_FEATURES);
        assert!(features.iter().all(|f| (0.0..=1.0).contains(f)));
        assert!(features.iter().any(|f| *f > 0.0) && features.iter().any(|f| *f < 1.0));
        let raised: Vec<f64> = series.iter().map(|x| x + 0.25).collect();
        let raised = rocket.features(&raised);
        let mut at = 0;
        for combination in &rocket.combinations {
            let next = at + combination.biases.len();
            // Weights sum to zero, and no value lies on a threshold.
            let differ = features[at..next].iter().zip(&raised[at..next]);
            let most = differ.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(combination.is_padded || most < 1e-12, "{combination:?}: {most}");
            at = next;
        }
    }

    #[test]
    fn thresholds_are_quantiles_of_the_training_series() {
        // All steps count, so the share above a quantile q is 1 − q up to one step.
        let series = noise(101, 1);
        let rocket = MiniRocket::fit(&[&series], 1, 3);
        let features = rocket.features(&series);
        let mut at = 0;
        for combination in &rocket.combinations {
            for k in 0..combination.biases.len() {
                let q = ((at + k + 1) as f64 * std::f64::consts::GOLDEN_RATIO).fract();
                let far = (features[at + k] - (1.0 - q)).abs();
                assert!(!combination.is_padded || far < 2.0 / 101.0, "{far}");
            }
            at += combination.biases.len();
        }
        assert_eq!(at, N_FEATURES);
    }

    #[test]
    fn short_series_have_finite_features_and_the_seed_decides() {
        let (long, short) = (noise(60, 4), noise(3, 4));
        let rocket = MiniRocket::fit(&[&long], 4, 1);
        assert!(rocket.features(&short).iter().all(|f| f.is_finite()));
        assert!(rocket.features(&noise(1, 4)).iter().all(|f| f.is_finite()));
        let again = MiniRocket::fit(&[&long], 4, 1);
        assert_eq!(rocket.features(&long), again.features(&long));
        let other = MiniRocket::fit(&[&long], 4, 2);
        assert_ne!(rocket.features(&long), other.features(&long));
    }
}
