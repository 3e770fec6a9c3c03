//! The parameters of one layer, and how they are drawn.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use regard_kernels::recurrent::larnn::{
    Dropout, HashedDropout, KeyValue, LarnnOutput, LarnnSetting, LarnnState, LarnnStream,
    LarnnWeights, Norm, RunningUpdate, larnn, n_position,
};

use super::running::RunningMoments;
use super::{Evaluation, GateMode, KeyValueForm, LarnnConfig, LarnnInit, NormKind, RunningRule};
use crate::layer::drawn_seed;
use crate::parameter::{
    Affine, AffineConfig, BiasInit, WeightInit, constant, fan_in_bound, uniform,
};

/// One layer: a cell with its own parameters.
#[derive(Module, Debug)]
pub(super) struct LarnnCell {
    gates: Gates,
    query: Affine,
    key: Affine,
    value: Affine,
    output: Affine,
    norms: Option<Norms>,
    #[module(skip)]
    config: LarnnConfig,
}

/// What makes the gates out of input, hidden state and attention.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one per layer; a box would buy nothing")]
enum Gates {
    Residual(ResidualGates),
    Layer(Affine),
}

/// One map each, added.
#[derive(Module, Debug)]
struct ResidualGates {
    input: Affine,
    /// `[d, 4 d]`
    hidden: Param<Tensor<2>>,
    attention: Affine,
}

/// Rows of cell, hidden state, attention and, where they are normalised, keys and values.
#[derive(Module, Debug)]
struct Norms {
    gamma: Param<Tensor<2>>,
    beta: Param<Tensor<2>>,
    /// Absent for a layer norm.
    running: Option<RunningMoments>,
}

impl LarnnCell {
    /// Draws gates, query, key, value, output, then the norms.
    pub(super) fn new(config: &LarnnConfig, d: usize, device: &Device) -> Self {
        let draw = Draw { init: config.init, d, device };
        let gates = match config.mode {
            GateMode::Residual => Gates::Residual(ResidualGates {
                input: draw.gates(d),
                hidden: draw.gates(d).weight,
                attention: Affine {
                    bias: match config.init {
                        LarnnInit::Xavier => constant([4 * d], 0.0, device),
                        LarnnInit::Uniform => draw.uniform([4 * d]),
                    },
                    ..draw.gates(d)
                },
            }),
            GateMode::Layer => Gates::Layer(draw.gates(3 * d)),
        };
        let memory = d + config.n_position();
        let n_norms = config.n_norms();
        Self {
            gates,
            query: draw.affine(2 * d, d),
            key: draw.affine(memory, d),
            value: draw.affine(memory, d),
            output: draw.affine(d, d),
            norms: (n_norms > 0).then(|| {
                let shape = [n_norms, d];
                let [gamma, beta] = match config.init {
                    LarnnInit::Xavier => [config.gamma, 0.0].map(|x| constant(shape, x, device)),
                    LarnnInit::Uniform => [draw.uniform(shape), draw.uniform(shape)],
                };
                let running = (config.norm == NormKind::Batch)
                    .then(|| RunningMoments::new(n_norms, d, device));
                Norms { gamma, beta, running }
            }),
            config: config.clone(),
        }
    }

    /// A sequence from a state; trains where `x` is on a device with automatic differentiation.
    pub(super) fn scan(&self, x: Tensor<3>, start: Option<LarnnState>) -> LarnnOutput {
        let trains = x.device().is_autodiff();
        let dropout = if trains { self.dropout(&x.device()) } else { Dropout::None };
        let setting = self.setting(self.norm(trains), dropout);
        let out = larnn(x, &self.weights(), start, &setting);
        if trains
            && let Some(steps) = &out.moments
            && let Some(Norms { running: Some(running), .. }) = &self.norms
        {
            let rule = match self.config.running {
                RunningRule::PerStep => RunningUpdate::PerStep,
                RunningRule::Pooled => RunningUpdate::Pooled,
            };
            running.update(steps, rule);
        }
        out
    }

    /// The layer in evaluation with running statistics, for one sequence.
    pub(super) fn stream(&self) -> LarnnStream {
        let norm = match &self.norms {
            Some(Norms { running: Some(running), .. }) => Norm::Running(running.value()),
            _ => self.norm(false),
        };
        LarnnStream::new(&self.weights(), &self.setting(norm, Dropout::None))
    }

    pub(super) fn width(&self) -> usize {
        self.output.bias.val().dims()[0]
    }

    fn setting(&self, norm: Norm, dropout: Dropout) -> LarnnSetting {
        LarnnSetting {
            n_heads: self.config.n_heads,
            window: self.config.window,
            positional_encoding: self.config.positional_encoding,
            key_value: match self.config.key_value {
                KeyValueForm::None => KeyValue::Linear,
                KeyValueForm::Elu => KeyValue::Elu,
                KeyValueForm::EluNorm => KeyValue::EluNorm,
            },
            norm,
            dropout,
        }
    }

    fn norm(&self, trains: bool) -> Norm {
        match &self.norms {
            None => Norm::None,
            Some(Norms { running: None, .. }) => Norm::Layer,
            Some(Norms { running: Some(running), .. }) => {
                if trains || self.config.evaluation == Evaluation::Batch {
                    Norm::Batch
                } else {
                    Norm::Running(running.value())
                }
            }
        }
    }

    /// Masks of a new seed, taken from the stream of the device.
    fn dropout(&self, device: &Device) -> Dropout {
        let config = &self.config;
        let memory = if config.positional_encoding { config.dropout_memory } else { 0.0 };
        let (attention, output) = (config.dropout_attention, config.dropout_output);
        if attention == 0.0 && memory == 0.0 && output == 0.0 {
            return Dropout::None;
        }
        Dropout::Hashed(HashedDropout {
            attention,
            memory,
            output,
            carried: config.carry_dropout,
            seed: drawn_seed(device),
        })
    }

    fn weights(&self) -> LarnnWeights {
        let (gates, gates_bias) = match &self.gates {
            Gates::Residual(ResidualGates { input, hidden, attention }) => (
                Tensor::cat(vec![input.weight.val(), hidden.val(), attention.weight.val()], 0),
                input.bias.val() + attention.bias.val(),
            ),
            Gates::Layer(map) => (map.weight.val(), map.bias.val()),
        };
        let (query, query_bias) = (self.query.weight.val(), self.query.bias.val());
        let (output, output_bias) = (self.output.weight.val(), self.output.bias.val());
        let [gamma, beta] = if let Some(norms) = &self.norms {
            [norms.gamma.val(), norms.beta.val()]
        } else {
            let [_, d] = output.dims();
            let none = Tensor::zeros([0, d], (&output.device(), output.dtype()));
            [none.clone(), none]
        };
        LarnnWeights {
            gates,
            gates_bias,
            query,
            query_bias,
            key_value: Tensor::cat(vec![self.key.weight.val(), self.value.weight.val()], 1),
            key_value_bias: Tensor::cat(vec![self.key.bias.val(), self.value.bias.val()], 0),
            output,
            output_bias,
            gamma,
            beta,
        }
    }
}

/// Draws the maps of a layer of width `d`.
struct Draw<'a> {
    init: LarnnInit,
    d: usize,
    device: &'a Device,
}

impl Draw<'_> {
    fn affine(&self, d_in: usize, d_out: usize) -> Affine {
        match self.init {
            LarnnInit::Xavier => {
                let (weight, bias) = (WeightInit::Xavier, BiasInit::Zero);
                AffineConfig { d_in, d_out, weight, bias }.init(self.device)
            }
            LarnnInit::Uniform => {
                Affine { weight: self.uniform([d_in, d_out]), bias: self.uniform([d_out]) }
            }
        }
    }

    /// A map to `g f i o`; the bias of `f` starts at one, so that cells are kept.
    fn gates(&self, d_in: usize) -> Affine {
        let map = self.affine(d_in, 4 * self.d);
        match self.init {
            LarnnInit::Uniform => map,
            LarnnInit::Xavier => {
                let ones = Tensor::ones([self.d], self.device);
                let zeros = || Tensor::zeros([self.d], self.device);
                let bias = Tensor::cat(vec![zeros(), ones, zeros(), zeros()], 0);
                Affine { bias: Param::from_tensor(bias), ..map }
            }
        }
    }

    fn uniform<const D: usize>(&self, shape: [usize; D]) -> Param<Tensor<D>> {
        uniform(shape, fan_in_bound(self.d), self.device)
    }
}

impl LarnnConfig {
    /// Rows of `γ` and `β` of a layer.
    pub(super) fn n_norms(&self) -> usize {
        match (self.norm, self.key_value) {
            (NormKind::None, _) => 0,
            (_, KeyValueForm::EluNorm) => 5,
            _ => 3,
        }
    }

    /// Features that positional encoding adds to a cell.
    pub(super) fn n_position(&self) -> usize {
        if self.positional_encoding { n_position(self.window) } else { 0 }
    }
}
