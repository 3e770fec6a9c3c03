//! The recurrence of logarithms, in f64: for numbers that no chunk can hold. Slow, and never wrong.
//!
//! ```text
//! z_i ← ln(e^{z_i} + e^{k_i})     α_i = e^{z_i before − z_i}     β_i = e^{k_i − z_i}
//! x_ij ← α_i x_ij + β_i v_j       p = softmax(q + z)             o_j = Σ_i p_i x_ij
//! ```
//!
//! `x` is a mean of the values, weighted per key channel. Log-values keep its logarithm, and the sums
//! over `i` are taken as logarithms too. A step costs `d_k d_v` exponentials and as many logarithms.
//! Going back, the states of one chunk at a time are computed again from the first of them.

use super::head::{Head, Widened};
use super::setting::Problem;
use super::state::{HeadState, NOTHING};
use crate::cpu::simd::Scalar;

/// Computes a head into `wide.y`, and leaves its last state in `state`.
pub(super) fn forward<S: Scalar>(wide: &mut Widened, head: &Head<S>, state: &mut [f64]) {
    let Problem { d_k, d_v, log, causal, .. } = *head.p;
    let mut means = Means::new(state, d_k, d_v, log);
    for piece in head.pieces {
        if piece.fresh {
            means.clear();
        }
        for t in piece.tokens.clone() {
            if head.seen.is_none_or(|seen| seen[t]) {
                means.absorb(row(&wide.k, t, d_k), row(&wide.v, t, d_v));
            }
            if causal {
                means.read(row(&wide.q, t, d_k), row_mut(&mut wide.y, t, d_v));
            }
        }
    }
    if !causal {
        for t in 0..head.p.time_q {
            means.read(row(&wide.q, t, d_k), row_mut(&mut wide.y, t, d_v));
        }
    }
    means.store(state);
}

/// Writes the gradients of a head from that of its result, both in f64.
pub(super) fn backward<S: Scalar>(
    wide: &Widened,
    head: &Head<S>,
    start: &[f64],
    grad: &[f64],
    to: [&mut [f64]; 3],
) -> Option<Vec<f64>> {
    let Problem { d_k, d_v, log, causal, .. } = *head.p;
    let [dq, dk, dv] = to;
    let mut means = Means::new(start, d_k, d_v, log);
    let seen = |t: usize| head.seen.is_none_or(|seen| seen[t]);
    let absorb = |means: &mut Means, t: usize| {
        if seen(t) {
            means.absorb(row(&wide.k, t, d_k), row(&wide.v, t, d_v));
        }
    };
    let mut befores = Vec::with_capacity(head.pieces.len());
    for piece in head.pieces {
        if piece.fresh {
            means.clear();
        }
        befores.push(means.clone());
        piece.tokens.clone().for_each(|t| absorb(&mut means, t));
    }
    let mut slope = Slope { z: vec![0.0; d_k], x: vec![0.0; d_k * d_v] };
    if !causal {
        for t in 0..head.p.time_q {
            let dq = row_mut(dq, t, d_k);
            means.read_back(row(&wide.q, t, d_k), row(grad, t, d_v), &mut slope, dq);
        }
    }
    let mut ended = false;
    for (piece, before) in head.pieces.iter().zip(befores).rev() {
        let mut states = vec![before];
        for t in piece.tokens.clone() {
            let mut next = states[states.len() - 1].clone();
            absorb(&mut next, t);
            states.push(next);
        }
        for t in piece.tokens.clone().rev() {
            let after = states.pop().expect("one state per token and one before");
            if causal {
                let dq = row_mut(dq, t, d_k);
                after.read_back(row(&wide.q, t, d_k), row(grad, t, d_v), &mut slope, dq);
            }
            if seen(t) {
                let before = &states[states.len() - 1];
                let (k, v) = (row(&wide.k, t, d_k), row(&wide.v, t, d_v));
                let (dk, dv) = (row_mut(dk, t, d_k), row_mut(dv, t, d_v));
                after.absorb_back([k, v], before, &mut slope, [dk, dv]);
            }
        }
        ended = piece.fresh;
        if ended {
            slope.z.fill(0.0);
            slope.x.fill(0.0);
        }
    }
    (!ended).then(|| slope.of_state(start, log))
}

fn row(x: &[f64], t: usize, d: usize) -> &[f64] {
    &x[t * d..(t + 1) * d]
}

fn row_mut(x: &mut [f64], t: usize, d: usize) -> &mut [f64] {
    &mut x[t * d..(t + 1) * d]
}

/// `ln(e^x + e^y)`
fn log_add(x: f64, y: f64) -> f64 {
    let (low, high) = if x < y { (x, y) } else { (y, x) };
    if high == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// The state of one head as means.
#[derive(Clone)]
struct Means {
    log: bool,
    /// `z`, `[d_k]`.
    z: Vec<f64>,
    /// `x` or its logarithm, `[d_k, d_v]`.
    x: Vec<f64>,
}

/// Gradients of [`Means`].
struct Slope {
    z: Vec<f64>,
    x: Vec<f64>,
}

impl Means {
    fn new(state: &[f64], d_k: usize, d_v: usize, log: bool) -> Self {
        let mut numbers = state.to_vec();
        let state = HeadState::new(&mut numbers, d_k, d_v);
        let z: Vec<f64> = state.key_max.iter().zip(&*state.norm).map(|(a, m)| a + m.ln()).collect();
        let of = |place: usize| {
            let (i, j) = (place / d_v, place % d_v);
            let (sum, norm) = (state.sums[place], state.norm[i]);
            match (norm == 0.0, log) {
                (true, false) => 0.0,
                (true, true) => f64::NEG_INFINITY,
                (false, false) => sum / norm,
                (false, true) => state.value_max[j] + (sum / norm).ln(),
            }
        };
        Self { log, z, x: (0..d_k * d_v).map(of).collect() }
    }

    fn clear(&mut self) {
        self.z.fill(f64::NEG_INFINITY);
        self.x.fill(if self.log { f64::NEG_INFINITY } else { 0.0 });
    }

    /// As maxima and sums.
    fn store(&self, state: &mut [f64]) {
        let d_k = self.z.len();
        let d_v = self.x.len() / d_k;
        let state = HeadState::new(state, d_k, d_v);
        state.value_max.fill(if self.log { NOTHING } else { 0.0 });
        if self.log {
            for x in self.x.chunks_exact(d_v) {
                for (c, x) in state.value_max.iter_mut().zip(x) {
                    *c = c.max(*x);
                }
            }
        }
        for (i, z) in self.z.iter().enumerate() {
            let empty = *z == f64::NEG_INFINITY;
            state.key_max[i] = if empty { NOTHING } else { *z };
            state.norm[i] = if empty { 0.0 } else { 1.0 };
            for j in 0..d_v {
                let x = self.x[i * d_v + j];
                state.sums[i * d_v + j] = if self.log { (x - state.value_max[j]).exp() } else { x };
            }
        }
    }

    /// Takes in one key and its value.
    fn absorb(&mut self, k: &[f64], v: &[f64]) {
        let log = self.log;
        for ((z, k), x) in self.z.iter_mut().zip(k).zip(self.x.chunks_exact_mut(v.len())) {
            let sum = log_add(*z, *k);
            if sum == f64::NEG_INFINITY {
                continue;
            }
            let (old, new) = (*z - sum, *k - sum);
            *z = sum;
            for (x, v) in x.iter_mut().zip(v) {
                *x = if log { log_add(old + *x, new + v) } else { old.exp() * *x + new.exp() * v };
            }
        }
    }

    /// `ln p`; `None` if no key has been seen.
    fn log_weights(&self, q: &[f64]) -> Option<Vec<f64>> {
        let scores: Vec<f64> = q.iter().zip(&self.z).map(|(q, z)| q + z).collect();
        let sum = scores.iter().fold(f64::NEG_INFINITY, |sum, s| log_add(sum, *s));
        (sum != f64::NEG_INFINITY).then(|| scores.iter().map(|s| s - sum).collect())
    }

    /// The result of one query.
    fn read(&self, q: &[f64], y: &mut [f64]) {
        y.fill(if self.log { f64::NEG_INFINITY } else { 0.0 });
        let Some(p) = self.log_weights(q) else { return };
        for (p, x) in p.iter().zip(self.x.chunks_exact(y.len())) {
            for (y, x) in y.iter_mut().zip(x) {
                *y = if self.log { log_add(*y, p + x) } else { *y + p.exp() * x };
            }
        }
    }

    /// Adds what the result of a query passes back to the state, and writes its own gradient.
    fn read_back(&self, q: &[f64], g: &[f64], slope: &mut Slope, dq: &mut [f64]) {
        dq.fill(0.0);
        let Some(p) = self.log_weights(q) else { return };
        let d_v = g.len();
        let mut y = vec![0.0; d_v];
        self.read(q, &mut y);
        for (i, p) in p.iter().enumerate() {
            for j in 0..d_v {
                let x = self.x[i * d_v + j];
                if !self.log {
                    slope.x[i * d_v + j] += p.exp() * g[j];
                    dq[i] += p.exp() * x * g[j];
                } else if y[j] != f64::NEG_INFINITY {
                    let part = (p + x - y[j]).exp() * g[j];
                    slope.x[i * d_v + j] += part;
                    dq[i] += part;
                }
            }
        }
        let sum: f64 = dq.iter().sum();
        for ((dq, p), z) in dq.iter_mut().zip(&p).zip(&mut slope.z) {
            *dq -= p.exp() * sum;
            *z += *dq;
        }
    }

    /// Turns the gradients of this state into those of the state before one key, and writes those of
    /// the key and its value.
    fn absorb_back(
        &self,
        [k, v]: [&[f64]; 2],
        before: &Self,
        slope: &mut Slope,
        [dk, dv]: [&mut [f64]; 2],
    ) {
        let d_v = v.len();
        for i in 0..k.len() {
            if self.z[i] == f64::NEG_INFINITY {
                continue;
            }
            let (old, new) = (before.z[i] - self.z[i], k[i] - self.z[i]);
            let (alpha, beta) = (old.exp(), new.exp());
            // Gradients of ln α and ln β.
            let (mut d_old, mut d_new) = (0.0, 0.0);
            for j in 0..d_v {
                let place = i * d_v + j;
                let (x, was) = (self.x[place], before.x[place]);
                let slope = &mut slope.x[place];
                if !self.log {
                    d_old += *slope * alpha * was;
                    d_new += *slope * beta * v[j];
                    dv[j] += *slope * beta;
                    *slope *= alpha;
                } else if x != f64::NEG_INFINITY {
                    let (of_old, of_new) = ((old + was - x).exp(), (new + v[j] - x).exp());
                    d_old += *slope * of_old;
                    d_new += *slope * of_new;
                    dv[j] += *slope * of_new;
                    *slope *= of_old;
                }
            }
            let rest = slope.z[i] - d_old - d_new;
            dk[i] += d_new + beta * rest;
            slope.z[i] = d_old + alpha * rest;
        }
    }
}

impl Slope {
    /// As gradients of the sums of a state; zero where a sum is.
    fn of_state(&self, start: &[f64], log: bool) -> Vec<f64> {
        let d_k = self.z.len();
        let d_v = self.x.len() / d_k;
        let mut numbers = start.to_vec();
        let state = HeadState::new(&mut numbers, d_k, d_v);
        let mut found = vec![0.0; start.len()];
        let ratio = |x: f64, sum: f64| if sum == 0.0 { 0.0 } else { x / sum };
        for i in 0..d_k {
            let mut rest = self.z[i];
            for j in 0..d_v {
                let place = i * d_v + j;
                let (slope, sum) = (self.x[place], state.sums[place]);
                found[place] = ratio(slope, if log { sum } else { state.norm[i] });
                rest -= if log { slope } else { ratio(slope * sum, state.norm[i]) };
            }
            found[d_k * d_v + i] = ratio(rest, state.norm[i]);
        }
        found
    }
}
