//! How far apart every two heads of a layer are, as a heat map.

use super::super::markup::Markup;
use super::frame::{canvas, label};
use super::heat_map::{Colours, MAX_CELLS, Matrix, heat_map};

/// Side of the map, in CSS pixels.
const SIDE: f64 = 132.0;
/// Room for labels on the left, above and below.
const LEFT: f64 = 26.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 18.0;

/// The map of one layer, from 0; colours go from zero to `largest`.
pub(in super::super) fn head_distances(layer: usize, pairs: &[Vec<f64>], largest: f64) -> Markup {
    let n = pairs.len();
    let title = format!("Layer {}", layer + 1);
    let description = format!("Distances of {n} heads, downwards, from {n} heads, to the right.");
    let (right, bottom) = (LEFT + SIDE, TOP + SIDE);
    let matrix = Matrix { rows: n, cols: n, values: pairs.concat() }.averaged(MAX_CELLS, MAX_CELLS);
    canvas((right + 4.0, bottom + BOTTOM), &title, &description, |out| {
        label(out, "variable", LEFT, TOP - 7.0, &title);
        let colours = Colours::Sequential(0.0, largest.max(f64::MIN_POSITIVE));
        heat_map(out, &matrix, colours, (LEFT, TOP, SIDE, SIDE));
        let attributes: [(&str, &dyn std::fmt::Display); 5] =
            [("class", &"border"), ("x", &LEFT), ("y", &TOP), ("width", &SIDE), ("height", &SIDE)];
        out.empty("rect", &attributes);
        label(out, "tick end", LEFT - 4.0, TOP + 9.0, "1");
        label(out, "tick end", LEFT - 4.0, bottom, &n.to_string());
        label(out, "tick", LEFT, bottom + 13.0, "1");
        label(out, "tick end", right, bottom + 13.0, &n.to_string());
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_heads_share_the_darkest_end_and_layers_are_counted_from_one() {
        let pairs = [vec![0.0, 0.0, 1.4], vec![0.0, 0.0, 1.4], vec![1.4, 1.4, 0.0]];
        let svg = head_distances(1, &pairs, 1.4).into_string();
        assert!(svg.contains("<title>Layer 2</title>"));
        // Two rows of two equal cells, and the corner.
        assert!(svg.contains("class=\"v0\" d=\"M0 0h2v1h-2zM0 1h2v1h-2zM2 2h1v1h-1z\""), "{svg}");
    }
}
