//! The form composed of Burn operations: any device, gradients by automatic differentiation.

use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Tensor, TensorData};

use super::LarnnOutput;
use super::dropout::Place;
use super::moments::StepMoments;
use super::op::n_cells;
use super::setting::{
    EPS, KeyValue, LarnnSetting, LarnnState, LarnnWeights, Norm, Site, check, position_table,
};

/// The scan out of Burn operations, step by step; every step projects its whole window anew.
///
/// Same arguments and result as [`super::larnn`].
///
/// # Panics
/// As [`super::larnn`].
#[must_use]
pub fn composed(
    x: Tensor<3>,
    weights: &LarnnWeights,
    start: Option<LarnnState>,
    setting: &LarnnSetting,
) -> LarnnOutput {
    let [batch, time, _] = x.dims();
    let [_, d_hidden] = check(&x, weights, start.as_ref(), setting);
    let start = start.unwrap_or_else(|| LarnnState::zero(batch, d_hidden, &x));
    let n_cells = n_cells(start.cells.dims()[1], time, setting.window);
    let mut state = start;
    let mut scan = Scan::new(weights, setting);
    let mut rows = Vec::with_capacity(time);
    for t in 0..time {
        let row = x.clone().narrow(1, t, 1).squeeze_dim::<2>(1);
        let (out, next) = scan.step(row, state, t);
        rows.push(out);
        state = next;
    }
    let moments = scan.norms.seen.map(|seen| seen.stacked(batch, n_cells));
    LarnnOutput { rows: Tensor::stack(rows, 1), state, moments }
}

struct Scan<'a> {
    weights: &'a LarnnWeights,
    setting: &'a LarnnSetting,
    /// `[window, n_position]`, absent without positional encoding.
    positions: Option<Tensor<2>>,
    norms: Norms<'a>,
}

impl<'a> Scan<'a> {
    fn new(weights: &'a LarnnWeights, setting: &'a LarnnSetting) -> Self {
        let positions = setting.positional_encoding.then(|| {
            let table = position_table(setting.window);
            let data = TensorData::new(table, [setting.window, setting.n_position()]);
            Tensor::from_data(data, (&weights.output.device(), weights.output.dtype()))
        });
        Self { weights, setting, positions, norms: Norms::new(weights, setting) }
    }

    /// The result of step `t`, and the state after it.
    fn step(&mut self, x: Tensor<2>, state: LarnnState, t: usize) -> (Tensor<2>, LarnnState) {
        let weights = self.weights;
        let [_, d] = state.hidden.dims();
        let map = |x: Tensor<2>, w: &Tensor<2>, b: &Tensor<1>| {
            x.matmul(w.clone()) + b.clone().unsqueeze::<2>()
        };
        let seen = Tensor::cat(vec![x.clone(), state.hidden.clone()], 1);
        let query = elu(map(seen.clone(), &weights.query, &weights.query_bias));
        let read = self.attend(query, state.cells.clone(), t);
        let a = elu(map(read, &weights.output, &weights.output_bias));
        let a = self.norms.apply(Site::Attention, a);
        let z = map(Tensor::cat(vec![seen, a], 1), &weights.gates, &weights.gates_bias);
        let gate = |i| z.clone().narrow(1, i * d, d);
        let (g, [f, i, o]) = (gate(0).tanh(), [1, 2, 3].map(|i| sigmoid(gate(i))));
        let [batch, n, _] = state.cells.dims();
        let past = state.cells.clone().narrow(1, n - 1, 1).reshape([batch, d]);
        let cell = self.norms.apply(Site::Cell, g * i + past * f);
        let hidden = self.norms.apply(Site::Hidden, o * elu(cell.clone()));
        let dropout = &self.setting.dropout;
        let out = match dropout.at(Place::Output, t, d, &hidden) {
            Some(mask) => hidden.clone() * mask,
            None => hidden.clone(),
        };
        let hidden = if dropout.carried() { out.clone() } else { hidden };
        let kept = n.min(self.setting.window - 1);
        let mut cells = cell.unsqueeze_dim(1);
        if kept > 0 {
            cells = Tensor::cat(vec![state.cells.narrow(1, n - kept, kept), cells], 1);
        }
        (out, LarnnState { hidden, cells })
    }

    /// What the heads read from the window, `[batch, d_hidden]`.
    fn attend(&mut self, query: Tensor<2>, cells: Tensor<3>, t: usize) -> Tensor<2> {
        let LarnnSetting { n_heads, window, key_value, dropout, .. } = self.setting;
        let [batch, n, d] = cells.dims();
        let d_head = d / n_heads;
        let d_memory = d + self.setting.n_position();
        let mut memory = cells;
        if let Some(positions) = &self.positions {
            let rows = positions.clone().narrow(0, window - n, n);
            let rows = rows.unsqueeze_dim::<3>(0).expand([batch, n, d_memory - d]);
            memory = Tensor::cat(vec![memory, rows], 2);
        }
        if let Some(mask) = dropout.at(Place::Memory, t, window * d_memory, &query) {
            memory = memory * mask.reshape([batch, *window, d_memory]).narrow(1, window - n, n);
        }
        let projected =
            memory.reshape([batch * n, d_memory]).matmul(self.weights.key_value.clone())
                + self.weights.key_value_bias.clone().unsqueeze::<2>();
        let [mut keys, mut values] = [0, 1].map(|i| projected.clone().narrow(1, i * d, d));
        if *key_value != KeyValue::Linear {
            [keys, values] = [elu(keys), elu(values)];
        }
        if self.setting.normalises_keys() {
            keys = self.norms.apply(Site::Key, keys);
            values = self.norms.apply(Site::Value, values);
        }
        let heads = |x: Tensor<2>, n| x.reshape([batch, n, *n_heads, d_head]).swap_dims(1, 2);
        let scores = heads(query.clone(), 1).matmul(heads(keys, n).swap_dims(2, 3));
        // A product: the gradient of a quotient by a number is rounded to single precision.
        let mut weights = softmax(scores * (d_head as f64).sqrt().recip(), 3);
        if let Some(mask) = dropout.at(Place::Attention, t, n_heads * window, &query) {
            let mask = mask.reshape([batch, *n_heads, 1, *window]);
            weights = weights * mask.narrow(3, window - n, n);
        }
        weights.matmul(heads(values, n)).reshape([batch, d])
    }
}

/// `x` where positive, else `exp(x) − 1`; its slope at zero is one.
fn elu(x: Tensor<2>) -> Tensor<2> {
    let negative = x.clone().clamp_max(0.0);
    (x - negative.clone()) + (negative.exp() - 1.0)
}

/// The norms of a cell, and the moments they have seen.
struct Norms<'a> {
    weights: &'a LarnnWeights,
    norm: &'a Norm,
    seen: Option<Seen>,
}

/// Means and variances by norm, then by step, each `[1, d_hidden]`.
struct Seen(Vec<[Vec<Tensor<2>>; 2]>);

impl<'a> Norms<'a> {
    fn new(weights: &'a LarnnWeights, setting: &'a LarnnSetting) -> Self {
        let seen = matches!(setting.norm, Norm::Batch)
            .then(|| Seen((0..setting.n_norms()).map(|_| [Vec::new(), Vec::new()]).collect()));
        Self { weights, norm: &setting.norm, seen }
    }

    fn apply(&mut self, site: Site, x: Tensor<2>) -> Tensor<2> {
        let i = site as usize;
        let centred_and_var = |x: Tensor<2>, axis: usize| {
            let mean = x.clone().mean_dim(axis);
            let centred = x - mean.clone();
            let var = centred.clone().square().mean_dim(axis);
            (mean, centred, var)
        };
        let (centred, var) = match self.norm {
            Norm::None => return x,
            Norm::Layer => {
                let (_, centred, var) = centred_and_var(x, 1);
                (centred, var)
            }
            Norm::Batch => {
                let (mean, centred, var) = centred_and_var(x, 0);
                if let Some(Seen(seen)) = &mut self.seen {
                    for (to, x) in seen[i].iter_mut().zip([mean, var.clone()]) {
                        to.push(x.without_autodiff());
                    }
                }
                (centred, var)
            }
            Norm::Running(moments) => {
                let row = |x: &Tensor<2>| x.clone().narrow(0, i, 1);
                (x - row(&moments.mean), row(&moments.var))
            }
        };
        let [gamma, beta] =
            [&self.weights.gamma, &self.weights.beta].map(|x| x.clone().narrow(0, i, 1));
        centred / (var + EPS).sqrt() * gamma + beta
    }
}

impl Seen {
    fn stacked(self, batch: usize, n_cells: Vec<usize>) -> StepMoments {
        let (means, vars): (Vec<_>, Vec<_>) = self
            .0
            .into_iter()
            .map(|[mean, var]| (Tensor::cat(mean, 0), Tensor::cat(var, 0)))
            .unzip();
        StepMoments { mean: Tensor::stack(means, 1), var: Tensor::stack(vars, 1), batch, n_cells }
    }
}
