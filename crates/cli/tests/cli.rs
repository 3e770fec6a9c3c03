//! Every command as a user types it, on a run that takes seconds.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod sandbox;

use std::fs;
use std::sync::LazyLock;

use regard_data::file::ReadOptions;
use sandbox::{Finished, Sandbox};
use serde_json::Value;

const TINY: &str = r#"
title = "A run of seconds"

[data]
source = "lorenz"
n_series = 5
n_steps = 300
seed = 1
test = { n_series = 2, n_steps = 200, seed = 2 }

[split]
by = "series"
train = 0.8
validation = 0.2

[task]
window = 8

[model]
kind = "forecaster"
d_model = 8
d_ff = 16
n_layers = 1
readout = "increment"

[model.mechanism]
kind = "easy"
n_heads = 2

[fit]
epochs = 4
batch_size = 32
optimizer = { kind = "adam", learning_rate = 1e-3 }

[evaluate]
rollouts = 3
steps = 40
"#;

/// A folder with a trained run `done`, and `done.txt`, what `regard train` printed.
static TRAINED: LazyLock<Sandbox> = LazyLock::new(|| {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("tiny.toml"), TINY).unwrap();
    let printed = sandbox.regard("train tiny.toml --out done").success();
    fs::write(sandbox.path("done.txt"), printed).unwrap();
    sandbox
});

/// The one JSON document on standard output; anything beside it fails.
fn document(finished: Finished) -> Value {
    serde_json::from_str(&finished.success()).expect("standard output is one JSON document")
}

#[test]
fn help_of_every_command() {
    let commands = [
        "",
        "train",
        "predict",
        "classify",
        "stream",
        "evaluate",
        "generate",
        "compare",
        "sweep",
        "sweep plan",
        "sweep run",
        "sweep collect",
        "certify",
        "inspect",
        "runs",
        "runs list",
        "runs show",
        "presets",
        "presets list",
        "presets show",
        "data",
        "data make",
        "data make lorenz",
        "data make rossler",
        "data make lorenz96",
        "data make kuramoto-sivashinsky",
        "data make van-der-pol",
        "data make shear-flow",
        "data make reactor",
        "data make sinusoids",
        "data make darcy",
        "data make kolmogorov",
        "data make controlled-ode",
        "data make lorenz-operator",
        "data make burgers",
        "data fetch",
        "data fetch uci-har",
        "completions",
        "man",
    ];
    let sandbox = Sandbox::new();
    for command in commands {
        let help = sandbox.regard(&format!("{command} --help")).success();
        let name = format!("help-{}", command.replace(' ', "-"));
        insta::assert_snapshot!(name.trim_end_matches('-'), help);
    }
}

#[test]
fn a_usage_error_has_exit_code_2_and_says_how_to_use_it() {
    let finished = Sandbox::new().regard("predict run --input a.csv --horizon many --output b.csv");
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(finished.stderr, @r"
    error: invalid value 'many' for '--horizon <N>': invalid digit found in string

    For more information, try '--help'.
    ");
}

#[test]
fn every_preset_is_listed_and_is_a_configuration() {
    let sandbox = Sandbox::new();
    let list = sandbox.regard("presets list").success();
    let names: Vec<&str> = list.lines().map(|line| line.split_once("  ").unwrap().0).collect();
    assert!(names.contains(&"lorenz"), "{list}");
    for name in names {
        let text = sandbox.regard(&format!("presets show {}", name.trim())).success();
        regard_train::RunConfig::parse("printed", &text, &[]).unwrap();
    }
}

#[test]
fn completions_and_manual_pages_know_the_commands() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.regard(&format!("completions {shell}")).success();
        assert!(script.contains("mechanisms"), "{shell}");
    }
    let page = sandbox.regard("man").success();
    assert!(page.contains(".TH regard 1") && page.contains("regard\\-compare(1)"), "{page}");
    assert_eq!(sandbox.regard("man --out pages").success(), "wrote manual pages to pages\n");
    for page in ["regard.1", "regard-train.1", "regard-data-make-lorenz.1"] {
        assert!(sandbox.path("pages").join(page).is_file(), "{page}");
    }
}

#[test]
fn training_prints_a_table_and_what_to_do_next() {
    let sandbox = &*TRAINED;
    let printed = fs::read_to_string(sandbox.path("done.txt")).unwrap();
    for part in ["easy", "persistence", "nvar", "VPT 0.4"] {
        assert!(printed.contains(part), "no {part} in\n{printed}");
    }
    for file in ["run.toml", "model.safetensors", "metrics.jsonl", "report.json", "report.html"] {
        assert!(sandbox.path("done").join(file).is_file(), "{file}");
    }
    let (_, next) = printed.split_once("report    ").unwrap();
    insta::assert_snapshot!(next, @r"
    done/report.html
    input     regard data make lorenz --out past.csv --series 1 --steps 8 --dt 0.01
    forecast  regard predict done --input past.csv --horizon 100 --output forecast.csv
    ");

    // Both lines as they stand.
    for line in next.lines().skip(1) {
        let (_, command) = line.split_once("regard ").unwrap();
        sandbox.regard(command).success();
    }
    let forecast = fs::read_to_string(sandbox.path("forecast.csv")).unwrap();
    assert_eq!(forecast.lines().count(), 1 + 100);
}

#[test]
fn every_system_is_written_with_its_columns() {
    let sandbox = Sandbox::new();
    for (system, columns, exponent) in [
        ("rossler", 3, "0.0714"),
        ("lorenz96 --n-variables 7", 7, ""),
        ("kuramoto-sivashinsky --n-points 16", 16, "0.048"),
        ("van-der-pol --mu 2", 2, ""),
        ("shear-flow", 9, "0.016"),
        ("reactor --gain 1.1 --substeps 2", 5, ""),
        ("sinusoids --amplitudes 1,2 --frequencies 1,3 --phases 0,-1", 1, ""),
    ] {
        let make = format!("data make {system} --out a.npz --series 2 --steps 5 --burn-in 20");
        let printed = sandbox.regard(&make).success();
        assert!(printed.starts_with("wrote a.npz: 2 series of 5 steps, dt = "), "{printed}");
        let line = format!("largest Lyapunov exponent {exponent} per time unit\n");
        assert_eq!(printed.contains(&line), !exponent.is_empty(), "{system}: {printed}");
        let set = regard_data::file::read(&sandbox.path("a.npz"), &ReadOptions::default()).unwrap();
        assert_eq!((set.series.len(), set.series[0].steps(), set.channels()), (2, 5, columns));
    }
}

#[test]
fn forecasts_of_several_series_are_written_in_every_format() {
    let sandbox = &*TRAINED;
    let make = "data make lorenz --series 3 --steps 9 --seed 7 --burn-in 100";
    assert_eq!(
        sandbox.regard(&format!("{make} --out several.parquet")).success(),
        "wrote several.parquet: 3 series of 9 steps, dt = 0.01\n\
         largest Lyapunov exponent 0.9056 per time unit\n"
    );
    for extension in ["csv", "tsv", "parquet", "npz"] {
        let output = format!("several-forecast.{extension}");
        let arguments = "predict done --input several.parquet --horizon 5 --output";
        assert_eq!(
            sandbox.regard(&format!("{arguments} {output}")).success(),
            format!("wrote {output}: 3 series, 5 steps of x, y, z\n")
        );
        let set = regard_data::file::read(&sandbox.path(&output), &ReadOptions::default()).unwrap();
        assert_eq!((set.series.len(), set.series[0].steps(), set.channels()), (3, 5, 3));
        assert!(set.series.iter().flat_map(|s| &s.values).all(|x| x.is_finite()));
    }
}

#[test]
fn train_with_json_prints_the_report_and_nothing_else() {
    let sandbox = &*TRAINED;
    let finished = sandbox.regard("train tiny.toml --mechanism softmax --seed 5 --out json --json");
    let printed = document(finished);
    assert_eq!(printed["folder"], "json");
    assert_eq!(printed["beats_baseline"], true);
    assert_eq!(printed["report"]["model"]["mechanism"], "softmax");
    assert_eq!(printed["report"]["run"]["seed"], 5);
    let file: Value =
        serde_json::from_slice(&fs::read(sandbox.path("json/report.json")).unwrap()).unwrap();
    assert_eq!(printed["report"], file);
}

#[test]
fn evaluating_again_gives_the_scores_of_the_training() {
    let sandbox = &*TRAINED;
    let printed = document(sandbox.regard("evaluate done --json"));
    let file: Value =
        serde_json::from_slice(&fs::read(sandbox.path("done/report.json")).unwrap()).unwrap();
    assert_eq!(printed["report"]["scores"], file["scores"]);

    sandbox.regard("data make lorenz --out other.csv --series 2 --steps 150 --seed 8").success();
    let other = document(sandbox.regard("evaluate done --data other.csv --json"));
    assert_ne!(other["report"]["scores"], file["scores"]);
    let table = sandbox.regard("evaluate done --data other.csv").success();
    assert!(table.contains("persistence"), "{table}");
}

#[test]
fn a_model_worse_than_persistence_is_a_bad_verdict() {
    // A direct read-out that does not learn knows nothing of the last value.
    let set = "--set model.readout=direct --set fit.optimizer.learning_rate=1e-9";
    let finished = TRAINED.regard(&format!("train tiny.toml {set} --out bad"));
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stdout.contains("persistence"), "{}", finished.stdout);
    assert_eq!(
        finished.stderr.lines().last().unwrap(),
        "verdict: bad is not better than persistence (repeating the last value); \
         do not use this model"
    );
}

#[test]
fn comparing_trains_every_model_with_every_seed() {
    let sandbox = &*TRAINED;
    let arguments = "compare tiny.toml --mechanisms easy,softmax,lstm --set fit.epochs=5";
    let table = sandbox.regard(&format!("{arguments} --out comparison")).success();
    for part in ["easy", "softmax", "lstm", "persistence", "params", "mult-adds", "s/epoch"] {
        assert!(table.contains(part), "no {part} in\n{table}");
    }
    assert!(table.ends_with("report    comparison/report.html\n"), "{table}");
    assert!(sandbox.path("comparison/report.html").is_file());
    assert!(sandbox.path("comparison/comparison.json").is_file());

    let arguments = "compare tiny.toml --mechanisms easy,lstm --seeds 2";
    let printed = document(sandbox.regard(&format!("{arguments} --out seeds --json")));
    let reports = printed["reports"].as_array().unwrap();
    let seeds: Vec<u64> = reports.iter().map(|r| r["run"]["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds, [0, 1, 0, 1]);
}

#[test]
fn inspecting_shows_every_head_and_writes_a_page() {
    let sandbox = &*TRAINED;
    let table = sandbox.regard("inspect done").success();
    for part in ["easy · window 8", "eff. rank", "gain bound", "largest eigenvalues"] {
        assert!(table.contains(part), "no {part} in\n{table}");
    }
    let page = fs::read_to_string(sandbox.path("done/inspect.html")).unwrap();
    assert!(page.contains("Attention of done") && page.contains("<svg"));
    let printed = document(sandbox.regard("inspect done --json"));
    let heads = printed["heads"].as_array().unwrap();
    assert_eq!(heads.len(), 2);
    for head in heads {
        let alpha = &head["matrices"][0];
        assert_eq!(alpha["name"], "α");
        assert_eq!(alpha["trained"]["decay"].as_array().unwrap().len(), 8);
        for stats in ["trained", "fresh"] {
            let rank = alpha[stats]["effective_rank"].as_f64().unwrap();
            assert!((1.0..=8.0).contains(&rank), "{alpha}");
        }
        // A norm is at least the modulus of the largest eigenvalue.
        let modulus = head["eigenvalues"][0]["modulus"].as_f64().unwrap();
        assert!(modulus <= alpha["trained"]["largest"].as_f64().unwrap() * (1.0 + 1e-9));
    }
}

#[test]
fn softmax_attention_is_inspected_over_windows() {
    let sandbox = &*TRAINED;
    sandbox.regard("train tiny.toml --mechanism softmax --out looked-at").success();
    sandbox.regard("data make lorenz --out looked.csv --series 2 --steps 150 --seed 8").success();
    let printed = document(sandbox.regard("inspect looked-at --data looked.csv --json"));
    assert_eq!(printed["n_windows"], 32);
    let head = &printed["heads"][0];
    let weights = &head["matrices"][1];
    assert_eq!((weights["name"].as_str(), head["gain_bound"].is_null()), (Some("A"), true));
    // Rows of weights are positive and sum to one.
    assert_eq!(weights["trained"]["negative"].as_f64(), Some(0.0));
    assert!(weights["trained"]["largest"].as_f64().unwrap() >= 0.999);
    // Scores of heads of width 4 have at most rank 4.
    let scores = &head["matrices"][0]["trained"];
    assert!(scores["effective_rank"].as_f64().unwrap() < 4.001, "{scores}");
    assert!(scores["decay"][4].as_f64().unwrap() < 1e-5, "{scores}");
    // Two heads: one pair, mean distance over mean norm.
    let layer = &printed["redundancy"][0]["trained"];
    let relative = layer["relative"].as_f64().unwrap();
    assert!((0.01..2.0).contains(&relative), "{layer}");
    let pair = layer["pairs"][0][1].as_f64().unwrap();
    assert!((pair - relative).abs() < 1e-9 && layer["pairs"][1][1] == 0.0, "{layer}");
    let [compare, transfer] = [0, 1].map(|i| &head["weights"][i]);
    assert_eq!((&compare["name"], &transfer["name"]), (&"W_Q W_Kᵀ".into(), &"W_V W_O".into()));
    let rank = transfer["trained"]["effective_rank"].as_f64().unwrap();
    assert!((1.0..4.001).contains(&rank), "{transfer}");
    let table = sandbox.regard("inspect looked-at --data looked.csv").success();
    assert!(table.contains("distance of heads") && table.contains("W_V W_O"), "{table}");
}

#[test]
fn every_kind_of_alpha_trains_predicts_and_is_inspected() {
    let sandbox = &*TRAINED;
    let kinds = [
        ("causal", "{kind=\"causal\"}", 0),
        ("banded", "{kind=\"banded\",offset=2}", 0),
        ("toeplitz", "{kind=\"toeplitz\",causal=true}", 0),
        ("low-rank", "{kind=\"low-rank\",rank=2}", 2),
        ("basis", "{kind=\"basis\",n_basis=3}", 0),
    ];
    sandbox.regard("data make lorenz --out past.csv --series 1 --steps 9 --seed 3").success();
    for (name, alpha, rank) in kinds {
        let mut command = sandbox.command("train tiny.toml --set fit.epochs=1 --out");
        command.args([&format!("kind-{name}"), "--set", &format!("model.mechanism.alpha={alpha}")]);
        command.args(["--set", &format!("model.mechanism.gate_rank={rank}")]);
        let finished = sandbox.finished(command.output().unwrap());
        assert!(matches!(finished.code, Some(0 | 1)), "{name}: {}", finished.stderr);
        let predict = "--input past.csv --horizon 3 --output kind.csv";
        sandbox.regard(&format!("predict kind-{name} {predict}")).success();
        sandbox.regard(&format!("inspect kind-{name}")).success();
    }
}

#[test]
fn runs_are_listed_and_shown() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("tiny.toml"), TINY).unwrap();
    assert_eq!(
        sandbox.regard("runs list").success(),
        "no runs in runs; make one with: regard train lorenz\n"
    );
    sandbox.regard("train tiny.toml --set fit.epochs=5").success();
    let list = document(sandbox.regard("runs list --json"));
    let [run] = list.as_array().unwrap().as_slice() else { panic!("one run: {list}") };
    assert!(run["name"].as_str().unwrap().ends_with("-tiny"), "{run}");
    assert_eq!((run["state"].as_str(), run["model"].as_str()), (Some("done"), Some("easy")));
    let folder = run["folder"].as_str().unwrap();
    let table = sandbox.regard("runs list").success();
    assert!(table.lines().nth(1).unwrap().starts_with(folder), "{table}");

    let shown = sandbox.regard(&format!("runs show {folder}")).success();
    let (scores, config) = shown.split_once("\nConfiguration\n\n").unwrap();
    assert!(scores.contains("persistence"), "{scores}");
    let config = regard_train::RunConfig::parse("shown", config, &[]).unwrap();
    assert_eq!(config.forecast().unwrap().fit.epochs, 5);
    let shown = document(sandbox.regard(&format!("runs show {folder} --json")));
    assert_eq!(shown["summary"], *run);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = TRAINED.command("runs show done");
    let finished = TRAINED.finished(command.stdout(writer).output().unwrap());
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
}

/// The last rows of a Lorenz trajectory as a CSV file, with some cells emptied.
fn past(sandbox: &Sandbox, file: &str, rows: usize, empty: &[(usize, usize)]) {
    let make = format!("data make lorenz --series 1 --steps {rows} --seed 7 --burn-in 100");
    sandbox.regard(&format!("{make} --out {file}")).success();
    let text = fs::read_to_string(sandbox.path(file)).unwrap();
    let lines = text.lines().enumerate().map(|(row, line)| {
        let mut cells: Vec<&str> = line.split(',').collect();
        for (_, column) in empty.iter().filter(|(at, _)| at + 1 == row) {
            cells[*column + 1] = "";
        }
        cells.join(",") + "\n"
    });
    let text: String = lines.collect();
    fs::write(sandbox.path(file), text).unwrap();
}

fn forecast(sandbox: &Sandbox, arguments: &str) -> regard_data::SeriesSet {
    sandbox.regard(&format!("predict {arguments} --horizon 12 --output one.npz")).success();
    regard_data::file::read(&sandbox.path("one.npz"), &ReadOptions::default()).unwrap()
}

#[test]
fn a_shorter_window_than_the_trained_one_is_an_option() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("tiny.toml"), TINY).unwrap();
    sandbox.regard("train tiny.toml --out done").success();
    past(&sandbox, "past.csv", 8, &[]);
    let whole = forecast(&sandbox, "done --input past.csv");
    assert_eq!(forecast(&sandbox, "done --input past.csv --window 8"), whole);
    let short = forecast(&sandbox, "done --input past.csv --window 6");
    assert!(short.series[0].values.iter().all(|x| x.is_finite()));
    assert_ne!(short, whole);
    let refused =
        sandbox.regard("predict done --input past.csv --window 9 --horizon 2 --output none.csv");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("cannot be used for 9"), "{}", refused.stderr);
}

#[test]
fn missing_values_in_the_past_are_told_to_the_model() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("tiny.toml"), TINY).unwrap();
    sandbox.regard("train tiny.toml --out done").success();
    past(&sandbox, "whole.csv", 8, &[]);
    // One value, and one row altogether.
    past(&sandbox, "gaps.csv", 8, &[(2, 0), (4, 0), (4, 1), (4, 2)]);
    let (whole, gaps) =
        (forecast(&sandbox, "done --input whole.csv"), forecast(&sandbox, "done --input gaps.csv"));
    assert_eq!(gaps.columns, whole.columns);
    assert!(gaps.series[0].values.iter().all(|x| x.is_finite()));
    assert_ne!(gaps, whole);
    // The first forecast starts from the last row, which is there.
    for (a, b) in gaps.series[0].row(0).iter().zip(whole.series[0].row(0)) {
        assert!((a - b).abs() < 5.0, "{a} with gaps, {b} without");
    }
}

#[test]
fn several_runs_are_an_ensemble() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("tiny.toml"), TINY).unwrap();
    for seed in 0..3 {
        sandbox.regard(&format!("train tiny.toml --seed {seed} --out seed{seed}")).success();
    }
    past(&sandbox, "past.csv", 8, &[]);
    let members: Vec<_> =
        (0..3).map(|i| forecast(&sandbox, &format!("seed{i} --input past.csv"))).collect();
    let all = forecast(&sandbox, "seed0 seed1 seed2 --input past.csv");
    let names = ["x", "x_lower", "x_upper", "y", "y_lower", "y_upper", "z", "z_lower", "z_upper"];
    assert_eq!(all.columns, names);
    for step in 0..12 {
        for channel in 0..3 {
            let at: Vec<f64> = members.iter().map(|m| m.series[0].row(step)[channel]).collect();
            let row = &all.series[0].row(step)[3 * channel..3 * channel + 3];
            let mean = at.iter().sum::<f64>() / 3.0;
            assert!((row[0] - mean).abs() < 1e-9 * mean.abs().max(1.0), "{row:?} of {at:?}");
            assert!(row[1] <= row[0] && row[0] <= row[2], "{row:?} of {at:?}");
        }
    }
    let printed = sandbox.regard("evaluate seed0 seed1 seed2").success();
    assert!(printed.starts_with("3 members · 3 starts · Lorenz-63"), "{printed}");
    let json = sandbox.regard("evaluate seed0 seed1 seed2 --json").success();
    let report: Value = serde_json::from_str(&json).unwrap();
    for at in report["at"].as_array().unwrap() {
        let number = |key: &str| at[key].as_f64().unwrap();
        // A sample of three says less about its law than it says about itself.
        assert!(0.0 < number("fair_crps") && number("fair_crps") <= number("crps"), "{at}");
        assert!((0.0..=1.0).contains(&number("coverage")), "{at}");
    }
    assert_eq!(report["member_valid_times"].as_array().unwrap().len(), 3);
}

#[test]
fn the_closed_form_forecasts_for_longer_than_a_reservoir() {
    let sandbox = Sandbox::new();
    let keys = "--set data.n_series=5 --set data.test.n_series=2 --set evaluate.rollouts=4";
    let printed = sandbox
        .regard(&format!(
            "train lorenz-lifted {keys} --set fit.optimizer.ridge=[1e-14,1e-10] --out done --json"
        ))
        .success();
    let report: Value = serde_json::from_str(&printed).unwrap();
    let text = report.to_string();
    assert!(text.contains("\"device\":\"CPU"), "{text}");
    let scores = report.pointer("/report/scores").or(report.pointer("/scores")).unwrap();
    let model = &scores.as_array().unwrap()[0];
    assert_eq!(model["name"], "lifted");
    let vpt = model["vpt"].as_array().unwrap().iter().find(|v| v["threshold"] == 0.5).unwrap();
    // A thousand steps are 9.06 Lyapunov times; a reservoir of a thousand nodes reaches about 10.
    assert!(vpt["median"].as_f64().unwrap() > 8.0, "{vpt}");
    let table = sandbox.regard("inspect done").success();
    for part in ["lifted · window", "Σ α⊗W", "eigenvalues of the map of delay coordinates"] {
        assert!(table.contains(part), "no {part} in\n{table}");
    }
}
