//! The tiles of the backward pass and how they lie in memory.
#![expect(unsafe_code, reason = "reads tiles through raw pointers")]

use super::Problem;
use crate::cpu::aligned::Aligned;
use crate::cpu::layout::copy_rows;
use crate::cpu::math::Tables;
use crate::cpu::simd::Vector;
use crate::cpu::view::Storage;

/// Queries per tile; rows of the products that make `∂Q`.
pub(super) const QUERIES: usize = 48;
/// Keys per tile.
pub(super) const KEYS: usize = 64;
/// What a row of a score tile is longer than its keys: padding against cache-set conflicts.
pub(super) const PADDING: usize = 16;

/// Tiles of one task, reused over its loop; no larger than the sequences.
pub(super) struct Scratch<S> {
    /// Row length of `k_t`, `v_t`, `p`, `ds`, and of `dk` and `dv` where they are transposed.
    pub(super) row: usize,
    /// Times the scale; as rows, or in pairs of rows where two fit into a register.
    pub(super) k: Aligned<S>,
    pub(super) k_t: Aligned<S>,
    pub(super) v_t: Aligned<S>,
    pub(super) q: Aligned<S>,
    pub(super) g: Aligned<S>,
    /// Transposed where [`is_narrow`].
    pub(super) dk: Aligned<S>,
    pub(super) dv: Aligned<S>,
    pub(super) dw: Aligned<S>,
    pub(super) p: Aligned<S>,
    pub(super) ds: Aligned<S>,
    pub(super) bias: Aligned<S>,
}

/// Whether rows of `d` numbers are no longer than a register: then sums over queries are kept transposed,
/// so that the keys fill the registers.
pub(super) const fn is_narrow<V: Vector>(d: usize) -> bool {
    d <= V::LANES
}

impl<S: Storage + Tables> Scratch<S> {
    pub(super) fn new(p: &Problem) -> Self {
        let (d_k, d_v) = (p.d_k, p.d_v);
        let (keys, queries) = (KEYS.min(p.time_k), QUERIES.min(p.time_q));
        // Whole registers of any instruction set fit into the last columns.
        let row = keys.next_multiple_of(PADDING) + PADDING;
        Self {
            row,
            k: Aligned::new(keys.next_multiple_of(PADDING) * d_k.max(PADDING)),
            k_t: Aligned::new(d_k * row),
            v_t: Aligned::new(d_v * row),
            q: Aligned::new(queries * d_k),
            g: Aligned::new(queries * d_v),
            dk: Aligned::new(row * d_k),
            dv: Aligned::new(row * d_v),
            dw: Aligned::new(row),
            p: Aligned::new(queries * row),
            ds: Aligned::new(queries * row),
            bias: Aligned::new(row),
        }
    }
}

/// Writes `n` rows of `d` sums over queries to rows at a distance.
#[inline(always)]
pub(super) unsafe fn store_sums<V: Vector>(
    sums: &Aligned<V::Scalar>,
    row: usize,
    [n, d]: [usize; 2],
    to: (*mut V::Scalar, usize),
) {
    let from = sums.ptr().0.cast_const();
    unsafe {
        if is_narrow::<V>(d) {
            V::transpose([d, n], (from, row), to);
        } else {
            copy_rows::<V>([n, d], (from, d), to);
        }
    }
}
