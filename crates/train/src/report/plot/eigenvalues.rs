//! Eigenvalues in the upper half of the complex plane, with the unit circle.

use std::fmt::Display;

use super::super::markup::Markup;
use super::chart::Look;
use super::frame::{Frame, LINE, NAME_ROOM, TICK_ROOM, canvas, tick_label_room};
use super::path;
use super::scale::Scale;

/// Free room beyond the outermost point, as part of its distance from zero.
const MARGIN: f64 = 0.08;

/// Draws the `(re, im)` of every head in its colour; a ray turns by each of `rays`, in cycles.
pub(in super::super) fn eigenvalues(heads: &[Vec<(f64, f64)>], rays: &[f64], width: f64) -> Markup {
    let furthest = heads.iter().flatten().map(|(re, im)| re.hypot(*im)).fold(1.0, f64::max);
    let reach = furthest * (1.0 + MARGIN);
    let (x, y) = (Scale::exact(-reach, reach), Scale::exact(0.0, reach));
    let left = tick_label_room(y, 0.5 * width);
    let inner = width - left - 8.0;
    let top = LINE + 6.0;
    let frame = Frame { left, top, width: inner, height: 0.5 * inner, x, y };
    let total = top + frame.height + TICK_ROOM + NAME_ROOM;
    let description =
        format!("Eigenvalues of {} heads; the furthest is at {furthest:.2}.", heads.len());
    canvas((width, total), "Eigenvalues", &description, |out| {
        frame.grid(out, true, true);
        frame.x_name(out, "Re λ");
        frame.y_name(out, "Im λ");
        frame.clipped(out, |out| {
            let half_turn = (0..=180).map(|degree| f64::from(degree).to_radians());
            let circle: Vec<_> = {
                let (x, y): (Vec<f64>, Vec<f64>) = half_turn.map(|a| (a.cos(), a.sin())).unzip();
                frame.places(x, y).collect()
            };
            out.empty("path", &[("class", &"mark"), ("d", &path::line(&circle))]);
            for ray in rays {
                let angle = std::f64::consts::TAU * ray;
                let end = [reach * angle.cos(), reach * angle.sin()];
                let places: Vec<_> = frame.places([0.0, end[0]], [0.0, end[1]]).collect();
                out.empty("path", &[("class", &"mark"), ("d", &path::line(&places))]);
            }
            for (head, points) in heads.iter().enumerate() {
                let look = Look { colour: head + 1, is_dashed: false };
                let places: Vec<_> =
                    frame.places(points.iter().map(|p| p.0), points.iter().map(|p| p.1)).collect();
                let dots = path::dots(&places);
                let attributes: [(&str, &dyn Display); 3] = [
                    ("class", &look.classes("line")),
                    ("style", &"stroke-width:4.5"),
                    ("d", &dots),
                ];
                out.empty("path", &attributes);
            }
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_eigenvalue_is_a_dot_and_every_frequency_a_ray() {
        let heads = [vec![(0.5, 0.2), (-0.3, 0.0)], vec![(1.4, 0.0)]];
        let svg = eigenvalues(&heads, &[0.05, 0.1], 350.0).into_string();
        assert_eq!(svg.matches("h.1").count(), 3);
        assert_eq!(svg.matches("class=\"mark\"").count(), 3, "circle and two rays");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
