//! The classical Runge–Kutta method of order four with a fixed step.
//!
//! ```text
//! k1 = f(t, x)                    k2 = f(t + dt/2, x + dt/2 k1)
//! k3 = f(t + dt/2, x + dt/2 k2)   k4 = f(t + dt, x + dt k3)
//! x(t + dt) = x + dt/6 (k1 + 2 k2 + 2 k3 + k4) + O(dt⁵)
//! ```
//!
//! Source: Hairer, Nørsett & Wanner 1993, *Solving Ordinary Differential Equations I*, §II.1,
//! table 1.2. Cost: four evaluations of `f` a step.

/// One step of `dx/dt = f(t, x)` from `(t, x)`.
#[must_use]
pub fn rk4_step<const N: usize>(
    f: impl Fn(f64, &[f64; N]) -> [f64; N],
    t: f64,
    x: &[f64; N],
    dt: f64,
) -> [f64; N] {
    let shifted = |k: &[f64; N], h: f64| std::array::from_fn(|i| x[i] + h * k[i]);
    let k1 = f(t, x);
    let k2 = f(t + 0.5 * dt, &shifted(&k1, 0.5 * dt));
    let k3 = f(t + 0.5 * dt, &shifted(&k2, 0.5 * dt));
    let k4 = f(t + dt, &shifted(&k3, dt));
    std::array::from_fn(|i| x[i] + dt / 6.0 * (k1[i] + 2.0 * (k2[i] + k3[i]) + k4[i]))
}

/// The states at `t = 0, dt, 2 dt, …`, without end; the first one is `x`.
pub fn rk4<const N: usize>(
    f: impl Fn(f64, &[f64; N]) -> [f64; N],
    x: [f64; N],
    dt: f64,
) -> impl Iterator<Item = [f64; N]> {
    let mut next = x;
    (0_u64..).map(move |step| {
        let now = next;
        next = rk4_step(&f, step as f64 * dt, &now, dt);
        now
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `x' = y, y' = -x + sin(2t)` from `(1, 0)`: `x = cos t + 2/3 sin t - 1/3 sin 2t`.
    fn forced_oscillator(t: f64, [x, y]: &[f64; 2]) -> [f64; 2] {
        [*y, -x + (2.0 * t).sin()]
    }

    fn error_at_2(steps: u32) -> f64 {
        let dt = 2.0 / f64::from(steps);
        let [x, y] = rk4(forced_oscillator, [1.0, 0.0], dt).nth(steps as usize).unwrap();
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
    fn cubic_time_dependence_is_integrated_exactly() {
        // Simpson's rule, which the method is for f(t) alone, is exact up to degree three.
        let [x] = rk4_step(|t, _| [t * t * t], 1.0, &[0.0], 2.0);
        assert!((x - 20.0).abs() < 1e-14, "{x}"); // (3⁴ - 1⁴)/4
    }

    #[test]
    fn the_first_state_is_the_initial_one() {
        let states: Vec<_> = rk4(|_, x| *x, [1.0], 1.0).take(2).collect();
        assert_eq!(states, [[1.0], [1.0 + 1.0 + 1.0 / 2.0 + 1.0 / 6.0 + 1.0 / 24.0]]);
    }
}
