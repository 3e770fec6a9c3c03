//! A transformer whose attention is continuum attention: an operator between functions on any points.
//!
//! ```text
//! z_i = [x_i, t_i] W_in + b_in        the first point, where its output is given: [x_0, y_0, t_0] W_0 + b_0
//! z   = blocks(z)                     continuum attention, feed-forward map; each behind a norm of the sum
//! y_i = z_i W_out + b_out
//! ```
//!
//! With a read-out by cross-attention the result is known wherever it is asked for,
//!
//! ```text
//! e(t) = gelu(t W_1 + b_1) W_2 + b_2      y(t) = block(e(t), z) W_out + b_out
//! ```
//!
//! and on the points of the input too.
//!
//! Source: Calvello et al. 2025, §4, arXiv:2406.06486, and its program; the read-out by cross-attention is
//! ours.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData, assert_shape};
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use super::{OperatorShape, Sites, copies};
use crate::error::{InvalidConfig, positive};
use crate::layer::{EncoderBlock, EncoderBlockConfig, NormPlace};
use crate::mechanism::{ContinuumAttention, ContinuumConfig};
use crate::parameter::{Affine, AffineConfig, BiasInit, WeightInit};

/// Configuration of [`Tno`]; the defaults are the published sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TnoConfig {
    /// Width between input and output.
    pub d_model: usize,
    /// Width between the two feed-forward maps.
    pub d_ff: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// The attention of every block.
    pub mechanism: ContinuumConfig,
    /// How a point is told from others.
    pub encoding: PointEncoding,
    /// Whether the last `d_out` channels of the input are the output at the first point, which only the
    /// first point is given.
    pub first_output: bool,
    /// Where the norms stand.
    pub norm: NormPlace,
    /// Whether the result is read by cross-attention.
    pub cross_readout: bool,
    /// Whether all blocks start from the same values.
    pub same_start: bool,
}

impl Default for TnoConfig {
    fn default() -> Self {
        Self {
            d_model: 128,
            d_ff: 128,
            n_layers: 6,
            mechanism: ContinuumConfig::new(8),
            encoding: PointEncoding::Append,
            first_output: false,
            norm: NormPlace::Post,
            cross_readout: false,
            same_start: false,
        }
    }
}

/// How a point is told from others; `t` is a coordinate, `i` a feature, `d` the width.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PointEncoding {
    /// Its coordinates are channels of the input.
    #[default]
    Append,
    /// `sin` or `cos` (odd `i`) of `10^(coefficient − 4 i/d) t` is added, for several coordinates their product.
    Continuous {
        /// Logarithm of the highest frequency.
        coefficient: f64,
    },
    /// `sin` or `cos` of `10000^(−2⌊i/2⌋/d)` times its number is added; depends on the discretisation.
    Number,
    /// The numbers of its row and column, of a point of a line its number, are channels of the input, as in
    /// the published program for fields; depends on the discretisation.
    Index,
}

/// A transformer between functions; build with [`TnoConfig::init`].
#[derive(Module, Debug)]
pub struct Tno {
    pub(super) lift: Affine,
    pub(super) lift_first: Option<Affine>,
    pub(super) blocks: Vec<EncoderBlock<ContinuumAttention>>,
    pub(super) readout: Option<CrossReadout>,
    pub(super) output: Affine,
    #[module(skip)]
    config: TnoConfig,
    #[module(skip)]
    shape: OperatorShape,
}

/// What reads a function at any point.
#[derive(Module, Debug)]
pub(super) struct CrossReadout {
    expand: Affine,
    contract: Affine,
    block: EncoderBlock<ContinuumAttention>,
}

impl TnoConfig {
    /// Checks the fields and draws lift, blocks, read-out and output in this order.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a size is zero, the mechanism refuses its own fields, or `first_output` leaves
    /// no channel to read.
    pub fn init(&self, shape: OperatorShape, device: &Device) -> Result<Tno, InvalidConfig> {
        let counts = [("d_model", self.d_model), ("d_ff", self.d_ff), ("n_layers", self.n_layers)];
        counts.into_iter().try_for_each(positive)?;
        if self.first_output && shape.d_in <= shape.d_out {
            return Err(InvalidConfig::TooLarge {
                name: "d_out (the channels behind the input that first_output = true reads)",
                value: shape.d_out,
                limit_name: "d_in − 1",
                limit: shape.d_in - 1,
            });
        }
        let block = || {
            let mechanism = self.mechanism.init(self.d_model, device)?;
            Ok(self.block().init(mechanism, device))
        };
        let lift = self.lift(shape).init(device);
        let lift_first = self.first_output.then(|| self.lift_first(shape).init(device));
        let first = block()?;
        let others = if self.same_start {
            copies(&first, self.n_layers - 1)
        } else {
            (1..self.n_layers).map(|_| block()).collect::<Result<_, _>>()?
        };
        let blocks = std::iter::once(first).chain(others).collect();
        let readout = if self.cross_readout {
            let [expand, contract] = self.embedding(shape).map(|map| map.init(device));
            Some(CrossReadout { expand, contract, block: block()? })
        } else {
            None
        };
        let output = self.output(shape).init(device);
        let config = self.clone();
        Ok(Tno { lift, lift_first, blocks, readout, output, config, shape })
    }

    /// Lift, blocks, read-out and output.
    #[must_use]
    pub fn n_parameters(&self, shape: OperatorShape) -> usize {
        let block = self.mechanism.n_parameters(self.d_model) + self.block().n_parameters();
        let first = if self.first_output { self.lift_first(shape).n_parameters() } else { 0 };
        let readout = if self.cross_readout {
            self.embedding(shape).map(|map| map.n_parameters()).iter().sum::<usize>() + block
        } else {
            0
        };
        self.lift(shape).n_parameters()
            + first
            + self.n_layers * block
            + readout
            + self.output(shape).n_parameters()
    }

    fn block(&self) -> EncoderBlockConfig {
        let Self { d_model, d_ff, norm, .. } = *self;
        EncoderBlockConfig { d_model, d_ff, activation: Activation::Gelu, norm, dropout: 0.0 }
    }

    /// Channels that every point has.
    fn channels(&self, shape: OperatorShape) -> usize {
        shape.d_in - if self.first_output { shape.d_out } else { 0 }
    }

    fn appended(&self, shape: OperatorShape) -> usize {
        match self.encoding {
            PointEncoding::Append | PointEncoding::Index => shape.dimension,
            PointEncoding::Continuous { .. } | PointEncoding::Number => 0,
        }
    }

    fn lift(&self, shape: OperatorShape) -> AffineConfig {
        affine(self.channels(shape) + self.appended(shape), self.d_model)
    }

    fn lift_first(&self, shape: OperatorShape) -> AffineConfig {
        affine(shape.d_in + self.appended(shape), self.d_model)
    }

    fn embedding(&self, shape: OperatorShape) -> [AffineConfig; 2] {
        [affine(shape.dimension, self.d_model), affine(self.d_model, self.d_model)]
    }

    fn output(&self, shape: OperatorShape) -> AffineConfig {
        affine(self.d_model, shape.d_out)
    }
}

/// A map that starts as `U(±1/√d_in)`.
pub(super) fn affine(d_in: usize, d_out: usize) -> AffineConfig {
    AffineConfig { d_in, d_out, weight: WeightInit::FanIn, bias: BiasInit::FanIn }
}

impl Tno {
    /// As [`super::Operator::accepts`].
    ///
    /// # Errors
    /// [`InvalidConfig::WrongDimension`]; [`InvalidConfig::NotOnGrid`] if the encoding needs rows and columns.
    pub fn accepts(&self, sites: &Sites) -> Result<(), InvalidConfig> {
        let (expected, found) = (self.shape.dimension, sites.dimension());
        if found != expected {
            return Err(InvalidConfig::WrongDimension { expected, found });
        }
        if self.config.encoding == PointEncoding::Index && found > 1 {
            sites.rows_and_columns("tno with encoding \"index\"")?;
        }
        Ok(())
    }

    /// As [`super::Operator::forward`].
    ///
    /// # Panics
    /// If the shapes disagree.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, sites: &Sites) -> Tensor<3> {
        self.forward_at(x, sites, sites)
    }

    /// The functions that belong to those given, at other points than these are known at.
    ///
    /// # Shapes
    /// - `x`: `[batch, points, d_in]`; returns: `[batch, targets, d_out]`
    ///
    /// # Panics
    /// If the shapes disagree, or the points differ and there is no read-out by cross-attention.
    #[must_use]
    pub fn forward_at(&self, x: Tensor<3>, sites: &Sites, targets: &Sites) -> Tensor<3> {
        let z = self.encode(x, sites);
        let z = match &self.readout {
            None => {
                assert!(sites == targets, "cross_readout = false: known at its own points only");
                z
            }
            Some(readout) => readout.forward(z, sites, targets),
        };
        self.output.forward(z, Activation::Identity)
    }

    /// Whether the result can be asked for at other points.
    #[must_use]
    pub fn reads_anywhere(&self) -> bool {
        self.readout.is_some()
    }

    /// What leaves the last block, `[batch, points, d_model]`.
    ///
    /// # Panics
    /// If the shapes disagree.
    #[must_use]
    pub fn encode(&self, x: Tensor<3>, sites: &Sites) -> Tensor<3> {
        let z = self.lifted(x, sites);
        self.blocks.iter().fold(z, |z, block| {
            block.apply(z, |attention, z| attention.forward(z, sites.weights(), None))
        })
    }

    fn lifted(&self, x: Tensor<3>, sites: &Sites) -> Tensor<3> {
        let [batch, points, d_in] = x.dims();
        assert_shape!(x, [batch, sites.n_points(), d_in]);
        let with_points = |x: Tensor<3>| {
            let [_, n, _] = x.dims();
            let t = match self.config.encoding {
                PointEncoding::Append => coordinates(sites, &x),
                PointEncoding::Index => rows(indices(sites), sites, &x),
                PointEncoding::Continuous { .. } | PointEncoding::Number => return x,
            };
            let t = t.narrow(1, 0, n);
            Tensor::cat(vec![x, t.expand([batch, n, self.shape.dimension])], 2)
        };
        let lift = |map: &Affine, x| map.forward(with_points(x), Activation::Identity);
        let z = match &self.lift_first {
            None => lift(&self.lift, x),
            Some(first) => {
                let channels = self.config.channels(self.shape);
                let z = lift(&self.lift, x.clone().narrow(2, 0, channels));
                let z_0 = lift(first, x.narrow(1, 0, 1));
                Tensor::cat(vec![z_0, z.narrow(1, 1, points - 1)], 1)
            }
        };
        match self.encoded(sites) {
            None => z,
            Some(values) => {
                let [_, _, d] = z.dims();
                let data = TensorData::new(values, [1, points, d]);
                let device = z.device().without_autodiff();
                let encoding = Tensor::from_data(data, (&device, z.dtype()));
                z + encoding
            }
        }
    }

    /// What is added to the lifted points, `[points, d_model]`.
    fn encoded(&self, sites: &Sites) -> Option<Vec<f64>> {
        let d = self.config.d_model;
        let wave =
            |i: usize, angle: f64| if i.is_multiple_of(2) { angle.sin() } else { angle.cos() };
        let points = sites.coordinates().chunks_exact(sites.dimension());
        match self.config.encoding {
            PointEncoding::Append | PointEncoding::Index => None,
            PointEncoding::Continuous { coefficient } => {
                let of_point = |point: &[f64]| -> Vec<f64> {
                    let of_feature = |i: usize| {
                        let frequency = 10_f64.powf(coefficient - 4.0 * i as f64 / d as f64);
                        point.iter().map(|t| wave(i, frequency * t)).product()
                    };
                    (0..d).map(of_feature).collect()
                };
                Some(points.flat_map(of_point).collect())
            }
            PointEncoding::Number => {
                let of_point = |n: usize| {
                    (0..d).map(move |i| {
                        let pair = 2 * (i / 2);
                        wave(i, n as f64 * 10_000_f64.powf(-(pair as f64) / d as f64))
                    })
                };
                Some((0..sites.n_points()).flat_map(of_point).collect())
            }
        }
    }
}

impl CrossReadout {
    fn forward(&self, z: Tensor<3>, sites: &Sites, targets: &Sites) -> Tensor<3> {
        let [batch, _, d] = z.dims();
        let t = coordinates(targets, &z);
        let e =
            self.contract.forward(self.expand.forward(t, Activation::Gelu), Activation::Identity);
        let e = e.expand([batch, targets.n_points(), d]);
        self.block.apply(e, |attention, e| attention.cross(e, z, sites.weights(), None))
    }
}

/// `[1, points, dimension]`, of the type of `like`.
fn coordinates(sites: &Sites, like: &Tensor<3>) -> Tensor<3> {
    rows(sites.coordinates().to_vec(), sites, like)
}

fn rows(values: Vec<f64>, sites: &Sites, like: &Tensor<3>) -> Tensor<3> {
    let shape = [1, sites.n_points(), sites.dimension()];
    let device = like.device().without_autodiff();
    Tensor::from_data(TensorData::new(values, shape), (&device, like.dtype()))
}

/// Row and column of every point, `[points, 2]`; of the points of a line their numbers.
fn indices(sites: &Sites) -> Vec<f64> {
    let points = 0..sites.n_points();
    match sites.rows_and_columns("") {
        Ok([_, columns]) => {
            points.flat_map(|i| [(i / columns) as f64, (i % columns) as f64]).collect()
        }
        Err(_) => points.map(|i| i as f64).collect(),
    }
}
