//! Going on with a text, from the command line: train, evaluate, generate, resume, wrong input.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod sandbox;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use sandbox::Sandbox;

/// Lines that name a number and the next one, which counts of two characters cannot foresee.
fn text() -> String {
    let names = ["one", "two", "three", "four", "five", "six"];
    let line = |i: usize| format!("{} then {}.\n", names[i * i % 6], names[(i * i + 1) % 6]);
    (0..400).map(line).collect()
}

const CONFIG: &str = r#"
seed = 2

[task]
kind = "language"
window = 16

[data]
path = "text.txt"

[split]
train = 0.8
validation = 0.1

[model]
kind = "language-model"
d_model = 16
n_layers = 1
mixer = { kind = "log", n_heads = 2 }
block = { kind = "mlp", d_ff = 32 }
convolution = 3

[fit]
steps = 240
evaluate_every = 20
batch_size = 8

[fit.optimizer]
kind = "adam-w"
learning_rate = 1e-2
beta_2 = 0.99
decay = "matrices"

[sample]
tokens = 40
"#;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("text.txt"), text()).unwrap();
    fs::write(sandbox.path("l.toml"), CONFIG).unwrap();
    sandbox
}

#[test]
fn a_language_model_is_trained_scored_and_goes_on_with_a_text() {
    let sandbox = sandbox();
    let table = sandbox.regard("train l.toml --out run").success();
    for row in ["log", "uniform", "unigram", "bigram", "trigram"] {
        assert!(table.contains(&format!("\n{row} ")), "{row} in\n{table}");
    }
    assert!(table.contains("\nGenerated:\n") && table.contains("regard generate run"), "{table}");
    let report = fs::read_to_string(sandbox.path("run/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let nats = |report: &serde_json::Value, row: usize, part: &str| {
        report["scores"][row][part]["nats_per_token"].as_f64().unwrap()
    };
    // Better than counts of two characters, and than those of the two before.
    assert!(nats(&report, 0, "test") < nats(&report, 4, "test"), "{}", report["scores"]);
    let bits = report["scores"][0]["test"]["bits_per_character"].as_f64().unwrap();
    assert!((bits - nats(&report, 0, "test") / std::f64::consts::LN_2).abs() < 1e-9);

    // Scored again, with the same figures; and all of another text.
    let again = sandbox.regard("evaluate run --json").success();
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    for part in ["validation", "test"] {
        let found = nats(&again["report"], 0, part);
        assert!((found - nats(&report, 0, part)).abs() < 1e-6, "{part}: {found}");
    }
    fs::write(sandbox.path("other.txt"), "five then six.\none then two.\n").unwrap();
    let other = sandbox.regard("evaluate run --data other.txt --json").success();
    let other: serde_json::Value = serde_json::from_str(&other).unwrap();
    assert_eq!(other["report"]["scores"][0]["test"]["n_tokens"], 28);
    let list = sandbox.regard("runs list .").success();
    assert!(list.contains("bits/char") && list.contains(&format!("{bits:.3}")), "{list}");

    // The same seed writes the same text, and the prompt comes first.
    let generate =
        |rest: &str| sandbox.regard(&format!("generate run --tokens 30 {rest}")).success();
    let first = generate("--prompt two --seed 7");
    assert!(first.starts_with("two") && first.chars().count() == 34, "{first:?}");
    assert_eq!(generate("--prompt two --seed 7"), first);
    assert_ne!(generate("--prompt two --seed 8"), first);
    assert_eq!(generate("--top-k 1 --seed 1"), generate("--temperature 0 --seed 2"));
}

#[test]
fn one_seed_one_language_model_whatever_the_threads_and_the_interruptions() {
    let sandbox = sandbox();
    let model = |run: &str| fs::read(sandbox.path(run).join("model.safetensors")).unwrap();
    sandbox.regard("train l.toml --out one --threads 1").success();
    sandbox.regard("train l.toml --out two --threads 2").success();
    assert!(model("one") == model("two"), "the threads change the model");
    // Cut off at the end of an epoch: the checkpoint is all that the second process knows.
    let mut child = sandbox
        .command("train l.toml --out cut")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(": epoch 2/")), "the training ends too early");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!sandbox.path("cut/model.safetensors").exists(), "the training was over");
    sandbox.regard("train --resume cut").success();
    assert!(model("one") == model("cut"), "the interruption changes the model");
}

#[test]
fn every_mixer_trains_and_generates() {
    let sandbox = sandbox();
    for mixer in ["softmax", "linear", "easy", "lstm", "larnn"] {
        let set = "--set fit.steps=20 --set fit.evaluate_every=10 --set sample.tokens=0";
        let trained =
            sandbox.regard(&format!("train l.toml --mechanism {mixer} {set} --out {mixer}"));
        assert!(matches!(trained.code, Some(0 | 1)), "{}", trained.stderr);
        let text = sandbox.regard(&format!("generate {mixer} --tokens 20 --prompt one")).success();
        assert_eq!(text.chars().count(), 24, "{text:?}");
    }
    let table =
        "compare l.toml --mechanisms linear,softmax --set fit.steps=20 --set sample.tokens=0";
    let table = sandbox.regard(&format!("{table} --out both"));
    assert!(matches!(table.code, Some(0 | 1)), "{}", table.stderr);
    assert!(table.stdout.contains("\nsoftmax ") && table.stdout.contains("\ntrigram "));
    assert!(fs::read_to_string(sandbox.path("both/report.html")).unwrap().contains("nats/char"));
}

#[test]
fn wrong_input_is_named() {
    let sandbox = sandbox();
    let refused = |arguments: &[&str]| {
        let mut command = sandbox.command("");
        let finished = sandbox.finished(command.args(arguments).output().unwrap());
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        finished.stderr
    };
    let message = |arguments: &str| refused(&arguments.split_whitespace().collect::<Vec<_>>());
    for (name, bytes) in [
        ("empty.txt", &b""[..]),
        ("bytes.txt", b"good\nbad \xff\n"),
        ("short.txt", b"one two one two one two"),
        ("ones.txt", &[b'1'; 400]),
        ("new.txt", "one then two.\nzwölf then one, as long as a window.\n".as_bytes()),
    ] {
        fs::write(sandbox.path(name), bytes).unwrap();
    }
    for (data, expected) in [
        ("empty.txt", "empty.txt is empty, expected text"),
        (
            "bytes.txt",
            "bytes.txt, line 2: the byte at offset 9 is not UTF-8; save the text as UTF-8, or set \
             data.tokenizer.kind = \"byte\", which reads any bytes",
        ),
        (
            "short.txt",
            "short.txt: the validation part has 2 tokens, expected at least 17: a window of 16 and the \
             token behind it; give a longer text, a larger share, or a smaller task.window",
        ),
        (
            "ones.txt",
            "ones.txt: the training part has no character but '1', expected at least two distinct ones; \
             give another text, or another share of it",
        ),
        ("nowhere.txt", "cannot read nowhere.txt: No such file or directory (os error 2)"),
    ] {
        assert_eq!(message(&format!("train l.toml --data {data}")), format!("error: {expected}\n"));
    }
    assert_eq!(
        message("train l.toml --mechanism logs"),
        "error: no model is called \"logs\" (did you mean \"log\"?); models: log, softmax, linear, easy, lstm, \
         larnn\n"
    );
    let set = "--set fit.steps=20 --set sample.tokens=0 --out run";
    let trained = sandbox.regard(&format!("train l.toml {set}"));
    assert!(matches!(trained.code, Some(0 | 1)), "{}", trained.stderr);
    let unknown = "which is that of the training part; leave it out of the text, or train with it in \
                   data.tokenizer.extra, or with data.tokenizer.kind = \"byte\"";
    assert_eq!(
        message("evaluate run --data new.txt"),
        format!(
            "error: new.txt, line 2, column 1: the character 'z' is not among the 16 of the vocabulary, \
             {unknown}\n"
        )
    );
    assert_eq!(
        refused(&["generate", "run", "--prompt", "two\nthree?"]),
        format!(
            "error: --prompt, line 2, column 6: the character '?' is not among the 16 of the vocabulary, \
             {unknown}\n"
        )
    );
    assert_eq!(
        refused(&["generate", "run", "--prompt", ""]),
        "error: --prompt is empty, expected text\n"
    );
    assert_eq!(
        message("generate run --temperature=-1"),
        "error: --temperature = -1: expected zero or a positive number\n"
    );
    assert_eq!(message("generate run --top-k 0"), "error: --top-k = 0: expected at least 1\n");
    assert_eq!(
        message("classify run --input text.txt --output a.csv"),
        "error: run: its task is to go on with a text; give a run whose task is to classify\n"
    );
    assert!(message("inspect run").contains("its task is to go on with a text"));
}
