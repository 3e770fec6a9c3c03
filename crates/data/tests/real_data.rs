//! Data sets of others, in the folder that `REGARD_DATA` names.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;

use regard_data::file::{ReadOptions, read};
use regard_data::labelled::{self, LabelledData, LabelledOptions, LabelledSet};
use regard_data::normalize::Normalization;
use regard_data::split::SplitConfig;
use regard_data::{SeriesSet, window};
use tempfile::TempDir;

mod text_layout;

#[test]
#[ignore = "needs REGARD_DATA"]
fn kuramoto_sivashinsky_is_a_series_of_1024_channels() {
    let folder = std::env::var("REGARD_DATA").expect("REGARD_DATA names the folder of data sets");
    let path = PathBuf::from(folder).join("pde/pysindy_kuramoto_sivashinsky.npz");
    let set = read(&path, &ReadOptions::default()).unwrap();
    assert_eq!((set.lengths(), set.channels()), (vec![251], 1024));
    let dt = set.dt.expect("t has equal steps");
    assert!((dt - 0.4).abs() < 1e-6, "{dt}"); // t runs from 0 to 100
    assert_eq!(window::count(&set.lengths(), 16, 4), 232);

    let split = SplitConfig::Time { train: 0.7, validation: 0.1 }.split(&set, 16, 4).unwrap();
    let lengths = [&split.train, &split.validation, &split.test].map(SeriesSet::n_steps);
    assert_eq!(lengths.iter().sum::<usize>(), 251 - 2 * 19);
    let fitted = Normalization::fit(&split.train);
    // The equation keeps the mean of u, and u = 0 at two points by symmetry: there it is constant.
    let mean = fitted.mean.iter().sum::<f64>() / 1024.0;
    assert!(mean.abs() < 1e-6, "{mean}");
    assert_eq!((fitted.std[255], fitted.std[767]), (1.0, 1.0));
    assert!(fitted.std.iter().all(|std| (0.05..2.0).contains(std)));
}

/// The folder of UCI HAR, as the authors' windows in two archives.
fn uci_har() -> PathBuf {
    let folder = std::env::var("REGARD_DATA").expect("REGARD_DATA names the folder of data sets");
    PathBuf::from(folder).join("uci-har")
}

#[test]
#[ignore = "needs REGARD_DATA"]
fn uci_har_has_the_published_counts_and_moments() {
    let LabelledData { train, test, description, .. } =
        labelled::read(&uci_har(), &LabelledOptions::default()).unwrap();
    let test = test.expect("a test part");
    assert_eq!(train.class_counts(), [1226, 1073, 986, 1286, 1374, 1407]);
    assert_eq!(test.class_counts(), [496, 471, 420, 491, 532, 537]);
    assert_eq!((train.set.channels(), train.set.lengths()), (9, vec![128; 7352]));
    assert!(
        description
            .ends_with("7352 training and 2947 test series of 128 steps, 9 channels, 6 classes")
    );

    // Six digits of the mean and deviation of the test values, as the authors of the recurrent
    // attention print them.
    let values = || test.set.series.iter().flat_map(|series| &series.values);
    let n = values().count() as f64;
    let mean = values().sum::<f64>() / n;
    let std = (values().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    assert_eq!(
        (format!("{mean:.7}"), format!("{std:.6}")),
        ("0.0991399".into(), "0.395671".into())
    );
}

#[test]
#[ignore = "needs REGARD_DATA"]
fn uci_har_as_text_files_is_the_same_set() {
    let columns = [
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
    let classes =
        ["WALKING", "WALKING_UPSTAIRS", "WALKING_DOWNSTAIRS", "SITTING", "STANDING", "LAYING"];
    let options = LabelledOptions {
        columns: columns.map(String::from).to_vec(),
        classes: classes.map(String::from).to_vec(),
        ..LabelledOptions::default()
    };
    let data = labelled::read(&uci_har(), &options).unwrap();
    let folder = TempDir::new().unwrap();
    let every =
        |set: &LabelledSet, step| set.subset(&(0..set.len()).step_by(step).collect::<Vec<_>>());
    let parts = [("train", every(&data.train, 61)), ("test", every(&data.test.unwrap(), 53))];
    for (part, set) in &parts {
        text_layout::write(folder.path(), part, set, "\n");
    }
    let read = labelled::read(folder.path(), &LabelledOptions::default()).unwrap();
    for (found, (_, expected)) in [read.train, read.test.unwrap()].iter().zip(&parts) {
        assert_eq!((&found.labels, &found.groups), (&expected.labels, &expected.groups));
        assert_eq!(
            (&found.classes, &found.set.columns),
            (&expected.classes, &expected.set.columns)
        );
        for (found, expected) in found.set.series.iter().zip(&expected.set.series) {
            // The archive holds the numbers of the text in single precision.
            #[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
            let singles: Vec<f64> = found.values.iter().map(|&x| f64::from(x as f32)).collect();
            assert_eq!(singles, expected.values);
        }
    }
}
