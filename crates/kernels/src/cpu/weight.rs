//! The weights of a softmax: powers of two that end where subnormal numbers could begin.
//!
//! ```text
//! 2^t = 2ⁿ p(r)        n = round(t), r = t − n, |r| ≤ ½        zero from n = −64 (f32), −512 (f64) down
//! ```
//!
//! Scores come in units of `ln 2`: one constant carries the scale of attention and `log2 e`, and the
//! argument needs no reduction. What is cut off is less than half a unit in the last place of the sum of the
//! weights, for up to 2^39 of them. What it buys: products with such weights are no subnormal numbers,
//! which some processors handle in microcode.
//!
//! The end costs nothing. The exponent of `2ⁿ⁻ᵉ` is made of the lowest bits of `n + b`, with `b = 64` or
//! 512 in place of the bias: where `n = −b` all bits are zero, and so is the result; `2ᵉ` is a factor of the
//! polynomial.
//!
//! The polynomials, `1 + r q(r)`, were fitted for this file (Chebyshev nodes, `mpmath` with 40 digits):
//! relative errors 5.1e-9 and 8.4e-18. The tests hold the computed one under 1.5e-7 in f32 and 4e-16 in f64.
#![expect(unsafe_code, reason = "generic over SIMD vectors")]
#![expect(clippy::excessive_precision, reason = "coefficients as they were computed")]

use super::simd::{Scalar, Vector};

/// Constants of the approximation at one precision.
pub(crate) trait WeightTables: Scalar {
    /// Coefficients of `2ᵉ p`, lowest power first.
    const POWER: &'static [Self];
    /// `−b`: here the result is zero.
    const LOW: Self;
    /// `1.5 · 2^mantissa + b`: adding it rounds to an integer `n`, and leaves `n + b` in the lowest bits.
    const ROUND: Self;
}

/// `2ᵉ` with `e` the bias of the exponent less 64.
const UP_F32: f32 = f32::from_bits((127 + 63) << 23);

/// `2ᵉ` with `e` the bias of the exponent less 512.
const UP_F64: f64 = f64::from_bits((1023 + 511) << 52);

impl WeightTables for f32 {
    const POWER: &'static [f32] = &[
        UP_F32,
        UP_F32 * 0.693_147_188_026_228_78,
        UP_F32 * 0.240_226_507_605_681_27,
        UP_F32 * 0.055_503_571_142_190_778,
        UP_F32 * 0.009_618_082_557_277_851_5,
        UP_F32 * 0.001_339_086_336_467_123_4,
        UP_F32 * 0.000_154_531_629_451_206_9,
    ];
    const LOW: f32 = -64.0;
    const ROUND: f32 = 12_582_912.0 + 64.0;
}

impl WeightTables for f64 {
    const POWER: &'static [f64] = &[
        UP_F64,
        UP_F64 * std::f64::consts::LN_2,
        UP_F64 * 0.240_226_506_959_100_982_2,
        UP_F64 * 0.055_504_108_664_821_594_34,
        UP_F64 * 0.009_618_129_107_606_888_527,
        UP_F64 * 0.001_333_355_814_641_693_531,
        UP_F64 * 0.000_154_035_304_417_360_501_5,
        UP_F64 * 0.000_015_252_733_829_836_118_39,
        UP_F64 * 1.321_544_258_792_168_965e-6,
        UP_F64 * 1.017_806_244_584_577_352e-7,
        UP_F64 * 7.072_585_949_269_223_7e-9,
        UP_F64 * 4.454_960_598_186_518_394e-10,
    ];
    const LOW: f64 = -512.0;
    const ROUND: f64 = 6_755_399_441_055_744.0 + 512.0;
}

/// `2^t` of an argument that is not large, or zero from [`WeightTables::LOW`] down; NaN for NaN.
#[inline(always)]
pub(crate) unsafe fn weight<V: Vector<Scalar: WeightTables>>(t: V) -> V {
    type T<V> = <V as Vector>::Scalar;
    unsafe {
        // `low.max(t)` and not `t.max(low)`: a NaN in `t` survives.
        let t = V::splat(T::<V>::LOW).max(t);
        let round = V::splat(T::<V>::ROUND);
        let shifted = t.add(round);
        let r = t.sub(shifted.sub(round));
        let (last, rest) = T::<V>::POWER.split_last().expect("a polynomial has coefficients");
        let mut p = V::splat(*last);
        for &c in rest.iter().rev() {
            p = p.mul_add(r, V::splat(c));
        }
        p.mul(shifted.low_bits_to_exponent())
    }
}

#[cfg(test)]
mod tests {
    use super::super::dispatch::{Kernel, Level, launch_at, level};
    use super::super::math::Tables;
    use super::*;

    struct Weights<'a, S>(&'a [S], &'a mut [S]);

    impl<S: Tables> Kernel<S> for Weights<'_, S> {
        #[inline(always)]
        unsafe fn run<V: Vector<Scalar = S>>(self) {
            for (t, to) in self.0.iter().zip(self.1) {
                *to = unsafe { weight(V::splat(*t)).largest() };
            }
        }
    }

    fn weights<S: Tables>(level: Level, t: impl Iterator<Item = f64>) -> Vec<[f64; 2]> {
        let t: Vec<S> = t.map(S::from_f64).collect();
        let mut found = vec![S::ZERO; t.len()];
        unsafe { launch_at(level, Weights(&t, &mut found)) };
        t.into_iter().zip(found).map(|(t, w)| [t, w].map(Scalar::to_f64)).collect()
    }

    #[test]
    fn weights_are_powers_of_two_or_zero() {
        fn check<S: Tables>(low: f64, tolerance: f64) {
            for level in [level(), Level::Portable] {
                // Down to half a step above the end, in steps that are no binary fraction.
                let t = (0..10_000).map(|i| (low + 0.5) * f64::from(i) / 10_000.0);
                for [t, w] in weights::<S>(level, t) {
                    let error = (w / t.exp2() - 1.0).abs();
                    assert!(error < tolerance, "2^{t} = {w}, error {error:e}, {level:?}");
                }
                let ends = [0.0, low - 0.51, 1e3 * low, f64::NEG_INFINITY, f64::NAN, f64::INFINITY];
                let found = weights::<S>(level, ends.into_iter()).into_iter().map(|[_, w]| w);
                let found: Vec<f64> = found.collect();
                assert_eq!(found[..4], [1.0, 0.0, 0.0, 0.0], "{level:?}");
                assert!(found[4].is_nan() && found[5].is_nan(), "{found:?}, {level:?}");
            }
        }
        check::<f32>(-64.0, 1.5e-7);
        check::<f64>(-512.0, 4e-16);
    }
}
