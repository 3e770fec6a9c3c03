//! Runs that learn to forecast: fit, score, report, and read a user's file.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use regard_data::file::{self, Missing, ReadOptions};
use regard_data::{Series, SeriesSet, window};
use regard_nn::model::Model;

use crate::checkpoint::Progress;
use crate::closed_form;
use crate::error::TrainError;
use crate::evaluate::{Rollouts, Scorer, Starts};
use crate::fit::{Fitted, fit};
use crate::forecast_config::{DataConfig, FileData, ForecastConfig};
use crate::forecasting::{Forecasting, part};
use crate::model_file::{self, ModelCard};
use crate::observer::Observer;
use crate::optimizer::OptimizerConfig;
use crate::report::{EpochRow, Report, RunReport};
use crate::run::{Place, Task, in_pool};
use crate::run_folder::RunFolder;
use crate::run_report;

impl Task for ForecastConfig {
    type Data = Forecasting;

    fn prepare(&self, origin: &str) -> Result<Forecasting, TrainError> {
        Forecasting::prepare(self, origin)
    }

    fn check_model(&self, data: &Forecasting) -> Result<(), TrainError> {
        let increment_std = &data.normalization.increment_std;
        self.model.init(data.shape, increment_std, &Device::default())?;
        Ok(())
    }

    fn fit(
        &self,
        data: &Forecasting,
        folder: &RunFolder,
        observer: &mut dyn Observer,
    ) -> Result<Vec<EpochRow>, TrainError> {
        Ok(fitted(self, data, folder, observer)?.progress.curve)
    }

    fn finish(
        &self,
        data: &Forecasting,
        place: &Place<'_>,
        observer: &mut dyn Observer,
    ) -> Result<RunReport, TrainError> {
        let (config, folder) = (self, place.folder);
        let Fitted { model, progress } = fitted(config, data, folder, observer)?;
        let card = ModelCard::new(
            config.model.clone(),
            data.shape,
            data.info.columns.clone(),
            data.info.dt,
            data.normalization.clone(),
        );
        model_file::save(&folder.model(), &model, &card)?;
        let (mut report, predictions) = scored(config, data, &model, &progress, observer);
        report.run = run_report::run_info(config, place);
        if let Some(predictions) = predictions {
            file::write(&folder.predictions(), &predictions)?;
        }
        let report = RunReport::Forecast(report);
        folder.write_report(&report)?;
        folder.remove_checkpoint();
        Ok(report)
    }
}

/// Trains the model of a configuration, from a checkpoint in the folder if there is one.
fn fitted(
    config: &ForecastConfig,
    data: &Forecasting,
    folder: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<Fitted, TrainError> {
    let label = crate::registry::name_of(&config.model);
    let batches = data.train.windows.len().div_ceil(config.fit.batch_size);
    observer.phase(
        &format!("training {label}, seed {}", config.seed),
        Some((batches * config.fit.epochs) as u64),
    );
    let device = Device::default().autodiff();
    device.seed(config.seed);
    let model = config.model.init(data.shape, &data.normalization.increment_std, &device)?;
    let model = config.precision.cast(model);
    match (&config.fit.optimizer, &model) {
        (OptimizerConfig::ClosedForm(closed_form), Model::Lifted(model)) => {
            closed_form::fit(&model.valid(), data, closed_form, config.evaluate, folder, observer)
        }
        _ => fit(model, data, &config.fit, config.seed, folder, observer),
    }
}

/// Scores a saved run again: on its own test part, or on all of another file.
///
/// # Errors
/// [`TrainError`] if the run, its data or the file cannot be read, or the columns differ.
pub(crate) fn evaluate(
    folder: &RunFolder,
    config: &ForecastConfig,
    data: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<Report, TrainError> {
    let (model, card) = model_file::load(&folder.model(), &Device::default())?;
    observer.phase("preparing data", None);
    let mut prepared = Forecasting::prepare(config, &folder.name())?;
    if let Some(path) = data {
        let set = read_like(config, &card, path)?;
        window::check(&set, card.shape.window, card.shape.horizon)?;
        prepared.test = part(&set, &card.normalization, config.task);
        prepared.info.test = prepared.test.info();
        prepared.info.source = format!("{} (trained on {})", path.display(), prepared.info.source);
        prepared.info.dt = set.dt.or(prepared.info.dt);
    }
    let earlier = folder.forecast_report()?;
    let (mut report, _) =
        in_pool(|| scored(config, &prepared, &model, &Progress::default(), observer));
    if let Some(earlier) = earlier {
        report.training = earlier.training;
        report.run = earlier.run;
        if let (Some(new), Some(old)) = (report.scores.first_mut(), earlier.scores.first()) {
            new.seconds_per_epoch = old.seconds_per_epoch;
        }
    } else {
        let place = Place { folder, name: &folder.name(), command: "" };
        report.run = run_report::run_info(config, &place);
    }
    Ok(report)
}

/// Reads a file as the run's own data was read; its columns must be those of the model.
pub(crate) fn read_like(
    config: &ForecastConfig,
    card: &ModelCard,
    path: &Path,
) -> Result<SeriesSet, TrainError> {
    let options = match &config.data {
        Some(DataConfig::File(data)) => data.options.clone(),
        _ => ReadOptions::default(),
    };
    let set = file::read(path, &ReadOptions { columns: None, ..options.clone() })?;
    if set.columns == card.columns {
        return Ok(set);
    }
    let chosen = card.columns.iter().all(|c| set.columns.contains(c));
    let set = if chosen {
        file::read(path, &ReadOptions { columns: Some(card.columns.clone()), ..options })?
    } else {
        set
    };
    set.check_columns(&card.columns)?;
    Ok(set)
}

/// As [`read_like`], with missing values left as NaN where the run's own data had to be complete.
pub(crate) fn read_to_continue(
    config: &ForecastConfig,
    card: &ModelCard,
    path: &Path,
) -> Result<SeriesSet, TrainError> {
    let mut config = config.clone();
    let keep = |options: &mut ReadOptions| {
        if options.missing == Missing::Error {
            options.missing = Missing::Keep;
        }
    };
    match &mut config.data {
        Some(DataConfig::File(data)) => keep(&mut data.options),
        data => {
            let mut options = ReadOptions::default();
            keep(&mut options);
            let (path, lyapunov_exponent) = (path.to_owned(), None);
            *data = Some(DataConfig::File(FileData { path, lyapunov_exponent, options }));
        }
    }
    read_like(&config, card, path)
}

/// Scores model and baselines; everything of the report but how the run is called.
fn scored(
    config: &ForecastConfig,
    data: &Forecasting,
    model: &regard_nn::model::Model,
    progress: &Progress,
    observer: &mut dyn Observer,
) -> (Report, Option<SeriesSet>) {
    observer.phase("fitting baselines", None);
    let baselines = run_report::baselines(config, data);
    let history = baselines
        .iter()
        .filter_map(|b| b.method.as_ref().ok().map(|m| m.window()))
        .fold(data.shape.window, usize::max);
    let scale = data.info.time_scale();
    // A baseline that needs more history than the test series have must not cost the model its
    // rollouts.
    let shortest = data.test.set.lengths().into_iter().min().unwrap_or(0);
    let history = if history < shortest { history } else { data.shape.window };
    let mut scorer =
        Scorer::new(&data.train, &data.test, &data.normalization, scale, history, config.evaluate);
    if let Some(DataConfig::ShearFlow(data)) = &config.data {
        scorer.shear_flow = Some(data.simulation.system);
    }
    observer.phase("scoring", None);
    let model = model.valid();
    let (mut scores, rollouts) = scorer.model(&model, data.shape, observer);
    observer.phase("Lyapunov exponent of the model", None);
    scores.row.long_run.lyapunov_exponent = scorer.model_exponent(&model, data.shape, data.info.dt);
    run_report::complete_model_row(&mut scores, config, data, progress);
    let mut all = vec![scores];
    for baseline in baselines {
        observer.phase(&format!("scoring {}", baseline.name), None);
        all.push(run_report::baseline_scores(&scorer, baseline, history));
    }
    let report = run_report::report(config, data, &model, progress, &scorer, all, &rollouts);
    let predictions = predictions(data, &scorer.starts, &scorer, &rollouts);
    (report, predictions)
}

/// Forecast and truth of every rollout, in physical units.
fn predictions(
    data: &Forecasting,
    starts: &Starts,
    scorer: &Scorer<'_>,
    rollouts: &Rollouts,
) -> Option<SeriesSet> {
    let channels = data.shape.channels;
    let columns: Vec<String> = data
        .info
        .columns
        .iter()
        .cloned()
        .chain(data.info.columns.iter().map(|c| format!("{c}_true")))
        .collect();
    let series: Vec<Series> = rollouts
        .iter()
        .zip(scorer.truths())
        .zip(&starts.at)
        .map(|((pred, truth), (series, first))| {
            let pred = data.normalization.phys_from_norm(pred);
            let truth = data.normalization.phys_from_norm(truth);
            let rows = pred.chunks_exact(channels).zip(truth.chunks_exact(channels));
            let values = rows.flat_map(|(p, t)| p.iter().chain(t).copied()).collect();
            let name = format!("{} from row {first}", data.test.set.series[*series].name);
            Series::new(name, values, 2 * channels)
        })
        .collect();
    let finite = series.iter().all(|s| s.values.iter().all(|x| x.is_finite()));
    (!series.is_empty() && finite).then_some(SeriesSet { columns, series, dt: data.info.dt })
}
