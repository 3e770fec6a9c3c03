//! What stands beside a classifier in its table.

use std::path::Path;

use super::config::ClassifyConfig;
use super::data::{Classification, Part};
use super::run::{fitted, model_row, training_info};
use crate::classical::RidgeClassifier;
use crate::error::TrainError;
use crate::metric::classification::{ClassScores, largest};
use crate::observer::Observer;
use crate::registry;
use crate::report::ClassRow;
use crate::run_folder::RunFolder;

/// Folder of the trained baselines inside that of a run.
const FOLDER: &str = "baselines";

/// All baselines: without gradients, then those trained in the same loop.
///
/// A trained baseline has a folder of its own inside the run's, so that a stopped run goes on where it was.
pub(super) fn all(
    config: &ClassifyConfig,
    data: &Classification,
    folder: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<Vec<ClassRow>, TrainError> {
    let mut rows = classical(config, data, observer);
    for name in &config.baselines.trained {
        let config =
            ClassifyConfig { model: registry::classifier(name, &config.model)?, ..config.clone() };
        rows.push(trained(&config, data, &folder.path().join(FOLDER).join(name), observer)?);
    }
    Ok(rows)
}

/// Trains a baseline, or takes the row that an earlier call left in its folder.
fn trained(
    config: &ClassifyConfig,
    data: &Classification,
    path: &Path,
    observer: &mut dyn Observer,
) -> Result<ClassRow, TrainError> {
    let file = path.join("row.json");
    if file.is_file() {
        let text = std::fs::read_to_string(&file).map_err(TrainError::io("read", &file))?;
        return serde_json::from_str(&text)
            .map_err(|source| TrainError::Report { file, source: source.into() });
    }
    let folder = RunFolder::part(path)?;
    let (model, progress) = fitted(config, data, &folder, observer)?;
    let mut row = model_row(config, data, &model).with_curve(&training_info(&progress));
    row.is_baseline = true;
    let json = serde_json::to_string_pretty(&row).expect("a row has a JSON form");
    folder.write("row.json", json.as_bytes())?;
    folder.remove_checkpoint();
    Ok(row)
}

/// Baselines without gradients.
pub(super) fn classical(
    config: &ClassifyConfig,
    data: &Classification,
    observer: &mut dyn Observer,
) -> Vec<ClassRow> {
    observer.phase("fitting baselines", None);
    let ridge = (!config.baselines.ridge.is_empty()).then(|| ridge(config, data));
    std::iter::once(majority(data)).chain(ridge).collect()
}

/// Always the most frequent class of the training part.
fn majority(data: &Classification) -> ClassRow {
    let counts: Vec<f64> = data.info.train.counts.iter().map(|n| *n as f64).collect();
    baseline("majority", data, Some(0), |part| vec![largest(&counts); part.len()])
}

/// Ridge regression on summary features of every series.
fn ridge(config: &ClassifyConfig, data: &Classification) -> ClassRow {
    fn examples(part: &Part) -> Vec<(&[f64], usize)> {
        let series = part.set.set.series.iter().map(|s| s.values.as_slice());
        series.zip(part.set.labels.iter().copied()).collect()
    }
    let (channels, classes) = (data.shape.channels, data.shape.classes);
    let fitted = RidgeClassifier::fit(
        &examples(&data.train),
        &examples(&data.validation),
        channels,
        classes,
        &config.baselines.ridge,
    );
    match fitted {
        Ok(ridge) => {
            let n = Some(ridge.n_parameters() as u64);
            baseline("ridge", data, n, |part| {
                part.set
                    .set
                    .series
                    .iter()
                    .map(|s| largest(&ridge.predict_scores(&s.values)))
                    .collect()
            })
        }
        Err(error) => ClassRow {
            name: "ridge".to_owned(),
            is_baseline: true,
            note: Some(format!("not run: {error}")),
            ..ClassRow::default()
        },
    }
}

fn baseline(
    name: &str,
    data: &Classification,
    n_parameters: Option<u64>,
    classify: impl Fn(&Part) -> Vec<usize>,
) -> ClassRow {
    let score = |part: &Part| {
        ClassScores::of_classes(&classify(part), &part.set.labels, data.shape.classes)
    };
    ClassRow {
        name: name.to_owned(),
        is_baseline: true,
        n_parameters,
        test: Some(score(&data.test)),
        validation_accuracy: (!data.validation.is_empty())
            .then(|| score(&data.validation).accuracy),
        ..ClassRow::default()
    }
}
