//! Cubic interpolation between the points of a line or a grid.
//!
//! Through the four nearest nodes, which at an end all lie on one side; the error is `O(h⁴)`. A function
//! on edges of cells is periodic, so that its nodes go on beyond the end. Where there are fewer nodes than
//! four, through all of them.

use super::{Placement, Points};

/// The nodes whose polynomial passes a place, and what each weighs there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stencil {
    nodes: [usize; 4],
    weights: [f64; 4],
}

impl Stencil {
    /// Among nodes that ascend or descend.
    pub(super) fn between(nodes: &[f64], x: f64) -> Self {
        let n = nodes.len();
        let width = n.min(4);
        let ascends = n < 2 || nodes[0] < nodes[1];
        let before = nodes.partition_point(|&node| if ascends { node <= x } else { node >= x });
        // Two nodes on either side, where there are.
        let first = before.saturating_sub(2).min(n - width);
        let mut stencil = Self { nodes: [first; 4], weights: [0.0; 4] };
        for i in 0..width {
            let others = (0..width).filter(|&j| j != i);
            let factor = |j: usize| (x - nodes[first + j]) / (nodes[first + i] - nodes[first + j]);
            stencil.nodes[i] = first + i;
            stencil.weights[i] = others.map(factor).product();
        }
        stencil
    }

    /// Among `i/n` for all whole `i`, which repeat after `n`.
    fn periodic(n: usize, x: f64) -> Self {
        let s = x * n as f64;
        // The node before, counted from n nodes further left: a place may lie before the first node.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "places lie in the unit interval"
        )]
        let first = n + s.floor() as usize - 1;
        let t = s + n as f64 - first as f64;
        let weight = |i: usize| {
            let others = (0..4).filter(|&j| j != i);
            others.map(|j| (t - j as f64) / (i as f64 - j as f64)).product()
        };
        let node = |i: usize| (first + i) % n;
        Self { nodes: std::array::from_fn(node), weights: std::array::from_fn(weight) }
    }

    fn along(placement: Placement, n: usize, x: f64) -> Self {
        match placement {
            Placement::Edges => Self::periodic(n, x),
            Placement::Cells | Placement::Nodes => Self::between(&placement.coordinates(n), x),
        }
    }

    fn parts(&self) -> impl Iterator<Item = (usize, f64)> {
        self.nodes.into_iter().zip(self.weights).filter(|(_, weight)| *weight != 0.0)
    }
}

/// Every row with every column of `[n, n]` values at nodes: their values at those places.
pub(super) fn on_grid(nodes: &[f64], values: &[f64], places: &[f64]) -> Vec<f64> {
    let n = nodes.len();
    let stencils: Vec<Stencil> = places.iter().map(|&x| Stencil::between(nodes, x)).collect();
    let along_rows: Vec<f64> = values
        .chunks_exact(n)
        .flat_map(|row| stencils.iter().map(|at| at.parts().map(|(i, w)| w * row[i]).sum::<f64>()))
        .collect();
    let width = stencils.len();
    let row = |at: &Stencil| -> Vec<f64> {
        (0..width).map(|j| at.parts().map(|(i, w)| w * along_rows[i * width + j]).sum()).collect()
    };
    stencils.iter().flat_map(row).collect()
}

/// Values of a function between the points that it is known at.
///
/// # Shapes
/// - `values`: `[points, channels]`
/// - `places`: `[places, dimensions]`, in the order of [`Points::coordinates`]
/// - returns: `[places, channels]`
///
/// # Panics
/// If there is not one value per point and channel.
#[must_use]
pub fn interpolate(points: &Points, values: &[f64], channels: usize, places: &[f64]) -> Vec<f64> {
    assert_eq!(values.len(), points.count() * channels, "one value per point and channel");
    let mut found = Vec::with_capacity(places.len() / points.dimensions() * channels);
    for place in places.chunks_exact(points.dimensions()) {
        let parts: Vec<(usize, f64)> = match points {
            Points::Line(nodes) => Stencil::between(nodes, place[0]).parts().collect(),
            Points::Grid { rows, columns, placement } => {
                let across = Stencil::along(*placement, *columns, place[0]);
                let down = Stencil::along(*placement, *rows, place[1]);
                let pairs = down.parts().flat_map(|(row, v)| {
                    across.parts().map(move |(column, w)| (row * columns + column, v * w))
                });
                pairs.collect()
            }
        };
        for channel in 0..channels {
            found.push(parts.iter().map(|(point, w)| w * values[point * channels + channel]).sum());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cubic(x: f64, y: f64) -> f64 {
        (x * x * x - 2.0 * x) * (1.0 + y - y * y * y)
    }

    #[test]
    fn cubics_are_exact_everywhere_and_nodes_are_kept() {
        let n = 7;
        let nodes = Placement::Nodes.coordinates(n);
        let values: Vec<f64> = (0..n * n).map(|i| cubic(nodes[i / n], nodes[i % n])).collect();
        let places = [0.0, 0.01, 0.5, 0.77, 0.99, 1.0];
        let found = on_grid(&nodes, &values, &places);
        for (i, &x) in places.iter().enumerate() {
            for (j, &y) in places.iter().enumerate() {
                assert!((found[6 * i + j] - cubic(x, y)).abs() < 1e-14, "{x} {y}");
            }
        }
    }

    #[test]
    fn scattered_places_of_a_grid_have_both_channels() {
        for placement in [Placement::Cells, Placement::Nodes] {
            let points = Points::Grid { rows: 5, columns: 8, placement };
            let at = points.coordinates();
            let values: Vec<f64> =
                at.chunks_exact(2).flat_map(|p| [cubic(p[0], p[1]), p[0] - p[1]]).collect();
            let places = [0.013, 0.4, 0.77, 0.98, 1.0, 0.0];
            let found = interpolate(&points, &values, 2, &places);
            for (place, found) in places.chunks_exact(2).zip(found.chunks_exact(2)) {
                assert!((found[0] - cubic(place[0], place[1])).abs() < 1e-13, "{placement:?}");
                assert!((found[1] - (place[0] - place[1])).abs() < 1e-14, "{placement:?}");
            }
        }
    }

    #[test]
    fn a_periodic_function_goes_on_beyond_its_last_point() {
        let points = Points::Grid { rows: 64, columns: 64, placement: Placement::Edges };
        let wave = |x: f64, y: f64| (std::f64::consts::TAU * (x + 2.0 * y)).sin();
        let values: Vec<f64> =
            points.coordinates().chunks_exact(2).map(|p| wave(p[0], p[1])).collect();
        let places = [0.995, 0.3, 0.4, 0.999];
        let found = interpolate(&points, &values, 1, &places);
        assert!((found[0] - wave(0.995, 0.3)).abs() < 1e-4, "{}", found[0]);
        assert!((found[1] - wave(0.4, 0.999)).abs() < 1e-4, "{}", found[1]);
    }

    #[test]
    fn lines_may_descend_and_be_short() {
        let cubic = |x: f64| x * x * x - x;
        let nodes = vec![2.0, 1.5, 0.2, 0.0, -1.0];
        let values: Vec<f64> = nodes.iter().map(|&x| cubic(x)).collect();
        for x in [2.0, 1.7, 0.1, -0.9] {
            let found = interpolate(&Points::Line(nodes.clone()), &values, 1, &[x]);
            assert!((found[0] - cubic(x)).abs() < 1e-13, "{x}: {}", found[0]);
        }
        let found = interpolate(&Points::Line(vec![0.0, 1.0]), &[3.0, 5.0], 1, &[0.25]);
        assert_eq!(found, [3.5]);
    }
}
