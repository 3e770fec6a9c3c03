//! Score tables for a terminal: aligned columns, baselines below a rule, at most 100 columns wide.

use super::any::RunReport;
use super::class_table;
use super::classify::ClassifyReport;
use super::comparison::same_data;
use super::format::{Notation, count, duration, printable, shorten};
use super::language::LanguageReport;
use super::method_table::MethodTable;
use super::operator::OperatorReport;
use super::schema::Report;
use super::score_table::{Metric, RowKind, ScoreTable, all_metrics, main_metrics};
use super::{language_text, operator_text};

/// Widest line, in characters.
const WIDTH: usize = 100;
/// Widest name of a method.
const NAME: usize = 30;
/// Between two columns.
const GAP: &str = "  ";

/// The scores of one run, with the baselines below a rule and notes on what the numbers mean.
#[must_use]
pub fn table(report: &Report) -> String {
    let table = ScoreTable::of_run(report, main_metrics(report.scores.iter()));
    let mut out = heading(&[
        &report.run.name,
        &format!("seed {}", report.run.seed),
        &format!("{} epochs in {}", report.training.epochs, duration(report.training.seconds)),
        &format!("epoch {} kept", report.training.best_epoch),
    ]);
    push_table(&mut out, &table);
    push_notes(&mut out, &table, report.data.time_scale().unit(), "median [quartiles]");
    push_starts(&mut out, report);
    out
}

/// The scores of several runs, with every metric; seeds of one model stand below their median.
///
/// Columns that do not fit beside each other continue in a second block.
#[must_use]
pub fn comparison_table(reports: &[Report]) -> String {
    let Some(first) = reports.first() else { return String::from("no runs to compare\n") };
    let scores = reports.iter().flat_map(|report| &report.scores);
    let table = ScoreTable::of_runs(reports, all_metrics(scores, &first.data));
    let mut out = heading(&[&format!("{} runs", reports.len()), &first.data.source]);
    push_table(&mut out, &table);
    let unit = first.data.time_scale().unit();
    push_notes(&mut out, &table, unit, "median [quartiles], over seeds median [min–max]");
    if !same_data(reports) {
        push_note(&mut out, "CAUTION: these runs were not scored on the same data.");
    }
    out
}

/// The scores of one run that classifies.
#[must_use]
pub fn classification(report: &ClassifyReport) -> String {
    let training = &report.training;
    let mut out = heading(&[
        &report.run.name,
        &format!("seed {}", report.run.seed),
        &format!("{} epochs in {}", training.epochs, duration(training.seconds)),
        &format!("epoch {} kept", training.best_epoch),
    ]);
    push_classes(&mut out, &class_table::of_run(report));
    if let Some(test) = report.scores.first().and_then(|row| row.test.as_ref()) {
        let (low, high) = test.interval;
        let note = format!(
            "Test part, {} series; 95 % interval of the first figure {:.2} to {:.2} % for independent \
             series.",
            count(test.n as u64),
            100.0 * low,
            100.0 * high
        );
        push_note(&mut out, &note);
    }
    let chosen = match (report.data.validation.n, report.data.validation.groups.len()) {
        (0, _) => "Nothing was held out: the last epoch is kept.".to_owned(),
        (n, 0) => format!("Validation part, {n} series."),
        (n, groups) => format!("Validation part, {n} series of {groups} groups in no other part."),
    };
    push_note(&mut out, &chosen);
    out
}

/// The scores of several runs that classify; seeds stand below the mean of their model.
#[must_use]
pub fn classifications(reports: &[&ClassifyReport]) -> String {
    let Some(first) = reports.first() else { return String::from("no runs to compare\n") };
    let mut out = heading(&[&format!("{} runs", reports.len()), &first.data.source]);
    push_classes(&mut out, &class_table::of_runs(reports));
    push_note(&mut out, "±: 95 % interval of the mean over seeds, by Student's t.");
    if reports.iter().any(|r| r.data.test != first.data.test) {
        push_note(&mut out, "CAUTION: these runs were not scored on the same data.");
    }
    out
}

/// The scores of several runs of one task.
#[must_use]
pub fn runs(reports: &[RunReport]) -> String {
    let classified: Vec<&ClassifyReport> = reports
        .iter()
        .filter_map(|r| match r {
            RunReport::Classify(report) => Some(report),
            _ => None,
        })
        .collect();
    let languages: Vec<&LanguageReport> = reports
        .iter()
        .filter_map(|r| match r {
            RunReport::Language(report) => Some(report),
            _ => None,
        })
        .collect();
    let operators: Vec<&OperatorReport> = reports
        .iter()
        .filter_map(|r| match r {
            RunReport::Operator(report) => Some(report),
            _ => None,
        })
        .collect();
    if !operators.is_empty() {
        return operator_text::operators(&operators);
    }
    if !languages.is_empty() {
        return language_text::languages(&languages);
    }
    if classified.is_empty() {
        let forecasts: Vec<Report> =
            reports.iter().cloned().filter_map(RunReport::forecast).collect();
        return comparison_table(&forecasts);
    }
    classifications(&classified)
}

fn push_classes(out: &mut String, table: &MethodTable) {
    push_methods(
        out,
        table,
        "test %: accuracy of the epoch that the validation part chose. best on test: of the epoch that the \
         test part would have chosen, as much of the literature reports; no one could have.",
    );
}

/// A table of methods, what its columns mean, and why figures are missing.
pub(super) fn push_methods(out: &mut String, table: &MethodTable, meaning: &str) {
    let rows = table.rows.iter();
    let names: Vec<(String, RowKind)> =
        rows.map(|row| (label(&row.name, row.kind, row.note.is_some()), row.kind)).collect();
    let columns: Vec<Vec<String>> = table
        .columns
        .iter()
        .enumerate()
        .map(|(i, (short, _))| {
            let cells = table.rows.iter().map(|row| row.cells[i].clone());
            std::iter::once(short.clone()).chain(cells).collect()
        })
        .collect();
    push_columns(out, &names, &columns);
    out.push('\n');
    push_note(out, meaning);
    for row in &table.rows {
        if let Some(note) = &row.note {
            push_note(out, &format!("* {}: {}", printable(&row.name), printable(note)));
        }
    }
}

pub(super) fn heading(parts: &[&str]) -> String {
    let line = parts.iter().map(|part| printable(part)).collect::<Vec<_>>().join(" · ");
    format!("{}\n\n", shorten(&line, WIDTH))
}

fn push_table(out: &mut String, table: &ScoreTable) {
    let rows = table.rows.iter();
    let names: Vec<(String, RowKind)> =
        rows.map(|row| (label(&row.name, row.kind, row.note.is_some()), row.kind)).collect();
    let columns: Vec<Vec<String>> = (0..table.metrics.len()).map(|i| column(table, i)).collect();
    push_columns(out, &names, &columns);
}

/// Writes columns, each a heading and one cell per name, in as many blocks as their width needs.
pub(super) fn push_columns(out: &mut String, names: &[(String, RowKind)], columns: &[Vec<String>]) {
    let longest = names.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let name_width = longest.max(width("method"));
    let widths: Vec<usize> = columns
        .iter()
        .map(|cells| cells.iter().map(|cell| width(cell)).max().unwrap_or(0))
        .collect();

    let mut next = 0;
    while next < columns.len() {
        let start = next;
        let mut total = name_width;
        while next < columns.len() && (next == start || total + GAP.len() + widths[next] <= WIDTH) {
            total += GAP.len() + widths[next];
            next += 1;
        }
        if start > 0 {
            out.push('\n');
        }
        let line = |name: &str, row: usize| {
            let mut text = format!("{name:<name_width$}");
            for i in start..next {
                text.push_str(GAP);
                text.push_str(&right_aligned(&columns[i][row], widths[i]));
            }
            text.trim_end().to_string() + "\n"
        };
        out.push_str(&line("method", 0));
        out.push_str(&rule(total));
        for (i, (name, kind)) in names.iter().enumerate() {
            let is_first_baseline =
                *kind == RowKind::Baseline && (i > 0 && names[i - 1].1 != RowKind::Baseline);
            if is_first_baseline {
                out.push_str(&rule(total));
            }
            out.push_str(&line(name, i + 1));
        }
    }
}

fn right_aligned(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

fn rule(width: usize) -> String {
    "─".repeat(width) + "\n"
}

pub(super) fn label(name: &str, kind: RowKind, has_note: bool) -> String {
    let indent = if kind == RowKind::Seed { "  " } else { "" };
    let mark = if has_note { " *" } else { "" };
    let room = NAME - indent.len() - mark.len();
    format!("{indent}{}{mark}", shorten(&printable(name), room))
}

/// Heading and cells.
fn column(table: &ScoreTable, i: usize) -> Vec<String> {
    const HEADING: usize = 14;
    let heading = shorten(&printable(&table.metrics[i].short_name()), HEADING);
    let cells = table.rows.iter().map(|row| row.cells[i].text(Notation::Plain));
    std::iter::once(heading).chain(cells).collect()
}

fn push_notes(out: &mut String, table: &ScoreTable, unit: &str, spread: &str) {
    out.push('\n');
    let has = |wanted: fn(&Metric) -> bool| table.metrics.iter().any(wanted);
    push_note(
        out,
        "MSE: one step ahead, standardised units. rel L2 %: one step ahead, physical units, mean \
         over the variables.",
    );
    if has(|metric| matches!(metric, Metric::Vpt(_))) {
        push_note(
            out,
            &format!(
                "VPT: time until the relative error of a free run exceeds the threshold, in {unit}, \
                 {spread}."
            ),
        );
    }
    if has(|metric| matches!(metric, Metric::ErrorAt(_))) {
        push_note(out, "err@N: median relative error of free runs after N steps.");
    }
    if has(|metric| matches!(metric, Metric::ClimateStdRatio(..))) {
        push_note(
            out,
            "std: standard deviation of a long free run over that of the truth; 1 is right.",
        );
    }
    for row in &table.rows {
        if let Some(note) = &row.note {
            push_note(out, &format!("* {}: {}", printable(&row.name), printable(note)));
        }
    }
}

fn push_starts(out: &mut String, report: &Report) {
    if let Some(note) = report.data.ceiling_note() {
        push_note(out, &note);
    }
    let starts = report.scores.iter().flat_map(|row| &row.vpt).map(|vpt| vpt.n).max();
    if let Some(starts) = starts {
        let windows = u64::try_from(report.data.test.n_windows).unwrap_or(u64::MAX);
        push_note(
            out,
            &format!(
                "Test split, {} windows, {starts} free runs. The validation split chose the \
                 weights.",
                count(windows)
            ),
        );
    }
}

/// Writes `text`, broken between words.
pub(super) fn push_note(out: &mut String, text: &str) {
    let mut used = 0;
    for word in text.split_whitespace() {
        let word = shorten(word, WIDTH - 2);
        if used > 0 && used + 1 + width(&word) > WIDTH {
            out.push_str("\n  ");
            used = 2;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(&word);
        used += width(&word);
    }
    out.push('\n');
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;

    #[test]
    fn one_run_with_baselines_below_a_rule() {
        insta::assert_snapshot!(table(&synthetic::lorenz()), @r"
        easy-lorenz · seed 0 · 40 epochs in 1 min 18 s · epoch 29 kept

        method                    VPT 0.3           VPT 0.4            VPT 0.5      MSE  rel L2 %  params
        ─────────────────────────────────────────────────────────────────────────────────────────────────
        easy attention   2.01 [1.41–2.81]  2.25 [1.57–3.15]   2.48 [1.74–3.47]  7.70e-7    0.0650  21,252
        ─────────────────────────────────────────────────────────────────────────────────────────────────
        linear AR(32)    0.16 [0.11–0.22]  0.20 [0.14–0.28]   0.27 [0.19–0.38]  1.10e-8   0.00800     291
        NVAR            9.80 [6.86–13.72]   10.4 [7.3–14.6]  ≥11.1 [7.8–≥15.5]  3.20e-8    0.0130      84
        climatology      0.00 [0.00–0.00]  0.00 [0.00–0.00]   0.00 [0.00–0.00]    0.998      78.0       3
        persistence *                   –                 –                  –        –         –       0

        MSE: one step ahead, standardised units. rel L2 %: one step ahead, physical units, mean over the
          variables.
        VPT: time until the relative error of a free run exceeds the threshold, in Lyapunov times, median
          [quartiles].
        * persistence: the test series are shorter than one rollout
        Test split, 61,700 windows, 100 free runs. The validation split chose the weights.
        ");
    }

    #[test]
    fn several_runs_with_every_metric() {
        insta::assert_snapshot!(comparison_table(&synthetic::comparison()), @r"
        6 runs · simulated Lorenz-63, σ = 10, ρ = 28, β = 8/3

        method                              VPT 0.3           VPT 0.4            VPT 0.5
        ────────────────────────────────────────────────────────────────────────────────
        easy attention (3 seeds)   2.01 [1.70–2.25]  2.25 [1.90–2.52]   2.48 [2.10–2.77]
          seed 0                   2.01 [1.41–2.81]  2.25 [1.57–3.15]   2.48 [1.74–3.47]
          seed 1                   1.70 [1.19–2.38]  1.90 [1.33–2.66]   2.10 [1.47–2.93]
          seed 2                   2.25 [1.57–3.15]  2.52 [1.76–3.52]   2.77 [1.94–3.88]
        softmax attention          1.16 [0.81–1.62]  1.30 [0.91–1.82]   1.43 [1.00–2.00]
        lstm (2 seeds)             2.62 [2.40–2.84]  2.94 [2.69–3.18]   3.24 [2.96–3.51]
          seed 0                   2.84 [1.99–3.98]  3.18 [2.23–4.45]   3.51 [2.46–4.91]
          seed 1                   2.40 [1.68–3.36]  2.69 [1.88–3.76]   2.96 [2.07–4.15]
        ────────────────────────────────────────────────────────────────────────────────
        linear AR(32)              0.16 [0.11–0.22]  0.20 [0.14–0.28]   0.27 [0.19–0.38]
        NVAR                      9.80 [6.86–13.72]   10.4 [7.3–14.6]  ≥11.1 [7.8–≥15.5]
        climatology                0.00 [0.00–0.00]  0.00 [0.00–0.00]   0.00 [0.00–0.00]
        persistence *                             –                 –                  –

        method                                          MSE  rel L2 %  params  mult-adds           s/epoch
        ──────────────────────────────────────────────────────────────────────────────────────────────────
        easy attention (3 seeds)  7.70e-7 [6.16e-7–1.08e-6]    0.0650  21,252     1.93 M  2.06 [2.02–2.13]
          seed 0                                    7.70e-7    0.0650  21,252     1.93 M              2.06
          seed 1                                    1.08e-6    0.0650  21,252     1.93 M              2.13
          seed 2                                    6.16e-7    0.0650  21,252     1.93 M              2.02
        softmax attention                           2.31e-6    0.0650  19,460     3.12 M              2.43
        lstm (2 seeds)            4.62e-7 [3.85e-7–5.39e-7]    0.0650  51,139     1.60 M  1.98 [1.96–2.00]
          seed 0                                    3.85e-7    0.0650  51,139     1.60 M              1.96
          seed 1                                    5.39e-7    0.0650  51,139     1.60 M              2.00
        ──────────────────────────────────────────────────────────────────────────────────────────────────
        linear AR(32)                               1.10e-8   0.00800     291        288                 –
        NVAR                                        3.20e-8    0.0130      84         84                 –
        climatology                                   0.998      78.0       3          –                 –
        persistence *                                     –         –       0          –                 –

        method                     err@50  err@100  err@200    L2% x   L2% y    L2% z  std x  std y  std z
        ──────────────────────────────────────────────────────────────────────────────────────────────────
        easy attention (3 seeds)   0.0290   0.0670    0.213   0.0510  0.0920   0.0520   1.02   1.15   0.99
          seed 0                   0.0290   0.0670    0.213   0.0510  0.0920   0.0520   1.02   1.15   0.99
          seed 1                   0.0290   0.0670    0.213   0.0510  0.0920   0.0520   1.02   1.15   0.99
          seed 2                   0.0290   0.0670    0.213   0.0510  0.0920   0.0520   1.02   1.15   0.99
        softmax attention          0.0290   0.0670    0.213   0.0510  0.0920   0.0520   1.02   1.15   0.99
        lstm (2 seeds)             0.0290   0.0670    0.213   0.0510  0.0920   0.0520   1.02   1.15   0.99
          seed 0                   0.0290   0.0670    0.213   0.0510  0.0920   0.0520   1.02   1.15   0.99
          seed 1                   0.0290   0.0670    0.213   0.0510  0.0920   0.0520   1.02   1.15   0.99
        ──────────────────────────────────────────────────────────────────────────────────────────────────
        linear AR(32)               0.727    0.909    0.851  0.00600  0.0110  0.00700   0.21   0.20   0.31
        NVAR                      1.10e-4  2.30e-4  9.10e-4  0.00900  0.0180   0.0120   1.00   1.00   1.01
        climatology                 0.980    0.990    0.980      100     100     34.1      –      –      –
        persistence *                   –        –        –        –       –        –      –      –      –

        MSE: one step ahead, standardised units. rel L2 %: one step ahead, physical units, mean over the
          variables.
        VPT: time until the relative error of a free run exceeds the threshold, in Lyapunov times, median
          [quartiles], over seeds median [min–max].
        err@N: median relative error of free runs after N steps.
        std: standard deviation of a long free run over that of the truth; 1 is right.
        * persistence: the test series are shorter than one rollout
        ");
    }

    #[test]
    fn no_line_is_wider_than_a_hundred_columns() {
        let mut report = synthetic::lorenz();
        report.run.name = "n".repeat(150);
        report.scores[1].name = "a very long name of a baseline that nobody would type".into();
        report.scores[1].note = Some("word ".repeat(60) + &"x".repeat(150));
        report.data.columns = vec!["temperature of the outer wall".into(); 3];
        let mut runs = synthetic::comparison();
        runs[0] = report.clone();
        for text in [table(&report), comparison_table(&runs)] {
            let longest = text.lines().map(width).max().unwrap();
            assert!(longest <= WIDTH, "{longest} characters in\n{text}");
        }
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let mut report = synthetic::lorenz();
        report.run.name = "a\u{1b}[2Jb".into();
        report.scores[0].name = "c\rd".into();
        report.scores[1].note = Some("e\u{7}f".into());
        let text = table(&report);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    }

    #[test]
    fn runs_on_other_data_are_pointed_out() {
        let mut runs = synthetic::comparison();
        assert!(!comparison_table(&runs).contains("CAUTION"));
        runs[1].data.test.n_windows += 1;
        assert!(comparison_table(&runs).contains("CAUTION"));
        assert_eq!(comparison_table(&[]), "no runs to compare\n");
    }
}
