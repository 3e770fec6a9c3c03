//! Relative error of free-running forecasts against the horizon.

use super::super::markup::Markup;
use super::super::schema::DataInfo;
use super::chart::{Band, Chart, Line, Look, Mark};
use super::scale::Scale;

/// Height of the frame, in CSS pixels.
const HEIGHT: f64 = 250.0;

/// The error of one method: a line and the band around it.
pub(in super::super) struct Growth {
    /// Name in the legend.
    pub(in super::super) name: String,
    /// Colour and stroke.
    pub(in super::super) look: Look,
    /// Horizons, in steps after the last input.
    pub(in super::super) steps: Vec<usize>,
    /// The line.
    pub(in super::super) middle: Vec<f64>,
    /// Lower edge of the band; empty for none.
    pub(in super::super) low: Vec<f64>,
    /// Upper edge of the band; empty for none.
    pub(in super::super) high: Vec<f64>,
}

/// Draws the error of every method; `thresholds` are marked.
pub(in super::super) fn error_growth(
    methods: &[Growth],
    thresholds: &[f64],
    data: &DataInfo,
    width: f64,
) -> Markup {
    let times = |method: &Growth| -> Vec<f64> {
        method.steps.iter().map(|&steps| data.time_from_steps(steps as f64)).collect()
    };
    let lines: Vec<Line> = methods
        .iter()
        .map(|method| Line {
            name: method.name.clone(),
            look: method.look,
            x: times(method),
            y: method.middle.clone(),
        })
        .collect();
    let bands = methods
        .iter()
        .filter(|method| !method.low.is_empty())
        .map(|method| Band {
            look: method.look,
            x: times(method),
            low: method.low.clone(),
            high: method.high.clone(),
        })
        .collect();

    let horizons = lines.iter().flat_map(|line| line.x.iter().copied());
    let furthest = horizons.filter(|time| time.is_finite()).fold(0.0, f64::max);
    let errors: Vec<f64> = lines.iter().flat_map(|line| line.y.iter().copied()).collect();
    let x_name = format!("time after the last input / {}", data.time_scale().unit());
    let description = format!(
        "Median relative error of {} methods up to {furthest:.1} {}.",
        methods.len(),
        data.time_scale().unit()
    );
    Chart {
        title: "Error growth",
        description: &description,
        x: (Scale::exact(0.0, furthest), &x_name),
        y: (Scale::log_or_linear(&within_reach(errors)), "relative error ‖e‖ / rms‖truth‖"),
        lines,
        bands,
        marks: thresholds.iter().map(|&y| Mark::Horizontal { y }).collect(),
    }
    .draw(width, HEIGHT)
}

/// Errors that decide the axis: a forecast that blows up leaves the frame instead of filling it.
fn within_reach(errors: Vec<f64>) -> Vec<f64> {
    const LARGEST: f64 = 10.0; // ten times the size of the truth is as wrong as any more
    errors.into_iter().map(|error| error.min(LARGEST)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::synthetic;
    use super::*;

    fn growth(middle: Vec<f64>) -> Growth {
        let n = middle.len();
        Growth {
            name: "a".into(),
            look: Look { colour: 1, is_dashed: false },
            steps: (1..=n).collect(),
            low: middle.iter().map(|error| error / 2.0).collect(),
            high: middle.iter().map(|error| error * 2.0).collect(),
            middle,
        }
    }

    #[test]
    fn missing_and_infinite_errors_leave_no_trace_in_the_paths() {
        let data = synthetic::lorenz().data;
        let middle = vec![0.01, f64::NAN, 0.1, 0.2, f64::INFINITY, 1e200];
        let svg = error_growth(&[growth(middle)], &[0.4], &data, 360.0).into_string();
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        let line = svg.split("class=\"line c1\" d=\"").nth(2).unwrap().split('"').next().unwrap();
        assert_eq!(line.matches('M').count(), 3, "two gaps make three strokes: {line}");
    }

    #[test]
    fn nothing_to_show_still_draws_axes() {
        let data = synthetic::lorenz().data;
        let svg = error_growth(&[], &[], &data, 360.0).into_string();
        assert!(svg.contains("class=\"axis\"") && !svg.contains("NaN"));
    }
}
