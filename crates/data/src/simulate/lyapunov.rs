//! Lyapunov exponents: mean rates at which neighbouring trajectories separate.
//!
//! Of a system, from its tangent flow `V`, made orthonormal every few steps of length `h`:
//!
//! ```text
//! V_{m+1} = Φ(x_m) Q_m        V_{m+1} = Q_{m+1} R_{m+1}        λ_i = Σ_m ln R_m[i, i] / t
//! ```
//!
//! Of a map known by its values alone, from a neighbour at distance `δ` that is pulled back to that
//! distance after each step: `λ = Σ_m ln(d_m / δ) / n`.
//!
//! Source: Benettin, Galgani, Giorgilli & Strelcyn 1980, Meccanica 15, 9–30; with two trajectories:
//! Benettin, Galgani & Strelcyn 1976, Phys. Rev. A 14, 2338–2345. Cost: one step with `k` tangents,
//! and `k²` products of vectors each interval; two evaluations a step for a map.

use super::{Stepper, System};

/// How long to average.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LyapunovConfig {
    /// Steps before the average, in which state and tangents find the attractor.
    pub warm_up: usize,
    /// Steps of the average.
    pub steps: usize,
    /// Steps after which tangents are made orthonormal; at least 1, and short enough that the
    /// fastest does not outgrow the others by 16 digits.
    pub interval: usize,
}

/// The `k` largest exponents of a system per time unit, from a state, in steps of length `h`.
///
/// Not a number where the trajectory leaves the finite numbers.
///
/// # Panics
/// If `config.interval` is 0, or `k` exceeds the number of variables.
#[must_use]
pub fn exponents<S: System>(
    system: &S,
    start: &[f64],
    k: usize,
    h: f64,
    config: &LyapunovConfig,
) -> Vec<f64> {
    let dimension = start.len();
    assert!(k <= dimension, "{k} exponents of {dimension} variables");
    let (mut x, mut stepper) = (start.to_vec(), system.stepper(h));
    let mut tangents = vec![0.0; k * dimension];
    for (i, tangent) in tangents.chunks_exact_mut(dimension).enumerate() {
        // No two alike, none on an axis, so that every direction is met.
        for (j, v) in tangent.iter_mut().enumerate() {
            *v = (((i + 1) * (j + 1)) as f64).sin();
        }
    }
    orthonormalize(&mut tangents, dimension);
    let mut growth = vec![0.0; k];
    let warm_up = config.warm_up.div_ceil(config.interval);
    let intervals = config.steps.div_ceil(config.interval);
    for interval in 0..warm_up + intervals {
        (0..config.interval).for_each(|_| stepper.step_with_tangents(&mut x, &mut tangents));
        let stretched = orthonormalize(&mut tangents, dimension);
        if interval >= warm_up {
            growth.iter_mut().zip(stretched).for_each(|(sum, factor)| *sum += factor.ln());
        }
    }
    let time = (intervals * config.interval) as f64 * h;
    growth.into_iter().map(|sum| sum / time).collect()
}

/// The largest exponent of a map `x → map(x)`, per step.
///
/// `separation` is the distance of the neighbour: small against the attractor, large against the
/// rounding of the map (1e-7 of the state for a map in double precision, 1e-3 in single).
/// Minus infinity if the map merges the two; `None` if it leaves the finite numbers.
///
/// # Panics
/// If `map` returns another number of entries than it was given.
pub fn map_exponent(
    mut map: impl FnMut(&[f64]) -> Vec<f64>,
    start: &[f64],
    separation: f64,
    warm_up: usize,
    steps: usize,
) -> Option<f64> {
    let mut x = start.to_vec();
    let mut offset: Vec<f64> = (0..x.len()).map(|i| (i as f64 + 1.0).sin()).collect();
    let size = norm(&offset);
    for v in &mut offset {
        *v *= separation / size;
    }
    let mut growth = 0.0;
    for step in 0..warm_up + steps {
        let neighbour: Vec<f64> = x.iter().zip(&offset).map(|(x, v)| x + v).collect();
        // Adding rounds; what counts is the distance that was really there.
        let before = distance(&neighbour, &x);
        let (next, neighbour) = (map(&x), map(&neighbour));
        assert_eq!(next.len(), x.len(), "a map keeps the number of entries");
        let after = distance(&neighbour, &next);
        if !after.is_finite() {
            return None;
        }
        if after == 0.0 {
            return Some(f64::NEG_INFINITY);
        }
        for ((v, a), b) in offset.iter_mut().zip(&neighbour).zip(&next) {
            *v = (a - b) * (separation / after);
        }
        x = next;
        growth += if step < warm_up { 0.0 } else { (after / before).ln() };
    }
    Some(growth / steps as f64)
}

/// Gram–Schmidt, each vector against the earlier ones; returns the lengths that were left.
fn orthonormalize(vectors: &mut [f64], dimension: usize) -> Vec<f64> {
    let mut lengths = Vec::with_capacity(vectors.len() / dimension);
    for i in 0..vectors.len() / dimension {
        let (done, rest) = vectors.split_at_mut(i * dimension);
        let vector = &mut rest[..dimension];
        for unit in done.chunks_exact(dimension) {
            let along: f64 = vector.iter().zip(unit).map(|(a, b)| a * b).sum();
            for (a, b) in vector.iter_mut().zip(unit) {
                *a -= along * b;
            }
        }
        let length = norm(vector);
        for a in &mut *vector {
            *a /= length;
        }
        lengths.push(length);
    }
    lengths
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::Lorenz;
    use super::*;

    #[test]
    fn the_logistic_map_doubles_distances() {
        // x → 4 x (1 - x) is conjugate to the doubling map: exponent ln 2.
        let map = |x: &[f64]| vec![4.0 * x[0] * (1.0 - x[0])];
        let found = map_exponent(map, &[0.3], 1e-8, 100, 200_000).unwrap();
        assert!((found - 2.0_f64.ln()).abs() < 0.01, "{found}");
    }

    #[test]
    fn a_linear_map_has_the_logarithm_of_its_largest_eigenvalue() {
        // Eigenvalues 0.9 and 0.5 with skew eigenvectors.
        let map = |x: &[f64]| vec![0.9 * x[0] + 0.3 * x[1], 0.5 * x[1]];
        let found = map_exponent(map, &[1.0, 1.0], 1e-3, 100, 200).unwrap();
        assert!((found - 0.9_f64.ln()).abs() < 1e-6, "{found}");
    }

    #[test]
    fn the_map_of_a_flow_has_the_exponent_of_the_flow() {
        let mut stepper = Lorenz::default().stepper(0.01);
        let map = |x: &[f64]| {
            let mut next = x.to_vec();
            (0..5).for_each(|_| stepper.step(&mut next));
            next
        };
        let found = map_exponent(map, &[1.0, 1.0, 20.0], 1e-6, 1000, 40_000).unwrap() / 0.05;
        assert!((found - 0.9056).abs() < 0.02, "{found}");
    }

    #[test]
    fn maps_that_merge_or_explode_say_so() {
        assert_eq!(map_exponent(|_| vec![1.0], &[0.0], 1e-3, 0, 5), Some(f64::NEG_INFINITY));
        assert_eq!(map_exponent(|x| vec![x[0] * 1e200], &[1.0], 1e-3, 0, 5), None);
    }

    #[test]
    fn vectors_become_orthonormal() {
        let mut vectors = [3.0, 4.0, 0.0, 1.0, 2.0, 2.0];
        let lengths = orthonormalize(&mut vectors, 3);
        assert!((lengths[0] - 5.0).abs() < 1e-15);
        // What is left of (1, 2, 2) across (3, 4, 0)/5 has length √(9 - 2.2²).
        assert!((lengths[1] - (9.0_f64 - 4.84).sqrt()).abs() < 1e-15, "{lengths:?}");
        let (a, b) = vectors.split_at(3);
        assert!(a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>().abs() < 1e-15);
    }
}
