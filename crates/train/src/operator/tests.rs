//! A run from an archive to its report, and steps of the released program.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::Device;
use regard_data::operator::make::{
    ControlledOde, Darcy, Kolmogorov, LorenzComponents, Request, TimeGrid, samples,
};
use regard_data::operator::{FunctionArchive, FunctionSet, PairArrays, write_npz};
use regard_kernels::quadrature::trapezoid;
use regard_kernels::testing::{golden, to_f64};
use regard_nn::mechanism::ContinuumConfig;
use regard_nn::model::operator::{OperatorConfig, OperatorShape, Sites, TnoConfig};

use super::certify;
use super::objective::relative_l2;
use crate::error::TrainError;
use crate::model_file::{Array, Parameters, load_operator, parameters, with_parameters};
use crate::observer::Silent;
use crate::optimizer::{AdamConfig, Optimizer};
use crate::precision::Precision;
use crate::predict::{PredictRequest, Prediction, predict};
use crate::report::{OperatorReport, RunReport};
use crate::run::{TrainOptions, evaluate, train};
use crate::run_config::RunConfig;

/// Pairs of the controlled equation on so many points of two time units.
fn pairs(count: usize, n_points: usize, seed: u64) -> FunctionSet {
    let times = TimeGrid { dt: 2.0 / n_points as f64, n_points, ..TimeGrid::default() };
    let generator = ControlledOde { times, ..ControlledOde::default() };
    samples(&generator, &Request { count, seed, threads: 1 }).unwrap()
}

fn config(path: &Path, more: &str) -> RunConfig {
    let text = format!(
        "[task]\nkind = \"operator\"\n[data]\npath = {:?}\n{more}\n[model]\nkind = \"tno\"\nd_model = 16\nd_ff = 16\n\
         n_layers = 1\nmechanism = {{ n_heads = 2 }}\n[fit]\nepochs = 12\nbatch_size = 8\n\
         [fit.optimizer]\nkind = \"adam\"\nlearning_rate = 3e-3\n",
        path.display()
    );
    RunConfig::parse("run.toml", &text, &[]).unwrap()
}

fn run(config: &RunConfig, out: &Path) -> Result<OperatorReport, TrainError> {
    let options =
        TrainOptions { name: "ode".to_owned(), out: Some(out.to_owned()), ..Default::default() };
    match train(config, &options, &mut Silent)?.report {
        RunReport::Operator(report) => Ok(report),
        _ => panic!("a run that learns an operator"),
    }
}

#[test]
fn a_run_learns_and_scores_at_another_resolution() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ode.npz");
    let (set, fine) = (pairs(80, 24, 1), pairs(10, 49, 2));
    write_npz(&file, &[("", &set), ("fine", &fine)]).unwrap();
    let tests = "[[data.test]]\nname = \"fine\"\ninput = \"fine_input\"\noutput = \"fine_output\"";
    let out = folder.path().join("run");
    let report = run(&config(&file, tests), &out).unwrap();
    assert_eq!(report.data.train.functions, 72, "a tenth validates");
    assert_eq!(report.data.tests[0].points, [49]);
    let model = report.scores[0].scores().unwrap();
    // The output is near ± a number of the size of one: without learning the error is about one.
    assert!(model.relative_l2 < 0.5, "{}", model.relative_l2);
    assert_eq!(model.per_function.len(), 10);
    let names: Vec<&str> = report.scores.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["tno", "mean", "nearest", "kernel ridge"]);
    assert!(report.scores[1].tests[0].is_none(), "the mean is not known on other points");
    assert!(report.scores[1].validation.is_some());
    let RunReport::Operator(again) = evaluate(&out, None, &mut Silent).unwrap() else {
        panic!("the same task")
    };
    assert_eq!(again.scores[0].tests, report.scores[0].tests);
    let text = RunReport::Operator(report).text();
    assert!(
        text.contains("kernel ridge") && text.contains("fine: 10 functions on 49 points"),
        "{text}"
    );
    let (_, card) = load_operator(&out.join("model.safetensors"), &Device::default()).unwrap();
    assert_eq!(card.shape, OperatorShape { d_in: 1, d_out: 1, dimension: 1 });
    // On points of their own the baselines have scores.
    let other = folder.path().join("other.npz");
    write_npz(&other, &[("", &pairs(5, 24, 3))]).unwrap();
    let RunReport::Operator(other) = evaluate(&out, Some(&other), &mut Silent).unwrap() else {
        panic!("the same task")
    };
    assert!(other.scores[1..].iter().all(|row| row.tests[0].is_some()));
}

/// A run on a few small Darcy problems, trained for one epoch.
fn fields(folder: &Path, model: &str) -> (PathBuf, PathBuf) {
    let generator = Darcy { size: 8, solve_nodes: 9, ..Darcy::default() };
    let set = samples(&generator, &Request { count: 6, seed: 1, threads: 1 }).unwrap();
    let (file, out) = (folder.join("darcy.npz"), folder.join(model));
    write_npz(&file, &[("", &set)]).unwrap();
    let text = format!(
        "[task]\nkind = \"operator\"\n[data]\npath = {:?}\n[model]\nkind = {model:?}\nd_model = 8\nd_ff = 8\n\
         n_layers = 1\n{}\n[fit]\nepochs = 1\n",
        file.display(),
        if model == "tno" {
            "mechanism = { n_heads = 2 }\ncross_readout = true"
        } else {
            "n_heads = 2\npatches = [2, 2]\nmodes = [2, 2]"
        }
    );
    run(&RunConfig::parse("run.toml", &text, &[]).unwrap(), &out).unwrap();
    (file, out)
}

fn table(path: &Path) -> regard_data::SeriesSet {
    regard_data::file::read(path, &regard_data::file::ReadOptions::default()).unwrap()
}

#[test]
fn an_operator_answers_at_scattered_places() {
    let folder = tempfile::tempdir().unwrap();
    for model in ["tno", "fano"] {
        let (input, out) = fields(folder.path(), model);
        let [own, at] = ["own.csv", "at.csv"].map(|name| folder.path().join(name));
        let request = PredictRequest { input, output: own.clone(), ..PredictRequest::default() };
        let found = predict(std::slice::from_ref(&out), &request).unwrap();
        let columns = vec!["u".to_owned()];
        let expected =
            Prediction::Functions { functions: 6, columns, places: 64, interpolated: false };
        assert_eq!(found, expected);
        let own = table(&own);
        assert_eq!(own.columns, ["x", "y", "u"]);
        // The grid's own points, then many others.
        let wells = folder.path().join("wells.csv");
        let grid = own.series[0].values.chunks_exact(3).map(|row| [row[0], row[1]]);
        let others = (0..10_000).map(|i| [f64::from(i % 97) / 97.0, f64::from(i % 89) / 89.0]);
        let rows: Vec<String> = grid.chain(others).map(|[x, y]| format!("{x},{y}\n")).collect();
        let text = format!("x,y\n{}", rows.concat());
        std::fs::write(&wells, text).unwrap();
        let request = PredictRequest { output: at.clone(), points: Some(wells), ..request };
        let found = predict(&[out], &request).unwrap();
        let Prediction::Functions { places, interpolated, .. } = found else {
            panic!("an operator")
        };
        assert_eq!((places, interpolated), (10_064, model == "fano"));
        let at = table(&at);
        assert_eq!(at.series.len(), 6);
        for (own, at) in own.series.iter().zip(&at.series) {
            assert_eq!(at.steps(), 10_064);
            assert!(at.values.iter().all(|x| x.is_finite()));
            let scale = own.values.iter().skip(2).step_by(3).fold(0.0, |s: f64, x| s.max(x.abs()));
            for (own, at) in own.values.chunks_exact(3).zip(at.values.chunks_exact(3)) {
                assert!((own[2] - at[2]).abs() < 1e-5 * scale, "{model}: {own:?} {at:?}");
            }
        }
    }
}

#[test]
fn fields_are_written_as_pairs_and_for_other_programs() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = fields(folder.path(), "fano");
    let [pairs, image] = ["out.npz", "out.vti"].map(|name| folder.path().join(name));
    let request =
        PredictRequest { input: input.clone(), output: pairs.clone(), ..PredictRequest::default() };
    predict(std::slice::from_ref(&out), &request).unwrap();
    let given = FunctionArchive::open(&input).unwrap().read(&PairArrays::default()).unwrap();
    let found = FunctionArchive::open(&pairs).unwrap().read(&PairArrays::default()).unwrap();
    assert_eq!((found.points(), found.inputs()), (given.points(), given.inputs()));
    assert_ne!(found.outputs().values, given.outputs().values);
    predict(
        std::slice::from_ref(&out),
        &PredictRequest { output: image.clone(), ..request.clone() },
    )
    .unwrap();
    let text = std::fs::read_to_string(image).unwrap();
    assert!(text.contains("Name=\"u_5\"") && text.contains("Name=\"a_0\""));
    let message = |request: PredictRequest| {
        predict(std::slice::from_ref(&out), &request).unwrap_err().to_string()
    };
    assert_eq!(
        message(PredictRequest { horizon: Some(3), ..request.clone() }),
        "horizon = 3: expected nothing: the run learns an operator between functions"
    );
    let unknown = message(PredictRequest { array: Some("inptu".to_owned()), ..request.clone() });
    assert!(unknown.contains("has no array \"inptu\""), "{unknown}");
    let odd = folder.path().join("odd.npz");
    let generator = Darcy { size: 7, solve_nodes: 9, ..Darcy::default() };
    let set = samples(&generator, &Request { count: 1, seed: 1, threads: 1 }).unwrap();
    write_npz(&odd, &[("", &set)]).unwrap();
    let odd = message(PredictRequest { input: odd, ..request });
    assert!(odd.starts_with("a grid of 7 × 7 points cannot be cut into patches"), "{odd}");
}

#[test]
fn a_trained_run_is_certified_in_its_report() {
    let folder = tempfile::tempdir().unwrap();
    let (_, out) = fields(folder.path(), "fano");
    let found = certify(&out, &mut Silent).unwrap();
    assert!(found.holds(), "{}", found.text());
    let text = std::fs::read_to_string(out.join("report.json")).unwrap();
    let RunReport::Operator(report) = RunReport::from_json(&text).unwrap() else {
        panic!("an operator")
    };
    assert_eq!(report.certificate, Some(found));
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("patches in another order"));
}

#[test]
fn presets_run_on_what_the_generators_make() {
    let folder = tempfile::tempdir().unwrap();
    let times = TimeGrid { dt: 0.1, n_points: 12, ..TimeGrid::default() };
    let request = Request { count: 12, seed: 1, threads: 1 };
    let flow =
        Kolmogorov { size: 32, burn_in: 0.1, pairs: 4, spacing: 0.1, ..Kolmogorov::default() };
    let lorenz = LorenzComponents { times, ..LorenzComponents::default() };
    let sets = [
        ("controlled-ode", pairs(12, 12, 1)),
        ("lorenz-operator", samples(&lorenz, &request).unwrap()),
        ("darcy", samples(&Darcy { size: 32, ..Darcy::default() }, &request).unwrap()),
        ("kolmogorov", samples(&flow, &request).unwrap()),
    ];
    for (preset, set) in sets {
        let file = folder.path().join(format!("{preset}.npz"));
        write_npz(&file, &[("", &set)]).unwrap();
        let small = ["fit.epochs=1", "model.d_model=8", "model.d_ff=8", "model.n_layers=1"];
        let mut config = RunConfig::load(preset, &small.map(str::to_owned)).unwrap();
        config.use_data_file(&file);
        let report = run(&config, &folder.path().join(preset)).unwrap();
        assert!(report.scores[0].scores().unwrap().relative_l2.is_finite(), "{preset}");
    }
}

#[test]
fn what_is_wrong_is_named_before_a_folder_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ode.npz");
    write_npz(&file, &[("", &pairs(8, 24, 1))]).unwrap();
    let out = folder.path().join("run");
    let message = |more: &str, set: &[&str]| {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        let text = config(&file, more).to_toml();
        let config = RunConfig::parse("run.toml", &text, &set).unwrap();
        let message = run(&config, &out).unwrap_err().to_string();
        assert!(!out.exists());
        message
    };
    let found = message("train = { input = \"permeability\", output = \"output\" }", &[]);
    assert!(found.contains("\"permeability\"") && found.contains("input"), "{found}");
    assert_eq!(
        message("", &["model.kind=fano"]),
        "points with 1 coordinates, the model reads functions of 2"
    );
    assert_eq!(
        message("", &["fit.symmetry=true"]),
        "fit.symmetry = true: expected false for data that are no square grid"
    );
    assert_eq!(
        message("", &["fit.loss=relative-h1"]),
        "fit.loss = relative-h1: expected relative-l2 for functions on a line"
    );
}

/// Weights of the released program under the names of ours.
fn weights(file: &Path, prefix: &str) -> Parameters {
    let mut found = Parameters::new();
    let mut add = |ours: &str, theirs: &str| {
        let weight = golden::<2>(file, &format!("{prefix}{theirs}.weight")).transpose();
        let bias = golden::<1>(file, &format!("{prefix}{theirs}.bias"));
        found.insert(format!("Tno.{ours}.weight"), Array::new(weight.into_data()));
        found.insert(format!("Tno.{ours}.bias"), Array::new(bias.into_data()));
    };
    add("lift", "linear_in_position");
    add("output", "linear_out");
    for (ours, map) in [("query", "W_q"), ("key", "W_k"), ("value", "W_v"), ("output", "W_o")] {
        add(&format!("blocks.0.mechanism.{ours}"), &format!("encoder.layers.0.self_attn.{map}"));
    }
    add("blocks.0.expand", "encoder.layers.0.feed_forward.fc1");
    add("blocks.0.contract", "encoder.layers.0.feed_forward.fc2");
    for (ours, norm) in [("norm_attention", "norm1"), ("norm_feed_forward", "norm2")] {
        for (part, theirs) in [("gamma", "weight"), ("beta", "bias")] {
            let name = format!("{prefix}encoder.layers.0.{norm}.{theirs}");
            let value = Array::new(golden::<1>(file, &name).into_data());
            found.insert(format!("Tno.blocks.0.{ours}.{part}"), value);
        }
    }
    found
}

#[test]
fn five_steps_of_adam_are_those_of_the_released_program() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tno_adam_steps.safetensors");
    let config = OperatorConfig::Tno(TnoConfig {
        d_model: 8,
        d_ff: 8,
        n_layers: 1,
        mechanism: ContinuumConfig::new(2),
        ..TnoConfig::default()
    });
    let t = to_f64(&golden::<2>(&file, "coords"));
    let sites = Sites::line(t.clone(), trapezoid(&t).unwrap());
    let device = Device::default().autodiff();
    let shape = OperatorShape { d_in: 1, d_out: 1, dimension: 1 };
    let model = Precision::F64.cast(config.init(shape, &device).unwrap());
    let mut model = with_parameters(model, weights(&file, "w0.")).unwrap().train();
    let mut optimizer = Optimizer::new(AdamConfig::new(1e-3, 1e-8), None);
    let [x, y] = ["x", "y"].map(|name| golden::<3>(&file, name).autodiff());
    for expected in to_f64(&golden::<1>(&file, "losses")) {
        let loss = relative_l2(model.forward(x.clone(), &sites), y.clone());
        let value = loss.clone().into_scalar::<f64>();
        assert!((value - expected).abs() < 1e-8, "{value} {expected}");
        model = optimizer.step(model, &loss.backward(), 1e-3);
    }
    let found = parameters(&model);
    for (name, expected) in weights(&file, "w5.") {
        // The gradient of a key bias is rounding, which Adam makes steps of.
        if name.ends_with("key.bias") {
            continue;
        }
        for (a, b) in found[&name].values.iter().zip(&expected.values) {
            assert!((a - b).abs() < 1e-8, "{name}: {a} {b}");
        }
    }
}
