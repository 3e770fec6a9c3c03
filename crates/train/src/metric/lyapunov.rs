//! Largest Lyapunov exponent of a map, learned or not, by two trajectories.
//!
//! ```text
//! w' = w + d₀ e          ‖e‖ = 1, both windows move on by `interval` rows, then
//! d  = ‖w' − w‖          sum += ln(d / d₀)          w' = w + d₀ (w' − w) / d
//! λ  = sum / (rows · dt)
//! ```
//!
//! The state of a forecaster is its window `w`, all rows of it, since each enters the next.
//!
//! Source: Benettin, Galgani and Strelcyn 1976, Physical Review A 14:2338–2345,
//! doi 10.1103/PhysRevA.14.2338. Cost: two forecasts for each row.

/// How to measure an exponent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LyapunovConfig {
    /// Distance `d₀` of the two windows, in the unit of the rows: small against the attractor, large
    /// against rounding; 1e-7 by default, for forecasts in double precision.
    pub separation: f64,
    /// Rows between two rescalings; 10 by default.
    pub interval: usize,
    /// Rescalings that turn the difference to the fastest direction before any counts; 100.
    pub transient: usize,
    /// Rescalings that count; 1000 by default.
    pub rescalings: usize,
}

impl Default for LyapunovConfig {
    fn default() -> Self {
        Self { separation: 1e-7, interval: 10, transient: 100, rescalings: 1000 }
    }
}

/// Largest Lyapunov exponent of the map `next` from a window of rows to the row after it.
///
/// `None` if a trajectory stops being finite, or the two meet or are driven apart beyond numbers:
/// there is no exponent then.
///
/// # Shapes
/// - `window`: `[time, channels]` row-major, on the attractor
/// - `next`: gets such a window, returns `[channels]`
///
/// # Units
/// Per unit of `dt`, the time between two rows.
///
/// # Panics
/// If `window` does not consist of whole rows, or a field of `config` is zero (`transient` may be).
pub fn largest_lyapunov_exponent(
    window: &[f64],
    channels: usize,
    dt: f64,
    config: LyapunovConfig,
    mut next: impl FnMut(&[f64]) -> Vec<f64>,
) -> Option<f64> {
    let LyapunovConfig { separation, interval, transient, rescalings } = config;
    assert!(
        !window.is_empty() && window.len().is_multiple_of(channels),
        "whole rows of {channels} values"
    );
    assert!(separation > 0.0 && interval > 0 && rescalings > 0, "{config:?} measures nothing");
    let mut advance = |window: &mut Vec<f64>| {
        for _ in 0..interval {
            let row = next(window);
            assert_eq!(row.len(), channels, "a forecast is one row");
            window.drain(..channels);
            window.extend(row);
        }
    };
    let mut one = window.to_vec();
    // A direction without symmetry, so that no invariant subspace is likely to hold it.
    let direction: Vec<f64> = (0..one.len()).map(|i| 1.0 + (i as f64 + 1.0).sin() / 2.0).collect();
    let length = norm(direction.iter().copied());
    let mut two: Vec<f64> =
        one.iter().zip(&direction).map(|(x, e)| x + separation * e / length).collect();
    let mut sum = 0.0;
    for rescaling in 0..transient + rescalings {
        advance(&mut one);
        advance(&mut two);
        let distance = norm(one.iter().zip(&two).map(|(x, y)| y - x));
        if !(distance > 0.0 && distance.is_finite()) {
            return None;
        }
        if rescaling >= transient {
            sum += (distance / separation).ln();
        }
        for (x, y) in one.iter().zip(&mut two) {
            *y = x + separation * (*y - x) / distance;
        }
    }
    Some(sum / ((rescalings * interval) as f64 * dt))
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_map_has_the_logarithm_of_its_largest_eigenvalue() {
        let config =
            LyapunovConfig { interval: 3, transient: 20, rescalings: 50, ..<_>::default() };
        let next = |x: &[f64]| vec![0.9 * x[0] + 5.0 * x[1], 0.5 * x[1]];
        let exponent = largest_lyapunov_exponent(&[0.0, 0.0], 2, 0.5, config, next).unwrap();
        assert!((exponent - 0.9f64.ln() / 0.5).abs() < 1e-9, "{exponent}");
    }

    #[test]
    fn the_tent_of_the_logistic_map_stretches_twofold() {
        let config = LyapunovConfig { interval: 1, rescalings: 100_000, ..<_>::default() };
        let next = |x: &[f64]| vec![4.0 * x[0] * (1.0 - x[0])];
        let exponent = largest_lyapunov_exponent(&[0.3], 1, 1.0, config, next).unwrap();
        assert!((exponent - std::f64::consts::LN_2).abs() < 0.01, "{exponent}");
    }

    /// `x_{n+1} = 1 − 1.4 x_n² + 0.3 x_{n−1}`: the state is a window of two rows. 0.4192 per step
    /// (Sprott 2003, Chaos and Time-Series Analysis, appendix A).
    #[test]
    fn the_henon_map_has_its_exponent_in_delay_coordinates() {
        let config = LyapunovConfig { interval: 2, rescalings: 50_000, ..<_>::default() };
        let next = |x: &[f64]| vec![1.0 - 1.4 * x[1] * x[1] + 0.3 * x[0]];
        let exponent = largest_lyapunov_exponent(&[0.1, 0.1], 1, 1.0, config, next).unwrap();
        assert!((exponent - 0.4192).abs() < 0.005, "{exponent}");
    }

    #[test]
    fn there_is_no_exponent_where_trajectories_meet_or_diverge() {
        let exponent = |next: fn(&[f64]) -> Vec<f64>| {
            largest_lyapunov_exponent(&[2.0], 1, 1.0, LyapunovConfig::default(), next)
        };
        assert_eq!(exponent(|_| vec![1.0]), None);
        assert_eq!(exponent(|x| vec![x[0] * x[0]]), None);
    }
}
