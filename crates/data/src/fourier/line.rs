//! The discrete Fourier transform of a power of two of points on a line.
//!
//! ```text
//! û_k = Σ_j u_j e^{-2πi jk/n}        u_j = (1/n) Σ_k û_k e^{2πi jk/n}
//! ```
//!
//! Source: Cooley & Tukey 1965, Math. Comput. 19, 297–301. Cost: `n log₂(n)/2` complex products.

use std::f64::consts::TAU;
use std::ops::{Add, AddAssign, Div, Mul, Sub};

/// A complex number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Complex {
    /// Real part.
    pub re: f64,
    /// Imaginary part.
    pub im: f64,
}

/// The transform of `n` points.
#[derive(Debug, Clone)]
pub struct Fourier {
    /// `e^{-2πi j/n}` for `j < n/2`.
    roots: Vec<Complex>,
}

impl Complex {
    /// `re + i im`.
    #[must_use]
    pub fn new(re: f64, im: f64) -> Self {
        Self { re, im }
    }

    /// `e^z`.
    #[must_use]
    pub fn exp(self) -> Self {
        let (sin, cos) = self.im.sin_cos();
        Self::new(cos, sin) * self.re.exp()
    }

    /// The same with the other sign of the imaginary part.
    #[must_use]
    pub fn conjugate(self) -> Self {
        Self::new(self.re, -self.im)
    }
}

impl Add for Complex {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.re + other.re, self.im + other.im)
    }
}

impl AddAssign for Complex {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Add<f64> for Complex {
    type Output = Self;
    fn add(self, other: f64) -> Self {
        Self::new(self.re + other, self.im)
    }
}

impl Sub for Complex {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.re - other.re, self.im - other.im)
    }
}

impl Mul for Complex {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let re = self.re * other.re - self.im * other.im;
        Self::new(re, self.re * other.im + self.im * other.re)
    }
}

impl Mul<f64> for Complex {
    type Output = Self;
    fn mul(self, other: f64) -> Self {
        Self::new(self.re * other, self.im * other)
    }
}

impl Div for Complex {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let size = other.re * other.re + other.im * other.im;
        self * other.conjugate() * (1.0 / size)
    }
}

impl Fourier {
    /// The transform of `n` points.
    ///
    /// # Panics
    /// If `n` is not a power of two.
    #[must_use]
    pub fn new(n: usize) -> Self {
        assert!(n.is_power_of_two(), "{n} points are not a power of two");
        let root = |j: usize| Complex::new(0.0, -TAU * j as f64 / n as f64).exp();
        Self { roots: (0..n / 2).map(root).collect() }
    }

    /// `u` to `û`, in place.
    ///
    /// # Panics
    /// If `u` does not have `n` points.
    pub fn forward(&self, u: &mut [Complex]) {
        let n = u.len();
        assert_eq!(n.div_ceil(2), self.roots.len().max(1), "points of the transform");
        for i in 1..n {
            let j = i.reverse_bits() >> (usize::BITS - n.trailing_zeros());
            if i < j {
                u.swap(i, j);
            }
        }
        let mut half = 1;
        while half < n {
            let stride = self.roots.len() / half;
            for block in u.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                let roots = self.roots.iter().step_by(stride);
                for ((a, b), root) in low.iter_mut().zip(high).zip(roots) {
                    let turned = *b * *root;
                    (*a, *b) = (*a + turned, *a - turned);
                }
            }
            half *= 2;
        }
    }

    /// `û` to `u`, in place.
    ///
    /// # Panics
    /// If `u` does not have `n` points.
    pub fn inverse(&self, u: &mut [Complex]) {
        for u in &mut *u {
            *u = u.conjugate();
        }
        self.forward(u);
        let scale = 1.0 / u.len() as f64;
        for u in u {
            *u = u.conjugate() * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize) -> Vec<Complex> {
        (0..n).map(|j| Complex::new((1.3 * j as f64).sin(), (j * j % 7) as f64 - 3.0)).collect()
    }

    fn assert_close(a: &[Complex], b: &[Complex]) {
        for (a, b) in a.iter().zip(b) {
            assert!((a.re - b.re).hypot(a.im - b.im) < 1e-12, "{a:?} {b:?}");
        }
    }

    #[test]
    fn it_is_the_sum_that_defines_it() {
        for n in [1, 2, 4, 16, 64] {
            let (u, mut fast) = (values(n), values(n));
            Fourier::new(n).forward(&mut fast);
            let sum = |k: usize| {
                let mut sum = Complex::default();
                for (j, u) in u.iter().enumerate() {
                    sum += *u * Complex::new(0.0, -TAU * (j * k % n) as f64 / n as f64).exp();
                }
                sum
            };
            assert_close(&fast, &(0..n).map(sum).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_inverse_undoes_it() {
        let (mut u, fourier) = (values(32), Fourier::new(32));
        fourier.forward(&mut u);
        fourier.inverse(&mut u);
        assert_close(&u, &values(32));
    }

    #[test]
    fn quotients_undo_products() {
        let [a, b] = [Complex::new(1.5, -2.0), Complex::new(-0.3, 0.7)];
        assert_close(&[a * b / b], &[a]);
    }
}
