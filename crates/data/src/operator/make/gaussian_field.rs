//! Gaussian random functions on the unit square with a Laplacian whose normal derivative vanishes
//! at the edges.
//!
//! ```text
//! g(x, y) = Σ_kl τ^{α-1} (π²(k² + l²) + τ²)^{-α/2} ξ_kl φ_k(x) φ_l(y),    0 ≤ k, l < modes
//! φ_0 = 1,  φ_k(x) = √2 cos(πkx),    ξ_kl ~ N(0, 1),    without the constant (k, l) = (0, 0)
//! ```
//!
//! This is the covariance `τ^{2α-2} (-Δ + τ²)^{-α}`, cut off at `modes` waves along each axis. One
//! draw is one function, which is evaluated on any grid.
//!
//! Source: Li et al. 2021, arXiv:2010.08895, §5.2, whose data these functions imitate. Cost of a
//! draw on `n` by `n` points: `modes² n + modes n²` products.

use std::f64::consts::{PI, SQRT_2};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::dense::{product, transposed};
use crate::DataError;
use crate::simulate::check_positive;

/// The covariance of a random function.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianField {
    /// Smoothness `α`; functions are continuous above 1.
    pub alpha: f64,
    /// Inverse length `τ` beyond which values are nearly independent.
    pub tau: f64,
    /// Waves along each axis.
    pub modes: usize,
}

/// One random function.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldDraw {
    modes: usize,
    /// Factors of `φ_k(x) φ_l(y)`, `[modes, modes]`.
    coefficients: Vec<f64>,
}

impl Default for GaussianField {
    fn default() -> Self {
        Self { alpha: 2.0, tau: 3.0, modes: 64 }
    }
}

impl GaussianField {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`DataError::InvalidParameter`] for one that is not above zero, or fewer than two modes.
    pub fn check(&self) -> Result<(), DataError> {
        check_positive(&[("field.alpha", self.alpha), ("field.tau", self.tau)])?;
        if self.modes < 2 {
            return Err(DataError::InvalidParameter {
                name: "field.modes",
                found: self.modes.to_string(),
                expected: "at least 2, as the constant is left out",
            });
        }
        Ok(())
    }

    /// The standard deviation of the values, averaged over the square.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        self.scales().map(|scale| scale * scale).sum::<f64>().sqrt()
    }

    /// A random function.
    #[must_use]
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> FieldDraw {
        let xi: Vec<f64> =
            (0..self.modes * self.modes).map(|_| rng.sample(StandardNormal)).collect();
        self.function(&xi)
    }

    /// The function of given `ξ`, `[modes, modes]`.
    ///
    /// # Panics
    /// If there are more or fewer.
    #[must_use]
    pub fn function(&self, xi: &[f64]) -> FieldDraw {
        assert_eq!(xi.len(), self.modes * self.modes, "one number for each pair of waves");
        let coefficients = self.scales().zip(xi).map(|(scale, xi)| scale * xi).collect();
        FieldDraw { modes: self.modes, coefficients }
    }

    /// Standard deviations of the coefficients.
    fn scales(&self) -> impl Iterator<Item = f64> {
        let Self { alpha, tau, modes } = *self;
        (0..modes * modes).map(move |i| {
            let squares = ((i / modes).pow(2) + (i % modes).pow(2)) as f64;
            if i == 0 {
                return 0.0;
            }
            tau.powf(alpha - 1.0) * (PI * PI * squares + tau * tau).powf(-0.5 * alpha)
        })
    }
}

impl FieldDraw {
    /// The values at all points of a grid with the coordinates `x` and `y`.
    ///
    /// # Shapes
    /// `[x, y]`
    #[must_use]
    pub fn evaluate(&self, x: &[f64], y: &[f64]) -> Vec<f64> {
        let waves = |x: &[f64]| -> Vec<f64> {
            let wave = |k: usize, x: f64| match k {
                0 => 1.0,
                _ => SQRT_2 * (PI * k as f64 * x).cos(),
            };
            (0..self.modes).flat_map(|k| x.iter().map(move |&x| wave(k, x))).collect()
        };
        let along_y = product(&self.coefficients, self.modes, &waves(y), y.len());
        product(&transposed(&waves(x), x.len()), self.modes, &along_y, y.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn one_draw_is_one_function_on_every_grid() {
        let field = GaussianField { modes: 7, ..GaussianField::default() };
        let draw = field.draw(&mut ChaCha8Rng::seed_from_u64(3));
        let (x, y) = ([0.1, 0.4, 0.9], [0.0, 0.35]);
        let whole = draw.evaluate(&x, &y);
        for (i, &x) in x.iter().enumerate() {
            for (j, &y) in y.iter().enumerate() {
                let alone = draw.evaluate(&[x], &[y])[0];
                assert!((whole[2 * i + j] - alone).abs() < 1e-15, "{alone}");
            }
        }
    }

    #[test]
    fn the_deviation_is_that_of_the_series_and_of_many_draws() {
        // The series of all waves, α = 2 and τ = 3, sums to .292 squared.
        let all = GaussianField { modes: 1000, ..GaussianField::default() };
        assert!((all.deviation() - 0.292).abs() < 5e-4, "{}", all.deviation());

        let field = GaussianField { modes: 8, ..GaussianField::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        // Centres of cells give products of cosines their exact mean.
        let x: Vec<f64> = (0..8).map(|i| (f64::from(i) + 0.5) / 8.0).collect();
        let squares: f64 = (0..400)
            .flat_map(|_| field.draw(&mut rng).evaluate(&x, &x))
            .map(|value| value * value)
            .sum();
        let ratio = (squares / (400.0 * 64.0)).sqrt() / field.deviation();
        // A dozen waves carry most of the variance: 1/√(2 · 400 · 4) of sampling error.
        assert!((ratio - 1.0).abs() < 0.05, "{ratio}");
    }

    #[test]
    fn values_have_no_slope_across_the_edges_and_mean_zero() {
        let field = GaussianField { modes: 9, ..GaussianField::default() };
        let draw = field.draw(&mut ChaCha8Rng::seed_from_u64(2));
        let h = 1e-4;
        let g = draw.evaluate(&[0.0, h, 1.0 - h, 1.0], &[0.3, 0.8]);
        for j in 0..2 {
            let slopes = [(g[2 + j] - g[j]) / h, (g[6 + j] - g[4 + j]) / h];
            assert!(slopes.iter().all(|slope| slope.abs() < 0.05), "{slopes:?}"); // O(h) of g''
        }
        let cells: Vec<f64> = (0..16).map(|i| (f64::from(i) + 0.5) / 16.0).collect();
        let mean = draw.evaluate(&cells, &cells).iter().sum::<f64>() / 256.0;
        assert!(mean.abs() < 1e-15, "{mean}");
    }
}
