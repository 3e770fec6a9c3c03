//! What a report says, gathered from configuration, data, training and scores.

use regard_nn::model::{Model, ModelConfig, Readout};

use crate::checkpoint::Progress;
use crate::classical::{Baseline, BaselinesConfig, SeriesView, baselines as fit_baselines};
use crate::evaluate::{Rollouts, Scorer, Scores};
use crate::forecast_config::ForecastConfig;
use crate::forecasting::Forecasting;
use crate::metric::normalized_error::rms_state;
use crate::registry;
use crate::report::{
    ErrorGrowth, ModelInfo, PhasePortrait, PoincareSection, Report, RolloutExample, RolloutPlots,
    RunInfo, ScoreMatrix, ScoreMeaning, ScoreRow, TrainingInfo, ValidUntil,
};
use crate::run::Place;

/// Rows of input shown before a forecast.
const SHOWN_INPUT: usize = 64;
/// Threshold whose crossing is marked in the pictures: the middle one.
const SHOWN_THRESHOLD: f64 = 0.4;

/// Fits all classical baselines to the training part.
pub(crate) fn baselines(config: &ForecastConfig, data: &Forecasting) -> Vec<Baseline> {
    let series: Vec<SeriesView<'_>> =
        data.train.set.series.iter().map(|s| SeriesView::new(&s.values, s.channels)).collect();
    let config = config.baselines.clone().unwrap_or_else(|| {
        let mut config = BaselinesConfig::default();
        config.linear_ar.lags = data.shape.window;
        config.dlinear.window = data.shape.window;
        config
    });
    fit_baselines(&config, &series)
}

pub(crate) fn run_info(config: &ForecastConfig, place: &Place<'_>) -> RunInfo {
    place.info(&config.title, config.seed, config.precision)
}

/// Name, sizes and time of the model's row.
pub(crate) fn complete_model_row(
    scores: &mut Scores,
    config: &ForecastConfig,
    data: &Forecasting,
    progress: &Progress,
) {
    let name = registry::name_of(&config.model);
    name.clone_into(&mut scores.row.name);
    name.clone_into(&mut scores.growth.name);
    scores.row.n_parameters = Some(config.model.n_parameters(data.shape) as u64);
    scores.row.multiply_adds = Some(config.model.multiply_adds(data.shape));
    let epochs = progress.curve.len();
    scores.row.seconds_per_epoch = (epochs > 0).then(|| progress.seconds / epochs as f64);
}

/// Scores a baseline, or says why it was not run.
pub(crate) fn baseline_scores(scorer: &Scorer<'_>, baseline: Baseline, history: usize) -> Scores {
    let not_run = |why: String| Scores {
        row: ScoreRow {
            name: baseline.name.to_owned(),
            is_baseline: true,
            note: Some(format!("not run: {why}")),
            ..ScoreRow::default()
        },
        growth: ErrorGrowth {
            name: baseline.name.to_owned(),
            is_baseline: true,
            ..ErrorGrowth::default()
        },
    };
    match baseline.method {
        Ok(method) if method.window() <= history => scorer.classical(method.as_ref()),
        Ok(method) => not_run(format!(
            "it needs {} rows of history, the test series are too short for them",
            method.window()
        )),
        Err(error) => not_run(error.to_string()),
    }
}

/// The whole report but [`Report::run`].
pub(crate) fn report(
    config: &ForecastConfig,
    data: &Forecasting,
    model: &Model,
    progress: &Progress,
    scorer: &Scorer<'_>,
    scores: Vec<Scores>,
    rollouts: &Rollouts,
) -> Report {
    let plots = plots(data, scorer, rollouts, &scores);
    let (mechanism, kind) = match &config.model {
        ModelConfig::Forecaster(_) => {
            (Some(registry::name_of(&config.model).to_owned()), "forecaster")
        }
        ModelConfig::Lifted(_) => (Some("easy".to_owned()), "lifted"),
        ModelConfig::Lstm(_) => (None, "lstm"),
    };
    let target = match registry::readout_of(&config.model) {
        Readout::Direct => "direct",
        Readout::Increment => "increment",
    };
    let epochs = progress.curve.len();
    Report {
        format_version: Report::FORMAT_VERSION,
        run: RunInfo::default(),
        data: data.info.clone(),
        model: ModelInfo {
            kind: kind.to_owned(),
            mechanism,
            n_parameters: config.model.n_parameters(data.shape) as u64,
            multiply_adds: config.model.multiply_adds(data.shape),
            window: data.shape.window,
            horizon: data.shape.horizon,
            target: target.to_owned(),
        },
        training: TrainingInfo {
            epochs,
            best_epoch: progress.best_epoch,
            steps: progress.steps,
            seconds: progress.seconds,
            seconds_per_epoch: if epochs == 0 { 0.0 } else { progress.seconds / epochs as f64 },
            curve: progress.curve.clone(),
        },
        scores: scores.into_iter().map(|s| s.row).collect(),
        rollouts: plots,
        attention: model
            .alphas()
            .into_iter()
            .map(|alpha| ScoreMatrix {
                layer: alpha.layer,
                head: alpha.head,
                meaning: ScoreMeaning::Learned,
                rows: alpha.time,
                cols: alpha.time,
                values: single(&alpha.values),
            })
            .collect(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "parameters are in single precision")]
fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&x| x as f32).collect()
}

/// A median example, its phase portrait, a section of all free runs, and the growth of all errors.
fn plots(
    data: &Forecasting,
    scorer: &Scorer<'_>,
    rollouts: &Rollouts,
    scores: &[Scores],
) -> RolloutPlots {
    let error_growth = scores.iter().map(|s| s.growth.clone()).collect();
    let truths = scorer.truths();
    let channels = data.shape.channels;
    let states = data.test.truth().series.iter().map(|s| s.values.as_slice());
    let rms = rms_state(states, channels);
    let valid = |i: usize| {
        let errors = crate::metric::normalized_error::normalized_error(
            &rollouts[i],
            truths[i],
            channels,
            rms,
        );
        crate::metric::valid_prediction_time::first_exceedance(&errors, SHOWN_THRESHOLD)
    };
    // The rollout of median validity is neither the best nor the worst picture.
    let mut order: Vec<(usize, usize)> =
        (0..rollouts.len()).map(|i| (valid(i).unwrap_or(usize::MAX), i)).collect();
    order.sort_unstable();
    let Some(&(_, median)) = order.get(order.len().saturating_sub(1) / 2) else {
        return RolloutPlots { error_growth, ..RolloutPlots::default() };
    };
    let histories = scorer.histories();
    let phys = |x: &[f64]| by_variable(&data.normalization.phys_from_norm(x), channels);
    let shown = histories[median].len().min(SHOWN_INPUT * channels);
    let input = &histories[median][histories[median].len() - shown..];
    let (series, first) = scorer.starts.at[median];
    let example = RolloutExample {
        series: data.test.set.series[series].name.clone(),
        start_step: first,
        input: phys(input),
        truth: phys(truths[median]),
        forecast: phys(&rollouts[median]),
        valid_until: valid(median).map(|steps| ValidUntil { threshold: SHOWN_THRESHOLD, steps }),
    };
    let phase =
        PhasePortrait::first_and_last(&data.info.columns, &example.truth, &example.forecast);
    let all = |rows: &mut dyn Iterator<Item = &[f64]>| -> Vec<Vec<f64>> {
        rows.map(|x| data.normalization.phys_from_norm(x)).collect()
    };
    let section = PoincareSection::of(
        &data.info.columns,
        &all(&mut truths.iter().copied()),
        &all(&mut rollouts.iter().map(Vec::as_slice)),
    );
    RolloutPlots { examples: vec![example], phase, section, error_growth }
}

/// `[time, channels]` to one vector per variable.
fn by_variable(rows: &[f64], channels: usize) -> Vec<Vec<f64>> {
    (0..channels).map(|c| rows.iter().skip(c).step_by(channels).copied().collect()).collect()
}
