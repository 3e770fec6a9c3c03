//! Limited-memory BFGS: the last digits of a small model, after the epochs.
//!
//! ```text
//! d = −H g      H from the last `history` pairs s = Δθ, y = Δg by the two-loop recursion
//! θ ← θ + t d   t = 1, ½, ¼, … until f(θ + t d) ≤ f(θ) + 10⁻⁴ t gᵀd
//! ```
//!
//! A pair with `sᵀy` too small to be a curvature is left out, so that `H` stays positive. Source:
//! Nocedal & Wright 2006, *Numerical Optimization*, algorithms 7.4, 7.5 and 3.1. Cost: one or a few
//! evaluations of `f` and its gradient per iteration, `4 history n` operations beside.

use std::collections::VecDeque;

/// Share of the slope that a step must earn.
const ARMIJO: f64 = 1e-4;
/// Halvings of a step before the search gives up.
const MAX_HALVINGS: usize = 30;
/// Smallest `sᵀy / ‖s‖‖y‖` of a pair that is kept.
const MIN_CURVATURE: f64 = 1e-10;

/// Where a minimisation ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Minimum {
    pub(crate) theta: Vec<f64>,
    pub(crate) value: f64,
    /// Iterations done.
    pub(crate) iterations: usize,
}

/// Minimises `f` from `theta`; `f` returns its value and writes its gradient.
///
/// Ends after `iterations`, when no step lowers `f`, or when `after(iteration, value)` returns `false`.
pub(crate) fn minimize(
    mut theta: Vec<f64>,
    iterations: usize,
    history: usize,
    mut f: impl FnMut(&[f64], &mut Vec<f64>) -> f64,
    mut after: impl FnMut(usize, f64) -> bool,
) -> Minimum {
    let mut gradient = Vec::new();
    let mut value = f(&theta, &mut gradient);
    let mut pairs: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
    let mut done = 0;
    while done < iterations && value.is_finite() {
        let mut direction = two_loops(&gradient, &pairs);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            pairs.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = -dot(&gradient, &gradient);
        }
        if slope == 0.0 {
            break;
        }
        // Without curvature yet the scale of the gradient means nothing.
        let mut t = if pairs.is_empty() { 1.0 / (-slope).sqrt().max(1.0) } else { 1.0 };
        let mut next_gradient = Vec::new();
        let found = (0..MAX_HALVINGS).find_map(|_| {
            let next: Vec<f64> = theta.iter().zip(&direction).map(|(x, d)| x + t * d).collect();
            let next_value = f(&next, &mut next_gradient);
            if next_value.is_finite() && next_value <= value + ARMIJO * t * slope {
                return Some((next, next_value));
            }
            t *= 0.5;
            None
        });
        let Some((next, next_value)) = found else { break };
        let s: Vec<f64> = next.iter().zip(&theta).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        if dot(&s, &y) > MIN_CURVATURE * (dot(&s, &s) * dot(&y, &y)).sqrt() {
            pairs.push_back((s, y));
            if pairs.len() > history {
                pairs.pop_front();
            }
        }
        (theta, value, gradient) = (next, next_value, next_gradient);
        done += 1;
        if !after(done, value) {
            break;
        }
    }
    Minimum { theta, value, iterations: done }
}

/// `−H g`.
fn two_loops(gradient: &[f64], pairs: &VecDeque<(Vec<f64>, Vec<f64>)>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for (s, y) in pairs.iter().rev() {
        let share = dot(s, &q) / dot(s, y);
        add(&mut q, -share, y);
        shares.push(share);
    }
    if let Some((s, y)) = pairs.back() {
        let gamma = dot(s, y) / dot(y, y);
        for x in &mut q {
            *x *= gamma;
        }
    }
    for ((s, y), share) in pairs.iter().zip(shares.iter().rev()) {
        let back = dot(y, &q) / dot(s, y);
        add(&mut q, share - back, s);
    }
    q
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], factor: f64, x: &[f64]) {
    to.iter_mut().zip(x).for_each(|(to, x)| *to += factor * x);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rosenbrock(x: &[f64], gradient: &mut Vec<f64>) -> f64 {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        gradient.clear();
        gradient.extend([-2.0 * a - 400.0 * x[0] * b, 200.0 * b]);
        a * a + 100.0 * b * b
    }

    #[test]
    fn walks_the_banana_valley_to_its_end() {
        let end = minimize(vec![-1.2, 1.0], 200, 10, rosenbrock, |_, _| true);
        assert!(end.value < 1e-20, "{end:?}");
        assert!(end.iterations < 60, "{} iterations", end.iterations);
    }

    #[test]
    fn every_iteration_lowers_the_value() {
        let mut last = f64::INFINITY;
        minimize(vec![-1.2, 1.0], 200, 3, rosenbrock, |_, value| {
            assert!(value <= last, "{value} after {last}");
            last = value;
            true
        });
    }

    #[test]
    fn stops_when_asked_and_at_a_minimum() {
        let stopped = minimize(vec![-1.2, 1.0], 200, 10, rosenbrock, |i, _| i < 3);
        assert_eq!(stopped.iterations, 3);
        let flat = minimize(vec![1.0, 1.0], 200, 10, rosenbrock, |_, _| true);
        assert_eq!((flat.iterations, flat.theta), (0, vec![1.0, 1.0]));
    }
}
