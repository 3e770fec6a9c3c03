//! The operation and its gradient: checks and dispatch.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Tensor, assert_shape};

use super::backward::backward;
use super::forward::forward;
use super::sizes::Sizes;
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::view::{FlexTensor, by_dtype, contiguous, dims};

/// What a layer carries from one step to the next.
#[derive(Clone, Debug)]
pub struct LstmState {
    /// `h`, `[batch, d_hidden]`.
    pub hidden: Tensor<2>,
    /// `c`, `[batch, d_hidden]`.
    pub cell: Tensor<2>,
}

/// Hidden states of a long short-term memory layer, fused on the CPU.
///
/// ```text
/// [i f o g] = x_t W_x + h_{t-1} W_h + bias
/// c_t = σ(f) ⊙ c_{t-1} + σ(i) ⊙ tanh(g)      h_t = σ(o) ⊙ tanh(c_t)
/// ```
///
/// The columns of the weights are the gates `i f o g`, each `d_hidden` wide. Without `start`, the
/// state before the first step is zero.
///
/// # Shapes
/// - `x`: `[batch, time, d_in]`; `weight_input`: `[d_in, 4 d_hidden]`
/// - `weight_hidden`: `[d_hidden, 4 d_hidden]`; `bias`: `[4 d_hidden]`
/// - returns: `[batch, time, d_hidden]`
///
/// # Panics
/// If the shapes or types disagree, or `d_hidden` is zero.
///
/// Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.
#[must_use]
pub fn lstm(
    x: Tensor<3>,
    weight_input: Tensor<2>,
    weight_hidden: Tensor<2>,
    bias: Tensor<1>,
    start: Option<LstmState>,
) -> Tensor<3> {
    scan(x, weight_input, weight_hidden, bias, start, false)
}

/// [`lstm`], and the state after the last step, from which another sequence may go on.
///
/// # Shapes
/// As [`lstm`].
///
/// # Panics
/// As [`lstm`], or if there is no step.
#[must_use]
pub fn lstm_with_state(
    x: Tensor<3>,
    weight_input: Tensor<2>,
    weight_hidden: Tensor<2>,
    bias: Tensor<1>,
    start: Option<LstmState>,
) -> (Tensor<3>, LstmState) {
    let [_, time, _] = x.dims();
    assert!(time > 0, "time = 0: a state comes after at least one step");
    let rows = scan(x, weight_input, weight_hidden, bias, start, true);
    let row = |t| rows.clone().narrow(1, t, 1).squeeze_dim(1);
    let state = LstmState { hidden: row(time - 1), cell: row(time) };
    (rows.narrow(1, 0, time), state)
}

/// Hidden states, and behind them the last cell if `with_cell`.
fn scan(
    x: Tensor<3>,
    weight_input: Tensor<2>,
    weight_hidden: Tensor<2>,
    bias: Tensor<1>,
    start: Option<LstmState>,
    with_cell: bool,
) -> Tensor<3> {
    let [batch, _, d_in] = x.dims();
    let [d_hidden, gates] = weight_hidden.dims();
    assert!(d_hidden > 0, "d_hidden = 0, expected at least 1");
    assert_shape!(weight_hidden, [d_hidden, 4 * d_hidden]);
    assert_shape!(weight_input, [d_in, gates]);
    assert_shape!(bias, [gates]);
    if let Some(LstmState { hidden, cell }) = &start {
        assert_shape!(hidden, [batch, d_hidden]);
        assert_shape!(cell, [batch, d_hidden]);
    }
    if !on_cpu(&x) {
        let (rows, state) = composed(x, weight_input, weight_hidden, bias, start);
        let cell = state.cell.unsqueeze_dim(1);
        return if with_cell { Tensor::cat(vec![rows, cell], 1) } else { rows };
    }
    let tracked = [x.device(), weight_input.device(), weight_hidden.device(), bias.device()]
        .into_iter()
        .chain(start.iter().flat_map(|s| [s.hidden.device(), s.cell.device()]))
        .any(|device| device.is_autodiff());
    let op = Scan { with_cell, tracked };
    let [w_x, w_h] = [weight_input, weight_hidden].map(Tensor::into_dispatch);
    let (x, bias) = (x.into_dispatch(), bias.into_dispatch());
    match start {
        None => apply(op, [x, w_x, w_h, bias]),
        Some(LstmState { hidden, cell }) => {
            apply(op, [x, w_x, w_h, bias, hidden.into_dispatch(), cell.into_dispatch()])
        }
    }
}

/// The same out of Burn operations, step by step.
///
/// # Shapes
/// As [`lstm`].
///
/// # Panics
/// If there is no step.
#[must_use]
pub fn composed(
    x: Tensor<3>,
    weight_input: Tensor<2>,
    weight_hidden: Tensor<2>,
    bias: Tensor<1>,
    start: Option<LstmState>,
) -> (Tensor<3>, LstmState) {
    let [batch, time, _] = x.dims();
    let [d_hidden, _] = weight_hidden.dims();
    let zero = || Tensor::zeros([batch, d_hidden], (&x.device(), x.dtype()));
    let mut state = start.unwrap_or_else(|| LstmState { hidden: zero(), cell: zero() });
    let mut rows = Vec::with_capacity(time);
    for t in 0..time {
        let row = x.clone().narrow(1, t, 1).squeeze_dim::<2>(1);
        let z = row.matmul(weight_input.clone())
            + state.hidden.matmul(weight_hidden.clone())
            + bias.clone().unsqueeze();
        let part = |gate| z.clone().narrow(1, gate * d_hidden, d_hidden);
        let [i, f, o] = [0, 1, 2].map(|gate| sigmoid(part(gate)));
        let cell = f * state.cell + i * part(3).tanh();
        state = LstmState { hidden: o * cell.clone().tanh(), cell };
        rows.push(state.hidden.clone());
    }
    (Tensor::stack(rows, 1), state)
}

/// With `N = 6` the state before the first step is given.
#[derive(Clone, Copy, Debug)]
struct Scan {
    with_cell: bool,
    /// Whether there may be a backward pass, for which gates and cells are kept.
    tracked: bool,
}

/// Inputs without the bias.
#[derive(Clone, Debug)]
pub(super) struct Inputs {
    pub(super) x: FlexTensor,
    pub(super) weight_input: FlexTensor,
    pub(super) weight_hidden: FlexTensor,
    pub(super) start: Option<[FlexTensor; 2]>,
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Saved {
    inputs: Inputs,
    out: FlexTensor,
    /// Gates and cells of every step.
    steps: Option<[FlexTensor; 2]>,
}

impl FusedOp<4> for Scan {
    type Saved = Saved;

    fn forward(&self, [x, w_x, w_h, bias]: [FlexTensor; 4]) -> (FlexTensor, Saved) {
        self.run([x, w_x, w_h, bias], None)
    }

    fn backward(
        &self,
        saved: Saved,
        grad: FlexTensor,
        wanted: [bool; 4],
    ) -> [Option<FlexTensor>; 4] {
        let [x, w_x, w_h, bias] = wanted;
        let [x, w_x, w_h, bias, _, _] =
            self.gradients(saved, grad, [x, w_x, w_h, bias, false, false]);
        [x, w_x, w_h, bias]
    }
}

impl FusedOp<6> for Scan {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; 6]) -> (FlexTensor, Saved) {
        let [x, w_x, w_h, bias, hidden, cell] = inputs;
        self.run([x, w_x, w_h, bias], Some([hidden, cell]))
    }

    fn backward(
        &self,
        saved: Saved,
        grad: FlexTensor,
        wanted: [bool; 6],
    ) -> [Option<FlexTensor>; 6] {
        self.gradients(saved, grad, wanted)
    }
}

impl Scan {
    fn run(self, inputs: [FlexTensor; 4], start: Option<[FlexTensor; 2]>) -> (FlexTensor, Saved) {
        let [x, weight_input, weight_hidden, bias] = inputs.map(contiguous);
        let start = start.map(|start| start.map(contiguous));
        let inputs = Inputs { x, weight_input, weight_hidden, start };
        let sizes = self.sizes(&inputs);
        let (out, steps) = by_dtype!(bias, forward(sizes, &inputs, &bias, self.tracked));
        (out.clone(), Saved { inputs, out, steps })
    }

    fn gradients(
        self,
        saved: Saved,
        grad: FlexTensor,
        wanted: [bool; 6],
    ) -> [Option<FlexTensor>; 6] {
        let Saved { inputs, out, steps } = saved;
        let steps = steps.expect("a tracked scan keeps its gates and cells");
        let (sizes, grad) = (self.sizes(&inputs), contiguous(grad));
        by_dtype!(grad, backward(sizes, &inputs, &steps, [&out, &grad], wanted))
    }

    fn sizes(self, inputs: &Inputs) -> Sizes {
        let [batch, time, d_in] = dims(&inputs.x);
        let [d_hidden, _] = dims(&inputs.weight_hidden);
        Sizes { batch, time, d_in, d_hidden, with_cell: self.with_cell }
    }
}
