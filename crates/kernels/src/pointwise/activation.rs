//! Bias and activation in one pass.
//!
//! ```text
//! y = a(z), z = x + bias      ∂x = ∂y ∘ a'(z)      ∂bias = Σ_rows ∂x
//! GELU: a(z) = z Φ(z), a'(z) = Φ(z) + z φ(z)        ReLU: a(z) = max(z, 0)
//! ```
//!
//! Source: Hendrycks & Gimpel 2016, §2, arXiv:1606.08415 (the exact form, with Φ by its error
//! function).
#![expect(unsafe_code, reason = "SIMD kernel on raw memory")]

use burn::tensor::{Tensor, activation, assert_shape};

use super::rows::{CHUNK, column_sums, for_each_chunk};
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::{Tables, normal};
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::simd::Vector;
use crate::cpu::view::{FlexTensor, Output, Ptr, Storage, View, by_dtype, contiguous, dims};

/// A function applied to every element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Activation {
    /// `a(z) = z`.
    #[default]
    Identity,
    /// `a(z) = max(z, 0)`; its derivative at 0 is 0.
    Relu,
    /// `a(z) = z Φ(z)`, exact.
    Gelu,
}

/// `activation(x + bias)`.
///
/// # Shapes
/// - `x` and the result: `[batch, time, d]`; `bias`: `[d]`
///
/// # Panics
/// If the shapes or types disagree.
#[must_use]
pub fn bias_activation(x: Tensor<3>, bias: Tensor<1>, activation: Activation) -> Tensor<3> {
    let [_, _, d] = x.dims();
    assert_shape!(bias, [d]);
    if !on_cpu(&x) {
        return composed_activation(x + bias.unsqueeze(), activation);
    }
    apply(BiasActivation(activation), [x.into_dispatch(), bias.into_dispatch()])
}

/// The activation out of Burn operations.
#[must_use]
pub fn composed_activation(x: Tensor<3>, activation: Activation) -> Tensor<3> {
    match activation {
        Activation::Identity => x,
        Activation::Relu => activation::relu(x),
        Activation::Gelu => activation::gelu(x),
    }
}

#[derive(Clone, Copy, Debug)]
struct BiasActivation(Activation);

impl FusedOp<2> for BiasActivation {
    /// What gives the slope: see [`Epilogue`].
    type Saved = FlexTensor;

    fn forward(&self, [x, bias]: [FlexTensor; 2]) -> (FlexTensor, FlexTensor) {
        let (x, bias) = (contiguous(x), contiguous(bias));
        by_dtype!(x, forward(&x, &bias, self.0))
    }

    fn backward(&self, z: FlexTensor, grad: FlexTensor, _: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let grad = contiguous(grad);
        by_dtype!(z, backward(&z, &grad, self.0)).map(Some)
    }
}

fn forward<S: Storage + Tables>(
    x: &FlexTensor,
    bias: &FlexTensor,
    activation: Activation,
) -> (FlexTensor, FlexTensor) {
    let [batch, time, d] = dims(x);
    let rows = batch * time;
    let (mut y, mut z) = (Output::<S>::new(rows * d), Output::<S>::new(rows * d));
    let (from, bias) = (View::<S, 3>::new(x).ptr, View::<S, 1>::new(bias).ptr);
    let (y_ptr, z_ptr) = (y.ptr(), z.ptr());
    for_each_chunk(rows, d, |first, n| unsafe {
        std::ptr::copy_nonoverlapping(from.at(first * d), z_ptr.at(first * d), n * d);
        let (y, z) = (y_ptr.at(first * d), z_ptr.at(first * d));
        launch(Epilogue { rows: n, d, bias: Some(bias), z, y, activation });
    });
    unsafe { (y.finish([batch, time, d]), z.finish([batch, time, d])) }
}

fn backward<S: Storage + Tables>(
    z: &FlexTensor,
    grad: &FlexTensor,
    activation: Activation,
) -> [FlexTensor; 2] {
    let [batch, time, d] = dims(z);
    let rows = batch * time;
    let mut dz = Output::<S>::new(rows * d);
    let mut partial = Output::<S>::zeros(rows.div_ceil(CHUNK) * d);
    let (z, g) = (View::<S, 3>::new(z).ptr, View::<S, 3>::new(grad).ptr);
    let (dz_ptr, partial_ptr) = (dz.ptr(), partial.ptr());
    for_each_chunk(rows, d, |first, n| unsafe {
        launch(Slope {
            rows: n,
            d,
            z: z.at(first * d),
            grad: g.at(first * d),
            dz: dz_ptr.at(first * d),
            bias_grad: Some(partial_ptr.at(first / CHUNK * d)),
            activation,
        });
    });
    let bias = column_sums(partial_ptr, rows, d);
    unsafe { [dz.finish([batch, time, d]), bias.finish([d])] }
}

/// `z += bias; y = a(z)` on some rows; `y` may be `z`.
///
/// For GELU, `z` becomes the slope `a'(z)`, which costs little beside the value: going back is then
/// one product. For ReLU the sign of `z` (or of `y`) is enough.
pub(crate) struct Epilogue<S> {
    pub(crate) rows: usize,
    pub(crate) d: usize,
    pub(crate) bias: Option<Ptr<S>>,
    pub(crate) z: *mut S,
    pub(crate) y: *mut S,
    pub(crate) activation: Activation,
}

impl<S: Tables> Kernel<S> for Epilogue<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        let Self { rows, d, bias, z, y, activation } = self;
        let in_place = std::ptr::eq(z, y);
        for r in 0..rows {
            let (z, y) = (z.wrapping_add(r * d), y.wrapping_add(r * d));
            let mut j = 0;
            while j < d {
                let n = V::LANES.min(d - j);
                unsafe {
                    let mut v = load::<V>(z.add(j), n);
                    if let Some(bias) = bias {
                        v = v.add(load::<V>(bias.at(j), n));
                    }
                    let (kept, value) = value(activation, v);
                    if !in_place {
                        store(kept, z.add(j), n);
                    }
                    store(value, y.add(j), n);
                }
                j += n;
            }
        }
    }
}

/// What is kept to go back, and `a(z)`.
///
/// The choice is made again for each vector: a closure chosen once may not be inlined, and then runs
/// without the instructions of its caller.
#[inline(always)]
unsafe fn value<V: Vector<Scalar: Tables>>(activation: Activation, z: V) -> (V, V) {
    unsafe {
        match activation {
            Activation::Identity => (z, z),
            Activation::Relu => (z, V::zero().max(z)),
            Activation::Gelu => {
                let (cdf, pdf) = normal(z);
                (z.mul_add(pdf, cdf), z.mul(cdf))
            }
        }
    }
}

/// `dz = grad ∘ a'(z)` on some rows, and its sum over them.
pub(crate) struct Slope<S> {
    pub(crate) rows: usize,
    pub(crate) d: usize,
    /// What [`Epilogue`] left in `z`; for ReLU the result does as well.
    pub(crate) z: *const S,
    pub(crate) grad: *const S,
    /// Not written where it is `grad`, and the activation the identity.
    pub(crate) dz: *mut S,
    /// `d` zeros to add to.
    pub(crate) bias_grad: Option<*mut S>,
    pub(crate) activation: Activation,
}

impl<S: Tables> Kernel<S> for Slope<S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        unsafe {
            match self.activation {
                Activation::Identity => self.apply::<V>(|_, g| g),
                Activation::Relu => self.apply::<V>(|z, g| z.select_positive(g, V::zero())),
                Activation::Gelu => self.apply::<V>(|slope, g| slope.mul(g)),
            }
        }
    }
}

impl<S: Tables> Slope<S> {
    #[inline(always)]
    unsafe fn apply<V: Vector<Scalar = S>>(&self, f: impl Fn(V, V) -> V) {
        let Self { rows, d, z, grad, dz, bias_grad, activation } = *self;
        let written = activation != Activation::Identity || !std::ptr::eq(grad, dz);
        for r in 0..rows {
            let mut j = 0;
            while j < d {
                let n = V::LANES.min(d - j);
                let at = r * d + j;
                unsafe {
                    let v = f(load::<V>(z.add(at), n), load::<V>(grad.add(at), n));
                    if written {
                        store(v, dz.add(at), n);
                    }
                    if let Some(sum) = bias_grad {
                        store(load::<V>(sum.add(j), n).add(v), sum.add(j), n);
                    }
                }
                j += n;
            }
        }
    }
}

/// A whole vector, or the first `n` lanes of one.
#[inline(always)]
pub(crate) unsafe fn load<V: Vector>(from: *const V::Scalar, n: usize) -> V {
    unsafe { if n == V::LANES { V::load(from) } else { V::load_partial(from, n) } }
}

#[inline(always)]
pub(crate) unsafe fn store<V: Vector>(v: V, to: *mut V::Scalar, n: usize) {
    unsafe { if n == V::LANES { v.store(to) } else { v.store_partial(to, n) } }
}
