//! The page of a study of several labelled data sets.

use std::fmt::Write;

use super::problems::{HeadDistances, ProblemResult, ProblemRow, ProblemsResults, ProblemsStudy};
use crate::metric::confidence::{mean_and_half_width, moments};
use crate::report::ClassRow;

pub(super) fn page(study: &ProblemsStudy, results: &ProblemsResults) -> String {
    let mut out = format!("# {}\n\n{}\n\n", study.title, study.preface);
    let minutes = results.seconds / 60.0;
    let form = if results.quick { "quick form: one seed, small budgets; " } else { "" };
    let _ = writeln!(
        out,
        "Made by `{}`, {}; {form}{}, {minutes:.1} minutes.\n",
        results.command, results.version, results.device
    );
    out.push_str("## Claims\n\n| claim | measured | verdict |\n|---|---|---|\n");
    for claim in &results.claims {
        let _ = writeln!(out, "| {} | {} | **{}** |", claim.claim, claim.measured, claim.verdict);
    }
    out.push_str(
        "\n## Accuracy on the test part, %\n\nMean over the seeds ± half-width of its 95 % interval by \
         Student's t. *Chosen*: a fifth of the training part is held out and chooses settings and epoch; the \
         network never sees it otherwise. *Last*: the last epoch. *Best on test*: the epoch that the test part \
         itself would have chosen, as the literature reports and no one could have known. Methods without \
         gradients learn from the same series, and run once. \
         Head distance: mean over pairs of heads, test series, layers and seeds; in brackets over the mean norm \
         of a head.\n",
    );
    for problem in &results.problems {
        section(&mut out, problem);
    }
    if !results.missing.is_empty() {
        let _ = writeln!(out, "\nNot in the folder of the data: {}.", results.missing.join(", "));
    }
    out.push_str(
        "\nEvery run has its own folder with `report.html` below the folder of this study; definitions are \
         in `docs/metrics.md`.\n",
    );
    out
}

fn section(out: &mut String, problem: &ProblemResult) {
    let (channels, time, classes) = problem.shape;
    let _ = write!(
        out,
        "\n### {}\n\n{} training and {} test series, up to {time} steps of {channels} channels, {classes} \
         classes.\n\n\
         | method | parameters | multiply-adds | seeds | chosen | last | best on test | head distance | \
         fastest epoch, s | settings |\n|---|---|---|---|---|---|---|---|---|---|\n",
        problem.name, problem.n_train, problem.n_test
    );
    for row in &problem.rows {
        out.push_str(&line(row));
    }
    for row in &problem.baselines {
        out.push_str(&baseline(row));
    }
    for row in &problem.baselines {
        if let Some(note) = &row.note {
            let _ = writeln!(out, "\n{}: {note}", row.name);
        }
    }
}

fn line(row: &ProblemRow) -> String {
    let n = row.seeds.scores.first().and_then(|score| score.n_parameters);
    let settings = row.settings.join(" ");
    format!(
        "| **{}** | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        row.label,
        n.map_or_else(|| "–".to_owned(), |n| n.to_string()),
        row.multiply_adds,
        row.seeds.scores.len(),
        percent(&row.chosen()),
        percent(&row.last()),
        percent(&row.best()),
        heads(row),
        row.seconds().map_or("–".to_owned(), |s| format!("{s:.3}")),
        if settings.is_empty() { "–".to_owned() } else { format!("`{settings}`") },
    )
}

/// Distance of the heads, and relative to their size.
fn heads(row: &ProblemRow) -> String {
    let mean = |of: fn(&HeadDistances) -> f64| {
        moments(&row.heads.iter().map(of).collect::<Vec<_>>()).map(|(mean, _)| mean)
    };
    match (mean(|heads| heads.distance), mean(|heads| heads.relative)) {
        (Some(distance), Some(relative)) => format!("{distance:.1} ({relative:.3})"),
        _ => "–".to_owned(),
    }
}

fn baseline(row: &ClassRow) -> String {
    let accuracy = row.test.as_ref().map(|test| test.accuracy);
    format!(
        "| {} | {} | – | – | {} | – | – | – | – | – |\n",
        row.name,
        row.n_parameters.map_or_else(|| "–".to_owned(), |n| n.to_string()),
        accuracy.map_or_else(|| "–".to_owned(), |x| format!("{:.2}", 100.0 * x)),
    )
}

/// Mean and interval in percent.
fn percent(values: &[f64]) -> String {
    match mean_and_half_width(values) {
        None => "–".to_owned(),
        Some((mean, None)) => format!("{:.2}", 100.0 * mean),
        Some((mean, Some(half))) => format!("{:.2} ± {:.2}", 100.0 * mean, 100.0 * half),
    }
}
