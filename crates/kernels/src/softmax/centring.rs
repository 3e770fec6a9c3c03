//! The key bias that recentres queries by the mean of the keys, and its gradient.
//!
//! ```text
//! μ = (1/M) Σ_s k_s      w_s = −c μ · k_s, c = β scale      sums over the M keys that are not blocked
//! ∂k_s = −c (∂w_s μ + (1/M) Σ_s' ∂w_s' k_s')               ∂β = −scale μ · Σ_s ∂w_s k_s
//! ```
//!
//! Softmax does not see what all keys of a query share, so that this is attention with `q − β μ` in
//! place of `q`, whether or not the keys are recentred too.
//!
//! Source: derived from Nguyen et al. 2023, "A Primal-Dual Framework for Transformers and Neural
//! Networks", ICLR, by expanding the product `(q − β μ) · (k − β μ)`. Cost: `4 time_k d_k` flops per
//! head forward, `7 time_k d_k` backward; sums in f64.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use burn::tensor::{Bool, Tensor};

use super::Problem;
use super::backward::Rows;
use super::forward::Inputs;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::Tables;
use crate::cpu::simd::Vector;
use crate::cpu::view::{Output, Ptr, Storage};

/// What centring needs beside the keys.
#[derive(Clone, Copy)]
pub(super) struct Centring<'a, S> {
    /// `β`, one per head.
    pub(super) beta: Ptr<S>,
    /// `[batch, time_k]`, `false` where a key is blocked.
    pub(super) seen: Option<&'a [bool]>,
}

/// One head, forward, or backward where there are gradients.
struct Head<'a, S> {
    k: Ptr<S>,
    k_row: usize,
    time: usize,
    d: usize,
    scale: f64,
    beta: f64,
    seen: Option<&'a [bool]>,
    /// The bias to write, or its gradient to read.
    w: Ptr<S>,
    back: Option<Back<S>>,
}

/// Where the gradients of a head go.
struct Back<S> {
    /// Rows to which `∂k` is added.
    k: Ptr<S>,
    k_row: usize,
    beta: Ptr<S>,
}

impl<S: Storage + Tables> Centring<'_, S> {
    /// The log-weights, `[batch, heads, time_k]`.
    pub(super) fn forward(&self, p: &Problem, inputs: &Inputs<S>) -> Output<S> {
        let mut w = Output::new(p.batch * p.heads * p.time_k);
        let to = w.ptr();
        p.for_each_task(1, |batch, head, _| unsafe {
            launch(self.head(p, inputs, [batch, head], to, None));
        });
        w
    }

    /// Adds to the gradient of the keys, given that of the log-weights; returns `∂β`, `[heads]`.
    pub(super) fn backward(
        &self,
        p: &Problem,
        inputs: &Inputs<S>,
        (k, w): (Rows<S>, Ptr<S>),
    ) -> Output<S> {
        let mut partial = Output::new(p.batch * p.heads);
        let betas = partial.ptr();
        p.for_each_task(1, |batch, head, _| {
            let back = Back {
                k: Ptr(k.at(batch * p.time_k, head)),
                k_row: k.row,
                beta: Ptr(betas.at(batch * p.heads + head)),
            };
            unsafe { launch(self.head(p, inputs, [batch, head], w, Some(back))) };
        });
        let mut beta = Output::new(p.heads);
        let to = beta.ptr();
        for head in 0..p.heads {
            let of = |batch: usize| unsafe { *betas.at(batch * p.heads + head) }.to_f64();
            unsafe { *to.at(head) = S::from_f64((0..p.batch).map(of).sum()) };
        }
        beta
    }

    fn head(
        &self,
        p: &Problem,
        inputs: &Inputs<S>,
        [batch, head]: [usize; 2],
        w: Ptr<S>,
        back: Option<Back<S>>,
    ) -> Head<'_, S> {
        let [kb, kh, kt, _] = inputs.k.strides;
        Head {
            k: Ptr(inputs.k.ptr.at(batch * kb + head * kh)),
            k_row: kt,
            time: p.time_k,
            d: p.d_k,
            scale: p.scale,
            beta: unsafe { *self.beta.at(head) }.to_f64(),
            seen: self.seen.map(|seen| &seen[batch * p.time_k..(batch + 1) * p.time_k]),
            w: Ptr(w.at((batch * p.heads + head) * p.time_k)),
            back,
        }
    }
}

impl<S: Storage + Tables> Kernel<S> for Head<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let (mut sum, mut weighted) = (vec![0.0_f64; self.d], vec![0.0_f64; self.d]);
        let sees = |s: usize| self.seen.is_none_or(|seen| seen[s]);
        let mut n = 0_usize;
        for s in (0..self.time).filter(|s| sees(*s)) {
            n += 1;
            let k = self.k.at(s * self.k_row);
            for (j, sum) in sum.iter_mut().enumerate() {
                *sum += unsafe { *k.add(j) }.to_f64();
            }
            if self.back.is_some() {
                let g = unsafe { *self.w.at(s) }.to_f64();
                for (j, weighted) in weighted.iter_mut().enumerate() {
                    *weighted += g * unsafe { *k.add(j) }.to_f64();
                }
            }
        }
        let n = n.max(1) as f64;
        let c = self.beta * self.scale;
        // −c μ, which makes the bias and multiplies ∂w.
        let mean: Vec<S> = sum.iter().map(|sum| S::from_f64(-c * sum / n)).collect();
        match &self.back {
            None => {
                for s in 0..self.time {
                    let bias = if sees(s) {
                        unsafe { dot::<V>(self.k.at(s * self.k_row), mean.as_ptr(), self.d) }
                    } else {
                        S::NEG_INFINITY
                    };
                    unsafe { *self.w.at(s) = bias };
                }
            }
            Some(back) => {
                let shared: Vec<S> = weighted.iter().map(|x| S::from_f64(-c * x / n)).collect();
                for s in (0..self.time).filter(|s| sees(*s)) {
                    let (g, to) = unsafe { (*self.w.at(s), back.k.at(s * back.k_row)) };
                    for (j, (mean, shared)) in mean.iter().zip(&shared).enumerate() {
                        unsafe { *to.add(j) = (*to.add(j)).add(g.mul(*mean)).add(*shared) };
                    }
                }
                let dot: f64 = sum.iter().zip(&weighted).map(|(sum, x)| sum / n * x).sum();
                unsafe { *back.beta.at(0) = S::from_f64(-self.scale * dot) };
            }
        }
    }
}

/// `Σ_j a[j] b[j]`.
#[inline(always)]
unsafe fn dot<V: Vector>(a: *const V::Scalar, b: *const V::Scalar, n: usize) -> V::Scalar {
    unsafe {
        let mut sum = V::zero();
        let mut j = 0;
        while j + V::LANES <= n {
            sum = V::load(a.add(j)).mul_add(V::load(b.add(j)), sum);
            j += V::LANES;
        }
        if j < n {
            let (a, b) = (V::load_partial(a.add(j), n - j), V::load_partial(b.add(j), n - j));
            sum = a.mul_add(b, sum);
        }
        sum.sum()
    }
}

/// The same log-weights out of Burn operations.
pub(super) fn composed_centring(
    k: Tensor<4>,
    beta: Tensor<1>,
    scale: f64,
    blocked: Option<Tensor<2, Bool>>,
) -> Tensor<3> {
    let [batch, heads, time, d] = k.dims();
    let options = (&k.device().without_autodiff(), k.dtype());
    let seen = Tensor::<2>::ones([batch, time], options);
    let seen = match blocked.clone() {
        Some(blocked) => seen.mask_fill(blocked, 0.0),
        None => seen,
    };
    let n = seen.clone().sum_dim(1).clamp_min(1.0).reshape([batch, 1, 1, 1]);
    let kept = k.clone() * seen.reshape([batch, 1, time, 1]);
    let mean = kept.sum_dim(2) / n; // [batch, heads, 1, d]
    let dots = (k * mean.expand([batch, heads, time, d])).sum_dim(3).reshape([batch, heads, time]);
    let w = dots * beta.reshape([1, heads, 1]) * -scale;
    match blocked {
        Some(blocked) => {
            let blocked = blocked.unsqueeze_dim::<3>(1).expand([batch, heads, time]);
            w.mask_fill(blocked, f64::NEG_INFINITY)
        }
        None => w,
    }
}
