//! The cell against the author's, in PyTorch: see `tests/golden/larnn/README.md`.

use std::path::{Path, PathBuf};

use burn::tensor::{FloatDType, Tensor};

use super::{
    Dropout, DropoutMasks, KeyValue, LarnnOutput, LarnnSetting, LarnnState, LarnnWeights, Moments,
    Norm, RunningUpdate, StepMoments, composed, larnn, n_position, position_table, reference,
};
use crate::testing::{assert_close, from_f64, golden, to_f64};

const HEADS: usize = 2;
const WINDOW: usize = 4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/larnn")
}

/// One file, with its parameters as leaves of the graph in the layout of PyTorch.
struct Case {
    file: PathBuf,
    name: String,
    dtype: FloatDType,
    x: Tensor<3>,
    vectors: Vec<(String, Tensor<1>)>,
    matrices: Vec<(String, Tensor<2>)>,
}

fn cases(dtype: FloatDType) -> Vec<Case> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|file| file.file_name().unwrap().to_string_lossy().starts_with("cell_"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 20, "a golden file is missing");
    files.into_iter().map(|file| Case::new(file, dtype)).collect()
}

impl Case {
    fn new(file: PathBuf, dtype: FloatDType) -> Self {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let x: Tensor<3> = golden(&file, "x");
        let x = x.swap_dims(0, 1).cast(dtype).autodiff().require_grad();
        Self { file, name, dtype, x, vectors: Vec::new(), matrices: Vec::new() }
    }

    fn has(&self, word: &str) -> bool {
        self.name.split('_').any(|part| part == word)
    }

    fn trains(&self) -> bool {
        self.has("train")
    }

    fn shared(&self) -> bool {
        self.has("akvshared")
    }

    fn matrix(&mut self, name: &str) -> Tensor<2> {
        let leaf: Tensor<2> = golden(&self.file, &format!("param.{name}.weight"));
        let leaf = leaf.cast(self.dtype).autodiff().require_grad();
        self.matrices.push((format!("{name}.weight"), leaf.clone()));
        leaf.transpose()
    }

    fn vector(&mut self, name: &str) -> Tensor<1> {
        let leaf: Tensor<1> = golden(&self.file, &format!("param.{name}"));
        let leaf = leaf.cast(self.dtype).autodiff().require_grad();
        self.vectors.push((name.to_owned(), leaf.clone()));
        leaf
    }

    fn norms(&self) -> Vec<&'static str> {
        let value = if self.shared() { "bn_key" } else { "bn_value" };
        let normalised = !self.has("noakv");
        let more: &[_] = if normalised { &["bn_key", value] } else { &[] };
        [&["bn_cell", "bn_hidden", "bn_attention"], more].concat()
    }

    fn weights(&mut self) -> LarnnWeights {
        let (gates, gates_bias) = if self.has("residual") {
            let parts = ["input", "hidden", "attention"];
            let parts = parts.map(|part| self.matrix(&format!("gates_from_{part}")));
            let bias = self.vector("gates_from_input.bias");
            (Tensor::cat(parts.to_vec(), 0), bias + self.vector("gates_from_attention.bias"))
        } else {
            (self.matrix("gates_from_concat"), self.vector("gates_from_concat.bias"))
        };
        let key_value = ["key", "value"].map(|part| self.matrix(part));
        let key_value_bias = ["key.bias", "value.bias"].map(|part| self.vector(part));
        let mut rows = |kind: &str| {
            let mut rows: Vec<Tensor<1>> = Vec::new();
            for (i, norm) in self.norms().into_iter().enumerate() {
                // One leaf where both norms share it, so that its gradient is the sum.
                let shared = i == 4 && self.shared();
                rows.push(match rows.last() {
                    Some(row) if shared => row.clone(),
                    _ => self.vector(&format!("{norm}.{kind}")),
                });
            }
            Tensor::stack(rows, 0)
        };
        let [gamma, beta] = ["gamma", "beta"].map(&mut rows);
        LarnnWeights {
            gates,
            gates_bias,
            query: self.matrix("query"),
            query_bias: self.vector("query.bias"),
            key_value: Tensor::cat(key_value.to_vec(), 1),
            key_value_bias: Tensor::cat(key_value_bias.to_vec(), 0),
            output: self.matrix("attention_output"),
            output_bias: self.vector("attention_output.bias"),
            gamma,
            beta,
        }
    }

    fn running(&self, when: &str) -> Moments {
        let rows = |kind: &str| {
            let rows = self
                .norms()
                .into_iter()
                .map(|norm| golden::<1>(&self.file, &format!("stat.{norm}.running_{kind}_{when}")));
            Tensor::stack(rows.collect(), 0)
        };
        Moments { mean: rows("mean"), var: rows("var") }
    }

    fn setting(&self) -> LarnnSetting {
        let masks = |masked: &Self| DropoutMasks {
            attention: Some(golden::<4>(&masked.file, "mask.attention_prob").swap_dims(0, 1)),
            memory: masked
                .has("pe")
                .then(|| golden::<4>(&masked.file, "mask.keys_values_input").swap_dims(0, 1)),
            output: Some(golden::<3>(&masked.file, "mask.hidden").swap_dims(0, 1)),
            carried: true,
        };
        let running = self.running("before");
        let cast = |x: Tensor<2>| x.cast(self.dtype).autodiff();
        let running = Moments { mean: cast(running.mean), var: cast(running.var) };
        LarnnSetting {
            n_heads: HEADS,
            window: WINDOW,
            positional_encoding: self.has("pe"),
            key_value: if self.has("noakv") { KeyValue::Linear } else { KeyValue::EluNorm },
            norm: if self.trains() { Norm::Batch } else { Norm::Running(running) },
            dropout: if self.has("masks") {
                let mut masks = masks(self);
                let cast = |x: Tensor<4>| x.cast(self.dtype).autodiff();
                masks.attention = masks.attention.map(cast);
                masks.memory = masks.memory.map(cast);
                masks.output = masks.output.map(|x| x.cast(self.dtype).autodiff());
                Dropout::Masks(masks)
            } else {
                Dropout::None
            },
        }
    }

    fn expected<const D: usize>(&self, name: &str) -> Tensor<D> {
        golden(&self.file, name)
    }

    /// `[time, batch, d]` of the file as `[batch, time, d]`.
    fn by_batch(&self, name: &str) -> Tensor<3> {
        self.expected::<3>(name).swap_dims(0, 1)
    }
}

type Form = fn(Tensor<3>, &LarnnWeights, Option<LarnnState>, &LarnnSetting) -> LarnnOutput;

fn close<const D: usize>(case: &Case, what: &str, found: Tensor<D>, expected: Tensor<D>, tol: f64) {
    let check = || assert_close(&found.cast(FloatDType::F64), &expected, tol);
    if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)) {
        panic!("{}, {what}: {:?}", case.name, panic.downcast_ref::<String>());
    }
}

/// Rows, last cells, running moments, and the gradient of every leaf.
fn check(form: Form, dtype: FloatDType, [eval_tol, train_tol]: [f64; 2]) {
    for mut case in cases(dtype) {
        let tol = if case.trains() { train_tol } else { eval_tol };
        let (weights, setting) = (case.weights(), case.setting());
        let found = form(case.x.clone(), &weights, None, &setting);
        let [batch, _, _] = case.x.dims();
        close(&case, "rows", found.rows.clone().inner(), case.by_batch("out.hidden"), tol);
        let cells = case.by_batch("out.cell").narrow(1, 11 - WINDOW, WINDOW);
        close(&case, "cells", found.state.cells.clone().inner(), cells, tol);
        let hidden = case.by_batch("out.hidden").narrow(1, 10, 1).squeeze_dim(1);
        close(&case, "state", found.state.hidden.clone().inner(), hidden, tol);
        if let Some(steps) = &found.moments {
            assert_eq!((steps.batch, &steps.n_cells[..5]), (batch, &[1, 2, 3, 4, 4][..]));
            let expected = case.running("after");
            let after = running_after(&case, steps);
            close(&case, "running mean", after.mean, expected.mean, tol);
            close(&case, "running variance", after.var, expected.var, tol);
        }
        if dtype == FloatDType::F32 {
            continue;
        }
        let weight = case.by_batch("loss.weight_hidden").autodiff();
        let weight_cell = case.expected::<2>("loss.weight_last_cell").autodiff();
        let cell = found.state.cells.narrow(1, WINDOW - 1, 1).squeeze_dim::<2>(1);
        let loss = (found.rows * weight).sum() + (cell * weight_cell).sum();
        close(&case, "loss", loss.clone().inner(), case.expected("out.loss"), tol);
        let grads = loss.backward();
        let dx = case.x.grad(&grads).expect("x has a gradient");
        close(&case, "grad.x", dx, case.by_batch("grad.x"), tol);
        for (name, leaf) in &case.vectors {
            let name = format!("grad.{name}");
            let grad = leaf.grad(&grads).unwrap_or_else(|| panic!("{} {name}", case.name));
            close(&case, &name, grad, case.expected(&name), tol);
        }
        for (name, leaf) in &case.matrices {
            let name = format!("grad.{name}");
            let grad = leaf.grad(&grads).unwrap_or_else(|| panic!("{} {name}", case.name));
            close(&case, &name, grad, case.expected(&name), tol);
        }
    }
}

/// A norm that keys and values share follows both, keys first.
fn running_after(case: &Case, steps: &StepMoments) -> Moments {
    let before = case.running("before");
    if !case.shared() {
        return before.updated(steps, RunningUpdate::PerStep);
    }
    let mut running = before;
    for t in 0..steps.n_cells.len() {
        let at = |x: &Tensor<3>| x.clone().narrow(0, t, 1);
        let step = StepMoments {
            mean: at(&steps.mean),
            var: at(&steps.var),
            batch: steps.batch,
            n_cells: vec![steps.n_cells[t]],
        };
        let after = running.updated(&step, RunningUpdate::PerStep);
        // The value norm goes on from where the keys have left the shared one.
        let from_keys = |x: &Tensor<2>| {
            let rows = x.clone().narrow(0, 0, 4);
            Tensor::cat(vec![rows.clone(), rows.narrow(0, 3, 1)], 0)
        };
        let halfway = Moments { mean: from_keys(&after.mean), var: from_keys(&after.var) };
        let both = halfway.updated(&step, RunningUpdate::PerStep);
        let join = |single: &Tensor<2>, both: &Tensor<2>| {
            let value = both.clone().narrow(0, 4, 1);
            Tensor::cat(vec![single.clone().narrow(0, 0, 3), value.clone(), value], 0)
        };
        running = Moments { mean: join(&after.mean, &both.mean), var: join(&after.var, &both.var) };
    }
    running
}

#[test]
fn the_composed_form_equals_the_authors_cell_in_double_precision() {
    check(composed, FloatDType::F64, [1e-8, 1e-8]);
}

#[test]
fn the_scan_equals_the_authors_cell_in_double_precision() {
    check(larnn, FloatDType::F64, [1e-8, 1e-8]);
}

/// Bounds of the README; training divides by deviations that are zero at the first step.
#[test]
fn the_scan_equals_the_authors_cell_in_single_precision() {
    check(larnn, FloatDType::F32, [1e-5, 5e-3]);
}

#[test]
fn every_number_inside_a_step_equals_the_authors() {
    for mut case in cases(FloatDType::F64) {
        let (weights, setting) = (case.weights(), case.setting());
        let steps = reference::larnn(case.x.clone(), &weights, None, &setting);
        let [batch, time, _] = case.x.dims();
        let shaped = |values: Vec<f64>, width| from_f64(values, [time, batch, width]);
        let width = steps.rows.len() / (time * batch);
        for (name, values) in [
            ("out.hidden", steps.rows),
            ("out.cell", steps.cells),
            ("mid.query", steps.query),
            ("mid.attention", steps.attention),
        ] {
            close(&case, name, shaped(values, width), case.expected(name), 1e-8);
        }
        let gates = shaped(steps.gates, 4 * width);
        close(&case, "mid.gates_pre", gates, case.expected("mid.gates_pre"), 1e-8);
        let found = from_f64(steps.weights, [time, batch, HEADS, WINDOW]);
        close(&case, "mid.attention_prob", found, case.expected("mid.attention_prob"), 1e-8);
    }
}

#[test]
fn positional_tables_equal_the_golden_ones() {
    let file = folder().join("positional_encoding_tables.safetensors");
    for window in [1, 2, 3, 4, 5, 8, 10, 25, 38] {
        let expected: Tensor<2> = golden(&file, &format!("k{window:03}"));
        let found = from_f64(position_table(window), [window, n_position(window)]);
        assert!(to_f64(&(found - expected)).iter().all(|x| x.abs() <= 1e-12), "window {window}");
    }
}
