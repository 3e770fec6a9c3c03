//! One SIMD register of floating-point numbers, for each instruction set we ship.
//!
//! A kernel is generic over [`Vector`] and marked `#[inline(always)]`; the `#[target_feature]`
//! function that calls it (see [`super::dispatch`]) decides which instructions come out. All
//! methods are `unsafe`: the caller guarantees that the processor has the instructions and that
//! pointers are valid for [`Vector::LANES`] elements.
#![expect(unsafe_code, reason = "SIMD intrinsics and raw loads")]

#[cfg(target_arch = "aarch64")]
pub(crate) mod arm;
mod portable;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

use std::fmt::Debug;

use super::layout::transpose;
use super::matmul::MatMul;
pub(crate) use portable::Portable;

/// A floating-point type the fused kernels are compiled for: `f32` or `f64`.
pub(crate) trait Scalar:
    burn::tensor::Element + Copy + Send + Sync + PartialOrd + Debug + Default + 'static
{
    /// Widest vector on x86-64 with AVX-512.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Vector<Scalar = Self>;
    /// Vector on x86-64 with AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Vector<Scalar = Self>;
    /// Vector on aarch64.
    #[cfg(target_arch = "aarch64")]
    type Neon: Vector<Scalar = Self>;
    /// Plain arrays, for any machine.
    type Portable: Vector<Scalar = Self>;

    const ZERO: Self;
    const ONE: Self;
    const NEG_INFINITY: Self;

    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
}

/// A register of [`Vector::LANES`] scalars.
pub(crate) trait Vector: Copy + Send + Sync + 'static {
    type Scalar: Scalar;
    /// Scalars per register.
    const LANES: usize;
    /// Registers a kernel may use for accumulators: half of them stay free on x86 with AVX2.
    const REGISTERS: usize;

    unsafe fn splat(x: Self::Scalar) -> Self;
    unsafe fn load(from: *const Self::Scalar) -> Self;
    unsafe fn store(self, to: *mut Self::Scalar);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// `self · a + b`, rounded once where the hardware can.
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
    /// `max(self, other)`; if either is NaN the result is `other`.
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    unsafe fn sqrt(self) -> Self;
    /// The bits of each lane moved left by the width of the mantissa: the lowest bits become the
    /// exponent, and with it a power of two.
    unsafe fn low_bits_to_exponent(self) -> Self;
    /// `(e, m)` with `self = m · 2^e` and `1 ≤ m < 2`; normal positive numbers only.
    unsafe fn split_exponent(self) -> (Self, Self);
    /// `yes` where `self > 0`, else `no` (also for NaN).
    unsafe fn select_positive(self, yes: Self, no: Self) -> Self;

    #[inline(always)]
    unsafe fn zero() -> Self {
        unsafe { Self::splat(Self::Scalar::ZERO) }
    }

    /// `C = A B` or `C += A B`, compiled once per vector type: see [`super::matmul`].
    unsafe fn matmul(problem: MatMul<Self::Scalar>);

    /// [`Vector::matmul`] with two rows of `B` in a register: see [`super::matmul::run_pairs`].
    unsafe fn matmul_pairs(problem: MatMul<Self::Scalar>);

    /// Two scalars from memory in turn: `x0, x1, x0, x1, …`
    #[inline(always)]
    unsafe fn splat_pair(from: *const Self::Scalar) -> Self {
        let mut lanes = [Self::Scalar::ZERO; MAX_LANES];
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = unsafe { *from.add(i % 2) };
        }
        unsafe { Self::load(lanes.as_ptr()) }
    }

    /// Sums of neighbouring lanes in the first half; the second half may hold anything.
    #[inline(always)]
    unsafe fn sum_pairs(self) -> Self {
        let mut lanes = [Self::Scalar::ZERO; MAX_LANES];
        unsafe { self.store(lanes.as_mut_ptr()) };
        for i in 0..MAX_LANES / 2 {
            lanes[i] = lanes[2 * i].add(lanes[2 * i + 1]);
        }
        unsafe { Self::load(lanes.as_ptr()) }
    }

    /// Writes the transpose of `rows × cols` numbers, as [`super::layout::transpose`].
    #[inline(always)]
    unsafe fn transpose(
        [rows, cols]: [usize; 2],
        (from, from_row): (*const Self::Scalar, usize),
        (to, to_row): (*mut Self::Scalar, usize),
    ) {
        unsafe { transpose(rows, cols, from, from_row, to, to_row) }
    }

    /// First `n < LANES` scalars from memory, the rest zero.
    #[inline(always)]
    unsafe fn load_partial(from: *const Self::Scalar, n: usize) -> Self {
        let mut lanes = [Self::Scalar::ZERO; MAX_LANES];
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), n);
            Self::load(lanes.as_ptr())
        }
    }

    /// First `n < LANES` scalars to memory.
    #[inline(always)]
    unsafe fn store_partial(self, to: *mut Self::Scalar, n: usize) {
        let mut lanes = [Self::Scalar::ZERO; MAX_LANES];
        unsafe {
            self.store(lanes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, n);
        }
    }

    /// Sum of the lanes, in pairs.
    #[inline(always)]
    unsafe fn sum(self) -> Self::Scalar {
        unsafe { fold(self, Scalar::add) }
    }

    /// Largest lane.
    #[inline(always)]
    unsafe fn largest(self) -> Self::Scalar {
        unsafe { fold(self, |a, b| if a > b { a } else { b }) }
    }
}

/// A register full of each number.
///
/// A loop, and not [`array::map`]: what that calls is compiled for the oldest processors, unless the
/// compiler happens to inline all of it.
#[inline(always)]
pub(crate) unsafe fn splat_each<V: Vector, const N: usize>(x: [V::Scalar; N]) -> [V; N] {
    let mut v = [unsafe { V::zero() }; N];
    for i in 0..N {
        v[i] = unsafe { V::splat(x[i]) };
    }
    v
}

/// A register from each place; see [`splat_each`].
#[inline(always)]
pub(crate) unsafe fn load_each<V: Vector, const N: usize>(from: [*const V::Scalar; N]) -> [V; N] {
    let mut v = [unsafe { V::zero() }; N];
    for i in 0..N {
        v[i] = unsafe { V::load(from[i]) };
    }
    v
}

/// Lanes of the widest vector: sixteen `f32` in AVX-512.
const MAX_LANES: usize = 16;

/// Combines the lanes pairwise: halves, quarters, …
#[inline(always)]
unsafe fn fold<V: Vector>(v: V, f: impl Fn(V::Scalar, V::Scalar) -> V::Scalar) -> V::Scalar {
    let mut lanes = [V::Scalar::ZERO; MAX_LANES];
    unsafe { v.store(lanes.as_mut_ptr()) };
    let mut width = V::LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] = f(lanes[i], lanes[i + width]);
        }
    }
    lanes[0]
}

macro_rules! scalar {
    ($t:ident, $avx512:ident, $avx2:ident, $neon:ident, $portable:ty) => {
        impl Scalar for $t {
            #[cfg(target_arch = "x86_64")]
            type Avx512 = x86::$avx512;
            #[cfg(target_arch = "x86_64")]
            type Avx2 = x86::$avx2;
            #[cfg(target_arch = "aarch64")]
            type Neon = arm::$neon;
            type Portable = $portable;

            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NEG_INFINITY: Self = $t::NEG_INFINITY;

            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                burn::tensor::ElementConversion::elem::<$t>(x)
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self - other
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self * other
            }
        }
    };
}

scalar!(f32, F32x16, F32x8, F32x4, Portable<f32, 8>);
scalar!(f64, F64x8, F64x4, F64x2, Portable<f64, 4>);
