//! Errors of an operator against the number of points.

use super::super::certificate::{Certificate, Measure};
use super::super::markup::Markup;
use super::chart::{Chart, Line, Look};
use super::scale::Scale;

/// Height of the frame, in CSS pixels.
const HEIGHT: f64 = 260.0;

/// Draws every line of the certificate that has an order, both axes logarithmic.
pub(in super::super) fn convergence(certificate: &Certificate, width: f64) -> Markup {
    let lines: Vec<Line> = certificate
        .lines
        .iter()
        .filter(|line| line.measure == Measure::Order)
        .enumerate()
        .map(|(i, line)| Line {
            name: line.property.clone(),
            look: Look { colour: i + 1, is_dashed: !line.holds() },
            x: line.sizes.iter().map(|&n| n as f64).collect(),
            y: line.errors.clone(),
        })
        .collect();
    let all = |of: fn(&Line) -> &Vec<f64>| lines.iter().flat_map(of).copied().collect::<Vec<_>>();
    let (x, y) = (Scale::log(all(|line| &line.x)), Scale::log(all(|line| &line.y)));
    let chart = Chart {
        title: "Error under refinement",
        description: "Largest error over the largest value, against the number of points.",
        x: (x, "points"),
        y: (y, "error / largest value"),
        lines,
        bands: Vec::new(),
        marks: Vec::new(),
    };
    chart.draw(width, HEIGHT)
}
