//! Weights, norms and masks of a call as the kernels want them.
#![expect(unsafe_code, reason = "reads tensors as raw memory")]

use burn::tensor::Tensor;

use super::dropout::{Dropout, Place};
use super::fused::{INPUTS, Scan};
use super::moments::host;
use super::plan::{NormWeights, Plan, Sizes, Source, transposed};
use super::setting::{EPS, KeyValue, Norm, position_table};
use crate::cpu::hash::Rate;
use crate::cpu::math::Tables;
use crate::cpu::op::flex;
use crate::cpu::view::{FlexTensor, Ptr, Storage, View, contiguous, dims};

/// The weights as the kernels want them.
pub(super) fn plan<S: Storage + Tables>(
    scan: &Scan,
    sizes: &Sizes,
    inputs: &[FlexTensor; INPUTS],
    masks: &Masks,
) -> Plan<S> {
    let Sizes { d, d_in, n_position, window, .. } = *sizes;
    let setting = &scan.setting;
    let [_, gates, gates_bias, query, query_bias, key_value, key_value_bias, ..] = inputs;
    let [.., output, output_bias, gamma, beta, _, _] = inputs;
    let matrix = |x: &FlexTensor| View::<S, 2>::new(x).ptr;
    let vector = |x: &FlexTensor| {
        let [n] = dims(x);
        let from = View::<S, 1>::new(x).ptr;
        (0..n).map(|i| unsafe { *from.at(i) }).collect::<Vec<S>>()
    };
    let [gates, query, key_value, output] = [gates, query, key_value, output].map(matrix);
    let (mut seen_t, k) = (vec![S::ZERO; 5 * d * (d_in + d)], d_in + d);
    let mut attention_t = vec![S::ZERO; 4 * d * d];
    let mut output_t = vec![S::ZERO; d * d];
    let mut key_value_t = vec![S::ZERO; 2 * d * d];
    unsafe {
        transposed(gates, 4 * d, [4 * d, k], &mut seen_t, k);
        transposed(query, d, [d, k], &mut seen_t[4 * d * k..], k);
        transposed(Ptr(gates.at(k * 4 * d)), 4 * d, [4 * d, d], &mut attention_t, d);
        transposed(output, d, [d, d], &mut output_t, d);
        transposed(key_value, 2 * d, [2 * d, d], &mut key_value_t, d);
    }
    let key_value_bias: Vec<S> = vector(key_value_bias);
    let ages = setting.positional_encoding.then(|| {
        let table = position_table(window);
        let row = |age: usize, f: usize| {
            let weight = |i: usize| unsafe { *key_value.at((d + i) * 2 * d + f) }.to_f64();
            let sum: f64 = (0..n_position).map(|i| table[age * n_position + i] * weight(i)).sum();
            S::from_f64(sum + key_value_bias[f].to_f64())
        };
        (0..window * 2 * d).map(|i| row(i / (2 * d), i % (2 * d))).collect()
    });
    let given = match &setting.norm {
        Norm::Running(moments) => {
            Some([&moments.mean, &moments.var].map(|x| host(x.clone().without_autodiff())))
        }
        _ => None,
    };
    let n_norms = setting.n_norms();
    let norms = std::array::from_fn(|site| {
        let mut norm = NormWeights::identity(d);
        if site < n_norms {
            let row = |x: &FlexTensor| {
                let from = View::<S, 2>::new(x).ptr;
                (0..d).map(|f| unsafe { *from.at(site * d + f) }).collect()
            };
            (norm.gamma, norm.beta) = (row(gamma), row(beta));
            if let Some([mean, var]) = &given {
                let part = site * d..(site + 1) * d;
                norm.mean = mean[part.clone()].iter().map(|x| S::from_f64(*x)).collect();
                let inverse = |var: &f64| S::from_f64(1.0 / (var + EPS).sqrt());
                norm.inverse = var[part].iter().map(inverse).collect();
            }
        }
        norm
    });
    let [attention_mask, output_mask] = masks.sources(&setting.dropout);
    Plan {
        gates,
        query,
        key_value,
        output,
        seen_t,
        attention_t,
        output_t,
        key_value_t,
        gates_bias: vector(gates_bias),
        query_bias: vector(query_bias),
        output_bias: vector(output_bias),
        key_value_bias,
        ages,
        linear: setting.key_value == KeyValue::Linear,
        norms,
        coupled: scan.coupled(),
        normalises_keys: setting.normalises_keys(),
        attention_mask,
        output_mask,
        carried: setting.dropout.carried(),
    }
}

/// Given masks of attention and output, with what they hold per step.
pub(super) struct Masks([Option<(FlexTensor, usize)>; 2]);

impl Masks {
    pub(super) fn new(dropout: &Dropout) -> Self {
        let Dropout::Masks(masks) = dropout else { return Self([None, None]) };
        let of = |mask: Option<Tensor<4>>| {
            mask.map(|mask| {
                let [_, _, n, m] = mask.dims();
                (contiguous(flex(mask.without_autodiff())), n * m)
            })
        };
        Self([of(masks.attention.clone()), of(masks.output.clone().map(|m| m.unsqueeze_dim(3)))])
    }

    fn sources<S: Storage>(&self, dropout: &Dropout) -> [Option<Source<S>>; 2] {
        if let Dropout::Hashed(hashed) = dropout {
            let rates = [(Place::Attention, hashed.attention), (Place::Output, hashed.output)];
            return rates.map(|(place, rate)| {
                Rate::new(rate).map(|rate| Source::Hashed { seed: hashed.seed, place, rate })
            });
        }
        let of = |mask: &Option<(FlexTensor, usize)>| {
            mask.as_ref().map(|(mask, size)| Source::Given {
                factors: View::<S, 4>::new(mask).ptr,
                size: *size,
            })
        };
        [of(&self.0[0]), of(&self.0[1])]
    }
}
