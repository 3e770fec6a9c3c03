//! A small dense matrix in `f64`, column after column: what a regression is solved with.

use std::ops::{Index, IndexMut, Mul, Sub};

use burn::tensor::Tensor;

/// Rotations of all pairs of columns after which singular values stand still, at most.
const ROTATIONS: usize = 60;

/// Numbers in rows and columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// The matrix of `entry(row, column)`.
    #[must_use]
    pub fn from_fn(rows: usize, cols: usize, entry: impl Fn(usize, usize) -> f64) -> Self {
        let entry = &entry;
        let values = (0..cols).flat_map(|j| (0..rows).map(move |i| entry(i, j))).collect();
        Self { rows, cols, values }
    }

    /// The numbers of a tensor `[rows, cols]`.
    ///
    /// # Panics
    /// If the device cannot hand over its memory.
    #[must_use]
    pub fn of(x: &Tensor<2>) -> Self {
        let [rows, cols] = x.dims();
        let values = x.clone().try_into_vec_as::<f64>().expect("tensors are readable");
        Self::from_fn(rows, cols, |i, j| values[i * cols + j])
    }

    /// Number of rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[must_use]
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// One column.
    #[must_use]
    pub fn column(&self, j: usize) -> &[f64] {
        &self.values[j * self.rows..][..self.rows]
    }

    /// One column, to be changed.
    pub fn column_mut(&mut self, j: usize) -> &mut [f64] {
        &mut self.values[j * self.rows..][..self.rows]
    }

    /// All numbers, column after column.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// `max |A_ij|`; zero of no numbers.
    #[must_use]
    pub fn largest(&self) -> f64 {
        self.values.iter().map(|x| x.abs()).fold(0.0, f64::max)
    }

    /// `Σ_ij A_ij B_ij`.
    ///
    /// # Panics
    /// If the sizes disagree.
    #[must_use]
    pub fn inner(&self, other: &Self) -> f64 {
        assert_eq!([self.rows, self.cols], [other.rows, other.cols], "sizes differ");
        dot(&self.values, &other.values)
    }

    /// `σ_1 / σ_n`, infinite if the columns are dependent; NaN if a number is.
    ///
    /// Columns are rotated in pairs until all are orthogonal; their lengths are the singular values.
    /// Source: Hestenes 1958, J. SIAM 6. Cost: `rows · cols²` multiply-adds per round, of some ten.
    #[must_use]
    pub fn condition(&self) -> f64 {
        let mut columns: Vec<Vec<f64>> = (0..self.cols).map(|j| self.column(j).to_vec()).collect();
        for _ in 0..ROTATIONS {
            let mut is_orthogonal = true;
            for j in 1..columns.len() {
                let (left, right) = columns.split_at_mut(j);
                for x in left {
                    is_orthogonal &= !rotate(x, &mut right[0]);
                }
            }
            if is_orthogonal {
                break;
            }
        }
        let lengths = columns.iter().map(|column| dot(column, column).sqrt());
        let (low, high) = lengths.fold((f64::INFINITY, 0.0), |(low, high), s: f64| {
            if s.is_nan() { (s, s) } else { (s.min(low), s.max(high)) }
        });
        high / low
    }
}

/// Makes two columns orthogonal; whether they were not.
fn rotate(x: &mut [f64], y: &mut [f64]) -> bool {
    let (xx, yy, xy) = (dot(x, x), dot(y, y), dot(x, y));
    if xy.abs() <= f64::EPSILON * (xx * yy).sqrt() || xy == 0.0 {
        return false;
    }
    let zeta = (yy - xx) / (2.0 * xy);
    let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = cosine * tangent;
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
    true
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

impl Index<(usize, usize)> for Matrix {
    type Output = f64;

    fn index(&self, (i, j): (usize, usize)) -> &f64 {
        &self.values[j * self.rows + i]
    }
}

impl IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (i, j): (usize, usize)) -> &mut f64 {
        &mut self.values[j * self.rows + i]
    }
}

/// The product of matrices.
///
/// # Panics
/// If the left one has not as many columns as the right one has rows.
impl Mul for &Matrix {
    type Output = Matrix;

    fn mul(self, right: &Matrix) -> Matrix {
        assert_eq!(self.cols, right.rows, "columns of the left, rows of the right matrix");
        let mut product = Matrix::from_fn(self.rows, right.cols, |_, _| 0.0);
        for j in 0..right.cols {
            for k in 0..self.cols {
                let factor = right[(k, j)];
                let terms = product.column_mut(j).iter_mut().zip(self.column(k));
                terms.for_each(|(sum, x)| *sum += factor * x);
            }
        }
        product
    }
}

/// The difference of matrices.
///
/// # Panics
/// If the sizes disagree.
impl Sub for &Matrix {
    type Output = Matrix;

    fn sub(self, right: &Matrix) -> Matrix {
        assert_eq!([self.rows, self.cols], [right.rows, right.cols], "sizes differ");
        Matrix::from_fn(self.rows, self.cols, |i, j| self[(i, j)] - right[(i, j)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_the_one_by_hand() {
        // [1 2 3; 4 5 6] [1 0; 2 1; 0 −1] = [5 −1; 14 −1]
        let left = Matrix::from_fn(2, 3, |i, j| (3 * i + j + 1) as f64);
        let right = [[1.0, 0.0], [2.0, 1.0], [0.0, -1.0]];
        let right = Matrix::from_fn(3, 2, |i, j| right[i][j]);
        assert_eq!((&left * &right).values(), [5.0, 14.0, -1.0, -1.0]);
    }

    #[test]
    fn the_condition_of_a_rotated_stretching_is_the_ratio_of_its_factors() {
        let (c, s) = (0.6, 0.8);
        let turn = |by: f64| {
            let entries = [[c, -s * by, 0.0], [s * by, c, 0.0], [0.0, 0.0, 1.0]];
            Matrix::from_fn(3, 3, |i, j| entries[i][j])
        };
        let factors = [7.0, -0.5, 2.0];
        let stretch = Matrix::from_fn(3, 3, |i, j| if i == j { factors[i] } else { 0.0 });
        let found = (&(&turn(1.0) * &stretch) * &turn(-1.0)).condition();
        assert!((found - 14.0).abs() < 1e-12, "{found}");
        let dependent = Matrix::from_fn(3, 2, |i, j| ((i + 1) * (j + 1)) as f64);
        assert!(dependent.condition() > 1e15);
        assert!(Matrix::from_fn(2, 2, |_, _| f64::NAN).condition().is_nan());
    }
}
