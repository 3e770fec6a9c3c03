//! Scores of operators for a terminal.

use super::format::duration;
use super::operator::{OperatorData, OperatorReport};
use super::operator_table;
use super::text::{heading, push_methods, push_note};

/// The scores of one run, with the baselines below a rule.
#[must_use]
pub(super) fn operator(report: &OperatorReport) -> String {
    let training = &report.training;
    let mut out = heading(&[
        &report.run.name,
        &format!("seed {}", report.run.seed),
        &format!("{} epochs in {}", training.epochs, duration(training.seconds)),
        &format!("epoch {} kept", training.best_epoch),
    ]);
    push_methods(&mut out, &operator_table::of_run(report), MEANING);
    push_note(&mut out, &parts(&report.data));
    out
}

/// The scores of several runs; seeds stand below the mean of their model.
#[must_use]
pub(super) fn operators(reports: &[&OperatorReport]) -> String {
    let Some(first) = reports.first() else { return String::from("no runs to compare\n") };
    let mut out = heading(&[&format!("{} runs", reports.len()), &first.data.source]);
    push_methods(&mut out, &operator_table::of_runs(reports), MEANING);
    push_note(&mut out, "±: 95 % interval of the mean over seeds, by Student's t.");
    if reports.iter().any(|r| r.data != first.data) {
        push_note(&mut out, "CAUTION: these runs were not scored on the same data.");
    }
    out
}

/// What the columns mean.
const MEANING: &str = "rel L2: mean over functions of |found - u| / |u|, in physical units; norm L2: of u less its mean; \
     VRMSE: of u less its own mean. Baselines know the points of the training part alone.";

/// Sizes of the parts.
fn parts(data: &OperatorData) -> String {
    let tests: Vec<String> = data
        .tests
        .iter()
        .map(|part| {
            format!("{}: {} functions on {}", part.name, part.functions, part.points_text())
        })
        .collect();
    let chosen = match &data.validation {
        None => "Nothing was held out to choose by: the last weights are kept.".to_owned(),
        Some(part) => {
            format!("The validation part, {} functions, chose the weights.", part.functions)
        }
    };
    let tests =
        if tests.is_empty() { "nothing was left to test on".to_owned() } else { tests.join("; ") };
    format!(
        "Trained on {} functions on {}. {chosen} Scored once on {tests}.",
        data.train.functions,
        data.train.points_text()
    )
}
