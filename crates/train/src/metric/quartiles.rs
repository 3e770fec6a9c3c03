//! Median and quartiles by linear interpolation between order statistics.
//!
//! ```text
//! position = p (n − 1)      quantile = x_⌊position⌋ + frac(position) · (x_⌈position⌉ − x_⌊position⌋)
//! ```
//!
//! Source: Hyndman and Fan 1996, definition 7; the default of NumPy and R.

use serde::{Deserialize, Serialize};

/// The middle of a sample and of its halves, in the unit of the sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quartiles {
    /// A quarter of the sample lies below.
    pub lower: f64,
    /// Half of the sample lies below.
    pub median: f64,
    /// Three quarters of the sample lie below.
    pub upper: f64,
}

impl Quartiles {
    /// Quartiles of `sample`, in any order; all NaN if it is empty or holds a NaN.
    ///
    /// Infinite values are ordered like any other; between a finite and an infinite one, the
    /// quantile is infinite.
    #[must_use]
    pub fn of(sample: &[f64]) -> Self {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        let undefined = sorted.is_empty() || sorted.iter().any(|x| x.is_nan());
        let at = |p| if undefined { f64::NAN } else { quantile(&sorted, p) };
        Self { lower: at(0.25), median: at(0.5), upper: at(0.75) }
    }
}

/// The value below which a part `p` of a sample lies that is sorted and not empty.
pub(super) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let position = p * (sorted.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the position lies between 0 and the length"
    )]
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    let (low, high) = (sorted[below], sorted[above]);
    let gap = high - low;
    // A position on a value would give 0 · ∞, two infinite neighbours ∞ − ∞.
    if below == above || gap.is_nan() { low } else { low + position.fract() * gap }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_interpolate_linearly() {
        let quartiles = Quartiles::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!(quartiles, Quartiles { lower: 1.75, median: 2.5, upper: 3.25 });
        let quartiles = Quartiles::of(&[10.0, 30.0, 20.0]);
        assert_eq!(quartiles, Quartiles { lower: 15.0, median: 20.0, upper: 25.0 });
    }

    #[test]
    fn one_value_is_all_three() {
        assert_eq!(Quartiles::of(&[7.0]), Quartiles { lower: 7.0, median: 7.0, upper: 7.0 });
    }

    #[test]
    fn infinite_values_are_large_and_nothing_else() {
        let inf = f64::INFINITY;
        let quartiles = Quartiles::of(&[1.0, inf, 2.0, inf, 3.0]);
        assert_eq!(quartiles, Quartiles { lower: 2.0, median: 3.0, upper: inf });
        let quartiles = Quartiles::of(&[1.0, inf]);
        assert_eq!(quartiles, Quartiles { lower: inf, median: inf, upper: inf });
    }

    #[test]
    fn no_values_and_nan_have_no_quartiles() {
        for sample in [&[][..], &[1.0, f64::NAN, 2.0]] {
            let Quartiles { lower, median, upper } = Quartiles::of(sample);
            assert!(lower.is_nan() && median.is_nan() && upper.is_nan());
        }
    }
}
