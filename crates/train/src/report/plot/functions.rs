//! A function, what a model makes of it, and what it should be: as curves or as fields.

use super::super::markup::Markup;
use super::super::operator::FunctionExample;
use super::chart::{Chart, Line, Look};
use super::frame::{LINE, canvas, label};
use super::heat_map::{Colours, MAX_CELLS, Matrix, colour_bar, heat_map};
use super::scale::{Scale, range};

/// Height of a chart of curves, in CSS pixels.
const HEIGHT: f64 = 220.0;
/// Between two fields.
const GAP: f64 = 18.0;
/// Room for a colour bar and its numbers.
const BAR_ROOM: f64 = 40.0;

const INPUT: Look = Look { colour: 6, is_dashed: false };
const TRUTH: Look = Look { colour: 0, is_dashed: false };
const FOUND: Look = Look { colour: 1, is_dashed: true };

/// Input, truth and prediction of one example; of fields the error too.
pub(in super::super) fn function(example: &FunctionExample, width: f64) -> Markup {
    match example.shape[..] {
        [rows, columns] => fields(example, [rows, columns], width),
        _ => curves(example, width),
    }
}

fn curves(example: &FunctionExample, width: f64) -> Markup {
    let line = |name: &str, look, y: &[f64]| Line {
        name: name.to_owned(),
        look,
        x: example.coordinates.clone(),
        y: y.to_vec(),
    };
    let lines = vec![
        line("input", INPUT, &example.input),
        line("truth", TRUTH, &example.truth),
        line("prediction", FOUND, &example.found),
    ];
    let all = lines.iter().flat_map(|line| line.y.iter().copied());
    let chart = Chart {
        title: "A function, its truth and the prediction",
        description: "Values against the coordinate.",
        x: (Scale::linear(example.coordinates.iter().copied()), "coordinate"),
        y: (Scale::linear(all), "value"),
        lines,
        bands: Vec::new(),
        marks: Vec::new(),
    };
    chart.draw(width, HEIGHT)
}

/// Four fields in a row, or two by two where there is little room.
fn fields(example: &FunctionExample, [rows, columns]: [usize; 2], width: f64) -> Markup {
    let across: usize = if width > 600.0 { 4 } else { 2 };
    let side = (width - GAP * (across - 1) as f64) / across as f64;
    let height = side * rows as f64 / columns as f64;
    let error: Vec<f64> =
        example.found.iter().zip(&example.truth).map(|(found, truth)| found - truth).collect();
    let bounds = |values: &[f64]| range(values.iter().copied()).unwrap_or((0.0, 1.0));
    let (low, high) = bounds(&example.truth);
    let outputs = Colours::Sequential(low, high);
    let (input_low, input_high) = bounds(&example.input);
    let largest = error.iter().fold(0.0, |largest: f64, e| largest.max(e.abs()));
    let maps = [
        ("input", &example.input, Colours::Sequential(input_low, input_high)),
        ("truth", &example.truth, outputs),
        ("prediction", &example.found, outputs),
        ("error, prediction − truth", &error, Colours::Diverging(largest.max(f64::MIN_POSITIVE))),
    ];
    let step = LINE + height + BAR_ROOM + 8.0;
    let total = step * maps.len().div_ceil(across) as f64;
    let description = format!("Fields of {rows} × {columns} points, rows upwards.");
    canvas((width, total), "Input, truth, prediction and error", &description, |out| {
        for (i, (name, values, colours)) in maps.into_iter().enumerate() {
            let left = (i % across) as f64 * (side + GAP);
            let top = (i / across) as f64 * step + LINE;
            label(out, "variable", left, top - 5.0, name);
            // The first row lies below.
            let upwards = values.chunks(columns).rev().flatten().copied().collect();
            let matrix = Matrix { rows, cols: columns, values: upwards };
            heat_map(
                out,
                &matrix.averaged(MAX_CELLS, MAX_CELLS),
                colours,
                (left, top, side, height),
            );
            // Room for half a label at either end.
            colour_bar(out, colours, (left + 10.0, top + height + 8.0, side - 20.0));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_an_error_and_lines_have_none() {
        let mut example = FunctionExample {
            name: "median".to_owned(),
            relative_l2: 0.1,
            shape: vec![2, 3],
            coordinates: Vec::new(),
            input: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            truth: vec![1.0; 6],
            found: vec![1.5; 6],
        };
        let svg = function(&example, 1000.0).into_string();
        assert!(svg.contains("error, prediction − truth"), "{svg}");
        assert!(svg.contains("Fields of 2 × 3 points"));
        example.shape = vec![6];
        example.coordinates = vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5];
        let svg = function(&example, 500.0).into_string();
        assert!(svg.contains("prediction") && !svg.contains("error"), "{svg}");
    }
}
