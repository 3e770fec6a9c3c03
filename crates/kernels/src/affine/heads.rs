//! Linear maps of rows into heads of attention, and of heads back into rows, where a token is a set of points and a
//! head has features at each of them.
//!
//! ```text
//! y[b, m h + i, t, p d + j] = (x W_m + bias_m)[b, t n + p, j h + i]        m < maps, i < h heads, j < d, p < n points
//! ```
//!
//! The features of all heads come in turn in a row, as in the program of Calvello et al. 2025, arXiv:2406.06486. Columns of
//! the weights are put in the order of heads before the product, so that what is left is to copy runs of `d` numbers
//! while they are in the first cache. Cost: that of the product; nothing is written twice.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory, rows written by one thread each")]

use burn::tensor::{Tensor, assert_shape};

use super::op::{MAX_MAPS, composed};
use super::product::{Packed, Rows, multiply};
use super::weight_gradient::Sums;
use crate::cpu::aligned::Aligned;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::layout::copy_rows;
use crate::cpu::math::Tables;
use crate::cpu::op::{FusedOp, Input, apply, apply_to_list, on_cpu};
use crate::cpu::simd::Vector;
use crate::cpu::view::{
    FlexTensor, Output, Storage, View, by_dtype, contiguous, dims, with_contiguous_rows,
};
use crate::pointwise::{Activation, Epilogue, for_each_chunk};

/// Several maps of the same rows, every one into `heads` heads.
///
/// # Shapes
/// - `x`: `[batch, time · points, d_in]`; `weight`: `[d_in, heads · d]` and `bias`: `[heads · d]` of every map
/// - returns: `[batch, maps · heads, time, points · d]`, all heads of the first map first
///
/// # Panics
/// If there is no map or more than [`MAX_MAPS`], if `heads` does not divide the columns or `points` the
/// rows, or if the shapes or types disagree.
#[must_use]
pub fn to_heads(
    x: Tensor<3>,
    maps: Vec<(Tensor<2>, Tensor<1>)>,
    heads: usize,
    points: usize,
) -> Tensor<4> {
    let n = maps.len();
    assert!((1..=MAX_MAPS).contains(&n), "{n} maps of the same rows, expected 1 to {MAX_MAPS}");
    let ([batch, rows, d_in], [_, width]) = (x.dims(), maps[0].0.dims());
    assert!(width % heads == 0, "{heads} heads do not divide {width} features");
    assert!(rows % points == 0, "tokens of {points} points do not divide {rows} rows");
    for (weight, bias) in &maps {
        assert_shape!(weight, [d_in, width]);
        assert_shape!(bias, [width]);
    }
    let (time, d) = (rows / points, width / heads);
    if !on_cpu(&x) {
        let of_map = |(weight, bias)| {
            let y = composed(x.clone(), weight, Some(bias), Activation::Identity);
            let y = y.reshape([batch, time, points, d, heads]).permute([0, 4, 1, 2, 3]);
            y.reshape([batch, heads, time, points * d])
        };
        return Tensor::cat(maps.into_iter().map(of_map).collect(), 1);
    }
    let (weights, biases): (Vec<_>, Vec<_>) =
        maps.into_iter().map(|(w, b)| (w.into_dispatch(), b.into_dispatch())).unzip();
    let op = ToHeads { maps: n, heads, points };
    let inputs: Vec<Input> =
        std::iter::once(x.into_dispatch()).chain(weights).chain(biases).collect();
    apply_to_list!(op, inputs, lengths: 3 5 7)
}

/// A map of the features of all heads at every point: the inverse order of [`to_heads`], then `W` and the bias.
///
/// # Shapes
/// - `x`: `[batch, heads, time, points · d]`; `weight`: `[heads · d, d_out]`; `bias`: `[d_out]`
/// - returns: `[batch, time · points, d_out]`
///
/// # Panics
/// If `points` does not divide the features of a head, or the shapes or types disagree.
#[must_use]
pub fn from_heads(x: Tensor<4>, weight: Tensor<2>, bias: Tensor<1>, points: usize) -> Tensor<3> {
    let ([batch, heads, time, features], [_, d_out]) = (x.dims(), weight.dims());
    assert!(features % points == 0, "{points} points do not divide {features} features");
    let d = features / points;
    assert_shape!(weight, [heads * d, d_out]);
    assert_shape!(bias, [d_out]);
    if !on_cpu(&x) {
        let rows = x.reshape([batch, heads, time, points, d]).permute([0, 2, 3, 4, 1]);
        let rows = rows.reshape([batch, time * points, d * heads]);
        return composed(rows, weight, Some(bias), Activation::Identity);
    }
    apply(FromHeads { points }, [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()])
}

#[derive(Clone, Copy, Debug)]
struct ToHeads {
    maps: usize,
    heads: usize,
    points: usize,
}

#[derive(Clone, Copy, Debug)]
struct FromHeads {
    points: usize,
}

impl<const N: usize> FusedOp<N> for ToHeads {
    /// The rows, and the weights in the order of heads.
    type Saved = [FlexTensor; 2];

    fn forward(&self, inputs: [FlexTensor; N]) -> (FlexTensor, Self::Saved) {
        let inputs: Vec<FlexTensor> = inputs.into_iter().map(contiguous).collect();
        by_dtype!(inputs[0], to_heads_forward(self, &inputs))
    }

    fn backward(
        &self,
        [x, weight]: Self::Saved,
        grad: FlexTensor,
        _: [bool; N],
    ) -> [Option<FlexTensor>; N] {
        let grad = with_contiguous_rows(grad);
        let mut found = by_dtype!(grad, to_heads_backward(self, &x, &weight, &grad)).into_iter();
        std::array::from_fn(|_| found.next())
    }
}

impl FusedOp<3> for FromHeads {
    /// The heads, and the weight in their order.
    type Saved = [FlexTensor; 2];

    fn forward(&self, [x, weight, bias]: [FlexTensor; 3]) -> (FlexTensor, Self::Saved) {
        let inputs = [with_contiguous_rows(x), contiguous(weight), contiguous(bias)];
        by_dtype!(inputs[0], from_heads_forward(self, inputs))
    }

    fn backward(
        &self,
        [x, weight]: Self::Saved,
        grad: FlexTensor,
        _: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let grad = contiguous(grad);
        by_dtype!(grad, from_heads_backward(self, &x, &weight, &grad)).map(Some)
    }
}

/// Where the numbers of a row are in `[batch, heads, time, points · d]`.
#[derive(Clone, Copy)]
struct ByHead<S> {
    view: View<S, 4>,
    heads: usize,
    time: usize,
    points: usize,
    d: usize,
}

impl<S: Storage> ByHead<S> {
    fn new(x: &FlexTensor, points: usize) -> Self {
        let [_, heads, time, features] = dims(x);
        Self { view: View::new(x), heads, time, points, d: features / points }
    }

    /// New memory for `batch` sequences, token by token: rows next to each other are written near each other.
    fn of(to: &mut Output<S>, [heads, time, points, d]: [usize; 4]) -> Self {
        let features = points * d;
        let strides = [time * heads * features, features, heads * features, 1];
        Self { view: View { ptr: to.ptr(), strides }, heads, time, points, d }
    }

    /// The tensor of the memory of [`ByHead::of`].
    unsafe fn finish(&self, memory: Output<S>, batch: usize) -> FlexTensor {
        let shape = [batch, self.time, self.heads, self.points * self.d];
        unsafe { memory.finish(shape) }.transpose(1, 2)
    }
}

/// Copies rows from heads to a chunk, or back; in the chunk a row is head after head.
struct Turn<S> {
    heads: ByHead<S>,
    first: usize,
    rows: usize,
    chunk: *mut S,
    /// From the chunk to heads.
    out: bool,
}

impl<S: Storage + Tables> Kernel<S> for Turn<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let ByHead { view, heads, time, points, d } = self.heads;
        let [of_batch, of_head, of_time, _] = view.strides;
        let width = heads * d;
        let mut row = 0;
        while row < self.rows {
            let (token, point) = ((self.first + row) / points, (self.first + row) % points);
            let n = (points - point).min(self.rows - row);
            let at = token / time * of_batch + token % time * of_time + point * d;
            for head in 0..heads {
                let run = (view.ptr.at(at + head * of_head), d);
                let chunk = (self.chunk.wrapping_add(row * width + head * d), width);
                let (from, to) = if self.out { (chunk, run) } else { (run, chunk) };
                unsafe { copy_rows::<V>([n, d], (from.0.cast_const(), from.1), to) };
            }
            row += n;
        }
    }
}

/// Place in a row of the feature that is number `k` in the order of heads.
fn in_turn(k: usize, heads: usize, width: usize) -> usize {
    let d = width / heads;
    k % d * heads + k / d
}

fn to_heads_forward<S: Storage + Tables>(
    op: &ToHeads,
    inputs: &[FlexTensor],
) -> (FlexTensor, [FlexTensor; 2]) {
    let (x, maps) = (&inputs[0], &inputs[1..]);
    let [batch, n, d_in] = dims(x);
    let [_, width] = dims(&maps[0]);
    let (rows, all) = (batch * n, op.maps * width);
    let mut weight = Output::<S>::new(d_in * all);
    let mut bias = Output::<S>::new(all);
    let (w, b) = (weight.ptr(), bias.ptr());
    for (map, (of_weight, of_bias)) in maps[..op.maps].iter().zip(&maps[op.maps..]).enumerate() {
        let from = View::<S, 2>::new(of_weight).ptr;
        let of_bias = View::<S, 1>::new(of_bias).ptr;
        for k in 0..width {
            let (to, column) = (map * width + k, in_turn(k, op.heads, width));
            unsafe { *b.at(to) = *of_bias.at(column) };
            for i in 0..d_in {
                unsafe { *w.at(i * all + to) = *from.at(i * width + column) };
            }
        }
    }
    let packed = unsafe { Packed::new(w, d_in, all, all, 1) };
    let mut y = Output::<S>::new(rows * all);
    let size = [op.maps * op.heads, n / op.points, op.points, width / op.heads];
    let heads = ByHead::of(&mut y, size);
    let x_ptr = View::<S, 3>::new(x).ptr;
    for_each_chunk(rows, d_in * all, |first, rows| unsafe {
        let chunk: Aligned<S> = Aligned::new(rows * all);
        let z = chunk.ptr().0;
        multiply(Rows { m: rows, a: x_ptr.at(first * d_in), w: &packed, c: z });
        let activation = Activation::Identity;
        launch(Epilogue { rows, d: all, bias: Some(b), z, y: z, activation });
        launch(Turn { heads, first, rows, chunk: z, out: true });
    });
    unsafe { (heads.finish(y, batch), [x.clone(), weight.finish([d_in, all])]) }
}

/// Gradients of the rows, of all weights and of all biases.
fn to_heads_backward<S: Storage + Tables>(
    op: &ToHeads,
    x: &FlexTensor,
    weight: &FlexTensor,
    grad: &FlexTensor,
) -> Vec<FlexTensor> {
    let [batch, n, d_in] = dims(x);
    let [_, all] = dims(weight);
    let (rows, width) = (batch * n, all / op.maps);
    let heads = ByHead::<S>::new(grad, op.points);
    let w = View::<S, 2>::new(weight).ptr;
    let packed = unsafe { Packed::new(w, all, d_in, 1, all) };
    let mut dx = Output::<S>::new(rows * d_in);
    let (dx_ptr, x_ptr) = (dx.ptr(), View::<S, 3>::new(x).ptr);
    let sums = Sums::over(rows, [d_in, all], |sums, group, first, rows| unsafe {
        let chunk: Aligned<S> = Aligned::new(rows * all);
        let dz = chunk.ptr().0;
        launch(Turn { heads, first, rows, chunk: dz, out: false });
        sums.add(group, first, rows, (x_ptr.at(first * d_in), dz));
        multiply(Rows { m: rows, a: dz, w: &packed, c: dx_ptr.at(first * d_in) });
    });
    let (dw, db) = (View::<S, 2>::new(&sums[0]).ptr, View::<S, 1>::new(&sums[1]).ptr);
    let mut found = vec![unsafe { dx.finish([batch, n, d_in]) }];
    found.extend((0..op.maps).map(|map| {
        let mut part = Output::<S>::new(d_in * width);
        let to = part.ptr();
        for k in 0..width {
            let (from, column) = (map * width + k, in_turn(k, op.heads, width));
            for i in 0..d_in {
                unsafe { *to.at(i * width + column) = *dw.at(i * all + from) };
            }
        }
        unsafe { part.finish([d_in, width]) }
    }));
    found.extend((0..op.maps).map(|map| {
        let mut part = Output::<S>::new(width);
        for k in 0..width {
            let column = in_turn(k, op.heads, width);
            unsafe { *part.ptr().at(column) = *db.at(map * width + k) };
        }
        unsafe { part.finish([width]) }
    }));
    found
}

fn from_heads_forward<S: Storage + Tables>(
    op: &FromHeads,
    [x, weight, bias]: [FlexTensor; 3],
) -> (FlexTensor, [FlexTensor; 2]) {
    let ([batch, _, time, _], [width, d_out]) = (dims::<4>(&x), dims::<2>(&weight));
    let rows = batch * time * op.points;
    let heads = ByHead::<S>::new(&x, op.points);
    let mut turned = Output::<S>::new(width * d_out);
    let (w, from) = (turned.ptr(), View::<S, 2>::new(&weight).ptr);
    for k in 0..width {
        let row = in_turn(k, heads.heads, width);
        let (from, to) = (from.at(row * d_out), w.at(k * d_out));
        unsafe { from.copy_to_nonoverlapping(to, d_out) };
    }
    let packed = unsafe { Packed::new(w, width, d_out, d_out, 1) };
    let b = View::<S, 1>::new(&bias).ptr;
    let mut y = Output::<S>::new(rows * d_out);
    let to = y.ptr();
    for_each_chunk(rows, width * d_out, |first, rows| unsafe {
        let chunk: Aligned<S> = Aligned::new(rows * width);
        let (a, z) = (chunk.ptr().0, to.at(first * d_out));
        launch(Turn { heads, first, rows, chunk: a, out: false });
        multiply(Rows { m: rows, a, w: &packed, c: z });
        let activation = Activation::Identity;
        launch(Epilogue { rows, d: d_out, bias: Some(b), z, y: z, activation });
    });
    let y = unsafe { y.finish([batch, time * op.points, d_out]) };
    (y, [x, unsafe { turned.finish([width, d_out]) }])
}

/// Gradients of the heads, of the weight and of the bias.
fn from_heads_backward<S: Storage + Tables>(
    op: &FromHeads,
    x: &FlexTensor,
    weight: &FlexTensor,
    grad: &FlexTensor,
) -> [FlexTensor; 3] {
    let ([batch, _, time, _], [width, d_out]) = (dims::<4>(x), dims::<2>(weight));
    let rows = batch * time * op.points;
    let from = ByHead::<S>::new(x, op.points);
    let mut dx = Output::<S>::new(rows * width);
    let to = ByHead::of(&mut dx, [from.heads, time, op.points, from.d]);
    let packed = unsafe { Packed::new(View::<S, 2>::new(weight).ptr, d_out, width, 1, d_out) };
    let g = View::<S, 3>::new(grad).ptr;
    let sums = Sums::over(rows, [width, d_out], |sums, group, first, rows| unsafe {
        let chunk: Aligned<S> = Aligned::new(rows * width);
        let (chunk, dz) = (chunk.ptr().0, g.at(first * d_out));
        launch(Turn { heads: from, first, rows, chunk, out: false });
        sums.add(group, first, rows, (chunk, dz));
        multiply(Rows { m: rows, a: dz, w: &packed, c: chunk });
        launch(Turn { heads: to, first, rows, chunk, out: true });
    });
    let [dw, db] = sums;
    let mut turned = Output::<S>::new(width * d_out);
    let (w, dw) = (turned.ptr(), View::<S, 2>::new(&dw).ptr);
    for k in 0..width {
        let to = w.at(in_turn(k, from.heads, width) * d_out);
        unsafe { dw.at(k * d_out).copy_to_nonoverlapping(to, d_out) };
    }
    unsafe { [to.finish(dx, batch), turned.finish([width, d_out]), db] }
}
