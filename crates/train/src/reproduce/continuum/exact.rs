//! Formulas beside the learned operators: what the equations give without learning.

use std::path::Path;

use regard_data::operator::make::response;
use regard_data::operator::{FunctionArchive, FunctionSet, PairArrays, Points};

use super::data::Source;
use crate::error::TrainError;
use crate::metric::function::{FunctionScores, function_scores};
use crate::report::OperatorRow;

/// The output function, from the times and the input function.
type Formula = fn(&[f64], &[f64]) -> Vec<f64>;

/// The formula of a problem on all parts, where it has one.
pub(super) fn row(source: Source, archive: &Path) -> Result<Option<OperatorRow>, TrainError> {
    let (name, formula): (&str, Formula) = match source {
        Source::LorenzA => ("y = x + x'/10, finite differences", lorenz),
        Source::ControlledOde => ("closed form", |_, u| u.iter().map(|&u| response(u)).collect()),
        _ => return Ok(None),
    };
    let mut archive = FunctionArchive::open(archive)?;
    let normalization = archive.read(&PairArrays::part("train"))?.normalization();
    let mut scores = |part: &str| -> Result<FunctionScores, TrainError> {
        let set = archive.read(&PairArrays::part(part))?;
        let found = applied(&set, formula);
        let outputs = &set.outputs().values;
        Ok(function_scores(&found, outputs, set.points(), 1, &normalization[1]))
    };
    let tests = source.parts().iter().map(|part| Ok(Some(scores(part)?)));
    Ok(Some(OperatorRow {
        name: name.to_owned(),
        is_baseline: true,
        tests: tests.collect::<Result<_, TrainError>>()?,
        ..OperatorRow::default()
    }))
}

fn applied(set: &FunctionSet, formula: Formula) -> Vec<f64> {
    let Points::Line(t) = set.points() else { unreachable!("functions of time") };
    (0..set.samples()).flat_map(|sample| formula(t, set.input(sample))).collect()
}

/// `x + ẋ/σ`, the slope of a parabola through three neighbours.
fn lorenz(t: &[f64], x: &[f64]) -> Vec<f64> {
    let n = t.len();
    let slope = |i: usize| {
        let first = i.saturating_sub(1).min(n - 3);
        let node = |j: usize| t[first + j];
        let weight = |j: usize| {
            let others = [(j + 1) % 3, (j + 2) % 3];
            let below: f64 = others.iter().map(|&k| node(j) - node(k)).product();
            (2.0 * t[i] - node(others[0]) - node(others[1])) / below
        };
        (0..3).map(|j| weight(j) * x[first + j]).sum::<f64>()
    };
    (0..n).map(|i| x[i] + slope(i) / 10.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_of_parabolas_are_exact() {
        let t = [0.0, 0.1, 0.4, 0.5, 0.9];
        let x = t.map(|t| 3.0 * t * t - t);
        for (t, (found, x)) in t.iter().zip(lorenz(&t, &x).iter().zip(x)) {
            assert!((found - x - (6.0 * t - 1.0) / 10.0).abs() < 1e-13);
        }
    }
}
