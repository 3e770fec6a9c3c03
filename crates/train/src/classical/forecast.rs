//! What a classical method can do once it is fitted, and many rollouts at once.

use std::fmt::Debug;

use rayon::prelude::*;

use super::SeriesView;

/// A fitted forecaster of normalised rows.
///
/// # Units
/// Histories and forecasts are normalised values, dimensionless.
pub trait Classical: Debug + Send + Sync {
    /// Name in tables and files, such as `"linear-ar"`.
    fn name(&self) -> &'static str;

    /// Fitted numbers.
    fn n_parameters(&self) -> usize;

    /// Past rows that a forecast needs; zero where the past does not matter.
    fn window(&self) -> usize;

    /// Forecasts `steps` rows after the end of `history`, feeding each row back.
    ///
    /// A forecast that diverges is returned as it is, with infinite values or NaN.
    ///
    /// # Shapes
    /// - `history`: `[time, channels]` with `time ≥ window()`; only the last `window()` rows count
    /// - `out`: becomes `[steps, channels]`; what it held before is dropped
    ///
    /// # Panics
    /// If `history` is too short or `channels` is not that of the training series.
    fn forecast(&self, history: &[f64], channels: usize, steps: usize, out: &mut Vec<f64>);

    /// Forecasts row `first` and every later row of `series`, each from the true rows before it.
    ///
    /// # Shapes
    /// - returns: `[steps − first, channels]`
    ///
    /// # Panics
    /// If `first` is less than `window()`, or the channels are not those of the training series.
    fn one_step(&self, series: SeriesView<'_>, first: usize) -> Vec<f64> {
        let channels = series.channels();
        let rows = (first..series.steps()).into_par_iter().map(|t| {
            let mut out = Vec::new();
            self.forecast(series.rows(0, t), channels, 1, &mut out);
            out
        });
        rows.collect::<Vec<_>>().concat()
    }
}

/// Forecasts `steps` rows from each history, in parallel; the result keeps the order.
///
/// Rollouts do not depend on each other, so the number of threads does not change a bit of them.
///
/// # Shapes
/// - each of `histories`: `[time, channels]`
/// - each of the results: `[steps, channels]`
///
/// # Panics
/// As [`Classical::forecast`].
#[must_use]
pub fn rollouts(
    method: &dyn Classical,
    histories: &[&[f64]],
    channels: usize,
    steps: usize,
) -> Vec<Vec<f64>> {
    histories
        .par_iter()
        .map(|history| {
            let mut out = Vec::new();
            method.forecast(history, channels, steps, &mut out);
            out
        })
        .collect()
}

/// Writes a rollout to `out`: `next` appends to the path the row that follows its last `window`.
pub(super) fn roll_out(
    history: &[f64],
    channels: usize,
    window: usize,
    steps: usize,
    out: &mut Vec<f64>,
    mut next: impl FnMut(&mut Vec<f64>),
) {
    let needed = window * channels;
    assert!(
        history.len() >= needed,
        "a history of {} values is shorter than {window} rows of {channels}",
        history.len()
    );
    out.clear();
    out.reserve(needed + steps * channels);
    out.extend_from_slice(&history[history.len() - needed..]);
    for _ in 0..steps {
        next(out);
    }
    out.drain(..needed);
}
