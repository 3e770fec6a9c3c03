//! Reports with made-up but plausible content, for tests.

use super::classify::{ClassData, ClassModel, ClassPart, ClassRow, ClassifyReport};
use super::language::{
    LanguageData, LanguageModelInfo, LanguageReport, LanguageRow, TextPart, TextSample,
};
use super::rollout::{
    ErrorGrowth, PhasePortrait, PoincareSection, RolloutExample, RolloutPlots, ValidUntil,
};
use super::schema::{
    DataInfo, EpochRow, ModelInfo, Report, RunInfo, ScoreMatrix, ScoreMeaning, SplitInfo,
    TrainingInfo,
};
use super::score::{ErrorAt, RelativeL2, ScoreRow, VptRow};
use crate::metric::classification::ClassScores;
use crate::metric::language::TokenScores;

const DT: f64 = 0.02;
const EXPONENT: f64 = 0.9056;

/// A run on three Lorenz variables with four baselines and four heads in two layers.
pub(super) fn lorenz() -> Report {
    let columns = ["x", "y", "z"].map(String::from).to_vec();
    let truth = trajectory([1.0, 1.0, 20.0], 4700);
    let [x, y, z] = [0, 1, 2].map(|i: usize| truth[i][699]);
    let forecast = trajectory([x + 0.02, y, z], 4000);
    let part = |rows: &[Vec<f64>], from: usize, n: usize| -> Vec<Vec<f64>> {
        rows.iter().map(|row| row[from..from + n].to_vec()).collect()
    };
    let example = RolloutExample {
        series: "lorenz-31".into(),
        start_step: 132,
        input: part(&truth, 668, 32),
        truth: part(&truth, 700, 700),
        forecast: part(&forecast, 0, 700),
        valid_until: Some(ValidUntil { threshold: 0.4, steps: 269 }),
    };
    let phase = PhasePortrait::first_and_last(&columns, &part(&truth, 700, 4000), &forecast);
    let rows = |columns: &[Vec<f64>]| -> Vec<f64> {
        (0..columns[0].len()).flat_map(|t| columns.iter().map(move |c| c[t])).collect()
    };
    let section = PoincareSection::of(&columns, &[rows(&truth)], &[rows(&forecast)]);
    let section = section.map(|mut section| {
        section.level = rounded(section.level);
        let PhasePortrait { truth, forecast, .. } = &mut section.crossings;
        truth.iter_mut().chain(forecast).flatten().for_each(|x| *x = rounded(*x));
        section
    });
    let error_growth = vec![
        growth("easy attention", false, 4e-4, 1.0),
        growth("linear AR(32)", true, 2e-2, 3.0),
        growth("NVAR", true, 5e-5, 1.0),
        growth("climatology", true, 0.9, 0.0),
        growth("persistence", true, 6e-2, 4.0),
    ];
    Report {
        format_version: Report::FORMAT_VERSION,
        run: run("easy-lorenz", 0),
        data: DataInfo {
            source: "simulated Lorenz-63, σ = 10, ρ = 28, β = 8/3".into(),
            columns,
            dt: Some(DT),
            lyapunov_exponent: Some(EXPONENT),
            ceiling: None,
            train: SplitInfo { n_series: 20, n_steps: 20_000, n_windows: 19_360 },
            validation: SplitInfo { n_series: 5, n_steps: 5_000, n_windows: 4_840 },
            test: SplitInfo { n_series: 25, n_steps: 62_500, n_windows: 61_700 },
        },
        model: model("forecaster", Some("easy"), 21_252, 1_934_000),
        training: training(1.0),
        scores: scores(),
        rollouts: RolloutPlots { examples: vec![example], phase, section, error_growth },
        attention: (0..8).map(|i| score_matrix(i / 4, i % 4, 32)).collect(),
    }
}

/// A run that tells three activities apart, with two baselines.
pub(super) fn activities(model: &str, seed: u64) -> ClassifyReport {
    let classes = ["walking", "sitting", "laying"].map(String::from).to_vec();
    let n_classes = classes.len();
    let labels: Vec<usize> = (0..60).map(|i| i % n_classes).collect();
    let row = |i: usize| {
        let sure = 0.4 + 0.5 * (i as f64 / 60.0);
        let named = if i.is_multiple_of(20) { (i + 1) % n_classes } else { i % n_classes };
        (0..n_classes).map(move |c| if c == named { sure } else { 0.5 * (1.0 - sure) })
    };
    let probabilities: Vec<f64> = (0..60).flat_map(row).collect();
    let test = ClassScores::of_probabilities(&probabilities, &labels, n_classes);
    let right = |share: usize| -> Vec<usize> {
        let wrong =
            |i: usize, label: usize| if i >= share { (label + 1) % n_classes } else { label };
        labels.iter().enumerate().map(|(i, &label)| wrong(i, label)).collect()
    };
    let baseline = |name: &str, share| ClassRow {
        name: name.into(),
        is_baseline: true,
        test: Some(ClassScores::of_classes(&right(share), &labels, n_classes)),
        ..ClassRow::default()
    };
    let mut training = training(1.0);
    for row in &mut training.curve {
        let gone = 1.0 - (-0.2 * row.epoch as f64).exp();
        (row.validation_accuracy, row.test_accuracy) = (Some(0.9 * gone), Some(0.92 * gone));
    }
    let model_row = ClassRow {
        name: model.into(),
        n_parameters: Some(18_502),
        test: Some(test),
        ..ClassRow::default()
    };
    let part = |n, groups: &[&str]| ClassPart {
        n,
        counts: vec![n / 3; 3],
        groups: groups.iter().map(ToString::to_string).collect(),
    };
    ClassifyReport {
        format_version: ClassifyReport::FORMAT_VERSION,
        task: ClassifyReport::TASK.into(),
        run: run(&format!("{model}-seed{seed}"), seed),
        data: ClassData {
            source: "made-up activities".into(),
            columns: ["x", "y"].map(String::from).to_vec(),
            classes,
            train: part(300, &["1", "2"]),
            validation: part(60, &["3"]),
            test: part(60, &["4"]),
        },
        model: ClassModel {
            name: model.into(),
            n_parameters: 18_502,
            multiply_adds: 2_345_678,
            time: 128,
        },
        scores: vec![
            model_row.with_curve(&training),
            baseline("majority", 20),
            baseline("ridge", 54),
        ],
        training,
    }
}

/// A run that learns to go on with a text, with two baselines.
pub(super) fn text(model: &str, seed: u64) -> LanguageReport {
    let row = |name: &str, is_baseline, nats: f64| LanguageRow {
        name: name.into(),
        is_baseline,
        n_parameters: (!is_baseline).then_some(438_400),
        seconds: (!is_baseline).then_some(120.0),
        validation: Some(TokenScores::new(999.0 * (nats - 0.05), 999, 999)),
        test: Some(TokenScores::new(999.0 * nats, 999, 999)),
    };
    let part = |tokens| TextPart { tokens, predicted_characters: tokens - 1 };
    LanguageReport {
        format_version: LanguageReport::FORMAT_VERSION,
        task: LanguageReport::TASK.into(),
        run: run(&format!("{model}-seed{seed}"), seed),
        data: LanguageData {
            source: "plays.txt".into(),
            unit: "character".into(),
            vocabulary: 65,
            train: part(20_000),
            validation: part(1000),
            test: part(1000),
        },
        model: LanguageModelInfo {
            name: model.into(),
            n_parameters: 438_400,
            n_decayed: 434_176,
            multiply_adds: 27_000_000,
            window: 64,
        },
        training: training(1.0),
        scores: vec![row(model, false, 1.9), row("unigram", true, 3.3), row("trigram", true, 2.0)],
        sample: Some(TextSample {
            text: "To be <or> not\nto be".into(),
            temperature: 0.8,
            top_k: None,
        }),
    }
}

/// A run on `channels` channels of travelling waves.
pub(super) fn waves(channels: usize) -> Report {
    let mut report = lorenz();
    let wave = |phase: f64| -> Vec<Vec<f64>> {
        let value = |i: usize, t: usize| {
            let (x, t) = (i as f64 / channels as f64 * std::f64::consts::TAU, t as f64 * 0.05);
            rounded((2.0 * x - t).sin() + 0.6 * (3.0 * x + 1.3 * t + phase * t * t).cos())
        };
        (0..channels).map(|i| (0..400).map(|t| value(i, t)).collect()).collect()
    };
    let example = &mut report.rollouts.examples[0];
    (example.truth, example.forecast) = (wave(0.0), wave(0.002));
    example.input = Vec::new();
    report.data.columns = (0..channels).map(|i| format!("u{i}")).collect();
    report.data.lyapunov_exponent = None;
    report.rollouts.section = None;
    report.rollouts.phase = PhasePortrait::first_and_last(
        &report.data.columns,
        &report.rollouts.examples[0].truth,
        &report.rollouts.examples[0].forecast,
    );
    report
}

/// Three seeds of easy attention, one run of softmax attention and two seeds of an LSTM.
pub(super) fn comparison() -> Vec<Report> {
    let models = [
        ("easy", "easy attention", model("forecaster", Some("easy"), 21_252, 1_934_000), 0, 1.0),
        ("easy", "easy attention", model("forecaster", Some("easy"), 21_252, 1_934_000), 1, 1.4),
        ("easy", "easy attention", model("forecaster", Some("easy"), 21_252, 1_934_000), 2, 0.8),
        (
            "self",
            "softmax attention",
            model("forecaster", Some("softmax"), 19_460, 3_120_000),
            0,
            3.0,
        ),
        ("lstm", "lstm", model("lstm", None, 51_139, 1_604_000), 0, 0.5),
        ("lstm", "lstm", model("lstm", None, 51_139, 1_604_000), 1, 0.7),
    ];
    models
        .into_iter()
        .map(|(short, name, model, seed, factor)| {
            let mut report = lorenz();
            report.run = run(&format!("{short}-seed-{seed}"), seed);
            report.training = training(factor);
            let row = &mut report.scores[0];
            row.name = name.into();
            row.n_parameters = Some(model.n_parameters);
            row.multiply_adds = Some(model.multiply_adds);
            row.seconds_per_epoch =
                row.seconds_per_epoch.map(|s| rounded(s * (1.0 + 0.1 * factor)));
            row.one_step_mse = row.one_step_mse.map(|mse| mse * factor);
            for vpt in &mut row.vpt {
                for value in [&mut vpt.median, &mut vpt.q25, &mut vpt.q75, &mut vpt.mean] {
                    *value = rounded(*value / factor.sqrt());
                }
            }
            report.rollouts.error_growth[0] = growth(name, false, 4e-4 * factor, 1.0);
            report.model = model;
            report
        })
        .collect()
}

fn run(name: &str, seed: u64) -> RunInfo {
    RunInfo {
        name: name.into(),
        preset: "lorenz".into(),
        title: "Forecasting the Lorenz system with easy attention".into(),
        created: "2031-05-04T12:30:00Z".into(),
        command: format!("regard train lorenz --seed {seed}"),
        seed,
        version: "0.1.0".into(),
        device: "CPU, 2 threads".into(),
    }
}

fn model(kind: &str, mechanism: Option<&str>, n_parameters: u64, multiply_adds: u64) -> ModelInfo {
    ModelInfo {
        kind: kind.into(),
        mechanism: mechanism.map(String::from),
        n_parameters,
        multiply_adds,
        window: 32,
        horizon: 1,
        target: "increment".into(),
    }
}

fn training(factor: f64) -> TrainingInfo {
    let row = |epoch: usize| {
        let at = epoch as f64;
        let wiggle = (7.0 * at).sin();
        let train = factor * (0.2 * (-0.45 * at).exp() + 2e-3 * (-0.08 * at).exp());
        EpochRow {
            epoch,
            train_loss: rounded(train * (1.0 + 0.05 * wiggle)),
            validation_loss: Some(rounded(train * (1.2 + 0.2 * wiggle) + 4e-5 * at)),
            learning_rate: rounded(1e-3 * (-0.115 * at).exp()),
            seconds: 1.87,
            ..EpochRow::default()
        }
    };
    TrainingInfo {
        epochs: 40,
        best_epoch: 29,
        steps: 6_080,
        seconds: 78.4,
        seconds_per_epoch: 1.87,
        curve: (1..=40).map(row).collect(),
    }
}

fn scores() -> Vec<ScoreRow> {
    let vpt = |medians: [f64; 3], n_censored: [usize; 3]| -> Vec<VptRow> {
        let row = |(threshold, (median, n_censored)): (f64, (f64, usize))| VptRow {
            threshold,
            median,
            q25: rounded(0.7 * median),
            q75: rounded(1.4 * median),
            mean: rounded(1.06 * median),
            n: 100,
            n_censored,
        };
        [0.3, 0.4, 0.5].into_iter().zip(medians.into_iter().zip(n_censored)).map(row).collect()
    };
    let errors = |medians: [f64; 3]| -> Vec<ErrorAt> {
        let row = |(steps, median)| ErrorAt { steps, median };
        [50, 100, 200].into_iter().zip(medians).map(row).collect()
    };
    let relative = |per_variable: [f64; 3]| {
        let mean = rounded(per_variable.iter().sum::<f64>() / 3.0);
        Some(RelativeL2 { per_variable: per_variable.to_vec(), mean })
    };
    vec![
        ScoreRow {
            name: "easy attention".into(),
            n_parameters: Some(21_252),
            multiply_adds: Some(1_934_000),
            seconds_per_epoch: Some(1.87),
            one_step_mse: Some(7.7e-7),
            relative_l2_percent: relative([0.051, 0.092, 0.052]),
            vpt: vpt([2.01, 2.25, 2.48], [0, 0, 0]),
            error_at: errors([0.029, 0.067, 0.213]),
            climate_std_ratio: Some(vec![1.02, 1.15, 0.99]),
            ..ScoreRow::default()
        },
        ScoreRow {
            name: "linear AR(32)".into(),
            is_baseline: true,
            n_parameters: Some(291),
            multiply_adds: Some(288),
            one_step_mse: Some(1.1e-8),
            relative_l2_percent: relative([0.006, 0.011, 0.007]),
            vpt: vpt([0.16, 0.2, 0.27], [0, 0, 0]),
            error_at: errors([0.727, 0.909, 0.851]),
            climate_std_ratio: Some(vec![0.21, 0.2, 0.31]),
            ..ScoreRow::default()
        },
        ScoreRow {
            name: "NVAR".into(),
            is_baseline: true,
            n_parameters: Some(84),
            multiply_adds: Some(84),
            one_step_mse: Some(3.2e-8),
            relative_l2_percent: relative([0.009, 0.018, 0.012]),
            vpt: vpt([9.8, 10.4, 11.1], [12, 22, 51]),
            error_at: errors([1.1e-4, 2.3e-4, 9.1e-4]),
            climate_std_ratio: Some(vec![1.0, 1.0, 1.01]),
            ..ScoreRow::default()
        },
        ScoreRow {
            name: "climatology".into(),
            is_baseline: true,
            n_parameters: Some(3),
            one_step_mse: Some(0.998),
            relative_l2_percent: relative([100.0, 100.0, 34.1]),
            vpt: vpt([0.0, 0.0, 0.0], [0, 0, 0]),
            error_at: errors([0.98, 0.99, 0.98]),
            ..ScoreRow::default()
        },
        ScoreRow {
            name: "persistence".into(),
            is_baseline: true,
            n_parameters: Some(0),
            note: Some("the test series are shorter than one rollout".into()),
            ..ScoreRow::default()
        },
    ]
}

/// `start · exp(rate · time)`, saturating at the size of the attractor.
fn growth(name: &str, is_baseline: bool, start: f64, rate: f64) -> ErrorGrowth {
    let steps: Vec<usize> = (1..=700).step_by(5).collect();
    let error = |factor: f64| -> Vec<f64> {
        let at = |steps: &usize| {
            let time = *steps as f64 * DT * EXPONENT;
            let free = factor * start * (rate * time).exp() * (1.0 + 0.2 * (5.0 * time).sin());
            rounded(1.3 * free / (1.3 + free))
        };
        steps.iter().map(at).collect()
    };
    let (median, q25, q75) = (error(1.0), error(0.4), error(2.2));
    ErrorGrowth { name: name.into(), is_baseline, steps, median, q25, q75 }
}

fn score_matrix(layer: usize, head: usize, n: usize) -> ScoreMatrix {
    let value = |i: usize, j: usize| {
        let (i, j) = (i as f32 / n as f32, j as f32 / n as f32);
        let wave = (9.0 * (head + 1) as f32 * (i - j) + layer as f32).cos();
        0.3 * wave * (-6.0 * (i - j).abs()).exp() + 0.02 * (91.0 * i + 37.0 * j).sin()
    };
    let values = (0..n * n).map(|cell| value(cell / n, cell % n)).collect();
    ScoreMatrix { layer, head, meaning: ScoreMeaning::Learned, rows: n, cols: n, values }
}

/// The Lorenz system by small Euler steps: a picture, not a reference.
fn trajectory(start: [f64; 3], steps: usize) -> Vec<Vec<f64>> {
    const SMALL: usize = 20;
    let [mut x, mut y, mut z] = start;
    let mut rows = vec![Vec::new(); 3];
    for _ in 0..steps {
        for _ in 0..SMALL {
            let dt = DT / SMALL as f64;
            let (dx, dy, dz) = (10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z);
            (x, y, z) = (x + dt * dx, y + dt * dy, z + dt * dz);
        }
        for (row, value) in rows.iter_mut().zip([x, y, z]) {
            row.push(rounded(value));
        }
    }
    rows
}

/// Few digits, so that the JSON text holds the number exactly.
fn rounded(value: f64) -> f64 {
    (value * 1e7).round() / 1e7
}
