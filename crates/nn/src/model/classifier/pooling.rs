//! From the rows of a series to one row.
//!
//! ```text
//! last:       y = h_n                                  n: number of rows that are not padding
//! mean:       y = Σ_t h_t / n
//! attention:  y = Σ_t w_t h_t      w = softmax_t(h_t · u / √d)
//! flatten:    y = [g_1 … g_N]      g_t = dropout(GELU(LN(h_t))) for t ≤ n, zero behind
//! ```
//!
//! `u` is trained and starts as `U(±1/√d)`, so that attention starts close to the mean. `N` is the number
//! of rows of the longest series.
//!
//! Source of `flatten`: the classifier released with Zerveas et al. 2021, arXiv:2010.02803, in the form of
//! Wu et al. 2022, arXiv:2202.06258, with a layer norm.

use burn::module::{Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Tensor};
use regard_kernels::pointwise::{Activation, bias_activation};
use serde::{Deserialize, Serialize};

use crate::layer::dropout;
use crate::mechanism::{State, StateVisitor};
use crate::parameter::{LayerNorm, fan_in_bound, uniform};

/// How the rows of a series become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The last row.
    #[default]
    Last,
    /// The mean of all rows.
    Mean,
    /// A weighted mean, by attention with one trained query.
    Attention,
    /// All rows side by side, after a norm and an activation.
    Flatten,
}

/// Makes one row of many.
#[derive(Module, Debug)]
pub(super) struct Pool {
    /// `u`, `[d]`; only for attention.
    query: Option<Param<Tensor<1>>>,
    /// Only to flatten.
    norm: Option<LayerNorm>,
    #[module(skip)]
    pub(super) pooling: Pooling,
    /// Of the flattened rows.
    #[module(skip)]
    dropout: f64,
}

impl Pooling {
    pub(super) fn n_parameters(self, d: usize) -> usize {
        match self {
            Self::Last | Self::Mean => 0,
            Self::Attention => d,
            Self::Flatten => 2 * d,
        }
    }

    /// Width of what rows of width `d` become.
    pub(super) fn d_out(self, d: usize, time: usize) -> usize {
        if self == Self::Flatten { time * d } else { d }
    }

    pub(super) fn init(self, d: usize, dropout: f64, device: &Device) -> Pool {
        let query = (self == Self::Attention).then(|| uniform([d], fan_in_bound(d), device));
        let norm = (self == Self::Flatten).then(|| LayerNorm::new(d, device));
        Pool { query, norm, pooling: self, dropout }
    }
}

/// What pooling carries from one row to the next; `None` where it needs nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct PoolState(Option<Running>);

/// Sums over the rows so far, weights relative to the largest score.
#[derive(Clone, Debug)]
struct Running {
    /// `[batch, 1, d]`
    sum: Tensor<3>,
    /// `[batch, 1, 1]`
    weight: Tensor<3>,
    /// `[batch, 1, 1]`
    largest: Tensor<3>,
}

impl State for PoolState {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        if let Self(Some(running)) = self {
            visitor.tensor("sum", &mut running.sum, None);
            visitor.tensor("weight", &mut running.weight, None);
            visitor.tensor("largest", &mut running.largest, None);
        }
    }
}

impl Pool {
    /// The pooled row after one more row `[batch, 1, d]`, and the state after it.
    ///
    /// # Panics
    /// If rows are flattened: a classifier that does is not recurrent.
    pub(super) fn step(&self, h: Tensor<3>, past: Option<PoolState>) -> (Tensor<3>, PoolState) {
        let [batch, _, _] = h.dims();
        let like = (&h.device(), h.dtype());
        let score = match self.pooling {
            Pooling::Last => return (h, PoolState(None)),
            Pooling::Mean => Tensor::zeros([batch, 1, 1], like),
            Pooling::Attention => self.scores(h.clone()),
            Pooling::Flatten => panic!("flattened rows have no running form"),
        };
        let running = match past.and_then(|past| past.0) {
            None => {
                let weight = Tensor::ones([batch, 1, 1], like);
                Running { sum: h, weight, largest: score }
            }
            Some(Running { sum, weight, largest }) => {
                let new = largest.clone().max_pair(score.clone());
                let (fade, share) = ((largest - new.clone()).exp(), (score - new.clone()).exp());
                Running {
                    sum: sum * fade.clone() + h * share.clone(),
                    weight: weight * fade + share,
                    largest: new,
                }
            }
        };
        (running.sum.clone() / running.weight.clone(), PoolState(Some(running)))
    }

    /// `h_t · u / √d`, `[batch, time, 1]`.
    fn scores(&self, h: Tensor<3>) -> Tensor<3> {
        let [_, _, d] = h.dims();
        let query = self.query.as_ref().expect("made by init").val();
        (h * query.reshape([1, 1, d])).sum_dim(2) / (d as f64).sqrt()
    }

    /// `[batch, time, d]` to `[batch, 1, d]`, flattened to `[batch, 1, time · d]`.
    pub(super) fn forward(&self, x: Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Tensor<3> {
        let [batch, time, d] = x.dims();
        let present = padding.map(|padding| present(&x, padding));
        match (self.pooling, present) {
            (Pooling::Last, None) => x.narrow(1, time - 1, 1),
            (Pooling::Last, Some(present)) => {
                // One at the last row: present there, and absent one row later.
                let later = present.clone().narrow(1, 1, time - 1);
                let later = Tensor::cat(vec![later, present.zeros_like().narrow(1, 0, 1)], 1);
                (x * (present - later)).sum_dim(1)
            }
            (Pooling::Mean, None) => x.mean_dim(1),
            (Pooling::Mean, Some(present)) => (x * present.clone()).sum_dim(1) / present.sum_dim(1),
            (Pooling::Attention, _) => {
                let scores = self.scores(x.clone());
                let scores = match padding {
                    None => scores,
                    Some(padding) => {
                        let blocked = padding.clone().reshape([batch, time, 1]);
                        scores.mask_fill(blocked, f64::NEG_INFINITY)
                    }
                };
                (x * softmax(scores, 1)).sum_dim(1)
            }
            (Pooling::Flatten, present) => {
                let like = (&x.device(), x.dtype());
                let h = self.norm.as_ref().expect("made by init").forward(x);
                let g = bias_activation(h, Tensor::zeros([d], like), Activation::Gelu);
                let g = dropout(g, self.dropout);
                let g = match present {
                    None => g,
                    Some(present) => g * present,
                };
                g.reshape([batch, 1, time * d])
            }
        }
    }
}

/// One where there is a row and zero where there is padding, `[batch, time, 1]`, of the type of `x`.
pub(super) fn present(x: &Tensor<3>, padding: &Tensor<2, Bool>) -> Tensor<3> {
    let [batch, time, _] = x.dims();
    let ones = Tensor::ones([batch, time, 1], (&x.device(), x.dtype()));
    ones.mask_fill(padding.clone().reshape([batch, time, 1]), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regard_kernels::testing::{assert_close, double, from_f64, normal, to_f64};

    const ALL: [Pooling; 3] = [Pooling::Last, Pooling::Mean, Pooling::Attention];

    fn padding(lengths: &[usize], time: usize) -> Tensor<2, Bool> {
        let values: Vec<bool> =
            lengths.iter().flat_map(|&n| (0..time).map(move |t| t >= n)).collect();
        let data = burn::tensor::TensorData::new(values, [lengths.len(), time]);
        Tensor::from_data(data, &Device::default())
    }

    #[test]
    fn a_padded_series_is_pooled_as_the_series_alone() {
        let (x, lengths) = (normal([3, 5, 7], 1), [2, 5, 1]);
        for pooling in ALL {
            let pool = double(pooling.init(7, 0.0, &Device::default()));
            let found = pool.forward(x.clone(), Some(&padding(&lengths, 5)));
            for (i, &n) in lengths.iter().enumerate() {
                let alone = x.clone().narrow(0, i, 1).narrow(1, 0, n);
                let expected = pool.forward(alone, None);
                assert_close(&found.clone().narrow(0, i, 1), &expected, 1e-14);
            }
        }
    }

    #[test]
    fn attention_is_the_weighted_mean_of_its_definition() {
        let x = normal::<3>([1, 3, 2], 1);
        let pool = double(Pooling::Attention.init(2, 0.0, &Device::default()));
        let query = to_f64(&pool.query.as_ref().unwrap().val());
        let rows: Vec<f64> = to_f64(&x);
        let weights: Vec<f64> = rows
            .chunks_exact(2)
            .map(|h| ((h[0] * query[0] + h[1] * query[1]) / 2.0_f64.sqrt()).exp())
            .collect();
        let sum: f64 = weights.iter().sum();
        let expected =
            (0..2).map(|j| (0..3).map(|t| weights[t] * rows[2 * t + j]).sum::<f64>() / sum);
        let expected = from_f64(expected.collect(), [1, 1, 2]);
        assert_close(&pool.forward(x, None), &expected, 1e-14);
    }
}
