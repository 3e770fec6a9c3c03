//! The two products with a weight matrix (forward, and back to the input), by chunks of rows.
//!
//! Where there are many rows, the weights are packed once into panels as wide as the register tile; a chunk of rows then
//! streams through all panels while its results are still in cache, and the epilogue (bias,
//! activation) runs on them at once.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use rayon::prelude::*;

use crate::cpu::aligned::Aligned;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::Tables;
use crate::cpu::matmul::MatMul;
use crate::cpu::simd::{Scalar, Vector};
use crate::cpu::view::Ptr;

/// Columns per panel: two AVX-512 vectors, four AVX2 vectors of `f32`.
const PANEL: usize = 32;

/// Up to so many rows a product reads the weights where they are: packing them would take longer
/// than it saves.
pub(super) const FEW: usize = 48;

/// From so many numbers on, all threads pack a weight.
const LARGE: usize = 1 << 17;

/// A weight matrix `[k, n]` in panels of [`PANEL`] columns, each `[k, PANEL]`, or as it is.
pub(crate) struct Packed<S> {
    /// Keeps the memory that `first` points to, unless the caller does.
    panels: Option<Aligned<S>>,
    first: Ptr<S>,
    /// Columns per panel.
    width: usize,
    /// Distance between the panels, per column.
    panel_step: usize,
    /// Distance between rows of a panel.
    row: usize,
    k: usize,
    n: usize,
}

impl<S: Scalar> Packed<S> {
    /// Packs `W` (`k` rows, `n` columns) given its strides; swap them to pack `Wᵀ`.
    pub(crate) unsafe fn new(w: Ptr<S>, k: usize, n: usize, row: usize, col: usize) -> Self {
        let panels: Aligned<S> = Aligned::zeros(n.div_ceil(PANEL) * PANEL * k);
        let to = panels.ptr();
        let pack = |panel: usize| {
            let first = panel * PANEL;
            let width = PANEL.min(n - first);
            let panel = to.at(first * k);
            if col == 1 {
                for i in 0..k {
                    let from = w.at(i * row + first);
                    unsafe { from.copy_to_nonoverlapping(panel.add(i * PANEL), width) };
                }
            } else {
                for j in 0..width {
                    let column = w.at((first + j) * col);
                    for i in 0..k {
                        unsafe { *panel.add(i * PANEL + j) = *column.add(i * row) };
                    }
                }
            }
        };
        if n * k < LARGE {
            (0..n.div_ceil(PANEL)).for_each(pack);
        } else {
            (0..n.div_ceil(PANEL)).into_par_iter().for_each(pack);
        }
        Self { panels: Some(panels), first: to, width: PANEL, panel_step: k, row: PANEL, k, n }
    }

    /// `W` as one panel where it is; rows are contiguous, and `w` outlives the result.
    pub(crate) fn in_place(w: Ptr<S>, k: usize, n: usize) -> Self {
        Self { panels: None, first: w, width: n.max(1), panel_step: 0, row: n, k, n }
    }

    /// `W` as panels that lie at `at` and outlive the result; see [`Packed::into_panels`].
    pub(crate) fn of_panels(at: Ptr<S>, k: usize, n: usize) -> Self {
        Self { panels: None, first: at, width: PANEL, panel_step: k, row: PANEL, k, n }
    }

    /// The panels of [`Packed::new`], one after the other.
    pub(crate) fn into_panels(self) -> Vec<S> {
        self.panels.map_or_else(Vec::new, |panels| unsafe { panels.as_slice() }.to_vec())
    }

    /// `C = A W` for `m` rows of `A` and of `C`, given as pointers and distances between rows.
    #[inline(always)]
    pub(crate) unsafe fn multiply<V: Vector<Scalar = S>>(
        &self,
        m: usize,
        (a, a_row): (*const S, usize),
        (c, c_row): (*mut S, usize),
    ) {
        for first in (0..self.n).step_by(self.width) {
            unsafe {
                V::matmul(MatMul {
                    m,
                    n: self.width.min(self.n - first),
                    k: self.k,
                    a,
                    a_row,
                    a_col: 1,
                    b: self.first.at(first * self.panel_step),
                    b_row: self.row,
                    c: c.add(first),
                    c_row,
                    accumulate: false,
                });
            }
        }
    }
}

/// `C = A W` for some rows of `A`, both row-major without gaps.
pub(super) struct Rows<'a, S> {
    pub(super) m: usize,
    pub(super) a: *const S,
    pub(super) w: &'a Packed<S>,
    pub(super) c: *mut S,
}

impl<S: Tables> Kernel<S> for Rows<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { m, a, w, c } = self;
        unsafe { w.multiply::<V>(m, (a, w.k), (c, w.n)) }
    }
}

/// Runs [`Rows`] at the best level.
pub(super) unsafe fn multiply<S: Tables>(rows: Rows<'_, S>) {
    unsafe { launch(rows) }
}
