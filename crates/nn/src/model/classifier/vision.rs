//! An image classifier in the manner of a small vision transformer, with any attention mechanism.
//!
//! ```text
//! patch_ij = the p × p pixels about the middle of cell (i, j), zeros beyond the border
//! e_ij     = patch_ij W_in + b_in + row_i + column_j          cells of s × s pixels, row by row
//! h        = encoder blocks([class token, e_00, e_01, …]), or without the token
//! logits   = h_0 W_out + b_out, or mean(h) W_out + b_out
//! ```
//!
//! Source: Dosovitskiy et al. 2021, §3.1, arXiv:2010.11929. Differs: positions are the sum of a trained
//! row and a trained column, fewer numbers that say more about images of few cells; patches may be larger
//! than their cells, and so overlap; the mean is the default. Positions and token start as `U(±1/√d)`.
//! Cost: `n p² c d` multiply-adds for `n` cells and `c` colours, and the blocks.

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData, assert_shape};
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use super::head::{Head, HeadConfig};
use super::{ClassifyShape, EncoderBlocks, Pooling};
use crate::error::{InvalidConfig, positive, rate};
use crate::layer::{Encoder, EncoderConfig, dropout};
use crate::mechanism::{Mechanism, MechanismConfig};
use crate::parameter::{Affine, AffineConfig, BiasInit, WeightInit, fan_in_bound, uniform};

/// Configuration of [`VisionClassifier`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionClassifierConfig {
    /// How an image is cut up.
    #[serde(default)]
    pub patches: Patches,
    /// Width of the rows between patches and output.
    pub d_model: usize,
    /// What stands around the mechanism.
    pub block: EncoderBlocks,
    /// The attention of every block.
    pub mechanism: MechanismConfig,
    /// What the output reads.
    #[serde(default)]
    pub pooling: ImagePooling,
    /// Dropout of the embedded patches, of what stands between the feed-forward maps, and of what each
    /// sub-layer adds.
    #[serde(default)]
    pub dropout: f64,
}

/// How an image is cut up; lengths in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patches {
    /// Side of a patch.
    pub size: usize,
    /// Side of a cell, of which there is one for each patch; the last ones may reach beyond the image.
    pub stride: usize,
}

impl Default for Patches {
    fn default() -> Self {
        Self { size: 4, stride: 4 }
    }
}

/// What the output of an image classifier reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImagePooling {
    /// The mean of all patches.
    #[default]
    Mean,
    /// A trained row in front of the patches.
    Class,
}

/// An image classifier; build with [`VisionClassifierConfig::init`].
#[derive(Module, Debug)]
pub struct VisionClassifier {
    input: Affine,
    /// `[cells down, d_model]`.
    rows: Param<Tensor<2>>,
    /// `[cells across, d_model]`.
    columns: Param<Tensor<2>>,
    /// `[1, d_model]`.
    class_token: Option<Param<Tensor<2>>>,
    encoder: Encoder,
    head: Head,
    #[module(skip)]
    patches: Patches,
    #[module(skip)]
    grid: [usize; 2],
    #[module(skip)]
    dropout: f64,
}

impl VisionClassifierConfig {
    /// Checks the fields and draws input map, rows, columns, token, blocks and output in this order.
    ///
    /// # Errors
    /// [`InvalidConfig::NoGrid`] if the data are no images; otherwise if a size is zero, `dropout` is not
    /// a rate, patches are smaller than their cells, or the mechanism refuses its own fields.
    pub fn init(
        &self,
        shape: ClassifyShape,
        device: &Device,
    ) -> Result<VisionClassifier, InvalidConfig> {
        let ClassifyShape { time, channels, classes, grid } = shape;
        let Patches { size, stride } = self.patches;
        let counts = [
            ("patches.size", size),
            ("patches.stride", stride),
            ("d_model", self.d_model),
            ("time", time),
            ("channels", channels),
            ("classes", classes),
        ];
        counts.into_iter().try_for_each(positive)?;
        rate(("dropout", self.dropout))?;
        if stride > size {
            return Err(InvalidConfig::TooLarge {
                name: "patches.stride",
                value: stride,
                limit_name: "patches.size",
                limit: size,
            });
        }
        let grid = grid.ok_or(InvalidConfig::NoGrid)?;
        let [down, across] = self.patches.cells(grid);
        let (d, bound) = (self.d_model, fan_in_bound(self.d_model));
        let has_token = self.pooling == ImagePooling::Class;
        Ok(VisionClassifier {
            input: self.input(channels).init(device),
            rows: uniform([down, d], bound, device),
            columns: uniform([across, d], bound, device),
            class_token: has_token.then(|| uniform([1, d], bound, device)),
            encoder: self.encoder().init(self.n_rows(shape), device)?,
            head: self.head(classes).init(device),
            patches: self.patches,
            grid,
            dropout: self.dropout,
        })
    }

    /// `(p² c + 1) d`, `d` for each row and column of cells and the token, the blocks, `(d + 1) m` for `m`
    /// classes.
    #[must_use]
    pub fn n_parameters(&self, shape: ClassifyShape) -> usize {
        let [down, across] = self.patches.cells(shape.grid.unwrap_or_default());
        let token = usize::from(self.pooling == ImagePooling::Class);
        self.input(shape.channels).n_parameters()
            + (down + across + token) * self.d_model
            + self.encoder().n_parameters(self.n_rows(shape))
            + self.head(shape.classes).n_parameters()
    }

    /// `n p² c d` for `n` cells, the blocks, `d m`.
    #[must_use]
    pub fn multiply_adds(&self, shape: ClassifyShape) -> u64 {
        let [down, across] = self.patches.cells(shape.grid.unwrap_or_default());
        (down * across) as u64 * self.input(shape.channels).multiply_adds()
            + self.encoder().multiply_adds(self.n_rows(shape))
            + self.head(shape.classes).multiply_adds()
    }

    /// What the blocks read: patches, and the token where there is one.
    fn n_rows(&self, shape: ClassifyShape) -> usize {
        let [down, across] = self.patches.cells(shape.grid.unwrap_or_default());
        down * across + usize::from(self.pooling == ImagePooling::Class)
    }

    fn input(&self, channels: usize) -> AffineConfig {
        let d_in = self.patches.size.pow(2) * channels;
        let (weight, bias) = (WeightInit::Xavier, BiasInit::Zero);
        AffineConfig { d_in, d_out: self.d_model, weight, bias }
    }

    fn encoder(&self) -> EncoderConfig {
        self.block.around(self.mechanism.clone(), self.d_model, self.dropout)
    }

    fn head(&self, classes: usize) -> HeadConfig {
        HeadConfig { d_in: self.d_model, time: 1, classes, pooling: Pooling::Mean, dropout: 0.0 }
    }
}

impl Patches {
    /// Cells down and across an image of this height and width.
    fn cells(self, grid: [usize; 2]) -> [usize; 2] {
        grid.map(|length| length.div_ceil(self.stride.max(1)))
    }

    /// For every pixel of every patch its place in the image, row by row; the number of pixels where it is
    /// beyond the border.
    fn places(self, [height, width]: [usize; 2]) -> Vec<usize> {
        let Self { size, stride } = self;
        let [down, across] = self.cells([height, width]);
        // So many pixels of a patch lie before its cell.
        let before = (size - stride) / 2;
        let place = |i: usize, j: usize, di: usize, dj: usize| {
            let y = (i * stride + di).checked_sub(before).filter(|&y| y < height);
            let x = (j * stride + dj).checked_sub(before).filter(|&x| x < width);
            y.zip(x).map_or(height * width, |(y, x)| y * width + x)
        };
        let cells = (0..down).flat_map(|i| (0..across).map(move |j| (i, j)));
        let pixels = (0..size).flat_map(|di| (0..size).map(move |dj| (di, dj)));
        cells.flat_map(|(i, j)| pixels.clone().map(move |(di, dj)| place(i, j, di, dj))).collect()
    }
}

impl VisionClassifier {
    /// The logits of every image.
    ///
    /// # Shapes
    /// - `x`: `[batch, height · width, channels]`
    /// - returns: `[batch, classes]`
    ///
    /// # Panics
    /// If the sizes are not those the classifier was built for, or there is padding: images are of one
    /// size.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Tensor<2> {
        let h = self.encoder.forward(self.embedded(x, padding), None);
        let h = if self.class_token.is_some() { h.narrow(1, 0, 1) } else { h };
        self.head.forward(h, None)
    }

    /// What the attention of every block is given, first block first.
    ///
    /// # Shapes
    /// As [`VisionClassifier::forward`]; each of the results is `[batch, rows, d_model]`.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn block_inputs(&self, x: Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Vec<Tensor<3>> {
        self.encoder.inputs(self.embedded(x, padding), None)
    }

    /// What the first block is given.
    fn embedded(&self, x: Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Tensor<3> {
        assert!(padding.is_none(), "images of one size have no padding");
        let [batch, _, _] = x.dims();
        let [down, across] = self.patches.cells(self.grid);
        let d = self.rows.dims()[1];
        let rows = self.rows.val().unsqueeze_dim::<3>(1).expand([down, across, d]);
        let columns = self.columns.val().unsqueeze_dim::<3>(0).expand([down, across, d]);
        let positions = (rows + columns).reshape([1, down * across, d]);
        let mut e = self.input.forward(self.cut(x), Activation::Identity) + positions;
        if let Some(token) = &self.class_token {
            e = Tensor::cat(vec![token.val().unsqueeze_dim::<3>(0).expand([batch, 1, d]), e], 1);
        }
        dropout(e, self.dropout)
    }

    /// `[batch, height · width, channels]` to patches `[batch, cells, p² · channels]`.
    fn cut(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, _, channels] = x.dims();
        let [height, width] = self.grid;
        assert_shape!(x, [batch, height * width, channels]);
        let [down, across] = self.patches.cells(self.grid);
        let places = self.patches.places(self.grid);
        #[expect(clippy::cast_possible_wrap, reason = "an image has fewer pixels")]
        let places: Vec<i64> = places.into_iter().map(|place| place as i64).collect();
        let device = x.device().without_autodiff();
        let n = places.len();
        let places = Tensor::<1, Int>::from_data(TensorData::new(places, [n]), &device);
        let border = Tensor::zeros([batch, 1, channels], (&x.device(), x.dtype()));
        let x = Tensor::cat(vec![x, border], 1).select(1, places);
        x.reshape([batch, down * across, n / (down * across) * channels])
    }

    /// The attention of every block, first block first.
    #[must_use]
    pub fn mechanisms(&self) -> Vec<&Mechanism> {
        self.encoder.mechanisms().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::NormPlace;
    use crate::mechanism::SoftmaxConfig;
    use crate::model::classifier::{BlockActivation, PaddingPolicy};
    use regard_kernels::testing::{assert_close, double, from_f64, normal};

    /// Five by seven pixels of two colours.
    const SHAPE: ClassifyShape =
        ClassifyShape { time: 35, channels: 2, classes: 3, grid: Some([5, 7]) };

    fn config(patches: Patches, pooling: ImagePooling) -> VisionClassifierConfig {
        let (activation, norm) = (BlockActivation::Gelu, NormPlace::Pre);
        let padding = PaddingPolicy::Mask;
        VisionClassifierConfig {
            patches,
            d_model: 6,
            block: EncoderBlocks { d_ff: 11, n_layers: 2, activation, norm, padding },
            mechanism: MechanismConfig::Softmax(SoftmaxConfig { n_heads: 3, causal: false }),
            pooling,
            dropout: 0.0,
        }
    }

    fn model(patches: Patches, pooling: ImagePooling) -> VisionClassifier {
        double(config(patches, pooling).init(SHAPE, &Device::default()).unwrap())
    }

    #[test]
    fn patches_are_the_pixels_about_their_cell() {
        // Pixel (y, x) of the first colour is 10 y + x, of the second its negative.
        let values =
            (0..35).flat_map(|i| [f64::from(i / 7 * 10 + i % 7), -f64::from(i / 7 * 10 + i % 7)]);
        let image = from_f64(values.collect(), [1, 35, 2]);
        let first_colour = |patches, cell: usize| {
            let cut = model(patches, ImagePooling::Mean).cut(image.clone());
            let size = patches.size;
            let patch = cut.narrow(1, cell, 1).reshape([size, size, 2]);
            assert_close(&patch.clone().narrow(2, 1, 1), &-patch.clone().narrow(2, 0, 1), 0.0);
            patch.narrow(2, 0, 1).reshape([size, size])
        };
        let found = first_colour(Patches { size: 3, stride: 3 }, 1); // cells 2 × 3: (0, 1)
        assert_close(
            &found,
            &from_f64(vec![3., 4., 5., 13., 14., 15., 23., 24., 25.], [3, 3]),
            0.0,
        );
        let found = first_colour(Patches { size: 3, stride: 3 }, 5); // (1, 2), two columns beyond
        assert_close(&found, &from_f64(vec![36., 0., 0., 46., 0., 0., 0., 0., 0.], [3, 3]), 0.0);
        // One pixel on each side of cells of 2 × 2: cells 3 × 4, the first.
        let found = first_colour(Patches { size: 4, stride: 2 }, 0);
        let expected = vec![0., 0., 0., 0., 0., 0., 1., 2., 0., 10., 11., 12., 0., 20., 21., 22.];
        assert_close(&found, &from_f64(expected, [4, 4]), 0.0);
    }

    #[test]
    fn positions_tell_rows_from_columns() {
        let model = model(Patches { size: 3, stride: 3 }, ImagePooling::Mean);
        let flat = from_f64(vec![0.0; 70], [1, 35, 2]);
        let [one, other] = [(0, 1), (1, 0)].map(|(row, column)| {
            // A spot in one of two cells that mirror each other on the diagonal.
            let mut values = vec![0.0; 70];
            values[2 * ((3 * row + 1) * 7 + 3 * column + 1)] = 1.0;
            model.forward(from_f64(values, [1, 35, 2]), None)
        });
        let difference =
            |a: &Tensor<2>, b: Tensor<2>| (a.clone() - b).abs().max().into_scalar::<f64>();
        assert!(difference(&one, other) > 1e-6);
        assert!(difference(&one, model.forward(flat, None)) > 1e-6);
    }

    #[test]
    fn images_of_a_batch_do_not_see_each_other() {
        for pooling in [ImagePooling::Mean, ImagePooling::Class] {
            let model = model(Patches { size: 4, stride: 3 }, pooling);
            let x = normal([3, 35, 2], 1);
            let together = model.forward(x.clone(), None);
            for i in 0..3 {
                let alone = model.forward(x.clone().narrow(0, i, 1), None);
                assert_close(&together.clone().narrow(0, i, 1), &alone, 1e-13);
            }
        }
    }

    #[test]
    fn wrong_sizes_are_named() {
        let message = |config: VisionClassifierConfig, shape| {
            config.init(shape, &Device::default()).unwrap_err().to_string()
        };
        let wide = config(Patches { size: 2, stride: 3 }, ImagePooling::Mean);
        let found = message(wide, SHAPE);
        assert_eq!(found, "patches.stride = 3 is more than patches.size = 2: use at most 2");
        let series = ClassifyShape::series(35, 2, 3);
        let found = message(config(Patches::default(), ImagePooling::Mean), series);
        assert!(found.starts_with("model kind \"vision\" reads images"), "{found}");
    }
}
