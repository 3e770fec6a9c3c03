//! What the primal-dual mechanism is made of, and what it costs.

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use regard_kernels::pooling::Groups;
use regard_kernels::softmax::KeyMask;
use serde::{Deserialize, Serialize};

use super::{HeadRun, PrimalDualAttention};
use crate::error::{InvalidConfig, divides, positive};
use crate::mechanism::softmax::projection;
use crate::parameter::{Affine, constant};

/// Configuration of [`PrimalDualAttention`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrimalDualConfig {
    /// Number of heads; divides `d_model`.
    pub n_heads: usize,
    /// Kernel of the support vector regression.
    #[serde(default)]
    pub kernel: AttentionKernel,
    /// Whether a row sees only itself and earlier rows.
    #[serde(default)]
    pub causal: bool,
    /// Attention-BN.
    #[serde(default)]
    pub batch_norm: Option<BatchNormConfig>,
    /// Attention-SH.
    #[serde(default)]
    pub scaled_heads: Option<ScaledHeadsConfig>,
}

/// Kernel of the support vector regression, and the keys it is fitted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttentionKernel {
    /// `exp(q · k / √d_head)` over all keys.
    #[default]
    Softmax,
    /// `φ(q) · φ(k)`, `φ(x) = elu(x) + 1`, over all keys.
    Linear,
    /// `exp(q · k / √d_head)` over the keys at most so many away; of pooled keys, from the one that
    /// holds the row.
    Window(usize),
}

/// Normalisation of queries and keys by the keys of a head.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNormConfig {
    /// Weight `β` of the mean that is subtracted.
    pub beta: f64,
    /// Whether `β` is trained, one per head, from the value given.
    pub learned: bool,
    /// Whether to divide by the standard deviation too.
    pub scale: bool,
}

impl Default for BatchNormConfig {
    fn default() -> Self {
        Self { beta: 0.5, learned: false, scale: false }
    }
}

/// Keys and values shortened by a factor per head.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScaledHeadsConfig {
    /// Rows per key, one number per head; if left out, [`default_rates`].
    pub rates: Vec<usize>,
    /// What becomes of an incomplete last window.
    pub remainder: Remainder,
    /// How a window becomes one row.
    pub pooling: PoolingKind,
    /// The image whose patches the rows are, to pool in blocks of it.
    pub grid: Option<Grid>,
}

/// What becomes of an incomplete last window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remainder {
    /// It is dropped.
    #[default]
    Floor,
    /// It is the mean of the rows it has.
    Ceil,
}

/// How a window becomes one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolingKind {
    /// The mean.
    #[default]
    Mean,
    /// A trained convolution of each feature, as wide and as far apart as the windows; starts as the
    /// mean.
    Learned,
}

/// Rows that are the cells of an image, line by line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Lines.
    pub rows: usize,
    /// Cells of a line.
    pub cols: usize,
    /// Whether a row stands before the grid; it keeps a key of its own.
    #[serde(default)]
    pub class_token: bool,
}

/// The rates that the paper is remembered to use: `1, 2` for two heads, else a factor 2 more after every
/// two heads, `1, 1, 2, 2, 4, 4, 8, 8`.
#[must_use]
pub fn default_rates(n_heads: usize) -> Vec<usize> {
    if n_heads == 2 {
        return vec![1, 2];
    }
    (0..n_heads).map(|head| 1 << (head / 2).min(16)).collect()
}

impl PrimalDualConfig {
    /// Softmax attention, without normalisation, all heads over all keys.
    #[must_use]
    pub fn new(n_heads: usize) -> Self {
        let kernel = AttentionKernel::default();
        Self { n_heads, kernel, causal: false, batch_norm: None, scaled_heads: None }
    }

    /// Checks the fields and draws `W_Q`, `W_K`, `W_V`, `W_O` in this order, as softmax attention
    /// does: one seed gives all variants the same matrices.
    ///
    /// # Errors
    /// [`InvalidConfig::NotDivisible`] if `n_heads` does not divide `d_model`;
    /// [`InvalidConfig::NotPerHead`] if there is not one rate per head; [`InvalidConfig::Zero`] if a
    /// rate is zero; [`InvalidConfig::OutOfRange`] if `β` is not finite;
    /// [`InvalidConfig::Incompatible`] if a row would see the future, or a window is asked of an
    /// image; [`InvalidConfig::WrongGrid`] if the grid does not hold `time` rows.
    pub fn init(
        &self,
        d_model: usize,
        time: usize,
        device: &Device,
    ) -> Result<PrimalDualAttention, InvalidConfig> {
        divides(("d_model", d_model), ("n_heads", self.n_heads))?;
        positive(("time", time))?;
        self.check()?;
        self.check_grid(time)?;
        let [query, key, value, output] = std::array::from_fn(|_| projection(d_model).init(device));
        let d_head = d_model / self.n_heads;
        let mut head = 0;
        let run = |(rate, n_heads): (usize, usize)| {
            let columns = |layer: &Affine| {
                let (from, n) = (head * d_head, n_heads * d_head);
                Affine {
                    weight: leaf(layer.weight.val().narrow(1, from, n)),
                    bias: leaf(layer.bias.val().narrow(0, from, n)),
                }
            };
            let (key, value) = (columns(&key), columns(&value));
            head += n_heads;
            let learned = self.learns_pooling() && rate > 1;
            let factors = learned.then(|| constant([rate, d_model], 1.0, device));
            HeadRun { key, value, factors, rate, n_heads }
        };
        let runs = self.runs().into_iter().map(run).collect();
        let beta = self
            .batch_norm
            .filter(|norm| norm.learned)
            .map(|norm| constant([self.n_heads], norm.beta, device));
        Ok(PrimalDualAttention { query, runs, output, beta, config: self.clone() })
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        let rates = self.rates();
        if rates.len() != self.n_heads {
            let (found, expected) = (rates.len(), self.n_heads);
            return Err(InvalidConfig::NotPerHead { name: "scaled_heads.rates", found, expected });
        }
        rates.iter().try_for_each(|rate| positive(("scaled_heads.rates", *rate)))?;
        if let Some(BatchNormConfig { beta, .. }) = self.batch_norm
            && !beta.is_finite()
        {
            let expected = "a finite number";
            return Err(InvalidConfig::OutOfRange {
                name: "batch_norm.beta",
                value: beta,
                expected,
            });
        }
        let refuse = |name, other, remedy| Err(InvalidConfig::Incompatible { name, other, remedy });
        let scales = self.batch_norm.is_some_and(|norm| norm.scale);
        let linear = self.kernel == AttentionKernel::Linear;
        if self.causal && self.scaled_heads.is_some() {
            return refuse(
                "scaled_heads",
                "causal = true",
                "a pooled key holds rows of the future; leave one of them out",
            );
        }
        if self.causal && matches!(self.kernel, AttentionKernel::Window(_)) {
            return refuse(
                "kernel = { window = … }",
                "causal = true",
                "the window looks both ways; use kernel = \"softmax\" or causal = false",
            );
        }
        if self.causal && scales {
            return refuse(
                "batch_norm.scale = true",
                "causal = true",
                "the deviation of all keys knows the future; use scale = false",
            );
        }
        if self.causal && linear && self.batch_norm.is_some() {
            return refuse(
                "batch_norm",
                "causal = true and kernel = \"linear\"",
                "the mean that keys are recentred by would change with the query; \
                 use kernel = \"softmax\"",
            );
        }
        let pools_blocks = self.grid().is_some();
        if pools_blocks && matches!(self.kernel, AttentionKernel::Window(_)) {
            return refuse(
                "scaled_heads.grid",
                "kernel = { window = … }",
                "the window is one of consecutive rows; leave the grid out",
            );
        }
        if pools_blocks && self.learns_pooling() {
            return refuse(
                "scaled_heads.grid",
                "scaled_heads.pooling = \"learned\"",
                "the convolution runs along rows; use pooling = \"mean\"",
            );
        }
        Ok(())
    }

    pub(super) fn check_grid(&self, time: usize) -> Result<(), InvalidConfig> {
        match self.grid() {
            Some(Grid { rows, cols, class_token })
                if rows * cols + usize::from(class_token) != time || rows * cols == 0 =>
            {
                Err(InvalidConfig::WrongGrid { rows, cols, class_token, time })
            }
            _ => Ok(()),
        }
    }

    /// Rows per key, one number per head.
    #[must_use]
    pub fn rates(&self) -> Vec<usize> {
        match &self.scaled_heads {
            None => vec![1; self.n_heads],
            Some(scaled) if scaled.rates.is_empty() => default_rates(self.n_heads),
            Some(scaled) => scaled.rates.clone(),
        }
    }

    /// Consecutive heads of one rate: the rate and how many.
    pub(super) fn runs(&self) -> Vec<(usize, usize)> {
        let rates = self.rates();
        rates.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect()
    }

    fn grid(&self) -> Option<Grid> {
        self.scaled_heads.as_ref().and_then(|scaled| scaled.grid)
    }

    fn learns_pooling(&self) -> bool {
        self.scaled_heads.as_ref().is_some_and(|scaled| scaled.pooling == PoolingKind::Learned)
    }

    /// Which of `time` rows are pooled to one key at a rate.
    pub(super) fn groups(&self, time: usize, rate: usize) -> Groups {
        let remainder = self.scaled_heads.as_ref().map(|scaled| scaled.remainder);
        let partial = remainder == Some(Remainder::Ceil);
        match self.grid() {
            Some(Grid { rows, cols, class_token }) => {
                Groups::blocks([rows, cols], block(rate), partial, class_token)
            }
            None => Groups::windows(time, rate, partial),
        }
    }

    /// Whether queries or keys are changed between their maps and the kernel.
    pub(super) fn changes_rows(&self) -> bool {
        self.kernel == AttentionKernel::Linear
            || self.batch_norm.is_some_and(|norm| self.causal || norm.scale)
    }

    /// Which keys a query sees in heads of a rate.
    pub(super) fn mask(&self, rate: usize) -> KeyMask {
        match self.kernel {
            AttentionKernel::Window(reach) => KeyMask::Window { reach, rate },
            _ if self.causal => KeyMask::Causal,
            _ => KeyMask::All,
        }
    }

    /// Keys `N_s` of every head, for a sequence of `time` rows.
    #[must_use]
    pub fn n_keys(&self, time: usize) -> Vec<usize> {
        let of = |(rate, n)| vec![self.groups(time, rate).n_groups(); n];
        self.runs().into_iter().flat_map(of).collect()
    }

    /// `4 (d² + d)`; a trained `β` adds one per head, trained pooling `r d` per run of heads of one
    /// rate `r > 1`.
    #[must_use]
    pub fn n_parameters(&self, d_model: usize) -> usize {
        let beta = self.batch_norm.filter(|norm| norm.learned).map_or(0, |_| self.n_heads);
        let rates = self.runs().into_iter().map(|(rate, _)| rate).filter(|rate| *rate > 1);
        let factors = if self.learns_pooling() { rates.sum::<usize>() * d_model } else { 0 };
        4 * projection(d_model).n_parameters() + beta + factors
    }

    /// Projections, scores and mixing: `(2 + 2 m) p d² + 2 m p² d` with `m = Σ_s N_s / (h p)`, which is
    /// half the number of operations of the closed form. Of the scores, only those that a mask
    /// leaves count. Linear: `(2 + 2 m) p d² + (1 + m) p d d_head + p d`. Means and the key bias of
    /// batch normalisation, some `3 p d` operations, are not products of matrices and not counted.
    #[must_use]
    pub fn multiply_adds(&self, d_model: usize, time: usize) -> u64 {
        let d_head = d_model / self.n_heads;
        let keys: usize = self.n_keys(time).iter().sum();
        let maps = 2 * time * d_model * d_model + 2 * keys * d_model * d_head;
        let mixing = match self.kernel {
            AttentionKernel::Linear => {
                (keys + time * self.n_heads) * d_head * d_head + time * d_model
            }
            _ => 2 * self.pairs(time) * d_head,
        };
        (maps + mixing) as u64
    }

    /// Weights of one sequence that a form keeps which stores them: `Σ_s p N_s`, of which a mask
    /// leaves some; none for the linear kernel. Ours stores none.
    #[must_use]
    pub fn stored_weights(&self, time: usize) -> u64 {
        match self.kernel {
            AttentionKernel::Linear => 0,
            _ => self.pairs(time) as u64,
        }
    }

    /// Pairs of a query and a key that it sees, over all heads.
    fn pairs(&self, time: usize) -> usize {
        let of = |(rate, n): (usize, usize)| {
            let (mask, keys) = (self.mask(rate), self.groups(time, rate).n_groups());
            let seen = |t| mask.visible_keys(t, [time, keys]).len();
            n * (0..time).map(seen).sum::<usize>()
        };
        self.runs().into_iter().map(of).sum()
    }
}

/// A parameter of its own, cut out of another: a copy, whose rows follow each other.
fn leaf<const D: usize>(x: Tensor<D>) -> Param<Tensor<D>> {
    let (device, dtype) = (x.device(), x.dtype());
    Param::from_tensor(Tensor::from_data(x.into_data(), (&device, dtype)))
}

/// Lines and columns of a block of `rate` cells: as square as it can be, not higher than wide.
fn block(rate: usize) -> [usize; 2] {
    let rows = (1..=rate.isqrt()).rev().find(|rows| rate.is_multiple_of(*rows)).unwrap_or(1);
    [rows, rate / rows]
}
