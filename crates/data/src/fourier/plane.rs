//! The discrete Fourier transform of a square grid, a power of two of points along each side.
//!
//! ```text
//! û_kl = Σ_ij u_ij e^{-2πi (ik + jl)/n}        n² u_ij = Σ_kl û_kl e^{2πi (ik + jl)/n}
//! ```
//!
//! Both axes are transformed alike: [`LANES`] columns side by side, in steps of radix four (and one
//! of radix two where `log₂ n` is odd), written back as rows. Real and imaginary parts lie apart,
//! so that the loops over the columns run in vector registers.
//!
//! Source: Cooley & Tukey 1965, Math. Comput. 19, 297–301. Cost: `3 n² log₂(n)/4` complex products.

use std::f64::consts::TAU;

use super::Complex;

/// Columns that are transformed side by side: at 128 rows they fill a first-level cache of 32 KiB.
const LANES: usize = 16;

type Lanes = [f64; LANES];

/// Complex numbers on a grid, `[n, n]` row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Real parts.
    pub re: Vec<f64>,
    /// Imaginary parts.
    pub im: Vec<f64>,
}

/// The transform of `n` by `n` points and its working memory.
#[derive(Debug, Clone)]
pub struct PlaneFourier {
    n: usize,
    /// Row `j` of the columns in work is row `order[j]` of the grid: `j` with its bits reversed.
    order: Vec<usize>,
    /// For each step of radix four that joins blocks of `h`: `e^{-2πi m j/(4h)}` for `m = 2, 1, 3`
    /// and `j < h`.
    roots: Vec<[Complex; 3]>,
    re: Vec<Lanes>,
    im: Vec<Lanes>,
    turned: Plane,
}

impl Plane {
    /// `n` by `n` zeros.
    #[must_use]
    pub fn zeros(n: usize) -> Self {
        Self { re: vec![0.0; n * n], im: vec![0.0; n * n] }
    }
}

impl PlaneFourier {
    /// The transform of `n` by `n` points.
    ///
    /// # Panics
    /// If `n` is not a power of two from 16.
    #[must_use]
    pub fn new(n: usize) -> Self {
        assert!(n.is_power_of_two() && n >= LANES, "{n} is not a power of two from {LANES}");
        let bits = n.trailing_zeros();
        let order = (0..n).map(|j: usize| j.reverse_bits() >> (usize::BITS - bits)).collect();
        let mut roots = Vec::new();
        let mut h = first_block(n);
        while h < n {
            let root = |m: usize, j: usize| {
                Complex::new(0.0, -TAU * (m * j) as f64 / (4 * h) as f64).exp()
            };
            roots.extend((0..h).map(|j| [2, 1, 3].map(|m| root(m, j))));
            h *= 4;
        }
        let lanes = vec![[0.0; LANES]; n];
        Self { n, order, roots, re: lanes.clone(), im: lanes, turned: Plane::zeros(n) }
    }

    /// `u` to `û`, in place.
    ///
    /// # Panics
    /// If `u` is not `[n, n]`.
    pub fn forward(&mut self, u: &mut Plane) {
        let mut turned = std::mem::replace(&mut self.turned, Plane { re: vec![], im: vec![] });
        self.transform_columns([&u.re, &u.im], [&mut turned.re, &mut turned.im]);
        self.transform_columns([&turned.re, &turned.im], [&mut u.re, &mut u.im]);
        self.turned = turned;
    }

    /// `û` to `n² u`, in place: the inverse but for its factor.
    ///
    /// # Panics
    /// If `u` is not `[n, n]`.
    pub fn backward(&mut self, u: &mut Plane) {
        // The conjugate of i z has the parts of z exchanged.
        std::mem::swap(&mut u.re, &mut u.im);
        self.forward(u);
        std::mem::swap(&mut u.re, &mut u.im);
    }

    /// Transforms the columns of `source`; they become the rows of `target`.
    fn transform_columns(&mut self, source: [&[f64]; 2], target: [&mut [f64]; 2]) {
        let (n, [re, im], [out_re, out_im]) = (self.n, source, target);
        assert!(re.len() == n * n && im.len() == n * n, "{} points of {n} by {n}", re.len());
        for first in (0..n).step_by(LANES) {
            for ((lanes_re, lanes_im), &row) in
                self.re.iter_mut().zip(&mut self.im).zip(&self.order)
            {
                let start = row * n + first;
                lanes_re.copy_from_slice(&re[start..start + LANES]);
                lanes_im.copy_from_slice(&im[start..start + LANES]);
            }
            self.transform_lanes();
            for lane in 0..LANES {
                let row = (first + lane) * n..(first + lane + 1) * n;
                for (out, lanes) in out_re[row.clone()].iter_mut().zip(&self.re) {
                    *out = lanes[lane];
                }
                for (out, lanes) in out_im[row].iter_mut().zip(&self.im) {
                    *out = lanes[lane];
                }
            }
        }
    }

    fn transform_lanes(&mut self) {
        let mut h = first_block(self.n);
        if h == 2 {
            for (re, im) in self.re.chunks_exact_mut(2).zip(self.im.chunks_exact_mut(2)) {
                add_and_subtract(re);
                add_and_subtract(im);
            }
        }
        let mut roots = &self.roots[..];
        while h < self.n {
            let (these, rest) = roots.split_at(h);
            for (re, im) in self.re.chunks_exact_mut(4 * h).zip(self.im.chunks_exact_mut(4 * h)) {
                let ([r0, r1, r2, r3], [i0, i1, i2, i3]) = (quarters(re), quarters(im));
                for (j, roots) in these.iter().enumerate() {
                    let re = [&mut r0[j], &mut r1[j], &mut r2[j], &mut r3[j]];
                    let im = [&mut i0[j], &mut i1[j], &mut i2[j], &mut i3[j]];
                    join_four(re, im, roots);
                }
            }
            roots = rest;
            h *= 4;
        }
    }
}

/// Length of the blocks that the first step of radix four joins.
fn first_block(n: usize) -> usize {
    if n.trailing_zeros().is_multiple_of(2) { 1 } else { 2 }
}

fn quarters(rows: &mut [Lanes]) -> [&mut [Lanes]; 4] {
    let (low, high) = rows.split_at_mut(rows.len() / 2);
    let ((a, b), (c, d)) = (low.split_at_mut(low.len() / 2), high.split_at_mut(high.len() / 2));
    [a, b, c, d]
}

/// Radix two without a root.
fn add_and_subtract(pair: &mut [Lanes]) {
    let [a, b] = pair else { unreachable!("chunks of two") };
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (*a + *b, *a - *b);
    }
}

/// Radix four: two steps of radix two at once.
#[inline]
fn join_four(re: [&mut Lanes; 4], im: [&mut Lanes; 4], [w1, w2, w3]: &[Complex; 3]) {
    let ([r0, r1, r2, r3], [i0, i1, i2, i3]) = (re, im);
    for l in 0..LANES {
        let (t1_re, t1_im) = (w1.re * r1[l] - w1.im * i1[l], w1.re * i1[l] + w1.im * r1[l]);
        let (t2_re, t2_im) = (w2.re * r2[l] - w2.im * i2[l], w2.re * i2[l] + w2.im * r2[l]);
        let (t3_re, t3_im) = (w3.re * r3[l] - w3.im * i3[l], w3.re * i3[l] + w3.im * r3[l]);
        let (sum_re, sum_im) = (r0[l] + t1_re, i0[l] + t1_im);
        let (difference_re, difference_im) = (r0[l] - t1_re, i0[l] - t1_im);
        let (even_re, even_im) = (t2_re + t3_re, t2_im + t3_im);
        let (odd_re, odd_im) = (t2_re - t3_re, t2_im - t3_im);
        (r0[l], i0[l]) = (sum_re + even_re, sum_im + even_im);
        (r1[l], i1[l]) = (difference_re + odd_im, difference_im - odd_re);
        (r2[l], i2[l]) = (sum_re - even_re, sum_im - even_im);
        (r3[l], i3[l]) = (difference_re - odd_im, difference_im + odd_re);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fourier;
    use super::*;

    fn values(n: usize) -> Plane {
        let re = (0..n * n).map(|j| (1.3 * j as f64).sin()).collect();
        let im = (0..n * n).map(|j| (j * j % 7) as f64 - 3.0).collect();
        Plane { re, im }
    }

    #[test]
    fn it_is_the_transform_of_all_rows_and_then_of_all_columns() {
        for n in [16, 32] {
            let (u, line) = (values(n), Fourier::new(n));
            let mut expected: Vec<Complex> =
                u.re.iter().zip(&u.im).map(|(&re, &im)| Complex::new(re, im)).collect();
            expected.chunks_exact_mut(n).for_each(|row| line.forward(row));
            for l in 0..n {
                let mut column: Vec<Complex> = (0..n).map(|k| expected[k * n + l]).collect();
                line.forward(&mut column);
                (0..n).for_each(|k| expected[k * n + l] = column[k]);
            }
            let mut fast = u;
            PlaneFourier::new(n).forward(&mut fast);
            for ((re, im), z) in fast.re.iter().zip(&fast.im).zip(expected) {
                assert!((re - z.re).hypot(im - z.im) < 1e-11, "{re} {im} {z:?}");
            }
        }
    }

    #[test]
    fn backward_undoes_forward_but_for_the_number_of_points() {
        let (mut u, mut fourier) = (values(64), PlaneFourier::new(64));
        fourier.forward(&mut u);
        fourier.backward(&mut u);
        let expected = values(64);
        let parts = u.re.iter().zip(&expected.re).chain(u.im.iter().zip(&expected.im));
        for (found, expected) in parts {
            assert!((found / 4096.0 - expected).abs() < 1e-13, "{found} {expected}");
        }
    }
}
