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

use super::simd::Vector;

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
        let mut a = row_pointers::<V::Scalar, MR>(p, i);
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

/// Columns at most for which two rows of `B` fit into a register: [`run_pairs`].
pub(crate) const fn fit_pairs(columns: usize, lanes: usize) -> bool {
    2 * columns <= lanes
}

/// One product whose `B` has so few columns that two of its rows fill a register ([`fit_pairs`]); rows
/// of [`pair_rows`] at distance `b_row`, one register long. Rows of `A` are contiguous, and where `k` is
/// odd one number longer.
///
/// A register of sums holds those over even and over odd `l` in turn: a pair of numbers of `A` is
/// broadcast as one, and meets two rows of `B`.
#[inline(always)]
pub(crate) unsafe fn run_pairs<V: Vector>(p: MatMul<V::Scalar>) {
    let mut i = 0;
    unsafe {
        while i + 12 <= p.m {
            tile_of_pairs::<V, 12>(&p, i);
            i += 12;
        }
        while i + 4 <= p.m {
            tile_of_pairs::<V, 4>(&p, i);
            i += 4;
        }
        while i < p.m {
            tile_of_pairs::<V, 1>(&p, i);
            i += 1;
        }
    }
}

#[inline(always)]
unsafe fn tile_of_pairs<V: Vector, const MR: usize>(p: &MatMul<V::Scalar>, i: usize) {
    unsafe {
        let mut acc = [V::zero(); MR];
        let mut a = row_pointers::<V::Scalar, MR>(p, i);
        let mut b = p.b;
        for _ in 0..p.k.div_ceil(2) {
            let row = V::load(b);
            for (r, acc) in acc.iter_mut().enumerate() {
                let x = V::splat_pair(a[r / GROUP].add(r % GROUP * p.a_row));
                *acc = x.mul_add(row, *acc);
            }
            for a in &mut a[..MR.div_ceil(GROUP)] {
                *a = a.wrapping_add(2);
            }
            b = b.wrapping_add(p.b_row);
        }
        for (r, acc) in acc.iter().enumerate() {
            let c = p.c.add((i + r) * p.c_row);
            let sum = acc.sum_pairs();
            let sum = if p.accumulate { V::load_partial(c, p.n).add(sum) } else { sum };
            sum.store_partial(c, p.n);
        }
    }
}

/// Pointers to every third of the `MR` rows of `A` from `i`.
///
/// Three rows share a pointer, so that the hardware's addressing modes reach all of them. Left to itself the
/// compiler walks from row to row, one dependent addition each, which takes longer than the arithmetic;
/// `black_box` hides that the pointers are related.
#[inline(always)]
fn row_pointers<S, const MR: usize>(p: &MatMul<S>, i: usize) -> [*const S; MAX_GROUPS] {
    let mut a = [p.a; MAX_GROUPS];
    for (group, a) in a.iter_mut().enumerate() {
        let row = i + (GROUP * group).min(MR - 1);
        *a = std::hint::black_box(p.a.wrapping_add(row * p.a_row));
    }
    a
}

#[cfg(test)]
mod tests {
    use super::super::dispatch::{Kernel, lanes, launch};
    use super::super::layout::pair_rows;
    use super::super::simd::{Portable, Scalar};
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

    struct PairProduct<S>(MatMul<S>);

    impl<S: Scalar> Kernel<S> for PairProduct<S> {
        #[inline(always)]
        unsafe fn run<V: Vector<Scalar = S>>(self) {
            unsafe { V::matmul_pairs(self.0) }
        }
    }

    /// Products of all small sizes whose columns fit, with gaps between rows, odd and even `k`.
    fn check_pairs<S: Scalar>(name: &str, lanes: usize, matmul: impl Fn(MatMul<S>)) {
        for m in [1, 3, 4, 12, 13, 29] {
            for n in (1..=lanes).filter(|n| fit_pairs(*n, lanes)) {
                for (k, accumulate) in [(0, false), (1, true), (2, false), (7, true), (16, false)] {
                    let numbers = |n: usize, first: usize| -> Vec<S> {
                        (first..first + n).map(|i| S::from_f64(number(i))).collect()
                    };
                    let (a_row, b_row, c_row) = (k + 1, n + 2, n + 3);
                    let (a, b) = (numbers(m * a_row, 0), numbers(k * b_row, 1000));
                    let before = numbers(m * c_row, 5000);
                    let mut c = before.clone();
                    let mut pairs = vec![S::from_f64(f64::NAN); k.div_ceil(2) * lanes];
                    unsafe { pair_rows([k, n], (b.as_ptr(), b_row), (pairs.as_mut_ptr(), lanes)) };
                    matmul(MatMul {
                        m,
                        n,
                        k,
                        a: a.as_ptr(),
                        a_row,
                        a_col: 1,
                        b: pairs.as_ptr(),
                        b_row: lanes,
                        c: c.as_mut_ptr(),
                        c_row,
                        accumulate,
                    });
                    for i in 0..m {
                        for j in 0..c_row {
                            let old = before[i * c_row + j].to_f64();
                            let products = (0..k).map(|l| {
                                a[i * a_row + l].to_f64() * b[l * b_row + j.min(n)].to_f64()
                            });
                            let sum: f64 = products.sum();
                            let expected = match (j < n, accumulate) {
                                (false, _) => old,
                                (true, false) => sum,
                                (true, true) => old + sum,
                            };
                            let found = c[i * c_row + j].to_f64();
                            assert!(
                                (found - expected).abs() < 1e-6,
                                "{name}: {m} × {n} × {k}, element ({i}, {j}): {found}, not {expected}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn products_of_pairs_equal_their_definition() {
        check_pairs::<f32>("best level, f32", lanes::<f32>(), |p| unsafe {
            launch(PairProduct(p));
        });
        check_pairs::<f64>("best level, f64", lanes::<f64>(), |p| unsafe {
            launch(PairProduct(p));
        });
        check_pairs("eight lanes", 8, |p| unsafe { Portable::<f32, 8>::matmul_pairs(p) });
        check_pairs("sixteen lanes", 16, |p| unsafe { Portable::<f32, 16>::matmul_pairs(p) });
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            check_pairs("AVX2", 8, |p| unsafe { <f32 as Scalar>::Avx2::matmul_pairs(p) });
        }
    }
}
