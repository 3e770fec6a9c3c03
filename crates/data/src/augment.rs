//! Random changes of a series that keep its class, for training.
//!
//! ```text
//! warp:     x(t) → x(τ(t)),  τ' ∝ exp(w g(t)),  τ(0) = 0,  τ(T) = T
//! rotation: each triple of channels → R · triple,  one R for the series
//! scaling:  x_c → (1 + s ξ_c) · x_c
//! jitter:   x_c(t) → x_c(t) + j σ_c ξ_{t,c}
//! ```
//!
//! in this order; `ξ` are independent standard normal numbers, `g` is a random smooth function of
//! root mean square 1 on average, `R` a rotation about a random axis.
//!
//! Source: the changes of Um et al. 2017, §3.2, arXiv:1706.00527. Differs: the warp is the
//! exponential of a cosine series, so that time never runs back.
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
}

impl AugmentConfig {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the sizes for series of this many channels.
    ///
    /// # Errors
    /// [`DataError::InvalidParameter`] for a size below zero or without bound, an angle beyond
    /// 180 degrees, or a rotation of channels that are not triples.
    pub fn check(&self, channels: usize) -> Result<(), DataError> {
        let Self { jitter, scaling, rotation, time_warp } = *self;
        let at_most = [
            ("augment.jitter", jitter, 10.0, "a number from 0 to 10"),
            ("augment.scaling", scaling, 10.0, "a number from 0 to 10"),
            ("augment.rotation", rotation, 180.0, "degrees from 0 to 180"),
            ("augment.time_warp", time_warp, 3.0, "a number from 0 to 3"),
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
        Ok(())
    }

    /// Changes one series, `[steps, channels]` in row-major order, in place.
    ///
    /// # Units
    /// `std` in the units of the channels: their standard deviation over the training part.
    ///
    /// # Panics
    /// If `values` are not whole rows, `std` has not one number per channel, or
    /// [`check`](Self::check) refuses the configuration.
    pub fn apply(&self, rng: &mut impl Rng, values: &mut [f64], channels: usize, std: &[f64]) {
        assert!(values.len().is_multiple_of(channels), "values are rows of {channels} channels");
        assert_eq!(std.len(), channels, "one standard deviation per channel");
        self.check(channels).expect("the configuration was checked");
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
        times.iter_mut().for_each(|time| *time *= intervals as f64 / last);
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
