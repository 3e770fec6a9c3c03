//! IDX files and folders of PNG files as labelled sets.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use regard_data::labelled::{HoldOut, LabelledOptions, LabelledSplit, read};
use tempfile::TempDir;

/// An IDX file of bytes.
fn idx(axes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, u8::try_from(axes.len()).unwrap()];
    file.extend(axes.iter().flat_map(|axis| axis.to_be_bytes()));
    file.extend_from_slice(bytes);
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Images of 2 × 3 pixels, and their labels.
fn write_idx(folder: &Path, part: &str, labels: &[u8], packed: bool) {
    let count = u32::try_from(labels.len()).unwrap();
    let bytes: Vec<u8> = (0..labels.len() * 6).map(|i| u8::try_from(i % 251).unwrap()).collect();
    for (name, file) in [
        ("images-idx3-ubyte", idx(&[count, 2, 3], &bytes)),
        ("labels-idx1-ubyte", idx(&[count], labels)),
    ] {
        let path = folder.join(format!("{part}-{name}"));
        if packed {
            fs::write(path.with_extension("gz"), gzip(&file)).unwrap();
        } else {
            fs::write(path, file).unwrap();
        }
    }
}

fn default_options() -> LabelledOptions {
    LabelledOptions::default()
}

#[test]
fn idx_files_are_series_of_pixels() {
    let folder = TempDir::new().unwrap();
    write_idx(folder.path(), "train", &[7, 3, 7], false);
    write_idx(folder.path(), "t10k", &[3], true);
    let data = read(folder.path(), &default_options()).unwrap();
    let (train, test) = (data.train, data.test.unwrap());
    assert_eq!((data.grid, train.set.lengths()), (Some([2, 3]), vec![6; 3]));
    assert_eq!(
        (&train.set.columns[..], &train.classes[..]),
        (&["grey".into()][..], &["3".into(), "7".into()][..])
    );
    assert_eq!((&train.labels[..], &test.labels[..]), (&[1, 0, 1][..], &[0][..]));
    let expected: Vec<f64> = (6..12).map(|byte| f64::from(byte) / 255.0).collect();
    assert_eq!(train.set.series[1].values, expected);
    assert_eq!(test.set.series[0].values, train.set.series[0].values);

    // A file alone, and names for the numbers.
    let path = folder.path().join("train-images-idx3-ubyte");
    let classes: Vec<String> = (0..10).map(|i| format!("n{i}")).collect();
    let options = LabelledOptions { classes, ..default_options() };
    let data = read(&path, &options).unwrap();
    assert_eq!((data.test, data.train.labels), (None, vec![7, 3, 7]));
}

/// What reading the folder says after `damage`.
fn idx_error(damage: impl FnOnce(&Path)) -> String {
    let folder = TempDir::new().unwrap();
    write_idx(folder.path(), "train", &[0, 1], false);
    damage(folder.path());
    let error = read(folder.path(), &default_options()).unwrap_err().to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn faults_of_idx_files_are_named() {
    let images = |folder: &Path| folder.join("train-images-idx3-ubyte");
    let labels = |folder: &Path| folder.join("train-labels-idx1-ubyte");
    let put = |file: PathBuf, bytes: Vec<u8>| fs::write(file, bytes).unwrap();
    assert_eq!(
        idx_error(|folder| fs::remove_file(labels(folder)).unwrap()),
        "train-labels-idx1-ubyte does not exist, expected the label of each image; put it beside \
         the images"
    );
    assert_eq!(
        idx_error(|folder| put(images(folder), idx(&[2], &[1, 2]))),
        "train-images-idx3-ubyte: found [0, 0, 8, 1] as its first bytes, expected [0, 0, 8, 3], \
         those of an IDX file of images; get the file again"
    );
    assert_eq!(
        idx_error(|folder| put(images(folder), idx(&[2, 2, 3], &[0; 11]))),
        "train-images-idx3-ubyte: found 11 bytes behind the header, expected 12 for the shape \
         [2, 2, 3]; get the file again"
    );
    assert_eq!(
        idx_error(|folder| put(images(folder), idx(&[2, 2, 3], &[0; 20]))),
        "train-images-idx3-ubyte: found more than 12 bytes behind the header, expected 12 for the \
         shape [2, 2, 3]; get the file again"
    );
    assert!(
        idx_error(|folder| put(images(folder), idx(&[u32::MAX; 3], &[0; 20])))
            .contains("found 20 bytes behind the header, expected")
    );
    assert_eq!(
        idx_error(|folder| put(images(folder), idx(&[0, 2, 3], &[]))),
        "train-images-idx3-ubyte holds images of the shape [0, 2, 3], expected at least one pixel \
         of one image"
    );
    let early = "train-images-idx3-ubyte: the file ends early or is damaged; get the file again";
    assert_eq!(idx_error(|folder| put(images(folder), vec![0, 0, 8])), early);
    let whole = gzip(&idx(&[2, 2, 3], &[7; 12]));
    assert_eq!(idx_error(|folder| put(images(folder), whole[..20].to_vec())), early);
    assert_eq!(
        idx_error(|folder| put(labels(folder), idx(&[3], &[0, 1, 1]))),
        "train-labels-idx1-ubyte: found 3 labels, expected 2 as there are windows in \
         train-images-idx3-ubyte; the two do not belong together, or one is cut short"
    );
    assert_eq!(
        idx_error(|folder| {
            put(folder.join("test-images-idx3-ubyte"), idx(&[1, 3, 2], &[0; 6]));
            put(folder.join("test-labels-idx1-ubyte"), idx(&[1], &[0]));
        }),
        "test-images-idx3-ubyte: found images of 2 × 3 pixels, expected 3 × 2 as in the training \
         part; scale all images alike"
    );
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/images")
}

/// A folder with one image for each class.
fn png_folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (image, place) in files {
        let path = folder.path().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(golden().join(format!("{image}.png")), path).unwrap();
    }
    folder
}

#[test]
fn png_files_have_the_values_that_another_program_gave_them() {
    let text = fs::read_to_string(golden().join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (name, values) in expected.as_object().unwrap() {
        let folder = png_folder(&[(name, "a/1.png"), (name, "b/1.png")]);
        let data = read(folder.path(), &default_options()).unwrap();
        let values: Vec<f64> =
            values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        let series = &data.train.set.series[1];
        assert_eq!((data.grid, series.steps()), (Some([7, 13]), 91), "{name}");
        assert_eq!(series.values.len(), values.len(), "{name}");
        for (found, expected) in series.values.iter().zip(values) {
            // The JSON reader may be off by one in the last place.
            assert!((found - expected).abs() < 1e-15, "{name}: {found} against {expected}");
        }
    }
}

#[test]
fn folders_name_the_classes() {
    let folder = png_folder(&[
        ("colour", "train/cat/1.png"),
        ("opaque", "train/cat/2.PNG"),
        ("palette", "train/ant/1.png"),
        ("colour", "test/cat/1.png"),
    ]);
    fs::write(folder.path().join("train/cat/.hidden.jpg"), "").unwrap();
    fs::write(folder.path().join("train/cat/notes.txt"), "").unwrap();
    let options = LabelledOptions { columns: vec!["blue".into()], ..default_options() };
    let data = read(folder.path(), &options).unwrap();
    let names: Vec<&str> = data.train.set.series.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["ant/1.png", "cat/1.png", "cat/2.PNG"]);
    assert_eq!(
        (data.train.classes, data.train.labels),
        (vec!["ant".into(), "cat".into()], vec![0, 1, 1])
    );
    assert_eq!(data.test.unwrap().set.series[0], {
        let mut series = data.train.set.series[1].clone();
        series.name = "cat/1.png".into();
        series
    });
    assert_eq!(data.train.set.series[0].channels, 1);
    // (101 · 2) mod 256, of the first pixel.
    assert!((data.train.set.series[1].values[0] - 202.0 / 255.0).abs() < 1e-15);
}

#[test]
fn faults_of_png_folders_are_named() {
    let message = |folder: &TempDir| {
        let error = read(folder.path(), &default_options()).unwrap_err().to_string();
        error.replace(&format!("{}/", folder.path().display()), "")
    };
    let pair = |image| png_folder(&[("grey", "a/1.png"), (image, "b/2.png")]);
    assert_eq!(
        message(&pair("colour")),
        "b/2.png: found 13 × 7 pixels of 3 values, expected 13 × 7 of 1 as in a/1.png; scale or \
         convert all images alike"
    );
    assert_eq!(
        message(&pair("clear")),
        "b/2.png: found a transparent pixel, expected opaque ones; put the image on a background"
    );
    let folder = pair("grey");
    fs::write(folder.path().join("b/2.png"), "GIF89a").unwrap();
    assert_eq!(
        message(&folder),
        "b/2.png: the file is no PNG image; save it again as PNG, or remove it"
    );
    fs::write(folder.path().join("b/1.jpeg"), "").unwrap();
    assert_eq!(
        message(&folder),
        "b/1.jpeg: found the extension \"jpeg\", expected png; convert the image to PNG"
    );
}

#[test]
#[ignore = "needs REGARD_DATA"]
fn mnist_10k_has_the_published_counts() {
    let folder = std::env::var("REGARD_DATA").expect("REGARD_DATA names the folder of data sets");
    let data = read(&PathBuf::from(folder).join("images/mnist-10k"), &default_options()).unwrap();
    assert_eq!((data.grid, data.train.len()), (Some([28, 28]), 10_000));
    let counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
    assert_eq!(data.train.class_counts(), counts);
    let values = || data.train.set.series.iter().flat_map(|series| &series.values);
    let mean = values().sum::<f64>() / 7_840_000.0;
    assert_eq!(format!("{mean:.6}"), "0.132515");
    let whole = data.train.labels.clone();
    let by = HoldOut::Order { validation: 0.1, test: 0.1 };
    let LabelledSplit { train, validation, test, .. } = by.split(data).unwrap();
    assert_eq!(train.labels, whole[..8000]);
    assert_eq!(validation.labels, whole[8000..9000]);
    assert_eq!(test.labels, whole[9000..]);
}
