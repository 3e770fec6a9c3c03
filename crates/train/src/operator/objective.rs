//! The loss of an operator, and its scores on a part.

use std::borrow::Cow;

use burn::tensor::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regard_data::operator::{Placement, Points, ScalarNormalization};
use regard_nn::model::operator::{Operator, Sites};

use super::config::{OperatorLoss, OperatorRunConfig};
use super::data::{OperatorParts, Part};
use crate::descent::{EpochScores, Objective};
use crate::error::TrainError;
use crate::metric::function::{FunctionScores, function_scores};
use crate::precision::Precision;

/// Values in one batch where nothing is learned.
const SCORE_VALUES: usize = 1 << 17;

/// Relative error of normalised functions.
pub(super) struct FunctionError<'a> {
    data: &'a OperatorParts,
    config: &'a OperatorRunConfig,
    /// The training part, then the same functions at other resolutions.
    seen: Vec<Seen<'a>>,
}

/// A form of the training part.
struct Seen<'a> {
    part: Cow<'a, Part>,
    /// Orders of the points under which the equation stays the same; empty for none but theirs.
    symmetries: Vec<Vec<usize>>,
    /// Rows and columns, where the loss needs them.
    grid: Option<[usize; 2]>,
}

impl<'a> FunctionError<'a> {
    /// # Errors
    /// [`TrainError::OutOfRange`] if `fit.symmetry`, `fit.resolutions` or the loss needs a grid and there is
    /// none.
    pub(super) fn new(
        data: &'a OperatorParts,
        config: &'a OperatorRunConfig,
    ) -> Result<Self, TrainError> {
        let mut seen = vec![Seen::new(Cow::Borrowed(&data.train), config)?];
        for &size in &config.fit.resolutions {
            let refused = |expected| {
                let (key, value) = ("fit.resolutions", size.to_string());
                Err(TrainError::OutOfRange { key, value, expected })
            };
            if size < 4 {
                return refused("at least 4");
            }
            let quadrature = config.task.quadrature;
            match data.train.resampled(size, &data.normalization, quadrature)? {
                None => return refused("none for functions on a line"),
                Some(part) => seen.push(Seen::new(Cow::Owned(part), config)?),
            }
        }
        Ok(Self { data, config, seen })
    }

    /// The points of every form of the training part.
    pub(super) fn sites(&self) -> impl Iterator<Item = &Sites> {
        self.seen.iter().map(|seen| &seen.part.sites)
    }
}

impl<'a> Seen<'a> {
    fn new(part: Cow<'a, Part>, config: &OperatorRunConfig) -> Result<Self, TrainError> {
        let error = |key, value: &str, expected| {
            Err(TrainError::OutOfRange { key, value: value.to_owned(), expected })
        };
        let symmetries = match part.set.points() {
            _ if !config.fit.symmetry => Vec::new(),
            Points::Grid { rows, columns, placement } if rows == columns => {
                symmetries(*rows, *placement)
            }
            _ => return error("fit.symmetry", "true", "false for data that are no square grid"),
        };
        let grid = match (config.fit.loss, part.set.points()) {
            (OperatorLoss::RelativeL2, _) => None,
            (OperatorLoss::RelativeH1, Points::Grid { rows, columns, .. }) => {
                Some([*rows, *columns])
            }
            (OperatorLoss::RelativeH1, Points::Line(_)) => {
                return error("fit.loss", "relative-h1", "relative-l2 for functions on a line");
            }
        };
        Ok(Self { part, symmetries, grid })
    }
}

/// The eight orders of the points of a square that mirror and turn it; of edges of cells, whose mirrored points are no
/// points of the grid, the two that exchange its axes or not.
fn symmetries(n: usize, placement: Placement) -> Vec<Vec<usize>> {
    let order = |kind: usize| {
        let place = move |i: usize, j: usize| {
            let (i, j) = if kind & 1 == 0 { (i, j) } else { (j, i) };
            let i = if kind & 2 == 0 { i } else { n - 1 - i };
            let j = if kind & 4 == 0 { j } else { n - 1 - j };
            i * n + j
        };
        (0..n).flat_map(|i| (0..n).map(move |j| place(i, j))).collect()
    };
    let kinds = if placement == Placement::Edges { 0..2 } else { 0..8 };
    kinds.map(order).collect()
}

impl Objective for FunctionError<'_> {
    type Model = Operator;

    fn n_train(&self) -> usize {
        self.data.train.len()
    }

    fn loss(&self, model: &Operator, examples: &[usize], _: usize, step: u64) -> Tensor<1> {
        let device = Device::default().autodiff();
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed);
        rng.set_stream(step);
        let seen = match &self.seen[..] {
            [only] => only,
            all => &all[rng.random_range(0..all.len())],
        };
        let drawn: Vec<Option<&[usize]>> = examples
            .iter()
            .map(|_| {
                let n = seen.symmetries.len();
                (n > 0).then(|| seen.symmetries[rng.random_range(0..n)].as_slice())
            })
            .collect();
        let [x, y] = seen.part.batch(examples, |i| drawn[i], &device, self.config.precision);
        let found = model.forward(x, &seen.part.sites);
        match seen.grid {
            None => relative_l2(found, y),
            Some(grid) => relative_h1(found, y, grid),
        }
    }

    fn scores(&self, model: &Operator) -> EpochScores {
        let Some(validation) = &self.data.validation else { return EpochScores::default() };
        let loss = score(model, validation, &self.data.normalization).relative_l2;
        EpochScores { validation_loss: Some(loss), criterion: Some(loss), ..EpochScores::default() }
    }
}

/// Root mean square of every function, `[batch, 1, 1]`.
fn norm(f: Tensor<3>) -> Tensor<3> {
    f.square().mean_dim(2).mean_dim(1).sqrt()
}

/// Mean over the batch of `‖û − u‖ / ‖u‖`.
pub(super) fn relative_l2(found: Tensor<3>, wanted: Tensor<3>) -> Tensor<1> {
    (norm(found - wanted.clone()) / norm(wanted)).mean()
}

/// Mean over the batch of `(‖e‖ + |e|₁) / (‖u‖ + |u|₁)`.
pub(super) fn relative_h1(found: Tensor<3>, wanted: Tensor<3>, grid: [usize; 2]) -> Tensor<1> {
    let size = |f: Tensor<3>| norm(f.clone()) + slope(f, grid);
    (size(found - wanted.clone()) / size(wanted)).mean()
}

/// Root mean square of differences of neighbours along rows and columns, `[batch, 1, 1]`: central, one-sided at
/// the ends, of points one apart.
fn slope(f: Tensor<3>, [rows, columns]: [usize; 2]) -> Tensor<3> {
    let [batch, points, channels] = f.dims();
    let f = f.reshape([batch, rows, columns, channels]);
    let along = |axis: usize, n: usize| {
        let part = |first: usize, n: usize| f.clone().narrow(axis, first, n);
        let first = part(1, 1) - part(0, 1);
        let last = part(n - 1, 1) - part(n - 2, 1);
        let middle = (part(2, n - 2) - part(0, n - 2)) * 0.5;
        Tensor::cat(vec![first, middle, last], axis).square()
    };
    let squares = along(1, rows) + along(2, columns);
    squares.reshape([batch, points, channels]).mean_dim(2).mean_dim(1).sqrt()
}

/// Scores a model that no longer learns, in physical units.
pub(super) fn score(
    model: &Operator,
    part: &Part,
    normalization: &[ScalarNormalization; 2],
) -> FunctionScores {
    let found = predict(model, part, &normalization[1]);
    let outputs = part.set.outputs();
    let channels = outputs.channels.len();
    function_scores(&found, &outputs.values, part.set.points(), channels, &normalization[1])
}

/// What the model makes of all inputs of a part, `[samples, points, d_out]` in physical units.
pub(super) fn predict(model: &Operator, part: &Part, of_outputs: &ScalarNormalization) -> Vec<f64> {
    let (device, precision) = (Device::default(), Precision::of_module(model));
    let all: Vec<usize> = (0..part.len()).collect();
    let at_once = (SCORE_VALUES / part.sites.n_points()).clamp(1, 64);
    let found: Vec<f64> = all
        .chunks(at_once)
        .flat_map(|some| {
            let [x, _] = part.batch(some, |_| None, &device, precision);
            let y = model.forward(x, &part.sites);
            y.try_into_vec_as::<f64>().expect("numbers convert to f64")
        })
        .collect();
    of_outputs.phys_from_norm(&found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use regard_kernels::testing::{assert_close, golden};

    #[test]
    fn losses_equal_those_of_the_released_program() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/losses2d.safetensors");
        let field = |name: &str| {
            let x = golden::<3>(&file, name);
            let [batch, rows, columns] = x.dims();
            (x.reshape([batch, rows * columns, 1]), [rows, columns])
        };
        let (wanted, grid) = field("target");
        for (name, is_h1) in [("rel_l2", false), ("rel_h1", true)] {
            let found = field("pred").0.autodiff().require_grad();
            let wanted = wanted.clone().autodiff();
            let loss = if is_h1 {
                relative_h1(found.clone(), wanted, grid)
            } else {
                relative_l2(found.clone(), wanted)
            };
            let expected = golden::<1>(&file, name);
            assert_close(&loss.clone().inner(), &expected, 1e-10);
            let grad = found.grad(&loss.backward()).unwrap();
            assert_close(&grad, &field(&format!("grad_{name}")).0, 1e-8);
        }
    }

    #[test]
    fn there_are_eight_ways_to_lay_a_square_on_itself() {
        let orders = symmetries(3, Placement::Cells);
        assert_eq!(symmetries(3, Placement::Edges), orders[..2]);
        let mut distinct = orders.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 8);
        for order in orders {
            assert_eq!(order[4], 4, "the middle stays");
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..9).collect::<Vec<_>>());
        }
    }
}
