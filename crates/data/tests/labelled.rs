//! Labelled windows from archives, tables and folders of text files.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

use regard_data::file::Missing;
use regard_data::labelled::{LabelledOptions, LabelledSet, read};
use regard_data::{Series, SeriesSet};
use tempfile::TempDir;

use crate::archive::Archive;

mod archive;
mod text_layout;

const CHANNELS: [&str; 9] = [
    "body_acc_x",
    "body_acc_y",
    "body_acc_z",
    "body_gyro_x",
    "body_gyro_y",
    "body_gyro_z",
    "total_acc_x",
    "total_acc_y",
    "total_acc_z",
];

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// Windows of nine channels in single precision, every number different.
fn windows(count: usize, first: usize) -> LabelledSet {
    // Seven digits, as the text files have them.
    let number = |i: usize| format!("{:.6e}", (i as f64 - 2000.5) * 1.234_567e-4);
    let value = |i: usize| f64::from(number(i).parse::<f32>().unwrap());
    let series = (0..count).map(|window| {
        let start = (first + window) * 128 * 9;
        Series::new(window.to_string(), (start..start + 128 * 9).map(value).collect(), 9)
    });
    LabelledSet {
        set: SeriesSet { columns: names(&CHANNELS), series: series.collect(), dt: Some(0.02) },
        labels: (0..count).map(|window| (window + 1) % 3).collect(),
        classes: names(&["WALKING", "SITTING", "LAYING"]),
        groups: Some((0..count).map(|window| (window / 2 + first).to_string()).collect()),
    }
}

/// The same windows as an archive, in the types that the shared files have.
fn write_archive(path: &Path, set: &LabelledSet) {
    #[expect(clippy::cast_possible_truncation, reason = "the values are single precision")]
    let values = set.set.series.iter().flat_map(|series| series.values.iter().map(|&x| x as f32));
    let groups = set.groups.iter().flatten().map(|group| group.parse::<u8>().unwrap());
    let count = set.len() as u64;
    Archive::create(path)
        .numbers("X", &[count, 128, 9], &values.collect::<Vec<_>>())
        .numbers(
            "y",
            &[count],
            &set.labels.iter().map(|&l| u8::try_from(l).unwrap()).collect::<Vec<_>>(),
        )
        .numbers("subject", &[count], &groups.collect::<Vec<_>>())
        .finish();
}

/// The same set with its values rounded to single precision, and without a time step.
fn rounded(mut set: LabelledSet) -> LabelledSet {
    for value in set.set.series.iter_mut().flat_map(|series| &mut series.values) {
        #[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
        let single = *value as f32;
        *value = f64::from(single);
    }
    set.set.dt = None;
    set
}

#[test]
fn text_files_and_archives_give_the_same_windows() {
    let folder = TempDir::new().unwrap();
    let (train, test) = (windows(5, 0), windows(4, 7));
    let arrays = folder.path().join("arrays");
    fs::create_dir(&arrays).unwrap();
    write_archive(&arrays.join("train.npz"), &train);
    write_archive(&arrays.join("test.npz"), &test);
    let texts = folder.path().join("UCI HAR Dataset");
    text_layout::write(&texts, "train", &train, "\n");
    text_layout::write(&texts, "test", &test, "\r\n"); // its activity_labels.txt stays

    let options = LabelledOptions {
        columns: names(&CHANNELS),
        classes: train.classes.clone(),
        ..LabelledOptions::default()
    };
    let from_arrays = read(&arrays, &options).unwrap();
    assert_eq!(from_arrays.train, rounded(train.clone()));
    assert_eq!(from_arrays.test, Some(rounded(test.clone())));
    for path in [folder.path(), &texts] {
        for options in [&options, &LabelledOptions::default()] {
            let from_texts = read(path, options).unwrap();
            assert_eq!(from_texts.train.set.dt, Some(0.02));
            assert_eq!(rounded(from_texts.train), from_arrays.train);
            assert_eq!(from_texts.test.map(rounded), from_arrays.test);
        }
    }
    assert_eq!(
        read(folder.path(), &options).unwrap().description,
        format!(
            "{}: 5 training and 4 test series of 128 steps, 9 channels, 3 classes",
            texts.display()
        )
    );
}

#[test]
fn channels_are_chosen_and_ordered_by_name() {
    let folder = TempDir::new().unwrap();
    let set = windows(3, 0);
    for part in ["train", "test"] {
        text_layout::write(folder.path(), part, &set, "\n");
    }
    let columns = names(&["total_acc_z", "body_acc_x"]);
    let options = LabelledOptions { columns: columns.clone(), ..LabelledOptions::default() };
    let chosen = read(folder.path(), &options).unwrap().train.set;
    assert_eq!(chosen.columns, columns);
    let row = rounded(set).set.series[2].row(17).to_vec();
    #[expect(clippy::cast_possible_truncation, reason = "the values are single precision")]
    let found: Vec<f32> = chosen.series[2].row(17).iter().map(|&x| x as f32).collect();
    assert_eq!(found.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), [row[8], row[0]]);
}

#[test]
fn arrays_are_found_by_usual_names_or_by_those_given() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.npz");
    let values: Vec<i16> = (0..24).collect();
    Archive::create(&path)
        .numbers("values", &[3, 4, 2], &values)
        .texts("labels", &["up", "down", "up"])
        .texts("columns", &["u", "v"])
        .numbers("t", &[4], &[0.0, 0.5, 1.0, 1.5])
        .numbers("other", &[3, 2, 4], &values)
        .numbers("code", &[3], &[10.0_f64, 9.0, 9.0])
        .numbers("run", &[3], &[7_i64, 7, 8])
        .finish();
    let data = read(&path, &LabelledOptions::default()).unwrap();
    assert_eq!((data.test, data.train.groups), (None, None));
    assert_eq!((data.train.classes, data.train.labels), (names(&["down", "up"]), vec![1, 0, 1]));
    let set = data.train.set;
    assert_eq!((set.columns, set.dt), (names(&["u", "v"]), Some(0.5)));
    assert_eq!(set.series[1].row(0), [8.0, 9.0]);

    let options = LabelledOptions {
        values: Some("other".into()),
        label: Some("code".into()),
        group: Some("run".into()),
        columns: names(&["x3", "x0"]),
        ..LabelledOptions::default()
    };
    let train = read(&path, &options).unwrap().train;
    assert_eq!((train.classes, train.labels), (names(&["9", "10"]), vec![1, 0, 0]));
    assert_eq!(train.groups, Some(names(&["7", "7", "8"])));
    assert_eq!(train.set.series[1].values, [11.0, 8.0, 15.0, 12.0]);
}

#[test]
fn an_array_of_two_axes_has_one_channel() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.npz");
    let values = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
    Archive::create(&path).numbers("x", &[2, 3], &values).numbers("y", &[2], &[0_i64, 1]).finish();
    let set = read(&path, &LabelledOptions::default()).unwrap().train.set;
    assert_eq!((set.columns, &set.series[1].values[..]), (names(&["x0"]), &[4.0, 5.0, 6.0][..]));
}

#[test]
fn numbers_count_the_named_classes_from_zero_or_one() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.npz");
    let read_labels = |labels: &[i64; 3], classes: &[&str]| {
        let archive = Archive::create(&path).numbers("X", &[3, 1, 1], &[0.0, 1.0, 2.0]);
        archive.numbers("y", &[3], labels).finish();
        let classes = names(classes);
        let train = read(&path, &LabelledOptions { classes, ..Default::default() })?.train;
        Ok::<_, regard_data::DataError>(train.labels)
    };
    let abc = &["a", "b", "c"];
    assert_eq!(read_labels(&[2, 0, 0], abc).unwrap(), [2, 0, 0]);
    assert_eq!(read_labels(&[3, 1, 1], abc).unwrap(), [2, 0, 0]);
    assert_eq!(read_labels(&[2, 1, 1], abc).unwrap(), [2, 1, 1]);
    assert_eq!(read_labels(&[7, 5, 7], &["5", "6", "7"]).unwrap(), [2, 0, 2]);
    assert!(read_labels(&[3, 0, 1], abc).is_err());
    assert!(read_labels(&[-1, 0, 1], abc).is_err());
}

const ROWS: &str = "\
window,subject,activity,u,note,v
w1,1,walk,1,,2
w1,1,walk,3,,4
w2,1,sit,5,,6
w3,2,walk,7,,8
w3,2,walk,9,,10
w3,2,walk,11,,12
";

#[test]
fn rows_of_a_table_become_windows() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, ROWS).unwrap();
    let options = LabelledOptions {
        label: Some("activity".into()),
        columns: names(&["v", "u"]),
        ..LabelledOptions::default()
    };
    let train = read(&path, &options).unwrap().train;
    assert_eq!((train.classes, train.labels), (names(&["sit", "walk"]), vec![1, 0, 1]));
    assert_eq!(train.groups, Some(names(&["1", "1", "2"])));
    assert_eq!(train.set.lengths(), [2, 1, 3]);
    assert_eq!(train.set.series[2], Series::new("w3", vec![8.0, 7.0, 10.0, 9.0, 12.0, 11.0], 2));
}

#[test]
fn label_and_group_are_no_channels() {
    let folder = TempDir::new().unwrap();
    for (part, labels) in [("train", [2, 1]), ("test", [1, 1])] {
        let text = format!(
            "series\ttime\tlabel\tgroup\tu\na\t0\t{}\t3.0\t0.5\na\t0.1\t{}\t3.0\t1\nb\t0\t{}\t4.0\t2\n",
            labels[0], labels[0], labels[1]
        );
        fs::write(folder.path().join(format!("{part}.tsv")), text).unwrap();
    }
    let data = read(folder.path(), &LabelledOptions::default()).unwrap();
    let test = data.test.unwrap();
    assert_eq!((data.train.set.columns, data.train.set.dt), (names(&["u"]), Some(0.1)));
    assert_eq!((data.train.classes, data.train.labels), (names(&["1", "2"]), vec![1, 0]));
    assert_eq!(data.train.groups, Some(names(&["3", "4"])));
    assert_eq!(test.labels, [0, 0]);
}

#[test]
fn a_dropped_row_shortens_its_window() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, "series,label,u\na,1,1\na,1,\na,1,3\nb,2,4\n").unwrap();
    let with =
        |missing| read(&path, &LabelledOptions { missing: Some(missing), ..Default::default() });
    let values = |missing| {
        let train = with(missing).unwrap().train;
        train.set.series.into_iter().map(|series| series.values).collect::<Vec<_>>()
    };
    assert_eq!(values(Missing::DropRow), [vec![1.0, 3.0], vec![4.0]]);
    assert_eq!(values(Missing::Linear), [vec![1.0, 2.0, 3.0], vec![4.0]]);
    assert!(values(Missing::Keep)[0][1].is_nan());
    assert!(with(Missing::Error).is_err());
}

#[test]
fn parquet_tables_are_read_like_others() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.parquet");
    let series = [("a", 2.0), ("b", 10.0)]
        .map(|(name, label)| Series::new(name, vec![1.0, label, 5.0, 3.0, label, 5.0], 3));
    let columns = names(&["u", "y", "subject"]);
    let set = SeriesSet { columns, series: series.to_vec(), dt: None };
    regard_data::file::write(&path, &set).unwrap();
    let train = read(&path, &LabelledOptions::default()).unwrap().train;
    assert_eq!((train.classes, train.labels), (names(&["2", "10"]), vec![0, 1]));
    assert_eq!((train.groups, train.set.columns), (Some(names(&["5", "5"])), names(&["u"])));
    assert_eq!(train.set.series[1], Series::new("b", vec![1.0, 3.0], 1));
}
