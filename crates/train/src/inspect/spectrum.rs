//! The dominant frequencies of series, by averaged periodograms.
//!
//! ```text
//! P(f) = mean over segments and channels of |Σ_t w_t (x_t − mean) e^{−2πi f t dt}|²,   w: Hann
//! ```
//!
//! Source: Welch 1967, doi:10.1109/TAU.1967.1161901, with segments spread evenly instead of
//! overlapping by half. Cost: `segments · channels · 2 · 512 · 256` multiply-adds at most.

use std::f64::consts::TAU;

use serde::Serialize;

use crate::forecasting::Part;

/// Longest segment, in steps.
const LENGTH: usize = 512;
/// Shortest segment that shows a frequency at all.
const SHORTEST: usize = 16;
/// Most segments, and channels of each, that are looked at.
const SEGMENTS: usize = 64;
const CHANNELS: usize = 16;
/// Peaks that are kept, and the least share of the power of one.
const PEAKS: usize = 5;
const LEAST_SHARE: f64 = 0.01;

/// A peak of the spectrum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peak {
    /// Cycles per unit of time, or per step where `dt` is not known.
    pub frequency: f64,
    /// Part of the power in the peak and its two neighbours, of the power of all frequencies.
    pub share: f64,
}

/// The strongest peaks of the normalised series, strongest first; the resolution is
/// `1/(512 dt)` or that of the longest series.
pub(super) fn peaks(part: &Part, dt: f64) -> Vec<Peak> {
    let longest = part.set.lengths().into_iter().max().unwrap_or(0);
    let length = longest.min(LENGTH);
    if length < SHORTEST {
        return Vec::new();
    }
    let channels = part.set.channels();
    let places: Vec<&[f64]> = part
        .set
        .series
        .iter()
        .flat_map(|series| {
            (0..series.steps() / length).map(|i| series.rows(i * length, (i + 1) * length))
        })
        .collect();
    let n = places.len().min(SEGMENTS);
    let mut power = vec![0.0; length / 2 + 1];
    for i in 0..n {
        let rows = places[i * places.len() / n];
        for channel in 0..channels.min(CHANNELS) {
            let values: Vec<f64> = rows.iter().skip(channel).step_by(channels).copied().collect();
            add_periodogram(&values, &mut power);
        }
    }
    let total: f64 = power.iter().sum();
    let mut peaks: Vec<Peak> = (1..power.len() - 1)
        .filter(|&k| power[k] > power[k - 1] && power[k] >= power[k + 1])
        .map(|k| Peak {
            frequency: k as f64 / (length as f64 * dt),
            share: (power[k - 1] + power[k] + power[k + 1]) / total,
        })
        .filter(|peak| peak.share >= LEAST_SHARE)
        .collect();
    peaks.sort_by(|a, b| b.share.total_cmp(&a.share));
    peaks.truncate(PEAKS);
    peaks
}

/// Adds `|X(k)|²` of one segment, `k = 0 … length/2`.
fn add_periodogram(values: &[f64], power: &mut [f64]) {
    let length = values.len();
    let mean = values.iter().sum::<f64>() / length as f64;
    let turn = TAU / length as f64;
    let hann = |t: usize| 0.5 - 0.5 * (turn * t as f64).cos();
    let weighted: Vec<f64> = values.iter().enumerate().map(|(t, x)| hann(t) * (x - mean)).collect();
    let (cos, sin): (Vec<f64>, Vec<f64>) =
        (0..length).map(|j| ((turn * j as f64).cos(), (turn * j as f64).sin())).unzip();
    for (k, power) in power.iter_mut().enumerate() {
        let (mut re, mut im, mut angle) = (0.0, 0.0, 0);
        for x in &weighted {
            re += x * cos[angle];
            im += x * sin[angle];
            angle = (angle + k) % length;
        }
        *power += re * re + im * im;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast_config::TaskConfig;
    use crate::forecasting::part;
    use regard_data::normalize::Normalization;
    use regard_data::{Series, SeriesSet};

    fn of(values: Vec<f64>, dt: f64) -> Vec<Peak> {
        let series = vec![Series::new("s", values, 1)];
        let set = SeriesSet { columns: vec!["x".to_owned()], series, dt: Some(dt) };
        let normalization =
            Normalization { mean: vec![0.0], std: vec![1.0], increment_std: vec![1.0] };
        peaks(
            &part(
                &set,
                &normalization,
                TaskConfig { window: 3, horizon: 1, ..TaskConfig::default() },
            ),
            dt,
        )
    }

    #[test]
    fn two_sinusoids_are_found_with_their_shares() {
        // 5 and 12 cycles in 256 steps of 0.1: 0.1953 and 0.46875 per unit; powers 1 and ¼.
        let x = |t: f64| (TAU * 5.0 * t / 256.0).sin() + 0.5 * (TAU * 12.0 * t / 256.0 + 0.3).sin();
        let found = of((0..256).map(|t| x(f64::from(t))).collect(), 0.1);
        let [first, second] = found.as_slice() else { panic!("two peaks: {found:?}") };
        assert!((first.frequency - 5.0 / 25.6).abs() < 1e-12);
        assert!((second.frequency - 12.0 / 25.6).abs() < 1e-12);
        assert!((first.share - 0.8).abs() < 1e-6 && (second.share - 0.2).abs() < 1e-6);
    }

    #[test]
    fn short_or_constant_series_have_no_peaks() {
        assert!(of(vec![1.0; 10], 0.1).is_empty());
        assert!(of(vec![1.0; 100], 0.1).is_empty());
    }
}
