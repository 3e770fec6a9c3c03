//! Operators that need no gradient: the mean, the nearest training function, kernel ridge regression.

use std::time::Instant;

use regard_data::operator::FunctionSet;

use super::data::{OperatorParts, Part};
use super::kernel_ridge::{KernelRidge, Pairs};
use crate::metric::function::function_scores;
use crate::report::OperatorRow;

/// Most training functions that kernel ridge regression is fitted to.
const MOST: usize = 2000;

/// A row for every baseline; they know the points they were fitted on and no others.
pub(super) fn all(data: &OperatorParts) -> Vec<OperatorRow> {
    let train = &data.train.set;
    let width = train.output(0).len();
    let n = train.samples();
    let mut mean = vec![0.0; width];
    for i in 0..n {
        for (m, x) in mean.iter_mut().zip(train.output(i)) {
            *m += x / n as f64;
        }
    }
    let of_mean = row(data, "mean", |set| mean.repeat(set.samples()));
    let of_nearest = row(data, "nearest", |set| {
        (0..set.samples())
            .flat_map(|i| train.output(nearest(train, set.input(i))))
            .copied()
            .collect()
    });
    let mut rows = vec![of_mean, of_nearest];
    if n <= MOST {
        rows.extend(kernel_ridge(data));
    }
    rows
}

/// The training function whose input is nearest.
fn nearest(train: &FunctionSet, input: &[f64]) -> usize {
    let distance =
        |i: usize| train.input(i).iter().zip(input).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let distances: Vec<f64> = (0..train.samples()).map(distance).collect();
    let order = |a: &usize, b: &usize| distances[*a].total_cmp(&distances[*b]);
    (0..train.samples()).min_by(order).unwrap_or(0)
}

fn kernel_ridge(data: &OperatorParts) -> Option<OperatorRow> {
    let start = Instant::now();
    let pairs = |set: &FunctionSet| -> (Vec<f64>, Vec<f64>, usize) {
        (set.inputs().values.clone(), set.outputs().values.clone(), set.samples())
    };
    let fifth = data.train.len() / 5;
    let (train, held_out) = match &data.validation {
        Some(validation) => (pairs(&data.train.set), pairs(&validation.set)),
        // The last fifth of the training part where nothing else was held out.
        None if fifth > 0 => {
            let n = data.train.len() - fifth;
            let part = |range: std::ops::Range<usize>| {
                data.train.set.select(&range.collect::<Vec<_>>()).ok().map(|set| pairs(&set))
            };
            (part(0..n)?, part(n..n + fifth)?)
        }
        None => return None,
    };
    let fitted = KernelRidge::fit(as_pairs(&train), as_pairs(&held_out))?;
    let mut row = row(data, "kernel ridge", |set| fitted.predict(&set.inputs().values));
    row.seconds = Some(start.elapsed().as_secs_f64());
    Some(row)
}

fn as_pairs((inputs, outputs, count): &(Vec<f64>, Vec<f64>, usize)) -> Pairs<'_> {
    Pairs { inputs, outputs, count: *count }
}

/// Scores on every part whose points are those of the training part.
fn row(
    data: &OperatorParts,
    name: &str,
    predict: impl Fn(&FunctionSet) -> Vec<f64>,
) -> OperatorRow {
    let channels = data.train.set.outputs().channels.len();
    let score = |part: &Part| {
        let set = &part.set;
        (set.points() == data.train.set.points()).then(|| {
            let of_outputs = &data.normalization[1];
            let found = predict(set);
            function_scores(&found, &set.outputs().values, set.points(), channels, of_outputs)
        })
    };
    OperatorRow {
        name: name.to_owned(),
        is_baseline: true,
        n_parameters: None,
        seconds: None,
        validation: data.validation.as_ref().and_then(score),
        tests: data.tests.iter().map(|(_, part)| score(part)).collect(),
    }
}
