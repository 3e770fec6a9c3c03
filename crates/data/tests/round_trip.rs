//! What is written is read back bit by bit, from every format.

use std::path::Path;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use regard_data::file::{ReadOptions, read, write};
use regard_data::simulate::{Lorenz, SamplingConfig, Simulate, Simulation, System};
use regard_data::{Series, SeriesSet};

/// Any finite number: zeros of both signs, subnormal, tiny and huge.
fn finite() -> impl Strategy<Value = f64> {
    use prop::num::f64;
    f64::NORMAL | f64::SUBNORMAL | f64::ZERO
}

/// Names that quotation has to protect, none of them a number or a default.
fn names(count: usize) -> impl Strategy<Value = Vec<String>> {
    btree_set("[a-zα;,\"][a-z \"',;\t#é]{0,5}[a-z;]", count)
        .prop_map(|names| names.into_iter().collect::<Vec<_>>())
        .prop_filter("default names have a meaning", |names| {
            !names.iter().any(|name| name == "series" || name == "time" || name == "nan")
        })
        .prop_shuffle()
}

fn set(equal_lengths: bool) -> impl Strategy<Value = SeriesSet> {
    (1_usize..4, 2_usize..4, 1_usize..6, prop::option::of(1e-6_f64..1e6)).prop_flat_map(
        move |(n_series, channels, steps, dt)| {
            let lengths = if equal_lengths {
                Just(vec![steps; n_series]).boxed()
            } else {
                vec(1_usize..6, n_series).boxed()
            };
            let values = lengths.prop_flat_map(move |lengths| {
                lengths.iter().map(|n| vec(finite(), n * channels)).collect::<Vec<_>>()
            });
            (names(channels), names(n_series), values).prop_map(move |(columns, names, values)| {
                let series = names.into_iter().zip(values);
                let series: Vec<_> = series.map(|(n, v)| Series::new(n, v, channels)).collect();
                // A single step does not tell the time between two.
                let dt = dt.filter(|_| series.iter().any(|series| series.steps() > 1));
                SeriesSet { columns, series, dt }
            })
        },
    )
}

fn bits(set: &SeriesSet) -> Vec<Vec<u64>> {
    set.series.iter().map(|s| s.values.iter().map(|x| x.to_bits()).collect()).collect()
}

fn write_and_read(set: &SeriesSet, path: &Path) -> SeriesSet {
    write(path, set).expect("the set fits the format");
    read(path, &ReadOptions::default()).expect("what was written can be read")
}

fn check(set: &SeriesSet, extension: &str) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let back = write_and_read(set, &folder.path().join(format!("table.{extension}")));
    prop_assert_eq!(bits(&back), bits(set));
    if extension == "npy" {
        return Ok(()); // an array has neither names nor times
    }
    prop_assert_eq!(&back.columns, &set.columns);
    prop_assert_eq!(back.dt.map(f64::to_bits), set.dt.map(f64::to_bits));
    let names = |set: &SeriesSet| -> Vec<String> {
        set.series.iter().map(|series| series.name.clone()).collect()
    };
    let expected = if set.series.len() == 1 { vec!["table".to_owned()] } else { names(set) };
    prop_assert_eq!(names(&back), expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn csv_comes_back(set in set(false)) {
        check(&set, "csv")?;
    }

    #[test]
    fn tsv_comes_back(set in set(false)) {
        check(&set, "tsv")?;
    }

    #[test]
    fn parquet_comes_back(set in set(false)) {
        check(&set, "parquet")?;
    }

    #[test]
    fn npz_comes_back(set in set(true)) {
        check(&set, "npz")?;
    }

    #[test]
    fn npy_comes_back(set in set(true)) {
        check(&set, "npy")?;
    }
}

fn lorenz(n_series: usize, n_steps: usize) -> SeriesSet {
    let sampling = SamplingConfig { n_series, n_steps, ..Lorenz::SAMPLING };
    let simulation = Simulation::<Lorenz> { sampling, ..Simulation::default() };
    simulation.simulate().expect("the parameters are valid").set
}

#[test]
fn the_same_set_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let set = lorenz(2, 5);
    for extension in ["csv", "tsv", "parquet", "npz", "npy"] {
        let files = ["a", "b"].map(|name| folder.path().join(format!("{name}.{extension}")));
        for path in &files {
            write(path, &set).unwrap();
        }
        let [a, b] = files.map(|path| std::fs::read(path).unwrap());
        assert!(a == b, "{extension}");
    }
}

#[test]
fn a_simulation_comes_back_from_every_table() {
    let folder = tempfile::tempdir().unwrap();
    let set = lorenz(3, 50);
    for extension in ["csv", "tsv", "parquet", "npz"] {
        let back = write_and_read(&set, &folder.path().join(format!("lorenz.{extension}")));
        assert_eq!(back, set, "{extension}");
    }
}
