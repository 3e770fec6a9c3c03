//! Scores of language models for a terminal.

use super::format::{count, duration, printable};
use super::language::{LanguageData, LanguageReport};
use super::language_table::LanguageTable;
use super::score_table::RowKind;
use super::text::{heading, label, push_columns, push_note};

/// Characters of the generated text that are shown.
const SHOWN: usize = 300;

/// The scores of one run, with the baselines below a rule, and the start of the generated text.
#[must_use]
pub(super) fn language(report: &LanguageReport) -> String {
    let training = &report.training;
    let mut out = heading(&[
        &report.run.name,
        &format!("seed {}", report.run.seed),
        &format!("{} steps in {}", count(training.steps), duration(training.seconds)),
        &format!("scoring {} of {} kept", training.best_epoch, training.epochs),
    ]);
    push_table(&mut out, &LanguageTable::of_run(report));
    push_note(&mut out, &parts(&report.data));
    if let Some(sample) = &report.sample {
        out.push_str("\nGenerated:\n");
        let shown: String = sample.text.trim_start().chars().take(SHOWN).collect();
        for line in shown.lines() {
            out.push_str(["  ", &printable(line)].concat().trim_end());
            out.push('\n');
        }
    }
    out
}

/// The scores of several runs; seeds stand below the mean of their model.
#[must_use]
pub(super) fn languages(reports: &[&LanguageReport]) -> String {
    let Some(first) = reports.first() else { return String::from("no runs to compare\n") };
    let mut out = heading(&[&format!("{} runs", reports.len()), &first.data.source]);
    push_table(&mut out, &LanguageTable::of_runs(reports));
    push_note(&mut out, "±: 95 % interval of the mean over seeds, by Student's t.");
    if reports.iter().any(|r| r.data != first.data) {
        push_note(&mut out, "CAUTION: these runs were not scored on the same text.");
    }
    out
}

fn push_table(out: &mut String, table: &LanguageTable) {
    let rows = table.rows.iter();
    let names: Vec<(String, RowKind)> =
        rows.map(|row| (label(&row.name, row.kind, false), row.kind)).collect();
    let columns: Vec<Vec<String>> = LanguageTable::COLUMNS
        .iter()
        .enumerate()
        .map(|(i, column)| {
            let cells = table.rows.iter().map(|row| row.cells[i].clone());
            std::iter::once(column.short.to_owned()).chain(cells).collect()
        })
        .collect();
    push_columns(out, &names, &columns);
    out.push('\n');
    push_note(
        out,
        "Windows side by side, each without a past. bits/char = nats/char / ln 2; perplexity of a token. \
         trigram: counts, backed off to shorter contexts.",
    );
}

/// Sizes of the parts that score.
fn parts(data: &LanguageData) -> String {
    let size = |tokens: usize| count(tokens as u64);
    let chosen = match data.validation.tokens {
        0 => "Nothing was held out to choose by: the last weights are kept.".to_owned(),
        n => format!("The validation part, {} tokens, chose the weights.", size(n)),
    };
    let tested = match data.test.tokens {
        0 => "No part was left to test on.".to_owned(),
        n => format!("Test part, {} tokens, scored once.", size(n)),
    };
    let unit = format!("{} tokens, each a {}.", size(data.vocabulary), data.unit);
    [tested, chosen, unit].join(" ")
}
