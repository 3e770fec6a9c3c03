//! The operation and its gradient.
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use burn::tensor::{Tensor, assert_shape};

use super::product::{FEW, Packed, Rows, multiply};
use super::weight_gradient::{SMALL, add_partial, n_groups, partial, product, weight_gradient};
use crate::cpu::dispatch::launch;
use crate::cpu::math::Tables;
use crate::cpu::op::{FusedOp, Input, apply, apply_to_list, on_cpu};
use crate::cpu::view::{FlexTensor, Output, Storage, View, by_dtype, contiguous, dims};
use crate::pointwise::{
    Activation, CHUNK, Epilogue, Slope, begins_group, column_sums, composed_activation,
    for_each_chunk, for_each_chunk_of_groups,
};

/// `activation(x · weight + bias)`.
///
/// # Shapes
/// - `x`: `[batch, time, d_in]`; `weight`: `[d_in, d_out]`; `bias`: `[d_out]`
/// - returns: `[batch, time, d_out]`
///
/// # Panics
/// If the shapes or types disagree.
#[must_use]
pub fn affine(
    x: Tensor<3>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<3> {
    let [_, _, d_in] = x.dims();
    let [_, d_out] = weight.dims();
    assert_shape!(weight, [d_in, d_out]);
    if let Some(bias) = &bias {
        assert_shape!(bias, [d_out]);
    }
    if !on_cpu(&x) {
        return composed(x, weight, bias, activation);
    }
    let [x, weight] = [x.into_dispatch(), weight.into_dispatch()];
    let op = Affine { maps: 1, activation };
    match bias {
        None => apply(op, [x, weight]),
        Some(bias) => apply(op, [x, weight, bias.into_dispatch()]),
    }
}

/// The same out of Burn operations.
///
/// # Shapes
/// As [`affine`].
#[must_use]
pub fn composed(
    x: Tensor<3>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    activation: Activation,
) -> Tensor<3> {
    let [batch, time, d_in] = x.dims();
    let [_, d_out] = weight.dims();
    let z = x.reshape([batch * time, d_in]).matmul(weight).reshape([batch, time, d_out]);
    let z = match bias {
        Some(bias) => z + bias.unsqueeze(),
        None => z,
    };
    composed_activation(z, activation)
}

/// Several maps of the same rows, their results side by side: `x [W_1 W_2 …] + [b_1 b_2 …]`, one
/// product. `x` is read once, and its gradient is one product too, not a sum of several.
///
/// # Shapes
/// - `x`: `[batch, time, d_in]`; `weight`: `[d_in, d_i]` and `bias`: `[d_i]` of every map
/// - returns: `[batch, time, Σ d_i]`
///
/// # Panics
/// If there is no map or more than [`MAX_MAPS`], or the shapes or types disagree.
#[must_use]
pub fn side_by_side(x: Tensor<3>, maps: Vec<(Tensor<2>, Tensor<1>)>) -> Tensor<3> {
    let n = maps.len();
    assert!((1..=MAX_MAPS).contains(&n), "{n} maps of the same rows, expected 1 to {MAX_MAPS}");
    let [_, _, d_in] = x.dims();
    for (weight, bias) in &maps {
        let [_, d_out] = weight.dims();
        assert_shape!(weight, [d_in, d_out]);
        assert_shape!(bias, [d_out]);
    }
    let identity = Activation::Identity;
    if !on_cpu(&x) {
        let results = maps.into_iter().map(|(w, b)| composed(x.clone(), w, Some(b), identity));
        return Tensor::cat(results.collect(), 2);
    }
    let (weights, biases): (Vec<_>, Vec<_>) =
        maps.into_iter().map(|(w, b)| (w.into_dispatch(), b.into_dispatch())).unzip();
    let op = Affine { maps: n, activation: identity };
    let inputs: Vec<Input> =
        std::iter::once(x.into_dispatch()).chain(weights).chain(biases).collect();
    apply_to_list!(op, inputs, lengths: 3 5 7)
}

/// How many maps [`side_by_side`] takes: of queries, keys and values.
pub const MAX_MAPS: usize = 3;

/// Inputs are rows, the weights of `maps`, and as many biases or none.
#[derive(Clone, Copy, Debug)]
struct Affine {
    maps: usize,
    activation: Activation,
}

/// Inputs, and what gives the slope: the slope itself for GELU, `y` for ReLU.
#[derive(Clone, Debug)]
struct Kept {
    x: FlexTensor,
    /// Of all maps, side by side.
    weight: FlexTensor,
    /// Columns of every map.
    columns: Vec<usize>,
    slope: Option<FlexTensor>,
}

impl<const N: usize> FusedOp<N> for Affine {
    type Saved = Kept;

    fn forward(&self, inputs: [FlexTensor; N]) -> (FlexTensor, Kept) {
        let mut inputs = inputs.into_iter().map(contiguous);
        let x = inputs.next().expect("the rows come first");
        let weights: Vec<FlexTensor> = inputs.by_ref().take(self.maps).collect();
        let biases: Vec<FlexTensor> = inputs.collect();
        let columns = weights.iter().map(|weight| dims::<2>(weight)[1]).collect();
        let weight = by_dtype!(x, joined(weights));
        let bias = (!biases.is_empty()).then(|| by_dtype!(x, joined(biases)));
        let (y, z) = by_dtype!(x, forward(&x, &weight, bias.as_ref(), self.activation));
        let slope = match self.activation {
            Activation::Identity => None,
            Activation::Relu => Some(y.clone()),
            Activation::Gelu => z,
        };
        (y, Kept { x, weight, columns, slope })
    }

    fn backward(&self, kept: Kept, grad: FlexTensor, wanted: [bool; N]) -> [Option<FlexTensor>; N] {
        let grad = contiguous(grad);
        let (of_weights, of_biases) = wanted[1..].split_at(self.maps);
        let any = |wanted: &[bool]| wanted.contains(&true);
        let wanted = [wanted[0], any(of_weights), any(of_biases)];
        let [x, weight, bias] = by_dtype!(grad, backward(&kept, &grad, self.activation, wanted));
        let parts = |joined: Option<FlexTensor>| match joined {
            None => vec![None; self.maps],
            Some(joined) => by_dtype!(grad, split(joined, &kept.columns)),
        };
        let mut found = std::iter::once(x).chain(parts(weight)).chain(parts(bias));
        std::array::from_fn(|_| found.next().flatten())
    }
}

/// Matrices of equally many rows, or vectors, side by side.
fn joined<S: Storage>(mut parts: Vec<FlexTensor>) -> FlexTensor {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let shapes: Vec<[usize; 2]> = parts.iter().map(matrix).collect();
    let (rows, columns) = (shapes[0][0], shapes.iter().map(|shape| shape[1]).sum::<usize>());
    let mut whole = Output::<S>::new(rows * columns);
    let to = whole.ptr();
    let mut first = 0;
    for (part, [_, n]) in parts.iter().zip(&shapes) {
        let from = View::<S, 1>::new(part).ptr;
        for row in 0..rows {
            let from = from.at(row * n);
            unsafe { from.copy_to_nonoverlapping(to.at(row * columns + first), *n) };
        }
        first += n;
    }
    unsafe { of_rank(whole, &parts[0], [rows, columns]) }
}

/// The inverse of [`joined`].
fn split<S: Storage>(whole: FlexTensor, columns: &[usize]) -> Vec<Option<FlexTensor>> {
    if columns.len() == 1 {
        return vec![Some(whole)];
    }
    let [rows, all] = matrix(&whole);
    let from = View::<S, 1>::new(&whole).ptr;
    let mut first = 0;
    let part = |n: &usize| {
        let mut part = Output::<S>::new(rows * n);
        let to = part.ptr();
        for row in 0..rows {
            let from = from.at(row * all + first);
            unsafe { from.copy_to_nonoverlapping(to.at(row * n), *n) };
        }
        first += n;
        Some(unsafe { of_rank(part, &whole, [rows, *n]) })
    };
    columns.iter().map(part).collect()
}

/// Rows and columns; a vector is a row.
fn matrix(x: &FlexTensor) -> [usize; 2] {
    let shape = x.layout().shape();
    let columns = shape[shape.num_dims() - 1];
    [shape.num_elements() / columns.max(1), columns]
}

/// A vector or a matrix, whichever `like` is.
unsafe fn of_rank<S: Storage>(
    memory: Output<S>,
    like: &FlexTensor,
    shape: [usize; 2],
) -> FlexTensor {
    unsafe {
        if like.layout().shape().num_dims() == 1 {
            memory.finish([shape[1]])
        } else {
            memory.finish(shape)
        }
    }
}

fn forward<S: Storage + Tables>(
    x: &FlexTensor,
    weight: &FlexTensor,
    bias: Option<&FlexTensor>,
    activation: Activation,
) -> (FlexTensor, Option<FlexTensor>) {
    let [batch, time, d_in] = dims(x);
    let [_, d_out] = dims(weight);
    let rows = batch * time;
    let mut y = Output::<S>::new(rows * d_out);
    let mut z = (activation == Activation::Gelu).then(|| Output::<S>::new(rows * d_out));
    let (x_ptr, y_ptr) = (View::<S, 3>::new(x).ptr, y.ptr());
    let z_ptr = z.as_mut().map_or(y_ptr, Output::ptr);
    let bias = bias.map(|b| View::<S, 1>::new(b).ptr);
    let w = View::<S, 2>::new(weight).ptr;
    let w = if rows <= FEW {
        Packed::in_place(w, d_in, d_out)
    } else {
        unsafe { Packed::new(w, d_in, d_out, d_out, 1) }
    };
    for_each_chunk(rows, d_in * d_out, |first, n| unsafe {
        let (z, y) = (z_ptr.at(first * d_out), y_ptr.at(first * d_out));
        multiply(Rows { m: n, a: x_ptr.at(first * d_in), w: &w, c: z });
        if bias.is_some() || activation != Activation::Identity {
            launch(Epilogue { rows: n, d: d_out, bias, z, y, activation });
        }
    });
    let shape = [batch, time, d_out];
    unsafe { (y.finish(shape), z.map(|z| z.finish(shape))) }
}

fn backward<S: Storage + Tables>(
    kept: &Kept,
    grad: &FlexTensor,
    activation: Activation,
    [want_x, want_weight, want_bias]: [bool; 3],
) -> [Option<FlexTensor>; 3] {
    let [batch, time, d_in] = dims(&kept.x);
    let [_, d_out] = dims(&kept.weight);
    let rows = batch * time;
    let g = View::<S, 3>::new(grad).ptr;
    // Without an activation `dz` is the gradient itself.
    let linear = activation == Activation::Identity;
    // The weight's gradient is summed up where `dz` still is in cache, if the sum is small enough to stay there too.
    let size = d_in * d_out;
    let together = want_weight && size <= SMALL;
    let groups = if together { n_groups(rows, size) } else { 0 };
    let mut dw = partial::<S>(rows, groups * size);
    let dz_len = match (linear, together) {
        (true, _) => 0,
        (false, true) => groups * CHUNK * d_out,
        (false, false) => rows * d_out,
    };
    let mut dz = Output::<S>::new(dz_len);
    let (dz_ptr, dw_ptr) = (if linear { g } else { dz.ptr() }, dw.ptr());
    let slope = kept.slope.as_ref().map_or(g, |s| View::<S, 3>::new(s).ptr);
    let mut of_bias = Output::<S>::zeros(if want_bias { rows.div_ceil(CHUNK) * d_out } else { 0 });
    let bias_ptr = of_bias.ptr();
    let weight = View::<S, 2>::new(&kept.weight).ptr;
    let w_t = want_x.then(|| unsafe { Packed::new(weight, d_out, d_in, 1, d_out) });
    let mut dx = want_x.then(|| Output::<S>::new(rows * d_in));
    let dx_ptr = dx.as_mut().map(Output::ptr);
    let x_ptr = View::<S, 3>::new(&kept.x).ptr;
    let chunk = |group: usize, first: usize, n: usize| unsafe {
        let row = if together && !linear { group * CHUNK } else { first };
        let dz = dz_ptr.at(row * d_out);
        if !linear || want_bias {
            launch(Slope {
                rows: n,
                d: d_out,
                z: slope.at(first * d_out),
                grad: g.at(first * d_out),
                dz,
                bias_grad: want_bias.then(|| bias_ptr.at(first / CHUNK * d_out)),
                activation,
            });
        }
        if let (Some(w), Some(dx)) = (&w_t, dx_ptr) {
            multiply(Rows { m: n, a: dz, w, c: dx.at(first * d_in) });
        }
        if together {
            let to = dw_ptr.at(group * size);
            let adds = !begins_group(group, groups, rows, first);
            product((x_ptr.at(first * d_in), dz), n, [d_in, d_out], to, adds);
        }
    };
    if together {
        for_each_chunk_of_groups(groups, rows, size, chunk);
    } else {
        for_each_chunk(rows, size, |first, n| chunk(0, first, n));
    }
    let dx = dx.map(|dx| unsafe { dx.finish([batch, time, d_in]) });
    let dw = want_weight.then(|| {
        if together {
            unsafe { add_partial(dw, groups, [d_in, d_out]) }
        } else {
            weight_gradient(&kept.x, dz_ptr, [rows, d_in, d_out])
        }
    });
    let bias = want_bias.then(|| unsafe { column_sums(bias_ptr, rows, d_out).finish([d_out]) });
    drop(dz);
    [dx, dw, bias]
}
