//! Truth and forecast in time, one frame per variable.

use super::super::format::{Notation, shorten};
use super::super::markup::Markup;
use super::super::rollout::RolloutExample;
use super::super::schema::DataInfo;
use super::chart::{Look, legend, legend_height, vertical};
use super::frame::{Frame, LINE, NAME_ROOM, TICK_ROOM, canvas, label, tick_label_room};
use super::path;
use super::scale::{Scale, range};

/// Most variables shown as curves.
pub(in super::super) const MAX_VARIABLES: usize = 4;
/// Height of one frame, in CSS pixels.
const HEIGHT: f64 = 96.0;
/// A forecast may widen the axis of the truth by this part of its length at each end.
const REACH: f64 = 0.3;
/// Longest name above a frame, in characters.
const NAME: usize = 40;

const INPUT: Look = Look { colour: 6, is_dashed: false };
const TRUTH: Look = Look { colour: 0, is_dashed: false };
const FORECAST: Look = Look { colour: 1, is_dashed: false };

/// The first [`MAX_VARIABLES`] variables of `example`.
pub(in super::super) fn forecast(example: &RolloutExample, data: &DataInfo, width: f64) -> Markup {
    let n = example.truth.len().min(MAX_VARIABLES);
    let x = time_axis(example, data);
    let scales: Vec<Scale> = (0..n).map(|i| value_axis(example, i)).collect();
    let rooms = scales.iter().map(|y| tick_label_room(*y, HEIGHT));
    let left = rooms.fold(0.0, f64::max);

    let mut names = vec![("truth", TRUTH), ("forecast", FORECAST)];
    if example.input.iter().any(|values| !values.is_empty()) {
        names.insert(0, ("input", INPUT));
    }
    let start = legend_height(&names, width) + 6.0;
    let step = HEIGHT + LINE + 10.0;
    let total = start + step * n as f64 + TICK_ROOM + NAME_ROOM - 4.0;
    let description = format!(
        "{n} of {} variables against time after the last input, in {}.",
        data.columns.len(),
        data.time_scale().unit()
    );
    canvas((width, total), "Truth and forecast in time", &description, |out| {
        legend(out, &names, width);
        for (i, y) in scales.into_iter().enumerate() {
            let top = start + step * i as f64 + LINE;
            let frame = Frame { left, top, width: width - left - 8.0, height: HEIGHT, x, y };
            let column = data.columns.get(i).map_or("", String::as_str);
            label(out, "variable", left, top - 5.0, &shorten(column, NAME));
            let is_last = i + 1 == n;
            frame.grid(out, is_last, true);
            if is_last {
                let name = format!("time after the last input / {}", data.time_scale().unit());
                frame.x_name(out, &name);
            }
            if let Some((at, text)) = validity(&frame, example, data).filter(|_| i == 0) {
                let class = if 2.0 * at < frame.width { "note" } else { "note end" };
                label(out, class, left + at, top - 5.0, &text);
            }
            frame.clipped(out, |out| draw_variable(out, &frame, example, data, i));
        }
    })
}

fn draw_variable(
    out: &mut Markup,
    frame: &Frame,
    example: &RolloutExample,
    data: &DataInfo,
    variable: usize,
) {
    if let Some((at, _)) = validity(frame, example, data) {
        vertical(out, frame, at);
    }
    let curves = [(&example.input, INPUT), (&example.truth, TRUTH), (&example.forecast, FORECAST)];
    for (values, look) in curves {
        let Some(values) = values.get(variable).filter(|values| !values.is_empty()) else {
            continue;
        };
        // Step 1 is the first prediction; the last step of the input stands at 0.
        let first = if look == INPUT { 1.0 - values.len() as f64 } else { 1.0 };
        let times = (0..values.len()).map(|i| data.time_from_steps(first + i as f64));
        let places: Vec<_> = frame.places(times, values.iter().copied()).collect();
        let line = path::line(&path::thinned(&places, frame.width));
        out.empty("path", &[("class", &look.classes("line")), ("d", &line)]);
    }
}

/// Where a forecast ceases to be valid, from the left edge of the frame, and what is said there.
fn validity(frame: &Frame, example: &RolloutExample, data: &DataInfo) -> Option<(f64, String)> {
    let valid = example.valid_until?;
    let at = frame.x.position(data.time_from_steps(valid.steps as f64))?;
    (0.0..=1.0).contains(&at).then(|| {
        let text = format!("error > {}", Notation::Typeset.significant(valid.threshold, 1));
        (at * frame.width, text)
    })
}

fn time_axis(example: &RolloutExample, data: &DataInfo) -> Scale {
    let longest = |rows: &[Vec<f64>]| rows.iter().map(Vec::len).max().unwrap_or(0) as f64;
    let before = (longest(&example.input) - 1.0).max(0.0);
    let after = longest(&example.truth).max(longest(&example.forecast));
    Scale::exact(data.time_from_steps(-before), data.time_from_steps(after))
}

fn value_axis(example: &RolloutExample, variable: usize) -> Scale {
    let values = |rows: &[Vec<f64>]| rows.get(variable).cloned().unwrap_or_default();
    let known = [values(&example.input), values(&example.truth)].concat();
    let forecast = values(&example.forecast);
    if range(known.iter().copied()).is_none() {
        return Scale::linear(forecast);
    }
    Scale::linear(known).stretched(forecast, REACH)
}

#[cfg(test)]
mod tests {
    use super::super::super::synthetic;
    use super::*;

    #[test]
    fn a_forecast_that_blows_up_is_clipped_and_breaks_at_its_end() {
        let report = synthetic::lorenz();
        let mut example = report.rollouts.examples[0].clone();
        for values in &mut example.forecast {
            let n = values.len();
            values[n / 2] = 1e30;
            values[n / 2 + 1..].fill(f64::NAN);
        }
        let svg = forecast(&example, &report.data, 360.0).into_string();
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("000000"));
    }

    #[test]
    fn many_variables_show_the_first_few_and_say_so() {
        let report = synthetic::waves(11);
        let svg = forecast(&report.rollouts.examples[0], &report.data, 360.0).into_string();
        assert_eq!(svg.matches("class=\"variable\"").count(), MAX_VARIABLES);
        assert!(svg.contains("4 of 11 variables"));
    }
}
