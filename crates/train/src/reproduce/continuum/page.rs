//! The page of the study.

use std::fmt::Write;

use super::{ContinuumResults, OperatorProblem, OperatorSeeds};
use crate::metric::confidence::mean_and_half_width;

const PREFACE: &str = "\
Re-implementation of the operators of Calvello et al. 2025 (arXiv:2406.06486) on data of the same equations, made by
`regard data make`; the published data and generators are not public, and no error that the paper prints was available
to us, so that none stands here. One set of weights is scored on all test parts; the first has the points of the
training part (1,000 functions of time at dt = 0.02, or 320 fields on 64 × 64 centres of cells), the others are never
seen in training: other rates, half the rate in the second half, times at sorted normal draws; other resolutions. The
weights of the best validation epoch are kept; test parts are scored once.";

pub(super) fn page(results: &ContinuumResults) -> String {
    let mut out = format!("# Continuum attention\n\n{PREFACE}\n\n");
    let minutes = results.seconds / 60.0;
    let form =
        if results.quick { "quick form: one seed, a tenth of the data, 3 epochs; " } else { "" };
    let _ = writeln!(
        out,
        "Made by `{}`, {}; {form}{}, {minutes:.1} minutes.\n",
        results.command, results.version, results.device
    );
    out.push_str("## Claims\n\n| claim | measured | verdict |\n|---|---|---|\n");
    for claim in &results.claims {
        let _ = writeln!(out, "| {} | {} | **{}** |", claim.claim, claim.measured, claim.verdict);
    }
    for problem in &results.problems {
        let _ = writeln!(out, "\n## {}", problem.title);
        table(
            &mut out,
            problem,
            "Relative L2 error of normalised functions, %: mean over the seeds ± half-width of its 95 % interval \
             by Student's t. *Certified*: whether `regard certify` passes the run of seed 0.",
            OperatorSeeds::normalized,
        );
        table(&mut out, problem, "The same in physical units, %.", OperatorSeeds::physical);
    }
    out.push_str(
        "\nBaselines know the points of the training part alone. Seconds: the fastest epoch times their number. \
         Every run has its own folder with `report.html` below the folder of this study; definitions are in \
         `docs/metrics.md`.\n",
    );
    out
}

fn table(
    out: &mut String,
    problem: &OperatorProblem,
    caption: &str,
    of: fn(&OperatorSeeds, usize) -> Vec<f64>,
) {
    let parts = problem.parts.join(" | ");
    let _ = write!(
        out,
        "\n{caption}\n\n| method | parameters | seeds | epochs | seconds | certified | {parts} |\n|{}\n",
        "---|".repeat(6 + problem.parts.len())
    );
    for row in &problem.rows {
        let label = if row.is_baseline { row.label.clone() } else { format!("**{}**", row.label) };
        let n = row.scores.first().and_then(|scores| scores.n_parameters);
        let dash = || "–".to_owned();
        let trained = |text: String| if row.is_baseline { dash() } else { text };
        let errors: Vec<String> =
            (0..problem.parts.len()).map(|part| percent(&of(row, part))).collect();
        let _ = writeln!(
            out,
            "| {label} | {} | {} | {} | {} | {} | {} |",
            n.map_or_else(dash, |n| n.to_string()),
            trained(row.scores.len().to_string()),
            trained(row.epochs.to_string()),
            trained(format!("{:.0}", row.least_seconds())),
            row.certified.map_or_else(dash, |yes| if yes { "yes" } else { "no" }.to_owned()),
            errors.join(" | ")
        );
    }
}

/// Three digits of a share.
pub(super) fn percent(values: &[f64]) -> String {
    let figure = |x: f64| {
        let x = 100.0 * x;
        let digits = if x >= 10.0 {
            1
        } else if x >= 0.1 {
            2
        } else {
            4
        };
        format!("{x:.digits$}")
    };
    match mean_and_half_width(values) {
        None => "–".to_owned(),
        Some((mean, None)) => figure(mean),
        Some((mean, Some(half))) => format!("{} ± {}", figure(mean), figure(half)),
    }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn shares_have_three_digits() {
        assert_eq!(percent(&[0.1234]), "12.3");
        assert_eq!(percent(&[0.012_34]), "1.23");
        assert_eq!(percent(&[1.234e-6]), "0.0001");
        assert_eq!(percent(&[]), "–");
    }
}
