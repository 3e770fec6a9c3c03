//! Fit, score and report a classifier.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use regard_data::labelled::{self, LabelledSet};
use regard_nn::model::classifier::Classifier;

use super::baselines;
use super::config::ClassifyConfig;
use super::data::{Classification, Part, part_info};
use super::objective::{ClassError, score};
use crate::checkpoint::Progress;
use crate::descent::Objective;
use crate::error::TrainError;
use crate::model_file::{self, ClassifierCard};
use crate::observer::Observer;
use crate::registry;
use crate::report::{ClassModel, ClassRow, ClassifyReport, EpochRow, RunInfo, RunReport};
use crate::run::{Place, Task, in_pool};
use crate::run_folder::RunFolder;

impl Task for ClassifyConfig {
    type Data = Classification;

    fn prepare(&self, origin: &str) -> Result<Classification, TrainError> {
        Classification::prepare(self, origin)
    }

    fn check_model(&self, data: &Classification) -> Result<(), TrainError> {
        self.model.init(data.shape, &Device::default())?;
        ClassError::new(data, self)?;
        for name in &self.baselines.trained {
            registry::classifier(name, &self.model)?.init(data.shape, &Device::default())?;
        }
        Ok(())
    }

    fn fit(
        &self,
        data: &Classification,
        folder: &RunFolder,
        observer: &mut dyn Observer,
    ) -> Result<Vec<EpochRow>, TrainError> {
        let objective = ClassError::new(data, self)?.without_test();
        let (_, progress) = fitted(self, &objective, folder, observer)?;
        Ok(progress.curve)
    }

    fn finish(
        &self,
        data: &Classification,
        place: &Place<'_>,
        observer: &mut dyn Observer,
    ) -> Result<RunReport, TrainError> {
        let folder = place.folder;
        let objective = ClassError::new(data, self)?;
        let (model, progress) = fitted(self, &objective, folder, observer)?;
        let card = ClassifierCard::new(
            self.model.clone(),
            data.shape,
            data.info.columns.clone(),
            data.info.classes.clone(),
            data.normalization.clone(),
        );
        model_file::save(&folder.model(), &model, &card)?;
        let mut report = report(self, data, place.info(&self.title, self.seed, self.precision));
        report.training = progress.training_info();
        observer.phase("scoring", None);
        report.scores = vec![model_row(self, data, &model).with_curve(&report.training)];
        report.scores.extend(baselines::all(self, data, folder, observer)?);
        let report = RunReport::Classify(report);
        folder.write_report(&report)?;
        folder.remove_checkpoint();
        Ok(report)
    }
}

/// Trains the model of a configuration, from a checkpoint in the folder if there is one.
pub(super) fn fitted(
    config: &ClassifyConfig,
    objective: &ClassError<'_>,
    folder: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<(Classifier, Progress), TrainError> {
    let descent = config.fit.descent(config.seed)?;
    let label = registry::classifier_name(&config.model);
    let steps = (descent.batches(objective.n_train()) * config.fit.epochs) as u64;
    observer.phase(&format!("training {label}, seed {}", config.seed), Some(steps));
    let device = Device::default().autodiff();
    device.seed(config.seed);
    let model = config.precision.cast(config.model.init(objective.shape(), &device)?);
    let (model, progress) = descent.run(model, objective, folder, observer)?;
    Ok((model.valid(), progress))
}

/// Scores a saved run again: on its own test part, or on all series of another file.
///
/// # Errors
/// [`TrainError`] if the run, its data or the file cannot be read, or channels or classes differ.
pub(crate) fn evaluate(
    folder: &RunFolder,
    config: &ClassifyConfig,
    other: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<ClassifyReport, TrainError> {
    let (model, card) = model_file::load_classifier(&folder.model(), &Device::default())?;
    observer.phase("preparing data", None);
    let mut data = Classification::prepare(config, &folder.name())?;
    if let Some(path) = other {
        let (set, cut) = other_set(path, config, &card)?;
        let note = if cut == 0 {
            String::new()
        } else {
            format!(", {cut} series cut to {} steps", card.shape.time)
        };
        data.info.test = part_info(&set);
        data.info.source = format!("{}{note} (trained on {})", path.display(), data.info.source);
        data.test = Part::new(set, card.normalization.clone(), card.shape.time);
    }
    let place = Place { folder, name: &folder.name(), command: "" };
    let run = place.info(&config.title, config.seed, config.precision);
    let mut report = report(config, &data, run);
    observer.phase("scoring", None);
    let mut row = in_pool(|| model_row(config, &data, &model));
    let earlier = folder.report()?.and_then(RunReport::classify);
    if let Some(earlier) = earlier {
        report.run = earlier.run;
        report.training = earlier.training;
        if other.is_none() {
            row = row.with_curve(&report.training);
        }
    }
    report.scores = vec![row];
    report.scores.extend(baselines::classical(config, &data, observer));
    Ok(report)
}

/// Of data with a part of their own to test on, that part; all of any other. And how many series were
/// cut to the length that the model reads.
///
/// # Errors
/// [`TrainError`] if the data cannot be read, channels or classes differ, or series are longer than
/// the model reads and may not be cut.
pub(crate) fn other_set(
    path: &Path,
    config: &ClassifyConfig,
    card: &ClassifierCard,
) -> Result<(LabelledSet, usize), TrainError> {
    let mut options = config.data.options.clone();
    options.classes.clone_from(&card.classes);
    let found = match labelled::read(path, &options) {
        // The only problem of a folder needs no name, least of all that of the run.
        Err(error) if error.only_problem().is_some() => {
            options.problem = error.only_problem();
            labelled::read(path, &options)
        }
        found => found,
    }?;
    let mut set = found.test.unwrap_or(found.train);
    set.set.check_columns(&card.columns)?;
    let expected = card.shape.time;
    let cut = if found.may_cut { set.cut(expected) } else { 0 };
    match set.set.series.iter().find(|series| series.steps() > expected) {
        None => Ok((set, cut)),
        Some(long) => Err(TrainError::TooLong {
            file: path.to_owned(),
            series: long.name.clone(),
            found: long.steps(),
            expected,
        }),
    }
}

/// The row of the trained model, without what follows from its training.
pub(super) fn model_row(
    config: &ClassifyConfig,
    data: &Classification,
    model: &Classifier,
) -> ClassRow {
    ClassRow {
        name: registry::classifier_name(&config.model).to_owned(),
        n_parameters: Some(config.model.n_parameters(data.shape) as u64),
        test: Some(score(model, &data.test, data.shape.classes)),
        ..ClassRow::default()
    }
}

/// The report but for training and scores.
fn report(config: &ClassifyConfig, data: &Classification, run: RunInfo) -> ClassifyReport {
    ClassifyReport {
        format_version: ClassifyReport::FORMAT_VERSION,
        task: ClassifyReport::TASK.to_owned(),
        run,
        data: data.info.clone(),
        model: ClassModel {
            name: registry::classifier_name(&config.model).to_owned(),
            n_parameters: config.model.n_parameters(data.shape) as u64,
            multiply_adds: config.model.multiply_adds(data.shape),
            time: data.shape.time,
        },
        training: Progress::default().training_info(),
        scores: Vec::new(),
    }
}
