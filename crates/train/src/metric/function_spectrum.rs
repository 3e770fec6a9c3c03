//! Power of functions per wave number: which details does an operator get right?
//!
//! ```text
//! û_κ = FFT(h · (u − ū))_κ,    P_k = Σ_{k − ½ ≤ |κ| < k + ½} |û_κ|² / (N² mean h²)      k = 1 … n/2
//! ```
//!
//! `h` is Hann's window along each axis, which keeps the ends of functions that are not periodic from filling all
//! waves; `κ` counts waves across the domain, `N` points, `n` the points of the shorter axis. The sum over
//! `k` is the variance under the window, but for waves beyond `n/2`. Mean over functions, sum over channels.
//!
//! Source: Welch 1967, IEEE Transactions on Audio and Electroacoustics 15:70–73, the window and its scale.

use std::f64::consts::TAU;

use regard_data::fourier::{Complex64, Fourier};
use regard_data::operator::Points;

/// Fewest points along an axis whose waves tell anything.
const MIN_POINTS: usize = 8;
/// Largest deviation of equal steps, as a share of a step.
const TOLERANCE: f64 = 1e-6;

/// Mean power at the wave numbers 1, 2, … of functions `[functions, points, channels]`; `None` where the points are
/// not equally spaced, or fewer than eight along an axis.
///
/// # Panics
/// If the values are not whole functions.
#[must_use]
pub fn power(values: &[f64], points: &Points, channels: usize) -> Option<Vec<f64>> {
    let [rows, columns] = match points {
        Points::Line(x) if is_even(x) => [1, x.len()],
        Points::Line(_) => return None,
        Points::Grid { rows, columns, .. } => [*rows, *columns],
    };
    let shortest = if rows == 1 { columns } else { rows.min(columns) };
    if shortest < MIN_POINTS {
        return None;
    }
    let n = rows * columns;
    assert!(
        values.len().is_multiple_of(n * channels),
        "whole functions of {n} × {channels} values"
    );
    let axes = [rows, columns].map(Axis::new);
    let mut power = vec![0.0; shortest / 2];
    for function in values.chunks_exact(n * channels) {
        for channel in 0..channels {
            let values: Vec<f64> =
                function.iter().skip(channel).step_by(channels).copied().collect();
            add_power(&values, &axes, &mut power);
        }
    }
    let functions = values.len() / (n * channels);
    let windows: f64 = axes.iter().map(|axis| axis.mean_square).product();
    let scale = 1.0 / (functions as f64 * (n as f64).powi(2) * windows);
    Some(power.into_iter().map(|p| p * scale).collect())
}

/// The window, the transform and the wave numbers of an axis.
struct Axis {
    window: Vec<f64>,
    mean_square: f64,
    fourier: Fourier,
    waves: Vec<f64>,
}

impl Axis {
    fn new(n: usize) -> Self {
        let share = |i: usize| (i as f64 + 0.5) / n as f64;
        let hann = |i: usize| if n == 1 { 1.0 } else { 0.5 - 0.5 * (TAU * share(i)).cos() };
        let window: Vec<f64> = (0..n).map(hann).collect();
        Self {
            mean_square: window.iter().map(|h| h * h).sum::<f64>() / n as f64,
            window,
            fourier: Fourier::new(n),
            waves: (0..n).map(|i| i.min(n - i) as f64).collect(),
        }
    }
}

fn add_power(values: &[f64], [rows, columns]: &[Axis; 2], power: &mut [f64]) {
    let width = columns.window.len();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let windows = rows.window.iter().flat_map(|r| columns.window.iter().map(move |c| r * c));
    let mut waves: Vec<Complex64> =
        values.iter().zip(windows).map(|(u, h)| Complex64::from(h * (u - mean))).collect();
    waves.chunks_exact_mut(width).for_each(|row| columns.fourier.forward(row));
    for (column, k) in columns.waves.iter().enumerate() {
        let mut line: Vec<Complex64> = waves.iter().skip(column).step_by(width).copied().collect();
        rows.fourier.forward(&mut line);
        for (wave, l) in line.iter().zip(&rows.waves) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a wave number"
            )]
            let shell = k.hypot(*l).round() as usize;
            if let Some(power) = shell.checked_sub(1).and_then(|at| power.get_mut(at)) {
                *power += wave.norm_sqr();
            }
        }
    }
}

fn is_even(x: &[f64]) -> bool {
    let step = (x[x.len() - 1] - x[0]) / (x.len() - 1) as f64;
    x.windows(2).all(|pair| ((pair[1] - pair[0]) / step - 1.0).abs() < TOLERANCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regard_data::operator::Placement;

    #[test]
    fn a_wave_has_its_variance_at_its_number() {
        let (rows, columns) = (24, 32);
        let points = Points::Grid { rows, columns, placement: Placement::Edges };
        let at = |n: usize| Placement::Edges.coordinates(n);
        // |κ| = 5 = √(3² + 4²), amplitude 2 and an offset.
        let values: Vec<f64> = at(rows)
            .iter()
            .flat_map(|r| {
                at(columns).into_iter().map(move |c| 7.0 + 2.0 * (TAU * (3.0 * r + 4.0 * c)).cos())
            })
            .collect();
        let found = power(&values, &points, 1).unwrap();
        assert_eq!(found.len(), 12);
        let sum: f64 = found.iter().sum();
        assert!((sum - 2.0).abs() < 1e-6, "{sum}");
        // The window spreads a wave over its neighbours.
        assert!(found[3..6].iter().sum::<f64>() > 0.95 * sum, "{found:?}");
        assert!(found[4] > found[3] && found[4] > found[5], "{found:?}");
    }

    #[test]
    fn functions_and_channels_are_told_apart_on_a_line() {
        let x = Placement::Cells.coordinates(16);
        let wave = |k: f64| x.iter().map(move |x| (TAU * k * x).sin());
        let first: Vec<f64> = wave(2.0).flat_map(|u| [u, 0.0]).collect();
        let second: Vec<f64> = wave(5.0).flat_map(|u| [0.0, u]).collect();
        let points = Points::Line(x.clone());
        let found = power(&[first, second].concat(), &points, 2).unwrap();
        // Half of a variance of one half each.
        assert!((found.iter().sum::<f64>() - 0.5).abs() < 1e-6, "{found:?}");
        assert!(found[1] > 0.1 && found[4] > 0.1 && found[6] < 1e-3, "{found:?}");
    }

    #[test]
    fn uneven_or_few_points_have_no_spectrum() {
        let mut x = Placement::Cells.coordinates(16);
        x[3] += 0.01;
        assert_eq!(power(&[0.0; 16], &Points::Line(x), 1), None);
        let few = Points::Grid { rows: 4, columns: 16, placement: Placement::Nodes };
        assert_eq!(power(&[0.0; 64], &few, 1), None);
    }
}
