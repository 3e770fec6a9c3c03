//! The transform of some fields to their modes, and back.
//!
//! ```text
//! along rows:     u_f = Σ_r cos(φ_f r) x[r]      v_f = Σ_r sin(φ_f r) x[r]
//! along columns:  the same of both, so that X[±f, k] = (u cos ∓ v sin) − i (±v cos + u sin)
//! ```
//!
//! The way back runs through the same steps from the end. A tile of [`TILE`] numbers at each point of an
//! axis is folded into scratch that stays in cache and multiplied there.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use rayon::prelude::*;

use super::grid::Grid;
use super::waves::Axis;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::Tables;
use crate::cpu::matmul::MatMul;
use crate::cpu::simd::Vector;
use crate::cpu::view::Ptr;

/// Numbers per point that are transformed together.
const TILE: usize = 64;
/// Between rows of intermediate results, so that their distance is no power of two.
const PAD: usize = 16;
/// Below this many multiply-adds a second thread does not pay.
const SERIAL: usize = 1 << 16;

/// The transform of fields of one size.
pub(super) struct Transform<S> {
    pub(super) grid: Grid,
    rows: Axis<S>,
    columns: Axis<S>,
}

/// Some fields, `[batch, rows, columns, d]`, and their modes, `[n_rows · n_columns, batch, 2, d]`.
#[derive(Clone, Copy)]
pub(super) struct Fields<S> {
    pub(super) batch: usize,
    pub(super) d: usize,
    pub(super) x: Ptr<S>,
    pub(super) modes: Ptr<S>,
}

/// Whether fields become modes or modes fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Back,
}

/// Memory for one field between the steps.
struct Scratch<S> {
    /// After rows: waves along rows, then points along columns.
    waves: Vec<S>,
    /// After columns: waves along columns, then waves along rows.
    both: Vec<S>,
    tile: Vec<S>,
}

impl<S: Tables> Transform<S> {
    pub(super) fn new(grid: Grid) -> Self {
        let rows = Axis::new(grid.rows, grid.pairs.len());
        let columns = Axis::new(grid.columns, grid.n_columns);
        Self { grid, rows, columns }
    }

    /// Transforms all fields; column `k` of the modes is multiplied by `shares[k]`. Unused modes are
    /// neither read nor written.
    ///
    /// # Safety
    /// The pointers are valid for the sizes.
    pub(super) unsafe fn run(&self, fields: Fields<S>, shares: &[S], direction: Direction) {
        let work = |b: usize, scratch: &mut Scratch<S>, shared: bool| unsafe {
            let waves = Ptr(scratch.waves.as_mut_ptr());
            let both = Ptr(scratch.both.as_mut_ptr());
            let tile = Ptr(scratch.tile.as_mut_ptr());
            let d = fields.d;
            let x = Ptr(fields.x.at(b * self.grid.rows * self.grid.columns * d));
            let along_rows = || {
                self.for_each_tile(self.row_tiles(d), shared, tile, |t, tile| {
                    launch(self.row_tile(t, d, [x, waves, tile], direction));
                });
            };
            let along_columns = || {
                self.for_each_tile(self.column_tiles(d), shared, tile, |t, tile| {
                    launch(self.column_tile(t, d, [waves, both, tile], direction));
                });
            };
            let join = Join { transform: self, fields, b, shares, both, direction };
            match direction {
                Direction::Forward => {
                    along_rows();
                    along_columns();
                    launch(join);
                }
                Direction::Back => {
                    launch(join);
                    along_columns();
                    along_rows();
                }
            }
        };
        let points = self.grid.rows * self.grid.columns * fields.batch * fields.d;
        let serial = points * self.n_waves() < SERIAL;
        // With fewer fields than threads, threads share the tiles of a field.
        let shared = !serial && fields.batch < rayon::current_num_threads();
        if serial || shared {
            let mut scratch = self.scratch(fields.d);
            (0..fields.batch).for_each(|b| work(b, &mut scratch, shared));
        } else {
            (0..fields.batch)
                .into_par_iter()
                .for_each_init(|| self.scratch(fields.d), |scratch, b| work(b, scratch, false));
        }
    }

    fn scratch(&self, d: usize) -> Scratch<S> {
        Scratch {
            waves: Vec::with_capacity(self.n_waves() * self.wave_step(d)),
            both: Vec::with_capacity((2 * self.columns.n_waves - 1) * self.both_step(d)),
            tile: Vec::with_capacity(self.tile_size()),
        }
    }

    /// Cosines, then sines without the first, along rows.
    fn n_waves(&self) -> usize {
        2 * self.rows.n_waves - 1
    }

    fn wave_step(&self, d: usize) -> usize {
        self.grid.columns * d + PAD
    }

    fn both_step(&self, d: usize) -> usize {
        self.n_waves() * d + PAD
    }

    fn tile_size(&self) -> usize {
        self.grid.rows.max(self.grid.columns) * TILE
    }

    fn row_tiles(&self, d: usize) -> usize {
        (self.grid.columns * d).div_ceil(TILE)
    }

    /// Parts of the channels of one wave, or several waves.
    fn column_tiles(&self, d: usize) -> usize {
        if d < TILE { self.n_waves().div_ceil(TILE / d) } else { self.n_waves() * d.div_ceil(TILE) }
    }

    fn for_each_tile(
        &self,
        n: usize,
        shared: bool,
        tile: Ptr<S>,
        f: impl Fn(usize, Ptr<S>) + Sync,
    ) {
        if shared {
            let scratch = || Vec::<S>::with_capacity(self.tile_size());
            (0..n).into_par_iter().for_each_init(scratch, |tile, t| f(t, Ptr(tile.as_mut_ptr())));
        } else {
            (0..n).for_each(|t| f(t, tile));
        }
    }

    fn row_tile(
        &self,
        t: usize,
        d: usize,
        [x, waves, tile]: [Ptr<S>; 3],
        direction: Direction,
    ) -> Tile<'_, S> {
        let (first, step) = (t * TILE, self.wave_step(d));
        let row = self.grid.columns * d;
        Tile {
            axis: &self.rows,
            points: x.at(first),
            step: row,
            groups: 1,
            group_step: 0,
            width: TILE.min(row - first),
            cosines: waves.at(first),
            sines: waves.at(self.rows.n_waves * step + first),
            wave_step: step,
            scratch: tile.0,
            direction,
        }
    }

    fn column_tile(
        &self,
        t: usize,
        d: usize,
        [waves, both, tile]: [Ptr<S>; 3],
        direction: Direction,
    ) -> Tile<'_, S> {
        let (wave, groups, first) = if d < TILE {
            let each = TILE / d;
            (t * each, each.min(self.n_waves() - t * each), 0)
        } else {
            let each = d.div_ceil(TILE);
            (t / each, 1, t % each * TILE)
        };
        let (step, at) = (self.both_step(d), wave * d + first);
        Tile {
            axis: &self.columns,
            points: waves.at(wave * self.wave_step(d) + first),
            step: d,
            groups,
            group_step: self.wave_step(d),
            width: TILE.min(d - first),
            cosines: both.at(at),
            sines: both.at(self.columns.n_waves * step + at),
            wave_step: step,
            scratch: tile.0,
            direction,
        }
    }
}

/// At most [`TILE`] numbers at each point of an axis, and at each of its waves.
struct Tile<'a, S> {
    axis: &'a Axis<S>,
    /// `groups` runs of `width` numbers at each point.
    points: *mut S,
    /// Distance between points.
    step: usize,
    groups: usize,
    group_step: usize,
    width: usize,
    /// `groups · width` numbers at each wave.
    cosines: *mut S,
    sines: *mut S,
    /// Distance between waves.
    wave_step: usize,
    scratch: *mut S,
    direction: Direction,
}

impl<S: Tables> Kernel<S> for Tile<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        unsafe {
            match self.direction {
                Direction::Forward => {
                    self.fold::<V>();
                    self.multiply::<V>();
                }
                Direction::Back => {
                    self.multiply::<V>();
                    self.unfold::<V>();
                }
            }
        }
    }
}

impl<S: Tables> Tile<'_, S> {
    /// The product with cosines, then that with sines.
    #[inline(always)]
    unsafe fn multiply<V: Vector<Scalar = S>>(&self) {
        let axis = self.axis;
        let (n_even, n_odd) = (axis.n_even(), axis.n_odd());
        let odd = self.scratch.wrapping_add(n_even * TILE);
        for (waves, matrix, n_points, points, coefficients) in [
            (axis.n_waves, &axis.cosines, n_even, self.scratch, self.cosines),
            (axis.n_waves - 1, &axis.sines, n_odd, odd, self.sines),
        ] {
            let n = self.groups * self.width;
            let (a, accumulate) = (matrix.as_ptr(), false);
            let (of_points, of_waves) = ((points, TILE), (coefficients, self.wave_step));
            let product = match self.direction {
                Direction::Forward => {
                    let ((b, b_row), (c, c_row)) = (of_points, of_waves);
                    let (m, k, a_row, a_col) = (waves, n_points, n_points, 1);
                    MatMul { m, n, k, a, a_row, a_col, b, b_row, c, c_row, accumulate }
                }
                Direction::Back => {
                    let ((b, b_row), (c, c_row)) = (of_waves, of_points);
                    let (m, k, a_row, a_col) = (n_points, waves, 1, n_points);
                    MatMul { m, n, k, a, a_row, a_col, b, b_row, c, c_row, accumulate }
                }
            };
            unsafe { V::matmul(product) };
        }
    }

    /// Calls `f(run of a point, run of the opposite one, sum, difference)` for all pairs, and for points
    /// without an opposite one with nulls.
    #[inline(always)]
    unsafe fn for_each_pair(&self, f: impl Fn(*mut S, *mut S, *mut S, *mut S)) {
        let n = self.axis.n;
        let odd = self.scratch.wrapping_add(self.axis.n_even() * TILE);
        for j in 0..self.axis.n_even() {
            let alone = j == 0 || 2 * j == n;
            for group in 0..self.groups {
                let to = group * self.width;
                let from = self.points.wrapping_add(group * self.group_step);
                let even = self.scratch.wrapping_add(j * TILE + to);
                let here = from.wrapping_add(j * self.step);
                if alone {
                    f(here, std::ptr::null_mut(), even, std::ptr::null_mut());
                } else {
                    let odd = odd.wrapping_add((j - 1) * TILE + to);
                    f(here, from.wrapping_add((n - j) * self.step), even, odd);
                }
            }
        }
    }

    /// Points to sums and differences.
    #[inline(always)]
    unsafe fn fold<V: Vector<Scalar = S>>(&self) {
        let width = self.width;
        unsafe {
            self.for_each_pair(|here, opposite, even, odd| {
                if opposite.is_null() {
                    std::ptr::copy_nonoverlapping(here, even, width);
                } else {
                    sum_and_difference::<V>(width, [here, opposite], [even, odd]);
                }
            });
        }
    }

    /// Sums and differences to points.
    #[inline(always)]
    unsafe fn unfold<V: Vector<Scalar = S>>(&self) {
        let width = self.width;
        unsafe {
            self.for_each_pair(|here, opposite, even, odd| {
                if opposite.is_null() {
                    std::ptr::copy_nonoverlapping(even, here, width);
                } else {
                    sum_and_difference::<V>(width, [even, odd], [here, opposite]);
                }
            });
        }
    }
}

#[inline(always)]
unsafe fn sum_and_difference<V: Vector>(
    n: usize,
    [a, b]: [*mut V::Scalar; 2],
    [sum, difference]: [*mut V::Scalar; 2],
) {
    use crate::cpu::simd::Scalar as _;
    let mut i = 0;
    unsafe {
        while i + V::LANES <= n {
            let [a, b] = [V::load(a.add(i)), V::load(b.add(i))];
            a.add(b).store(sum.add(i));
            a.sub(b).store(difference.add(i));
            i += V::LANES;
        }
        while i < n {
            let [a, b] = [*a.add(i), *b.add(i)];
            *sum.add(i) = a.add(b);
            *difference.add(i) = a.sub(b);
            i += 1;
        }
    }
}

/// From waves along both axes to complex modes, or back, for one field.
struct Join<'a, S> {
    transform: &'a Transform<S>,
    fields: Fields<S>,
    /// The field.
    b: usize,
    shares: &'a [S],
    both: Ptr<S>,
    direction: Direction,
}

impl<S: Tables> Kernel<S> for Join<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let grid = &self.transform.grid;
        let n_columns = grid.n_columns;
        let (batch, d) = (self.fields.batch, self.fields.d);
        let step = self.transform.both_step(d);
        let n_pairs = grid.pairs.len();
        // What waves and modes that do not exist are read from and written to.
        let zeros = vec![S::ZERO; d];
        let mut nowhere = vec![S::ZERO; 2 * d];
        let nowhere = nowhere.as_mut_ptr();
        for (f, pair) in grid.pairs.iter().enumerate() {
            for (k, &share) in self.shares.iter().enumerate() {
                let wave = |sine_row: bool, sine_column: bool| {
                    if (sine_row && f == 0) || (sine_column && k == 0) {
                        return None;
                    }
                    let row = if sine_row { n_pairs + f - 1 } else { f };
                    let column = if sine_column { n_columns + k - 1 } else { k };
                    Some(self.both.at(column * step + row * d))
                };
                let waves = [(false, false), (false, true), (true, false), (true, true)]
                    .map(|(row, column)| wave(row, column));
                let modes = [pair.plus, pair.minus].map(|mode| {
                    let mode = mode? * n_columns + k;
                    Some(self.fields.modes.at((mode * batch + self.b) * 2 * d))
                });
                let zeros = zeros.as_ptr().cast_mut();
                unsafe {
                    match self.direction {
                        Direction::Forward => {
                            let waves = waves.map(|at| at.unwrap_or(zeros));
                            join::<V>(d, share, waves, modes.map(|at| at.unwrap_or(nowhere)));
                        }
                        Direction::Back => {
                            let none = [zeros; 2];
                            let modes = modes.map(|at| at.map_or(none, |at| [at, at.add(d)]));
                            split::<V>(d, share, modes, waves.map(|at| at.unwrap_or(nowhere)));
                        }
                    }
                }
            }
        }
    }
}

/// `X[±f, k]` from waves `cos cos`, `cos sin`, `sin cos`, `sin sin` along rows and columns.
#[inline(always)]
unsafe fn join<V: Vector>(
    d: usize,
    share: V::Scalar,
    [cc, cs, sc, ss]: [*mut V::Scalar; 4],
    [plus, minus]: [*mut V::Scalar; 2],
) {
    unsafe {
        let share = V::splat(share);
        for i in (0..d).step_by(V::LANES) {
            let lanes = V::LANES.min(d - i);
            let mut read = [V::zero(); 4];
            for (value, from) in read.iter_mut().zip([cc, cs, sc, ss]) {
                *value = load::<V>(from.add(i), lanes).mul(share);
            }
            let [cc, cs, sc, ss] = read;
            store::<V>(cc.sub(ss), plus.add(i), lanes);
            store::<V>(V::zero().sub(sc.add(cs)), plus.add(d + i), lanes);
            store::<V>(cc.add(ss), minus.add(i), lanes);
            store::<V>(sc.sub(cs), minus.add(d + i), lanes);
        }
    }
}

/// Coefficients of the waves from `Y[±f, k]`, whose real part is the field.
#[inline(always)]
unsafe fn split<V: Vector>(
    d: usize,
    share: V::Scalar,
    [plus, minus]: [[*mut V::Scalar; 2]; 2],
    [cc, cs, sc, ss]: [*mut V::Scalar; 4],
) {
    unsafe {
        let (share, less) = (V::splat(share), V::zero().sub(V::splat(share)));
        for i in (0..d).step_by(V::LANES) {
            let lanes = V::LANES.min(d - i);
            let [re_plus, im_plus] =
                [load::<V>(plus[0].add(i), lanes), load::<V>(plus[1].add(i), lanes)];
            let [re_minus, im_minus] =
                [load::<V>(minus[0].add(i), lanes), load::<V>(minus[1].add(i), lanes)];
            store::<V>(re_plus.add(re_minus).mul(share), cc.add(i), lanes);
            store::<V>(im_plus.add(im_minus).mul(less), cs.add(i), lanes);
            store::<V>(im_plus.sub(im_minus).mul(less), sc.add(i), lanes);
            store::<V>(re_plus.sub(re_minus).mul(less), ss.add(i), lanes);
        }
    }
}

/// A register, or its first lanes.
#[inline(always)]
unsafe fn load<V: Vector>(from: *const V::Scalar, lanes: usize) -> V {
    unsafe { if lanes == V::LANES { V::load(from) } else { V::load_partial(from, lanes) } }
}

/// A register, or its first lanes.
#[inline(always)]
unsafe fn store<V: Vector>(x: V, to: *mut V::Scalar, lanes: usize) {
    unsafe { if lanes == V::LANES { x.store(to) } else { x.store_partial(to, lanes) } }
}
