//! Dense easy attention: the score matrix of each head is a parameter.
//!
//! ```text
//! form right:  V = X W_V,   W_V [d, d]       form left:  V = W_V X,   W_V [p, p]
//! H_i = α_i V_i,  α_i [p, p]                 V_i: columns of head i, d/h wide
//! Y = [H_1 … H_h]
//! ```
//!
//! No softmax, no scale, no bias, no output map, no positions: `α` is indexed by position.
//!
//! Source: Sanchis-Agudo et al. 2023, arXiv:2308.12874 (form right, as in its later versions) and
//! the code the group released with Solera-Rico et al. 2024, arXiv:2304.03571 (form left).
//! Differs: `W_V` of form left is `p × p`, so that it does not need `p = d`, and form right stores
//! the heads' `d × d/h` matrices side by side as one `d × d` matrix, drawn by the Xavier rule of
//! that matrix, `√(6/2d)`. Cost: `p d² + p² d` multiply-adds (right) or `2 p² d` (left).

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor, assert_shape};
use regard_kernels::affine::affine;
use regard_kernels::mixing::mix;
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use super::Attention;
use crate::error::{InvalidConfig, divides, positive};
use crate::parameter::{mix_time, uniform, xavier_bound};

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
    /// Law of the initial `α`.
    #[serde(default)]
    pub init: AlphaInit,
}

/// Dense easy attention for one window length; build with [`EasyConfig::init`].
#[derive(Module, Debug)]
pub struct EasyAttention {
    /// `α`, `[heads, time, time]`.
    alpha: Param<Tensor<3>>,
    /// `W_V`, `[d_model, d_model]` (form right) or `[time, time]` (form left).
    value: Param<Tensor<2>>,
    #[module(skip)]
    form: EasyForm,
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
    /// Checks the fields and draws `α`, then `W_V`.
    ///
    /// # Errors
    /// [`InvalidConfig::NotDivisible`] if `n_heads` does not divide `d_model`;
    /// [`InvalidConfig::Zero`] if `time` is zero.
    pub fn init(
        &self,
        d_model: usize,
        time: usize,
        device: &Device,
    ) -> Result<EasyAttention, InvalidConfig> {
        divides(("d_model", d_model), ("n_heads", self.n_heads))?;
        positive(("time", time))?;
        let bound = self.init.bound(self.n_heads, time);
        let side = self.value_side(d_model, time);
        Ok(EasyAttention {
            alpha: uniform([self.n_heads, time, time], bound, device),
            value: uniform([side, side], xavier_bound(side, side), device),
            form: self.form,
        })
    }

    /// `h p² + d²` (form right) or `h p² + p²` (form left).
    #[must_use]
    pub fn n_parameters(&self, d_model: usize, time: usize) -> usize {
        self.n_heads * time * time + self.value_side(d_model, time).pow(2)
    }

    /// `p d² + p² d` (form right) or `2 p² d` (form left).
    #[must_use]
    pub fn multiply_adds(&self, d_model: usize, time: usize) -> u64 {
        let side = self.value_side(d_model, time);
        (time * d_model * (side + time)) as u64
    }

    fn value_side(&self, d_model: usize, time: usize) -> usize {
        match self.form {
            EasyForm::Right => d_model,
            EasyForm::Left => time,
        }
    }
}

impl EasyAttention {
    /// The trained score matrices, `[heads, time, time]`.
    #[must_use]
    pub fn alpha(&self) -> Tensor<3> {
        self.alpha.val()
    }
}

/// A blocked row contributes nothing to any other; unlike softmax, the rest is not renormalised.
impl Attention for EasyAttention {
    fn forward(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let [batch, time, d_model] = x.dims();
        let x = match blocked {
            None => x,
            Some(blocked) => {
                assert_shape!(blocked, [batch, time]);
                let blocked = blocked.unsqueeze_dim::<3>(2).expand([batch, time, d_model]);
                x.mask_fill(blocked, 0.0)
            }
        };
        attend(self.form, self.alpha.val(), self.value.val(), x)
    }
}

/// `[α_1 V_1 … α_h V_h]` from plain tensors.
fn attend(form: EasyForm, alpha: Tensor<3>, value: Tensor<2>, x: Tensor<3>) -> Tensor<3> {
    let [batch, time, d_model] = x.dims();
    let [heads, _, _] = alpha.dims();
    assert_shape!(alpha, [heads, time, time]);
    let v = match form {
        EasyForm::Right => affine(x, value, None, Activation::Identity),
        EasyForm::Left => mix_time(value, x),
    };
    let v = v.reshape([batch, time, heads, d_model / heads]).swap_dims(1, 2);
    mix(alpha, v).swap_dims(1, 2).reshape([batch, time, d_model])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::s;
    use regard_kernels::testing::{assert_close, assert_gradients, normal};

    /// `H_i = α_i V_i` spelled out head by head.
    fn reference(form: EasyForm, alpha: &Tensor<3>, value: &Tensor<2>, x: &Tensor<3>) -> Tensor<3> {
        let [batch, _, d_model] = x.dims();
        let [heads, time, _] = alpha.dims();
        let d_head = d_model / heads;
        let sequences = (0..batch).map(|b| {
            let x = x.clone().slice(s![b, .., ..]).reshape([time, d_model]);
            let v = match form {
                EasyForm::Right => x.matmul(value.clone()),
                EasyForm::Left => value.clone().matmul(x),
            };
            let parts = (0..heads).map(|i| {
                let alpha = alpha.clone().slice(s![i, .., ..]).reshape([time, time]);
                alpha.matmul(v.clone().slice(s![.., i * d_head..(i + 1) * d_head]))
            });
            Tensor::cat(parts.collect(), 1)
        });
        Tensor::stack(sequences.collect(), 0)
    }

    #[test]
    fn both_forms_equal_the_formula_head_by_head() {
        for (form, side) in [(EasyForm::Right, 14), (EasyForm::Left, 5)] {
            let (alpha, value) = (normal([7, 5, 5], 1), normal([side, side], 2));
            let x = normal([3, 5, 14], 3);
            let expected = reference(form, &alpha, &value, &x);
            assert_close(&attend(form, alpha, value, x), &expected, 1e-12);
        }
    }

    #[test]
    fn gradients_of_alpha_value_and_input_match_central_differences() {
        for (form, side) in [(EasyForm::Right, 6), (EasyForm::Left, 5)] {
            let inputs = [normal([3, 5, 5], 1), normal([1, side, side], 2), normal([2, 5, 6], 3)];
            let f =
                |[alpha, value, x]: [Tensor<3>; 3]| attend(form, alpha, value.squeeze_dim(0), x);
            assert_gradients(inputs, f, 1e-6);
        }
    }

    #[test]
    fn initial_scores_fill_the_published_bounds() {
        // √(6/(64² + 4·64)) and √(6/(128² + 8·128)), then √(6/128) and √(6/256).
        let cases = [
            (AlphaInit::Stacked, 64, 4, 0.03713),
            (AlphaInit::Stacked, 128, 8, 0.01856),
            (AlphaInit::PerHead, 64, 4, 0.2165),
            (AlphaInit::PerHead, 128, 8, 0.1531),
        ];
        for (init, time, n_heads, bound) in cases {
            let config = EasyConfig { n_heads, form: EasyForm::Right, init };
            assert!((init.bound(n_heads, time) - bound).abs() < 1e-4);
            let module = config.init(time, time, &Device::default()).unwrap();
            let largest = f64::from(module.alpha().abs().max().into_scalar::<f32>());
            assert!((largest - bound).abs() < 1e-4, "{init:?}: {largest} against {bound}");
        }
    }
}
