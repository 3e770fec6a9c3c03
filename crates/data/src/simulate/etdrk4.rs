//! Exponential time differencing of order four, for stiff systems whose stiff part is linear and
//! diagonal.
//!
//! For `du/dt = L u + N(u)` with `E = exp(hL)`, `E₂ = exp(hL/2)`:
//!
//! ```text
//! a = E₂ u + Q N(u)     b = E₂ u + Q N(a)     c = E₂ a + Q (2 N(b) - N(u))
//! u(t + h) = E u + f₁ N(u) + 2 f₂ (N(a) + N(b)) + f₃ N(c)
//! Q  = h (e^{z/2} - 1)/z                       f₁ = h (-4 - z + eᶻ (4 - 3z + z²))/z³
//! f₂ = h (2 + z + eᶻ (z - 2))/z³               f₃ = h (-4 - 3z - z² + eᶻ (4 - z))/z³,   z = hL
//! ```
//!
//! The four coefficients cancel catastrophically near `z = 0`; they are means over a circle around
//! `z`, which the mean value theorem allows.
//!
//! Source: Cox & Matthews 2002, J. Comput. Phys. 176, 430–455; contour: Kassam & Trefethen 2005,
//! SIAM J. Sci. Comput. 26, 1214–1233. Cost: four evaluations of `N` a step.

use crate::fourier::Complex64;

/// Points on the upper half of the circle, of radius 1; `L` is real, so the lower half mirrors it.
const N_POINTS: usize = 32;

/// Coefficients of one diagonal and one step length.
#[derive(Debug, Clone)]
pub struct Etdrk4 {
    modes: Vec<Mode>,
    /// `N` at the four stages, then the stage itself.
    work: [Vec<Complex64>; 5],
}

#[derive(Debug, Clone, Copy)]
struct Mode {
    whole: f64,
    half: f64,
    q: f64,
    f: [f64; 3],
}

impl Etdrk4 {
    /// Steps of length `h` for the diagonal `L`.
    #[must_use]
    pub fn new(diagonal: impl Iterator<Item = f64>, h: f64) -> Self {
        Self { modes: diagonal.map(|l| Mode::new(l, h)).collect(), work: Default::default() }
    }

    /// One step. `u` holds the modes, once or several times over; `nonlinear` writes `N(u)`.
    pub fn step(
        &mut self,
        u: &mut [Complex64],
        mut nonlinear: impl FnMut(&[Complex64], &mut [Complex64]),
    ) {
        self.work.iter_mut().for_each(|buffer| buffer.resize(u.len(), Complex64::default()));
        let [n_u, n_a, n_b, n_c, stage] = &mut self.work;
        let modes = || self.modes.iter().cycle();
        nonlinear(u, n_u);
        for (((stage, u), n), mode) in stage.iter_mut().zip(&*u).zip(&*n_u).zip(modes()) {
            *stage = *u * mode.half + *n * mode.q;
        }
        nonlinear(stage, n_a);
        // `c` starts from `a`, which the next stage overwrites: its share is kept in `n_c`.
        for ((share, a), mode) in n_c.iter_mut().zip(&*stage).zip(modes()) {
            *share = *a * mode.half;
        }
        for (((stage, u), n), mode) in stage.iter_mut().zip(&*u).zip(&*n_a).zip(modes()) {
            *stage = *u * mode.half + *n * mode.q;
        }
        nonlinear(stage, n_b);
        for ((((stage, share), b), n), mode) in
            stage.iter_mut().zip(&*n_c).zip(&*n_b).zip(&*n_u).zip(modes())
        {
            *stage = *share + (*b * 2.0 - *n) * mode.q;
        }
        nonlinear(stage, n_c);
        let slopes = n_u.iter().zip(&*n_a).zip(&*n_b).zip(&*n_c);
        for ((u, (((n, a), b), c)), mode) in u.iter_mut().zip(slopes).zip(modes()) {
            let [f1, f2, f3] = mode.f;
            *u = *u * mode.whole + *n * f1 + (*a + *b) * (2.0 * f2) + *c * f3;
        }
    }
}

impl Mode {
    fn new(l: f64, h: f64) -> Self {
        let mut sums = [0.0; 4];
        for j in 0..N_POINTS {
            let angle = std::f64::consts::PI * (j as f64 + 0.5) / N_POINTS as f64;
            let z = Complex64::new(0.0, angle).exp() + h * l;
            let (e, cube) = (z.exp(), z * z * z);
            let values = [
                ((z * 0.5).exp() + -1.0) / z,
                (z * -1.0 + -4.0 + e * (z * z + z * -3.0 + 4.0)) / cube,
                (z + 2.0 + e * (z + -2.0)) / cube,
                (z * z * -1.0 + z * -3.0 + -4.0 + e * (z * -1.0 + 4.0)) / cube,
            ];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value.re);
        }
        let [q, f1, f2, f3] = sums.map(|sum| h * sum / N_POINTS as f64);
        Self { whole: (h * l).exp(), half: (0.5 * h * l).exp(), q, f: [f1, f2, f3] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_without_a_linear_part_are_those_of_runge_and_kutta() {
        let Mode { whole, half, q, f } = Mode::new(0.0, 1.0);
        assert_eq!((whole, half), (1.0, 1.0));
        let expected = [0.5, 1.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0];
        for (found, expected) in [q, f[0], f[1], f[2]].iter().zip(expected) {
            assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        }
    }

    #[test]
    fn coefficients_far_from_zero_are_the_formulas() {
        let (l, h) = (-40.0_f64, 0.5);
        let Mode { q, f, .. } = Mode::new(l, h);
        let (z, e) = (l * h, (l * h).exp());
        assert!((q - h * ((0.5 * z).exp() - 1.0) / z).abs() < 1e-15, "{q}");
        let f1 = h * (-4.0 - z + e * (4.0 - 3.0 * z + z * z)) / z.powi(3);
        let f2 = h * (2.0 + z + e * (z - 2.0)) / z.powi(3);
        let f3 = h * (-4.0 - 3.0 * z - z * z + e * (4.0 - z)) / z.powi(3);
        for (found, expected) in f.iter().zip([f1, f2, f3]) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
    }
}
