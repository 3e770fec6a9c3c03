//! The recurrence that gives tokens their place: a running sum of logarithms with a gate.
//!
//! ```text
//! s_t = ln(σ(a_t) e^{s_{t−1}} + e^{b_t})
//! w_t = e^{ln σ(a_t) + s_{t−1} − s_t}      G_t = ∂s_t + w_{t+1} G_{t+1}
//! ∂b_t = e^{b_t − s_t} G_t                 ∂a_t = w_t σ(−a_t) G_t           ∂s_0 = w_1 G_1
//! ```
//!
//! Step by step: the parallel form is a difference of sums that grow with the length, and errs by
//! 1e-4 in f32 after a thousand tokens.
//!
//! Source: `EmbedPosition` of the program beside Heinsen 2024, arXiv:2404.05843; the recurrence is that
//! of Heinsen 2023, arXiv:2311.06281. Cost: two exponentials and two logarithms per element.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use burn::tensor::activation::sigmoid as composed_sigmoid;
use burn::tensor::{Tensor, assert_shape};
use rayon::prelude::*;

use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::{Tables, exp, ln_1p, sigmoid};
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::simd::Vector;
use crate::cpu::view::{FlexTensor, Output, Storage, View, by_dtype, contiguous, dims};
use crate::pointwise::{load, store};

/// Channels that one task scans.
const BLOCK: usize = 64;

/// The states `s_t` of the gated running log-sum-exp, fused on the CPU.
///
/// ```text
/// s_t = ln(σ(a_t) e^{s_{t−1}} + e^{b_t})
/// ```
///
/// Without `start`, `s_0 = 0`. The last row is the state from which another sequence goes on.
///
/// # Shapes
/// - `gate_and_input`: `[batch, time, 2 d]`: `a`, then `b`; `start`: `[batch, d]`
/// - returns: `[batch, time, d]`
///
/// # Panics
/// If the shapes or types disagree.
#[must_use]
pub fn positions(gate_and_input: Tensor<3>, start: Option<Tensor<2>>) -> Tensor<3> {
    let start = start_or_zero(&gate_and_input, start);
    if !on_cpu(&gate_and_input) {
        return composed_positions(gate_and_input, Some(start));
    }
    apply(Scan, [gate_and_input.into_dispatch(), start.into_dispatch()])
}

fn start_or_zero(gate_and_input: &Tensor<3>, start: Option<Tensor<2>>) -> Tensor<2> {
    let [batch, _, width] = gate_and_input.dims();
    assert_eq!(width % 2, 0, "gates and inputs side by side have even width, not {width}");
    let d = width / 2;
    let start = start.unwrap_or_else(|| {
        let device = gate_and_input.device().without_autodiff();
        Tensor::zeros([batch, d], (&device, gate_and_input.dtype()))
    });
    assert_shape!(start, [batch, d]);
    start
}

/// [`positions`] out of Burn operations.
///
/// # Shapes
/// As [`positions`].
///
/// # Panics
/// As [`positions`].
#[must_use]
pub fn composed_positions(gate_and_input: Tensor<3>, start: Option<Tensor<2>>) -> Tensor<3> {
    let mut state = start_or_zero(&gate_and_input, start);
    let [_, time, width] = gate_and_input.dims();
    let part = |t, first| {
        let row = gate_and_input.clone().narrow(1, t, 1).narrow(2, first, width / 2);
        row.squeeze_dim::<2>(1)
    };
    let mut rows = Vec::with_capacity(time);
    for t in 0..time {
        let kept = composed_sigmoid(part(t, 0)).log() + state;
        let input = part(t, width / 2);
        let largest = kept.clone().max_pair(input.clone()).detach();
        let sum = (kept - largest.clone()).exp() + (input - largest.clone()).exp();
        state = sum.log() + largest;
        rows.push(state.clone());
    }
    Tensor::stack(rows, 1)
}

#[derive(Clone, Copy, Debug)]
struct Scan;

impl FusedOp<2> for Scan {
    /// Inputs, start, states.
    type Saved = [FlexTensor; 3];

    fn forward(&self, inputs: [FlexTensor; 2]) -> (FlexTensor, [FlexTensor; 3]) {
        let [x, start] = inputs.map(contiguous);
        let s = by_dtype!(x, forward(&x, &start));
        (s.clone(), [x, start, s])
    }

    fn backward(
        &self,
        saved: [FlexTensor; 3],
        grad: FlexTensor,
        _: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let grad = contiguous(grad);
        by_dtype!(grad, backward(&saved, &grad)).map(Some)
    }
}

fn forward<S: Storage + Tables>(x: &FlexTensor, start: &FlexTensor) -> FlexTensor {
    let [batch, time, width] = dims(x);
    let d = width / 2;
    let mut s = Output::<S>::new(batch * time * d);
    let (x, start, to) = (View::<S, 3>::new(x).ptr, View::<S, 2>::new(start).ptr, s.ptr());
    for_each_block(batch, d, |b, columns| unsafe {
        launch(Forward {
            time,
            d,
            columns: columns.len(),
            x: x.at(b * time * width + columns.start),
            start: start.at(b * d + columns.start),
            s: to.at(b * time * d + columns.start),
        });
    });
    unsafe { s.finish([batch, time, d]) }
}

/// Gradients of the inputs and the start.
fn backward<S: Storage + Tables>(saved: &[FlexTensor; 3], grad: &FlexTensor) -> [FlexTensor; 2] {
    let [batch, time, d] = dims(grad);
    let mut dx = Output::<S>::new(batch * time * 2 * d);
    let mut d_start = Output::<S>::new(batch * d);
    let (x_to, start_to) = (dx.ptr(), d_start.ptr());
    let [x, start, s] = saved;
    let (x, start) = (View::<S, 3>::new(x).ptr, View::<S, 2>::new(start).ptr);
    let [s, grad] = [s, grad].map(|x| View::<S, 3>::new(x).ptr);
    for_each_block(batch, d, |b, columns| unsafe {
        let row = b * time * d + columns.start;
        launch(Backward {
            forward: Forward {
                time,
                d,
                columns: columns.len(),
                x: x.at(b * time * 2 * d + columns.start),
                start: start.at(b * d + columns.start),
                s: s.at(row),
            },
            grad: grad.at(row),
            dx: x_to.at(b * time * 2 * d + columns.start),
            d_start: start_to.at(b * d + columns.start),
        });
    });
    unsafe { [dx.finish([batch, time, 2 * d]), d_start.finish([batch, d])] }
}

fn for_each_block(batch: usize, d: usize, f: impl Fn(usize, std::ops::Range<usize>) + Sync + Send) {
    let blocks = d.div_ceil(BLOCK);
    let call = |i: usize| {
        let first = i % blocks * BLOCK;
        f(i / blocks, first..(first + BLOCK).min(d));
    };
    if batch * blocks < 2 {
        (0..batch * blocks).for_each(call);
    } else {
        (0..batch * blocks).into_par_iter().for_each(call);
    }
}

/// Some channels of one sequence; all pointers at the first of them.
struct Forward<S> {
    time: usize,
    d: usize,
    columns: usize,
    /// `[time, 2 d]`
    x: *const S,
    start: *const S,
    /// `[time, d]`
    s: *mut S,
}

impl<S: Tables> Kernel<S> for Forward<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { time, d, columns, x, start, s } = self;
        for j in (0..columns).step_by(V::LANES) {
            let n = V::LANES.min(columns - j);
            unsafe {
                let mut state = load::<V>(start.add(j), n);
                for t in 0..time {
                    let x = x.add(2 * t * d + j);
                    let kept = log_sigmoid(load::<V>(x, n)).add(state);
                    state = log_add(kept, load::<V>(x.add(d), n));
                    store(state, s.add(t * d + j), n);
                }
            }
        }
    }
}

struct Backward<S> {
    forward: Forward<S>,
    grad: *const S,
    dx: *mut S,
    d_start: *mut S,
}

impl<S: Tables> Kernel<S> for Backward<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { forward: Forward { time, d, columns, x, start, s }, grad, dx, d_start } = self;
        for j in (0..columns).step_by(V::LANES) {
            let n = V::LANES.min(columns - j);
            unsafe {
                let mut carried = V::zero();
                for t in (0..time).rev() {
                    let place = t * d + j;
                    let before = if t == 0 { start.add(j) } else { s.add(place - d) };
                    let (before, now) = (load::<V>(before, n), load::<V>(s.add(place), n));
                    let x = x.add(2 * t * d + j);
                    let (a, b) = (load::<V>(x, n), load::<V>(x.add(d), n));
                    let total = load::<V>(grad.add(place), n).add(carried);
                    carried = exp(log_sigmoid(a).add(before).sub(now)).mul(total);
                    let dx = dx.add(2 * t * d + j);
                    store(carried.mul(sigmoid(V::zero().sub(a))), dx, n);
                    store(exp(b.sub(now)).mul(total), dx.add(d), n);
                }
                store(carried, d_start.add(j), n);
            }
        }
    }
}

/// `ln σ(x) = min(x, 0) − ln(1 + e^{−|x|})`
#[inline(always)]
unsafe fn log_sigmoid<V: Vector<Scalar: Tables>>(x: V) -> V {
    unsafe {
        let minus = V::zero().sub(x);
        V::zero().min(x).sub(ln_1p(exp(minus.min(x))))
    }
}

/// `ln(e^x + e^y)`
#[inline(always)]
unsafe fn log_add<V: Vector<Scalar: Tables>>(x: V, y: V) -> V {
    unsafe {
        let (high, low) = (y.max(x), y.min(x));
        high.add(ln_1p(exp(low.sub(high))))
    }
}
