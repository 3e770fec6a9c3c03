//! Fit, score and report a language model.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use regard_data::text::{Text, TokenPart, check_window};
use regard_nn::model::language_model::LanguageModel;

use super::baselines;
use super::config::LanguageConfig;
use super::data::{Language, part_info};
use super::generate::Generator;
use super::objective::{TokenError, score};
use crate::checkpoint::Progress;
use crate::descent::Objective;
use crate::error::TrainError;
use crate::model_file::{self, LanguageCard};
use crate::observer::Observer;
use crate::registry;
use crate::report::{
    EpochRow, LanguageModelInfo, LanguageReport, LanguageRow, RunInfo, RunReport, TextSample,
};
use crate::run::{Place, Task, in_pool};
use crate::run_folder::RunFolder;

impl Task for LanguageConfig {
    type Data = Language;

    fn prepare(&self, origin: &str) -> Result<Language, TrainError> {
        Language::prepare(self, origin)
    }

    fn check_model(&self, data: &Language) -> Result<(), TrainError> {
        self.model.init(data.shape, &Device::default())?;
        Ok(())
    }

    fn fit(
        &self,
        data: &Language,
        folder: &RunFolder,
        observer: &mut dyn Observer,
    ) -> Result<Vec<EpochRow>, TrainError> {
        Ok(fitted(self, data, folder, observer)?.1.curve)
    }

    fn finish(
        &self,
        data: &Language,
        place: &Place<'_>,
        observer: &mut dyn Observer,
    ) -> Result<RunReport, TrainError> {
        let folder = place.folder;
        let (model, progress) = fitted(self, data, folder, observer)?;
        let card = LanguageCard::new(self.model.clone(), data.shape, data.tokenizer.clone());
        model_file::save(&folder.model(), &model, &card)?;
        let mut report = report(self, data, place.info(&self.title, self.seed, self.precision));
        report.training = progress.training_info();
        observer.phase("scoring", None);
        report.scores = rows(self, data, &model);
        report.scores[0].seconds = Some(progress.seconds);
        report.sample = sample(self, data, model);
        let report = RunReport::Language(report);
        folder.write_report(&report)?;
        folder.remove_checkpoint();
        Ok(report)
    }
}

/// Trains the model, from a checkpoint in the folder if there is one.
fn fitted(
    config: &LanguageConfig,
    data: &Language,
    folder: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<(LanguageModel, Progress), TrainError> {
    let objective = TokenError::new(data, config);
    let descent = config.fit.descent(config.seed)?;
    let steps = (descent.batches(objective.n_train()) * descent.epochs) as u64;
    let label = registry::language_model_name(&config.model);
    observer.phase(&format!("training {label}, seed {}", config.seed), Some(steps));
    let device = Device::default().autodiff();
    device.seed(config.seed);
    let model = config.precision.cast(config.model.init(data.shape, &device)?);
    let (model, progress) = descent.run(model, &objective, folder, observer)?;
    Ok((model.valid(), progress))
}

/// Scores a saved run again: on its own parts, or on all of another text as a test part.
///
/// # Errors
/// [`TrainError`] if the run, its text or the file cannot be read, or the file has a character that the
/// model does not know.
pub(crate) fn evaluate(
    folder: &RunFolder,
    config: &LanguageConfig,
    other: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<LanguageReport, TrainError> {
    let (model, card) = model_file::load_language(&folder.model(), &Device::default())?;
    observer.phase("preparing data", None);
    let mut data = Language::prepare(config, &folder.name())?;
    if let Some(path) = other {
        let text = Text::read(path)?;
        let test = TokenPart::new(&text, 0..text.bytes().len(), &card.tokenizer)?;
        check_window(text.origin(), "test", test.tokens.len(), card.shape.window)?;
        data.info.source = format!("{} (trained on {})", text.origin(), data.info.source);
        data.info.test = part_info(&test);
        data.test = test;
    }
    let place = Place { folder, name: &folder.name(), command: "" };
    let mut report =
        report(config, &data, place.info(&config.title, config.seed, config.precision));
    observer.phase("scoring", None);
    report.scores = in_pool(|| rows(config, &data, &model));
    if let Some(RunReport::Language(earlier)) = folder.report()? {
        report.run = earlier.run;
        report.scores[0].seconds = Some(earlier.training.seconds);
        report.training = earlier.training;
        report.sample = earlier.sample;
    }
    Ok(report)
}

/// The trained model, then the baselines.
fn rows(config: &LanguageConfig, data: &Language, model: &LanguageModel) -> Vec<LanguageRow> {
    let scores =
        |part: &TokenPart| (part.n_predicted() > 0).then(|| score(model, part, data.shape.window));
    let count = config.model.n_parameters(data.shape);
    let mut rows = vec![LanguageRow {
        name: registry::language_model_name(&config.model).to_owned(),
        n_parameters: Some(count.total() as u64),
        validation: scores(&data.validation),
        test: scores(&data.test),
        ..LanguageRow::default()
    }];
    rows.extend(baselines::all(data));
    rows
}

/// What the model makes of the first token of the text.
fn sample(config: &LanguageConfig, data: &Language, model: LanguageModel) -> Option<TextSample> {
    if config.sample.tokens == 0 {
        return None;
    }
    let mut generator = Generator::new(model, data.tokenizer.clone(), config.seed);
    let (first, mut bytes) = (data.train.tokens[0], Vec::new());
    data.tokenizer.decode(first, &mut bytes);
    generator.push(first);
    for _ in 0..config.sample.tokens {
        generator.next(&config.sample.sampling(), &mut bytes);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (temperature, top_k) = (config.sample.temperature, config.sample.top_k);
    Some(TextSample { text, temperature, top_k })
}

/// The report but for training, scores and sample.
fn report(config: &LanguageConfig, data: &Language, run: RunInfo) -> LanguageReport {
    let count = config.model.n_parameters(data.shape);
    LanguageReport {
        format_version: LanguageReport::FORMAT_VERSION,
        task: LanguageReport::TASK.to_owned(),
        run,
        data: data.info.clone(),
        model: LanguageModelInfo {
            name: registry::language_model_name(&config.model).to_owned(),
            n_parameters: count.total() as u64,
            n_decayed: count.matrices as u64,
            multiply_adds: config.model.multiply_adds(data.shape),
            window: data.shape.window,
        },
        training: Progress::default().training_info(),
        scores: Vec::new(),
        sample: None,
    }
}
