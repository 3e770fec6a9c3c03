//! Kolmogorov flow: from the vorticity now to the vorticity a while later.
//!
//! A trajectory starts from a random field, runs for `burn_in` until the start is forgotten, and
//! then gives pairs `(w(t), w(t + lag))` whose starts are `spacing` apart. Points are `i/size` of a
//! period; fields of fewer or more points than the solver's are their Fourier series there, without
//! the waves that `size` points do not resolve.
//!
//! Source: the equation and its solver are those of [`vorticity`](super::vorticity), the initial
//! law that of Li et al. 2021, arXiv:2010.08895, with `α = 2.5`, `τ = 7`. The data of Calvello et
//! al. 2025, arXiv:2406.06486, are not public, and neither is their lag: at `Re = 70` fields differ
//! by 0.17 of their size after 0.1 time units and by 0.64 after 0.5.

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;

use super::Generator;
use super::dense::{add_product, transposed};
use super::periodic_field::{PeriodicField, wave_numbers};
use super::vorticity::{KolmogorovFlow, VorticitySolver};
use crate::DataError;
use crate::fourier::Complex64;
use crate::operator::{Placement, Points};
use crate::simulate::check_positive;

/// Covariance of the fields at the start.
const INITIAL: PeriodicField = PeriodicField { alpha: 2.5, tau: 7.0 };

/// The generator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kolmogorov {
    /// Points along each side at which the fields are known.
    pub size: usize,
    /// Points along each side of the solver, an even number from 16.
    pub resolution: usize,
    /// Reynolds number, force and time step.
    pub flow: KolmogorovFlow,
    /// Time left out at the start of a trajectory.
    pub burn_in: f64,
    /// Time between the fields of a pair.
    pub lag: f64,
    /// Pairs of a trajectory.
    pub pairs: usize,
    /// Time between the first fields of two pairs; at least `lag`.
    pub spacing: f64,
}

impl Default for Kolmogorov {
    fn default() -> Self {
        Self {
            size: 64,
            resolution: 64,
            flow: KolmogorovFlow::default(),
            burn_in: 20.0,
            lag: 0.1,
            pairs: 10,
            spacing: 1.0,
        }
    }
}

impl Kolmogorov {
    /// Points of the solver for fields of `size` points: the next power of two, at least 64.
    #[must_use]
    pub fn resolution_for(size: usize) -> usize {
        size.max(64).next_power_of_two()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of steps"
    )]
    fn steps(&self, duration: f64) -> usize {
        (duration / self.flow.dt).round() as usize
    }
}

impl Generator for Kolmogorov {
    const KIND: &'static str = "kolmogorov";

    fn check(&self) -> Result<(), DataError> {
        let KolmogorovFlow { reynolds, wave_number, dt } = self.flow;
        check_positive(&[
            ("reynolds", reynolds),
            ("dt", dt),
            ("lag", self.lag),
            ("pairs", self.pairs as f64),
            ("spacing", self.spacing),
        ])?;
        let invalid = |name, found: String, expected| {
            Err(DataError::InvalidParameter { name, found, expected })
        };
        if !(self.burn_in.is_finite() && self.burn_in >= 0.0) {
            return invalid("burn_in", self.burn_in.to_string(), "a finite number from zero");
        }
        if self.resolution < 16 || !self.resolution.is_multiple_of(2) {
            return invalid("resolution", self.resolution.to_string(), "an even number from 16");
        }
        if 3 * wave_number > self.resolution {
            return invalid(
                "wave_number",
                wave_number.to_string(),
                "at most a third of resolution",
            );
        }
        if self.steps(self.lag) == 0 {
            return invalid("lag", self.lag.to_string(), "at least dt");
        }
        if self.spacing < self.lag {
            return invalid("spacing", self.spacing.to_string(), "at least lag");
        }
        Ok(())
    }

    fn points(&self, _: &mut ChaCha8Rng) -> Points {
        Points::Grid { rows: self.size, columns: self.size, placement: Placement::Edges }
    }

    fn channels(&self) -> [Vec<String>; 2] {
        [vec!["w".into()], vec!["w_later".into()]]
    }

    fn pairs_per_draw(&self) -> usize {
        self.pairs
    }

    fn draw(
        &self,
        _: &Points,
        rng: &mut ChaCha8Rng,
        inputs: &mut Vec<f64>,
        outputs: &mut Vec<f64>,
    ) -> Result<(), DataError> {
        let mut solver = self.flow.init(self.resolution);
        let mut w = solver.coefficients(&INITIAL.draw(self.resolution, rng));
        let mut done = 0;
        let mut run = |w: &mut [Complex64], solver: &mut VorticitySolver, steps: usize| {
            (0..steps).for_each(|_| solver.step(w));
            done += steps;
            if w.iter().all(|w| w.is_finite()) {
                return Ok(());
            }
            let (system, dt) = ("Kolmogorov flow", self.flow.dt);
            Err(DataError::Diverged { system, step: done, dt })
        };
        let [lag, spacing] = [self.lag, self.spacing].map(|time| self.steps(time));
        run(&mut w, &mut solver, self.steps(self.burn_in))?;
        for pair in 0..self.pairs {
            if pair > 0 {
                run(&mut w, &mut solver, spacing - lag)?;
            }
            inputs.extend(sampled(&w, &mut solver, self.resolution, self.size));
            run(&mut w, &mut solver, lag)?;
            outputs.extend(sampled(&w, &mut solver, self.resolution, self.size));
        }
        Ok(())
    }
}

/// The field at `i/size` of a period along each axis, `[size, size]`.
fn sampled(w: &[Complex64], solver: &mut VorticitySolver, n: usize, size: usize) -> Vec<f64> {
    if size == n {
        return solver.field(w);
    }
    // Waves that both grids resolve; the solver's own shortest one is among those that it drops.
    let resolved = |k: f64| 2.0 * k.abs() < size.min(n) as f64;
    let (kx, ky): (Vec<_>, Vec<_>) = (
        wave_numbers(n).into_iter().enumerate().filter(|&(_, k)| resolved(k)).collect(),
        (0..=n / 2).filter(|&k| resolved(k as f64)).collect(),
    );
    // Columns of `[waves, size]`: `e^{i k x}` at the points of an axis.
    let along = |k: f64| (0..size).map(move |i| Complex64::cis(TAU * k * i as f64 / size as f64));
    let parts =
        |z: Vec<Complex64>| -> (Vec<f64>, Vec<f64>) { z.into_iter().map(|z| (z.re, z.im)).unzip() };
    let (cos_x, sin_x) = parts(kx.iter().flat_map(|&(_, k)| along(k)).collect());
    let (cos_y, sin_y) = parts(ky.iter().flat_map(|&k| along(k as f64)).collect());
    // The waves that are not kept are the conjugates of others.
    let alpha = |k: usize| (n as f64).powi(-2) * if k == 0 { 1.0 } else { 2.0 };
    let chosen = |&k: &usize| kx.iter().map(move |&(i, _)| w[k * n + i] * alpha(k));
    let (re, im) = parts(ky.iter().flat_map(chosen).collect());
    // Waves along y, at the points along x: `[ky, size]`.
    let (mut y_re, mut y_im) = (vec![0.0; ky.len() * size], vec![0.0; ky.len() * size]);
    add_product(&mut y_re, 1.0, &re, kx.len(), &cos_x, size);
    add_product(&mut y_re, -1.0, &im, kx.len(), &sin_x, size);
    add_product(&mut y_im, 1.0, &im, kx.len(), &cos_x, size);
    add_product(&mut y_im, 1.0, &re, kx.len(), &sin_x, size);
    let mut field = vec![0.0; size * size];
    add_product(&mut field, 1.0, &transposed(&y_re, size), ky.len(), &cos_y, size);
    add_product(&mut field, -1.0, &transposed(&y_im, size), ky.len(), &sin_y, size);
    field
}

#[cfg(test)]
mod tests {
    use super::super::{Request, samples};
    use super::*;
    use rand::SeedableRng;

    const REQUEST: Request = Request { count: 3, seed: 2, threads: 1 };

    fn short() -> Kolmogorov {
        Kolmogorov {
            size: 16,
            resolution: 16,
            burn_in: 0.1,
            lag: 0.05,
            pairs: 3,
            spacing: 0.2,
            ..Kolmogorov::default()
        }
    }

    #[test]
    fn pairs_of_a_trajectory_follow_each_other() {
        let set = samples(&short(), &REQUEST).unwrap();
        let later = samples(&Kolmogorov { burn_in: 0.3, pairs: 1, ..short() }, &REQUEST).unwrap();
        // The second pair starts one spacing after the first.
        assert_eq!((set.input(1), set.output(1)), (later.input(0), later.output(0)));
        let touching = samples(&Kolmogorov { spacing: 0.05, ..short() }, &REQUEST).unwrap();
        assert_eq!(touching.output(0), touching.input(1));
        assert_ne!(set.input(0), set.output(0));
    }

    #[test]
    fn coarse_and_odd_grids_see_the_same_series() {
        let n = 32;
        let mut solver = KolmogorovFlow::default().init(n);
        let mut w = solver.coefficients(&INITIAL.draw(n, &mut ChaCha8Rng::seed_from_u64(1)));
        solver.step(&mut w);
        let exact = solver.field(&w);
        // The solver keeps waves up to 10, which 64 and 24 points resolve.
        for size in [64, 24] {
            let found = sampled(&w, &mut solver, n, size);
            for i in (0..8).map(|i| i * size / 8) {
                for j in (0..8).map(|j| j * size / 8) {
                    let expected = exact[i * n / size * n + j * n / size];
                    let found = found[i * size + j];
                    assert!((found - expected).abs() < 1e-12, "{found} {expected}");
                }
            }
        }
        // Waves beyond 3 are cut off: what is left has coefficients of its own on 7 points.
        let coarse = sampled(&w, &mut solver, n, 7);
        let mean = coarse.iter().sum::<f64>() / 49.0;
        assert!(mean.abs() < 1e-14, "{mean}");
        let wave = |k: f64, i: usize| TAU * k * i as f64 / 7.0;
        let projected: f64 = coarse
            .iter()
            .enumerate()
            .map(|(at, w)| w * (wave(2.0, at / 7) + wave(3.0, at % 7)).cos())
            .sum();
        let expected = w[3 * n + 2].re * 49.0 / (n * n) as f64;
        assert!((projected - expected).abs() < 1e-12, "{projected} {expected}");
    }

    #[test]
    fn wrong_parameters_are_named() {
        let message = |kolmogorov: Kolmogorov| kolmogorov.check().unwrap_err().to_string();
        assert_eq!(
            message(Kolmogorov { resolution: 47, ..short() }),
            "resolution = 47, expected an even number from 16"
        );
        assert_eq!(
            message(Kolmogorov { lag: 1e-3, ..short() }),
            "lag = 0.001, expected at least dt"
        );
        assert_eq!(
            message(Kolmogorov { spacing: 0.01, ..short() }),
            "spacing = 0.01, expected at least lag"
        );
        let flow = KolmogorovFlow { dt: 5.0, ..KolmogorovFlow::default() };
        let unstable = Kolmogorov { flow, burn_in: 1e4, lag: 5.0, spacing: 5.0, ..short() };
        let error = samples(&unstable, &REQUEST).unwrap_err().to_string();
        assert!(error.starts_with("the simulation of Kolmogorov flow is not finite"), "{error}");
    }
}
