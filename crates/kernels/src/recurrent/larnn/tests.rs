use burn::tensor::{FloatDType, Tensor};

use super::{
    Dropout, HashedDropout, KeyValue, LarnnOutput, LarnnSetting, LarnnState, LarnnStream,
    LarnnWeights, Moments, Norm, RunningUpdate, composed, larnn, reference,
};
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

/// Sizes and switches of a random problem.
#[derive(Clone, Copy, Debug)]
struct Case {
    batch: usize,
    time: usize,
    d_in: usize,
    d: usize,
    n_heads: usize,
    window: usize,
    positional_encoding: bool,
    key_value: KeyValue,
    norm: &'static str,
    n_start: usize,
    dropout: f64,
    carried: bool,
}

const PLAIN: Case = Case {
    batch: 7,
    time: 7,
    d_in: 5,
    d: 6,
    n_heads: 3,
    window: 4,
    positional_encoding: false,
    key_value: KeyValue::EluNorm,
    norm: "batch",
    n_start: 2,
    dropout: 0.3,
    carried: true,
};

impl Case {
    fn setting(&self) -> LarnnSetting {
        let d = self.d;
        let n_norms = if self.key_value == KeyValue::EluNorm { 5 } else { 3 };
        let shape = [n_norms, d];
        LarnnSetting {
            n_heads: self.n_heads,
            window: self.window,
            positional_encoding: self.positional_encoding,
            key_value: self.key_value,
            norm: match self.norm {
                "batch" => Norm::Batch,
                "running" => Norm::Running(Moments {
                    mean: normal(shape, 31).mul_scalar(0.3),
                    var: normal(shape, 32).square() + 0.2,
                }),
                "layer" => Norm::Layer,
                _ => Norm::None,
            },
            dropout: if self.dropout > 0.0 {
                Dropout::Hashed(HashedDropout {
                    attention: self.dropout,
                    memory: 0.0,
                    output: self.dropout / 2.0,
                    carried: self.carried,
                    seed: 11,
                })
            } else {
                Dropout::None
            },
        }
    }

    fn x(&self) -> Tensor<3> {
        normal([self.batch, self.time, self.d_in], 1)
    }

    fn start(&self) -> Option<LarnnState> {
        (self.n_start > 0).then(|| LarnnState {
            hidden: normal([self.batch, self.d], 2),
            cells: normal([self.batch, self.n_start, self.d], 3),
        })
    }

    fn weights(&self) -> LarnnWeights {
        let (d, d_in) = (self.d, self.d_in);
        let setting = self.setting();
        let scale = 1.0 / (d as f64).sqrt();
        let matrix = |shape, seed| normal(shape, seed).mul_scalar(scale);
        let n_norms = setting.n_norms();
        LarnnWeights {
            gates: matrix([d_in + 2 * d, 4 * d], 4),
            gates_bias: normal([4 * d], 5),
            query: matrix([d_in + d, d], 6),
            query_bias: normal([d], 7),
            key_value: matrix([d + setting.n_position(), 2 * d], 8),
            key_value_bias: normal([2 * d], 9),
            output: matrix([d, d], 10),
            output_bias: normal([d], 11),
            gamma: normal([n_norms, d], 12),
            beta: normal([n_norms, d], 13),
        }
    }
}

/// Every switch once with each of the others that it meets in the code.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for key_value in [KeyValue::Linear, KeyValue::Elu, KeyValue::EluNorm] {
        for positional_encoding in [false, true] {
            for norm in ["batch", "running", "none"] {
                let case = Case { positional_encoding, key_value, norm, ..PLAIN };
                cases.push(case);
                cases.push(Case { batch: 19, dropout: 0.0, n_start: 0, ..case });
                cases.push(Case { window: 1, n_start: 1, carried: false, ..case });
                cases.push(Case { window: 11, n_start: 3, ..case });
                cases.push(Case { time: 1, n_start: 4, ..case });
                // The window moves through memory where no step is kept.
                cases.push(Case { time: 17, window: 2, ..case });
            }
        }
    }
    cases.push(Case { norm: "running", batch: 1, n_start: 0, ..PLAIN });
    cases.push(Case { d: 13, n_heads: 1, batch: 35, ..PLAIN });
    cases
}

#[test]
fn equals_the_definition() {
    for case in cases().into_iter().chain([Case { norm: "layer", ..PLAIN }]) {
        let (x, weights, setting) = (case.x(), case.weights(), case.setting());
        let expected = reference::larnn(x.clone(), &weights, case.start(), &setting);
        let found = larnn(x, &weights, case.start(), &setting);
        let Case { batch, time, d, .. } = case;
        let rows = from_f64(expected.rows, [time, batch, d]).swap_dims(0, 1);
        // Norms over a few rows magnify rounding by up to 300 a step.
        let close = |a: &Tensor<3>, b: &Tensor<3>| assert_close(a, b, 1e-9);
        close(&found.rows, &rows);
        let cells = from_f64(expected.cells, [time, batch, d]).swap_dims(0, 1);
        let n_new = time.min(case.window);
        let n = found.state.cells.dims()[1];
        assert_eq!(n, (case.n_start.max(1) + time).min(case.window), "{case:?}");
        let new = found.state.cells.clone().narrow(1, n - n_new, n_new);
        close(&new, &cells.narrow(1, time - n_new, n_new));
        let last = found.state.hidden.unsqueeze_dim(1);
        if case.carried {
            close(&last, &found.rows.narrow(1, time - 1, 1));
        }
        assert_eq!(found.moments.is_some(), case.norm == "batch");
        if let Some(moments) = found.moments {
            let shape = [time, setting.n_norms(), d];
            close(&moments.mean, &from_f64(expected.mean, shape));
            close(&moments.var, &from_f64(expected.var, shape));
        }
    }
}

/// Rows, state and gradients of every input, contracted with fixed cotangents.
fn gradients(
    form: fn(Tensor<3>, &LarnnWeights, Option<LarnnState>, &LarnnSetting) -> LarnnOutput,
    case: &Case,
) -> (Vec<Tensor<1>>, Vec<Tensor<1>>) {
    let leaf = |x: Tensor<2>| x.autodiff().require_grad();
    let bias = |x: Tensor<1>| x.autodiff().require_grad();
    let w = case.weights();
    let w = LarnnWeights {
        gates: leaf(w.gates),
        gates_bias: bias(w.gates_bias),
        query: leaf(w.query),
        query_bias: bias(w.query_bias),
        key_value: leaf(w.key_value),
        key_value_bias: bias(w.key_value_bias),
        output: leaf(w.output),
        output_bias: bias(w.output_bias),
        gamma: leaf(w.gamma),
        beta: leaf(w.beta),
    };
    let x = case.x().autodiff().require_grad();
    let start = case.start().map(|start| LarnnState {
        hidden: leaf(start.hidden),
        cells: start.cells.autodiff().require_grad(),
    });
    let out = form(x.clone(), &w, start.clone(), &case.setting());
    let values = [out.rows.clone(), out.state.cells.clone(), out.state.hidden.unsqueeze_dim(1)];
    let mut loss = Tensor::zeros([1], (&x.device(), x.dtype()));
    for (i, value) in values.iter().enumerate() {
        let cotangent = normal(value.dims(), 40 + i as u64).autodiff();
        loss = loss + (value.clone() * cotangent).sum();
    }
    let grads = loss.backward();
    let flat = |x: &Tensor<2>| x.grad(&grads).expect("a gradient").flatten(0, 1);
    let mut found: Vec<Tensor<1>> =
        [&w.gates, &w.query, &w.key_value, &w.output].map(flat).to_vec();
    if w.gamma.dims()[0] > 0 {
        found.extend([flat(&w.gamma), flat(&w.beta)]);
    }
    let biases = [&w.gates_bias, &w.query_bias, &w.key_value_bias, &w.output_bias];
    found.extend(biases.map(|x| x.grad(&grads).expect("a gradient")));
    found.push(x.grad(&grads).expect("a gradient").flatten(0, 2));
    if let Some(start) = start {
        found.push(flat(&start.hidden));
        found.push(start.cells.grad(&grads).expect("a gradient").flatten(0, 2));
    }
    (values.map(|x| x.inner().flatten(0, 2)).to_vec(), found)
}

#[test]
fn rows_state_and_gradients_equal_those_of_the_composed_form() {
    for case in cases() {
        let (values, found) = gradients(larnn, &case);
        let (expected_values, expected) = gradients(composed, &case);
        let check = |found: Vec<Tensor<1>>, expected: Vec<Tensor<1>>| {
            for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
                let scale = to_f64(b).iter().fold(1.0_f64, |m, x| m.max(x.abs()));
                let worst =
                    to_f64(&(a.clone() - b.clone())).iter().fold(0.0_f64, |m, x| m.max(x.abs()));
                // As in the forward pass, and once more on the way back.
                assert!(worst <= 1e-8 * scale, "{case:?}, number {i}: {worst:e} of {scale:e}");
            }
        };
        check(values, expected_values);
        check(found, expected);
    }
}

#[test]
fn gradients_agree_with_differences() {
    let case = Case { batch: 5, time: 5, window: 3, ..PLAIN };
    for positional_encoding in [false, true] {
        let case = Case { positional_encoding, ..case };
        let (setting, weights) = (case.setting(), case.weights());
        let run = |x, w: LarnnWeights| larnn(x, &w, case.start(), &setting).rows;
        assert_gradients([case.x()], |[x]| run(x, weights.clone()), 1e-5);
        let w = weights.clone();
        assert_gradients(
            [w.key_value.clone()],
            |[key_value]| run(case.x(), LarnnWeights { key_value, ..weights.clone() }),
            1e-5,
        );
        assert_gradients(
            [w.gamma.clone(), w.beta.clone()],
            |[gamma, beta]| run(case.x(), LarnnWeights { gamma, beta, ..weights.clone() }),
            1e-5,
        );
    }
}

#[test]
fn results_and_gradients_do_not_depend_on_the_number_of_threads() {
    for norm in ["batch", "none"] {
        let case = Case { batch: 67, time: 9, d: 12, norm, ..PLAIN };
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (values, grads) = pool.install(|| gradients(larnn, &case));
            values.iter().chain(&grads).map(to_f64).collect::<Vec<_>>()
        };
        assert!(run(1) == run(3), "{norm}");
    }
}

#[test]
fn a_window_of_one_reads_the_newest_cell_whatever_the_query() {
    let case = Case { window: 1, n_start: 1, dropout: 0.0, norm: "running", ..PLAIN };
    let (weights, setting) = (case.weights(), case.setting());
    let expected = larnn(case.x(), &weights, case.start(), &setting).rows;
    let other = LarnnWeights { query: weights.query.clone() * -3.0, ..weights };
    assert_close(&larnn(case.x(), &other, case.start(), &setting).rows, &expected, 0.0);
}

#[test]
fn what_shifts_all_keys_alike_has_no_gradient() {
    let case = Case { dropout: 0.0, ..PLAIN };
    let d = case.d;
    let (_, grads) = gradients(larnn, &case);
    // Row 3 of `beta`: the norm of the keys.
    let beta = grads[5].clone().narrow(0, 3 * d, d);
    assert_close(&beta.clone(), &beta.zeros_like(), 0.0);
    let (_, grads) = gradients(larnn, &Case { key_value: KeyValue::Linear, ..case });
    let bias = grads[8].clone().narrow(0, 0, d);
    assert_close(&bias.clone(), &bias.zeros_like(), 1e-14);
}

#[test]
fn pooled_moments_are_those_of_all_steps_together() {
    let case = Case { dropout: 0.0, n_start: 0, ..PLAIN };
    let out = larnn(case.x(), &case.weights(), None, &case.setting());
    let steps = out.moments.expect("batch statistics");
    let zero = Moments::new(5, case.d, &out.rows.device());
    let zero = Moments {
        mean: zero.mean.cast(FloatDType::F64),
        var: zero.var.zeros_like().cast(FloatDType::F64),
    };
    let after = zero.updated(&steps, RunningUpdate::Pooled);
    // The norm of the cell saw as many rows at each step: means of means and of squares.
    let mean = steps.mean.clone().mean_dim(0);
    let square = (steps.var.clone() + steps.mean.square()).mean_dim(0);
    let n = (case.batch * case.time) as f64;
    let var = (square - mean.clone().square()) * (n / (n - 1.0));
    let row = |x: Tensor<2>| x.narrow(0, 0, 1);
    assert_close(&row(after.mean), &row(mean.squeeze_dim(0) * 0.1), 1e-12);
    assert_close(&row(after.var), &row(var.squeeze_dim(0) * 0.1), 1e-12);
}

#[test]
fn a_stream_gives_the_rows_of_the_scan() {
    for case in cases() {
        for norm in ["running", "layer", "none"] {
            let case = Case { norm, batch: 1, n_start: 0, dropout: 0.0, ..case };
            let (x, weights, setting) = (case.x(), case.weights(), case.setting());
            let expected = to_f64(&larnn(x.clone(), &weights, None, &setting).rows);
            let mut stream = LarnnStream::new(&weights, &setting);
            let mut row = vec![0.0; case.d];
            let rows = to_f64(&x);
            for (x, expected) in rows.chunks_exact(case.d_in).zip(expected.chunks_exact(case.d)) {
                stream.step(x, &mut row);
                for (a, b) in row.iter().zip(expected) {
                    assert!((a - b).abs() < 1e-11 * b.abs().max(1.0), "{case:?}: {a} for {b}");
                }
            }
        }
    }
}
