//! The canvas of a plot, its axes and the area inside them.

use std::fmt::Display;

use super::super::format::shorten;
use super::super::markup::{Markup, coordinate};
use super::path::Place;
use super::scale::{Scale, Tick};

/// Width of an average character of the labels, in CSS pixels; wide fonts stay below it.
pub(super) const CHARACTER: f64 = 6.6;
/// Distance of two lines of labels.
pub(super) const LINE: f64 = 16.0;
/// Room below a frame for tick labels, and below them for the name of the axis.
pub(super) const TICK_ROOM: f64 = 17.0;
pub(super) const NAME_ROOM: f64 = 18.0;
/// Room that the ticks of a horizontal and a vertical axis need, in CSS pixels.
const TICK_DISTANCE: (f64, f64) = (62.0, 30.0);

/// A drawing with a name for those who do not see it.
pub(super) fn canvas(
    (width, height): (f64, f64),
    title: &str,
    description: &str,
    draw: impl FnOnce(&mut Markup),
) -> Markup {
    let mut svg = Markup::default();
    let view_box = format!("0 0 {} {}", coordinate(width), coordinate(height));
    let label = format!("{title}. {description}");
    let attributes: [(&str, &dyn Display); 5] = [
        ("class", &"plot"),
        ("viewBox", &view_box),
        ("style", &format!("max-width:{}px", coordinate(1.15 * width))),
        ("role", &"img"),
        ("aria-label", &label),
    ];
    svg.element("svg", &attributes, |svg| {
        svg.leaf("title", &[], title);
        draw(svg);
    });
    svg
}

/// A rectangle between two axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Frame {
    /// Grid lines, and tick labels below and to the left where asked.
    pub(super) fn grid(&self, out: &mut Markup, labels_below: bool, labels_left: bool) {
        let (bottom, right) = (self.top + self.height, self.left + self.width);
        let mut grid = String::new();
        for tick in self.x_ticks() {
            let x = self.left + tick.position * self.width;
            grid += &stroke((x, self.top), 'V', bottom);
        }
        if labels_below {
            self.ticks_below(out);
        }
        for tick in self.y_ticks() {
            let y = bottom - tick.position * self.height;
            grid += &stroke((self.left, y), 'H', right);
            if labels_left {
                label(out, "tick end", self.left - 5.0, y + 4.0, &tick.label);
            }
        }
        out.empty("path", &[("class", &"grid-lines"), ("d", &grid)]);
        let corner = format!(
            "M{} {}V{}H{}",
            coordinate(self.left),
            coordinate(self.top),
            coordinate(bottom),
            coordinate(right)
        );
        out.empty("path", &[("class", &"axis"), ("d", &corner)]);
    }

    /// Tick labels of the horizontal axis; the outermost stay inside the drawing.
    pub(super) fn ticks_below(&self, out: &mut Markup) {
        let right = self.left + self.width + 8.0;
        for tick in self.x_ticks() {
            let half = CHARACTER * 0.5 * tick.label.chars().count() as f64;
            let x = (self.left + tick.position * self.width).min(right - half);
            label(out, "tick middle", x, self.top + self.height + 13.0, &tick.label);
        }
    }

    /// The name of the horizontal axis, below its tick labels.
    pub(super) fn x_name(&self, out: &mut Markup, name: &str) {
        let fits = fitting(self.left + self.width, name);
        let y = self.top + self.height + TICK_ROOM + 12.0;
        label(out, "name end", self.left + self.width, y, &fits);
    }

    /// The name of the vertical axis, above it.
    pub(super) fn y_name(&self, out: &mut Markup, name: &str) {
        label(out, "name", 0.0, self.top - 7.0, &fitting(self.left + self.width, name));
    }

    /// Draws inside the frame: the origin is its upper left corner, what lies outside is cut off.
    pub(super) fn clipped(&self, out: &mut Markup, draw: impl FnOnce(&mut Markup)) {
        let [x, y, width, height] = [self.left, self.top, self.width, self.height].map(coordinate);
        let attributes: [(&str, &dyn Display); 4] =
            [("x", &x), ("y", &y), ("width", &width), ("height", &height)];
        out.element("svg", &attributes, draw);
    }

    /// Places of `(x, y)` for [`Frame::clipped`]; values far outside are pulled close to the frame.
    pub(super) fn places<'a>(
        &'a self,
        x: impl IntoIterator<Item = f64> + 'a,
        y: impl IntoIterator<Item = f64> + 'a,
    ) -> impl Iterator<Item = Place> + 'a {
        x.into_iter().zip(y).map(|(x, y)| {
            let [x, y] = [self.x.position(x)?, self.y.position(y)?].map(|at| at.clamp(-1.0, 2.0));
            Some((x * self.width, (1.0 - y) * self.height))
        })
    }

    fn x_ticks(&self) -> Vec<Tick> {
        self.x.ticks(ticks_along(self.width, TICK_DISTANCE.0))
    }

    fn y_ticks(&self) -> Vec<Tick> {
        self.y.ticks(ticks_along(self.height, TICK_DISTANCE.1))
    }
}

/// Room to the left of a frame of `height` for the tick labels of `y`.
pub(super) fn tick_label_room(y: Scale, height: f64) -> f64 {
    let ticks = y.ticks(ticks_along(height, TICK_DISTANCE.1));
    let longest = ticks.iter().map(|tick| tick.label.chars().count()).max().unwrap_or(0);
    longest as f64 * CHARACTER + 8.0
}

/// As much of `name` as fits into `room`.
fn fitting(room: f64, name: &str) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of characters, far below the largest integer"
    )]
    let characters = (room / CHARACTER) as usize;
    shorten(name, characters)
}

/// Path data from `(x, y)` straight to another `x` (`H`) or `y` (`V`).
fn stroke((x, y): (f64, f64), direction: char, to: f64) -> String {
    format!("M{} {}{direction}{}", coordinate(x), coordinate(y), coordinate(to))
}

/// One line of text.
pub(super) fn label(out: &mut Markup, class: &'static str, x: f64, y: f64, text: &str) {
    out.leaf("text", &[("class", &class), ("x", &coordinate(x)), ("y", &coordinate(y))], text);
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the length of a drawing in CSS pixels is a small positive number"
)]
fn ticks_along(length: f64, distance: f64) -> usize {
    (length / distance).max(2.0) as usize
}
