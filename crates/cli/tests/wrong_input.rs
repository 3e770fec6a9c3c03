//! Wrong input: one clear message, exit code 2, nothing on standard output, nothing left behind.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod sandbox;

use std::fs;
use std::process::Command;

use sandbox::{Finished, Sandbox};

/// A configuration for a table; the file has the rows of two windows and more.
const TABLE: &str = r#"
[task]
window = 4

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
epochs = 1
optimizer = { kind = "adam", learning_rate = 1e-3 }

[evaluate]
rollouts = 2
steps = 3
"#;

/// Sixty good rows of two columns.
fn good_rows() -> Vec<String> {
    let row = |t: i32| format!("{},{}", f64::from(t).sin(), f64::from(t).cos());
    std::iter::once(String::from("a,b")).chain((0..60).map(row)).collect()
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("table.toml"), TABLE).unwrap();
    fs::write(sandbox.path("good.csv"), good_rows().join("\n")).unwrap();
    sandbox
}

/// Names of what lies in the sandbox, hidden files included, sorted.
fn entries(sandbox: &Sandbox) -> Vec<String> {
    let entries = fs::read_dir(sandbox.path("")).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

/// A sandbox with the finished run `done`, trained on `good.csv`.
fn trained() -> Sandbox {
    let sandbox = sandbox();
    let finished = sandbox.regard("train table.toml --data good.csv --out done");
    assert!(matches!(finished.code, Some(0 | 1)), "{}", finished.stderr);
    sandbox
}

#[track_caller]
fn assert_refused(finished: &Finished, message: &str) {
    assert_eq!(finished.stderr, format!("error: {message}\n"));
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
}

/// The command fails with this message and leaves the sandbox as it was.
#[track_caller]
fn refuses(sandbox: &Sandbox, arguments: &str, message: &str) {
    let before = entries(sandbox);
    let finished = sandbox.regard(arguments);
    assert_refused(&finished, message);
    assert_eq!(entries(sandbox), before, "something was left behind");
}

/// Training on a file with this text fails with this message.
#[track_caller]
fn refuses_table(text: &str, message: &str) {
    let sandbox = sandbox();
    fs::write(sandbox.path("bad.csv"), text).unwrap();
    refuses(&sandbox, "train table.toml --data bad.csv --out run", message);
}

/// The good table with one line replaced; lines count from 1 at the header.
fn with_line(line: usize, text: &str) -> String {
    let mut rows = good_rows();
    rows[line - 1] = text.to_string();
    rows.join("\n")
}

#[test]
fn an_unknown_preset() {
    refuses(
        &sandbox(),
        "train lorens",
        "no preset and no file is called \"lorens\" (did you mean \"lorenz\"?); \
         presets: controlled-ode, darcy, kolmogorov, lorenz, lorenz-anchor, lorenz-direct, lorenz-lifted, \
         lorenz-noise, lorenz-operator, mnist, reactor, reactor-lifted, series, shear-flow, shear-flow-lifted, sinusoids, sinusoids-lifted, text, text-paper, uci-har, uci-har-paper, \
         uea/NAME, uea-stem/NAME, uea-stem/UWaveGestureLibrary",
    );
}

#[test]
fn a_configuration_file_that_does_not_exist() {
    refuses(
        &sandbox(),
        "train my.toml",
        "cannot read my.toml: No such file or directory (os error 2)",
    );
}

#[test]
fn an_unknown_key_in_a_file() {
    let sandbox = sandbox();
    fs::write(sandbox.path("typo.toml"), "[fit]\nepoch = 3\n").unwrap();
    refuses(
        &sandbox,
        "train typo.toml --data good.csv",
        "typo.toml: TOML parse error at line 2, column 1\n  |\n2 | epoch = 3\n  | ^^^^^\n\
         unknown field `epoch`, expected one of `epochs`, `batch_size`, `patience`, `clip_norm`, \
         `input_noise`, `optimizer`, `schedule`, `rollout`, `finish` (did you mean \"epochs\"?)",
    );
}

#[test]
fn an_unknown_key_of_set() {
    refuses(
        &sandbox(),
        "train lorenz --set fit.epoch=3",
        "--set fit.epoch=3: unknown field `epoch`, expected one of `epochs`, `batch_size`, \
         `patience`, `clip_norm`, `input_noise`, `optimizer`, `schedule`, `rollout`, `finish`\nin `fit` (did you mean \"epochs\"?)",
    );
    refuses(
        &sandbox(),
        "train lorenz --set fits.epochs=3",
        "--set fits.epochs=3: unknown field `fits`, expected one of `title`, `seed`, `precision`, \
         `data`, `noise`, `split`, `task`, `model`, `fit`, `evaluate`, `baselines` (did you mean \"fit\"?)",
    );
    refuses(
        &sandbox(),
        "train lorenz --set data.n_step=3",
        "--set data.n_step=3: unknown key \"data.n_step\" (did you mean \"n_steps\"?); known: \
         source, n_series, n_steps, dt, substeps, burn_in, seed, test, sigma, rho, beta",
    );
}

#[test]
fn a_set_that_is_no_assignment_or_of_another_type() {
    refuses(
        &sandbox(),
        "train lorenz --set fit.epochs",
        "--set fit.epochs: expected key=value, as in fit.epochs=10",
    );
    refuses(
        &sandbox(),
        "train lorenz --set fit.epochs=many",
        "--set fit.epochs=many: invalid type: string \"many\", expected usize\nin `fit.epochs`",
    );
    refuses(&sandbox(), "train lorenz --set fit.epochs=0", "fit.epochs = 0: expected at least 1");
}

#[test]
fn an_unknown_model() {
    let message = "no model is called \"softmx\" (did you mean \"softmax\"?); \
                   models: easy, easy-left, softmax, lstm, lifted, larnn, linear, log, batch-norm, \
                   scaled-heads, batch-norm-scaled-heads";
    refuses(&sandbox(), "train lorenz --mechanism softmx", message);
    refuses(&sandbox(), "compare lorenz --mechanisms easy,softmx", message);
}

#[test]
fn no_data() {
    let message = "no data: give --data FILE, or a [data] section in series";
    refuses(&sandbox(), "train series", message);
}

#[test]
fn a_data_file_that_does_not_exist() {
    refuses(
        &sandbox(),
        "train table.toml --data no.csv",
        "cannot read no.csv: No such file or directory (os error 2)",
    );
}

#[test]
fn text_in_a_number_column() {
    refuses_table(
        &with_line(8, "1.5,high"),
        "bad.csv, line 8, column \"b\": found \"high\", expected a number; remove the column or \
         list the numeric ones under data.columns (a missing value is an empty cell or NaN)",
    );
}

#[test]
fn ragged_rows() {
    refuses_table(
        &with_line(9, "1,2,3"),
        "bad.csv, line 9: found 3 cells, expected 2 as in the header; complete or remove the line",
    );
}

#[test]
fn an_empty_file() {
    refuses_table(
        "",
        "bad.csv is empty, expected a header line with column names, then one row per time step",
    );
    refuses_table(
        "a,b\n",
        "bad.csv holds no rows, expected one row per time step below the column names",
    );
}

#[test]
fn missing_and_infinite_values() {
    let remedy = "expected a finite number; complete the data, or set \
                  data.missing = \"previous\" | \"linear\" | \"drop-row\"";
    for (found, name) in [("NaN", "NaN"), ("inf", "inf"), ("", "an empty cell")] {
        refuses_table(
            &with_line(7, &format!("0.5,{found}")),
            &format!("bad.csv, line 7, column \"b\": found {name}, {remedy}"),
        );
    }
}

#[test]
fn the_offered_policy_mends_a_missing_value() {
    let sandbox = sandbox();
    fs::write(sandbox.path("bad.csv"), with_line(7, "0.5,NaN")).unwrap();
    for policy in ["previous", "linear", "drop-row"] {
        fs::write(
            sandbox.path("mended.toml"),
            format!(
                "{TABLE}\n[data]\nsource = \"file\"\npath = \"bad.csv\"\nmissing = \"{policy}\"\n"
            ),
        )
        .unwrap();
        let finished = sandbox.regard(&format!("train mended.toml --out {policy}"));
        assert!(matches!(finished.code, Some(0 | 1)), "{}", finished.stderr);
    }
}

#[test]
fn a_gap_in_time() {
    let rows = |t: i32| format!("{},{}", if t < 30 { t } else { t + 5 }, f64::from(t).sin());
    let rows: Vec<String> = (0..60).map(rows).collect();
    refuses_table(
        &format!("time,a\n{}", rows.join("\n")),
        "bad.csv, line 32, column \"time\": time goes from 29 to 35, a step of 6, expected equal \
         steps of 1; complete or resample the data (to take the rows as equally spaced, rename \
         the column and list the channels under data.columns)",
    );
}

#[test]
fn fewer_rows_than_one_window() {
    refuses_table(
        &good_rows()[..4].join("\n"),
        "series \"bad\" has 3 steps, expected at least 5 for one window and its horizon; give \
         longer series, or lower window = 4 or horizon = 1",
    );
}

#[test]
fn heads_that_do_not_divide_the_width() {
    refuses(
        &sandbox(),
        "train table.toml --data good.csv --set model.mechanism.n_heads=3 --out run",
        "d_model = 8 is not a multiple of n_heads = 3",
    );
}

#[test]
fn a_folder_that_is_no_run() {
    let sandbox = sandbox();
    fs::create_dir(sandbox.path("empty")).unwrap();
    let predict = "--input good.csv --horizon 5 --output out.csv";
    for (run, message) in [
        ("empty", "empty: not a run: it has no run.toml"),
        ("nowhere", "nowhere: no such folder; `regard runs list` shows the runs"),
    ] {
        refuses(&sandbox, &format!("predict {run} {predict}"), message);
        refuses(&sandbox, &format!("evaluate {run}"), message);
        refuses(&sandbox, &format!("runs show {run}"), message);
        refuses(&sandbox, &format!("train --resume {run}"), message);
    }
}

#[test]
fn a_folder_that_is_a_run_already() {
    refuses(
        &trained(),
        "train table.toml --data good.csv --out done",
        "done: already holds a run; choose another --out, or continue it with --resume",
    );
}

#[test]
fn a_failed_training_leaves_what_was_in_the_folder() {
    let sandbox = sandbox();
    fs::create_dir(sandbox.path("mine")).unwrap();
    fs::write(sandbox.path("mine/notes.txt"), "years of work").unwrap();
    let diverge = "--set fit.optimizer.learning_rate=1e30";
    let arguments = format!("train table.toml --data good.csv {diverge} --out mine");
    let finished = sandbox.regard(&arguments);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
    assert!(finished.stderr.starts_with("error: the loss became "), "{}", finished.stderr);
    assert_eq!(fs::read_to_string(sandbox.path("mine/notes.txt")).unwrap(), "years of work");
    assert_eq!(fs::read_dir(sandbox.path("mine")).unwrap().count(), 1, "a half-written run");
}

#[test]
fn a_model_file_cut_short() {
    let sandbox = trained();
    let model = sandbox.path("done/model.safetensors");
    let bytes = fs::read(&model).unwrap();
    fs::write(&model, &bytes[..bytes.len() / 2]).unwrap();
    let message = format!(
        "done/model.safetensors: not a complete safetensors file of {} bytes (invalid header \
         length); copy it again, or make it anew",
        bytes.len() / 2
    );
    refuses(&sandbox, "predict done --input good.csv --horizon 5 --output out.csv", &message);
    refuses(&sandbox, "evaluate done", &message);
}

#[test]
fn a_model_file_of_another_shape() {
    let sandbox = trained();
    let model = sandbox.path("done/model.safetensors");
    let mut bytes = fs::read(&model).unwrap();
    // The description in the header is JSON inside JSON; this keeps its length.
    let (from, to) = (br#"\"window\":4"#, br#"\"window\":5"#);
    let at = bytes.windows(from.len()).position(|part| part == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    fs::write(&model, bytes).unwrap();
    refuses(
        &sandbox,
        "predict done --input good.csv --horizon 5 --output out.csv",
        "done/model.safetensors: parameter Forecaster.embedding.mixing.weight has shape [4, 4], \
         the configuration asks for [5, 5]",
    );
}

#[test]
fn other_columns_than_the_model_was_trained_on() {
    let sandbox = trained();
    let rename = |header: &str| with_line(1, header);
    fs::write(sandbox.path("renamed.csv"), rename("a,c")).unwrap();
    let message = "the data has the columns a, c, expected a, b in this order; choose and order \
                   them with data.columns";
    refuses(&sandbox, "predict done --input renamed.csv --horizon 5 --output out.csv", message);
    refuses(&sandbox, "evaluate done --data renamed.csv", message);
}

#[test]
fn too_short_a_past_or_horizon_to_predict() {
    let sandbox = trained();
    fs::write(sandbox.path("short.csv"), good_rows()[..4].join("\n")).unwrap();
    refuses(
        &sandbox,
        "predict done --input short.csv --horizon 5 --output out.csv",
        "series \"short\" has 3 steps, the model needs the last 4 to go on from; give longer series",
    );
    refuses(
        &sandbox,
        "predict done --input good.csv --horizon 0 --output out.csv",
        "horizon = 0: expected at least 1",
    );
}

#[test]
fn an_output_format_that_does_not_exist() {
    let message = "out.xlsx: unknown extension \"xlsx\", expected one of .csv, .tsv, .parquet, \
                   .npz, .npy";
    refuses(&trained(), "predict done --input good.csv --horizon 5 --output out.xlsx", message);
    refuses(&sandbox(), "data make lorenz --out out.xlsx", message);
}

// Root may write everywhere, so the folders below lie under a regular file.

#[test]
fn an_unwritable_folder() {
    let sandbox = trained();
    refuses(
        &sandbox,
        "train table.toml --data good.csv --out good.csv/run",
        "cannot create good.csv/run: Not a directory (os error 20)",
    );
    refuses(
        &sandbox,
        "compare table.toml --mechanisms easy --data good.csv --out good.csv/all",
        "cannot create good.csv/all/easy-seed0: Not a directory (os error 20)",
    );
    for (output, folder, reason) in [
        ("good.csv/out.csv", "good.csv", "Not a directory (os error 20)"),
        ("nowhere/out.csv", "nowhere", "No such file or directory (os error 2)"),
    ] {
        let message = format!(
            "cannot write {output}: the folder {folder} does not exist or takes no new files: \
             {reason}"
        );
        let predict = "predict done --input good.csv --horizon 5";
        refuses(&sandbox, &format!("{predict} --output {output}"), &message);
        refuses(&sandbox, &format!("data make lorenz --out {output}"), &message);
    }
    refuses(
        &sandbox,
        "man --out good.csv/pages",
        "cannot write manual pages to good.csv/pages: Not a directory (os error 20)",
    );
}

/// Runs the program where no file may grow beyond `blocks` of 512 bytes: writing more fails with
/// EFBIG, as it would with ENOSPC on a full disk.
#[cfg(unix)]
fn with_little_room(sandbox: &Sandbox, blocks: u32, arguments: &str) -> Finished {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" {arguments}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_regard")]).current_dir(sandbox.path("."));
    sandbox.finished(shell.output().unwrap())
}

#[test]
#[cfg(unix)]
fn a_disk_that_takes_no_more() {
    let sandbox = trained();
    let before = entries(&sandbox);
    let cases = [
        (2, "data make lorenz --out lorenz.csv", "lorenz.csv"),
        (2, "predict done --input good.csv --horizon 500 --output out.csv", "out.csv"),
        (0, "train table.toml --data good.csv --out run", "run/run.toml"),
        (3, "train table.toml --data good.csv --out run", "run/checkpoint.safetensors"),
    ];
    for (blocks, arguments, file) in cases {
        let finished = with_little_room(&sandbox, blocks, arguments);
        let errors: Vec<&str> =
            finished.stderr.lines().filter(|line| !line.starts_with("training ")).collect();
        assert_eq!(errors, [format!("error: cannot write {file}: File too large (os error 27)")]);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
        assert_eq!(entries(&sandbox), before, "{arguments} left something behind");
    }
    // The limit is what stops them: with room enough the same command goes through.
    with_little_room(&sandbox, 1 << 20, cases[0].1).success();
}

#[test]
#[cfg(target_os = "linux")]
fn standard_output_on_a_full_device() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let sandbox = sandbox();
    let mut command = sandbox.command("presets show lorenz");
    let finished = sandbox.finished(command.stdout(full).output().unwrap());
    assert_refused(
        &finished,
        "cannot write to standard output: No space left on device (os error 28)",
    );
}

#[test]
fn arguments_out_of_range() {
    let sandbox = sandbox();
    refuses(
        &sandbox,
        "data make lorenz --out x.csv --dt -1",
        "dt = -1, expected a finite number above zero",
    );
    refuses(
        &sandbox,
        "data make lorenz --out x.csv --series 0",
        "n_series = 0, expected a finite number above zero",
    );
    refuses(
        &sandbox,
        "data make lorenz96 --out x.csv --n-variables 3",
        "n_variables = 3, expected at least 4",
    );
    refuses(
        &sandbox,
        "data make sinusoids --out x.csv --phases 0,1",
        "phases = [0.0, 1.0], expected as many entries, at least one, as there are frequencies",
    );
    refuses(
        &sandbox,
        "data make shear-flow --out x.csv --burn-in 0 --series 1 --steps 5",
        "200 series of Nine-equation shear flow in a row were rejected, expected one to be \
         accepted; raise burn_in, lower n_steps, or choose other parameters",
    );
    for arguments in ["presets list --threads 0", "compare lorenz --mechanisms easy --seeds 0"] {
        let finished = sandbox.regard(arguments);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
        assert!(finished.stderr.contains("0 is not in 1.."), "{}", finished.stderr);
    }
}

#[test]
fn inspecting_something_else_than_a_run_with_attention() {
    let sandbox = sandbox();
    refuses(
        &sandbox,
        "inspect no-such-run",
        "no-such-run: no such folder; `regard runs list` shows the runs",
    );
    fs::create_dir(sandbox.path("empty")).unwrap();
    refuses(&sandbox, "inspect empty", "empty: not a run: it has no run.toml");
    let trained = sandbox.regard("train table.toml --data good.csv --mechanism lstm --out lstm");
    assert!(matches!(trained.code, Some(0 | 1)), "{}", trained.stderr);
    let finished = sandbox.regard("inspect lstm");
    assert_refused(
        &finished,
        "lstm: it has no score matrices to inspect, an LSTM carries a state instead; give a run of a model \
         with attention",
    );
    assert!(!sandbox.path("lstm/inspect.html").exists());
}

#[test]
fn data_that_cannot_be_fetched() {
    let sandbox = Sandbox::new();
    let finished = sandbox.regard("data fetch uci-har --out har --from no-such.zip");
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
    assert!(finished.stderr.starts_with("error: cannot read no-such.zip: "), "{}", finished.stderr);
    // Port 1 of this machine: nobody listens there.
    let finished = sandbox.regard("data fetch uci-har --out har --from http://127.0.0.1:1/a.zip");
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
    let start = "error: cannot reach http://127.0.0.1:1/a.zip; give another address, or a file, \
                 with --from: ";
    assert!(finished.stderr.starts_with(start), "{}", finished.stderr);
}
