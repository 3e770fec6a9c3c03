//! What the score table of runs that learn an operator tells.

use super::method_table::{Column, Form, MethodTable, Scored};
use super::operator::{OperatorPart, OperatorReport, OperatorRow};
use crate::metric::function::FunctionScores;

impl Scored for OperatorRow {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_baseline(&self) -> bool {
        self.is_baseline
    }
}

/// The rows of one run.
pub(super) fn of_run(report: &OperatorReport) -> MethodTable {
    MethodTable::of_run(&columns(&report.data.tests), &report.scores)
}

/// The rows of several runs; the columns are those of the first.
pub(super) fn of_runs(reports: &[&OperatorReport]) -> MethodTable {
    let parts = reports.first().map_or(&[][..], |report| &report.data.tests);
    let runs = reports.iter().map(|r| (r.model.name.as_str(), r.run.seed, &r.scores[..]));
    MethodTable::of_runs(&columns(parts), &runs.collect::<Vec<_>>())
}

/// All scores on the first test part, or on the validation part if there is none; one on each of the others.
fn columns(parts: &[OperatorPart]) -> Vec<Column<OperatorRow>> {
    use Form::{Count, Percent, Significant};
    let first = parts.first().map_or("validation", |part| part.name.as_str());
    let of_first = |short: &str, long: &str, value: fn(&FunctionScores) -> f64| {
        let long = format!("{first}: {long}, %");
        Column::new(short, long, Percent, move |row: &OperatorRow| row.scores().map(value))
    };
    let mut columns = vec![
        of_first("rel L2 %", "mean relative L2 error", |s| s.relative_l2),
        of_first("median", "median relative L2 error", |s| s.median),
        of_first("worst", "largest relative L2 error", |s| s.worst),
        of_first("norm L2 %", "mean relative L2 error of normalised functions", |s| {
            s.normalized_l2
        }),
        of_first("rel H1 %", "mean relative H1 error", |s| s.relative_h1),
        of_first("VRMSE %", "mean variance-scaled root mean squared error", |s| s.vrmse),
    ];
    columns.extend(parts.iter().enumerate().skip(1).map(|(i, part)| {
        let long = format!("{}: mean relative L2 error, %", part.name);
        Column::new(&part.name, long, Percent, move |row: &OperatorRow| {
            Some(row.tests.get(i)?.as_ref()?.relative_l2)
        })
    }));
    let validation = |row: &OperatorRow| row.validation.as_ref().map(|s| s.relative_l2);
    let parameters = |row: &OperatorRow| row.n_parameters.map(|n| n as f64);
    columns.extend([
        Column::new("val %", "validation: mean relative L2 error, %", Percent, validation),
        Column::new("params", "parameters, complex ones counted twice", Count, parameters),
        Column::new("s", "seconds of training", Significant, |row: &OperatorRow| row.seconds),
    ]);
    columns
}
