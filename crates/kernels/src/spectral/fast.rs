//! The transform of some fields to their modes, and back, through fast Fourier transforms.
//!
//! One channel of one field after another: rows, of which only the first waves go on, then their columns. The
//! transforms themselves are those of `rustfft` and `realfft`, of any length.
#![expect(unsafe_code, reason = "raw memory that threads share")]

use std::sync::Arc;

use rayon::prelude::*;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftNum, FftPlanner};

use super::cost::transform_products;
use super::grid::Grid;
use super::transform::{Direction, Fields};
use crate::cpu::simd::Scalar;

/// Below this many points in all a second thread does not pay.
const SERIAL: usize = 1 << 14;
/// Nanoseconds of a multiply-add of [`super::transform`] where channels fill its registers; the ignored test
/// `both_forms_are_timed` measures both constants.
const PRODUCT: f64 = 0.07;
/// So many channels double the time of a product.
const NARROW: f64 = 4.0;
/// Nanoseconds per point and logarithm of their number here.
const BUTTERFLY: f64 = 0.45;

/// The fast transforms of fields of one size.
pub(super) struct FastTransform<'a, S: FftNum> {
    grid: &'a Grid,
    /// Rows of multipliers, and their rows of the grid.
    used: Vec<(usize, usize)>,
    to_waves: Arc<dyn RealToComplex<S>>,
    to_points: Arc<dyn ComplexToReal<S>>,
    forward: Arc<dyn Fft<S>>,
    back: Arc<dyn Fft<S>>,
}

/// Memory for one channel of one field.
struct Scratch<S> {
    row: Vec<S>,
    /// Waves of one row.
    waves: Vec<Complex<S>>,
    /// `[n_columns, rows]`
    columns: Vec<Complex<S>>,
    own: Vec<Complex<S>>,
}

impl<'a, S: Scalar + FftNum> FastTransform<'a, S> {
    pub(super) fn new(grid: &'a Grid) -> Self {
        let (mut real, mut complex) = (RealFftPlanner::new(), FftPlanner::new());
        Self {
            grid,
            used: grid.used(),
            to_waves: real.plan_fft_forward(grid.columns),
            to_points: real.plan_fft_inverse(grid.columns),
            forward: complex.plan_fft_forward(grid.rows),
            back: complex.plan_fft_inverse(grid.rows),
        }
    }

    /// As [`super::transform::Transform::run`].
    ///
    /// # Safety
    /// The pointers are valid for the sizes.
    pub(super) unsafe fn run(&self, fields: Fields<S>, shares: &[S], direction: Direction) {
        let work = |scratch: &mut Scratch<S>, i: usize| {
            let (b, channel) = (i / fields.d, i % fields.d);
            unsafe {
                match direction {
                    Direction::Forward => self.to_modes(fields, b, channel, shares, scratch),
                    Direction::Back => self.to_field(fields, b, channel, shares, scratch),
                }
            }
        };
        let n = fields.batch * fields.d;
        if n * self.grid.rows * self.grid.columns < SERIAL {
            let mut scratch = self.scratch();
            (0..n).for_each(|i| work(&mut scratch, i));
        } else {
            (0..n).into_par_iter().for_each_init(|| self.scratch(), work);
        }
    }

    fn scratch(&self) -> Scratch<S> {
        let zeros = |n| vec![Complex::default(); n];
        let own = [
            self.to_waves.get_scratch_len(),
            self.to_points.get_scratch_len(),
            self.forward.get_inplace_scratch_len(),
            self.back.get_inplace_scratch_len(),
        ];
        Scratch {
            row: vec![S::ZERO; self.grid.columns],
            waves: zeros(self.grid.columns / 2 + 1),
            columns: zeros(self.grid.n_columns * self.grid.rows),
            own: zeros(own.into_iter().max().unwrap_or(0)),
        }
    }

    /// Where one mode of field `b` lies: the real parts of its channels, then the imaginary parts.
    fn mode(&self, fields: Fields<S>, b: usize, mode: usize, k: usize) -> *mut S {
        fields.modes.at(((mode * self.grid.n_columns + k) * fields.batch + b) * 2 * fields.d)
    }

    unsafe fn to_modes(
        &self,
        fields: Fields<S>,
        b: usize,
        channel: usize,
        shares: &[S],
        scratch: &mut Scratch<S>,
    ) {
        let Scratch { row, waves, columns, own } = scratch;
        let Grid { rows, columns: width, .. } = *self.grid;
        for r in 0..rows {
            let from = fields.x.at((b * rows + r) * width * fields.d + channel);
            for (c, value) in row.iter_mut().enumerate() {
                *value = unsafe { *from.wrapping_add(c * fields.d) };
            }
            self.to_waves.process_with_scratch(row, waves, own).expect("sizes of the plan");
            for (column, wave) in columns.iter_mut().skip(r).step_by(rows).zip(&*waves) {
                *column = *wave;
            }
        }
        self.forward.process_with_scratch(columns, own);
        for &(mode, f) in &self.used {
            for (k, &share) in shares.iter().enumerate() {
                let wave = columns[k * rows + f];
                let to = self.mode(fields, b, mode, k);
                unsafe {
                    *to.wrapping_add(channel) = wave.re * share;
                    *to.wrapping_add(fields.d + channel) = wave.im * share;
                }
            }
        }
    }

    unsafe fn to_field(
        &self,
        fields: Fields<S>,
        b: usize,
        channel: usize,
        shares: &[S],
        scratch: &mut Scratch<S>,
    ) {
        let Scratch { row, waves, columns, own } = scratch;
        let Grid { rows, columns: width, .. } = *self.grid;
        columns.fill(Complex::default());
        // The transform back adds the conjugate of every wave but the mean and the shortest.
        let half = <S as Scalar>::from_f64(0.5);
        for &(mode, f) in &self.used {
            for (k, &share) in shares.iter().enumerate() {
                let from = self.mode(fields, b, mode, k);
                let share = if k == 0 || 2 * k == width { share } else { share * half };
                let [re, im] =
                    [channel, fields.d + channel].map(|at| unsafe { *from.wrapping_add(at) });
                columns[k * rows + f] = Complex::new(re, im) * share;
            }
        }
        self.back.process_with_scratch(columns, own);
        for r in 0..rows {
            waves.fill(Complex::default());
            for (wave, column) in waves.iter_mut().zip(columns.iter().skip(r).step_by(rows)) {
                *wave = *column;
            }
            waves[0].im = S::ZERO;
            if width.is_multiple_of(2) {
                waves[width / 2].im = S::ZERO;
            }
            self.to_points.process_with_scratch(waves, row, own).expect("sizes of the plan");
            let to = fields.x.at((b * rows + r) * width * fields.d + channel);
            for (c, value) in row.iter().enumerate() {
                unsafe { *to.wrapping_add(c * fields.d) = *value };
            }
        }
    }
}

/// Whether fast transforms of fields with `d` channels take less time than products with few waves.
pub(super) fn pays(grid: &Grid, d: usize) -> bool {
    let points = (grid.rows * grid.columns) as f64;
    let product = PRODUCT * (1.0 + NARROW / d as f64);
    BUTTERFLY * points * points.log2() < product * transform_products(grid) as f64
}
