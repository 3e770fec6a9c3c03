//! The classical methods on one long clean Lorenz trajectory, against figures of independent code.
//!
//! σ = 10, ρ = 28, β = 8/3; a sample every 0.01, each of ten classical Runge–Kutta steps; 10,000
//! samples of one trajectory to train on, 50 starts on another. Median valid prediction time at
//! threshold 0.5, in Lyapunov times (0.9056 per unit time):
//!
//! | method | independent | here, six pairs of trajectories |
//! |---|---|---|
//! | NVAR, 2 lags, quadratic, ridge 1e-6 | 7.4 | 7.42–8.10 |
//! | polynomial of degree 4, ridge 1e-14 | 10.8 | 10.97–11.24 |
//! | polynomial of degree 6, ridge 1e-14 | 19.9 | 19.86–20.48 |
//! | polynomial of degree 8, ridge 1e-14 | 27.7 | 26.74–27.30 |
//! | echo state network, 1000 nodes, ridge 1e-6, 1e-7, 1e-8 | 9.6–11.2 | 9.50–10.47, 10.41–11.02, 11.17–11.75 |
//!
//! The independent figures name no ridge but NVAR's and say no more than this. They are met under
//! the following reading: values are normalised by the training samples; the ridge is absolute,
//! `‖Y − FW‖² + ridge ‖W‖²` over all samples, so that ours, which is per example, is divided by their
//! number (per example, NVAR's 1e-6 gives 6.7, and in physical units the absolute one 0.14); monomials
//! of normalised values; the increment is the target; 2000 samples of burn-in; a start every 200
//! samples; the error is `‖e‖ / rms‖x‖` in normalised values.
//!
//! At degree 8 the ridge decides: 30.4–31.5 without one, 22.3–23.3 with 1e-12 (a prototype in NumPy,
//! five pairs). Beyond 21.8 Lyapunov times (median of 20 starts) ten Runge–Kutta steps per sample no
//! longer agree with twenty: what is forecast there is the map of this integrator, not the flow.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::lorenz_protocol::rk4;
use super::{Classical, EsnConfig, NvarConfig, PolynomialConfig, SeriesView, rollouts};
use crate::metric::climate::Moments;
use crate::metric::normalized_error::{normalized_error, rms_state};
use crate::metric::valid_prediction_time::{TimeScale, ValidPredictionTime};

const CHANNELS: usize = 3;
const DT: f64 = 0.01;
/// Largest Lyapunov exponent of the Lorenz system, per unit time.
const EXPONENT: f64 = 0.9056;
const TRAIN: usize = 10_000;
const BURN_IN: usize = 2000;
const N_STARTS: usize = 50;
/// Samples between two starts, and before the first.
const SPACING: usize = 200;
/// 36 Lyapunov times.
const STEPS: usize = 4000;
/// 14.5 Lyapunov times.
const ESN_STEPS: usize = 1600;

struct Anchor {
    train: Vec<f64>,
    test: Vec<f64>,
}

impl Anchor {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut train = trajectory(&mut rng, TRAIN);
        let mut test = trajectory(&mut rng, N_STARTS * SPACING + STEPS);
        let Moments { mean, std } = Moments::of(&[&train], CHANNELS);
        for values in [&mut train, &mut test] {
            for (i, x) in values.iter_mut().enumerate() {
                *x = (*x - mean[i % CHANNELS]) / std[i % CHANNELS];
            }
        }
        Self { train, test }
    }

    fn train(&self) -> [SeriesView<'_>; 1] {
        [SeriesView::new(&self.train, CHANNELS)]
    }

    /// Median valid prediction time in Lyapunov times.
    fn score(&self, method: &dyn Classical, steps: usize) -> f64 {
        let test = SeriesView::new(&self.test, CHANNELS);
        let starts = || (1..=N_STARTS).map(|i| i * SPACING);
        let histories: Vec<&[f64]> = starts().map(|start| test.rows(0, start)).collect();
        let rms = rms_state([self.test.as_slice()], CHANNELS);
        let errors: Vec<Vec<f64>> = rollouts(method, &histories, CHANNELS, steps)
            .iter()
            .zip(starts())
            .map(|(pred, start)| normalized_error(pred, test.rows(start, steps), CHANNELS, rms))
            .collect();
        let scale = TimeScale::LyapunovTimes { dt: DT, exponent: EXPONENT };
        let vpt = ValidPredictionTime::of(&errors, 0.5, &scale);
        assert!(2 * vpt.n_censored < N_STARTS, "the median is not that of rollouts cut short");
        vpt.quartiles.median
    }
}

fn trajectory(rng: &mut ChaCha8Rng, rows: usize) -> Vec<f64> {
    let mut x = [
        rng.random_range(-15.0..15.0),
        rng.random_range(-15.0..15.0),
        rng.random_range(10.0..35.0),
    ];
    let mut values = Vec::with_capacity(rows * CHANNELS);
    for row in 0..BURN_IN + rows {
        if row >= BURN_IN {
            values.extend(x);
        }
        for _ in 0..10 {
            x = rk4(x, DT / 10.0);
        }
    }
    values
}

/// Ridge per example.
fn per_example(ridge: f64) -> f64 {
    ridge / TRAIN as f64
}

fn nvar(anchor: &Anchor) -> f64 {
    let config = NvarConfig { ridge: per_example(1e-6), ..NvarConfig::default() };
    anchor.score(&config.fit(&anchor.train()).unwrap(), STEPS)
}

fn polynomial(anchor: &Anchor, degree: usize) -> f64 {
    let ridge = per_example(1e-14);
    let config = PolynomialConfig { degree, ridge, ..PolynomialConfig::default() };
    let method = config.fit(&anchor.train()).unwrap();
    assert_eq!(method.degree(), degree);
    anchor.score(&method, STEPS)
}

fn esn(anchor: &Anchor, ridge: f64) -> f64 {
    let config = EsnConfig { ridge: per_example(ridge), ..EsnConfig::default() };
    anchor.score(&config.fit(&anchor.train()).unwrap(), ESN_STEPS)
}

/// Each is asked for within a tenth.
fn assert_within_a_tenth(name: &str, found: f64, low: f64, high: f64) {
    let allowed = 0.9 * low..=1.1 * high;
    assert!(allowed.contains(&found), "{name}: {found} Lyapunov times, not in {allowed:?}");
}

#[test]
fn nvar_and_polynomials_reach_the_independent_figures() {
    let anchor = Anchor::new(0);
    assert_within_a_tenth("nvar", nvar(&anchor), 7.4, 7.4);
    for (degree, figure) in [(4, 10.8), (6, 19.9), (8, 27.7)] {
        let name = format!("degree {degree}");
        assert_within_a_tenth(&name, polynomial(&anchor, degree), figure, figure);
    }
}

#[test]
fn an_echo_state_network_reaches_the_independent_figures() {
    assert_within_a_tenth("esn", esn(&Anchor::new(0), 1e-7), 9.6, 11.2);
}

/// The table above, and what else this file claims:
/// `cargo test --release -p regard-train --lib anchor -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures, a minute"]
fn figures() {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let values = Anchor::new(0).test;
    let started = std::time::Instant::now();
    let rows =
        super::baselines(&super::BaselinesConfig::default(), &[SeriesView::new(&values, CHANNELS)]);
    assert!(rows.iter().all(|row| row.method.is_ok()));
    writeln!(out, "all baselines, {} rows: {:?}", values.len() / 3, started.elapsed()).unwrap();
    for seed in 0..6 {
        let anchor = Anchor::new(seed);
        let nvar = nvar(&anchor);
        let degrees = [4, 6, 8].map(|degree| polynomial(&anchor, degree));
        let esn = [1e-6, 1e-7, 1e-8].map(|ridge| esn(&anchor, ridge));
        writeln!(out, "{seed}: nvar {nvar:.2}, degrees {degrees:.2?}, esn {esn:.2?}").unwrap();
    }
}
