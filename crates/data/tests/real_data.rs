//! Data sets of others, in the folder that `REGARD_DATA` names.

use std::path::PathBuf;

use regard_data::file::{ReadOptions, read};
use regard_data::normalize::Normalization;
use regard_data::split::SplitConfig;
use regard_data::{SeriesSet, window};

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
