//! Files that other programs wrote, and numbers that other programs computed.

use std::path::{Path, PathBuf};

use regard_data::file::{Missing, ReadOptions, read};
use regard_data::simulate::{Lorenz, Stepper, System};
use regard_data::{Series, SeriesSet};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn read_golden(name: &str, options: &ReadOptions) -> SeriesSet {
    read(&golden(name), options).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_pandas_table_has_every_number_type_and_a_null() {
    let mut options = ReadOptions {
        columns: Some(["flow", "level", "count"].map(String::from).to_vec()),
        id_column: Some("run".into()),
        time_column: Some("clock".into()),
        missing: Missing::Linear,
        ..ReadOptions::default()
    };
    let set = read_golden("pandas.parquet", &options);
    assert_eq!((set.dt, set.columns), (Some(0.25), options.columns.clone().unwrap()));
    // Rows 0, 2, 4, … of the file are series b, rows 1, 3, 5, … series a.
    let row = |i: usize, level: f64| [i as f64 / 8.0, level, i as f64 - 3.0];
    let b = [
        row(0, 1.5),
        row(2, 1.5),
        row(4, 2.5),
        row(6, 2.5),
        row(8, 2.5),
        row(10, 2.5),
        row(12, 2.5),
    ];
    let a = [
        row(1, 1.5),
        row(3, 2.0),
        row(5, 2.5),
        row(7, 2.5),
        row(9, 2.5),
        row(11, 2.5),
        row(13, 2.5),
    ];
    assert_eq!(set.series, [Series::new("b", b.concat(), 3), Series::new("a", a.concat(), 3)]);

    options.missing = Missing::Error;
    let error = read(&golden("pandas.parquet"), &options).unwrap_err().to_string();
    let place =
        "pandas.parquet, row index 3, column \"level\": found a null, expected a finite number";
    assert!(error.contains(place), "{error}");
}

#[test]
fn the_text_column_of_a_pandas_table_is_named() {
    let error = read(&golden("pandas.parquet"), &ReadOptions::default()).unwrap_err().to_string();
    assert!(
        error.contains("pandas.parquet, column \"run\": found the type Dictionary("),
        "{error}"
    );
    assert!(
        error.ends_with("expected a numeric type; convert it, or leave it out (data.columns)"),
        "{error}"
    );
}

#[test]
fn a_date_index_of_pandas_gives_the_time_step_in_seconds() {
    let options = ReadOptions { time_column: Some("when".into()), ..ReadOptions::default() };
    let set = read_golden("pandas_dates.parquet", &options);
    assert_eq!((set.dt, &set.columns[..]), (Some(21_600.0), &["temp".into(), "wind".into()][..]));
    let rows: Vec<f64> = (0..7).flat_map(|t| [f64::from(t) + 0.5, f64::from(t * t)]).collect();
    assert_eq!(set.series, [Series::new("pandas_dates", rows, 2)]);
}

#[test]
fn a_polars_table_falls_into_its_series() {
    let set = read_golden("polars.parquet", &ReadOptions::default());
    assert_eq!((set.dt, &set.columns[..]), (Some(0.5), &["u".into(), "v".into()][..]));
    let rows = |range: std::ops::Range<u8>| -> Vec<f64> {
        range.flat_map(|i| [f64::from(i), -f64::from(i) / 3.0]).collect()
    };
    let expected = [Series::new("first", rows(0..4), 2), Series::new("second", rows(4..7), 2)];
    assert_eq!(set.series, expected);
}

#[test]
fn the_unnamed_index_of_a_pandas_csv_is_no_channel() {
    let set = read_golden("pandas.csv", &ReadOptions::default());
    assert_eq!(set.columns, ["0", "1", "2"]);
    assert_eq!(set.series[0].row(3), [0.1 * 3.0, 3e-300, 3e22]);
}

#[test]
fn the_array_of_two_axes_is_taken_and_t_gives_the_time_step() {
    let set = read_golden("numpy.npz", &ReadOptions::default());
    let values: Vec<f64> = (0..21).map(|i| f64::from(i) / 4.0).collect();
    assert_eq!(set.series, [Series::new("numpy", values, 3)]);
    assert_eq!(set.columns, ["x0", "x1", "x2"]);
    let dt = set.dt.expect("t has equal steps");
    assert!((dt - 0.4).abs() < 0.4 * f64::from(f32::EPSILON), "{dt}");
}

#[test]
fn big_endian_integers_in_fortran_order_are_read() {
    let options =
        ReadOptions { columns: Some(vec!["x2".into(), "x0".into()]), ..ReadOptions::default() };
    let set = read_golden("fortran.npy", &options);
    let rows =
        |i: u16| (0..5).flat_map(move |j| [2, 0].map(move |k| f64::from(100 * i + 10 * j + k)));
    let series = |i: u16| Series::new(i.to_string(), rows(i).collect(), 2);
    assert_eq!((set.series, set.dt), (vec![series(0), series(1)], None));
}

#[test]
fn lorenz_steps_equal_those_of_numpy_and_approach_the_solution_of_scipy() {
    let text = std::fs::read_to_string(golden("lorenz.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    let state =
        |value: &serde_json::Value| -> [f64; 3] { serde_json::from_value(value.clone()).unwrap() };
    let distance = |a: [f64; 3], b: [f64; 3]| {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    };
    let lorenz = Lorenz::default();
    let after = |dt: f64, steps: usize| {
        let (mut stepper, mut x) = (lorenz.stepper(dt), state(&golden["start"]));
        (0..steps).for_each(|_| stepper.step(&mut x));
        x
    };
    for (steps, expected) in golden["rk4"].as_object().unwrap() {
        let error = distance(after(0.01, steps.parse().unwrap()), state(expected));
        // Sums of four stages in another order: rounding of values near 30, grown by the flow.
        assert!(error < 1e-11, "{error} after {steps} steps");
    }
    let exact = state(&golden["exact_at_2"]);
    let (coarse, fine) = (distance(after(0.01, 200), exact), distance(after(0.000_5, 4000), exact));
    // The method alone is off by 2.7e-3 at dt = 0.01; a step of 1/20 divides that by 20⁴.
    assert!((1e-3..1e-2).contains(&coarse), "{coarse}");
    assert!(fine < 3.0 * coarse / 20_f64.powi(4), "{fine}");
}
