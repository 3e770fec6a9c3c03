//! What an application costs.

use super::grid::Grid;

/// Multiply-adds of one field in the fused form, forward; backward runs the same transforms, and twice the
/// products.
///
/// ```text
/// along rows:    m R C d / 2 with m ≈ n_rows waves     along columns: m n_columns C d
/// modes:         4 n_rows n_columns d_in d_out
/// ```
///
/// The transforms run once for `d = d_in` and once for `d = d_out`.
///
/// # Shapes
/// - `grid`: rows and columns; `modes`: rows and columns of multipliers; `widths`: `d_in`, `d_out`
///
/// # Panics
/// If the grid is too small for the modes.
#[must_use]
pub fn multiply_adds(grid: [usize; 2], modes: [usize; 2], [d_in, d_out]: [usize; 2]) -> usize {
    let grid = Grid::new(grid, modes);
    let modes = 4 * grid.used().len() * grid.n_columns * d_in * d_out;
    transform_products(&grid) * (d_in + d_out) + modes
}

/// Multiply-adds of the transform of one channel as products with few waves.
pub(super) fn transform_products(grid: &Grid) -> usize {
    // Sums meet cosines, differences meet sines.
    let of_axis = |n: usize, waves: usize| waves * (n / 2 + 1) + (waves - 1) * ((n - 1) / 2);
    let n_waves = grid.pairs.len();
    of_axis(grid.rows, n_waves) * grid.columns
        + (2 * n_waves - 1) * of_axis(grid.columns, grid.n_columns)
}
