//! Fit, score and report an operator.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use regard_data::operator::{FunctionArchive, PairArrays, Points};
use regard_nn::model::operator::Operator;

use super::baselines;
use super::config::OperatorRunConfig;
use super::data::{OperatorParts, Part};
use super::objective::{FunctionError, predict, score};
use crate::checkpoint::Progress;
use crate::descent::Objective;
use crate::error::TrainError;
use crate::metric::function_spectrum::power;
use crate::model_file::{self, OperatorCard};
use crate::observer::Observer;
use crate::registry;
use crate::report::{
    EpochRow, FunctionExample, FunctionSpectra, OperatorInfo, OperatorPart, OperatorReport,
    OperatorRow, RunInfo, RunReport,
};
use crate::run::{Place, Task, in_pool};
use crate::run_folder::RunFolder;

impl Task for OperatorRunConfig {
    type Data = OperatorParts;

    fn prepare(&self, origin: &str) -> Result<OperatorParts, TrainError> {
        OperatorParts::prepare(self, origin)
    }

    fn check_model(&self, data: &OperatorParts) -> Result<(), TrainError> {
        let model = self.model.init(data.shape, &Device::default())?;
        let objective = FunctionError::new(data, self)?;
        let parts = data.validation.iter().chain(data.tests.iter().map(|(_, part)| part));
        for sites in objective.sites().chain(parts.map(|part| &part.sites)) {
            model.accepts(sites)?;
        }
        Ok(())
    }

    fn fit(
        &self,
        data: &OperatorParts,
        folder: &RunFolder,
        observer: &mut dyn Observer,
    ) -> Result<Vec<EpochRow>, TrainError> {
        Ok(fitted(self, data, folder, observer)?.1.curve)
    }

    fn finish(
        &self,
        data: &OperatorParts,
        place: &Place<'_>,
        observer: &mut dyn Observer,
    ) -> Result<RunReport, TrainError> {
        let folder = place.folder;
        let (model, progress) = fitted(self, data, folder, observer)?;
        let card = OperatorCard::new(
            self.model.clone(),
            data.shape,
            data.normalization,
            self.task.quadrature,
            &data.train.set,
        );
        model_file::save(&folder.model(), &model, &card)?;
        let mut report = report(self, data, place.info(&self.title, self.seed, self.precision));
        report.training = progress.training_info();
        observer.phase("scoring", None);
        report.scores = rows(self, data, &model);
        report.scores[0].seconds = Some(progress.seconds);
        (report.examples, report.spectra) = pictures(data, &model, &report.scores[0]);
        let report = RunReport::Operator(report);
        folder.write_report(&report)?;
        folder.remove_checkpoint();
        Ok(report)
    }
}

/// Trains the model, from a checkpoint in the folder if there is one.
fn fitted(
    config: &OperatorRunConfig,
    data: &OperatorParts,
    folder: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<(Operator, Progress), TrainError> {
    let objective = FunctionError::new(data, config)?;
    let descent = config.fit.descent(config.seed)?;
    let steps = (descent.batches(objective.n_train()) * descent.epochs) as u64;
    let label = registry::operator_name(&config.model);
    observer.phase(&format!("training {label}, seed {}", config.seed), Some(steps));
    let device = Device::default().autodiff();
    device.seed(config.seed);
    let model = config.precision.cast(config.model.init(data.shape, &device)?);
    let (model, progress) = descent.run(model, &objective, folder, observer)?;
    Ok((model.valid(), progress))
}

/// Scores a saved run again: on its own parts, or on all pairs of another archive as a test part.
///
/// # Errors
/// [`TrainError`] if the run, its data or the file cannot be read, or the channels differ.
pub(crate) fn evaluate(
    folder: &RunFolder,
    config: &OperatorRunConfig,
    other: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<OperatorReport, TrainError> {
    let (model, _) = model_file::load_operator(&folder.model(), &Device::default())?;
    observer.phase("preparing data", None);
    let mut data = OperatorParts::prepare(config, &folder.name())?;
    if let Some(path) = other {
        let set = FunctionArchive::open(path)?.read(&PairArrays::default())?;
        let channels = [set.inputs(), set.outputs()].map(|f| f.channels.len());
        let expected = [data.info.inputs.len(), data.info.outputs.len()];
        if channels != expected {
            return Err(TrainError::OtherChannels {
                file: path.to_owned(),
                found: channels,
                expected,
            });
        }
        let first_output = data.shape.d_in > expected[0];
        let part = Part::new(set, &data.normalization, config.task.quadrature, first_output)?;
        model.accepts(&part.sites)?;
        data.info.source = format!("{} (trained on {})", path.display(), data.info.source);
        data.info.tests = vec![OperatorPart::of("test", &part.set)];
        data.tests = vec![("test".to_owned(), part)];
    }
    let place = Place { folder, name: &folder.name(), command: "" };
    let mut report =
        report(config, &data, place.info(&config.title, config.seed, config.precision));
    observer.phase("scoring", None);
    report.scores = in_pool(|| rows(config, &data, &model));
    (report.examples, report.spectra) = in_pool(|| pictures(&data, &model, &report.scores[0]));
    if let Some(RunReport::Operator(earlier)) = folder.report()? {
        report.run = earlier.run;
        report.scores[0].seconds = Some(earlier.training.seconds);
        report.training = earlier.training;
    }
    Ok(report)
}

/// The trained model, then the baselines.
fn rows(config: &OperatorRunConfig, data: &OperatorParts, model: &Operator) -> Vec<OperatorRow> {
    let score = |part: &Part| score(model, part, &data.normalization);
    let mut rows = vec![OperatorRow {
        name: registry::operator_name(&config.model).to_owned(),
        is_baseline: false,
        n_parameters: Some(config.model.n_parameters(data.shape) as u64),
        seconds: None,
        validation: data.validation.as_ref().map(score),
        tests: data.tests.iter().map(|(_, part)| Some(score(part))).collect(),
    }];
    rows.extend(baselines::all(data));
    rows
}

/// The median and the worst function of the first test part, and the spectra of all.
fn pictures(
    data: &OperatorParts,
    model: &Operator,
    row: &OperatorRow,
) -> (Vec<FunctionExample>, Option<FunctionSpectra>) {
    let (Some((_, part)), Some(Some(scores))) = (data.tests.first(), row.tests.first()) else {
        return (Vec::new(), None);
    };
    let errors = &scores.per_function;
    let mut order: Vec<usize> = (0..errors.len()).collect();
    order.sort_by(|a, b| errors[*a].total_cmp(&errors[*b]));
    let found = predict(model, part, &data.normalization[1]);
    let width = part.set.output(0).len();
    let example = |name: &str, i: usize| FunctionExample {
        name: name.to_owned(),
        relative_l2: errors[i],
        shape: part.set.points().shape(),
        coordinates: match part.set.points() {
            Points::Line(x) => x.clone(),
            Points::Grid { .. } => Vec::new(),
        },
        input: first_channel(part.set.input(i), data.info.inputs.len()),
        truth: first_channel(part.set.output(i), data.info.outputs.len()),
        found: first_channel(&found[i * width..(i + 1) * width], data.info.outputs.len()),
    };
    let median = order[(order.len() - 1) / 2];
    let examples = vec![example("median", median), example("worst", order[order.len() - 1])];
    (examples, spectra(part, &found, data.info.outputs.len()))
}

/// Spectra of the functions of a part, and of what was found.
fn spectra(part: &Part, found: &[f64], channels: usize) -> Option<FunctionSpectra> {
    let truth = &part.set.outputs().values;
    let error: Vec<f64> = found.iter().zip(truth).map(|(found, truth)| found - truth).collect();
    let power = |values: &[f64]| {
        let power = power(values, part.set.points(), channels)?;
        Some(power.into_iter().map(rounded).collect())
    };
    Some(FunctionSpectra { truth: power(truth)?, found: power(found)?, error: power(&error)? })
}

/// The first of some channels.
fn first_channel(values: &[f64], channels: usize) -> Vec<f64> {
    values.iter().step_by(channels).copied().map(rounded).collect()
}

/// Five digits: enough for a picture.
fn rounded(x: f64) -> f64 {
    format!("{x:.4e}").parse().unwrap_or(x)
}

/// The report but for training, scores and examples.
fn report(config: &OperatorRunConfig, data: &OperatorParts, run: RunInfo) -> OperatorReport {
    OperatorReport {
        format_version: OperatorReport::FORMAT_VERSION,
        task: OperatorReport::TASK.to_owned(),
        run,
        data: data.info.clone(),
        model: OperatorInfo {
            name: registry::operator_name(&config.model).to_owned(),
            n_parameters: config.model.n_parameters(data.shape) as u64,
        },
        training: Progress::default().training_info(),
        scores: Vec::new(),
        examples: Vec::new(),
        spectra: None,
        certificate: None,
    }
}
