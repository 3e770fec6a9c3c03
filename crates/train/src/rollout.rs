//! A model as a function on host numbers: one forecast, and free-running ones.
//!
//! ```text
//! x̂_{t+1 .. t+q} = model(x̂_{t−p+1 .. t}),   x̂ = x up to the start
//! ```
//!
//! Rollouts are independent of each other: with a [`Plan`] each runs on its own, side by side on all
//! threads; other models take one step of all rollouts at a time. A window with missing values goes
//! through [`Model::forward_observed`].

use burn::tensor::Device;
use rayon::prelude::*;
use regard_kernels::plan::Plan;
use regard_nn::model::{ForecastShape, Model};

use crate::evaluate::Rollouts;
use crate::precision::{Precision, tensor};

/// Windows per forward pass.
pub(crate) const BATCH: usize = 256;
/// Forecasts of every rollout between two reports of progress.
const REPORT: usize = 50;

/// The first forecast row from the end of each history.
pub(crate) fn first_rows(
    model: &Model,
    shape: ForecastShape,
    histories: &[&[f64]],
) -> Vec<Vec<f64>> {
    let windows: Vec<&[f64]> = histories.iter().map(|h| last_window(h, shape)).collect();
    forward(model, shape, &windows)
        .into_iter()
        .map(|rows| rows[..shape.channels].to_vec())
        .collect()
}

/// The newest rows, as many as the model reads.
pub(crate) fn last_window(history: &[f64], shape: ForecastShape) -> &[f64] {
    &history[history.len() - shape.window * shape.channels..]
}

/// `[horizon, channels]` after each window.
pub(crate) fn forward(model: &Model, shape: ForecastShape, windows: &[&[f64]]) -> Vec<Vec<f64>> {
    let device = Device::default();
    let precision = Precision::of_module(model);
    let ForecastShape { window, horizon, channels } = shape;
    let mut out = Vec::with_capacity(windows.len());
    for chunk in windows.chunks(BATCH) {
        let values: Vec<f64> = chunk.concat();
        let x = tensor(&values, [chunk.len(), window, channels], &device, precision);
        let y = if has_gaps(&values) {
            let observed = x.clone().is_nan().bool_not();
            model.forward_observed(x, observed)
        } else {
            model.forward(x)
        };
        let y = y.into_data().convert::<f64>();
        let y = y.try_into_vec::<f64>().expect("converted to f64 above");
        out.extend(y.chunks_exact(horizon * channels).map(<[f64]>::to_vec));
    }
    out
}

/// Free-running forecasts of `steps` rows from every history; `advance` is told the rows done.
pub(crate) fn model_rollouts(
    model: &Model,
    shape: ForecastShape,
    histories: &[&[f64]],
    steps: usize,
    mut advance: impl FnMut(usize),
) -> Rollouts {
    let plan = model.plan(shape);
    let width = shape.window * shape.channels;
    let mut paths: Vec<Vec<f64>> =
        histories.iter().map(|h| last_window(h, shape).to_vec()).collect();
    let mut done = 0;
    while done < steps {
        let forecasts = if plan.is_some() { REPORT } else { 1 };
        let rows = (forecasts * shape.horizon).min(steps - done);
        match &plan {
            None => step(model, shape, rows, &mut paths),
            Some(plan) => paths
                .par_iter_mut()
                .for_each_init(|| plan.clone(), |plan, path| run(plan, model, shape, rows, path)),
        }
        done += rows;
        advance(done);
    }
    paths.into_iter().map(|mut path| path.split_off(width)).collect()
}

/// Continues every path by one forecast, of which `rows` rows are kept.
fn step(model: &Model, shape: ForecastShape, rows: usize, paths: &mut [Vec<f64>]) {
    let windows: Vec<&[f64]> = paths.iter().map(|path| last_window(path, shape)).collect();
    let next = forward(model, shape, &windows);
    for (path, next) in paths.iter_mut().zip(next) {
        path.extend_from_slice(&next[..rows * shape.channels]);
    }
}

/// Continues one path by `rows` rows.
fn run(plan: &mut Plan, model: &Model, shape: ForecastShape, rows: usize, path: &mut Vec<f64>) {
    let end = path.len() + rows * shape.channels;
    let mut next = vec![0.0; shape.horizon * shape.channels];
    while path.len() < end {
        let window = last_window(path, shape);
        if has_gaps(window) {
            next.copy_from_slice(&forward(model, shape, &[window])[0]);
        } else {
            plan.forward(window, &mut next);
        }
        path.extend_from_slice(&next[..next.len().min(end - path.len())]);
    }
}

fn has_gaps(values: &[f64]) -> bool {
    values.iter().any(|x| x.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;
    use regard_nn::mechanism::{EasyConfig, MechanismConfig, TimeMatrix};
    use regard_nn::model::{ForecasterConfig, ModelConfig, Readout};

    const SHAPE: ForecastShape = ForecastShape { window: 7, horizon: 3, channels: 2 };

    fn model() -> Model {
        let device = Device::default();
        device.seed(1);
        let config = ModelConfig::Forecaster(ForecasterConfig {
            d_model: 6,
            d_ff: 11,
            n_layers: 2,
            readout: Readout::Increment,
            time_maps: TimeMatrix::default(),
            mechanism: MechanismConfig::Easy(EasyConfig::new(3)),
        });
        config.init(SHAPE, &[0.3, 0.7], &device).expect("the sizes are valid")
    }

    fn histories() -> Vec<Vec<f64>> {
        (0..5).map(|i| (0..20).map(|t| f64::from(t * (i + 3)).sin()).collect()).collect()
    }

    #[test]
    fn rollouts_with_a_plan_are_bit_for_bit_those_of_tensors() {
        let (model, mut histories) = (model(), histories());
        // A gap in the first window of one of them: it leaves the window on the way.
        histories[2][15] = f64::NAN;
        let histories: Vec<&[f64]> = histories.iter().map(Vec::as_slice).collect();
        // More than two reports, and a last forecast of which one row is kept.
        let steps = 2 * 3 * REPORT + 4;
        let mut reports = Vec::new();
        let found = model_rollouts(&model, SHAPE, &histories, steps, |done| reports.push(done));
        assert_eq!(reports, [3 * REPORT, 6 * REPORT, steps]);
        for (history, found) in histories.iter().zip(found) {
            let mut path = vec![last_window(history, SHAPE).to_vec()];
            for done in (0..steps).step_by(3) {
                step(&model, SHAPE, 3.min(steps - done), &mut path);
            }
            let expected: Vec<u64> = path[0][14..].iter().map(|x| x.to_bits()).collect();
            let found: Vec<u64> = found.iter().map(|x| x.to_bits()).collect();
            assert_eq!(found, expected);
        }
    }
}
