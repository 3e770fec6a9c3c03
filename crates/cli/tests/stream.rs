//! Live input from the command line: what is put aside goes on byte for byte, steps equal whole sequences,
//! wrong use is named.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod sandbox;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Stdio};

use sandbox::{Finished, Sandbox};

const TEXT: &str = r#"
seed = 2

[task]
kind = "language"
window = 16

[data]
path = "text.txt"

[model]
kind = "language-model"
d_model = 16
n_layers = 2
mixer = { kind = "log", n_heads = 2 }
block = { kind = "mlp", d_ff = 32 }
convolution = 3

[fit]
steps = 10
evaluate_every = 10
batch_size = 4

[sample]
tokens = 0
"#;

const CLASSES: &str = r#"
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
pooling = "mean"
stem = [{ filters = 5, length = 3, stride = 2 }]

[model.mechanism]
kind = "larnn"
n_heads = 2
window = 4

[fit]
epochs = 1
batch_size = 20

[baselines]
trained = []
"#;

const FORECAST: &str = r#"
seed = 3

[data]
source = "file"
path = "rows.csv"

[task]
window = 8

[model]
kind = "lstm"
d_hidden = 8
n_layers = 2
readout = "increment"

[fit]
epochs = 1
batch_size = 32

[evaluate]
rollouts = 2
steps = 5
"#;

/// Lines of words, and an empty one.
fn text() -> String {
    let names = ["one", "zwölf", "three", "four", "five", "six"];
    let line = |i: usize| format!("{} then {}.\n", names[i * i % 6], names[(i * i + 1) % 6]);
    (0..80).map(|i| if i == 3 { "\n".to_owned() } else { line(i) }).collect()
}

/// Windows of 12 rows of two waves; the class is the frequency.
fn windows() -> String {
    let mut text = String::from("window,subject,label,u,v\n");
    for window in 0..40 {
        let (class, person) = (window % 2, (window / 2) % 4);
        for t in 0..12 {
            let angle = f64::from(t) * (0.4 + 0.5 * f64::from(class)) + f64::from(person);
            let (u, v) = (angle.sin(), angle.cos());
            writeln!(text, "{window},p{person},class{class},{u},{v}").unwrap();
        }
    }
    text
}

/// Rows of three waves, with a header.
fn rows() -> String {
    let mut text = String::from("a,b,c\n");
    for t in 0..240 {
        let [a, b, c] = [0.3, 0.2, 0.11].map(|w| (w * f64::from(t)).sin());
        writeln!(text, "{a},{b},{c}").unwrap();
    }
    text
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, content) in [
        ("text.txt", text()),
        ("windows.csv", windows()),
        ("rows.csv", rows()),
        ("text.toml", TEXT.to_owned()),
        ("classes.toml", CLASSES.to_owned()),
        ("forecast.toml", FORECAST.to_owned()),
    ] {
        fs::write(sandbox.path(name), content).unwrap();
    }
    sandbox
}

/// Some of the lines of a text.
fn lines(text: &str, from: usize, to: usize) -> String {
    text.split_inclusive('\n').skip(from).take(to - from).collect()
}

/// So short a training may end with a bad verdict, which is exit code 1.
fn train(sandbox: &Sandbox, arguments: &str) {
    let trained = sandbox.regard(&format!("train {arguments}"));
    assert!(matches!(trained.code, Some(0 | 1)), "{}", trained.stderr);
}

fn started(sandbox: &Sandbox, arguments: &str) -> Child {
    let mut command = sandbox.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Runs a command on some input.
fn fed(sandbox: &Sandbox, arguments: &str, input: &[u8]) -> Finished {
    let mut child = started(sandbox, arguments);
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input);
    sandbox.finished(child.wait_with_output().unwrap())
}

/// Streams the input at once, and cut at some byte with the state put aside.
fn assert_goes_on(sandbox: &Sandbox, run: &str, input: &str, cuts: &[usize]) {
    let whole = fed(sandbox, &format!("stream {run}"), input.as_bytes()).success();
    assert!(whole.lines().count() > 20, "{run}: {whole}");
    for &cut in cuts {
        let (first, rest) = input.as_bytes().split_at(cut);
        let put_aside = fed(sandbox, &format!("stream {run} --snapshot s.snap"), first);
        let told = format!("{cut} bytes of input; go on with --restore s.snap\n");
        assert!(put_aside.stderr.ends_with(&told), "{run}: {}", put_aside.stderr);
        let first = put_aside.success();
        let rest = fed(sandbox, &format!("stream {run} --restore s.snap"), rest).success();
        assert!(first + &rest == whole, "{run}: the stream goes on otherwise, cut at {cut}");
    }
}

fn assert_verified(sandbox: &Sandbox, run: &str, input: &str, count: &str) {
    let certificate = sandbox.regard(&format!("stream {run} --verify {input}")).success();
    assert!(certificate.starts_with(&format!("{run}: {count}, in steps")), "{certificate}");
    assert!(certificate.ends_with("are equal up to rounding\n"), "{certificate}");
}

#[test]
fn language_models_of_every_mixer_go_on_and_equal_the_whole_text() {
    let sandbox = sandbox();
    let text = lines(&text(), 0, 26);
    let n = text.chars().count();
    fs::write(sandbox.path("some.txt"), &text).unwrap();
    // At the start, within a line, behind a line.
    let cut = text.find('ö').unwrap();
    let cuts = [0, cut, text[..cut + 60].rfind('\n').unwrap() + 1];
    for mixer in ["log", "linear", "softmax", "easy", "lstm", "larnn"] {
        train(&sandbox, &format!("text.toml --mechanism {mixer} --out {mixer}"));
        assert_goes_on(&sandbox, mixer, &text, &cuts);
        assert_verified(&sandbox, mixer, "some.txt", &format!("{n} tokens"));
    }
    // A text within one window is scored as the window is.
    let short = "four then one.\nfi";
    fs::write(sandbox.path("short.txt"), short).unwrap();
    let report = sandbox.regard("evaluate log --data short.txt --json").stdout;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let nats = report["report"]["scores"][0]["test"]["nats_per_character"].as_f64().unwrap();
    let out = fed(&sandbox, "stream log", short.as_bytes()).success();
    let cells: Vec<Vec<&str>> = out.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((cells[1][..2].to_vec(), &cells[2][..2]), (vec!["1", "14"], &["2", "2"][..]));
    assert!((cells[2][3].parse::<f64>().unwrap() - nats).abs() < 1e-5, "{out}: {nats}");
}

#[test]
fn classifiers_and_forecasters_go_on_and_equal_whole_series() {
    let sandbox = sandbox();
    train(&sandbox, "classes.toml --out classes");
    train(&sandbox, "forecast.toml --out forecast");
    let labelled = windows();
    let input = labelled.lines().skip(1).take(40).fold(String::from("u,v\n"), |mut text, line| {
        let cells: Vec<&str> = line.split(',').collect();
        writeln!(text, "{},{}", cells[3], cells[4]).unwrap();
        text
    });
    let line = |text: &str, n: usize| text.match_indices('\n').nth(n).unwrap().0 + 1;
    // Behind the header, within a window, at the end of one.
    let cuts = [0, 17, 23].map(|n| line(&input, n));
    assert_goes_on(&sandbox, "classes", &input, &[&cuts[..], &[line(&input, 12)]].concat());
    assert_goes_on(&sandbox, "classes --window 0", &input, &cuts);
    fs::write(sandbox.path("input.csv"), &input).unwrap();
    assert_verified(&sandbox, "classes", "input.csv", "12 rows");
    let piped = fed(&sandbox, "stream classes --window 0 --verify", input.as_bytes()).success();
    assert!(piped.starts_with("classes: 40 rows, in steps and at once, f32\n"), "{piped}");

    assert_goes_on(&sandbox, "forecast", &rows(), &[line(&rows(), 50)]);
    assert_verified(&sandbox, "forecast", "rows.csv", "240 rows");
    // A forecast is nearer to the next row than zero is, and names its channels in any order.
    let out = fed(&sandbox, "stream forecast", b"c,x,b,a\n0.1,9,0.2,0.3\n").success();
    assert!(out.starts_with("step,a,b,c\n1,"), "{out}");
    let same = fed(&sandbox, "stream forecast", b"a,b,c\n0.3,0.2,0.1\n").success();
    assert_eq!(out, same);
}

#[test]
fn a_killed_stream_goes_on_from_the_last_state_that_was_saved() {
    let sandbox = sandbox();
    train(&sandbox, "text.toml --out run");
    let text = text();
    let whole = fed(&sandbox, "stream run", text.as_bytes()).success();
    let begun = |arguments: &str, input: &str, n: usize| {
        let mut child = started(&sandbox, arguments);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        stdin.flush().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut read = String::new();
        for _ in 0..n {
            out.read_line(&mut read).unwrap();
        }
        (child, stdin, read)
    };
    let (mut child, stdin, read) =
        begun("stream run --snapshot s.snap --snapshot-every 10", &lines(&text, 0, 23), 24);
    assert_eq!(read, lines(&whole, 0, 24));
    child.kill().unwrap();
    child.wait().unwrap();
    drop(stdin);

    // Behind line 20, then stopped by a signal behind line 27.
    let (child, stdin, read) =
        begun("stream run --restore s.snap --snapshot s.snap", &lines(&text, 20, 27), 7);
    assert_eq!(read, lines(&whole, 21, 28));
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ended = sandbox.finished(child.wait_with_output().unwrap());
    drop(stdin);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("wrote s.snap: 27 lines, "), "{}", ended.stderr);
    let rest =
        fed(&sandbox, "stream run --restore s.snap", lines(&text, 27, 80).as_bytes()).success();
    assert_eq!(rest, lines(&whole, 28, 81));
}

#[test]
fn wrong_use_is_named() {
    let sandbox = sandbox();
    let refused = |arguments: &str, input: &[u8]| {
        let finished = fed(&sandbox, arguments, input);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{arguments}");
        assert!(!finished.stderr.contains("panicked"), "{arguments}: {}", finished.stderr);
        finished.stderr
    };
    train(&sandbox, "text.toml --out run");
    train(&sandbox, "text.toml --out other --set seed=5");
    train(&sandbox, "classes.toml --out classes");
    fed(&sandbox, "stream run --snapshot s.snap", b"one then six.\n").success();
    fed(&sandbox, "stream classes --snapshot c.snap", b"0.5,0.5\n").success();
    let state = fs::read(sandbox.path("s.snap")).unwrap();
    fs::write(sandbox.path("cut.snap"), &state[..state.len() - 7]).unwrap();
    fs::write(sandbox.path("empty.snap"), "").unwrap();
    for (arguments, expected) in [
        ("stream run --restore none.snap", "cannot read none.snap: No such file"),
        ("stream run --restore cut.snap", "cut.snap: not a complete safetensors file of"),
        ("stream run --restore empty.snap", "empty.snap: not a complete safetensors file of 0"),
        (
            "stream run --restore run/model.safetensors",
            "run/model.safetensors: not the state of a stream; `regard stream RUN --snapshot FILE` writes one",
        ),
        ("stream other --restore s.snap", "the state of another model: that of run (text, "),
        ("stream classes --restore s.snap", ", not that of classes (classes, "),
        ("stream run --restore c.snap", "that of classes (classes, "),
        ("stream run --snapshot no/s.snap", "cannot write no/s.snap: No such file"),
        ("stream run --snapshot run", "cannot write run: "),
        ("stream run --verify text.txt --restore s.snap", "cannot be used with '--restore <FILE>'"),
        ("stream run --verify none.txt", "cannot read none.txt: No such file"),
        ("stream run --snapshot-every 5", "--snapshot <FILE>"),
        ("stream run --window 5", "--window is for rows"),
        ("stream run --each step", "--each is for classes"),
        ("stream classes --window 0 --each window", "--window 0 has no last row"),
        ("stream classes --verify", "no row to compare"),
        ("stream run --verify", "standard input is empty, expected text"),
    ] {
        let found = refused(arguments, b"");
        assert!(found.contains(expected), "{arguments}: {found}");
    }
    for name in ["no", "run/s.snap"] {
        assert!(!sandbox.path(name).exists(), "{name}");
    }
    // Places in a text count from its start, also behind a state and within long lines.
    let found = fed(&sandbox, "stream run --restore s.snap", "one\nsix § then\n".as_bytes());
    assert!(found.stderr.contains("standard input, line 3, column 5: the character '§'"));
    assert_eq!((found.code, found.stdout.lines().count()), (Some(2), 1));
    let long = format!("{}§", "one then ".repeat(1000));
    let found = fed(&sandbox, "stream run", long.as_bytes()).stderr;
    assert!(found.contains("standard input, line 1, column 9001: the character '§'"), "{found}");
    let found = fed(&sandbox, "stream classes", b"1,2\n3,x\n").stderr;
    assert!(found.contains("line 2, column \"v\": found \"x\""), "{found}");
    // What was read before an error is saved.
    let found = fed(&sandbox, "stream classes --snapshot d.snap", b"1,2\n3,x\n");
    assert_eq!((found.code, found.stdout.lines().count()), (Some(2), 2));
    assert!(found.stderr.starts_with("wrote d.snap: 1 lines, 4 bytes of input; "));
    let found = fed(&sandbox, "stream classes --restore c.snap", b"u,w\n1,2\n").stderr;
    assert!(found.contains("line 2 has no column \"v\""), "{found}");
}

#[test]
fn models_that_need_whole_sequences_say_which_do_not() {
    let sandbox = sandbox();
    let cnn = CLASSES.split("[model]").next().unwrap().to_owned()
        + "[model]\nkind = \"cnn\"\n[fit]\nepochs = 1\n[baselines]\ntrained = []\n";
    fs::write(sandbox.path("cnn.toml"), cnn).unwrap();
    train(&sandbox, "cnn.toml --out cnn");
    let lifted = FORECAST
        .replace("kind = \"lstm\"\nd_hidden = 8\nn_layers = 2", "kind = \"lifted\"\ndegree = 1");
    fs::write(sandbox.path("lifted.toml"), lifted).unwrap();
    train(&sandbox, "lifted.toml --out lifted");
    for (run, expected) in [
        ("cnn", "its model needs whole series; row by row read lstm, gru, and a classifier"),
        ("lifted", "its model needs whole windows; of the forecasters only lstm reads row by row"),
    ] {
        let found = fed(&sandbox, &format!("stream {run}"), b"1,2\n");
        assert_eq!(found.code, Some(2));
        assert!(found.stderr.contains(expected), "{}", found.stderr);
    }
}

#[test]
fn a_model_of_no_numbers_fails_its_verification() {
    let sandbox = sandbox();
    train(&sandbox, "forecast.toml --out run");
    let file = sandbox.path("run/model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    bytes[8 + usize::try_from(header).unwrap()..].fill(0xff);
    fs::write(&file, bytes).unwrap();
    let found = sandbox.regard("stream run --verify rows.csv");
    assert_eq!(found.code, Some(2), "{}", found.stdout);
    assert!(found.stderr.contains("steps and the whole sequence differ by"), "{}", found.stderr);
}
