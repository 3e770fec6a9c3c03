//! Every kernel and every gradient against PyTorch: see `tests/golden/README.md`.

use std::path::{Path, PathBuf};

use burn::tensor::Tensor;

use crate::affine::affine;
use crate::mixing::mix;
use crate::pointwise::{Activation, mean_squared_error, pair_pool, residual_norm};
use crate::recurrent::lstm::{LstmState, lstm_with_state};
use crate::softmax::attention;
use crate::testing::{assert_close, golden};

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kernels.safetensors")
}

fn read<const D: usize>(name: &str) -> Tensor<D> {
    golden(&file(), name)
}

fn tracked<const D: usize>(name: &str) -> Tensor<D> {
    read::<D>(name).autodiff().require_grad()
}

/// Compares the result, then contracts it with the stored cotangent and goes back.
fn check<const D: usize>(kernel: &str, out: Tensor<D>) -> burn::tensor::Gradients {
    assert_close(&out.clone().inner(), &read(&format!("{kernel}.out")), 1e-13);
    (out * read::<D>(&format!("{kernel}.g")).autodiff()).sum().backward()
}

fn gradient<const D: usize>(x: &Tensor<D>, grads: &burn::tensor::Gradients, name: &str) {
    assert_close(&x.grad(grads).expect("a gradient"), &read(name), 1e-12);
}

#[test]
fn softmax_attention_equals_pytorch() {
    let [q, k, v] = ["softmax.q", "softmax.k", "softmax.v"].map(tracked::<4>);
    let w = tracked::<3>("softmax.w");
    let out = attention(q.clone(), k.clone(), v.clone(), Some(w.clone()), 0.4, true);
    let grads = check("softmax", out);
    gradient(&q, &grads, "softmax.dq");
    gradient(&k, &grads, "softmax.dk");
    gradient(&v, &grads, "softmax.dv");
    gradient(&w, &grads, "softmax.dw");
}

#[test]
fn mixing_equals_pytorch() {
    let (alpha, v) = (tracked::<3>("mixing.alpha"), tracked::<4>("mixing.v"));
    let grads = check("mixing", mix(alpha.clone(), v.clone()));
    gradient(&alpha, &grads, "mixing.dalpha");
    gradient(&v, &grads, "mixing.dv");
}

#[test]
fn residual_norm_equals_pytorch() {
    let [x, branch] = ["residual_norm.x", "residual_norm.branch"].map(tracked::<3>);
    let [gamma, beta] = ["residual_norm.gamma", "residual_norm.beta"].map(tracked::<1>);
    let out = residual_norm(x.clone(), branch.clone(), gamma.clone(), beta.clone(), 1e-5);
    let grads = check("residual_norm", out);
    gradient(&x, &grads, "residual_norm.dx");
    gradient(&branch, &grads, "residual_norm.dbranch");
    gradient(&gamma, &grads, "residual_norm.dgamma");
    gradient(&beta, &grads, "residual_norm.dbeta");
}

#[test]
fn affine_maps_equal_pytorch() {
    for (activation, kernel) in
        [(Activation::Relu, "affine_relu"), (Activation::Gelu, "affine_gelu")]
    {
        let x = tracked::<3>(&format!("{kernel}.x"));
        let w = tracked::<2>(&format!("{kernel}.w"));
        let b = tracked::<1>(&format!("{kernel}.b"));
        let out = affine(x.clone(), w.clone(), Some(b.clone()), activation);
        let grads = check(kernel, out);
        gradient(&x, &grads, &format!("{kernel}.dx"));
        gradient(&w, &grads, &format!("{kernel}.dw"));
        gradient(&b, &grads, &format!("{kernel}.db"));
    }
}

#[test]
fn pair_pool_and_mean_squared_error_equal_pytorch() {
    let x = tracked::<3>("pair_pool.x");
    let grads = check("pair_pool", pair_pool(x.clone()));
    gradient(&x, &grads, "pair_pool.dx");
    let [p, t] = ["mse.p", "mse.t"].map(tracked::<3>);
    let grads = check("mse", mean_squared_error(p.clone(), t.clone()));
    gradient(&p, &grads, "mse.dp");
    gradient(&t, &grads, "mse.dt");
}

#[test]
fn the_lstm_equals_pytorch() {
    let x = tracked::<3>("lstm.x");
    let [w_x, w_h, hidden, cell] = ["lstm.w_x", "lstm.w_h", "lstm.h", "lstm.c"].map(tracked::<2>);
    let b = tracked::<1>("lstm.b");
    let start = LstmState { hidden: hidden.clone(), cell: cell.clone() };
    let (rows, after) =
        lstm_with_state(x.clone(), w_x.clone(), w_h.clone(), b.clone(), Some(start));
    let grads = check("lstm", Tensor::cat(vec![rows, after.cell.unsqueeze_dim(1)], 1));
    gradient(&x, &grads, "lstm.dx");
    gradient(&w_x, &grads, "lstm.dw_x");
    gradient(&w_h, &grads, "lstm.dw_h");
    gradient(&b, &grads, "lstm.db");
    gradient(&hidden, &grads, "lstm.dh");
    gradient(&cell, &grads, "lstm.dc");
}
