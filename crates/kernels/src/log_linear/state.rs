//! What the tokens so far leave behind, in f64: as a tensor, and as numbers of one head.

use burn::tensor::{DType, Device, Tensor};

use crate::cpu::simd::Scalar;

/// Stands for `−∞` in maxima, so that differences of maxima are finite; exact in f32.
pub(super) const NOTHING: f64 = -1e30_f32 as f64;

/// The state of exponential-kernel attention: maxima per channel and sums relative to them.
///
/// Its size does not depend on how many tokens it has seen. Gradients flow through the sums; the
/// maxima are constants, which is exact because they cancel.
#[derive(Clone, Debug)]
pub struct LogState {
    /// `[batch, heads, d_k d_v + 2 d_k + d_v]`: `M` row by row, `m`, `a`, `c`.
    pub(super) packed: Tensor<3>,
    d_k: usize,
    d_v: usize,
}

impl LogState {
    /// The state before the first token.
    #[must_use]
    pub fn empty(batch: usize, heads: usize, [d_k, d_v]: [usize; 2], device: &Device) -> Self {
        let sums = Tensor::zeros([batch, heads, d_k * d_v + d_k], (device, DType::F64));
        let maxima = Tensor::full([batch, heads, d_k + d_v], NOTHING, (device, DType::F64));
        Self { packed: Tensor::cat(vec![sums, maxima], 2), d_k, d_v }
    }

    /// A state from its numbers, `[batch, heads, d_k d_v + 2 d_k + d_v]` in f64: `M` row by row, `m`,
    /// the key maxima `a`, the value maxima `c`.
    ///
    /// # Panics
    /// If the length of the last axis does not fit `d_k` and `d_v`.
    #[must_use]
    pub fn from_packed(packed: Tensor<3>, [d_k, d_v]: [usize; 2]) -> Self {
        let [_, _, found] = packed.dims();
        let expected = length(d_k, d_v);
        assert_eq!(found, expected, "a state of d_k = {d_k}, d_v = {d_v} has {expected} numbers");
        Self { packed, d_k, d_v }
    }

    /// The numbers, as [`LogState::from_packed`] takes them.
    #[must_use]
    pub fn packed(&self) -> Tensor<3> {
        self.packed.clone()
    }

    /// `d_k` and `d_v`.
    #[must_use]
    pub fn widths(&self) -> [usize; 2] {
        [self.d_k, self.d_v]
    }

    /// The same state, through which no gradient flows.
    #[must_use]
    pub fn detach(self) -> Self {
        Self { packed: self.packed.detach(), ..self }
    }

    /// The state after the tokens of both; which come first does not matter.
    ///
    /// # Panics
    /// If the sizes differ.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let (d_k, d_v) = (self.d_k, self.d_v);
        assert_eq!((d_k, d_v), (other.d_k, other.d_v), "the states have different sizes");
        let [a, b] = [self.parts(), other.parts()];
        let key_max = a.key_max.clone().max_pair(b.key_max.clone());
        let value_max = a.value_max.clone().max_pair(b.value_max.clone());
        let rescale = |part: Parts| part.in_basis(key_max.clone(), value_max.clone());
        let ([sums_a, norm_a], [sums_b, norm_b]) = (rescale(a), rescale(b));
        Parts { sums: sums_a + sums_b, norm: norm_a + norm_b, key_max, value_max }.pack()
    }

    /// `ln Σ e^{k}` per channel and `ln Σ e^{k + u}` per pair of channels, the log-domain state; for
    /// values of any sign the second has no meaning.
    ///
    /// # Shapes
    /// - returns: `[batch, heads, d_k, 1]` and `[batch, heads, d_k, d_v]`
    #[must_use]
    pub fn log_domain(&self) -> (Tensor<4>, Tensor<4>) {
        let Parts { sums, norm, key_max, value_max } = self.parts();
        (norm.log() + key_max.clone(), sums.log() + key_max + value_max)
    }

    pub(super) fn parts(&self) -> Parts {
        let [batch, heads, d_k, d_v] = self.sizes();
        let part = |first: usize, [rows, columns]: [usize; 2]| {
            let part = self.packed.clone().narrow(2, first, rows * columns);
            part.reshape([batch, heads, rows, columns])
        };
        Parts {
            sums: part(0, [d_k, d_v]),
            norm: part(d_k * d_v, [d_k, 1]),
            key_max: part(d_k * d_v + d_k, [d_k, 1]).detach(),
            value_max: part(d_k * d_v + 2 * d_k, [1, d_v]).detach(),
        }
    }

    /// Batch, heads, `d_k`, `d_v`.
    pub(super) fn sizes(&self) -> [usize; 4] {
        let [batch, heads, _] = self.packed.dims();
        [batch, heads, self.d_k, self.d_v]
    }

    /// All numbers, head by head.
    pub(super) fn numbers(&self) -> Vec<f64> {
        self.packed.to_data().convert::<f64>().iter::<f64>().collect()
    }

    pub(super) fn assert_sizes(&self, [batch, heads, d_k, d_v]: [usize; 4]) {
        assert_eq!(
            self.sizes(),
            [batch, heads, d_k, d_v],
            "batch, heads, d_k, d_v of the state and of the sequence differ"
        );
    }
}

/// The parts of a [`LogState`] as matrices, `[batch, heads, d_k or 1, d_v or 1]`.
pub(super) struct Parts {
    pub(super) sums: Tensor<4>,
    pub(super) norm: Tensor<4>,
    pub(super) key_max: Tensor<4>,
    pub(super) value_max: Tensor<4>,
}

impl Parts {
    /// The sums relative to other maxima, no smaller than these.
    pub(super) fn in_basis(self, key_max: Tensor<4>, value_max: Tensor<4>) -> [Tensor<4>; 2] {
        let rows = (self.key_max - key_max).exp();
        let columns = (self.value_max - value_max).exp();
        [self.sums * rows.clone() * columns, self.norm * rows]
    }

    /// The maxima of values of any sign are zero, also of a state that is empty.
    pub(super) fn with_linear_values(self, linear: bool) -> Self {
        if !linear {
            return self;
        }
        let value_max = self.value_max.zeros_like();
        Self { value_max, ..self }
    }

    pub(super) fn pack(self) -> LogState {
        let [batch, heads, d_k, d_v] = self.sums.dims();
        let flat = |x: Tensor<4>| {
            let n = x.shape().num_elements() / (batch * heads);
            x.reshape([batch, heads, n])
        };
        let parts = [self.sums, self.norm, self.key_max, self.value_max].map(flat);
        LogState { packed: Tensor::cat(parts.to_vec(), 2), d_k, d_v }
    }
}

/// Numbers of the state of one head.
pub(super) fn length(d_k: usize, d_v: usize) -> usize {
    d_k * d_v + 2 * d_k + d_v
}

/// The state of one head.
pub(super) struct HeadState<'a> {
    /// `M`, `[d_k, d_v]`.
    pub(super) sums: &'a mut [f64],
    /// `m`, `[d_k]`.
    pub(super) norm: &'a mut [f64],
    /// `a`, `[d_k]`.
    pub(super) key_max: &'a mut [f64],
    /// `c`, `[d_v]`.
    pub(super) value_max: &'a mut [f64],
}

impl<'a> HeadState<'a> {
    /// Cuts the numbers of one head.
    pub(super) fn new(numbers: &'a mut [f64], d_k: usize, d_v: usize) -> Self {
        let (sums, rest) = numbers.split_at_mut(d_k * d_v);
        let (norm, rest) = rest.split_at_mut(d_k);
        let (key_max, value_max) = rest.split_at_mut(d_k);
        Self { sums, norm, key_max, value_max }
    }

    /// Forgets everything; the maxima of values of any sign are zero.
    pub(super) fn clear(&mut self, log: bool) {
        self.sums.fill(0.0);
        self.norm.fill(0.0);
        self.key_max.fill(NOTHING);
        self.value_max.fill(if log { NOTHING } else { 0.0 });
    }

    /// Whether any key has been seen.
    pub(super) fn is_empty(&self) -> bool {
        self.norm.iter().all(|m| *m == 0.0)
    }

    /// Takes in what other keys left behind.
    pub(super) fn merge(&mut self, mut other: HeadState) {
        let larger = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a.max(*b)).collect();
        let key_max: Vec<f64> = larger(self.key_max, other.key_max);
        let value_max: Vec<f64> = larger(self.value_max, other.value_max);
        self.rescale(&key_max, &value_max);
        other.rescale(&key_max, &value_max);
        let add = |to: &mut [f64], from: &[f64]| to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        add(self.sums, other.sums);
        add(self.norm, other.norm);
    }

    /// Moves to the maxima given, no smaller than the present ones up to rounding.
    #[inline(always)]
    pub(super) fn rescale<S: Scalar>(&mut self, key_max: &[S], value_max: &[S]) {
        if let Some(factors) = self.raise(key_max, value_max) {
            factors.apply(self.sums, self.norm);
        }
    }

    /// Replaces the maxima; by what the sums have to be multiplied then, `None` if nothing changed.
    pub(super) fn raise<S: Scalar>(&mut self, key_max: &[S], value_max: &[S]) -> Option<Factors> {
        let columns = factors(self.value_max, value_max);
        let rows = factors(self.key_max, key_max);
        if rows.is_none() && columns.is_none() {
            return None;
        }
        Some(Factors { rows: rows.unwrap_or_else(|| vec![1.0; self.norm.len()]), columns })
    }
}

/// What moves sums to other maxima.
pub(super) struct Factors {
    rows: Vec<f64>,
    /// `None` if all are one.
    columns: Option<Vec<f64>>,
}

impl Factors {
    /// Multiplies `M` and `m`.
    #[inline(always)]
    pub(super) fn apply<S: Scalar>(&self, sums: &mut [S], norm: &mut [S]) {
        let d_v = (sums.len() / norm.len().max(1)).max(1);
        let sums = sums.chunks_exact_mut(d_v);
        for ((row, norm), sums) in self.rows.iter().zip(norm).zip(sums) {
            let same = row.to_bits() == 1.0_f64.to_bits();
            *norm = norm.mul(S::from_f64(*row));
            match &self.columns {
                None if same => {}
                None => sums.iter_mut().for_each(|sum| *sum = sum.mul(S::from_f64(*row))),
                Some(columns) => {
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = sum.mul(S::from_f64(row * column));
                    }
                }
            }
        }
    }
}

/// `e^{old − new}`, and `old` becomes `new`; `None` if nothing changed.
fn factors<S: Scalar>(old: &mut [f64], new: &[S]) -> Option<Vec<f64>> {
    let same = |(old, new): (&f64, &S)| old.to_bits() == new.to_f64().to_bits();
    if old.iter().zip(new).all(same) {
        return None;
    }
    let factor = |(old, new): (&mut f64, &S)| {
        let (before, now) = (*old, new.to_f64());
        *old = now;
        if before <= NOTHING {
            0.0
        } else if before.to_bits() == now.to_bits() {
            1.0
        } else {
            (before - now).exp()
        }
    };
    Some(old.iter_mut().zip(new).map(factor).collect())
}
