//! The Darcy equation on the unit square by finite differences.
//!
//! ```text
//! -∇·(a ∇u) = f,  u = 0 on the edges
//! (Σ_faces a_face) u - Σ_faces a_face u_neighbour = h² f,    a_face = (a + a_neighbour)/2
//! ```
//!
//! on `n` by `n` nodes with `h = 1/(n - 1)`; five points, second order where `a` is smooth. The
//! system is symmetric and positive definite: conjugate gradients, preconditioned by an incomplete
//! Cholesky factorisation `(D + L) D⁻¹ (D + Lᵀ)` without fill-in, whose diagonal keeps the sums of
//! the rows up to a relaxation, so that the iterations grow as `√n`.
//!
//! Source: Gustafsson 1978, BIT 18, 142–156 (the modified factorisation, for five points); Axelsson
//! & Lindskog 1986, Numer. Math. 48, 479–498 (the relaxation). Cost of an iteration: some 25
//! operations a node.

use crate::DataError;
use crate::operator::OperatorError;

/// Norm of the residual, relative to that of the source, at which a solution is done.
const TOLERANCE: f64 = 1e-12;

/// Share of the dropped fill-in that goes to the diagonal.
const RELAXATION: f64 = 0.97;

/// Solves for `u` on all nodes.
///
/// # Shapes
/// `a`, `f` and the result: `[n, n]`; `f` is not read on the edges, where the result is zero.
///
/// # Errors
/// [`OperatorError::NotConverged`] if the coefficient spans so many decades that rounding wins.
///
/// # Panics
/// If `n` is below 3 or the shapes differ.
pub fn solve(n: usize, a: &[f64], f: &[f64]) -> Result<Vec<f64>, DataError> {
    assert!(n >= 3, "{n} nodes have no interior");
    assert!(a.len() == n * n && f.len() == n * n, "a, f: {}, {} of {n}²", a.len(), f.len());
    let system = System::new(n, a);
    let m = n - 2;
    let interior = |i: usize| (i / m + 1) * n + i % m + 1;
    let h2 = ((n - 1) as f64).powi(-2);
    let source: Vec<f64> = (0..m * m).map(|i| h2 * f[interior(i)]).collect();
    let solution = system.conjugate_gradients(&source)?;
    let mut u = vec![0.0; n * n];
    for (i, value) in solution.iter().enumerate() {
        u[interior(i)] = *value;
    }
    Ok(u)
}

/// The matrix on the `m` by `m` interior nodes and its preconditioner.
struct System {
    m: usize,
    diagonal: Vec<f64>,
    /// Face towards the next node of the row; 0 at its end.
    east: Vec<f64>,
    /// Face towards the next row; 0 in the last one.
    south: Vec<f64>,
    /// `1/D` of the preconditioner.
    inverse: Vec<f64>,
}

impl System {
    fn new(n: usize, a: &[f64]) -> Self {
        let m = n - 2;
        let (mut diagonal, mut east, mut south) =
            (Vec::with_capacity(m * m), Vec::with_capacity(m * m), Vec::with_capacity(m * m));
        for i in 1..=m {
            for j in 1..=m {
                let at = i * n + j;
                let face = |neighbour: usize| 0.5 * (a[at] + a[neighbour]);
                let [e, s] = [face(at + 1), face(at + n)];
                diagonal.push(face(at - 1) + e + face(at - n) + s);
                east.push(if j < m { e } else { 0.0 });
                south.push(if i < m { s } else { 0.0 });
            }
        }
        let mut inverse: Vec<f64> = vec![0.0; m * m];
        for at in 0..m * m {
            let mut d = diagonal[at];
            if at >= 1 {
                let west = at - 1;
                d -= east[west] * (east[west] + RELAXATION * south[west]) * inverse[west];
            }
            if at >= m {
                let north = at - m;
                d -= south[north] * (south[north] + RELAXATION * east[north]) * inverse[north];
            }
            inverse[at] = 1.0 / d;
        }
        Self { m, diagonal, east, south, inverse }
    }

    fn conjugate_gradients(&self, source: &[f64]) -> Result<Vec<f64>, DataError> {
        let most = 100 + 20 * self.m;
        let target = TOLERANCE * dot(source, source).sqrt();
        let mut x = vec![0.0; source.len()];
        let (mut r, mut z) = (source.to_vec(), vec![0.0; source.len()]);
        self.precondition(&r, &mut z);
        let (mut p, mut product) = (z.clone(), vec![0.0; source.len()]);
        let mut rz = dot(&r, &z);
        let mut residual = dot(&r, &r).sqrt();
        for _ in 0..most {
            if residual <= target {
                return Ok(x);
            }
            self.apply(&p, &mut product);
            let step = rz / dot(&p, &product);
            for ((x, p), (r, product)) in x.iter_mut().zip(&p).zip(r.iter_mut().zip(&product)) {
                *x += step * p;
                *r -= step * product;
            }
            self.precondition(&r, &mut z);
            let next = dot(&r, &z);
            for (p, z) in p.iter_mut().zip(&z) {
                *p = z + next / rz * *p;
            }
            rz = next;
            residual = dot(&r, &r).sqrt();
        }
        let residual = residual / dot(source, source).sqrt();
        Err(OperatorError::NotConverged { iterations: most, residual }.into())
    }

    /// `A x`.
    fn apply(&self, x: &[f64], out: &mut [f64]) {
        let Self { m, diagonal, east, south, .. } = self;
        for ((out, d), x) in out.iter_mut().zip(diagonal).zip(x) {
            *out = d * x;
        }
        add_neighbours(out, x, east, 1);
        add_neighbours(out, x, south, *m);
    }

    /// `z` with `(D + L) D⁻¹ (D + Lᵀ) z = r`.
    fn precondition(&self, r: &[f64], z: &mut [f64]) {
        let Self { m, east, south, inverse, .. } = self;
        let m = *m;
        let (mut west, size) = (0.0, m * m);
        for at in 0..m {
            west = (r[at] + if at > 0 { east[at - 1] * west } else { 0.0 }) * inverse[at];
            z[at] = west;
        }
        for at in m..size {
            let north = r[at] + south[at - m] * z[at - m];
            west = (north + east[at - 1] * west) * inverse[at];
            z[at] = west;
        }
        let mut next = 0.0;
        for at in (size - m..size).rev() {
            next = z[at] + east[at] * next * inverse[at];
            z[at] = next;
        }
        for at in (0..size - m).rev() {
            let below = z[at] + south[at] * z[at + m] * inverse[at];
            next = below + east[at] * next * inverse[at];
            z[at] = next;
        }
    }
}

/// Subtracts the share of the neighbours `offset` on and `offset` back.
fn add_neighbours(out: &mut [f64], x: &[f64], face: &[f64], offset: usize) {
    let size = out.len();
    for ((out, face), x) in out.iter_mut().zip(face).zip(&x[offset.min(size)..]) {
        *out -= face * x;
    }
    for ((out, face), x) in out[offset.min(size)..].iter_mut().zip(face).zip(x) {
        *out -= face * x;
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    // Four partial sums, so that no addition waits for the one before.
    let mut sums = [0.0; 4];
    let (x4, x_rest) = x.as_chunks::<4>();
    let (y4, y_rest) = y.as_chunks::<4>();
    for (x, y) in x4.iter().zip(y4) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    fn on_nodes(n: usize, f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let h = 1.0 / (n - 1) as f64;
        (0..n * n).map(|i| f((i / n) as f64 * h, (i % n) as f64 * h)).collect()
    }

    /// Largest error for `u = sin πx sin 2πy` and `a = 1 + x + xy/2`.
    fn error(n: usize) -> f64 {
        let u = |x: f64, y: f64| (PI * x).sin() * (2.0 * PI * y).sin();
        let a = on_nodes(n, |x, y| 1.0 + x + 0.5 * x * y);
        let f = on_nodes(n, |x, y| {
            let u_x = PI * (PI * x).cos() * (2.0 * PI * y).sin();
            let u_y = 2.0 * PI * (PI * x).sin() * (2.0 * PI * y).cos();
            5.0 * PI * PI * (1.0 + x + 0.5 * x * y) * u(x, y)
                - (1.0 + 0.5 * y) * u_x
                - 0.5 * x * u_y
        });
        let found = solve(n, &a, &f).unwrap();
        let differences = found.iter().zip(on_nodes(n, u)).map(|(found, u)| (found - u).abs());
        differences.fold(0.0, f64::max)
    }

    #[test]
    fn the_order_of_convergence_is_two() {
        for n in [17, 33, 65] {
            let order = (error(n) / error(2 * n - 1)).log2();
            assert!((order - 2.0).abs() < 0.05, "order {order} from {n} nodes");
        }
    }

    #[test]
    fn a_constant_coefficient_has_the_known_maximum() {
        let n = 129;
        let u = solve(n, &vec![1.0; n * n], &vec![1.0; n * n]).unwrap();
        // The series 16/π⁴ Σ over odd k, l of sin(kπ/2) sin(lπ/2)/(kl(k² + l²)) is 0.073671.
        let middle = u[n / 2 * n + n / 2];
        assert!((middle - 0.073_671).abs() < 1e-5, "{middle}");
    }

    #[test]
    fn equations_hold_on_any_number_of_nodes_and_for_jumps() {
        for n in [3, 4, 8, 31] {
            let a =
                on_nodes(n, |x, y| if (7.0 * x).sin() + (5.0 * y).cos() > 0.0 { 1e3 } else { 1.0 });
            let u = solve(n, &a, &vec![1.0; n * n]).unwrap();
            let h2 = ((n - 1) as f64).powi(-2);
            for at in (n..n * n - n).filter(|at| !matches!(at % n, 0) && at % n != n - 1) {
                let neighbours = [at - 1, at + 1, at - n, at + n];
                let flow = neighbours.map(|i| 0.5 * (a[at] + a[i]) * (u[at] - u[i]));
                // Each face carries up to 10³ u; the system is solved to 1e-12 of h² n.
                assert!((flow.iter().sum::<f64>() - h2).abs() < 1e-11, "{at} of {n}");
            }
        }
    }

    #[test]
    fn a_coefficient_of_too_many_decades_is_refused() {
        let a = on_nodes(9, |x, _| if x > 0.4 { 1e300 } else { 1e-300 });
        let error = solve(9, &a, &[1.0; 81]).unwrap_err().to_string();
        assert!(
            error.starts_with("the Darcy equation is not solved after 240 iterations"),
            "{error}"
        );
    }
}
