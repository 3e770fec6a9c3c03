//! Strided convolutions along time before the rows reach a mechanism: fewer rows, each of which has
//! seen its neighbourhood.
//!
//! ```text
//! h_l(j) = ReLU(BN(Σ_k h_{l−1}(j s_l − k) W_{l,k}))      k = 0 … length − 1, rows before the first are zero
//! ```
//!
//! A row sees itself and the rows before it, and row 0 always has one, so a recurrent classifier behind
//! a stem still reads a stream: its logits change with every `Π s_l`-th row. Padding stands behind a
//! series and is never seen.
//!
//! Source: convolutions, batch norm and ReLU of Wang, Yan & Oates 2017, arXiv:1611.06455; in front of
//! attention as the convolutional stem of Xiao et al. 2021, arXiv:2106.14881. Causal form and strides
//! are ours. Weights start as `U(±1/√fan_in)`; no bias before a norm. Cost: `p c f l` multiply-adds for
//! `f` filters of `l` steps on `c` channels over `p` rows; rows that a stride leaves out are computed too.

use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Bool, Device, Tensor, s};
use regard_kernels::convolution::convolution;
use serde::{Deserialize, Serialize};

use super::ClassifyShape;
use super::pooling::present;
use crate::error::{InvalidConfig, odd, positive};
use crate::mechanism::{State, StateVisitor};
use crate::parameter::{BatchNorm, fan_in_bound, uniform};

/// One convolution of a stem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StemConvolution {
    /// Number of filters.
    pub filters: usize,
    /// Steps that a filter reads; odd.
    pub length: usize,
    /// Every how many rows one is kept.
    #[serde(default = "one")]
    pub stride: usize,
}

fn one() -> usize {
    1
}

/// Strided convolutions, first to last; none leaves the rows as they are.
#[derive(Module, Debug)]
pub(super) struct Stem {
    layers: Vec<Layer>,
}

#[derive(Module, Debug)]
struct Layer {
    /// `[length, channels, filters]`, the oldest row first.
    weight: Param<Tensor<3>>,
    norm: BatchNorm,
    stride: usize,
}

/// What a stem carries from one row to the next, a layer each.
#[derive(Clone, Debug)]
pub(super) struct StemState(Vec<LayerState>);

#[derive(Clone, Debug)]
struct LayerState {
    /// The rows before the next one, `[batch, length − 1, channels]`.
    before: Tensor<3>,
    /// Rows until the next one that is kept.
    wait: usize,
}

impl State for StemState {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        for (i, layer) in self.0.iter_mut().enumerate() {
            visitor.enter(&i.to_string());
            visitor.tensor("before", &mut layer.before, None);
            visitor.count("wait", &mut layer.wait);
            visitor.exit();
        }
    }
}

impl Stem {
    /// Checks the fields and draws the convolutions in order.
    pub(super) fn new(
        convolutions: &[StemConvolution],
        channels: usize,
        device: &Device,
    ) -> Result<Self, InvalidConfig> {
        for &StemConvolution { filters, length, stride } in convolutions {
            positive(("filters", filters))?;
            odd(("length", length))?;
            positive(("stride", stride))?;
        }
        let layer = |(d_in, convolution): (usize, StemConvolution)| {
            let StemConvolution { filters, length, stride } = convolution;
            let bound = fan_in_bound(d_in * length);
            let weight = uniform([length, d_in, filters], bound, device);
            Layer { weight, norm: BatchNorm::new(filters, device), stride }
        };
        Ok(Self { layers: inputs(convolutions, channels).map(layer).collect() })
    }

    /// The sizes of what leaves a stem.
    pub(super) fn shape(convolutions: &[StemConvolution], shape: ClassifyShape) -> ClassifyShape {
        convolutions.iter().fold(shape, |shape, convolution| ClassifyShape {
            time: shape.time.div_ceil(convolution.stride.max(1)),
            channels: convolution.filters,
            ..shape
        })
    }

    /// `c f l + 2f` per convolution.
    pub(super) fn n_parameters(convolutions: &[StemConvolution], channels: usize) -> usize {
        inputs(convolutions, channels).map(|(d_in, c)| c.filters * (d_in * c.length + 2)).sum()
    }

    /// `p c f l` per convolution that reads `p` rows.
    pub(super) fn multiply_adds(convolutions: &[StemConvolution], shape: ClassifyShape) -> u64 {
        let mut shape = shape;
        let mut sum = 0;
        for convolution in convolutions {
            sum += shape.time * shape.channels * convolution.filters * convolution.length;
            shape = Self::shape(std::slice::from_ref(convolution), shape);
        }
        sum as u64
    }

    /// The rows kept, and their padding.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, channels]`, zeros in padded rows; result `[batch, rows kept, filters]`
    /// - `padding`: `[batch, time]`; result `[batch, rows kept]`
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        padding: Option<&Tensor<2, Bool>>,
    ) -> (Tensor<3>, Option<Tensor<2, Bool>>) {
        let mut padding = padding.cloned();
        let mut x = x;
        for layer in &self.layers {
            let [batch, time, channels] = x.dims();
            let [length, ..] = layer.weight.dims();
            let half = length / 2;
            // The kernel looks both ways; on rows that come later by half its length, only back.
            let later = Tensor::zeros([batch, half, channels], (&x.device(), x.dtype()));
            let later = Tensor::cat(vec![later, x], 1);
            x = convolution(later, layer.weight.val()).narrow(1, 0, time);
            x = x.slice(s![.., 0..;layer.stride, ..]);
            padding = padding.map(|padding| padding.slice(s![.., 0..;layer.stride]));
            let present = padding.as_ref().map(|padding| present(&x, padding));
            x = relu(layer.norm.forward(x, present.as_ref()));
            if let Some(present) = present {
                x = x * present;
            }
        }
        (x, padding)
    }

    /// Every how many rows one leaves.
    pub(super) fn stride(&self) -> usize {
        self.layers.iter().map(|layer| layer.stride).product()
    }

    /// One more row `[batch, 1, channels]`; the row that leaves, if one does, and the state after it.
    pub(super) fn step(
        &self,
        x: Tensor<3>,
        past: Option<StemState>,
    ) -> (Option<Tensor<3>>, StemState) {
        let mut states = past.map_or_else(|| self.start(&x), |past| past.0);
        let mut row = Some(x);
        for (layer, state) in self.layers.iter().zip(&mut states) {
            row = row.and_then(|x| layer.step(x, state));
        }
        (row, StemState(states))
    }

    fn start(&self, x: &Tensor<3>) -> Vec<LayerState> {
        let [batch, ..] = x.dims();
        let state = |layer: &Layer| {
            let [length, channels, _] = layer.weight.dims();
            let before = Tensor::zeros([batch, length - 1, channels], (&x.device(), x.dtype()));
            LayerState { before, wait: 0 }
        };
        self.layers.iter().map(state).collect()
    }
}

impl Layer {
    fn step(&self, x: Tensor<3>, state: &mut LayerState) -> Option<Tensor<3>> {
        let [length, channels, filters] = self.weight.dims();
        let [batch, ..] = x.dims();
        let seen = Tensor::cat(vec![state.before.clone(), x], 1);
        state.before = seen.clone().narrow(1, 1, length - 1);
        if state.wait > 0 {
            state.wait -= 1;
            return None;
        }
        state.wait = self.stride - 1;
        let weight = self.weight.val().reshape([1, length * channels, filters]);
        let row = seen.reshape([batch, 1, length * channels]).matmul(weight.expand([
            batch,
            length * channels,
            filters,
        ]));
        Some(relu(self.norm.forward(row, None)))
    }
}

/// What each convolution reads, and the convolution.
fn inputs(
    convolutions: &[StemConvolution],
    channels: usize,
) -> impl Iterator<Item = (usize, StemConvolution)> {
    let widths = convolutions.iter().map(|convolution| convolution.filters);
    std::iter::once(channels).chain(widths).zip(convolutions.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use regard_kernels::testing::{assert_close, double, from_f64, normal, to_f64};

    const TWO: [StemConvolution; 2] = [
        StemConvolution { filters: 4, length: 3, stride: 2 },
        StemConvolution { filters: 3, length: 5, stride: 3 },
    ];

    fn stem(convolutions: &[StemConvolution], channels: usize) -> Stem {
        double(Stem::new(convolutions, channels, &Device::default()).unwrap())
    }

    #[test]
    fn it_is_the_sum_of_its_definition() {
        let (time, length, stride) = (8, 5, 3);
        let stem = stem(&[StemConvolution { filters: 2, length, stride }], 1);
        let x = normal([1, time, 1], 1);
        let (rows, weight) = (to_f64(&x), to_f64(&stem.layers[0].weight.val()));
        let expected = (0..3).flat_map(|j| (0..2).map(move |f| (j, f))).map(|(j, f)| {
            let terms = (0..length).filter(|k| j * stride >= *k);
            let sum: f64 =
                terms.map(|k| rows[j * stride - k] * weight[2 * (length - 1 - k) + f]).sum();
            (sum / (1.0 + 1e-5_f64).sqrt()).max(0.0)
        });
        let expected = from_f64(expected.collect(), [1, 3, 2]);
        assert_close(&stem.forward(x, None).0, &expected, 1e-13);
    }

    #[test]
    fn rows_one_by_one_are_those_of_the_whole_series() {
        let stem = stem(&TWO, 3);
        let x = normal([2, 14, 3], 2);
        let (whole, _) = stem.forward(x.clone(), None);
        let (mut state, mut found) = (None, Vec::new());
        for t in 0..14 {
            let (row, next) = stem.step(x.clone().narrow(1, t, 1), state);
            assert_eq!(row.is_some(), t % 6 == 0, "{t}");
            found.extend(row);
            state = Some(next);
        }
        assert_close(&Tensor::cat(found, 1), &whole, 1e-13);
        let shape = Stem::shape(&TWO, ClassifyShape::series(14, 3, 2));
        assert_eq!((whole.dims()[1], whole.dims()[2]), (shape.time, shape.channels));
    }

    #[test]
    fn padding_behind_a_series_changes_nothing() {
        let stem = stem(&TWO, 3);
        let x = normal([1, 14, 3], 3);
        let alone = stem.forward(x.clone().narrow(1, 0, 8), None).0;
        let padding = (0..14).map(|t| t >= 8).collect::<Vec<_>>();
        let padding = burn::tensor::TensorData::new(padding, [1, 14]);
        let padding = Tensor::<2, Bool>::from_data(padding, &Device::default());
        let (found, padding) = stem.forward(x, Some(&padding));
        assert_close(&found.clone().narrow(1, 0, 2), &alone, 1e-13);
        assert_close(&found.narrow(1, 2, 1), &Tensor::zeros([1, 1, 3], &Device::default()), 0.0);
        assert_eq!(
            padding.unwrap().into_data().try_to_vec::<bool>().unwrap(),
            [false, false, true]
        );
    }

    #[test]
    fn formulas_count_what_is_there() {
        assert_eq!(Stem::n_parameters(&TWO, 3), stem(&TWO, 3).num_params() - 2 * (4 + 3));
        let shape = ClassifyShape::series(14, 3, 2);
        assert_eq!(Stem::multiply_adds(&TWO, shape), 14 * 3 * 4 * 3 + 7 * 4 * 3 * 5);
    }

    #[test]
    fn wrong_sizes_are_named() {
        let refused = |filters, length, stride| {
            let convolution = StemConvolution { filters, length, stride };
            Stem::new(&[convolution], 3, &Device::default()).unwrap_err().to_string()
        };
        assert!(refused(0, 3, 1).starts_with("filters = 0"));
        assert!(refused(4, 2, 1).starts_with("length = 2"));
        assert!(refused(4, 3, 0).starts_with("stride = 0"));
    }
}
