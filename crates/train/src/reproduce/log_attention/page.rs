//! The page of the study.

use std::fmt::Write;

use super::scaling::Pair;
use super::{CharacterRow, LogResults, Scaling};
use crate::metric::confidence::mean_and_half_width;

const PREFACE: &str = "\
Attention whose score of a query and a key is `log Σ_i exp(q_i + k_i)` (Heinsen 2024, arXiv:2404.05843): with log-values it
is a composition of log-sums of exponentials, and what all keys and values leave behind has a fixed size. It is linear
attention with the feature map exp, in logarithms. The paper gives one figure, the loss of one long run; everything below is measured here.";

pub(super) fn page(results: &LogResults) -> String {
    let mut out = format!("# Log attention\n\n{PREFACE}\n\n");
    let form = if results.quick { "quick form: one seed, small budgets; " } else { "" };
    let _ = writeln!(
        out,
        "Made by `{}`, {}; {form}{}, {:.1} minutes.\n",
        results.command,
        results.version,
        results.device,
        results.seconds / 60.0
    );
    out.push_str("## Claims\n\n| claim | measured | verdict |\n|---|---|---|\n");
    for claim in &results.claims {
        let _ = writeln!(out, "| {} | {} | **{}** |", claim.claim, claim.measured, claim.verdict);
    }
    forms(&mut out, results);
    if let Some(scaling) = &results.scaling {
        lengths(&mut out, scaling);
    }
    match &results.characters {
        Some(characters) => table(&mut out, &characters.rows),
        None => out.push_str("\nCharacter models: not run; they need a text, `--data FILE`.\n"),
    }
    out
}

fn forms(out: &mut String, results: &LogResults) {
    out.push_str(
        "\n## One function in several forms\n\nLargest distance from the pairwise form in f64, one causal head of \
         width 16; queries, keys and log-values are normal with the deviation given.\n\n\
         | tokens | deviation | linearised | sequential | chunks | stream | chunks, f32 | chunks of 7 in two \
         parts, f32 |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in &results.forms.rows {
        let _ = writeln!(
            out,
            "| {} | {} | {:.1e} | {:.1e} | {:.1e} | {:.1e} | {:.1e} | {:.1e} |",
            row.length,
            row.size,
            row.linearised,
            row.sequential,
            row.chunked,
            row.stream,
            row.chunked_single,
            row.split_single
        );
    }
}

fn lengths(out: &mut String, scaling: &Scaling) {
    out.push_str(
        "\n## Time against length\n\nLog / softmax attention of this library; batch 1, 8 heads of width 64, causal, \
         f32, medians. The next token: a stream with sums in f64, and one query over as many stored keys and values. \
         PyTorch beside them, and memory: `bench/run --only 'log/*'`.\n\n\
         | tokens | forward, ms | forward and backward, ms | next token, µs |\n|---|---|---|---|\n",
    );
    let show = |pair: Pair<f64>| format!("{:.2} / {:.2}", pair.log, pair.softmax);
    for row in &scaling.rows {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            row.length,
            show(row.forward),
            show(row.train),
            show(row.step)
        );
    }
}

fn table(out: &mut String, rows: &[CharacterRow]) {
    out.push_str(
        "\n## Character models\n\nValidation loss, nats per character, over the last tenth of the text in windows of \
         64 side by side; mean over the seeds ± half-width of its 95 % interval by Student's t. *Kept*: the least of \
         ten scorings, whose parameters are kept, so that it is chosen on what it is measured on; *last*: after the \
         last step. *Equal seconds*: as long as log attention took. \
         Seconds: the shortest time between two scorings, which other programs disturbed least, times their number; mean \
         over the seeds.\n\n\
         | model | parameters | steps | seeds | kept | last | seconds |\n|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let label = if row.equal_seconds {
            format!("{}, equal seconds", row.label)
        } else {
            row.label.clone()
        };
        let _ = writeln!(
            out,
            "| {label} | {} | {} | {} | {} | {} | {:.0} |",
            row.n_parameters,
            row.steps,
            row.best.len(),
            interval(&row.best),
            interval(&row.last),
            mean_and_half_width(&row.seconds).map_or(f64::NAN, |(mean, _)| mean)
        );
    }
    out.push_str("\nEvery seed, kept / last: ");
    let seeds = |row: &CharacterRow| {
        let pairs = row.best.iter().zip(&row.last).map(|(a, b)| format!("{a:.3} / {b:.3}"));
        format!("{} {}", row.label, pairs.collect::<Vec<_>>().join(", "))
    };
    out.push_str(&rows.iter().map(seeds).collect::<Vec<_>>().join("; "));
    out.push_str(".\n");
}

fn interval(values: &[f64]) -> String {
    match mean_and_half_width(values) {
        None => "–".to_owned(),
        Some((mean, None)) => format!("{mean:.3}"),
        Some((mean, Some(half))) => format!("{mean:.3} ± {half:.3}"),
    }
}
