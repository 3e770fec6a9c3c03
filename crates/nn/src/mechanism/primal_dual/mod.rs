//! Attention from support vector regression: batch normalisation and scaled heads over the softmax,
//! linear and windowed kernels.
//!
//! ```text
//! out_i = Σ_j κ(n(q_i), n(k_j)) v_j / Σ_j κ(n(q_i), n(k_j))          per head, over its own keys
//! n(x) = x − β μ        or, with scale, (x − β μ)/√(σ² + ε)           μ, σ² over the keys of the head
//! keys and values of head s: rows of x pooled over windows of r_s, then projected
//! ```
//!
//! - Batch normalisation: statistics over the tokens of one sequence, per head, of keys that are not
//!   blocked; `ε = 1e-5`. Centred, over softmax, it is a key bias, `−β μ·k_j/√d_head`, and runs in the
//!   fused kernel; causal, `μ` is the mean of the keys up to the query's own.
//! - Scaled heads: rows are pooled once per rate, before `W_K` and `W_V`, which shortens both maps.
//!   A head has at least one key. With `floor` a window that padding cuts short is dropped like an
//!   incomplete one; with `ceil` it is the mean of its rows.
//!
//! Source: Nguyen et al. 2023, "A Primal-Dual Framework for Transformers and Neural Networks", ICLR,
//! arXiv:2406.13781, as far as abstract and summaries tell; the body was not at hand, and what the
//! derivation does not force is a choice (see `docs/mechanisms/primal-dual.md`). Ours: a trained `β`,
//! causal prefix means, trained pooling, blocks of an image. Cost: `(2 + 2 m) p d² + 2 m p² d`
//! multiply-adds with `m = Σ_s N_s/(h p)`; memory linear in `p`.

mod config;
#[cfg(test)]
mod golden_tests;
mod heads;
#[cfg(test)]
mod tests;

use burn::module::{Module, Param};
use burn::tensor::{Bool, Tensor, assert_shape};
use regard_kernels::pointwise::Activation;
use regard_kernels::pooling::pool;
use regard_kernels::softmax::Part;

use self::heads::RunKeys;
pub use config::{
    AttentionKernel, BatchNormConfig, Grid, PoolingKind, PrimalDualConfig, Remainder,
    ScaledHeadsConfig, default_rates,
};

use super::{Attention, HeadMaps, join_heads, split_heads};
use crate::error::{InvalidConfig, positive};
use crate::parameter::Affine;

/// Attention with batch normalisation and scaled heads; build with [`PrimalDualConfig::init`].
#[derive(Module, Debug)]
pub struct PrimalDualAttention {
    query: Affine,
    runs: Vec<HeadRun>,
    output: Affine,
    /// Trained `β`, `[heads]`.
    beta: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: PrimalDualConfig,
}

/// The maps of consecutive heads of one rate.
#[derive(Module, Debug)]
pub(super) struct HeadRun {
    key: Affine,
    value: Affine,
    /// Trained pooling, `[rate, d_model]`: what the rows of a window are multiplied by before their
    /// mean.
    factors: Option<Param<Tensor<2>>>,
    rate: usize,
    n_heads: usize,
}

impl PrimalDualAttention {
    /// The weights of the heads, in runs of consecutive heads with equally many keys. They are stored
    /// in full: for looking at, not for attending.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_model]`; `blocked`: `[batch, time]`
    /// - returns: `[batch, heads of the run, time, keys of the run]` for every run
    #[must_use]
    pub fn weights(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Vec<Tensor<4>> {
        let (q, runs, beta) = self.project(x, blocked);
        heads::weights(&self.config, q, runs, beta)
    }

    /// What every head makes of a sequence, before `W_O`.
    ///
    /// # Shapes
    /// - `x`: `[batch, time, d_model]`; `blocked`: `[batch, time]`
    /// - returns: `[batch, heads, time, d_head]`
    #[must_use]
    pub fn head_outputs(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<4> {
        if self.config.changes_rows() {
            let (q, runs, beta) = self.project(x, blocked);
            return heads::attend(&self.config, q, runs, beta);
        }
        let (tensors, q, runs) = self.project_side_by_side(x, blocked);
        heads::attend_in_place(&self.config, tensors, q, runs, self.beta())
    }

    /// The weight `β` of the mean, one per head; `None` without batch normalisation.
    #[must_use]
    pub fn beta(&self) -> Option<Tensor<1>> {
        let norm = self.config.batch_norm?;
        Some(self.beta.as_ref().map_or_else(
            || {
                let weight = self.query.weight.val();
                let device = weight.device().without_autodiff();
                Tensor::full([self.config.n_heads], norm.beta, (&device, weight.dtype()))
            },
            Param::val,
        ))
    }

    /// The same attention for sequences of another length.
    ///
    /// # Errors
    /// [`InvalidConfig::WrongGrid`] if rows are cells of an image of another size.
    pub fn resized(&self, time: usize) -> Result<Self, InvalidConfig> {
        positive(("window", time))?;
        self.config.check_grid(time)?;
        Ok(self.clone())
    }

    pub(super) fn head_maps(&self) -> HeadMaps {
        let of_runs = |map: fn(&HeadRun) -> &Affine| {
            let columns = self.runs.iter().map(|run| HeadMaps::columns(map(run), run.n_heads));
            Tensor::cat(columns.collect(), 0)
        };
        HeadMaps {
            query: HeadMaps::columns(&self.query, self.config.n_heads),
            key: of_runs(|run| &run.key),
            value: of_runs(|run| &run.value),
            output: HeadMaps::rows(&self.output, self.config.n_heads),
        }
    }

    /// Queries, keys and values of every run, and `β`.
    fn project(
        &self,
        x: Tensor<3>,
        blocked: Option<Tensor<2, Bool>>,
    ) -> (Tensor<4>, Vec<RunKeys>, Option<Tensor<1>>) {
        let q = self.query.forward(x.clone(), Activation::Identity);
        let q = split_heads(q, self.config.n_heads);
        let rows = self.rows_of_runs(&x, blocked);
        let runs = self.runs.iter().zip(rows).map(|(run, (x, blocked))| {
            let heads = |layer: &Affine| {
                split_heads(layer.forward(x.clone(), Activation::Identity), run.n_heads)
            };
            RunKeys { k: heads(&run.key), v: heads(&run.value), blocked, rate: run.rate }
        });
        let runs = runs.collect();
        (q, runs, self.beta())
    }

    /// The same with one product for all maps of the same rows, whose results stay side by side: the
    /// tensors, and where in them queries, keys and values are.
    fn project_side_by_side(
        &self,
        x: Tensor<3>,
        blocked: Option<Tensor<2, Bool>>,
    ) -> (Vec<Tensor<4>>, Part, Vec<RunKeys<Part>>) {
        let n_heads = self.config.n_heads;
        let q = Part { tensor: 0, first: 0, heads: n_heads };
        // Heads at full rate come first, and share the rows of the queries.
        let shares = |i: usize, run: &HeadRun| i == 0 && run.rate == 1;
        let mut tensors = Vec::with_capacity(1 + self.runs.len());
        let rows = self.rows_of_runs(&x, blocked);
        if !shares(0, &self.runs[0]) {
            tensors.push(split_heads(self.query.forward(x, Activation::Identity), n_heads));
        }
        let runs = self.runs.iter().zip(rows).enumerate().map(|(i, (run, (rows, blocked)))| {
            let heads = run.n_heads;
            let (maps, first) = if shares(i, run) {
                (vec![&self.query, &run.key, &run.value], n_heads)
            } else {
                (vec![&run.key, &run.value], 0)
            };
            let tensor = tensors.len();
            tensors.push(split_heads(Affine::side_by_side(&maps, rows), first + 2 * heads));
            let [k, v] = [first, first + heads].map(|first| Part { tensor, first, heads });
            RunKeys { k, v, blocked, rate: run.rate }
        });
        let runs = runs.collect();
        (tensors, q, runs)
    }

    /// The rows that keys and values of every run are made of, and which of them are blocked.
    fn rows_of_runs(
        &self,
        x: &Tensor<3>,
        blocked: Option<Tensor<2, Bool>>,
    ) -> Vec<(Tensor<3>, Option<Tensor<2, Bool>>)> {
        let [batch, time, _] = x.dims();
        if let Some(blocked) = &blocked {
            assert_shape!(blocked, [batch, time]);
        }
        // Runs of one rate that are not neighbours share their means.
        let mut means: Vec<(usize, Tensor<3>, Option<Tensor<2, Bool>>)> = Vec::new();
        let rows = self.runs.iter().map(|run| {
            let known = means.iter().find(|(rate, ..)| *rate == run.rate && run.factors.is_none());
            if let Some((_, x, blocked)) = known {
                return (x.clone(), blocked.clone());
            }
            let pooled = run.pool(&self.config, x.clone(), blocked.clone());
            means.push((run.rate, pooled.0.clone(), pooled.1.clone()));
            pooled
        });
        rows.collect()
    }
}

impl HeadRun {
    /// The rows that keys and values are made of.
    fn pool(
        &self,
        config: &PrimalDualConfig,
        x: Tensor<3>,
        blocked: Option<Tensor<2, Bool>>,
    ) -> (Tensor<3>, Option<Tensor<2, Bool>>) {
        if self.rate == 1 {
            return (x, blocked);
        }
        let [_, time, _] = x.dims();
        let x = match &self.factors {
            None => x,
            Some(factors) => {
                let factors = factors.val().repeat_dim(0, time.div_ceil(self.rate));
                x * factors.narrow(0, 0, time).unsqueeze_dim(0)
            }
        };
        pool(x, &config.groups(time, self.rate), blocked)
    }
}

impl Attention for PrimalDualAttention {
    fn forward(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let o = join_heads(self.head_outputs(x, blocked));
        self.output.forward(o, Activation::Identity)
    }
}
