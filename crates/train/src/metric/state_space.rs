//! State-space divergence: does a long rollout visit the attractor as often as the system does?
//!
//! ```text
//! p_k = (n_k + α) / (N + α K)        n_k of N rows in box k of K = binsᵈ        α = smoothing
//! D   = Σ_k p_k ln(p_k / q_k)        p of the truth, q of the forecast, in nats
//! ```
//!
//! Boxes divide the range of the truth equally along each of `d ≤ 3` axes: the variables themselves
//! where there are at most three, else the first three principal components of the truth. Rows of a
//! forecast outside, or not finite, count in `N` and in no box. Two samples of one attractor have a
//! divergence above zero, too, that falls with their length: compare with that of another part of the
//! truth.
//!
//! Source: Koppe, Toutounji, Kirsch, Lis and Durstewitz 2019, `PLoS` Computational Biology
//! 15:e1007263, doi 10.1371/journal.pcbi.1007263. Differs: at most three axes, so that boxes are not
//! empty.

use faer::{Mat, Side};

use super::climate::Moments;

/// Most axes.
const MAX_AXES: usize = 3;

/// How to divide the space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StateSpaceConfig {
    /// Boxes along each axis; 30 by default.
    pub bins: usize,
    /// Rows added to every box, so that an empty one has a probability; 1e-5 by default.
    pub smoothing: f64,
}

/// The invariant measure of the truth, counted in boxes; build with [`StateSpace::of`].
#[derive(Clone, Debug)]
pub struct StateSpace {
    config: StateSpaceConfig,
    channels: usize,
    mean: Vec<f64>,
    /// `[axes][channels]`, of length one each.
    axes: Vec<Vec<f64>>,
    /// Range of the truth along each axis.
    range: Vec<(f64, f64)>,
    truth: Counts,
}

/// Rows in each box, and all rows.
#[derive(Clone, Debug)]
struct Counts {
    boxes: Vec<f64>,
    n_rows: f64,
}

impl Default for StateSpaceConfig {
    fn default() -> Self {
        Self { bins: 30, smoothing: 1e-5 }
    }
}

impl StateSpace {
    /// Counts the rows of all true trajectories.
    ///
    /// # Shapes
    /// - each of `truth`: `[time, channels]` row-major, finite; normalised, so that no variable leads
    ///   the principal components because of its unit
    ///
    /// # Panics
    /// If there is no row or not whole ones, a value is not finite, or a field of `config` is not
    /// above zero.
    #[must_use]
    pub fn of(truth: &[&[f64]], channels: usize, config: StateSpaceConfig) -> Self {
        assert!(config.bins > 0 && config.smoothing > 0.0, "{config:?} has no boxes");
        let Moments { mean, .. } = Moments::of(truth, channels);
        assert!(mean.iter().all(|x| x.is_finite()), "the truth has rows, and they are finite");
        let axes = if channels <= MAX_AXES {
            (0..channels).map(|i| (0..channels).map(|j| f64::from(i == j)).collect()).collect()
        } else {
            principal_axes(truth, &mean)
        };
        let mut space = Self {
            config,
            channels,
            mean,
            range: vec![(f64::INFINITY, f64::NEG_INFINITY); axes.len()],
            axes,
            truth: Counts { boxes: Vec::new(), n_rows: 0.0 },
        };
        for row in truth.iter().flat_map(|values| values.chunks_exact(channels)) {
            for axis in 0..space.axes.len() {
                let x = space.coordinate(axis, row);
                let (low, high) = space.range[axis];
                space.range[axis] = (low.min(x), high.max(x));
            }
        }
        space.truth = space.counts(truth);
        space
    }

    /// Kullback–Leibler divergence of the forecasts from the truth, in nats; zero or above.
    ///
    /// # Shapes
    /// - each of `pred`: `[time, channels]` row-major, in the unit of the truth
    ///
    /// # Panics
    /// If a forecast does not consist of whole rows.
    #[must_use]
    pub fn divergence(&self, pred: &[&[f64]]) -> f64 {
        let pred = self.counts(pred);
        let (alpha, n_boxes) = (self.config.smoothing, self.truth.boxes.len() as f64);
        let probability =
            |count: f64, counts: &Counts| (count + alpha) / (counts.n_rows + alpha * n_boxes);
        let boxes = self.truth.boxes.iter().zip(&pred.boxes);
        boxes
            .map(|(&truth_count, &pred_count)| {
                let p = probability(truth_count, &self.truth);
                p * (p / probability(pred_count, &pred)).ln()
            })
            .sum()
    }

    fn counts(&self, trajectories: &[&[f64]]) -> Counts {
        let n_boxes = (0..self.axes.len()).fold(1, |n, _| n * self.config.bins);
        let mut counts = Counts { boxes: vec![0.0; n_boxes], n_rows: 0.0 };
        for values in trajectories {
            assert_eq!(values.len() % self.channels, 0, "whole rows of {} values", self.channels);
            for row in values.chunks_exact(self.channels) {
                counts.n_rows += 1.0;
                if let Some(index) = self.box_of(row) {
                    counts.boxes[index] += 1.0;
                }
            }
        }
        counts
    }

    /// The box that holds a row.
    fn box_of(&self, row: &[f64]) -> Option<usize> {
        let bins = self.config.bins;
        let mut index = 0;
        for (axis, &(low, high)) in self.range.iter().enumerate() {
            let x = self.coordinate(axis, row);
            if !(low <= x && x <= high) {
                return None;
            }
            let part = if high > low { (x - low) / (high - low) } else { 0.0 };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and the number of bins"
            )]
            let bin = (part * bins as f64) as usize;
            index = index * bins + bin.min(bins - 1);
        }
        Some(index)
    }

    fn coordinate(&self, axis: usize, row: &[f64]) -> f64 {
        let terms = self.axes[axis].iter().zip(row).zip(&self.mean);
        terms.map(|((e, x), mean)| e * (x - mean)).sum()
    }
}

/// Directions of the largest variances, largest first.
fn principal_axes(trajectories: &[&[f64]], mean: &[f64]) -> Vec<Vec<f64>> {
    let channels = mean.len();
    let mut covariance = Mat::<f64>::zeros(channels, channels);
    for row in trajectories.iter().flat_map(|values| values.chunks_exact(channels)) {
        for j in 0..channels {
            let deviation = row[j] - mean[j];
            for i in j..channels {
                covariance[(i, j)] += deviation * (row[i] - mean[i]);
            }
        }
    }
    let eigen = covariance.self_adjoint_eigen(Side::Lower).expect("a finite covariance");
    let vectors = eigen.U();
    let axis = |rank: usize| (0..channels).map(|i| vectors[(i, channels - 1 - rank)]).collect();
    (0..MAX_AXES).map(axis).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(bins: usize) -> StateSpaceConfig {
        StateSpaceConfig { bins, smoothing: 1e-9 }
    }

    #[test]
    fn two_boxes_have_the_divergence_of_two_coins() {
        let space = StateSpace::of(&[&[0.0, 0.1, 0.2, 1.0]], 1, config(2));
        let expected = 0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln();
        assert!((space.divergence(&[&[0.3, 0.9], &[0.1, 0.8]]) - expected).abs() < 1e-7);
        assert!(space.divergence(&[&[0.9, 0.0, 0.0, 0.4]]).abs() < 1e-7);
    }

    #[test]
    fn rows_outside_count_and_are_in_no_box() {
        let space = StateSpace::of(&[&[0.0, 1.0]], 1, config(2));
        // Half of the forecast is lost: each probability is a quarter instead of a half.
        let lost = space.divergence(&[&[0.0, 1.0, 7.0, f64::NAN]]);
        assert!((lost - std::f64::consts::LN_2).abs() < 1e-7, "{lost}");
        // Nothing is left: the smoothing alone decides, ln(0.5 / (1e-9 / 2)).
        let all = space.divergence(&[&[f64::INFINITY, -1.0]]);
        assert!((all - (0.5f64 / 0.5e-9).ln()).abs() < 1e-6, "{all}");
    }

    #[test]
    fn boxes_are_those_of_all_three_axes() {
        // The corners of a cube, each in its box; a forecast that stays in one of them.
        let corners: Vec<f64> =
            (0..8u32).flat_map(|i| [i & 1, i >> 1 & 1, i >> 2]).map(f64::from).collect();
        let space = StateSpace::of(&[&corners], 3, config(2));
        assert!(space.divergence(&[&corners]).abs() < 1e-6);
        let half: Vec<f64> = corners[..12].to_vec();
        // Half of the truth is where the forecast has 1e-9 / 4 instead of 1/8, half where it has 1/4.
        let expected = 0.5 * 0.5f64.ln() + 0.5 * (0.125f64 / 0.25e-9).ln();
        assert!((space.divergence(&[&half]) - expected).abs() < 1e-6);
    }

    #[test]
    fn many_variables_are_seen_along_their_principal_axes() {
        // Five variables that are combinations of two, and noise in none.
        let row = |t: f64| {
            let (u, v) = (t.sin(), 0.5 * (1.618 * t).cos());
            [u + v, u - v, 2.0 * u, -v, u]
        };
        let rows = |from: u32, to: u32| -> Vec<f64> {
            (from..to).flat_map(|t| row(f64::from(t) * 0.7)).collect()
        };
        let (one, two) = (rows(0, 20_000), rows(20_000, 40_000));
        let space = StateSpace::of(&[&one], 5, StateSpaceConfig { bins: 8, smoothing: 1e-5 });
        let norms = space.axes.iter().map(|axis| axis.iter().map(|e| e * e).sum::<f64>());
        assert!(norms.into_iter().all(|norm| (norm - 1.0).abs() < 1e-12));
        let spread = |axis: usize| space.range[axis].1 - space.range[axis].0;
        assert!(spread(0) > spread(1) && spread(2) < 1e-10);
        // The third axis is empty: what is left there is rounding, and is left out here.
        let flat = |values: &[f64]| -> Vec<f64> {
            values.chunks_exact(5).flat_map(|row| [row[2], row[3]]).collect()
        };
        let plane = StateSpace::of(&[&flat(&one)], 2, config(8));
        assert!(plane.divergence(&[&flat(&two)]) < 0.01);
        assert!(plane.divergence(&[&flat(&rows(0, 20))]) > 1.0);
    }
}
