//! The page of a study.

use std::fmt::Write;

use super::{ForecastStudy, Results, RowResult, THRESHOLD, median};

pub(super) fn page(study: &ForecastStudy, results: &Results) -> String {
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
    for experiment in &results.experiments {
        let unit = experiment.rows.first().map_or("", |r| r.unit.as_str());
        let _ = write!(
            out,
            "\n## {}\n\nValid time: until the error of a free run exceeds {THRESHOLD} of the size of the \
             state, in {unit}, median over the starts; then median [range] over the seeds.\n\n\
             | method | parameters | multiply-adds | seeds | one-step MSE | valid time | chosen on \
             validation | best on test | std, free run ∶ truth | training, s |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
            experiment.title
        );
        for row in &experiment.rows {
            out.push_str(&line(row));
        }
        for row in &experiment.rows {
            if let Some(note) = row.scores.first().and_then(|s| s.note.as_ref()) {
                let _ = writeln!(out, "\n{}: {note}", row.label);
            }
        }
    }
    out.push_str(
        "\nOne-step MSE in standardised units. A small one-step error says little where the time step is \
         small: compare valid times. Every run has its own folder with `report.html` below the folder of \
         this study; definitions are in `docs/metrics.md`.\n",
    );
    out
}

fn line(row: &RowResult) -> String {
    let first = row.scores.first();
    let integer = |x: Option<u64>| x.map_or_else(|| "–".to_owned(), |x| x.to_string());
    let number = |x: Option<f64>| x.filter(|x| x.is_finite()).map_or("–".to_owned(), figure);
    let mse: Vec<f64> = row.scores.iter().filter_map(|s| s.one_step_mse).collect();
    let times = row.valid_times();
    let valid = match (row.median_valid_time(), &times[..]) {
        (Some(time), [_]) => figure(time),
        (Some(time), _) => {
            let low = times.iter().copied().fold(f64::INFINITY, f64::min);
            let high = times.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            format!("{} [{}–{}]", figure(time), figure(low), figure(high))
        }
        (None, _) => "–".to_owned(),
    };
    let censored = row
        .scores
        .iter()
        .filter_map(|s| s.vpt_at(THRESHOLD))
        .any(|v| 2 * v.n_censored >= v.n && v.n > 0);
    let std = first.and_then(|s| s.climate_std_ratio.as_ref()).map_or("–".to_owned(), |ratios| {
        let low = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let high = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if low <= high { format!("{}–{}", figure(low), figure(high)) } else { "–".to_owned() }
    });
    let seeds = if row.is_baseline { "–".to_owned() } else { row.scores.len().to_string() };
    let label = if row.is_baseline { row.label.clone() } else { format!("**{}**", row.label) };
    format!(
        "| {label} | {} | {} | {seeds} | {} | {}{valid} | {} | {} | {std} | {} |\n",
        integer(first.and_then(|s| s.n_parameters)),
        integer(first.and_then(|s| s.multiply_adds)),
        number(median(&mse)),
        if censored { "≥ " } else { "" },
        number(row.chosen_on_validation()),
        if row.is_baseline { "–".to_owned() } else { number(row.best_on_test()) },
        number(median(&row.seconds)),
    )
}

/// Three significant digits.
fn figure(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    let magnitude = x.abs().log10().floor();
    if !(-3.0..6.0).contains(&magnitude) {
        return format!("{x:.2e}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let digits = (2.0 - magnitude).max(0.0) as usize;
    format!("{x:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn figures_have_three_digits() {
        let found = [0.0, 1.0, 12.345, 123.4, 1234.5, 0.012_34, 1.234e-9].map(figure);
        assert_eq!(found, ["0", "1.00", "12.3", "123", "1234", "0.0123", "1.23e-9"]);
    }
}
