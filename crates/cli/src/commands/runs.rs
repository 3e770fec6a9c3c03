//! `regard runs`: what was trained and where it lies.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use regard_train::runs::{self, RunDetail, RunSummary};

use crate::message::quoted_path;

/// Shown by `regard runs --help`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  regard runs list
  regard runs show runs/lorenz";

const LIST_EXAMPLES: &str = "\
Examples:
  regard runs list
  regard runs list experiments --json | jq -r '.[].folder'";

const SHOW_EXAMPLES: &str = "\
Examples:
  regard runs show runs/lorenz
  regard runs show runs/lorenz --json | jq -r .config_toml > again.toml";

/// List runs, or show one.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    List(ListArgs),
    Show(ShowArgs),
}

/// List the runs in a folder, one line each.
#[derive(Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {
    /// Folder that holds the runs.
    #[arg(default_value = "runs")]
    folder: PathBuf,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

/// Show the configuration and the scores of a run.
#[derive(Args, Debug)]
#[command(after_help = SHOW_EXAMPLES)]
pub(crate) struct ShowArgs {
    /// Folder written by `regard train`.
    run: PathBuf,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

/// Reads the run folders and prints what is in them.
pub(crate) fn run(command: &RunsCommand, out: &mut impl Write) -> Result<()> {
    match command {
        RunsCommand::List(args) => {
            let summaries = runs::list(&args.folder)?;
            if args.json {
                writeln!(out, "{}", serde_json::to_string(&summaries)?)?;
            } else if summaries.is_empty() {
                let folder = args.folder.display();
                writeln!(out, "no runs in {folder}; make one with: regard train lorenz")?;
            } else {
                write!(out, "{}", table(&summaries))?;
            }
        }
        RunsCommand::Show(args) => {
            let detail = runs::show(&args.run)?;
            if args.json {
                writeln!(out, "{}", serde_json::to_string(&detail)?)?;
            } else {
                write!(out, "{}", description(&detail))?;
            }
        }
    }
    Ok(())
}

/// One line per run under a heading, columns aligned.
fn table(summaries: &[RunSummary]) -> String {
    let heading = ["run", "created", "state", "model", "MSE", "VPT 0.4", "right %", "bits/char"]
        .map(String::from);
    let figure = |value: Option<f64>, text: fn(f64) -> String| value.map_or("–".into(), text);
    let rows = summaries.iter().map(|run| {
        [
            run.folder.display().to_string(),
            run.created.clone(),
            run.state.to_string(),
            run.model.clone(),
            figure(run.one_step_mse, |mse| format!("{mse:.2e}")),
            figure(run.vpt_median_04, |vpt| format!("{vpt:.2}")),
            figure(run.accuracy, |share| format!("{:.2}", 100.0 * share)),
            figure(run.bits_per_character, |bits| format!("{bits:.3}")),
        ]
    });
    let rows: Vec<[String; 8]> = std::iter::once(heading).chain(rows).collect();
    let width = |cell: &str| cell.chars().count();
    let widths: [usize; 8] =
        std::array::from_fn(|i| rows.iter().map(|row| width(&row[i])).max().unwrap_or(0));
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string() + "\n"
    };
    rows.iter().map(line).collect()
}

/// Scores, or how to get them; then the configuration.
fn description(detail: &RunDetail) -> String {
    let run = &detail.summary;
    let scores = match &detail.report {
        Some(report) => report.text(),
        None => format!(
            "{}: {}, no scores yet; continue with: regard train --resume {}\n",
            run.name,
            run.state,
            quoted_path(&run.folder)
        ),
    };
    format!("{scores}\nConfiguration\n\n{}", detail.config_toml)
}
