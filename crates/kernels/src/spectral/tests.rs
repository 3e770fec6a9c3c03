use std::f64::consts::TAU;

use burn::tensor::{FloatDType, Tensor};

use super::cost::transform_products;
use super::fast::{self, FastTransform};
use super::grid::Grid;
use super::reference::{self, Sizes};
use super::transform::{Direction, Fields, Transform};
use super::{composed, multiply_adds, spectral, spectral_line, truncate};
use crate::cpu::view::Ptr;
use crate::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

/// Grid, rows and columns of multipliers, and widths.
type Case = ([usize; 2], [usize; 2], [usize; 2]);

/// One point; odd sizes; all frequencies of an even grid; the rows of both ends overlap; tiles of several
/// waves, and several tiles of one; an odd number of rows of multipliers.
const CASES: [Case; 8] = [
    ([1, 1], [1, 1], [1, 1]),
    ([7, 9], [4, 3], [3, 5]),
    ([8, 8], [8, 5], [5, 2]),
    ([4, 4], [6, 3], [2, 3]),
    ([5, 6], [10, 4], [2, 3]),
    ([11, 26], [6, 7], [17, 33]),
    ([3, 5], [2, 2], [67, 130]),
    ([13, 2], [5, 2], [1, 3]),
];

fn field(batch: usize, case: Case) -> Tensor<4> {
    let ([rows, columns], _, [d_in, _]) = case;
    normal([batch, rows, columns, d_in], 1)
}

fn multipliers(case: Case) -> Tensor<5> {
    let (_, [n_rows, n_columns], [d_in, d_out]) = case;
    normal([n_rows, n_columns, 2, d_in, d_out], 2)
}

#[test]
fn equals_the_definition_at_all_sizes() {
    for case in CASES {
        for batch in [1, 3] {
            let (grid, modes, [d_in, d_out]) = case;
            let (x, weight) = (field(batch, case), multipliers(case));
            let (host, sizes) = (to_f64(&weight), Sizes { grid, modes, d_in, d_out });
            let expected = to_f64(&x)
                .chunks_exact(grid[0] * grid[1] * d_in)
                .flat_map(|x| reference::spectral(x, &host, sizes))
                .collect();
            let expected = from_f64(expected, [batch, grid[0], grid[1], d_out]);
            // Sums of up to 67 products, of which each is a sum over up to 286 points.
            assert_close(&spectral(x.clone(), weight.clone()), &expected, 1e-12);
            assert_close(&composed(x, weight), &expected, 1e-12);
        }
    }
}

#[test]
fn gradients_match_central_differences() {
    for case in [CASES[1], CASES[2], CASES[3]] {
        let (x, weight) = (field(2, case), multipliers(case));
        assert_gradients([x.clone()], |[x]| spectral(x, weight.clone()), 1e-8);
        assert_gradients([weight], |[weight]| spectral(x.clone(), weight), 1e-8);
    }
}

/// 29 fields: two blocks of a mode.
#[test]
fn gradients_equal_those_of_the_composed_form() {
    for case in CASES {
        let gradients = |fused: bool| {
            let x = field(29, case).autodiff().require_grad();
            let weight = multipliers(case).autodiff().require_grad();
            let form = if fused { spectral } else { composed };
            let y = form(x.clone(), weight.clone());
            let cotangent = normal(y.dims(), 3).autodiff();
            let grads = (y * cotangent).sum().backward();
            (x.grad(&grads).expect("a gradient"), weight.grad(&grads).expect("a gradient"))
        };
        let (found, expected) = (gradients(true), gradients(false));
        assert_close(&found.0, &expected.0, 1e-12);
        assert_close(&found.1, &expected.1, 1e-12);
    }
}

#[test]
fn single_precision_is_as_accurate_as_its_numbers() {
    let case = ([32, 32], [18, 9], [16, 16]);
    let (x, weight) = (field(2, case), multipliers(case));
    let expected = spectral(x.clone(), weight.clone());
    let single = spectral(x.cast(FloatDType::F32), weight.cast(FloatDType::F32));
    // Results of size 4; sums of 1024 and of 5000 terms with errors of 2⁻²⁴ each.
    assert_close(&single.cast(FloatDType::F64), &expected, 1e-5);
}

#[test]
fn results_and_gradients_do_not_depend_on_the_number_of_threads() {
    let run = |batch: usize, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let case = ([16, 20], [8, 5], [7, 11]);
            let x = field(batch, case).autodiff().require_grad();
            let weight = multipliers(case).autodiff().require_grad();
            let y = spectral(x.clone(), weight.clone());
            let grads = y.clone().powi_scalar(2).sum().backward();
            let gradients = [
                to_f64(&x.grad(&grads).expect("a gradient")),
                to_f64(&weight.grad(&grads).expect("a gradient")),
            ];
            (to_f64(&y.inner()), gradients)
        })
    };
    // Threads share fields, or the tiles of one.
    for batch in [31, 1] {
        assert_eq!(run(batch, 1), run(batch, 3));
    }
}

/// A field with few frequencies on a grid.
fn smooth([rows, columns]: [usize; 2]) -> Tensor<4> {
    let value = |i: usize| {
        let [s, t] = [i / columns * 24 / rows, i % columns * 24 / columns].map(|j| j as f64 / 24.0);
        0.3 + (TAU * (s - 2.0 * t)).cos() + (TAU * 2.0 * s).sin() * (TAU * t).cos()
    };
    from_f64((0..rows * columns).map(value).collect(), [1, rows, columns, 1])
}

#[test]
fn multipliers_do_not_depend_on_the_resolution() {
    let weight = normal([6, 4, 2, 1, 3], 4);
    let coarse = spectral(smooth([8, 12]), weight.clone());
    let fine = spectral(smooth([24, 24]), weight);
    let on_coarse =
        fine.reshape([8, 3, 12, 2 * 3]).narrow(1, 0, 1).narrow(3, 0, 3).reshape([1, 8, 12, 3]);
    assert_close(&on_coarse, &coarse, 1e-14);
}

#[test]
fn truncated_multipliers_keep_the_frequencies_of_a_coarse_grid() {
    // Frequencies −2 … 2 along rows and 0 … 2 along columns are on all of these grids.
    let weight = normal([12, 7, 2, 1, 3], 5);
    let fine = spectral(smooth([24, 24]), weight.clone());
    for (grid, modes) in [([8, 6], [8, 4]), ([6, 8], [6, 5]), ([12, 12], [12, 7])] {
        let kept = truncate(weight.clone(), grid);
        assert_eq!(kept.dims()[..2], modes);
        let coarse = spectral(smooth(grid), kept);
        let [rows, columns] = grid.map(|n| 24 / n);
        let on_coarse = fine
            .clone()
            .reshape([grid[0], rows, grid[1], columns * 3])
            .narrow(1, 0, 1)
            .narrow(3, 0, 3)
            .reshape([1, grid[0], grid[1], 3]);
        assert_close(&coarse, &on_coarse, 1e-14);
    }
    let row = to_f64(&truncate(weight.clone(), [1, 1]));
    assert_eq!(row, to_f64(&weight.narrow(0, 0, 1).narrow(1, 0, 1)));
}

/// `2πik` is the derivative, and `e^{−2πik/n}` moves by one point.
#[test]
fn on_a_line_multipliers_differentiate_and_shift() {
    let n = 13;
    let at = |shift: usize| {
        let value = |i: usize| {
            let t = TAU * ((i + n - shift) % n) as f64 / n as f64;
            (2.0 * t).sin() + (5.0 * t).cos() - 0.5
        };
        from_f64((0..n).map(value).collect(), [1, n, 1])
    };
    let slope = |i: usize| {
        let t = TAU * i as f64 / n as f64;
        TAU * (2.0 * (2.0 * t).cos() - 5.0 * (5.0 * t).sin())
    };
    let weight = |k: usize| {
        let angle = TAU * k as f64 / n as f64;
        [[0.0, angle.cos()], [TAU * k as f64, -angle.sin()]].concat()
    };
    let weight = from_f64((0..6).flat_map(weight).collect(), [6, 2, 1, 2]);
    let found = spectral_line(at(0), weight);
    let slopes = from_f64((0..n).map(slope).collect(), [1, n, 1]);
    assert_close(&found.clone().narrow(2, 0, 1), &slopes, 1e-13);
    assert_close(&found.narrow(2, 1, 1), &at(1), 1e-13);
}

#[test]
fn the_cost_is_that_of_both_transforms_and_the_products() {
    // 16 × 10 points, 6 × 3 modes, frequencies 0 … 3 along rows. Along rows 4 · 9 products with cosines
    // and 3 · 7 with sines at each column; along columns 3 · 6 and 2 · 4 at each of 7 waves.
    let transform = (4 * 9 + 3 * 7) * 10 + 7 * (3 * 6 + 2 * 4);
    assert_eq!(multiply_adds([16, 10], [6, 3], [2, 5]), 7 * transform + 4 * 18 * 10);
}

#[test]
#[should_panic(
    expected = "multipliers of 18 × 9 modes need at least 9 rows and 16 columns, the grid \
                           has 8 × 16: `truncate` them"
)]
fn grids_too_small_for_the_modes_are_refused() {
    let _ = spectral(normal([1, 8, 16, 1], 1), normal([18, 9, 2, 1, 1], 2));
}

#[test]
#[should_panic(expected = "has 10 × 15")]
fn columns_too_few_for_the_modes_are_refused() {
    let _ = composed(normal([1, 10, 15, 1], 1), normal([18, 9, 2, 1, 1], 2));
}

/// A field and its modes.
struct Pass {
    batch: usize,
    d: usize,
    x: Vec<f64>,
    modes: Vec<f64>,
}

impl Pass {
    fn new(grid: &Grid, batch: usize, d: usize) -> Self {
        let wave = |i: usize| (1.7 * i as f64).sin();
        let n_modes = grid.used().iter().map(|(mode, _)| mode + 1).max().unwrap() * grid.n_columns;
        let x = (0..batch * grid.rows * grid.columns * d).map(wave).collect();
        Self { batch, d, x, modes: vec![0.0; n_modes * batch * 2 * d] }
    }

    /// From field to modes, then from modes to field, in one of both forms.
    fn run(&mut self, grid: &Grid, is_fast: bool) {
        let shares = grid.shares();
        for direction in [Direction::Forward, Direction::Back] {
            let [x, modes] = [&mut self.x, &mut self.modes].map(|values| Ptr(values.as_mut_ptr()));
            let fields = Fields { batch: self.batch, d: self.d, x, modes };
            #[expect(unsafe_code, reason = "the vectors have the sizes")]
            unsafe {
                if is_fast {
                    FastTransform::new(grid).run(fields, &shares, direction);
                } else {
                    Transform::new(grid.clone()).run(fields, &shares, direction);
                }
            }
        }
    }
}

#[test]
fn both_forms_of_the_transform_are_one() {
    for (grid, modes, [d, _]) in CASES {
        let grid = Grid::new(grid, modes);
        let [found, expected] = [true, false].map(|is_fast| {
            let mut pass = Pass::new(&grid, 2, d);
            pass.run(&grid, is_fast);
            [pass.modes, pass.x].concat()
        });
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-12, "{grid:?}: {found} {expected}");
        }
    }
}

#[test]
fn many_modes_of_few_channels_go_through_fast_transforms() {
    let form = |side: usize, modes, d| fast::pays(&Grid::new([side, side], modes), d);
    assert!(form(64, [24, 12], 1) && form(64, [64, 33], 4) && form(256, [256, 129], 32));
    assert!(!form(8, [8, 4], 4) && !form(64, [24, 12], 32) && !form(208, [24, 12], 4));
}

/// Where the constants of `fast` come from: `cargo test --release --lib -- --ignored --nocapture both_forms_are_timed`
#[test]
#[ignore = "measures speed; run with --release -- --ignored"]
fn both_forms_are_timed() {
    println!("side modes    d   products ns/product       fast ns/(n log n)   products / fast");
    for (side, rows, columns) in [
        (8, 8, 4),
        (64, 8, 8),
        (64, 16, 8),
        (64, 24, 12),
        (64, 64, 33),
        (208, 24, 12),
        (208, 64, 32),
        (256, 256, 129),
    ] {
        for d in [1, 4, 32] {
            let grid = Grid::new([side, side], [rows, columns]);
            let batch = (1 << 16) / (side * side * d).min(1 << 16);
            let time = |is_fast: bool| {
                let mut least = f64::INFINITY;
                let mut pass = Pass::new(&grid, batch, d);
                for _ in 0..7 {
                    let start = std::time::Instant::now();
                    pass.run(&grid, is_fast);
                    least = least.min(start.elapsed().as_secs_f64());
                }
                1e9 * least / (2 * batch * d) as f64
            };
            let [fast, products] = [true, false].map(time);
            match (side, d) {
                (8, 32) => assert!(products < fast, "few modes of many channels"),
                (256, 1) => assert!(fast < products, "many modes of one channel"),
                _ => (),
            }
            let n = (side * side) as f64;
            println!(
                "{side:4} {rows:3}×{columns:3} {d:3} {products:10.0} {:10.4} {fast:10.0} {:10.4} {:10.2}",
                products / transform_products(&grid) as f64,
                fast / (n * n.log2()),
                products / fast,
            );
        }
    }
}
