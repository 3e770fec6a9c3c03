//! Rules on a line, and their products.

use std::f64::consts::PI;

use super::error::{QuadratureError, at_least, inside, not_empty};

/// Points that a rule chose, and their weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Coordinates, ascending, in the unit of the domain.
    pub nodes: Vec<f64>,
    /// One weight per node, in the same unit.
    pub weights: Vec<f64>,
}

/// Weights of the trapezoid rule: half the distances to both neighbours.
///
/// ```text
/// w_1 = |y_2 − y_1| / 2      w_j = |y_{j+1} − y_{j−1}| / 2      w_n = |y_n − y_{n−1}| / 2
/// ```
///
/// Nodes may ascend or descend, and repeat: a node between two at the same place weighs nothing.
///
/// # Units
/// Those of the nodes.
///
/// # Errors
/// [`QuadratureError::TooFew`] for less than two nodes, [`QuadratureError::NotFinite`],
/// [`QuadratureError::Unsorted`] where the nodes turn back, [`QuadratureError::EmptyDomain`] if all
/// are at the same place.
pub fn trapezoid(nodes: &[f64]) -> Result<Vec<f64>, QuadratureError> {
    at_least(2, nodes.len())?;
    if let Some((point, &value)) = nodes.iter().enumerate().find(|(_, y)| !y.is_finite()) {
        return Err(QuadratureError::NotFinite { point, value });
    }
    let [first, last] = [nodes[0], nodes[nodes.len() - 1]];
    let mut weights = vec![0.0; nodes.len()];
    for (i, pair) in nodes.windows(2).enumerate() {
        let step = pair[1] - pair[0];
        let back = if first <= last { step < 0.0 } else { step > 0.0 };
        if back {
            let [before, value] = [pair[0], pair[1]];
            return Err(QuadratureError::Unsorted { point: i + 1, value, before });
        }
        weights[i] += 0.5 * step.abs();
        weights[i + 1] += 0.5 * step.abs();
    }
    not_empty([first.min(last), first.max(last)])?;
    Ok(weights)
}

/// Centres and widths of `n` equal cells.
///
/// # Errors
/// [`QuadratureError::TooFew`] for no cells, [`QuadratureError::EmptyDomain`].
pub fn midpoint(domain: [f64; 2], n: usize) -> Result<Rule, QuadratureError> {
    at_least(1, n)?;
    not_empty(domain)?;
    let width = (domain[1] - domain[0]) / n as f64;
    let nodes = (0..n).map(|i| domain[0] + width * (i as f64 + 0.5)).collect();
    Ok(Rule { nodes, weights: vec![width; n] })
}

/// Nodes and weights of the rule that is exact for polynomials of degree `2n − 1`.
///
/// ```text
/// P_n(x_j) = 0      w_j = 2 / ((1 − x_j²) P_n'(x_j)²)      on [−1, 1]
/// ```
///
/// Zeros by Newton's method, values of `P_n` by its three-term recurrence: `n²` steps.
///
/// # Errors
/// [`QuadratureError::TooFew`] for no nodes, [`QuadratureError::EmptyDomain`].
pub fn gauss_legendre(domain: [f64; 2], n: usize) -> Result<Rule, QuadratureError> {
    /// Newton's method doubles the correct digits in each step; the first guess has at least two.
    const STEPS: usize = 6;
    at_least(1, n)?;
    not_empty(domain)?;
    let [centre, half] = [0.5 * (domain[0] + domain[1]), 0.5 * (domain[1] - domain[0])];
    let mut rule = Rule { nodes: vec![centre; n], weights: vec![0.0; n] };
    // The zeros lie symmetrically: half of them are computed, the middle one of an odd number is 0.
    for i in 0..n.div_ceil(2) {
        let mut x = (PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        if 2 * i + 1 == n {
            x = 0.0;
        }
        for _ in 0..STEPS {
            let (value, slope) = legendre(n, x);
            x -= value / slope;
        }
        let (_, slope) = legendre(n, x);
        let weight = 2.0 * half / ((1.0 - x) * (1.0 + x) * slope * slope);
        for (j, x) in [(i, -x), (n - 1 - i, x)] {
            rule.nodes[j] = centre + half * x;
            rule.weights[j] = weight;
        }
    }
    Ok(rule)
}

/// `P_n(x)` and its derivative, for `|x| < 1`.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for j in 2..=n {
        let j = j as f64;
        (before, value) = (value, ((2.0 * j - 1.0) * x * value - (j - 1.0) * before) / j);
    }
    (value, n as f64 * (before - x * value) / ((1.0 - x) * (1.0 + x)))
}

/// Equal weights of `n` points drawn independently and uniformly from a domain of this measure.
///
/// # Errors
/// [`QuadratureError::TooFew`] for no points.
pub fn monte_carlo(n: usize, measure: f64) -> Result<Vec<f64>, QuadratureError> {
    at_least(1, n)?;
    Ok(vec![measure / n as f64; n])
}

/// Lengths of the cells of scattered points on a line: each point stands for what is nearer to it than
/// to any other. Points at the same place share their cell.
///
/// # Errors
/// [`QuadratureError::TooFew`] for no points, [`QuadratureError::EmptyDomain`],
/// [`QuadratureError::NotFinite`], [`QuadratureError::Outside`].
pub fn cells(points: &[f64], domain: [f64; 2]) -> Result<Vec<f64>, QuadratureError> {
    at_least(1, points.len())?;
    not_empty(domain)?;
    for (i, &point) in points.iter().enumerate() {
        inside(i, point, 0, domain)?;
    }
    let mut order: Vec<usize> = (0..points.len()).collect();
    // −0 and 0 are the same place.
    let compare = |i: usize, j: usize| (points[i] + 0.0).total_cmp(&(points[j] + 0.0));
    order.sort_by(|&i, &j| compare(i, j));
    let places: Vec<&[usize]> = order.chunk_by(|&i, &j| compare(i, j).is_eq()).collect();
    let at = |place: usize| points[places[place][0]];
    let mut weights = vec![0.0; points.len()];
    let mut start = domain[0];
    for (place, members) in places.iter().enumerate() {
        let end =
            if place + 1 < places.len() { 0.5 * (at(place) + at(place + 1)) } else { domain[1] };
        for &i in *members {
            weights[i] = (end - start) / members.len() as f64;
        }
        start = end;
    }
    Ok(weights)
}

/// Weights on a grid, the product of those of its rows and of its columns; row after row.
#[must_use]
pub fn product(rows: &[f64], columns: &[f64]) -> Vec<f64> {
    rows.iter().flat_map(|row| columns.iter().map(move |column| row * column)).collect()
}
