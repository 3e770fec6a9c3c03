//! Scores on the test part: one-step errors, and free-running rollouts from many starts.
//!
//! The model and every baseline see the same starts, and only predicted steps are scored. Errors
//! are in normalised units unless a field says otherwise.

use rayon::prelude::*;
use regard_data::normalize::Normalization;
use regard_data::simulate::ShearFlow;
use regard_data::{Series, SeriesSet};
use regard_nn::model::{ForecastShape, Model};

use crate::classical::{Classical, SeriesView, rollouts as classical_rollouts};
use crate::forecast_config::EvaluateConfig;
use crate::forecasting::Part;
use crate::metric::climate::Climate;
use crate::metric::error_growth::error_growth;
use crate::metric::lyapunov::{LyapunovConfig, largest_lyapunov_exponent};
use crate::metric::normalized_error::{normalized_error, rms_state};
use crate::metric::one_step::MeanSquaredError;
use crate::metric::power_spectrum::spectral_distance;
use crate::metric::relative_l2::RelativeL2;
use crate::metric::scaled_error::{mase, naive_error, smape_percent};
use crate::metric::state_space::{StateSpace, StateSpaceConfig};
use crate::metric::valid_prediction_time::{THRESHOLDS, TimeScale, ValidPredictionTime};
use crate::observer::Observer;
use crate::precision::Precision;
use crate::report::{ErrorAt, ErrorGrowth, LongRun, ScoreRow, VptRow};
use crate::rollout::{BATCH, first_rows, forward, last_window, model_rollouts};
use crate::shear_flow::profile_errors;

/// Horizons at which a table shows the error, in steps.
const HORIZONS: [usize; 4] = [50, 100, 200, 500];
/// Rescalings that the exponent of a learned map is a mean of, ten rows each.
const EXPONENT_STEPS: usize = 200;

/// Where rollouts begin, and how long they are.
#[derive(Debug, Clone)]
pub(crate) struct Starts {
    /// Series and the first predicted row.
    pub(crate) at: Vec<(usize, usize)>,
    pub(crate) steps: usize,
    /// Rows of history that every method may use.
    history: usize,
}

/// A free-running forecast `[steps, channels]` from every start, in normalised units.
pub(crate) type Rollouts = Vec<Vec<f64>>;

/// Scores of one method.
#[derive(Debug)]
pub(crate) struct Scores {
    pub(crate) row: ScoreRow,
    pub(crate) growth: ErrorGrowth,
}

/// Everything that scoring needs beside the method.
pub(crate) struct Scorer<'a> {
    pub(crate) test: &'a Part,
    pub(crate) normalization: &'a Normalization,
    pub(crate) scale: TimeScale,
    pub(crate) starts: Starts,
    rms: f64,
    /// Where the true states are.
    states: StateSpace,
    /// Mean one-step change of each variable over the training part, normalised.
    naive: Vec<f64>,
    /// Where the data are amplitudes of a shear flow, the flow: its velocity profiles are scored.
    pub(crate) shear_flow: Option<ShearFlow>,
}

impl Starts {
    /// Spreads starts evenly over all places with `history` rows before and `steps` rows after.
    pub(crate) fn spread(test: &Part, history: usize, config: EvaluateConfig) -> Self {
        let lengths = test.set.lengths();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let steps = config.steps.min(longest.saturating_sub(history));
        let places: Vec<usize> =
            lengths.iter().map(|n| (n + 1).saturating_sub(history + steps)).collect();
        let total: usize = if steps == 0 { 0 } else { places.iter().sum() };
        let n = config.rollouts.min(total);
        let at = (0..n)
            .map(|i| {
                let mut place = if n == 1 { 0 } else { i * (total - 1) / (n - 1) };
                let mut series = 0;
                while place >= places[series] {
                    place -= places[series];
                    series += 1;
                }
                (series, place + history)
            })
            .collect();
        Self { at, steps, history }
    }
}

impl Starts {
    /// True rows after every start.
    pub(crate) fn truths<'a>(&self, part: &'a Part) -> Vec<&'a [f64]> {
        let rows = |&(series, first): &(usize, usize)| {
            part.truth().series[series].rows(first, first + self.steps)
        };
        self.at.iter().map(rows).collect()
    }

    /// Rows before every start.
    pub(crate) fn histories<'a>(&self, part: &'a Part) -> Vec<&'a [f64]> {
        let rows = |&(series, first): &(usize, usize)| {
            part.set.series[series].rows(first - self.history, first)
        };
        self.at.iter().map(rows).collect()
    }
}

impl<'a> Scorer<'a> {
    pub(crate) fn new(
        train: &Part,
        test: &'a Part,
        normalization: &'a Normalization,
        scale: TimeScale,
        history: usize,
        config: EvaluateConfig,
    ) -> Self {
        let starts = Starts::spread(test, history, config);
        let channels = test.set.channels();
        let states = StateSpace::of(&all(test.truth()), channels, StateSpaceConfig::default());
        let naive = naive_error(&all(&train.set), channels, 1);
        let rms =
            rms_state(test.truth().series.iter().map(|s| s.values.as_slice()), test.set.channels());
        let shear_flow = None;
        Self { test, normalization, scale, starts, rms, states, naive, shear_flow }
    }

    /// True rows after every start.
    pub(crate) fn truths(&self) -> Vec<&'a [f64]> {
        self.starts.truths(self.test)
    }

    /// Rows before every start.
    pub(crate) fn histories(&self) -> Vec<&'a [f64]> {
        self.starts.histories(self.test)
    }

    /// Scores a model.
    pub(crate) fn model(
        &self,
        model: &Model,
        shape: ForecastShape,
        observer: &mut dyn Observer,
    ) -> (Scores, Rollouts) {
        let one_step = self.one_step(|histories| first_rows(model, shape, histories));
        let histories = self.histories();
        observer.phase("rollouts", Some(self.starts.steps as u64));
        let rollouts = model_rollouts(model, shape, &histories, self.starts.steps, |step| {
            observer.advance(step as u64, None);
        });
        (self.scores("", one_step, &rollouts), rollouts)
    }

    /// Scores a classical method.
    pub(crate) fn classical(&self, method: &dyn Classical) -> Scores {
        let channels = self.test.set.channels();
        let one_step = self.classical_one_step(method);
        let rollouts = classical_rollouts(method, &self.histories(), channels, self.starts.steps);
        let mut scores = self.scores(method.name(), one_step, &rollouts);
        scores.row.is_baseline = true;
        scores.row.n_parameters = Some(method.n_parameters() as u64);
        scores.growth.is_baseline = true;
        scores
    }

    /// As [`Scorer::one_step`]; a method with a state passes once over each series.
    fn classical_one_step(&self, method: &dyn Classical) -> (MeanSquaredError, RelativeL2) {
        let channels = self.test.set.channels();
        let first = self.starts.history;
        let (mut squares, mut relative) =
            (MeanSquaredError::new(channels), RelativeL2::new(channels));
        let both = self.test.set.series.iter().zip(&self.test.truth().series);
        let long: Vec<_> = both.filter(|(seen, _)| seen.steps() > first).collect();
        let one_step = |(seen, _): &(&Series, &Series)| {
            method.one_step(SeriesView::new(&seen.values, channels), first)
        };
        let preds: Vec<Vec<f64>> = long.par_iter().map(one_step).collect();
        for ((_, truth), pred) in long.iter().zip(&preds) {
            let truth = truth.rows(first, truth.steps());
            squares.add(pred, truth);
            relative.add(
                &self.normalization.phys_from_norm(pred),
                &self.normalization.phys_from_norm(truth),
            );
        }
        (squares, relative)
    }

    /// Errors of the next row from every place with enough history.
    fn one_step(
        &self,
        forecast: impl Fn(&[&[f64]]) -> Vec<Vec<f64>>,
    ) -> (MeanSquaredError, RelativeL2) {
        let channels = self.test.set.channels();
        let history = self.starts.history;
        let (mut squares, mut relative) =
            (MeanSquaredError::new(channels), RelativeL2::new(channels));
        for (series, truths) in self.test.set.series.iter().zip(&self.test.truth().series) {
            let targets: Vec<usize> = (history..series.steps()).collect();
            for chunk in targets.chunks(BATCH) {
                let histories: Vec<&[f64]> =
                    chunk.iter().map(|&t| series.rows(t - history, t)).collect();
                for (pred, &t) in forecast(&histories).iter().zip(chunk) {
                    let truth = truths.row(t);
                    squares.add(pred, truth);
                    relative.add(
                        &self.normalization.phys_from_norm(pred),
                        &self.normalization.phys_from_norm(truth),
                    );
                }
            }
        }
        (squares, relative)
    }

    fn scores(
        &self,
        name: &str,
        (squares, relative): (MeanSquaredError, RelativeL2),
        rollouts: &Rollouts,
    ) -> Scores {
        let channels = self.test.set.channels();
        let truths = self.truths();
        let errors: Vec<Vec<f64>> = rollouts
            .iter()
            .zip(&truths)
            .map(|(pred, truth)| normalized_error(pred, truth, channels, self.rms))
            .collect();
        let growth = error_growth(&errors);
        let some = !errors.is_empty();
        let vpt = |threshold| {
            let t = ValidPredictionTime::of(&errors, threshold, &self.scale);
            VptRow {
                threshold,
                median: t.quartiles.median,
                q25: t.quartiles.lower,
                q75: t.quartiles.upper,
                mean: t.mean,
                n: t.n_rollouts,
                n_censored: t.n_censored,
            }
        };
        let pred: Vec<&[f64]> = rollouts.iter().map(Vec::as_slice).collect();
        let climate = Climate::of(&pred, &truths, channels);
        let ratios = climate.std_ratio.iter().map(|r| r.unwrap_or(f64::NAN)).collect();
        let percent = |x: Option<f64>| x.map_or(f64::NAN, |x| 100.0 * x);
        let row = ScoreRow {
            name: name.to_owned(),
            one_step_mse: (squares.n_rows() > 0).then(|| squares.mean()),
            relative_l2_percent: relative.mean().map(|mean| crate::report::RelativeL2 {
                per_variable: relative.per_variable().into_iter().map(percent).collect(),
                mean: percent(Some(mean)),
            }),
            vpt: if some { THRESHOLDS.into_iter().map(vpt).collect() } else { Vec::new() },
            error_at: HORIZONS
                .into_iter()
                .filter_map(|steps| {
                    let median = growth.get(steps - 1)?.quartiles.median;
                    Some(ErrorAt { steps, median })
                })
                .collect(),
            climate_std_ratio: some.then_some(ratios),
            long_run: if some { self.long_run(&pred, &truths) } else { LongRun::default() },
            note: (climate.n_diverged > 0)
                .then(|| format!("{} of {} rollouts diverged", climate.n_diverged, errors.len())),
            ..ScoreRow::default()
        };
        let growth = ErrorGrowth {
            name: name.to_owned(),
            is_baseline: false,
            steps: growth.iter().map(|g| g.step).collect(),
            median: growth.iter().map(|g| g.quartiles.median).collect(),
            q25: growth.iter().map(|g| g.quartiles.lower).collect(),
            q75: growth.iter().map(|g| g.quartiles.upper).collect(),
        };
        Scores { row, growth }
    }
}

impl Scorer<'_> {
    /// How like the truth the free runs are as a whole.
    fn long_run(&self, pred: &[&[f64]], truths: &[&[f64]]) -> LongRun {
        let channels = self.test.set.channels();
        let known = |values: Vec<Option<f64>>| {
            let known: Vec<f64> = values.into_iter().flatten().collect();
            let mean = known.iter().sum::<f64>() / known.len() as f64;
            mean.is_finite().then_some(mean)
        };
        let mut mases = Vec::new();
        let mut smapes = Vec::new();
        let phys = |rows: &[&[f64]]| -> Vec<Vec<f64>> {
            rows.iter().map(|x| self.normalization.phys_from_norm(x)).collect()
        };
        let (phys_pred, phys_truth) = (phys(pred), phys(truths));
        for i in 0..pred.len() {
            mases.extend(mase(pred[i], truths[i], &self.naive));
            let smape = smape_percent(&phys_pred[i], &phys_truth[i], channels);
            smapes.extend(smape.into_iter().map(Some));
        }
        let [mean_profile_error, fluctuation_error] = self
            .shear_flow
            .as_ref()
            .map_or([None; 2], |flow| profile_errors(flow, &phys_pred, &phys_truth));
        let divergence = self.states.divergence(pred);
        LongRun {
            divergence: divergence.is_finite().then_some(divergence),
            spectral_distance: known(spectral_distance(pred, truths, channels)),
            mase: known(mases),
            smape_percent: known(smapes),
            mean_profile_error,
            fluctuation_error,
            ..LongRun::default()
        }
    }

    /// Largest Lyapunov exponent of the model, as a map from a window to the row after it.
    ///
    /// `None` where the time step is not known, or the model forecasts several rows at once.
    pub(crate) fn model_exponent(
        &self,
        model: &Model,
        shape: ForecastShape,
        dt: Option<f64>,
    ) -> Option<f64> {
        let (dt, history) = (dt?, *self.histories().first()?);
        if shape.horizon != 1 {
            return None;
        }
        // Rounding must stay far below the distance of the two trajectories.
        let separation = match Precision::of_module(model) {
            Precision::F32 => 1e-3,
            Precision::F64 => 1e-7,
        };
        let config =
            LyapunovConfig { separation, interval: 10, transient: 20, rescalings: EXPONENT_STEPS };
        let window = last_window(history, shape);
        largest_lyapunov_exponent(window, shape.channels, dt, config, |window| {
            forward(model, shape, &[window]).swap_remove(0)
        })
    }
}

fn all(set: &SeriesSet) -> Vec<&[f64]> {
    set.series.iter().map(|s| s.values.as_slice()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast_config::TaskConfig;
    use crate::forecasting::part;
    use regard_data::SeriesSet;

    fn test_part(lengths: &[usize]) -> Part {
        let series = lengths
            .iter()
            .map(|&n| Series::new("s", (0..n).map(|i| i as f64).collect(), 1))
            .collect();
        let set = SeriesSet { columns: vec!["x".to_owned()], series, dt: None };
        let normalization =
            Normalization { mean: vec![0.0], std: vec![1.0], increment_std: vec![1.0] };
        part(&set, &normalization, TaskConfig { window: 3, horizon: 1, ..TaskConfig::default() })
    }

    #[test]
    fn starts_are_spread_over_every_place() {
        let config = EvaluateConfig { rollouts: 100, steps: 4 };
        let starts = Starts::spread(&test_part(&[9, 5, 8]), 3, config);
        // 9 rows hold 3 places (first predicted row 3, 4, 5), 5 none, 8 two.
        assert_eq!(starts.at, [(0, 3), (0, 4), (0, 5), (2, 3), (2, 4)]);
        let few = EvaluateConfig { rollouts: 2, steps: 4 };
        assert_eq!(Starts::spread(&test_part(&[9, 5, 8]), 3, few).at, [(0, 3), (2, 4)]);
    }

    #[test]
    fn rollouts_are_cut_to_the_longest_series() {
        let config = EvaluateConfig { rollouts: 10, steps: 1000 };
        let starts = Starts::spread(&test_part(&[9, 5]), 3, config);
        assert_eq!((starts.steps, starts.at), (6, vec![(0, 3)]));
        assert!(Starts::spread(&test_part(&[3]), 3, config).at.is_empty());
    }
}
