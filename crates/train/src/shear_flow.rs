//! Velocity profiles of the nine-equation shear flow, from forecast amplitudes.
//!
//! The streamwise velocity `u(x, y, z)` is sampled over times and over a grid in `x` and `z`; its mean and
//! root mean square deviation at each `y` are the profiles that are compared.

use regard_data::simulate::ShearFlow;

use crate::metric::profile::{Profiles, profile_error};

/// Points across the channel, from wall to wall.
const POINTS: usize = 33;
/// Points along each of the homogeneous directions.
const PLANES: usize = 4;
/// Most states that are sampled.
const STATES: usize = 400;
/// Modes of the model.
const MODES: usize = 9;

/// Errors of mean and fluctuation profile of forecasts, both `[time, 9]` in physical units.
pub(crate) fn profile_errors(
    flow: &ShearFlow,
    pred: &[Vec<f64>],
    truth: &[Vec<f64>],
) -> [Option<f64>; 2] {
    let y: Vec<f64> = (0..POINTS).map(|i| 2.0 * i as f64 / (POINTS - 1) as f64 - 1.0).collect();
    let profiles = |series: &[Vec<f64>]| profiles(flow, series, &y);
    let (pred, truth) = (profiles(pred), profiles(truth));
    let error = |pred: &[f64], truth: &[f64]| {
        profile_error(&y, pred, truth).filter(|error| error.is_finite())
    };
    [error(&pred.mean, &truth.mean), error(&pred.fluctuation, &truth.fluctuation)]
}

fn profiles(flow: &ShearFlow, series: &[Vec<f64>], y: &[f64]) -> Profiles {
    let rows: Vec<&[f64]> = series.iter().flat_map(|s| s.chunks_exact(MODES)).collect();
    let stride = rows.len().div_ceil(STATES).max(1);
    let mut samples = Vec::new();
    for row in rows.into_iter().step_by(stride) {
        let state: [f64; MODES] = std::array::from_fn(|i| row[i]);
        for i in 0..PLANES * PLANES {
            let part = |k: usize| k as f64 / PLANES as f64;
            let (x, z) = (flow.length_x * part(i % PLANES), flow.length_z * part(i / PLANES));
            samples.extend(y.iter().map(|&y| flow.velocity(&state, [x, y, z])[0]));
        }
    }
    Profiles::of(&samples, y.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laminar_flow_has_its_profile_and_no_fluctuations() {
        let laminar = vec![vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]];
        let y = [-1.0, 0.0, 1.0];
        let found = profiles(&ShearFlow::default(), &laminar, &y);
        for (found, y) in found.mean.iter().zip(y) {
            let expected = 2.0_f64.sqrt() * (std::f64::consts::FRAC_PI_2 * y).sin();
            assert!((found - expected).abs() < 1e-12, "U({y}) = {found}");
        }
        assert!(found.fluctuation.iter().all(|f| f.abs() < 1e-12));
    }

    #[test]
    fn half_the_amplitude_is_an_error_of_half_the_profile() {
        let flow = ShearFlow::default();
        let state = |a: f64| vec![vec![a, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]];
        let [mean, _] = profile_errors(&flow, &state(0.5), &state(1.0));
        // ∫|½ sin(πy/2)| dy / 2 = 1/π, less the error of the trapezoids.
        assert!((mean.unwrap() - 1.0 / std::f64::consts::PI).abs() < 1e-3, "{mean:?}");
    }
}
