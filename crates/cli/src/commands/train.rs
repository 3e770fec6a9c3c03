//! `regard train`: fit a model, score it, write a report; or continue a run that was stopped.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::Args;
use regard_train::report::RunReport;
use regard_train::{DataConfig, DataSource, Outcome, RunConfig, TrainError, TrainOptions};
use serde::Serialize;

use crate::interrupt::stop_flag;
use crate::message::{command_line, quoted_path};
use crate::progress::Progress;
use crate::verdict::Verdict;

const EXAMPLES: &str = "\
Examples:
  regard train lorenz                                  a preset as it is
  regard train lorenz --set fit.epochs=5 --seed 1      with other values
  regard train lorenz --mechanism softmax              the same run with another model
  regard train series --data sensors.csv --out runs/sensors
  regard train uci-har --data 'UCI HAR Dataset'         tell activities apart
  regard train text --data plays.txt                    go on with a text
  regard train lorenz --json > report.json
  regard train --resume runs/sensors                   after Ctrl-C or a crash, to the same bytes

Presets: `regard presets list`. All keys of a configuration: `regard presets show lorenz`.
Ctrl-C saves a checkpoint and stops; a second Ctrl-C quits at once.";

/// Train a model, score it against baselines and write a report.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrainArgs {
    /// A preset, or a configuration file (.toml).
    #[arg(value_name = "PRESET | FILE.toml", required_unless_present = "resume")]
    config: Option<String>,
    /// Give a key of the configuration another value; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Train on this file: .csv, .tsv, .parquet, .npz or .npy, one row per time step; for classes,
    /// labelled windows or a folder of them; a text for preset text.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Attention mechanism or baseline model: easy, softmax, lstm; for classes also larnn, gru, cnn; for
    /// texts log, linear, larnn.
    #[arg(long, value_name = "M")]
    mechanism: Option<String>,
    /// Seed of every random stream of the training.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Folder of the run; runs/DATE-NAME by default.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
    /// Continue the run in this folder where it was stopped.
    #[arg(long, value_name = "RUN")]
    #[arg(conflicts_with_all = ["config", "set", "data", "mechanism", "seed", "out"])]
    resume: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    folder: &'a Path,
    beats_baseline: bool,
    report: &'a RunReport,
}

/// Trains or continues, prints the scores and what to do next.
pub(crate) fn run(args: &TrainArgs, out: &mut impl Write) -> Result<Verdict> {
    let mut progress = Progress::new(stop_flag()?);
    let outcome = match (&args.resume, &args.config) {
        (Some(run), _) => regard_train::resume(run, &mut progress),
        (None, Some(spec)) => start(spec, args, &mut progress),
        (None, None) => unreachable!("the parser asks for one of them"),
    };
    drop(progress);
    let Outcome { folder, report, .. } = outcome.map_err(resumable)?;
    if args.json {
        let beats_baseline = report.objection().is_none();
        let document = Document { folder: &folder, beats_baseline, report: &report };
        writeln!(out, "{}", serde_json::to_string(&document)?)?;
    } else {
        write!(out, "{}", report.text())?;
        write!(out, "\n{}", next_steps(&folder, &report)?)?;
    }
    out.flush()?;
    Ok(Verdict::of(&[report]))
}

fn start(spec: &str, args: &TrainArgs, progress: &mut Progress) -> Result<Outcome, TrainError> {
    let mut config = RunConfig::load(spec, &args.set)?;
    if let Some(data) = &args.data {
        config.use_data_file(data);
    }
    if let Some(mechanism) = &args.mechanism {
        config.use_model(mechanism)?;
    }
    if let Some(seed) = args.seed {
        config.set_seed(seed);
    }
    let options =
        TrainOptions { name: run_name(spec), out: args.out.clone(), command: command_line() };
    regard_train::train(&config, &options, progress)
}

/// Name of a run: the preset, or the file without folder and extension.
pub(super) fn run_name(spec: &str) -> String {
    let path = Path::new(spec);
    let stem = if path.extension().is_some() { path.file_stem() } else { path.file_name() };
    stem.map_or_else(|| spec.to_string(), |stem| stem.to_string_lossy().into_owned())
}

/// Where the report lies, and commands that forecast with the new model.
fn next_steps(folder: &Path, report: &RunReport) -> Result<String> {
    let page = folder.join("report.html");
    if let RunReport::Language(_) = report {
        return Ok(format!(
            "report    {}\ngenerate  regard generate {} --tokens 300 --temperature 0.8\n",
            page.display(),
            quoted_path(folder)
        ));
    }
    if let RunReport::Operator(_) = report {
        return Ok(format!(
            "report    {}\nevaluate  regard evaluate {} --data other.npz\n",
            page.display(),
            quoted_path(folder)
        ));
    }
    let config = regard_train::runs::show(folder)?.config_toml;
    let (RunConfig::Forecast(config), RunReport::Forecast(report)) =
        (RunConfig::parse("run.toml", &config, &[])?, report)
    else {
        return Ok(format!(
            "report    {}\nclassify  regard classify {} --input windows.csv --output classes.csv\n",
            page.display(),
            quoted_path(folder)
        ));
    };
    let (make, input) = match config.data.as_ref().map(DataConfig::source) {
        Some(DataSource::File(data)) => (None, data.path.clone()),
        Some(DataSource::Simulation(simulation, _)) => {
            let make = format!(
                "regard data make {} --out past.csv --series 1 --steps {} --dt {}",
                simulation.kind(),
                report.model.window,
                simulation.sampling().dt
            );
            (Some(make), PathBuf::from("past.csv"))
        }
        None => (None, PathBuf::from("past.csv")),
    };
    let predict = format!(
        "regard predict {} --input {} --horizon 100 --output forecast.csv",
        quoted_path(folder),
        quoted_path(&input)
    );
    let make = make.map(|make| format!("input     {make}\n")).unwrap_or_default();
    Ok(format!("report    {}\n{make}forecast  {predict}\n", page.display()))
}

/// An interruption as a message that says how to go on; every other error as it is.
fn resumable(error: TrainError) -> anyhow::Error {
    match error {
        TrainError::Interrupted { folder } => anyhow!(
            "stopped before the end, a checkpoint is saved; continue with: \
             regard train --resume {}",
            quoted_path(&folder)
        ),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_after_its_preset_or_file() {
        assert_eq!(run_name("lorenz"), "lorenz");
        assert_eq!(run_name("configs/my.v2.toml"), "my.v2");
        assert_eq!(run_name("/"), "/");
    }

    #[test]
    fn an_interruption_says_how_to_go_on() {
        let error = resumable(TrainError::Interrupted { folder: "runs/a b".into() });
        assert!(error.to_string().ends_with("regard train --resume 'runs/a b'"), "{error}");
    }
}
