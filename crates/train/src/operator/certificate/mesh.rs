//! Meshes of the unit interval and the unit square.

use rand::{Rng, RngExt};
use regard_kernels::quadrature::{gauss_legendre, product};

/// Points of a unit domain, and what each weighs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mesh {
    /// `[points, dimension]`.
    pub(super) points: Vec<f64>,
    /// `[points]`.
    pub(super) weights: Vec<f64>,
}

impl Mesh {
    /// Points that weigh the same.
    pub(super) fn equal(points: Vec<f64>, dimension: usize) -> Self {
        let n = points.len() / dimension;
        Self { points, weights: vec![1.0; n] }
    }

    /// Every row with every column.
    pub(super) fn grid(rows: &Self, columns: &Self) -> Self {
        let pairs =
            rows.points.iter().flat_map(|&y| columns.points.iter().flat_map(move |&x| [y, x]));
        Self { points: pairs.collect(), weights: product(&rows.weights, &columns.weights) }
    }

    /// The rule of Gauss and Legendre with so many points along every axis.
    pub(super) fn gauss(n: usize, dimension: usize) -> Self {
        let rule = gauss_legendre([0.0, 1.0], n).expect("the unit interval is a domain");
        let line = Self { points: rule.nodes, weights: rule.weights };
        if dimension == 1 { line } else { Self::grid(&line, &line) }
    }

    /// Independent points, all of the same weight.
    pub(super) fn random(n: usize, dimension: usize, rng: &mut impl Rng) -> Self {
        Self::equal((0..n * dimension).map(|_| rng.random()).collect(), dimension)
    }
}

/// Both end points and equal steps.
pub(super) fn nodes(n: usize) -> Vec<f64> {
    (0..n).map(|i| i as f64 / (n - 1) as f64).collect()
}

/// Centres of equal cells.
pub(super) fn centres(n: usize) -> Vec<f64> {
    (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect()
}

/// Both end points, denser towards the first.
pub(super) fn squared(n: usize) -> Vec<f64> {
    nodes(n).into_iter().map(|t| t * t).collect()
}

/// Both end points and random ones between them.
pub(super) fn sorted(n: usize, rng: &mut impl Rng) -> Vec<f64> {
    let mut t: Vec<f64> = (2..n).map(|_| rng.random()).collect();
    t.extend([0.0, 1.0]);
    t.sort_by(f64::total_cmp);
    t
}
