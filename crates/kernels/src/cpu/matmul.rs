//! Register-tiled matrix product for the small and skinny shapes of attention.
//!
//! ```text
//! C[i, j] (+)= Σ_l A[i, l] B[l, j]      i < m, j < n, l < k
//! ```
//!
//! `A` may have any strides (a transposed factor costs nothing), rows of `B` and `C` are
//! contiguous. A tile of `C` stays in registers over the whole of `k`; nothing is packed, so the
//! caller blocks `k` and `n` such that a panel of `B` stays in cache. Each element of `C` is
//! accumulated in the order of `l`, whatever the tile, so results do not depend on blocking by
//! rows or columns.
#![expect(unsafe_code, reason = "raw loads and stores inside checked bounds")]

use super::simd::{Scalar, Vector};

/// Rows of `A` reached from one pointer.
const GROUP: usize = 3;
/// Pointers for the tallest register tile.
const MAX_GROUPS: usize = 4;

/// One product; pointers are valid for the sizes and strides given.
#[derive(Clone, Copy)]
pub(crate) struct MatMul<S> {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) a: *const S,
    /// Distance between rows of `A`.
    pub(crate) a_row: usize,
    /// Distance between columns of `A`.
    pub(crate) a_col: usize,
    pub(crate) b: *const S,
    pub(crate) b_row: usize,
    pub(crate) c: *mut S,
    pub(crate) c_row: usize,
    /// `C += A B` instead of `C = A B`.
    pub(crate) accumulate: bool,
}

/// Runs one product; inlined into one function per vector type.
#[inline(always)]
pub(crate) unsafe fn run<V: Vector>(p: MatMul<V::Scalar>) {
    unsafe {
        let mut j = 0;
        if p.m == 1 {
            // One row needs eight vectors of columns to keep the multipliers busy.
            while j + 8 * V::LANES <= p.n {
                panel::<V, 1, 8>(&p, j, V::LANES);
                j += 8 * V::LANES;
            }
        }
        if V::REGISTERS >= 32 {
            while j + 4 * V::LANES <= p.n {
                panel::<V, 6, 4>(&p, j, V::LANES);
                j += 4 * V::LANES;
            }
            while j + 2 * V::LANES <= p.n {
                panel::<V, 12, 2>(&p, j, V::LANES);
                j += 2 * V::LANES;
            }
        } else {
            while j + 2 * V::LANES <= p.n {
                panel::<V, 6, 2>(&p, j, V::LANES);
                j += 2 * V::LANES;
            }
        }
        while j < p.n {
            let lanes = V::LANES.min(p.n - j);
            panel::<V, 12, 1>(&p, j, lanes);
            j += lanes;
        }
    }
}

/// All rows of `C` for the `NV` vectors of columns from `j`; the last vector has `lanes` columns.
#[inline(always)]
unsafe fn panel<V: Vector, const MR: usize, const NV: usize>(
    p: &MatMul<V::Scalar>,
    j: usize,
    lanes: usize,
) {
    unsafe {
        let mut i = 0;
        while i + MR <= p.m {
            tile::<V, MR, NV>(p, i, j, lanes);
            i += MR;
        }
        if MR > 6 {
            while i + 6 <= p.m {
                tile::<V, 6, NV>(p, i, j, lanes);
                i += 6;
            }
        }
        while i + 4 <= p.m {
            tile::<V, 4, NV>(p, i, j, lanes);
            i += 4;
        }
        while i + 2 <= p.m {
            tile::<V, 2, NV>(p, i, j, lanes);
            i += 2;
        }
        if i < p.m {
            tile::<V, 1, NV>(p, i, j, lanes);
        }
    }
}

/// `MR` rows by `NV` vectors of `C`, in registers over all of `k`.
#[inline(always)]
unsafe fn tile<V: Vector, const MR: usize, const NV: usize>(
    p: &MatMul<V::Scalar>,
    i: usize,
    j: usize,
    lanes: usize,
) {
    unsafe {
        let whole = NV > 1 || lanes == V::LANES;
        let mut acc = [[V::zero(); NV]; MR];
        // Three rows share a pointer, so that the hardware's addressing modes reach all of them.
        // Left to itself the compiler walks from row to row, one dependent addition each, which
        // takes longer than the arithmetic; `black_box` hides that the pointers are related.
        let mut a = [p.a; MAX_GROUPS];
        for (group, a) in a.iter_mut().enumerate() {
            let row = i + (GROUP * group).min(MR - 1);
            *a = std::hint::black_box(p.a.wrapping_add(row * p.a_row));
        }
        let mut b = p.b.add(j);
        for _ in 0..p.k {
            let mut row = [V::zero(); NV];
            for (v, row) in row.iter_mut().enumerate() {
                let b = b.add(v * V::LANES);
                *row = if whole { V::load(b) } else { V::load_partial(b, lanes) };
            }
            for (r, acc) in acc.iter_mut().enumerate() {
                let x = V::splat(*a[r / GROUP].add(r % GROUP * p.a_row));
                for v in 0..NV {
                    acc[v] = x.mul_add(row[v], acc[v]);
                }
            }
            for a in &mut a[..MR.div_ceil(GROUP)] {
                *a = a.wrapping_add(p.a_col);
            }
            b = b.wrapping_add(p.b_row);
        }
        for (r, acc) in acc.iter().enumerate() {
            let c = p.c.add((i + r) * p.c_row + j);
            for (v, &sum) in acc.iter().enumerate() {
                let c = c.add(v * V::LANES);
                if whole {
                    let sum = if p.accumulate { V::load(c).add(sum) } else { sum };
                    sum.store(c);
                } else {
                    let sum = if p.accumulate { V::load_partial(c, lanes).add(sum) } else { sum };
                    sum.store_partial(c, lanes);
                }
            }
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::super::dispatch::{Kernel, launch};
    use super::super::simd::Portable;
    use super::*;

    struct Product<S>(MatMul<S>);

    impl<S: Scalar> Kernel<S> for Product<S> {
        #[inline(always)]
        unsafe fn run<V: Vector<Scalar = S>>(self) {
            unsafe { V::matmul(self.0) }
        }
    }

    fn number(i: usize) -> f64 {
        // A fixed sequence without pattern: fractional parts of multiples of the golden ratio.
        (i as f64 * 0.618_033_988_749_895).fract() - 0.5
    }

    /// Products of all small sizes, with gaps between rows, transposed `A` and accumulation.
    fn check(name: &str, matmul: impl Fn(MatMul<f64>)) {
        for (m, n, k) in
            [(1, 1, 1), (2, 7, 3), (13, 33, 5), (12, 64, 1), (29, 71, 17), (6, 16, 0), (1, 83, 19)]
        {
            for transposed in [false, true] {
                for accumulate in [false, true] {
                    let a: Vec<f64> = (0..(m + 2) * (k + 2)).map(number).collect();
                    let b: Vec<f64> = (0..k.max(1) * (n + 3)).map(|i| number(i + 1000)).collect();
                    let before: Vec<f64> = (0..m * (n + 5)).map(|i| number(i + 5000)).collect();
                    let mut c = before.clone();
                    let (a_row, a_col) = if transposed { (1, m + 2) } else { (k + 2, 1) };
                    matmul(MatMul {
                        m,
                        n,
                        k,
                        a: a.as_ptr(),
                        a_row,
                        a_col,
                        b: b.as_ptr(),
                        b_row: n + 3,
                        c: c.as_mut_ptr(),
                        c_row: n + 5,
                        accumulate,
                    });
                    for i in 0..m {
                        for j in 0..n + 5 {
                            let old = before[i * (n + 5) + j];
                            let sum: f64 = (0..k)
                                .map(|l| a[i * a_row + l * a_col] * b[l * (n + 3) + j % (n + 3)])
                                .sum();
                            let expected = match (j < n, accumulate) {
                                (false, _) => old,
                                (true, false) => sum,
                                (true, true) => old + sum,
                            };
                            let found = c[i * (n + 5) + j];
                            assert!(
                                (found - expected).abs() < 1e-14,
                                "{name}: {m} × {n} × {k}, element ({i}, {j}): {found}, not {expected}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn products_equal_their_definition_at_every_tiling() {
        check("best level", |p| unsafe { launch(Product(p)) });
        check("sixteen registers", |p| unsafe { Portable::<f64, 4>::matmul(p) });
        check("thirty-two registers", |p| unsafe { Portable::<f64, 8>::matmul(p) });
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
        for (rows, cols) in [(11, 7), (8, 8), (1, 17), (17, 1), (16, 24), (29, 19), (0, 3)] {
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
}
