use burn::tensor::{Device, TensorData};
use proptest::prelude::*;
use regard_kernels::testing::{assert_close, assert_gradients, double, from_f64, normal, to_f64};

use super::*;
use crate::mechanism::{Mechanism, MechanismConfig, SoftmaxConfig};

const ALL_KERNELS: [AttentionKernel; 3] =
    [AttentionKernel::Softmax, AttentionKernel::Linear, AttentionKernel::Window(2)];

fn norm(beta: f64, scale: bool) -> BatchNormConfig {
    BatchNormConfig { beta, scale, learned: false }
}

fn scaled(rates: &[usize], remainder: Remainder) -> ScaledHeadsConfig {
    ScaledHeadsConfig { rates: rates.to_vec(), remainder, ..ScaledHeadsConfig::default() }
}

fn made(config: &PrimalDualConfig, d_model: usize, time: usize) -> PrimalDualAttention {
    double(config.init(d_model, time, &Device::default()).unwrap())
}

/// Biases start at zero; here they do not.
fn shifted(x: [usize; 3], seed: u64) -> Tensor<3> {
    normal(x, seed) + 0.5
}

fn few() -> ProptestConfig {
    ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn all_variants_draw_the_matrices_of_softmax_attention() {
    let softmax = SoftmaxConfig { n_heads: 4, causal: false }.init(8, &Device::default()).unwrap();
    let softmax = double(softmax);
    let x = shifted([2, 13, 8], 1);
    let expected = softmax.forward(x.clone(), None);
    let plain = PrimalDualConfig::new(4);
    let rates = Some(scaled(&[1, 1, 1, 1], Remainder::Floor));
    for config in [
        plain.clone(),
        PrimalDualConfig { batch_norm: Some(norm(0.0, false)), ..plain.clone() },
        PrimalDualConfig { scaled_heads: rates, ..plain.clone() },
        PrimalDualConfig { kernel: AttentionKernel::Window(12), ..plain },
    ] {
        assert_close(&made(&config, 8, 13).forward(x.clone(), None), &expected, 1e-12);
    }
}

/// Heads by the definition: `q − β μ` and `k − β_k μ` in the plain kernel.
fn recentred(kernel: AttentionKernel, [beta, beta_k]: [f64; 2], qkv: [Tensor<4>; 3]) -> Tensor<4> {
    let [q, k, v] = qkv;
    let mean = k.clone().mean_dim(2);
    let run = RunKeys { k: k - mean.clone() * beta_k, v, blocked: None, rate: 1 };
    let config = PrimalDualConfig { kernel, ..PrimalDualConfig::new(3) };
    heads::attend(&config, q - mean * beta, vec![run], None)
}

#[test]
fn batch_normalisation_is_a_key_bias_and_recentring_the_keys_changes_nothing_under_softmax() {
    let qkv = [1, 2, 3].map(|seed| normal([2, 3, 13, 5], seed) + 0.3);
    let beta = 0.7;
    let [q, k, v] = qkv.clone();
    let config =
        PrimalDualConfig { batch_norm: Some(norm(beta, false)), ..PrimalDualConfig::new(3) };
    let run = RunKeys { k, v, blocked: None, rate: 1 };
    let biased = heads::attend(&config, q, vec![run], Some(from_f64(vec![beta; 3], [3])));
    for beta_k in [beta, 0.0, -3.0] {
        let both = recentred(AttentionKernel::Softmax, [beta, beta_k], qkv.clone());
        assert_close(&biased, &both, 1e-12);
    }
    let linear = |beta_k| recentred(AttentionKernel::Linear, [beta, beta_k], qkv.clone());
    let difference = to_f64(&(linear(beta) - linear(0.0)).abs().max())[0];
    assert!(difference > 1e-3, "{difference:e}");
}

#[test]
fn pooling_before_the_projection_is_pooling_after_it() {
    for remainder in [Remainder::Floor, Remainder::Ceil] {
        let rates = [1, 2, 3];
        let config = PrimalDualConfig {
            scaled_heads: Some(scaled(&rates, remainder)),
            batch_norm: Some(norm(0.5, false)),
            ..PrimalDualConfig::new(3)
        };
        let attention = made(&config, 6, 13);
        let x = shifted([2, 13, 6], 1);
        let (q, runs, beta) = attention.project(x.clone(), None);
        let before = heads::attend(&config, q.clone(), runs, beta.clone());
        let after = attention.runs.iter().map(|run| {
            let heads = |layer: &Affine| {
                let rows = layer.forward(x.clone(), Activation::Identity);
                split_heads(pool(rows, &config.groups(13, run.rate), None).0, run.n_heads)
            };
            RunKeys { k: heads(&run.key), v: heads(&run.value), blocked: None, rate: run.rate }
        });
        assert_close(&heads::attend(&config, q, after.collect(), beta), &before, 1e-12);
    }
}

fn blocked_from(first: usize, [batch, time]: [usize; 2]) -> Tensor<2, Bool> {
    let blocked = (0..batch * time).map(|i| i % time >= first).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(blocked, [batch, time]), &Device::default())
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn a_padded_sequence_has_the_result_of_the_unpadded_one(
        time in 1_usize..15, padding in 1_usize..9, kernel in 0_usize..3, ceil: bool, scale: bool,
        bn: bool,
    ) {
        let config = PrimalDualConfig {
            kernel: ALL_KERNELS[kernel],
            batch_norm: if bn { Some(norm(0.6, scale)) } else { None },
            scaled_heads: Some(scaled(&[1, 2, 5], if ceil { Remainder::Ceil } else { Remainder::Floor })),
            ..PrimalDualConfig::new(3)
        };
        let x = shifted([2, time, 6], 1);
        let padded = Tensor::cat(vec![x.clone(), normal([2, padding, 6], 2) * 100.0], 1);
        let attention = made(&config, 6, time);
        let blocked = blocked_from(time, [2, time + padding]);
        let seen = attention.forward(padded, Some(blocked)).narrow(1, 0, time);
        assert_close(&seen, &attention.forward(x, None), 1e-11);
    }

    #[test]
    fn earlier_rows_do_not_know_later_ones(time in 2_usize..15, cut in 1_usize..14, bn: bool) {
        prop_assume!(cut < time);
        let config = PrimalDualConfig {
            causal: true,
            batch_norm: if bn { Some(norm(0.8, false)) } else { None },
            ..PrimalDualConfig::new(3)
        };
        let attention = made(&config, 6, time);
        let x = shifted([2, time, 6], 1);
        let other = Tensor::cat(vec![x.clone().narrow(1, 0, cut), normal([2, time - cut, 6], 2)], 1);
        let [a, b] = [x, other].map(|x| attention.forward(x, None).narrow(1, 0, cut));
        assert_close(&a, &b, 1e-13);
    }
}

#[test]
fn the_last_row_of_causal_batch_normalisation_is_that_of_the_whole_sequence() {
    let causal = PrimalDualConfig {
        causal: true,
        batch_norm: Some(norm(0.8, false)),
        ..PrimalDualConfig::new(3)
    };
    let whole = PrimalDualConfig { causal: false, ..causal.clone() };
    let x = shifted([2, 11, 6], 1);
    let [a, b] = [causal, whole]
        .map(|config| made(&config, 6, 11).forward(x.clone(), None).narrow(1, 10, 1));
    assert_close(&a, &b, 1e-13);
}

/// Every combination that is allowed, on little data.
fn variants() -> Vec<PrimalDualConfig> {
    let mut all = Vec::new();
    for kernel in ALL_KERNELS {
        for batch_norm in [None, Some(norm(0.6, false)), Some(norm(0.6, true))] {
            for scaled_heads in [None, Some(scaled(&[1, 2], Remainder::Floor))] {
                let config = PrimalDualConfig { kernel, batch_norm, ..PrimalDualConfig::new(2) };
                all.push(PrimalDualConfig { scaled_heads, ..config });
            }
        }
    }
    let causal = PrimalDualConfig { causal: true, ..PrimalDualConfig::new(2) };
    all.push(PrimalDualConfig { batch_norm: Some(norm(0.6, false)), ..causal.clone() });
    all.push(PrimalDualConfig { kernel: AttentionKernel::Linear, ..causal });
    let learned =
        ScaledHeadsConfig { pooling: PoolingKind::Learned, ..scaled(&[1, 2], Remainder::Ceil) };
    all.push(PrimalDualConfig { scaled_heads: Some(learned), ..PrimalDualConfig::new(2) });
    all
}

#[test]
fn gradients_of_every_variant_match_central_differences() {
    for config in variants() {
        let attention = made(&config, 4, 5);
        for blocked in [None, Some(blocked_from(4, [1, 5]))] {
            let f = |[x]: [Tensor<3>; 1]| attention.forward(x, blocked.clone());
            assert_gradients([shifted([1, 5, 4], 1)], f, 1e-8);
        }
    }
}

#[test]
fn formulas_count_the_parameters_of_the_modules() {
    let mut all = variants();
    let batch_norm = Some(BatchNormConfig { learned: true, ..BatchNormConfig::default() });
    all.push(PrimalDualConfig { batch_norm, ..PrimalDualConfig::new(2) });
    for config in all {
        let attention = config.init(4, 5, &Device::default()).unwrap();
        assert_eq!(attention.num_params(), config.n_parameters(4), "{config:?}");
    }
}

#[test]
fn a_trained_beta_has_the_gradient_of_central_differences() {
    for (kernel, scale, causal) in [
        (AttentionKernel::Softmax, false, false),
        (AttentionKernel::Softmax, false, true),
        (AttentionKernel::Softmax, true, false),
        (AttentionKernel::Linear, false, false),
    ] {
        let batch_norm = Some(BatchNormConfig { beta: 0.3, learned: true, scale });
        let config = PrimalDualConfig { kernel, causal, batch_norm, ..PrimalDualConfig::new(2) };
        let attention = made(&config, 4, 5);
        let x = shifted([2, 5, 4], 1);
        assert_close(&attention.beta().unwrap(), &from_f64(vec![0.3; 2], [2]), 1e-7);
        let f = |[beta]: [Tensor<1>; 1]| {
            let (q, runs, _) = attention.project(x.clone(), None);
            heads::attend(&config, q, runs, Some(beta))
        };
        assert_gradients([from_f64(vec![0.3, -0.4], [2])], f, 1e-8);
    }
}

#[test]
fn trained_pooling_starts_as_the_mean() {
    let mean = PrimalDualConfig {
        scaled_heads: Some(scaled(&[1, 2, 5], Remainder::Floor)),
        ..PrimalDualConfig::new(3)
    };
    let scaled_heads =
        mean.scaled_heads.clone().map(|s| ScaledHeadsConfig { pooling: PoolingKind::Learned, ..s });
    let learned = PrimalDualConfig { scaled_heads, ..mean.clone() };
    let x = shifted([2, 13, 6], 1);
    let [a, b] = [mean, learned].map(|config| made(&config, 6, 13).forward(x.clone(), None));
    assert_close(&a, &b, 1e-13);
}

#[test]
fn a_grid_pools_squares_and_leaves_the_class_token_alone() {
    let grid = Grid { rows: 4, cols: 6, class_token: true };
    let config = PrimalDualConfig {
        scaled_heads: Some(scaled(&[1, 2, 4, 8], Remainder::Floor))
            .map(|s| ScaledHeadsConfig { grid: Some(grid), ..s }),
        ..PrimalDualConfig::new(4)
    };
    assert_eq!(config.n_keys(25), [25, 13, 7, 3]); // blocks of 1×1, 1×2, 2×2, 2×4
    let attention = made(&config, 8, 25);
    let x = shifted([2, 25, 8], 1);
    assert_eq!(attention.forward(x, None).dims(), [2, 25, 8]);
    let error = config.init(8, 24, &Device::default()).unwrap_err().to_string();
    assert!(error.starts_with("grid = [4, 6] (class_token = true) holds 25 rows, the sequence 24"));
    assert!(attention.resized(26).is_err());
}

/// Ratios worked out by hand: scores and mixing, the block pooled before projecting.
#[test]
fn operations_are_those_of_the_table() {
    // Three digits are printed; the first of them, 0.46746, was rounded up.
    const PRINTED: f64 = 6e-4;
    let cases = [
        (
            315,
            512,
            vec![1, 1, 2, 2, 4, 4, 8, 8],
            315 * 2 * (315 + 157 + 78 + 39_u64),
            [0.468, 0.671],
        ),
        (1024, 64, vec![1, 2], 1024 * (1024 + 512), [0.750, 0.764]),
        (4000, 64, vec![1, 2], 4000 * (4000 + 2000), [0.750, 0.754]),
        (197, 192, vec![1, 2, 4, 8], 197 * (197 + 98 + 49 + 24), [0.467, 0.643]),
        (197, 192, vec![1, 1, 2, 2], 197 * 2 * (197 + 98), [0.749, 0.832]),
    ];
    for (time, d, rates, weights, [mixing, block]) in cases {
        let plain = PrimalDualConfig::new(rates.len());
        let pooled = Some(scaled(&rates, Remainder::Floor));
        let sh = PrimalDualConfig { scaled_heads: pooled, ..plain.clone() };
        assert_eq!(sh.stored_weights(time), weights);
        let (n, width, heads) = (time as u64, d as u64, rates.len() as u64);
        assert_eq!(plain.stored_weights(time), heads * n * n);
        assert_eq!(plain.multiply_adds(d, time), 4 * n * width * width + 2 * n * n * width);
        // (4 + 4 m) N d² + 4 m N² d operations are twice as many as products.
        let sum: u64 = sh.n_keys(time).into_iter().map(|n| n as u64).sum();
        let by_table = 2 * n * width * width + 2 * sum * (width / heads) * (width + n);
        assert_eq!(sh.multiply_adds(d, time), by_table);
        let ratio = |a: u64, b: u64| a as f64 / b as f64;
        assert!(
            (ratio(sh.stored_weights(time), plain.stored_weights(time)) - mixing).abs() < PRINTED
        );
        assert!(
            (ratio(sh.multiply_adds(d, time), plain.multiply_adds(d, time)) - block).abs()
                < PRINTED
        );
    }
}

#[test]
fn a_rate_longer_than_the_sequence_leaves_one_key() {
    let config = PrimalDualConfig {
        scaled_heads: Some(scaled(&[1, 8], Remainder::Floor)),
        ..PrimalDualConfig::new(2)
    };
    assert_eq!(config.n_keys(5), [5, 1]);
    let weights = made(&config, 4, 5).weights(shifted([1, 5, 4], 1), None);
    assert_close(&weights[1], &Tensor::ones_like(&weights[1]), 0.0);
}

#[test]
fn rates_by_the_number_of_heads() {
    assert_eq!(default_rates(8), [1, 1, 2, 2, 4, 4, 8, 8]);
    assert_eq!(default_rates(4), [1, 1, 2, 2]);
    assert_eq!(default_rates(2), [1, 2]);
    assert_eq!(default_rates(1), [1]);
}

#[test]
fn settings_that_exclude_each_other_are_refused_with_the_remedy() {
    let refused = |config: &str| {
        let json = format!(r#"{{ "kind": "primal-dual", "n_heads": 2, {config} }}"#);
        let config: MechanismConfig = serde_json::from_str(&json).unwrap();
        config.init(4, 5, &Device::default()).unwrap_err().to_string()
    };
    for (config, message) in [
        (
            r#""causal": true, "scaled_heads": {}"#,
            "scaled_heads does not go with causal = true: a pooled key holds rows of the future",
        ),
        (
            r#""causal": true, "batch_norm": { "scale": true }"#,
            "batch_norm.scale = true does not go with causal = true",
        ),
        (
            r#""causal": true, "kernel": "linear", "batch_norm": {}"#,
            "batch_norm does not go with causal = true and kernel = \"linear\"",
        ),
        (
            r#""causal": true, "kernel": { "window": 3 }"#,
            "kernel = { window = … } does not go with causal = true",
        ),
        (
            r#""scaled_heads": { "rates": [1, 2, 4] }"#,
            "scaled_heads.rates has 3 values, expected one per head: 2",
        ),
        (r#""scaled_heads": { "rates": [1, 0] }"#, "scaled_heads.rates = 0, expected at least 1"),
    ] {
        let error = refused(config);
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn head_outputs_are_what_the_output_map_joins() {
    for config in [
        MechanismConfig::Softmax(SoftmaxConfig { n_heads: 2, causal: false }),
        MechanismConfig::PrimalDual(variants().swap_remove(3)),
    ] {
        let mechanism = double(config.init(4, 5, &Device::default()).unwrap());
        let x = shifted([2, 5, 4], 1);
        let o = mechanism.head_outputs(x.clone(), None).unwrap();
        assert_eq!(o.dims(), [2, 2, 5, 2]);
        let output = match &mechanism {
            Mechanism::PrimalDual(attention) => &attention.output,
            _ => continue,
        };
        let y = output.forward(join_heads(o), Activation::Identity);
        assert_close(&y, &mechanism.forward(x, None), 0.0);
    }
}
