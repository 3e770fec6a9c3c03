//! A series as a fixed number of summary features, whatever its length.
//!
//! ```text
//! per channel: mean, deviation, least, greatest, quartiles, mean |x_{t+1} − x_t|,
//!              √(mean power) in octaves of frequency, the highest up to the Nyquist frequency
//! per pair of channels: their correlation
//! ```
//!
//! A band is part of the Nyquist frequency, so that it means the same in series of any length.
//! Frequencies are those of the longest segments of a power of two of rows, half overlapping (Welch).

use crate::metric::power_spectrum::Welch;
use crate::metric::quartiles::Quartiles;

/// Octaves of frequency: `(1/2, 1]`, `(1/4, 1/2]` … of the Nyquist frequency, the last from zero.
const N_BANDS: usize = 6;
/// Features of one channel.
const PER_CHANNEL: usize = 8 + N_BANDS;
/// Most channels whose pairs are correlated: beyond, pairs would outnumber everything else.
const MAX_CORRELATED: usize = 24;

/// Number of features of a series with so many channels.
fn n_features(channels: usize) -> usize {
    PER_CHANNEL * channels + if correlated(channels) { channels * (channels - 1) / 2 } else { 0 }
}

/// The features of one series, `[time, channels]` row-major with at least one row.
pub(crate) fn summary_features(values: &[f64], channels: usize) -> Vec<f64> {
    let columns: Vec<Vec<f64>> = (0..channels)
        .map(|channel| values.iter().skip(channel).step_by(channels).copied().collect())
        .collect();
    let mut features = Vec::with_capacity(n_features(channels));
    let mut moments = Vec::with_capacity(channels);
    let fourier = fourier(columns[0].len());
    for column in &columns {
        let n = column.len() as f64;
        let mean = column.iter().sum::<f64>() / n;
        let deviation = (column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        let least = column.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let Quartiles { lower, median, upper } = Quartiles::of(column);
        let change: f64 = column.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
        let change = change / (n - 1.0).max(1.0);
        features.extend([mean, deviation, least, greatest, lower, median, upper, change]);
        features.extend(bands(column, fourier.as_ref()));
        moments.push((mean, deviation));
    }
    if correlated(channels) {
        for (i, (a, (mean_a, deviation_a))) in columns.iter().zip(&moments).enumerate() {
            for (b, (mean_b, deviation_b)) in columns[..i].iter().zip(&moments) {
                let products = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b));
                let scale = deviation_a * deviation_b * a.len() as f64;
                // A constant channel goes with nothing.
                features.push(if scale > 0.0 { products.sum::<f64>() / scale } else { 0.0 });
            }
        }
    }
    features
}

fn correlated(channels: usize) -> bool {
    (2..=MAX_CORRELATED).contains(&channels)
}

/// The transform of the longest segment of a power of two of rows; `None` below two rows.
fn fourier(time: usize) -> Option<Welch> {
    (time >= 2).then(|| Welch::new(1 << time.ilog2()))
}

/// Root of the mean power in each band, highest frequencies first.
fn bands(column: &[f64], fourier: Option<&Welch>) -> [f64; N_BANDS] {
    let mut bands = [0.0; N_BANDS];
    let Some(fourier) = fourier else { return bands };
    let segment = fourier.len();
    let mut power = vec![0.0; segment / 2];
    let starts = (0..=column.len() - segment).step_by(segment / 2);
    let n_segments = starts.clone().count();
    for start in starts {
        fourier.add_power(&column[start..start + segment], &mut power);
    }
    for (f, power) in (1..=segment / 2).zip(&power) {
        // Frequencies f of segment/2 with segment/2^(b+2) < f ≤ segment/2^(b+1) are in band b.
        let octave = (segment / 2).ilog2() - (2 * f - 1).ilog2();
        bands[(octave as usize).min(N_BANDS - 1)] += power;
    }
    bands.map(|sum| (sum / (n_segments * segment * segment) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_those_counted_by_hand() {
        // Columns 1, 3, 2 and 2, 6, 4, which go together.
        let features = summary_features(&[1.0, 2.0, 3.0, 6.0, 2.0, 4.0], 2);
        assert_eq!(features.len(), n_features(2));
        let expected = [2.0, (2.0_f64 / 3.0).sqrt(), 1.0, 3.0, 1.5, 2.0, 2.5, 1.5];
        for (found, expected) in features.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15, "{found} is not {expected}");
        }
        for (x, twice) in features[..PER_CHANNEL].iter().zip(&features[PER_CHANNEL..]) {
            assert!((2.0 * x - twice).abs() < 1e-15);
        }
        assert!((features[2 * PER_CHANNEL] - 1.0).abs() < 1e-15);
    }

    #[test]
    fn an_oscillation_is_in_its_octave_at_any_length() {
        for time in [64_u32, 100, 200] {
            // A sixth of the sampling rate is a third of the Nyquist frequency: in (1/4, 1/2].
            let wave: Vec<f64> =
                (0..time).map(|t| (std::f64::consts::TAU * f64::from(t) / 6.0).sin()).collect();
            let features = summary_features(&wave, 1);
            let bands = &features[8..];
            assert!(bands[1] > 10.0 * bands[0] && bands[1] > 10.0 * bands[2], "{bands:?}");
        }
    }

    #[test]
    fn every_frequency_has_its_band() {
        let fourier = Welch::new(64);
        let edges =
            [(32, 0), (17, 0), (16, 1), (9, 1), (8, 2), (5, 2), (4, 3), (3, 3), (2, 4), (1, 5)];
        for (f, expected) in edges {
            let angle = |t: u32| std::f64::consts::TAU * f64::from(f * t % 64) / 64.0;
            let wave: Vec<f64> = (0..64).map(|t| angle(t).cos()).collect();
            let bands = bands(&wave, Some(&fourier));
            let strongest = (0..N_BANDS).max_by(|&a, &b| bands[a].total_cmp(&bands[b]));
            assert_eq!(strongest, Some(expected), "{f}: {bands:?}");
        }
        assert!(bands(&[1.0; 64], Some(&fourier)).iter().all(|x| x.abs() < f64::MIN_POSITIVE));
    }

    #[test]
    fn short_and_constant_series_have_finite_features() {
        for values in [vec![1.0, 2.0], vec![1.0, 2.0, 1.0, 2.0], vec![0.5; 8]] {
            let features = summary_features(&values, 2);
            assert!(features.iter().all(|x| x.is_finite()), "{features:?}");
        }
        assert_eq!(n_features(1), PER_CHANNEL);
        assert_eq!(n_features(100), 100 * PER_CHANNEL);
    }
}
