//! One step of Adam with coupled and decoupled weight decay, or of rectified Adam, in one pass over memory.
//!
//! ```text
//! g ← grad_scale · g + l2 · θ
//! m ← β₁ m + (1 − β₁) g      v ← β₂ v + (1 − β₂) g²
//! θ ← (1 − lr·weight_decay) θ − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + eps)
//! ```
//!
//! Without weight decay this is Adam, with it AdamW; `l2` is the penalty `l2/2 ‖θ‖²` on the loss, whose
//! gradient passes through the moments. `grad_scale` carries clipping.
//!
//! Rectified Adam knows how uncertain `v` is after few steps, by the length `ρ` of a simple average of the
//! same variance:
//!
//! ```text
//! ρ_∞ = 2 / (1 − β₂) − 1      ρ = ρ_∞ − 2 t β₂ᵗ / (1 − β₂ᵗ)
//! ρ > 5:  the step is r · lr · (m / (1 − β₁ᵗ)) · √(1 − β₂ᵗ) / (√v + eps)
//!         r = √((ρ − 4) (ρ − 2) ρ_∞ / ((ρ_∞ − 4) (ρ_∞ − 2) ρ))
//! else:   the step is lr · m / (1 − β₁ᵗ)
//! ```
//!
//! Source: Kingma & Ba 2015, algorithm 1, arXiv:1412.6980; Loshchilov & Hutter 2019, algorithm 2,
//! arXiv:1711.05101; Liu et al. 2020, algorithm 2, arXiv:1908.03265, with the place of `eps` and the
//! bound of 5, where the algorithm has 4, of the code released with it.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use burn::tensor::Tensor;

use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::Tables;
use crate::cpu::op::{flex, on_cpu, tensor};
use crate::cpu::simd::Vector;
use crate::cpu::view::{FlexTensor, Output, Ptr, Storage, View, by_dtype, contiguous};
use crate::pointwise::{load, store};

/// What divides the mean of gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdamRule {
    /// The root of the mean square, from the first step.
    #[default]
    Plain,
    /// Nothing in the first steps, then the root, rectified.
    Rectified,
}

/// Constants of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// What divides the mean of gradients.
    pub rule: AdamRule,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decay `β₁` of the mean of gradients.
    pub beta_1: f64,
    /// Decay `β₂` of the mean of squared gradients.
    pub beta_2: f64,
    /// Keeps the denominator away from zero.
    pub eps: f64,
    /// Fraction of the parameter removed per unit of learning rate.
    pub weight_decay: f64,
    /// Fraction of the parameter added to its gradient, after scaling.
    pub l2: f64,
    /// Number of this step, from 1.
    pub step: u64,
    /// Factor on the gradient.
    pub grad_scale: f64,
}

/// A parameter with its two moments, all of one shape.
#[derive(Clone, Debug)]
pub struct AdamState<const D: usize> {
    /// The parameter `θ`.
    pub param: Tensor<D>,
    /// The mean of gradients `m`.
    pub mean: Tensor<D>,
    /// The mean of squared gradients `v`.
    pub square: Tensor<D>,
}

/// Updates a parameter and its moments. No tensor may be tracked by automatic differentiation.
///
/// # Panics
/// If the shapes or types disagree.
#[must_use]
pub fn adam<const D: usize>(state: AdamState<D>, grad: Tensor<D>, step: &AdamStep) -> AdamState<D> {
    let shape = state.param.dims();
    for other in [&grad, &state.mean, &state.square] {
        assert_eq!(other.dims(), shape, "gradient and moments have the parameter's shape");
    }
    if !on_cpu(&grad) {
        return composed(state, grad, step);
    }
    let inputs = [state.param, state.mean, state.square, grad].map(|x| contiguous(flex(x)));
    let [param, mean, square] = by_dtype!(inputs[0], update(&inputs, step)).map(tensor);
    AdamState { param, mean, square }
}

/// The same out of Burn operations.
#[must_use]
pub fn composed<const D: usize>(
    state: AdamState<D>,
    grad: Tensor<D>,
    step: &AdamStep,
) -> AdamState<D> {
    let AdamStep { learning_rate, beta_1, beta_2, weight_decay, l2, grad_scale, .. } = *step;
    let Factors { rate, square_scale, eps } = step.factors();
    let grad = grad * grad_scale + state.param.clone() * l2;
    let mean = state.mean * beta_1 + grad.clone() * (1.0 - beta_1);
    let square = state.square * beta_2 + grad.clone() * grad * (1.0 - beta_2);
    let denominator = (square.clone() * square_scale).sqrt() + eps;
    let param =
        state.param * (1.0 - learning_rate * weight_decay) - mean.clone() * rate / denominator;
    AdamState { param, mean, square }
}

/// The step is `rate · m / (√(square_scale · v) + eps)`.
struct Factors {
    rate: f64,
    square_scale: f64,
    eps: f64,
}

/// Largest `ρ` of a step that is not rectified.
const FEW_STEPS: f64 = 5.0;

impl AdamStep {
    fn factors(&self) -> Factors {
        let Self { learning_rate, beta_1, beta_2, eps, .. } = *self;
        let t = self.step as f64;
        let rate = learning_rate / (1.0 - beta_1.powf(t));
        let square_share = 1.0 - beta_2.powf(t);
        if self.rule == AdamRule::Plain {
            return Factors { rate, square_scale: 1.0 / square_share, eps };
        }
        let longest = 2.0 / (1.0 - beta_2) - 1.0;
        let length = longest - 2.0 * t * beta_2.powf(t) / square_share;
        if length <= FEW_STEPS {
            return Factors { rate, square_scale: 0.0, eps: 1.0 };
        }
        let variance = |length: f64| (length - 4.0) * (length - 2.0) / length;
        let rectified = (square_share * variance(length) / variance(longest)).sqrt();
        Factors { rate: rate * rectified, square_scale: 1.0, eps }
    }
}

fn update<S: Storage + Tables>(inputs: &[FlexTensor; 4], step: &AdamStep) -> [FlexTensor; 3] {
    let shape = inputs[0].layout().shape().clone();
    let n = shape.num_elements();
    let mut outputs = [0; 3].map(|_| Output::<S>::new(n));
    let from = std::array::from_fn(|i| View::<S, 0>::new(&inputs[i]).ptr);
    let to = std::array::from_fn(|i| outputs[i].ptr());
    unsafe { launch(Update { n, from, to, step }) };
    outputs.map(|x| unsafe { x.finish([n]) }.reshape(shape.clone()))
}

struct Update<'a, S> {
    n: usize,
    /// Parameter, mean, square, gradient.
    from: [Ptr<S>; 4],
    /// Parameter, mean, square.
    to: [Ptr<S>; 3],
    step: &'a AdamStep,
}

impl<S: Tables> Kernel<S> for Update<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let AdamStep { learning_rate, beta_1, beta_2, weight_decay, l2, grad_scale, .. } =
            *self.step;
        let Factors { rate, square_scale, eps } = self.step.factors();
        let c = |x: f64| unsafe { V::splat(S::from_f64(x)) };
        let (b1, c1, b2, c2) = (c(beta_1), c(1.0 - beta_1), c(beta_2), c(1.0 - beta_2));
        let (rate, square_scale) = (c(rate), c(square_scale));
        let (keep, eps, grad_scale, l2) =
            (c(1.0 - learning_rate * weight_decay), c(eps), c(grad_scale), c(l2));
        for i in (0..self.n).step_by(V::LANES) {
            let lanes = V::LANES.min(self.n - i);
            unsafe {
                // One by one: `map` on an array of vectors may not be inlined.
                let param = load::<V>(self.from[0].at(i).cast_const(), lanes);
                let mean = load::<V>(self.from[1].at(i).cast_const(), lanes);
                let square = load::<V>(self.from[2].at(i).cast_const(), lanes);
                let grad = load::<V>(self.from[3].at(i).cast_const(), lanes);
                let grad = param.mul_add(l2, grad.mul(grad_scale));
                let mean = mean.mul(b1).add(grad.mul(c1));
                let square = square.mul(b2).add(grad.mul(grad).mul(c2));
                let step = mean.mul(rate).div(square.mul(square_scale).sqrt().add(eps));
                store(param.mul(keep).sub(step), self.to[0].at(i), lanes);
                store(mean, self.to[1].at(i), lanes);
                store(square, self.to[2].at(i), lanes);
            }
        }
    }
}

/// Sum of squares of all elements, in `f64`, in order: the square of a gradient's norm.
#[must_use]
pub fn sum_of_squares<const D: usize>(x: &Tensor<D>) -> f64 {
    if !on_cpu(x) {
        return x.clone().square().sum().into_scalar::<f64>();
    }
    let x = contiguous(flex(x.clone()));
    by_dtype!(x, sum_squares(&x))
}

fn sum_squares<S: Storage>(x: &FlexTensor) -> f64 {
    let n = x.layout().num_elements();
    let from = View::<S, 0>::new(x).ptr;
    (0..n).map(|i| unsafe { *from.at(i) }.to_f64().powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::testing::{assert_close, from_f64, golden, normal};

    #[test]
    fn three_steps_on_one_number_by_hand() {
        let step = AdamStep {
            rule: AdamRule::Plain,
            learning_rate: 0.1,
            beta_1: 0.9,
            beta_2: 0.999,
            eps: 1e-8,
            weight_decay: 0.1,
            l2: 0.05,
            step: 1,
            grad_scale: 1.0,
        };
        let scalar = |x: f64| from_f64(vec![x], [1]);
        let mut state = AdamState { param: scalar(1.0), mean: scalar(0.0), square: scalar(0.0) };
        let (mut theta, mut m, mut v) = (1.0f64, 0.0f64, 0.0f64);
        for (i, g) in [0.5, -0.2, 0.1].into_iter().enumerate() {
            let t = i32::try_from(i).expect("three steps") + 1;
            state = adam(state, scalar(g), &AdamStep { step: t.unsigned_abs().into(), ..step });
            let g = g + 0.05 * theta;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let m_hat = m / (1.0 - 0.9f64.powi(t));
            let v_hat = v / (1.0 - 0.999f64.powi(t));
            theta = theta * (1.0 - 0.01) - 0.1 * m_hat / (v_hat.sqrt() + 1e-8);
        }
        // The first step of Adam is lr · sign(g): 1 · 0.99 − 0.1 = 0.89.
        assert_close(&state.param, &scalar(theta), 1e-14);
    }

    #[test]
    fn thirty_rectified_steps_equal_the_reference() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/radam.safetensors");
        let grads = golden::<2>(&file, "grads");
        let params = golden::<2>(&file, "params");
        let row = |x: &Tensor<2>, i: usize| x.clone().narrow(0, i, 1).flatten::<1>(0, 1);
        let [steps, n] = grads.dims();
        let zeros = from_f64(vec![0.0; n], [n]);
        let param = row(&params, 0);
        let mut state = AdamState { param, mean: zeros.clone(), square: zeros };
        for i in 0..steps {
            let step = AdamStep {
                rule: AdamRule::Rectified,
                learning_rate: 1e-3,
                beta_1: 0.9,
                beta_2: 0.999,
                eps: 1e-8,
                weight_decay: 0.0,
                l2: 0.0,
                step: i as u64 + 1,
                grad_scale: 1.0,
            };
            let slow = composed(state.clone(), row(&grads, i), &step);
            state = adam(state, row(&grads, i), &step);
            assert_close(&state.param, &row(&params, i + 1), 1e-12);
            assert_close(&slow.param, &row(&params, i + 1), 1e-12);
        }
    }

    #[test]
    fn equals_the_composed_form() {
        let step = AdamStep {
            rule: AdamRule::Plain,
            learning_rate: 0.01,
            beta_1: 0.8,
            beta_2: 0.95,
            eps: 1e-7,
            weight_decay: 0.01,
            l2: 0.03,
            step: 7,
            grad_scale: 0.3,
        };
        let shape = [5, 7, 3];
        let state = AdamState {
            param: normal(shape, 1),
            mean: normal(shape, 2),
            square: normal(shape, 3).square(),
        };
        let (a, b) = (
            adam(state.clone(), normal(shape, 4), &step),
            composed(state, normal(shape, 4), &step),
        );
        assert_close(&a.param, &b.param, 1e-14);
        assert_close(&a.mean, &b.mean, 1e-14);
        assert_close(&a.square, &b.square, 1e-14);
    }

    #[test]
    fn sum_of_squares_adds_every_element() {
        let x = from_f64(vec![3.0, 4.0, 12.0], [3, 1]);
        assert!((sum_of_squares(&x) - 169.0).abs() < 1e-12);
    }
}
