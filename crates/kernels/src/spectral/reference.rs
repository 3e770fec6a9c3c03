//! The definition, on host numbers in `f64`: slow and plain.

use std::f64::consts::TAU;

/// Sizes of one application.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Rows and columns.
    pub grid: [usize; 2],
    /// Rows and columns of multipliers.
    pub modes: [usize; 2],
    /// Channels of the input.
    pub d_in: usize,
    /// Channels of the result.
    pub d_out: usize,
}

/// One field: transform, product, and inverse transform, along rows and then along columns.
///
/// `x` is `[rows, columns, d_in]`, `weight` `[n_rows, n_columns, 2, d_in, d_out]` with real and imaginary
/// parts, the result `[rows, columns, d_out]`, all row-major.
#[must_use]
pub fn spectral(x: &[f64], weight: &[f64], sizes: Sizes) -> Vec<f64> {
    let Sizes { grid: [rows, columns], modes: [n_rows, n_columns], d_in, d_out } = sizes;
    let first = n_rows.div_ceil(2);
    let mut y = vec![0.0; rows * columns * d_out];
    // The spectrum of one channel of the result: zero where there are no multipliers.
    let mut spectrum = vec![[0.0; 2]; rows * n_columns];
    for o in 0..d_out {
        spectrum.fill([0.0; 2]);
        for mode in 0..n_rows {
            let row = if mode < first { mode } else { rows + mode - n_rows };
            for column in 0..n_columns {
                let mut sum = [0.0; 2];
                for i in 0..d_in {
                    let [re, im] = coefficient(x, sizes, [row, column], i);
                    let w = |part: usize| {
                        weight[(((mode * n_columns + column) * 2 + part) * d_in + i) * d_out + o]
                    };
                    sum[0] += re * w(0) - im * w(1);
                    sum[1] += re * w(1) + im * w(0);
                }
                spectrum[row * n_columns + column] = sum;
            }
        }
        for r in 0..rows {
            // Inverse along rows, complex.
            let along: Vec<[f64; 2]> = (0..n_columns)
                .map(|column| {
                    (0..rows).fold([0.0; 2], |sum, row| {
                        let [re, im] = spectrum[row * n_columns + column];
                        let angle = TAU * (row * r % rows) as f64 / rows as f64;
                        let (sin, cos) = angle.sin_cos();
                        [sum[0] + re * cos - im * sin, sum[1] + re * sin + im * cos]
                    })
                })
                .collect();
            // Inverse along columns, real: the imaginary part of the first and last one is not read.
            for c in 0..columns {
                let mut sum = 0.0;
                for (column, [re, im]) in along.iter().enumerate() {
                    let angle = TAU * (column * c % columns) as f64 / columns as f64;
                    let (sin, cos) = angle.sin_cos();
                    sum += match column {
                        0 => *re,
                        _ if 2 * column == columns => re * cos,
                        _ => 2.0 * (re * cos - im * sin),
                    };
                }
                y[(r * columns + c) * d_out + o] = sum / (rows * columns) as f64;
            }
        }
    }
    y
}

/// One coefficient of the transform of channel `i`.
fn coefficient(x: &[f64], sizes: Sizes, [row, column]: [usize; 2], i: usize) -> [f64; 2] {
    let Sizes { grid: [rows, columns], d_in, .. } = sizes;
    let mut sum = [0.0; 2];
    for r in 0..rows {
        for c in 0..columns {
            let turns = (row * r % rows) as f64 / rows as f64
                + (column * c % columns) as f64 / columns as f64;
            let (sin, cos) = (TAU * turns).sin_cos();
            let x = x[(r * columns + c) * d_in + i];
            sum = [sum[0] + x * cos, sum[1] - x * sin];
        }
    }
    sum
}
