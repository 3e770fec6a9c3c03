//! Distance of power spectra: does a long rollout have the frequencies of the system?
//!
//! ```text
//! s_f = Σ over segments |FFT(hann · (x − mean of the segment))_f|²        f = 1 … segment/2
//! H   = √(1 − Σ_f √(p_f q_f))        p, q: spectra of truth and forecast divided by their sums
//! ```
//!
//! `H` is 0 for equal spectra and 1 for spectra without a common frequency; it does not see how large
//! the oscillations are. Segments overlap by half (Welch), which is all the smoothing there is.
//!
//! Source: Mikhaeil, Monfared and Durstewitz 2022, `NeurIPS`, arXiv:2110.07238, the distance; Welch
//! 1967, IEEE Transactions on Audio and Electroacoustics 15:70–73, the estimate. Differs: Welch
//! instead of a smoothed periodogram.

use regard_data::fourier::{Complex64, Fourier};

/// Most rows in a segment.
const MAX_SEGMENT: usize = 1024;
/// Fewest: below that there are hardly any frequencies to compare.
const MIN_SEGMENT: usize = 16;

/// Hellinger distance of the power spectra of each variable, 0 to 1.
///
/// A segment has the largest power of two of rows, at most 1024, that the shortest trajectory has.
/// Forecasts that are not finite are left out. A variable whose forecast is constant, or never
/// finite, has distance 1; `None` where the truth is constant or a trajectory has fewer than 16 rows.
///
/// # Shapes
/// - each of `pred`, `truth`: `[time, channels]` row-major, any unit, equal time steps
/// - returns: `[channels]`
///
/// # Panics
/// If a trajectory does not consist of whole rows.
#[must_use]
pub fn spectral_distance(pred: &[&[f64]], truth: &[&[f64]], channels: usize) -> Vec<Option<f64>> {
    for values in pred.iter().chain(truth) {
        assert_eq!(values.len() % channels, 0, "whole rows of {channels} values");
    }
    let finite = |values: &&&[f64]| values.iter().all(|x| x.is_finite());
    let pred: Vec<&[f64]> = pred.iter().filter(finite).copied().collect();
    let lengths = pred.iter().chain(truth).map(|values| values.len() / channels);
    let shortest = lengths.min().unwrap_or(0).min(MAX_SEGMENT);
    if shortest < MIN_SEGMENT {
        return vec![None; channels];
    }
    let segment = 1 << shortest.ilog2();
    let welch = Welch::new(segment);
    let spectrum = |set: &[&[f64]], channel: usize| -> Option<Vec<f64>> {
        let mut power = vec![0.0; segment / 2];
        for values in set {
            let column: Vec<f64> = values.iter().skip(channel).step_by(channels).copied().collect();
            for start in (0..=column.len() - segment).step_by(segment / 2) {
                welch.add_power(&column[start..start + segment], &mut power);
            }
        }
        let sum: f64 = power.iter().sum();
        (sum > 0.0).then(|| power.iter().map(|s| s / sum).collect())
    };
    let distance = |channel| {
        let truth = spectrum(truth, channel)?;
        Some(spectrum(&pred, channel).map_or(1.0, |pred| hellinger_distance(&pred, &truth)))
    };
    (0..channels).map(distance).collect()
}

/// Hellinger distance of two distributions, each of sum 1: 0 if equal, 1 without common support.
///
/// # Panics
/// If they differ in length.
#[must_use]
pub fn hellinger_distance(p: &[f64], q: &[f64]) -> f64 {
    assert_eq!(p.len(), q.len(), "two distributions over the same values");
    // Equal to 1 − Σ√(pq), without its cancellation where the two are close.
    let square: f64 = p.iter().zip(q).map(|(p, q)| (p.sqrt() - q.sqrt()).powi(2)).sum();
    (square / 2.0).sqrt()
}

/// The power of segments of one length.
pub(crate) struct Welch {
    window: Vec<f64>,
    fourier: Fourier,
}

impl Welch {
    /// For segments of `n` rows, a power of two.
    pub(crate) fn new(n: usize) -> Self {
        let angle = |k: usize| std::f64::consts::TAU * k as f64 / n as f64;
        let window = (0..n).map(|k| 0.5 - 0.5 * angle(k).cos()).collect();
        Self { window, fourier: Fourier::new(n) }
    }

    /// Rows of a segment.
    pub(crate) fn len(&self) -> usize {
        self.window.len()
    }

    /// Adds `|FFT|²` at the frequencies `1 … n/2` of one windowed segment without its mean.
    pub(crate) fn add_power(&self, segment: &[f64], power: &mut [f64]) {
        let mean = segment.iter().sum::<f64>() / segment.len() as f64;
        let windowed = segment.iter().zip(&self.window);
        let mut values: Vec<Complex64> =
            windowed.map(|(x, window)| Complex64::new(window * (x - mean), 0.0)).collect();
        self.fourier.forward(&mut values);
        for (power, value) in power.iter_mut().zip(&values[1..]) {
            *power += value.re * value.re + value.im * value.im;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_power_of_a_segment_is_that_of_the_definition() {
        let n = 16;
        let x: Vec<f64> = (0..n).map(|i| f64::from(i * i % 7) - 2.0).collect();
        let welch = Welch::new(16);
        let mut power = vec![0.0; 8];
        welch.add_power(&x, &mut power);
        let mean = x.iter().sum::<f64>() / 16.0;
        for (f, found) in (1..=8u32).zip(&power) {
            let (mut re, mut im) = (0.0, 0.0);
            for (t, x) in (0..n).zip(&x) {
                let angle = std::f64::consts::TAU * f64::from(t) / 16.0;
                let value = (0.5 - 0.5 * angle.cos()) * (x - mean);
                re += value * (f64::from(f) * angle).cos();
                im += value * (f64::from(f) * angle).sin();
            }
            assert!((found - re * re - im * im).abs() < 1e-10, "frequency {f}");
        }
    }

    fn sine(n: u32, periods_per_1024: f64) -> Vec<f64> {
        let omega = std::f64::consts::TAU * periods_per_1024 / 1024.0;
        (0..n).map(|t| 5.0 + (omega * f64::from(t)).sin()).collect()
    }

    #[test]
    fn equal_frequencies_have_distance_zero_and_others_one() {
        let truth = sine(4096, 40.0);
        let distance = |pred: &[f64]| spectral_distance(&[pred], &[&truth], 1)[0].unwrap();
        // Another phase, size and mean.
        let same: Vec<f64> = sine(3000, 40.0)[7..].iter().map(|x| 9.0 - 3.0 * x).collect();
        assert!(distance(&same) < 1e-3, "{}", distance(&same));
        assert!(distance(&sine(4096, 90.0)) > 1.0 - 1e-6);
        assert!((distance(&[3.0; 2000]) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn half_of_the_power_elsewhere_has_its_closed_form() {
        // p = 1 at one frequency, q = ½ there and ½ elsewhere: √(1 − √½).
        let truth = sine(4096, 40.0);
        let pred: Vec<f64> = truth.iter().zip(&sine(4096, 200.0)).map(|(x, y)| x + y).collect();
        let distance = spectral_distance(&[&pred], &[&truth], 1)[0].unwrap();
        assert!((distance - (1.0 - 0.5f64.sqrt()).sqrt()).abs() < 1e-3, "{distance}");
    }

    #[test]
    fn variables_are_apart_and_diverged_forecasts_left_out() {
        let rows = |a: f64, b: f64| -> Vec<f64> {
            sine(600, a).into_iter().zip(sine(600, b)).flat_map(|(x, y)| [x, y]).collect()
        };
        let (truth, mut diverged) = (rows(60.0, 100.0), rows(60.0, 100.0));
        diverged[900] = f64::NAN;
        let found = spectral_distance(&[&rows(60.0, 200.0), &diverged], &[&truth], 2);
        assert!(found[0].unwrap() < 0.01 && found[1].unwrap() > 0.99, "{found:?}");
        assert_eq!(spectral_distance(&[&diverged], &[&truth], 2), [Some(1.0); 2]);
        assert_eq!(spectral_distance(&[&[0.5; 99]], &[&[2.0; 99]], 1), [None]);
        assert_eq!(spectral_distance(&[&[0.5; 9]], &[&truth], 1), [None]);
    }
}
