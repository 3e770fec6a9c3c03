//! The score table of runs that learn to go on with a text: rows and cells as text.

use super::class_table::Column;
use super::format::{MISSING, Notation, count};
use super::language::{LanguageReport, LanguageRow};
use super::score_table::RowKind;
use crate::metric::confidence::mean_and_half_width;

/// Number of columns.
const N_COLUMNS: usize = 7;

/// Rows of methods, cells in the order of [`LanguageTable::COLUMNS`].
#[derive(Clone, Debug)]
pub(super) struct LanguageTable {
    pub(super) rows: Vec<LanguageTableRow>,
}

/// One method, or one seed of it.
#[derive(Clone, Debug)]
pub(super) struct LanguageTableRow {
    pub(super) name: String,
    pub(super) kind: RowKind,
    pub(super) cells: Vec<String>,
}

impl LanguageTable {
    /// What every row tells.
    pub(super) const COLUMNS: [Column; N_COLUMNS] = [
        Column { short: "test nats/token", long: "test part, nats per token" },
        Column { short: "nats/char", long: "test part, nats per character" },
        Column { short: "bits/char", long: "test part, bits per character" },
        Column { short: "perplexity", long: "test part, perplexity of a token" },
        Column { short: "val nats/token", long: "validation part, nats per token" },
        Column { short: "params", long: "parameters" },
        Column { short: "s", long: "seconds of training" },
    ];

    /// The rows of one run.
    pub(super) fn of_run(report: &LanguageReport) -> Self {
        Self { rows: report.scores.iter().map(|row| single(row, None)).collect() }
    }

    /// The rows of several runs: seeds below the mean of their model, then every baseline once.
    pub(super) fn of_runs(reports: &[&LanguageReport]) -> Self {
        let mut rows = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for report in reports {
            if !names.contains(&report.model.name.as_str()) {
                names.push(&report.model.name);
            }
        }
        for name in names {
            let runs = reports.iter().filter(|report| report.model.name == name);
            let models: Vec<(u64, &LanguageRow)> =
                runs.filter_map(|r| Some((r.run.seed, r.scores.first()?))).collect();
            if let [(_, only)] = models[..] {
                rows.push(single(only, None));
                continue;
            }
            rows.push(LanguageTableRow {
                name: format!("{name} ({} seeds)", models.len()),
                kind: RowKind::Model,
                cells: mean_cells(&models),
            });
            rows.extend(models.iter().map(|(seed, row)| single(row, Some(*seed))));
        }
        let mut seen: Vec<&str> = Vec::new();
        for row in reports.iter().flat_map(|r| &r.scores).filter(|row| row.is_baseline) {
            if !seen.contains(&row.name.as_str()) {
                seen.push(&row.name);
                rows.push(single(row, None));
            }
        }
        Self { rows }
    }
}

/// The row of a method, or of one of its seeds.
fn single(row: &LanguageRow, seed: Option<u64>) -> LanguageTableRow {
    let kind = match (seed, row.is_baseline) {
        (Some(_), _) => RowKind::Seed,
        (None, true) => RowKind::Baseline,
        (None, false) => RowKind::Model,
    };
    let name = seed.map_or_else(|| row.name.clone(), |seed| format!("seed {seed}"));
    let cells = numbers(row).iter().enumerate().map(|(i, x)| cell(i, *x, None)).collect();
    LanguageTableRow { name, kind, cells }
}

fn mean_cells(models: &[(u64, &LanguageRow)]) -> Vec<String> {
    let all: Vec<[Option<f64>; N_COLUMNS]> = models.iter().map(|(_, row)| numbers(row)).collect();
    (0..N_COLUMNS)
        .map(|i| {
            let values: Vec<f64> = all.iter().filter_map(|row| row[i]).collect();
            mean_and_half_width(&values)
                .map_or_else(|| MISSING.to_owned(), |(mean, half)| cell(i, Some(mean), half))
        })
        .collect()
}

/// A number, and the half-width of its interval over seeds where it says something.
fn cell(column: usize, value: Option<f64>, half: Option<f64>) -> String {
    let Some(value) = value.filter(|x| x.is_finite()) else { return MISSING.to_owned() };
    match column {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count that became a float for its mean"
        )]
        5 => count(value as u64),
        3 | 6 => Notation::Plain.significant(value, 3),
        _ => {
            let half = half.map(|half| format!(" ±{half:.3}")).unwrap_or_default();
            format!("{value:.4}{half}")
        }
    }
}

fn numbers(row: &LanguageRow) -> [Option<f64>; N_COLUMNS] {
    let test = row.test.as_ref();
    [
        test.map(|t| t.nats_per_token),
        test.map(|t| t.nats_per_character),
        test.map(|t| t.bits_per_character),
        test.map(|t| t.perplexity),
        row.validation.as_ref().map(|v| v.nats_per_token),
        row.n_parameters.map(|n| n as f64),
        row.seconds,
    ]
}
