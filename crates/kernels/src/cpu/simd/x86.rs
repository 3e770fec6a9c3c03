//! AVX2 + FMA and AVX-512F registers.

use super::super::layout;
use super::super::matmul::{self, MatMul};
use super::Vector;
#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "a hundred intrinsics"))]
use std::arch::x86_64::*;

/// Bits of 2^23: a small integer put into the mantissa is added to it.
const INTEGER_F32: i32 = 0x4b00_0000;
const MANTISSA_F32: i32 = 0x007f_ffff;
const ONE_F32: i32 = 0x3f80_0000;
/// Bits of 2^52, as above.
const INTEGER_F64: i64 = 0x4330_0000_0000_0000;
const MANTISSA_F64: i64 = 0x000f_ffff_ffff_ffff;
const ONE_F64: i64 = 0x3ff0_0000_0000_0000;

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

/// [`layout::transpose`] in blocks of 8 × 8 in registers, strips narrower than that in blocks of 4 × 4.
#[target_feature(enable = "avx2")]
unsafe fn transpose_by_8(
    [rows, cols]: [usize; 2],
    (from, from_row): (*const f32, usize),
    (to, to_row): (*mut f32, usize),
) {
    let (whole_rows, whole_cols) = (rows & !7, cols & !7);
    unsafe {
        for c in (0..whole_cols).step_by(8) {
            for r in (0..whole_rows).step_by(8) {
                transpose_8(from.add(r * from_row + c), from_row, to.add(c * to_row + r), to_row);
            }
        }
        let (right, below) = (from.add(whole_cols), to.add(whole_cols * to_row));
        transpose_by_4([rows, cols - whole_cols], (right, from_row), (below, to_row));
        let (below, right) = (from.add(whole_rows * from_row), to.add(whole_rows));
        transpose_by_4([rows - whole_rows, whole_cols], (below, from_row), (right, to_row));
    }
}

#[inline(always)]
unsafe fn transpose_by_4(
    [rows, cols]: [usize; 2],
    (from, from_row): (*const f32, usize),
    (to, to_row): (*mut f32, usize),
) {
    let (whole_rows, whole_cols) = (rows & !3, cols & !3);
    unsafe {
        for c in (0..whole_cols).step_by(4) {
            for r in (0..whole_rows).step_by(4) {
                let (from, to) = (from.add(r * from_row + c), to.add(c * to_row + r));
                let mut x = [_mm_setzero_ps(); 4];
                for (r, x) in x.iter_mut().enumerate() {
                    *x = _mm_loadu_ps(from.add(r * from_row));
                }
                let [a, b, c, d] = &mut x;
                _MM_TRANSPOSE4_PS(a, b, c, d);
                for (c, x) in x.iter().enumerate() {
                    _mm_storeu_ps(to.add(c * to_row), *x);
                }
            }
        }
        let (right, below) = (from.add(whole_cols), to.add(whole_cols * to_row));
        layout::transpose(rows, cols - whole_cols, right, from_row, below, to_row);
        let (below, right) = (from.add(whole_rows * from_row), to.add(whole_rows));
        layout::transpose(rows - whole_rows, whole_cols, below, from_row, right, to_row);
    }
}

/// One block: pairs, quarters, and halves of rows change places.
#[inline(always)]
unsafe fn transpose_8(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
    unsafe {
        let mut x = [_mm256_setzero_ps(); 8];
        for (r, x) in x.iter_mut().enumerate() {
            *x = _mm256_loadu_ps(from.add(r * from_row));
        }
        let mut pairs = x;
        for r in [0, 2, 4, 6] {
            pairs[r] = _mm256_unpacklo_ps(x[r], x[r + 1]);
            pairs[r + 1] = _mm256_unpackhi_ps(x[r], x[r + 1]);
        }
        for r in [0, 4] {
            for half in 0..2 {
                let (a, b) = (pairs[r + half], pairs[r + 2 + half]);
                x[r + 2 * half] = _mm256_shuffle_ps::<0x44>(a, b);
                x[r + 2 * half + 1] = _mm256_shuffle_ps::<0xee>(a, b);
            }
        }
        for c in 0..4 {
            let (a, b) = (x[c], x[c + 4]);
            _mm256_storeu_ps(to.add(c * to_row), _mm256_permute2f128_ps::<0x20>(a, b));
            _mm256_storeu_ps(to.add((c + 4) * to_row), _mm256_permute2f128_ps::<0x31>(a, b));
        }
    }
}

macro_rules! vector {
    (
        $name:ident, $reg:ident, $t:ident, $lanes:literal, $registers:literal, $features:literal,
        $set1:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident,
        $fma:ident, $max:ident, $min:ident, $sqrt:ident,
        |$e:ident| $exponent:expr, |$x:ident| $split:expr, |$c:ident, $yes:ident, $no:ident| $select:expr,
        |$from:ident, $to:ident, $v:ident, $n:ident| $load_n:expr, $store_n:expr
        $(, $transpose:ident, |$two:ident| $splat_pair:expr, |$pairs:ident| $sum_pairs:expr)?
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
            #[target_feature(enable = $features)]
            unsafe fn matmul_pairs(problem: MatMul<$t>) {
                unsafe { matmul::run_pairs::<Self>(problem) }
            }
            $(
                #[inline(always)]
                unsafe fn transpose(
                    size: [usize; 2],
                    from: (*const $t, usize),
                    to: (*mut $t, usize),
                ) {
                    unsafe { $transpose(size, from, to) }
                }
                #[inline(always)]
                unsafe fn splat_pair($two: *const $t) -> Self {
                    Self(unsafe { $splat_pair })
                }
                #[inline(always)]
                unsafe fn sum_pairs(self) -> Self {
                    let $pairs = self.0;
                    Self(unsafe { $sum_pairs })
                }
            )?
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
    |e| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(e))),
    |x| {
        let bits = _mm256_castps_si256(x);
        let e = _mm256_or_si256(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(INTEGER_F32));
        let m = _mm256_and_si256(bits, _mm256_set1_epi32(MANTISSA_F32));
        let m = _mm256_or_si256(m, _mm256_set1_epi32(ONE_F32));
        let zero = _mm256_set1_ps(8_388_608.0 + 127.0);
        (_mm256_sub_ps(_mm256_castsi256_ps(e), zero), _mm256_castsi256_ps(m))
    },
    |c, yes, no| _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GT_OQ>(c, _mm256_setzero_ps())),
    |from, to, v, n| _mm256_maskload_ps(from, first_8(n)),
    _mm256_maskstore_ps(to, first_8(n), v),
    transpose_by_8,
    |two| _mm256_castpd_ps(_mm256_set1_pd(two.cast::<f64>().read_unaligned())),
    |pairs| {
        // Within each half of the register, then the halves side by side.
        let sums = _mm256_castps_pd(_mm256_hadd_ps(pairs, pairs));
        _mm256_castpd_ps(_mm256_permute4x64_pd::<0b1000>(sums))
    }
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
    |e| _mm256_castsi256_pd(_mm256_slli_epi64::<52>(_mm256_castpd_si256(e))),
    |x| {
        let bits = _mm256_castpd_si256(x);
        let e = _mm256_or_si256(_mm256_srli_epi64::<52>(bits), _mm256_set1_epi64x(INTEGER_F64));
        let m = _mm256_and_si256(bits, _mm256_set1_epi64x(MANTISSA_F64));
        let m = _mm256_or_si256(m, _mm256_set1_epi64x(ONE_F64));
        let zero = _mm256_set1_pd(4_503_599_627_370_496.0 + 1023.0);
        (_mm256_sub_pd(_mm256_castsi256_pd(e), zero), _mm256_castsi256_pd(m))
    },
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
    |e| _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(e))),
    |x| {
        let bits = _mm512_castps_si512(x);
        let e = _mm512_or_si512(_mm512_srli_epi32::<23>(bits), _mm512_set1_epi32(INTEGER_F32));
        let m = _mm512_and_si512(bits, _mm512_set1_epi32(MANTISSA_F32));
        let m = _mm512_or_si512(m, _mm512_set1_epi32(ONE_F32));
        let zero = _mm512_set1_ps(8_388_608.0 + 127.0);
        (_mm512_sub_ps(_mm512_castsi512_ps(e), zero), _mm512_castsi512_ps(m))
    },
    |c, yes, no| _mm512_mask_blend_ps(
        _mm512_cmp_ps_mask::<_CMP_GT_OQ>(c, _mm512_setzero_ps()),
        no,
        yes
    ),
    |from, to, v, n| _mm512_maskz_loadu_ps((1 << n) - 1, from),
    _mm512_mask_storeu_ps(to, (1 << n) - 1, v),
    transpose_by_8,
    |two| _mm512_castpd_ps(_mm512_set1_pd(two.cast::<f64>().read_unaligned())),
    |pairs| {
        let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 0, 0, 0, 0, 0, 0, 0, 0);
        let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 0, 0, 0, 0, 0, 0, 0, 0);
        _mm512_add_ps(_mm512_permutexvar_ps(even, pairs), _mm512_permutexvar_ps(odd, pairs))
    }
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
    |e| _mm512_castsi512_pd(_mm512_slli_epi64::<52>(_mm512_castpd_si512(e))),
    |x| {
        let bits = _mm512_castpd_si512(x);
        let e = _mm512_or_si512(_mm512_srli_epi64::<52>(bits), _mm512_set1_epi64(INTEGER_F64));
        let m = _mm512_and_si512(bits, _mm512_set1_epi64(MANTISSA_F64));
        let m = _mm512_or_si512(m, _mm512_set1_epi64(ONE_F64));
        let zero = _mm512_set1_pd(4_503_599_627_370_496.0 + 1023.0);
        (_mm512_sub_pd(_mm512_castsi512_pd(e), zero), _mm512_castsi512_pd(m))
    },
    |c, yes, no| _mm512_mask_blend_pd(
        _mm512_cmp_pd_mask::<_CMP_GT_OQ>(c, _mm512_setzero_pd()),
        no,
        yes
    ),
    |from, to, v, n| _mm512_maskz_loadu_pd((1 << n) - 1, from),
    _mm512_mask_storeu_pd(to, (1 << n) - 1, v)
);
