//! The page of an inspection: decay of singular values, eigenvalues in the complex plane, figures.

use std::fmt::Write;

use super::super::format::{MISSING, Notation};
use super::super::markup::Markup;
use super::super::plot;
use super::page::{Span, figure, page, section};
use super::table::scrolling;
use crate::inspect::{
    HeadInspection, Inspected, Inspection, LayerRedundancy, MatrixStats, Mean, means,
};

/// The page of one inspection, complete in itself.
#[must_use]
pub fn render_inspection(inspection: &Inspection) -> String {
    let name =
        inspection.folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into());
    let title = format!("Attention of {name}");
    page(&title, env!("CARGO_PKG_VERSION"), |out| {
        header(out, inspection, &title);
        if inspection.heads.iter().any(|head| !head.matrices.is_empty()) {
            section(out, "Singular values", |out| {
                out.element("div", &[("class", &"grid")], |out| decays(out, inspection));
                figures(out, inspection);
            });
        }
        if inspection.heads.iter().any(|head| !head.weights.is_empty()) {
            section(out, "Weights", |out| weights(out, inspection));
        }
        if !inspection.redundancy.is_empty() {
            section(out, "Distances of heads", |out| distances(out, inspection));
        }
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
    let found = inspection.peaks.as_deref().unwrap_or_default();
    let peaks: Vec<String> = found.iter().map(|p| number(p.frequency)).collect();
    let peaks = if peaks.is_empty() { MISSING.to_owned() } else { peaks.join(", ") };
    let turn = inspection.dt.unwrap_or(1.0);
    let rays: Vec<f64> = found.iter().map(|p| p.frequency * turn).collect();
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
    let row = |head: &HeadInspection, i: usize, matrix: &Inspected| {
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
        (format!("{}.{}", head.layer + 1, head.head + 1), matrix.name, cells.to_vec())
    };
    let matrices = |head: &'_ HeadInspection| {
        let rows = head.matrices.iter().enumerate().map(|(i, matrix)| row(head, i, matrix));
        rows.collect::<Vec<_>>()
    };
    table(
        out,
        "Figures of every head",
        &names,
        inspection.heads.iter().flat_map(matrices).collect(),
    );
    let note = "σ₁ is the largest gain of the matrix; r99 the least number of singular values that \
        hold 99 % of the energy; the gain bound ‖α‖₂‖W‖₂ says by how much a head can magnify any \
        window before the residual is added.";
    out.leaf("p", &[("class", &"note")], note);
}

/// Effective ranks of the products of weights.
fn weights(out: &mut Markup, inspection: &Inspection) {
    let names = ["head", "weights", "σ₁", "effective rank", "at the start", "of"];
    let number = |x: f64| Notation::Typeset.significant(x, 3);
    let row = |(head, Inspected { name, trained, fresh }): (&HeadInspection, &Inspected)| {
        let MatrixStats { largest, effective_rank, decay, .. } = trained;
        let cells = [
            number(*largest),
            number(*effective_rank),
            number(fresh.effective_rank),
            decay.len().to_string(),
        ];
        (format!("{}.{}", head.layer + 1, head.head + 1), *name, cells.to_vec())
    };
    let heads = inspection.heads.iter();
    let rows = heads.flat_map(|head| head.weights.iter().map(move |weights| row((head, weights))));
    table(out, "Weights of every head", &names, rows.collect());
    let note = "W_Q W_Kᵀ says which features of two rows a head compares, W_V W_O which features it \
        passes on; neither has a rank above the width of the head.";
    out.leaf("p", &[("class", &"note")], note);
}

/// How far apart heads are: a map per layer, and means.
fn distances(out: &mut Markup, inspection: &Inspection) {
    let pairs = || inspection.redundancy.iter().flat_map(|layer| layer.trained.pairs.concat());
    let largest = pairs().fold(0.0, f64::max);
    out.element("div", &[("class", &"grid")], |out| {
        for LayerRedundancy { layer, trained, .. } in &inspection.redundancy {
            let caption = format!(
                "Layer {}: relative distance of every two heads; the colours end at {largest:.2}.",
                layer + 1
            );
            figure(out, Span::Half, &caption, |_| {
                plot::head_distances(*layer, &trained.pairs, largest)
            });
        }
    });
    let number = |x: f64| Notation::Typeset.significant(x, 3);
    let names = ["layer", "", "distance", "std", "relative", "at the start"];
    let row = |LayerRedundancy { layer, trained, fresh }: &LayerRedundancy| {
        let cells = [trained.distance, trained.std, trained.relative, fresh.relative].map(number);
        ((layer + 1).to_string(), "", cells.to_vec())
    };
    let rows = inspection.redundancy.iter().map(row).collect();
    table(out, "Distances of heads", &names, rows);
    let note = "The distance is the Frobenius norm of the difference between the results of two heads \
        before the output map, mean over pairs and test windows; relative to the mean norm of a head, \
        equal heads are at 0 and heads of equal size at right angles at √2.";
    out.leaf("p", &[("class", &"note")], note);
}

/// A table of a place, a name and numbers per row.
fn table(
    out: &mut Markup,
    title: &str,
    names: &[&str],
    rows: Vec<(String, &'static str, Vec<String>)>,
) {
    scrolling(out, title, |out| {
        out.element("table", &[("class", &"splits")], |out| {
            out.element("thead", &[], |out| {
                out.element("tr", &[], |out| {
                    for name in names {
                        out.leaf("th", &[("scope", &"col")], name);
                    }
                });
            });
            out.element("tbody", &[], |out| {
                for (place, name, cells) in rows {
                    out.element("tr", &[], |out| {
                        out.leaf("th", &[("scope", &"row")], place);
                        out.leaf("td", &[("class", &"words")], name);
                        for cell in &cells {
                            out.leaf("td", &[], cell);
                        }
                    });
                }
            });
        });
    });
}

/// Heads, layer by layer.
fn layers(inspection: &Inspection) -> impl Iterator<Item = (usize, &[HeadInspection])> {
    inspection.heads.chunk_by(|a, b| a.layer == b.layer).map(|heads| (heads[0].layer, heads))
}
