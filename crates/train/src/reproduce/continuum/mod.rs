//! Continuum attention: operators between functions, at rates, resolutions and on grids that they were not
//! trained on.
//!
//! Source: Calvello et al. 2025, arXiv:2406.06486. No error that the paper prints was available to us.

mod claims;
mod data;
mod exact;
mod page;

use std::path::{Path, PathBuf};
use std::time::Instant;

use regard_nn::model::operator::OperatorConfig;
use serde::Serialize;

use self::data::Source;
use super::seeds::{Variant, each_seed};
use super::{Claim, ReproduceOptions};
use crate::error::TrainError;
use crate::observer::Observer;
use crate::operator::{OperatorRunConfig, PartArrays, TestArrays, certify};
use crate::report::{OperatorRow, RunReport};
use crate::run_config::RunConfig;

/// Name on the command line.
pub(super) const NAME: &str = "continuum";

/// What came out.
#[derive(Debug, Serialize)]
pub struct ContinuumResults {
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
    /// One entry per operator to be learned.
    pub problems: Vec<OperatorProblem>,
    /// One entry per claim of the paper.
    pub claims: Vec<Claim>,
}

/// An operator to be learned.
#[derive(Debug, Serialize)]
pub struct OperatorProblem {
    /// Name of its folder.
    pub name: &'static str,
    /// Heading.
    pub title: &'static str,
    /// Names of the test parts; the first has the points of the training part.
    pub parts: Vec<String>,
    /// Trained rows, then baselines.
    pub rows: Vec<OperatorSeeds>,
}

/// A method with all its seeds.
#[derive(Debug, Default, Serialize)]
pub struct OperatorSeeds {
    /// Name of the method.
    pub label: String,
    /// Whether it was not trained.
    pub is_baseline: bool,
    /// Passes over the training part.
    pub epochs: usize,
    /// Seconds of the fastest epoch times their number, per seed: what other programs disturb least.
    pub seconds: Vec<f64>,
    /// One score per seed.
    pub scores: Vec<OperatorRow>,
    /// Whether the run of seed 0 passes its certificate.
    pub certified: Option<bool>,
    /// Folders of the runs; empty for a baseline.
    pub runs: Vec<PathBuf>,
}

/// What is learned, by which models.
struct Problem {
    name: &'static str,
    title: &'static str,
    source: Source,
    preset: &'static str,
    rows: &'static [Row],
}

/// One model.
struct Row {
    label: &'static str,
    /// Changes of the configuration.
    set: &'static [&'static str],
    /// The row whose seconds it gets, and the row that tells its pace; its own epochs if `None`.
    as_long_as: Option<[&'static str; 2]>,
    /// Whether the quick form has it.
    is_quick: bool,
}

const fn row(label: &'static str, set: &'static [&'static str]) -> Row {
    Row { label, set, as_long_as: None, is_quick: true }
}

const ON_LINES: &[Row] = &[
    row("tno", &[]),
    row("tno, equal weights", &["task.quadrature=equal"]),
    Row { is_quick: false, ..row("tno, linear kernel", &["model.mechanism.kernel=linear"]) },
    Row { is_quick: false, ..row("tno, log kernel", &["model.mechanism.kernel=log"]) },
];

/// No batch at another resolution: what these rows do there is what the model does by itself.
const ALONE: &str = "fit.resolutions=[]";
/// About 80,000 real numbers each.
const FANO: &[&str] = &[
    "model={ kind = 'fano', d_model = 16, d_ff = 32, n_layers = 2, modes = [5, 5], smoothing = 8 }",
    ALONE,
];
const VITNO: &[&str] = &[
    "model={ kind = 'vitno', d_model = 56, d_ff = 112, n_layers = 2, modes = [5, 5], smoothing = 8 }",
    ALONE,
];
const FNO: &[&str] = &["model={ kind = 'fno', d_model = 12, modes = [8, 8] }", ALONE];
/// About 2,400,000.
const LARGE_FNO: &[&str] = &["model={ kind = 'fno', d_model = 32, modes = [12, 12] }"];

const fn long(label: &'static str, like: &'static str, set: &'static [&'static str]) -> Row {
    Row { as_long_as: Some(["fano", like]), is_quick: false, ..row(label, set) }
}

const ON_FIELDS: &[Row] = &[
    row("fano", FANO),
    row("vitno", VITNO),
    row("fno", FNO),
    long("vitno, as long as fano", "vitno", VITNO),
    long("fno, as long as fano", "fno", FNO),
    Row { is_quick: false, ..row("vitno and field convolution, preset", &[]) },
    Row { is_quick: false, ..row("fno, in the preset's place", LARGE_FNO) },
];

const PROBLEMS: &[Problem] = &[
    Problem {
        name: "controlled-ode",
        title: "Controlled ODE: the solution from the control",
        source: Source::ControlledOde,
        preset: "controlled-ode",
        rows: ON_LINES,
    },
    Problem {
        name: "lorenz-a",
        title: "Lorenz system: y from x and y(0)",
        source: Source::LorenzA,
        preset: "lorenz-operator",
        rows: ON_LINES,
    },
    Problem {
        name: "lorenz-b",
        title: "Lorenz system: y and z from x, y(0) and z(0)",
        source: Source::LorenzB,
        preset: "lorenz-operator",
        rows: ON_LINES,
    },
    Problem {
        name: "darcy-piecewise",
        title: "Darcy flow, permeability of two values",
        source: Source::DarcyPiecewise,
        preset: "darcy",
        rows: ON_FIELDS,
    },
    Problem {
        name: "darcy-log-normal",
        title: "Darcy flow, log-normal permeability",
        source: Source::DarcyLogNormal,
        preset: "darcy",
        rows: ON_FIELDS,
    },
    Problem {
        name: "kolmogorov",
        title: "Kolmogorov flow, Re 70: the vorticity after 0.1 time units",
        source: Source::Kolmogorov,
        preset: "kolmogorov",
        rows: ON_FIELDS,
    },
];

/// Runs the study; data and runs lie below `options.out`. `after_row` sees the results so far.
///
/// # Errors
/// As [`crate::train`], those of `after_row`, and of the generators.
pub(super) fn run(
    options: &ReproduceOptions,
    observer: &mut dyn Observer,
    after_row: impl Fn(&ContinuumResults) -> Result<(), TrainError>,
) -> Result<ContinuumResults, TrainError> {
    let start = Instant::now();
    let mut results = ContinuumResults {
        study: NAME.to_owned(),
        command: options.command.clone(),
        version: options.version.clone(),
        device: format!("CPU, {} threads", rayon::current_num_threads()),
        quick: options.quick,
        seconds: 0.0,
        problems: Vec::new(),
        claims: Vec::new(),
    };
    let folder = options.out.join("data");
    std::fs::create_dir_all(&folder).map_err(TrainError::io("create", &folder))?;
    for problem in PROBLEMS {
        observer.phase(&format!("making pairs, {}", problem.name), None);
        let archive = problem.source.archive(&folder, problem.name, options.quick)?;
        let parts = problem.source.parts().iter().map(ToString::to_string).collect();
        let (name, title) = (problem.name, problem.title);
        results.problems.push(OperatorProblem { name, title, parts, rows: Vec::new() });
        let mut baselines: Vec<OperatorRow> =
            exact::row(problem.source, &archive)?.into_iter().collect();
        for row in problem.rows.iter().filter(|row| row.is_quick || !options.quick) {
            let held = results.problems.last_mut().expect("pushed above");
            let mut config = configured(problem, row, &archive, options.quick)?;
            if let Some([budget, pace]) = row.as_long_as.map(|labels| labels.map(|l| held.row(l)))
                && let (Some(budget), Some(pace)) = (budget, pace)
            {
                // Those of the first seed, so that the epochs stay when more seeds are asked for.
                config.fit.epochs = whole(budget.seconds[0] / pace.seconds[0] * pace.epochs as f64);
            }
            let trained = trained(problem, row, config, options, observer, &mut baselines)?;
            held.rows.retain(|row| !row.is_baseline);
            held.rows.push(trained);
            held.rows.extend(baselines.iter().map(of_baseline));
            results.seconds = start.elapsed().as_secs_f64();
            results.claims = claims::all(&results);
            after_row(&results)?;
        }
    }
    Ok(results)
}

/// The page so far.
pub(super) fn page(results: &ContinuumResults) -> String {
    page::page(results)
}

fn configured(
    problem: &Problem,
    row: &Row,
    archive: &Path,
    quick: bool,
) -> Result<OperatorRunConfig, TrainError> {
    let mut set: Vec<String> = row.set.iter().map(ToString::to_string).collect();
    if quick {
        set.push("fit.epochs=3".to_owned());
    }
    let variant = Variant { preset: problem.preset, model: None, set: &set };
    let mut config = variant.config(row.label)?.operator()?;
    let arrays = |part: &str| PartArrays {
        input: format!("{part}_input"),
        output: format!("{part}_output"),
    };
    config.data.path = Some(archive.to_owned());
    config.data.train = arrays("train");
    config.data.validation = Some(arrays("validation"));
    config.data.test = problem
        .source
        .parts()
        .iter()
        .map(|part| {
            let PartArrays { input, output } = arrays(part);
            TestArrays { name: (*part).to_owned(), input, output }
        })
        .collect();
    Ok(config)
}

/// All seeds of a row; the first run of a problem also tells its baselines.
fn trained(
    problem: &Problem,
    row: &Row,
    config: OperatorRunConfig,
    options: &ReproduceOptions,
    observer: &mut dyn Observer,
    baselines: &mut Vec<OperatorRow>,
) -> Result<OperatorSeeds, TrainError> {
    let seeds = if options.quick { 1 } else { options.seeds };
    let mut trained = OperatorSeeds {
        label: row.label.to_owned(),
        epochs: config.fit.epochs,
        ..OperatorSeeds::default()
    };
    let is_attention = !matches!(config.model, OperatorConfig::Fno(_));
    let config = RunConfig::Operator(config);
    let group = Path::new(problem.name);
    each_seed(row.label, group, &config, seeds, options, observer, |outcome| {
        let RunReport::Operator(mut report) = outcome.report else {
            return Err(TrainError::OtherTask {
                found: "something else",
                wanted: "learn an operator",
            });
        };
        // Scores of every function are in the report of the run.
        for scores in report.scores.iter_mut().flat_map(|row| row.tests.iter_mut().flatten()) {
            scores.per_function.clear();
        }
        if !baselines.iter().any(|row| row.name == "mean") {
            baselines.extend(report.scores.iter().filter(|row| row.is_baseline).cloned());
        }
        let seconds = report.training.curve.iter().map(|row| row.seconds);
        let fastest = seconds.fold(f64::INFINITY, f64::min);
        trained.seconds.push(fastest * report.training.curve.len() as f64);
        trained.scores.extend(report.scores.into_iter().next());
        trained.runs.push(outcome.folder);
        Ok(())
    })?;
    if let (true, Some(run)) = (is_attention, trained.runs.first()) {
        trained.certified = Some(certify(run, observer)?.holds());
    }
    Ok(trained)
}

/// A number of epochs, at least one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundreds")]
fn whole(epochs: f64) -> usize {
    (epochs.round() as usize).max(1)
}

fn of_baseline(row: &OperatorRow) -> OperatorSeeds {
    OperatorSeeds {
        label: row.name.clone(),
        is_baseline: true,
        scores: vec![row.clone()],
        ..OperatorSeeds::default()
    }
}

impl OperatorProblem {
    /// A method.
    fn row(&self, label: &str) -> Option<&OperatorSeeds> {
        self.rows.iter().find(|row| row.label == label && !row.scores.is_empty())
    }
}

impl OperatorSeeds {
    fn least_seconds(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Relative L2 error of normalised functions on a test part, one per seed.
    fn normalized(&self, part: usize) -> Vec<f64> {
        let of = |row: &OperatorRow| Some(row.tests.get(part)?.as_ref()?.normalized_l2);
        self.scores.iter().filter_map(of).collect()
    }

    /// Relative L2 error in physical units on a test part, one per seed.
    fn physical(&self, part: usize) -> Vec<f64> {
        let of = |row: &OperatorRow| Some(row.tests.get(part)?.as_ref()?.relative_l2);
        self.scores.iter().filter_map(of).collect()
    }
}
