//! Layer norm, alone and after a residual sum, in one pass.
//!
//! ```text
//! s = x + branch      x̂ = (s − mean s) / √(var s + eps)      y = gamma ∘ x̂ + beta
//! u = gamma ∘ ∂y      ∂s = (u − mean u − x̂ ∘ mean(u ∘ x̂)) / √(var s + eps)
//! ∂gamma = Σ_rows ∂y ∘ x̂      ∂beta = Σ_rows ∂y
//! ```
//!
//! Means and variances are over the last axis; `eps` keeps the denominator positive.
//!
//! Source: Ba, Kiros & Hinton 2016, §3 eq. (3), arXiv:1607.06450.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use burn::tensor::{Tensor, assert_shape};

use super::activation::{load, store};
use super::rows::{CHUNK, column_sums, for_each_chunk};
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::Tables;
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::simd::Vector;
use crate::cpu::view::{FlexTensor, Output, Ptr, Storage, View, by_dtype, contiguous, dims};

/// Layer norm over the last axis.
///
/// # Shapes
/// - `x` and the result: `[batch, time, d]`; `gamma`, `beta`: `[d]`
///
/// # Panics
/// If the shapes or types disagree.
#[must_use]
pub fn layer_norm(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>, eps: f64) -> Tensor<3> {
    let [_, _, d] = x.dims();
    assert_shape!(gamma, [d]);
    assert_shape!(beta, [d]);
    if !on_cpu(&x) {
        return composed_layer_norm(x, gamma, beta, eps);
    }
    apply(LayerNorm { eps }, [x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch()])
}

/// `layer_norm(x + branch)`.
///
/// # Shapes
/// - `x`, `branch` and the result: `[batch, time, d]`; `gamma`, `beta`: `[d]`
///
/// # Panics
/// If the shapes or types disagree.
#[must_use]
pub fn residual_norm(
    x: Tensor<3>,
    branch: Tensor<3>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    eps: f64,
) -> Tensor<3> {
    let [batch, time, d] = x.dims();
    assert_shape!(branch, [batch, time, d]);
    assert_shape!(gamma, [d]);
    assert_shape!(beta, [d]);
    if !on_cpu(&x) {
        return composed_layer_norm(x + branch, gamma, beta, eps);
    }
    let [x, branch] = [x, branch].map(Tensor::into_dispatch);
    apply(ResidualNorm { eps }, [x, branch, gamma.into_dispatch(), beta.into_dispatch()])
}

/// Layer norm out of Burn operations.
#[must_use]
pub fn composed_layer_norm(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>, eps: f64) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    centred / (variance + eps).sqrt() * gamma.unsqueeze() + beta.unsqueeze()
}

#[derive(Clone, Copy, Debug)]
struct LayerNorm {
    eps: f64,
}

#[derive(Clone, Copy, Debug)]
struct ResidualNorm {
    eps: f64,
}

/// Sums `s`, `gamma`, and mean and inverse deviation of each row.
#[derive(Clone, Debug)]
struct Kept {
    s: FlexTensor,
    gamma: FlexTensor,
    moments: FlexTensor,
}

impl FusedOp<3> for LayerNorm {
    type Saved = Kept;

    fn forward(&self, [x, gamma, beta]: [FlexTensor; 3]) -> (FlexTensor, Kept) {
        let [x, gamma, beta] = [x, gamma, beta].map(contiguous);
        let (y, _, moments) = by_dtype!(x, forward(&x, None, [&gamma, &beta], self.eps));
        (y, Kept { s: x, gamma, moments })
    }

    fn backward(&self, kept: Kept, grad: FlexTensor, _: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let grad = contiguous(grad);
        by_dtype!(grad, backward(&kept, &grad)).map(Some)
    }
}

impl FusedOp<4> for ResidualNorm {
    type Saved = Kept;

    fn forward(&self, inputs: [FlexTensor; 4]) -> (FlexTensor, Kept) {
        let [x, branch, gamma, beta] = inputs.map(contiguous);
        let (y, s, moments) = by_dtype!(x, forward(&x, Some(&branch), [&gamma, &beta], self.eps));
        let s = s.expect("a sum is kept when there is a branch");
        (y, Kept { s, gamma, moments })
    }

    fn backward(&self, kept: Kept, grad: FlexTensor, _: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let grad = contiguous(grad);
        let [s, gamma, beta] = by_dtype!(grad, backward(&kept, &grad));
        [Some(s.clone()), Some(s), Some(gamma), Some(beta)]
    }
}

/// Result, sum (with a branch), moments.
fn forward<S: Storage + Tables>(
    x: &FlexTensor,
    branch: Option<&FlexTensor>,
    [gamma, beta]: [&FlexTensor; 2],
    eps: f64,
) -> (FlexTensor, Option<FlexTensor>, FlexTensor) {
    let [batch, time, d] = dims(x);
    let rows = batch * time;
    let mut y = Output::<S>::new(rows * d);
    let mut s = branch.map(|_| Output::<S>::new(rows * d));
    let mut moments = Output::<S>::new(2 * rows);
    let forward = Forward {
        first: 0,
        rows,
        d,
        eps,
        x: View::<S, 3>::new(x).ptr,
        branch: branch.map(|b| View::<S, 3>::new(b).ptr),
        gamma: View::<S, 1>::new(gamma).ptr,
        beta: View::<S, 1>::new(beta).ptr,
        y: y.ptr(),
        s: s.as_mut().map(Output::ptr),
        moments: Some(moments.ptr()),
    };
    for_each_chunk(rows, d, |first, n| unsafe { launch(Forward { first, rows: n, ..forward }) });
    unsafe {
        let shape = [batch, time, d];
        (y.finish(shape), s.map(|s| s.finish(shape)), moments.finish([batch, time, 2]))
    }
}

/// One chunk of rows.
#[derive(Clone, Copy)]
pub(crate) struct Forward<S> {
    pub(crate) first: usize,
    pub(crate) rows: usize,
    pub(crate) d: usize,
    pub(crate) eps: f64,
    pub(crate) x: Ptr<S>,
    pub(crate) branch: Option<Ptr<S>>,
    pub(crate) gamma: Ptr<S>,
    pub(crate) beta: Ptr<S>,
    pub(crate) y: Ptr<S>,
    /// Where the sum goes if there is a branch; may be `y`.
    pub(crate) s: Option<Ptr<S>>,
    /// Mean and inverse deviation of each row, if someone wants to go back.
    pub(crate) moments: Option<Ptr<S>>,
}

impl<S: Tables> Kernel<S> for Forward<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let d = self.d;
        for r in self.first..self.first + self.rows {
            unsafe {
                let mut row = self.x.at(r * d);
                let mut sum = V::zero();
                if let (Some(branch), Some(s)) = (self.branch, self.s) {
                    let s = s.at(r * d);
                    for j in (0..d).step_by(V::LANES) {
                        let n = V::LANES.min(d - j);
                        let v = load::<V>(row.add(j), n).add(load::<V>(branch.at(r * d + j), n));
                        store(v, s.add(j), n);
                        sum = sum.add(v);
                    }
                    row = s;
                } else {
                    for j in (0..d).step_by(V::LANES) {
                        sum = sum.add(load::<V>(row.add(j), V::LANES.min(d - j)));
                    }
                }
                let mean = sum.sum().to_f64() / d as f64;
                let mean_v = V::splat(S::from_f64(mean));
                let mut squares = V::zero();
                for j in (0..d).step_by(V::LANES) {
                    let n = V::LANES.min(d - j);
                    let c = load::<V>(row.add(j), n).sub(mean_v);
                    let square = c.mul(c);
                    // Lanes beyond the row hold `mean²`, not zero.
                    squares = if n == V::LANES {
                        squares.add(square)
                    } else {
                        let mut lanes = [S::ZERO; 16];
                        square.store_partial(lanes.as_mut_ptr(), n);
                        squares.add(V::load(lanes.as_ptr()))
                    };
                }
                let variance = squares.sum().to_f64() / d as f64;
                let inverse = 1.0 / (variance + self.eps).sqrt();
                let inverse_v = V::splat(S::from_f64(inverse));
                if let Some(moments) = self.moments {
                    *moments.at(2 * r) = S::from_f64(mean);
                    *moments.at(2 * r + 1) = S::from_f64(inverse);
                }
                let y = self.y.at(r * d);
                for j in (0..d).step_by(V::LANES) {
                    let n = V::LANES.min(d - j);
                    let x_hat = load::<V>(row.add(j), n).sub(mean_v).mul(inverse_v);
                    let gamma = load::<V>(self.gamma.at(j), n);
                    store(x_hat.mul_add(gamma, load::<V>(self.beta.at(j), n)), y.add(j), n);
                }
            }
        }
    }
}

/// Gradients of `s`, `gamma`, `beta`.
fn backward<S: Storage + Tables>(kept: &Kept, grad: &FlexTensor) -> [FlexTensor; 3] {
    let [batch, time, d] = dims(&kept.s);
    let rows = batch * time;
    let mut ds = Output::<S>::new(rows * d);
    let mut partial_gamma = Output::<S>::zeros(rows.div_ceil(CHUNK) * d);
    let mut partial_beta = Output::<S>::zeros(rows.div_ceil(CHUNK) * d);
    let backward = BackwardRows {
        first: 0,
        rows,
        d,
        s: View::<S, 3>::new(&kept.s).ptr,
        gamma: View::<S, 1>::new(&kept.gamma).ptr,
        moments: View::<S, 3>::new(&kept.moments).ptr,
        grad: View::<S, 3>::new(grad).ptr,
        ds: ds.ptr(),
        gamma_grad: partial_gamma.ptr(),
        beta_grad: partial_beta.ptr(),
    };
    for_each_chunk(rows, d, |first, n| unsafe {
        launch(BackwardRows { first, rows: n, ..backward });
    });
    let gamma = column_sums(backward.gamma_grad, rows, d);
    let beta = column_sums(backward.beta_grad, rows, d);
    unsafe { [ds.finish([batch, time, d]), gamma.finish([d]), beta.finish([d])] }
}

/// One chunk of rows going back.
#[derive(Clone, Copy)]
struct BackwardRows<S> {
    first: usize,
    rows: usize,
    d: usize,
    s: Ptr<S>,
    gamma: Ptr<S>,
    moments: Ptr<S>,
    grad: Ptr<S>,
    ds: Ptr<S>,
    gamma_grad: Ptr<S>,
    beta_grad: Ptr<S>,
}

impl<S: Tables> Kernel<S> for BackwardRows<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let d = self.d;
        let chunk = self.first / CHUNK * d;
        let (gamma_grad, beta_grad) = (self.gamma_grad.at(chunk), self.beta_grad.at(chunk));
        for r in self.first..self.first + self.rows {
            unsafe {
                let mean = V::splat(*self.moments.at(2 * r));
                let inverse = V::splat(*self.moments.at(2 * r + 1));
                let (s, g) = (self.s.at(r * d), self.grad.at(r * d));
                let (mut sum, mut dot) = (V::zero(), V::zero());
                for j in (0..d).step_by(V::LANES) {
                    let n = V::LANES.min(d - j);
                    // Lanes beyond the row have gradient zero and add nothing.
                    let g = load::<V>(g.add(j), n);
                    let x_hat = load::<V>(s.add(j), n).sub(mean).mul(inverse);
                    let u = g.mul(load::<V>(self.gamma.at(j), n));
                    sum = sum.add(u);
                    dot = u.mul_add(x_hat, dot);
                    let total = g.mul_add(x_hat, load::<V>(gamma_grad.add(j), n));
                    store(total, gamma_grad.add(j), n);
                    store(load::<V>(beta_grad.add(j), n).add(g), beta_grad.add(j), n);
                }
                let over_d = 1.0 / d as f64;
                let mean_u = V::splat(S::from_f64(sum.sum().to_f64() * over_d));
                let mean_ux = V::splat(S::from_f64(dot.sum().to_f64() * over_d));
                for j in (0..d).step_by(V::LANES) {
                    let n = V::LANES.min(d - j);
                    let x_hat = load::<V>(s.add(j), n).sub(mean).mul(inverse);
                    let u = load::<V>(g.add(j), n).mul(load::<V>(self.gamma.at(j), n));
                    let ds = u.sub(mean_u).sub(x_hat.mul(mean_ux)).mul(inverse);
                    store(ds, self.ds.at(r * d + j), n);
                }
            }
        }
    }
}
