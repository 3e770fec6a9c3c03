//! The class of the nearest training series.
//!
//! ```text
//! euclid   mean over the common rows of Σ_c (a_tc − b_tc)²      rows beyond the shorter series do not count
//! dtw      the least such sum over warped paths, within `window` times the longer length of the diagonal
//! ```
//!
//! Of several windows the one with the most training series right, each left out once, is taken; the
//! narrower of equally good ones. Candidates are tried in the order of their lower bound and given up
//! once they exceed the nearest so far. Source: Bagnall et al. 2018, arXiv:1811.00075, §4 (the three
//! benchmark classifiers of the archive). Cost: at most `n_train n_test time² channels`.

use rayon::prelude::*;

use super::ClassicalError;
use super::dtw::{Channels, Envelope, Scratch, straight, warped};

/// Most products and sums of cells that a choice of windows and a test part may need: minutes.
const MAX_OPERATIONS: f64 = 3e11;

/// The training series, and how far others are from them; build with [`NearestNeighbour::euclid`] or
/// [`NearestNeighbour::dtw`].
#[derive(Clone, Debug)]
pub struct NearestNeighbour {
    train: Vec<Channels>,
    labels: Vec<usize>,
    channels: usize,
    /// Half-width of the band as a share of the longer series; `None` for the Euclidean distance.
    window: Option<f64>,
}

impl NearestNeighbour {
    /// With the Euclidean distance; each series is `[time, channels]` row-major.
    ///
    /// # Errors
    /// If there is no training series, or comparing `n_test` series with them would take too long.
    pub fn euclid(
        train: &[&[f64]],
        labels: &[usize],
        channels: usize,
        n_test: usize,
    ) -> Result<Self, ClassicalError> {
        Self::new("nearest-euclid", train, labels, channels, &[], n_test)
    }

    /// With dynamic time warping, the window chosen among shares of the longer length from 0 to 1.
    ///
    /// # Errors
    /// If there is no training series, no window, one that is not from 0 to 1, or choosing a window and
    /// comparing `n_test` series would take too long.
    pub fn dtw(
        train: &[&[f64]],
        labels: &[usize],
        channels: usize,
        windows: &[f64],
        n_test: usize,
    ) -> Result<Self, ClassicalError> {
        let method = "nearest-dtw";
        let invalid = |key, value, expected| {
            Err(ClassicalError::InvalidConfig { method, key, value, expected })
        };
        if let Some(&window) = windows.iter().find(|w| !(0.0..=1.0).contains(*w)) {
            return invalid("window", window, "a share from 0 to 1");
        }
        if windows.is_empty() {
            return invalid("number of windows", 0.0, "at least one");
        }
        let mut nearest = Self::new(method, train, labels, channels, windows, n_test)?;
        let mut sorted = windows.to_vec();
        sorted.sort_by(f64::total_cmp);
        nearest.window = sorted.first().copied();
        if let [_, _, ..] = sorted[..] {
            let right = sorted.iter().map(|w| Self { window: Some(*w), ..nearest.clone() }.right());
            let right: Vec<usize> = right.collect();
            let most = right.iter().copied().max().unwrap_or(0);
            nearest.window =
                sorted.into_iter().zip(right).find(|(_, r)| *r == most).map(|(w, _)| w);
        }
        Ok(nearest)
    }

    fn new(
        method: &'static str,
        train: &[&[f64]],
        labels: &[usize],
        channels: usize,
        windows: &[f64],
        n_test: usize,
    ) -> Result<Self, ClassicalError> {
        assert_eq!(train.len(), labels.len(), "one label per series");
        if train.is_empty() {
            let (key, value, expected) = ("number of training series", 0.0, "at least one");
            return Err(ClassicalError::InvalidConfig { method, key, value, expected });
        }
        let longest = train.iter().map(|x| x.len() / channels).max().unwrap_or(0) as f64;
        let pairs = |n: usize| n as f64 * train.len() as f64;
        // A pair of series with this window; those that are given up early are not foreseen.
        let pair =
            |window: f64| longest * channels as f64 * (1.0 + longest * window * (2.0 - window));
        let widest = windows.iter().copied().fold(0.0, f64::max);
        let chosen: f64 =
            if windows.len() > 1 { windows.iter().map(|w| pair(*w)).sum() } else { 0.0 };
        let operations = pairs(n_test) * pair(widest) + pairs(train.len()) * chosen;
        if operations > MAX_OPERATIONS {
            let remedy =
                "use fewer or narrower dtw_windows, or leave it out of baselines.classical";
            let limit = MAX_OPERATIONS;
            return Err(ClassicalError::TooSlow { method, operations, limit, remedy });
        }
        let train = train.iter().map(|x| Channels::new(x, channels)).collect();
        Ok(Self { train, labels: labels.to_vec(), channels, window: None })
    }

    /// The class of the nearest training series; the first of equally near ones.
    ///
    /// # Panics
    /// If the series has no row, or does not consist of whole rows.
    #[must_use]
    pub fn predict(&self, series: &[f64]) -> usize {
        assert!(!series.is_empty(), "a series has at least one row");
        assert_eq!(series.len() % self.channels, 0, "whole rows of {} values", self.channels);
        self.labels[self.nearest(&Channels::new(series, self.channels), None)]
    }

    /// The window that was chosen; `None` for the Euclidean distance.
    #[must_use]
    pub fn window(&self) -> Option<f64> {
        self.window
    }

    /// Training series whose nearest other one is of their class.
    fn right(&self) -> usize {
        let is_right = |i: usize| {
            self.train.len() > 1
                && self.labels[self.nearest(&self.train[i], Some(i))] == self.labels[i]
        };
        (0..self.train.len()).into_par_iter().filter(|&i| is_right(i)).count()
    }

    /// Index of the nearest training series but the one that is `left_out`.
    fn nearest(&self, series: &Channels, left_out: Option<usize>) -> usize {
        let others = (0..self.train.len()).filter(|i| Some(*i) != left_out);
        let Some(window) = self.window else {
            let distances = others.map(|i| (straight(series, &self.train[i]), i));
            return distances.min_by(by_distance).map_or(0, |(_, i)| i);
        };
        let radius = |other: &Channels| radius(window, series.time(), other.time());
        let longest = self.train.iter().map(Channels::time).max().unwrap_or(0);
        let widest = self.train.iter().map(radius).max().unwrap_or(0);
        let envelope = Envelope::new(series, widest, longest);
        let mut bounds: Vec<(f64, usize)> =
            others.map(|i| (envelope.bound(&self.train[i]), i)).collect();
        bounds.sort_by(by_distance);
        let (mut best, mut scratch) = ((f64::INFINITY, usize::MAX), Scratch::default());
        for (bound, i) in bounds {
            if bound > best.0 {
                break;
            }
            let other = &self.train[i];
            let distance = warped(series, other, radius(other), best.0, &mut scratch);
            best = if by_distance(&(distance, i), &best).is_lt() { (distance, i) } else { best };
        }
        best.1
    }
}

/// Nearer first, then the earlier one.
fn by_distance(a: &(f64, usize), b: &(f64, usize)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// Half-width of the band between series of these lengths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a number of steps"
)]
fn radius(window: f64, n: usize, m: usize) -> usize {
    ((window * n.max(m) as f64).ceil() as usize).max(n.abs_diff(m))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bump and a dip at a place that says nothing; the bump comes first in class 0 only.
    fn bumps(n: usize, first: usize) -> (Vec<Vec<f64>>, Vec<usize>) {
        let one = |i: usize| -> Vec<f64> {
            let (at, time) = (5.0 + ((i + first) * 7 % 23) as f64, 40 + i % 3);
            let sign = if i.is_multiple_of(2) { 1.0 } else { -1.0 };
            let shape = |x: f64| sign * x * (-x * x / 4.0).exp();
            (0..time).map(|t| shape(t as f64 - at)).collect()
        };
        ((0..n).map(one).collect(), (0..n).map(|i| i % 2).collect())
    }

    fn right(nearest: &NearestNeighbour, series: &[Vec<f64>], labels: &[usize]) -> usize {
        series.iter().zip(labels).filter(|(x, label)| nearest.predict(x) == **label).count()
    }

    #[test]
    fn warping_finds_a_shifted_shape_and_the_straight_distance_does_not() {
        let ((train, labels), (test, truth)) = (bumps(6, 0), bumps(40, 3));
        let train: Vec<&[f64]> = train.iter().map(Vec::as_slice).collect();
        let dtw = NearestNeighbour::dtw(&train, &labels, 1, &[1.0], 40).unwrap();
        let euclid = NearestNeighbour::euclid(&train, &labels, 1, 40).unwrap();
        assert_eq!(right(&dtw, &test, &truth), 40);
        assert!(right(&euclid, &test, &truth) < 40);
        assert_eq!((dtw.window(), euclid.window()), (Some(1.0), None));
    }

    #[test]
    fn bounds_and_early_ends_change_no_neighbour() {
        let ((train, labels), (test, _)) = (bumps(20, 0), bumps(20, 5));
        let train: Vec<&[f64]> = train.iter().map(Vec::as_slice).collect();
        let nearest = NearestNeighbour::dtw(&train, &labels, 1, &[0.2], 20).unwrap();
        for series in &test {
            let series = Channels::new(series, 1);
            let all = nearest.train.iter().enumerate().map(|(i, other)| {
                let radius = radius(0.2, series.time(), other.time());
                (warped(&series, other, radius, f64::INFINITY, &mut Scratch::default()), i)
            });
            let expected = all.min_by(by_distance).unwrap().1;
            assert_eq!(nearest.nearest(&series, None), expected);
        }
    }

    #[test]
    fn the_window_is_chosen_by_leaving_one_out() {
        // Shapes are shifted by up to 22 of 42 steps: without warping neighbours mislead.
        let (train, labels) = bumps(14, 0);
        let train: Vec<&[f64]> = train.iter().map(Vec::as_slice).collect();
        let nearest = NearestNeighbour::dtw(&train, &labels, 1, &[1.0, 0.0, 0.6], 1).unwrap();
        assert_eq!(nearest.window(), Some(0.6));
    }

    #[test]
    fn wrong_settings_are_named() {
        let x = vec![0.0; 40_000];
        let train: Vec<&[f64]> = vec![&x; 100];
        let labels = vec![0; 100];
        let dtw = |windows: &[f64], n| {
            NearestNeighbour::dtw(&train, &labels, 1, windows, n).unwrap_err().to_string()
        };
        assert_eq!(
            dtw(&[1.0], 1000),
            "nearest-dtw would need 1.6e14 operations, the limit is 3.0e11; use fewer or narrower \
             dtw_windows, or leave it out of baselines.classical"
        );
        assert!(dtw(&[1.5], 1).contains("window = 1.5, expected a share from 0 to 1"));
        assert!(dtw(&[], 1).contains("number of windows = 0"));
    }
}
