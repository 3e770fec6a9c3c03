//! Forward through all steps, chunk by chunk of the batch.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use super::op::Inputs;
use crate::affine::Packed;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::{Tables, sigmoid, tanh};
use crate::cpu::simd::Vector;
use crate::cpu::view::{FlexTensor, Output, Ptr, Storage, View};
use crate::pointwise::{load, store};
use crate::recurrent::lstm::Sizes;

/// The result, and `r`, `z`, `n`, `v_n` of every step if `keep`.
pub(super) fn forward<S: Storage + Tables>(
    sizes: Sizes,
    inputs: &Inputs,
    biases: [&FlexTensor; 2],
    keep: bool,
) -> (FlexTensor, Option<FlexTensor>) {
    let Sizes { batch, time, d_in, d_hidden, .. } = sizes;
    let packed = |weight: &FlexTensor, k| unsafe {
        Packed::new(View::<S, 2>::new(weight).ptr, k, 3 * d_hidden, 3 * d_hidden, 1)
    };
    let w_x = packed(&inputs.weight_input, d_in);
    let w_h = packed(&inputs.weight_hidden, d_hidden);
    let zeros = vec![S::ZERO; d_hidden];
    let mut out = Output::<S>::new(batch * time * d_hidden);
    let mut gates = Output::<S>::new(if keep { batch * time * 4 * d_hidden } else { 0 });
    let x = View::<S, 3>::new(&inputs.x).ptr;
    let biases = biases.map(|bias| View::<S, 1>::new(bias).ptr);
    let start = inputs.start.as_ref().map(|start| View::<S, 2>::new(start).ptr);
    let zeros = Ptr(zeros.as_ptr().cast_mut());
    let (out_ptr, gates_ptr) = (out.ptr(), gates.ptr());
    sizes.for_each_chunk(|_, first, rows| unsafe {
        launch(Forward {
            rows,
            sizes,
            x: x.at(first * time * d_in),
            weights: [&w_x, &w_h],
            biases: biases.map(|bias| bias.at(0).cast_const()),
            start: match start {
                Some(start) => (start.at(first * d_hidden), d_hidden),
                None => (zeros.at(0), 0),
            },
            out: out_ptr.at(first * time * d_hidden),
            gates: keep.then(|| gates_ptr.at(first * time * 4 * d_hidden)),
        });
    });
    unsafe {
        let gates = keep.then(|| gates.finish([batch, time, 4 * d_hidden]));
        (out.finish([batch, time, d_hidden]), gates)
    }
}

/// Rows of the batch scanned together; all pointers are at the first of them.
struct Forward<'a, S> {
    rows: usize,
    sizes: Sizes,
    /// `[batch, time, d_in]`
    x: *const S,
    /// `W_x` and `W_h`.
    weights: [&'a Packed<S>; 2],
    biases: [*const S; 2],
    /// Hidden state before the first step, and the distance between its rows.
    start: (*const S, usize),
    /// `[batch, time, d_hidden]`
    out: *mut S,
    /// `[batch, time, 4 d_hidden]`
    gates: Option<*mut S>,
}

impl<S: Tables> Kernel<S> for Forward<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { rows, sizes, x, weights: [w_x, w_h], start, out, .. } = self;
        let Sizes { time, d_in, d_hidden, .. } = sizes;
        let row = sizes.gate_row();
        let mut u = vec![S::ZERO; rows * row];
        let mut v = vec![S::ZERO; rows * row];
        for t in 0..time {
            let (past, past_row) = match t {
                0 => start,
                _ => (out.wrapping_add((t - 1) * d_hidden).cast_const(), time * d_hidden),
            };
            unsafe {
                w_x.multiply::<V>(rows, (x.add(t * d_in), time * d_in), (u.as_mut_ptr(), row));
                w_h.multiply::<V>(rows, (past, past_row), (v.as_mut_ptr(), row));
                for r in 0..rows {
                    let products = [u.as_ptr().add(r * row), v.as_ptr().add(r * row)];
                    self.step::<V>(products, past.add(r * past_row), r * time + t);
                }
            }
        }
    }
}

impl<S: Tables> Forward<'_, S> {
    /// Gates and hidden state of one row at one step, which `place` numbers.
    #[inline(always)]
    unsafe fn step<V: Vector<Scalar = S>>(
        &self,
        [u, v]: [*const S; 2],
        past: *const S,
        place: usize,
    ) {
        let d = self.sizes.d_hidden;
        let [b_x, b_h] = self.biases;
        let one = unsafe { V::splat(S::ONE) };
        let mut j = 0;
        while j < d {
            let n_lanes = V::LANES.min(d - j);
            unsafe {
                let from_x = [u.add(j), b_x.add(j)];
                let from_h = [v.add(j), b_h.add(j)];
                let r = sum::<V>(from_x, 0, n_lanes).add(sum::<V>(from_h, 0, n_lanes));
                let r = sigmoid(r);
                let z = sum::<V>(from_x, d, n_lanes).add(sum::<V>(from_h, d, n_lanes));
                let z = sigmoid(z);
                let v_n = sum::<V>(from_h, 2 * d, n_lanes);
                let n = tanh(r.mul_add(v_n, sum::<V>(from_x, 2 * d, n_lanes)));
                let h = z.mul_add(load::<V>(past.add(j), n_lanes), one.sub(z).mul(n));
                store(h, self.out.add(place * d + j), n_lanes);
                if let Some(gates) = self.gates {
                    let gates = gates.add(4 * place * d + j);
                    for (i, gate) in [r, z, n, v_n].into_iter().enumerate() {
                        store(gate, gates.add(i * d), n_lanes);
                    }
                }
            }
            j += n_lanes;
        }
    }
}

/// `a + b` at one place of both.
#[inline(always)]
unsafe fn sum<V: Vector>([a, b]: [*const V::Scalar; 2], at: usize, lanes: usize) -> V {
    unsafe { load::<V>(a.add(at), lanes).add(load::<V>(b.add(at), lanes)) }
}
