//! A sweep for a terminal: a line per trial while it runs, and a table of the best ones.

use std::fmt::Write;

use super::format::{MISSING, Notation, duration, printable, shorten};
use super::sweep::{SweepReport, SweepTrial, shown};

/// Trials in the table; the report has all.
const ROWS: usize = 12;
/// Widest value of a key.
const VALUE: usize = 16;

/// What a trial came to, the best so far, and how many seconds the rest may take.
pub(crate) fn sweep_line(
    label: &str,
    number: usize,
    report: &SweepReport,
    left: Option<f64>,
) -> String {
    let Some(trial) = report.trials.iter().find(|trial| trial.number == number) else {
        return label.to_owned();
    };
    let result = match (&trial.message, trial.best_epoch) {
        (Some(message), _) => format!("{label} failed: {message}"),
        (None, Some(epoch)) => {
            let value = objective(trial);
            let end = if trial.state == "pruned" {
                format!(", pruned after {} epochs", trial.epochs)
            } else {
                String::new()
            };
            format!("{label}: {} {value} at epoch {epoch}{end}", report.objective)
        }
        (None, None) => format!("{label}: no value"),
    };
    let best = report.best_trial();
    let best = best.map(|best| format!("best {} (trial {})", objective(best), best.number));
    let left = left.map(|seconds| format!("about {} left", duration(seconds)));
    let parts = [Some(result), Some(duration(trial.seconds)), best, left];
    printable(&parts.into_iter().flatten().collect::<Vec<_>>().join(" · "))
}

/// The best trials with their keys, the importance of the keys, and how to have the best model.
#[must_use]
pub fn sweep_table(report: &SweepReport) -> String {
    let counts = ["finished", "pruned", "failed", "running"]
        .into_iter()
        .filter(|state| report.count(state) > 0)
        .map(|state| format!("{} {state}", report.count(state)));
    let heading = [report.name.clone(), format!("{} search", report.method)];
    let heading: Vec<String> = heading.into_iter().chain(counts).collect();
    let mut out = format!("{}\n\n", printable(&heading.join(" · ")));

    let ranked = report.ranked();
    let names: Vec<&str> = report.keys.iter().map(|key| short(&key.key)).collect();
    let mut rows = vec![head(&report.objective, &names)];
    rows.extend(ranked.iter().take(ROWS).map(|trial| row(report, trial)));
    push_aligned(&mut out, &rows);
    if ranked.len() > ROWS {
        let _ = writeln!(out, "… and {} more trials in the report", ranked.len() - ROWS);
    }

    let _ = writeln!(out, "\nImportance of the keys, from {} trials\n", report.n_judged);
    let mut keys: Vec<_> = report.keys.iter().collect();
    keys.sort_by(|a, b| b.importance.unwrap_or(-1.0).total_cmp(&a.importance.unwrap_or(-1.0)));
    let importances: Vec<Vec<String>> = keys
        .into_iter()
        .map(|key| {
            let share = key.importance.map_or(MISSING.into(), |s| format!("{:.0} %", 100.0 * s));
            vec![printable(&key.key), share]
        })
        .collect();
    push_aligned(&mut out, &importances);

    if let Some(best) = &report.best {
        let _ = writeln!(
            out,
            "\nbest      trial {}, chosen without the test part\n\
             again     {}\nscore it  {}",
            best.number,
            printable(&best.command),
            printable(&best.score)
        );
    }
    out
}

fn objective(trial: &SweepTrial) -> String {
    trial.objective.map_or(MISSING.into(), |value| Notation::Plain.significant(value, 4))
}

fn head(objective: &str, names: &[&str]) -> Vec<String> {
    let first = ["trial", "state", objective, "epoch"].map(str::to_owned);
    first.into_iter().chain(names.iter().map(|name| printable(name))).collect()
}

fn row(report: &SweepReport, trial: &SweepTrial) -> Vec<String> {
    let epoch = trial.best_epoch.map_or(MISSING.into(), |epoch| epoch.to_string());
    let first = [trial.number.to_string(), trial.state.clone(), objective(trial), epoch];
    let value = |key: &super::sweep::SweepKey| {
        let text = trial.parameters.get(&key.key).map_or(MISSING.into(), shown);
        shorten(&printable(&text), VALUE)
    };
    first.into_iter().chain(report.keys.iter().map(value)).collect()
}

/// The last part of a dotted key.
pub(super) fn short(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// Columns as wide as their widest cell, the first one to the left.
fn push_aligned(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |cell: &str| cell.chars().count();
    let widths: Vec<usize> = (0..columns)
        .map(|i| rows.iter().filter_map(|row| row.get(i)).map(|c| width(c)).max().unwrap_or(0))
        .collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
}
