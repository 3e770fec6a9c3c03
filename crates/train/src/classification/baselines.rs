//! What stands beside a classifier in its table.

use std::path::Path;

use rayon::prelude::*;

use super::config::{ClassicalMethod, ClassifyConfig};
use super::data::{Classification, Part};
use super::objective::ClassError;
use super::run::{fitted, model_row};
use crate::classical::{
    ClassicalError, MiniRocket, N_FEATURES, NearestNeighbour, RidgeClassifier, summary_features,
};
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
    let (model, progress) = fitted(config, &ClassError::new(data, config)?, &folder, observer)?;
    let mut row = model_row(config, data, &model).with_curve(&progress.training_info());
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
    let methods = config.baselines.classical.iter().filter(|method| {
        use ClassicalMethod::{Minirocket, RidgeRaw, RidgeSummary};
        let is_ridge = matches!(method, RidgeRaw | RidgeSummary | Minirocket);
        !is_ridge || !config.baselines.ridge.is_empty()
    });
    let mut rows = vec![majority(data)];
    for method in methods {
        observer.phase(&format!("fitting {}", method.name()), None);
        rows.push(row(*method, config, data).unwrap_or_else(|error| ClassRow {
            name: method.name().to_owned(),
            is_baseline: true,
            note: Some(format!("not run: {error}")),
            ..ClassRow::default()
        }));
    }
    rows
}

/// Always the most frequent class of the training part.
fn majority(data: &Classification) -> ClassRow {
    let counts: Vec<f64> = data.info.train.counts.iter().map(|n| *n as f64).collect();
    let most = largest(&counts);
    scored("majority", data, Some(0), |_| most)
}

fn row(
    method: ClassicalMethod,
    config: &ClassifyConfig,
    data: &Classification,
) -> Result<ClassRow, ClassicalError> {
    let (channels, name) = (data.shape.channels, method.name());
    let (train, labels) = (data.train.normalized(), &data.train.set.labels);
    for part in [&data.train, &data.validation, &data.test] {
        check(name, &part.normalized(), channels)?;
    }
    let train: Vec<&[f64]> = train.iter().map(Vec::as_slice).collect();
    let n_scored = data.validation.len() + data.test.len();
    let windows = &config.baselines.dtw_windows;
    match method {
        ClassicalMethod::NearestEuclid => {
            let nearest = NearestNeighbour::euclid(&train, labels, channels, n_scored)?;
            Ok(scored(name, data, None, |series| nearest.predict(series)))
        }
        ClassicalMethod::NearestDtw => {
            let nearest = NearestNeighbour::dtw(&train, labels, channels, windows, n_scored)?;
            Ok(scored(name, data, None, |series| nearest.predict(series)))
        }
        ClassicalMethod::RidgeRaw => {
            let n_values = train.iter().map(|series| series.len()).max().unwrap_or(0);
            ridge(name, config, data, &|series| {
                // Zero is the mean of every channel.
                series.iter().copied().chain(std::iter::repeat(0.0)).take(n_values).collect()
            })
        }
        ClassicalMethod::RidgeSummary => {
            ridge(name, config, data, &|series| summary_features(series, channels))
        }
        ClassicalMethod::Minirocket => {
            RidgeClassifier::check_size(name, train.len(), N_FEATURES)?;
            let rocket = MiniRocket::fit(&train, channels, config.seed);
            ridge(name, config, data, &|series| rocket.features(series))
        }
    }
}

/// Refuses values that are not finite.
fn check(method: &'static str, part: &[Vec<f64>], channels: usize) -> Result<(), ClassicalError> {
    for (series, values) in part.iter().enumerate() {
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            let (row, column, value) = (at / channels, at % channels, values[at]);
            return Err(ClassicalError::NotFinite { method, series, row, column, value });
        }
    }
    Ok(())
}

/// Ridge regression on features of every series.
fn ridge(
    method: &'static str,
    config: &ClassifyConfig,
    data: &Classification,
    features: &(impl Fn(&[f64]) -> Vec<f64> + Sync),
) -> Result<ClassRow, ClassicalError> {
    let train = data.train.normalized();
    let train: Vec<Vec<f64>> = train.par_iter().map(|series| features(series)).collect();
    let (labels, penalties) = (&data.train.set.labels, &config.baselines.ridge);
    let fitted = RidgeClassifier::fit(method, &train, labels, data.shape.classes, penalties)?;
    let n = Some(fitted.n_parameters() as u64);
    Ok(scored(method, data, n, |series| largest(&fitted.predict_scores(&features(series)))))
}

/// The row of a method that names the class of a normalised series.
fn scored(
    name: &str,
    data: &Classification,
    n_parameters: Option<u64>,
    classify: impl Fn(&[f64]) -> usize + Sync,
) -> ClassRow {
    let score = |part: &Part| {
        let named: Vec<usize> =
            part.normalized().par_iter().map(|series| classify(series)).collect();
        ClassScores::of_classes(&named, &part.set.labels, data.shape.classes)
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

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::time::Instant;

    use super::*;
    use crate::observer::Silent;
    use crate::run_config::RunConfig;

    const CONFIG: &str = r#"
        task.kind = "classify"
        split = { by = "stratified", validation = 0.0, test = 0.5 }
        model = { kind = "lstm", d_hidden = 4, n_layers = 1 }
    "#;

    fn rows(path: &Path, set: &[&str]) -> Vec<ClassRow> {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        let config = RunConfig::parse("test", CONFIG, &set).unwrap();
        let RunConfig::Classify(mut config) = config else { panic!("it classifies") };
        config.data.path = Some(path.to_owned());
        let data = Classification::prepare(&config, "test").unwrap();
        classical(&config, &data, &mut Silent)
    }

    fn accuracy(rows: &[ClassRow], name: &str) -> f64 {
        let row = rows.iter().find(|row| row.name == name).unwrap();
        assert_eq!(row.note, None, "{name}");
        row.test.as_ref().unwrap().accuracy
    }

    /// Waves of one or two periods, of several lengths.
    fn waves(folder: &Path) -> std::path::PathBuf {
        let mut text = "series,label,u,v\n".to_owned();
        for i in 0..40u32 {
            let (time, periods) = (20 + i % 5, 1 + i % 2);
            for t in 0..time {
                let angle = std::f64::consts::TAU * f64::from(periods * t) / f64::from(time);
                let noise = 0.01 * f64::from(i * t * t % 7);
                let (u, v) = ((angle + 0.02 * f64::from(i)).sin(), noise);
                writeln!(text, "{i},{periods},{u},{v}").unwrap();
            }
        }
        let path = folder.join("waves.csv");
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn every_method_is_scored_without_a_validation_part() {
        let folder = tempfile::tempdir().unwrap();
        let rows = rows(&waves(folder.path()), &[]);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let known = ClassicalMethod::ALL.map(ClassicalMethod::name);
        assert_eq!(names[0], "majority");
        assert_eq!(names[1..], known);
        assert!((accuracy(&rows, "majority") - 0.5).abs() < 1e-15);
        for name in known {
            assert!(accuracy(&rows, name) > 0.5, "{name}: {}", accuracy(&rows, name));
        }
        assert!((accuracy(&rows, "minirocket") - 1.0).abs() < 1e-15);
        assert!(rows.iter().all(|row| row.validation_accuracy.is_none()));
    }

    #[test]
    fn methods_are_left_out_or_say_why_they_did_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = waves(folder.path());
        let found = rows(&path, &["baselines.ridge=[]"]);
        let names: Vec<&str> = found.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["majority", "nearest-euclid", "nearest-dtw"]);
        let found =
            rows(&path, &["baselines.classical=[\"nearest-dtw\"]", "baselines.dtw_windows=[]"]);
        let note = found[1].note.as_ref().unwrap();
        assert!(note.starts_with("not run: nearest-dtw: number of windows = 0"), "{note}");
    }

    /// Least accuracies on the archive's own test parts, a little below those measured.
    #[test]
    #[ignore = "needs REGARD_DATA"]
    fn accuracies_on_the_archive() {
        let folder =
            std::env::var("REGARD_DATA").expect("REGARD_DATA names the folder of data sets");
        let expected: [(&str, &[(&str, f64)]); 6] = [
            ("UWaveGestureLibrary", &[("minirocket", 0.92), ("nearest-dtw", 0.90)]),
            ("JapaneseVowels", &[("minirocket", 0.96), ("nearest-dtw", 0.94)]),
            ("BasicMotions", &[("minirocket", 1.0), ("nearest-dtw", 0.89)]),
            ("GunPoint", &[("minirocket", 0.98), ("nearest-dtw", 0.90)]),
            ("ItalyPowerDemand", &[("minirocket", 0.95), ("nearest-dtw", 0.95)]),
            ("PickupGestureWiimoteZ", &[("minirocket", 0.80), ("nearest-dtw", 0.69)]),
        ];
        let mut found = String::new();
        let mut failed = false;
        for (name, least) in expected {
            let start = Instant::now();
            let rows = rows(&Path::new(&folder).join("uea").join(name), &[]);
            let seconds = start.elapsed().as_secs_f64();
            write!(found, "\n{name}, {seconds:.1} s:").unwrap();
            for row in &rows {
                write!(found, " {} {:.4}", row.name, accuracy(&rows, &row.name)).unwrap();
            }
            failed |= least.iter().any(|(method, least)| accuracy(&rows, method) < *least);
        }
        assert!(!failed, "below what is expected:{found}");
    }
}
