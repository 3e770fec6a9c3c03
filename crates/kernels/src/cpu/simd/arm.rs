//! NEON registers, part of every aarch64 processor.

use super::super::matmul::{self, MatMul};
use super::Vector;
use std::arch::aarch64::{
    float32x4_t, float64x2_t, vaddq_f32, vaddq_f64, vandq_u32, vandq_u64, vbslq_f32, vbslq_f64,
    vcgtzq_f32, vcgtzq_f64, vcvtq_f32_u32, vcvtq_f64_u64, vdivq_f32, vdivq_f64, vdupq_n_f32,
    vdupq_n_f64, vdupq_n_u32, vdupq_n_u64, vfmaq_f32, vfmaq_f64, vld1q_f32, vld1q_f64, vmaxq_f32,
    vmaxq_f64, vminq_f32, vminq_f64, vmulq_f32, vmulq_f64, vorrq_u32, vorrq_u64,
    vreinterpretq_f32_s32, vreinterpretq_f32_u32, vreinterpretq_f64_s64, vreinterpretq_f64_u64,
    vreinterpretq_s32_f32, vreinterpretq_s64_f64, vreinterpretq_u32_f32, vreinterpretq_u64_f64,
    vshlq_n_s32, vshlq_n_s64, vshrq_n_u32, vshrq_n_u64, vsqrtq_f32, vsqrtq_f64, vst1q_f32,
    vst1q_f64, vsubq_f32, vsubq_f64,
};

macro_rules! vector {
    (
        $name:ident, $reg:ident, $t:ident, $lanes:literal,
        $set1:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
        $fma:ident, $max:ident, $min:ident, $sqrt:ident,
        |$e:ident| $exponent:expr, |$x:ident| $split:expr, $gtz:ident, $bsl:ident
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
            unsafe fn matmul_pairs(problem: MatMul<$t>) {
                unsafe { matmul::run_pairs::<Self>(problem) }
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
            unsafe fn low_bits_to_exponent(self) -> Self {
                let $e = self.0;
                Self(unsafe { $exponent })
            }
            #[inline(always)]
            unsafe fn split_exponent(self) -> (Self, Self) {
                let $x = self.0;
                let (e, m) = unsafe { $split };
                (Self(e), Self(m))
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
    |e| vreinterpretq_f32_s32(vshlq_n_s32::<23>(vreinterpretq_s32_f32(e))),
    |x| {
        let bits = vreinterpretq_u32_f32(x);
        let e = vsubq_f32(vcvtq_f32_u32(vshrq_n_u32::<23>(bits)), vdupq_n_f32(127.0));
        let m = vandq_u32(bits, vdupq_n_u32(0x007f_ffff));
        (e, vreinterpretq_f32_u32(vorrq_u32(m, vdupq_n_u32(0x3f80_0000))))
    },
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
    |e| vreinterpretq_f64_s64(vshlq_n_s64::<52>(vreinterpretq_s64_f64(e))),
    |x| {
        let bits = vreinterpretq_u64_f64(x);
        let e = vsubq_f64(vcvtq_f64_u64(vshrq_n_u64::<52>(bits)), vdupq_n_f64(1023.0));
        let m = vandq_u64(bits, vdupq_n_u64(0x000f_ffff_ffff_ffff));
        (e, vreinterpretq_f64_u64(vorrq_u64(m, vdupq_n_u64(0x3ff0_0000_0000_0000))))
    },
    vcgtzq_f64,
    vbslq_f64
);
