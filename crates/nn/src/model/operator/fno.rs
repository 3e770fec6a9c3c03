//! The Fourier neural operator.
//!
//! ```text
//! z = [x, X, Y] W_in + b_in
//! z ← gelu(S z + z W + b)                   S: Fourier multipliers; no gelu behind the last layer
//! z ← BN(relu(s + s W + b)), s = S z        [`FnoForm::Released`]
//! y = gelu(z W_1 + b_1) W_2 + b_2           released: z W_out + b_out
//! ```
//!
//! Source: Li et al. 2021, §4, arXiv:2010.08895. The released form is the baseline in the program of Calvello
//! et al. 2025, arXiv:2406.06486: its skip starts behind the multipliers, and batch norm follows the activation.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, assert_shape};
use regard_kernels::affine::affine as affine_map;
use regard_kernels::pointwise::{Activation, bias_activation};
use serde::{Deserialize, Serialize};

use super::patched::with_coordinates;
use super::tno::affine;
use super::{OperatorShape, Sites};
use crate::error::{InvalidConfig, positive};
use crate::parameter::{Affine, BatchNorm, Multipliers, MultipliersConfig};

/// Configuration of [`Fno`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FnoConfig {
    /// Width between input and output.
    pub d_model: usize,
    /// Number of layers.
    pub n_layers: usize,
    /// Modes along rows, from either end, and along columns.
    pub modes: [usize; 2],
    /// How a layer is put together.
    pub form: FnoForm,
}

/// Small, for fields of 64 × 64 points.
impl Default for FnoConfig {
    fn default() -> Self {
        Self { d_model: 32, n_layers: 4, modes: [12, 12], form: FnoForm::Skip }
    }
}

/// How a layer is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FnoForm {
    /// A skip from the input of the layer, GELU, two maps at the end.
    #[default]
    Skip,
    /// As the baseline of the released program.
    Released,
}

/// A Fourier neural operator; build with [`super::OperatorConfig::init`].
#[derive(Module, Debug)]
pub struct Fno {
    pub(super) lift: Affine,
    pub(super) layers: Vec<FnoLayer>,
    pub(super) hidden: Option<Affine>,
    pub(super) output: Affine,
}

/// One layer.
#[derive(Module, Debug)]
pub(super) struct FnoLayer {
    pub(super) multipliers: Multipliers,
    pub(super) skip: Affine,
    /// Behind the activation, in the released form.
    pub(super) norm: Option<BatchNorm>,
}

impl FnoConfig {
    pub(super) fn init(&self, shape: OperatorShape, device: &Device) -> Result<Fno, InvalidConfig> {
        let counts = [
            ("d_model", self.d_model),
            ("n_layers", self.n_layers),
            ("modes[0]", self.modes[0]),
            ("modes[1]", self.modes[1]),
        ];
        counts.into_iter().try_for_each(positive)?;
        if shape.dimension != 2 {
            let (expected, found) = (2, shape.dimension);
            return Err(InvalidConfig::WrongDimension { expected, found });
        }
        let released = self.form == FnoForm::Released;
        let layer = |_| FnoLayer {
            multipliers: self.multipliers().init(device),
            skip: affine(self.d_model, self.d_model).init(device),
            norm: released.then(|| BatchNorm::new(self.d_model, device)),
        };
        Ok(Fno {
            lift: affine(shape.d_in + 2, self.d_model).init(device),
            layers: (0..self.n_layers).map(layer).collect(),
            hidden: (!released).then(|| affine(self.d_model, 2 * self.d_model).init(device)),
            output: affine(self.d_out_in(), shape.d_out).init(device),
        })
    }

    pub(super) fn n_parameters(&self, shape: OperatorShape) -> usize {
        let d = self.d_model;
        let released = self.form == FnoForm::Released;
        let layer = self.multipliers().n_parameters() + affine(d, d).n_parameters();
        let norm = if released { 2 * d } else { 0 };
        let hidden = if released { 0 } else { affine(d, 2 * d).n_parameters() };
        affine(shape.d_in + 2, d).n_parameters()
            + self.n_layers * (layer + norm)
            + hidden
            + affine(self.d_out_in(), shape.d_out).n_parameters()
    }

    /// Width before the last map.
    fn d_out_in(&self) -> usize {
        if self.form == FnoForm::Released { self.d_model } else { 2 * self.d_model }
    }

    fn multipliers(&self) -> MultipliersConfig {
        MultipliersConfig { d_in: self.d_model, d_out: self.d_model, modes: self.modes }
    }
}

impl Fno {
    /// As [`super::Operator::accepts`].
    ///
    /// # Errors
    /// [`InvalidConfig::NotOnGrid`].
    pub fn accepts(&self, sites: &Sites) -> Result<(), InvalidConfig> {
        sites.rows_and_columns("fno").map(|_| ())
    }

    /// As [`super::Operator::forward`].
    ///
    /// # Panics
    /// If the shapes disagree, or the points are no grid.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, sites: &Sites) -> Tensor<3> {
        let [batch, _, d_in] = x.dims();
        assert_shape!(x, [batch, sites.n_points(), d_in]);
        let grid = sites.rows_and_columns("fno").expect("the points are a grid");
        let z = self.lift.forward(with_coordinates(x, sites), Activation::Identity);
        let last = self.layers.len() - 1;
        let z = self.layers.iter().enumerate().fold(z, |z, (i, layer)| {
            let activation = if i < last { Activation::Gelu } else { Activation::Identity };
            layer.forward(z, grid, sites.is_closed(), activation)
        });
        let z = match &self.hidden {
            None => z,
            Some(hidden) => hidden.forward(z, Activation::Gelu),
        };
        self.output.forward(z, Activation::Identity)
    }
}

impl FnoLayer {
    /// `activation` is that of the form with a skip; the released form has its own.
    fn forward(
        &self,
        z: Tensor<3>,
        [rows, columns]: [usize; 2],
        is_closed: bool,
        activation: Activation,
    ) -> Tensor<3> {
        let [batch, points, d] = z.dims();
        let field = z.clone().reshape([batch, rows, columns, d]);
        // The released program takes both ends for two points of the period.
        let s = if is_closed && self.norm.is_none() {
            self.multipliers.closed(field)
        } else {
            self.multipliers.forward(field)
        };
        let s = s.reshape([batch, points, d]);
        match &self.norm {
            None => {
                let mapped = affine_map(z, self.skip.weight.val(), None, Activation::Identity);
                bias_activation(s + mapped, self.skip.bias.val(), activation)
            }
            Some(norm) => {
                let skip = self.skip.forward(s.clone(), Activation::Identity);
                norm.forward(relu(s + skip), None)
            }
        }
    }
}
