use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use proptest::prelude::{prop, prop_assert, proptest};

use super::{
    QuadratureError, Rule, cells, gauss_legendre, log_weights, midpoint, monte_carlo, product,
    trapezoid, voronoi,
};
use crate::testing::to_f64;

/// Sums of numbers of size 1 that are rounded once each.
const EXACT: f64 = 1e-15;

#[track_caller]
fn close(found: &[f64], expected: &[f64], tol: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tol, "weight {i}: {found}, not {expected}");
    }
}

#[test]
fn trapezoid_weights_are_half_the_distances_to_both_neighbours() {
    let uniform = trapezoid(&[0.0, 0.25, 0.5, 0.75, 1.0]).unwrap();
    close(&uniform, &[0.125, 0.25, 0.25, 0.25, 0.125], 0.0);
    let descending = trapezoid(&[7.0, 4.0, 4.0, 2.0]).unwrap();
    close(&descending, &[1.5, 1.5, 1.0, 1.0], 0.0);
}

#[test]
fn cells_reach_half_way_to_the_neighbours_and_to_the_ends() {
    let weights = cells(&[0.5, 0.25, 0.75, 0.25], [0.0, 2.0]).unwrap();
    // Ends of the cells: 0, 3/8, 5/8, 2; two points share the first.
    close(&weights, &[2.0 / 8.0, 3.0 / 16.0, 11.0 / 8.0, 3.0 / 16.0], 0.0);
    assert_eq!(cells(&[1.0], [-1.0, 2.0]).unwrap(), [3.0]);
}

#[test]
fn gauss_legendre_rules_are_exact_up_to_their_degree() {
    let Rule { nodes, weights } = gauss_legendre([-1.0, 1.0], 3).unwrap();
    close(&nodes, &[-(0.6f64.sqrt()), 0.0, 0.6f64.sqrt()], EXACT);
    close(&weights, &[5.0 / 9.0, 8.0 / 9.0, 5.0 / 9.0], EXACT);
    for n in [1, 2, 3, 7, 20, 101] {
        let Rule { nodes, weights } = gauss_legendre([0.0, 1.0], n).unwrap();
        assert!(nodes.is_sorted(), "{n} nodes: {nodes:?}");
        for degree in [0, 1, n, 2 * n - 1] {
            let powers = nodes.iter().zip(&weights).map(|(x, w)| w * x.powf(degree as f64));
            close(&[powers.sum()], &[1.0 / (degree as f64 + 1.0)], 1e-14);
        }
        // One degree more is too much, where the error is not below rounding.
        if n < 10 {
            let powers = nodes.iter().zip(&weights).map(|(x, w)| w * x.powf(2.0 * n as f64));
            assert!((powers.sum::<f64>() * (2.0 * n as f64 + 1.0) - 1.0).abs() > 1e-9);
        }
    }
}

#[test]
fn midpoints_lie_at_the_centres_of_equal_cells() {
    let Rule { nodes, weights } = midpoint([1.0, 3.0], 4).unwrap();
    close(&nodes, &[1.25, 1.75, 2.25, 2.75], 0.0);
    close(&weights, &[0.5; 4], 0.0);
    close(&monte_carlo(5, 2.0).unwrap(), &[0.4; 5], 0.0);
    close(&product(&[1.0, 2.0], &[3.0, 5.0, 7.0]), &[3.0, 5.0, 7.0, 6.0, 10.0, 14.0], 0.0);
}

#[test]
fn voronoi_cells_of_few_points_have_areas_known_by_hand() {
    let unit = [[0.0, 1.0], [0.0, 1.0]];
    close(&voronoi(&[[0.3, 0.9]], unit).unwrap(), &[1.0], EXACT);
    // Two in the corners of a diagonal.
    close(&voronoi(&[[0.0, 0.0], [1.0, 1.0]], unit).unwrap(), &[0.5, 0.5], EXACT);
    // A point in the middle and four around it: a square on its corner with diagonal 1/2.
    let cross = [[0.5, 0.5], [0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]];
    close(&voronoi(&cross, unit).unwrap(), &[0.125, 0.21875, 0.21875, 0.21875, 0.21875], EXACT);
    // Three on a line, two of them at one place, whatever the sign of their zero.
    let repeated = [[0.0, 1.0], [3.0, 1.0], [-0.0, 1.0]];
    let weights = voronoi(&repeated, [[-1.0, 3.0], [0.0, 2.0]]).unwrap();
    close(&weights, &[2.5, 3.0, 2.5], EXACT);
}

/// A pixel belongs to the nearest point.
#[test]
fn voronoi_cells_equal_a_count_of_pixels() {
    const SIDE: usize = 300;
    let domain = [[-1.0, 2.0], [5.0, 6.0]];
    let points: Vec<[f64; 2]> = (0..29)
        .map(|i| {
            let [x, y] = [0.754_877_666, 0.569_840_291].map(|step| (step * f64::from(i)).fract());
            // Crowded to the left, so that rings of buckets of every size are searched.
            [-1.0 + 3.0 * x * x * x, 5.0 + y]
        })
        .collect();
    let mut pixels = vec![0.0; points.len()];
    let at = |i: usize, [low, high]: [f64; 2]| low + (high - low) * (i as f64 + 0.5) / SIDE as f64;
    for row in 0..SIDE {
        for column in 0..SIDE {
            let [x, y] = [at(column, domain[0]), at(row, domain[1])];
            let distance = |p: &[f64; 2]| (p[0] - x).hypot(p[1] - y);
            let nearest = (0..points.len())
                .min_by(|&i, &j| distance(&points[i]).total_cmp(&distance(&points[j])));
            pixels[nearest.unwrap()] += 3.0 / (SIDE * SIDE) as f64;
        }
    }
    // A pixel is 3.3e-5; of those on the boundary of a cell, up to 2000, few have the wrong centre.
    close(&voronoi(&points, domain).unwrap(), &pixels, 3e-3);
}

/// Of the first order in the distance of the points, whose square root is that of their number.
#[test]
fn scattered_points_integrate_better_with_the_areas_of_their_cells() {
    let error = |n: usize| {
        let points: Vec<[f64; 2]> = (0..n)
            .map(|i| [0.754_877_666, 0.569_840_291].map(|step| (step * i as f64 + 0.3).fract()))
            .map(|[x, y]| [x * x, y])
            .collect();
        let value = |p: &[f64; 2]| (3.0 * p[0]).sin() * p[1].exp();
        let weights = voronoi(&points, [[0.0, 1.0]; 2]).unwrap();
        let weighted: f64 = points.iter().zip(&weights).map(|(p, w)| w * value(p)).sum();
        let plain: f64 = points.iter().map(value).sum::<f64>() / n as f64;
        // ∫ sin 3x dx ∫ e^y dy
        let exact = (1.0 - 3.0f64.cos()) / 3.0 * (1.0f64.exp() - 1.0);
        [(weighted - exact).abs(), (plain - exact).abs()]
    };
    let [coarse, fine] = [error(400), error(6400)];
    assert!(fine[0] < 0.25 * coarse[0] && fine[0] < 1e-3, "{coarse:?}, {fine:?}");
    assert!(fine[1] > 0.1, "plain means weigh the crowded side too much: {fine:?}");
}

proptest! {
    #[test]
    fn weights_are_positive_and_sum_to_the_measure(
        points in prop::collection::vec([0.0..2.0f64, -1.0..1.0f64], 2..40),
        copies in 0..3usize,
    ) {
        let mut points = points;
        points.extend_from_within(..copies.min(points.len()));
        let check = |weights: Vec<f64>, measure: f64| {
            prop_assert!(weights.iter().all(|&w| w >= 0.0), "{:?}", weights);
            let sum: f64 = weights.iter().sum();
            prop_assert!((sum - measure).abs() < 1e-13, "{} instead of {}", sum, measure);
            Ok(())
        };
        check(voronoi(&points, [[0.0, 2.0], [-1.0, 1.0]]).unwrap(), 4.0)?;
        let mut line: Vec<f64> = points.iter().map(|p| p[0]).collect();
        check(cells(&line, [0.0, 2.0]).unwrap(), 2.0)?;
        line.sort_by(f64::total_cmp);
        let length = line[line.len() - 1] - line[0];
        check(trapezoid(&line).unwrap(), length)?;
        line.reverse();
        check(trapezoid(&line).unwrap(), length)?;
        check(gauss_legendre([-1.0, 2.0], points.len()).unwrap().weights, 3.0)?;
    }
}

#[test]
fn wrong_points_are_named() {
    let message = |result: Result<Vec<f64>, QuadratureError>| result.unwrap_err().to_string();
    let expected = "found 1 points, but the rule needs at least 2";
    assert_eq!(message(trapezoid(&[0.5])), expected);
    let expected = "node 2 at 0.25 turns back from 0.5: sort the nodes, ascending or descending";
    assert_eq!(message(trapezoid(&[0.0, 0.5, 0.25, 1.0])), expected);
    let expected = "point 1 has the coordinate NaN: use finite coordinates";
    assert_eq!(message(trapezoid(&[0.0, f64::NAN, 1.0])), expected);
    assert_eq!(message(cells(&[0.0, f64::NAN], [0.0, 1.0])), expected);
    let expected = "the domain from 2 to 2 is empty: its end must lie above its start";
    assert_eq!(message(trapezoid(&[2.0, 2.0])), expected);
    assert_eq!(message(cells(&[2.0], [2.0, 2.0])), expected);
    let there_and_back = QuadratureError::Unsorted { point: 2, value: 2.0, before: 3.0 };
    assert_eq!(trapezoid(&[2.0, 3.0, 2.0]), Err(there_and_back));
    let expected = "point 1 at -0.5 lies outside the domain from 0 to 1 of axis 0";
    assert_eq!(message(cells(&[0.5, -0.5], [0.0, 1.0])), expected);
    let expected = "point 0 at 2.5 lies outside the domain from 0 to 1 of axis 1";
    assert_eq!(message(voronoi(&[[0.5, 2.5]], [[0.0, 1.0]; 2])), expected);
    assert!(voronoi(&[], [[0.0, 1.0]; 2]).is_err());
    assert!(midpoint([0.0, 1.0], 0).is_err() && gauss_legendre([1.0, 0.0], 3).is_err());
}

#[test]
fn log_weights_block_points_without_weight_and_masked_ones() {
    let like = (&Device::default(), DType::F64);
    let blocked = TensorData::new(vec![false, false, true, false, false, false], [2, 3]);
    let blocked = Tensor::<2, Bool>::from_data(blocked, like.0);
    let none = f64::NEG_INFINITY;
    let shared = log_weights(&[1.0, 0.0, 2.0], Some(blocked), [2, 2, 3], like);
    let [first, second] = [[0.0, none, none], [0.0, none, 2.0f64.ln()]];
    assert_eq!(to_f64(&shared), [first, first, second, second].concat());
    let each = log_weights(&[1.0, 2.0, 4.0, 8.0], None, [2, 1, 2], like);
    assert_eq!(to_f64(&each), [1.0f64, 2.0, 4.0, 8.0].map(f64::ln));
}

#[test]
#[should_panic(expected = "weight 1 is -0.5: quadrature weights are not negative")]
fn negative_weights_are_refused() {
    let _ = log_weights(&[1.0, -0.5], None, [1, 1, 2], (&Device::default(), DType::F64));
}
