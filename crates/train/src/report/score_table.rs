//! The content of score tables, before it becomes text or HTML.

use super::comparison::{baselines, groups, median_and_range, model_row, run_labels};
use super::format::{MISSING, Notation, count, magnitude};
use super::schema::{DataInfo, Report};
use super::score::{LongRun, ScoreRow, VptRow};

/// Most variables with a column of their own.
pub(super) const MAX_VARIABLE_COLUMNS: usize = 6;

/// One figure about a method.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Metric {
    Parameters,
    MultiplyAdds,
    SecondsPerEpoch,
    OneStepMse,
    /// Mean over the variables.
    RelativeL2,
    /// Of the variable with this index and name.
    RelativeL2Of(usize, String),
    /// At this threshold.
    Vpt(f64),
    /// After this many steps.
    ErrorAt(usize),
    /// Of the variable with this index and name.
    ClimateStdRatio(usize, String),
    /// The entry of [`LONG_RUN`] with this index.
    LongRun(usize),
}

/// One statistic of whole free runs.
type OfLongRun = fn(&LongRun) -> Option<f64>;

/// Heading, value, and whether less is better, of each statistic of whole free runs.
const LONG_RUN: [(&str, OfLongRun, bool); 7] = [
    ("KL / nats", |l| l.divergence, true),
    ("spectra", |l| l.spectral_distance, true),
    ("λ₁ of the map", |l| l.lyapunov_exponent, false),
    ("MASE", |l| l.mase, true),
    ("sMAPE / %", |l| l.smape_percent, false),
    ("mean profile", |l| l.mean_profile_error, true),
    ("fluctuations", |l| l.fluctuation_error, true),
];

/// What stands in a table for a metric of a method.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Missing,
    /// A whole number.
    Count(u64),
    /// A large whole number, rounded.
    Magnitude(u64),
    /// A number.
    Number(f64, Digits),
    /// A middle value between two others; some may only be known to be at least that large.
    Spread {
        values: [f64; 3],
        at_least: [bool; 3],
        digits: Digits,
    },
}

/// How precisely numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digits {
    /// Three significant digits: for numbers of any size.
    Significant,
    /// Two decimals, fewer from 10 on: for numbers that are read side by side.
    Decimals,
}

/// Whose figures a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowKind {
    /// A trained model; of several seeds their median.
    Model,
    /// One of several seeds of the model above.
    Seed,
    Baseline,
}

/// One line of a table.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) note: Option<String>,
    pub(super) kind: RowKind,
    pub(super) cells: Vec<Cell>,
}

/// Lines over the same metrics: models first, baselines last.
pub(super) struct ScoreTable {
    pub(super) metrics: Vec<Metric>,
    pub(super) rows: Vec<Row>,
}

impl ScoreTable {
    /// `metrics` of every method of one run.
    pub(super) fn of_run(report: &Report, metrics: Vec<Metric>) -> Self {
        let (below, above): (Vec<_>, Vec<_>) =
            report.scores.iter().partition(|score| score.is_baseline);
        let rows = above.into_iter().chain(below).map(|score| Row::of(score, &metrics)).collect();
        Self { metrics, rows }
    }

    /// `metrics` of several runs: seeds of one model under their median, every baseline once.
    pub(super) fn of_runs(reports: &[Report], metrics: Vec<Metric>) -> Self {
        let mut rows = Vec::new();
        for group in groups(reports) {
            let scores: Vec<_> = group.reports.iter().filter_map(|run| model_row(run)).collect();
            match scores[..] {
                [] => {}
                [score] => rows.push(Row { name: group.label.clone(), ..Row::of(score, &metrics) }),
                _ => {
                    let cells = metrics.iter().map(|metric| metric.over_seeds(&scores)).collect();
                    let name = format!("{} ({} seeds)", group.label, scores.len());
                    rows.push(Row { name, note: None, kind: RowKind::Model, cells });
                    let runs = group.reports.iter().zip(run_labels(&group));
                    rows.extend(runs.filter_map(|(run, name)| {
                        let row = Row::of(model_row(run)?, &metrics);
                        Some(Row { name, kind: RowKind::Seed, ..row })
                    }));
                }
            }
        }
        rows.extend(baselines(reports).into_iter().map(|score| Row::of(score, &metrics)));
        Self { metrics, rows }
    }

    /// Index of the row with the best value of a metric; `None` where there is no best.
    pub(super) fn best(&self, column: usize) -> Option<usize> {
        let sign = match self.metrics[column] {
            Metric::OneStepMse
            | Metric::RelativeL2
            | Metric::RelativeL2Of(..)
            | Metric::ErrorAt(_) => 1.0,
            Metric::LongRun(i) if LONG_RUN[i].2 => 1.0,
            Metric::Vpt(_) => -1.0,
            _ => return None,
        };
        self.rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.kind != RowKind::Seed)
            .filter_map(|(i, row)| Some((i, sign * row.cells[column].value()?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(i, _)| i)
    }
}

/// The metrics of the short table: what decides which method to take.
pub(super) fn main_metrics<'a>(scores: impl Iterator<Item = &'a ScoreRow>) -> Vec<Metric> {
    let mut metrics: Vec<Metric> = thresholds(scores).into_iter().map(Metric::Vpt).collect();
    metrics.extend([Metric::OneStepMse, Metric::RelativeL2, Metric::Parameters]);
    metrics
}

/// The metrics per variable and horizon.
pub(super) fn detail_metrics<'a>(
    scores: impl Iterator<Item = &'a ScoreRow> + Clone,
    data: &DataInfo,
) -> Vec<Metric> {
    let mut horizons: Vec<usize> =
        scores.clone().flat_map(|row| row.error_at.iter().map(|at| at.steps)).collect();
    horizons.sort_unstable();
    horizons.dedup();

    let mut metrics: Vec<Metric> = horizons.into_iter().map(Metric::ErrorAt).collect();
    let has = |metric: &Metric| scores.clone().any(|row| metric.value(row).is_some());
    metrics.extend((0..LONG_RUN.len()).map(Metric::LongRun).filter(has));
    if data.columns.len() <= MAX_VARIABLE_COLUMNS {
        let columns = || data.columns.iter().cloned().enumerate();
        if scores.clone().any(|row| row.relative_l2_percent.is_some()) {
            metrics.extend(columns().map(|(i, name)| Metric::RelativeL2Of(i, name)));
        }
        if scores.clone().any(|row| row.climate_std_ratio.is_some()) {
            metrics.extend(columns().map(|(i, name)| Metric::ClimateStdRatio(i, name)));
        }
    }
    metrics
}

/// Every metric: what decides, what it costs, then the details.
pub(super) fn all_metrics<'a>(
    scores: impl Iterator<Item = &'a ScoreRow> + Clone,
    data: &DataInfo,
) -> Vec<Metric> {
    let mut metrics = main_metrics(scores.clone());
    metrics.extend([Metric::MultiplyAdds, Metric::SecondsPerEpoch]);
    metrics.extend(detail_metrics(scores, data));
    metrics
}

/// Thresholds of valid prediction times, in order, each once.
pub(super) fn thresholds<'a>(scores: impl Iterator<Item = &'a ScoreRow>) -> Vec<f64> {
    let mut thresholds: Vec<f64> =
        scores.flat_map(|row| row.vpt.iter().map(|vpt| vpt.threshold)).collect();
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    thresholds
}

impl Row {
    fn of(score: &ScoreRow, metrics: &[Metric]) -> Self {
        Self {
            name: score.name.clone(),
            note: score.note.clone(),
            kind: if score.is_baseline { RowKind::Baseline } else { RowKind::Model },
            cells: metrics.iter().map(|metric| metric.cell(score)).collect(),
        }
    }
}

impl Metric {
    /// The heading over neighbouring columns of one kind, with the unit.
    pub(super) fn family(&self, unit: &str) -> String {
        match self {
            Self::Parameters | Self::MultiplyAdds | Self::SecondsPerEpoch => "cost".into(),
            Self::OneStepMse => "one step".into(),
            Self::RelativeL2 | Self::RelativeL2Of(..) => "relative L² / %".into(),
            Self::Vpt(_) => format!("valid prediction time / {unit}"),
            Self::ErrorAt(_) => "median relative error after".into(),
            Self::ClimateStdRatio(..) => "std, free run ∶ truth".into(),
            Self::LongRun(..) => "whole free runs".into(),
        }
    }

    /// The heading below [`Metric::family`].
    pub(super) fn name(&self) -> String {
        match self {
            Self::Parameters => "parameters".into(),
            Self::MultiplyAdds => "multiply-adds".into(),
            Self::SecondsPerEpoch => "s / epoch".into(),
            Self::OneStepMse => "MSE".into(),
            Self::RelativeL2 => "mean".into(),
            Self::RelativeL2Of(_, name) | Self::ClimateStdRatio(_, name) => name.clone(),
            Self::Vpt(threshold) => format!("error ≤ {threshold}"),
            Self::ErrorAt(steps) => format!("{steps} steps"),
            Self::LongRun(i) => LONG_RUN[*i].0.into(),
        }
    }

    /// A heading that stands alone in a narrow column.
    pub(super) fn short_name(&self) -> String {
        match self {
            Self::Parameters => "params".into(),
            Self::MultiplyAdds => "mult-adds".into(),
            Self::SecondsPerEpoch => "s/epoch".into(),
            Self::OneStepMse => "MSE".into(),
            Self::RelativeL2 => "rel L2 %".into(),
            Self::RelativeL2Of(_, name) => format!("L2% {name}"),
            Self::Vpt(threshold) => format!("VPT {threshold}"),
            Self::ErrorAt(steps) => format!("err@{steps}"),
            Self::ClimateStdRatio(_, name) => format!("std {name}"),
            Self::LongRun(i) => LONG_RUN[*i].0.into(),
        }
    }

    fn cell(&self, score: &ScoreRow) -> Cell {
        let number = |value: f64| Cell::Number(value, self.digits());
        match self {
            Self::Parameters => score.n_parameters.map_or(Cell::Missing, Cell::Count),
            Self::MultiplyAdds => score.multiply_adds.map_or(Cell::Missing, Cell::Magnitude),
            Self::Vpt(threshold) => score.vpt_at(*threshold).map_or(Cell::Missing, quartiles),
            _ => self.value(score).filter(|value| value.is_finite()).map_or(Cell::Missing, number),
        }
    }

    /// Median and range of the values of several seeds.
    fn over_seeds(&self, scores: &[&ScoreRow]) -> Cell {
        let values: Vec<f64> = scores.iter().filter_map(|score| self.value(score)).collect();
        match median_and_range(&values) {
            None => Cell::Missing,
            Some([_, low, high]) if low.to_bits() == high.to_bits() => {
                self.cell(scores[0]).middle()
            }
            Some(values) => Cell::Spread { values, at_least: [false; 3], digits: self.digits() },
        }
    }

    fn digits(&self) -> Digits {
        match self {
            Self::Vpt(_) | Self::ClimateStdRatio(..) => Digits::Decimals,
            _ => Digits::Significant,
        }
    }

    fn value(&self, score: &ScoreRow) -> Option<f64> {
        match self {
            Self::Parameters => score.n_parameters.map(|n| n as f64),
            Self::MultiplyAdds => score.multiply_adds.map(|n| n as f64),
            Self::SecondsPerEpoch => score.seconds_per_epoch,
            Self::OneStepMse => score.one_step_mse,
            Self::RelativeL2 => score.relative_l2_percent.as_ref().map(|error| error.mean),
            Self::RelativeL2Of(i, _) => {
                score.relative_l2_percent.as_ref()?.per_variable.get(*i).copied()
            }
            Self::Vpt(threshold) => score.vpt_at(*threshold).map(|vpt| vpt.median),
            Self::ErrorAt(steps) => {
                score.error_at.iter().find(|at| at.steps == *steps).map(|at| at.median)
            }
            Self::ClimateStdRatio(i, _) => score.climate_std_ratio.as_ref()?.get(*i).copied(),
            Self::LongRun(i) => LONG_RUN[*i].1(&score.long_run),
        }
    }
}

impl Cell {
    /// The cell as text; quartiles and ranges in brackets.
    pub(super) fn text(&self, notation: Notation) -> String {
        match self {
            Self::Missing => MISSING.into(),
            Self::Count(n) => count(*n),
            Self::Magnitude(n) => magnitude(*n),
            Self::Number(value, digits) => digits.text(*value, *value, notation),
            Self::Spread { values, at_least, digits } => {
                let [middle, low, high] = [0, 1, 2].map(|i| {
                    let bound = if at_least[i] { "≥" } else { "" };
                    format!("{bound}{}", digits.text(values[i], values[0], notation))
                });
                format!("{middle} [{low}–{high}]")
            }
        }
    }

    /// The one number by which rows are compared.
    fn value(&self) -> Option<f64> {
        match self {
            Self::Missing => None,
            Self::Count(n) | Self::Magnitude(n) => Some(*n as f64),
            Self::Number(value, _) | Self::Spread { values: [value, ..], .. } => Some(*value),
        }
    }

    /// The cell without its spread.
    fn middle(self) -> Self {
        match self {
            Self::Spread { values: [middle, ..], digits, .. } => Self::Number(middle, digits),
            cell => cell,
        }
    }
}

impl Digits {
    /// `value`, as precise as its row needs: decimals follow `guide`, the middle of a spread.
    fn text(self, value: f64, guide: f64, notation: Notation) -> String {
        match self {
            Self::Significant => notation.significant(value, 3),
            Self::Decimals => {
                // A hundred and more need none, ten and more one; the limits round up to these.
                let decimals = [9.995, 99.95].into_iter().filter(|limit| guide.abs() < *limit);
                notation.decimals(value, decimals.count())
            }
        }
    }
}

/// Median and quartiles; rollouts that never crossed the threshold make them lower bounds.
fn quartiles(vpt: &VptRow) -> Cell {
    if !vpt.median.is_finite() {
        return Cell::Missing;
    }
    Cell::Spread {
        values: [vpt.median, vpt.q25, vpt.q75],
        at_least: [vpt.is_bound(0.5), vpt.is_bound(0.75), vpt.is_bound(0.25)],
        digits: Digits::Decimals,
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::RowKind::{Baseline, Model, Seed};
    use super::*;

    #[test]
    fn a_time_that_most_rollouts_outlast_is_a_lower_bound() {
        let mut vpt = VptRow {
            threshold: 0.4,
            median: 9.0,
            q25: 7.0,
            q75: 11.04,
            mean: 9.0,
            n: 8,
            n_censored: 2,
        };
        assert_eq!(quartiles(&vpt).text(Notation::Plain), "9.00 [7.00–≥11.04]");
        vpt.n_censored = 4;
        assert_eq!(quartiles(&vpt).text(Notation::Plain), "≥9.00 [7.00–≥11.04]");
        vpt.n_censored = 0;
        assert_eq!(quartiles(&vpt).text(Notation::Plain), "9.00 [7.00–11.04]");
        vpt.median = f64::NAN;
        assert_eq!(quartiles(&vpt).text(Notation::Plain), "–");
    }

    #[test]
    fn the_best_row_is_a_baseline_when_a_baseline_is_best() {
        let report = synthetic::lorenz();
        let table = ScoreTable::of_run(&report, main_metrics(report.scores.iter()));
        let best = |metric| {
            let column = table.metrics.iter().position(|other| *other == metric).unwrap();
            table.best(column).map(|row| table.rows[row].name.as_str())
        };
        assert_eq!(best(Metric::OneStepMse), Some("linear AR(32)"));
        assert_eq!(best(Metric::Vpt(0.4)), Some("NVAR"));
        assert_eq!(best(Metric::Parameters), None);
    }

    #[test]
    fn seeds_stand_below_their_median() {
        let reports = synthetic::comparison();
        let table = ScoreTable::of_runs(&reports, vec![Metric::Parameters, Metric::OneStepMse]);
        let rows: Vec<_> = table.rows.iter().map(|row| (row.kind, row.name.as_str())).collect();
        assert_eq!(
            rows,
            [
                (Model, "easy attention (3 seeds)"),
                (Seed, "seed 0"),
                (Seed, "seed 1"),
                (Seed, "seed 2"),
                (Model, "softmax attention"),
                (Model, "lstm (2 seeds)"),
                (Seed, "seed 0"),
                (Seed, "seed 1"),
                (Baseline, "linear AR(32)"),
                (Baseline, "NVAR"),
                (Baseline, "climatology"),
                (Baseline, "persistence"),
            ]
        );
        assert_eq!(table.rows[0].cells[0], Cell::Count(21_252));
        let errors = [1, 2, 3].map(|row| table.rows[row].cells[1].value().unwrap());
        let expected = median_and_range(&errors).unwrap();
        assert_eq!(
            table.rows[0].cells[1],
            Cell::Spread { values: expected, at_least: [false; 3], digits: Digits::Significant }
        );
    }
}
