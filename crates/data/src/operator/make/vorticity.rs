//! Two-dimensional flow on a periodic square of side `2π`, by its vorticity.
//!
//! ```text
//! ∂w/∂t + u·∇w = (1/Re) Δw - m cos(m y),    u = (∂ψ/∂y, -∂ψ/∂x),  -Δψ = w
//! N(ŵ)  = -i (k_x FFT(u_x w) + k_y FFT(u_y w)) - m n²/2 at k = (0, ±m)
//! ŵ*    = (ŵ + Δt (N(ŵ) - ½ G ŵ)) / (1 + ½ Δt G),                    G = |k|²/Re
//! ŵ(t + Δt) = (ŵ + Δt (½ N(ŵ) + ½ N(ŵ*) - ½ G ŵ)) / (1 + ½ Δt G)
//! ```
//!
//! The force `sin(m y)` along x drives it (Kolmogorov flow). After each step the waves `|k| > n/3`
//! and the mean are zero (2/3 rule, as a circle); the stage `ŵ*` keeps them, so that the order in
//! time is two where the flow is resolved and less where it is not. Derivatives leave the shortest
//! waves out, which have none on the grid. Fields are `[x, y]`.
//!
//! With `u = u_x + i u_y`, both velocities are one transform of `û = (k_x + i k_y)/|k|² ŵ`, and
//! both fluxes one of `w u`, whose divergence is the real part of a field with the coefficients
//! `-i (k_x - i k_y) FFT(w u)`.
//!
//! Source: Chandler & Kerswell 2013, J. Fluid Mech. 722, 554–595, §2 (the flow); Orszag 1971, J.
//! Atmos. Sci. 28, 1074 (2/3 rule). Heun's method for `N`, Crank–Nicolson for the friction: order
//! two. Cost: six transforms of the plane a step.

use super::periodic_field::wave_numbers;
use crate::fourier::{Plane, PlaneFourier};

/// The flow and its numerical method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KolmogorovFlow {
    /// Reynolds number `Re`.
    pub reynolds: f64,
    /// Wave number `m` of the force; 0 for none.
    pub wave_number: usize,
    /// Time step `Δt`.
    pub dt: f64,
}

/// The flow on `n` by `n` points.
#[derive(Debug, Clone)]
pub struct VorticitySolver {
    advection: Advection,
    /// `(1 - ½ Δt G)/(1 + ½ Δt G)`.
    decay: Vec<f64>,
    /// `Δt/(1 + ½ Δt G)`.
    gain: Vec<f64>,
    /// 1 for waves that are kept, 0 for others.
    kept: Vec<f64>,
    stage: Plane,
    slope: Plane,
}

/// `N` and its working memory.
#[derive(Debug, Clone)]
struct Advection {
    n: usize,
    fourier: PlaneFourier,
    /// Wave numbers of derivatives along an axis: integers, zero for the shortest wave.
    derivative: Vec<f64>,
    /// `1/(n² |k|²)`; zero for the mean.
    poisson: Vec<f64>,
    /// The force's coefficient, and its wave number with that of its mirror.
    force: (f64, [usize; 2]),
    flow: Plane,
    vorticity: Plane,
}

impl Default for KolmogorovFlow {
    fn default() -> Self {
        Self { reynolds: 70.0, wave_number: 4, dt: 5e-3 }
    }
}

impl KolmogorovFlow {
    /// The flow on `n` by `n` points.
    ///
    /// # Panics
    /// If `n` is not a power of two from 16, or the force is not resolved.
    #[must_use]
    pub fn init(&self, n: usize) -> VorticitySolver {
        let m = self.wave_number;
        assert!(3 * m <= n, "{n} points do not resolve a force of {m} waves");
        let k = wave_numbers(n);
        let squares: Vec<f64> =
            k.iter().flat_map(|kx| k.iter().map(move |ky| kx * kx + ky * ky)).collect();
        let on_waves = |f: &dyn Fn(f64) -> f64| squares.iter().map(|&k2| f(k2)).collect();
        let friction = |k2: f64| 0.5 * self.dt * k2 / self.reynolds;
        let points = (n * n) as f64;
        let advection = Advection {
            n,
            fourier: PlaneFourier::new(n),
            derivative: k.iter().map(|&k| if 2.0 * k.abs() < n as f64 { k } else { 0.0 }).collect(),
            poisson: on_waves(&|k2| if k2 > 0.0 { 1.0 / (points * k2) } else { 0.0 }),
            force: (-(m as f64) * points / 2.0, [m, (n - m) % n]),
            flow: Plane::zeros(n),
            vorticity: Plane::zeros(n),
        };
        VorticitySolver {
            advection,
            decay: on_waves(&|k2| (1.0 - friction(k2)) / (1.0 + friction(k2))),
            gain: on_waves(&|k2| self.dt / (1.0 + friction(k2))),
            kept: on_waves(&|k2| if k2 > 0.0 && 9.0 * k2 <= points { 1.0 } else { 0.0 }),
            stage: Plane::zeros(n),
            slope: Plane::zeros(n),
        }
    }
}

impl VorticitySolver {
    /// The coefficients of a field.
    ///
    /// # Shapes
    /// `w` and the result: `[n, n]`
    ///
    /// # Panics
    /// If the shape differs.
    #[must_use]
    pub fn coefficients(&mut self, w: &[f64]) -> Plane {
        let mut plane = Plane { re: w.to_vec(), im: vec![0.0; w.len()] };
        self.advection.fourier.forward(&mut plane);
        plane
    }

    /// The field of coefficients.
    ///
    /// # Shapes
    /// `w` and the result: `[n, n]`
    ///
    /// # Panics
    /// If the shape differs.
    #[must_use]
    pub fn field(&mut self, w: &Plane) -> Vec<f64> {
        let mut plane = w.clone();
        self.advection.fourier.backward(&mut plane);
        let scale = (self.advection.n as f64).powi(-2);
        plane.re.iter().map(|w| w * scale).collect()
    }

    /// `N`: advection and force.
    ///
    /// # Panics
    /// If the shape differs.
    #[must_use]
    pub fn slope(&mut self, w: &Plane) -> Plane {
        self.advection.write_slope(w, &mut self.slope);
        self.slope.clone()
    }

    /// Advances the coefficients by one step.
    ///
    /// # Panics
    /// If the shape differs.
    pub fn step(&mut self, w: &mut Plane) {
        let Self { advection, decay, gain, kept, stage, slope } = self;
        advection.write_slope(w, slope);
        // `w` becomes its share of the result.
        for (w, stage, n) in
            [(&mut w.re, &mut stage.re, &slope.re), (&mut w.im, &mut stage.im, &slope.im)]
        {
            let factors = decay.iter().zip(&*gain);
            for (((w, stage), n), (decay, gain)) in w.iter_mut().zip(stage).zip(n).zip(factors) {
                *stage = decay * *w + gain * n;
                *w = decay * *w + 0.5 * gain * n;
            }
        }
        advection.write_slope(stage, slope);
        for (w, n) in [(&mut w.re, &slope.re), (&mut w.im, &slope.im)] {
            for (((w, n), gain), kept) in w.iter_mut().zip(n).zip(&*gain).zip(&*kept) {
                *w = kept * (*w + 0.5 * gain * n);
            }
        }
    }
}

impl Advection {
    fn write_slope(&mut self, w: &Plane, slope: &mut Plane) {
        let Self { n, fourier, derivative, poisson, force, flow, vorticity } = self;
        let n = *n;
        let rows = |i: usize| i * n..(i + 1) * n;
        for (i, &kx) in derivative.iter().enumerate() {
            let row = rows(i);
            let out = flow.re[row.clone()].iter_mut().zip(&mut flow.im[row.clone()]);
            let modes = w.re[row.clone()].iter().zip(&w.im[row.clone()]).zip(&poisson[row]);
            for (((out_re, out_im), ((re, im), inverse)), ky) in out.zip(modes).zip(&*derivative) {
                *out_re = inverse * (kx * re - ky * im);
                *out_im = inverse * (kx * im + ky * re);
            }
        }
        vorticity.clone_from(w);
        fourier.backward(flow);
        fourier.backward(vorticity);
        for ((re, im), w) in flow.re.iter_mut().zip(&mut flow.im).zip(&vorticity.re) {
            *re *= w;
            *im *= w;
        }
        fourier.forward(flow);
        for (i, &kx) in derivative.iter().enumerate() {
            let row = rows(i);
            let fluxes = flow.re[row.clone()].iter_mut().zip(&mut flow.im[row]);
            for ((re, im), ky) in fluxes.zip(&*derivative) {
                (*re, *im) = (kx * *re + ky * *im, kx * *im - ky * *re);
            }
        }
        // `-i/2 (q(k) - conj q(-k))`, and the factor that the vorticity still lacks.
        let scale = 0.5 * (n as f64).powi(-2);
        for i in 0..n {
            let (row, mirror) = (rows(i), rows((n - i) % n));
            let parts = [(&mut slope.re, &flow.im, 1.0, 1.0), (&mut slope.im, &flow.re, -1.0, 1.0)];
            for (out, q, own_sign, mirror_sign) in parts {
                let (own_scale, mirror_scale) = (own_sign * scale, mirror_sign * scale);
                let (out, own, mirror) =
                    (&mut out[row.clone()], &q[row.clone()], &q[mirror.clone()]);
                out[0] = own_scale * own[0] + mirror_scale * mirror[0];
                let pairs = own[1..].iter().zip(mirror[1..].iter().rev());
                for (out, (own, mirror)) in out[1..].iter_mut().zip(pairs) {
                    *out = own_scale * own + mirror_scale * mirror;
                }
            }
        }
        let (amplitude, waves) = *force;
        for ky in waves {
            slope.re[ky] += amplitude;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::periodic_field::PeriodicField;
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// A flow some time after a random start.
    fn start(flow: KolmogorovFlow, n: usize, time: f64) -> (VorticitySolver, Plane) {
        let field = PeriodicField { alpha: 2.5, tau: 7.0 };
        let (mut solver, dt) = (flow.init(n), flow.dt);
        let mut w = solver.coefficients(&field.draw(n, &mut ChaCha8Rng::seed_from_u64(4)));
        let mut t = 0.0;
        while t < time {
            solver.step(&mut w);
            t += dt;
        }
        (solver, w)
    }

    fn distance(x: &[f64], y: &[f64]) -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn the_order_of_convergence_is_two() {
        let viscous = KolmogorovFlow { reynolds: 5.0, ..KolmogorovFlow::default() };
        let (_, begin) = start(viscous, 32, 0.5);
        let end = |steps: u32| {
            let flow = KolmogorovFlow { dt: 0.5 / f64::from(steps), ..viscous };
            let (mut solver, mut w) = (flow.init(32), begin.clone());
            (0..steps).for_each(|_| solver.step(&mut w));
            solver.field(&w)
        };
        let exact = end(1600);
        for steps in [25, 50] {
            let error = |steps| distance(&end(steps), &exact);
            let order = (error(steps) / error(2 * steps)).log2();
            assert!((order - 2.0).abs() < 0.05, "order {order} from {steps} steps");
        }
    }

    #[test]
    fn without_a_force_enstrophy_never_grows() {
        let flow = KolmogorovFlow { wave_number: 0, dt: 5e-3, ..KolmogorovFlow::default() };
        let (mut solver, mut w) = start(flow, 32, 0.02);
        let enstrophy = |w: &Plane| w.re.iter().chain(&w.im).map(|w| w * w).sum::<f64>();
        let (first, mut before) = (enstrophy(&w), enstrophy(&w));
        for step in 0..200 {
            solver.step(&mut w);
            let now = enstrophy(&w);
            assert!(now <= before, "{now} after {before} in step {step}");
            before = now;
        }
        assert!(before < 0.9 * first && before > 0.1 * first, "{before} {first}");
    }

    #[test]
    fn the_laminar_flow_stays() {
        // -(1/Re) m² w = m cos(m y) balances: w = -(Re/m) cos(m y).
        let flow = KolmogorovFlow { reynolds: 5.0, ..KolmogorovFlow::default() };
        let mut solver = flow.init(16);
        let laminar: Vec<f64> = (0..256)
            .map(|at| -5.0 / 4.0 * (std::f64::consts::TAU * 4.0 * f64::from(at % 16) / 16.0).cos())
            .collect();
        let mut w = solver.coefficients(&laminar);
        (0..100).for_each(|_| solver.step(&mut w));
        assert!(distance(&solver.field(&w), &laminar) < 1e-12);
    }

    #[test]
    fn the_mean_is_zero_and_fields_are_real() {
        let (_, w) = start(KolmogorovFlow::default(), 16, 0.02);
        assert_eq!((w.re[0], w.im[0]), (0.0, 0.0));
        for (at, mirror) in [(1, 15), (16, 240), (2 * 16 + 3, 14 * 16 + 13)] {
            let difference = (w.re[at] - w.re[mirror]).hypot(w.im[at] + w.im[mirror]);
            assert!(difference < 1e-12 * w.re[at].hypot(w.im[at]), "{at}: {difference}");
        }
    }
}
