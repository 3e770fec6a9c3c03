//! The score table of runs that classify: rows and cells as text.

use super::classify::{ClassRow, ClassifyReport};
use super::format::{MISSING, Notation, count};
use super::score_table::RowKind;
use crate::metric::confidence::mean_and_half_width;

/// Number of columns.
const N_COLUMNS: usize = 11;

/// A column: short name for a terminal, full name for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) short: &'static str,
    pub(super) long: &'static str,
}

/// Rows of methods, cells in the order of [`ClassTable::COLUMNS`].
#[derive(Clone, Debug)]
pub(super) struct ClassTable {
    pub(super) rows: Vec<ClassTableRow>,
}

/// One method, or one seed of it.
#[derive(Clone, Debug)]
pub(super) struct ClassTableRow {
    pub(super) name: String,
    pub(super) kind: RowKind,
    pub(super) cells: Vec<String>,
    pub(super) note: Option<String>,
}

impl ClassTable {
    /// What every row tells.
    pub(super) const COLUMNS: [Column; N_COLUMNS] = [
        Column { short: "test %", long: "test accuracy, chosen on validation, %" },
        Column { short: "last epoch", long: "test accuracy, last epoch, %" },
        Column { short: "last 5", long: "test accuracy, mean of last five epochs, %" },
        Column { short: "best on test", long: "test accuracy, best epoch on test, %" },
        Column { short: "val %", long: "validation accuracy, %" },
        Column { short: "macro F1", long: "macro F1" },
        Column { short: "log loss", long: "log loss, nats" },
        Column { short: "Brier", long: "Brier score" },
        Column { short: "calib. error", long: "expected calibration error, 15 bins" },
        Column { short: "params", long: "parameters" },
        Column { short: "s/epoch", long: "seconds per epoch" },
    ];

    /// The rows of one run.
    pub(super) fn of_run(report: &ClassifyReport) -> Self {
        Self { rows: report.scores.iter().map(|row| single(row, None)).collect() }
    }

    /// The rows of several runs: seeds below the mean of their model, then every baseline once.
    pub(super) fn of_runs(reports: &[&ClassifyReport]) -> Self {
        let mut rows = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for report in reports {
            if !names.contains(&report.model.name.as_str()) {
                names.push(&report.model.name);
            }
        }
        for name in names {
            let runs: Vec<&&ClassifyReport> =
                reports.iter().filter(|r| r.model.name == name).collect();
            let models: Vec<&ClassRow> = runs.iter().filter_map(|r| r.scores.first()).collect();
            if let [only] = models[..] {
                rows.push(single(only, None));
                continue;
            }
            rows.push(ClassTableRow {
                name: format!("{name} ({} seeds)", models.len()),
                kind: RowKind::Model,
                cells: mean_cells(&models),
                note: None,
            });
            for (run, row) in runs.iter().zip(&models) {
                rows.push(single(row, Some(format!("seed {}", run.run.seed))));
            }
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

fn single(row: &ClassRow, name: Option<String>) -> ClassTableRow {
    let kind = match (&name, row.is_baseline) {
        (Some(_), _) => RowKind::Seed,
        (None, true) => RowKind::Baseline,
        (None, false) => RowKind::Model,
    };
    let cells = numbers(row).iter().zip(FORMS).map(|(x, form)| form.text(*x, None)).collect();
    ClassTableRow {
        name: name.unwrap_or_else(|| row.name.clone()),
        kind,
        cells,
        note: row.note.clone(),
    }
}

fn mean_cells(rows: &[&ClassRow]) -> Vec<String> {
    let all: Vec<[Option<f64>; N_COLUMNS]> = rows.iter().map(|row| numbers(row)).collect();
    (0..FORMS.len())
        .map(|i| {
            let values: Vec<f64> = all.iter().filter_map(|row| row[i]).collect();
            match mean_and_half_width(&values) {
                None => MISSING.to_owned(),
                Some((mean, half)) => FORMS[i].text(Some(mean), half),
            }
        })
        .collect()
}

/// How a number is written.
#[derive(Clone, Copy)]
enum Form {
    Percent,
    Decimals,
    Count,
    Seconds,
}

const FORMS: [Form; N_COLUMNS] = [
    Form::Percent,
    Form::Percent,
    Form::Percent,
    Form::Percent,
    Form::Percent,
    Form::Decimals,
    Form::Decimals,
    Form::Decimals,
    Form::Decimals,
    Form::Count,
    Form::Seconds,
];

impl Form {
    /// The number, and the half-width of its interval over seeds where it says something.
    fn text(self, value: Option<f64>, half: Option<f64>) -> String {
        let Some(value) = value.filter(|x| x.is_finite()) else { return MISSING.to_owned() };
        match self {
            Self::Percent => {
                let half = half.map(|h| format!(" ±{:.2}", 100.0 * h)).unwrap_or_default();
                format!("{:.2}{half}", 100.0 * value)
            }
            Self::Decimals => format!("{value:.3}"),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count that became a float for its mean"
            )]
            Self::Count => count(value as u64),
            Self::Seconds => Notation::Plain.significant(value, 3),
        }
    }
}

fn numbers(row: &ClassRow) -> [Option<f64>; N_COLUMNS] {
    let test = row.test.as_ref();
    [
        test.map(|t| t.accuracy),
        row.last_epoch,
        row.last_five,
        row.best_on_test,
        row.validation_accuracy,
        test.map(|t| t.macro_f1),
        test.and_then(|t| t.log_loss),
        test.and_then(|t| t.brier),
        test.and_then(|t| t.calibration_error),
        row.n_parameters.map(|n| n as f64),
        row.seconds_per_epoch,
    ]
}
