//! Trained Fourier multipliers of fields: a periodic convolution with few modes.
//!
//! Rows and columns are points of one period. A grid with both end points has one of them twice: there the
//! convolution is of the mean of both ends, which is the trapezoid rule, and gives both the same
//! ([`Multipliers::closed`]); taken as points of a longer period, its frequencies would depend on the resolution.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};
use regard_kernels::spectral::{multiply_adds, spectral, truncate};

/// Configuration of [`Multipliers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultipliersConfig {
    /// Width of the input.
    pub d_in: usize,
    /// Width of the output.
    pub d_out: usize,
    /// Frequencies from either end along rows, and from zero on along columns.
    pub modes: [usize; 2],
}

/// Trained Fourier multipliers; build with [`MultipliersConfig::init`].
#[derive(Module, Debug)]
pub struct Multipliers {
    /// `[2 · rows, columns, 2, d_in, d_out]`: real and imaginary parts.
    pub(crate) weight: Param<Tensor<5>>,
}

impl MultipliersConfig {
    /// Draws real and imaginary parts from `U[0, 1/(d_in d_out))`.
    ///
    /// Source: Li et al. 2021, arXiv:2010.08895, the authors' program.
    #[must_use]
    pub fn init(&self, device: &Device) -> Multipliers {
        let Self { d_in, d_out, modes: [rows, columns] } = *self;
        let largest = 1.0 / (d_in * d_out) as f64;
        let law = Distribution::Uniform(0.0, largest);
        let weight = Tensor::random([2 * rows, columns, 2, d_in, d_out], law, device);
        Multipliers { weight: Param::from_tensor(weight) }
    }

    /// Real numbers, `4 d_in d_out` per mode.
    #[must_use]
    pub const fn n_parameters(&self) -> usize {
        4 * self.modes[0] * self.modes[1] * self.d_in * self.d_out
    }

    /// Multiply-adds for one field on a grid of so many rows and columns.
    #[must_use]
    pub fn multiply_adds(&self, grid: [usize; 2]) -> u64 {
        let [rows, columns] = self.modes;
        multiply_adds(grid, [2 * rows, columns], [self.d_in, self.d_out]) as u64
    }
}

impl Multipliers {
    /// Convolves every field; frequencies that the grid has not are left out.
    ///
    /// # Shapes
    /// - `x`: `[batch, rows, columns, d_in]`
    /// - returns: `[batch, rows, columns, d_out]`
    ///
    /// # Panics
    /// If the last axis of `x` is not `d_in`.
    #[must_use]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, rows, columns, _] = x.dims();
        let weight = self.weight.val();
        let [n_rows, n_columns, ..] = weight.dims();
        let fits = n_rows / 2 <= rows && n_columns <= columns / 2 + 1;
        spectral(x, if fits { weight } else { truncate(weight, [rows, columns]) })
    }

    /// The same on grids whose last row and column are the first ones of the next period.
    ///
    /// # Shapes
    /// As [`Multipliers::forward`], at least two rows and two columns.
    ///
    /// # Panics
    /// As [`Multipliers::forward`].
    #[must_use]
    pub fn closed(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.forward(open(open(x, 1), 2));
        [1, 2].into_iter().fold(y, |y, axis| {
            let first = y.clone().narrow(axis, 0, 1);
            Tensor::cat(vec![y, first], axis)
        })
    }
}

/// The mean of both ends in place of the first, and no last.
fn open(x: Tensor<4>, axis: usize) -> Tensor<4> {
    let n = x.dims()[axis];
    let ends = (x.clone().narrow(axis, 0, 1) + x.clone().narrow(axis, n - 1, 1)) * 0.5;
    Tensor::cat(vec![ends, x.narrow(axis, 1, n - 2)], axis)
}
