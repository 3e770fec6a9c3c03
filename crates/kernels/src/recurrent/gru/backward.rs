//! Back through all steps, chunk by chunk of the batch.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use super::op::Inputs;
use crate::affine::Packed;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::Tables;
use crate::cpu::matmul::MatMul;
use crate::cpu::simd::Vector;
use crate::cpu::view::{FlexTensor, Output, Ptr, Storage, View};
use crate::pointwise::{load, store};
use crate::recurrent::lstm::{Sizes, slope_of_sigmoid, slope_of_tanh, sum_of_parts, tensor};

/// Steps whose weight gradient is one product: enough for a long sum, few enough for the cache.
const STEPS: usize = 8;

/// Gradients of `x`, `W_x`, `W_h`, `b_x`, `b_h` and the start, where wanted.
pub(super) fn backward<S: Storage + Tables>(
    sizes: Sizes,
    inputs: &Inputs,
    gates: &FlexTensor,
    [out, grad]: [&FlexTensor; 2],
    wanted: [bool; 6],
) -> [Option<FlexTensor>; 6] {
    let Sizes { batch, time, d_in, d_hidden, .. } = sizes;
    let n_gates = 3 * d_hidden;
    let [want_x, want_w_x, want_w_h, want_b_x, want_b_h, want_start] = wanted;
    let want_weights = want_w_x || want_w_h || want_b_x || want_b_h;

    let transposed = |weight: &FlexTensor, n| unsafe {
        Packed::new(View::<S, 2>::new(weight).ptr, n_gates, n, 1, n_gates)
    };
    let w_h = transposed(&inputs.weight_hidden, d_hidden);
    let w_x = want_x.then(|| transposed(&inputs.weight_input, d_in));
    let mut dx = Output::<S>::new(if want_x { batch * time * d_in } else { 0 });
    let mut d_start = Output::<S>::new(if want_start { batch * d_hidden } else { 0 });
    // [∂W_x; ∂b_x; ∂W_h; ∂b_h]
    let (n_input, n_hidden) = ((d_in + 1) * n_gates, (d_hidden + 1) * n_gates);
    let size = n_input + n_hidden;
    let mut partial = vec![S::ZERO; if want_weights { sizes.chunks() * size } else { 0 }];

    let gates = View::<S, 3>::new(gates).ptr;
    let [x, out, grad] = [&inputs.x, out, grad].map(|x| View::<S, 3>::new(x).ptr);
    let start = inputs.start.as_ref().map(|start| View::<S, 2>::new(start).ptr);
    let (dx_ptr, d_start_ptr) = (dx.ptr(), d_start.ptr());
    let partial_ptr = Ptr(partial.as_mut_ptr());
    sizes.for_each_chunk(|chunk, first, rows| unsafe {
        launch(Backward {
            rows,
            sizes,
            x: x.at(first * time * d_in),
            start: start.map(|start| start.at(first * d_hidden).cast_const()),
            out: out.at(first * time * d_hidden),
            grad: grad.at(first * time * d_hidden),
            gates: gates.at(first * time * 4 * d_hidden),
            weight_hidden: &w_h,
            input: w_x.as_ref().map(|w| (w, dx_ptr.at(first * time * d_in))),
            weights: want_weights
                .then(|| [0, n_input].map(|part| partial_ptr.at(chunk * size + part))),
            d_start: want_start.then(|| d_start_ptr.at(first * d_hidden)),
        });
    });

    let sums = sum_of_parts(&partial, size);
    let (from_x, from_h) = sums.split_at(n_input);
    let (d_w_x, d_b_x) = from_x.split_at(d_in * n_gates);
    let (d_w_h, d_b_h) = from_h.split_at(d_hidden * n_gates);
    [
        want_x.then(|| unsafe { dx.finish([batch, time, d_in]) }),
        want_w_x.then(|| tensor(d_w_x, [d_in, n_gates])),
        want_w_h.then(|| tensor(d_w_h, [d_hidden, n_gates])),
        want_b_x.then(|| tensor(d_b_x, [n_gates])),
        want_b_h.then(|| tensor(d_b_h, [n_gates])),
        want_start.then(|| unsafe { d_start.finish([batch, d_hidden]) }),
    ]
}

/// Rows of the batch scanned together; all pointers are at the first of them.
struct Backward<'a, S> {
    rows: usize,
    sizes: Sizes,
    x: *const S,
    /// As in the forward pass; zero where absent.
    start: Option<*const S>,
    /// What the forward pass returned, and the gradient of it.
    out: *const S,
    grad: *const S,
    gates: *const S,
    /// `W_hᵀ`
    weight_hidden: &'a Packed<S>,
    /// `W_xᵀ`, and where `∂x` goes.
    input: Option<(&'a Packed<S>, *mut S)>,
    /// Zeros, to which `[∂W_x; ∂b_x]` and `[∂W_h; ∂b_h]` are added.
    weights: Option<[*mut S; 2]>,
    /// Where the gradient of the start goes.
    d_start: Option<*mut S>,
}

impl<S: Tables> Kernel<S> for Backward<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { rows, sizes, .. } = self;
        let Sizes { time, d_in, d_hidden: d, .. } = sizes;
        // Rows [du dv] and gradients that reach h_{t-1} by z and through W_h.
        let row = 6 * d + 16;
        let mut du = vec![S::ZERO; STEPS * rows * row];
        let mut dh = vec![S::ZERO; rows * d];
        let mut through = vec![S::ZERO; rows * d];
        // Rows [x_t 1] and [h_{t-1} 1].
        let n_ones = if self.weights.is_some() { STEPS * rows } else { 0 };
        let mut xs = vec![S::ONE; n_ones * (d_in + 1)];
        let mut hs = vec![S::ONE; n_ones * (d + 1)];
        for last in (0..time).rev().step_by(STEPS) {
            let first = (last + 1).saturating_sub(STEPS);
            for t in (first..=last).rev() {
                let du = du[(t - first) * rows * row..].as_mut_ptr();
                unsafe {
                    for r in 0..rows {
                        self.step::<V>(r, t, &mut dh[r * d..], &through[r * d..], du.add(r * row));
                    }
                    let to = (through.as_mut_ptr(), d);
                    self.weight_hidden.multiply::<V>(rows, (du.add(3 * d), row), to);
                    if let Some((weight, dx)) = self.input {
                        weight.multiply::<V>(rows, (du, row), (dx.add(t * d_in), time * d_in));
                    }
                }
            }
            let Some([to_x, to_h]) = self.weights else { continue };
            let k = (last + 1 - first) * rows;
            for i in 0..k {
                let (r, t) = (i % rows, first + i / rows);
                unsafe { self.inputs(r, t, &mut xs[i * (d_in + 1)..], &mut hs[i * (d + 1)..]) };
            }
            let sums = [(xs.as_ptr(), d_in + 1, 0, to_x), (hs.as_ptr(), d + 1, 3 * d, to_h)];
            for (a, m, column, c) in sums {
                unsafe {
                    V::matmul(MatMul {
                        m,
                        n: 3 * d,
                        k,
                        a,
                        a_row: 1,
                        a_col: m,
                        b: du.as_ptr().add(column),
                        b_row: row,
                        c,
                        c_row: 3 * d,
                        accumulate: true,
                    });
                }
            }
        }
        if let Some(to) = self.d_start {
            for (i, (dh, through)) in dh.iter().zip(&through).enumerate() {
                unsafe { *to.add(i) = S::from_f64(dh.to_f64() + through.to_f64()) };
            }
        }
    }
}

impl<S: Tables> Backward<'_, S> {
    /// `[du dv]` of row `r` at step `t`; `dh` goes from behind the step to what `z` lets through.
    #[inline(always)]
    unsafe fn step<V: Vector<Scalar = S>>(
        &self,
        r: usize,
        t: usize,
        dh: &mut [S],
        through: &[S],
        du: *mut S,
    ) {
        let Sizes { time, d_hidden: d, .. } = self.sizes;
        let place = r * time + t;
        let past = self.past(r, t);
        let grad = self.grad.wrapping_add(place * d);
        let gates = self.gates.wrapping_add(4 * place * d);
        let (dh, through) = (dh.as_mut_ptr(), through.as_ptr());
        let mut j = 0;
        while j < d {
            let lanes = V::LANES.min(d - j);
            unsafe {
                let one = V::splat(S::ONE);
                // One by one: `map` on an array of vectors may not be inlined.
                let r = load::<V>(gates.add(j), lanes);
                let z = load::<V>(gates.add(d + j), lanes);
                let n = load::<V>(gates.add(2 * d + j), lanes);
                let v_n = load::<V>(gates.add(3 * d + j), lanes);
                let past = match past {
                    Some(past) => load::<V>(past.add(j), lanes),
                    None => V::zero(),
                };
                let later = load::<V>(dh.add(j), lanes).add(load::<V>(through.add(j), lanes));
                let total = later.add(load::<V>(grad.add(j), lanes));
                store(total.mul(z), dh.add(j), lanes);
                let dn = total.mul(one.sub(z)).mul(slope_of_tanh(n));
                let dr = dn.mul(v_n).mul(slope_of_sigmoid(r));
                let dz = total.mul(past.sub(n)).mul(slope_of_sigmoid(z));
                for (i, x) in [dr, dz, dn, dr, dz, dn.mul(r)].into_iter().enumerate() {
                    store(x, du.add(i * d + j), lanes);
                }
            }
            j += lanes;
        }
    }

    /// `h_{t-1}` of row `r`; `None` where it is zero.
    fn past(&self, r: usize, t: usize) -> Option<*const S> {
        let Sizes { time, d_hidden: d, .. } = self.sizes;
        match t {
            0 => self.start.map(|start| start.wrapping_add(r * d)),
            _ => Some(self.out.wrapping_add((r * time + t - 1) * d)),
        }
    }

    /// What the weights met in row `r` at step `t`: `x_t` and `h_{t-1}`.
    #[inline(always)]
    unsafe fn inputs(&self, r: usize, t: usize, to_x: &mut [S], to_h: &mut [S]) {
        let Sizes { time, d_in, d_hidden: d, .. } = self.sizes;
        let x = self.x.wrapping_add((r * time + t) * d_in);
        unsafe {
            std::ptr::copy_nonoverlapping(x, to_x.as_mut_ptr(), d_in);
            match self.past(r, t) {
                Some(past) => std::ptr::copy_nonoverlapping(past, to_h.as_mut_ptr(), d),
                None => to_h[..d].fill(S::ZERO),
            }
        }
    }
}
