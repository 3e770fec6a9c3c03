//! Scores of language models for a terminal.

use super::format::{count, duration, printable};
use super::language::{LanguageData, LanguageReport};
use super::language_table;
use super::text::{heading, push_methods, push_note};

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
    push_methods(&mut out, &language_table::of_run(report), MEANING);
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
    push_methods(&mut out, &language_table::of_runs(reports), MEANING);
    push_note(&mut out, "±: 95 % interval of the mean over seeds, by Student's t.");
    if reports.iter().any(|r| r.data != first.data) {
        push_note(&mut out, "CAUTION: these runs were not scored on the same text.");
    }
    out
}

/// What the columns mean.
const MEANING: &str = "Windows side by side, each without a past. bits/char = nats/char / ln 2; perplexity of a token. \
     trigram: counts, backed off to shorter contexts.";

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
