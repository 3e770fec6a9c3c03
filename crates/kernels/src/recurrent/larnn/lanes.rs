//! Arithmetic on blocks `[n, ROWS]` of a chunk: the rows of the batch lie side by side in the lanes.
//!
//! Everything that a row does alone is then the same instruction for all of them, whatever the
//! width of a head: products, gates and attention need no sum across a register, and no block has a
//! remainder. Only sums over the batch go across.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use crate::cpu::math::{Tables, exp};
use crate::cpu::matmul::MatMul;
use crate::cpu::simd::{Scalar, Vector};

/// Rows of the batch in a chunk: a whole number of registers of every instruction set. Fixed, so that
/// sums over the batch do not depend on the number of threads.
pub(super) const ROWS: usize = 16;

/// `C (+)= A B` for a weight `A [m, k]` whose rows lie `a_row` apart and blocks `B`, `C`.
#[inline(always)]
pub(super) unsafe fn product<V: Vector>(
    [m, k]: [usize; 2],
    (a, a_row): (*const V::Scalar, usize),
    b: *const V::Scalar,
    c: *mut V::Scalar,
    accumulate: bool,
) {
    let (a_col, b_row, c_row, n) = (1, ROWS, ROWS, ROWS);
    unsafe { V::matmul(MatMul { m, n, k, a, a_row, a_col, b, b_row, c, c_row, accumulate }) };
}

/// `x` where positive, else `exp(x) − 1`.
#[inline(always)]
pub(super) unsafe fn elu<V: Vector<Scalar: Tables>>(x: V) -> V {
    unsafe { x.select_positive(x, exp(x).sub(V::splat(V::Scalar::ONE))) }
}

/// Slope of [`elu`] where its value is `y`.
#[inline(always)]
pub(super) unsafe fn elu_slope<V: Vector>(y: V) -> V {
    let one = unsafe { V::splat(V::Scalar::ONE) };
    unsafe { y.select_positive(one, y.add(one)) }
}

/// `elu(x + bias)` in place, `n` features; without the ELU where `linear`.
#[inline(always)]
pub(super) unsafe fn bias_elu<V: Vector<Scalar: Tables>>(
    n: usize,
    x: *mut V::Scalar,
    bias: *const V::Scalar,
    linear: bool,
) {
    for f in 0..n {
        unsafe {
            let bias = V::splat(*bias.add(f));
            for at in (f * ROWS..(f + 1) * ROWS).step_by(V::LANES) {
                let z = V::load(x.add(at)).add(bias);
                if linear { z } else { elu(z) }.store(x.add(at));
            }
        }
    }
}

/// Sum over lanes of `x` times `mask`.
#[inline(always)]
unsafe fn masked_sum<V: Vector>(x: *const V::Scalar, mask: *const V::Scalar) -> f64 {
    let mut sum = unsafe { V::zero() };
    for l in (0..ROWS).step_by(V::LANES) {
        sum = unsafe { V::load(x.add(l)).mul_add(V::load(mask.add(l)), sum) };
    }
    unsafe { sum.sum() }.to_f64()
}

/// Mean, and sum of squared deviations from it, of `n` features over `rows` lanes: `[2, n]` to `to`.
#[inline(always)]
pub(super) unsafe fn moments<V: Vector>(
    n: usize,
    rows: usize,
    x: *const V::Scalar,
    mask: *const V::Scalar,
    to: *mut f64,
) {
    type S<V> = <V as Vector>::Scalar;
    let share = 1.0 / rows as f64;
    for f in 0..n {
        unsafe {
            let x = x.add(f * ROWS);
            let mean = S::<V>::from_f64(masked_sum::<V>(x, mask) * share);
            let mut squares = V::zero();
            for l in (0..ROWS).step_by(V::LANES) {
                let c = V::load(x.add(l)).sub(V::splat(mean)).mul(V::load(mask.add(l)));
                squares = c.mul_add(c, squares);
            }
            *to.add(f) = mean.to_f64();
            *to.add(n + f) = squares.sum().to_f64();
        }
    }
}

/// [`moments`] over `cells` blocks as well, `2 d ROWS` numbers apart.
#[inline(always)]
pub(super) unsafe fn window_moments<V: Vector>(
    [cells, n]: [usize; 2],
    rows: usize,
    x: *const V::Scalar,
    mask: *const V::Scalar,
    to: *mut f64,
) {
    type S<V> = <V as Vector>::Scalar;
    let share = 1.0 / (rows * cells) as f64;
    for f in 0..n {
        unsafe {
            let x = x.add(f * ROWS);
            let (mut sum, mut squares) = (V::zero(), V::zero());
            for l in (0..ROWS).step_by(V::LANES) {
                let mask = V::load(mask.add(l));
                for j in 0..cells {
                    sum = V::load(x.add(j * n * ROWS + l)).mul_add(mask, sum);
                }
            }
            let mean = S::<V>::from_f64(sum.sum().to_f64() * share);
            for l in (0..ROWS).step_by(V::LANES) {
                let mask = V::load(mask.add(l));
                for j in 0..cells {
                    let c = V::load(x.add(j * n * ROWS + l)).sub(V::splat(mean)).mul(mask);
                    squares = c.mul_add(c, squares);
                }
            }
            *to.add(f) = mean.to_f64();
            *to.add(n + f) = squares.sum().to_f64();
        }
    }
}

/// `out[j] = Σ_f q[f] x[j, f]` for `n` cells `x`, `step` numbers apart, over `width` features.
#[inline(always)]
pub(super) unsafe fn dot_cells<V: Vector>(
    n: usize,
    width: usize,
    q: *const V::Scalar,
    (x, step): (*const V::Scalar, usize),
    out: *mut V::Scalar,
) {
    let mut j = 0;
    unsafe {
        while j + 4 <= n {
            dot_some::<V, 4>(width, q, (x.add(j * step), step), out.add(j * ROWS));
            j += 4;
        }
        while j < n {
            dot_some::<V, 1>(width, q, (x.add(j * step), step), out.add(j * ROWS));
            j += 1;
        }
    }
}

#[inline(always)]
unsafe fn dot_some<V: Vector, const N: usize>(
    width: usize,
    q: *const V::Scalar,
    (x, step): (*const V::Scalar, usize),
    out: *mut V::Scalar,
) {
    for l in (0..ROWS).step_by(V::LANES) {
        unsafe {
            let mut sums = [V::zero(); N];
            for f in 0..width {
                let q = V::load(q.add(f * ROWS + l));
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = q.mul_add(V::load(x.add(j * step + f * ROWS + l)), *sum);
                }
            }
            for (j, sum) in sums.into_iter().enumerate() {
                sum.store(out.add(j * ROWS + l));
            }
        }
    }
}

/// `out[f] = Σ_j p[j] x[j, f]`, as [`dot_cells`].
#[inline(always)]
pub(super) unsafe fn sum_cells<V: Vector>(
    n: usize,
    width: usize,
    p: *const V::Scalar,
    (x, step): (*const V::Scalar, usize),
    out: *mut V::Scalar,
) {
    let mut f = 0;
    unsafe {
        while f + 4 <= width {
            sum_some::<V, 4>(n, p, (x.add(f * ROWS), step), out.add(f * ROWS));
            f += 4;
        }
        let (x, out) = (x.add(f * ROWS), out.add(f * ROWS));
        match width - f {
            3 => sum_some::<V, 3>(n, p, (x, step), out),
            2 => sum_some::<V, 2>(n, p, (x, step), out),
            1 => sum_some::<V, 1>(n, p, (x, step), out),
            _ => {}
        }
    }
}

#[inline(always)]
unsafe fn sum_some<V: Vector, const N: usize>(
    n: usize,
    p: *const V::Scalar,
    (x, step): (*const V::Scalar, usize),
    out: *mut V::Scalar,
) {
    for l in (0..ROWS).step_by(V::LANES) {
        unsafe {
            let mut sums = [V::zero(); N];
            for j in 0..n {
                let p = V::load(p.add(j * ROWS + l));
                for (f, sum) in sums.iter_mut().enumerate() {
                    *sum = p.mul_add(V::load(x.add(j * step + f * ROWS + l)), *sum);
                }
            }
            for (f, sum) in sums.into_iter().enumerate() {
                sum.store(out.add(f * ROWS + l));
            }
        }
    }
}

/// What one head hands back to `n` cells and to its query, each array as in [`dot_cells`]:
///
/// ```text
/// d_value[j, f] += weight[j] grad[f]      d_key[j, f] += score[j] query[f]
/// out[f] = Σ_j score[j] key[j, f]
/// ```
pub(super) struct Return<S> {
    /// `[n]`: weights, and gradients of scores.
    pub(super) weight: *const S,
    pub(super) score: *const S,
    /// `[width]`: gradient of what was read, and query.
    pub(super) grad: *const S,
    pub(super) query: *const S,
    /// `[n, width]`, `step` numbers from cell to cell.
    pub(super) key: *const S,
    pub(super) d_value: *mut S,
    pub(super) d_key: *mut S,
    pub(super) step: usize,
    /// `[width]`
    pub(super) out: *mut S,
}

impl<S: Scalar> Return<S> {
    #[inline(always)]
    pub(super) unsafe fn run<V: Vector<Scalar = S>>(&self, n: usize, width: usize) {
        let mut f = 0;
        unsafe {
            while f + 4 <= width {
                self.some::<V, 4>(n, f);
                f += 4;
            }
            match width - f {
                3 => self.some::<V, 3>(n, f),
                2 => self.some::<V, 2>(n, f),
                1 => self.some::<V, 1>(n, f),
                _ => {}
            }
        }
    }

    /// `N` features from `first`.
    #[inline(always)]
    unsafe fn some<V: Vector<Scalar = S>, const N: usize>(&self, n: usize, first: usize) {
        for l in (0..ROWS).step_by(V::LANES) {
            unsafe {
                let start = first * ROWS + l;
                let (mut grad, mut query, mut out) =
                    ([V::zero(); N], [V::zero(); N], [V::zero(); N]);
                for f in 0..N {
                    grad[f] = V::load(self.grad.add(start + f * ROWS));
                    query[f] = V::load(self.query.add(start + f * ROWS));
                }
                for j in 0..n {
                    let weight = V::load(self.weight.add(j * ROWS + l));
                    let score = V::load(self.score.add(j * ROWS + l));
                    for f in 0..N {
                        let at = start + j * self.step + f * ROWS;
                        let (d_value, d_key) = (self.d_value.add(at), self.d_key.add(at));
                        weight.mul_add(grad[f], V::load(d_value)).store(d_value);
                        score.mul_add(query[f], V::load(d_key)).store(d_key);
                        out[f] = score.mul_add(V::load(self.key.add(at)), out[f]);
                    }
                }
                for (f, out) in out.into_iter().enumerate() {
                    out.store(self.out.add(start + f * ROWS));
                }
            }
        }
    }
}

/// Softmax over `n` blocks of one feature each, in place.
#[inline(always)]
pub(super) unsafe fn softmax<V: Vector<Scalar: Tables>>(n: usize, p: *mut V::Scalar) {
    for l in (0..ROWS).step_by(V::LANES) {
        unsafe {
            let p = p.add(l);
            let mut max = V::load(p);
            for j in 1..n {
                max = max.max(V::load(p.add(j * ROWS)));
            }
            let mut sum = V::zero();
            for j in 0..n {
                let e = exp(V::load(p.add(j * ROWS)).sub(max));
                e.store(p.add(j * ROWS));
                sum = sum.add(e);
            }
            let share = V::splat(V::Scalar::ONE).div(sum);
            for j in 0..n {
                V::load(p.add(j * ROWS)).mul(share).store(p.add(j * ROWS));
            }
        }
    }
}

/// Adds `Σ dy` and `Σ dy x̂` of one feature over the lanes that count to `to[0]`, `to[n]`.
#[inline(always)]
pub(super) unsafe fn add_sums<V: Vector>(
    dy: *const V::Scalar,
    y: *const V::Scalar,
    mask: *const V::Scalar,
) -> [f64; 2] {
    let (mut sum, mut dot) = unsafe { (V::zero(), V::zero()) };
    for l in (0..ROWS).step_by(V::LANES) {
        unsafe {
            let dy = V::load(dy.add(l)).mul(V::load(mask.add(l)));
            sum = sum.add(dy);
            dot = dy.mul_add(V::load(y.add(l)), dot);
        }
    }
    unsafe { [sum.sum().to_f64(), dot.sum().to_f64()] }
}
