//! Attention on heads whose keys are pooled already: kernel, normalisation, masks.

use burn::tensor::{Bool, DType, Tensor};
use regard_kernels::linear;
use regard_kernels::mask::padding_log_weight;
use regard_kernels::softmax::{
    HeadKeys, KeyWeight, Part, attention_of_heads, attention_of_parts, composed_weights,
};

use super::config::{AttentionKernel, PrimalDualConfig};

/// `ε` beside the variance.
const EPS: f64 = 1e-5;

/// Keys and values of consecutive heads of one rate.
#[derive(Debug, Clone)]
pub(super) struct RunKeys<T = Tensor<4>> {
    /// `[batch, heads of the run, keys, d_head]`.
    pub(super) k: T,
    pub(super) v: T,
    /// `[batch, keys]`.
    pub(super) blocked: Option<Tensor<2, Bool>>,
    pub(super) rate: usize,
}

/// Normalised queries and keys.
#[expect(clippy::large_enum_variant, reason = "made and used up at once")]
enum Prepared {
    /// Queries of all heads, keys of every run.
    Softmax(Tensor<4>, Vec<HeadKeys>),
    /// Queries and keys of every run.
    Linear(Vec<(Tensor<4>, RunKeys)>),
}

/// Head outputs from queries `[batch, heads, time, d_head]`; `beta` is `[heads]`.
pub(super) fn attend(
    config: &PrimalDualConfig,
    q: Tensor<4>,
    runs: Vec<RunKeys>,
    beta: Option<Tensor<1>>,
) -> Tensor<4> {
    let scale = scale(&q);
    match prepare(config, q, runs, beta) {
        Prepared::Softmax(q, keys) => attention_of_heads(q, keys, scale),
        Prepared::Linear(runs) => {
            let run = |(q, run): (_, RunKeys)| {
                linear::attention(q, run.k, run.v, run.blocked, config.causal)
            };
            joined(runs.into_iter().map(run).collect())
        }
    }
}

/// The same from heads of shared tensors, of an attention that takes queries and keys as they are.
pub(super) fn attend_in_place(
    config: &PrimalDualConfig,
    tensors: Vec<Tensor<4>>,
    q: Part,
    runs: Vec<RunKeys<Part>>,
    beta: Option<Tensor<1>>,
) -> Tensor<4> {
    let (scale, dtype) = (scale(&tensors[q.tensor]), tensors[q.tensor].dtype());
    let mut head = 0;
    let run = |run: RunKeys<Part>| {
        let heads = run.k.heads;
        let beta = beta.clone().map(|beta| beta.narrow(0, head, heads));
        head += heads;
        plain(config, run, beta, (heads, dtype))
    };
    let keys = runs.into_iter().map(run).collect();
    attention_of_parts(tensors, q, keys, scale)
}

/// The weights of every run, `[batch, heads of the run, time, keys]`.
pub(super) fn weights(
    config: &PrimalDualConfig,
    q: Tensor<4>,
    runs: Vec<RunKeys>,
    beta: Option<Tensor<1>>,
) -> Vec<Tensor<4>> {
    let scale = scale(&q);
    match prepare(config, q, runs, beta) {
        Prepared::Softmax(q, keys) => {
            let mut head = 0;
            let run = |keys: &HeadKeys| {
                let heads = keys.k.dims()[1];
                let q = q.clone().narrow(1, head, heads);
                head += heads;
                composed_weights(q, keys, scale)
            };
            keys.iter().map(run).collect()
        }
        Prepared::Linear(runs) => {
            let run = |(q, run): (_, RunKeys)| {
                linear::composed_weights(q, run.k, run.blocked, config.causal)
            };
            runs.into_iter().map(run).collect()
        }
    }
}

fn scale(q: &Tensor<4>) -> f64 {
    let [_, _, _, d_head] = q.dims();
    1.0 / (d_head as f64).sqrt()
}

fn joined(mut parts: Vec<Tensor<4>>) -> Tensor<4> {
    if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 1) }
}

fn prepare(
    config: &PrimalDualConfig,
    q: Tensor<4>,
    runs: Vec<RunKeys>,
    beta: Option<Tensor<1>>,
) -> Prepared {
    let scales = config.batch_norm.is_some_and(|norm| norm.scale);
    let mut head = 0;
    let mut parts = Vec::new();
    for run in runs {
        let heads = run.k.dims()[1];
        let beta = beta.clone().map(|beta| beta.narrow(0, head, heads));
        parts.push((head, heads, run, beta));
        head += heads;
    }
    if config.kernel == AttentionKernel::Linear {
        let part = |(head, heads, run, beta)| {
            normalised(q.clone().narrow(1, head, heads), run, beta, scales)
        };
        return Prepared::Linear(parts.into_iter().map(part).collect());
    }
    if config.causal || scales {
        // Queries change, run by run.
        let part = |(head, heads, run, beta): (usize, usize, RunKeys, Option<Tensor<1>>)| {
            let q = q.clone().narrow(1, head, heads);
            match beta {
                Some(beta) if scales => scaled(config, q, run, beta),
                Some(beta) => {
                    let mean = prefix_mean(run.k.clone(), run.blocked.clone());
                    (q - mean * per_head(beta), own(config, run, None))
                }
                None => (q, own(config, run, None)),
            }
        };
        let (q, keys) = parts.into_iter().map(part).unzip();
        return Prepared::Softmax(joined(q), keys);
    }
    let part = |(_, _, run, beta)| own(config, run, beta);
    Prepared::Softmax(q, parts.into_iter().map(part).collect())
}

/// Keys as they are; `β` asks for centring.
fn plain<T>(
    config: &PrimalDualConfig,
    run: RunKeys<T>,
    beta: Option<Tensor<1>>,
    (heads, dtype): (usize, DType),
) -> HeadKeys<T> {
    let weight = match (beta, run.blocked) {
        (Some(beta), blocked) => KeyWeight::Centred { beta, blocked },
        (None, Some(blocked)) => KeyWeight::Log(padding_log_weight(blocked, heads).cast(dtype)),
        (None, None) => KeyWeight::None,
    };
    HeadKeys { k: run.k, v: run.v, weight, mask: config.mask(run.rate) }
}

/// [`plain`] of tensors of their own.
fn own(config: &PrimalDualConfig, run: RunKeys, beta: Option<Tensor<1>>) -> HeadKeys {
    let like = (run.k.dims()[1], run.k.dtype());
    plain(config, run, beta, like)
}

/// Centred and scaled, for softmax: `w = 1/(σ² + ε)` into the queries, `−β/√d_head Σ_d w μ k` into a
/// key bias.
fn scaled(
    config: &PrimalDualConfig,
    q: Tensor<4>,
    run: RunKeys,
    beta: Tensor<1>,
) -> (Tensor<4>, HeadKeys) {
    let scale = scale(&q);
    let (mean, variance) = statistics(run.k.clone(), run.blocked.clone());
    let weight = (variance + EPS).recip();
    let direction = mean * weight.clone() * per_head(beta) * -scale;
    let bias = run.k.clone().matmul(direction.swap_dims(2, 3));
    let [batch, heads, time, _] = bias.dims();
    let bias = bias.reshape([batch, heads, time]);
    let keys = own(config, run, None);
    let weights = match keys.weight {
        KeyWeight::Log(padding) => bias + padding,
        _ => bias,
    };
    (q * weight, HeadKeys { weight: KeyWeight::Log(weights), ..keys })
}

/// Queries and keys of a run, both centred, and scaled on demand, by the statistics of its keys.
fn normalised(
    q: Tensor<4>,
    run: RunKeys,
    beta: Option<Tensor<1>>,
    scales: bool,
) -> (Tensor<4>, RunKeys) {
    let Some(beta) = beta else {
        return (q, run);
    };
    let (mean, variance) = statistics(run.k.clone(), run.blocked.clone());
    let shift = mean * per_head(beta);
    let (q, k) = (q - shift.clone(), run.k - shift);
    if scales {
        let factor = (variance + EPS).sqrt().recip();
        return (q * factor.clone(), RunKeys { k: k * factor, ..run });
    }
    (q, RunKeys { k, ..run })
}

/// `[1, heads, 1, 1]`.
fn per_head(beta: Tensor<1>) -> Tensor<4> {
    let [heads] = beta.dims();
    beta.reshape([1, heads, 1, 1])
}

/// 1 for a key, 0 for a blocked one, `[batch, 1, keys, 1]`.
fn seen(k: &Tensor<4>, blocked: Option<Tensor<2, Bool>>) -> Tensor<4> {
    let [batch, _, time, _] = k.dims();
    let ones = Tensor::<2>::ones([batch, time], (&k.device().without_autodiff(), k.dtype()));
    let seen = match blocked {
        Some(blocked) => ones.mask_fill(blocked, 0.0),
        None => ones,
    };
    seen.reshape([batch, 1, time, 1])
}

/// Mean and population variance of the keys that are not blocked, `[batch, heads, 1, d_head]`.
fn statistics(k: Tensor<4>, blocked: Option<Tensor<2, Bool>>) -> (Tensor<4>, Tensor<4>) {
    let seen = seen(&k, blocked);
    let n = seen.clone().sum_dim(2).clamp_min(1.0);
    let mean = (k.clone() * seen.clone()).sum_dim(2) / n.clone();
    let variance = ((k - mean.clone()).powi_scalar(2) * seen).sum_dim(2) / n;
    (mean, variance)
}

/// Mean of the keys up to each one, `[batch, heads, keys, d_head]`.
fn prefix_mean(k: Tensor<4>, blocked: Option<Tensor<2, Bool>>) -> Tensor<4> {
    let seen = seen(&k, blocked);
    let n = seen.clone().cumsum(2).clamp_min(1.0);
    (k * seen).cumsum(2) / n
}
