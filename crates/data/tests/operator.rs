//! Generators of function pairs against numbers of another program.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use regard_data::fourier::Complex64;
use regard_data::operator::make::controlled_ode::{Signal, response};
use regard_data::operator::make::gaussian_field::GaussianField;
use regard_data::operator::make::periodic_field::real_inverse;
use regard_data::operator::make::vorticity::KolmogorovFlow;
use regard_data::operator::make::{Coefficient, LorenzComponents, elliptic};
use regard_data::operator::{FunctionSet, Functions, Placement, Points};
use safetensors::Golden;

mod safetensors;

/// Sums in another order, of numbers of this size.
const TOLERANCE: f64 = 1e-12;

fn generators() -> Golden {
    Golden::open("continuum/data_generators.safetensors")
}

/// Largest difference, relative to the largest value.
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    for (found, expected) in found.iter().zip(expected) {
        let difference = (found - expected).abs();
        assert!(difference <= tolerance * largest, "{found} against {expected}");
    }
}

#[test]
fn gaussian_functions_and_their_permeabilities_are_those_of_numpy() {
    let golden = generators();
    let nodes = golden.reals("grid");
    assert_close(&Placement::Nodes.coordinates(33), &nodes, TOLERANCE);
    let field = GaussianField { modes: 12, ..GaussianField::default() };
    for (i, xi) in golden.reals("grf_xi").chunks_exact(144).enumerate() {
        let sample = i * 33 * 33..(i + 1) * 33 * 33;
        let g = field.function(xi).evaluate(&nodes, &nodes);
        assert_close(&g, &golden.reals("grf_field")[sample.clone()], TOLERANCE);
        for (name, coefficient) in
            [("coef_lognormal", Coefficient::LogNormal), ("coef_piecewise", Coefficient::PIECEWISE)]
        {
            let a: Vec<f64> = g.iter().map(|&g| coefficient.value(g)).collect();
            assert_close(&a, &golden.reals(name)[sample.clone()], TOLERANCE);
        }
    }
}

#[test]
fn darcy_solutions_are_those_of_a_direct_solver() {
    let golden = generators();
    let (n, f) = (33, vec![1.0; 33 * 33]);
    // The iteration stops at 1e-12 of the source.
    let close = |a: &[f64], u: &[f64]| assert_close(&elliptic::solve(n, a, &f).unwrap(), u, 1e-11);
    close(&f, &golden.reals("solution_constant_coefficient"));
    for kind in ["lognormal", "piecewise"] {
        let a = golden.reals(&format!("coef_{kind}"));
        let u = golden.reals(&format!("solution_{kind}"));
        for (a, u) in a.chunks_exact(n * n).zip(u.chunks_exact(n * n)) {
            close(a, u);
        }
    }
}

#[test]
fn periodic_fields_are_the_real_inverse_of_their_half_spectrum() {
    let golden = generators();
    let parts = golden.reals("periodic_grf_coeff.ri");
    let coefficients: Vec<Complex64> =
        parts.as_chunks::<2>().0.iter().map(|&[re, im]| Complex64::new(re, im)).collect();
    let fields = golden.reals("periodic_grf_field");
    for (coefficients, field) in coefficients.chunks_exact(256).zip(fields.chunks_exact(256)) {
        assert_close(&real_inverse(16, coefficients), field, TOLERANCE);
    }
}

#[test]
fn kolmogorov_flow_takes_the_steps_of_numpy() {
    let golden = generators();
    let [dt, reynolds] = ["kf_dt", "kf_reynolds"].map(|name| golden.reals(name)[0]);
    let flow = KolmogorovFlow { reynolds, dt, ..KolmogorovFlow::default() };
    let slopes = golden.reals("kf_nonlinear_plus_forcing_at_w0.ri");
    for (i, start) in golden.reals("kf_w0").chunks_exact(256).enumerate() {
        let mut solver = flow.init(16);
        let mut w = solver.coefficients(start);
        // Nine waves along y, of which NumPy's count fastest.
        let slope = solver.slope(&w);
        let found: Vec<f64> = (0..16)
            .flat_map(|kx| slope.iter().skip(kx).step_by(16))
            .flat_map(|slope| [slope.re, slope.im])
            .collect();
        assert_close(&found, &slopes[i * 288..(i + 1) * 288], TOLERANCE);
        let mut steps = 0;
        for after in [1, 10, 50] {
            (steps..after).for_each(|_| solver.step(&mut w));
            steps = after;
            let expected = golden.reals(&format!("kf_w_after_{after}_steps"));
            assert_close(&solver.field(&w), &expected[i * 256..(i + 1) * 256], TOLERANCE);
        }
    }
}

#[test]
fn lorenz_trajectories_are_those_of_an_adaptive_solver() {
    let golden = generators();
    let (times, states) = (golden.reals("l63_times"), golden.reals("l63_states"));
    let starts = golden.reals("l63_initial");
    let error = |max_step: f64| {
        let generator = LorenzComponents { max_step, ..LorenzComponents::default() };
        let found: Vec<f64> = starts
            .as_chunks::<3>()
            .0
            .iter()
            .flat_map(|&start| generator.trajectory(start, &times))
            .collect();
        let differences = found.iter().zip(&states).map(|(found, state)| (found - state).abs());
        differences.fold(0.0, f64::max)
    };
    // Order four; states are near 30.
    let (usual, fine) = (error(1e-3), error(1e-4));
    assert!(usual < 1e-6 && fine < 1e-10, "{usual:e} {fine:e}");
}

#[test]
fn the_controlled_equation_has_the_responses_of_numpy() {
    let golden = generators();
    let times = golden.reals("cde_times");
    let (xi, frequencies) = (golden.reals("cde_xi"), golden.reals("cde_freqs"));
    let signals = xi.chunks_exact(10).zip(frequencies.chunks_exact(10));
    let u: Vec<f64> = signals
        .flat_map(|(xi, frequencies)| {
            let signal = Signal { xi: xi.to_vec(), frequencies: frequencies.to_vec() };
            times.iter().map(|&t| signal.value(t)).collect::<Vec<_>>()
        })
        .collect();
    assert_close(&u, &golden.reals("cde_u"), TOLERANCE);
    let z: Vec<f64> = u.into_iter().map(response).collect();
    assert_close(&z, &golden.reals("cde_z"), TOLERANCE);
}

#[test]
fn normalised_values_and_coordinates_are_those_of_the_authors() {
    let golden = Golden::open("continuum/data_helpers.safetensors");
    let points = Points::Grid { rows: 5, columns: 6, placement: Placement::Nodes };
    let coordinates = golden.reals("patch_coords"); // [2, 5, 6]
    for (point, xy) in points.coordinates().as_chunks::<2>().0.iter().enumerate() {
        assert_close(xy, &[coordinates[point], coordinates[30 + point]], TOLERANCE);
    }
    let raw = golden.reals("raw");
    let functions = || Functions::new(["a"], raw.clone());
    let set = FunctionSet::new(points, functions(), functions()).unwrap();
    let [input, output] = set.normalization();
    assert_eq!((set.samples(), input), (4, output));
    assert_close(
        &[input.mean, input.std],
        &[golden.reals("mean")[0], golden.reals("std")[0]],
        1e-14,
    );
    let encoded = golden.reals("encoded");
    assert_close(&input.norm_from_phys(&raw), &encoded, TOLERANCE);
    assert_close(&input.phys_from_norm(&encoded), &raw, TOLERANCE);
}
