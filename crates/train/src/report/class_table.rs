//! What the score table of runs that classify tells.

use super::classify::{ClassRow, ClassifyReport};
use super::method_table::{Column, Form, MethodTable, Scored};
use crate::metric::classification::ClassScores;

impl Scored for ClassRow {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_baseline(&self) -> bool {
        self.is_baseline
    }

    fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }
}

/// The rows of one run.
pub(super) fn of_run(report: &ClassifyReport) -> MethodTable {
    MethodTable::of_run(&columns(), &report.scores)
}

/// The rows of several runs.
pub(super) fn of_runs(reports: &[&ClassifyReport]) -> MethodTable {
    let runs = reports.iter().map(|r| (r.model.name.as_str(), r.run.seed, &r.scores[..]));
    MethodTable::of_runs(&columns(), &runs.collect::<Vec<_>>())
}

fn columns() -> Vec<Column<ClassRow>> {
    use Form::{Count, Decimals, Percent, Significant};
    let of = |short: &str, long: &str, form, value: fn(&ClassRow) -> Option<f64>| {
        Column::new(short, long, form, value)
    };
    let of_test = |short: &str,
                   long: &str,
                   form,
                   value: fn(&ClassScores) -> Option<f64>|
     -> Column<ClassRow> {
        Column::new(short, long, form, move |row: &ClassRow| value(row.test.as_ref()?))
    };
    vec![
        of_test("test %", "test accuracy, chosen on validation, %", Percent, |t| Some(t.accuracy)),
        of("last epoch", "test accuracy, last epoch, %", Percent, |row| row.last_epoch),
        of("last 5", "test accuracy, mean of last five epochs, %", Percent, |row| row.last_five),
        of("best on test", "test accuracy, best epoch on test, %", Percent, |row| row.best_on_test),
        of("val %", "validation accuracy, %", Percent, |row| row.validation_accuracy),
        of_test("macro F1", "macro F1", Decimals, |t| Some(t.macro_f1)),
        of_test("log loss", "log loss, nats", Decimals, |t| t.log_loss),
        of_test("Brier", "Brier score", Decimals, |t| t.brier),
        of_test("calib. error", "expected calibration error, 15 bins", Decimals, |t| {
            t.calibration_error
        }),
        of("params", "parameters", Count, |row| row.n_parameters.map(|n| n as f64)),
        of("s/epoch", "seconds per epoch", Significant, |row| row.seconds_per_epoch),
    ]
}
