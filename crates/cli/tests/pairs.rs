//! `regard data make` for pairs of functions: what is written, and that it goes on after a stop.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod sandbox;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use regard_data::operator::{FunctionArchive, FunctionSet, PairArrays};
use sandbox::Sandbox;

fn read(sandbox: &Sandbox, name: &str) -> FunctionSet {
    let path = sandbox.path(name);
    FunctionArchive::open(&path).unwrap().read(&PairArrays::default()).unwrap()
}

#[test]
fn every_generator_writes_its_pairs() {
    let sandbox = Sandbox::new();
    for (kind, options, points, channels) in [
        ("darcy", "--size 8 --coefficient piecewise --placement cells", vec![8, 8], 1),
        ("kolmogorov", "--size 16 --resolution 16 --burn-in 0.1 --spacing 0.2", vec![16, 16], 1),
        ("controlled-ode", "--points 11 --spacing half-rate", vec![8], 1),
        ("lorenz-operator", "--points 7 --with-z", vec![7], 2),
        ("burgers", "--size 8 --resolution 64 --duration 0.1", vec![8], 1),
    ] {
        let make = |out: &str, more: &str| {
            let arguments = format!("data make {kind} --count 3 {options} --out {out} {more}");
            sandbox.regard(&arguments).success()
        };
        let printed = make("a.npz", "--threads 1");
        assert_eq!(printed, "wrote a.npz: 3 pairs of functions\n");
        make("b.npz", "--threads 2");
        let bytes = |name: &str| fs::read(sandbox.path(name)).unwrap();
        assert!(bytes("a.npz") == bytes("b.npz"), "{kind}: one and two threads differ");
        make("c.npz", "--seed 1");
        assert!(bytes("a.npz") != bytes("c.npz"), "{kind}: the seed has no effect");
        let set = read(&sandbox, "a.npz");
        assert_eq!((set.samples(), set.points().shape()), (3, points), "{kind}");
        assert_eq!(set.outputs().channels.len(), channels, "{kind}");
    }
}

const SLOW: &str = "data make darcy --count 40 --size 33 --solve-nodes 129 --threads 1 --out";

/// Starts a command and waits until it has written a few pairs more.
fn start(sandbox: &Sandbox, out: &str) -> Child {
    let part = sandbox.path(&format!("{out}.part"));
    let length = || fs::metadata(&part).map_or(0, |part| part.len());
    let enough = length() + 4 * 2 * 33 * 33 * 8;
    let mut command = sandbox.command(&format!("{SLOW} {out}"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while length() < enough {
        assert!(child.try_wait().unwrap().is_none(), "the command ends before it can be cut off");
        thread::sleep(Duration::from_millis(2));
    }
    child
}

#[test]
#[cfg(unix)]
fn killed_and_interrupted_commands_go_on_to_the_same_bytes() {
    let sandbox = Sandbox::new();
    sandbox.regard(&format!("{SLOW} whole.npz")).success();

    let mut killed = start(&sandbox, "cut.npz");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!sandbox.path("cut.npz").exists(), "the command was over");

    let interrupted = start(&sandbox, "cut.npz");
    let pid = interrupted.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ended = sandbox.finished(interrupted.wait_with_output().unwrap());
    let (message, again) = ended.stderr.trim_end().rsplit_once("regard ").unwrap();
    assert_eq!(ended.code, Some(2), "{message}");
    assert!(
        message.contains("error: stopped after ")
            && message.contains(" of 40 pairs, which are kept in cut.npz.part; continue with: "),
        "{message}"
    );
    let printed = sandbox.regard(again).success();
    assert!(printed.starts_with("wrote cut.npz: 40 pairs of functions, "), "{printed}");
    let bytes = |name: &str| fs::read(sandbox.path(name)).unwrap();
    assert!(bytes("cut.npz") == bytes("whole.npz"));
    assert!(!sandbox.path("cut.npz.part").exists());
}

#[test]
fn wrong_options_are_named_before_anything_is_written() {
    let sandbox = Sandbox::new();
    for (arguments, message) in [
        ("darcy --size 1 --out a.npz", "found 1 rows, expected at least 2"),
        ("darcy --tau 0 --out a.npz", "field.tau = 0, expected a finite number above zero"),
        (
            "kolmogorov --resolution 47 --out a.npz",
            "resolution = 47, expected an even number from 16",
        ),
        ("burgers --count 0 --out a.npz", "count = 0, expected at least 1"),
        ("controlled-ode --out a.csv", "a.csv: unknown extension \"csv\", expected one of .npz"),
    ] {
        let finished = sandbox.regard(&format!("data make {arguments}"));
        assert_eq!((finished.code, finished.stderr), (Some(2), format!("error: {message}\n")));
    }
    assert_eq!(fs::read_dir(sandbox.path("")).unwrap().count(), 0);
}
