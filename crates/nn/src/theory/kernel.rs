//! Kernels `κ(x, y) = Φ(x)·Φ(y)` on rows: the first of the three choices that make an attention.
//!
//! ```text
//! softmax      exp(x·y / √d)                   features x^n / √(d^t/² n!) for all exponents n of degree t
//! linear       φ(x)·φ(y),  φ = elu + 1         features φ
//! polynomial   (x·y / √d + c)^p                features: monomials up to degree p
//! gaussian     exp(−‖x − y‖² / (2 w² √d))
//! ```
//!
//! A kernel of one's own is a closure: a score whose exponential is the kernel, a feature map, or the
//! kernel itself. An exponential kernel under its own sum is a softmax and never overflows; a feature map
//! needs time linear in the number of keys; the rest is computed as written.
//!
//! Source: kernels of Nguyen et al. 2023, arXiv:2406.13781 (softmax, linear); Katharopoulos et al. 2020,
//! arXiv:2006.16236, eq. (7) (`elu + 1`); the others are textbook kernels.

use std::fmt;
use std::sync::Arc;

use burn::tensor::activation::elu;
use burn::tensor::{Tensor, assert_shape};

type OfRows = dyn Fn(Tensor<4>) -> Tensor<4> + Send + Sync;
type OfPairs = dyn Fn(Tensor<4>, Tensor<4>) -> Tensor<4> + Send + Sync;

/// A kernel between rows; differentiable, on any device.
#[derive(Clone)]
pub struct Kernel {
    name: &'static str,
    pub(super) form: Form,
}

/// What a kernel is made of.
#[derive(Clone)]
pub(super) enum Form {
    /// `κ = exp(score)`.
    Exponential(Arc<OfPairs>),
    /// `κ = Φ(x)·Φ(y)`.
    Features(Arc<OfRows>),
    /// `κ` itself.
    Values(Arc<OfPairs>),
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernel({})", self.name)
    }
}

impl Kernel {
    /// `κ = exp(score(x, y))`.
    ///
    /// # Shapes
    /// - `score`: `[batch, heads, time_q, d]` and `[batch, heads, time_k, d]` to
    ///   `[batch, heads, time_q, time_k]`
    #[must_use]
    pub fn exponential(
        name: &'static str,
        score: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4> + Send + Sync + 'static,
    ) -> Self {
        Self { name, form: Form::Exponential(Arc::new(score)) }
    }

    /// `κ = Φ(x)·Φ(y)`.
    ///
    /// # Shapes
    /// - `map`: `[batch, heads, time, d]` to `[batch, heads, time, features]`
    #[must_use]
    pub fn features(
        name: &'static str,
        map: impl Fn(Tensor<4>) -> Tensor<4> + Send + Sync + 'static,
    ) -> Self {
        Self { name, form: Form::Features(Arc::new(map)) }
    }

    /// `κ` as given: symmetric and positive semidefinite, or no regression stands behind it.
    ///
    /// # Shapes
    /// As [`Kernel::exponential`].
    #[must_use]
    pub fn function(
        name: &'static str,
        kernel: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4> + Send + Sync + 'static,
    ) -> Self {
        Self { name, form: Form::Values(Arc::new(kernel)) }
    }

    /// `exp(x·y / √d)`.
    #[must_use]
    pub fn softmax() -> Self {
        Self::exponential("softmax", scaled_product)
    }

    /// `φ(x)·φ(y)` with `φ = elu + 1`.
    #[must_use]
    pub fn linear() -> Self {
        Self::features("linear", |x| elu(x, 1.0) + 1.0)
    }

    /// `(x·y / √d + offset)^degree`: a kernel for `offset ≥ 0`, positive for an even degree.
    #[must_use]
    pub fn polynomial(degree: i32, offset: f64) -> Self {
        Self::function("polynomial", move |x, y| {
            (scaled_product(x, y) + offset).powi_scalar(degree)
        })
    }

    /// `exp(−‖x − y‖² / (2 width² √d))`.
    #[must_use]
    pub fn gaussian(width: f64) -> Self {
        Self::exponential("gaussian", move |x, y| {
            let [_, _, _, d] = x.dims();
            let half = |x: &Tensor<4>| x.clone().powi_scalar(2).sum_dim(3) * (0.5 * scale(d));
            let (of_x, of_y) = (half(&x), half(&y).swap_dims(2, 3));
            (scaled_product(x, y) - of_x - of_y) * width.powi(-2)
        })
    }

    /// The name it was given.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// `κ` of every row of `x` with every row of `y`.
    ///
    /// # Shapes
    /// - `x`: `[batch, heads, time_q, d]`; `y`: `[batch, heads, time_k, d]`
    /// - returns: `[batch, heads, time_q, time_k]`
    ///
    /// # Panics
    /// If the shapes disagree, or a closure returns another shape.
    #[must_use]
    pub fn matrix(&self, x: Tensor<4>, y: Tensor<4>) -> Tensor<4> {
        let [batch, heads, time_q, d] = x.dims();
        let [_, _, time_k, _] = y.dims();
        assert_shape!(y, [batch, heads, time_k, d]);
        let values = match &self.form {
            Form::Exponential(score) => score(x, y).exp(),
            Form::Features(map) => map(x).matmul(map(y).swap_dims(2, 3)),
            Form::Values(kernel) => kernel(x, y),
        };
        assert_shape!(values, [batch, heads, time_q, time_k]);
        values
    }

    /// `Σ_j κ(q_i, k_j) v_j`; through the features, where they are known, without `κ`.
    ///
    /// # Shapes
    /// - `q`: `[batch, heads, time_q, d]`; `k`: `[batch, heads, time_k, d]`
    /// - `v`: `[batch, heads, time_k, d_v]`
    /// - returns: `[batch, heads, time_q, d_v]`
    #[must_use]
    pub(super) fn sum(&self, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        match &self.form {
            Form::Features(map) => map(q).matmul(map(k).swap_dims(2, 3).matmul(v)),
            Form::Exponential(_) | Form::Values(_) => self.matrix(q, k).matmul(v),
        }
    }

    /// `κ(x, x)` of every row, `[batch, heads, time, 1]`.
    pub(super) fn diagonal(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, heads, time, d] = x.dims();
        let rows = x.reshape([batch, heads * time, 1, d]);
        self.matrix(rows.clone(), rows).reshape([batch, heads, time, 1])
    }
}

/// `1/√d`, as a factor: Burn's gradient of a division by a number is that of single precision.
fn scale(d: usize) -> f64 {
    (d as f64).sqrt().recip()
}

/// `x·y / √d`.
fn scaled_product(x: Tensor<4>, y: Tensor<4>) -> Tensor<4> {
    let [_, _, _, d] = x.dims();
    x.matmul(y.swap_dims(2, 3)) * scale(d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regard_kernels::testing::{assert_close, from_f64, normal, to_f64};

    /// Exponents `n_1 … n_d` of total degree at most `limit`.
    fn exponents(d: usize, limit: i32) -> Vec<Vec<i32>> {
        if d == 0 {
            return vec![Vec::new()];
        }
        let with_first = |first: i32| {
            exponents(d - 1, limit - first)
                .into_iter()
                .map(move |rest| [vec![first], rest].concat())
        };
        (0..=limit).flat_map(with_first).collect()
    }

    /// `Π_d (x_d / d^¼)^n_d / √n_d!`.
    fn monomial(x: &[f64], n: &[i32]) -> f64 {
        let root = (x.len() as f64).powf(0.25);
        let factor = |(x, n): (&f64, &i32)| {
            let factorial: f64 = (1..=*n).map(f64::from).product();
            (x / root).powi(*n) / factorial.sqrt()
        };
        x.iter().zip(n).map(factor).product()
    }

    /// The multinomial theorem: features up to degree `T` give the Taylor polynomial of the exponential,
    /// and miss at most `z^(T+1)/(T+1)! e^z` for `z = |x·y|/√d`.
    #[test]
    fn truncated_features_of_the_softmax_kernel_approach_it() {
        let (x, y) = (normal::<4>([1, 1, 4, 3], 1) * 0.7, normal::<4>([1, 1, 5, 3], 2) * 0.7);
        let [xs, ys] = [&x, &y].map(to_f64);
        let exact = to_f64(&Kernel::softmax().matrix(x, y));
        for limit in [1, 3, 8] {
            let all = exponents(3, limit);
            let mut worst = 0.0_f64;
            for (i, x) in xs.chunks_exact(3).enumerate() {
                for (j, y) in ys.chunks_exact(3).enumerate() {
                    let found: f64 = all.iter().map(|n| monomial(x, n) * monomial(y, n)).sum();
                    let z = x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / 3.0_f64.sqrt();
                    let taylor: f64 = (0..=limit)
                        .map(|t| z.powi(t) / (1..=t).map(f64::from).product::<f64>())
                        .sum();
                    assert!((found - taylor).abs() < 1e-13, "{found} is not {taylor}");
                    let factorial: f64 = (1..=limit + 1).map(f64::from).product();
                    let bound = z.abs().powi(limit + 1) / factorial * z.abs().exp();
                    let error = (found - exact[i * 5 + j]).abs();
                    assert!(error <= bound + 1e-14, "{error} exceeds {bound} at degree {limit}");
                    worst = worst.max(error);
                }
            }
            assert!(limit > 1 || worst > 1e-3, "the truncation cannot be seen: {worst}");
        }
    }

    #[test]
    fn the_gaussian_kernel_is_its_definition() {
        let (x, y) = (normal::<4>([1, 2, 3, 5], 1), normal::<4>([1, 2, 4, 5], 2));
        let rows = |x: &Tensor<4>, head: usize, i: usize| {
            to_f64(&x.clone().narrow(1, head, 1).narrow(2, i, 1))
        };
        let expected =
            (0..2).flat_map(|h| (0..3).flat_map(move |i| (0..4).map(move |j| (h, i, j))));
        let expected = expected.map(|(h, i, j)| {
            let (x, y) = (rows(&x, h, i), rows(&y, h, j));
            let square: f64 = x.iter().zip(&y).map(|(x, y)| (x - y).powi(2)).sum();
            (-square / (2.0 * 0.49 * 5.0_f64.sqrt())).exp()
        });
        let expected = from_f64(expected.collect(), [1, 2, 3, 4]);
        assert_close(&Kernel::gaussian(0.7).matrix(x, y), &expected, 1e-13);
    }

    #[test]
    fn the_sum_through_features_is_the_sum_over_kernel_values() {
        let [q, k, v] = [(3, 5), (7, 5), (7, 2)].map(|(t, d)| normal::<4>([2, 3, t, d], t as u64));
        let kernel = Kernel::linear();
        let expected = kernel.matrix(q.clone(), k.clone()).matmul(v.clone());
        assert_close(&kernel.sum(q.clone(), k, v), &expected, 1e-13);
        let whole = kernel.matrix(q.clone(), q.clone());
        for t in 0..3 {
            let entry = whole.clone().narrow(2, t, 1).narrow(3, t, 1);
            assert_close(&kernel.diagonal(q.clone()).narrow(2, t, 1), &entry, 1e-14);
        }
    }
}
