//! The operation and its gradient: checks and dispatch.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, assert_shape};

use super::backward::backward;
use super::forward::forward;
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::view::{FlexTensor, by_dtype, contiguous, dims};
use crate::recurrent::lstm::Sizes;

/// Hidden states of a layer of gated recurrent units, fused on the CPU.
///
/// ```text
/// [u_r u_z u_n] = x_t W_x + b_x      [v_r v_z v_n] = h_{t-1} W_h + b_h
/// r = σ(u_r + v_r)      z = σ(u_z + v_z)      n = tanh(u_n + r ⊙ v_n)
/// h_t = (1 − z) ⊙ n + z ⊙ h_{t-1}
/// ```
///
/// Without `start`, the state before the first step is zero; the state after the last one is the
/// last row of the result.
///
/// # Shapes
/// - `x`: `[batch, time, d_in]`; `weights`: `W_x` `[d_in, 3 d_hidden]`, `W_h` `[d_hidden, 3 d_hidden]`
/// - `biases`: `b_x`, `b_h`, each `[3 d_hidden]`; `start`: `[batch, d_hidden]`
/// - returns: `[batch, time, d_hidden]`
///
/// # Panics
/// If the shapes or types disagree, or `d_hidden` is zero.
///
/// Source: Cho et al. 2014, §2.3, arXiv:1406.1078, in the form of `torch.nn.GRU`.
#[must_use]
pub fn gru(
    x: Tensor<3>,
    weights: [Tensor<2>; 2],
    biases: [Tensor<1>; 2],
    start: Option<Tensor<2>>,
) -> Tensor<3> {
    let [batch, _, d_in] = x.dims();
    let [d_hidden, _] = weights[1].dims();
    assert!(d_hidden > 0, "d_hidden = 0: a state has at least one value");
    let [w_x, w_h] = &weights;
    assert_shape!(w_x, [d_in, 3 * d_hidden]);
    assert_shape!(w_h, [d_hidden, 3 * d_hidden]);
    let [b_x, b_h] = &biases;
    assert_shape!(b_x, [3 * d_hidden]);
    assert_shape!(b_h, [3 * d_hidden]);
    if let Some(start) = &start {
        assert_shape!(start, [batch, d_hidden]);
    }
    if !on_cpu(&x) {
        return composed(x, weights, biases, start);
    }
    let tracked = std::iter::once(x.device())
        .chain(weights.each_ref().map(Tensor::device))
        .chain(biases.each_ref().map(Tensor::device))
        .chain(start.as_ref().map(Tensor::device))
        .any(|device| device.is_autodiff());
    let op = Scan { tracked };
    let [w_x, w_h] = weights.map(Tensor::into_dispatch);
    let [b_x, b_h] = biases.map(Tensor::into_dispatch);
    let x = x.into_dispatch();
    match start {
        None => apply(op, [x, w_x, w_h, b_x, b_h]),
        Some(start) => apply(op, [x, w_x, w_h, b_x, b_h, start.into_dispatch()]),
    }
}

/// The same out of Burn operations, step by step.
///
/// # Shapes
/// As [`gru`].
///
/// # Panics
/// If there is no step.
#[must_use]
pub fn composed(
    x: Tensor<3>,
    [weight_input, weight_hidden]: [Tensor<2>; 2],
    [bias_input, bias_hidden]: [Tensor<1>; 2],
    start: Option<Tensor<2>>,
) -> Tensor<3> {
    let [batch, time, _] = x.dims();
    let [d_hidden, _] = weight_hidden.dims();
    let zero = || Tensor::zeros([batch, d_hidden], (&x.device(), x.dtype()));
    let mut h = start.unwrap_or_else(zero);
    let mut rows = Vec::with_capacity(time);
    for t in 0..time {
        let row = x.clone().narrow(1, t, 1).squeeze_dim::<2>(1);
        let u = row.matmul(weight_input.clone()) + bias_input.clone().unsqueeze();
        let v = h.clone().matmul(weight_hidden.clone()) + bias_hidden.clone().unsqueeze();
        let part = |all: &Tensor<2>, gate| all.clone().narrow(1, gate * d_hidden, d_hidden);
        let [r, z] = [0, 1].map(|gate| sigmoid(part(&u, gate) + part(&v, gate)));
        let n = (part(&u, 2) + r * part(&v, 2)).tanh();
        h = n.clone() + z * (h - n);
        rows.push(h.clone());
    }
    Tensor::stack(rows, 1)
}

/// With `N = 6` the state before the first step is given.
#[derive(Clone, Copy, Debug)]
struct Scan {
    /// Whether there may be a backward pass, for which gates are kept.
    tracked: bool,
}

/// Inputs without the biases.
#[derive(Clone, Debug)]
pub(super) struct Inputs {
    pub(super) x: FlexTensor,
    pub(super) weight_input: FlexTensor,
    pub(super) weight_hidden: FlexTensor,
    pub(super) start: Option<FlexTensor>,
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Saved {
    inputs: Inputs,
    out: FlexTensor,
    /// `r`, `z`, `n` and `v_n` of every step.
    gates: Option<FlexTensor>,
}

impl FusedOp<5> for Scan {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 5]) -> (FlexTensor, Saved) {
        self.run(inputs, None)
    }

    fn backward(
        &self,
        saved: Saved,
        grad: FlexTensor,
        wanted: [bool; 5],
    ) -> [Option<FlexTensor>; 5] {
        let [x, w_x, w_h, b_x, b_h] = wanted;
        let [x, w_x, w_h, b_x, b_h, _] = gradients(saved, grad, [x, w_x, w_h, b_x, b_h, false]);
        [x, w_x, w_h, b_x, b_h]
    }
}

impl FusedOp<6> for Scan {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 6]) -> (FlexTensor, Saved) {
        let [x, w_x, w_h, b_x, b_h, start] = inputs;
        self.run([x, w_x, w_h, b_x, b_h], Some(start))
    }

    fn backward(
        &self,
        saved: Saved,
        grad: FlexTensor,
        wanted: [bool; 6],
    ) -> [Option<FlexTensor>; 6] {
        gradients(saved, grad, wanted)
    }
}

impl Scan {
    fn run(self, inputs: [FlexTensor; 5], start: Option<FlexTensor>) -> (FlexTensor, Saved) {
        let [x, weight_input, weight_hidden, b_x, b_h] = inputs.map(contiguous);
        let inputs = Inputs { x, weight_input, weight_hidden, start: start.map(contiguous) };
        let (sizes, biases) = (sizes(&inputs), [&b_x, &b_h]);
        let (out, gates) = by_dtype!(b_x, forward(sizes, &inputs, biases, self.tracked));
        (out.clone(), Saved { inputs, out, gates })
    }
}

fn gradients(saved: Saved, grad: FlexTensor, wanted: [bool; 6]) -> [Option<FlexTensor>; 6] {
    let Saved { inputs, out, gates } = saved;
    let gates = gates.expect("a tracked scan keeps its gates");
    let (sizes, grad) = (sizes(&inputs), contiguous(grad));
    by_dtype!(grad, backward(sizes, &inputs, &gates, [&out, &grad], wanted))
}

fn sizes(inputs: &Inputs) -> Sizes {
    let [batch, time, d_in] = dims(&inputs.x);
    let [d_hidden, _] = dims(&inputs.weight_hidden);
    Sizes { batch, time, d_in, d_hidden, with_cell: false }
}
