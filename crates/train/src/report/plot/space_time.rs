//! Many variables at once: truth, forecast and error as heat maps over time.

use super::super::markup::Markup;
use super::super::rollout::RolloutExample;
use super::super::schema::DataInfo;
use super::frame::{Frame, LINE, NAME_ROOM, TICK_ROOM, canvas, label};
use super::heat_map::{Colours, MAX_CELLS, Matrix, colour_bar, heat_map};
use super::scale::{Scale, range};

/// Height of one map, in CSS pixels.
const HEIGHT: f64 = 104.0;
/// Room for the numbers of the variables.
const LEFT: f64 = 34.0;
/// Most steps side by side; more are averaged over blocks.
pub(in super::super) const MAX_STEPS: usize = 3 * MAX_CELLS;
/// Room for a colour bar and the distance to what follows.
const BAR_ROOM: f64 = 36.0;

/// Three maps: variables downwards, time to the right.
pub(in super::super) fn space_time(
    example: &RolloutExample,
    data: &DataInfo,
    width: f64,
) -> Markup {
    let truth = matrix(&example.truth);
    let forecast = matrix(&example.forecast);
    let error = difference(&forecast, &truth);
    let (low, high) = range(truth.values.iter().copied()).unwrap_or((0.0, 1.0));
    let values = Colours::Sequential(low, high);
    let errors = Colours::Diverging((high - low) / 2.0);

    let x = Scale::exact(0.0, data.time_from_steps(truth.cols.max(1) as f64));
    let y = Scale::exact(0.0, truth.rows as f64);
    let frame_width = width - LEFT - 8.0;
    let step = HEIGHT + LINE + 8.0;
    let total = 3.0 * step + TICK_ROOM + NAME_ROOM + 2.0 * BAR_ROOM;
    let description = format!(
        "{} variables downwards, time after the last input to the right, in {}.",
        truth.rows,
        data.time_scale().unit()
    );
    canvas((width, total), "Truth, forecast and error in space and time", &description, |out| {
        let maps = [
            ("truth", &truth, values),
            ("forecast", &forecast, values),
            ("error, forecast − truth", &error, errors),
        ];
        for (i, (name, matrix, colours)) in maps.into_iter().enumerate() {
            let top = step * i as f64 + LINE;
            let frame = Frame { left: LEFT, top, width: frame_width, height: HEIGHT, x, y };
            label(out, "variable", LEFT, top - 5.0, name);
            let shown = matrix.averaged(MAX_CELLS, MAX_STEPS);
            heat_map(out, &shown, colours, (LEFT, top, frame_width, HEIGHT));
            label(out, "tick end", LEFT - 5.0, top + 9.0, "1");
            label(out, "tick end", LEFT - 5.0, top + HEIGHT, &matrix.rows.to_string());
            if i == 2 {
                frame.ticks_below(out);
                let name = format!("time after the last input / {}", data.time_scale().unit());
                frame.x_name(out, &name);
            }
        }
        let top = 3.0 * step + TICK_ROOM + NAME_ROOM;
        let bar_width = frame_width.min(320.0);
        label(out, "name", 0.0, top + 9.0, "value");
        colour_bar(out, values, (LEFT + 12.0, top, bar_width - 12.0));
        label(out, "name", 0.0, top + BAR_ROOM + 9.0, "error");
        colour_bar(out, errors, (LEFT + 12.0, top + BAR_ROOM, bar_width - 12.0));
    })
}

/// `[variable][step]` as a matrix; short rows end in missing numbers.
fn matrix(rows: &[Vec<f64>]) -> Matrix {
    let cols = rows.iter().map(Vec::len).max().unwrap_or(0);
    let padded = |row: &Vec<f64>| -> Vec<f64> {
        let missing = std::iter::repeat_n(f64::NAN, cols - row.len());
        row.iter().copied().chain(missing).collect()
    };
    Matrix { rows: rows.len(), cols, values: rows.iter().flat_map(padded).collect() }
}

/// `a − b` where both have a number.
fn difference(a: &Matrix, b: &Matrix) -> Matrix {
    let at = |matrix: &Matrix, row: usize, col: usize| {
        let inside = row < matrix.rows && col < matrix.cols;
        if inside { matrix.values[row * matrix.cols + col] } else { f64::NAN }
    };
    let cells = (0..b.rows).flat_map(|row| (0..b.cols).map(move |col| (row, col)));
    let values = cells.map(|(row, col)| at(a, row, col) - at(b, row, col)).collect();
    Matrix { rows: b.rows, cols: b.cols, values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_forecast_minus_truth_and_missing_where_either_is() {
        let truth = matrix(&[vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0]]);
        let forecast = matrix(&[vec![1.5, 2.5], vec![4.0, 4.0]]);
        let error = difference(&forecast, &truth);
        assert_eq!(error.values[..2], [0.5, 0.5]);
        assert_eq!(error.values[3..5], [0.0, -1.0]);
        assert!(error.values[2].is_nan() && error.values[5].is_nan());
    }
}
