//! A sweep as a user runs it: killed, shared by two processes, split into tasks.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod sandbox;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rusqlite::Connection;
use sandbox::Sandbox;
use serde_json::Value;

/// A training of a fraction of a second.
const BASE: &str = r#"
seed = 3

[data]
source = "lorenz"
n_series = 4
n_steps = 200
seed = 1
test = { n_series = 2, n_steps = 100, seed = 2 }

[split]
by = "series"
train = 0.5
validation = 0.5

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
epochs = 12
batch_size = 16

[evaluate]
rollouts = 2
steps = 20
"#;

/// `search` is the content of `[search]`.
fn file(search: &str) -> String {
    format!(
        r#"
base = "base.toml"

[search]
{search}

[set]
"fit.batch_size" = 32

[keys]
"fit.optimizer.learning_rate" = {{ distribution = "log-uniform", low = 1e-4, high = 1e-1 }}
"model.mechanism.n_heads" = {{ choices = [1, 2, 4] }}
"model.d_model" = {{ distribution = "integer", low = 4, high = 16, step = 2, multiple_of = "model.mechanism.n_heads" }}
"#
    )
}

fn sandbox(search: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("base.toml"), BASE).unwrap();
    fs::write(sandbox.path("my.toml"), file(search)).unwrap();
    sandbox
}

fn report(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap()
}

/// What a sweep found: everything about every trial but its time.
fn found(folder: &Path) -> Vec<Value> {
    let mut trials = report(folder)["trials"].as_array().unwrap().clone();
    for trial in &mut trials {
        trial["seconds"] = Value::Null;
    }
    trials
}

/// The file is whole, and every number from 1 to `n` ended once.
#[track_caller]
fn assert_sound(folder: &Path, n: i64) {
    let db = Connection::open(folder.join("sweep.db")).unwrap();
    let text = |sql: &str| db.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("PRAGMA integrity_check"), "ok");
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM trials"), n);
    assert_eq!(count("SELECT count(*) FROM trials WHERE state = 'finished'"), n);
    assert_eq!(count("SELECT max(number) FROM trials"), n);
    assert_eq!(count("SELECT count(*) FROM epochs"), 12 * n);
}

/// Starts a command and waits until it has written a line with `text` to standard error.
fn start_until(
    sandbox: &Sandbox,
    arguments: &str,
    text: &str,
) -> (Child, BufReader<impl std::io::Read>) {
    let mut command = sandbox.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "{text} never comes");
    }
    (child, stderr)
}

#[test]
fn a_sweep_killed_within_trials_loses_and_repeats_nothing() {
    let sandbox = sandbox("method = \"random\"\ntrials = 4");
    sandbox.regard("sweep my.toml --out whole").success();
    for cut in [
        "trial 1 of 4: training easy, seed 3: epoch 5/",
        "trial 3 of 4: training easy, seed 3: epoch 2/",
    ] {
        let (mut child, _stderr) = start_until(&sandbox, "sweep my.toml --out cut", cut);
        child.kill().unwrap();
        child.wait().unwrap();
        let db = Connection::open(sandbox.path("cut/sweep.db")).unwrap();
        let running = "SELECT count(*) FROM trials WHERE state = 'running'";
        let n: i64 = db.query_row(running, [], |row| row.get(0)).unwrap();
        assert_eq!(n, 1, "it was killed between two trials");
    }
    let last = sandbox.regard("sweep my.toml --out cut");
    assert!(last.stderr.contains("trial 3 of 4 was abandoned; going on from its checkpoint"));
    for ended in ["trial 1 of 4", "trial 2 of 4"] {
        assert!(!last.stderr.contains(ended), "{ended} again: {}", last.stderr);
    }
    // Some epochs of trial 3 were over; those are not trained again.
    assert!(
        !last.stderr.contains("trial 3 of 4: training easy, seed 3: epoch 1/"),
        "{}",
        last.stderr
    );
    last.success();
    assert_sound(&sandbox.path("cut"), 4);
    assert_eq!(found(&sandbox.path("cut")), found(&sandbox.path("whole")));
    // A sweep whose budget is used up trains nothing, and says what it found.
    let again = sandbox.regard("sweep my.toml --out cut");
    assert_eq!(again.stderr, "");
    assert!(again.success().contains("4 finished"));
}

#[test]
fn two_processes_share_the_trials_of_one_sweep() {
    let sandbox = sandbox("method = \"random\"\ntrials = 8");
    let spawn = || {
        let mut command = sandbox.command("sweep my.toml --out shared --threads 1");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children = [spawn(), spawn()];
    let ended = children.map(|child| sandbox.finished(child.wait_with_output().unwrap()));
    let mut numbers: Vec<u32> = Vec::new();
    for process in &ended {
        assert_eq!(process.code, Some(0), "{}", process.stderr);
        assert!(!process.stderr.contains("abandoned"), "{}", process.stderr);
        let lines = process.stderr.lines().filter(|line| line.contains(": validation_loss "));
        numbers.extend(lines.map(|line| line.split(' ').nth(1).unwrap().parse::<u32>().unwrap()));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_sound(&sandbox.path("shared"), 8);
}

#[test]
fn tasks_give_what_one_process_gives() {
    let sandbox = sandbox("method = \"random\"\ntrials = 3");
    sandbox.regard("sweep my.toml").success();
    let plan = sandbox.regard("sweep plan my.toml --out jobs").success();
    assert!(plan.starts_with("wrote 3 tasks to jobs/tasks\n"), "{plan}");
    // The plan stands alone, and the order of the tasks is of no importance.
    fs::rename(sandbox.path("jobs"), sandbox.path("elsewhere")).unwrap();
    fs::remove_file(sandbox.path("base.toml")).unwrap();
    for task in [3, 1] {
        sandbox.regard(&format!("sweep run elsewhere --task {task}")).success();
    }
    let partial = sandbox.regard("sweep collect elsewhere").success();
    assert!(partial.ends_with("missing   results of task 2\n"), "{partial}");
    let (mut child, _stderr) = start_until(&sandbox, "sweep run elsewhere --task 2", "epoch 2/");
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = sandbox.regard("sweep run elsewhere --task 2");
    assert!(!resumed.stderr.contains("epoch 1/"), "{}", resumed.stderr);
    resumed.success();
    let again = sandbox.regard("sweep run elsewhere --task 2");
    assert_eq!(again.stderr, "task 2 is finished; nothing to do\n");
    let all: Value =
        serde_json::from_str(&sandbox.regard("sweep collect elsewhere --json").success()).unwrap();
    assert_eq!(all["missing"], serde_json::json!([]));
    assert_sound(&sandbox.path("elsewhere"), 3);
    assert_eq!(found(&sandbox.path("elsewhere")), found(&sandbox.path("sweeps/my")));
}

#[test]
fn the_printed_commands_give_the_best_model_and_its_score() {
    let sandbox = sandbox("trials = 3\nstartup = 2");
    let printed = sandbox.regard("sweep my.toml").success();
    let command = |name: &str| {
        let line = printed.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_once("regard ").unwrap().1.to_owned()
    };
    // Nothing was scored on the test part before.
    let best = report(&sandbox.path("sweeps/my"))["best"]["number"].as_u64().unwrap();
    let run = sandbox.path("sweeps/my/trials").join(format!("{best:04}"));
    assert!(!run.join("report.json").exists() && run.join("checkpoint.safetensors").exists());
    let again = sandbox.regard(&format!("{} --out again", command("again")));
    assert!(matches!(again.code, Some(0 | 1)), "{}", again.stderr);
    let scored = sandbox.regard(&command("score it"));
    assert!(matches!(scored.code, Some(0 | 1)), "{}", scored.stderr);
    let model = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert!(model(&run) == model(&sandbox.path("again")), "the models differ");
}

#[test]
fn a_sweep_searches_any_task() {
    let sandbox = Sandbox::new();
    sandbox.regard("data make controlled-ode --count 40 --points 20 --out pairs.npz").success();
    let file = r#"
base = "controlled-ode"

[search]
method = "grid"

[set]
"data.path" = "pairs.npz"
"model.d_model" = 8
"fit.epochs" = 2

[keys]
"model.mechanism.n_heads" = { choices = [1, 2] }
"model.n_layers" = { choices = [1, 2] }
"#;
    fs::write(sandbox.path("operators.toml"), file).unwrap();
    let printed = sandbox.regard("sweep operators.toml").success();
    assert_eq!(report(&sandbox.path("sweeps/operators"))["trials"].as_array().unwrap().len(), 4);
    let command = printed.lines().find(|line| line.starts_with("score it")).unwrap();
    let scored = sandbox.regard(command.split_once("regard ").unwrap().1);
    assert!(matches!(scored.code, Some(0 | 1)), "{}", scored.stderr);
    assert!(scored.stdout.contains("tno"), "{}", scored.stdout);
}

#[test]
fn pruned_trials_end_early_and_keep_their_values() {
    let sandbox = sandbox("method = \"random\"\nseed = 5\ntrials = 8");
    let rule = "\n[prune]\nkind = \"median\"\nwarmup_epochs = 2\nstartup_trials = 3\n";
    fs::write(sandbox.path("my.toml"), file("method = \"random\"\ntrials = 8") + rule).unwrap();
    sandbox.regard("sweep my.toml").success();
    let trials = report(&sandbox.path("sweeps/my"))["trials"].as_array().unwrap().clone();
    let pruned: Vec<&Value> = trials.iter().filter(|trial| trial["state"] == "pruned").collect();
    assert!(!pruned.is_empty() && pruned.len() < 6, "{} pruned", pruned.len());
    for trial in pruned {
        let epochs = trial["epochs"].as_u64().unwrap();
        assert!((3..12).contains(&epochs) && trial["objective"].is_f64(), "{trial}");
    }
}

#[test]
#[cfg(unix)]
fn ctrl_c_names_the_command_that_continues() {
    let sandbox = sandbox("method = \"random\"\ntrials = 2");
    let (child, stderr) =
        start_until(&sandbox, "sweep my.toml", "trial 1 of 2: training easy, seed 3: epoch 3/");
    assert!(
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success()
    );
    let last = stderr.lines().map(Result::unwrap).last().unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(2));
    let (message, again) = last.split_once("regard ").unwrap();
    assert_eq!(message, "error: stopped before the end, a checkpoint is saved; continue with: ");
    assert_eq!(again, "sweep my.toml");
    sandbox.regard(again).success();
    assert_sound(&sandbox.path("sweeps/my"), 2);
}

/// The command fails with this message and makes no folder.
#[track_caller]
fn refuses(sandbox: &Sandbox, arguments: &str, message: &str) {
    let before = fs::read_dir(sandbox.path("")).unwrap().count();
    let finished = sandbox.regard(arguments);
    assert_eq!(finished.stderr, format!("error: {message}\n"));
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        fs::read_dir(sandbox.path("")).unwrap().count(),
        before,
        "something was left behind"
    );
}

#[test]
fn wrong_files_are_refused() {
    let sandbox = sandbox("trials = 3");
    let with = |name: &str, from: &str, to: &str| {
        fs::write(sandbox.path(name), file("trials = 3").replace(from, to)).unwrap();
    };
    with("key.toml", "fit.optimizer.learning_rate", "fit.optimizer.learning_rat");
    refuses(
        &sandbox,
        "sweep key.toml",
        "key.toml: keys.\"fit.optimizer.learning_rat\" = 0.0001: unknown field `learning_rat`, expected \
         one of `learning_rate`, `eps`, `l2`\nin `fit.optimizer` (did you mean \"learning_rate\"?)",
    );
    with("range.toml", "high = 1e-1", "high = 1e-5");
    refuses(
        &sandbox,
        "sweep range.toml",
        "range.toml: keys.\"fit.optimizer.learning_rate\": low = 0.0001 is above high = 0.00001",
    );
    with("test.toml", "base =", "objective = \"test_loss\"\nbase =");
    refuses(
        &sandbox,
        "sweep test.toml",
        "test.toml: objective = \"test_loss\" is a score of the test part; a sweep that chose by it would \
         report the luck of its best trial as skill. Use one of validation_loss, validation_accuracy; the \
         chosen trial is scored on the test part once, at the end",
    );
    refuses(
        &sandbox,
        "sweep plan my.toml --out jobs",
        "my.toml: search.method = \"tpe\" chooses a trial by those before it, and a plan is made before \
         all of them; use \"random\" or \"grid\"",
    );
    refuses(
        &sandbox,
        "sweep collect .",
        ".: not a plan: it has no tasks; make one with `regard sweep plan FILE --out DIR`",
    );
    refuses(
        &sandbox,
        "sweep no.toml",
        "cannot read no.toml: No such file or directory (os error 2)",
    );
    with("accuracy.toml", "base =", "objective = \"validation_accuracy\"\nbase =");
    let finished = sandbox.regard("sweep accuracy.toml");
    let message = "error: objective = \"validation_accuracy\": the epochs of this run have no such value; \
                   use \"validation_loss\"";
    assert_eq!(finished.stderr.lines().last(), Some(message), "{}", finished.stderr);
}

#[test]
fn a_changed_file_does_not_go_on_with_an_old_sweep() {
    let sandbox = sandbox("trials = 1");
    sandbox.regard("sweep my.toml").success();
    // More of the same is no change.
    fs::write(sandbox.path("my.toml"), file("trials = 2")).unwrap();
    sandbox.regard("sweep my.toml").success();
    let remedy = "and its trials would not be comparable; undo the change (sweep.toml in the folder is the \
                  file as it was) or choose another --out";
    fs::write(sandbox.path("my.toml"), file("trials = 2\nseed = 1")).unwrap();
    let message =
        format!("sweeps/my: the section [search] was another one when this sweep began, {remedy}");
    refuses(&sandbox, "sweep my.toml", &message);
    fs::write(sandbox.path("my.toml"), file("trials = 2")).unwrap();
    fs::write(sandbox.path("base.toml"), BASE.replace("seed = 3", "seed = 4")).unwrap();
    let message = format!(
        "sweeps/my: the configuration \"base.toml\" was another one when this sweep began, {remedy}"
    );
    refuses(&sandbox, "sweep my.toml", &message);
}
