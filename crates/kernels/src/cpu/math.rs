//! Exponential, logarithms, logistic function, hyperbolic tangent and normal distribution on vectors.
//!
//! ```text
//! exp(x) = 2ⁿ exp(r)                    n = round(x / ln 2), |r| ≤ ln 2 / 2
//! tanh(x) = e / (e + 2)                 e = exp(2x) − 1 = 2ⁿ (exp(r) − 1) + (2ⁿ − 1)
//! σ(x) = 1 / (1 + exp(−x))
//! ln(m 2^e) = e ln 2 + 2 artanh(f)      f = (m − 1) / (m + 1), √½ < m ≤ √2
//! ln(1 + x) = 2 artanh(x / (2 + x))     0 ≤ x ≤ 1
//! erfc(z) = t G(2t − 1) exp(−z²)        t = 2 / (2 + z), z ≥ 0
//! ```
//!
//! Both polynomials were fitted for this file (Chebyshev nodes, `mpmath` with 40 digits). The tests
//! below hold the relative error of `exp` under 2.5e-7 in f32 and 4e-16 in f64, those of `sigmoid`
//! and `tanh` under 3.5e-7 in f32 and 5e-16 in f64, those of the logarithms under 3e-7 and 6e-16. `artanh` is its
//! power series.
#![expect(unsafe_code, reason = "generic over SIMD vectors")]
#![expect(clippy::excessive_precision, reason = "coefficients as they were computed")]

use super::simd::{Scalar, Vector};
use super::weight::WeightTables;

/// Constants of the approximations at one precision.
pub(crate) trait Tables: WeightTables {
    /// `(exp(r) − 1 − r) / r²`, lowest power first.
    const EXP: &'static [Self];
    /// Chebyshev coefficients of `G`, lowest order first.
    const ERFCX: &'static [Self];
    /// `−ln 2` times the bias of the exponent: from here down the result is zero.
    const EXP_LOW: Self;
    /// The largest argument with a finite result.
    const EXP_HIGH: Self;
    const LOG2_E: Self;
    /// `1.5 · 2^mantissa + bias of the exponent`: adding it rounds to an integer `n`, and leaves
    /// `n + bias` in the lowest bits.
    const ROUNDING: Self;
    /// `−ln 2` in two parts, the first with trailing zero bits.
    const MINUS_LN_2: [Self; 2];
    /// Terms of the series of `artanh(f) / f` in `f²` that count for `|f| ≤ 0.172` and `|f| ≤ 1/3`.
    const ARTANH_TERMS: [usize; 2];
}

impl Tables for f32 {
    const EXP: &'static [f32] = &[
        0.500_000_001_347,
        0.166_665_769_67,
        0.041_666_464_895,
        0.008_363_181_54,
        0.001_393_365_25,
    ];
    const ERFCX: &'static [f32] = &[
        0.577_033_76,
        0.355_436_92,
        0.065_095_16,
        0.003_671_142_5,
        -0.001_112_844_8,
        -0.000_160_758_3,
        3.278_031_7e-5,
        5.442_441_8e-6,
        -1.515_466_6e-6,
        -1.429_760_8e-7,
        8.234_609e-8,
    ];
    const EXP_LOW: f32 = -88.029_69;
    const EXP_HIGH: f32 = 88.37;
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const ROUNDING: f32 = 12_582_912.0 + 127.0;
    const MINUS_LN_2: [f32; 2] = [-0.693_359_4, 2.121_944_4e-4];
    const ARTANH_TERMS: [usize; 2] = [5, 8];
}

impl Tables for f64 {
    const EXP: &'static [f64] = &[
        0.500_000_000_000_000_2,
        0.166_666_666_666_671_18,
        0.041_666_666_666_624_63,
        0.008_333_333_332_804_59,
        0.001_388_888_892_024_059_5,
        0.000_198_412_716_386_532_23,
        2.480_151_654_004_926e-5,
        2.755_503_492_424_885_4e-6,
        2.762_198_518_311_581_8e-7,
        2.602_729_828_462_622_6e-8,
    ];
    const ERFCX: &'static [f64] = &[
        0.577_033_738_616_469_7,
        0.355_436_921_270_498_5,
        0.065_095_158_828_786_53,
        0.003_671_142_395_836_639,
        -0.001_112_844_743_352_632_5,
        -0.000_160_758_299_153_780_8,
        3.278_031_574_173_137e-5,
        5.442_441_645_505_016e-6,
        -1.515_466_555_317_148e-6,
        -1.429_760_818_116_987_3e-7,
        8.234_608_827_419_501e-8,
        -1.296_284_685_230_727_6e-9,
        -4.154_721_631_015_144e-9,
        6.347_058_278_362_496e-10,
        1.432_082_271_225_674_7e-10,
        -6.160_390_105_202_425e-11,
        2.061_213_855_426_147_8e-12,
        3.571_493_148_913_059_6e-12,
        -8.586_422_844_026_774e-13,
        -6.145_600_205_677_163e-14,
        7.418_725_741_008_126e-14,
        -1.289_504_269_268_956_3e-14,
        -2.358_726_427_721_282_4e-15,
        1.572_934_955_301_261_2e-15,
    ];
    const EXP_LOW: f64 = -709.089_565_712_824_1;
    const EXP_HIGH: f64 = 709.43;
    const LOG2_E: f64 = std::f64::consts::LOG2_E;
    const ROUNDING: f64 = 6_755_399_441_055_744.0 + 1023.0;
    const MINUS_LN_2: [f64; 2] = [-0.693_145_751_953_125, -1.428_606_820_309_417_2e-6];
    const ARTANH_TERMS: [usize; 2] = [11, 17];
}

/// `exp(x)`, and zero from [`Tables::EXP_LOW`] down (so `exp(−∞) = 0`); NaN for NaN.
///
/// Arguments above [`Tables::EXP_HIGH`] are clamped to it: the callers subtract a maximum first.
#[inline(always)]
pub(crate) unsafe fn exp<V: Vector<Scalar: Tables>>(x: V) -> V {
    let one = unsafe { V::splat(V::Scalar::ONE) };
    unsafe {
        let (power, r, p) = reduce(x);
        p.mul_add(r, one).mul_add(r, one).mul(power)
    }
}

/// `(2ⁿ, r, (exp(r) − 1 − r) / r²)` of the clamped argument.
#[inline(always)]
unsafe fn reduce<V: Vector<Scalar: Tables>>(x: V) -> (V, V, V) {
    type T<V> = <V as Vector>::Scalar;
    unsafe {
        // `low.max(x)` and not `x.max(low)`: a NaN in `x` survives. At `low` the exponent's bits
        // are all zero, and so is the power of two.
        let x = V::splat(T::<V>::EXP_LOW).max(x);
        let x = V::splat(T::<V>::EXP_HIGH).min(x);
        let magic = V::splat(T::<V>::ROUNDING);
        let shifted = x.mul_add(V::splat(T::<V>::LOG2_E), magic);
        let n = shifted.sub(magic);
        let r = n.mul_add(V::splat(T::<V>::MINUS_LN_2[0]), x);
        let r = n.mul_add(V::splat(T::<V>::MINUS_LN_2[1]), r);
        let table = T::<V>::EXP;
        let mut p = V::splat(table[table.len() - 1]);
        for &c in table[..table.len() - 1].iter().rev() {
            p = p.mul_add(r, V::splat(c));
        }
        (shifted.low_bits_to_exponent(), r, p)
    }
}

/// `ln(x)` of normal positive numbers, NaN for NaN; zero and infinity give no meaningful result.
#[inline(always)]
pub(crate) unsafe fn ln<V: Vector<Scalar: Tables>>(x: V) -> V {
    type T<V> = <V as Vector>::Scalar;
    let c = |x: f64| unsafe { V::splat(T::<V>::from_f64(x)) };
    unsafe {
        let one = c(1.0);
        let (e, m) = x.split_exponent();
        let large = m.sub(c(std::f64::consts::SQRT_2));
        let m = large.select_positive(m.mul(c(0.5)), m);
        let e = large.select_positive(e.add(one), e);
        // Adds zero, or NaN if there is one: its bits look like those of a number.
        let f = m.sub(one).div(m.add(one)).add(x.sub(x));
        let [high, low] = T::<V>::MINUS_LN_2;
        let [high, low] = [V::splat(T::<V>::ZERO.sub(high)), V::splat(T::<V>::ZERO.sub(low))];
        e.mul_add(high, e.mul_add(low, twice_artanh(f, T::<V>::ARTANH_TERMS[0])))
    }
}

/// `ln(1 + x)` for `0 ≤ x ≤ 1`, accurate to the last digits also near zero; NaN for NaN.
#[inline(always)]
pub(crate) unsafe fn ln_1p<V: Vector<Scalar: Tables>>(x: V) -> V {
    type T<V> = <V as Vector>::Scalar;
    unsafe { twice_artanh(x.div(x.add(V::splat(T::<V>::from_f64(2.0)))), T::<V>::ARTANH_TERMS[1]) }
}

/// `2 artanh(f) = 2f + 2f³/3 + …`
#[inline(always)]
unsafe fn twice_artanh<V: Vector<Scalar: Tables>>(f: V, terms: usize) -> V {
    let c = |term: usize| unsafe { V::splat(V::Scalar::from_f64(2.0 / (2 * term + 1) as f64)) };
    unsafe {
        let square = f.mul(f);
        let mut p = c(terms);
        for term in (1..terms).rev() {
            p = p.mul_add(square, c(term));
        }
        p.mul(square).mul_add(f, f.add(f))
    }
}

/// `1 / (1 + exp(−x))`; NaN for NaN.
#[inline(always)]
pub(crate) unsafe fn sigmoid<V: Vector<Scalar: Tables>>(x: V) -> V {
    unsafe {
        let one = V::splat(V::Scalar::ONE);
        one.div(one.add(exp(V::zero().sub(x))))
    }
}

/// `tanh(x)`, accurate to the last digits also near zero; NaN for NaN.
#[inline(always)]
pub(crate) unsafe fn tanh<V: Vector<Scalar: Tables>>(x: V) -> V {
    unsafe {
        let one = V::splat(V::Scalar::ONE);
        let (power, r, p) = reduce(x.add(x));
        let e = power.mul_add(p.mul(r).mul_add(r, r), power.sub(one));
        e.div(e.add(one).add(one))
    }
}

/// Standard normal distribution function `Φ(x)` and density `φ(x)`.
#[inline(always)]
pub(crate) unsafe fn normal<V: Vector<Scalar: Tables>>(x: V) -> (V, V) {
    type T<V> = <V as Vector>::Scalar;
    let c = |x: f64| unsafe { V::splat(T::<V>::from_f64(x)) };
    unsafe {
        let minus = V::zero().sub(x);
        let z = x.max(minus).mul(c(std::f64::consts::FRAC_1_SQRT_2));
        let t = c(2.0).div(z.add(c(2.0)));
        // Clenshaw's recurrence for the Chebyshev series in u = 2t − 1 ∈ (−1, 1].
        let u = t.mul_add(c(2.0), c(-1.0));
        let two_u = u.add(u);
        let table = T::<V>::ERFCX;
        let (mut b1, mut b2) = (V::zero(), V::zero());
        for &coefficient in table[1..].iter().rev() {
            let b0 = two_u.mul_add(b1, V::splat(coefficient).sub(b2));
            (b1, b2) = (b0, b1);
        }
        let g = u.mul_add(b1, V::splat(table[0]).sub(b2));
        let gauss = exp(V::zero().sub(z).mul(z));
        let half_erfc = t.mul(c(0.5)).mul(g).mul(gauss);
        let cdf = x.select_positive(c(1.0).sub(half_erfc), half_erfc);
        let pdf = gauss.mul(c(0.398_942_280_401_432_7));
        (cdf, pdf)
    }
}

#[cfg(test)]
mod tests {
    use super::super::dispatch::{Kernel, Level, launch_at, level};
    use super::*;

    struct Apply<'a, S> {
        x: &'a [S],
        out: &'a mut [[S; 7]],
    }

    impl<S: Tables> Kernel<S> for Apply<'_, S> {
        #[inline(always)]
        unsafe fn run<V: Vector<Scalar = S>>(self) {
            for (x, out) in self.x.iter().zip(self.out) {
                unsafe {
                    let v = V::splat(*x);
                    let (cdf, pdf) = normal(v);
                    let part = v.max(V::zero()).min(V::splat(S::ONE));
                    let all = [exp(v), cdf, pdf, sigmoid(v), tanh(v), ln(v), ln_1p(part)];
                    *out = all.map(|v| v.largest());
                }
            }
        }
    }

    fn evaluate<S: Tables>(level: Level, x: &[S]) -> Vec<[f64; 7]> {
        let mut out = vec![[S::ZERO; 7]; x.len()];
        unsafe { launch_at(level, Apply { x, out: &mut out }) };
        out.iter().map(|row| row.map(Scalar::to_f64)).collect()
    }

    fn levels() -> Vec<Level> {
        vec![level(), Level::Portable]
    }

    #[test]
    fn exp_is_accurate_at_both_precisions_and_all_levels() {
        for level in levels() {
            let x: Vec<f64> = (-7050..100).map(|i| f64::from(i) * 0.1003).collect();
            for (x, y) in x.iter().zip(evaluate(level, &x)) {
                assert!((y[0] / x.exp() - 1.0).abs() < 4e-16, "exp({x}) = {}", y[0]);
            }
            let x: Vec<f32> = (-8700..100).map(|i| i as f32 * 0.01003).collect();
            for (x, y) in x.iter().zip(evaluate(level, &x)) {
                let error = y[0] / f64::from(*x).exp() - 1.0;
                assert!(error.abs() < 2.5e-7, "exp({x}) = {}, error {error}", y[0]);
            }
        }
    }

    #[test]
    fn sigmoid_and_tanh_are_accurate_at_both_precisions_and_all_levels() {
        // Steps of 0.0137 across zero, and small arguments, where tanh(x) ≈ x.
        let wide = (-5000..5000).map(|i| f64::from(i) * 0.0137 + 0.001);
        let small = (1..60).map(|i| 0.7f64.powi(i));
        let x: Vec<f64> = wide.chain(small).collect();
        for level in levels() {
            let check = |name: &str, x: f64, y: f64, expected: f64, tolerance: f64| {
                let error = (y / expected - 1.0).abs();
                assert!(error < tolerance, "{name}({x}) = {y}, error {error:e}, {level:?}");
            };
            for (&x, y) in x.iter().zip(evaluate(level, &x)) {
                check("sigmoid", x, y[3], 1.0 / (1.0 + (-x).exp()), 5e-16);
                check("tanh", x, y[4], x.tanh(), 5e-16);
            }
            #[expect(clippy::cast_possible_truncation, reason = "tests the f32 form")]
            let x: Vec<f32> = x.iter().map(|&x| x as f32).collect();
            for (&x, y) in x.iter().zip(evaluate(level, &x)) {
                let x = f64::from(x);
                check("sigmoid", x, y[3], 1.0 / (1.0 + (-x).exp()), 3.5e-7);
                check("tanh", x, y[4], x.tanh(), 3.5e-7);
            }
        }
    }

    #[test]
    fn logarithms_are_accurate_at_both_precisions_and_all_levels() {
        let wide = (-450..450).map(|i| 10f64.powf(f64::from(i) * 0.0813));
        let near_one = (-300..300).map(|i| 1.0 + f64::from(i) * 0.001_37);
        let x: Vec<f64> = wide.chain(near_one).collect();
        for level in levels() {
            let check = |name: &str, x: f64, y: f64, expected: f64, tolerance: f64| {
                let error = (y - expected).abs() / expected.abs().max(f64::MIN_POSITIVE);
                assert!(error < tolerance, "{name}({x}) = {y}, error {error:e}, {level:?}");
            };
            for (&x, y) in x.iter().zip(evaluate(level, &x)) {
                check("ln", x, y[5], x.ln(), 6e-16);
                check("ln_1p", x, y[6], x.min(1.0).ln_1p(), 6e-16);
            }
            #[expect(clippy::cast_possible_truncation, reason = "tests the f32 form")]
            let x: Vec<f32> = x.iter().map(|&x| x as f32).collect();
            for (&x, y) in x.iter().zip(evaluate(level, &x)) {
                let x = f64::from(x);
                check("ln", x, y[5], x.ln(), 3e-7);
                check("ln_1p", x, y[6], x.min(1.0).ln_1p(), 3e-7);
            }
        }
    }

    #[test]
    fn sigmoid_and_tanh_saturate_and_nan_stays() {
        for level in levels() {
            let y = evaluate(level, &[-1e4, 1e4, f64::NEG_INFINITY, f64::INFINITY, 0.0, f64::NAN]);
            let expected = [[0.0, -1.0], [1.0, 1.0], [0.0, -1.0], [1.0, 1.0], [0.5, 0.0]];
            for (row, [sigmoid, tanh]) in y.iter().zip(expected) {
                let error = (row[3] - sigmoid).abs().max((row[4] - tanh).abs());
                assert!(error < 1e-300, "{row:?}, {level:?}");
            }
            assert!(y[5][3].is_nan() && y[5][4].is_nan());
        }
    }

    #[test]
    fn exp_of_minus_infinity_is_zero_and_nan_stays() {
        for level in levels() {
            let y = evaluate(level, &[f32::NEG_INFINITY, -88.1, f32::NAN]);
            assert_eq!((y[0][0], y[1][0]), (0.0, 0.0));
            assert!(y[2][0].is_nan());
        }
    }

    /// Values of Φ from `mpmath.ncdf` with 20 digits.
    #[test]
    fn normal_distribution_matches_reference_values() {
        let expected = [
            (-6.0, 9.865_876_450_376_981e-10),
            (-2.5, 0.006_209_665_325_776_132),
            (-1.0, 0.158_655_253_931_457_05),
            (0.0, 0.5),
            (0.3, 0.617_911_422_188_952_6),
            (1.0, 0.841_344_746_068_542_9),
            (4.0, 0.999_968_328_758_166_9),
        ];
        for level in levels() {
            for (x, cdf) in expected {
                let y = evaluate(level, &[x])[0];
                assert!((y[1] / cdf - 1.0).abs() < 2e-14, "Φ({x}) = {}", y[1]);
                let pdf = (-x * x / 2.0f64).exp() / (2.0 * std::f64::consts::PI).sqrt();
                assert!((y[2] / pdf - 1.0).abs() < 1e-14, "φ({x}) = {}", y[2]);
                #[expect(clippy::cast_possible_truncation, reason = "tests the f32 form")]
                let y = evaluate(level, &[x as f32])[0];
                assert!((y[1] / cdf - 1.0).abs() < 5e-6, "Φ({x}) = {} in f32", y[1]);
            }
        }
    }
}
