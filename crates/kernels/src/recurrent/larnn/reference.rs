//! The definition, on host numbers in `f64`: slow and plain.

use burn::tensor::Tensor;

use super::dropout::Place;
use super::moments::host;
use super::setting::{
    EPS, KeyValue, LarnnSetting, LarnnState, LarnnWeights, Norm, Site, check, position_table,
};

/// Every number of a scan, row-major.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    /// Results, `[time, batch, d_hidden]`.
    pub rows: Vec<f64>,
    /// Cells, `[time, batch, d_hidden]`.
    pub cells: Vec<f64>,
    /// Queries, `[time, batch, d_hidden]`.
    pub query: Vec<f64>,
    /// Attention after its norm, `[time, batch, d_hidden]`.
    pub attention: Vec<f64>,
    /// What goes into the gates, `[time, batch, 4 d_hidden]`.
    pub gates: Vec<f64>,
    /// Attention weights after dropout, newest cell last: `[time, batch, heads, window]`.
    pub weights: Vec<f64>,
    /// Means of the norms, `[time, n_norms, d_hidden]`; empty without batch statistics.
    pub mean: Vec<f64>,
    /// Their mean squared deviations.
    pub var: Vec<f64>,
}

/// All steps of a scan. Arguments as for [`super::larnn`].
///
/// # Panics
/// As [`super::larnn`].
#[must_use]
#[expect(clippy::too_many_lines, reason = "the steps of the definition, in its order")]
pub fn larnn(
    x: Tensor<3>,
    weights: &LarnnWeights,
    start: Option<LarnnState>,
    setting: &LarnnSetting,
) -> Steps {
    let [batch, time, _] = x.dims();
    let [d_in, d] = check(&x, weights, start.as_ref(), setting);
    let start = start.unwrap_or_else(|| LarnnState::zero(batch, d, &x));
    let LarnnSetting { n_heads, window, key_value, dropout, .. } = setting;
    let (n_heads, window) = (*n_heads, *window);
    let mut norms = Norms::new(weights, setting);
    let table = setting.positional_encoding.then(|| position_table(window));
    let n_position = setting.n_position();
    let like = x.clone().narrow(1, 0, 1).squeeze_dim::<2>(1);
    let mask = |place, t, size| dropout.at(place, t, size, &like).map(host);

    let mut hidden = rows(start.hidden, d);
    // By age, then by sequence: oldest first.
    let [_, n_start, _] = start.cells.dims();
    let mut queue: Vec<Vec<Vec<f64>>> = (0..n_start)
        .map(|j| rows(start.cells.clone().narrow(1, j, 1).reshape([batch, d]), d))
        .collect();
    let mut steps = Steps::default();
    let w = Host::new(weights);
    for t in 0..time {
        let x = rows(x.clone().narrow(1, t, 1).reshape([batch, d_in]), d_in);
        let n = queue.len();
        let seen: Vec<Vec<f64>> =
            x.iter().zip(&hidden).map(|(x, h)| [&x[..], h].concat()).collect();
        let query: Vec<Vec<f64>> =
            seen.iter().map(|x| elu(affine(x, &w.query, &w.query_bias))).collect();

        let memory_mask = mask(Place::Memory, t, window * (d + n_position));
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for b in 0..batch {
            for (j, cells) in queue.iter().enumerate() {
                let slot = window - n + j;
                let mut memory = cells[b].clone();
                if let Some(table) = &table {
                    memory.extend_from_slice(&table[slot * n_position..(slot + 1) * n_position]);
                }
                if let Some(mask) = &memory_mask {
                    let first = (b * window + slot) * memory.len();
                    memory.iter_mut().zip(&mask[first..]).for_each(|(m, factor)| *m *= factor);
                }
                let mut both = affine(&memory, &w.key_value, &w.key_value_bias);
                if *key_value != KeyValue::Linear {
                    both = elu(both);
                }
                keys.push(both[..d].to_vec());
                values.push(both[d..].to_vec());
            }
        }
        if setting.normalises_keys() {
            keys = norms.apply(Site::Key, keys);
            values = norms.apply(Site::Value, values);
        }

        let attention_mask = mask(Place::Attention, t, n_heads * window);
        let d_head = d / n_heads;
        let mut attention = Vec::new();
        for b in 0..batch {
            let mut read = vec![0.0; d];
            for head in 0..n_heads {
                let part = head * d_head..(head + 1) * d_head;
                let scores: Vec<f64> = (0..n)
                    .map(|j| {
                        let key = &keys[b * n + j][part.clone()];
                        dot(&query[b][part.clone()], key) / (d_head as f64).sqrt()
                    })
                    .collect();
                let mut p = vec![0.0; window - n];
                p.extend(softmax(&scores));
                if let Some(mask) = &attention_mask {
                    let first = (b * n_heads + head) * window;
                    p.iter_mut().zip(&mask[first..]).for_each(|(p, factor)| *p *= factor);
                }
                for j in 0..n {
                    for f in part.clone() {
                        read[f] += p[window - n + j] * values[b * n + j][f];
                    }
                }
                steps.weights.extend(p);
            }
            attention.push(elu(affine(&read, &w.output, &w.output_bias)));
        }
        let attention = norms.apply(Site::Attention, attention);

        let z: Vec<Vec<f64>> = seen
            .iter()
            .zip(&attention)
            .map(|(seen, a)| affine(&[&seen[..], a].concat(), &w.gates, &w.gates_bias))
            .collect();
        let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
        let newest = &queue[n - 1];
        let cell = (0..batch).map(|b| {
            let at = |gate: usize, j: usize| z[b][gate * d + j];
            (0..d)
                .map(|j| at(0, j).tanh() * sigmoid(at(2, j)) + newest[b][j] * sigmoid(at(1, j)))
                .collect()
        });
        let cell = norms.apply(Site::Cell, cell.collect());
        let out = (0..batch).map(|b| {
            let cell = elu(cell[b].clone());
            (0..d).map(|j| sigmoid(z[b][3 * d + j]) * cell[j]).collect()
        });
        hidden = norms.apply(Site::Hidden, out.collect());
        let mut result = hidden.clone();
        if let Some(mask) = mask(Place::Output, t, d) {
            result.iter_mut().flatten().zip(mask).for_each(|(h, factor)| *h *= factor);
        }
        if dropout.carried() {
            hidden.clone_from(&result);
        }
        for (to, from) in [
            (&mut steps.rows, &result),
            (&mut steps.cells, &cell),
            (&mut steps.query, &query),
            (&mut steps.attention, &attention),
            (&mut steps.gates, &z),
        ] {
            to.extend(from.iter().flatten());
        }
        norms.end_of_step(&mut steps);
        queue.push(cell);
        if queue.len() > window {
            queue.remove(0);
        }
    }
    steps
}

/// The weights as host numbers.
struct Host {
    gates: Vec<f64>,
    gates_bias: Vec<f64>,
    query: Vec<f64>,
    query_bias: Vec<f64>,
    key_value: Vec<f64>,
    key_value_bias: Vec<f64>,
    output: Vec<f64>,
    output_bias: Vec<f64>,
}

impl Host {
    fn new(weights: &LarnnWeights) -> Self {
        let w = weights.clone();
        Self {
            gates: host(w.gates),
            gates_bias: host(w.gates_bias),
            query: host(w.query),
            query_bias: host(w.query_bias),
            key_value: host(w.key_value),
            key_value_bias: host(w.key_value_bias),
            output: host(w.output),
            output_bias: host(w.output_bias),
        }
    }
}

fn rows(x: Tensor<2>, width: usize) -> Vec<Vec<f64>> {
    host(x).chunks_exact(width).map(<[f64]>::to_vec).collect()
}

fn affine(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let n = bias.len();
    (0..n).map(|j| bias[j] + (0..x.len()).map(|i| x[i] * weight[i * n + j]).sum::<f64>()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn elu(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(|x| if x > 0.0 { x } else { x.exp_m1() }).collect()
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let p: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
    let sum: f64 = p.iter().sum();
    p.into_iter().map(|p| p / sum).collect()
}

/// The norms of a cell, and the moments of the step at hand.
struct Norms<'a> {
    norm: &'a Norm,
    gamma: Vec<f64>,
    beta: Vec<f64>,
    given: [Vec<f64>; 2],
    seen: [Vec<f64>; 2],
}

impl<'a> Norms<'a> {
    fn new(weights: &LarnnWeights, setting: &'a LarnnSetting) -> Self {
        let [gamma, beta] = [&weights.gamma, &weights.beta].map(|x| host(x.clone()));
        let given = match &setting.norm {
            Norm::Running(moments) => [&moments.mean, &moments.var].map(|x| host(x.clone())),
            _ => Default::default(),
        };
        let size = if matches!(setting.norm, Norm::Batch) { gamma.len() } else { 0 };
        Self { norm: &setting.norm, gamma, beta, given, seen: [vec![0.0; size], vec![0.0; size]] }
    }

    fn apply(&mut self, site: Site, x: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        let d = x[0].len();
        let first = site as usize * d;
        let moments = |values: &[f64]| {
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            (mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n)
        };
        let of_column = |j: usize| moments(&x.iter().map(|row| row[j]).collect::<Vec<f64>>());
        let columns: Vec<(f64, f64)> = match self.norm {
            Norm::None => return x,
            Norm::Layer => Vec::new(),
            Norm::Batch => (0..d).map(of_column).collect(),
            Norm::Running(_) => {
                (first..first + d).map(|i| (self.given[0][i], self.given[1][i])).collect()
            }
        };
        if matches!(self.norm, Norm::Batch) {
            for (j, (mean, var)) in columns.iter().enumerate() {
                self.seen[0][first + j] = *mean;
                self.seen[1][first + j] = *var;
            }
        }
        let normalised = |row: &Vec<f64>| {
            let of_row = moments(row);
            (0..d)
                .map(|j| {
                    let (mean, var) = *columns.get(j).unwrap_or(&of_row);
                    let x = (row[j] - mean) / (var + EPS).sqrt();
                    x * self.gamma[first + j] + self.beta[first + j]
                })
                .collect()
        };
        x.iter().map(normalised).collect()
    }

    fn end_of_step(&self, steps: &mut Steps) {
        steps.mean.extend_from_slice(&self.seen[0]);
        steps.var.extend_from_slice(&self.seen[1]);
    }
}
