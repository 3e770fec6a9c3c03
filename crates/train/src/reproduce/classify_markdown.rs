//! The page of a study of classes.

use std::fmt::Write;

use super::classify::{ClassifyResults, ClassifyStudy, SeedRow};
use crate::metric::confidence::{mean_and_half_width, moments};
use crate::report::ClassRow;

pub(super) fn page(study: &ClassifyStudy, results: &ClassifyResults) -> String {
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
    let _ = write!(
        out,
        "\n## Accuracy on the test part, %\n\nMean over the seeds ± half-width of its 95 % interval by \
         Student's t. *Chosen*: the epoch that the held-out persons ({}) chose. *Best on \
         test*: the epoch that the test part itself would have chosen, as much of the literature reports.\n\n\
         | method | parameters | seeds | chosen on validation | last epoch | last five | best on test | \
         validation | macro F1 | s per epoch |\n|---|---|---|---|---|---|---|---|---|---|\n",
        results.held_out.join(", ")
    );
    for row in &results.rows {
        out.push_str(&line(row));
    }
    for row in &results.rows {
        if let Some(note) = row.scores.first().and_then(|s| s.note.as_ref()) {
            let _ = writeln!(out, "\n{}: {note}", row.label);
        }
    }
    out.push_str("\n## Every seed\n\nChosen on validation / last epoch / best on test, %.\n\n");
    for row in results.rows.iter().filter(|row| !row.is_baseline) {
        let seeds: Vec<String> = row.scores.iter().map(seed).collect();
        let _ = writeln!(out, "- {}: {}", row.label, seeds.join("; "));
    }
    for row in results.rows.iter().filter(|row| !row.is_baseline).take(1).chain(results.row("lstm"))
    {
        confusion(&mut out, row, &results.classes);
    }
    out.push_str(
        "\nEvery run has its own folder with `report.html` below the folder of this study; definitions are \
         in `docs/metrics.md`.\n",
    );
    out
}

fn line(row: &SeedRow) -> String {
    let percent = |values: Vec<f64>| match mean_and_half_width(&values) {
        None => "–".to_owned(),
        Some((mean, None)) => format!("{:.2}", 100.0 * mean),
        Some((mean, Some(half))) => format!("{:.2} ± {:.2}", 100.0 * mean, 100.0 * half),
    };
    let number = |values: Vec<f64>, digits: usize| {
        moments(&values).map_or("–".to_owned(), |(mean, _)| format!("{mean:.digits$}"))
    };
    let label = if row.is_baseline { row.label.clone() } else { format!("**{}**", row.label) };
    let n = row.scores.first().and_then(|s| s.n_parameters);
    format!(
        "| {label} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        n.map_or("–".to_owned(), |n| n.to_string()),
        if row.is_baseline { "–".to_owned() } else { row.scores.len().to_string() },
        percent(row.chosen()),
        percent(row.values(|s| s.last_epoch)),
        percent(row.values(|s| s.last_five)),
        percent(row.values(|s| s.best_on_test)),
        percent(row.values(|s| s.validation_accuracy)),
        number(row.values(|s| s.test.as_ref().map(|t| t.macro_f1)), 3),
        number(row.values(|s| s.seconds_per_epoch), 1),
    )
}

fn seed(row: &ClassRow) -> String {
    let test = row.test.as_ref().map(|t| t.accuracy);
    let shown = [test, row.last_epoch, row.best_on_test]
        .map(|x| x.map_or("–".to_owned(), |x| format!("{:.2}", 100.0 * x)));
    shown.join(" / ")
}

/// The confusion matrix summed over seeds.
fn confusion(out: &mut String, row: &SeedRow, classes: &[String]) {
    let n = classes.len();
    let mut sum = vec![vec![0u64; n]; n];
    for test in row.scores.iter().filter_map(|s| s.test.as_ref()) {
        for (sum, counts) in sum.iter_mut().zip(&test.confusion) {
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }
    let _ = write!(
        out,
        "\n## Confusion of {}, summed over seeds\n\nTrue class in rows, named class in columns.\n\n| | {} |\n|{}\n",
        row.label,
        classes.join(" | "),
        "---|".repeat(n + 1)
    );
    for (class, counts) in classes.iter().zip(&sum) {
        let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "| {class} | {} |", counts.join(" | "));
    }
}
