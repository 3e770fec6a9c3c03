use super::*;
use burn::tensor::{Device, s};
use regard_kernels::testing::{assert_close, assert_gradients, from_f64, normal, to_f64};

const ALL: [TimeMatrix; 9] = [
    TimeMatrix::Dense {},
    TimeMatrix::Diagonal {},
    TimeMatrix::Banded { offset: 2 },
    TimeMatrix::Causal {},
    TimeMatrix::Toeplitz { causal: false },
    TimeMatrix::Toeplitz { causal: true },
    TimeMatrix::LowRank { rank: 3 },
    TimeMatrix::Basis { n_basis: 3, basis: Basis::Cosine },
    TimeMatrix::Basis { n_basis: 3, basis: Basis::Legendre },
];
const HEADS: usize = 2;

fn stored(kind: TimeMatrix, size: Size) -> Tensor<3> {
    normal(kind.shape(HEADS, size), 1)
}

fn matrix(kind: TimeMatrix, stored: &Tensor<3>, size: Size) -> Tensor<3> {
    kind.weights(stored.clone(), size).matrix()
}

#[test]
fn numbers_stored_follow_the_formulas() {
    // p = 11, o = 2, r = K = 3, two heads.
    let per_head = [121, 11, 11 + 2 * (10 + 9), 66, 21, 11, 66, 9, 9];
    for (kind, expected) in ALL.into_iter().zip(per_head) {
        assert_eq!(kind.n_parameters(HEADS, [11, 11]), HEADS * expected, "{kind:?}");
    }
}

#[test]
fn multiply_adds_follow_the_formulas() {
    // p = 11, d = 14, two heads; 2·3 < 11, so that low rank and basis are thin.
    let by_hand = [
        121 * 14,
        11 * 14,
        49 * 14,
        66 * 14,
        121 * 14,
        66 * 14,
        22 * 3 * 14,
        22 * 3 * 14 + 2 * 11 * 9,
        22 * 3 * 14 + 2 * 11 * 9,
    ];
    for (kind, expected) in ALL.into_iter().zip(by_hand) {
        assert_eq!(kind.multiply_adds(HEADS, [11, 11], 14), expected, "{kind:?}");
    }
    // p = 5: one product with the whole matrix.
    let low_rank = TimeMatrix::LowRank { rank: 3 };
    assert_eq!(low_rank.multiply_adds(HEADS, [5, 5], 14), 2 * 25 * 3 + 25 * 14);
    let basis = TimeMatrix::Basis { n_basis: 3, basis: Basis::Cosine };
    assert_eq!(basis.multiply_adds(HEADS, [5, 5], 14), 2 * (5 * 9 + 25 * 3) + 25 * 14);
}

#[test]
fn every_kind_mixes_like_the_dense_matrix_it_stands_for() {
    for kind in ALL {
        // Thin and whole, one block of rows and several.
        for p in [1, 5, 11, 30] {
            let (stored, v) = (stored(kind, [p, p]), normal([3, HEADS, p, 7], 2));
            let dense = matrix(kind, &stored, [p, p]);
            let expected = dense.unsqueeze_dim::<4>(0).matmul(v.clone());
            let found = kind.weights(stored, [p, p]).mix(v);
            assert_close(&found, &expected, 1e-12);
        }
    }
}

#[test]
fn entries_are_what_the_table_of_the_kinds_says() {
    let (p, o) = (6, 2);
    for kind in ALL {
        let stored = stored(kind, [p, p]);
        let alpha = to_f64(&matrix(kind, &stored, [p, p]));
        let at = |h: usize, r: usize, c: usize| alpha[(h * p + r) * p + c];
        for (h, r, c) in (0..HEADS * p * p).map(|i| (i / (p * p), i / p % p, i % p)) {
            let is_zero = match kind {
                TimeMatrix::Diagonal {} => r != c,
                TimeMatrix::Banded { .. } => r.abs_diff(c) > o,
                TimeMatrix::Causal {} | TimeMatrix::Toeplitz { causal: true } => c > r,
                _ => false,
            };
            assert_eq!(at(h, r, c) == 0.0, is_zero, "{kind:?}: ({r}, {c})");
            if matches!(kind, TimeMatrix::Toeplitz { .. }) && r > 0 && c > 0 {
                assert!((at(h, r, c) - at(h, r - 1, c - 1)).abs() < 1e-15, "({r}, {c})");
            }
        }
    }
}

#[test]
fn gradients_of_the_stored_numbers_match_central_differences() {
    for kind in ALL {
        for p in [5, 7] {
            let v = normal([2, HEADS, p, 3], 2);
            let mix = |[stored]: [Tensor<3>; 1]| kind.weights(stored, [p, p]).mix(v.clone());
            assert_gradients([stored(kind, [p, p])], mix, 1e-7);
        }
    }
}

#[test]
fn functions_are_orthonormal() {
    for (basis, tolerance) in [(Basis::Cosine, 1e-13), (Basis::Legendre, 1e-4)] {
        let n = 1000; // the midpoint rule; cosines are orthonormal exactly
        let phi = basis.functions(5, n, &normal([1, 1, 1], 1));
        let gram = phi.clone().swap_dims(1, 2).matmul(phi) / n as f64;
        let unit = Tensor::<2>::eye(5, &gram.device()).cast(gram.dtype());
        assert_close(&gram, &unit.unsqueeze_dim(0), tolerance);
    }
}

#[test]
fn initial_entries_have_the_variance_asked_for() {
    for kind in ALL {
        let size = [64, 64];
        let bound = kind.bound(0.3, size);
        let [heads, rows, cols] = kind.shape(400, size);
        let stored = crate::parameter::uniform([heads, rows, cols], bound, &Device::default());
        let entries = to_f64(&kind.weights(stored.val(), size).matrix());
        let n = kind.multiply_adds(1, size, 1).min(64 * 64) as f64;
        let n = if matches!(kind, TimeMatrix::LowRank { .. } | TimeMatrix::Basis { .. }) {
            64.0 * 64.0
        } else {
            n // entries that are not zero by construction
        };
        let variance = entries.iter().map(|x| x * x).sum::<f64>() / (400.0 * n);
        // Uniform within 0.3: 0.03. Few numbers per head leave some per cent of scatter.
        assert!((variance / 0.03 - 1.0).abs() < 0.1, "{kind:?}: {variance}");
    }
}

#[test]
fn a_shorter_matrix_is_the_block_of_the_newest_rows_and_columns() {
    for kind in ALL.into_iter().filter(|kind| !matches!(kind, TimeMatrix::Basis { .. })) {
        let stored = stored(kind, [11, 11]);
        let shorter = kind.resized(stored.clone(), [11, 11], [7, 7], "alpha").unwrap();
        assert_eq!(shorter.dims(), kind.shape(HEADS, [7, 7]));
        let block = matrix(kind, &stored, [11, 11]).slice(s![.., 4.., 4..]);
        assert_close(&matrix(kind, &shorter, [7, 7]), &block, 0.0);
    }
}

#[test]
fn a_longer_lag_kernel_ends_where_it_was_trained() {
    for causal in [false, true] {
        let kind = TimeMatrix::Toeplitz { causal };
        let stored = stored(kind, [5, 5]);
        let longer = kind.resized(stored.clone(), [5, 5], [8, 8], "alpha").unwrap();
        let alpha = matrix(kind, &longer, [8, 8]);
        let block = alpha.clone().slice(s![.., 3.., 3..]);
        assert_close(&block, &matrix(kind, &stored, [5, 5]), 0.0);
        let beyond = alpha.slice(s![.., 5.., ..1]); // lags 5, 6 and 7
        assert_close(&beyond, &beyond.zeros_like(), 0.0);
    }
}

#[test]
fn smooth_functions_give_the_same_kernel_at_another_sampling() {
    for basis in [Basis::Cosine, Basis::Legendre] {
        let kind = TimeMatrix::Basis { n_basis: 4, basis };
        let c = stored(kind, [40, 40]);
        assert_close(&kind.resized(c.clone(), [40, 40], [120, 120], "alpha").unwrap(), &c, 0.0);
        // The response to a smooth signal, at the same points: step t of 40 is step 3t + 1 of 120.
        let response = |p: usize| {
            let signal: Vec<f64> =
                (0..p).map(|t| (2.0 * (t as f64 + 0.5) / p as f64).cos()).collect();
            let v = from_f64([signal.clone(), signal].concat(), [1, HEADS, p, 1]);
            to_f64(&kind.weights(c.clone(), [p, p]).mix(v))
        };
        let (coarse, fine) = (response(40), response(120));
        for (i, y) in coarse.iter().enumerate() {
            let same = fine[i / 40 * 120 + 3 * (i % 40) + 1];
            assert!((y - same).abs() < 0.02, "{basis:?}, step {i}: {y} and {same}");
        }
    }
}

#[test]
fn the_other_kinds_refuse_a_longer_window_and_name_the_remedy() {
    for kind in ALL {
        let result = kind.resized(stored(kind, [5, 5]), [5, 5], [8, 8], "mechanism.alpha");
        match kind {
            TimeMatrix::Toeplitz { .. } | TimeMatrix::Basis { .. } => assert!(result.is_ok()),
            _ => assert_eq!(
                result.unwrap_err().to_string(),
                "mechanism.alpha was trained for windows of 5 steps and cannot be used for 8: give \
                 at most 5, or train with the kind \"toeplitz\" or \"basis\""
            ),
        }
    }
}

#[test]
fn sizes_are_checked_and_unknown_keys_refused() {
    let parse = |text| serde_json::from_str::<TimeMatrix>(text);
    let basis = parse(r#"{ "kind": "basis", "n_basis": 9, "basis": "legendre" }"#).unwrap();
    assert_eq!(
        basis.check(8).unwrap_err().to_string(),
        "n_basis = 9 is more than window = 8: use at most 8"
    );
    let rank = parse(r#"{ "kind": "low-rank", "rank": 0 }"#).unwrap();
    assert_eq!(rank.check(8).unwrap_err().to_string(), "rank = 0, expected at least 1");
    for text in [
        r#"{ "kind": "dense", "offset": 3 }"#,
        r#"{ "kind": "causal", "offset": 3 }"#,
        r#"{ "kind": "banded", "offset": 3, "rank": 1 }"#,
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{error}");
    }
}
