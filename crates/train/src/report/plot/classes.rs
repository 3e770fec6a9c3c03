//! Pictures of a classifier: confusion, calibration, accuracy by epoch.

use super::super::format::shorten;
use super::super::markup::Markup;
use super::chart::{Chart, Line, Look, Mark};
use super::frame::{LINE, canvas, label};
use super::heat_map::{Colours, Matrix, heat_map};
use super::scale::Scale;
use crate::metric::classification::CalibrationBin;

/// Height of the frame of a chart, in CSS pixels.
const HEIGHT: f64 = 220.0;
/// Longest name of a class, in characters.
const NAME: usize = 18;
/// From this share on a cell is bright: the number in it is dark.
const BRIGHT: f64 = 0.55;
/// Width of a capital letter of the labels, in CSS pixels: names of classes are often nothing else.
const CAPITAL: f64 = 7.8;
/// More classes than this have no room for numbers.
const MAX_NUMBERS: usize = 12;

/// A named curve over epochs 1, 2, ….
pub(in super::super) struct Curve {
    /// Name in the legend.
    pub(in super::super) name: String,
    /// Colour and stroke.
    pub(in super::super) look: Look,
    /// One value per epoch.
    pub(in super::super) y: Vec<f64>,
}

/// The confusion matrix: true class downwards, named class to the right.
pub(in super::super) fn confusion(classes: &[String], counts: &[Vec<u64>], width: f64) -> Markup {
    let n = classes.len();
    let names: Vec<String> = classes.iter().map(|name| shorten(name, NAME)).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let left = longest as f64 * CAPITAL + 8.0;
    let side = (width - left - 4.0) / n.max(1) as f64;
    let height = side.min(46.0);
    let top = LINE + 4.0;
    let share = |i: usize, j: usize| {
        let total: u64 = counts[i].iter().sum();
        counts[i][j] as f64 / total.max(1) as f64
    };
    let values = (0..n).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| share(i, j));
    let matrix = Matrix { rows: n, cols: n, values: values.collect() };
    let total = top + height * n as f64 + LINE + 4.0;
    let description = format!("Counts of {n} true classes by named class.");
    canvas((width, total), "Confusion matrix", &description, |out| {
        label(out, "name", 0.0, LINE - 5.0, "true class ↓   named class →");
        let area = (left, top, side * n as f64, height * n as f64);
        heat_map(out, &matrix, Colours::Sequential(0.0, 1.0), area);
        for (i, name) in names.iter().enumerate() {
            let y = top + height * (i as f64 + 0.5) + 4.0;
            label(out, "tick end", left - 5.0, y, name);
            let x = left + side * (i as f64 + 0.5);
            label(out, "tick middle", x, total - 5.0, &shorten(name, fitting(side)));
            if n > MAX_NUMBERS {
                continue;
            }
            for (j, count) in counts[i].iter().enumerate() {
                let class =
                    if share(i, j) > BRIGHT { "on-bright middle" } else { "on-dark middle" };
                let x = left + side * (j as f64 + 0.5);
                label(out, class, x, y, &count.to_string());
            }
        }
    })
}

/// Characters that fit into a width.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a width in pixels is a small positive number"
)]
fn fitting(width: f64) -> usize {
    ((width / CAPITAL) as usize).max(1)
}

/// Share classified right against the probability given.
pub(in super::super) fn calibration(bins: &[CalibrationBin], width: f64) -> Markup {
    let line = |name: &str, look, x: Vec<f64>, y: Vec<f64>| Line { name: name.into(), look, x, y };
    let honest = Look { colour: 0, is_dashed: true };
    let lines = vec![
        line("honest", honest, vec![0.0, 1.0], vec![0.0, 1.0]),
        line(
            "model",
            Look { colour: 1, is_dashed: false },
            bins.iter().map(|bin| bin.confidence).collect(),
            bins.iter().map(|bin| bin.accuracy).collect(),
        ),
    ];
    let description = format!("Accuracy against confidence in {} bins.", bins.len());
    let chart = Chart {
        title: "Calibration",
        description: &description,
        x: (Scale::exact(0.0, 1.0), "probability given"),
        y: (Scale::exact(0.0, 1.0), "share classified right"),
        lines,
        bands: Vec::new(),
        marks: Vec::new(),
    };
    chart.draw(width, HEIGHT)
}

/// Shares classified right by epoch, with the epoch that was kept.
pub(in super::super) fn accuracy_curves(
    curves: &[Curve],
    kept: Option<usize>,
    width: f64,
) -> Markup {
    let epochs = curves.iter().map(|curve| curve.y.len()).max().unwrap_or(0);
    let lines = curves
        .iter()
        .map(|curve| Line {
            name: curve.name.clone(),
            look: curve.look,
            x: (1..=curve.y.len()).map(|epoch| epoch as f64).collect(),
            y: curve.y.clone(),
        })
        .collect();
    let mark =
        kept.map(|epoch| Mark::Vertical { x: epoch as f64, label: format!("epoch {epoch} kept") });
    let values = curves.iter().flat_map(|curve| curve.y.iter().copied());
    let chart = Chart {
        title: "Accuracy",
        description: "Share classified right against epoch.",
        x: (Scale::linear((1..=epochs.max(1)).map(|epoch| epoch as f64)), "epoch"),
        y: (Scale::linear(values), "share classified right"),
        lines,
        bands: Vec::new(),
        marks: mark.into_iter().collect(),
    };
    chart.draw(width, HEIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_stands_in_its_cell() {
        let classes = ["walking", "sitting"].map(String::from);
        let svg = confusion(&classes, &[vec![9, 1], vec![0, 5]], 350.0).into_string();
        for count in [">9<", ">1<", ">0<", ">5<"] {
            assert_eq!(svg.matches(count).count(), 1, "{count}");
        }
        assert_eq!(svg.matches(">walking<").count(), 2);
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn curves_without_numbers_still_draw() {
        let look = Look { colour: 1, is_dashed: false };
        let curve = Curve { name: "a".into(), look, y: vec![f64::NAN, 0.5] };
        let svg = accuracy_curves(&[curve], Some(2), 350.0).into_string();
        assert!(svg.contains("epoch 2 kept") && !svg.contains("NaN"));
        let svg = calibration(&[], 350.0).into_string();
        assert!(!svg.contains("NaN"));
    }
}
