//! Least squares instead of steps: easy attention on lifted rows, fitted in double precision.
//!
//! ```text
//! minimise over A:  Σ_t ‖y_t − Σ_c A_c φ(x_c)‖² + ridge · N Σ (s_f A_cfj)²       c over the window
//! A = Σ_i α_i ⊗ W_i                                                            i = 1 … h
//! ```
//!
//! `y` is the next row, or its increment over `σ_Δ`; `s_f` the root mean square of a feature, so that
//! the penalty does not depend on units. With `h ≥ p` heads the singular value decomposition of `A`
//! gives `α` and `W` exactly. With fewer, it is cut after `h` terms, and the two linear problems, `W`
//! for fixed `α` and `α` for fixed `W`, are solved in turn.
//!
//! A smaller penalty always lowers the one-step error, and often makes the free-running forecast
//! unstable; so the penalty is chosen by free-running forecasts of the validation part.

use std::time::Instant;

use faer::Mat;
use regard_data::Series;
use regard_nn::model::{Lift, LiftedForecaster, Model};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, Progress};
use crate::classical::least_squares::LeastSquares;
use crate::error::TrainError;
use crate::evaluate::Starts;
use crate::fit::{Fitted, mean_loss};
use crate::forecast_config::EvaluateConfig;
use crate::forecasting::Forecasting;
use crate::metric::normalized_error::{normalized_error, rms_state};
use crate::metric::valid_prediction_time::first_exceedance;
use crate::model_file::{Parameters, parameters};
use crate::observer::Observer;
use crate::report::EpochRow;
use crate::rollout::model_rollouts;
use crate::run_folder::RunFolder;

/// Error at which a validation forecast counts as lost.
const THRESHOLD: f64 = 0.4;
/// Most validation forecasts per penalty.
const ROLLOUTS: usize = 50;
/// Most unknowns of one regression; the triangle of a larger one would take gigabytes.
const MAX_UNKNOWNS: usize = 8192;

/// How the closed form is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClosedFormConfig {
    /// Penalties to choose from, per example, for features of mean square one.
    pub ridge: Vec<f64>,
    /// Rounds of the two linear problems where there are fewer heads than rows.
    pub alternations: usize,
}

impl Default for ClosedFormConfig {
    fn default() -> Self {
        Self {
            ridge: vec![0.0, 1e-18, 1e-16, 1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4],
            alternations: 10,
        }
    }
}

impl ClosedFormConfig {
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let error = |value: String, expected| {
            Err(TrainError::OutOfRange { key: "fit.optimizer.ridge", value, expected })
        };
        if self.ridge.is_empty() {
            return error("[]".to_owned(), "a list with at least one penalty");
        }
        match self.ridge.iter().find(|r| !(r.is_finite() && **r >= 0.0)) {
            Some(r) => error(r.to_string(), "numbers of at least zero"),
            None => Ok(()),
        }
    }
}

/// Fits `model` to the training part.
///
/// # Errors
/// [`TrainError::OutOfRange`] for a horizon other than 1 or too many unknowns,
/// [`TrainError::Singular`] if no penalty gives finite weights, [`TrainError::Interrupted`].
pub(crate) fn fit(
    model: &LiftedForecaster,
    data: &Forecasting,
    config: &ClosedFormConfig,
    evaluate: EvaluateConfig,
    folder: &RunFolder,
    observer: &mut dyn Observer,
) -> Result<Fitted, TrainError> {
    let start = Instant::now();
    let problem = Problem::new(model, data)?;
    observer.phase("solving", Some(config.ridge.len() as u64));
    let triangle = problem.joint_triangle();
    let mut best: Option<(Score, f64, Model)> = None;
    for (i, &ridge) in config.ridge.iter().enumerate() {
        if observer.stop() {
            // A checkpoint of the start, from which the same regression follows again.
            let (values, moments) = (parameters(model), Parameters::new());
            Checkpoint {
                progress: Progress::default(),
                model: values.clone(),
                best: values,
                moments,
            }
            .save(&folder.checkpoint())?;
            return Err(TrainError::Interrupted { folder: folder.path().to_owned() });
        }
        observer.advance(i as u64, None);
        let Some((alpha, value)) = problem.solve(&triangle, ridge, config.alternations) else {
            continue;
        };
        let candidate = Model::Lifted(model.clone().with_values(alpha, value));
        let score = Score::of(&candidate, data, evaluate);
        if best.as_ref().is_none_or(|(best, ..)| score.is_better_than(best)) {
            best = Some((score, ridge, candidate));
        }
    }
    let Some((score, ridge, model)) = best else {
        return Err(TrainError::Singular { ridge: config.ridge.clone() });
    };
    let note = format!(
        "closed form, ridge {ridge:e}: the best of {} by free-running forecasts of the validation part \
         ({:.0} steps until the error passes {THRESHOLD}, on average)",
        config.ridge.len(),
        score.valid_steps
    );
    observer.note(&note);
    let seconds = start.elapsed().as_secs_f64();
    let row = EpochRow {
        epoch: 1,
        train_loss: mean_loss(&model, &data.train, 1),
        validation_loss: Some(mean_loss(&model, &data.validation, 1)),
        seconds,
        ..EpochRow::default()
    };
    observer.epoch(&row, 1);
    let progress = Progress {
        epoch: 1,
        steps: 1,
        best_epoch: 1,
        best_loss: row.validation_loss.unwrap_or(f64::MAX),
        seconds,
        curve: vec![row],
        note: Some(note),
        ..Progress::default()
    };
    folder.write_metrics(&progress.curve)?;
    Ok(Fitted { model, progress })
}

/// How well free-running forecasts of the validation part hold.
#[derive(Debug, Clone, Copy)]
struct Score {
    /// Mean steps until the error passes the threshold.
    valid_steps: f64,
    /// Mean error over all steps, capped at 2; tells apart what never passes the threshold.
    error: f64,
}

impl Score {
    fn of(model: &Model, data: &Forecasting, evaluate: EvaluateConfig) -> Self {
        let part = &data.validation;
        let evaluate = EvaluateConfig { rollouts: evaluate.rollouts.min(ROLLOUTS), ..evaluate };
        // As many steps as leave room for several starts.
        let longest = part.set.lengths().into_iter().max().unwrap_or(0);
        let room = longest.saturating_sub(data.shape.window);
        let steps = evaluate.steps.min((room / 2).max(1));
        let starts = Starts::spread(part, data.shape.window, EvaluateConfig { steps, ..evaluate });
        let channels = data.shape.channels;
        let rms = rms_state(part.set.series.iter().map(|s| s.values.as_slice()), channels);
        let rollouts =
            model_rollouts(model, data.shape, &starts.histories(part), starts.steps, |_| ());
        let (mut valid, mut sum) = (0.0, 0.0);
        for (pred, truth) in rollouts.iter().zip(starts.truths(part)) {
            let errors = normalized_error(pred, truth, channels, rms);
            valid += first_exceedance(&errors, THRESHOLD).unwrap_or(errors.len()) as f64;
            sum += errors.iter().map(|e| e.min(2.0)).sum::<f64>() / errors.len() as f64;
        }
        let n = rollouts.len().max(1) as f64;
        Self { valid_steps: valid / n, error: sum / n }
    }

    fn is_better_than(&self, other: &Self) -> bool {
        let same = (self.valid_steps - other.valid_steps).abs() < 1e-9;
        if same { self.error < other.error } else { self.valid_steps > other.valid_steps }
    }
}

/// Lifted training series and what is regressed on them.
struct Problem {
    /// Per series `[steps, features]`.
    lifted: Vec<Vec<f64>>,
    /// Per series `[steps − window, channels]`: the targets after each window.
    targets: Vec<Vec<f64>>,
    /// Root mean square of each feature; 1 for the constant.
    scale: Vec<f64>,
    heads: usize,
    window: usize,
    channels: usize,
}

impl Problem {
    fn new(model: &LiftedForecaster, data: &Forecasting) -> Result<Self, TrainError> {
        let shape = data.shape;
        if shape.horizon != 1 {
            return Err(TrainError::OutOfRange {
                key: "task.horizon",
                value: shape.horizon.to_string(),
                expected: "1 with fit.optimizer.kind = \"closed-form\"; longer forecasts roll out",
            });
        }
        let lift: &Lift = model.lift();
        let (window, channels) = (shape.window, shape.channels);
        let unknowns = 1 + window * (lift.n_features() - 1);
        if unknowns > MAX_UNKNOWNS {
            return Err(TrainError::OutOfRange {
                key: "task.window",
                value: window.to_string(),
                expected: "a window and a degree with at most 8192 monomials together",
            });
        }
        let (mut lifted, mut targets) = (Vec::new(), Vec::new());
        for series in &data.train.set.series {
            let mut phi = Vec::with_capacity(series.steps() * lift.n_features());
            (0..series.steps()).for_each(|t| lift.extend(series.row(t), &mut phi));
            lifted.push(phi);
            targets.push(series_targets(series, model, window));
        }
        let scale = root_mean_squares(&lifted, lift.n_features());
        Ok(Self { lifted, targets, scale, heads: model.n_heads(), window, channels })
    }

    fn n_features(&self) -> usize {
        self.scale.len()
    }

    fn n_examples(&self) -> usize {
        self.targets.iter().map(|t| t.len() / self.channels).sum()
    }

    /// Calls `f(rows, target)` for every window, `rows` being `[window, features]` scaled by `1/s`.
    fn for_each_example(&self, mut f: impl FnMut(&[f64], &[f64])) {
        let m = self.n_features();
        for (lifted, targets) in self.lifted.iter().zip(&self.targets) {
            for (t, target) in targets.chunks_exact(self.channels).enumerate() {
                f(&lifted[t * m..(t + self.window) * m], target);
            }
        }
    }

    /// The regression on all rows of the window at once; the constant enters through the last row.
    fn joint_triangle(&self) -> LeastSquares {
        let (m, p) = (self.n_features(), self.window);
        let mut regression = LeastSquares::new(1 + p * (m - 1), self.channels, 0.0);
        let mut features = Vec::with_capacity(1 + p * (m - 1));
        self.for_each_example(|rows, target| {
            features.clear();
            features.push(1.0);
            for row in rows.chunks_exact(m) {
                features.extend(row.iter().zip(&self.scale).skip(1).map(|(z, s)| z / s));
            }
            regression.add(&features, target);
        });
        regression
    }

    /// `α` (`[heads, 1, window]`) and `W` (`[heads, features, channels]`) for one penalty.
    fn solve(
        &self,
        triangle: &LeastSquares,
        ridge: f64,
        alternations: usize,
    ) -> Option<(Vec<f64>, Vec<f64>)> {
        let (m, p, n) = (self.n_features(), self.window, self.channels);
        let penalty = ridge * self.n_examples() as f64;
        let weights = triangle.with_penalty(penalty).solve()?;
        // [window, features × channels], in units of the scaled features.
        let joint = Mat::from_fn(p, m * n, |c, fj| {
            let (f, j) = (fj / n, fj % n);
            match f {
                0 if c + 1 == p => weights[j],
                0 => 0.0,
                _ => weights[(1 + c * (m - 1) + f - 1) * n + j],
            }
        });
        let (mut alpha, mut value) = factors(&joint, self.heads)?;
        if self.heads < p {
            for _ in 0..alternations {
                value = self.values_for(&alpha, penalty)?;
                alpha = self.scores_for(&value, penalty)?;
            }
            value = self.values_for(&alpha, penalty)?;
        }
        for head in value.chunks_exact_mut(m * n) {
            for (w, s) in head.chunks_exact_mut(n).zip(&self.scale) {
                for w in w {
                    *w /= s;
                }
            }
        }
        Some((alpha, value))
    }

    /// `W` by regression on `Σ_c α_ic φ(x_c)`.
    fn values_for(&self, alpha: &[f64], penalty: f64) -> Option<Vec<f64>> {
        let (m, p) = (self.n_features(), self.window);
        // One constant for all heads, which is the regression's own.
        let mut regression = LeastSquares::new(1 + self.heads * (m - 1), self.channels, penalty);
        let mut features = Vec::new();
        self.for_each_example(|rows, target| {
            features.clear();
            features.push(1.0);
            for scores in alpha.chunks_exact(p) {
                for f in 1..m {
                    let mixed: f64 =
                        scores.iter().zip(rows.chunks_exact(m)).map(|(a, row)| a * row[f]).sum();
                    features.push(mixed / self.scale[f]);
                }
            }
            regression.add(&features, target);
        });
        let weights = regression.solve()?;
        let n = self.channels;
        let mut value = Vec::with_capacity(self.heads * m * n);
        for head in 0..self.heads {
            // The constant is that of the first head; its scores sum to what they sum to.
            let sum: f64 = alpha[..p].iter().sum();
            let constants = weights[..n].iter();
            value.extend(constants.map(
                |w| {
                    if head == 0 && sum.abs() > 1e-9 { w / sum } else { 0.0 }
                },
            ));
            value.extend_from_slice(
                &weights[(1 + head * (m - 1)) * n..(1 + (head + 1) * (m - 1)) * n],
            );
        }
        Some(value)
    }

    /// `α` by regression of every channel on `(φ(x_c) W_i)_j`.
    fn scores_for(&self, value: &[f64], penalty: f64) -> Option<Vec<f64>> {
        let (m, p, n) = (self.n_features(), self.window, self.channels);
        let mut regression = LeastSquares::new(self.heads * p, 1, penalty);
        let mut features = vec![vec![0.0; self.heads * p]; n];
        self.for_each_example(|rows, target| {
            for (i, w) in value.chunks_exact(m * n).enumerate() {
                for (c, row) in rows.chunks_exact(m).enumerate() {
                    for (j, features) in features.iter_mut().enumerate() {
                        features[i * p + c] =
                            (0..m).map(|f| row[f] / self.scale[f] * w[f * n + j]).sum();
                    }
                }
            }
            for (features, target) in features.iter().zip(target) {
                regression.add(features, &[*target]);
            }
        });
        regression.solve()
    }
}

/// The first `heads` terms of the singular value decomposition: scores with unit norm, and values.
fn factors(joint: &Mat<f64>, heads: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let (p, mn) = (joint.nrows(), joint.ncols());
    let svd = joint.thin_svd().ok()?;
    let (u, s, v) = (svd.U(), svd.S().column_vector(), svd.V());
    let rank = p.min(mn);
    let (mut alpha, mut value) = (vec![0.0; heads * p], vec![0.0; heads * mn]);
    for i in 0..heads.min(rank) {
        (0..p).for_each(|c| alpha[i * p + c] = u[(c, i)]);
        (0..mn).for_each(|k| value[i * mn + k] = s[i] * v[(k, i)]);
    }
    alpha.iter().chain(&value).all(|x| x.is_finite()).then_some((alpha, value))
}

/// What follows each window: the next row, or its increment over `σ_Δ`.
fn series_targets(series: &Series, model: &LiftedForecaster, window: usize) -> Vec<f64> {
    let mut targets = Vec::new();
    for t in window..series.steps() {
        match model.increment_std() {
            None => targets.extend_from_slice(series.row(t)),
            Some(std) => {
                let rows = series.row(t).iter().zip(series.row(t - 1)).zip(std);
                targets.extend(rows.map(|((y, x), s)| if *s > 0.0 { (y - x) / s } else { 0.0 }));
            }
        }
    }
    targets
}

fn root_mean_squares(lifted: &[Vec<f64>], m: usize) -> Vec<f64> {
    let (mut sums, mut rows) = (vec![0.0; m], 0_usize);
    for phi in lifted.iter().flat_map(|l| l.chunks_exact(m)) {
        sums.iter_mut().zip(phi).for_each(|(sum, z)| *sum += z * z);
        rows += 1;
    }
    let rms = |sum: f64| (sum / rows as f64).sqrt();
    sums.into_iter().map(rms).map(|s| if s > 0.0 { s } else { 1.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast_config::ForecastConfig;
    use crate::observer::Silent;
    use regard_nn::model::ModelConfig;

    /// The closed form of a configuration that needs no file, on series given here.
    fn fitted(series: &[Vec<f64>], channels: usize, keys: &str) -> (Fitted, Forecasting) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("series.npz");
        let set = regard_data::SeriesSet {
            columns: (0..channels).map(|c| format!("x{c}")).collect(),
            series: series.iter().map(|v| Series::new("s", v.clone(), channels)).collect(),
            dt: Some(0.1),
        };
        regard_data::file::write(&path, &set).unwrap();
        let text =
            format!("precision = \"f64\"\n[data]\nsource = \"file\"\npath = {path:?}\n{keys}");
        let config = ForecastConfig::parse("test", &text, &[]).unwrap();
        let data = Forecasting::prepare(&config, "test").unwrap();
        let ModelConfig::Lifted(model) = &config.model else { panic!("a lifted model") };
        let device = burn::tensor::Device::default();
        let model = model.init(data.shape, &data.normalization.increment_std, &device).unwrap();
        let model = crate::Precision::F64.cast(model);
        let crate::optimizer::OptimizerConfig::ClosedForm(closed) = &config.fit.optimizer else {
            panic!("the closed form")
        };
        let run = RunFolder::create(Some(&folder.path().join("run")), "test").unwrap();
        let fitted = fit(&model, &data, closed, config.evaluate, &run, &mut Silent).unwrap();
        (fitted, data)
    }

    fn relative_error(fitted: &Fitted, data: &Forecasting) -> f64 {
        let series = &data.test.set.series[0];
        let windows: Vec<&[f64]> =
            (data.shape.window..series.steps()).map(|t| series.rows(0, t)).collect();
        let forecasts = model_rollouts(&fitted.model, data.shape, &windows, 1, |_| ());
        let (mut error, mut size) = (0.0, 0.0);
        for (forecast, t) in forecasts.iter().zip(data.shape.window..) {
            error += (forecast[0] - series.row(t)[0]).powi(2);
            size += series.row(t)[0].powi(2);
        }
        (error / size).sqrt()
    }

    fn sinusoids() -> Vec<f64> {
        (0..4000)
            .map(|i| {
                let t = f64::from(i) * 0.1;
                t.sin() + 0.5 * (1.7 * t + 0.3).sin() + 0.25 * (2.9 * t).sin()
            })
            .collect()
    }

    const LINEAR: &str = "
        [model]\nkind = \"lifted\"\ndegree = 1\nreadout = \"direct\"
        [fit.optimizer]\nkind = \"closed-form\"
        [evaluate]\nrollouts = 5\nsteps = 200\n";

    #[test]
    fn three_sinusoids_are_continued_to_ten_digits_from_six_rows() {
        // K sinusoids obey a linear recurrence of order 2K, their mean adds the constant.
        for window in [6, 8] {
            let keys = format!("[task]\nwindow = {window}\n{LINEAR}");
            let (fitted, data) = fitted(&[sinusoids()], 1, &keys);
            let error = relative_error(&fitted, &data);
            assert!(error < 1e-10, "window {window}: relative error {error:e}");
        }
    }

    #[test]
    fn five_rows_are_too_few_for_three_sinusoids() {
        let (fitted, data) = fitted(&[sinusoids()], 1, &format!("[task]\nwindow = 4\n{LINEAR}"));
        assert!(relative_error(&fitted, &data) > 1e-6);
    }

    /// Asks to stop at the question of this number, counted from 0.
    struct StopsAt(std::cell::Cell<Option<usize>>);

    impl Observer for StopsAt {
        fn phase(&mut self, _: &str, _: Option<u64>) {}
        fn advance(&mut self, _: u64, _: Option<f64>) {}
        fn epoch(&mut self, _: &EpochRow, _: usize) {}
        fn note(&mut self, _: &str) {}
        fn stop(&self) -> bool {
            let left = self.0.get();
            self.0.set(left.and_then(|n| n.checked_sub(1)));
            left == Some(0)
        }
    }

    #[test]
    fn a_resumed_run_gives_the_model_of_an_uninterrupted_one() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "precision = \"f64\"\n[data]\nsource = \"sinusoids\"\nn_series = 1\nn_steps = 600\n\
             test = {{ n_series = 1, n_steps = 300 }}\n[split]\nby = \"time\"\ntrain = 0.8\nvalidation = 0.2\n\
             [baselines]\nesn.nodes = 20\nesn.ridge = 1e-6\n[task]\nwindow = 6\n{LINEAR}"
        );
        let config = crate::RunConfig::parse("test", &text, &[]).unwrap();
        let options = |name: &str| crate::TrainOptions {
            name: name.to_owned(),
            out: Some(folder.path().join(name)),
            command: String::new(),
        };
        let model =
            |name: &str| std::fs::read(folder.path().join(name).join("model.safetensors")).unwrap();
        crate::train(&config, &options("whole"), &mut Silent).unwrap();
        // Twice in the middle of the penalties, the second time on the way back.
        let mut observer = StopsAt(Some(3).into());
        let error = crate::train(&config, &options("cut"), &mut observer).unwrap_err();
        assert!(matches!(error, TrainError::Interrupted { .. }), "{error}");
        let mut observer = StopsAt(Some(5).into());
        crate::resume(&folder.path().join("cut"), &mut observer).unwrap_err();
        crate::resume(&folder.path().join("cut"), &mut Silent).unwrap();
        assert!(model("cut") == model("whole"), "the models differ");
    }

    /// Quadratic maps of two rows with one pattern of scores: one head is enough.
    fn one_head_series() -> Vec<f64> {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut x = vec![0.1, 0.2];
        for t in 2..3000 {
            let f = |x: f64| 0.4 + 0.3 * x - 0.5 * x * x;
            let next: f64 = f(x[t - 1]) - 0.6 * f(x[t - 2]) + rng.random_range(-0.5..0.5);
            x.push(next);
        }
        x
    }

    #[test]
    fn fewer_heads_than_rows_are_found_by_alternation() {
        let keys = |heads: usize| {
            format!(
                "[task]\nwindow = 2\n[model]\nkind = \"lifted\"\ndegree = 2\nn_heads = {heads}\n\
                 [fit.optimizer]\nkind = \"closed-form\"\nridge = [1e-12]\n\
                 [evaluate]\nrollouts = 5\nsteps = 5\n"
            )
        };
        let series = [one_head_series()];
        let loss = |heads| fitted(&series, 1, &keys(heads)).0.progress.curve[0].train_loss;
        let (one, two) = (loss(1), loss(2));
        // Two heads reach every linear map of both rows; one head gets as far up to the forcing.
        assert!(two <= one * (1.0 + 1e-9), "{two} with two heads, {one} with one");
        assert!(one < 1.02 * two, "{one} with one head, {two} with two");
    }

    #[test]
    fn a_horizon_or_a_penalty_out_of_range_is_named() {
        let parse = |keys: &str| {
            ForecastConfig::parse(
                "test",
                &format!("[model]\nkind = \"lifted\"\ndegree = 2\n{keys}"),
                &[],
            )
        };
        let error = |ridge: &str| {
            parse(&format!("[fit.optimizer]\nkind = \"closed-form\"\nridge = {ridge}\n"))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error("[]"),
            "fit.optimizer.ridge = []: expected a list with at least one penalty"
        );
        assert_eq!(error("[-1.0]"), "fit.optimizer.ridge = -1: expected numbers of at least zero");
        let other = ForecastConfig::parse("test", "[fit.optimizer]\nkind = \"closed-form\"\n", &[]);
        assert_eq!(
            other.unwrap_err().to_string(),
            "fit.optimizer.kind = \"closed-form\" needs model.kind = \"lifted\", which is linear in \
             its parameters; found \"easy\""
        );
    }
}
