//! Statistics of the training part, applied and undone.
//!
//! ```text
//! norm = (phys - mean) / std
//! increment_std = std of norm[t + 1] - norm[t], within each series
//! ```
//!
//! Deviations are per channel, over all steps of all series: those of a population,
//! `√(Σ (x - mean)² / n)`, or of a sample, with `n - 1`.

use serde::{Deserialize, Serialize};

use crate::SeriesSet;

/// A channel whose deviation is this part of the largest one, or less, counts as constant.
///
/// A field that symmetry keeps at zero varies by rounding alone, about `1e-14` of its neighbours;
/// scaled up to deviation 1 it would be noise that no model can learn.
const NEGLIGIBLE: f64 = 1e-12;

/// Per channel: what takes physical values to mean 0 and deviation 1, and back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Mean, in the unit of the channel.
    pub mean: Vec<f64>,
    /// Standard deviation, in the unit of the channel; 1 for a constant channel.
    pub std: Vec<f64>,
    /// Standard deviation of the one-step differences of normalised values, dimensionless; 1 for
    /// a channel that changes by a constant.
    pub increment_std: Vec<f64>,
}

impl Normalization {
    /// Measures a set, which is to be the training part alone, with deviations of a population.
    ///
    /// # Panics
    /// If the set has no time step.
    #[must_use]
    pub fn fit(set: &SeriesSet) -> Self {
        Self::measure(set, 0.0)
    }

    /// As [`fit`](Self::fit), with deviations of a sample, as published classifiers of series have them.
    ///
    /// # Panics
    /// If the set has no time step.
    #[must_use]
    pub fn fit_sample(set: &SeriesSet) -> Self {
        Self::measure(set, 1.0)
    }

    /// `n` less `lost` divides the sum of squares.
    fn measure(set: &SeriesSet, lost: f64) -> Self {
        assert!(set.n_steps() > 0, "statistics need at least one time step");
        let channels: Vec<_> =
            (0..set.channels()).map(|c| Moments::measure(set, c, lost)).collect();
        let largest = channels.iter().fold(0.0, |largest: f64, channel| largest.max(channel.std));
        let mut fitted = Self { mean: vec![], std: vec![], increment_std: vec![] };
        for Moments { mean, std, increment_std, rounding } in channels {
            let is_constant = std <= rounding.max(NEGLIGIBLE * largest);
            let (std, increment_std) = match (is_constant, increment_std <= rounding) {
                (true, _) => (1.0, 1.0),
                (false, true) => (std, 1.0),
                (false, false) => (std, increment_std / std),
            };
            fitted.mean.push(mean);
            fitted.std.push(std);
            fitted.increment_std.push(increment_std);
        }
        fitted
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// Normalises rows of physical values, row-major.
    ///
    /// # Panics
    /// If `x_phys` is not whole rows.
    #[must_use]
    pub fn norm_from_phys(&self, x_phys: &[f64]) -> Vec<f64> {
        self.map(x_phys, |x, mean, std| (x - mean) / std)
    }

    /// Turns normalised rows back into physical values, row-major.
    ///
    /// # Panics
    /// If `x_norm` is not whole rows.
    #[must_use]
    pub fn phys_from_norm(&self, x_norm: &[f64]) -> Vec<f64> {
        self.map(x_norm, |x, mean, std| x * std + mean)
    }

    fn map(&self, rows: &[f64], f: impl Fn(f64, f64, f64) -> f64) -> Vec<f64> {
        let channels = self.channels();
        assert!(rows.len().is_multiple_of(channels), "{} values in rows of {channels}", rows.len());
        let statistics = self.mean.iter().zip(&self.std).cycle();
        rows.iter().zip(statistics).map(|(&x, (&mean, &std))| f(x, mean, std)).collect()
    }
}

/// Statistics of one channel in its own unit.
struct Moments {
    mean: f64,
    std: f64,
    increment_std: f64,
    /// A deviation that rounding alone can cause.
    rounding: f64,
}

impl Moments {
    fn measure(set: &SeriesSet, channel: usize, lost: f64) -> Self {
        let mut values = Vec::with_capacity(set.n_steps());
        let mut increments = Vec::with_capacity(set.n_steps());
        for series in &set.series {
            let column = series.values.iter().skip(channel).step_by(series.channels);
            increments.extend(column.clone().zip(column.clone().skip(1)).map(|(x, next)| next - x));
            values.extend(column);
        }
        let (mean, std) = mean_and_std(&values, lost);
        let (_, increment_std) = mean_and_std(&increments, lost);
        let largest = values.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
        Self { mean, std, increment_std, rounding: 8.0 * f64::EPSILON * largest }
    }
}

fn mean_and_std(values: &[f64], lost: f64) -> (f64, f64) {
    let Some(&shift) = values.first() else { return (0.0, 0.0) };
    let n = values.len() as f64;
    // Shifted by one of them, the mean of equal values is exact.
    let mean = shift + values.iter().map(|x| x - shift).sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - lost).max(1.0);
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Series;

    fn set(channels: usize, series: &[&[f64]]) -> SeriesSet {
        let series = series.iter().map(|values| Series::new("a", values.to_vec(), channels));
        let columns = crate::series::numbered_columns(channels);
        SeriesSet { columns, series: series.collect(), dt: None }
    }

    #[test]
    fn statistics_are_those_of_the_definition() {
        // First channel 1 3 | 5 7: mean 4, variance (9 + 1 + 1 + 9)/4 = 5, steps 2 and 2.
        // Second channel 0 4 | 0 0: mean 1, variance (1 + 9 + 1 + 1)/4 = 3, steps 4 and 0.
        let fitted = Normalization::fit(&set(2, &[&[1.0, 0.0, 3.0, 4.0], &[5.0, 0.0, 7.0, 0.0]]));
        assert_eq!(fitted.mean, [4.0, 1.0]);
        assert_eq!(fitted.std, [5.0_f64.sqrt(), 3.0_f64.sqrt()]);
        assert_eq!(fitted.increment_std[..1], [1.0]); // equal steps
        assert!((fitted.increment_std[1] - 2.0 / 3.0_f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn deviations_of_a_sample_have_one_degree_of_freedom_less() {
        // As above: sums of squares 20 and 12 of four values.
        let fitted =
            Normalization::fit_sample(&set(2, &[&[1.0, 0.0, 3.0, 4.0], &[5.0, 0.0, 7.0, 0.0]]));
        assert_eq!(fitted.mean, [4.0, 1.0]);
        assert_eq!(fitted.std, [(20.0_f64 / 3.0).sqrt(), 2.0]);
        assert_eq!(Normalization::fit_sample(&set(1, &[&[3.0]])).std, [1.0]);
    }

    #[test]
    fn a_constant_channel_keeps_its_scale() {
        let fitted = Normalization::fit(&set(1, &[&[0.1; 1001]]));
        assert_eq!((fitted.std[0], fitted.increment_std[0]), (1.0, 1.0));
        assert!(fitted.norm_from_phys(&[0.1])[0].abs() < 1e-15);
        assert_eq!(fitted.mean, [0.1]);
        let fitted = Normalization::fit(&set(1, &[&[3.0]]));
        assert_eq!((fitted.mean[0], fitted.std[0], fitted.increment_std[0]), (3.0, 1.0, 1.0));
        let ramp: Vec<f64> = (0..1001).map(|t| 5.0 + 0.1 * f64::from(t)).collect();
        assert_eq!(Normalization::fit(&set(1, &[&ramp])).increment_std, [1.0]);
    }

    #[test]
    fn a_small_signal_on_a_large_mean_is_kept() {
        let values: Vec<f64> = (0..1000).map(|t| 1e6 + 1e-3 * f64::from(t).sin()).collect();
        let fitted = Normalization::fit(&set(1, &[&values]));
        assert!((fitted.std[0] * 1e3 - 0.5_f64.sqrt()).abs() < 1e-3, "{}", fitted.std[0]);
    }

    #[test]
    fn rounding_beside_a_signal_is_constant() {
        let wave = |t: i32| f64::from(t).sin();
        let rows = |small: f64| (0..99).flat_map(move |t| [wave(t), small * wave(t)]).collect();
        let std = |rows: Vec<f64>| Normalization::fit(&set(2, &[&rows])).std;
        assert_eq!(std(rows(1e-13))[1..], [1.0]);
        assert!((std(rows(1e-11))[1] * 1e11 - 0.5_f64.sqrt()).abs() < 0.01);
    }

    #[test]
    fn no_step_leads_from_one_series_to_the_next() {
        let fitted = Normalization::fit(&set(1, &[&[0.0, 1.0, 0.0], &[100.0, 101.0, 100.0]]));
        assert!((fitted.increment_std[0] * fitted.std[0] - 1.0).abs() < 1e-12); // steps ±1
    }

    proptest! {
        #[test]
        fn values_come_back(values in prop::collection::vec(-1e6_f64..1e6, 1..20)) {
            let rows: Vec<f64> = values.iter().flat_map(|x| [*x, 0.5 * x, 7.0]).collect();
            let fitted = Normalization::fit(&set(3, &[&rows]));
            let norm = fitted.norm_from_phys(&rows);
            let largest = rows.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            for (back, x) in fitted.phys_from_norm(&norm).iter().zip(&rows) {
                prop_assert!((back - x).abs() <= 4.0 * f64::EPSILON * largest);
            }
            let again = Normalization::fit(&set(3, &[&norm]));
            for (mean, std) in again.mean.iter().zip(&again.std) {
                prop_assert!(mean.abs() < 1e-9 && (std - 1.0).abs() < 1e-9, "{again:?}");
            }
        }
    }
}
