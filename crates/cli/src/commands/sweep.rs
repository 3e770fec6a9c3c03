//! `regard sweep`: search over keys of a configuration, here or as an array job.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use regard_train::TrainError;
use regard_train::report::{SweepReport, sweep_table};
use regard_train::sweep::{self, SweepOutcome};
use serde::Serialize;

use crate::interrupt::stop_flag;
use crate::message::{command_line, quoted_path};
use crate::progress::Progress;

const EXAMPLES: &str = "\
Examples:
  regard sweep rate.toml                        search until the budget of the file is used up
  regard sweep rate.toml                        the same again goes on where it was stopped
  regard sweep rate.toml &                      a second process shares the trials
  regard sweep rate.toml --json | jq -r .report.best.command

As an array job, on machines that share a folder:
  regard sweep plan rate.toml --out jobs        writes jobs/tasks/0001.toml, 0002.toml, …
  regard sweep run jobs --task 3                one task, in any order, again after a kill
  regard sweep collect jobs                     journal and report of all results

The file says base, keys with ranges, and budget: docs/sweep.md. The validation part compares
trials, never the test part. Ctrl-C saves a checkpoint and stops; a second one quits at once.";

const PLAN_EXAMPLES: &str = "\
Examples:
  regard sweep plan rate.toml --out jobs
  sbatch --array=1-40 --wrap 'regard sweep run jobs --task $SLURM_ARRAY_TASK_ID'";

const RUN_EXAMPLES: &str = "\
Examples:
  regard sweep run jobs --task 3";

const COLLECT_EXAMPLES: &str = "\
Examples:
  regard sweep collect jobs
  regard sweep collect jobs --json | jq -r .missing";

/// Search over keys of a configuration: random, grid or TPE.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct SweepArgs {
    /// What to search, how and how long (.toml).
    #[arg(value_name = "FILE.toml", required = true)]
    file: Option<PathBuf>,
    /// Folder of the sweep; sweeps/NAME by default. A sweep that it holds goes on.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<SweepCommand>,
}

/// A sweep as an array job.
#[derive(Debug, Subcommand)]
enum SweepCommand {
    Plan(PlanArgs),
    Run(RunArgs),
    Collect(CollectArgs),
}

/// Write one file per trial, for machines that share nothing but a folder.
#[derive(Args, Debug)]
#[command(after_help = PLAN_EXAMPLES)]
struct PlanArgs {
    /// What to search, by a random search or a grid (.toml).
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    /// New folder of the plan.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Train one task of a plan.
#[derive(Args, Debug)]
#[command(after_help = RUN_EXAMPLES)]
struct RunArgs {
    /// Folder written by `regard sweep plan`.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Number of the task, from 1.
    #[arg(long, value_name = "I")]
    task: usize,
}

/// Read the results of a plan into a journal and a report.
#[derive(Args, Debug)]
#[command(after_help = COLLECT_EXAMPLES)]
struct CollectArgs {
    /// Folder written by `regard sweep plan`.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    folder: &'a Path,
    /// Tasks of a plan without a result.
    missing: &'a [usize],
    report: &'a SweepReport,
}

/// Searches, or does one step of an array job.
pub(crate) fn run(args: &SweepArgs, out: &mut impl Write) -> Result<()> {
    match (&args.command, &args.file) {
        (Some(SweepCommand::Plan(plan)), _) => planned(plan, out),
        (Some(SweepCommand::Run(task)), _) => {
            let mut progress = Progress::new(stop_flag()?);
            let run = sweep::run_task(&task.folder, task.task, &mut progress);
            drop(progress);
            run.map_err(resumable)
        }
        (Some(SweepCommand::Collect(collect)), _) => {
            let (outcome, missing) = sweep::collect(&collect.folder)?;
            print(&outcome, &missing, collect.json, out)
        }
        (None, Some(file)) => {
            let mut progress = Progress::new(stop_flag()?);
            let outcome = sweep::sweep(file, args.out.as_deref(), &mut progress);
            drop(progress);
            print(&outcome.map_err(resumable)?, &[], args.json, out)
        }
        (None, None) => unreachable!("the parser asks for one of them"),
    }
}

fn planned(args: &PlanArgs, out: &mut impl Write) -> Result<()> {
    let n = sweep::plan(&args.file, &args.out)?;
    let folder = quoted_path(&args.out);
    writeln!(out, "wrote {n} tasks to {}", args.out.join("tasks").display())?;
    writeln!(out, "each      regard sweep run {folder} --task I     with I from 1 to {n}")?;
    writeln!(out, "then      regard sweep collect {folder}")?;
    Ok(())
}

fn print(
    outcome: &SweepOutcome,
    missing: &[usize],
    json: bool,
    out: &mut impl Write,
) -> Result<()> {
    let SweepOutcome { folder, report } = outcome;
    if json {
        let document = Document { folder, missing, report };
        writeln!(out, "{}", serde_json::to_string(&document)?)?;
    } else {
        write!(out, "{}", sweep_table(report))?;
        writeln!(out, "report    {}", folder.join("report.html").display())?;
        if !missing.is_empty() {
            let numbers: Vec<String> = missing.iter().map(ToString::to_string).collect();
            writeln!(out, "missing   results of task {}", numbers.join(", "))?;
        }
    }
    out.flush()?;
    Ok(())
}

/// An interruption as a message that says how to go on; every other error as it is.
fn resumable(error: TrainError) -> anyhow::Error {
    match error {
        TrainError::Interrupted { .. } => anyhow!(
            "stopped before the end, a checkpoint is saved; continue with: {}",
            command_line()
        ),
        error => error.into(),
    }
}
