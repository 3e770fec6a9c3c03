//! One sequence, step by step, on plain numbers: for live data, where a tensor per operation would
//! take longer than the arithmetic.
//!
//! Keys and values are projected and normalised once, when their cell is pushed; with positions, the
//! age is added anew at each step. Memory is constant: a ring of `window` cells.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use burn::tensor::{DType, Tensor};

use super::lanes::elu;
use super::moments::host;
use super::setting::{
    EPS, KeyValue, LarnnSetting, LarnnWeights, Norm, Site, check, position_table,
};
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::{Tables, exp, sigmoid, tanh};
use crate::cpu::matmul::MatMul;
use crate::cpu::simd::Vector;
use crate::pointwise::{load, store};

/// A cell that reads one sequence row by row, in the precision of its weights.
#[derive(Clone, Debug)]
pub struct LarnnStream(Either);

#[derive(Clone, Debug)]
enum Either {
    Single(Cell<f32>),
    Double(Cell<f64>),
}

impl LarnnStream {
    /// At the start of a sequence. Dropout in the setting has no effect.
    ///
    /// # Panics
    /// If the shapes disagree, or the norms take their statistics from the batch.
    #[must_use]
    pub fn new(weights: &LarnnWeights, setting: &LarnnSetting) -> Self {
        let d_in = weights.query.dims()[0] - weights.output.dims()[0];
        let x = Tensor::zeros([1, 1, d_in], &weights.query.device());
        check(&x, weights, None, setting);
        assert!(!matches!(setting.norm, Norm::Batch), "a stream has no batch to take moments from");
        Self(match weights.output.dtype() {
            DType::F64 => Either::Double(Cell::new(weights, setting)),
            _ => Either::Single(Cell::new(weights, setting)),
        })
    }

    /// Reads one row of `d_in` numbers and writes the `d_hidden` of the result.
    ///
    /// # Panics
    /// If a length is wrong.
    pub fn step(&mut self, row: &[f64], out: &mut [f64]) {
        match &mut self.0 {
            Either::Single(cell) => cell.step(row, out),
            Either::Double(cell) => cell.step(row, out),
        }
    }
}

/// One norm with all its numbers.
#[derive(Clone, Debug)]
struct Fixed<S> {
    /// `γ / s` and `β − γ μ / s`; where rows are normalised by themselves, `γ` and `β`.
    slope: Vec<S>,
    shift: Vec<S>,
    of_row: bool,
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "a cell has a cell, as everywhere in this file")]
struct Cell<S> {
    d: usize,
    d_in: usize,
    n_heads: usize,
    window: usize,
    linear: bool,
    /// `[d_in + d, 5 d]`: gates, query.
    seen: Vec<S>,
    /// `[5 d]`
    seen_bias: Vec<S>,
    /// `[d, 4 d]`
    attention: Vec<S>,
    /// `[d, d]`
    output: Vec<S>,
    output_bias: Vec<S>,
    /// `[d, 2 d]`
    key_value: Vec<S>,
    key_value_bias: Vec<S>,
    /// `[window, 2 d]`, oldest first, bias included.
    ages: Option<Vec<S>>,
    /// By site; `None` where nothing is normalised.
    norms: [Option<Fixed<S>>; 5],
    /// The row read last, then the hidden state.
    input: Vec<S>,
    cell: Vec<S>,
    /// Keys and values by place in the ring, `[window, 2 d]`.
    ring: Vec<S>,
    /// The same at their age; without positions unused.
    aged: Vec<S>,
    /// Cells in the ring, and the place of the oldest.
    n: usize,
    oldest: usize,
    z: Vec<S>,
    scratch: Vec<S>,
    weights: Vec<S>,
}

impl<S: Tables> Cell<S> {
    fn new(weights: &LarnnWeights, setting: &LarnnSetting) -> Self {
        let w = weights.clone();
        let d = w.output.dims()[0];
        let d_in = w.query.dims()[0] - d;
        let (window, n_position) = (setting.window, setting.n_position());
        let own = |values: &[f64]| values.iter().map(|x| S::from_f64(*x)).collect::<Vec<S>>();
        let [gates, query, key_value] = [w.gates, w.query, w.key_value].map(host);
        let key_value_bias = host(w.key_value_bias);
        let mut seen = Vec::new();
        for i in 0..d_in + d {
            seen.extend(own(&gates[i * 4 * d..(i + 1) * 4 * d]));
            seen.extend(own(&query[i * d..(i + 1) * d]));
        }
        let ages = setting.positional_encoding.then(|| {
            let table = position_table(window);
            let rows = table.chunks_exact(n_position).flat_map(|row| {
                let (key_value, bias) = (&key_value, &key_value_bias);
                (0..2 * d).map(move |f| {
                    let weight = |i: usize| key_value[(d + i) * 2 * d + f];
                    let sum: f64 = row.iter().enumerate().map(|(i, x)| x * weight(i)).sum();
                    S::from_f64(bias[f] + sum)
                })
            });
            rows.collect()
        });
        let [gamma, beta] = [w.gamma, w.beta].map(host);
        let given = match &setting.norm {
            Norm::Running(moments) => Some([&moments.mean, &moments.var].map(|x| host(x.clone()))),
            _ => None,
        };
        let norms = std::array::from_fn(|site| {
            (site < setting.n_norms()).then(|| {
                let part = site * d..(site + 1) * d;
                let (mut slope, mut shift) = (gamma[part.clone()].to_vec(), beta[part].to_vec());
                if let Some([mean, var]) = &given {
                    for f in 0..d {
                        slope[f] /= (var[site * d + f] + EPS).sqrt();
                        shift[f] -= slope[f] * mean[site * d + f];
                    }
                }
                Fixed { slope: own(&slope), shift: own(&shift), of_row: given.is_none() }
            })
        });
        let zeros = |n: usize| vec![S::ZERO; n];
        let mut cell = Self {
            d,
            d_in,
            n_heads: setting.n_heads,
            window,
            linear: setting.key_value == KeyValue::Linear,
            seen,
            seen_bias: own(&[host(w.gates_bias), host(w.query_bias)].concat()),
            attention: own(&gates[(d_in + d) * 4 * d..]),
            output: own(&host(w.output)),
            output_bias: own(&host(w.output_bias)),
            key_value: own(&key_value[..2 * d * d]),
            key_value_bias: own(&key_value_bias),
            ages,
            norms,
            input: zeros(d_in + d),
            cell: zeros(d),
            ring: zeros(window * 2 * d),
            aged: zeros(if setting.positional_encoding { window * 2 * d } else { 0 }),
            n: 0,
            oldest: 0,
            z: zeros(5 * d),
            scratch: zeros(2 * d),
            weights: zeros(window),
        };
        // The zero cell that a sequence starts with.
        unsafe { launch(Push(&mut cell)) };
        cell
    }

    fn step(&mut self, row: &[f64], out: &mut [f64]) {
        assert_eq!((row.len(), out.len()), (self.d_in, self.d), "widths of row and result");
        for (to, x) in self.input.iter_mut().zip(row) {
            *to = S::from_f64(*x);
        }
        unsafe { launch(Step(self)) };
        for (to, x) in out.iter_mut().zip(&self.input[self.d_in..]) {
            *to = x.to_f64();
        }
    }

    /// Keys and values of the newest cell into the ring.
    #[inline(always)]
    unsafe fn push<V: Vector<Scalar = S>>(&mut self) {
        let (d, two) = (self.d, 2 * self.d);
        let place = (self.oldest + self.n) % self.window;
        if self.n == self.window {
            self.oldest = (self.oldest + 1) % self.window;
        } else {
            self.n += 1;
        }
        let to = &mut self.ring[place * two..(place + 1) * two];
        unsafe {
            apply::<V>([d, two], &self.cell, &self.key_value, to, false);
            if self.ages.is_none() {
                bias_elu::<V>(to, &self.key_value_bias, self.linear);
                let (keys, values) = to.split_at_mut(d);
                normalise::<V>(keys, self.norms[Site::Key as usize].as_ref());
                normalise::<V>(values, self.norms[Site::Value as usize].as_ref());
            }
        }
    }

    /// What the heads read, into the first half of the scratch memory.
    #[inline(always)]
    unsafe fn attend<V: Vector<Scalar = S>>(&mut self) {
        let Self { d, window, n, oldest, n_heads, .. } = *self;
        let (d_head, two) = (d / n_heads, 2 * d);
        if let Some(ages) = &self.ages {
            for j in 0..n {
                let place = (oldest + j) % window * two;
                let to = &mut self.aged[place..place + two];
                to.copy_from_slice(&self.ring[place..place + two]);
                unsafe {
                    bias_elu::<V>(to, &ages[(window - n + j) * two..][..two], self.linear);
                    let (keys, values) = to.split_at_mut(d);
                    normalise::<V>(keys, self.norms[Site::Key as usize].as_ref());
                    normalise::<V>(values, self.norms[Site::Value as usize].as_ref());
                }
            }
        }
        // The order of the cells does not matter to the sums.
        let ring = if self.ages.is_some() { &self.aged } else { &self.ring };
        let scale = S::from_f64(1.0 / (d_head as f64).sqrt());
        let (query, read) = (&self.z[4 * d..], &mut self.scratch[..d]);
        read.fill(S::ZERO);
        for head in 0..n_heads {
            let part = head * d_head..(head + 1) * d_head;
            let mut max = S::NEG_INFINITY;
            for (p, cell) in self.weights[..n].iter_mut().zip(ring.chunks_exact(two)) {
                let mut sum = S::ZERO;
                for (q, u) in query[part.clone()].iter().zip(&cell[part.clone()]) {
                    sum = sum.add(q.mul(*u));
                }
                *p = sum.mul(scale);
                max = if *p > max { *p } else { max };
            }
            let (p, mut total) = (self.weights.as_mut_ptr(), S::ZERO);
            for j in (0..n).step_by(V::LANES) {
                let lanes = V::LANES.min(n - j);
                unsafe {
                    let e = exp(load::<V>(p.add(j), lanes).sub(V::splat(max)));
                    store(e, p.add(j), lanes);
                }
            }
            for p in &self.weights[..n] {
                total = total.add(*p);
            }
            let share = S::from_f64(1.0 / total.to_f64());
            for (p, cell) in self.weights[..n].iter().zip(ring.chunks_exact(two)) {
                let p = p.mul(share);
                let values = &cell[d + part.start..d + part.end];
                for (r, v) in read[part.clone()].iter_mut().zip(values) {
                    *r = r.add(p.mul(*v));
                }
            }
        }
    }
}

struct Push<'a, S>(&'a mut Cell<S>);

impl<S: Tables> Kernel<S> for Push<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        unsafe { self.0.push::<V>() }
    }
}

struct Step<'a, S>(&'a mut Cell<S>);

impl<S: Tables> Kernel<S> for Step<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let cell = self.0;
        let Cell { d, d_in, .. } = *cell;
        unsafe {
            apply::<V>([d_in + d, 5 * d], &cell.input, &cell.seen, &mut cell.z, false);
            let (_, query) = cell.z.split_at_mut(4 * d);
            bias_elu::<V>(query, &cell.seen_bias[4 * d..], false);
            cell.attend::<V>();
            let (read, a) = cell.scratch.split_at_mut(d);
            apply::<V>([d, d], read, &cell.output, a, false);
            bias_elu::<V>(a, &cell.output_bias, false);
            normalise::<V>(a, cell.norms[Site::Attention as usize].as_ref());
            apply::<V>([d, 4 * d], a, &cell.attention, &mut cell.z[..4 * d], true);
            let (z, bias) = (cell.z.as_mut_ptr(), cell.seen_bias.as_ptr());
            let c = cell.cell.as_mut_ptr();
            for f in (0..d).step_by(V::LANES) {
                let n = V::LANES.min(d - f);
                let mut gates = [V::zero(); 4];
                for (i, gate) in gates.iter_mut().enumerate() {
                    let (z, bias) = (z.add(i * d + f), bias.add(i * d + f));
                    *gate = load::<V>(z, n).add(load::<V>(bias, n));
                }
                let [g, forget, i, o] = gates;
                let past = load::<V>(c.add(f), n).mul(sigmoid(forget));
                store(tanh(g).mul_add(sigmoid(i), past), c.add(f), n);
                store(sigmoid(o), z.add(3 * d + f), n);
            }
            normalise::<V>(&mut cell.cell, cell.norms[Site::Cell as usize].as_ref());
            let hidden = cell.input.as_mut_ptr().add(d_in);
            for f in (0..d).step_by(V::LANES) {
                let n = V::LANES.min(d - f);
                let (o, c) = (load::<V>(z.add(3 * d + f), n), load::<V>(c.add(f), n));
                store(o.mul(elu(c)), hidden.add(f), n);
            }
            normalise::<V>(&mut cell.input[d_in..], cell.norms[Site::Hidden as usize].as_ref());
            cell.push::<V>();
        }
    }
}

/// `to (+)= from W`.
#[inline(always)]
unsafe fn apply<V: Vector>(
    [k, n]: [usize; 2],
    from: &[V::Scalar],
    weight: &[V::Scalar],
    to: &mut [V::Scalar],
    accumulate: bool,
) {
    let (a, b, c) = (from.as_ptr(), weight.as_ptr(), to.as_mut_ptr());
    let (m, a_row, a_col, b_row, c_row) = (1, k, 1, n, n);
    unsafe { V::matmul(MatMul { m, n, k, a, a_row, a_col, b, b_row, c, c_row, accumulate }) };
}

/// `elu(x + bias)` in place, without the ELU where `linear`.
#[inline(always)]
unsafe fn bias_elu<V: Vector<Scalar: Tables>>(
    x: &mut [V::Scalar],
    bias: &[V::Scalar],
    linear: bool,
) {
    for f in (0..x.len()).step_by(V::LANES) {
        let n = V::LANES.min(x.len() - f);
        unsafe {
            let x = x.as_mut_ptr().add(f);
            let z = load::<V>(x, n).add(load::<V>(bias.as_ptr().add(f), n));
            store(if linear { z } else { elu(z) }, x, n);
        }
    }
}

#[inline(always)]
unsafe fn normalise<V: Vector>(x: &mut [V::Scalar], norm: Option<&Fixed<V::Scalar>>) {
    use crate::cpu::simd::Scalar;
    let Some(norm) = norm else { return };
    if norm.of_row {
        let share = 1.0 / x.len() as f64;
        let mean = x.iter().map(|x| x.to_f64()).sum::<f64>() * share;
        let var = x.iter().map(|x| (x.to_f64() - mean).powi(2)).sum::<f64>() * share;
        let inverse = 1.0 / (var + EPS).sqrt();
        for x in x.iter_mut() {
            *x = V::Scalar::from_f64((x.to_f64() - mean) * inverse);
        }
    }
    for f in (0..x.len()).step_by(V::LANES) {
        let n = V::LANES.min(x.len() - f);
        unsafe {
            let slope = load::<V>(norm.slope.as_ptr().add(f), n);
            let shift = load::<V>(norm.shift.as_ptr().add(f), n);
            let x = x.as_mut_ptr().add(f);
            store(load::<V>(x, n).mul_add(slope, shift), x, n);
        }
    }
}
