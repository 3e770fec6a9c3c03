//! Easy attention: the score matrix of each head is a parameter.
//!
//! ```text
//! form right:  V = X W_V,   W_V [d, d]       form left:  V = W_V X,   W_V [p, p]
//! H_i = α_i V_i,  α_i [p, p]                 V_i: columns of head i, d/h wide
//! Y = [H_1 … H_h]
//! ```
//!
//! No softmax, no scale, no bias, no output map, no positions: `α` is indexed by position. It is
//! dense, or made of fewer numbers as [`TimeMatrix`] says.
//!
//! A blocked row is left out, and the weights of the others take over its share. With
//! `A = α` (right) or `α W_V` (left), the weights of a row of the input in a row of the result, and
//! `m_c = 1` where row `c` is not blocked:
//!
//! ```text
//! H_i[r] = s_ir Σ_c m_c A_i[r, c] (…)[c],     s_ir = Σ_c |A_i[r, c]| / Σ_c m_c |A_i[r, c]|
//! ```
//!
//! so that `|H_i[r]|` stays below the same bound as with all rows. If all rows that `r` looks at are
//! blocked, `H_i[r] = 0`.
//!
//! Source: Sanchis-Agudo et al. 2023, arXiv:2308.12874 (form right, as in its later versions) and
//! the code the group released with Solera-Rico et al. 2024, arXiv:2304.03571 (form left).
//! Differs: `W_V` of form left is `p × p`, so that it does not need `p = d`, and form right stores
//! the heads' `d × d/h` matrices side by side as one `d × d` matrix, drawn by the Xavier rule of
//! that matrix, `√(6/2d)`. Kinds of `α` other than dense, the gate and blocked rows are ours.
//! Cost, dense: `p d² + p² d` multiply-adds (right) or `2 p² d` (left); blocked rows add
//! `h p²` (right) or `h p³` (left) per batch.

mod gate;
mod lags;
#[cfg(test)]
mod tests;

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor, assert_shape};
use regard_kernels::affine::affine;
use regard_kernels::mixing::{Reach, mix};
use regard_kernels::plan::{PlanBuilder, Slot};
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use self::gate::Gate;
pub use self::lags::LagState;
pub(crate) use self::lags::lag_step;
use super::Attention;
use crate::error::{InvalidConfig, divides, positive};
use crate::parameter::{TimeMatrix, Weights, mix_time, uniform, xavier_bound};

/// Keeps the quotient finite where all rows that a row looks at are blocked; the sum is zero then.
const TINY: f64 = 1e-30;

/// The side from which `W_V` multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EasyForm {
    /// `V = X W_V`: values mix features.
    #[default]
    Right,
    /// `V = W_V X`: values mix time; features meet only outside the attention.
    Left,
}

/// Law of the initial `α`, uniform within a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlphaInit {
    /// `√(6/(p² + h p))`: the Xavier rule applied to the `[h, p, p]` stack, as released. The
    /// branch starts near zero, so that a block starts as the normalised residual.
    #[default]
    Stacked,
    /// `√(6/2p)`: the Xavier rule of each head's own matrix.
    PerHead,
}

/// Configuration of [`EasyAttention`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EasyConfig {
    /// Number of heads; divides `d_model`.
    pub n_heads: usize,
    /// The side from which `W_V` multiplies.
    #[serde(default)]
    pub form: EasyForm,
    /// Law of the initial `α`; kinds other than dense start with entries of the same variance.
    #[serde(default)]
    pub init: AlphaInit,
    /// Rank `k` of an addition `(X A)(X B)ᵀ/n` to `α` that is zero at the start; 0 for none.
    #[serde(default)]
    pub gate_rank: usize,
    /// How `α` is made.
    #[serde(default)]
    pub alpha: TimeMatrix,
}

/// Easy attention for one window length; build with [`EasyConfig::init`].
#[derive(Module, Debug)]
pub struct EasyAttention {
    /// What `α` is made of; `[heads, time, time]`, `α` itself, if it is dense.
    alpha: Param<Tensor<3>>,
    /// `W_V`, `[d_model, d_model]` (form right) or `[time, time]` (form left).
    value: Param<Tensor<2>>,
    gate: Option<Gate>,
    #[module(skip)]
    form: EasyForm,
    #[module(skip)]
    kind: TimeMatrix,
    time: usize,
}

impl AlphaInit {
    /// The bound of the uniform law for `heads` matrices of `time × time`.
    #[must_use]
    pub fn bound(self, heads: usize, time: usize) -> f64 {
        match self {
            Self::Stacked => xavier_bound(time * time, heads * time),
            Self::PerHead => xavier_bound(time, time),
        }
    }
}

impl EasyConfig {
    /// Dense, form right, without a gate: the paper's.
    #[must_use]
    pub fn new(n_heads: usize) -> Self {
        let (form, init, gate_rank, alpha) = Default::default();
        Self { n_heads, form, init, gate_rank, alpha }
    }

    /// Checks the fields and draws `α`, then `W_V`, then the gate.
    ///
    /// # Errors
    /// [`InvalidConfig::NotDivisible`] if `n_heads` does not divide `d_model`;
    /// [`InvalidConfig::Zero`] if `time`, a rank or a number of functions is zero;
    /// [`InvalidConfig::TooLarge`] if a rank or a number of functions exceeds `time`;
    /// [`InvalidConfig::Excluded`] if a causal `α` has a gate, which would see the future.
    pub fn init(
        &self,
        d_model: usize,
        time: usize,
        device: &Device,
    ) -> Result<EasyAttention, InvalidConfig> {
        divides(("d_model", d_model), ("n_heads", self.n_heads))?;
        positive(("time", time))?;
        self.alpha.check(time)?;
        if self.gate_rank > 0 && self.alpha.is_causal() {
            return Err(InvalidConfig::Excluded {
                name: "gate_rank",
                value: self.gate_rank,
                other: "a causal alpha",
                remedy: "the gate would see the future; use 0, or another kind of alpha",
            });
        }
        let size = [time, time];
        let bound = self.alpha.bound(self.init.bound(self.n_heads, time), size);
        let side = self.value_side(d_model, time);
        Ok(EasyAttention {
            alpha: uniform(self.alpha.shape(self.n_heads, size), bound, device),
            value: uniform([side, side], xavier_bound(side, side), device),
            gate: (self.gate_rank > 0)
                .then(|| Gate::new(d_model, self.n_heads, self.gate_rank, device)),
            form: self.form,
            kind: self.alpha,
            time,
        })
    }

    /// Dense: `h p² + d²` (form right) or `h p² + p²` (form left); a gate adds `2 h d k`.
    #[must_use]
    pub fn n_parameters(&self, d_model: usize, time: usize) -> usize {
        self.alpha.n_parameters(self.n_heads, [time, time])
            + self.value_side(d_model, time).pow(2)
            + Gate::n_parameters(d_model, self.n_heads, self.gate_rank)
    }

    /// Dense: `p d² + p² d` (form right) or `2 p² d` (form left); a gate adds
    /// `2 p d h k + 2 p d k`.
    #[must_use]
    pub fn multiply_adds(&self, d_model: usize, time: usize) -> u64 {
        (time * d_model * self.value_side(d_model, time)) as u64
            + self.alpha.multiply_adds(self.n_heads, [time, time], d_model)
            + Gate::multiply_adds(d_model, time, self.n_heads, self.gate_rank)
    }

    fn value_side(&self, d_model: usize, time: usize) -> usize {
        match self.form {
            EasyForm::Right => d_model,
            EasyForm::Left => time,
        }
    }
}

impl EasyAttention {
    /// The trained score matrices, `[heads, time, time]`, without the gate.
    #[must_use]
    pub fn alpha(&self) -> Tensor<3> {
        self.weights().matrix()
    }

    /// `W_V`: `[d_model, d_model]` (form right) or `[time, time]` (form left).
    #[must_use]
    pub fn value(&self) -> Tensor<2> {
        self.value.val()
    }

    /// Number of heads.
    pub(super) fn n_heads(&self) -> usize {
        self.weights().heads()
    }

    /// The side from which `W_V` multiplies.
    #[must_use]
    pub fn form(&self) -> EasyForm {
        self.form
    }

    /// Whether it can be read row by row: `α` is one kernel of past lags, and values mix features.
    pub(super) fn is_recurrent(&self) -> bool {
        self.form == EasyForm::Right && self.kind == TimeMatrix::Toeplitz { causal: true }
    }

    /// The same attention for windows of another length.
    ///
    /// # Errors
    /// [`InvalidConfig::FixedWindow`] for a longer window, unless the form is right and `α` a lag
    /// kernel or made of smooth functions.
    pub fn resized(&self, time: usize) -> Result<Self, InvalidConfig> {
        positive(("window", time))?;
        let (from, to) = ([self.time; 2], [time; 2]);
        let alpha = self.kind.resized(self.alpha.val(), from, to, "mechanism.alpha")?;
        let value = match self.form {
            EasyForm::Right => self.value.val(),
            EasyForm::Left if time > self.time => {
                return Err(InvalidConfig::FixedWindow {
                    part: "the value matrix of form left",
                    trained: self.time,
                    wanted: time,
                    remedy: "train with form = \"right\"",
                });
            }
            EasyForm::Left => {
                let first = self.time - time;
                self.value.val().narrow(0, first, time).narrow(1, first, time)
            }
        };
        Ok(Self {
            alpha: Param::from_tensor(alpha),
            value: Param::from_tensor(value),
            time,
            ..self.clone()
        })
    }

    /// The attention over one sequence as steps of a plan; `None` with a gate.
    pub(super) fn plan(&self, plan: &mut PlanBuilder, x: Slot) -> Option<Slot> {
        if self.gate.is_some() {
            return None;
        }
        let value = self.value.val();
        let v = match self.form {
            EasyForm::Right => plan.affine(x, value, None, Activation::Identity),
            EasyForm::Left => plan.mix(Reach::FULL, value.unsqueeze_dim(0), x),
        };
        Some(self.weights().plan(plan, v))
    }

    fn weights(&self) -> Weights {
        self.kind.weights(self.alpha.val(), [self.time; 2])
    }
}

impl Attention for EasyAttention {
    fn forward(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let [batch, time, d_model] = x.dims();
        assert_shape!(x, [batch, self.time, d_model]);
        let weights = self.weights();
        let options = (&x.device(), x.dtype());
        let Some(blocked) = blocked else {
            let gate = self.gate.as_ref().map(|gate| {
                let n = Tensor::full([1, 1, 1, 1], time as f64, options);
                move |x, v| gate.forward(x, v, n)
            });
            return attend(self.form, weights, self.value.val(), x, None, gate);
        };
        assert_shape!(blocked, [batch, time]);
        let seen: Tensor<2> = Tensor::ones([batch, time], options).mask_fill(blocked.clone(), 0.0);
        let blocked = blocked.unsqueeze_dim::<3>(2).expand([batch, time, d_model]);
        let x = x.mask_fill(blocked, 0.0);
        let n = seen.clone().sum_dim(1).clamp_min(1.0).reshape([batch, 1, 1, 1]);
        let gate = self.gate.as_ref().map(|gate| move |x, v| gate.forward(x, v, n));
        attend(self.form, weights, self.value.val(), x, Some(seen), gate)
    }
}

/// `[α_1 V_1 … α_h V_h]` from plain tensors; `seen` is 1 where a row is not blocked, else 0, and
/// `gate` what is added to each `α_i V_i`.
fn attend(
    form: EasyForm,
    weights: Weights,
    value: Tensor<2>,
    x: Tensor<3>,
    seen: Option<Tensor<2>>,
    gate: Option<impl FnOnce(Tensor<3>, Tensor<4>) -> Tensor<4>>,
) -> Tensor<3> {
    let [batch, time, d_model] = x.dims();
    let heads = weights.heads();
    let v = match form {
        EasyForm::Right => affine(x.clone(), value.clone(), None, Activation::Identity),
        EasyForm::Left => mix_time(value.clone(), x.clone()),
    };
    let v = v.reshape([batch, time, heads, d_model / heads]).swap_dims(1, 2);
    let mixed = weights.clone().mix(v.clone());
    let mixed = match seen {
        None => mixed,
        Some(seen) => {
            let reached = match form {
                EasyForm::Right => weights.matrix(),
                EasyForm::Left => weights.matrix().matmul(value.unsqueeze_dim(0)),
            };
            mixed * compensation(reached, seen)
        }
    };
    let mixed = match gate {
        None => mixed,
        Some(gate) => mixed + gate(x, v),
    };
    mixed.swap_dims(1, 2).reshape([batch, time, d_model])
}

/// `Σ_c |A[r, c]| / Σ_c m_c |A[r, c]|`, `[batch, heads, time, 1]`.
fn compensation(reached: Tensor<3>, seen: Tensor<2>) -> Tensor<4> {
    let [heads, time, _] = reached.dims();
    let [batch, _] = seen.dims();
    let size = reached.abs();
    let total = size.clone().sum_dim(2).unsqueeze_dim::<4>(0);
    let seen = seen.reshape([batch, 1, time, 1]).expand([batch, heads, time, 1]);
    total / mix(size, seen).clamp_min(TINY)
}
