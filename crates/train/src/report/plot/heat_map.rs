//! A matrix as coloured cells: one path per colour, one stroke per run of equal cells in a row.

use std::fmt::{Display, Write};

use super::super::markup::{Markup, coordinate};
use super::colour::{DIVERGING, SEQUENTIAL, diverging_level, sequential_level};
use super::frame::{CHARACTER, label};
use super::scale::Scale;

/// Most cells along one side; larger matrices are averaged over blocks.
pub(in super::super) const MAX_CELLS: usize = 64;
/// Class of cells without a number.
const VOID: &str = "void";

/// From numbers to colours.
#[derive(Clone, Copy, Debug)]
pub(super) enum Colours {
    /// From `-limit` over zero to `limit`.
    Diverging(f64),
    /// From the first number to the second.
    Sequential(f64, f64),
}

/// Numbers in rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// `rows × cols` numbers, row after row.
    pub(super) values: Vec<f64>,
}

impl Matrix {
    /// Averages over equal blocks until at most `max_rows × max_cols` numbers are left.
    ///
    /// The last block of a row or column may be smaller. Missing numbers are left out of the mean.
    pub(super) fn averaged(&self, max_rows: usize, max_cols: usize) -> Self {
        let (height, width) = (self.rows.div_ceil(max_rows), self.cols.div_ceil(max_cols));
        if height <= 1 && width <= 1 {
            return self.clone();
        }
        let (rows, cols) = (self.rows.div_ceil(height), self.cols.div_ceil(width));
        let mean = |row: usize, col: usize| {
            let (mut sum, mut n) = (0.0, 0u32);
            for i in row * height..((row + 1) * height).min(self.rows) {
                for j in col * width..((col + 1) * width).min(self.cols) {
                    let value = self.values[i * self.cols + j];
                    if value.is_finite() {
                        sum += value;
                        n += 1;
                    }
                }
            }
            sum / f64::from(n) // NaN for a block without numbers
        };
        let cells = (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col)));
        Self { rows, cols, values: cells.map(|(row, col)| mean(row, col)).collect() }
    }
}

impl Colours {
    fn level(self, value: f64) -> Option<usize> {
        match self {
            Self::Diverging(limit) => diverging_level(value, limit),
            Self::Sequential(low, high) => sequential_level(value, (low, high)),
        }
    }

    fn prefix_and_levels(self) -> (char, usize) {
        match self {
            Self::Diverging(_) => ('d', DIVERGING),
            Self::Sequential(..) => ('v', SEQUENTIAL),
        }
    }
}

/// Draws `matrix` into the rectangle at `(left, top)`.
pub(super) fn heat_map(
    out: &mut Markup,
    matrix: &Matrix,
    colours: Colours,
    (left, top, width, height): (f64, f64, f64, f64),
) {
    if matrix.rows == 0 || matrix.cols == 0 {
        return;
    }
    let (prefix, levels) = colours.prefix_and_levels();
    let mut paths = vec![String::new(); levels + 1]; // the last one holds cells without a number
    for (row, values) in matrix.values.chunks(matrix.cols).enumerate() {
        let mut col = 0;
        for run in values.chunk_by(|a, b| colours.level(*a) == colours.level(*b)) {
            let path = &mut paths[colours.level(run[0]).unwrap_or(levels)];
            write!(path, "M{col} {row}h{}v1h-{}z", run.len(), run.len())
                .expect("writing to a string cannot fail");
            col += run.len();
        }
    }
    let transform = format!(
        "translate({} {}) scale({:.5} {:.5})",
        coordinate(left),
        coordinate(top),
        width / matrix.cols as f64,
        height / matrix.rows as f64
    );
    let attributes: [(&str, &dyn Display); 2] = [("class", &"cells"), ("transform", &transform)];
    out.element("g", &attributes, |out| {
        for (level, data) in paths.iter().enumerate().filter(|(_, data)| !data.is_empty()) {
            let class = if level == levels { VOID.to_string() } else { format!("{prefix}{level}") };
            out.empty("path", &[("class", &class), ("d", data)]);
        }
    });
}

/// A bar of all colours with round numbers below it.
pub(super) fn colour_bar(out: &mut Markup, colours: Colours, (left, top, width): (f64, f64, f64)) {
    const HEIGHT: f64 = 10.0;
    const TICKS: usize = 5;
    let (low, high) = match colours {
        Colours::Diverging(limit) => (-limit, limit),
        Colours::Sequential(low, high) => (low, high),
    };
    let (_, levels) = colours.prefix_and_levels();
    let at = |part: f64| low + part * (high - low);
    let values = (0..levels).map(|i| at(i as f64 / (levels - 1) as f64)).collect();
    let matrix = Matrix { rows: 1, cols: levels, values };
    heat_map(out, &matrix, colours, (left, top, width, HEIGHT));
    for tick in Scale::exact(low, high).ticks(TICKS) {
        let x = left + tick.position * width;
        let data = format!("M{} {}v4", coordinate(x), coordinate(top + HEIGHT));
        out.empty("path", &[("class", &"axis"), ("d", &data)]);
        let half = CHARACTER * 0.5 * tick.label.chars().count() as f64;
        let x = x.clamp(left + half - 4.0, left + width - half + 4.0);
        label(out, "tick middle", x, top + HEIGHT + 15.0, &tick.label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_share_a_stroke_and_missing_cells_are_marked() {
        let matrix = Matrix { rows: 2, cols: 3, values: vec![1.0, 1.0, -1.0, 0.0, f64::NAN, 0.0] };
        let mut out = Markup::default();
        heat_map(&mut out, &matrix, Colours::Diverging(1.0), (0.0, 0.0, 30.0, 20.0));
        let svg = out.into_string();
        assert!(svg.contains("class=\"d32\" d=\"M0 0h2v1h-2z\""));
        assert!(svg.contains("class=\"d0\" d=\"M2 0h1v1h-1z\""));
        assert!(svg.contains("class=\"d16\" d=\"M0 1h1v1h-1zM2 1h1v1h-1z\""));
        assert!(svg.contains("class=\"void\" d=\"M1 1h1v1h-1z\""));
    }

    #[test]
    fn large_matrices_are_averaged_over_blocks() {
        // 3 rows in blocks of 2, 5 columns in blocks of 3.
        let values = (0..15).map(f64::from).collect();
        let mut matrix = Matrix { rows: 3, cols: 5, values };
        matrix.values[14] = f64::NAN;
        let small = matrix.averaged(2, 2);
        assert_eq!((small.rows, small.cols), (2, 2));
        // (0+1+2+5+6+7)/6, (3+4+8+9)/4, (10+11+12)/3, 13
        assert_eq!(small.values, [3.5, 6.0, 11.0, 13.0]);
        assert_eq!(matrix.averaged(3, 5).cols, 5);
    }
}
