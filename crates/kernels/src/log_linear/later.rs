//! The state that runs backwards: what queries ask of the keys before them.

use crate::cpu::view::Storage;

/// What later queries ask of the keys before them, relative to some maxima.
#[derive(Clone)]
pub(super) struct Later<S> {
    /// `R`, `[d_k, d_v]`.
    pub(super) sums: Vec<S>,
    /// `r`, `[d_k]`.
    pub(super) norm: Vec<S>,
    /// `a`
    pub(super) key_max: Vec<S>,
    /// `c`
    pub(super) value_max: Vec<S>,
}

impl<S: Storage> Later<S> {
    pub(super) fn new(d_k: usize, d_v: usize) -> Self {
        let [sums, norm, key_max, value_max] = [d_k * d_v, d_k, d_k, d_v].map(|n| vec![S::ZERO; n]);
        Self { sums, norm, key_max, value_max }
    }

    /// Moves to the maxima of earlier keys.
    pub(super) fn lower(&mut self, key_max: &[S], value_max: &[S]) {
        if self.key_max == key_max && self.value_max == value_max {
            return;
        }
        let factor = |(later, now): (&S, &S)| (now.to_f64() - later.to_f64()).min(0.0).exp();
        let rows: Vec<f64> = self.key_max.iter().zip(key_max).map(factor).collect();
        let columns: Vec<f64> = self.value_max.iter().zip(value_max).map(factor).collect();
        for (i, row) in rows.iter().enumerate() {
            self.norm[i] = self.norm[i].mul(S::from_f64(*row));
            let sums = &mut self.sums[i * columns.len()..(i + 1) * columns.len()];
            for (sum, column) in sums.iter_mut().zip(&columns) {
                *sum = sum.mul(S::from_f64(row * column));
            }
        }
        self.key_max.copy_from_slice(key_max);
        self.value_max.copy_from_slice(value_max);
    }

    /// Adds what still later queries ask.
    pub(super) fn add(&mut self, mut later: Self) {
        later.lower(&self.key_max, &self.value_max);
        let add = |to: &mut [S], from: &[S]| {
            to.iter_mut().zip(from).for_each(|(a, b)| *a = a.add(*b));
        };
        add(&mut self.sums, &later.sums);
        add(&mut self.norm, &later.norm);
    }

    pub(super) fn clear(&mut self) {
        self.sums.fill(S::ZERO);
        self.norm.fill(S::ZERO);
    }
}
