//! Cubic interpolation from equally spaced nodes on the unit interval.
//!
//! Through the four nearest nodes, which at an end all lie on one side; the error is `O(h⁴)`.

/// Four neighbouring nodes and their weights, for each point.
pub(super) struct Cubic(Vec<(usize, [f64; 4])>);

impl Cubic {
    /// From `n` nodes `i/(n - 1)` to points in the unit interval.
    ///
    /// # Panics
    /// If `n` is below 4.
    pub(super) fn new(n: usize, points: &[f64]) -> Self {
        assert!(n >= 4, "{n} nodes bear no cubic");
        let weights = |&x: &f64| {
            let s = x * (n - 1) as f64;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a node's number, at least 0 and below n"
            )]
            let first = ((s.floor() - 1.0).max(0.0) as usize).min(n - 4);
            let t = s - first as f64;
            let weights = std::array::from_fn(|i| {
                let others = (0..4).filter(|&j| j != i);
                others.map(|j| (t - j as f64) / (i as f64 - j as f64)).product()
            });
            (first, weights)
        };
        Self(points.iter().map(weights).collect())
    }

    /// Both axes of `[n, n]` values.
    pub(super) fn interpolate(&self, n: usize, values: &[f64]) -> Vec<f64> {
        let along_rows: Vec<f64> = values
            .chunks_exact(n)
            .flat_map(|row| {
                self.0.iter().map(|(first, weights)| weigh(weights, |i| row[first + i]))
            })
            .collect();
        let width = self.0.len();
        self.0
            .iter()
            .flat_map(|(first, weights)| {
                let column = |j: usize| weigh(weights, |i| along_rows[(first + i) * width + j]);
                (0..width).map(column).collect::<Vec<_>>()
            })
            .collect()
    }
}

fn weigh(weights: &[f64; 4], value: impl Fn(usize) -> f64) -> f64 {
    weights.iter().enumerate().map(|(i, weight)| weight * value(i)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cubics_are_exact_everywhere_and_nodes_are_kept() {
        let f = |x: f64, y: f64| (x * x * x - 2.0 * x) * (1.0 + y - y * y * y);
        let n = 7;
        let node = |i: usize| i as f64 / 6.0;
        let values: Vec<f64> = (0..n * n).map(|i| f(node(i / n), node(i % n))).collect();
        let points = [0.0, 0.01, 0.5, 0.77, 0.99, 1.0];
        let found = Cubic::new(n, &points).interpolate(n, &values);
        for (i, &x) in points.iter().enumerate() {
            for (j, &y) in points.iter().enumerate() {
                assert!((found[6 * i + j] - f(x, y)).abs() < 1e-14, "{x} {y}");
            }
        }
    }
}
