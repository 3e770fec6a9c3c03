//! One token after another: the state in place, in f64.
//!
//! A step reads and writes `M` once, and takes `2 d_k + d_v` exponentials and `d_v + 1` logarithms per
//! head. The sums are scaled only when a maximum grows.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use burn::tensor::{Device, Tensor};

use super::products::dot;
use super::state::{HeadState, length};
use super::tiles::exp_of_difference;
use super::{LogState, Values};
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::{exp, ln};
use crate::cpu::simd::Vector;
use crate::pointwise::{load, store};

/// Causal attention that reads one sequence token by token, on plain numbers: for live data and for
/// generation, where a tensor per operation would take longer than the arithmetic.
///
/// Memory and time per token do not depend on how many there were. Accurate while keys, queries and
/// values together do not span more than about 600 in logarithms.
#[derive(Clone, Debug)]
pub struct LogStream {
    heads: usize,
    d_k: usize,
    d_v: usize,
    values: Values,
    /// `[heads, d_k]`, or nothing for no decay.
    log_decay: Vec<f64>,
    /// The states of all heads, [`LogState::packed`].
    state: Vec<f64>,
    scratch: Vec<f64>,
}

impl LogStream {
    /// Before the first token.
    ///
    /// # Panics
    /// If a size is zero.
    #[must_use]
    pub fn new(heads: usize, [d_k, d_v]: [usize; 2], values: Values) -> Self {
        Self::resume(&LogState::empty(1, heads, [d_k, d_v], &Device::default()), values)
    }

    /// After the tokens of a state of one sequence.
    ///
    /// # Panics
    /// If the state is of more than one sequence, or a size is zero.
    #[must_use]
    pub fn resume(state: &LogState, values: Values) -> Self {
        let [batch, heads, d_k, d_v] = state.sizes();
        assert_eq!(batch, 1, "a stream reads one sequence, the state is of {batch}");
        assert!(heads * d_k * d_v > 0, "heads = {heads}, d_k = {d_k}, d_v = {d_v}: none may be 0");
        let state = state.numbers();
        let (log_decay, scratch) = (Vec::new(), vec![0.0; 2 * d_k + 2 * d_v]);
        Self { heads, d_k, d_v, values, log_decay, state, scratch }
    }

    /// The same stream with a past that fades: see [`super::Context::log_decay`].
    ///
    /// # Panics
    /// If `log_decay` is not `[heads, d_k]`.
    #[must_use]
    pub fn with_log_decay(self, log_decay: Vec<f64>) -> Self {
        let (found, expected) = (log_decay.len(), self.heads * self.d_k);
        assert_eq!(found, expected, "length of the decay of {} heads", self.heads);
        Self { log_decay, ..self }
    }

    /// What the tokens so far left behind.
    #[must_use]
    pub fn state(&self) -> LogState {
        let shape = [1, self.heads, length(self.d_k, self.d_v)];
        let data = burn::tensor::TensorData::new(self.state.clone(), shape);
        let packed = Tensor::from_data(data, (&Device::default(), burn::tensor::DType::F64));
        LogState::from_packed(packed, [self.d_k, self.d_v])
    }

    /// Reads one token, `[heads, d_k]` of queries and keys and `[heads, d_v]` of values, and writes its
    /// result, `[heads, d_v]`.
    ///
    /// # Panics
    /// If a length is wrong.
    pub fn step(&mut self, [q, k, v]: [&[f64]; 3], y: &mut [f64]) {
        let Self { heads, d_k, d_v, values, .. } = *self;
        let expected = [heads * d_k, heads * d_k, heads * d_v, heads * d_v];
        let found = [q.len(), k.len(), v.len(), y.len()];
        assert_eq!(found, expected, "lengths of q, k, v and y");
        let states = self.state.chunks_exact_mut(length(d_k, d_v));
        for (state, log_decay) in states.zip(self.log_decay.chunks_exact(d_k)) {
            for (a, g) in HeadState::new(state, d_k, d_v).key_max.iter_mut().zip(log_decay) {
                *a += g;
            }
        }
        let (log, qkv) = (values == Values::Log, [q, k, v]);
        let (state, scratch) = (&mut self.state[..], &mut self.scratch[..]);
        unsafe { launch(Step { heads, d_k, d_v, log, qkv, state, scratch, y }) };
    }
}

/// One token of each of some heads.
pub(super) struct Step<'a> {
    pub(super) heads: usize,
    pub(super) d_k: usize,
    pub(super) d_v: usize,
    pub(super) log: bool,
    /// `[heads, d]` each.
    pub(super) qkv: [&'a [f64]; 3],
    pub(super) state: &'a mut [f64],
    /// `2 (d_k + d_v)` numbers.
    pub(super) scratch: &'a mut [f64],
    pub(super) y: &'a mut [f64],
}

impl Kernel<f64> for Step<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = f64>>(self) {
        let Self { heads, d_k, d_v, log, qkv: [q, k, v], state, scratch, y } = self;
        let states = state.chunks_exact_mut(length(d_k, d_v));
        for ((head, state), y) in (0..heads).zip(states).zip(y.chunks_exact_mut(d_v)) {
            let state = HeadState::new(state, d_k, d_v);
            let q = &q[head * d_k..(head + 1) * d_k];
            let k = &k[head * d_k..(head + 1) * d_k];
            let v = &v[head * d_v..(head + 1) * d_v];
            unsafe { step::<V>([q, k, v], state, scratch, log, y) };
        }
    }
}

/// Raises maxima to `x`; the new ones if any grew.
fn raised(max: &[f64], x: &[f64]) -> Option<Vec<f64>> {
    // Over all of them: a loop that may end early takes no vectors.
    let grew = max.iter().zip(x).fold(false, |grew, (max, x)| grew || x > max);
    grew.then(|| max.iter().zip(x).map(|(max, x)| max.max(*x)).collect())
}

#[inline(always)]
unsafe fn step<V: Vector<Scalar = f64>>(
    [q, k, v]: [&[f64]; 3],
    mut state: HeadState,
    scratch: &mut [f64],
    log: bool,
    y: &mut [f64],
) {
    let (d_k, d_v) = (k.len(), v.len());
    let keys = raised(state.key_max, k);
    let values = if log { raised(state.value_max, v) } else { Some(vec![0.0; d_v]) };
    if keys.is_some() || (log && values.is_some()) {
        let keys = keys.unwrap_or_else(|| state.key_max.to_vec());
        let values = values.unwrap_or_else(|| state.value_max.to_vec());
        state.rescale(&keys, &values);
    }
    let (q_hat, rest) = scratch.split_at_mut(d_k);
    let (k_hat, rest) = rest.split_at_mut(d_k);
    let (v_hat, s) = rest.split_at_mut(d_v);
    unsafe {
        exp_of_difference::<V>(k.as_ptr(), state.key_max, k_hat);
        if log {
            exp_of_difference::<V>(v.as_ptr(), state.value_max, v_hat);
        } else {
            v_hat.copy_from_slice(v);
        }
        let mut largest = f64::NEG_INFINITY;
        for ((to, q), a) in q_hat.iter_mut().zip(q).zip(&*state.key_max) {
            *to = q + a;
            largest = if *to > largest { *to } else { largest };
        }
        let b = V::splat(largest);
        for i in (0..d_k).step_by(V::LANES) {
            let n = V::LANES.min(d_k - i);
            store(exp(load::<V>(q_hat.as_ptr().add(i), n).sub(b)), q_hat.as_mut_ptr().add(i), n);
        }
        for (m, k) in state.norm.iter_mut().zip(&*k_hat) {
            *m += k;
        }
        let z = dot::<V>(q_hat, state.norm);
        if z == 0.0 {
            y.fill(if log { f64::NEG_INFINITY } else { 0.0 });
            return;
        }
        let mut j = 0;
        while j + 8 * V::LANES <= d_v {
            columns::<V, 8>([q_hat, k_hat, v_hat], state.sums, s, j, V::LANES);
            j += 8 * V::LANES;
        }
        while j < d_v {
            let lanes = V::LANES.min(d_v - j);
            columns::<V, 1>([q_hat, k_hat, v_hat], state.sums, s, j, lanes);
            j += lanes;
        }
        if !log {
            for (y, s) in y.iter_mut().zip(&*s) {
                *y = s / z;
            }
            return;
        }
        let normal = s.iter().all(|s| *s >= f64::MIN_POSITIVE);
        let log_z = z.ln();
        for j in (0..d_v).step_by(V::LANES) {
            let n = V::LANES.min(d_v - j);
            let c = load::<V>(state.value_max.as_ptr().add(j), n);
            let s = load::<V>(s.as_ptr().add(j), n);
            store(c.add(ln(s).sub(V::splat(log_z))), y.as_mut_ptr().add(j), n);
        }
        if !normal {
            // Zeros and NaN, which the fast logarithm does not know.
            for ((y, s), c) in y.iter_mut().zip(&*s).zip(&*state.value_max) {
                *y = c + s.ln() - log_z;
            }
        }
    }
}

/// `M ← M + k̂ v̂ᵀ` and `Ŝ = q̂ M` for `NV` vectors of columns from `j`; the last has `lanes`.
#[inline(always)]
unsafe fn columns<V: Vector<Scalar = f64>, const NV: usize>(
    [q, k, v]: [&[f64]; 3],
    sums: &mut [f64],
    s: &mut [f64],
    j: usize,
    lanes: usize,
) {
    let d_v = v.len();
    unsafe {
        let from = v.as_ptr().add(j);
        let mut v = [V::zero(); NV];
        for (i, v) in v.iter_mut().enumerate() {
            *v = load::<V>(from.add(i * V::LANES), lanes);
        }
        let mut acc = [V::zero(); NV];
        for (i, (q, k)) in q.iter().zip(k).enumerate() {
            let (q, k) = (V::splat(*q), V::splat(*k));
            let row = sums.as_mut_ptr().add(i * d_v + j);
            for (part, (acc, v)) in acc.iter_mut().zip(&v).enumerate() {
                let at = row.add(part * V::LANES);
                let sum = k.mul_add(*v, load::<V>(at, lanes));
                store(sum, at, lanes);
                *acc = q.mul_add(sum, *acc);
            }
        }
        for (i, acc) in acc.iter().enumerate() {
            store(*acc, s.as_mut_ptr().add(j + i * V::LANES), lanes);
        }
    }
}
