//! An inspection as tables for a terminal.

use std::fmt::Write;

use super::{Inspected, Inspection, LayerRedundancy};

/// Eigenvalues of a head that are named.
const NAMED: usize = 4;

/// Singular values of every head, distances of heads, then eigenvalues beside the frequencies of the
/// series.
#[must_use]
pub fn table(inspection: &Inspection) -> String {
    let Inspection { mechanism, window, n_windows, heads, .. } = inspection;
    let over =
        if *n_windows > 0 { format!(", means over {n_windows} windows") } else { String::new() };
    let mut out = format!("{mechanism} · window {window}{over}\n");
    if heads.iter().any(|head| !head.matrices.is_empty()) {
        out += "\nlayer  head  matrix     σ1   σ2/σ1  eff. rank  at start    r99  negative  gain bound\n";
    }
    for head in heads {
        for (i, matrix) in head.matrices.iter().enumerate() {
            let stats = &matrix.trained;
            let second = stats.decay.get(1).copied().unwrap_or(0.0);
            let gain = match head.gain_bound {
                Some(gain) if i == 0 => format!("{gain:10.3}"),
                _ => format!("{:>10}", "–"),
            };
            let _ = writeln!(
                out,
                "{:5}  {:4}  {:<6} {:6.3}  {second:6.3}  {:9.2}  {:8.2}  {:5.1}  {:6.0} %  {gain}",
                head.layer + 1,
                head.head + 1,
                matrix.name,
                stats.largest,
                stats.effective_rank,
                matrix.fresh.effective_rank,
                stats.r99,
                100.0 * stats.negative,
            );
        }
    }
    for Mean { name, trained, fresh, largest } in means(inspection) {
        let _ = writeln!(
            out,
            "\nmean effective rank of {name}: {trained:.2} of {largest}, at the start {fresh:.2}"
        );
    }
    weights(&mut out, inspection);
    distances(&mut out, inspection);
    let unit = if inspection.dt.is_some() { "unit of time" } else { "step" };
    if heads.iter().any(|head| !head.eigenvalues.is_empty()) {
        let _ = writeln!(
            out,
            "\nlargest eigenvalues of {}, |λ| at cycles per {unit}",
            inspection.eigenvalues_of
        );
        for head in heads {
            let named: Vec<String> = head
                .eigenvalues
                .iter()
                .take(NAMED)
                .map(|z| format!("{:.3} at {:.3}", z.modulus, z.frequency))
                .collect();
            let _ =
                writeln!(out, "{:5}  {:4}  {}", head.layer + 1, head.head + 1, named.join("   "));
        }
    }
    let Some(peaks) = &inspection.peaks else { return out };
    let peaks: Vec<String> =
        peaks.iter().map(|p| format!("{:.3} ({:.0} %)", p.frequency, 100.0 * p.share)).collect();
    let peaks = if peaks.is_empty() { "none".to_owned() } else { peaks.join(", ") };
    let _ = writeln!(
        out,
        "\nfrequencies of the test series, cycles per {unit} (share of power): {peaks}"
    );
    out
}

/// Effective ranks of the products of weights of every head.
fn weights(out: &mut String, inspection: &Inspection) {
    let heads = || inspection.heads.iter().filter(|head| !head.weights.is_empty());
    if heads().next().is_some() {
        *out += "\nlayer  head  weights          σ1  eff. rank  at start  of\n";
    }
    for head in heads() {
        for Inspected { name, trained, fresh } in &head.weights {
            let _ = writeln!(
                out,
                "{:5}  {:4}  {name:<10} {:8.3}  {:9.2}  {:8.2}  {:2}",
                head.layer + 1,
                head.head + 1,
                trained.largest,
                trained.effective_rank,
                fresh.effective_rank,
                trained.decay.len(),
            );
        }
    }
}

/// How far apart the heads of every layer are.
fn distances(out: &mut String, inspection: &Inspection) {
    if inspection.redundancy.is_empty() {
        return;
    }
    *out += "\nlayer  distance of heads   std  relative  at start   (0: equal, 1.41: unlike)\n";
    for LayerRedundancy { layer, trained, fresh } in &inspection.redundancy {
        let _ = writeln!(
            out,
            "{:5}  {:17.3}  {:4.2}  {:8.3}  {:8.3}",
            layer + 1,
            trained.distance,
            trained.std,
            trained.relative,
            fresh.relative,
        );
    }
}

/// Mean effective ranks of one kind of matrix.
pub(crate) struct Mean {
    pub(crate) name: &'static str,
    pub(crate) trained: f64,
    pub(crate) fresh: f64,
    /// The rank that it can have.
    pub(crate) largest: usize,
}

/// The effective ranks of every kind of matrix.
pub(crate) fn means(inspection: &Inspection) -> Vec<Mean> {
    let Some(first) = inspection.heads.first() else { return Vec::new() };
    let n = inspection.heads.len() as f64;
    let mean = |i: usize| {
        let matrices = || inspection.heads.iter().filter_map(move |head| head.matrices.get(i));
        let trained: f64 = matrices().map(|m| m.trained.effective_rank).sum();
        let fresh: f64 = matrices().map(|m| m.fresh.effective_rank).sum();
        (trained / n, fresh / n)
    };
    let of = |(i, matrix): (usize, &Inspected)| {
        let (trained, fresh) = mean(i);
        Mean { name: matrix.name, trained, fresh, largest: matrix.trained.decay.len() }
    };
    first.matrices.iter().enumerate().map(of).collect()
}
