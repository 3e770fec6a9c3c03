//! Poincaré section: where a trajectory crosses a plane upwards.
//!
//! ```text
//! x_{t,v} < level ≤ x_{t+1,v}        s = (level − x_{t,v}) / (x_{t+1,v} − x_{t,v})
//! crossing = x_t + s (x_{t+1} − x_t)     at time t + s
//! ```
//!
//! The level is usually the mean of the variable over the truth. Linear interpolation places a
//! crossing with an error of the second order in the time step.

/// One upward crossing.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossing {
    /// Rows since the first one, a fraction.
    pub time: f64,
    /// All variables there, that of the section included, in the unit of the trajectory.
    pub state: Vec<f64>,
}

/// Upward crossings of `level` by one variable, in the order of time.
///
/// A trajectory that is not finite has crossings up to there.
///
/// # Shapes
/// - `trajectory`: `[time, channels]` row-major
///
/// # Panics
/// If `variable` is not below `channels` or the trajectory does not consist of whole rows.
#[must_use]
pub fn poincare_section(
    trajectory: &[f64],
    channels: usize,
    variable: usize,
    level: f64,
) -> Vec<Crossing> {
    assert!(variable < channels, "variable {variable} of {channels}");
    assert_eq!(trajectory.len() % channels, 0, "whole rows of {channels} values");
    let rows: Vec<&[f64]> = trajectory.chunks_exact(channels).collect();
    let finite = |pair: &&[&[f64]]| pair[1].iter().all(|x| x.is_finite());
    let crossing = |(t, pair): (usize, &[&[f64]])| {
        let (below, above) = (pair[0], pair[1]);
        let upward = below[variable] < level && level <= above[variable];
        upward.then(|| {
            let part = (level - below[variable]) / (above[variable] - below[variable]);
            let state = below.iter().zip(above).map(|(a, b)| a + part * (b - a)).collect();
            Crossing { time: t as f64 + part, state }
        })
    };
    rows.windows(2).take_while(finite).enumerate().filter_map(crossing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_crossed_upwards_once_a_turn_at_one_point() {
        let (turns, per_turn) = (5u32, 200u32);
        let angle =
            |i: u32| std::f64::consts::TAU * (f64::from(i) + 0.3) / f64::from(per_turn) - 1.0;
        let rows: Vec<f64> =
            (0..turns * per_turn).flat_map(|i| [angle(i).cos(), angle(i).sin()]).collect();
        let section = poincare_section(&rows, 2, 1, 0.0);
        assert_eq!(section.len(), 5);
        for crossing in &section {
            // Upwards is at angle zero, not at π; the chord is flatter than the arc.
            assert!((crossing.state[0] - 1.0).abs() < 2e-4 && crossing.state[1].abs() < 1e-15);
        }
        assert!((section[1].time - section[0].time - 200.0).abs() < 1e-9);
    }

    #[test]
    fn a_row_on_the_level_is_crossed_once() {
        let section = poincare_section(&[-1.0, 0.0, 1.0, 0.0, -1.0, 0.0, 0.0], 1, 0, 0.0);
        let times: Vec<f64> = section.iter().map(|crossing| crossing.time).collect();
        assert_eq!(times, [1.0, 5.0]);
    }

    #[test]
    fn a_diverged_trajectory_has_crossings_up_to_there() {
        let section = poincare_section(&[-1.0, 1.0, -1.0, f64::INFINITY, -1.0, 1.0], 1, 0, 0.0);
        assert_eq!(section.len(), 1);
        assert_eq!(poincare_section(&[f64::NAN, 1.0, -1.0], 1, 0, 0.0), []);
    }
}
