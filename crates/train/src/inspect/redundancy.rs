//! Whether heads do the same: distances of their results, effective ranks of their weights.
//!
//! ```text
//! relative distance = mean ‖O^s − O^s'‖_F / mean ‖O^s‖_F       over pairs of heads and test windows
//! comparison  W_Q W_Kᵀ     transfer  W_V W_O                   [d_model, d_model], rank at most d_head
//! ```
//!
//! Equal heads are at 0, heads of equal size at right angles at `√2`. Source: see
//! `regard_nn::theory::redundancy`.

use burn::tensor::{Bool, Tensor};
use regard_nn::mechanism::{HeadMaps, Mechanism};
use regard_nn::theory::redundancy::HeadDistance;
use serde::Serialize;

use super::matrix::MatrixStats;
use super::{Inspected, split};

/// Distances between the heads of one layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerRedundancy {
    /// Encoder block, from 0.
    pub layer: usize,
    /// As trained.
    pub trained: Redundancy,
    /// As the run's own rule and seed draw it.
    pub fresh: Redundancy,
}

/// How far apart heads are, on windows of the test part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Redundancy {
    /// Mean distance; grows with the window and the size of the values.
    pub distance: f64,
    /// Standard deviation of the distance, over pairs and windows.
    pub std: f64,
    /// Mean distance over the mean norm of a head.
    pub relative: f64,
    /// The relative distance of every two heads, row after row.
    pub pairs: Vec<Vec<f64>>,
}

/// One model's mechanism and what it is given, `[batch, time, d_model]`.
pub(super) type Given<'a> = (&'a Mechanism, &'a Tensor<3>);

/// Of one layer of the trained and the fresh model; `None` of fewer than two heads, or of a mechanism
/// without results of heads.
pub(super) fn layer(
    layer: usize,
    [trained, fresh]: [Given<'_>; 2],
    blocked: Option<&Tensor<2, Bool>>,
) -> Option<LayerRedundancy> {
    let of = |(mechanism, x): Given<'_>| {
        let o = mechanism.head_outputs(x.clone(), blocked.cloned())?;
        Some(Redundancy::of(&HeadDistance::of(&o, blocked)?))
    };
    Some(LayerRedundancy { layer, trained: of(trained)?, fresh: of(fresh)? })
}

impl Redundancy {
    fn of(found: &HeadDistance) -> Self {
        Self {
            distance: found.mean,
            std: found.std,
            relative: found.relative(),
            pairs: found.matrix(),
        }
    }
}

/// The products of weights of every head; empty of a mechanism that has none, `None` if a number is not
/// finite.
pub(super) fn weights(trained: &Mechanism, fresh: &Mechanism) -> Option<Vec<Vec<Inspected>>> {
    let (Some(trained), Some(fresh)) = (trained.head_maps(), fresh.head_maps()) else {
        return Some(Vec::new());
    };
    let stats = |weights: &HeadMaps| {
        let [compare, transfer] = [weights.comparison(), weights.transfer()].map(products);
        Some(compare?.into_iter().zip(transfer?).collect::<Vec<_>>())
    };
    let inspected = |(a, b): ((MatrixStats, MatrixStats), (MatrixStats, MatrixStats))| {
        vec![
            Inspected { name: "W_Q W_Kᵀ", trained: a.0, fresh: b.0 },
            Inspected { name: "W_V W_O", trained: a.1, fresh: b.1 },
        ]
    };
    Some(stats(&trained)?.into_iter().zip(stats(&fresh)?).map(inspected).collect())
}

/// The product of two factors of every head, `[heads, d_model, d_head]` and `[heads, d_head, d_model]`.
fn products([left, right]: [Tensor<3>; 2]) -> Option<Vec<MatrixStats>> {
    let [_, d_model, d_head] = left.dims();
    let of = |values: Vec<f64>| {
        let mut stats = MatrixStats::of(&values, [d_model; 2])?;
        // The rest are rounding errors.
        stats.decay.truncate(d_head);
        Some(stats)
    };
    split(&left.matmul(right)).into_iter().map(of).collect()
}
