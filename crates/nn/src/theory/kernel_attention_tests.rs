//! Derived attention against golden files, against softmax attention, and against its regression.

use super::*;
use crate::mechanism::SoftmaxConfig;
use crate::theory::training_set::Center;
use burn::tensor::TensorData;
use regard_kernels::testing::{assert_close, assert_gradients, double, golden, normal};
use std::path::PathBuf;

fn file(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/theory");
    PathBuf::from(folder).join(format!("{name}.safetensors"))
}

fn config(kernel: Kernel, n_heads: usize, training_set: TrainingSet) -> KernelAttentionConfig {
    KernelAttentionConfig { training_set, ..KernelAttentionConfig::new(n_heads, kernel) }
}

/// A kernel as a user would bring it: features by hand, `1`, `x` and `x²`.
fn squares() -> Kernel {
    Kernel::features("squares", |x: Tensor<4>| {
        let [batch, heads, time, _] = x.dims();
        let one = Tensor::ones([batch, heads, time, 1], (&x.device(), x.dtype()));
        Tensor::cat(vec![one, x.clone(), x.powi_scalar(2)], 3)
    })
}

/// Another, by its values.
fn cauchy() -> Kernel {
    Kernel::function("cauchy", |x: Tensor<4>, y: Tensor<4>| {
        let square = |x: &Tensor<4>| x.clone().powi_scalar(2).sum_dim(3);
        let apart = square(&x) + square(&y).swap_dims(2, 3) - x.matmul(y.swap_dims(2, 3)) * 2.0;
        (apart * 0.25 + 1.0).recip()
    })
}

#[test]
fn golden_attention_follows_from_kernel_and_training_set() {
    let all = TrainingSet::all;
    let cases = [
        ("softmax_h2_n13", Kernel::softmax(), all()),
        ("bn_full_b0p3_h2_n13", Kernel::softmax(), all().standardized(0.3, 1e-5)),
        ("bnsh_recentre_b0p6_floor_h2_n13", Kernel::softmax(), all().centered(0.6).pooled([1, 2])),
        (
            "linear_bnsh_b0p5_floor_h4_n13",
            Kernel::linear(),
            all().centered(0.5).pooled([1, 1, 2, 2]),
        ),
        ("masked_bn_recentre_b0p5_h4_n13", Kernel::softmax(), all().centered(0.5)),
    ];
    for (name, kernel, training_set) in cases {
        let file = file(name);
        let qkv = ["q", "k", "v"].map(|name| golden::<4>(&file, name).autodiff().require_grad());
        let [batch, heads, time, _] = qkv[0].dims();
        let blocked = name.starts_with("masked").then(|| {
            let lengths = [13, 9];
            let blocked = lengths.iter().flat_map(|&n| (0..time).map(move |t| t >= n)).collect();
            let data = TensorData::new::<bool, _>(blocked, [batch, time]);
            Tensor::<2, Bool>::from_data(data, &qkv[0].device())
        });
        let out = config(kernel, heads, training_set).attend(qkv.clone(), blocked.as_ref());
        assert_close(&out.clone().inner(), &golden(&file, "out"), 1e-12);
        let grads = (out * golden::<4>(&file, "grad_out").autodiff()).sum().backward();
        for (x, name) in qkv.iter().zip(["grad_q", "grad_k", "grad_v"]) {
            assert_close(&x.grad(&grads).unwrap(), &golden(&file, name), 1e-10);
        }
    }
}

#[test]
fn the_softmax_kernel_makes_softmax_attention() {
    let device = Device::default();
    let softmax = double(SoftmaxConfig { n_heads: 3, causal: false }.init(6, &device).unwrap());
    let derived = KernelAttentionConfig::new(3, Kernel::softmax()).init(6, &device).unwrap();
    let derived = double(derived);
    assert_eq!(derived.num_params(), softmax.num_params());
    let x = normal([2, 5, 6], 1);
    assert_close(&derived.forward(x.clone(), None), &softmax.forward(x, None), 1e-13);
}

#[test]
fn gradients_of_every_form_match_central_differences() {
    // A large ε keeps the norms of vectors small, and with them kernels without a sum below.
    let sets = [TrainingSet::all(), TrainingSet::all().standardized(0.4, 0.5).pooled([1, 2])];
    let length = Normalizer::function(|x: Tensor<4>, k: Tensor<4>| {
        (x * k.sum_dim(2)).sum_dim(3).powi_scalar(2) + 1.0
    });
    for kernel in [Kernel::softmax(), Kernel::linear(), Kernel::polynomial(2, 1.0), cauchy()] {
        for normalizer in [Normalizer::Sum, Normalizer::Count, Normalizer::Length, length.clone()] {
            for training_set in sets.clone() {
                let config = KernelAttentionConfig {
                    n_heads: 2,
                    kernel: kernel.clone(),
                    normalizer: normalizer.clone(),
                    training_set,
                };
                let qkv = [1, 2, 3].map(|seed| normal([1, 2, 5, 3], seed) * 0.5);
                assert_gradients(qkv, |qkv| config.attend(qkv, None), 2e-8);
            }
        }
    }
}

#[test]
fn a_padded_sequence_is_attended_as_the_sequence_alone() {
    let sets = [TrainingSet::all(), TrainingSet::all().standardized(0.4, 1e-3)];
    for kernel in [Kernel::softmax(), Kernel::linear(), Kernel::gaussian(1.0), cauchy()] {
        for normalizer in [Normalizer::Sum, Normalizer::Count, Normalizer::Length] {
            for training_set in sets.clone() {
                let config = KernelAttentionConfig {
                    n_heads: 2,
                    kernel: kernel.clone(),
                    normalizer: normalizer.clone(),
                    training_set,
                };
                let module = double(config.init(6, &Device::default()).unwrap());
                let x = normal([2, 5, 6], 1);
                let padded = Tensor::cat(vec![x.clone(), normal([2, 3, 6], 2) * 1e3], 1);
                let blocked = (0..2).flat_map(|_| (0..8).map(|t| t >= 5)).collect();
                let blocked = TensorData::new::<bool, _>(blocked, [2, 8]);
                let blocked = Tensor::from_data(blocked, &Device::default());
                let seen = module.forward(padded, Some(blocked)).narrow(1, 0, 5);
                assert_close(&seen, &module.forward(x, None), 1e-12);
            }
        }
    }
}

/// Softmax, normalised vectors, linear, pooled pairs; then kernels of users.
#[test]
fn every_head_is_the_solution_of_its_regression() {
    let all = TrainingSet::all;
    let pooled = || all().pooled([1, 2]);
    let cases = [
        config(Kernel::softmax(), 2, all()),
        config(Kernel::softmax(), 2, all().centered(0.5)),
        config(Kernel::softmax(), 2, all().standardized(1.0, 1e-5)),
        config(Kernel::softmax(), 2, pooled()),
        config(Kernel::softmax(), 2, pooled().centered(0.5)),
        config(Kernel::linear(), 2, pooled()),
        config(Kernel::polynomial(2, 1.0), 2, all()),
        config(Kernel::gaussian(1.0), 2, pooled()),
        config(squares(), 2, all()),
        KernelAttentionConfig {
            normalizer: Normalizer::Length,
            ..config(cauchy(), 2, all().centered(1.0))
        },
        KernelAttentionConfig {
            normalizer: Normalizer::Count,
            ..config(Kernel::softmax(), 2, pooled())
        },
    ];
    for config in cases {
        let module = double(config.init(22, &Device::default()).unwrap());
        let certificates = module.certify(normal([2, 9, 22], 5), 0.05).unwrap();
        assert_eq!(certificates.len(), 4);
        for certificate in certificates {
            assert!(certificate.holds(), "{config:?}: {certificate:?}");
        }
    }
}

#[test]
fn a_certificate_does_not_hold_for_what_is_no_kernel() {
    // Not symmetric, so there are no features behind it.
    let odd = Kernel::exponential("odd", |x: Tensor<4>, y: Tensor<4>| {
        x.clone().matmul(y.clone().flip([3]).swap_dims(2, 3))
            + (x.sum_dim(3) - y.sum_dim(3).swap_dims(2, 3))
    });
    let module = double(config(odd, 2, TrainingSet::all()).init(10, &Device::default()).unwrap());
    let certificates = module.certify(normal([1, 7, 10], 5), 0.05).unwrap();
    assert!(certificates.iter().all(|c| !c.holds()), "{certificates:?}");
    // And a kernel that can be negative has no sum to divide by.
    let signed =
        Kernel::function("signed", |x: Tensor<4>, y: Tensor<4>| x.matmul(y.swap_dims(2, 3)));
    let module =
        double(config(signed, 2, TrainingSet::all()).init(10, &Device::default()).unwrap());
    let error = module.certify(normal([1, 7, 10], 5), 0.05).unwrap_err().to_string();
    assert!(error.starts_with("h(k) = -"), "{error}");
}

#[test]
fn a_wrong_configuration_names_its_field() {
    let message = |training_set| {
        let config = config(Kernel::softmax(), 2, training_set);
        config.init(6, &Device::default()).unwrap_err().to_string()
    };
    let all = TrainingSet::all;
    assert_eq!(
        message(all().pooled([1, 2, 4])),
        "number of rates = 3, expected one rate per head, or none"
    );
    assert_eq!(message(all().pooled([1, 0])), "rates = 0, expected at least 1");
    let center = Some(Center { beta: 1.0, eps: Some(0.0) });
    let message = message(TrainingSet { center, ..all() });
    assert_eq!(message, "eps = 0, expected a finite number above 0");
}
