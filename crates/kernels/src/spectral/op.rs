//! The operation and its gradient.
#![expect(unsafe_code, reason = "hands finished buffers to the tensor type")]

use burn::tensor::{Tensor, assert_shape};
use rustfft::FftNum;

use super::composed::composed;
use super::fast::{self, FastTransform};
use super::grid::Grid;
use super::product::{Gradients, Modes};
use super::transform::{Direction, Fields, Transform};
use crate::cpu::math::Tables;
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::view::{FlexTensor, Output, Storage, View, by_dtype, contiguous, dims};

/// Fourier multipliers on fields: a periodic convolution, given by its first frequencies.
///
/// Row `j` of the multipliers belongs to frequency `j` in the first half (the longer one if `n_rows` is
/// odd), and to `j − n_rows` in the second; column `k` to frequency `k`. With `m1 × m2` modes on either side,
/// as FNO counts them, `n_rows = 2 m1` and `n_columns = m2`. Patches are fields too: put them into the batch.
///
/// # Shapes
/// - `x`: `[batch, rows, columns, d_in]`
/// - `weight`: `[n_rows, n_columns, 2, d_in, d_out]`, real and imaginary parts
/// - returns: `[batch, rows, columns, d_out]`
///
/// # Panics
/// If the shapes or types disagree, or the grid has fewer than `n_rows / 2` rows or `2 n_columns − 2`
/// columns: see [`super::truncate`].
#[must_use]
pub fn spectral(x: Tensor<4>, weight: Tensor<5>) -> Tensor<4> {
    let [_, rows, columns, d_in] = x.dims();
    let [n_rows, n_columns, _, _, d_out] = weight.dims();
    assert_shape!(weight, [n_rows, n_columns, 2, d_in, d_out]);
    let grid = Grid::new([rows, columns], [n_rows, n_columns]);
    if !on_cpu(&x) {
        return composed(x, weight);
    }
    apply(Spectral(grid), [x.into_dispatch(), weight.into_dispatch()])
}

/// [`spectral`] on a line.
///
/// # Shapes
/// - `x`: `[batch, points, d_in]`
/// - `weight`: `[modes, 2, d_in, d_out]`, of frequencies `0 ≤ k < modes`
/// - returns: `[batch, points, d_out]`
///
/// # Panics
/// If the shapes or types disagree, or there are fewer than `2 modes − 2` points.
#[must_use]
pub fn spectral_line(x: Tensor<3>, weight: Tensor<4>) -> Tensor<3> {
    spectral(x.unsqueeze_dim(1), weight.unsqueeze_dim(0)).squeeze_dim(1)
}

#[derive(Clone, Debug)]
struct Spectral(Grid);

/// Modes of the input, `[modes, batch, 2, d_in]`, and the multipliers.
#[derive(Clone, Debug)]
struct Kept {
    modes: FlexTensor,
    weight: FlexTensor,
}

impl FusedOp<2> for Spectral {
    type Saved = Kept;

    fn forward(&self, inputs: [FlexTensor; 2]) -> (FlexTensor, Kept) {
        let [x, weight] = inputs.map(contiguous);
        let (y, modes) = by_dtype!(x, forward(&self.0, &x, &weight));
        (y, Kept { modes, weight })
    }

    fn backward(&self, kept: Kept, grad: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let grad = contiguous(grad);
        by_dtype!(grad, backward(&self.0, &kept, &grad, wanted))
    }
}

fn forward<S: Storage + Tables + FftNum>(
    grid: &Grid,
    x: &FlexTensor,
    weight: &FlexTensor,
) -> (FlexTensor, FlexTensor) {
    let [batch, rows, columns, d_in] = dims(x);
    let [n_rows, n_columns, _, _, d_out] = dims(weight);
    let n_modes = n_rows * n_columns;
    let used = used(grid);
    let modes = Modes { used: &used, n_columns, batch, d_in, d_out };
    let (x, weight) = (View::<S, 4>::new(x).ptr, View::<S, 5>::new(weight).ptr);
    let mut y = Output::<S>::new(batch * rows * columns * d_out);
    let mut of_x = buffer(&modes, n_modes, d_in);
    let mut of_y = buffer(&modes, n_modes, d_out);
    unsafe {
        let fields = Fields { batch, d: d_in, x, modes: of_x.ptr() };
        transform(grid, fields, &vec![S::ONE; n_columns], Direction::Forward);
        modes.multiply(of_x.ptr(), weight, of_y.ptr());
        let fields = Fields { batch, d: d_out, x: y.ptr(), modes: of_y.ptr() };
        transform(grid, fields, &shares(grid), Direction::Back);
        (y.finish([batch, rows, columns, d_out]), of_x.finish([n_modes, batch, 2, d_in]))
    }
}

fn backward<S: Storage + Tables + FftNum>(
    grid: &Grid,
    kept: &Kept,
    grad: &FlexTensor,
    [want_x, want_weight]: [bool; 2],
) -> [Option<FlexTensor>; 2] {
    let [batch, rows, columns, d_out] = dims(grad);
    let [n_rows, n_columns, _, d_in, _] = dims(&kept.weight);
    let n_modes = n_rows * n_columns;
    let used = used(grid);
    let modes = Modes { used: &used, n_columns, batch, d_in, d_out };
    let (x, weight) = (View::<S, 4>::new(&kept.modes).ptr, View::<S, 5>::new(&kept.weight).ptr);
    let grad = View::<S, 4>::new(grad).ptr;
    let mut of_y = buffer(&modes, n_modes, d_out);
    let mut of_x = want_x.then(|| buffer(&modes, n_modes, d_in));
    let size = n_modes * 2 * d_in * d_out;
    let mut of_weight = want_weight.then(|| {
        if modes.used.len() == n_rows { Output::<S>::new(size) } else { Output::zeros(size) }
    });
    unsafe {
        let fields = Fields { batch, d: d_out, x: grad, modes: of_y.ptr() };
        transform(grid, fields, &shares(grid), Direction::Forward);
        let gradients = Gradients {
            y: of_y.ptr(),
            x: of_x.as_mut().map(Output::ptr),
            weight: of_weight.as_mut().map(Output::ptr),
        };
        modes.differentiate(x, weight, gradients);
        let of_x = of_x.map(|mut of_x| {
            let mut x = Output::<S>::new(batch * rows * columns * d_in);
            let fields = Fields { batch, d: d_in, x: x.ptr(), modes: of_x.ptr() };
            transform(grid, fields, &vec![S::ONE; n_columns], Direction::Back);
            x.finish([batch, rows, columns, d_in])
        });
        [of_x, of_weight.map(|weight| weight.finish([n_rows, n_columns, 2, d_in, d_out]))]
    }
}

/// Transforms fields in the form that takes less time.
///
/// # Safety
/// The pointers are valid for the sizes.
unsafe fn transform<S: Tables + FftNum>(
    grid: &Grid,
    fields: Fields<S>,
    shares: &[S],
    direction: Direction,
) {
    unsafe {
        if fast::pays(grid, fields.d) {
            FastTransform::new(grid).run(fields, shares, direction);
        } else {
            Transform::new(grid.clone()).run(fields, shares, direction);
        }
    }
}

/// Rows of multipliers that the grid uses.
fn used(grid: &Grid) -> Vec<usize> {
    grid.used().into_iter().map(|(mode, _)| mode).collect()
}

fn shares<S: Storage>(grid: &Grid) -> Vec<S> {
    grid.shares().into_iter().map(S::from_f64).collect()
}

/// Memory for modes; those that the grid does not use are zero.
fn buffer<S: Storage>(modes: &Modes<'_>, n_modes: usize, d: usize) -> Output<S> {
    let size = n_modes * modes.batch * 2 * d;
    if modes.used.len() * modes.n_columns == n_modes {
        Output::new(size)
    } else {
        Output::zeros(size)
    }
}
