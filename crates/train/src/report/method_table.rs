//! A table of methods, whatever the task: rows and cells as text.

use super::format::{MISSING, Notation, count};
use super::score_table::RowKind;
use crate::metric::confidence::mean_and_half_width;

/// What a table tells of every method; `R` are the scores of one.
pub(super) struct Column<R> {
    /// Name in a terminal.
    short: String,
    /// Name on a page.
    long: String,
    form: Form,
    of: Value<R>,
}

/// A number among the scores of one method.
type Value<R> = Box<dyn Fn(&R) -> Option<f64>>;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A share, with the half-width of its interval over seeds.
    Percent,
    /// Four decimals, with the half-width.
    Fine,
    /// Three decimals.
    Decimals,
    /// A whole number.
    Count,
    /// Three digits.
    Significant,
}

/// Rows of methods, cells in the order of the columns.
#[derive(Clone, Debug)]
pub(super) struct MethodTable {
    /// Short and full names of the columns.
    pub(super) columns: Vec<(String, String)>,
    pub(super) rows: Vec<MethodRow>,
}

/// One method, or one seed of it.
#[derive(Clone, Debug)]
pub(super) struct MethodRow {
    pub(super) name: String,
    pub(super) kind: RowKind,
    pub(super) cells: Vec<String>,
    /// Why figures are missing.
    pub(super) note: Option<String>,
}

/// What the scores of any method have.
pub(super) trait Scored {
    fn name(&self) -> &str;
    fn is_baseline(&self) -> bool;
    fn note(&self) -> Option<&str> {
        None
    }
}

/// Model, seed and scores of one run, those of the trained model first.
type Run<'a, R> = (&'a str, u64, &'a [R]);

impl<R> Column<R> {
    pub(super) fn new(
        short: impl Into<String>,
        long: impl Into<String>,
        form: Form,
        of: impl Fn(&R) -> Option<f64> + 'static,
    ) -> Self {
        Self { short: short.into(), long: long.into(), form, of: Box::new(of) }
    }

    /// The cell of one method, or of the mean over several seeds.
    fn cell(&self, rows: &[&R]) -> String {
        let values: Vec<f64> = rows.iter().filter_map(|row| (self.of)(row)).collect();
        match mean_and_half_width(&values) {
            Some((mean, half)) if mean.is_finite() => self.form.text(mean, half),
            _ => MISSING.to_owned(),
        }
    }
}

impl Form {
    fn text(self, value: f64, half: Option<f64>) -> String {
        let with = |half: Option<f64>, digits: usize| {
            half.map(|half| format!(" ±{half:.digits$}")).unwrap_or_default()
        };
        match self {
            Self::Percent => {
                format!("{:.2}{}", 100.0 * value, with(half.map(|half| 100.0 * half), 2))
            }
            Self::Fine => format!("{value:.4}{}", with(half, 3)),
            Self::Decimals => format!("{value:.3}"),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count that became a float for its mean"
            )]
            Self::Count => count(value as u64),
            Self::Significant => Notation::Plain.significant(value, 3),
        }
    }
}

impl MethodTable {
    /// The rows of one run.
    pub(super) fn of_run<R: Scored>(columns: &[Column<R>], scores: &[R]) -> Self {
        let rows = scores.iter().map(|row| single(columns, row, None)).collect();
        Self { columns: names(columns), rows }
    }

    /// The rows of several runs: seeds below the mean of their model, then every baseline once.
    pub(super) fn of_runs<R: Scored>(columns: &[Column<R>], runs: &[Run<'_, R>]) -> Self {
        let mut rows = Vec::new();
        let mut models: Vec<&str> = Vec::new();
        for (model, ..) in runs {
            if !models.contains(model) {
                models.push(model);
            }
        }
        for name in models {
            let seeds: Vec<(u64, &R)> = runs
                .iter()
                .filter(|(model, ..)| *model == name)
                .filter_map(|(_, seed, scores)| Some((*seed, scores.first()?)))
                .collect();
            if let [(_, only)] = seeds[..] {
                rows.push(single(columns, only, None));
                continue;
            }
            let all: Vec<&R> = seeds.iter().map(|(_, row)| *row).collect();
            rows.push(MethodRow {
                name: format!("{name} ({} seeds)", seeds.len()),
                kind: RowKind::Model,
                cells: columns.iter().map(|column| column.cell(&all)).collect(),
                note: None,
            });
            rows.extend(seeds.iter().map(|(seed, row)| single(columns, *row, Some(*seed))));
        }
        let mut seen: Vec<&str> = Vec::new();
        for row in runs.iter().flat_map(|(.., scores)| *scores).filter(|row| row.is_baseline()) {
            if !seen.contains(&row.name()) {
                seen.push(row.name());
                rows.push(single(columns, row, None));
            }
        }
        Self { columns: names(columns), rows }
    }
}

fn names<R>(columns: &[Column<R>]) -> Vec<(String, String)> {
    columns.iter().map(|column| (column.short.clone(), column.long.clone())).collect()
}

/// The row of a method, or of one of its seeds.
fn single<R: Scored>(columns: &[Column<R>], row: &R, seed: Option<u64>) -> MethodRow {
    let kind = match (seed, row.is_baseline()) {
        (Some(_), _) => RowKind::Seed,
        (None, true) => RowKind::Baseline,
        (None, false) => RowKind::Model,
    };
    MethodRow {
        name: seed.map_or_else(|| row.name().to_owned(), |seed| format!("seed {seed}")),
        kind,
        cells: columns.iter().map(|column| column.cell(&[row])).collect(),
        note: row.note().map(str::to_owned),
    }
}
