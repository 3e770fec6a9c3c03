//! Files of the UEA and UCR archives, as they occur and as they could.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use regard_data::file::Missing;
use regard_data::labelled::{
    ClassOrder, LabelledData, LabelledOptions, LabelledSet, read, read_from, read_series,
};
use tempfile::TempDir;

fn parse_with(name: &str, text: impl AsRef<[u8]>, options: &LabelledOptions) -> LabelledData {
    read_from(text.as_ref(), Path::new(name), options).unwrap()
}

fn parse(name: &str, text: impl AsRef<[u8]>) -> LabelledSet {
    parse_with(name, text, &LabelledOptions::default()).train
}

fn values(set: &LabelledSet) -> Vec<&[f64]> {
    set.set.series.iter().map(|series| &series.values[..]).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Two dimensions of two and three steps, keys in odd order and case, comments of any bytes.
const UNEQUAL: &[u8] = b"# pick\x96up \xff\r\n@CLASSLABEL true b a\r\n\r\n@univariate False\r\n\
    % more\r\n@ProblemName x\r\n@DATA\r\n1,2:-3, 1.57E-4 :a\r\n# between\r\n\r\n5,6,7:8,9,.5:b\r\n";

#[test]
fn the_header_may_be_in_any_order_case_and_encoding() {
    let set = parse("x.ts", UNEQUAL);
    assert_eq!(values(&set), [&[1.0, -3.0, 2.0, 1.57e-4][..], &[5.0, 8.0, 6.0, 9.0, 7.0, 0.5]]);
    assert_eq!((&set.labels[..], set.set.lengths()), (&[0, 1][..], vec![2, 3]));
    assert_eq!((set.set.columns, set.classes), (vec!["x0".into(), "x1".into()], names("a b")));
    assert_eq!((set.groups, set.set.dt), (None, None));
}

fn names(names: &str) -> Vec<String> {
    names.split(' ').map(String::from).collect()
}

#[test]
fn line_ends_byte_order_marks_and_gzip_change_nothing() {
    let expected = parse("x.ts", UNEQUAL);
    let unix: Vec<u8> = UNEQUAL.iter().copied().filter(|&byte| byte != b'\r').collect();
    let marked = [b"\xef\xbb\xbf", UNEQUAL].concat();
    let two_members = [gzip(&UNEQUAL[..50]), gzip(&UNEQUAL[50..])].concat();
    let cut = &UNEQUAL[..UNEQUAL.len() - 2]; // no line end behind the last case
    for text in [&unix, &marked, &gzip(UNEQUAL), &two_members, &cut.to_vec()] {
        for name in ["x.ts", "x.ts.gz", "X.TS"] {
            assert_eq!(parse(name, text), expected);
        }
    }
}

#[test]
fn classes_are_in_the_order_of_letters_or_of_the_header() {
    let text = "@classLabel true 2.0 10.0 1.0 2.0\n@data\n1:2.0\n1:10.0\n1:1.0\n";
    let order = |class_order| {
        let options = LabelledOptions { class_order, ..LabelledOptions::default() };
        let set = parse_with("x.ts", text, &options).train;
        (set.classes, set.labels)
    };
    assert_eq!(order(ClassOrder::Sorted), (names("1.0 10.0 2.0"), vec![2, 1, 0]));
    assert_eq!(order(ClassOrder::Declared), (names("2.0 10.0 1.0"), vec![0, 1, 2]));
    let classes = names("1.0 2.0 10.0");
    let options = LabelledOptions { classes: classes.clone(), ..LabelledOptions::default() };
    let set = parse_with("x.ts", text, &options).train;
    assert_eq!((set.classes, set.labels), (classes, vec![1, 2, 0]));
}

#[test]
fn labels_that_no_header_declares_follow_from_the_cases() {
    let text = "@data\n1,2:10\n3,4:2\n5,6:10\n";
    for header in ["", "@classLabel true\n"] {
        let set = parse("x.ts", format!("{header}{text}"));
        assert_eq!((set.classes, set.labels), (names("10 2"), vec![0, 1, 0]));
    }
}

#[test]
fn missing_values_are_interpolated_and_edges_held() {
    let text = "@missing true\n@data\n?,1,?,nan,4,NaN:7,?,?,?,?,?:a\n1,2:?,4:b\n";
    let set = parse("x.ts", text);
    assert_eq!(
        values(&set),
        [&[1., 7., 1., 7., 2., 7., 3., 7., 4., 7., 4., 7.][..], &[1., 4., 2., 4.]]
    );
    let with = |missing| {
        let options = LabelledOptions { missing: Some(missing), ..LabelledOptions::default() };
        read_from(text.as_bytes(), Path::new("x.ts"), &options)
    };
    assert_eq!(with(Missing::Linear).unwrap().train, set);
    assert!(with(Missing::Keep).unwrap().train.set.series[0].values[0].is_nan());
    assert_eq!(
        with(Missing::Error).unwrap_err().to_string(),
        "x.ts, line 3, column \"x0\": found NaN, expected a finite number; complete the data, or \
         set data.missing = \"previous\" | \"linear\" | \"drop-row\""
    );
}

#[test]
fn stamps_give_the_time_step_and_the_place_of_missing_values() {
    let even = "@timeStamps true\n@data\n\
        (0,1),(0.5,2),(1,3):( 0 , 4 ),(0.5,?), (1,8):a\n(3,5),(3.5,6):(3,7),(3.5,8):b\n";
    let set = parse("x.ts", even);
    assert_eq!(values(&set), [&[1., 4., 2., 6., 3., 8.][..], &[5., 7., 6., 8.]]);
    assert_eq!(set.set.dt, Some(0.5));
    // A quarter of the way in time, half of it in steps.
    let uneven = parse("x.ts", "@timestamps true\n@data\n(0,0),(1,?),(4,8):a\n(0,1):b\n");
    assert_eq!((values(&uneven)[0], uneven.set.dt), (&[0.0, 2.0, 8.0][..], None));
}

#[test]
fn stamps_may_be_dates() {
    let text = "@timeStamps true\n@classLabel true a b\n@data\n\
        (2024-02-28 23:00:00,1),(2024-02-29 00:00:00,2):(2024-02-28 23:00:00,3),\
        (2024-02-29 00:00:00,4):a\n(2020-01-01 00:00:00,1):(2020-01-01 00:00:00,5):b\n";
    let set = parse("x.ts", text);
    assert_eq!((values(&set)[0], set.set.dt), (&[1.0, 3.0, 2.0, 4.0][..], Some(3600.0)));
}

#[test]
fn channels_are_chosen_or_named() {
    let text = "@data\n1,2:3,4:5,6:a\n7:8:?:b\n";
    let columns = names("x2 x0");
    let options = LabelledOptions { columns: columns.clone(), ..LabelledOptions::default() };
    let error = read_from(text.as_bytes(), Path::new("x.ts"), &options).unwrap_err();
    assert!(error.to_string().starts_with("x.ts, line 3, column 5: dimension 3 has no value"));
    let set = parse_with("x.ts", text.replace('?', "9"), &options).train;
    assert_eq!((values(&set)[0], &set.set.columns), (&[5.0, 1.0, 6.0, 2.0][..], &columns));
    let columns = names("x y z");
    let options = LabelledOptions { columns: columns.clone(), ..LabelledOptions::default() };
    assert_eq!(parse_with("x.ts", text.replace('?', "9"), &options).train.set.columns, columns);
}

const RELATIONAL: &str = "% any \u{fc} text\n@RELATION 'a b'\n\n@attribute signal Relational\n\
    \t@attribute t0 numeric\n\t@ATTRIBUTE 't 1' real\n\t@attribute t2 integer\n@end signal\n\
    @attribute 'the class' { up, 'far down' }\n@data\n\
    '0.5,1,?\\n3,2,?',up\n\"1,?,3\\n4,5,6\",'far down'\n";

#[test]
fn relational_attributes_hold_many_dimensions() {
    let set = parse("x.arff", RELATIONAL);
    assert_eq!(values(&set), [&[0.5, 3.0, 1.0, 2.0][..], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]]);
    let classes = vec!["far down".to_owned(), "up".to_owned()];
    assert_eq!((&set.classes, &set.labels[..]), (&classes, &[1, 0][..]));
    let windows = RELATIONAL.replace('\n', "\r\n");
    assert_eq!(parse("x.arff.gz", gzip(windows.as_bytes())), set);
}

#[test]
fn numeric_attributes_are_the_steps_of_one_dimension() {
    let text = "@relation r\n@attribute a numeric\n@attribute b numeric\n@attribute c {1,2}\n\
                @data\n1,2,2\n3,?,1\n";
    let set = parse("x.arff", text);
    assert_eq!((values(&set), &set.labels[..]), (vec![&[1.0, 2.0][..], &[3.0]], &[1, 0][..]));
}

#[test]
fn cases_without_labels_can_be_read_as_series() {
    let folder = TempDir::new().unwrap();
    let options = LabelledOptions::default();
    for (name, text) in [
        ("x.ts", "@classLabel false\n@data\n1,2:3,4\n5,6:7,8\n"),
        ("l.ts", "@classLabel true a b\n@data\n1,2:3,4:?\n5,6:7,8:a\n"),
        ("r.ts", "@targetLabel true\n@data\n1,2:3,4:0.7\n5,6:7,8:2.5\n"),
        (
            "x.arff",
            "@attribute s relational\n@attribute a real\n@attribute b real\n@end s\n@data\n\
          '1,2\\n3,4'\n'5,6\\n7,8'\n",
        ),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let set = read_series(&path, &options).unwrap().unwrap();
        assert_eq!(set.series[1].values, [5.0, 7.0, 6.0, 8.0], "{name}");
        assert!(read(&path, &options).is_err());
    }
    assert!(read_series(Path::new("a.csv"), &options).unwrap().is_none());
}

#[test]
fn long_test_series_are_cut_to_the_training_part() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("P_TRAIN.ts"), "@data\n1:a\n1,2:b\n").unwrap();
    std::fs::write(file("P_TEST.ts"), "@data\n1,2,3,4:a\n5:b\n6,7,8:b\n").unwrap();
    let data = read(folder.path(), &LabelledOptions::default()).unwrap();
    let test = data.test.unwrap();
    assert_eq!((data.may_cut, test.set.lengths()), (true, vec![2, 1, 2]));
    assert_eq!(test.set.series[2].values, [6.0, 7.0]);
    assert!(
        data.description.ends_with(
            "2 training and 3 test series of 1 to 4 steps, 1 channels, 2 classes; 2 test series \
             cut to the 2 steps of the training part"
        ),
        "{}",
        data.description
    );
}
