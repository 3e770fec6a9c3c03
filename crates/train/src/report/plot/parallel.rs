//! A sweep: one axis per key with a line per trial, and the best value so far.

use super::super::format::{Notation, shorten};
use super::super::markup::{Markup, coordinate};
use super::super::sweep::{SweepKey, SweepReport, SweepTrial};
use super::super::sweep_text::short;
use super::chart::{Chart, Line, Look};
use super::colour::{RANKED, ranked_level};
use super::frame::{CHARACTER, LINE, canvas, label};
use super::path;
use super::scale::Scale;

/// Length of the axes, in CSS pixels.
const HEIGHT: f64 = 230.0;
/// Room on both sides, for half a label.
const SIDE: f64 = 26.0;
/// Length of a piece of the colour legend.
const SWATCH: f64 = 9.0;
/// Most choices whose names stand at their axis.
const NAMED_CHOICES: usize = 6;

/// One line per trial with a value across the axes of all keys to the rank by the objective.
pub(in super::super) fn parallel_coordinates(report: &SweepReport, width: f64) -> Markup {
    let ranked: Vec<&SweepTrial> =
        report.ranked().into_iter().filter(|trial| trial.objective.is_some()).collect();
    let n_axes = report.keys.len() + 1;
    let distance = (width - 2.0 * SIDE) / (n_axes - 1).max(1) as f64;
    let axes = Axes { top: 3.0 * LINE + 6.0, width, distance };
    let total = axes.top + HEIGHT + 2.0 * LINE + 12.0;
    let names: Vec<&str> = report.keys.iter().map(|key| key.key.as_str()).collect();
    let description = format!(
        "{} trials across {}, to their rank by {}.",
        ranked.len(),
        names.join(", "),
        report.objective
    );
    canvas((width, total), "Trials by key", &description, |out| {
        for (i, key) in report.keys.iter().enumerate() {
            axes.of_key(out, i, key);
        }
        axes.of_objective(out, n_axes - 1, report, &ranked);
        // The best one is drawn last, on top.
        for (rank, trial) in ranked.iter().enumerate().rev() {
            let at = rank as f64 / (ranked.len() - 1).max(1) as f64;
            let place = |(i, u): (usize, f64)| {
                u.is_finite().then(|| (axes.x(i), axes.top + (1.0 - u) * HEIGHT))
            };
            let positions = trial.positions.iter().copied().chain(std::iter::once(1.0 - at));
            let places: Vec<_> = positions.enumerate().map(place).collect();
            let best = if rank == 0 { " best" } else { "" };
            let class = format!("trial s{}{best}", ranked_level(at));
            out.empty("path", &[("class", &class), ("d", &path::line(&places))]);
        }
        legend(out, axes.top + HEIGHT + 2.0 * LINE);
    })
}

/// Where the axes stand.
struct Axes {
    top: f64,
    width: f64,
    /// Between two of them.
    distance: f64,
}

impl Axes {
    fn x(&self, i: usize) -> f64 {
        SIDE + i as f64 * self.distance
    }

    fn of_key(&self, out: &mut Markup, i: usize, key: &SweepKey) {
        self.line_and_name(out, i, short(&key.key));
        if key.choices.is_empty() {
            self.end_labels(out, i, [&key.ends[0], &key.ends[1]]);
        } else if key.choices.len() <= NAMED_CHOICES {
            let n = key.choices.len() as f64;
            for (j, choice) in key.choices.iter().enumerate() {
                let y = self.top + (1.0 - (j as f64 + 0.5) / n) * HEIGHT;
                let text = Self::fitting(choice.trim_matches('"'), self.distance - 8.0);
                label(out, "tick", self.x(i) + 4.0, y - 4.0, &text);
            }
        }
    }

    fn of_objective(
        &self,
        out: &mut Markup,
        i: usize,
        report: &SweepReport,
        ranked: &[&SweepTrial],
    ) {
        self.line_and_name(out, i, &report.objective);
        let value = |trial: Option<&&SweepTrial>| {
            let value = trial.and_then(|trial| trial.objective).unwrap_or(f64::NAN);
            Notation::Typeset.significant(value, 3)
        };
        self.end_labels(out, i, [&value(ranked.last()), &value(ranked.first())]);
    }

    fn line_and_name(&self, out: &mut Markup, i: usize, name: &str) {
        let data = format!("M{} {}v{HEIGHT}", coordinate(self.x(i)), coordinate(self.top));
        out.empty("path", &[("class", &"axis"), ("d", &data)]);
        // Neighbouring names stand on two lines, so that each has twice the room.
        let row = if i.is_multiple_of(2) { 0.0 } else { LINE };
        let text = Self::fitting(name, 2.0 * self.distance - 8.0);
        self.inside(out, i, LINE - 2.0 + row, &text);
    }

    fn end_labels(&self, out: &mut Markup, i: usize, [low, high]: [&str; 2]) {
        for (text, y) in [(high, self.top - 5.0), (low, self.top + HEIGHT + 13.0)] {
            self.inside(out, i, y, &Self::fitting(text, self.distance - 4.0));
        }
    }

    /// A label in the middle of an axis, at the outer ones as far inside as it must be.
    fn inside(&self, out: &mut Markup, i: usize, y: f64, text: &str) {
        let half = 0.5 * CHARACTER * text.chars().count() as f64;
        let x = self.x(i).min(self.width - half).max(half);
        label(out, "tick middle", x, y, text);
    }

    /// As much of `text` as fits into `room`.
    fn fitting(text: &str, room: f64) -> String {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small positive number of characters"
        )]
        let characters = (room / CHARACTER).max(2.0) as usize;
        shorten(text, characters)
    }
}

/// Colours from the best rank to the worst.
fn legend(out: &mut Markup, y: f64) {
    label(out, "tick", 0.0, y + 4.0, "best");
    let left = 5.0 * CHARACTER;
    for level in 0..RANKED {
        let data =
            format!("M{} {}h{SWATCH}", coordinate(left + level as f64 * SWATCH), coordinate(y));
        let class = format!("trial best s{level}");
        out.empty("path", &[("class", &class), ("d", &data)]);
    }
    label(out, "tick", left + RANKED as f64 * SWATCH + CHARACTER, y + 4.0, "worst rank");
}

/// Value of every trial as a dot, and the best of the finished ones so far as a line.
pub(in super::super) fn best_so_far(report: &SweepReport, width: f64) -> Markup {
    let dots =
        report.trials.iter().filter_map(|trial| Some((trial.number as f64, trial.objective?)));
    let (x, y): (Vec<f64>, Vec<f64>) =
        dots.clone().flat_map(|dot| [dot, (dot.0, f64::NAN)]).unzip();
    let values: Vec<f64> = dots.map(|(_, value)| value).collect();
    let (best_x, best_y): (Vec<f64>, Vec<f64>) = report.best_so_far().into_iter().unzip();
    let line = |name: &str, colour, x, y| {
        let look = Look { colour, is_dashed: false };
        Line { name: name.to_owned(), look, x, y }
    };
    let scale =
        if report.is_minimised { Scale::log_or_linear(&values) } else { Scale::linear(values) };
    let numbers = report.trials.iter().map(|trial| trial.number as f64);
    Chart {
        title: "Best value so far",
        description: "Value of every trial by its number, and the best of the finished ones so far.",
        x: (Scale::linear(numbers), "trial"),
        y: (scale, &report.objective),
        lines: vec![line("a trial", 0, x, y), line("best so far", 1, best_x, best_y)],
        bands: Vec::new(),
        marks: Vec::new(),
    }
    .draw(width, HEIGHT)
}
