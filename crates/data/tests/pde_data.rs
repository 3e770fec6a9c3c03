//! Pairs of functions of others, in the folder that `REGARD_DATA` names, against our solvers.

use std::path::PathBuf;

use regard_data::file::{ReadOptions, read};
use regard_data::operator::make::burgers::BurgersSolver;
use regard_data::operator::make::vorticity::KolmogorovFlow;
use regard_data::operator::make::{Coefficient, elliptic};
use regard_data::operator::{FunctionArchive, FunctionSet, PairArrays, Placement, PointArrays};

fn pde(name: &str) -> PathBuf {
    let folder = std::env::var("REGARD_DATA").expect("REGARD_DATA names the folder of data sets");
    PathBuf::from(folder).join("pde").join(name)
}

fn arrays(input: &str, output: &str, placement: Placement) -> PairArrays {
    let (input, output) = (input.to_owned(), output.to_owned());
    PairArrays { input, output, points: PointArrays::Grid(placement), sample_axes: 1, lag: 0 }
}

fn relative_error(found: &[f64], expected: &[f64]) -> f64 {
    let difference: f64 = found.iter().zip(expected).map(|(x, y)| (x - y).powi(2)).sum();
    (difference / expected.iter().map(|y| y * y).sum::<f64>()).sqrt()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

#[test]
#[ignore = "needs REGARD_DATA"]
fn darcy_sets_have_all_parts_and_the_solutions_of_our_solver() {
    // Differences of a solve on the nodes of the set from the finer one that made it, and of the
    // mean field of the training part, both as measured by the authors of the sets.
    for (kind, errors, baseline) in [
        ("lognormal", [(32, 1.4e-3), (64, 2.7e-4), (96, 7e-5)], 0.208),
        ("piecewise", [(32, 1.5e-2), (64, 6.4e-3), (96, 3.0e-3)], 0.433),
    ] {
        let path = pde(&format!("synthetic_darcy_{kind}.npz"));
        let mut archive = FunctionArchive::open(&path).unwrap();
        let mut part = |part: &str, n: usize| -> FunctionSet {
            let [a, u] = ["a", "u"].map(|name| format!("{part}_{name}_{n}"));
            archive.read(&arrays(&a, &u, Placement::Nodes)).unwrap()
        };
        let (train, validation) = (part("train", 64), part("val", 64));
        assert_eq!((train.samples(), validation.samples()), (320, 40));
        for (n, expected) in errors {
            let test = part("test", n);
            assert_eq!((test.samples(), test.points().shape()), (40, vec![n, n]));
            let error = |i: usize| {
                let piecewise = |phase: &f64| Coefficient::PIECEWISE.value(phase - 0.5);
                let a: Vec<f64> = match kind {
                    "piecewise" => test.input(i).iter().map(piecewise).collect(),
                    _ => test.input(i).to_vec(),
                };
                relative_error(&elliptic::solve(n, &a, &vec![1.0; n * n]).unwrap(), test.output(i))
            };
            let error = mean((0..40).map(error));
            assert!((error / expected - 1.0).abs() < 0.1, "{kind} at {n}: {error}");
        }
        let [_, normalization] = train.normalization();
        let mut mean_field = vec![0.0; 64 * 64];
        for i in 0..320 {
            mean_field.iter_mut().zip(train.output(i)).for_each(|(m, u)| *m += u / 320.0);
        }
        let (test, guess) = (part("test", 64), normalization.norm_from_phys(&mean_field));
        let error =
            |i: usize| relative_error(&guess, &normalization.norm_from_phys(test.output(i)));
        let error = mean((0..40).map(error));
        assert!((error - baseline).abs() < 2e-3, "{kind}: {error}");
    }
}

#[test]
#[ignore = "needs REGARD_DATA"]
fn kolmogorov_snapshots_advance_as_stored() {
    let path = pde("synthetic_kolmogorov_re70.npz");
    let arrays = PairArrays { sample_axes: 2, ..arrays("w64", "w64_after_0p1", Placement::Edges) };
    let set = FunctionArchive::open(&path).unwrap().read(&arrays).unwrap();
    assert_eq!(set.samples(), 250);
    let mut solver = KolmogorovFlow::default().init(64);
    for sample in [0, 80, 249] {
        let mut w = solver.coefficients(set.input(sample));
        (0..20).for_each(|_| solver.step(&mut w));
        // The snapshots were cut from 128 points and hold waves that 64 points drop at a step's
        // end.
        let error = relative_error(&solver.field(&w), set.output(sample));
        assert!(error < 1e-3, "{sample}: {error}");
    }
}

#[test]
#[ignore = "needs REGARD_DATA"]
fn burgers_snapshots_are_near_our_solution_from_their_first() {
    let path = pde("neuralop_burgers16.npz");
    let array = |name: &str| {
        read(&path, &ReadOptions { array: Some(name.to_owned()), ..ReadOptions::default() })
            .unwrap()
    };
    let set = array("test_y"); // [series, t, x], the first at t = 0
    let mut solver = BurgersSolver::new(128, 0.01, 1e-3);
    let error = |i: usize| {
        let series = &set.series[i];
        let start = interpolated(series.row(0), 128);
        let end: Vec<f64> = solver.run(&start, 1000).iter().step_by(8).copied().collect();
        relative_error(&end, series.row(16))
    };
    let errors = mean((0..100).map(error));
    // Sixteen points do not hold all waves of the states that made the data.
    assert!((1e-3..0.03).contains(&errors), "{errors}");
}

/// The Fourier series of a periodic function on more points; the shortest wave stays a cosine.
fn interpolated(u: &[f64], points: usize) -> Vec<f64> {
    let n = u.len();
    let wave = |i: usize, k: usize, x: f64| {
        let angle = std::f64::consts::TAU * k as f64 * (x - i as f64 / n as f64);
        let weight = if k == 0 || 2 * k == n { 1.0 } else { 2.0 };
        weight * angle.cos() / n as f64
    };
    let value = |j: usize| {
        let x = j as f64 / points as f64;
        let kernel = |i: usize| (0..=n / 2).map(|k| wave(i, k, x)).sum::<f64>();
        u.iter().enumerate().map(|(i, u)| u * kernel(i)).sum()
    };
    (0..points).map(value).collect()
}
