//! Problems of the UEA and UCR archives, in the folder that `REGARD_DATA` names.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;

use regard_data::labelled::{LabelledData, LabelledOptions, LabelledSet, read};
use regard_data::normalize::Normalization;
use safetensors::Golden;

mod safetensors;

fn integers(golden: &Golden, name: &str) -> Vec<usize> {
    let words = golden.words(name, "I64").map(i64::from_le_bytes);
    words.map(|word| usize::try_from(word).unwrap()).collect()
}

fn uea() -> PathBuf {
    let folder = std::env::var("REGARD_DATA").expect("REGARD_DATA names the folder of data sets");
    PathBuf::from(folder).join("uea")
}

/// A problem, found in the folder of all.
fn problem(name: &str) -> LabelledData {
    let problem = Some(name.to_owned());
    read(&uea(), &LabelledOptions { problem, ..LabelledOptions::default() }).unwrap()
}

fn span(set: &LabelledSet) -> (usize, usize) {
    let lengths = set.set.lengths();
    (lengths.iter().copied().min().unwrap(), lengths.into_iter().max().unwrap())
}

#[test]
#[ignore = "needs REGARD_DATA"]
fn problems_have_the_published_counts() {
    // Train, test, dimensions, steps of the shortest and longest series of each part, classes.
    for (name, counts, train_steps, test_steps, n_classes) in [
        ("JapaneseVowels", [270, 370, 12], (7, 26), (7, 26), 9),
        ("UWaveGestureLibrary", [120, 320, 3], (315, 315), (315, 315), 8),
        ("BasicMotions", [40, 40, 6], (100, 100), (100, 100), 4),
        ("ERing", [30, 270, 4], (65, 65), (65, 65), 6),
        ("GunPoint", [50, 150, 1], (150, 150), (150, 150), 2),
        ("ItalyPowerDemand", [67, 1029, 1], (24, 24), (24, 24), 2),
    ] {
        let LabelledData { train, test, .. } = problem(name);
        let test = test.unwrap();
        assert_eq!([train.len(), test.len(), train.set.channels()], counts, "{name}");
        assert_eq!((span(&train), span(&test)), (train_steps, test_steps), "{name}");
        assert_eq!(train.classes.len(), n_classes, "{name}");
    }
    let vowels = problem("JapaneseVowels");
    assert_eq!(vowels.train.class_counts(), [30; 9]);
    assert_eq!(vowels.test.unwrap().class_counts(), [31, 35, 88, 44, 29, 24, 40, 50, 29]);
    assert!(
        vowels.description.ends_with(
            "270 training and 370 test series of 7 to 29 steps, 12 channels, 9 classes; 1 test \
             series cut to the 26 steps of the training part"
        ),
        "{}",
        vowels.description
    );
    let gestures = problem("UWaveGestureLibrary");
    assert_eq!(gestures.train.class_counts(), [15; 8]);
    assert_eq!(gestures.test.unwrap().class_counts(), [40; 8]);
    assert_eq!(
        problem("BasicMotions").train.classes,
        ["Badminton", "Running", "Standing", "Walking"]
    );

    let LabelledData { train, test, .. } = problem("PickupGestureWiimoteZ");
    assert_eq!((train.len(), test.as_ref().unwrap().len(), train.set.channels()), (50, 50, 1));
    let (shortest, longest) = span(&train);
    assert!(shortest.min(span(test.as_ref().unwrap()).0) == 29 && longest == 361, "{longest}");
    assert_eq!(train.classes[..3], ["1", "10", "2"]);
}

#[test]
#[ignore = "needs REGARD_DATA"]
fn the_folder_of_a_problem_and_its_file_are_read_alike() {
    let folder = uea().join("GunPoint");
    let options = LabelledOptions::default();
    let whole = read(&folder, &options).unwrap();
    assert_eq!(whole.train, problem("GunPoint").train);
    let file = read(&folder.join("GunPoint_TEST.ts.gz"), &options).unwrap();
    assert_eq!((Some(file.train), file.test), (whole.test, None));
}

#[test]
#[ignore = "needs REGARD_DATA"]
fn standardised_cases_equal_those_of_another_program() {
    for name in ["JapaneseVowels", "UWaveGestureLibrary"] {
        let golden = Golden::open(&format!("primal-dual/data_{}.safetensors", name.to_lowercase()));
        let LabelledData { train, test, .. } = problem(name);
        let test = test.unwrap();
        let normalization = Normalization::fit_sample(&train.set);
        assert_close(&normalization.mean, &golden.reals("mean"));
        assert_close(&normalization.std, &golden.reals("std"));
        let time = integers(&golden, "max_len")[0];
        assert_eq!(train.longest(), time);
        for (part, set) in [("train", &train), ("test", &test)] {
            let uncut = integers(&golden, &format!("{part}_lengths"));
            let lengths: Vec<usize> = uncut.into_iter().map(|length| length.min(time)).collect();
            assert_eq!(set.set.lengths(), lengths);
            assert_eq!(set.labels, integers(&golden, &format!("{part}_labels")));
            let width = time * set.set.channels();
            let expected = golden.reals(&format!("{part}_x"));
            let cases = integers(&golden, &format!("{part}_index"));
            for (&case, expected) in cases.iter().zip(expected.chunks_exact(width)) {
                let mut found = normalization.norm_from_phys(&set.set.series[case].values);
                found.resize(width, 0.0);
                assert_close(&found, expected);
            }
        }
    }
}

/// Equal to 1e-12: what the order of a sum over 40,000 steps may change.
fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let allowed = 1e-12 * expected.abs().max(1.0);
        assert!((found - expected).abs() <= allowed, "{found} against {expected}");
    }
}
