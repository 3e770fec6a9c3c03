//! Cosines and sines of whole fractions of a turn, and the matrices of one axis.

use std::f64::consts::PI;

use crate::cpu::simd::Scalar;

/// `cos(2π j / n)`, rounded once or twice: the angle is reduced in whole numbers.
pub(super) fn cosine(j: usize, n: usize) -> f64 {
    let j = j % n;
    let j = j.min(n - j);
    // cos a = sin(π/2 − a), where the argument lies between −π/2 and π/2 and zeros are exact.
    let quarter = n as f64 - 4.0 * j as f64;
    (PI * quarter / (2.0 * n as f64)).sin()
}

/// `sin(2π j / n)`, rounded once or twice.
pub(super) fn sine(j: usize, n: usize) -> f64 {
    let j = j % n;
    if 2 * j > n {
        return -sine(n - j, n);
    }
    // Between 0 and half a turn the sine is symmetric about a quarter.
    let twice = (2 * j).min(n - 2 * j);
    (PI * twice as f64 / n as f64).sin()
}

/// The first waves along an axis of `n` points, on the half of it that determines them.
pub(super) struct Axis<S> {
    pub(super) n: usize,
    /// Frequencies `0 ≤ k < n_waves`, at most `n / 2 + 1` of them.
    pub(super) n_waves: usize,
    /// `cos(2π k j / n)` for `j ≤ n / 2`, `[n_waves, n_even]`.
    pub(super) cosines: Vec<S>,
    /// `sin(2π k j / n)` for `k ≥ 1` and `1 ≤ j < n / 2`, `[n_waves − 1, n_odd]`.
    pub(super) sines: Vec<S>,
}

impl<S: Scalar> Axis<S> {
    pub(super) fn new(n: usize, n_waves: usize) -> Self {
        let [cosine, sine] =
            [cosine, sine].map(|f| (0..n).map(|j| S::from_f64(f(j, n))).collect::<Vec<S>>());
        let mut axis = Self { n, n_waves, cosines: Vec::new(), sines: Vec::new() };
        for k in 0..n_waves {
            axis.cosines.extend((0..axis.n_even()).map(|j| cosine[k * j % n]));
        }
        for k in 1..n_waves {
            axis.sines.extend((1..=axis.n_odd()).map(|j| sine[k * j % n]));
        }
        axis
    }

    /// Points on which sums of opposite points differ.
    pub(super) fn n_even(&self) -> usize {
        self.n / 2 + 1
    }

    /// Points on which differences of opposite points differ, and are not zero.
    pub(super) fn n_odd(&self) -> usize {
        (self.n - 1) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_are_exact_at_quarters_and_right_between() {
        for n in [1, 2, 3, 4, 7, 12, 13, 416] {
            for j in 0..2 * n {
                let angle = 2.0 * PI * (j % n) as f64 / n as f64;
                // The angle is rounded, twice: 2π · 2⁻⁵².
                assert!((cosine(j, n) - angle.cos()).abs() < 2e-15, "cosine of {j} / {n}");
                assert!((sine(j, n) - angle.sin()).abs() < 2e-15, "sine of {j} / {n}");
                if 4 * j % n == 0 {
                    let [zero, one] = if 4 * j / n % 2 == 0 {
                        [sine(j, n), cosine(j, n)]
                    } else {
                        [cosine(j, n), sine(j, n)]
                    };
                    let bits = [zero, one].map(|x| x.abs().to_bits());
                    assert_eq!(bits, [0.0f64, 1.0].map(f64::to_bits), "{j} / {n}");
                }
            }
        }
    }
}
