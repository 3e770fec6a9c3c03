//! The classical Runge–Kutta method of order four with a fixed step.
//!
//! ```text
//! k1 = f(x)                k2 = f(x + h/2 k1)
//! k3 = f(x + h/2 k2)       k4 = f(x + h k3)
//! x(t + h) = x + h/6 (k1 + 2 k2 + 2 k3 + k4) + O(h⁵)
//! ```
//!
//! Source: Hairer, Nørsett & Wanner 1993, *Solving Ordinary Differential Equations I*, §II.1,
//! table 1.2. Cost: four evaluations of `f` a step.

use super::{Ode, Stepper};

/// The method for one system; `B` holds a state, an array where the dimension is fixed.
#[derive(Debug, Clone)]
pub struct Rk4<O, B> {
    ode: O,
    h: f64,
    x: B,
    work: Work<B>,
    /// State and tangents together; empty until they are asked for.
    extended: Vec<f64>,
    extended_work: Work<Vec<f64>>,
}

/// Slopes and the state at which the next one is taken.
#[derive(Debug, Clone)]
struct Work<B> {
    k: [B; 4],
    stage: B,
}

impl<O: Ode, B: Clone + AsRef<[f64]> + AsMut<[f64]>> Rk4<O, B> {
    /// Steps of length `h`; `zero` is a state of zeros.
    #[must_use]
    pub fn new(ode: O, h: f64, zero: B) -> Self {
        let extended_work = Work::new(Vec::new());
        Self { ode, h, x: zero.clone(), work: Work::new(zero), extended: Vec::new(), extended_work }
    }
}

impl<O: Ode, B: Clone + AsRef<[f64]> + AsMut<[f64]>> Stepper for Rk4<O, B> {
    #[inline]
    fn step(&mut self, x: &mut [f64]) {
        self.x.as_mut().copy_from_slice(x);
        advance(|x, dx| self.ode.derivative(x, dx), &mut self.x, self.h, &mut self.work);
        x.copy_from_slice(self.x.as_ref());
    }

    fn step_with_tangents(&mut self, x: &mut [f64], tangents: &mut [f64]) {
        let dimension = x.len();
        if self.extended.len() != dimension + tangents.len() {
            self.extended_work = Work::new(vec![0.0; dimension + tangents.len()]);
        }
        self.extended.clear();
        self.extended.extend_from_slice(x);
        self.extended.extend_from_slice(tangents);
        let flow = |x: &[f64], dx: &mut [f64]| {
            let ((x, v), (dx, dv)) = (x.split_at(dimension), dx.split_at_mut(dimension));
            self.ode.derivative(x, dx);
            for (v, dv) in v.chunks_exact(dimension).zip(dv.chunks_exact_mut(dimension)) {
                self.ode.tangent(x, v, dv);
            }
        };
        advance(flow, &mut self.extended, self.h, &mut self.extended_work);
        x.copy_from_slice(&self.extended[..dimension]);
        tangents.copy_from_slice(&self.extended[dimension..]);
    }
}

impl<B: Clone> Work<B> {
    fn new(zero: B) -> Self {
        Self { k: [zero.clone(), zero.clone(), zero.clone(), zero.clone()], stage: zero }
    }
}

/// One step of `dx/dt = f(x)`.
#[inline]
fn advance<B: AsRef<[f64]> + AsMut<[f64]>>(
    f: impl Fn(&[f64], &mut [f64]),
    x: &mut B,
    h: f64,
    Work { k: [k1, k2, k3, k4], stage }: &mut Work<B>,
) {
    f(x.as_ref(), k1.as_mut());
    shift(stage, x, k1, 0.5 * h);
    f(stage.as_ref(), k2.as_mut());
    shift(stage, x, k2, 0.5 * h);
    f(stage.as_ref(), k3.as_mut());
    shift(stage, x, k3, h);
    f(stage.as_ref(), k4.as_mut());
    let slopes = k1.as_ref().iter().zip(k2.as_ref()).zip(k3.as_ref()).zip(k4.as_ref());
    for (x, (((k1, k2), k3), k4)) in x.as_mut().iter_mut().zip(slopes) {
        *x += h / 6.0 * (k1 + 2.0 * (k2 + k3) + k4);
    }
}

/// `stage = x + h k`.
#[inline]
fn shift<B: AsRef<[f64]> + AsMut<[f64]>>(stage: &mut B, x: &B, k: &B, h: f64) {
    let moved = x.as_ref().iter().zip(k.as_ref());
    for (stage, (x, k)) in stage.as_mut().iter_mut().zip(moved) {
        *stage = x + h * k;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x' = y, y' = -x + sin(2t), t' = 1` from `(1, 0, 0)`: `x = cos t + 2/3 sin t - 1/3 sin 2t`.
    struct ForcedOscillator;

    impl Ode for ForcedOscillator {
        fn dimension(&self) -> usize {
            3
        }

        fn derivative(&self, x: &[f64], dx: &mut [f64]) {
            dx.copy_from_slice(&[x[1], -x[0] + (2.0 * x[2]).sin(), 1.0]);
        }

        fn tangent(&self, x: &[f64], v: &[f64], dv: &mut [f64]) {
            dv.copy_from_slice(&[v[1], -v[0] + 2.0 * (2.0 * x[2]).cos() * v[2], 0.0]);
        }
    }

    fn end(steps: u32, mut x: [f64; 3]) -> [f64; 3] {
        let mut stepper = Rk4::new(ForcedOscillator, 2.0 / f64::from(steps), [0.0; 3]);
        (0..steps).for_each(|_| stepper.step(&mut x));
        x
    }

    fn error_at_2(steps: u32) -> f64 {
        let [x, y, _] = end(steps, [1.0, 0.0, 0.0]);
        let t: f64 = 2.0;
        let exact = [
            t.cos() + 2.0 / 3.0 * t.sin() - (2.0 * t).sin() / 3.0,
            -t.sin() + 2.0 / 3.0 * t.cos() - 2.0 / 3.0 * (2.0 * t).cos(),
        ];
        (x - exact[0]).hypot(y - exact[1])
    }

    #[test]
    fn the_order_of_convergence_is_four() {
        for steps in [20, 40, 80, 160] {
            let order = (error_at_2(steps) / error_at_2(2 * steps)).log2();
            assert!((order - 4.0).abs() < 0.1, "order {order} from {steps} steps");
        }
    }

    #[test]
    fn tangents_are_derivatives_of_the_step() {
        let (start, eps) = ([0.7, -0.2, 0.3], 1e-5);
        let mut stepper = Rk4::new(ForcedOscillator, 0.1, [0.0; 3]);
        let (mut x, mut tangents) = (start, [1.0, 0.0, 0.0, 0.0, 0.5, 1.0]);
        let directions = tangents;
        (0..20).for_each(|_| stepper.step_with_tangents(&mut x, &mut tangents));
        assert_eq!(x.to_vec(), end(20, start).to_vec());
        for (direction, tangent) in directions.chunks(3).zip(tangents.chunks(3)) {
            let shifted = |h: f64| end(20, std::array::from_fn(|i| start[i] + h * direction[i]));
            let (high, low) = (shifted(eps), shifted(-eps));
            for i in 0..3 {
                let difference = (high[i] - low[i]) / (2.0 * eps);
                assert!((tangent[i] - difference).abs() < 1e-9, "{} {difference}", tangent[i]);
            }
        }
    }
}
