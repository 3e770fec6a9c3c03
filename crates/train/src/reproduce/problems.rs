//! Studies of several labelled data sets: the same rows on each, settings chosen on a held-out part.
//!
//! A fifth of the training part is held out: it chooses the settings of a row, with the first seed and without
//! a look at the test part, and then the epoch of every run. Beside that epoch stand the last one, and the one
//! that the test part would have chosen, as the literature reports.

use std::path::Path;
use std::time::Instant;

use regard_nn::mechanism::default_rates;
use regard_nn::theory::cost::{AttentionCost, Pooled};
use serde::Serialize;

use super::classify::SeedRow;
use super::seeds::{Variant, each_seed};
use super::{Claim, ReproduceOptions};
use crate::error::TrainError;
use crate::inspect::{Redundancy, inspect};
use crate::observer::Observer;
use crate::report::{ClassRow, ClassifyReport, EpochRow};
use crate::run::fit_only;
use crate::run_config::RunConfig;

/// Changes of every run: a fifth of the training part is held out.
const HELD_OUT: [&str; 2] = ["split.by=stratified", "split.validation=0.2"];

/// A run without baselines beside the majority.
const WITHOUT_BASELINES: &str = "baselines.classical=[]";

/// A paper's experiments on several labelled data sets as we can run them.
#[derive(Debug)]
pub struct ProblemsStudy {
    /// Name on the command line.
    pub name: &'static str,
    /// Heading of the results.
    pub title: &'static str,
    /// What can and what cannot be compared with the paper.
    pub preface: &'static str,
    pub(super) problems: &'static [Problem],
    pub(super) rows: &'static [Row],
    /// Changes of every run in the quick form.
    pub(super) quick: &'static [&'static str],
    pub(super) claims: fn(&ProblemsResults) -> Vec<Claim>,
}

/// A data set.
#[derive(Debug)]
pub(super) struct Problem {
    /// Name in the results.
    pub(super) name: &'static str,
    /// Its folder below that of the data.
    pub(super) folder: &'static str,
    pub(super) preset: &'static str,
    /// Changes of every run.
    pub(super) set: &'static [&'static str],
    /// Whether it is part of the quick form.
    pub(super) is_quick: bool,
}

/// A model, with the settings to choose from.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) label: &'static str,
    /// Its name on the command line.
    pub(super) model: &'static str,
    /// Changes of the configuration.
    pub(super) set: &'static [&'static str],
    /// Further changes, of which the held-out part chooses one; none if empty.
    pub(super) choices: &'static [&'static [&'static str]],
}

/// What came out.
#[derive(Debug, Serialize)]
pub struct ProblemsResults {
    /// Name of the study.
    pub study: String,
    /// Command that made it.
    pub command: String,
    /// Version of the program.
    pub version: String,
    /// Device, in words.
    pub device: String,
    /// Whether small budgets were used.
    pub quick: bool,
    /// Time of everything, in seconds; runs taken from an earlier call not counted.
    pub seconds: f64,
    /// One entry per data set.
    pub problems: Vec<ProblemResult>,
    /// Data sets that are not in the folder of the data.
    pub missing: Vec<String>,
    /// One entry per claim of the paper.
    pub claims: Vec<Claim>,
}

/// What came out on one data set.
#[derive(Debug, Serialize)]
pub struct ProblemResult {
    /// Name of the data set.
    pub name: String,
    /// Series to learn from.
    pub n_train: usize,
    /// Series that were scored.
    pub n_test: usize,
    /// Number of channels, steps of the longest series, and classes.
    pub shape: (usize, usize, usize),
    /// Trained rows.
    pub rows: Vec<ProblemRow>,
    /// Methods without gradients, from the same series.
    pub baselines: Vec<ClassRow>,
}

/// A model on a data set.
#[derive(Debug, Serialize)]
pub struct ProblemRow {
    /// Name of the row.
    pub label: String,
    /// Multiply-adds of the forward pass for one series.
    pub multiply_adds: u64,
    /// Attention weights of one layer for one series; `None` without such weights.
    pub stored_weights: Option<u64>,
    /// The settings that were chosen.
    pub settings: Vec<String>,
    /// All settings that were tried.
    pub trials: Vec<ChoiceTrial>,
    /// A run per seed.
    pub seeds: SeedRow,
    /// Of every run, how far apart its heads are; empty without heads.
    pub heads: Vec<HeadDistances>,
}

/// How far apart the heads of a trained run are on test series, mean over its layers.
#[derive(Debug, Clone, Serialize)]
pub struct HeadDistances {
    /// Mean distance of two heads; for models of one size on one data set.
    pub distance: f64,
    /// The same over the mean norm of a head.
    pub relative: f64,
}

/// Settings that were tried.
#[derive(Debug, Clone, Serialize)]
pub struct ChoiceTrial {
    /// Changes of the configuration.
    pub settings: Vec<String>,
    /// Accuracy of its best epoch on the held-out part.
    pub validation_accuracy: f64,
    /// Least loss on the held-out part.
    pub validation_loss: f64,
}

/// Runs a study; a folder per run lies below `options.out`. `after_row` sees the results so far.
///
/// # Errors
/// As [`crate::train`], those of `after_row`, and [`TrainError::NoData`] if there is no folder of data.
pub(super) fn run(
    study: &ProblemsStudy,
    options: &ReproduceOptions,
    observer: &mut dyn Observer,
    after_row: impl Fn(&ProblemsResults) -> Result<(), TrainError>,
) -> Result<ProblemsResults, TrainError> {
    let Some(data) = &options.data else {
        return Err(TrainError::NoData { origin: study.name.to_owned() });
    };
    let start = Instant::now();
    let mut results = ProblemsResults {
        study: study.name.to_owned(),
        command: options.command.clone(),
        version: options.version.clone(),
        device: format!("CPU, {} threads", rayon::current_num_threads()),
        quick: options.quick,
        seconds: 0.0,
        problems: Vec::new(),
        missing: Vec::new(),
        claims: Vec::new(),
    };
    for problem in study.problems.iter().filter(|p| p.is_quick || !options.quick) {
        let folder = data.join(problem.folder);
        if !folder.exists() {
            results.missing.push(problem.name.to_owned());
            continue;
        }
        results.problems.push(ProblemResult::new(problem.name));
        for row in study.rows {
            let found = OneRow { study, problem, row, data: &folder, options }.run(observer)?;
            let result = results.problems.last_mut().expect("it was pushed above");
            result.add(found);
            results.seconds = start.elapsed().as_secs_f64();
            results.claims = (study.claims)(&results);
            after_row(&results)?;
        }
    }
    if results.problems.is_empty() {
        return Err(TrainError::NoProblem { folder: data.clone(), known: results.missing });
    }
    Ok(results)
}

/// A row on a data set.
struct OneRow<'a> {
    study: &'a ProblemsStudy,
    problem: &'a Problem,
    row: &'a Row,
    data: &'a Path,
    options: &'a ReproduceOptions,
}

impl OneRow<'_> {
    fn run(
        &self,
        observer: &mut dyn Observer,
    ) -> Result<(ProblemRow, Vec<ClassifyReport>), TrainError> {
        let trials = self.trials(observer)?;
        let settings = chosen(&trials);
        let seeds = if self.options.quick { 1 } else { self.options.seeds };
        let label = self.row.label;
        let mut row = ProblemRow {
            label: label.to_owned(),
            multiply_adds: 0,
            stored_weights: None,
            settings: settings.clone(),
            trials,
            seeds: SeedRow::new(label, false),
            heads: Vec::new(),
        };
        let mut reports = Vec::new();
        // One row carries the methods without gradients of all.
        let is_first = self.study.rows[0].label == label;
        let without: &[&str] = if is_first { &[] } else { &[WITHOUT_BASELINES] };
        let config = self.config(without, &settings)?;
        let group = Path::new(self.problem.name);
        each_seed(label, group, &config, seeds, self.options, observer, |outcome| {
            let report = outcome
                .report
                .classify()
                .ok_or(TrainError::OtherTask { found: "forecast", wanted: "classify" })?;
            row.multiply_adds = report.model.multiply_adds;
            row.stored_weights = stored_weights(&config, report.model.time);
            reports.push(report.clone());
            row.seeds.add(report, outcome.folder);
            Ok(())
        })?;
        for folder in &row.seeds.runs {
            row.heads.extend(head_distances(folder, observer)?);
        }
        Ok((row, reports))
    }

    /// Every choice of settings, trained with the first seed and scored on the held-out part only.
    fn trials(&self, observer: &mut dyn Observer) -> Result<Vec<ChoiceTrial>, TrainError> {
        let mut trials = Vec::new();
        for (k, choice) in self.row.choices.iter().enumerate() {
            let settings: Vec<String> = choice.iter().map(ToString::to_string).collect();
            let mut config = self.config(&[WITHOUT_BASELINES], &settings)?;
            config.set_seed(0);
            let name = self.row.label.replace([' ', ',', '/'], "-");
            let folder = self.options.out.join("choices").join(self.problem.name);
            let folder = folder.join(format!("{name}-{}", k + 1));
            observer.note(&format!(
                "{}: {}, choosing {}",
                self.problem.name,
                self.row.label,
                settings.join(" ")
            ));
            let curve = fit_only(&config, &folder, observer)?;
            let of = |column: fn(&EpochRow) -> Option<f64>| curve.iter().filter_map(column);
            trials.push(ChoiceTrial {
                settings,
                validation_accuracy: of(|row| row.validation_accuracy).fold(0.0, f64::max),
                validation_loss: of(|row| row.validation_loss).fold(f64::INFINITY, f64::min),
            });
        }
        Ok(trials)
    }

    fn config(&self, changes: &[&str], settings: &[String]) -> Result<RunConfig, TrainError> {
        let quick = if self.options.quick { self.study.quick } else { &[] };
        let fixed = [&HELD_OUT, self.problem.set, self.row.set, changes, quick].concat();
        let set: Vec<String> =
            fixed.iter().map(ToString::to_string).chain(settings.iter().cloned()).collect();
        let variant =
            Variant { preset: self.problem.preset, model: Some(self.row.model), set: &set };
        let mut config = variant.config(self.row.label)?;
        config.use_data_file(self.data);
        Ok(config)
    }
}

/// Numbers that the softmax of one layer makes for a series, by the heads and rates of a configuration.
fn stored_weights(config: &RunConfig, time: usize) -> Option<u64> {
    let table: toml::Table = config.to_toml().parse().ok()?;
    let model = table.get("model")?;
    let mechanism = model.get("mechanism")?;
    let count = |value: &toml::Value| usize::try_from(value.as_integer()?).ok();
    let n_heads = count(mechanism.get("n_heads")?)?;
    let is_softmax = mechanism.get("kernel").is_none_or(|k| k.as_str() == Some("softmax"));
    let kind = mechanism.get("kind")?.as_str()?;
    if !is_softmax || !["softmax", "primal-dual"].contains(&kind) {
        return None;
    }
    let rates = mechanism.get("scaled_heads").and_then(|heads| heads.get("rates")?.as_array());
    let rates = match rates {
        Some(rates) if rates.is_empty() => default_rates(n_heads),
        Some(rates) => rates.iter().map(count).collect::<Option<Vec<usize>>>()?,
        None => vec![1; n_heads],
    };
    let d_model = count(model.get("d_model")?)?;
    Some(AttentionCost::new(time, d_model, &rates, Pooled::BeforeProjection).weights)
}

/// Means over the layers of a trained run; `None` of a model without heads.
fn head_distances(
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<Option<HeadDistances>, TrainError> {
    let layers = match inspect(folder, None, observer) {
        Ok(inspection) => inspection.redundancy,
        // It says that there are no heads to look at.
        Err(TrainError::RunFolder { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mean = |of: fn(&Redundancy) -> f64| {
        layers.iter().map(|layer| of(&layer.trained)).sum::<f64>() / layers.len() as f64
    };
    let (distance, relative) = (mean(|heads| heads.distance), mean(|heads| heads.relative));
    Ok((!layers.is_empty()).then_some(HeadDistances { distance, relative }))
}

/// The settings of the best trial: by accuracy, of equal ones by loss, of equal ones the first.
fn chosen(trials: &[ChoiceTrial]) -> Vec<String> {
    let better = |a: &&ChoiceTrial, b: &&ChoiceTrial| {
        let accuracy = b.validation_accuracy.total_cmp(&a.validation_accuracy);
        accuracy.then(a.validation_loss.total_cmp(&b.validation_loss))
    };
    trials.iter().min_by(better).map(|trial| trial.settings.clone()).unwrap_or_default()
}

impl ProblemResult {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            n_train: 0,
            n_test: 0,
            shape: (0, 0, 0),
            rows: Vec::new(),
            baselines: Vec::new(),
        }
    }

    fn add(&mut self, (row, reports): (ProblemRow, Vec<ClassifyReport>)) {
        if let Some(report) = reports.first()
            && self.rows.is_empty()
        {
            let data = &report.data;
            (self.n_train, self.n_test) = (data.train.n, data.test.n);
            self.shape = (data.columns.len(), report.model.time, data.classes.len());
            self.baselines = report.scores.iter().filter(|row| row.is_baseline).cloned().collect();
        }
        self.rows.push(row);
    }

    /// The row of this name.
    pub(super) fn row(&self, label: &str) -> Option<&ProblemRow> {
        self.rows.iter().find(|row| row.label == label)
    }
}

impl ProblemRow {
    /// Test accuracy per seed of the epoch that the held-out part chose.
    pub(super) fn chosen(&self) -> Vec<f64> {
        self.seeds.chosen()
    }

    /// Test accuracy per seed after the last epoch.
    pub(super) fn last(&self) -> Vec<f64> {
        self.seeds.values(|score| score.last_epoch)
    }

    /// Test accuracy per seed of the epoch that the test part would have chosen.
    pub(super) fn best(&self) -> Vec<f64> {
        self.seeds.values(|score| score.best_on_test)
    }

    /// Relative distance of the heads per seed.
    pub(super) fn relative_distances(&self) -> Vec<f64> {
        self.heads.iter().map(|heads| heads.relative).collect()
    }

    /// Seconds of the fastest epoch of all seeds.
    pub(super) fn seconds(&self) -> Option<f64> {
        self.seeds.fastest_epochs.iter().copied().min_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::super::problems_markdown::page;
    use super::*;
    use crate::observer::Silent;

    const STUDY: ProblemsStudy = ProblemsStudy {
        name: "waves",
        title: "Waves",
        preface: "Two data sets of waves.",
        problems: &[
            Problem {
                name: "Slow",
                folder: "slow",
                preset: "uci-har",
                set: &[
                    "data.columns=[]",
                    "data.classes=[]",
                    "data.normalize=true",
                    "augment.rotation=0.0",
                    "fit.batch_size=8",
                ],
                is_quick: true,
            },
            Problem {
                name: "Absent",
                folder: "absent",
                preset: "uci-har",
                set: &[],
                is_quick: true,
            },
            Problem { name: "Long", folder: "slow", preset: "uci-har", set: &[], is_quick: false },
        ],
        rows: &[
            Row {
                label: "chosen",
                model: "gru",
                set: &["model.d_hidden=4"],
                choices: &[
                    &["fit.optimizer.learning_rate=1e-9"],
                    &["fit.optimizer.learning_rate=3e-2"],
                ],
            },
            Row { label: "fixed", model: "gru", set: &["model.d_hidden=3"], choices: &[] },
        ],
        quick: &["fit.epochs=8"],
        claims: |_| Vec::new(),
    };

    /// Waves whose class is their frequency.
    fn waves(folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for (part, n) in [("train", 40), ("test", 20)] {
            let mut text = "series,label,u\n".to_owned();
            for i in 0..n {
                for t in 0..12u32 {
                    let speed = if i % 2 == 0 { 0.4 } else { 1.2 };
                    let u = (speed * f64::from(t) + f64::from(i)).sin();
                    writeln!(text, "{i},{},{u}", i % 2).unwrap();
                }
            }
            std::fs::write(folder.join(format!("{part}.csv")), text).unwrap();
        }
    }

    #[test]
    fn settings_are_chosen_on_a_held_out_part_and_both_protocols_stand_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        waves(&folder.path().join("data/slow"));
        let options = ReproduceOptions {
            out: folder.path().join("out"),
            data: Some(folder.path().join("data")),
            quick: true,
            seeds: 3,
            command: "test".into(),
            version: "test".into(),
        };
        let results = run(&STUDY, &options, &mut Silent, |_| Ok(())).unwrap();
        assert_eq!(results.missing, ["Absent"]);
        let [problem] = &results.problems[..] else { panic!("one data set") };
        assert_eq!((problem.n_train, problem.n_test, problem.shape), (32, 20, (1, 12, 2)));
        let row = problem.row("chosen").unwrap();
        assert_eq!(row.settings, ["fit.optimizer.learning_rate=3e-2"]);
        assert_eq!(row.trials.len(), 2);
        let lengths = [row.chosen(), row.last(), row.best()].map(|x| x.len());
        assert_eq!(lengths, [1; 3]);
        assert!(row.seconds().is_some_and(|seconds| seconds > 0.0));
        assert!(row.best()[0] >= row.last()[0]);
        assert!(row.heads.is_empty(), "recurrent layers have no heads");
        assert_eq!(row.stored_weights, None);
        assert!(problem.row("fixed").unwrap().settings.is_empty());
        assert!(problem.baselines.iter().any(|row| row.name == "minirocket"));
        // The trials have not looked at the test part.
        let rows = folder.path().join("out/choices/Slow/chosen-1/metrics.jsonl");
        assert!(!std::fs::read_to_string(rows).unwrap().contains("test_accuracy"));
        let page = page(&STUDY, &results);
        assert!(page.contains("| **chosen** |") && page.contains("| minirocket |"), "{page}");
        assert!(page.contains("Not in the folder of the data: Absent."));
    }

    #[test]
    fn a_folder_without_the_data_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let options = ReproduceOptions {
            out: folder.path().join("out"),
            data: Some(folder.path().to_owned()),
            quick: true,
            seeds: 1,
            command: String::new(),
            version: String::new(),
        };
        let error = run(&STUDY, &options, &mut Silent, |_| Ok(())).unwrap_err().to_string();
        assert!(
            error.contains("holds none of the data sets of this study: Slow, Absent"),
            "{error}"
        );
    }

    #[test]
    fn stored_weights_are_rows_times_keys_of_every_head() {
        let of = |model: &str| {
            let set = ["augment.rotation=0.0".to_owned()];
            let variant = Variant { preset: "uci-har", model: Some(model), set: &set };
            stored_weights(&variant.config("test").unwrap(), 105)
        };
        // Four heads.
        assert_eq!(of("softmax"), Some(4 * 105 * 105));
        // Rates 1, 1, 2, 2: 105, 105, 52 and 52 keys.
        assert_eq!(of("scaled-heads"), Some(105 * (105 + 105 + 52 + 52)));
        assert_eq!((of("gru"), of("easy"), of("linear")), (None, None, None));
    }

    #[test]
    fn of_equal_accuracies_the_lower_loss_is_chosen() {
        let trial = |name: &str, validation_accuracy, validation_loss| ChoiceTrial {
            settings: vec![name.to_owned()],
            validation_accuracy,
            validation_loss,
        };
        let trials = [trial("a", 0.8, 0.1), trial("b", 0.9, 0.5), trial("c", 0.9, 0.4)];
        assert_eq!(chosen(&trials), ["c"]);
        assert!(chosen(&[]).is_empty());
    }
}
