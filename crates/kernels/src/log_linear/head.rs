//! One head: where its numbers lie, and how far its range goes.
#![expect(unsafe_code, reason = "raw pointers into tensors")]

use super::setting::{Piece, Problem};
use super::tiles::Rows;
use crate::cpu::simd::Scalar;
use crate::cpu::view::Ptr;

/// Numbers of one head, and what is asked of it.
#[derive(Clone, Copy)]
pub(super) struct Head<'a, S> {
    pub(super) p: &'a Problem,
    pub(super) seen: Option<&'a [bool]>,
    pub(super) pieces: &'a [Piece],
    pub(super) q: Rows<S>,
    pub(super) k: Rows<S>,
    pub(super) v: Rows<S>,
    /// The result.
    pub(super) y: Rows<S>,
}

/// What the forward pass keeps of one head.
#[derive(Clone, Copy)]
pub(super) struct Kept<S> {
    /// `Ŝ`, `[time, d_v]`; unused for values of any sign.
    pub(super) s: Ptr<S>,
    /// `Ẑ`, `[time]`; zero for a query that sees no key.
    pub(super) z: Ptr<S>,
    /// States before every chunk in its basis, or the last one: [`super::state::length`] numbers each.
    pub(super) states: Ptr<S>,
}

/// What a head needs for its range of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Range {
    /// The precision of the inputs.
    Own,
    /// f64.
    Wide,
    /// The recurrence of logarithms.
    Logarithmic,
}

/// The head with its rows converted to f64 and packed.
pub(super) struct Widened {
    pub(super) q: Vec<f64>,
    pub(super) k: Vec<f64>,
    pub(super) v: Vec<f64>,
    pub(super) y: Vec<f64>,
}

impl Widened {
    /// Copies a head.
    pub(super) fn new<S: Scalar>(head: &Head<S>) -> Self {
        let Problem { time_q, time_k, d_k, d_v, .. } = *head.p;
        Self {
            q: widened(head.q, time_q, d_k),
            k: widened(head.k, time_k, d_k),
            v: widened(head.v, time_k, d_v),
            y: vec![0.0; time_q * d_v],
        }
    }

    /// The copy as a head.
    pub(super) fn head<'a, S>(&mut self, like: &Head<'a, S>) -> Head<'a, f64> {
        let Problem { d_k, d_v, .. } = *like.p;
        let rows = |x: &mut Vec<f64>, row| Rows { first: Ptr(x.as_mut_ptr()), row };
        Head {
            p: like.p,
            seen: like.seen,
            pieces: like.pieces,
            q: rows(&mut self.q, d_k),
            k: rows(&mut self.k, d_k),
            v: rows(&mut self.v, d_v),
            y: rows(&mut self.y, d_v),
        }
    }
}

/// The first `n` rows of a head in f64.
pub(super) fn widened<S: Scalar>(x: Rows<S>, n: usize, d: usize) -> Vec<f64> {
    let of_row = |t| (0..d).map(move |j| unsafe { (*x.at(t).add(j)).to_f64() });
    (0..n).flat_map(of_row).collect()
}

/// Writes rows from f64.
pub(super) fn narrow<S: Scalar>(from: &[f64], d: usize, to: Rows<S>) {
    for (t, row) in from.chunks_exact(d).enumerate() {
        for (j, x) in row.iter().enumerate() {
            unsafe { *to.at(t).add(j) = S::from_f64(*x) };
        }
    }
}
