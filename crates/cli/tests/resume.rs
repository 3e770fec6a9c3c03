//! One seed, one model: whatever the thread count, and however often the training is cut off.
//!
//! The files compared are the weights and the forecasts made with them, byte by byte.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod sandbox;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use sandbox::Sandbox;

/// Long enough to be cut off several times, short enough to be trained several times.
const CONFIG: &str = r#"
seed = 3

[data]
source = "lorenz"
n_series = 6
n_steps = 600
seed = 1
test = { n_series = 2, n_steps = 200, seed = 2 }

[split]
by = "series"
train = 0.7
validation = 0.3

[task]
window = 16

[model]
kind = "forecaster"
d_model = 16
d_ff = 32
n_layers = 2
readout = "increment"

[model.mechanism]
kind = "easy"
n_heads = 2

[fit]
epochs = 24
batch_size = 32

[evaluate]
rollouts = 3
steps = 40
"#;

/// What a run leaves that says everything about its weights.
fn outcome(run: &Path) -> [Vec<u8>; 2] {
    ["model.safetensors", "predictions.parquet"].map(|name| {
        let path = run.join(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    })
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("long.toml"), CONFIG).unwrap();
    sandbox
}

/// Starts a training and waits until it has written the line of its `epochs`-th epoch.
fn start(sandbox: &Sandbox, arguments: &str, epochs: u32) -> Child {
    let mut command = sandbox.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let epoch = |line: &std::io::Result<String>| line.as_ref().unwrap().contains(": epoch ");
    for _ in 0..epochs {
        assert!(lines.any(|line| epoch(&line)), "the training ends before it can be cut off");
    }
    // Read on, so that the program never writes into a closed pipe.
    thread::spawn(move || lines.count());
    child
}

/// A small generator of numbers below a bound, for the moments of the cuts (Knuth's MMIX).
fn next(state: &mut u64, below: u32) -> u32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    u32::try_from(*state >> 33).expect("31 bits are left") % below
}

#[test]
fn one_seed_gives_the_same_bytes_with_one_and_with_two_threads() {
    let sandbox = sandbox();
    let train = |threads, out| {
        let set = "--set fit.epochs=3";
        let arguments = format!("train long.toml --threads {threads} {set} --out {out}");
        sandbox.regard(&arguments).success();
        outcome(&sandbox.path(out))
    };
    let first = train(1, "first");
    assert!(train(1, "again") == first, "two runs with one thread differ");
    assert!(train(2, "two") == first, "one and two threads differ");
    sandbox.regard("train long.toml --set fit.epochs=3 --seed 4 --out other").success();
    assert!(outcome(&sandbox.path("other")) != first, "the seed has no effect");
}

#[test]
fn a_run_killed_five_times_ends_in_the_same_bytes() {
    let sandbox = sandbox();
    let started = Instant::now();
    sandbox.regard("train long.toml --out whole").success();
    let epoch = started.elapsed() / 24;

    let mut random = 20;
    for kill in 0..5 {
        let arguments = if kill == 0 { "train long.toml --out cut" } else { "train --resume cut" };
        // At most three epochs in each life and a part of one more leave some for the last one;
        // the first life has at least one, so that there is a run to resume.
        let epochs = if kill == 0 { 1 } else { next(&mut random, 4) };
        let mut child = start(&sandbox, arguments, epochs);
        thread::sleep(epoch * next(&mut random, 100) / 100);
        assert!(child.try_wait().unwrap().is_none(), "kill {kill} comes too late");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!sandbox.path("cut/model.safetensors").exists(), "the training was over");
    }
    sandbox.regard("train --resume cut").success();
    assert!(outcome(&sandbox.path("cut")) == outcome(&sandbox.path("whole")));
}

#[test]
#[cfg(unix)]
fn ctrl_c_names_the_command_that_continues_to_the_same_bytes() {
    let sandbox = sandbox();
    sandbox.regard("train long.toml --out whole").success();

    let mut command = sandbox.command("train long.toml --out cut");
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(": epoch 2/") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the training ends too early");
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let last = stderr.lines().map(Result::unwrap).last().unwrap();
    let ended = sandbox.finished(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));

    let (message, again) = last.split_once("regard ").unwrap();
    assert_eq!(message, "error: stopped before the end, a checkpoint is saved; continue with: ");
    assert_eq!(again, "train --resume cut");
    sandbox.regard(again).success();
    assert!(outcome(&sandbox.path("cut")) == outcome(&sandbox.path("whole")));
}
