//! How far functions are from those they should be.
//!
//! ```text
//! relative L2   ‖û − u‖ / ‖u‖                                over points and channels
//! normalised    the same of (u − mean) / std                 mean and deviation of the training part
//! relative H1   (‖û − u‖ + |û − u|₁) / (‖u‖ + |u|₁)          |f|₁ = ‖∇f‖ by differences of neighbours
//! VRMSE         ‖û − u‖ / ‖u − ū‖                            ū: mean of the function
//! ```
//!
//! Each is taken per function. Source: Calvello et al. 2025, arXiv:2406.06486, for the first three; Ohana et
//! al. 2024, arXiv:2412.00568, for VRMSE.

use regard_data::operator::{Points, ScalarNormalization};
use serde::{Deserialize, Serialize};

/// Scores of a set of functions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FunctionScores {
    /// Mean relative L2 error.
    pub relative_l2: f64,
    /// Median relative L2 error.
    pub median: f64,
    /// Largest relative L2 error.
    pub worst: f64,
    /// Mean relative L2 error of normalised functions.
    pub normalized_l2: f64,
    /// Mean relative H1 error.
    pub relative_h1: f64,
    /// Mean variance-scaled root mean squared error.
    pub vrmse: f64,
    /// Relative L2 error of every function.
    pub per_function: Vec<f64>,
}

/// Scores functions `[functions, points, channels]` in physical units.
///
/// # Panics
/// If the lengths disagree, or there is no function.
#[must_use]
pub fn function_scores(
    found: &[f64],
    wanted: &[f64],
    points: &Points,
    channels: usize,
    normalization: &ScalarNormalization,
) -> FunctionScores {
    let width = points.count() * channels;
    assert_eq!(found.len(), wanted.len(), "as many values found as wanted");
    assert!(!wanted.is_empty() && wanted.len().is_multiple_of(width), "whole functions");
    let mut scores = FunctionScores::default();
    let n = (wanted.len() / width) as f64;
    for (found, wanted) in found.chunks_exact(width).zip(wanted.chunks_exact(width)) {
        let error: Vec<f64> = found.iter().zip(wanted).map(|(a, b)| a - b).collect();
        let l2 = norm(&error) / norm(wanted);
        scores.per_function.push(l2);
        scores.relative_l2 += l2 / n;
        // The mean cancels in the difference, and both are divided by the same number.
        let centred: Vec<f64> = wanted.iter().map(|x| x - normalization.mean).collect();
        scores.normalized_l2 += norm(&error) / norm(&centred) / n;
        let mean = wanted.iter().sum::<f64>() / width as f64;
        let fluctuation: Vec<f64> = wanted.iter().map(|x| x - mean).collect();
        scores.vrmse += norm(&error) / norm(&fluctuation) / n;
        let h1 = |f: &[f64]| norm(f) + slope(f, points, channels);
        scores.relative_h1 += h1(&error) / h1(wanted) / n;
    }
    let mut sorted = scores.per_function.clone();
    sorted.sort_by(f64::total_cmp);
    scores.median = f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    scores.worst = sorted[sorted.len() - 1];
    scores
}

/// Root mean square.
fn norm(f: &[f64]) -> f64 {
    (f.iter().map(|x| x * x).sum::<f64>() / f.len() as f64).sqrt()
}

/// Root mean square of the gradient: central differences, one-sided at the ends.
fn slope(f: &[f64], points: &Points, channels: usize) -> f64 {
    let axes: Vec<(Vec<f64>, usize)> = match points {
        Points::Line(x) => vec![(x.clone(), channels)],
        Points::Grid { rows, columns, placement } => vec![
            (placement.coordinates(*rows), columns * channels),
            (placement.coordinates(*columns), channels),
        ],
    };
    let mut squares = 0.0;
    for (x, stride) in &axes {
        let last = x.len() - 1;
        for i in 0..f.len() {
            let at = i / stride % x.len();
            let (before, after) = (at.saturating_sub(1), (at + 1).min(last));
            if before < after {
                let value = |j: usize| f[i + j * stride - at * stride];
                squares += ((value(after) - value(before)) / (x[after] - x[before])).powi(2);
            }
        }
    }
    (squares / f.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use regard_data::operator::Placement;

    const UNIT: ScalarNormalization = ScalarNormalization { mean: 1.0, std: 1.0 };

    #[test]
    fn scores_of_a_constant_offset() {
        // u = 3, 5 and û = u + 1: ‖e‖ = 1, ‖u‖ = √17, ‖u − 1‖ = √10, ‖u − 4‖ = 1.
        let points = Points::Line(vec![0.0, 0.5]);
        let scores = function_scores(&[4.0, 6.0], &[3.0, 5.0], &points, 1, &UNIT);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} {b}");
        close(scores.relative_l2, 1.0 / 17_f64.sqrt());
        close(scores.normalized_l2, 1.0 / 10_f64.sqrt());
        close(scores.vrmse, 1.0);
        // ∇e = 0, ∇u = 4.
        close(scores.relative_h1, 1.0 / (17_f64.sqrt() + 4.0));
    }

    #[test]
    fn the_gradient_of_a_plane_is_the_same_everywhere() {
        let points = Points::Grid { rows: 3, columns: 5, placement: Placement::Nodes };
        let plane: Vec<f64> =
            points.coordinates().chunks(2).map(|p| 3.0 * p[0] - 4.0 * p[1]).collect();
        assert!((slope(&plane, &points, 1) - 5.0).abs() < 1e-12);
        let both: Vec<f64> = plane.iter().flat_map(|x| [*x, 0.0]).collect();
        assert!((slope(&both, &points, 2) - 5.0 / 2_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn median_and_worst_are_those_of_the_functions() {
        let points = Points::Line(vec![0.0, 1.0]);
        let found = [1.1, 1.1, 1.0, 1.0, 3.0, 3.0];
        let scores = function_scores(
            &found,
            &[1.0; 6],
            &points,
            1,
            &ScalarNormalization { mean: 0.0, std: 1.0 },
        );
        assert!((scores.median - 0.1).abs() < 1e-12 && (scores.worst - 2.0).abs() < 1e-12);
        assert!((scores.relative_l2 - 0.7).abs() < 1e-12);
    }
}
