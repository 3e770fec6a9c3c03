//! Rows in another order in memory: transposed, in pairs, without gaps.
#![expect(unsafe_code, reason = "SIMD loads and stores on raw memory")]

use super::simd::{Scalar, Vector};

/// Writes the transpose of `rows × cols` at `from` (row distance `from_row`) to `to`, whose rows
/// have length `to_row ≥ rows`.
#[inline(always)]
pub(crate) unsafe fn transpose<S: Scalar>(
    rows: usize,
    cols: usize,
    from: *const S,
    from_row: usize,
    to: *mut S,
    to_row: usize,
) {
    // Blocks of 8 × 8 touch 8 cache lines on either side.
    const BLOCK: usize = 8;
    unsafe {
        for c0 in (0..cols).step_by(BLOCK) {
            for r0 in (0..rows).step_by(BLOCK) {
                for c in c0..(c0 + BLOCK).min(cols) {
                    for r in r0..(r0 + BLOCK).min(rows) {
                        *to.add(c * to_row + r) = *from.add(r * from_row + c);
                    }
                }
            }
        }
    }
}

/// Writes the first `rows × cols` numbers at `from` (row distance `from_row`) as pairs of rows, for
/// [`run_pairs`]: `x[0, 0], x[1, 0], x[0, 1], x[1, 1], …`, every pair at a distance of `to_row`. A last
/// row without a partner meets zeros.
#[inline(always)]
pub(crate) unsafe fn pair_rows<S: Scalar>(
    [rows, cols]: [usize; 2],
    (from, from_row): (*const S, usize),
    (to, to_row): (*mut S, usize),
) {
    for r in (0..rows).step_by(2) {
        for c in 0..cols {
            unsafe {
                let (from, to) = (from.add(r * from_row + c), to.add(r / 2 * to_row + 2 * c));
                *to = *from;
                *to.add(1) = if r + 1 < rows { *from.add(from_row) } else { S::ZERO };
            }
        }
        for c in 2 * cols..to_row {
            unsafe { *to.add(r / 2 * to_row + c) = S::ZERO };
        }
    }
}

/// Copies `rows × cols` numbers from and to rows at distances; for short rows, of which a call of the system's copy
/// would take longer than the rows.
#[inline(always)]
pub(crate) unsafe fn copy_rows<V: Vector>(
    [rows, cols]: [usize; 2],
    (from, from_row): (*const V::Scalar, usize),
    (to, to_row): (*mut V::Scalar, usize),
) {
    for r in 0..rows {
        let (from, to) = (from.wrapping_add(r * from_row), to.wrapping_add(r * to_row));
        let mut j = 0;
        unsafe {
            while j + V::LANES <= cols {
                V::load(from.add(j)).store(to.add(j));
                j += V::LANES;
            }
            if j < cols {
                V::load_partial(from.add(j), cols - j).store_partial(to.add(j), cols - j);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dispatch::{Kernel, launch};
    use super::*;

    fn number(i: usize) -> f64 {
        (i as f64 * 0.618_033_988_749_895).fract() - 0.5
    }

    struct Transposed<'a, S> {
        size: [usize; 2],
        from: (&'a [S], usize),
        to: (&'a mut [S], usize),
    }

    impl<S: Scalar> Kernel<S> for Transposed<'_, S> {
        #[inline(always)]
        unsafe fn run<V: Vector<Scalar = S>>(self) {
            let (from, to) = ((self.from.0.as_ptr(), self.from.1), self.to);
            unsafe { V::transpose(self.size, from, (to.0.as_mut_ptr(), to.1)) };
        }
    }

    /// At all sizes around that of a block in registers, with gaps between rows.
    fn check_transpose<S: Scalar>() {
        for (rows, cols) in [
            (11, 7),
            (8, 8),
            (1, 17),
            (17, 1),
            (16, 24),
            (29, 19),
            (23, 4),
            (4, 21),
            (15, 13),
            (0, 3),
        ] {
            let from: Vec<S> = (0..rows * (cols + 2)).map(|i| S::from_f64(number(i))).collect();
            let mut to = vec![S::ZERO; cols * (rows + 3)];
            let (size, from_row, to_row) = ([rows, cols], cols + 2, rows + 3);
            unsafe {
                launch(Transposed { size, from: (&from, from_row), to: (&mut to, to_row) });
            }
            for (c, row) in to.chunks_exact(to_row).enumerate() {
                for (r, x) in row.iter().enumerate() {
                    let expected = if r < rows { from[r * from_row + c] } else { S::ZERO };
                    assert_eq!(*x, expected, "{rows} × {cols}, row {r}, column {c}");
                }
            }
        }
    }

    #[test]
    fn transpose_swaps_rows_and_columns() {
        check_transpose::<f32>();
        check_transpose::<f64>();
    }

    struct Copied<'a, S> {
        size: [usize; 2],
        from: (&'a [S], usize),
        to: (&'a mut [S], usize),
    }

    impl<S: Scalar> Kernel<S> for Copied<'_, S> {
        #[inline(always)]
        unsafe fn run<V: Vector<Scalar = S>>(self) {
            let (from, to) = ((self.from.0.as_ptr(), self.from.1), self.to);
            unsafe { copy_rows::<V>(self.size, from, (to.0.as_mut_ptr(), to.1)) };
        }
    }

    #[test]
    fn copies_leave_the_gaps_alone() {
        for (rows, cols) in [(3, 1), (5, 8), (2, 16), (4, 37), (0, 3)] {
            let from: Vec<f32> = (0..rows * (cols + 2)).map(|i| f32::from_f64(number(i))).collect();
            let mut to = vec![7.0; rows * (cols + 3)];
            let size = [rows, cols];
            unsafe { launch(Copied { size, from: (&from, cols + 2), to: (&mut to, cols + 3) }) };
            for (r, row) in to.chunks_exact(cols + 3).enumerate() {
                assert_eq!(row[..cols], from[r * (cols + 2)..][..cols], "{rows} × {cols}, row {r}");
                assert_eq!(row[cols..], [7.0; 3], "{rows} × {cols}, row {r}");
            }
        }
    }
}
