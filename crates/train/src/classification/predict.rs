//! Classes of a user's windows.

use std::path::Path;

use burn::tensor::Device;
use regard_data::file::{self, ReadOptions};
use regard_data::labelled::{self, LabelledOptions, LabelledSet};
use regard_data::{Series, SeriesSet};

use super::data::Part;
use super::objective::probabilities;
use crate::error::TrainError;
use crate::metric::classification::largest;
use crate::model_file::{self, ClassifierCard};
use crate::run::in_pool;
use crate::run_folder::RunFolder;

/// What was classified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// Number of windows.
    pub n_windows: usize,
    /// Names of the classes, in order.
    pub classes: Vec<String>,
}

/// Classifies every whole window of the series of a file, one after the other without overlap; each
/// case of a `.ts` or `.arff` file as one window, cut to the length of the training.
///
/// One row per window is written: the number of its class, from 0, and the probability of each class.
/// A series shorter than the windows of the training is one window.
///
/// # Errors
/// [`TrainError`] if the run or the file cannot be read, a column of the model is missing, or the
/// result cannot be written.
pub fn classify(run: &Path, input: &Path, output: &Path) -> Result<Classified, TrainError> {
    let folder = RunFolder::open(run)?;
    folder.classify_config()?;
    let (model, card) = model_file::load_classifier(&folder.model(), &Device::default())?;
    let (time, channels) = (card.shape.time, card.shape.channels);
    let set = series(input, &card)?;
    let windows: Vec<Series> = set
        .series
        .iter()
        .flat_map(|series| {
            let length = time.min(series.steps()) * channels;
            let whole = series.values.chunks_exact(length.max(channels));
            whole.map(|rows| Series::new(series.name.clone(), rows.to_vec(), channels))
        })
        .collect();
    let counts: Vec<usize> = set.series.iter().map(|s| (s.steps() / time).max(1)).collect();
    let labelled = LabelledSet {
        labels: vec![0; windows.len()],
        classes: card.classes.clone(),
        groups: None,
        set: SeriesSet { columns: set.columns, series: windows, dt: set.dt },
    };
    let part = Part::new(labelled, card.normalization, time);
    let probabilities = in_pool(|| probabilities(&model, &part));
    let mut rows = probabilities.chunks_exact(card.classes.len());
    let series = set
        .series
        .iter()
        .zip(&counts)
        .map(|(series, &n)| {
            let values: Vec<f64> = rows
                .by_ref()
                .take(n)
                .flat_map(|row| std::iter::once(largest(row) as f64).chain(row.iter().copied()))
                .collect();
            Series::new(series.name.clone(), values, card.classes.len() + 1)
        })
        .collect();
    let columns: Vec<String> = std::iter::once("class".to_owned())
        .chain(card.classes.iter().map(|class| format!("p_{class}")))
        .collect();
    let dt = set.dt.map(|dt| dt * time as f64);
    file::write(output, &SeriesSet { columns, series, dt })?;
    Ok(Classified { n_windows: part.len(), classes: card.classes })
}

/// The series of a file, with the channels of the model.
fn series(input: &Path, card: &ClassifierCard) -> Result<SeriesSet, TrainError> {
    let options = LabelledOptions { columns: card.columns.clone(), ..LabelledOptions::default() };
    if let Some(mut cases) = labelled::read_series(input, &options)? {
        for case in &mut cases.series {
            case.values.truncate(card.shape.time * case.channels);
        }
        return Ok(cases);
    }
    let options = ReadOptions { columns: Some(card.columns.clone()), ..ReadOptions::default() };
    Ok(file::read(input, &options)?)
}
