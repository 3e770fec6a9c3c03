//! A turbulent shear flow between two walls in nine equations.
//!
//! ```text
//! da_i/dt = β² δ_{i1}/Re - d_i a_i/Re + Σ_{jk} c_ijk a_j a_k         u(x, y, z) = Σ_i a_i u_i(x, y, z)
//! ```
//!
//! Nine Fourier modes `u_i` of the flow driven by the body force `sin(πy/2)` between free-slip walls
//! at `y = ±1`, with periods `L_x` and `L_z`; `a_1` is the laminar profile, `a_9` its modification.
//! The quadratic part conserves energy `Σ a_i²`; `a = (1, 0, …, 0)` is the laminar flow, stable at
//! every `Re`, so that turbulence may end: such series are rejected and replaced.
//!
//! Source: Moehlis, Faisst & Eckhardt 2004, New J. Phys. 6, 56; recipe of the data: Srinivasan,
//! Guastoni, Azizpour, Schlatter & Vinuesa 2019, Phys. Rev. Fluids 4, 054603. In units of half the
//! height and of the laminar velocity at a distance of 1/√2 from the middle.

use std::f64::consts::{PI, SQRT_2, TAU};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::rk4::Rk4;
use super::system::{array, check_positive};
use super::{Ode, SamplingConfig, Stepper, System};
use crate::DataError;

/// Number of modes.
pub const N_MODES: usize = 9;

/// Largest Lyapunov exponent of the turbulent state at the default parameters, per time unit.
///
/// Measured by us: 0.0162 ± 0.0004 over 60 series of 2,500 time units; no published value is known to
/// us. A test measures it anew.
pub const LYAPUNOV: f64 = 0.016;

/// A series that comes this close to `a_1 = 1` has become laminar.
const LAMINAR: f64 = 0.01;

/// Viscosity and size of the box; the default is `Re = 400`, `L_x = 4π`, `L_z = 2π`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShearFlow {
    /// Reynolds number `Re`.
    pub reynolds: f64,
    /// Streamwise period `L_x`.
    pub length_x: f64,
    /// Spanwise period `L_z`.
    pub length_z: f64,
}

/// The equations at fixed parameters.
#[derive(Debug, Clone)]
pub struct ShearFlowOde {
    forcing: f64,
    damping: [f64; N_MODES],
    products: Vec<Product>,
}

/// `coefficient · a_j a_k`, added to `da_i/dt`; modes counted from 0.
#[derive(Debug, Clone, Copy)]
struct Product {
    i: usize,
    j: usize,
    k: usize,
    coefficient: f64,
}

impl Default for ShearFlow {
    fn default() -> Self {
        Self { reynolds: 400.0, length_x: 4.0 * PI, length_z: TAU }
    }
}

impl ShearFlow {
    /// The equations.
    #[must_use]
    pub fn ode(&self) -> ShearFlowOde {
        let (al, be, ga) = self.wave_numbers();
        let (al2, be2, ga2) = (al * al, be * be, ga * ga);
        let (k_ag, k_bg, k_abg) =
            ((al2 + ga2).sqrt(), (be2 + ga2).sqrt(), (al2 + be2 + ga2).sqrt());
        let (r, s) = ((1.0_f64 / 6.0).sqrt(), 1.5_f64.sqrt());
        let abg = al * be * ga;
        let damping = [
            be2,
            4.0 * be2 / 3.0 + ga2,
            be2 + ga2,
            (3.0 * al2 + 4.0 * be2) / 3.0,
            al2 + be2,
            (3.0 * al2 + 4.0 * be2 + 3.0 * ga2) / 3.0,
            al2 + be2 + ga2,
            al2 + be2 + ga2,
            9.0 * be2,
        ];
        let (shear_3, shear_8) = (s * be * ga / k_bg, s * be * ga / k_abg);
        let tilt = r * abg / (k_ag * k_abg);
        let turn = r * abg / (k_ag * k_bg);
        let triple = k_ag * k_bg * k_abg;
        // One row per equation: (j, k, coefficient) with modes counted from 1, as in the source.
        let equations: [&[(usize, usize, f64)]; N_MODES] = [
            &[(6, 8, -shear_8), (2, 3, shear_3)],
            &[
                (4, 6, 5.0 / 3.0 * (2.0_f64 / 3.0).sqrt() * ga2 / k_ag),
                (5, 7, -r * ga2 / k_ag),
                (5, 8, -tilt),
                (1, 3, -shear_3),
                (3, 9, -shear_3),
            ],
            &[
                (4, 7, 2.0 * turn),
                (5, 6, 2.0 * turn),
                (4, 8, r * (be2 * (3.0 * al2 + ga2) - 3.0 * ga2 * (al2 + ga2)) / triple),
            ],
            &[
                (1, 5, -r * al),
                (5, 9, -r * al),
                (2, 6, -10.0 / 3.0 * r * al2 / k_ag),
                (3, 7, -s * abg / (k_ag * k_bg)),
                (3, 8, -s * al2 * be2 / triple),
            ],
            &[
                (1, 4, r * al),
                (4, 9, r * al),
                (2, 7, r * al2 / k_ag),
                (2, 8, -tilt),
                (3, 6, 2.0 * turn),
            ],
            &[
                (1, 7, r * al),
                (7, 9, r * al),
                (1, 8, shear_8),
                (8, 9, shear_8),
                (2, 4, 10.0 / 3.0 * r * (al2 - ga2) / k_ag),
                (3, 5, -2.0 * (2.0_f64 / 3.0).sqrt() * abg / (k_ag * k_bg)),
            ],
            &[(1, 6, -r * al), (6, 9, -r * al), (2, 5, r * (ga2 - al2) / k_ag), (3, 4, turn)],
            &[(2, 5, 2.0 * tilt), (3, 4, r * ga2 * (3.0 * al2 - be2 + 3.0 * ga2) / triple)],
            &[(2, 3, shear_3), (6, 8, -shear_8)],
        ];
        let products = equations.iter().enumerate().flat_map(|(i, terms)| {
            let product =
                move |&(j, k, coefficient)| Product { i, j: j - 1, k: k - 1, coefficient };
            terms.iter().map(product)
        });
        ShearFlowOde {
            forcing: be2 / self.reynolds,
            damping: damping.map(|d| d / self.reynolds),
            products: products.collect(),
        }
    }

    /// The velocity `(u, v, w)` at a point, `y ∈ [-1, 1]`.
    #[must_use]
    pub fn velocity(&self, a: &[f64; N_MODES], [x, y, z]: [f64; 3]) -> [f64; 3] {
        let modes = self.modes([x, y, z]);
        std::array::from_fn(|axis| a.iter().zip(&modes).map(|(a, mode)| a * mode[axis]).sum())
    }

    /// The mean streamwise velocity `U(y) = √2 (⟨a_1⟩ sin(πy/2) + ⟨a_9⟩ sin(3πy/2))` of a flow with
    /// these mean amplitudes; all other modes have none.
    #[must_use]
    pub fn mean_profile(mean: &[f64; N_MODES], y: f64) -> f64 {
        SQRT_2 * (mean[0] * (0.5 * PI * y).sin() + mean[8] * (1.5 * PI * y).sin())
    }

    /// The nine velocity fields at a point.
    fn modes(&self, [x, y, z]: [f64; 3]) -> [[f64; 3]; N_MODES] {
        let (al, be, ga) = self.wave_numbers();
        let (al2, ga2, pi2) = (al * al, ga * ga, PI * PI);
        let ((s, c), (sx, cx), (sz, cz)) =
            ((be * y).sin_cos(), (al * x).sin_cos(), (ga * z).sin_cos());
        let c2 = c * c;
        let n3 = 2.0 / (4.0 * ga2 + pi2).sqrt();
        let n6 = 4.0 * SQRT_2 / (3.0 * (al2 + ga2)).sqrt();
        let n7 = 2.0 * SQRT_2 / (al2 + ga2).sqrt();
        let n8 = 2.0 * SQRT_2 / ((al2 + ga2) * (4.0 * al2 + 4.0 * ga2 + pi2)).sqrt();
        let flat = 4.0 / 3.0_f64.sqrt();
        [
            [SQRT_2 * s, 0.0, 0.0],
            [flat * c2 * cz, 0.0, 0.0],
            [0.0, n3 * 2.0 * ga * c * cz, n3 * PI * s * sz],
            [0.0, 0.0, flat * cx * c2],
            [0.0, 0.0, 2.0 * sx * s],
            [-n6 * ga * cx * c2 * sz, 0.0, n6 * al * sx * c2 * cz],
            [n7 * ga * sx * s * sz, 0.0, n7 * al * cx * s * cz],
            [
                n8 * PI * al * sx * s * sz,
                n8 * 2.0 * (al2 + ga2) * cx * c * sz,
                -n8 * PI * ga * cx * s * cz,
            ],
            [SQRT_2 * (3.0 * be * y).sin(), 0.0, 0.0],
        ]
    }

    /// `α = 2π/L_x`, `β = π/2`, `γ = 2π/L_z`.
    fn wave_numbers(&self) -> (f64, f64, f64) {
        (TAU / self.length_x, 0.5 * PI, TAU / self.length_z)
    }
}

impl Ode for ShearFlowOde {
    fn dimension(&self) -> usize {
        N_MODES
    }

    fn derivative(&self, a: &[f64], da: &mut [f64]) {
        let a: &[f64; N_MODES] = array(a);
        let mut slope: [f64; N_MODES] = std::array::from_fn(|i| -self.damping[i] * a[i]);
        slope[0] += self.forcing;
        for &Product { i, j, k, coefficient } in &self.products {
            slope[i] += coefficient * a[j] * a[k];
        }
        da.copy_from_slice(&slope);
    }

    fn tangent(&self, a: &[f64], v: &[f64], dv: &mut [f64]) {
        let (a, v): (&[f64; N_MODES], &[f64; N_MODES]) = (array(a), array(v));
        let mut slope: [f64; N_MODES] = std::array::from_fn(|i| -self.damping[i] * v[i]);
        for &Product { i, j, k, coefficient } in &self.products {
            slope[i] += coefficient * (a[j] * v[k] + v[j] * a[k]);
        }
        dv.copy_from_slice(&slope);
    }
}

impl System for ShearFlow {
    const KIND: &'static str = "shear-flow";
    const TITLE: &'static str = "Nine-equation shear flow";
    const METHOD: &'static str = "RK4";
    const SAMPLING: SamplingConfig =
        SamplingConfig { n_series: 20, n_steps: 4000, dt: 1.0, substeps: 4, burn_in: 100, seed: 0 };

    fn check(&self) -> Result<(), DataError> {
        let Self { reynolds, length_x, length_z } = *self;
        check_positive(&[("reynolds", reynolds), ("length_x", length_x), ("length_z", length_z)])
    }

    fn columns(&self) -> Vec<String> {
        (1..=N_MODES).map(|i| format!("a{i}")).collect()
    }

    fn parameters(&self) -> String {
        format!("Re = {}, L_x = {:.4}, L_z = {:.4}", self.reynolds, self.length_x, self.length_z)
    }

    fn lyapunov_exponent(&self) -> Option<f64> {
        (*self == Self::default()).then_some(LYAPUNOV)
    }

    /// The laminar flow with streaks and vortices, and a fourth mode in `[0, 0.1)`.
    fn initial_state(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let fourth = rng.random_range(0.0..0.1);
        vec![1.0, 0.070_66, -0.070_76, fourth, 0.0, 0.0, 0.0, 0.0, 0.0]
    }

    fn stepper(&self, dt: f64) -> impl Stepper + use<> {
        Rk4::new(self.ode(), dt, [0.0; N_MODES])
    }

    fn accepts(&self, state: &[f64]) -> bool {
        (state[0] - 1.0).abs() >= LAMINAR
    }
}

#[cfg(test)]
mod tests {
    use super::super::lyapunov::{LyapunovConfig, exponents};
    use super::super::{Simulate, Simulated, Simulation};
    use super::*;
    use rand::SeedableRng;

    /// Unequal periods, so that exchanged wave numbers fail.
    const ODD: ShearFlow = ShearFlow { reynolds: 150.0, length_x: 5.0, length_z: 3.0 };

    fn random_state(seed: u64) -> [f64; N_MODES] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        std::array::from_fn(|_| rng.random_range(-1.0..1.0))
    }

    #[test]
    fn the_quadratic_part_conserves_energy() {
        for flow in [ShearFlow::default(), ODD] {
            for seed in 0..20 {
                let (a, ode) = (random_state(seed), flow.ode());
                let mut slope = [0.0; N_MODES];
                ode.derivative(&a, &mut slope);
                let linear: f64 = a[0] * ode.forcing
                    - a.iter().zip(ode.damping).map(|(a, d)| d * a * a).sum::<f64>();
                let gain: f64 = a.iter().zip(slope).map(|(a, da)| a * da).sum::<f64>() - linear;
                assert!(gain.abs() < 1e-13, "{gain}");
            }
        }
    }

    #[test]
    fn the_laminar_flow_is_a_fixed_point() {
        let (mut laminar, mut slope) = ([0.0; N_MODES], [1.0; N_MODES]);
        laminar[0] = 1.0;
        ODD.ode().derivative(&laminar, &mut slope);
        assert!(slope.iter().all(|da| da.abs() < 1e-15), "{slope:?}");
    }

    #[test]
    fn the_order_of_convergence_is_four() {
        let start = Simulation::<ShearFlow> {
            sampling: SamplingConfig { n_series: 1, n_steps: 1, ..ShearFlow::SAMPLING },
            ..Simulation::default()
        };
        let start: Vec<f64> = start.simulate().unwrap().set.series.remove(0).values;
        let end = |steps: usize| {
            let (mut a, mut stepper) =
                (start.clone(), ShearFlow::default().stepper(20.0 / steps as f64));
            (0..steps).for_each(|_| stepper.step(&mut a));
            a
        };
        let exact = end(2560);
        let error =
            |steps| end(steps).iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        for steps in [40, 80] {
            let order = (error(steps) / error(2 * steps)).log2();
            assert!((order - 4.0).abs() < 0.3, "order {order} from {steps} steps");
        }
    }

    /// Sum of `f` over a grid that integrates products of the modes exactly, divided by its points.
    fn mean_over_the_box(flow: &ShearFlow, f: impl Fn([f64; 3]) -> f64) -> f64 {
        const N: usize = 12;
        let mut sum = 0.0;
        for i in 0..N * N * N {
            let point = [i / (N * N), i / N % N, i % N].map(|j| (j as f64 + 0.5) / N as f64);
            // Over [-1, 3) in y the fields are periodic; by symmetry the mean is that of [-1, 1].
            let scale = [flow.length_x, 4.0, flow.length_z];
            let shift = [0.0, -1.0, 0.0];
            sum += f(std::array::from_fn(|axis| point[axis] * scale[axis] + shift[axis]));
        }
        sum / (N * N * N) as f64
    }

    #[test]
    fn velocity_fields_are_orthonormal() {
        for i in 0..N_MODES {
            for j in 0..=i {
                let product = mean_over_the_box(&ODD, |point| {
                    let modes = ODD.modes(point);
                    (0..3).map(|axis| modes[i][axis] * modes[j][axis]).sum()
                });
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((product - expected).abs() < 1e-12, "u{} · u{} = {product}", i + 1, j + 1);
            }
        }
    }

    #[test]
    fn the_velocity_is_free_of_divergence_and_its_mean_is_the_profile() {
        let (a, h) = (random_state(3), 1e-5);
        for point in [[0.3, -0.4, 0.7], [2.1, 0.9, 1.9]] {
            let divergence: f64 = (0..3)
                .map(|axis| {
                    let shifted = |h: f64| {
                        let mut point = point;
                        point[axis] += h;
                        ODD.velocity(&a, point)[axis]
                    };
                    (shifted(h) - shifted(-h)) / (2.0 * h)
                })
                .sum();
            assert!(divergence.abs() < 1e-8, "{divergence}");
        }
        let y = 0.37;
        let (nx, nz) = (8, 8);
        let mean: f64 = (0..nx * nz)
            .map(|i| {
                let x = f64::from(i / nz) / f64::from(nx) * ODD.length_x;
                let z = f64::from(i % nz) / f64::from(nz) * ODD.length_z;
                ODD.velocity(&a, [x, y, z])[0]
            })
            .sum::<f64>()
            / f64::from(nx * nz);
        assert!((mean - ShearFlow::mean_profile(&a, y)).abs() < 1e-14, "{mean}");
    }

    #[test]
    fn the_amplitudes_obey_the_projected_flow_equations() {
        // da_i/dt = -⟨u_i · (u · ∇)u⟩ for the quadratic part: pressure drops out against u_i, which
        // is free of divergence and does not cross the walls.
        let (flow, a) = (ODD, random_state(5));
        let ode = flow.ode();
        let mut slope = [0.0; N_MODES];
        ode.derivative(&a, &mut slope);
        for i in 0..N_MODES {
            let advection = mean_over_the_box(&flow, |point| {
                let (u, h) = (flow.velocity(&a, point), 1e-4);
                let mut along = [0.0; 3];
                for axis in 0..3 {
                    let shifted = |h: f64| {
                        let mut point = point;
                        point[axis] += h;
                        flow.velocity(&a, point)
                    };
                    let (high, low) = (shifted(h), shifted(-h));
                    for (along, (high, low)) in along.iter_mut().zip(high.iter().zip(low)) {
                        *along += u[axis] * (high - low) / (2.0 * h);
                    }
                }
                let mode = flow.modes(point)[i];
                mode.iter().zip(along).map(|(mode, along)| mode * along).sum()
            });
            let force = if i == 0 { ode.forcing } else { 0.0 };
            let quadratic = slope[i] - force + ode.damping[i] * a[i];
            assert!(
                (quadratic + advection).abs() < 1e-5,
                "mode {}: {quadratic} {advection}",
                i + 1
            );
        }
    }

    /// Mean and standard deviation of `a_1`, and the share of rejected series.
    fn statistics(n_series: usize) -> [f64; 3] {
        let mut simulation = Simulation::<ShearFlow>::default();
        simulation.sampling.n_series = n_series;
        let Simulated { set, n_rejected } = simulation.simulate().unwrap();
        let a1 = || set.series.iter().flat_map(|s| s.values.iter().step_by(N_MODES));
        let count = (n_series * 4000) as f64;
        let mean = a1().sum::<f64>() / count;
        let variance = a1().map(|a| (a - mean).powi(2)).sum::<f64>() / count;
        [mean, variance.sqrt(), n_rejected as f64 / (n_series + n_rejected) as f64]
    }

    #[test]
    fn a_few_series_have_the_mean_and_the_fluctuations_of_the_flow() {
        let [mean, std, rejected] = statistics(40);
        assert!((mean - 0.220).abs() < 0.03, "mean {mean}");
        assert!((std - 0.151).abs() < 0.02, "std {std}");
        assert!((0.05..0.45).contains(&rejected), "rejected {rejected}");
    }

    #[test]
    #[ignore = "takes some seconds"]
    fn two_hundred_starts_have_the_reference_statistics() {
        let [mean, std, rejected] = statistics(160);
        println!("mean {mean:.4}, std {std:.4}, rejected {:.1} %", 100.0 * rejected);
        assert!((mean - 0.220).abs() < 0.015, "mean {mean}");
        assert!((std - 0.151).abs() < 0.01, "std {std}");
        assert!((0.15..0.30).contains(&rejected), "rejected {rejected}");
    }

    #[test]
    fn the_largest_exponent_is_that_of_the_reference() {
        let mut simulation = Simulation::<ShearFlow>::default();
        simulation.sampling.n_series = 30;
        // Far from the laminar start, and from the end, which may be on the way back to it.
        let config = LyapunovConfig { warm_up: 400, steps: 10_000, interval: 4 };
        let starts = simulation.simulate().unwrap().set.series;
        let found = starts
            .iter()
            .map(|series| exponents(&ShearFlow::default(), series.row(1000), 1, 0.25, &config)[0]);
        let mean = found.sum::<f64>() / starts.len() as f64;
        // The standard error of this mean is 0.0006.
        assert!((mean - LYAPUNOV).abs() < 0.002, "{mean}");
    }
}
