//! What the score table of runs that learn to go on with a text tells.

use super::language::{LanguageReport, LanguageRow};
use super::method_table::{Column, Form, MethodTable, Scored};
use crate::metric::language::TokenScores;

impl Scored for LanguageRow {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_baseline(&self) -> bool {
        self.is_baseline
    }
}

/// The rows of one run.
pub(super) fn of_run(report: &LanguageReport) -> MethodTable {
    MethodTable::of_run(&columns(), &report.scores)
}

/// The rows of several runs.
pub(super) fn of_runs(reports: &[&LanguageReport]) -> MethodTable {
    let runs = reports.iter().map(|r| (r.model.name.as_str(), r.run.seed, &r.scores[..]));
    MethodTable::of_runs(&columns(), &runs.collect::<Vec<_>>())
}

fn columns() -> Vec<Column<LanguageRow>> {
    use Form::{Count, Fine, Significant};
    let of_test =
        |short: &str, long: &str, form, value: fn(&TokenScores) -> f64| -> Column<LanguageRow> {
            Column::new(short, long, form, move |row: &LanguageRow| row.test.as_ref().map(value))
        };
    vec![
        of_test("test nats/token", "test part, nats per token", Fine, |t| t.nats_per_token),
        of_test("nats/char", "test part, nats per character", Fine, |t| t.nats_per_character),
        of_test("bits/char", "test part, bits per character", Fine, |t| t.bits_per_character),
        of_test("perplexity", "test part, perplexity of a token", Significant, |t| t.perplexity),
        Column::new(
            "val nats/token",
            "validation part, nats per token",
            Fine,
            |row: &LanguageRow| row.validation.as_ref().map(|v| v.nats_per_token),
        ),
        Column::new("params", "parameters", Count, |row: &LanguageRow| {
            row.n_parameters.map(|n| n as f64)
        }),
        Column::new("s", "seconds of training", Significant, |row: &LanguageRow| row.seconds),
    ]
}
