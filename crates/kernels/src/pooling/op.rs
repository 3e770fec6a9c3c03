//! The operation and its gradient.
#![expect(unsafe_code, reason = "raw memory, rows written by one thread each")]

use std::sync::Arc;

use burn::tensor::{Bool, Tensor, TensorData, assert_shape};

use super::Groups;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::Tables;
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::simd::Vector;
use crate::cpu::view::{FlexTensor, Output, Ptr, Storage, View, by_dtype, contiguous, dims};
use crate::pointwise::for_each_chunk;

/// Means of groups of rows, and which groups hold no row that counts: see [`Groups::windows`].
///
/// # Shapes
/// - `x`: `[batch, time, d]`; `blocked`: `[batch, time]`, `true` where a row does not count
/// - returns: `[batch, groups, d]`, zero where a group is blocked; and `[batch, groups]`, given
///   `blocked`
///
/// # Panics
/// If the shapes disagree.
#[must_use]
pub fn pool(
    x: Tensor<3>,
    groups: &Groups,
    blocked: Option<Tensor<2, Bool>>,
) -> (Tensor<3>, Option<Tensor<2, Bool>>) {
    let (weights, blocked) = weights(&x, groups, blocked);
    let y = if on_cpu(&x) {
        apply(Pool { groups: groups.clone(), weights: weights.into() }, [x.into_dispatch()])
    } else {
        average(x, groups, &weights)
    };
    (y, blocked)
}

/// The same out of Burn operations: a product with a matrix of weights.
///
/// # Shapes
/// As [`pool`].
///
/// # Panics
/// If the shapes disagree.
#[must_use]
pub fn composed(
    x: Tensor<3>,
    groups: &Groups,
    blocked: Option<Tensor<2, Bool>>,
) -> (Tensor<3>, Option<Tensor<2, Bool>>) {
    let (weights, blocked) = weights(&x, groups, blocked);
    (average(x, groups, &weights), blocked)
}

/// The weight of every row in the mean of its group, for one sequence or for all, and the groups
/// that are blocked.
fn weights(
    x: &Tensor<3>,
    groups: &Groups,
    blocked: Option<Tensor<2, Bool>>,
) -> (Vec<f64>, Option<Tensor<2, Bool>>) {
    let [batch, time, d] = x.dims();
    assert_shape!(x, [batch, groups.time(), d]);
    let Some(mask) = blocked else {
        return (groups.weighted(|_| true).weights, None);
    };
    assert_shape!(mask, [batch, time]);
    let device = mask.device();
    let hidden: Vec<bool> = mask.into_data().iter::<bool>().collect();
    let all = hidden.chunks_exact(time).map(|hidden| groups.weighted(|t| !hidden[t]));
    let (mut weights, mut blocked) = (Vec::new(), Vec::new());
    for found in all {
        weights.extend(found.weights);
        blocked.extend(found.blocked);
    }
    let blocked = TensorData::new(blocked, [batch, groups.n_groups()]);
    (weights, Some(Tensor::from_data(blocked, &device)))
}

fn average(x: Tensor<3>, groups: &Groups, weights: &[f64]) -> Tensor<3> {
    let [batch, time, d] = x.dims();
    let (n, per_time) = (groups.n_groups(), weights.chunks_exact(time));
    let sequences = per_time.len();
    let mut matrix = vec![0.0; sequences * n * time];
    for (sequence, weights) in per_time.enumerate() {
        for (t, weight) in weights.iter().enumerate() {
            if let Some(group) = groups.of_row(t) {
                matrix[(sequence * n + group) * time + t] = *weight;
            }
        }
    }
    let options = (&x.device().without_autodiff(), x.dtype());
    let data = TensorData::new(matrix, [sequences, n, time]);
    let matrix: Tensor<3> = Tensor::from_data(data, options);
    // Rows that do not count may hold anything, also what is not a number.
    let data = TensorData::new(weights.iter().map(|w| *w == 0.0).collect(), [sequences, time, 1]);
    let unused: Tensor<3, Bool> = Tensor::from_data(data, &options.0.clone());
    matrix.matmul(x.mask_fill(unused.expand([batch, time, d]), 0.0))
}

/// Weights are `[time]` or `[batch, time]`.
#[derive(Clone, Debug)]
struct Pool {
    groups: Groups,
    weights: Arc<[f64]>,
}

impl FusedOp<1> for Pool {
    type Saved = ();

    fn forward(&self, [x]: [FlexTensor; 1]) -> (FlexTensor, ()) {
        let x = contiguous(x);
        (by_dtype!(x, forward(self, &x)), ())
    }

    fn backward(&self, (): (), grad: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let grad = contiguous(grad);
        [Some(by_dtype!(grad, backward(self, &grad)))]
    }
}

impl Pool {
    /// The weights of one sequence.
    fn weights_of(&self, batch: usize) -> &[f64] {
        let time = self.groups.time();
        if self.weights.len() == time {
            &self.weights
        } else {
            &self.weights[batch * time..][..time]
        }
    }
}

fn forward<S: Storage + Tables>(op: &Pool, x: &FlexTensor) -> FlexTensor {
    let [batch, time, d] = dims(x);
    let n = op.groups.n_groups();
    let mut y = Output::<S>::new(batch * n * d);
    let (from, to) = (View::<S, 3>::new(x).ptr, y.ptr());
    let work = d * time.div_ceil(n);
    for_each_chunk(batch * n, work, |first, rows| unsafe {
        launch(Means { op, from, to, d, first, rows });
    });
    unsafe { y.finish([batch, n, d]) }
}

/// Some of the means.
struct Means<'a, S> {
    op: &'a Pool,
    from: Ptr<S>,
    to: Ptr<S>,
    d: usize,
    first: usize,
    rows: usize,
}

impl<S: Storage + Tables> Kernel<S> for Means<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { op, from, to, d, first, rows } = self;
        let (n, time) = (op.groups.n_groups(), op.groups.time());
        for row in first..first + rows {
            let (batch, group) = (row / n, row % n);
            let weights = op.weights_of(batch);
            let y = unsafe { std::slice::from_raw_parts_mut(to.at(row * d), d) };
            y.fill(S::ZERO);
            for &t in op.groups.rows(group) {
                if weights[t] == 0.0 {
                    continue;
                }
                let weight = S::from_f64(weights[t]);
                let x = from.at((batch * time + t) * d);
                for (j, y) in y.iter_mut().enumerate() {
                    *y = y.add(weight.mul(unsafe { *x.add(j) }));
                }
            }
        }
    }
}

fn backward<S: Storage + Tables>(op: &Pool, grad: &FlexTensor) -> FlexTensor {
    let [batch, n, d] = dims(grad);
    let time = op.groups.time();
    let mut dx = Output::<S>::new(batch * time * d);
    let (from, to) = (View::<S, 3>::new(grad).ptr, dx.ptr());
    for_each_chunk(batch * time, d, |first, rows| unsafe {
        launch(Spread { op, from, to, n, d, first, rows });
    });
    unsafe { dx.finish([batch, time, d]) }
}

/// Some rows of `∂x`.
struct Spread<'a, S> {
    op: &'a Pool,
    from: Ptr<S>,
    to: Ptr<S>,
    n: usize,
    d: usize,
    first: usize,
    rows: usize,
}

impl<S: Storage + Tables> Kernel<S> for Spread<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { op, from, to, n, d, first, rows } = self;
        let time = op.groups.time();
        for row in first..first + rows {
            let (batch, t) = (row / time, row % time);
            let weight = op.weights_of(batch)[t];
            let dx = unsafe { std::slice::from_raw_parts_mut(to.at(row * d), d) };
            match op.groups.of_row(t) {
                Some(group) if weight != 0.0 => {
                    let (weight, g) = (S::from_f64(weight), from.at((batch * n + group) * d));
                    for (j, dx) in dx.iter_mut().enumerate() {
                        *dx = weight.mul(unsafe { *g.add(j) });
                    }
                }
                _ => dx.fill(S::ZERO),
            }
        }
    }
}
