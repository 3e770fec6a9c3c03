//! The scores of one attention head as a heat map.

use super::super::markup::Markup;
use super::super::schema::ScoreMatrix;
use super::frame::{canvas, label};
use super::heat_map::{Colours, MAX_CELLS, Matrix, colour_bar, heat_map};

/// Side of the map, in CSS pixels.
const SIDE: f64 = 132.0;
/// Room for labels on the left, above and below.
const LEFT: f64 = 26.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 18.0;
/// A score may stand out: colours follow this part of the scores …
const TYPICAL: f64 = 0.995;
/// … if the largest is more than this many times larger.
const OUTLIER: f64 = 2.0;

/// One scale of colours for all heads of a report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct ScoreColours {
    limit: f64,
    is_cut: bool,
}

impl ScoreColours {
    /// The scale that shows all of `matrices`, after averaging, centred at zero.
    pub(in super::super) fn of(matrices: &[ScoreMatrix]) -> Self {
        let mut sizes: Vec<f64> = matrices
            .iter()
            .flat_map(|matrix| cells(matrix).values)
            .map(f64::abs)
            .filter(|size| size.is_finite())
            .collect();
        sizes.sort_by(f64::total_cmp);
        let Some(&largest) = sizes.last() else { return Self { limit: 1.0, is_cut: false } };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index into the list"
        )]
        let typical = sizes[(TYPICAL * (sizes.len() - 1) as f64) as usize];
        if typical > 0.0 && largest > OUTLIER * typical {
            Self { limit: typical, is_cut: true }
        } else {
            Self { limit: if largest > 0.0 { largest } else { 1.0 }, is_cut: false }
        }
    }

    /// Whether some scores lie beyond the ends of the scale.
    pub(in super::super) fn is_cut(self) -> bool {
        self.is_cut
    }
}

/// The map of one head.
pub(in super::super) fn score_matrix(matrix: &ScoreMatrix, colours: ScoreColours) -> Markup {
    let title = format!("Layer {}, head {}", matrix.layer + 1, matrix.head + 1);
    let description = format!(
        "Scores of {} output positions, downwards, for {} input positions, to the right.",
        matrix.rows, matrix.cols
    );
    let (right, bottom) = (LEFT + SIDE, TOP + SIDE);
    let size = (right + 4.0, bottom + BOTTOM);
    canvas(size, &title, &description, |out| {
        label(out, "variable", LEFT, TOP - 7.0, &format!("head {}", matrix.head + 1));
        let colours = Colours::Diverging(colours.limit);
        heat_map(out, &cells(matrix), colours, (LEFT, TOP, SIDE, SIDE));
        let attributes: [(&str, &dyn std::fmt::Display); 5] =
            [("class", &"border"), ("x", &LEFT), ("y", &TOP), ("width", &SIDE), ("height", &SIDE)];
        out.empty("rect", &attributes);
        label(out, "tick end", LEFT - 4.0, TOP + 9.0, "1");
        label(out, "tick end", LEFT - 4.0, bottom, &matrix.rows.to_string());
        label(out, "tick", LEFT, bottom + 13.0, "1");
        label(out, "tick end", right, bottom + 13.0, &matrix.cols.to_string());
    })
}

/// The colour bar that belongs to all heads.
pub(in super::super) fn score_colour_bar(colours: ScoreColours, width: f64) -> Markup {
    let limit = colours.limit;
    let description = format!("Colours from {:.3} over zero to {limit:.3}.", -limit);
    canvas((width, 34.0), "Colour scale of the scores", &description, |out| {
        let bar = (1.0, 2.0, width - 2.0);
        colour_bar(out, Colours::Diverging(limit), bar);
    })
}

fn cells(matrix: &ScoreMatrix) -> Matrix {
    let mut values: Vec<f64> = matrix.values.iter().map(|value| f64::from(*value)).collect();
    values.resize(matrix.rows * matrix.cols, f64::NAN);
    Matrix { rows: matrix.rows, cols: matrix.cols, values }.averaged(MAX_CELLS, MAX_CELLS)
}

#[cfg(test)]
mod tests {
    use super::super::super::schema::ScoreMeaning;
    use super::*;

    fn matrix(rows: usize, cols: usize, values: Vec<f32>) -> ScoreMatrix {
        ScoreMatrix { layer: 0, head: 2, meaning: ScoreMeaning::Learned, rows, cols, values }
    }

    #[test]
    fn a_lone_large_score_does_not_bleach_the_rest() {
        let mut values = vec![0.1; 35 * 33];
        values[7] = -9.0;
        let colours = ScoreColours::of(&[matrix(35, 33, values)]);
        assert!((colours.limit - 0.1).abs() < 1e-7 && colours.is_cut());
        let colours = ScoreColours::of(&[matrix(1, 3, vec![0.1, -0.2, f32::NAN])]);
        assert!((colours.limit - 0.2).abs() < 1e-7 && !colours.is_cut());
        let unit = ScoreColours { limit: 1.0, is_cut: false };
        assert_eq!(ScoreColours::of(&[]), unit);
        assert_eq!(ScoreColours::of(&[matrix(1, 1, vec![0.0])]), unit);
    }

    #[test]
    fn heads_and_layers_are_counted_from_one() {
        let matrix = matrix(2, 3, vec![0.0; 6]);
        let svg = score_matrix(&matrix, ScoreColours::of(&[])).into_string();
        assert!(svg.contains("<title>Layer 1, head 3</title>"));
    }
}
