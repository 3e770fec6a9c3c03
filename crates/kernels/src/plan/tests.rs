use burn::tensor::{DType, Device, FloatDType, Tensor};

use super::{Plan, PlanBuilder, Slot};
use crate::affine::affine;
use crate::mixing::{Reach, mix_within};
use crate::pointwise::{Activation, pair_pool, residual_norm};
use crate::softmax::attention;
use crate::testing::{assert_close, from_f64, normal, to_f64};

/// Whether a plan and tensor operations give the same bits, in both precisions.
fn check<const D: usize>(
    x: [usize; 2],
    parameters: [Tensor<D>; 2],
    plan: impl Fn(&mut PlanBuilder, Slot, [Tensor<D>; 2]) -> Slot,
    tensors: impl Fn(Tensor<3>, [Tensor<D>; 2]) -> Tensor<3>,
) {
    for precision in [FloatDType::F32, FloatDType::F64] {
        let parameters = parameters.clone().map(|p| p.cast(precision));
        let input = normal([1, x[0], x[1]], 7).cast(precision);
        let expected = tensors(input.clone(), parameters.clone());
        let mut builder = PlanBuilder::new(&input).expect("on the CPU");
        let slot = builder.input(x);
        let output = plan(&mut builder, slot, parameters);
        let mut y = vec![f64::NAN; expected.dims().iter().product()];
        builder.finish(output).forward(&to_f64(&input), &mut y);
        assert_close(&from_f64(y, expected.dims()), &expected, 0.0);
    }
}

#[test]
fn maps_of_features_equal_tensor_operations() {
    for activation in [Activation::Identity, Activation::Relu, Activation::Gelu] {
        for [rows, d_in, d_out] in [[1, 1, 1], [7, 5, 3], [53, 17, 71]] {
            check(
                [rows, d_in],
                [normal([d_in, d_out], 1), normal([1, d_out], 2)],
                |plan, x, [w, b]| plan.affine(x, w, Some(b.squeeze_dim(0)), activation),
                |x, [w, b]| affine(x, w, Some(b.squeeze_dim(0)), activation),
            );
        }
    }
}

#[test]
fn mixing_within_every_reach_equals_tensor_operations() {
    let band = Reach { back: 2, ahead: 3 };
    for (reach, rows) in [(Reach::FULL, 5), (Reach::FULL, 31), (band, 31)] {
        check(
            [31, 21],
            [normal([3, rows, 31], 1), normal([1, 1, 1], 2)],
            |plan, x, [alpha, _]| plan.mix(reach, alpha, x),
            |x, [alpha, _]| {
                let v = x.reshape([1, 31, 3, 7]).swap_dims(1, 2);
                mix_within(reach, alpha, v).swap_dims(1, 2).reshape([1, rows, 21])
            },
        );
    }
}

#[test]
fn attention_equals_tensor_operations() {
    for causal in [false, true] {
        // More rows than a tile of queries, and than a tile of keys.
        for time in [5, 301] {
            check(
                [time, 6],
                [normal([6, 14], 1), normal([6, 14], 2)],
                |plan, x, [a, b]| {
                    let map =
                        |plan: &mut PlanBuilder, w| plan.affine(x, w, None, Activation::Identity);
                    let qkv = [map(plan, a.clone()), map(plan, b), map(plan, a)];
                    plan.attention(qkv, 2, 0.3, causal)
                },
                |x, [a, b]| {
                    let heads = |w| {
                        let y = affine(x.clone(), w, None, Activation::Identity);
                        y.reshape([1, time, 2, 7]).swap_dims(1, 2)
                    };
                    let o = attention(heads(a.clone()), heads(b), heads(a), None, 0.3, causal);
                    o.swap_dims(1, 2).reshape([1, time, 14])
                },
            );
        }
    }
}

#[test]
fn what_acts_on_each_row_equals_tensor_operations() {
    let last = |x: Tensor<3>| x.narrow(1, 10, 1);
    check(
        [11, 14],
        [normal([11, 14], 1), normal([1, 14], 2)],
        |plan, x, [offset, scale]| {
            let branch = plan.add(x, offset);
            let pooled = plan.pair_pool(branch);
            let (gamma, beta) = (scale.clone().squeeze_dim(0), scale.clone().squeeze_dim(0));
            let y = plan.residual_norm(x, pooled, gamma, beta, 1e-5);
            plan.increment(x, y, &to_f64(&scale))
        },
        |x, [offset, scale]| {
            let pooled = pair_pool(x.clone() + offset.unsqueeze_dim(0));
            let (gamma, beta) = (scale.clone().squeeze_dim(0), scale.clone().squeeze_dim(0));
            let y = residual_norm(x.clone(), pooled, gamma, beta, 1e-5);
            last(x) + y * scale.unsqueeze_dim(0)
        },
    );
}

/// `x → a chain of maps`, of which only neighbours are needed at the same time.
fn chain(n: u64) -> (Plan, Tensor<3>) {
    let x = normal([1, 3, 5], 1);
    let mut builder = PlanBuilder::new(&x).expect("on the CPU");
    let mut slot = builder.input([3, 5]);
    let mut expected = x.clone();
    for seed in 0..n {
        let w: Tensor<2> = normal([5, 5], seed);
        slot = builder.affine(slot, w.clone(), None, Activation::Relu);
        expected = affine(expected, w, None, Activation::Relu);
    }
    (builder.finish(slot), expected)
}

#[test]
fn memory_is_used_again_and_clones_do_not_share_it() {
    let (mut plan, expected) = chain(6);
    assert_eq!(plan.memory_len(), 2 * 3 * 5, "two results at a time");
    let mut other = plan.clone();
    let mut y = vec![0.0; 15];
    other.forward(&[1e3; 15], &mut y);
    for _ in 0..2 {
        plan.forward(&to_f64(&normal([1, 3, 5], 1)), &mut y);
        assert_close(&from_f64(y.clone(), [1, 3, 5]), &expected, 0.0);
    }
}

#[test]
#[should_panic(expected = "a result of another plan")]
fn a_result_of_another_plan_is_refused() {
    let like: Tensor<1> = Tensor::zeros([1], (&Device::default(), DType::F64));
    let builder = || PlanBuilder::new(&like).expect("on the CPU");
    let mut other = builder();
    let foreign = other.input([3, 4]);
    let mut own = builder();
    own.input([2, 4]);
    own.pair_pool(foreign);
}
