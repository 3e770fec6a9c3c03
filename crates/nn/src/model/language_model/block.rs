//! A residual block of a language model around a mixer.
//!
//! ```text
//! m(y) = mixer(convolution(y))
//! glu:  z = x + GLU(m(LN(x)) W_1 + b_1) W_2              GLU([a b]) = a ⊙ σ(b)
//! mlp:  y = x + m(LN_1(x)) W_o + b_o
//!       z = y + GELU(LN_2(y) W_1 + b_1) W_2 + b_2
//! ```
//!
//! Source: `glu` is the layer of Heinsen 2024, arXiv:2404.05843, which has no feed-forward map of its
//! own; `mlp` is the pre-norm block of Radford et al. 2019. All maps start as `U(±1/√fan_in)`.

use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use regard_kernels::affine::affine;
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use super::convolution::Convolution;
use super::mixer::{Mixer, MixerState};
use super::{LanguageModelConfig, ParameterCount};
use crate::error::{InvalidConfig, positive};
use crate::mechanism::{Recurrent, State, StateVisitor};
use crate::parameter::{
    Affine, AffineConfig, BiasInit, LayerNorm, WeightInit, fan_in_bound, uniform,
};

/// What stands around a mixer, chosen by the key `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LanguageBlockConfig {
    /// A gated map behind the mixer, and nothing else.
    Glu {},
    /// A map behind the mixer, and two feed-forward maps of their own.
    Mlp {
        /// Width between the feed-forward maps.
        d_ff: usize,
    },
}

impl Default for LanguageBlockConfig {
    fn default() -> Self {
        Self::Glu {}
    }
}

/// One block.
#[derive(Module, Debug)]
pub(super) struct LanguageBlock {
    norm: LayerNorm,
    convolution: Option<Convolution>,
    mixer: Mixer,
    maps: Maps,
}

/// What follows the mixer.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "one per block; a box would buy nothing")]
enum Maps {
    Glu(Glu),
    Mlp(Mlp),
}

#[derive(Module, Debug)]
struct Glu {
    expand: Affine,
    /// `W_2`, `[d, d]`.
    contract: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct Mlp {
    output: Affine,
    norm: LayerNorm,
    expand: Affine,
    contract: Affine,
}

/// What a block carries from one row to the next.
#[derive(Debug, Clone)]
pub(super) struct LanguageBlockState {
    convolution: Option<Tensor<3>>,
    mixer: MixerState,
}

/// A map with the initial values of the paper's.
pub(super) fn dense(d_in: usize, d_out: usize) -> AffineConfig {
    AffineConfig { d_in, d_out, weight: WeightInit::FanIn, bias: BiasInit::FanIn }
}

/// Trained values of a map.
pub(super) fn count(map: AffineConfig) -> ParameterCount {
    ParameterCount { matrices: map.d_in * map.d_out, vectors: map.d_out }
}

impl LanguageBlock {
    /// Draws the mixer, then the maps.
    pub(super) fn new(
        config: &LanguageModelConfig,
        window: usize,
        device: &Device,
    ) -> Result<Self, InvalidConfig> {
        let d = config.d_model;
        let rows = config.convolution;
        Ok(Self {
            norm: LayerNorm::new(d, device),
            convolution: (rows > 0).then(|| Convolution::new(rows, d, device)),
            mixer: config.mixer.init(d, window, device)?,
            maps: match config.block {
                LanguageBlockConfig::Glu {} => Maps::Glu(Glu {
                    expand: dense(d, 2 * d).init(device),
                    contract: uniform([d, d], fan_in_bound(d), device),
                }),
                LanguageBlockConfig::Mlp { d_ff } => {
                    positive(("d_ff", d_ff))?;
                    Maps::Mlp(Mlp {
                        output: dense(d, d).init(device),
                        norm: LayerNorm::new(d, device),
                        expand: dense(d, d_ff).init(device),
                        contract: dense(d_ff, d).init(device),
                    })
                }
            },
        })
    }

    /// The mixer, `2d` of the norm, `n d` of a convolution over `n` rows; `glu`: `3d² + 2d`; `mlp` with
    /// `f` in between: `d² + 2 d f + 2d + f` and `2d` of its norm.
    pub(super) fn n_parameters(config: &LanguageModelConfig, window: usize) -> ParameterCount {
        let d = config.d_model;
        let front = ParameterCount { matrices: config.convolution * d, vectors: 2 * d };
        let maps = match config.block {
            LanguageBlockConfig::Glu {} => {
                count(dense(d, 2 * d)).plus(ParameterCount { matrices: d * d, vectors: 0 })
            }
            LanguageBlockConfig::Mlp { d_ff } => count(dense(d, d))
                .plus(ParameterCount { matrices: 0, vectors: 2 * d })
                .plus(count(dense(d, d_ff)))
                .plus(count(dense(d_ff, d))),
        };
        front.plus(maps).plus(config.mixer.n_parameters(d, window))
    }

    /// The mixer, and for every row `n d`, with `3d²` (`glu`) or `d² + 2 d f` (`mlp`).
    pub(super) fn multiply_adds(config: &LanguageModelConfig, time: usize) -> u64 {
        let d = config.d_model;
        let maps = match config.block {
            LanguageBlockConfig::Glu {} => 3 * d * d,
            LanguageBlockConfig::Mlp { d_ff } => d * d + 2 * d * d_ff,
        };
        let rows = time * (config.convolution * d + maps);
        rows as u64 + config.mixer.multiply_adds(d, time)
    }
}

impl State for LanguageBlockState {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        if let Some(rows) = &mut self.convolution {
            visitor.tensor("convolution", rows, None);
        }
        visitor.enter("mixer");
        self.mixer.visit(visitor);
        visitor.exit();
    }
}

impl Recurrent for LanguageBlock {
    type Input = Tensor<3>;
    type State = LanguageBlockState;

    fn step(
        &self,
        x: Tensor<3>,
        past: Option<LanguageBlockState>,
    ) -> (Tensor<3>, LanguageBlockState) {
        let (past_rows, past_mixer) = match past {
            None => (None, None),
            Some(state) => (state.convolution, Some(state.mixer)),
        };
        let y = self.norm.forward(x.clone());
        let (y, convolution) = match &self.convolution {
            None => (y, None),
            Some(convolution) => convolution.behind(y, past_rows),
        };
        let (mixed, mixer) = self.mixer.step(y, past_mixer);
        (self.maps.forward(x, mixed), LanguageBlockState { convolution, mixer })
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        let mut y = self.norm.forward(x.clone());
        if let Some(convolution) = &self.convolution {
            y = convolution.forward(y);
        }
        self.maps.forward(x, self.mixer.parallel(y))
    }
}

impl Maps {
    fn forward(&self, x: Tensor<3>, mixed: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Glu(maps) => {
                let [_, _, d] = x.dims();
                let y = maps.expand.forward(mixed, Activation::Identity);
                let gated = y.clone().narrow(2, 0, d) * sigmoid(y.narrow(2, d, d));
                x + affine(gated, maps.contract.val(), None, Activation::Identity)
            }
            Self::Mlp(maps) => {
                let y = x + maps.output.forward(mixed, Activation::Identity);
                let wide = maps.expand.forward(maps.norm.forward(y.clone()), Activation::Gelu);
                y + maps.contract.forward(wide, Activation::Identity)
            }
        }
    }
}
