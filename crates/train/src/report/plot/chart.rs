//! A chart of lines and bands over one pair of axes.

use super::super::format::shorten;
use super::super::markup::{Markup, coordinate};
use super::frame::{CHARACTER, Frame, LINE, NAME_ROOM, TICK_ROOM, canvas, label, tick_label_room};
use super::path;
use super::scale::Scale;

/// Colours of methods in the style sheet, after that of the truth; further methods repeat them
/// with other dashes.
const N_COLOURS: usize = 6;
/// Length of the piece of line in a legend.
const SWATCH: f64 = 22.0;
/// Longest name in a legend, in characters.
const LEGEND_NAME: usize = 34;

/// Colour and stroke of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Look {
    /// Colour: 0 is the truth, methods count from 1.
    pub(in super::super) colour: usize,
    /// Whether the line is dashed.
    pub(in super::super) is_dashed: bool,
}

/// A line with a name; lines without one stay out of the legend.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) look: Look,
    pub(super) x: Vec<f64>,
    pub(super) y: Vec<f64>,
}

/// The area between two curves.
pub(super) struct Band {
    pub(super) look: Look,
    pub(super) x: Vec<f64>,
    pub(super) low: Vec<f64>,
    pub(super) high: Vec<f64>,
}

/// A straight line across the frame.
pub(super) enum Mark {
    Vertical { x: f64, label: String },
    Horizontal { y: f64 },
}

/// Everything that is drawn.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) description: &'a str,
    pub(super) x: (Scale, &'a str),
    pub(super) y: (Scale, &'a str),
    pub(super) lines: Vec<Line>,
    pub(super) bands: Vec<Band>,
    pub(super) marks: Vec<Mark>,
}

impl Look {
    /// The classes of a line or band with this look.
    pub(super) fn classes(self, kind: &str) -> String {
        let (round, colour) = match self.colour.checked_sub(1) {
            None => (0, 0),
            Some(method) => (method / N_COLOURS, 1 + method % N_COLOURS),
        };
        let dash = match (self.is_dashed, round) {
            (false, 0) => "",
            (true, 0) => " dashed",
            (_, 1) => " dotted",
            _ => " mixed",
        };
        format!("{kind} c{colour}{dash}")
    }
}

impl Chart<'_> {
    /// Draws the chart `width` wide; the frame is `height` high.
    pub(super) fn draw(&self, width: f64, height: f64) -> Markup {
        let names: Vec<_> = self
            .lines
            .iter()
            .filter(|line| !line.name.is_empty())
            .map(|line| (line.name.as_str(), line.look))
            .collect();
        let legend_height = legend_height(&names, width);
        let left = tick_label_room(self.y.0, height);
        let top = legend_height + LINE + 6.0;
        let frame =
            Frame { left, top, width: width - left - 8.0, height, x: self.x.0, y: self.y.0 };
        let total = top + height + TICK_ROOM + NAME_ROOM;
        canvas((width, total), self.title, self.description, |out| {
            legend(out, &names, width);
            frame.grid(out, true, true);
            frame.x_name(out, self.x.1);
            frame.y_name(out, self.y.1);
            frame.clipped(out, |out| self.draw_inside(out, &frame));
        })
    }

    fn draw_inside(&self, out: &mut Markup, frame: &Frame) {
        for band in &self.bands {
            let places = |y: &[f64]| -> Vec<_> {
                frame.places(band.x.iter().copied(), y.to_vec()).collect()
            };
            let data = path::band(&places(&band.low), &places(&band.high));
            out.empty("path", &[("class", &band.look.classes("band")), ("d", &data)]);
        }
        for mark in &self.marks {
            draw_mark(out, frame, mark);
        }
        for line in &self.lines {
            let places: Vec<_> =
                frame.places(line.x.iter().copied(), line.y.iter().copied()).collect();
            let data = path::line(&path::thinned(&places, frame.width));
            out.empty("path", &[("class", &line.look.classes("line")), ("d", &data)]);
        }
    }
}

/// Draws a mark inside `frame`; the label of a vertical one stands on the side with more room.
fn draw_mark(out: &mut Markup, frame: &Frame, mark: &Mark) {
    match mark {
        Mark::Vertical { x, label: text } => {
            let Some(at) = frame.x.position(*x).filter(|at| (0.0..=1.0).contains(at)) else {
                return;
            };
            let at = at * frame.width;
            vertical(out, frame, at);
            let needed = text.chars().count() as f64 * CHARACTER + 6.0;
            if at + needed < frame.width {
                label(out, "note", at + 5.0, 12.0, text);
            } else {
                label(out, "note end", at - 5.0, 12.0, text);
            }
        }
        Mark::Horizontal { y } => {
            let Some(at) = frame.y.position(*y).filter(|at| (0.0..=1.0).contains(at)) else {
                return;
            };
            let y = coordinate((1.0 - at) * frame.height);
            let data = format!("M0 {y}H{}", coordinate(frame.width));
            out.empty("path", &[("class", &"mark"), ("d", &data)]);
        }
    }
}

/// A marking line at the distance `at` from the left edge of the frame.
pub(super) fn vertical(out: &mut Markup, frame: &Frame, at: f64) {
    let data = format!("M{} 0V{}", coordinate(at), coordinate(frame.height));
    out.empty("path", &[("class", &"mark"), ("d", &data)]);
}

/// Height of [`legend`].
pub(super) fn legend_height(names: &[(&str, Look)], width: f64) -> f64 {
    placed(names, width).last().map_or(0.0, |(_, y, _)| y + LINE)
}

/// Names of lines beside pieces of them, in as many rows as needed.
pub(super) fn legend(out: &mut Markup, names: &[(&str, Look)], width: f64) {
    for ((x, y, name), (_, look)) in placed(names, width).into_iter().zip(names) {
        let data = format!("M{} {}h{SWATCH}", coordinate(x), coordinate(y + 8.0));
        out.empty("path", &[("class", &look.classes("line")), ("d", &data)]);
        label(out, "legend", x + SWATCH + 5.0, y + 12.0, &name);
    }
}

/// Where the entries of a legend start, and their shortened names.
fn placed(names: &[(&str, Look)], width: f64) -> Vec<(f64, f64, String)> {
    let (mut x, mut y) = (0.0, 0.0);
    names
        .iter()
        .map(|(name, _)| {
            let name = shorten(name, LEGEND_NAME);
            let needed = SWATCH + 5.0 + name.chars().count() as f64 * CHARACTER;
            if x > 0.0 && x + needed > width {
                (x, y) = (0.0, y + LINE);
            }
            let start = x;
            x += needed + 12.0;
            (start, y, name)
        })
        .collect()
}
