//! Products of the tiles of a chunk: whole, and with triangles.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use std::ops::Range as Tokens;

use super::tiles::Rows;
use crate::cpu::matmul::MatMul;
use crate::cpu::simd::{Scalar, Vector};
use crate::pointwise::{load, store};

/// Rows of triangular products that are taken together: tiles of 6 or 12 rows fit.
const BLOCK: usize = 12;

/// `Σ x y`
#[inline(always)]
pub(super) unsafe fn dot<V: Vector>(x: &[V::Scalar], y: &[V::Scalar]) -> V::Scalar {
    let d = x.len();
    let mut sum = unsafe { V::zero() };
    let mut j = 0;
    while j < d {
        let n = V::LANES.min(d - j);
        unsafe {
            let x = load::<V>(x.as_ptr().add(j), n);
            sum = x.mul_add(load::<V>(y.as_ptr().add(j), n), sum);
        }
        j += n;
    }
    unsafe { sum.sum() }
}

/// `C = A B` with `A` `[n, inner]` and `B` `[inner, columns]`.
#[inline(always)]
pub(super) unsafe fn times<V: Vector>(
    [n, inner, columns]: [usize; 3],
    a: &[V::Scalar],
    b: &[V::Scalar],
    c: &mut [V::Scalar],
    accumulate: bool,
) {
    unsafe {
        V::matmul(MatMul {
            m: n,
            n: columns,
            k: inner,
            a: a.as_ptr(),
            a_row: inner,
            a_col: 1,
            b: b.as_ptr(),
            b_row: columns,
            c: c.as_mut_ptr(),
            c_row: columns,
            accumulate,
        });
    }
}

/// `C = tril(A B)` with `A` `[n, d]` and `B` `[d, row]`: blocks of rows as far as their diagonal
/// reaches, then zeros up to a whole register.
#[inline(always)]
pub(super) unsafe fn lower_product<V: Vector>(
    n: usize,
    d: usize,
    a: *const V::Scalar,
    b: &[V::Scalar],
    c: &mut [V::Scalar],
    row: usize,
) {
    for first in (0..n).step_by(BLOCK) {
        let rows = BLOCK.min(n - first);
        let width = (first + rows).next_multiple_of(2 * V::LANES).min(row);
        unsafe {
            V::matmul(MatMul {
                m: rows,
                n: width,
                k: d,
                a: a.add(first * d),
                a_row: d,
                a_col: 1,
                b: b.as_ptr(),
                b_row: row,
                c: c.as_mut_ptr().add(first * row),
                c_row: row,
                accumulate: false,
            });
        }
        for r in first..first + rows {
            c[r * row + r + 1..r * row + width].fill(V::Scalar::ZERO);
        }
    }
}

/// `C += L B` with a lower triangle `L` `[n, row]` and `B` `[n, d]`.
#[inline(always)]
pub(super) unsafe fn lower_times<V: Vector>(
    n: usize,
    d: usize,
    lower: &[V::Scalar],
    row: usize,
    b: &[V::Scalar],
    c: &mut [V::Scalar],
) {
    for first in (0..n).step_by(BLOCK) {
        let rows = BLOCK.min(n - first);
        unsafe {
            V::matmul(MatMul {
                m: rows,
                n: d,
                k: first + rows,
                a: lower.as_ptr().add(first * row),
                a_row: row,
                a_col: 1,
                b: b.as_ptr(),
                b_row: d,
                c: c.as_mut_ptr().add(first * d),
                c_row: d,
                accumulate: true,
            });
        }
    }
}

/// `C += Lᵀ B` with a lower triangle `L` `[n, row]` and `B` `[n, d]`.
#[inline(always)]
pub(super) unsafe fn upper_times<V: Vector>(
    n: usize,
    d: usize,
    lower: &[V::Scalar],
    row: usize,
    b: &[V::Scalar],
    c: &mut [V::Scalar],
) {
    for first in (0..n).step_by(BLOCK) {
        let rows = BLOCK.min(n - first);
        unsafe {
            V::matmul(MatMul {
                m: rows,
                n: d,
                k: n - first,
                a: lower.as_ptr().add(first * row + first),
                a_row: 1,
                a_col: row,
                b: b.as_ptr().add(first * d),
                b_row: d,
                c: c.as_mut_ptr().add(first * d),
                c_row: d,
                accumulate: true,
            });
        }
    }
}

/// `C = Aᵀ B` or `C += Aᵀ B` with `A` `[n, rows]` and `B` `[n, columns]`.
#[inline(always)]
pub(super) unsafe fn transposed_times<V: Vector>(
    [n, rows, columns]: [usize; 3],
    a: &[V::Scalar],
    b: &[V::Scalar],
    c: &mut [V::Scalar],
    accumulate: bool,
) {
    unsafe {
        V::matmul(MatMul {
            m: rows,
            n: columns,
            k: n,
            a: a.as_ptr(),
            a_row: 1,
            a_col: rows,
            b: b.as_ptr(),
            b_row: columns,
            c: c.as_mut_ptr(),
            c_row: columns,
            accumulate,
        });
    }
}

/// `to = hat ∘ (out − x yᵀ)`
#[inline(always)]
pub(super) unsafe fn under_hat<V: Vector>(
    hat: &[V::Scalar],
    out: &[V::Scalar],
    outer: Option<[&[V::Scalar]; 2]>,
    to: Rows<V::Scalar>,
    tokens: &Tokens<usize>,
    d: usize,
) {
    for (r, t) in tokens.clone().enumerate() {
        let mut j = 0;
        while j < d {
            let n = V::LANES.min(d - j);
            unsafe {
                let mut x = load::<V>(out.as_ptr().add(r * d + j), n);
                if let Some([a, b]) = outer {
                    x = x.sub(V::splat(a[r]).mul(load::<V>(b.as_ptr().add(j), n)));
                }
                store(x.mul(load::<V>(hat.as_ptr().add(r * d + j), n)), to.at(t).add(j), n);
            }
            j += n;
        }
    }
}

/// `to += Xᵀ h`
#[inline(always)]
pub(super) unsafe fn add_columns<V: Vector>(
    x: &[V::Scalar],
    h: &[V::Scalar],
    to: &mut [V::Scalar],
    n: usize,
) {
    let d = to.len();
    let mut j = 0;
    while j < d {
        let lanes = V::LANES.min(d - j);
        unsafe {
            let mut sum = load::<V>(to.as_ptr().add(j), lanes);
            for (r, h) in h[..n].iter().enumerate() {
                sum = V::splat(*h).mul_add(load::<V>(x.as_ptr().add(r * d + j), lanes), sum);
            }
            store(sum, to.as_mut_ptr().add(j), lanes);
        }
        j += lanes;
    }
}
