//! What both passes do with a row of scores.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use std::f64::consts::{LN_2, LOG2_E};
use std::ops::Range;

use crate::cpu::math::Tables;
use crate::cpu::simd::{Scalar, Vector};
use crate::cpu::weight::weight;
use crate::pointwise::load;

/// `q · k` of one query and some keys, four keys at a time.
#[inline(always)]
pub(super) unsafe fn products<V: Vector>(
    q: *const V::Scalar,
    (keys, k_row): (*const V::Scalar, usize),
    d: usize,
    (to, n): (*mut V::Scalar, usize),
) {
    for first in (0..n).step_by(4) {
        unsafe {
            // The last key is read again where fewer than four are left.
            let a = keys.add(first * k_row);
            let b = keys.add((first + 1).min(n - 1) * k_row);
            let c = keys.add((first + 2).min(n - 1) * k_row);
            let e = keys.add((first + 3).min(n - 1) * k_row);
            let (mut sa, mut sb, mut sc, mut se) = (V::zero(), V::zero(), V::zero(), V::zero());
            let mut j = 0;
            while j < d {
                let lanes = V::LANES.min(d - j);
                let q = load::<V>(q.add(j), lanes);
                sa = q.mul_add(load::<V>(a.add(j), lanes), sa);
                sb = q.mul_add(load::<V>(b.add(j), lanes), sb);
                sc = q.mul_add(load::<V>(c.add(j), lanes), sc);
                se = q.mul_add(load::<V>(e.add(j), lanes), se);
                j += lanes;
            }
            for (i, sum) in [sa, sb, sc, se].into_iter().enumerate().take(n - first) {
                *to.add(first + i) = sum.sum();
            }
        }
    }
}

/// The part of `keys` in the tile of `n` keys from `key`, counted from `key`.
#[inline(always)]
pub(super) fn within(keys: Range<usize>, key: usize, n: usize) -> Range<usize> {
    keys.start.saturating_sub(key).min(n)..keys.end.saturating_sub(key).min(n)
}

/// Blocks those of `n` keys that a query does not see.
#[inline(always)]
pub(super) unsafe fn block_unseen<S: Scalar>(row: *mut S, n: usize, seen: Range<usize>) {
    if seen.len() < n {
        for j in (0..seen.start).chain(seen.end..n) {
            unsafe { *row.add(j) = S::NEG_INFINITY };
        }
    }
}

/// Turns a row of products with `n` keys into weights, updates `m` and `l`, returns `2^{m − m'}`.
///
/// `bias` is as long as the registers that hold the row, and blocks what lies behind the keys. Without `BIAS` it is zero
/// elsewhere, and read where a register holds more than keys alone.
#[inline(always)]
pub(super) unsafe fn weights<V: Vector<Scalar: Tables>, const BIAS: bool>(
    scale: f64,
    row: *mut V::Scalar,
    bias: &[V::Scalar],
    n: usize,
    m: &mut V::Scalar,
    l: &mut V::Scalar,
) -> V::Scalar {
    unsafe {
        let scale = V::splat(V::Scalar::from_f64(scale * LOG2_E));
        let plain = if BIAS { 0 } else { n - n % V::LANES };
        let mut largest = V::splat(V::Scalar::NEG_INFINITY);
        for j in (0..plain).step_by(V::LANES) {
            largest = V::load(row.add(j)).max(largest);
        }
        largest = if BIAS { largest } else { largest.mul(scale) };
        for j in (plain..bias.len()).step_by(V::LANES) {
            let s = V::load(row.add(j)).mul_add(scale, V::load(bias.as_ptr().add(j)));
            largest = s.max(largest);
        }
        let old = *m;
        let tile_max = largest.largest();
        let new = if tile_max > old { tile_max } else { old };
        // With every key blocked so far the maximum is −∞: subtract zero, and get zeros.
        let shift = if new == V::Scalar::NEG_INFINITY { V::Scalar::ZERO } else { new };
        let minus = V::splat(V::Scalar::ZERO.sub(shift));
        let mut sum = V::zero();
        for j in (0..plain).step_by(V::LANES) {
            let w = weight(V::load(row.add(j)).mul_add(scale, minus));
            w.store(row.add(j));
            sum = sum.add(w);
        }
        for j in (plain..bias.len()).step_by(V::LANES) {
            let shift = V::load(bias.as_ptr().add(j)).add(minus);
            let w = weight(V::load(row.add(j)).mul_add(scale, shift));
            w.store(row.add(j));
            sum = sum.add(w);
        }
        let shrink =
            if new == old { V::Scalar::ONE } else { weight(V::splat(old).add(minus)).largest() };
        *m = new;
        *l = l.mul(shrink).add(sum.sum());
        shrink
    }
}

/// `ln(l 2^m)`.
pub(super) fn log_sum<S: Scalar>(m: S, l: S) -> f64 {
    m.to_f64().mul_add(LN_2, l.to_f64().ln())
}

/// `row *= factor`.
#[inline(always)]
pub(super) unsafe fn scale_row<V: Vector>(row: *mut V::Scalar, n: usize, factor: V::Scalar) {
    unsafe {
        let factor = V::splat(factor);
        let mut j = 0;
        while j + V::LANES <= n {
            V::load(row.add(j)).mul(factor).store(row.add(j));
            j += V::LANES;
        }
        if j < n {
            V::load_partial(row.add(j), n - j).mul(factor).store_partial(row.add(j), n - j);
        }
    }
}
