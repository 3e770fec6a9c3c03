//! The score table of runs that learn an operator: rows and cells as text.

use super::class_table::Column;
use super::format::{MISSING, Notation, count};
use super::operator::{OperatorPart, OperatorReport, OperatorRow};
use super::score_table::RowKind;
use crate::metric::confidence::mean_and_half_width;
use crate::metric::function::FunctionScores;

/// Columns of the first part before those of the others.
const FIRST: usize = 6;

/// Rows of methods, cells in the order of `columns`.
#[derive(Clone, Debug)]
pub(super) struct OperatorTable {
    pub(super) columns: Vec<(String, String)>,
    pub(super) rows: Vec<OperatorTableRow>,
}

/// One method, or one seed of it.
#[derive(Clone, Debug)]
pub(super) struct OperatorTableRow {
    pub(super) name: String,
    pub(super) kind: RowKind,
    pub(super) cells: Vec<String>,
}

impl OperatorTable {
    /// What every row tells of the first test part.
    const COLUMNS: [Column; FIRST] = [
        Column { short: "rel L2 %", long: "mean relative L2 error, %" },
        Column { short: "median", long: "median relative L2 error, %" },
        Column { short: "worst", long: "largest relative L2 error, %" },
        Column { short: "norm L2 %", long: "mean relative L2 error of normalised functions, %" },
        Column { short: "rel H1 %", long: "mean relative H1 error, %" },
        Column { short: "VRMSE %", long: "mean variance-scaled root mean squared error, %" },
    ];

    /// The rows of one run.
    pub(super) fn of_run(report: &OperatorReport) -> Self {
        let rows = report.scores.iter().map(|row| OperatorTableRow {
            name: row.name.clone(),
            kind: if row.is_baseline { RowKind::Baseline } else { RowKind::Model },
            cells: cells(&[row], report.data.tests.len()),
        });
        Self { columns: columns(&report.data.tests), rows: rows.collect() }
    }

    /// The rows of several runs: seeds below the mean of their model, then every baseline once.
    pub(super) fn of_runs(reports: &[&OperatorReport]) -> Self {
        let parts = reports.first().map_or(&[][..], |report| &report.data.tests);
        let mut rows = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for report in reports {
            if !names.contains(&report.model.name.as_str()) {
                names.push(&report.model.name);
            }
        }
        for name in names {
            let seeds: Vec<(u64, &OperatorRow)> = reports
                .iter()
                .filter(|report| report.model.name == name)
                .filter_map(|report| Some((report.run.seed, report.scores.first()?)))
                .collect();
            let all: Vec<&OperatorRow> = seeds.iter().map(|(_, row)| *row).collect();
            let several = seeds.len() > 1;
            let label =
                if several { format!("{name} ({} seeds)", seeds.len()) } else { name.to_owned() };
            rows.push(OperatorTableRow {
                name: label,
                kind: RowKind::Model,
                cells: cells(&all, parts.len()),
            });
            for (seed, row) in seeds.iter().filter(|_| several) {
                rows.push(OperatorTableRow {
                    name: format!("seed {seed}"),
                    kind: RowKind::Seed,
                    cells: cells(&[row], parts.len()),
                });
            }
        }
        let mut known: Vec<&str> = Vec::new();
        for row in reports.iter().flat_map(|report| &report.scores).filter(|row| row.is_baseline) {
            if !known.contains(&row.name.as_str()) {
                known.push(&row.name);
                rows.push(OperatorTableRow {
                    name: row.name.clone(),
                    kind: RowKind::Baseline,
                    cells: cells(&[row], parts.len()),
                });
            }
        }
        Self { columns: columns(parts), rows }
    }
}

/// Short and full names of all columns.
fn columns(parts: &[OperatorPart]) -> Vec<(String, String)> {
    let first = parts.first().map_or("validation", |part| part.name.as_str());
    let of_first =
        OperatorTable::COLUMNS.iter().map(|c| (c.short.to_owned(), format!("{first}: {}", c.long)));
    let others = parts
        .iter()
        .skip(1)
        .map(|part| (part.name.clone(), format!("{}: mean relative L2 error, %", part.name)));
    let rest = [
        ("val %", "validation: mean relative L2 error, %"),
        ("params", "parameters, complex ones counted twice"),
        ("s", "seconds of training"),
    ];
    let rest = rest.map(|(short, long)| (short.to_owned(), long.to_owned()));
    of_first.chain(others).chain(rest).collect()
}

/// The cells of one row, or of the mean over several seeds.
fn cells(rows: &[&OperatorRow], parts: usize) -> Vec<String> {
    let percent = |of: &dyn Fn(&OperatorRow) -> Option<f64>| {
        let values: Vec<f64> = rows.iter().filter_map(|row| of(row)).map(|x| 100.0 * x).collect();
        match mean_and_half_width(&values) {
            Some((mean, half)) if mean.is_finite() => {
                let half = half.map(|half| format!(" ±{half:.2}")).unwrap_or_default();
                format!("{mean:.2}{half}")
            }
            _ => MISSING.to_owned(),
        }
    };
    let first = |of: fn(&FunctionScores) -> f64| percent(&|row| row.scores().map(of));
    let mut cells = vec![
        first(|s| s.relative_l2),
        first(|s| s.median),
        first(|s| s.worst),
        first(|s| s.normalized_l2),
        first(|s| s.relative_h1),
        first(|s| s.vrmse),
    ];
    for part in 1..parts {
        cells.push(percent(&|row| row.tests.get(part)?.as_ref().map(|s| s.relative_l2)));
    }
    cells.push(percent(&|row| row.validation.as_ref().map(|s| s.relative_l2)));
    let parameters = rows.first().and_then(|row| row.n_parameters);
    cells.push(parameters.map_or_else(|| MISSING.to_owned(), count));
    let seconds: Vec<f64> = rows.iter().filter_map(|row| row.seconds).collect();
    cells.push(match mean_and_half_width(&seconds) {
        Some((mean, _)) => Notation::Plain.significant(mean, 3),
        None => MISSING.to_owned(),
    });
    cells
}
