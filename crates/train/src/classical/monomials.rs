//! Monomials of delayed rows, the features of [`Nvar`] and [`Polynomial`].
//!
//! ```text
//! l_t = x_t ⊕ x_{t−s} ⊕ … ⊕ x_{t−(k−1)s}                    k = lags, s = stride
//! f_t = 1 ⊕ l_t ⊕ (monomials of l_t of degree 2 … degree, each once)
//! ```
//!
//! Cost: one multiplication per monomial of degree 2 and more; of a step of [`DelayMap`]
//! `C(lags·channels + degree, degree) · (channels + 1)` multiply-adds.
//!
//! [`Nvar`]: super::Nvar
//! [`Polynomial`]: super::Polynomial

use super::increment::{IncrementRegression, IncrementWeights};
use super::{ClassicalError, SeriesView};

/// Which delayed values enter and to what degree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delays {
    pub(super) lags: usize,
    pub(super) stride: usize,
    pub(super) degree: usize,
    pub(super) channels: usize,
}

impl Delays {
    /// Rows that [`Delays::features`] reads.
    pub(super) fn window(&self) -> usize {
        (self.lags - 1).saturating_mul(self.stride).saturating_add(1)
    }

    /// Length of [`Delays::features`], saturating.
    pub(super) fn n_features(&self) -> usize {
        n_monomials(self.lags.saturating_mul(self.channels), self.degree)
    }

    /// What the features are, for messages.
    pub(super) fn formula(&self) -> String {
        let Self { lags, degree, channels, .. } = self;
        format!("monomials up to degree {degree} of {lags} lags × {channels} channels")
    }

    /// Appends the constant, the delayed rows newest first, and their monomials degree by degree.
    ///
    /// The monomials of one degree are ordered by their smallest factor, so those of degree `d`
    /// that start with `l_i` are `l_i` times the tail of degree `d − 1` from `l_i` on.
    pub(super) fn features(&self, past: &[f64], out: &mut Vec<f64>) {
        out.push(1.0);
        for row in past.rchunks_exact(self.channels).step_by(self.stride) {
            out.extend_from_slice(row);
        }
        let n = self.lags * self.channels;
        let mut lower_end = out.len();
        for degree in 2..=self.degree {
            for i in 0..n {
                let tail = n_monomials_of(n - i, degree - 1);
                let factor = out[1 + i];
                for j in lower_end - tail..lower_end {
                    out.push(factor * out[j]);
                }
            }
            lower_end = out.len();
        }
    }
}

/// `x_{t+1} = x_t + Wᵀ f_t` with fitted `W`.
#[derive(Clone, Debug)]
pub(super) struct DelayMap {
    pub(super) delays: Delays,
    weights: IncrementWeights,
}

impl DelayMap {
    /// Fits `W` to all series, for the method of this name.
    pub(super) fn fit(
        method: &'static str,
        delays: Delays,
        ridge: f64,
        series: &[SeriesView],
    ) -> Result<Self, ClassicalError> {
        let features = |past: &[f64], out: &mut Vec<f64>| delays.features(past, out);
        let (window, n_features) = (delays.window(), delays.n_features());
        let regression = IncrementRegression { method, window, n_features, ridge, features };
        Ok(Self { delays, weights: regression.fit(series)? })
    }

    /// Number of weights.
    pub(super) fn n_parameters(&self) -> usize {
        self.weights.len()
    }

    /// Rolls out `steps` rows.
    pub(super) fn forecast(
        &self,
        history: &[f64],
        channels: usize,
        steps: usize,
        out: &mut Vec<f64>,
    ) {
        let features = |past: &[f64], out: &mut Vec<f64>| self.delays.features(past, out);
        let window = self.delays.window();
        self.weights.forecast(history, channels, window, steps, out, features);
    }
}

/// Monomials in `n` variables of degree 0 to `degree`: `C(n + degree, degree)`, saturating.
fn n_monomials(n: usize, degree: usize) -> usize {
    n_monomials_of(n.saturating_add(1), degree)
}

/// Monomials in `n` variables of exactly `degree`: `C(n + degree − 1, degree)`, saturating.
fn n_monomials_of(n: usize, degree: usize) -> usize {
    let product = (0..degree)
        .try_fold(1u128, |c, i| Some(c.checked_mul(n as u128 + i as u128)? / (i as u128 + 1)));
    product.and_then(|c| usize::try_from(c).ok()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(delays: Delays, past: &[f64]) -> Vec<f64> {
        let mut out = Vec::new();
        delays.features(past, &mut out);
        out
    }

    #[test]
    fn monomials_appear_once_each_in_their_order() {
        let one_row = Delays { lags: 1, stride: 1, degree: 3, channels: 2 };
        assert_eq!(
            features(one_row, &[2.0, 3.0]),
            // 1, x, y, xx, xy, yy, xxx, xxy, xyy, yyy
            [1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 8.0, 12.0, 18.0, 27.0]
        );
        let delayed = Delays { lags: 2, stride: 2, degree: 2, channels: 1 };
        assert_eq!(delayed.window(), 3);
        // Newest first: u = 7 and v = 5; the row between them is skipped.
        assert_eq!(features(delayed, &[5.0, 6.0, 7.0]), [1.0, 7.0, 5.0, 49.0, 35.0, 25.0]);
    }

    #[test]
    fn the_number_of_features_is_the_binomial_and_does_not_overflow() {
        for (lags, channels, degree) in [(2, 3, 2), (3, 2, 3), (1, 5, 1), (1, 1, 3)] {
            let delays = Delays { lags, stride: 1, degree, channels };
            let past = vec![0.5; lags * channels];
            assert_eq!(features(delays, &past).len(), delays.n_features());
        }
        assert_eq!(n_monomials(6, 2), 28);
        assert_eq!(n_monomials(usize::MAX, 3), usize::MAX);
    }
}
