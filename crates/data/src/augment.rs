//! Random changes of a series or an image that keep its class, for training.
//!
//! ```text
//! shift:    the pixel (y, x) shows (y + a, x + b), the nearest one of the border beyond it
//! warp:     x(t) → x(τ(t)),  τ' ∝ exp(w g(t)),  τ(0) = 0,  τ(T) = T
//! rotation: each triple of channels → R · triple,  one R for the series
//! scaling:  x_c → (1 + s ξ_c) · x_c
//! jitter:   x_c(t) → x_c(t) + j σ_c ξ_{t,c}
//! ```
//!
//! in this order; `ξ` are independent standard normal numbers, `g` is a random smooth function of
//! root mean square 1 on average, `R` a rotation about a random axis.
//!
//! Kinds of change as in Um et al. 2017, arXiv:1706.00527. The formulas are ours: the speed of the
//! warp is the exponential of a cosine series, so that time never runs back.
//! Cost: O(steps · channels) per series.

use std::f64::consts::PI;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::DataError;

/// Cosines in the speed of the warp.
const HARMONICS: usize = 4;

/// Which changes, and how large; all are off by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Standard deviation of the noise on each value, as a share of the channel's own.
    pub jitter: f64,
    /// Standard deviation of the factor on each channel about 1.
    pub scaling: f64,
    /// Largest angle, in degrees, by which channels 0 to 2, 3 to 5, … are rotated, all alike.
    pub rotation: f64,
    /// Standard deviation of the logarithm of the speed at which time runs.
    pub time_warp: f64,
    /// Largest number of pixels by which an image moves, up or down and to either side.
    pub shift: usize,
}

impl AugmentConfig {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the sizes for series of this many channels, or images of this height and width.
    ///
    /// # Errors
    /// [`DataError::InvalidParameter`] for a size below zero or without bound, an angle beyond
    /// 180 degrees, a rotation of channels that are not triples, or a shift of what is no image, or of
    /// all of it.
    pub fn check(&self, channels: usize, grid: Option<[usize; 2]>) -> Result<(), DataError> {
        let Self { jitter, scaling, rotation, time_warp, shift } = *self;
        let at_most = [
            ("augment.jitter", jitter, 10.0, "a number from 0 to 10"),
            ("augment.scaling", scaling, 10.0, "a number from 0 to 10"),
            ("augment.rotation", rotation, 180.0, "degrees from 0 to 180"),
            ("augment.time_warp", time_warp, 1.0, "a number from 0 to 1"),
        ];
        for (name, size, largest, expected) in at_most {
            if !(0.0..=largest).contains(&size) {
                return Err(DataError::InvalidParameter {
                    name,
                    found: size.to_string(),
                    expected,
                });
            }
        }
        if rotation > 0.0 && !channels.is_multiple_of(3) {
            return Err(DataError::InvalidParameter {
                name: "augment.rotation",
                found: format!("{rotation} for {channels} channels"),
                expected: "0, or triples x, y, z of channels: choose them with data.columns",
            });
        }
        if shift > 0 && grid.is_none_or(|lengths| lengths.iter().any(|&length| shift >= length)) {
            return Err(DataError::InvalidParameter {
                name: "augment.shift",
                found: shift.to_string(),
                expected: "0, or for images fewer pixels than they have on a side",
            });
        }
        Ok(())
    }

    /// Changes one series, `[steps, channels]` in row-major order, in place; `grid` is height and width of
    /// an image, whose pixels are the steps, row by row.
    ///
    /// # Units
    /// `std` in the units of the channels: their standard deviation over the training part.
    ///
    /// # Panics
    /// If `values` are not whole rows, `std` has not one number per channel, or
    /// [`check`](Self::check) refuses the configuration.
    pub fn apply(
        &self,
        rng: &mut impl Rng,
        values: &mut [f64],
        channels: usize,
        std: &[f64],
        grid: Option<[usize; 2]>,
    ) {
        assert!(values.len().is_multiple_of(channels), "values are rows of {channels} channels");
        assert_eq!(std.len(), channels, "one standard deviation per channel");
        self.check(channels, grid).expect("the configuration was checked");
        if let Some(grid) = grid
            && self.shift > 0
        {
            let by = [(); 2].map(|()| rng.random_range(0..=2 * self.shift));
            shift(values, channels, grid, by, self.shift);
        }
        if self.time_warp > 0.0 {
            warp(&warped_times(rng, self.time_warp, values.len() / channels), values, channels);
        }
        if self.rotation > 0.0 {
            let rotation = random_rotation(rng, self.rotation.to_radians());
            for triple in values.chunks_exact_mut(3) {
                let [x, y, z] = [triple[0], triple[1], triple[2]];
                for (value, row) in triple.iter_mut().zip(&rotation) {
                    *value = row[0] * x + row[1] * y + row[2] * z;
                }
            }
        }
        if self.scaling > 0.0 {
            let factors: Vec<f64> =
                (0..channels).map(|_| 1.0 + self.scaling * normal(rng)).collect();
            for row in values.chunks_exact_mut(channels) {
                row.iter_mut().zip(&factors).for_each(|(value, factor)| *value *= factor);
            }
        }
        if self.jitter > 0.0 {
            for row in values.chunks_exact_mut(channels) {
                for (value, std) in row.iter_mut().zip(std) {
                    *value += self.jitter * std * normal(rng);
                }
            }
        }
    }
}

fn normal(rng: &mut impl Rng) -> f64 {
    rng.sample(StandardNormal)
}

/// The time, in steps, that each step shows: from 0 to `steps - 1`, increasing.
fn warped_times(rng: &mut impl Rng, strength: f64, steps: usize) -> Vec<f64> {
    let amplitude = strength * (2.0 / HARMONICS as f64).sqrt();
    let amplitudes = [(); HARMONICS].map(|()| amplitude * normal(rng));
    let intervals = steps.saturating_sub(1);
    let mut times = vec![0.0; steps];
    for t in 0..intervals {
        let phase = PI * (t as f64 + 0.5) / intervals as f64;
        let terms = amplitudes.iter().zip(1_u32..).map(|(a, k)| a * (f64::from(k) * phase).cos());
        times[t + 1] = times[t] + terms.sum::<f64>().exp();
    }
    let last = times.last().copied().unwrap_or(0.0);
    if last > 0.0 {
        for time in &mut times {
            *time *= intervals as f64 / last;
        }
        times[intervals] = intervals as f64; // not a rounding beyond
    }
    times
}

/// Replaces each row by the one at its time, between two rows by their weighted mean.
fn warp(times: &[f64], values: &mut [f64], channels: usize) {
    let original = values.to_vec();
    let last = times.len().saturating_sub(2);
    for (row, &time) in values.chunks_exact_mut(channels).zip(times) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a time lies between 0 and the number of steps"
        )]
        let before = (time as usize).min(last);
        let weight = time - before as f64;
        let rows = &original[before * channels..];
        for (channel, value) in row.iter_mut().enumerate() {
            let after = rows.get(channels + channel).copied().unwrap_or(rows[channel]);
            *value = rows[channel] * (1.0 - weight) + after * weight;
        }
    }
}

/// Moves an image so that it shows the pixels `by − centre` further down and to the right.
fn shift(
    values: &mut [f64],
    channels: usize,
    [height, width]: [usize; 2],
    by: [usize; 2],
    centre: usize,
) {
    let original = values.to_vec();
    let shown =
        |at: usize, by: usize, length: usize| (at + by).saturating_sub(centre).min(length - 1);
    for (i, pixel) in values.chunks_exact_mut(channels).enumerate() {
        let (y, x) = (shown(i / width, by[0], height), shown(i % width, by[1], width));
        pixel.copy_from_slice(&original[(y * width + x) * channels..][..channels]);
    }
}

/// The matrix that turns by an angle of at most `largest` radians about an axis; both are drawn
/// evenly.
fn random_rotation(rng: &mut impl Rng, largest: f64) -> [[f64; 3]; 3] {
    let axis = loop {
        let axis = [(); 3].map(|()| normal(rng));
        let length = axis.iter().map(|x| x * x).sum::<f64>().sqrt();
        if length > 1e-6 {
            break axis.map(|x| x / length);
        }
    };
    let angle = largest * rng.random_range(-1.0..=1.0);
    let (sin, cos) = angle.sin_cos();
    let [x, y, z] = axis;
    let cross = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]];
    let mut matrix = [[0.0; 3]; 3];
    for i in 0..3 {
        for j in 0..3 {
            let identity = if i == j { cos } else { 0.0 };
            matrix[i][j] = identity + sin * cross[i][j] + (1.0 - cos) * axis[i] * axis[j];
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const OFF: AugmentConfig =
        AugmentConfig { jitter: 0.0, scaling: 0.0, rotation: 0.0, time_warp: 0.0, shift: 0 };

    /// A smooth series of `steps` rows.
    fn series(steps: usize, channels: usize) -> Vec<f64> {
        (0..steps * channels)
            .map(|i| (0.37 * i as f64 + 1.0).sin() + 0.1 * (i % channels) as f64)
            .collect()
    }

    fn applied(config: &AugmentConfig, seed: u64, values: &[f64], channels: usize) -> Vec<f64> {
        let mut values = values.to_vec();
        let std: Vec<f64> = (1..=channels).map(|c| c as f64).collect();
        config.apply(&mut ChaCha8Rng::seed_from_u64(seed), &mut values, channels, &std, None);
        values
    }

    #[test]
    fn nothing_is_changed_by_default() {
        assert!(AugmentConfig::default().is_off() && AugmentConfig::default() == OFF);
        let values = series(11, 5);
        assert_eq!(applied(&OFF, 1, &values, 5), values);
        assert_eq!(serde_json::from_str::<AugmentConfig>("{}").unwrap(), OFF);
        assert!(serde_json::from_str::<AugmentConfig>(r#"{"jiter": 0.1}"#).is_err());
    }

    #[test]
    fn the_seed_decides() {
        let all =
            AugmentConfig { jitter: 0.1, scaling: 0.1, rotation: 20.0, time_warp: 0.3, ..OFF };
        let values = series(13, 6);
        assert_eq!(applied(&all, 1, &values, 6), applied(&all, 1, &values, 6));
        for config in [
            AugmentConfig { jitter: 0.1, ..OFF },
            AugmentConfig { scaling: 0.1, ..OFF },
            AugmentConfig { rotation: 20.0, ..OFF },
            AugmentConfig { time_warp: 0.3, ..OFF },
        ] {
            assert!(!config.is_off());
            assert_ne!(applied(&config, 1, &values, 6), applied(&config, 2, &values, 6));
        }
    }

    #[test]
    fn noise_is_a_share_of_the_deviation_of_its_channel() {
        let config = AugmentConfig { jitter: 0.5, ..OFF };
        let noise = applied(&config, 1, &vec![0.0; 2 * 4000], 2);
        for channel in 0..2 {
            let squares = noise.chunks_exact(2).map(|row| row[channel] * row[channel]);
            let std = (squares.sum::<f64>() / 4000.0).sqrt();
            let expected = 0.5 * (channel + 1) as f64;
            // Five standard errors: 5 / √(2 · 4000) = 0.056.
            assert!((std / expected - 1.0).abs() < 0.056, "{std} for {expected}");
        }
    }

    #[test]
    fn one_factor_scales_each_channel() {
        let values = series(7, 5);
        let scaled = applied(&AugmentConfig { scaling: 0.2, ..OFF }, 1, &values, 5);
        let factors: Vec<f64> = (0..5).map(|c| scaled[c] / values[c]).collect();
        for (i, (scaled, value)) in scaled.iter().zip(&values).enumerate() {
            assert!((scaled - factors[i % 5] * value).abs() < 1e-12);
        }
        assert!((factors[0] - factors[1]).abs() > 1e-3);
    }

    #[test]
    fn all_triples_of_a_window_turn_alike() {
        let rotation = AugmentConfig { rotation: 90.0, ..OFF };
        // The same triple twice in each row.
        let values: Vec<f64> =
            series(7, 3).chunks_exact(3).flat_map(|triple| [triple, triple].concat()).collect();
        let turned = applied(&rotation, 1, &values, 6);
        for row in turned.chunks_exact(6) {
            assert_eq!(row[..3], row[3..]);
        }
    }

    #[test]
    fn an_angle_stays_below_the_largest() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut largest: f64 = 0.0;
        for _ in 0..500 {
            let matrix = random_rotation(&mut rng, 0.3);
            let trace = matrix[0][0] + matrix[1][1] + matrix[2][2];
            largest = largest.max(((trace - 1.0) / 2.0).acos());
        }
        assert!(largest > 0.28 && largest <= 0.3 + 1e-9, "{largest}");
    }

    #[test]
    fn a_short_series_is_not_warped() {
        let warp = AugmentConfig { time_warp: 1.0, ..OFF };
        for steps in 0..3 {
            assert_eq!(applied(&warp, 1, &series(steps, 5), 5), series(steps, 5));
        }
    }

    #[test]
    fn wrong_sizes_are_refused() {
        let message = |config: AugmentConfig| config.check(4, None).unwrap_err().to_string();
        assert_eq!(
            message(AugmentConfig { jitter: -0.1, ..OFF }),
            "augment.jitter = -0.1, expected a number from 0 to 10"
        );
        assert_eq!(
            message(AugmentConfig { time_warp: f64::NAN, ..OFF }),
            "augment.time_warp = NaN, expected a number from 0 to 1"
        );
        assert_eq!(
            message(AugmentConfig { rotation: 10.0, ..OFF }),
            "augment.rotation = 10 for 4 channels, expected 0, or triples x, y, z of channels: \
             choose them with data.columns"
        );
        let moved = AugmentConfig { shift: 2, ..OFF };
        assert_eq!(
            message(moved),
            "augment.shift = 2, expected 0, or for images fewer pixels than they have on a side"
        );
        assert!(moved.check(4, Some([3, 7])).is_ok() && moved.check(4, Some([2, 7])).is_err());
    }

    #[test]
    fn an_image_moves_and_its_border_is_repeated() {
        // 2 × 3 pixels of two channels.
        let image = [[1.0, -1.0], [2.0, -2.0], [3.0, -3.0], [4.0, -4.0], [5.0, -5.0], [6.0, -6.0]];
        let moved = |by| {
            let mut values = image.concat();
            shift(&mut values, 2, [2, 3], by, 1);
            let first: Vec<f64> = values.iter().step_by(2).copied().collect();
            let second: Vec<f64> = values.iter().skip(1).step_by(2).map(|x| -x).collect();
            assert_eq!(first, second);
            first
        };
        assert_eq!(moved([1, 1]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(moved([2, 1]), [4.0, 5.0, 6.0, 4.0, 5.0, 6.0]);
        assert_eq!(moved([0, 2]), [2.0, 3.0, 3.0, 2.0, 3.0, 3.0]);
    }

    #[test]
    fn all_shifts_up_to_the_largest_are_drawn() {
        let config = AugmentConfig { shift: 1, ..OFF };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut middles = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut values: Vec<f64> = (0..9).map(f64::from).collect();
            config.apply(&mut rng, &mut values, 1, &[1.0], Some([3, 3]));
            middles.insert(values[4].to_bits());
        }
        assert_eq!(middles.len(), 9);
    }

    proptest! {
        #[test]
        fn a_rotation_keeps_lengths_and_angles(
            values in prop::collection::vec(-10.0_f64..10.0, 12),
            rotation in 0.1_f64..180.0,
            seed: u64,
        ) {
            let turned = applied(&AugmentConfig { rotation, ..OFF }, seed, &values, 6);
            let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(a, b)| a * b).sum::<f64>();
            for (before, after) in values.chunks_exact(6).zip(turned.chunks_exact(6)) {
                for (x, y) in [(0, 0), (0, 3), (3, 3)] {
                    let expected = dot(&before[x..x + 3], &before[y..y + 3]);
                    let found = dot(&after[x..x + 3], &after[y..y + 3]);
                    prop_assert!((found - expected).abs() < 1e-11); // 300 · 16 ε at most
                }
            }
        }

        #[test]
        fn a_warp_keeps_the_ends_and_the_order(
            steps in 2_usize..200,
            time_warp in 0.01_f64..1.0,
            seed: u64,
        ) {
            // Each value is its time: a warped ramp is the warped time.
            let ramp: Vec<f64> = (0..steps).map(|t| t as f64).collect();
            let times = applied(&AugmentConfig { time_warp, ..OFF }, seed, &ramp, 1);
            prop_assert_eq!((times[0], times[steps - 1]), (0.0, ramp[steps - 1]));
            prop_assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", times);
            let direct = warped_times(&mut ChaCha8Rng::seed_from_u64(seed), time_warp, steps);
            for (time, expected) in times.iter().zip(direct) {
                prop_assert!((time - expected).abs() < 1e-12 * steps as f64);
            }
        }
    }
}
