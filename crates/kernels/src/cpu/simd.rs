//! One SIMD register of floating-point numbers, for each instruction set we ship.
//!
//! A kernel is generic over [`Vector`] and marked `#[inline(always)]`; the `#[target_feature]`
//! function that calls it (see [`super::dispatch`]) decides which instructions come out. All
//! methods are `unsafe`: the caller guarantees that the processor has the instructions and that
//! pointers are valid for [`Vector::LANES`] elements.
#![expect(unsafe_code, reason = "SIMD intrinsics and raw loads")]

use std::fmt::Debug;

use super::matmul::{self, MatMul};

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
    /// Nearest integer, ties to even.
    unsafe fn round(self) -> Self;
    /// `2^self` for integral `self` in the exponent range of normal numbers; 0 just below it.
    unsafe fn exp2_integral(self) -> Self;
    /// `yes` where `self > 0`, else `no` (also for NaN).
    unsafe fn select_positive(self, yes: Self, no: Self) -> Self;

    #[inline(always)]
    unsafe fn zero() -> Self {
        unsafe { Self::splat(Self::Scalar::ZERO) }
    }

    /// `C = A B` or `C += A B`, compiled once per vector type: see [`super::matmul`].
    unsafe fn matmul(problem: MatMul<Self::Scalar>);

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

/// An array that the compiler vectorizes with whatever the target's baseline offers.
#[derive(Clone, Copy)]
pub(crate) struct Portable<S, const N: usize>([S; N]);

macro_rules! portable {
    ($t:ident, $n:literal, $registers:literal, $bits:ident, $mantissa:literal, $bias:literal) => {
        impl Portable<$t, $n> {
            #[inline(always)]
            fn zip(self, other: Self, f: impl Fn($t, $t) -> $t) -> Self {
                Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
            }
        }

        impl Vector for Portable<$t, $n> {
            type Scalar = $t;
            const LANES: usize = $n;
            const REGISTERS: usize = $registers;

            unsafe fn matmul(problem: MatMul<$t>) {
                unsafe { matmul::run::<Self>(problem) }
            }
            #[inline(always)]
            unsafe fn splat(x: $t) -> Self {
                Self([x; $n])
            }
            #[inline(always)]
            unsafe fn load(from: *const $t) -> Self {
                Self(unsafe { from.cast::<[$t; $n]>().read_unaligned() })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $t) {
                unsafe { to.cast::<[$t; $n]>().write_unaligned(self.0) }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                self.zip(other, |a, b| a + b)
            }
            #[inline(always)]
            unsafe fn sub(self, other: Self) -> Self {
                self.zip(other, |a, b| a - b)
            }
            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                self.zip(other, |a, b| a * b)
            }
            #[inline(always)]
            unsafe fn div(self, other: Self) -> Self {
                self.zip(other, |a, b| a / b)
            }
            #[inline(always)]
            unsafe fn mul_add(self, a: Self, b: Self) -> Self {
                Self(std::array::from_fn(|i| self.0[i] * a.0[i] + b.0[i]))
            }
            #[inline(always)]
            unsafe fn max(self, other: Self) -> Self {
                self.zip(other, |a, b| if a > b { a } else { b })
            }
            #[inline(always)]
            unsafe fn min(self, other: Self) -> Self {
                self.zip(other, |a, b| if a < b { a } else { b })
            }
            #[inline(always)]
            unsafe fn sqrt(self) -> Self {
                Self(self.0.map($t::sqrt))
            }
            #[inline(always)]
            unsafe fn round(self) -> Self {
                Self(self.0.map($t::round_ties_even))
            }
            #[inline(always)]
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an exponent in range, moved into its bits"
            )]
            unsafe fn exp2_integral(self) -> Self {
                Self(self.0.map(|x| $t::from_bits(((x as i32 + $bias) as $bits) << $mantissa)))
            }
            #[inline(always)]
            unsafe fn select_positive(self, yes: Self, no: Self) -> Self {
                Self(std::array::from_fn(|i| if self.0[i] > 0.0 { yes.0[i] } else { no.0[i] }))
            }
        }
    };
}

portable!(f32, 8, 16, u32, 23, 127);
portable!(f64, 4, 16, u64, 52, 1023);
// As wide as AVX-512, with as many registers: tests its tiling on any machine.
#[cfg(test)]
portable!(f32, 16, 32, u32, 23, 127);
#[cfg(test)]
portable!(f64, 8, 32, u64, 52, 1023);

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    //! AVX2 + FMA and AVX-512F registers.
    use super::{MatMul, Vector, matmul};
    #[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "a hundred intrinsics"))]
    use std::arch::x86_64::*;

    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

    /// All bits set in the first `n` of eight 32-bit lanes.
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "at most eight lanes"
    )]
    unsafe fn first_8(n: usize) -> __m256i {
        let lane = unsafe { _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7) };
        unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), lane) }
    }

    /// All bits set in the first `n` of four 64-bit lanes.
    #[inline(always)]
    #[expect(clippy::cast_possible_wrap, reason = "at most four lanes")]
    unsafe fn first_4(n: usize) -> __m256i {
        let lane = unsafe { _mm256_setr_epi64x(0, 1, 2, 3) };
        unsafe { _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), lane) }
    }

    macro_rules! vector {
        (
            $name:ident, $reg:ident, $t:ident, $lanes:literal, $registers:literal, $features:literal,
            $set1:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
            $fma:ident, $max:ident, $min:ident, $sqrt:ident, $round:ident,
            |$e:ident| $exp2:expr, |$c:ident, $yes:ident, $no:ident| $select:expr,
            |$from:ident, $to:ident, $v:ident, $n:ident| $load_n:expr, $store_n:expr
        ) => {
            #[derive(Clone, Copy)]
            pub(crate) struct $name($reg);

            impl Vector for $name {
                type Scalar = $t;
                const LANES: usize = $lanes;
                const REGISTERS: usize = $registers;

                #[target_feature(enable = $features)]
                unsafe fn matmul(problem: MatMul<$t>) {
                    unsafe { matmul::run::<Self>(problem) }
                }
                #[inline(always)]
                unsafe fn load_partial(from: *const $t, n: usize) -> Self {
                    let ($from, $n) = (from, n);
                    Self(unsafe { $load_n })
                }
                #[inline(always)]
                unsafe fn store_partial(self, to: *mut $t, n: usize) {
                    let ($to, $n, $v) = (to, n, self.0);
                    unsafe { $store_n }
                }
                #[inline(always)]
                unsafe fn splat(x: $t) -> Self {
                    Self(unsafe { $set1(x) })
                }
                #[inline(always)]
                unsafe fn load(from: *const $t) -> Self {
                    Self(unsafe { $load(from) })
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $t) {
                    unsafe { $store(to, self.0) }
                }
                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    Self(unsafe { $add(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn sub(self, other: Self) -> Self {
                    Self(unsafe { $sub(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn mul(self, other: Self) -> Self {
                    Self(unsafe { $mul(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn div(self, other: Self) -> Self {
                    Self(unsafe { $div(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn mul_add(self, a: Self, b: Self) -> Self {
                    Self(unsafe { $fma(self.0, a.0, b.0) })
                }
                #[inline(always)]
                unsafe fn max(self, other: Self) -> Self {
                    Self(unsafe { $max(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn min(self, other: Self) -> Self {
                    Self(unsafe { $min(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn sqrt(self) -> Self {
                    Self(unsafe { $sqrt(self.0) })
                }
                #[inline(always)]
                unsafe fn round(self) -> Self {
                    Self(unsafe { $round::<NEAREST>(self.0) })
                }
                #[inline(always)]
                unsafe fn exp2_integral(self) -> Self {
                    let $e = self.0;
                    Self(unsafe { $exp2 })
                }
                #[inline(always)]
                unsafe fn select_positive(self, yes: Self, no: Self) -> Self {
                    let ($c, $yes, $no) = (self.0, yes.0, no.0);
                    Self(unsafe { $select })
                }
            }
        };
    }

    vector!(
        F32x8,
        __m256,
        f32,
        8,
        16,
        "avx2,fma",
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_div_ps,
        _mm256_fmadd_ps,
        _mm256_max_ps,
        _mm256_min_ps,
        _mm256_sqrt_ps,
        _mm256_round_ps,
        |e| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(
            _mm256_cvtps_epi32(e),
            _mm256_set1_epi32(127)
        ))),
        |c, yes, no| _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GT_OQ>(c, _mm256_setzero_ps())),
        |from, to, v, n| _mm256_maskload_ps(from, first_8(n)),
        _mm256_maskstore_ps(to, first_8(n), v)
    );
    vector!(
        F64x4,
        __m256d,
        f64,
        4,
        16,
        "avx2,fma",
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_add_pd,
        _mm256_sub_pd,
        _mm256_mul_pd,
        _mm256_div_pd,
        _mm256_fmadd_pd,
        _mm256_max_pd,
        _mm256_min_pd,
        _mm256_sqrt_pd,
        _mm256_round_pd,
        |e| _mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_add_epi64(
            _mm256_cvtepi32_epi64(_mm256_cvtpd_epi32(e)),
            _mm256_set1_epi64x(1023)
        ))),
        |c, yes, no| _mm256_blendv_pd(no, yes, _mm256_cmp_pd::<_CMP_GT_OQ>(c, _mm256_setzero_pd())),
        |from, to, v, n| _mm256_maskload_pd(from, first_4(n)),
        _mm256_maskstore_pd(to, first_4(n), v)
    );
    vector!(
        F32x16,
        __m512,
        f32,
        16,
        32,
        "avx512f,avx2,fma",
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_div_ps,
        _mm512_fmadd_ps,
        _mm512_max_ps,
        _mm512_min_ps,
        _mm512_sqrt_ps,
        _mm512_roundscale_ps,
        |e| _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_add_epi32(
            _mm512_cvtps_epi32(e),
            _mm512_set1_epi32(127)
        ))),
        |c, yes, no| _mm512_mask_blend_ps(
            _mm512_cmp_ps_mask::<_CMP_GT_OQ>(c, _mm512_setzero_ps()),
            no,
            yes
        ),
        |from, to, v, n| _mm512_maskz_loadu_ps((1 << n) - 1, from),
        _mm512_mask_storeu_ps(to, (1 << n) - 1, v)
    );
    vector!(
        F64x8,
        __m512d,
        f64,
        8,
        32,
        "avx512f,avx2,fma",
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_add_pd,
        _mm512_sub_pd,
        _mm512_mul_pd,
        _mm512_div_pd,
        _mm512_fmadd_pd,
        _mm512_max_pd,
        _mm512_min_pd,
        _mm512_sqrt_pd,
        _mm512_roundscale_pd,
        |e| _mm512_castsi512_pd(_mm512_slli_epi64::<52>(_mm512_add_epi64(
            _mm512_cvtepi32_epi64(_mm512_cvtpd_epi32(e)),
            _mm512_set1_epi64(1023)
        ))),
        |c, yes, no| _mm512_mask_blend_pd(
            _mm512_cmp_pd_mask::<_CMP_GT_OQ>(c, _mm512_setzero_pd()),
            no,
            yes
        ),
        |from, to, v, n| _mm512_maskz_loadu_pd((1 << n) - 1, from),
        _mm512_mask_storeu_pd(to, (1 << n) - 1, v)
    );
}

#[cfg(target_arch = "aarch64")]
pub(crate) mod arm {
    //! NEON registers, part of every aarch64 processor.
    use super::{MatMul, Vector, matmul};
    use std::arch::aarch64::{
        float32x4_t, float64x2_t, vaddq_f32, vaddq_f64, vaddq_s32, vaddq_s64, vbslq_f32, vbslq_f64,
        vcgtzq_f32, vcgtzq_f64, vcvtnq_s32_f32, vcvtnq_s64_f64, vdivq_f32, vdivq_f64, vdupq_n_f32,
        vdupq_n_f64, vdupq_n_s32, vdupq_n_s64, vfmaq_f32, vfmaq_f64, vld1q_f32, vld1q_f64,
        vmaxq_f32, vmaxq_f64, vminq_f32, vminq_f64, vmulq_f32, vmulq_f64, vreinterpretq_f32_s32,
        vreinterpretq_f64_s64, vrndnq_f32, vrndnq_f64, vshlq_n_s32, vshlq_n_s64, vsqrtq_f32,
        vsqrtq_f64, vst1q_f32, vst1q_f64, vsubq_f32, vsubq_f64,
    };

    macro_rules! vector {
        (
            $name:ident, $reg:ident, $t:ident, $lanes:literal,
            $set1:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
            $fma:ident, $max:ident, $min:ident, $sqrt:ident, $round:ident,
            |$e:ident| $exp2:expr, $gtz:ident, $bsl:ident
        ) => {
            #[derive(Clone, Copy)]
            pub(crate) struct $name($reg);

            impl Vector for $name {
                type Scalar = $t;
                const LANES: usize = $lanes;
                const REGISTERS: usize = 32;

                unsafe fn matmul(problem: MatMul<$t>) {
                    unsafe { matmul::run::<Self>(problem) }
                }
                #[inline(always)]
                unsafe fn splat(x: $t) -> Self {
                    Self(unsafe { $set1(x) })
                }
                #[inline(always)]
                unsafe fn load(from: *const $t) -> Self {
                    Self(unsafe { $load(from) })
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $t) {
                    unsafe { $store(to, self.0) }
                }
                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    Self(unsafe { $add(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn sub(self, other: Self) -> Self {
                    Self(unsafe { $sub(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn mul(self, other: Self) -> Self {
                    Self(unsafe { $mul(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn div(self, other: Self) -> Self {
                    Self(unsafe { $div(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn mul_add(self, a: Self, b: Self) -> Self {
                    Self(unsafe { $fma(b.0, self.0, a.0) })
                }
                #[inline(always)]
                unsafe fn max(self, other: Self) -> Self {
                    Self(unsafe { $max(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn min(self, other: Self) -> Self {
                    Self(unsafe { $min(self.0, other.0) })
                }
                #[inline(always)]
                unsafe fn sqrt(self) -> Self {
                    Self(unsafe { $sqrt(self.0) })
                }
                #[inline(always)]
                unsafe fn round(self) -> Self {
                    Self(unsafe { $round(self.0) })
                }
                #[inline(always)]
                unsafe fn exp2_integral(self) -> Self {
                    let $e = self.0;
                    Self(unsafe { $exp2 })
                }
                #[inline(always)]
                unsafe fn select_positive(self, yes: Self, no: Self) -> Self {
                    Self(unsafe { $bsl($gtz(self.0), yes.0, no.0) })
                }
            }
        };
    }

    vector!(
        F32x4,
        float32x4_t,
        f32,
        4,
        vdupq_n_f32,
        vld1q_f32,
        vst1q_f32,
        vaddq_f32,
        vsubq_f32,
        vmulq_f32,
        vdivq_f32,
        vfmaq_f32,
        vmaxq_f32,
        vminq_f32,
        vsqrtq_f32,
        vrndnq_f32,
        |e| vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(
            vcvtnq_s32_f32(e),
            vdupq_n_s32(127)
        ))),
        vcgtzq_f32,
        vbslq_f32
    );
    vector!(
        F64x2,
        float64x2_t,
        f64,
        2,
        vdupq_n_f64,
        vld1q_f64,
        vst1q_f64,
        vaddq_f64,
        vsubq_f64,
        vmulq_f64,
        vdivq_f64,
        vfmaq_f64,
        vmaxq_f64,
        vminq_f64,
        vsqrtq_f64,
        vrndnq_f64,
        |e| vreinterpretq_f64_s64(vshlq_n_s64::<52>(vaddq_s64(
            vcvtnq_s64_f64(e),
            vdupq_n_s64(1023)
        ))),
        vcgtzq_f64,
        vbslq_f64
    );
}
