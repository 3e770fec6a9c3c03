//! Every fault of labelled data gives one message: where, what was found, what was expected, what to do.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use regard_data::labelled::{HoldOut, LabelledData, LabelledOptions, LabelledSet, read};
use regard_data::{Series, SeriesSet};
use tempfile::TempDir;

use crate::archive::Archive;

mod archive;
mod text_layout;

fn names<T: ToString>(names: &[T]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// What reading a path says, the folder cut from it.
fn error_of(folder: &TempDir, name: &str, options: &LabelledOptions) -> String {
    let path = if name.is_empty() { folder.path().to_owned() } else { folder.path().join(name) };
    let error = read(&path, options).expect_err("the data are wrong").to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

/// Six windows of two channels that three people made.
fn windows() -> LabelledSet {
    let window = |i: usize| Series::new(i.to_string(), vec![i as f64; 2 * 128], 2);
    LabelledSet {
        set: SeriesSet {
            columns: names(&["body_acc_x", "total_acc_y"]),
            series: (0..6).map(window).collect(),
            dt: None,
        },
        labels: vec![0, 1, 0, 1, 0, 1],
        classes: names(&["WALKING", "LAYING"]),
        groups: Some(names(&[1, 1, 2, 2, 3, 3])),
    }
}

/// What reading the text files says after `damage`.
fn text_error(damage: impl FnOnce(&Path)) -> String {
    let folder = TempDir::new().unwrap();
    for part in ["train", "test"] {
        text_layout::write(folder.path(), part, &windows(), "\r\n");
    }
    damage(folder.path());
    let columns = names(&["body_acc_x", "total_acc_y"]);
    error_of(&folder, "", &LabelledOptions { columns, ..LabelledOptions::default() })
}

/// Replaces the first occurrence of a text in a file.
fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{} has no {from:?}", file.display());
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_missing_file_is_named_with_what_it_holds() {
    for (file, holds) in [
        ("test/y_test.txt", "the activity of each window"),
        ("train/subject_train.txt", "the person of each window"),
        ("test/Inertial Signals/total_acc_y_test.txt", "a line of numbers for each window"),
        ("activity_labels.txt", "the name of each activity"),
    ] {
        assert_eq!(
            text_error(|folder| fs::remove_file(folder.join(file)).unwrap()),
            format!(
                "{file} does not exist, expected {holds}; unpack the archive again, or get it \
                 with `regard data fetch uci-har`"
            )
        );
    }
}

#[test]
fn a_line_of_127_numbers() {
    let file = "train/Inertial Signals/total_acc_y_train.txt";
    let rest = "expected 128, one for each step of a window; the file is damaged: get it again";
    assert_eq!(
        text_error(|folder| edit(&folder.join(file), "\r\n  2.0000000e+000", "\r\n")),
        text_error(|folder| edit(&folder.join(file), "  2.0000000e+000", ""))
    );
    assert_eq!(
        text_error(|folder| edit(&folder.join(file), "  2.0000000e+000", "")),
        format!("{file}, line 3: found 127 numbers, {rest}")
    );
    assert_eq!(
        text_error(|folder| edit(&folder.join(file), "  2.0000000e+000", "  2 2")),
        format!("{file}, line 3: found 129 numbers, {rest}")
    );
    assert_eq!(
        text_error(|folder| edit(&folder.join(file), "\r\n", "\r\n\r\n")),
        format!("{file}, line 2: found 0 numbers, {rest}")
    );
}

#[test]
fn channel_files_of_unequal_length() {
    let without_last_line = |folder: &Path, file: &str| {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        fs::write(folder.join(file), lines[..lines.len() - 1].join("\n")).unwrap();
    };
    let signals = "test/Inertial Signals";
    let rest = "the two do not belong together, or one is cut short";
    assert_eq!(
        text_error(|folder| without_last_line(folder, &format!("{signals}/total_acc_y_test.txt"))),
        format!(
            "{signals}/total_acc_y_test.txt: found 5 windows, expected 6 as there are windows in \
             {signals}/body_acc_x_test.txt; {rest}"
        )
    );
    assert_eq!(
        text_error(|folder| without_last_line(folder, &format!("{signals}/body_acc_x_test.txt"))),
        format!(
            "{signals}/total_acc_y_test.txt: found 6 windows, expected 5 as there are windows in \
             {signals}/body_acc_x_test.txt; {rest}"
        )
    );
    for (file, what) in [("test/y_test.txt", "labels"), ("test/subject_test.txt", "groups")] {
        assert_eq!(
            text_error(|folder| without_last_line(folder, file)),
            format!(
                "{file}: found 5 {what}, expected 6 as there are windows in \
                 {signals}/body_acc_x_test.txt; {rest}"
            )
        );
    }
}

#[test]
fn wrong_numbers_in_text_files() {
    let file = "train/Inertial Signals/body_acc_x_train.txt";
    assert_eq!(
        text_error(|folder| edit(&folder.join(file), "3.0000000e+000", "3.0000000e+0o0")),
        format!(
            "{file}, line 4, column \"1\": found \"3.0000000e+0o0\", expected a number; remove the \
             column or list the numeric ones under data.columns (a missing value is an empty cell \
             or NaN)"
        )
    );
    assert_eq!(
        text_error(|folder| edit(&folder.join(file), "3.0000000e+000  3.0000000e+000", "3 NaN")),
        format!(
            "{file}, line 4, column \"2\": found NaN, expected a finite number; complete the data, \
             or set data.missing = \"previous\" | \"linear\" | \"drop-row\""
        )
    );
}

#[test]
fn unknown_activities() {
    assert_eq!(
        text_error(|folder| edit(&folder.join("test/y_test.txt"), "2", "7")),
        "test/y_test.txt, line 2: found the label \"7\", expected one of 1 (WALKING), 2 (LAYING); \
         correct it, or add the activity to activity_labels.txt"
    );
    assert_eq!(
        text_error(|folder| edit(&folder.join("activity_labels.txt"), "2 LAYING", "LAYING")),
        "activity_labels.txt, line 2: found \"LAYING\", expected a number and a name, such as \
         1 WALKING"
    );
    let both = "1 WALKING\r\n2 LAYING";
    assert_eq!(
        text_error(|folder| {
            edit(&folder.join("activity_labels.txt"), both, "1 WALKING\n2 LAYING\n3 RUNNING");
            edit(&folder.join("test/y_test.txt"), "1", "3");
        }),
        "test/y_test.txt, line 1: found the class \"RUNNING\", which no series of the training \
         part has; add examples to the training part, or remove them from the test part"
    );
}

#[test]
fn a_folder_of_other_things() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("notes.txt"), "").unwrap();
    let error = read(folder.path(), &LabelledOptions::default()).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{} holds no labelled data, expected train.npz (or .csv, .tsv, .parquet, .ts, \
             .arff) and test.npz, NAME_TRAIN.ts and NAME_TEST.ts, images, or the folder \"UCI HAR \
             Dataset\"; give the folder that holds them, or one file",
            folder.path().display()
        )
    );
    let message = error_of(&folder, "absent.npz", &LabelledOptions::default());
    assert_eq!(message, "cannot read absent.npz");
    let message = error_of(&folder, "a.npy", &LabelledOptions::default());
    assert!(message.starts_with("a.npy: unknown extension \"npy\", expected one of .npz"));
}

/// What reading `a.npz` says, which `fill` fills.
fn archive_error(options: &LabelledOptions, fill: impl FnOnce(Archive) -> Archive) -> String {
    let folder = TempDir::new().unwrap();
    fill(Archive::create(&folder.path().join("a.npz"))).finish();
    error_of(&folder, "a.npz", options)
}

#[test]
fn archives_that_lack_an_array() {
    let options = LabelledOptions::default();
    assert_eq!(
        archive_error(&options, |archive| archive.numbers("z", &[2, 1, 1], &[0.0, 1.0])),
        "a.npz has no array named X, x, values, expected one for the windows; name it with the \
         key data.values; it has z"
    );
    assert_eq!(
        archive_error(&options, |archive| archive.numbers("X", &[2, 1, 1], &[0.0, 1.0])),
        "a.npz has no array named y, label, labels, expected one for the labels; name it with the \
         key data.label; it has X"
    );
    let options = LabelledOptions { group: Some("person".into()), ..options };
    assert_eq!(
        archive_error(&options, |archive| archive.numbers("X", &[2, 1, 1], &[0.0, 1.0]).numbers(
            "y",
            &[2],
            &[0, 1]
        )),
        "a.npz has no array \"person\", asked for by data.group; it has X, y"
    );
    let options = LabelledOptions { series: Some("id".into()), ..LabelledOptions::default() };
    assert_eq!(
        archive_error(&options, |archive| archive),
        "a.npz: data.series = \"id\" does not apply to .npz files; remove the key"
    );
}

#[test]
fn archives_whose_arrays_do_not_fit() {
    let options = LabelledOptions::default();
    let windows = |archive: Archive| archive.numbers("X", &[3, 2, 1], &[0.0; 6]);
    assert_eq!(
        archive_error(&options, |archive| windows(archive).numbers("y", &[2], &[0, 1])),
        "a.npz, array \"y\": found 2 labels, expected 3 as there are windows in a.npz, array \
         \"X\"; the two do not belong together, or one is cut short"
    );
    assert_eq!(
        archive_error(&options, |archive| windows(archive).numbers("y", &[3], &[0, 1, 1]).numbers(
            "subject",
            &[4],
            &[0; 4]
        )),
        "a.npz, array \"subject\": found 4 groups, expected 3 as there are windows in a.npz, \
         array \"X\"; the two do not belong together, or one is cut short"
    );
    assert_eq!(
        archive_error(&options, |archive| windows(archive).numbers("y", &[3, 2], &[0; 6])),
        "a.npz, array \"y\": found the shape [3, 2], expected [series], labels one for each window"
    );
    assert_eq!(
        archive_error(&options, |archive| archive.numbers("X", &[6], &[0; 6]).numbers(
            "y",
            &[6],
            &[0; 6]
        )),
        "a.npz, array \"X\": found the shape [6], expected [series, steps, channels], or \
         [series, steps] for one channel"
    );
}

#[test]
fn archives_with_wrong_values() {
    let options = LabelledOptions::default();
    let windows = |archive: Archive| archive.numbers("X", &[2, 2, 1], &[0.0; 4]);
    assert_eq!(
        archive_error(&options, |archive| archive
            .numbers("X", &[2, 2, 1], &[0.0, 0.0, 0.0, f32::INFINITY])
            .numbers("y", &[2], &[0, 1])),
        "a.npz, series index 1, row index 1, column \"x0\": found inf, expected a finite number; \
         complete the data, or set data.missing = \"previous\" | \"linear\" | \"drop-row\""
    );
    assert_eq!(
        archive_error(&options, |archive| windows(archive).numbers("y", &[2], &[1.0, 0.5])),
        "a.npz, array \"y\", row index 1: found 0.5, expected a whole number or a text; class \
         labels are not measured"
    );
    assert_eq!(
        archive_error(&options, |archive| windows(archive).texts("y", &["up", ""])),
        "a.npz, array \"y\", row index 1: found nothing, expected the label of the window; \
         complete the data"
    );
    assert_eq!(
        archive_error(&options, |archive| windows(archive).numbers("y", &[2], &[4, 4])),
        "found the one class \"4\" in the training part, expected at least two to tell apart; is \
         data.label the right one?"
    );
    let options = LabelledOptions { classes: names(&["a", "b"]), ..LabelledOptions::default() };
    assert_eq!(
        archive_error(&options, |archive| windows(archive).numbers("y", &[2], &[1, 5])),
        "a.npz, array \"y\", row index 1: found the label \"5\", expected one of 0 (a), 1 (b); \
         correct it, or list all classes under data.classes"
    );
    let options = LabelledOptions { classes: names(&["a", "b", "a"]), ..options };
    assert_eq!(
        archive_error(&options, |archive| windows(archive).numbers("y", &[2], &[1, 0])),
        "data.classes = a, b, a, expected distinct names"
    );
}

#[test]
fn tables_whose_rows_make_no_windows() {
    let error = |text: &str| {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("a.csv"), text).unwrap();
        error_of(&folder, "a.csv", &LabelledOptions::default())
    };
    assert_eq!(
        error("label,u\n1,2\n"),
        "a.csv has no column named series, window, expected one for the windows; name it with the \
         key data.series; it has label, u"
    );
    assert_eq!(
        error("series,label,u\na,1,2\na,2,2\n"),
        "a.csv, line 3, column \"label\": found \"2\", expected \"1\" as in the rows before of \
         window \"a\"; a window has one label: cut it there"
    );
    assert_eq!(
        error("series,label,subject,u\na,1,p,2\na,1,q,2\n"),
        "a.csv, line 3, column \"subject\": found \"q\", expected \"p\" as in the rows before of \
         window \"a\"; a window has one group: cut it there"
    );
    assert_eq!(
        error("series,label,u\na,1,2\nb,2,2\na,1,2\n"),
        "a.csv, line 4, column \"series\": found window \"a\" again after other rows, expected \
         the rows of a window in one run; number the windows so that no two share a name, or sort \
         the rows"
    );
    assert_eq!(
        error("series,label,u\na,1,2\nb,,2\n"),
        "a.csv, line 3: found nothing, expected the label of the window; complete the data"
    );
}

fn split_error(by: HoldOut, change: impl FnOnce(&mut LabelledData)) -> String {
    let mut data = LabelledData {
        train: windows(),
        test: None,
        description: String::new(),
        grid: None,
        may_cut: false,
    };
    change(&mut data);
    by.split(data).expect_err("no such split").to_string()
}

#[test]
fn groups_that_cannot_be_split() {
    let by = |validation, test| HoldOut::Group { validation, test, seed: 0 };
    assert_eq!(
        split_error(by(0.3, 0.3), |data| data.train.groups = None),
        "the data say of no series to which group it belongs, expected groups to split by group; \
         name their array or column with data.group, or split with by = \"stratified\""
    );
    assert_eq!(
        split_error(by(0.3, 0.0), |data| data.train.groups = Some(names(&[7; 6]))),
        "found the one group \"7\", expected at least 2 groups to split by group into 2 parts; \
         give data of more groups, or split with by = \"stratified\""
    );
    assert_eq!(
        split_error(by(0.3, 0.3), |data| data.train.groups = Some(names(&[1, 1, 1, 2, 2, 2]))),
        "found 2 groups (1, 2), expected at least 3 groups to split by group into 3 parts; give \
         data of more groups, or split with by = \"stratified\""
    );
    assert_eq!(
        split_error(by(0.3, 0.3), |data| data.train.labels = vec![0, 1, 0, 1, 0, 0]),
        "class \"LAYING\" is in 2 groups, expected at least 3 of them, one for each part; give \
         more examples of it, or lower the number of parts"
    );
    assert_eq!(
        split_error(by(0.3, 0.0), |data| data.test = Some(windows().subset(&[4, 5]))),
        "found group \"3\" in the training and in the test part, expected whole groups in one \
         part; move its series, or split with by = \"stratified\""
    );
    // Each class is in two of three groups, and in another two: two of the groups share a part.
    let message = split_error(by(0.3, 0.0), |data| {
        data.train.classes.push("SITTING".into());
        data.train.labels = vec![0, 0, 1, 1, 2, 2];
        data.train.groups = Some(names(&["a", "b", "b", "c", "a", "c"]));
    });
    let (start, rest) = message.split_once(" \"").unwrap();
    let (class, end) = rest.split_once("\", ").unwrap();
    assert_eq!(start, "1000 divisions of 3 groups into 2 parts all leave a part without class");
    assert!(["WALKING", "LAYING", "SITTING"].contains(&class), "{class}");
    assert_eq!(
        end,
        "expected every class in every part; change the shares or the seed, or split with \
         by = \"stratified\""
    );
}

#[test]
fn shares_that_leave_nothing() {
    let group = |validation, test| HoldOut::Group { validation, test, seed: 0 };
    assert_eq!(
        split_error(group(0.5, 0.5), |_| ()),
        "validation + test = 1, expected below 1, so that something is left to train on"
    );
    assert_eq!(
        split_error(group(-0.5, 0.5), |_| ()),
        "validation = -0.5, expected a share from 0 to below 1"
    );
    let stratified = HoldOut::Stratified { validation: 0.3, test: 0.3, seed: 0 };
    assert_eq!(
        split_error(stratified, |data| data.train.labels = vec![0, 0, 0, 1, 1, 0]),
        "class \"LAYING\" is in 2 series, expected at least 3 of them, one for each part; give \
         more examples of it, or lower the number of parts"
    );
}
