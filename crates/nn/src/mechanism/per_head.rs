//! What each head of a mechanism returns, and what it is made of: for looking at, not for attending.

use burn::tensor::{Bool, Tensor};

use super::{Attention, EasyAttention, Mechanism, SoftmaxAttention};
use crate::parameter::Affine;

/// The weights of every head, biases left out.
#[derive(Debug, Clone)]
pub struct HeadWeights {
    /// `W_Q`, `[heads, d_model, d_head]`.
    pub query: Tensor<3>,
    /// `W_K`, `[heads, d_model, d_head]`.
    pub key: Tensor<3>,
    /// `W_V`, `[heads, d_model, d_head]`.
    pub value: Tensor<3>,
    /// `W_O`, `[heads, d_head, d_model]`.
    pub output: Tensor<3>,
}

impl HeadWeights {
    /// The parts of four maps that belong to each of `heads` heads.
    pub(super) fn of([query, key, value, output]: [&Affine; 4], heads: usize) -> Self {
        let columns = |map: &Affine| {
            let weight = map.weight.val();
            let [d_in, d_out] = weight.dims();
            weight.reshape([d_in, heads, d_out / heads]).swap_dims(0, 1)
        };
        let weight = output.weight.val();
        let [d_in, d_out] = weight.dims();
        let output = weight.reshape([heads, d_in / heads, d_out]);
        Self { query: columns(query), key: columns(key), value: columns(value), output }
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
    /// What every head returns, before the heads are joined and mapped; `None` without heads of one's
    /// own, as in recurrent cells.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_model]`
    /// - `blocked`: `[batch, time]`, `true` where a row must not be seen by any other
    /// - returns: `[batch, heads, time, d_head]`
    ///
    /// # Panics
    /// If the shapes disagree with each other or with the parameters.
    #[must_use]
    pub fn head_outputs(
        &self,
        x: Tensor<3>,
        blocked: Option<Tensor<2, Bool>>,
    ) -> Option<Tensor<4>> {
        match self {
            Self::Softmax(attention) => Some(attention.head_outputs(x, blocked)),
            Self::Easy(attention) => Some(easy(attention, x, blocked)),
            Self::Larnn(_) => None,
        }
    }

    /// The weights of every head; `None` of a mechanism that has not these four maps.
    #[must_use]
    pub fn head_weights(&self) -> Option<HeadWeights> {
        match self {
            Self::Softmax(attention) => Some(softmax(attention)),
            Self::Easy(_) | Self::Larnn(_) => None,
        }
    }
}

fn softmax(attention: &SoftmaxAttention) -> HeadWeights {
    let SoftmaxAttention { query, key, value, output, n_heads, .. } = attention;
    HeadWeights::of([query, key, value, output], *n_heads)
}

/// Easy attention has no output map: its heads stand side by side in its result.
fn easy(attention: &EasyAttention, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<4> {
    let [heads, _, _] = attention.alpha().dims();
    let y = attention.forward(x, blocked);
    let [batch, time, d_model] = y.dims();
    y.reshape([batch, time, heads, d_model / heads]).swap_dims(1, 2)
}

#[cfg(test)]
mod tests {
    use super::super::{EasyConfig, MechanismConfig, SoftmaxConfig};
    use super::*;
    use burn::tensor::Device;
    use regard_kernels::testing::{assert_close, double, normal};

    #[test]
    fn joined_and_mapped_the_results_of_the_heads_are_the_result() {
        let softmax = MechanismConfig::Softmax(SoftmaxConfig { n_heads: 3, causal: false });
        for config in [softmax, MechanismConfig::Easy(EasyConfig::new(3))] {
            let mechanism = double(config.init(6, 5, &Device::default()).unwrap());
            let x = normal([2, 5, 6], 1);
            let o = mechanism.head_outputs(x.clone(), None).unwrap();
            assert_eq!(o.dims(), [2, 3, 5, 2]);
            let expected = mechanism.forward(x, None);
            let mapped = match mechanism.head_weights() {
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
        let [left, right] = mechanism.head_weights().unwrap().comparison();
        let compared = left.matmul(right).unsqueeze_dim::<4>(0);
        let rows = x.clone().unsqueeze_dim::<4>(1);
        let scores = rows.clone().matmul(compared).matmul(rows.swap_dims(2, 3)) / 2.0_f64.sqrt();
        assert_close(&scores, &softmax.scores(x), 1e-13);
    }
}
