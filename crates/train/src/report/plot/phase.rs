//! Two variables against each other: truth on the left, the free run on the right.

use super::super::markup::Markup;
use super::super::rollout::{PhasePortrait, PoincareSection};
use super::chart::Look;
use super::frame::{Frame, LINE, NAME_ROOM, TICK_ROOM, canvas, label, tick_label_room};
use super::path::{self, Place};
use super::scale::Scale;

/// Points drawn per panel; more only blacken the picture.
const MAX_POINTS: usize = 4000;
/// The free run may widen the axes of the truth by this part of their length at each end.
const REACH: f64 = 0.15;
/// Largest height of a panel, in CSS pixels.
const MAX_HEIGHT: f64 = 300.0;
/// Distance of the two panels.
const GAP: f64 = 14.0;

/// The way of both trajectories, on the same axes.
pub(in super::super) fn phase_portrait(portrait: &PhasePortrait, width: f64) -> Markup {
    panels(portrait, "Phase portrait", ("line fine", path::line), width)
}

/// The crossings of a plane by both, on the same axes.
pub(in super::super) fn poincare_section(section: &PoincareSection, width: f64) -> Markup {
    panels(&section.crossings, "Poincaré section", ("line dots", path::dots), width)
}

/// Draws with a class of the style sheet and what joins the points.
fn panels(
    portrait: &PhasePortrait,
    title: &str,
    (class, path): (&str, fn(&[Place]) -> String),
    width: f64,
) -> Markup {
    let values = |rows: &[Vec<f64>], i: usize| -> Vec<f64> {
        let row = rows.get(i).map_or(&[][..], Vec::as_slice);
        row.iter().copied().take(MAX_POINTS).collect()
    };
    let axis = |i| {
        Scale::linear(values(&portrait.truth, i)).stretched(values(&portrait.forecast, i), REACH)
    };
    let (x, y) = (axis(0), axis(1));

    let height = (0.42 * width).min(MAX_HEIGHT);
    let left = tick_label_room(y, height);
    let panel_width = (width - left - GAP - 8.0) / 2.0;
    let top = 2.0 * LINE + 4.0;
    let total = top + height + TICK_ROOM + NAME_ROOM;
    let description =
        format!("{} against {}: truth and free run.", portrait.y_name, portrait.x_name);
    canvas((width, total), title, &description, |out| {
        let panels = [("truth", 0, &portrait.truth), ("forecast", 1, &portrait.forecast)];
        for (i, (name, colour, rows)) in panels.into_iter().enumerate() {
            let left = left + (panel_width + GAP) * i as f64;
            let frame = Frame { left, top, width: panel_width, height, x, y };
            label(out, "variable", left, LINE - 4.0, name);
            frame.grid(out, true, i == 0);
            frame.x_name(out, &portrait.x_name);
            if i == 0 {
                frame.y_name(out, &portrait.y_name);
            }
            frame.clipped(out, |out| {
                let places: Vec<_> = frame.places(values(rows, 0), values(rows, 1)).collect();
                let look = Look { colour, is_dashed: false };
                let (classes, data) = (look.classes(class), path(&places));
                out.empty("path", &[("class", &classes), ("d", &data)]);
            });
        }
    })
}
