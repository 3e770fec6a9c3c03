//! Every wrong file gives one message: where, what was found, what was expected, what to do.

use std::error::Error;
use std::fs;
use std::path::Path;

use regard_data::file::{Missing, ReadOptions, read, write};
use regard_data::{DataError, Series, SeriesSet};
use tempfile::TempDir;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// The error of a file of the given contents, the folder cut from its message.
fn error(name: &str, contents: impl AsRef<[u8]>, options: &ReadOptions) -> String {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join(name);
    fs::write(&path, contents).expect("the temporary folder takes a file");
    let error = read(&path, options).expect_err("the file is wrong").to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

fn csv(text: &str) -> String {
    error("solar.csv", text, &ReadOptions::default())
}

#[test]
fn text_in_a_number_column() {
    assert_eq!(
        csv("temp,wind\n1,2\n3,4\nn/a,5\n"),
        "solar.csv, line 4, column \"temp\": found \"n/a\", expected a number; remove the column \
         or list the numeric ones under data.columns (a missing value is an empty cell or NaN)"
    );
}

#[test]
fn blank_lines_and_quoted_line_breaks_count_as_lines() {
    assert!(csv("temp,wind\n1,2\n\n\n3,x\n").starts_with("solar.csv, line 5, column \"wind\""));
    assert!(csv("temp,\"wi\nnd\"\n1,2\n3,x\n").starts_with("solar.csv, line 4"));
    assert!(csv("temp,wind\r\n1,2\r\n3,x").starts_with("solar.csv, line 3"));
}

#[test]
fn nan_infinity_and_empty_cells() {
    let rest = "expected a finite number; complete the data, or set \
                data.missing = \"previous\" | \"linear\" | \"drop-row\"";
    for (cell, found) in [("", "an empty cell"), ("NaN", "NaN"), ("-inf", "-inf")] {
        assert_eq!(
            csv(&format!("temp,wind\n1,2\n3,{cell}\n")),
            format!("solar.csv, line 3, column \"wind\": found {found}, {rest}")
        );
    }
    let options = ReadOptions { missing: Missing::Previous, ..ReadOptions::default() };
    assert!(error("solar.csv", "temp,wind\n1,\n3,4\n", &options).starts_with(
        "solar.csv, line 2, column \"wind\": found a missing value, expected a finite one \
             before it"
    ));
}

#[test]
fn ragged_rows() {
    assert_eq!(
        csv("temp,wind\n1,2\n3,4,5\n"),
        "solar.csv, line 3: found 3 cells, expected 2 as in the header; complete or remove the line"
    );
    assert!(csv("temp,wind\n1\n").starts_with("solar.csv, line 2: found 1 cells, expected 2"));
}

#[test]
fn empty_files_and_headers_alone() {
    let empty = "solar.csv is empty, expected a header line with column names, then one row per \
                 time step";
    assert_eq!(csv(""), empty);
    assert_eq!(csv("\n\n"), empty);
    assert_eq!(csv("\u{feff}"), empty);
    assert_eq!(
        csv("temp,wind\n"),
        "solar.csv holds no rows, expected one row per time step below the column names"
    );
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_name() {
    let options = ReadOptions { columns: Some(vec!["temp".into()]), ..ReadOptions::default() };
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("solar.csv");
    fs::write(&path, "\u{feff}temp, wind\n1, x\n").unwrap();
    assert_eq!(read(&path, &options).unwrap().series[0].values, [1.0]);
}

#[test]
fn a_file_without_a_header() {
    assert_eq!(
        csv("0.5,1\n0.6,2\n"),
        "solar.csv, line 1: found the number \"0.5\", expected column names; add a header line \
         such as x0,x1"
    );
}

#[test]
fn another_separator() {
    assert_eq!(
        csv("temp;wind\n1;2\n"),
        "solar.csv, line 1: found the separator ';', expected ','; save the table with ',', or \
         tab-separated as .tsv"
    );
    let tsv = error("solar.tsv", "temp,wind\n1,2\n", &ReadOptions::default());
    assert!(tsv.contains("found the separator ',', expected '\\t'"), "{tsv}");
}

#[test]
fn another_encoding() {
    let latin1 = b"temp,wind\n1,2\n3,\xb0\n";
    assert_eq!(
        error("solar.csv", latin1, &ReadOptions::default()),
        "solar.csv, line 3: found bytes that are not UTF-8; save the file as UTF-8"
    );
    assert!(error("solar.csv", b"t \xb0C,b\n1,2\n", &ReadOptions::default()).contains("line 1"));
}

#[test]
fn unknown_and_duplicate_columns() {
    let options = ReadOptions { columns: Some(vec!["tmp".into()]), ..ReadOptions::default() };
    assert_eq!(
        error("solar.csv", "temp,wind\n1,2\n", &options),
        "solar.csv has no column \"tmp\", asked for by data.columns; did you mean \"temp\"? it \
         has temp, wind"
    );
    let options = ReadOptions { id_column: Some("run".into()), ..ReadOptions::default() };
    assert_eq!(
        error("solar.csv", "temp,wind\n1,2\n", &options),
        "solar.csv has no column \"run\", asked for by data.id_column; it has temp, wind"
    );
    assert_eq!(
        csv("temp,temp\n1,2\n"),
        "solar.csv: found the column \"temp\" twice, expected distinct names; rename one"
    );
}

#[test]
fn gaps_in_time() {
    let text = "time,temp\n0,1\n10,2\n20,3\n40,4\n50,5\n";
    assert_eq!(
        csv(text),
        "solar.csv, line 5, column \"time\": time goes from 20 to 40, a step of 20, expected \
         equal steps of 10; complete or resample the data (to take the rows as equally spaced, \
         rename the column and list the channels under data.columns)"
    );
    let text = "time,temp\n2026-01-01,1\n2026-01-02,2\n2026-01-04,3\n2026-01-05,3\n";
    assert!(csv(text).starts_with(
        "solar.csv, line 4, column \"time\": time goes from 2026-01-02 00:00:00 to \
         2026-01-04 00:00:00, a step of 172800, expected equal steps of 86400"
    ));
    assert!(csv("time,temp\n0,1\n,2\n").starts_with(
        "solar.csv, line 3, column \"time\": found \"\", expected a number, as in the first row"
    ));
}

#[test]
fn the_ways_out_that_messages_name_work() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("solar.csv");
    let columns = Some(vec!["temp".into()]);
    let options = ReadOptions { columns, missing: Missing::DropRow, ..ReadOptions::default() };
    // A gap in time, text in a column, a missing value.
    fs::write(&path, "when,note,temp\n0,a,1\n1,b,\n7,c,3\n").unwrap();
    let set = read(&path, &options).unwrap();
    assert_eq!((set.dt, set.lengths()), (None, vec![1, 1]));
}

#[test]
fn files_cut_short_anywhere() {
    let formats = [("pandas.parquet", "Parquet"), ("numpy.npz", ".npz"), ("fortran.npy", ".npy")];
    for (name, format) in formats {
        let whole = fs::read(Path::new(GOLDEN).join(name)).unwrap();
        for length in (0..whole.len()).step_by(7) {
            let message = error(name, &whole[..length], &ReadOptions::default());
            assert_eq!(
                message,
                format!(
                    "{name} is not a whole {format} file: it is cut short or damaged; make it again"
                ),
                "{length} bytes"
            );
        }
    }
}

#[test]
fn a_damaged_byte_never_ends_the_program() {
    let names = ["polars.parquet", "pandas_dates.parquet", "numpy.npz", "fortran.npy"];
    for name in names {
        let whole = fs::read(Path::new(GOLDEN).join(name)).unwrap();
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(name);
        for at in (0..whole.len()).step_by(3) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x80;
            fs::write(&path, &damaged).unwrap();
            // Damage to a value or a comment goes unseen; the rest is an error.
            let _ = read(&path, &ReadOptions::default());
        }
    }
}

#[test]
fn a_file_of_another_format_than_its_name() {
    let message = error("solar.parquet", "temp,wind\n1,2\n", &ReadOptions::default());
    assert!(message.starts_with("solar.parquet is not a whole Parquet file"), "{message}");
    let message = error("solar.npz", "temp,wind\n1,2\n", &ReadOptions::default());
    assert!(message.starts_with("solar.npz is not a whole .npz file"), "{message}");
}

#[test]
fn arrays_that_are_no_series() {
    let read_golden = |name: &str, options: &ReadOptions| {
        let message = read(&Path::new(GOLDEN).join(name), options).unwrap_err().to_string();
        message.replace(&format!("{GOLDEN}/"), "")
    };
    let array = |name: &str| ReadOptions { array: Some(name.into()), ..ReadOptions::default() };
    assert_eq!(
        read_golden("numpy.npz", &array("v")),
        "numpy.npz has no array \"v\", asked for by data.array; did you mean \"t\"? it has t, x, \
         u, note"
    );
    assert_eq!(
        read_golden("numpy.npz", &array("note")),
        "numpy.npz, array \"note\": found the type <U4, expected a float of 4 or 8 bytes, or an \
         integer; convert it, or leave it out (data.array)"
    );
    let times = ReadOptions { time_column: Some("x".into()), ..ReadOptions::default() };
    assert_eq!(
        read_golden("numpy.npz", &times),
        "numpy.npz, array \"x\": found 3 times, expected one for each of 7 steps"
    );
    assert_eq!(
        read_golden("several.npz", &ReadOptions::default()),
        "several.npz holds 2 arrays that can be series, expected one: name it with the key \
         data.array; the arrays are train [4, 2] <f8, test [3, 2] <f8, grid [2] <f4, \
         field [2, 2, 2, 2] |u1"
    );
    assert_eq!(
        read_golden("several.npz", &array("field")),
        "several.npz, array \"field\": found the shape [2, 2, 2, 2], expected [steps], [steps, \
         channels] or [series, steps, channels]"
    );
    assert_eq!(
        read(&Path::new(GOLDEN).join("several.npz"), &array("test")).unwrap().lengths(),
        [3]
    );
}

#[test]
fn what_a_format_cannot_hold_is_not_written() {
    let folder = TempDir::new().unwrap();
    let set = |names: [&str; 2], columns: [&str; 2], steps: [usize; 2]| SeriesSet {
        columns: columns.map(String::from).to_vec(),
        series: (0..2).map(|i| Series::new(names[i], vec![0.5; 2 * steps[i]], 2)).collect(),
        dt: Some(0.1),
    };
    let message = |name: &str, set: &SeriesSet| {
        let path = folder.path().join(name);
        let message = write(&path, set).unwrap_err().to_string();
        message.replace(&format!("{}/", folder.path().display()), "")
    };
    assert_eq!(
        message("a.npz", &set(["r1", "r2"], ["u", "v"], [5, 3])),
        "a.npz: series \"r2\" has 3 steps, expected 5 as in the first one: one array holds series \
         of one length; write .csv or .parquet"
    );
    assert_eq!(
        message("a.csv", &set(["r1", "r1"], ["u", "v"], [5, 3])),
        "a.csv: found the series \"r1\" twice, expected distinct names; rename one"
    );
    assert_eq!(
        message("a.parquet", &set(["r1", "r2"], ["u", "time"], [5, 3])),
        "a.parquet: found the column \"time\" twice, expected distinct names; rename one"
    );
    assert!(message("a.txt", &set(["r1", "r2"], ["u", "v"], [5, 3])).contains("extension \"txt\""));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    let error = write(&folder.path().join("absent/a.csv"), &set(["a", "b"], ["u", "v"], [1, 1]));
    let error = error.unwrap_err();
    let absent = folder.path().join("absent").display().to_string();
    assert!(matches!(error, DataError::UnwritableFolder { .. }));
    assert!(error.to_string().contains(&format!("the folder {absent} does not exist")), "{error}");
    assert!(error.source().is_some());
}
