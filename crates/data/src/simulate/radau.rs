//! The Radau IIA method of order five with a fixed step, for stiff systems of few variables.
//!
//! ```text
//! X_i = x + h Σ_j A_ij f(X_j)      i = 1, 2, 3      x(t + h) = X_3 + O(h⁶)
//! ```
//!
//! It is implicit and damps what is faster than the step (L-stable). The stages are found by
//! Newton's method with exact Jacobian matrices; where that does not converge the state becomes not
//! a number.
//!
//! Source: Hairer & Wanner 1996, *Solving Ordinary Differential Equations II*, §IV.5, table 5.6.
//! Cost: for `n` variables, `9 n³` multiply-adds for each Newton iteration, of which there are three
//! to five a step.

use super::{Ode, Stepper};

/// Newton iterations before giving up.
const MOST_ITERATIONS: usize = 20;
/// Relative size of a correction after which the next one would be lost in rounding: Newton's
/// method squares it.
const CONVERGED: f64 = 1e-9;

/// The method for one system.
#[derive(Debug, Clone)]
pub struct Radau<O> {
    ode: O,
    h: f64,
    /// `X_1, X_2, X_3`, one behind the other.
    stages: Vec<f64>,
    slopes: Vec<f64>,
    /// Jacobian matrices at the stages, row-major.
    jacobians: Vec<f64>,
    matrix: Vec<f64>,
    rhs: Vec<f64>,
}

impl<O: Ode> Radau<O> {
    /// Steps of length `h`.
    #[must_use]
    pub fn new(ode: O, h: f64) -> Self {
        let n = ode.dimension();
        Self {
            ode,
            h,
            stages: vec![0.0; 3 * n],
            slopes: vec![0.0; 3 * n],
            jacobians: vec![0.0; 3 * n * n],
            matrix: vec![0.0; 9 * n * n],
            rhs: vec![0.0; 3 * n],
        }
    }

    /// Finds the stages of a step from `x`.
    fn solve_stages(&mut self, x: &[f64]) {
        let n = x.len();
        let a = coefficients();
        self.stages.chunks_exact_mut(n).for_each(|stage| stage.copy_from_slice(x));
        for _ in 0..MOST_ITERATIONS {
            let stages = self.stages.chunks_exact(n);
            for (stage, slope) in stages.zip(self.slopes.chunks_exact_mut(n)) {
                self.ode.derivative(stage, slope);
            }
            for (i, a) in a.iter().enumerate() {
                for (v, x) in x.iter().enumerate() {
                    let slope: f64 = (0..3).map(|j| a[j] * self.slopes[j * n + v]).sum();
                    self.rhs[i * n + v] = x + self.h * slope - self.stages[i * n + v];
                }
            }
            self.linearize(n, &a);
            solve(&mut self.matrix, &mut self.rhs);
            let mut largest: f64 = 0.0;
            for (stage, correction) in self.stages.iter_mut().zip(&self.rhs) {
                *stage += correction;
                largest = largest.max(correction.abs() / (stage.abs() + 1e-3));
            }
            if largest < CONVERGED {
                return;
            }
        }
        self.stages.fill(f64::NAN);
    }

    /// `I - h A ⊗ J` at the stages.
    fn linearize(&mut self, n: usize, a: &[[f64; 3]; 3]) {
        let (mut unit, mut column) = (vec![0.0; n], vec![0.0; n]);
        for j in 0..3 {
            for v in 0..n {
                unit[v] = 1.0;
                self.ode.tangent(&self.stages[j * n..(j + 1) * n], &unit, &mut column);
                unit[v] = 0.0;
                for (w, slope) in column.iter().enumerate() {
                    self.jacobians[(j * n + w) * n + v] = *slope;
                }
            }
        }
        for (i, a) in a.iter().enumerate() {
            for w in 0..n {
                for (j, a) in a.iter().enumerate() {
                    for v in 0..n {
                        let one = if (i, w) == (j, v) { 1.0 } else { 0.0 };
                        self.matrix[(i * n + w) * 3 * n + j * n + v] =
                            one - self.h * a * self.jacobians[(j * n + w) * n + v];
                    }
                }
            }
        }
    }
}

impl<O: Ode> Stepper for Radau<O> {
    fn step(&mut self, x: &mut [f64]) {
        self.solve_stages(x);
        x.copy_from_slice(&self.stages[2 * x.len()..]);
    }

    fn step_with_tangents(&mut self, x: &mut [f64], tangents: &mut [f64]) {
        let n = x.len();
        self.solve_stages(x);
        // The stages of a tangent obey the linearised equations.
        for tangent in tangents.chunks_exact_mut(n) {
            self.linearize(n, &coefficients());
            self.rhs.chunks_exact_mut(n).for_each(|rhs| rhs.copy_from_slice(tangent));
            solve(&mut self.matrix, &mut self.rhs);
            tangent.copy_from_slice(&self.rhs[2 * n..]);
        }
        x.copy_from_slice(&self.stages[2 * n..]);
    }
}

/// `A`; the last row holds the weights.
fn coefficients() -> [[f64; 3]; 3] {
    let s = 6.0_f64.sqrt();
    [
        [(88.0 - 7.0 * s) / 360.0, (296.0 - 169.0 * s) / 1800.0, (-2.0 + 3.0 * s) / 225.0],
        [(296.0 + 169.0 * s) / 1800.0, (88.0 + 7.0 * s) / 360.0, (-2.0 - 3.0 * s) / 225.0],
        [(16.0 - s) / 36.0, (16.0 + s) / 36.0, 1.0 / 9.0],
    ]
}

/// Gaussian elimination with row pivots; the solution replaces `rhs`.
fn solve(matrix: &mut [f64], rhs: &mut [f64]) {
    let n = rhs.len();
    for k in 0..n {
        let size = |row: &usize| matrix[row * n + k].abs();
        let pivot = (k..n).max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(k);
        if pivot != k {
            (0..n).for_each(|column| matrix.swap(k * n + column, pivot * n + column));
            rhs.swap(k, pivot);
        }
        let (done, below) = matrix.split_at_mut((k + 1) * n);
        let top = &done[k * n..];
        for (row, r) in below.chunks_exact_mut(n).zip(k + 1..) {
            let factor = row[k] / top[k];
            row[k..].iter_mut().zip(&top[k..]).for_each(|(x, top)| *x -= factor * top);
            rhs[r] -= factor * rhs[k];
        }
    }
    for k in (0..n).rev() {
        let row = &matrix[k * n..(k + 1) * n];
        let known: f64 = row[k + 1..].iter().zip(&rhs[k + 1..]).map(|(a, x)| a * x).sum();
        rhs[k] = (rhs[k] - known) / row[k];
    }
}

#[cfg(test)]
mod tests {
    use super::super::VanDerPol;
    use super::*;

    fn run(mu: f64, h: f64, steps: usize) -> [f64; 2] {
        let (mut x, mut stepper) = ([2.0, 0.5], Radau::new(VanDerPol { mu }, h));
        (0..steps).for_each(|_| stepper.step(&mut x));
        x
    }

    #[test]
    fn the_order_of_convergence_is_five() {
        let end = |steps: usize| run(1.0, 2.0 / steps as f64, steps);
        let exact = end(640);
        for steps in [10, 20, 40] {
            let error = |steps| {
                let [x, y] = end(steps);
                (x - exact[0]).hypot(y - exact[1])
            };
            let order = (error(steps) / error(2 * steps)).log2();
            assert!((order - 5.0).abs() < 0.3, "order {order} from {steps} steps");
        }
    }

    #[test]
    fn rows_of_the_coefficients_integrate_polynomials() {
        // Σ_j A_ij c_j^(k-1) = c_i^k / k for k = 1, 2, 3: the conditions that define the method.
        let a = coefficients();
        let c: [f64; 3] = a.map(|row| row.iter().sum());
        for (row, c_i) in a.iter().zip(c) {
            for k in 1..=3 {
                let sum: f64 = row.iter().zip(c).map(|(a, c)| a * c.powi(k - 1)).sum();
                assert!((sum - c_i.powi(k) / f64::from(k)).abs() < 1e-15, "k = {k}");
            }
        }
        assert!((c[2] - 1.0).abs() < 1e-15);
    }

    #[test]
    fn steps_far_longer_than_the_fast_time_scale_are_stable() {
        // Damping 1000, step 0.1: Runge and Kutta's method would need 0.0003. On the slow branch
        // mu (1 - x²) x' = x, so that ln x - x²/2 grows as t/mu.
        let [x, y] = run(1000.0, 0.1, 1000);
        let slow = |x: f64| x.ln() - 0.5 * x * x;
        assert!((slow(x) - slow(2.0) - 0.1).abs() < 1e-3, "{x} {y}");
    }

    #[test]
    fn tangents_are_derivatives_of_the_step() {
        let (h, eps) = (0.1, 1e-5);
        let mut stepper = Radau::new(VanDerPol { mu: 3.0 }, h);
        let (mut x, mut tangents) = ([2.0, 0.5], [1.0, 0.0, 0.0, 1.0]);
        (0..10).for_each(|_| stepper.step_with_tangents(&mut x, &mut tangents));
        for axis in 0..2 {
            let mut shifted = |h: f64| {
                let mut x = [2.0, 0.5];
                x[axis] += h;
                (0..10).for_each(|_| stepper.step(&mut x));
                x
            };
            let (high, low) = (shifted(eps), shifted(-eps));
            for i in 0..2 {
                let difference = (high[i] - low[i]) / (2.0 * eps);
                let tangent = tangents[2 * axis + i];
                assert!((tangent - difference).abs() < 1e-8, "{tangent} {difference}");
            }
        }
    }
}
