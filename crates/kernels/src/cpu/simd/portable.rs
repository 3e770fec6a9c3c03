//! Plain arrays, for any machine.

use super::super::matmul::{self, MatMul};
use super::Vector;

/// An array that the compiler vectorizes with whatever the target's baseline offers.
#[derive(Clone, Copy)]
pub(crate) struct Portable<S, const N: usize>([S; N]);

macro_rules! portable {
    ($t:ident, $bits:ident, $n:literal, $registers:literal, $mantissa:literal) => {
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
            unsafe fn matmul_pairs(problem: MatMul<$t>) {
                unsafe { matmul::run_pairs::<Self>(problem) }
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
            unsafe fn low_bits_to_exponent(self) -> Self {
                Self(self.0.map(|x| $t::from_bits(x.to_bits() << $mantissa)))
            }
            #[inline(always)]
            unsafe fn split_exponent(self) -> (Self, Self) {
                const MANTISSA: $bits = (1 << $mantissa) - 1;
                const INTEGER: $t = ((1 as $bits) << $mantissa) as $t;
                const BIAS: $t = ($t::MAX_EXP - 1) as $t;
                let e = self.0.map(|x| {
                    let e = x.to_bits() >> $mantissa | INTEGER.to_bits();
                    $t::from_bits(e) - (INTEGER + BIAS)
                });
                let one = (1.0 as $t).to_bits();
                let m = self.0.map(|x| $t::from_bits(x.to_bits() & MANTISSA | one));
                (Self(e), Self(m))
            }
            #[inline(always)]
            unsafe fn select_positive(self, yes: Self, no: Self) -> Self {
                Self(std::array::from_fn(|i| if self.0[i] > 0.0 { yes.0[i] } else { no.0[i] }))
            }
        }
    };
}

portable!(f32, u32, 8, 16, 23);
portable!(f64, u64, 4, 16, 52);
// As wide as AVX-512, with as many registers: tests its tiling on any machine.
#[cfg(test)]
portable!(f32, u32, 16, 32, 23);
#[cfg(test)]
portable!(f64, u64, 8, 32, 52);
