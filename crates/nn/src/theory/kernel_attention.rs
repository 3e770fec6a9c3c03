//! Attention derived from a kernel, a normaliser and a training set, with its certificate.
//!
//! ```text
//! q, k, v = x W_Q + b_Q, x W_K + b_K, x W_V + b_V        split into heads
//! k, v, q ← the head's training set                      pooled, centred: `training_set.rs`
//! o_i     = Σ_j κ(q_i, k_j) v_j / h(q_i)
//! y       = [o_1 … o_H] W_O + b_O
//! ```
//!
//! Each head is the solution of a support vector regression with duals `a_j = h(k_j) v_j`;
//! [`KernelAttention::certify`] solves that regression without knowing the values and says how far it is
//! from what the module computes. With the softmax kernel, its sum and all keys it is
//! [`SoftmaxAttention`](crate::mechanism::SoftmaxAttention); this form is composed of Burn operations,
//! stores the weights, and takes any kernel.
//!
//! Source: Nguyen et al. 2023, arXiv:2406.13781; see `docs/theory.md` for what is derived here. Cost:
//! `4 p d² + 2 p N d` multiply-adds with `N` the mean number of keys of a head, kernel values as scores;
//! with features, `4 p d²` and `(p + N) f d` for `f` features.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, FloatDType, Tensor, assert_shape};
use regard_kernels::pointwise::Activation;

use super::kernel::Form;
use super::svr::{self, AttentionRegression, Regression};
use super::training_set::Pairs;
use super::{Kernel, Matrix, Normalizer, TrainingSet};
use crate::error::{InvalidConfig, divides};
use crate::mechanism::Attention;
use crate::parameter::{Affine, AffineConfig, BiasInit, WeightInit};

/// Score of an absent key: its exponential is zero beside any other, and no NaN arises if all are absent.
const ABSENT: f64 = -1e30;

/// Bounds below which a certificate holds: distance of the duals relative to the largest, of the results
/// relative to the largest or one, and the relative duality gap.
const DUALS: f64 = 1e-9;
const RESULTS: f64 = 1e-10;
const GAP: f64 = 1e-10;
/// Condition of the Gram matrix up to which its duals are determined to [`DUALS`] by numbers in `f64`.
const WELL_CONDITIONED: f64 = 1e5;

/// Configuration of [`KernelAttention`].
#[derive(Debug, Clone)]
pub struct KernelAttentionConfig {
    /// Number of heads; divides `d_model`.
    pub n_heads: usize,
    /// `κ`.
    pub kernel: Kernel,
    /// `h`.
    pub normalizer: Normalizer,
    /// The pairs to which each head is fitted.
    pub training_set: TrainingSet,
}

/// Attention derived from a kernel; build with [`KernelAttentionConfig::init`].
#[derive(Module, Debug)]
pub struct KernelAttention {
    query: Affine,
    key: Affine,
    value: Affine,
    output: Affine,
    #[module(skip)]
    config: KernelAttentionConfig,
}

/// How far one head is from the regression whose solution it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Certificate {
    /// Sequence of the batch, from 0.
    pub sequence: usize,
    /// Head, from 0.
    pub head: usize,
    /// Training pairs.
    pub n_pairs: usize,
    /// Condition `σ_1/σ_n` of the Gram matrix; beyond about 1e5 the duals are not determined well, though
    /// the regressor is.
    pub condition: f64,
    /// Sweeps of the solver.
    pub sweeps: usize,
    /// Relative duality gap of what the solver found.
    pub gap: f64,
    /// What rounding can make of the gap at the optimum.
    pub gap_rounding: f64,
    /// `max |a − h v| / max |h v|`.
    pub dual_error: f64,
    /// `max |f(q) − attention|` over `max(1, max |attention|)`.
    pub output_error: f64,
}

impl KernelAttentionConfig {
    /// All keys, and the sum as normaliser.
    #[must_use]
    pub fn new(n_heads: usize, kernel: Kernel) -> Self {
        let (normalizer, training_set) = (Normalizer::Sum, TrainingSet::all());
        Self { n_heads, kernel, normalizer, training_set }
    }

    /// Checks the fields and draws `W_Q`, `W_K`, `W_V`, `W_O` in this order.
    ///
    /// # Errors
    /// [`InvalidConfig`] if `n_heads` does not divide `d_model`, or the training set has a rate of zero,
    /// other than one rate per head, or a normalisation that is not finite.
    pub fn init(&self, d_model: usize, device: &Device) -> Result<KernelAttention, InvalidConfig> {
        divides(("d_model", d_model), ("n_heads", self.n_heads))?;
        self.training_set.check(self.n_heads)?;
        let (weight, bias) = (WeightInit::Xavier, BiasInit::Zero);
        let projection = AffineConfig { d_in: d_model, d_out: d_model, weight, bias };
        Ok(KernelAttention {
            query: projection.init(device),
            key: projection.init(device),
            value: projection.init(device),
            output: projection.init(device),
            config: self.clone(),
        })
    }

    /// What every head makes of its queries, keys and values.
    ///
    /// # Shapes
    /// - `q`, `k`: `[batch, heads, time, d]`; `v`: `[batch, heads, time, d_v]`
    /// - `blocked`: `[batch, time]`, `true` where a key must not be seen
    /// - returns: `[batch, heads, time, d_v]`
    ///
    /// # Panics
    /// If the shapes disagree.
    #[must_use]
    pub fn attend(&self, qkv: [Tensor<4>; 3], blocked: Option<&Tensor<2, Bool>>) -> Tensor<4> {
        let groups = self.training_set.pairs(qkv, blocked);
        Tensor::cat(groups.into_iter().map(|pairs| self.fit(pairs)).collect(), 1)
    }

    /// `Σ_j κ(q_i, k_j) v_j / h(q_i)`.
    fn fit(&self, pairs: Pairs) -> Tensor<4> {
        let Pairs { q, k, v, present, is_padded } = pairs;
        match (&self.normalizer, &self.kernel.form) {
            (Normalizer::Sum, Form::Exponential(score)) => {
                let scores = score(q, k);
                if !is_padded {
                    return softmax(scores, 3).matmul(v);
                }
                let absent = present.equal_elem(0.0).swap_dims(2, 3).expand(scores.dims());
                let weights = softmax(scores.mask_fill(absent.clone(), ABSENT), 3);
                weights.mask_fill(absent, 0.0).matmul(v)
            }
            (Normalizer::Sum, _) => {
                // One more column of values makes the sum of the weights.
                let [_, _, _, d_v] = v.dims();
                let sums = self.kernel.sum(q, k, Tensor::cat(vec![v, present], 3));
                sums.clone().narrow(3, 0, d_v) / sums.narrow(3, d_v, 1)
            }
            (normalizer, _) => {
                let h = normalizer.values(&self.kernel, q.clone(), k.clone(), present);
                self.kernel.sum(q, k, v) / h
            }
        }
    }
}

impl KernelAttention {
    /// What it was built from.
    #[must_use]
    pub const fn config(&self) -> &KernelAttentionConfig {
        &self.config
    }

    /// Solves the regression behind every head of every sequence, in `f64`, with a tube of width `eps`.
    ///
    /// The solver gets Gram matrix, targets, `eps` and `C`, and no values; what it finds is compared with
    /// the values of the module and, at the queries, with what the module computes from them in `f64`.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_model]`, without padding
    ///
    /// # Errors
    /// [`InvalidConfig::OutOfRange`] if `eps` is negative, `h` is not positive at a key, a number is not
    /// finite, or all values of a head are zero.
    ///
    /// # Panics
    /// If the shapes disagree.
    pub fn certify(&self, x: Tensor<3>, eps: f64) -> Result<Vec<Certificate>, InvalidConfig> {
        let [batch, ..] = x.dims();
        let qkv = self.heads(x).map(|x| x.cast(FloatDType::F64));
        let groups = self.config.training_set.pairs(qkv, None);
        let mut certificates = Vec::new();
        for sequence in 0..batch {
            let mut head = 0;
            for pairs in &groups {
                let [_, n, _, _] = pairs.q.dims();
                for i in 0..n {
                    let one = pairs.one(sequence, i);
                    certificates.push(self.config.certify_head([sequence, head], one, eps)?);
                    head += 1;
                }
            }
        }
        Ok(certificates)
    }

    /// Queries, keys, values, each `[batch, heads, time, d_head]`.
    fn heads(&self, x: Tensor<3>) -> [Tensor<4>; 3] {
        let [batch, time, d_model] = x.dims();
        let n_heads = self.config.n_heads;
        [&self.query, &self.key, &self.value].map(|layer| {
            let rows = layer.forward(x.clone(), Activation::Identity);
            rows.reshape([batch, time, n_heads, d_model / n_heads]).swap_dims(1, 2)
        })
    }
}

impl Attention for KernelAttention {
    fn forward(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let dims = x.dims();
        let o = self.config.attend(self.heads(x), blocked.as_ref());
        self.output.forward(o.swap_dims(1, 2).reshape(dims), Activation::Identity)
    }
}

impl KernelAttentionConfig {
    fn certify_head(
        &self,
        [sequence, head]: [usize; 2],
        pairs: Pairs,
        eps: f64,
    ) -> Result<Certificate, InvalidConfig> {
        let Pairs { q, k, v, present, .. } = pairs.clone();
        let h = |x: &Tensor<4>| {
            let h = self.normalizer.values(&self.kernel, x.clone(), k.clone(), present.clone());
            Matrix::of(&flat(h)).values().to_vec()
        };
        let [h_keys, h_queries] = [h(&k), h(&q)];
        let kernel = |x: Tensor<4>| Matrix::of(&flat(self.kernel.matrix(x, k.clone())));
        let [of_keys, of_queries] = [kernel(k.clone()), kernel(q)];
        let values = Matrix::of(&flat(v));
        let AttentionRegression { regression, expected } =
            Regression::of_attention(&of_keys, &h_keys, &values, eps)?;
        let found = regression.solve();
        let f = svr::expand(&of_queries, &h_queries, &h_keys, &found);
        let attention = Matrix::of(&flat(self.fit(pairs)));
        Ok(Certificate {
            sequence,
            head,
            n_pairs: h_keys.len(),
            condition: regression.gram().condition(),
            sweeps: found.sweeps,
            gap: regression.gap(&found).abs(),
            gap_rounding: regression.gap_rounding(&found),
            dual_error: (&found.a - &expected).largest() / expected.largest(),
            output_error: (&f - &attention).largest() / attention.largest().max(1.0),
        })
    }
}

impl Pairs {
    /// One head of one sequence.
    fn one(&self, sequence: usize, head: usize) -> Self {
        let of = |x: &Tensor<4>| x.clone().narrow(0, sequence, 1).narrow(1, head, 1);
        Self {
            q: of(&self.q),
            k: of(&self.k),
            v: of(&self.v),
            present: of(&self.present),
            is_padded: self.is_padded,
        }
    }
}

impl Certificate {
    /// Whether results agree to 1e-10, the gap is within 1e-10 and its rounding of zero, and the duals
    /// agree to 1e-9 where they are determined.
    #[must_use]
    pub fn holds(&self) -> bool {
        let duals = self.dual_error <= DUALS || self.condition > WELL_CONDITIONED;
        self.gap <= GAP + self.gap_rounding && self.output_error <= RESULTS && duals
    }
}

/// `[1, 1, rows, cols]` to `[rows, cols]`.
fn flat(x: Tensor<4>) -> Tensor<2> {
    let [_, _, rows, cols] = x.dims();
    assert_shape!(x, [1, 1, rows, cols]);
    x.reshape([rows, cols])
}

#[cfg(test)]
#[path = "kernel_attention_tests.rs"]
mod tests;
