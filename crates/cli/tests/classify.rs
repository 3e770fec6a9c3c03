//! Telling classes apart, from the command line: train, evaluate, classify, stream, resume.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod sandbox;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use sandbox::Sandbox;

/// Windows of 12 rows; the class is the frequency, and four persons have phases of their own.
fn windows() -> String {
    let mut text = String::from("window,subject,label,u,v\n");
    for window in 0..80 {
        let (class, person) = (window % 2, (window / 2) % 4);
        for t in 0..12 {
            let phase = f64::from(person) + 0.3 * f64::from(window / 8);
            let angle = f64::from(t) * (0.4 + 0.5 * f64::from(class)) + phase;
            let label = if class == 0 { "slow" } else { "fast" };
            writeln!(text, "{window},p{person},{label},{},{}", angle.sin(), angle.cos()).unwrap();
        }
    }
    text
}

const CONFIG: &str = r#"
seed = 4

[task]
kind = "classify"

[data]
path = "windows.csv"

[split]
by = "group"
validation = 0.25
test = 0.25

[model]
kind = "classifier"
d_model = 8
block = { kind = "bare" }

[model.mechanism]
kind = "larnn"
n_heads = 2
window = 4

[fit]
epochs = 20
batch_size = 10
drop_last = true
select = "accuracy"

[fit.optimizer]
kind = "adam"
learning_rate = 2e-2
l2 = 1e-4

[augment]
jitter = 0.05

[baselines]
trained = ["lstm"]
"#;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("windows.csv"), windows()).unwrap();
    fs::write(sandbox.path("c.toml"), CONFIG).unwrap();
    sandbox
}

#[test]
fn a_classifier_is_trained_scored_and_used() {
    let sandbox = sandbox();
    let table = sandbox.regard("train c.toml --out run").success();
    for row in ["larnn", "majority", "minirocket", "lstm"] {
        assert!(table.contains(&format!("\n{row} ")), "{row} in\n{table}");
    }
    assert!(table.contains("Validation part, 20 series of 1 groups in no other part."), "{table}");
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(sandbox.path("run/report.json")).unwrap())
            .unwrap();
    let scores = &report["scores"][0];
    assert!(scores["test"]["accuracy"].as_f64().unwrap() > 0.9, "{scores}");
    assert_eq!(scores["test"]["n"], 20);
    let loss = |scores: &serde_json::Value| scores["test"]["log_loss"].as_f64().unwrap();

    // Scored again, with the same figures.
    let again = sandbox.regard("evaluate run --json").success();
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    let difference = loss(&again["report"]["scores"][0]) - loss(scores);
    assert!(difference.abs() < 1e-6, "{difference}");
    let list = sandbox.regard("runs list .").success();
    assert!(list.contains("larnn") && list.contains("right %"), "{list}");

    // A file of rows without labels, window by window, and the same rows as a stream.
    let mut rows = String::from("u,v\n");
    for line in windows().lines().skip(1).take(24) {
        let cells: Vec<&str> = line.split(',').collect();
        writeln!(rows, "{},{}", cells[3], cells[4]).unwrap();
    }
    fs::write(sandbox.path("rows.csv"), &rows).unwrap();
    let said = sandbox.regard("classify run --input rows.csv --output classes.csv").success();
    assert_eq!(said, "wrote classes.csv: 2 windows; classes: 0 fast, 1 slow\n");
    let classes = fs::read_to_string(sandbox.path("classes.csv")).unwrap();
    let whole: Vec<f64> = classes.lines().skip(1).map(last_number).collect();
    assert_eq!(whole.len(), 2, "{classes}");

    let mut child = sandbox
        .command("stream run --each window")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(rows.as_bytes()).unwrap();
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "step,class,p_fast,p_slow");
    assert_eq!(lines.len(), 3, "{out}");
    for (line, whole) in lines[1..].iter().zip(&whole) {
        assert!((last_number(line) - whole).abs() < 1e-5, "{line} against {whole}");
    }
}

fn last_number(line: &str) -> f64 {
    line.rsplit(',').next().unwrap().parse().unwrap()
}

#[test]
fn one_seed_one_classifier_whatever_the_threads_and_the_interruptions() {
    let sandbox = sandbox();
    let model = |run: &str| fs::read(sandbox.path(run).join("model.safetensors")).unwrap();
    sandbox.regard("train c.toml --out one --threads 1").success();
    sandbox.regard("train c.toml --out two --threads 2").success();
    assert!(model("one") == model("two"), "the threads change the model");
    // Cut off at the end of an epoch: the checkpoint is all that the second process knows.
    let mut child = sandbox
        .command("train c.toml --out cut")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains(": epoch 2/")), "the training ends too early");
    child.kill().unwrap();
    child.wait().unwrap();
    sandbox.regard("train --resume cut").success();
    assert!(model("one") == model("cut"), "the interruption changes the model");
}

#[test]
fn wrong_use_is_named() {
    let sandbox = sandbox();
    let message = |arguments: &str| {
        let finished = sandbox.regard(arguments);
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        finished.stderr
    };
    sandbox.regard("train c.toml --out run --set fit.epochs=1 --set baselines.trained=[]");
    for (arguments, expected) in [
        ("predict run --input windows.csv --horizon 3 --output a.csv", "its task is to classify"),
        ("inspect run", "its mechanism has no heads"),
        ("train uci-har", "no data: give --data"),
        ("train c.toml --data nowhere", "nowhere"),
        ("train c.toml --set fit.class_weights={given=[1.0]}", "one weight for each class"),
        ("train c.toml --set data.group=nobody", "nobody"),
        ("train c.toml --mechanism larn", "did you mean \"larnn\"?"),
        ("train c.toml --set task.kind=forecasts", "task.kind"),
        ("stream run --window 0 --each window", "--window 0 has no last row"),
        ("classify run --input c.toml --output a.csv", "c.toml"),
    ] {
        let found = message(arguments);
        assert!(found.contains(expected), "{arguments}: {found}");
        assert!(!found.contains("panicked"), "{arguments}: {found}");
    }
    assert!(!sandbox.path("a.csv").exists());
}

#[test]
fn heads_of_a_classifier_are_inspected() {
    let sandbox = sandbox();
    let softmax = CONFIG
        .replace("kind = \"larnn\"\nn_heads = 2\nwindow = 4", "kind = \"softmax\"\nn_heads = 2")
        .replace("epochs = 20", "epochs = 2")
        .replace("trained = [\"lstm\"]", "trained = []");
    fs::write(sandbox.path("soft.toml"), softmax).unwrap();
    // So short a training may end no better than the most frequent class, which is exit code 1.
    let trained = sandbox.regard("train soft.toml --out soft");
    assert!(matches!(trained.code, Some(0 | 1)), "{}", trained.stderr);
    let table = sandbox.regard("inspect soft").success();
    assert!(table.contains("distance of heads") && table.contains("W_Q W_Kᵀ"), "{table}");
    assert!(!table.contains("frequencies") && !table.contains("gain bound"), "{table}");
    let page = fs::read_to_string(sandbox.path("soft/inspect.html")).unwrap();
    assert!(page.contains("Distances of heads") && page.contains("<title>Layer 1</title>"));
    let printed = sandbox.regard("inspect soft --data windows.csv --json").success();
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&printed["n_windows"], &printed["peaks"]), (&32.into(), &().into()));
    assert!(printed["redundancy"][0]["trained"]["relative"].as_f64().unwrap() > 0.0);
}
