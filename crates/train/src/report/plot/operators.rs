//! What an operator gets right: at which wave numbers, and at which resolutions.

use super::super::markup::Markup;
use super::super::operator::{FunctionSpectra, OperatorPart, OperatorReport};
use super::chart::{Chart, Line, Look};
use super::scale::Scale;
use crate::metric::function::FunctionScores;

/// Height of a frame, in CSS pixels.
const HEIGHT: f64 = 260.0;

/// Power of truth, prediction and error against the wave number.
pub(in super::super) fn spectra(spectra: &FunctionSpectra, width: f64) -> Markup {
    let line = |name: &str, look, y: &[f64]| Line {
        name: name.to_owned(),
        look,
        x: (1..=y.len()).map(|k| k as f64).collect(),
        y: y.to_vec(),
    };
    let lines = vec![
        line("truth", Look { colour: 0, is_dashed: false }, &spectra.truth),
        line("prediction", Look { colour: 1, is_dashed: true }, &spectra.found),
        line("error", Look { colour: 2, is_dashed: false }, &spectra.error),
    ];
    chart(
        "Power per wave number",
        "Mean power over the first test part, against the number of waves across the domain.",
        ["waves across the domain", "power"],
        lines,
        Scale::log,
        width,
    )
}

/// The mean error of each operator against the points along an axis of its test parts; `None` where no operator has
/// two resolutions.
pub(in super::super) fn errors_by_resolution(
    reports: &[(String, &OperatorReport)],
    width: f64,
) -> Option<Markup> {
    let lines: Vec<Line> = reports
        .iter()
        .enumerate()
        .filter_map(|(i, (name, report))| {
            let errors = by_resolution(&report.data.tests, &report.scores.first()?.tests)?;
            let (x, y) = errors.into_iter().unzip();
            let look = Look { colour: i + 1, is_dashed: false };
            Some(Line { name: name.clone(), look, x, y })
        })
        .collect();
    (!lines.is_empty()).then(|| {
        chart(
            "Error against resolution",
            "Mean relative L2 error of each test part, against its points along an axis.",
            ["points along an axis", "relative L2 error"],
            lines,
            |errors| Scale::log_or_linear(&errors),
            width,
        )
    })
}

/// Points along an axis and relative L2 error of each scored test part, from the coarsest on; `None` where all have the
/// same resolution.
fn by_resolution(
    parts: &[OperatorPart],
    scores: &[Option<FunctionScores>],
) -> Option<Vec<(f64, f64)>> {
    let scored = parts.iter().zip(scores).filter_map(|(part, scores)| {
        let points: f64 = part.points.iter().map(|&n| n as f64).product();
        let along_an_axis = points.powf(1.0 / part.points.len() as f64);
        Some((along_an_axis, scores.as_ref()?.relative_l2))
    });
    let mut errors: Vec<(f64, f64)> = scored.collect();
    errors.sort_by(|a, b| a.0.total_cmp(&b.0));
    (errors.first()?.0 < errors.last()?.0).then_some(errors)
}

/// A chart whose x axis is logarithmic.
fn chart(
    title: &str,
    description: &str,
    [x_name, y_name]: [&str; 2],
    lines: Vec<Line>,
    y_scale: fn(Vec<f64>) -> Scale,
    width: f64,
) -> Markup {
    let all = |of: fn(&Line) -> &Vec<f64>| lines.iter().flat_map(of).copied().collect::<Vec<_>>();
    let (x, y) = (Scale::log(all(|line| &line.x)), y_scale(all(|line| &line.y)));
    let (bands, marks) = (Vec::new(), Vec::new());
    let (x, y) = ((x, x_name), (y, y_name));
    Chart { title, description, x, y, lines, bands, marks }.draw(width, HEIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_a_line_where_there_are_two_resolutions() {
        let part = |n: usize| OperatorPart { points: vec![n, n], ..OperatorPart::default() };
        let score = |relative_l2| Some(FunctionScores { relative_l2, ..FunctionScores::default() });
        let parts = [part(128), part(64), part(64)];
        let found = by_resolution(&parts, &[score(0.01), score(0.02), score(0.03)]);
        assert_eq!(found, Some(vec![(64.0, 0.02), (64.0, 0.03), (128.0, 0.01)]));
        assert_eq!(by_resolution(&parts, &[None, score(0.02), score(0.03)]), None);
        assert_eq!(by_resolution(&parts, &[score(0.01), None, None]), None);
        assert_eq!(by_resolution(&[], &[]), None);
    }
}
