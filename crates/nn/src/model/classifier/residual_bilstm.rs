//! A classifier of residual bidirectional LSTM blocks.
//!
//! ```text
//! BiLSTM(e) = [LSTM→(ReLU(e W + b))  LSTM←(ReLU(e W′ + b′))]      each half as wide as the block
//! block(e)  = LN(BiLSTM_1(e) + … + BiLSTM_n(e))
//! logits    = dropout(pool(block_m(… block_1(dropout(x))))) W_out + b_out
//! ```
//!
//! `LSTM←` reads the series from its last row to its first. All layers of a block read what the
//! block reads and their results are added. Without the second direction, a layer is one LSTM of
//! the whole width.
//!
//! Source: Zhao et al. 2018, doi:10.1155/2018/7316954, arXiv:1708.08989, and the code released by one
//! of its authors, whose network of "3x3" layers of 28 units is `n_blocks = 3`, `n_cells = 3`,
//! `d_hidden = 28`. Differs: that code normalises by the mean and the deviation of a whole batch,
//! also in evaluation, and has a rectifier behind the logits; here each row is normalised by itself,
//! so that the result for one series does not depend on the others, and logits stay as they are.
//! Weights are Xavier-uniform, forget biases 1.

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor};
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use super::head::{Head, HeadConfig};
use super::pooling::present;
use super::{ClassifyShape, Pooling};
use crate::error::{InvalidConfig, divides, positive, rate};
use crate::layer::dropout;
use crate::mechanism::Recurrent;
use crate::model::baseline::LstmLayer;
use crate::parameter::{Affine, AffineConfig, BiasInit, LayerNorm, WeightInit};

/// Configuration of [`ResidualBilstmClassifier`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualBilstmClassifierConfig {
    /// Width of a block; even, because the two directions share it.
    #[serde(default = "d_hidden")]
    pub d_hidden: usize,
    /// Number of blocks, one on the other.
    #[serde(default = "three")]
    pub n_blocks: usize,
    /// Layers of a block, side by side.
    #[serde(default = "three")]
    pub n_cells: usize,
    /// Whether the series is read backwards too.
    #[serde(default = "bidirectional")]
    pub bidirectional: bool,
    /// How the rows become one.
    #[serde(default)]
    pub pooling: Pooling,
    /// Dropout of the input and of what the output map reads.
    #[serde(default)]
    pub dropout: f64,
}

fn d_hidden() -> usize {
    28
}

fn three() -> usize {
    3
}

fn bidirectional() -> bool {
    true
}

/// A classifier of residual LSTM blocks; build with [`ResidualBilstmClassifierConfig::init`].
#[derive(Module, Debug)]
pub struct ResidualBilstmClassifier {
    blocks: Vec<Block>,
    head: Head,
    #[module(skip)]
    dropout: f64,
}

#[derive(Module, Debug)]
struct Block {
    cells: Vec<Cell>,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Cell {
    onwards: Direction,
    backwards: Option<Direction>,
}

#[derive(Module, Debug)]
struct Direction {
    input: Affine,
    layer: LstmLayer,
}

impl ResidualBilstmClassifierConfig {
    /// Checks the fields and draws the blocks, first block first, then the output.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a size is zero, `d_hidden` is odd although there are two directions, or
    /// `dropout` is not a rate.
    pub fn init(
        &self,
        shape: ClassifyShape,
        device: &Device,
    ) -> Result<ResidualBilstmClassifier, InvalidConfig> {
        let ClassifyShape { time, channels, classes, .. } = shape;
        let counts = [
            ("n_blocks", self.n_blocks),
            ("n_cells", self.n_cells),
            ("time", time),
            ("channels", channels),
            ("classes", classes),
        ];
        counts.into_iter().try_for_each(positive)?;
        divides(("d_hidden", self.d_hidden), ("the number of directions", self.directions()))?;
        rate(("dropout", self.dropout))?;
        let d = self.d_hidden / self.directions();
        let direction = |d_in| Direction {
            input: self.input(d_in).init(device),
            layer: LstmLayer::new(d, d, 1.0, device),
        };
        let cell = |d_in| Cell {
            onwards: direction(d_in),
            backwards: self.bidirectional.then(|| direction(d_in)),
        };
        let block = |d_in| Block {
            cells: (0..self.n_cells).map(|_| cell(d_in)).collect(),
            norm: LayerNorm::new(self.d_hidden, device),
        };
        Ok(ResidualBilstmClassifier {
            blocks: self.input_widths(channels).map(block).collect(),
            head: self.head(shape).init(device),
            dropout: self.dropout,
        })
    }

    /// Per block `2H` of the norm and per layer, with `d = H/2` in each of two directions,
    /// `d (d_in + 1) + 4d (2d + 2)`; then the pooling and `(H + 1) m`.
    #[must_use]
    pub fn n_parameters(&self, shape: ClassifyShape) -> usize {
        let d = self.d_hidden / self.directions();
        let direction = |d_in| self.input(d_in).n_parameters() + 4 * d * (2 * d + 2);
        let block = |d_in| self.n_cells * self.directions() * direction(d_in) + 2 * self.d_hidden;
        self.input_widths(shape.channels).map(block).sum::<usize>()
            + self.head(shape).n_parameters()
    }

    /// Per block, layer, direction and step `d d_in + 8d²`; then `H m`.
    #[must_use]
    pub fn multiply_adds(&self, shape: ClassifyShape) -> u64 {
        let d = (self.d_hidden / self.directions()) as u64;
        let n_directions = (self.n_cells * self.directions()) as u64;
        let step = |d_in| n_directions * (self.input(d_in).multiply_adds() + 8 * d * d);
        shape.time as u64 * self.input_widths(shape.channels).map(step).sum::<u64>()
            + self.head(shape).multiply_adds()
    }

    fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }

    /// What each block reads.
    fn input_widths(&self, channels: usize) -> impl Iterator<Item = usize> {
        std::iter::once(channels).chain(std::iter::repeat(self.d_hidden)).take(self.n_blocks)
    }

    fn input(&self, d_in: usize) -> AffineConfig {
        let d_out = self.d_hidden / self.directions();
        AffineConfig { d_in, d_out, weight: WeightInit::Xavier, bias: BiasInit::FanIn }
    }

    fn head(&self, shape: ClassifyShape) -> HeadConfig {
        let ClassifyShape { time, classes, .. } = shape;
        HeadConfig { d_in: self.d_hidden, time, classes, pooling: self.pooling, dropout: 0.0 }
    }
}

impl ResidualBilstmClassifier {
    /// The logits of every series.
    ///
    /// # Shapes
    /// As [`Classifier::forward`](super::Classifier::forward), with zeros in padded rows.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Tensor<2> {
        let reverse = Reverse::new(&x, padding);
        let x = dropout(x, self.dropout);
        let h = self.blocks.iter().fold(x, |x, block| block.forward(x, &reverse));
        self.head.forward(dropout(h, self.dropout), padding)
    }
}

impl Block {
    fn forward(&self, x: Tensor<3>, reverse: &Reverse) -> Tensor<3> {
        let mut parts = self.cells.iter().map(|cell| cell.forward(x.clone(), reverse));
        let first = parts.next().expect("a block has at least one layer");
        let others = parts.fold(first.zeros_like(), |sum, part| sum + part);
        self.norm.residual(first, others)
    }
}

impl Cell {
    fn forward(&self, x: Tensor<3>, reverse: &Reverse) -> Tensor<3> {
        let onwards = self.onwards.forward(x.clone());
        let Some(backwards) = &self.backwards else { return onwards };
        let backwards = reverse.apply(backwards.forward(reverse.apply(x)));
        Tensor::cat(vec![onwards, backwards], 2)
    }
}

impl Direction {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.layer.parallel(self.input.forward(x, Activation::Relu))
    }
}

/// Turns each series of a batch around and leaves its padding where it is, behind.
struct Reverse {
    /// The row that comes to each place, `[batch, time, 1]`; `None` if there is no padding.
    from: Option<Tensor<3, Int>>,
}

impl Reverse {
    fn new(x: &Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Self {
        let [batch, time, _] = x.dims();
        let from = padding.map(|padding| {
            let lengths = present(x, padding).sum_dim(1).int();
            let steps = time.try_into().expect("a number of steps");
            let place = Tensor::<1, Int>::arange(0..steps, &lengths.device());
            let place = place.reshape([1, time, 1]).expand([batch, time, 1]);
            let mirrored = lengths.expand([batch, time, 1]) - place.clone() - 1;
            let behind = mirrored.clone().lower_elem(0);
            mirrored.mask_where(behind, place)
        });
        Self { from }
    }

    fn apply(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.from {
            None => x.flip([1]),
            Some(from) => {
                let index = from.clone().expand(x.dims());
                x.gather(1, index)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;
    use regard_kernels::testing::{assert_close, from_f64, normal};

    #[test]
    fn series_turn_around_within_their_length() {
        let x = from_f64((0..8).map(f64::from).collect(), [2, 4, 1]);
        let padding = TensorData::from([[false; 4], [false, false, false, true]]);
        let padding = Tensor::from_data(padding, &Device::default());
        let reverse = Reverse::new(&x, Some(&padding));
        let expected = from_f64(vec![3.0, 2.0, 1.0, 0.0, 6.0, 5.0, 4.0, 7.0], [2, 4, 1]);
        assert_close(&reverse.apply(x.clone()), &expected, 0.0);
        assert_close(&reverse.apply(reverse.apply(x.clone())), &x, 0.0);
        let x = normal([3, 5, 7], 1);
        let none = Tensor::from_data(TensorData::new(vec![false; 15], [3, 5]), &x.device());
        let flipped = Reverse::new(&x, None).apply(x.clone());
        assert_close(&Reverse::new(&x, Some(&none)).apply(x), &flipped, 0.0);
    }
}
