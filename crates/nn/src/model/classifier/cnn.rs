//! A fully convolutional classifier along time.
//!
//! ```text
//! h_l    = ReLU(BN(conv_l(h_{l-1})))          h_0 = x; same length, zeros beyond both ends
//! logits = mean over time of h_n · W_out + b_out
//! ```
//!
//! Source: Wang, Yan & Oates 2017, arXiv:1611.06455, the "fully convolutional network" with 128, 256
//! and 128 filters of 8, 5 and 3 steps. Differs: by default half as many filters, and odd lengths, so
//! that a filter has a middle; no bias before a norm, which would take it away. Weights start as
//! `U(±1/√fan_in)`. Cost: `p c f l` multiply-adds for `f` filters of `l` steps on `c` channels.

use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Bool, Device, Tensor};
use regard_kernels::convolution::convolution;
use serde::{Deserialize, Serialize};

use super::head::{Head, HeadConfig};
use super::pooling::present;
use super::{ClassifyShape, Pooling};
use crate::error::{InvalidConfig, odd, positive, rate};
use crate::layer::dropout;
use crate::parameter::{BatchNorm, fan_in_bound, uniform};

/// Configuration of [`CnnClassifier`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CnnClassifierConfig {
    /// The convolutions, first to last.
    #[serde(default = "convolutions")]
    pub convolutions: Vec<Convolution>,
    /// Dropout of the result of each convolution.
    #[serde(default)]
    pub dropout: f64,
}

/// One convolution along time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convolution {
    /// Number of filters.
    pub filters: usize,
    /// Steps that a filter reads; odd.
    pub length: usize,
}

fn convolutions() -> Vec<Convolution> {
    [(64, 7), (128, 5), (64, 3)].map(|(filters, length)| Convolution { filters, length }).to_vec()
}

/// A convolutional classifier; build with [`CnnClassifierConfig::init`].
#[derive(Module, Debug)]
pub struct CnnClassifier {
    layers: Vec<Layer>,
    head: Head,
    #[module(skip)]
    dropout: f64,
}

#[derive(Module, Debug)]
struct Layer {
    /// `[length, channels, filters]`.
    weight: Param<Tensor<3>>,
    norm: BatchNorm,
}

impl CnnClassifierConfig {
    /// Checks the fields and draws the convolutions, then the output.
    ///
    /// # Errors
    /// [`InvalidConfig`] if there is no convolution, a size is zero, a length is even, or `dropout`
    /// is not a rate.
    pub fn init(
        &self,
        shape: ClassifyShape,
        device: &Device,
    ) -> Result<CnnClassifier, InvalidConfig> {
        let ClassifyShape { time, channels, classes, .. } = shape;
        let counts = [
            ("the number of convolutions", self.convolutions.len()),
            ("time", time),
            ("channels", channels),
            ("classes", classes),
        ];
        counts.into_iter().try_for_each(positive)?;
        for &Convolution { filters, length } in &self.convolutions {
            positive(("filters", filters))?;
            odd(("length", length))?;
        }
        rate(("dropout", self.dropout))?;
        let layer = |(d_in, Convolution { filters, length })| Layer {
            weight: uniform([length, d_in, filters], fan_in_bound(d_in * length), device),
            norm: BatchNorm::new(filters, device),
        };
        Ok(CnnClassifier {
            layers: self.layers(channels).map(layer).collect(),
            head: self.head(shape).init(device),
            dropout: self.dropout,
        })
    }

    /// `c f l + 2f` per convolution, `(f + 1) m` for `m` classes.
    #[must_use]
    pub fn n_parameters(&self, shape: ClassifyShape) -> usize {
        let layer = |(d_in, Convolution { filters, length })| filters * (d_in * length + 2);
        self.layers(shape.channels).map(layer).sum::<usize>() + self.head(shape).n_parameters()
    }

    /// `p c f l` per convolution for `p` steps, `f m` of the output.
    #[must_use]
    pub fn multiply_adds(&self, shape: ClassifyShape) -> u64 {
        let step = |(d_in, Convolution { filters, length })| (filters * d_in * length) as u64;
        shape.time as u64 * self.layers(shape.channels).map(step).sum::<u64>()
            + self.head(shape).multiply_adds()
    }

    /// What each convolution reads, and the convolution.
    fn layers(&self, channels: usize) -> impl Iterator<Item = (usize, Convolution)> {
        let widths = self.convolutions.iter().map(|convolution| convolution.filters);
        std::iter::once(channels).chain(widths).zip(self.convolutions.iter().copied())
    }

    fn head(&self, shape: ClassifyShape) -> HeadConfig {
        let ClassifyShape { time, classes, .. } = shape;
        let d_in = self.convolutions.last().map_or(0, |convolution| convolution.filters);
        HeadConfig { d_in, time, classes, pooling: Pooling::Mean, dropout: 0.0 }
    }
}

impl CnnClassifier {
    /// The logits of every series.
    ///
    /// # Shapes
    /// As [`Classifier::forward`](super::Classifier::forward), with zeros in padded rows.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Tensor<2> {
        let present = padding.map(|padding| present(&x, padding));
        let mut h = x;
        for layer in &self.layers {
            h = dropout(layer.forward(h, present.as_ref()), self.dropout);
        }
        self.head.forward(h, padding)
    }
}

impl Layer {
    /// `[batch, time, channels]` to `[batch, time, filters]`, with zeros in padded rows.
    fn forward(&self, x: Tensor<3>, present: Option<&Tensor<3>>) -> Tensor<3> {
        let h = convolution(x, self.weight.val());
        let h = relu(self.norm.forward(h, present));
        match present {
            None => h,
            Some(present) => h * present.clone(),
        }
    }
}
