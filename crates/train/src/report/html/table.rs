//! A score table as HTML; on a narrow screen it scrolls sideways under its first column.

use std::fmt::Display;

use super::super::format::Notation;
use super::super::markup::Markup;
use super::super::method_table::{MethodRow, MethodTable};
use super::super::score_table::{Metric, Row, RowKind, ScoreTable};

/// Writes `table`; the best value of a column is bold, baselines stand below a rule.
pub(super) fn score_table(out: &mut Markup, caption: &str, table: &ScoreTable, unit: &str) {
    let best: Vec<Option<usize>> = (0..table.metrics.len()).map(|i| table.best(i)).collect();
    scrolling(out, caption, |out| {
        out.element("table", &[("class", &"scores")], |out| {
            out.leaf("caption", &[], caption);
            head(out, &table.metrics, unit);
            for (class, is_baseline) in [("models", false), ("baselines", true)] {
                let rows = table.rows.iter().enumerate();
                let mut rows = rows
                    .filter(|(_, row)| (row.kind == RowKind::Baseline) == is_baseline)
                    .peekable();
                if rows.peek().is_none() {
                    continue;
                }
                out.element("tbody", &[("class", &class)], |out| {
                    rows.for_each(|(i, row)| body_row(out, row, |column| best[column] == Some(i)));
                });
            }
        });
    });
}

/// Writes a table of methods; baselines stand below a rule, and why figures are missing below the table.
pub(super) fn method_table(out: &mut Markup, caption: &str, table: &MethodTable) {
    scrolling(out, caption, |out| {
        out.element("table", &[("class", &"scores")], |out| {
            out.leaf("caption", &[], caption);
            out.element("thead", &[], |out| {
                out.element("tr", &[], |out| {
                    out.leaf("th", &[("scope", &"col")], "method");
                    for (short, long) in &table.columns {
                        out.leaf("th", &[("scope", &"col"), ("title", long)], short);
                    }
                });
            });
            for (class, is_baseline) in [("models", false), ("baselines", true)] {
                let rows = table.rows.iter();
                let mut rows =
                    rows.filter(|r| (r.kind == RowKind::Baseline) == is_baseline).peekable();
                if rows.peek().is_none() {
                    continue;
                }
                out.element("tbody", &[("class", &class)], |out| rows.for_each(|r| method(out, r)));
            }
        });
    });
    for row in &table.rows {
        if let Some(note) = &row.note {
            out.leaf("p", &[("class", &"footnote")], format!("* {}: {note}", row.name));
        }
    }
}

fn method(out: &mut Markup, row: &MethodRow) {
    let class = if row.kind == RowKind::Seed { "seed" } else { "" };
    out.element("tr", &[("class", &class)], |out| {
        let mark = if row.note.is_some() { "\u{a0}*" } else { "" };
        out.leaf("th", &[("scope", &"row")], format!("{}{mark}", row.name));
        for cell in &row.cells {
            out.leaf("td", &[], cell);
        }
    });
}

/// Why figures are missing, below the table: in it a sentence would fill a phone's screen.
pub(super) fn footnotes(out: &mut Markup, table: &ScoreTable) {
    for row in &table.rows {
        if let Some(note) = &row.note {
            out.leaf("p", &[("class", &"footnote")], format!("* {}: {note}", row.name));
        }
    }
}

/// A part of the page that may be wider than it, reachable by keyboard.
pub(super) fn scrolling(out: &mut Markup, name: &str, content: impl FnOnce(&mut Markup)) {
    let attributes: [(&str, &dyn Display); 4] =
        [("class", &"scroll"), ("tabindex", &"0"), ("role", &"region"), ("aria-label", &name)];
    out.new_line();
    out.element("div", &attributes, content);
}

/// Two lines: families of metrics over the metrics.
fn head(out: &mut Markup, metrics: &[Metric], unit: &str) {
    let families: Vec<String> = metrics.iter().map(|metric| metric.family(unit)).collect();
    out.element("thead", &[], |out| {
        out.element("tr", &[], |out| {
            out.leaf("th", &[("scope", &"col"), ("rowspan", &2)], "method");
            for family in families.chunk_by(|a, b| a == b) {
                let attributes: [(&str, &dyn Display); 3] =
                    [("scope", &"colgroup"), ("colspan", &family.len()), ("class", &"family")];
                out.leaf("th", &attributes, &family[0]);
            }
        });
        out.element("tr", &[], |out| {
            for (i, metric) in metrics.iter().enumerate() {
                let is_first = i == 0 || families[i - 1] != families[i];
                let class = if is_first { "first" } else { "" };
                out.leaf("th", &[("scope", &"col"), ("class", &class)], metric.name());
            }
        });
    });
}

fn body_row(out: &mut Markup, row: &Row, is_best: impl Fn(usize) -> bool) {
    let class = if row.kind == RowKind::Seed { "seed" } else { "" };
    out.element("tr", &[("class", &class)], |out| {
        out.element("th", &[("scope", &"row")], |out| {
            out.text(&row.name);
            if row.note.is_some() {
                out.text("\u{a0}*"); // stays on the line of the name
            }
        });
        for (column, cell) in row.cells.iter().enumerate() {
            let text = cell.text(Notation::Typeset);
            out.element("td", &[], |out| {
                // The spread is quieter than the number it belongs to.
                let (value, spread) = text
                    .split_once(' ')
                    .filter(|(_, spread)| spread.starts_with('['))
                    .unwrap_or((&text, ""));
                out.leaf(if is_best(column) { "strong" } else { "span" }, &[], value);
                if !spread.is_empty() {
                    out.leaf("small", &[], spread);
                }
            });
        }
    });
}
