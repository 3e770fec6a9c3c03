//! Back through all steps, chunk by chunk of the batch.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use burn::tensor::TensorData;

use super::forward::Kept;
use super::op::Inputs;
use super::sizes::Sizes;
use crate::affine::Packed;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::{Tables, tanh};
use crate::cpu::matmul::MatMul;
use crate::cpu::simd::{Scalar, Vector};
use crate::cpu::view::{FlexTensor, Output, Ptr, Storage, View};
use crate::pointwise::{load, store};

/// Steps whose weight gradient is one product: enough for a long sum, few enough for the cache.
const STEPS: usize = 8;

/// Gradients of `x`, `W_x`, `W_h`, the bias, and the start, where wanted.
pub(super) fn backward<S: Storage + Tables>(
    sizes: Sizes,
    inputs: &Inputs,
    steps: &[FlexTensor; 2],
    [out, grad]: [&FlexTensor; 2],
    wanted: [bool; 6],
) -> [Option<FlexTensor>; 6] {
    let Sizes { batch, time, d_in, d_hidden, .. } = sizes;
    let n_gates = 4 * d_hidden;
    let [want_x, want_w_x, want_w_h, want_bias, want_hidden, want_cell] = wanted;
    let (want_weights, want_start) = (want_w_x || want_w_h || want_bias, want_hidden || want_cell);

    let transposed = |weight: &FlexTensor, n| unsafe {
        Packed::new(View::<S, 2>::new(weight).ptr, n_gates, n, 1, n_gates)
    };
    let w_h = transposed(&inputs.weight_hidden, d_hidden);
    let w_x = want_x.then(|| transposed(&inputs.weight_input, d_in));
    let mut dx = Output::<S>::new(if want_x { batch * time * d_in } else { 0 });
    let size = (d_in + d_hidden + 1) * n_gates;
    let parts = if want_weights { sizes.chunks() } else { 0 };
    let mut partial = vec![S::ZERO; parts * size];
    let n_start = if want_start { batch * d_hidden } else { 0 };
    let mut d_start = [Output::<S>::new(n_start), Output::new(n_start)];

    let [gates, cells] = steps.each_ref().map(|x| View::<S, 3>::new(x).ptr);
    let kept = Kept { gates, cells };
    let [x, out, grad] = [&inputs.x, out, grad].map(|x| View::<S, 3>::new(x).ptr);
    let start = inputs.start.as_ref().map(|s| s.each_ref().map(|x| View::<S, 2>::new(x).ptr));
    let (dx_ptr, partial_ptr) = (dx.ptr(), Ptr(partial.as_mut_ptr()));
    let d_start_ptr = d_start.each_mut().map(Output::ptr);
    sizes.for_each_chunk(|chunk, first, rows| unsafe {
        launch(Backward {
            rows,
            sizes,
            x: x.at(first * time * d_in),
            start: start.map(|s| s.map(|s| s.at(first * d_hidden).cast_const())),
            out: out.at(first * sizes.out_row()),
            grad: grad.at(first * sizes.out_row()),
            kept: kept.from(first * time, d_hidden),
            weight_hidden: &w_h,
            input: w_x.as_ref().map(|w| (w, dx_ptr.at(first * time * d_in))),
            weights: want_weights.then(|| partial_ptr.at(chunk * size)),
            d_start: want_start.then(|| d_start_ptr.map(|s| s.at(first * d_hidden))),
        });
    });

    let sums = sum_of_parts(&partial, size);
    let (d_w_x, rest) = sums.split_at(d_in * n_gates);
    let (d_w_h, d_bias) = rest.split_at(d_hidden * n_gates);
    let [d_hidden_0, d_cell_0] =
        d_start.map(|s| want_start.then(|| unsafe { s.finish([batch, d_hidden]) }));
    [
        want_x.then(|| unsafe { dx.finish([batch, time, d_in]) }),
        want_w_x.then(|| tensor(d_w_x, [d_in, n_gates])),
        want_w_h.then(|| tensor(d_w_h, [d_hidden, n_gates])),
        want_bias.then(|| tensor(d_bias, [n_gates])),
        d_hidden_0,
        d_cell_0,
    ]
}

/// Adds partial sums of `size` numbers each, in order and in `f64`.
pub(in crate::recurrent) fn sum_of_parts<S: Scalar>(partial: &[S], size: usize) -> Vec<S> {
    let mut sums = vec![0.0; size];
    for part in partial.chunks_exact(size) {
        for (sum, x) in sums.iter_mut().zip(part) {
            *sum += x.to_f64();
        }
    }
    sums.into_iter().map(S::from_f64).collect()
}

pub(in crate::recurrent) fn tensor<S: Scalar, const D: usize>(
    values: &[S],
    dims: [usize; D],
) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values.to_vec(), dims))
}

/// Rows of the batch scanned together; all pointers are at the first of them.
struct Backward<'a, S> {
    rows: usize,
    sizes: Sizes,
    x: *const S,
    /// As in the forward pass.
    start: Option<[*const S; 2]>,
    /// What the forward pass returned, and the gradient of it.
    out: *const S,
    grad: *const S,
    kept: Kept<S>,
    /// `W_hᵀ`
    weight_hidden: &'a Packed<S>,
    /// `W_xᵀ`, and where `∂x` goes.
    input: Option<(&'a Packed<S>, *mut S)>,
    /// Zeros, `[d_in + d_hidden + 1, 4 d_hidden]`, to which `[∂W_x; ∂W_h; ∂b]` is added.
    weights: Option<*mut S>,
    /// Where the gradients of the start go.
    d_start: Option<[*mut S; 2]>,
}

impl<S: Tables> Kernel<S> for Backward<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { rows, sizes, .. } = self;
        let Sizes { time, d_in, d_hidden, .. } = sizes;
        let z_row = sizes.gate_row();
        let mut dz = vec![S::ZERO; STEPS * rows * z_row];
        let mut dh = vec![S::ZERO; rows * d_hidden];
        let mut dc = vec![S::ZERO; rows * d_hidden];
        // Rows [x_t h_{t-1} 1].
        let a_row = d_in + d_hidden + 1;
        let mut a = vec![S::ONE; if self.weights.is_some() { STEPS * rows * a_row } else { 0 }];
        if sizes.with_cell {
            for (r, dc) in dc.chunks_exact_mut(d_hidden).enumerate() {
                let from = self.grad.wrapping_add(r * sizes.out_row() + time * d_hidden);
                unsafe { std::ptr::copy_nonoverlapping(from, dc.as_mut_ptr(), d_hidden) };
            }
        }
        for last in (0..time).rev().step_by(STEPS) {
            let first = (last + 1).saturating_sub(STEPS);
            for t in (first..=last).rev() {
                let dz = dz[(t - first) * rows * z_row..].as_mut_ptr();
                unsafe {
                    for r in 0..rows {
                        let (dh, dc) = (&dh[r * d_hidden..], &mut dc[r * d_hidden..]);
                        self.step::<V>(r, t, dh.as_ptr(), dc.as_mut_ptr(), dz.add(r * z_row));
                    }
                    let to = (dh.as_mut_ptr(), d_hidden);
                    self.weight_hidden.multiply::<V>(rows, (dz, z_row), to);
                    if let Some((weight, dx)) = self.input {
                        weight.multiply::<V>(rows, (dz, z_row), (dx.add(t * d_in), time * d_in));
                    }
                }
            }
            if let Some(weights) = self.weights {
                for (i, a) in a.chunks_exact_mut(a_row).take((last + 1 - first) * rows).enumerate()
                {
                    unsafe { self.inputs(i % rows, first + i / rows, a) };
                }
                unsafe {
                    V::matmul(MatMul {
                        m: a_row,
                        n: 4 * d_hidden,
                        k: (last + 1 - first) * rows,
                        a: a.as_ptr(),
                        a_row: 1,
                        a_col: a_row,
                        b: dz.as_ptr(),
                        b_row: z_row,
                        c: weights,
                        c_row: 4 * d_hidden,
                        accumulate: true,
                    });
                }
            }
        }
        if let Some(to) = self.d_start {
            for (to, from) in to.into_iter().zip([dh, dc]) {
                unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
            }
        }
    }
}

impl<S: Tables> Backward<'_, S> {
    /// `dz` of row `r` at step `t`; `dc` goes from behind the step to before it.
    #[inline(always)]
    unsafe fn step<V: Vector<Scalar = S>>(
        &self,
        r: usize,
        t: usize,
        dh: *const S,
        dc: *mut S,
        dz: *mut S,
    ) {
        let Sizes { time, d_hidden: d, .. } = self.sizes;
        let place = r * time + t;
        let grad = self.grad.wrapping_add(r * self.sizes.out_row() + t * d);
        let past_cell = if t > 0 {
            Some(self.kept.cells.at((place - 1) * d).cast_const())
        } else {
            self.start.map(|[_, cell]| cell.wrapping_add(r * d))
        };
        let gates = self.kept.gates.at(4 * place * d).cast_const();
        let cells = self.kept.cells.at(place * d).cast_const();
        let mut j = 0;
        while j < d {
            let n = V::LANES.min(d - j);
            unsafe {
                let i = load::<V>(gates.add(j), n);
                let f = load::<V>(gates.add(d + j), n);
                let o = load::<V>(gates.add(2 * d + j), n);
                let g = load::<V>(gates.add(3 * d + j), n);
                let past = match past_cell {
                    Some(cell) => load::<V>(cell.add(j), n),
                    None => V::zero(),
                };
                let squashed = tanh(load::<V>(cells.add(j), n));
                let dh = load::<V>(dh.add(j), n).add(load::<V>(grad.add(j), n));
                let through_tanh = dh.mul(o).mul(slope_of_tanh(squashed));
                let d_cell = load::<V>(dc.add(j), n).add(through_tanh);
                store(d_cell.mul(f), dc.add(j), n);
                store(d_cell.mul(g).mul(slope_of_sigmoid(i)), dz.add(j), n);
                store(d_cell.mul(past).mul(slope_of_sigmoid(f)), dz.add(d + j), n);
                store(dh.mul(squashed).mul(slope_of_sigmoid(o)), dz.add(2 * d + j), n);
                store(d_cell.mul(i).mul(slope_of_tanh(g)), dz.add(3 * d + j), n);
            }
            j += n;
        }
    }

    /// What the weights met in row `r` at step `t`: `x_t` and `h_{t-1}`.
    #[inline(always)]
    unsafe fn inputs(&self, r: usize, t: usize, a: &mut [S]) {
        let Sizes { time, d_in, d_hidden, .. } = self.sizes;
        let x = self.x.wrapping_add((r * time + t) * d_in);
        let past = if t > 0 {
            Some(self.out.wrapping_add(r * self.sizes.out_row() + (t - 1) * d_hidden))
        } else {
            self.start.map(|[hidden, _]| hidden.wrapping_add(r * d_hidden))
        };
        let (to_x, to_h) = a.split_at_mut(d_in);
        unsafe {
            std::ptr::copy_nonoverlapping(x, to_x.as_mut_ptr(), d_in);
            match past {
                Some(past) => std::ptr::copy_nonoverlapping(past, to_h.as_mut_ptr(), d_hidden),
                None => to_h[..d_hidden].fill(S::ZERO),
            }
        }
    }
}

/// `1 − y²`, the slope of `tanh` where its value is `y`.
#[inline(always)]
pub(in crate::recurrent) unsafe fn slope_of_tanh<V: Vector>(y: V) -> V {
    unsafe { V::zero().sub(y).mul_add(y, V::splat(V::Scalar::ONE)) }
}

/// `y (1 − y)`, the slope of `σ` where its value is `y`.
#[inline(always)]
pub(in crate::recurrent) unsafe fn slope_of_sigmoid<V: Vector>(y: V) -> V {
    unsafe { y.mul(V::splat(V::Scalar::ONE).sub(y)) }
}
