//! What each head of a mechanism is made of: for looking at, not for attending.

use burn::tensor::Tensor;

use super::Mechanism;
use crate::parameter::Affine;

/// The weights of the maps of every head, biases left out.
#[derive(Debug, Clone)]
pub struct HeadMaps {
    /// `W_Q`, `[heads, d_model, d_head]`.
    pub query: Tensor<3>,
    /// `W_K`, `[heads, d_model, d_head]`.
    pub key: Tensor<3>,
    /// `W_V`, `[heads, d_model, d_head]`.
    pub value: Tensor<3>,
    /// `W_O`, `[heads, d_head, d_model]`.
    pub output: Tensor<3>,
}

impl HeadMaps {
    /// The parts of a map from `d_model` that belong to each of `heads` heads:
    /// `[heads, d_model, d_head]`.
    pub(super) fn columns(map: &Affine, heads: usize) -> Tensor<3> {
        let weight = map.weight.val();
        let [d_in, d_out] = weight.dims();
        weight.reshape([d_in, heads, d_out / heads]).swap_dims(0, 1)
    }

    /// The parts of a map of joined heads that belong to each: `[heads, d_head, d_model]`.
    pub(super) fn rows(map: &Affine, heads: usize) -> Tensor<3> {
        let weight = map.weight.val();
        let [d_in, d_out] = weight.dims();
        weight.reshape([heads, d_in / heads, d_out])
    }

    /// `W_Q W_Kᵀ` of every head, what it compares, as the two factors `[heads, d_model, d_head]` and
    /// `[heads, d_head, d_model]`.
    #[must_use]
    pub fn comparison(&self) -> [Tensor<3>; 2] {
        [self.query.clone(), self.key.clone().swap_dims(1, 2)]
    }

    /// `W_V W_O` of every head, what it passes on, as factors of the same shapes.
    #[must_use]
    pub fn transfer(&self) -> [Tensor<3>; 2] {
        [self.value.clone(), self.output.clone()]
    }
}

impl Mechanism {
    /// The maps of every head; `None` of a mechanism that has not these four.
    #[must_use]
    pub fn head_maps(&self) -> Option<HeadMaps> {
        match self {
            Self::Softmax(attention) => Some(attention.head_maps()),
            Self::Easy(_) | Self::Larnn(_) => None,
            Self::Linear(attention) => Some(attention.head_maps()),
            Self::Log(attention) => Some(attention.head_maps()),
            Self::PrimalDual(attention) => Some(attention.head_maps()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Attention, EasyConfig, LinearConfig, LogConfig, MechanismConfig, PrimalDualConfig,
        ScaledHeadsConfig, SoftmaxConfig,
    };
    use super::*;
    use burn::tensor::Device;
    use regard_kernels::testing::{assert_close, double, normal};

    #[test]
    fn joined_and_mapped_the_results_of_the_heads_are_the_result() {
        let softmax = MechanismConfig::Softmax(SoftmaxConfig { n_heads: 3, causal: false });
        let scaled = ScaledHeadsConfig { rates: vec![1, 2, 2], ..Default::default() };
        let scaled = PrimalDualConfig { scaled_heads: Some(scaled), ..PrimalDualConfig::new(3) };
        for config in [
            softmax,
            MechanismConfig::Easy(EasyConfig::new(3)),
            MechanismConfig::Linear(LinearConfig { n_heads: 3, causal: false }),
            MechanismConfig::Log(LogConfig::new(3)),
            MechanismConfig::PrimalDual(scaled),
        ] {
            let mechanism = double(config.init(6, 5, &Device::default()).unwrap());
            let x = normal([2, 5, 6], 1);
            let o = mechanism.head_outputs(x.clone(), None).unwrap();
            assert_eq!(o.dims(), [2, 3, 5, 2]);
            let expected = mechanism.forward(x, None);
            let mapped = match mechanism.head_maps() {
                // The bias starts at zero.
                Some(weights) => {
                    o.matmul(weights.output.unsqueeze_dim(0)).sum_dim(1).squeeze_dim(1)
                }
                None => o.swap_dims(1, 2).reshape([2, 5, 6]),
            };
            assert_close(&mapped, &expected, 1e-13);
        }
    }

    #[test]
    fn a_head_compares_and_transfers_with_its_own_weights() {
        let config = MechanismConfig::Softmax(SoftmaxConfig { n_heads: 3, causal: false });
        let mechanism = double(config.init(6, 5, &Device::default()).unwrap());
        let Mechanism::Softmax(softmax) = &mechanism else { panic!("as configured") };
        let x = normal::<3>([1, 5, 6], 1);
        let [left, right] = mechanism.head_maps().unwrap().comparison();
        let compared = left.matmul(right).unsqueeze_dim::<4>(0);
        let rows = x.clone().unsqueeze_dim::<4>(1);
        let scores = rows.clone().matmul(compared).matmul(rows.swap_dims(2, 3)) / 2.0_f64.sqrt();
        assert_close(&scores, &softmax.scores(x), 1e-13);
    }
}
