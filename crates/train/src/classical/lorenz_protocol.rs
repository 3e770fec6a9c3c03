//! The classical methods on the Lorenz system, against figures measured elsewhere.
//!
//! Classical Runge–Kutta, 500 rows of burn-in, starts uniform in [−15, 15]² × [10, 35]; 20 series of
//! 1000 rows to train on, 25 of 2500 to test on, all normalised by the training rows; 100 rollouts
//! of 1000 steps; valid prediction times at threshold 0.4 in Lyapunov times (0.9056 per unit time).
//! With step 0.01, linear AR(32) by least squares is known to reach a mean valid prediction time of
//! 0.25 with a one-step error of 1.1e-8 (it depends on how small singular values are treated);
//! persistence has 0.085.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    BaselinesConfig, Classical, EsnConfig, LinearArConfig, NvarConfig, Persistence, SeriesView,
    baselines, rollouts,
};
use crate::metric::climate::{Climate, Moments};
use crate::metric::normalized_error::{normalized_error, rms_state};
use crate::metric::one_step::MeanSquaredError;
use crate::metric::valid_prediction_time::{TimeScale, ValidPredictionTime};

const CHANNELS: usize = 3;
const STEPS: usize = 1000;
/// Largest Lyapunov exponent of the Lorenz system, per unit time.
const EXPONENT: f64 = 0.9056;
/// Rows before the first rollout of a test series, at least the longest window.
const FIRST_START: usize = 64;

struct Lorenz {
    train: Vec<Vec<f64>>,
    test: Vec<Vec<f64>>,
    dt: f64,
}

impl Lorenz {
    fn new(dt: f64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut many =
            |n, rows| -> Vec<Vec<f64>> { (0..n).map(|_| trajectory(&mut rng, rows, dt)).collect() };
        let (mut train, mut test) = (many(20, 1000), many(25, 2500));
        let rows: Vec<&[f64]> = train.iter().map(Vec::as_slice).collect();
        let Moments { mean, std } = Moments::of(&rows, CHANNELS);
        for values in train.iter_mut().chain(&mut test) {
            for (i, x) in values.iter_mut().enumerate() {
                *x = (*x - mean[i % CHANNELS]) / std[i % CHANNELS];
            }
        }
        Self { train, test, dt }
    }

    fn views(series: &[Vec<f64>]) -> Vec<SeriesView<'_>> {
        series.iter().map(|values| SeriesView::new(values, CHANNELS)).collect()
    }

    fn one_step_error(&self, method: &dyn Classical) -> f64 {
        let (mut error, mut out) = (MeanSquaredError::new(CHANNELS), Vec::new());
        for series in Self::views(&self.test) {
            for start in 0..series.steps() - method.window() {
                let past = series.rows(start, method.window());
                method.forecast(past, CHANNELS, 1, &mut out);
                error.add(&out, series.rows(start + method.window(), 1));
            }
        }
        error.mean()
    }

    /// Four rollouts from each test series, forecast and truth.
    fn rollouts(&self, method: &dyn Classical) -> Vec<(Vec<f64>, &[f64])> {
        let (mut histories, mut truths) = (Vec::new(), Vec::new());
        for series in Self::views(&self.test) {
            for start in (0..4).map(|i| FIRST_START + i * 470) {
                histories.push(series.rows(0, start));
                truths.push(series.rows(start, STEPS));
            }
        }
        rollouts(method, &histories, CHANNELS, STEPS).into_iter().zip(truths).collect()
    }

    fn valid_prediction_time(&self, method: &dyn Classical) -> ValidPredictionTime {
        let rms = rms_state(self.test.iter().map(Vec::as_slice), CHANNELS);
        let errors: Vec<Vec<f64>> = self
            .rollouts(method)
            .iter()
            .map(|(pred, truth)| normalized_error(pred, truth, CHANNELS, rms))
            .collect();
        let scale = TimeScale::LyapunovTimes { dt: self.dt, exponent: EXPONENT };
        ValidPredictionTime::of(&errors, 0.4, &scale)
    }
}

fn trajectory(rng: &mut ChaCha8Rng, rows: usize, dt: f64) -> Vec<f64> {
    let mut x = [
        rng.random_range(-15.0..15.0),
        rng.random_range(-15.0..15.0),
        rng.random_range(10.0..35.0),
    ];
    let mut values = Vec::with_capacity(rows * CHANNELS);
    for row in 0..500 + rows {
        if row >= 500 {
            values.extend(x);
        }
        x = rk4(x, dt);
    }
    values
}

pub(super) fn rk4(x: [f64; 3], dt: f64) -> [f64; 3] {
    let slope = |[x, y, z]: [f64; 3]| [10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z];
    let moved = |k: [f64; 3], h: f64| [0, 1, 2].map(|i| x[i] + h * k[i]);
    let k1 = slope(x);
    let k2 = slope(moved(k1, dt / 2.0));
    let k3 = slope(moved(k2, dt / 2.0));
    let k4 = slope(moved(k3, dt));
    [0, 1, 2].map(|i| x[i] + dt / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
}

#[test]
fn persistence_is_valid_for_less_than_a_tenth_of_a_lyapunov_time() {
    let vpt = Lorenz::new(0.01).valid_prediction_time(&Persistence);
    assert_eq!((vpt.n_rollouts, vpt.n_censored), (100, 0));
    assert!((vpt.mean - 0.085).abs() < 0.03, "{vpt:?}");
}

#[test]
fn linear_ar_has_a_tiny_one_step_error_and_a_short_valid_time() {
    let lorenz = Lorenz::new(0.01);
    let method = LinearArConfig::default().fit(&Lorenz::views(&lorenz.train)).unwrap();
    assert_eq!(method.n_parameters(), 291);
    let (error, vpt) = (lorenz.one_step_error(&method), lorenz.valid_prediction_time(&method));
    assert!(error < 3e-8, "one-step error {error:e}");
    assert!((vpt.mean - 0.25).abs() < 0.1, "{vpt:?}");
}

/// At the two steps, this protocol's and the 0.025 of Gauthier et al.
#[test]
fn nvar_is_valid_for_more_than_four_lyapunov_times_and_keeps_the_attractor() {
    for (dt, one_step) in [(0.01, 3e-9), (0.025, 3e-7)] {
        let lorenz = Lorenz::new(dt);
        let method = NvarConfig::default().fit(&Lorenz::views(&lorenz.train)).unwrap();
        assert_eq!(method.n_parameters(), 3 * 28);
        let (error, vpt) = (lorenz.one_step_error(&method), lorenz.valid_prediction_time(&method));
        assert!(error < one_step, "dt {dt}: one-step error {error:e}");
        assert!(vpt.quartiles.median > 4.0, "dt {dt}: {vpt:?}");
        let rollouts = lorenz.rollouts(&method);
        let (pred, truth): (Vec<&[f64]>, Vec<&[f64]>) =
            rollouts.iter().map(|(pred, truth)| (pred.as_slice(), *truth)).unzip();
        let climate = Climate::of(&pred, &truth, CHANNELS);
        assert_eq!(climate.n_diverged, 0);
        for ratio in climate.std_ratio {
            assert!((ratio.unwrap() - 1.0).abs() < 0.1, "dt {dt}: {ratio:?}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let lorenz = Lorenz::new(0.01);
    let esn = EsnConfig { nodes: 200, ..EsnConfig::default() };
    let config = BaselinesConfig { esn, ..BaselinesConfig::default() };
    let bits = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| {
            let rows = baselines(&config, &Lorenz::views(&lorenz.train));
            let all = rows.iter().flat_map(|row| lorenz.rollouts(&**row.method.as_ref().unwrap()));
            all.flat_map(|(pred, _)| pred).map(f64::to_bits).collect::<Vec<_>>()
        })
    };
    let one = bits(1);
    assert_eq!(one.len(), 7 * 100 * STEPS * CHANNELS);
    assert!(one == bits(3), "rollouts differ between one thread and three");
}
