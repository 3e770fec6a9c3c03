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
//! Fields are real, so that of their waves those with `0 ≤ k_y ≤ n/2` are kept ([`PlaneFourier`]).
//!
//! Source: Chandler & Kerswell 2013, J. Fluid Mech. 722, 554–595, §2 (the flow); Orszag 1971, J.
//! Atmos. Sci. 28, 1074 (2/3 rule). Heun's method for `N`, Crank–Nicolson for the friction: order
//! two. Cost: two transforms of real planes a step, and four of complex ones, which are two each.

use super::periodic_field::wave_numbers;
use crate::fourier::{Complex64, PlaneFourier};

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
    stage: Vec<Complex64>,
    slope: Vec<Complex64>,
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
    /// The force's coefficient, and its wave.
    force: (f64, usize),
    /// Waves of the velocity along x and y, then of its fluxes of vorticity.
    flow: [Vec<Complex64>; 2],
    vorticity: Vec<Complex64>,
    /// Points of both; `u_x + i u_y`.
    flow_field: Vec<Complex64>,
    vorticity_field: Vec<f64>,
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
    /// If the force is not resolved.
    #[must_use]
    pub fn init(&self, n: usize) -> VorticitySolver {
        let m = self.wave_number;
        assert!(3 * m <= n, "{n} points do not resolve a force of {m} waves");
        let k = wave_numbers(n);
        let half = &k[..=n / 2];
        let squares: Vec<f64> =
            half.iter().flat_map(|ky| k.iter().map(move |kx| kx * kx + ky * ky)).collect();
        let on_waves = |f: &dyn Fn(f64) -> f64| squares.iter().map(|&k2| f(k2)).collect();
        let friction = |k2: f64| 0.5 * self.dt * k2 / self.reynolds;
        let points = (n * n) as f64;
        let fourier = PlaneFourier::new(n);
        let waves = vec![Complex64::default(); fourier.n_waves()];
        let field = vec![0.0; n * n];
        let advection = Advection {
            n,
            fourier,
            derivative: k.iter().map(|&k| if 2.0 * k.abs() < n as f64 { k } else { 0.0 }).collect(),
            poisson: on_waves(&|k2| if k2 > 0.0 { 1.0 / (points * k2) } else { 0.0 }),
            force: (-(m as f64) * points / 2.0, m * n),
            flow: [waves.clone(), waves.clone()],
            vorticity: waves.clone(),
            flow_field: vec![Complex64::default(); n * n],
            vorticity_field: field,
        };
        VorticitySolver {
            advection,
            decay: on_waves(&|k2| (1.0 - friction(k2)) / (1.0 + friction(k2))),
            gain: on_waves(&|k2| self.dt / (1.0 + friction(k2))),
            kept: on_waves(&|k2| if k2 > 0.0 && 9.0 * k2 <= points { 1.0 } else { 0.0 }),
            stage: waves.clone(),
            slope: waves,
        }
    }
}

impl VorticitySolver {
    /// The coefficients of a field.
    ///
    /// # Shapes
    /// - `w`: `[n, n]`
    /// - returns: `[n/2 + 1, n]`, waves along y first
    ///
    /// # Panics
    /// If the shape differs.
    #[must_use]
    pub fn coefficients(&mut self, w: &[f64]) -> Vec<Complex64> {
        let fourier = &mut self.advection.fourier;
        let mut waves = vec![Complex64::default(); fourier.n_waves()];
        fourier.forward(w, &mut waves);
        waves
    }

    /// The field of coefficients.
    ///
    /// # Shapes
    /// - `w`: `[n/2 + 1, n]`, waves along y first
    /// - returns: `[n, n]`
    ///
    /// # Panics
    /// If the shape differs.
    #[must_use]
    pub fn field(&mut self, w: &[Complex64]) -> Vec<f64> {
        let Advection { n, fourier, .. } = &mut self.advection;
        let mut field = vec![0.0; *n * *n];
        fourier.backward(&mut w.to_vec(), &mut field);
        let scale = (*n as f64).powi(-2);
        field.iter().map(|w| w * scale).collect()
    }

    /// `N`: advection and force.
    ///
    /// # Panics
    /// If the shape differs.
    #[must_use]
    pub fn slope(&mut self, w: &[Complex64]) -> Vec<Complex64> {
        self.advection.write_slope(w, &mut self.slope);
        self.slope.clone()
    }

    /// Advances the coefficients by one step.
    ///
    /// # Panics
    /// If the shape differs.
    pub fn step(&mut self, w: &mut [Complex64]) {
        let Self { advection, decay, gain, kept, stage, slope } = self;
        advection.write_slope(w, slope);
        // `w` becomes its share of the result.
        let factors = decay.iter().zip(&*gain);
        for (((w, stage), n), (decay, gain)) in
            w.iter_mut().zip(&mut *stage).zip(&*slope).zip(factors)
        {
            *stage = *w * decay + n * gain;
            *w = *w * decay + n * (0.5 * gain);
        }
        advection.write_slope(stage, slope);
        for (((w, n), gain), kept) in w.iter_mut().zip(&*slope).zip(&*gain).zip(&*kept) {
            *w = (*w + n * (0.5 * gain)) * kept;
        }
    }
}

impl Advection {
    fn write_slope(&mut self, w: &[Complex64], slope: &mut [Complex64]) {
        let Self { n, fourier, derivative, poisson, force, .. } = self;
        let [flow_x, flow_y] = &mut self.flow;
        let n = *n;
        self.vorticity.copy_from_slice(w);
        for (j, &ky) in derivative[..=n / 2].iter().enumerate() {
            let row = j * n..(j + 1) * n;
            let flow = flow_x[row.clone()].iter_mut().zip(&mut flow_y[row.clone()]);
            let waves = w[row.clone()].iter().zip(&poisson[row]).zip(&*derivative);
            for ((x, y), ((w, inverse), kx)) in flow.zip(waves) {
                let psi = w * inverse;
                *x = Complex64::new(-ky * psi.im, ky * psi.re);
                *y = Complex64::new(kx * psi.im, -kx * psi.re);
            }
        }
        fourier.backward(&mut self.vorticity, &mut self.vorticity_field);
        fourier.backward_pair([flow_x, flow_y], &mut self.flow_field);
        for (flow, w) in self.flow_field.iter_mut().zip(&self.vorticity_field) {
            *flow *= w;
        }
        fourier.forward_pair(&mut self.flow_field, [flow_x, flow_y]);
        // The factor is the one that the vorticity still lacks.
        let scale = (n as f64).powi(-2);
        for (j, ky) in derivative[..=n / 2].iter().enumerate() {
            let row = j * n..(j + 1) * n;
            let fluxes = flow_x[row.clone()].iter().zip(&flow_y[row.clone()]);
            for ((out, (x, y)), kx) in slope[row].iter_mut().zip(fluxes).zip(&*derivative) {
                let divergence = (x * kx + y * ky) * scale;
                *out = Complex64::new(divergence.im, -divergence.re);
            }
        }
        let (amplitude, wave) = *force;
        slope[wave].re += amplitude;
    }
}

#[cfg(test)]
mod tests {
    use super::super::periodic_field::PeriodicField;
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// A flow some time after a random start.
    fn start(flow: KolmogorovFlow, n: usize, time: f64) -> (VorticitySolver, Vec<Complex64>) {
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
        let enstrophy = |w: &[Complex64]| w.iter().map(Complex64::norm_sqr).sum::<f64>();
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
        assert_eq!(w[0], Complex64::default());
        // Waves along x alone are each other's conjugates.
        for (kx, mirror) in [(1, 15), (3, 13)] {
            let difference = (w[kx] - w[mirror].conj()).norm();
            assert!(difference < 1e-12 * w[kx].norm(), "{kx}: {difference}");
        }
    }
}
