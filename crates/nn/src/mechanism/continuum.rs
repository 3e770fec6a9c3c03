//! Attention between functions: every key weighs as much as the part of the domain its point stands for.
//!
//! ```text
//! (A u)(x) = ∫ p(y; x) V v(y) dy,   p(y; x) = e^{s(x, y)} / ∫ e^{s(x, y')} dy',   s = ⟨Q u(x), K v(y)⟩ / √d_head
//!          ≈ Σ_j w_j e^{s(x, y_j)} V v(y_j) / Σ_j w_j e^{s(x, y_j)}
//! y = [head_1 … head_h] W_O + b_O
//! ```
//!
//! Self-attention has `u = v`; cross-attention reads a function on one domain at the points of another. As
//! many points as there may be, the weights `w` make the same operator of them. With
//! [`ContinuumKernel::Linear`] and [`ContinuumKernel::Log`] the exponential of the product becomes a product
//! of features, and cost is linear in the number of points.
//!
//! Source: Calvello et al. 2025, §2, arXiv:2406.06486; maps start as in their program, `U(±1/√d)`. Cost:
//! `2 (p + n) d² + 2 p n d` multiply-adds for `p` queries and `n` points; with linear cost `p n` becomes
//! `(p + n) d_head / 2`. Memory is linear in both.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Tensor, assert_shape};
use regard_kernels::linear;
use regard_kernels::log_linear::{self, Context, LogLinear, Values};
use regard_kernels::pointwise::Activation;
use regard_kernels::quadrature::log_weights;
use regard_kernels::softmax::{attention, self_attention};
use serde::{Deserialize, Serialize};

use super::{join_heads, split_heads};
use crate::error::{InvalidConfig, divides, rate};
use crate::layer::dropout;
use crate::parameter::{Affine, AffineConfig, BiasInit, WeightInit};

/// Configuration of [`ContinuumAttention`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContinuumConfig {
    /// Number of heads; divides `d_model`.
    pub n_heads: usize,
    /// What a query and a key make of each other.
    #[serde(default)]
    pub kernel: ContinuumKernel,
    /// Share of the density `p` that is left out in training; softmax only.
    #[serde(default)]
    pub dropout: f64,
}

/// What a query and a key make of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContinuumKernel {
    /// `e^{q · k / √d_head}`.
    #[default]
    Softmax,
    /// `φ(q) · φ(k)`, `φ = elu + 1`.
    Linear,
    /// `Σ_i e^{q_i + k_i}`.
    Log,
}

/// Attention between functions; build with [`ContinuumConfig::init`].
#[derive(Module, Debug)]
pub struct ContinuumAttention {
    pub(crate) query: Affine,
    pub(crate) key: Affine,
    pub(crate) value: Affine,
    pub(crate) output: Affine,
    #[module(skip)]
    config: ContinuumConfig,
}

impl ContinuumConfig {
    /// Softmax attention with so many heads, without dropout.
    #[must_use]
    pub fn new(n_heads: usize) -> Self {
        Self { n_heads, kernel: ContinuumKernel::Softmax, dropout: 0.0 }
    }

    /// Checks the fields and draws `W_Q`, `W_K`, `W_V`, `W_O` in this order.
    ///
    /// # Errors
    /// [`InvalidConfig`] if `n_heads` does not divide `d_model`, or `dropout` is not a rate or goes with
    /// another kernel than softmax.
    pub fn init(
        &self,
        d_model: usize,
        device: &Device,
    ) -> Result<ContinuumAttention, InvalidConfig> {
        divides(("d_model", d_model), ("n_heads", self.n_heads))?;
        rate(("mechanism.dropout", self.dropout))?;
        if self.dropout > 0.0 && self.kernel != ContinuumKernel::Softmax {
            return Err(InvalidConfig::Incompatible {
                name: "mechanism.dropout",
                other: "a kernel of linear cost",
                remedy: "leave it out, or take mechanism.kernel = \"softmax\"",
            });
        }
        let map = projection(d_model);
        Ok(ContinuumAttention {
            query: map.init(device),
            key: map.init(device),
            value: map.init(device),
            output: map.init(device),
            config: self.clone(),
        })
    }

    /// `4 (d² + d)`.
    #[must_use]
    pub fn n_parameters(&self, d_model: usize) -> usize {
        4 * projection(d_model).n_parameters()
    }

    /// For one function on so many points.
    #[must_use]
    pub fn multiply_adds(&self, d_model: usize, points: usize) -> u64 {
        let seen = match self.kernel {
            ContinuumKernel::Softmax => points,
            ContinuumKernel::Linear | ContinuumKernel::Log => d_model / self.n_heads.max(1),
        };
        4 * points as u64 * projection(d_model).multiply_adds()
            + (2 * points * seen * d_model) as u64
    }
}

fn projection(d_model: usize) -> AffineConfig {
    let (weight, bias) = (WeightInit::FanIn, BiasInit::FanIn);
    AffineConfig { d_in: d_model, d_out: d_model, weight, bias }
}

/// `1/√d_head`.
fn scale(d_head: usize) -> f64 {
    1.0 / (d_head as f64).sqrt()
}

/// Whether all weights are the same: then they cancel.
fn is_equal(weights: &[f64]) -> bool {
    weights.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits())
}

impl ContinuumAttention {
    /// Self-attention.
    ///
    /// # Shapes
    /// - `x` and the result: `[batch, points, d_model]`
    /// - `weights`: `[points]`, for all functions, or `[batch, points]`, row by row
    /// - `blocked`: `[batch, points]`, `true` where a point is not there
    ///
    /// # Panics
    /// If the shapes disagree with each other or with the parameters, or a weight is negative.
    #[must_use]
    pub fn forward(
        &self,
        x: Tensor<3>,
        weights: &[f64],
        blocked: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        if self.config.kernel != ContinuumKernel::Softmax || self.drops(&x) {
            return self.cross(x.clone(), x, weights, blocked);
        }
        let [batch, points, _] = x.dims();
        if let Some(blocked) = &blocked {
            assert_shape!(blocked, [batch, points]);
        }
        let heads = self.config.n_heads;
        let maps = [&self.query, &self.key, &self.value];
        let qkv = split_heads(Affine::side_by_side(&maps, x), 3 * heads);
        let [_, _, _, d_head] = qkv.dims();
        let like = (&qkv.device().without_autodiff(), qkv.dtype());
        let log_weights = if is_equal(weights) && blocked.is_none() {
            None
        } else {
            Some(log_weights(weights, blocked, [batch, heads, points], like))
        };
        let o = self_attention(qkv, log_weights, scale(d_head), false);
        self.output.forward(join_heads(o), Activation::Identity)
    }

    /// Whether some of the weights of attention are set to zero.
    fn drops<const D: usize>(&self, x: &Tensor<D>) -> bool {
        self.config.dropout > 0.0 && x.device().is_autodiff()
    }

    /// Cross-attention: what queries read of another function.
    ///
    /// # Shapes
    /// - `x` and the result: `[batch, queries, d_model]`; `y`: `[batch, points, d_model]`
    /// - `weights`, `blocked`: of the points of `y`, as in [`ContinuumAttention::forward`]
    ///
    /// # Panics
    /// As [`ContinuumAttention::forward`].
    #[must_use]
    pub fn cross(
        &self,
        x: Tensor<3>,
        y: Tensor<3>,
        weights: &[f64],
        blocked: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        let [batch, points, _] = y.dims();
        if let Some(blocked) = &blocked {
            assert_shape!(blocked, [batch, points]);
        }
        let q = self.heads(&self.query, x);
        let [k, v] = [&self.key, &self.value].map(|map| self.heads(map, y.clone()));
        let o = self.attend([q, k, v], weights, blocked);
        self.output.forward(join_heads(o), Activation::Identity)
    }

    fn heads(&self, map: &Affine, x: Tensor<3>) -> Tensor<4> {
        split_heads(map.forward(x, Activation::Identity), self.config.n_heads)
    }

    fn attend(
        &self,
        [q, k, v]: [Tensor<4>; 3],
        weights: &[f64],
        blocked: Option<Tensor<2, Bool>>,
    ) -> Tensor<4> {
        let [batch, heads, points, d_head] = k.dims();
        let like = (&q.device().without_autodiff(), q.dtype());
        let scale = scale(d_head);
        let equal = is_equal(weights);
        let log_weights = |heads| {
            let needed = !equal || blocked.is_some();
            let shape = [batch, heads, points];
            needed.then(|| log_weights(weights, blocked.clone(), shape, like))
        };
        match self.config.kernel {
            ContinuumKernel::Softmax if self.drops(&q) => {
                let scores = q.matmul(k.swap_dims(2, 3)) * scale;
                let scores = match log_weights(heads) {
                    None => scores,
                    Some(w) => scores + w.unsqueeze_dim::<4>(2),
                };
                dropout(softmax(scores, 3), self.config.dropout).matmul(v)
            }
            ContinuumKernel::Softmax => attention(q, k, v, log_weights(heads), scale, false),
            ContinuumKernel::Linear => {
                let weight = log_weights(1).map(|w| w.exp().reshape([batch, points]));
                linear::weighted(q, k, v, weight)
            }
            ContinuumKernel::Log => {
                let (k, blocked) = match log_weights(1) {
                    None => (k, None),
                    Some(w) => {
                        let absent = w.clone().equal_elem(f64::NEG_INFINITY);
                        let w = w.mask_fill(absent.clone(), 0.0).unsqueeze_dim::<4>(3);
                        (k + w, Some(absent.reshape([batch, points])))
                    }
                };
                let context = Context { blocked, ..Context::default() };
                let setting =
                    LogLinear { values: Values::Linear, causal: false, ..LogLinear::default() };
                log_linear::attention(q, k, v, setting, &context)
            }
        }
    }
}
