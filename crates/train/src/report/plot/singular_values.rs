//! Singular values of several matrices over the largest of each, falling with their number.

use super::super::markup::Markup;
use super::chart::{Chart, Line, Look};
use super::scale::Scale;

/// Height of the frame, in CSS pixels.
const HEIGHT: f64 = 210.0;
/// Ratios below this are rounding errors of single precision.
const FLOOR: f64 = 1e-7;

/// Draws one line per head, and a dashed one for its start.
pub(in super::super) fn singular_values(
    trained: &[&[f64]],
    fresh: &[&[f64]],
    width: f64,
) -> Markup {
    let line = |head: usize, values: &[f64], is_dashed| Line {
        name: if is_dashed { String::new() } else { format!("head {}", head + 1) },
        look: Look { colour: head + 1, is_dashed },
        x: (1..=values.len()).map(|k| k as f64).collect(),
        y: values.iter().map(|&ratio| if ratio > FLOOR { ratio } else { f64::NAN }).collect(),
    };
    let dashed = fresh.iter().enumerate().map(|(head, values)| line(head, values, true));
    let solid = trained.iter().enumerate().map(|(head, values)| line(head, values, false));
    let lines: Vec<Line> = dashed.chain(solid).collect();
    let n = trained.iter().map(|values| values.len()).max().unwrap_or(1);
    let ratios: Vec<f64> = lines.iter().flat_map(|line| line.y.iter().copied()).collect();
    let description = format!("Singular values of {} heads over their largest.", trained.len());
    Chart {
        title: "Singular values",
        description: &description,
        x: (Scale::exact(1.0, n.max(2) as f64), "number k"),
        y: (Scale::log(ratios), "σ_k / σ_1"),
        lines,
        bands: Vec::new(),
        marks: Vec::new(),
    }
    .draw(width, HEIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_leave_gaps_and_every_head_has_two_lines() {
        let values: [&[f64]; 2] = [&[1.0, 0.5, 0.0], &[1.0, 0.1, 1e-12]];
        let svg = singular_values(&values, &values, 350.0).into_string();
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        // Two lines and two pieces in the legend; two dashed lines without a name.
        assert_eq!(svg.matches("class=\"line c").count(), 6);
        assert_eq!(svg.matches("dashed\"").count(), 2);
    }
}
