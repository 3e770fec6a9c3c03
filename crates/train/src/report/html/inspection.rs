//! The page of an inspection: decay of singular values, eigenvalues in the complex plane, figures.

use std::fmt::Write;

use super::super::format::{MISSING, Notation};
use super::super::markup::Markup;
use super::super::plot;
use super::page::{Span, figure, page, section};
use super::table::scrolling;
use crate::inspect::{HeadInspection, Inspected, Inspection, Mean, means};

/// The page of one inspection, complete in itself.
#[must_use]
pub fn render_inspection(inspection: &Inspection) -> String {
    let name =
        inspection.folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into());
    let title = format!("Attention of {name}");
    page(&title, env!("CARGO_PKG_VERSION"), |out| {
        header(out, inspection, &title);
        section(out, "Singular values", |out| {
            out.element("div", &[("class", &"grid")], |out| decays(out, inspection));
            figures(out, inspection);
        });
        if inspection.heads.iter().any(|head| !head.eigenvalues.is_empty()) {
            section(out, "Eigenvalues", |out| {
                out.element("div", &[("class", &"grid")], |out| planes(out, inspection));
            });
        }
    })
}

fn header(out: &mut Markup, inspection: &Inspection, title: &str) {
    out.element("header", &[], |out| {
        out.leaf("h1", &[], title);
        let mut line = format!("{} · window {}", inspection.mechanism, inspection.window);
        if inspection.n_windows > 0 {
            let _ = write!(line, " · means over {} test windows", inspection.n_windows);
        }
        out.leaf("p", &[("class", &"byline")], line);
        for Mean { name, trained, fresh, largest } in means(inspection) {
            let sentence = format!(
                "Mean effective rank of {name}: {trained:.2} of {largest}; as drawn before training: \
                 {fresh:.2}."
            );
            out.leaf("p", &[("class", &"summary")], sentence);
        }
        let caution = "A matrix drawn at random has almost full effective rank, and softmax weights \
                       are far from it before any training: read a rank beside that of the start.";
        out.leaf("p", &[("class", &"note")], caution);
    });
}

fn decays<'a>(out: &mut Markup, inspection: &'a Inspection) {
    for (layer, heads) in layers(inspection) {
        let names = heads.first().map_or(&[][..], |head| head.matrices.as_slice());
        for (i, matrix) in names.iter().enumerate() {
            let curves = |fresh: bool| -> Vec<&[f64]> {
                let of = |matrix: &'a Inspected| {
                    let stats = if fresh { &matrix.fresh } else { &matrix.trained };
                    stats.decay.as_slice()
                };
                heads.iter().map(|head| of(&head.matrices[i])).collect()
            };
            let (trained, fresh) = (curves(false), curves(true));
            let caption = format!(
                "Layer {}, {}: singular values of every head over the largest; dashed: as drawn \
                 before training.",
                layer + 1,
                matrix.name
            );
            figure(out, Span::Half, &caption, |width| {
                plot::singular_values(&trained, &fresh, width)
            });
        }
    }
}

fn planes(out: &mut Markup, inspection: &Inspection) {
    let unit = if inspection.dt.is_some() { "unit of time" } else { "step" };
    let number = |f: f64| Notation::Typeset.significant(f, 3);
    let peaks: Vec<String> = inspection.peaks.iter().map(|p| number(p.frequency)).collect();
    let peaks = if peaks.is_empty() { MISSING.to_owned() } else { peaks.join(", ") };
    let turn = inspection.dt.unwrap_or(1.0);
    let rays: Vec<f64> = inspection.peaks.iter().map(|p| p.frequency * turn).collect();
    for (layer, heads) in layers(inspection) {
        let points: Vec<Vec<(f64, f64)>> = heads
            .iter()
            .map(|head| head.eigenvalues.iter().map(|z| (z.re, z.im)).collect())
            .collect();
        let caption = format!(
            "Layer {}: eigenvalues of {}, upper half, every head in its colour, with the unit \
             circle. Rays turn at the strongest frequencies of the test series, {peaks} cycles per \
             {unit}.",
            layer + 1,
            inspection.eigenvalues_of
        );
        figure(out, Span::Half, &caption, |width| plot::eigenvalues(&points, &rays, width));
    }
}

fn figures(out: &mut Markup, inspection: &Inspection) {
    let names = [
        "head",
        "matrix",
        "σ₁",
        "σ₂/σ₁",
        "effective rank",
        "at the start",
        "r99",
        "negative",
        "gain bound",
    ];
    let number = |x: f64| Notation::Typeset.significant(x, 3);
    scrolling(out, "Figures of every head", |out| {
        out.element("table", &[("class", &"splits")], |out| {
            out.element("thead", &[], |out| {
                out.element("tr", &[], |out| {
                    for name in &names {
                        out.leaf("th", &[("scope", &"col")], name);
                    }
                });
            });
            out.element("tbody", &[], |out| {
                for head in &inspection.heads {
                    for (i, matrix) in head.matrices.iter().enumerate() {
                        let stats = &matrix.trained;
                        let gain = head.gain_bound.filter(|_| i == 0).unwrap_or(f64::NAN);
                        let cells = [
                            number(stats.largest),
                            number(stats.decay.get(1).copied().unwrap_or(0.0)),
                            number(stats.effective_rank),
                            number(matrix.fresh.effective_rank),
                            number(stats.r99),
                            format!("{:.0} %", 100.0 * stats.negative),
                            number(gain),
                        ];
                        out.element("tr", &[], |out| {
                            let place = format!("{}.{}", head.layer + 1, head.head + 1);
                            out.leaf("th", &[("scope", &"row")], place);
                            out.leaf("td", &[("class", &"words")], matrix.name);
                            for cell in &cells {
                                out.leaf("td", &[], cell);
                            }
                        });
                    }
                }
            });
        });
    });
    let note = "σ₁ is the largest gain of the matrix; r99 the least number of singular values that \
        hold 99 % of the energy; the gain bound ‖α‖₂‖W‖₂ says by how much a head can magnify any \
        window before the residual is added.";
    out.leaf("p", &[("class", &"note")], note);
}

/// Heads, layer by layer.
fn layers(inspection: &Inspection) -> impl Iterator<Item = (usize, &[HeadInspection])> {
    inspection.heads.chunk_by(|a, b| a.layer == b.layer).map(|heads| (heads[0].layer, heads))
}
