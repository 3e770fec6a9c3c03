//! The pairs to which a head is fitted: the last of the three choices that make an attention.
//!
//! ```text
//! pooled       k_j, v_j = means over rows j r … (j + 1) r − 1,  j < max(1, ⌊N / r⌋)    r: the head's rate
//! centred      x ← x − β μ                          for queries and keys,  μ = mean of the pooled keys
//! scaled       x ← (x − β μ) / √(σ² + ε)            σ² = variance of the pooled keys around μ
//! ```
//!
//! All keys as they are give plain attention, rates above one the scaled heads of Nguyen et al. 2023,
//! arXiv:2406.13781, and a centre their batch normalisation, where the batch is the keys of one sequence
//! in one head. A row that is padding enters no mean; a pooled key is there if one of its rows is.

use burn::tensor::{Bool, Tensor, assert_shape};

use crate::error::{InvalidConfig, positive};

/// The training pairs of every head.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingSet {
    /// Rows that become one pair, per head; 1 for every head if empty.
    pub rates: Vec<usize>,
    /// How queries and keys are normalised.
    pub center: Option<Center>,
}

/// Normalisation by the statistics of the keys of one sequence and head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Center {
    /// Weight `β` of the mean that is taken away.
    pub beta: f64,
    /// `ε`, which keeps a variance of zero from dividing; `None`: only centred.
    pub eps: Option<f64>,
}

/// What some heads with one rate attend with.
#[derive(Debug, Clone)]
pub(super) struct Pairs {
    /// `[batch, heads, time_q, d]`.
    pub(super) q: Tensor<4>,
    /// `[batch, heads, time_k, d]`.
    pub(super) k: Tensor<4>,
    /// `[batch, heads, time_k, d_v]`, zero where there is no key.
    pub(super) v: Tensor<4>,
    /// 1 where there is a key, 0 elsewhere, `[batch, heads, time_k, 1]`.
    pub(super) present: Tensor<4>,
    /// Whether some keys are padding.
    pub(super) is_padded: bool,
}

impl TrainingSet {
    /// Every key as it is.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Pools keys and values, one rate per head.
    #[must_use]
    pub fn pooled(self, rates: impl Into<Vec<usize>>) -> Self {
        Self { rates: rates.into(), ..self }
    }

    /// Takes `beta` times the mean of the keys from queries and keys.
    #[must_use]
    pub fn centered(self, beta: f64) -> Self {
        Self { center: Some(Center { beta, eps: None }), ..self }
    }

    /// Also divides by the standard deviation of the keys; `eps` is added to the variance.
    #[must_use]
    pub fn standardized(self, beta: f64, eps: f64) -> Self {
        Self { center: Some(Center { beta, eps: Some(eps) }), ..self }
    }

    /// Accepts one positive rate per head, a finite `beta`, a positive `eps`.
    pub(super) fn check(&self, n_heads: usize) -> Result<(), InvalidConfig> {
        let (name, found) = ("rates", self.rates.len());
        if found != n_heads && found != 0 {
            let expected = "one rate per head, or none";
            return Err(InvalidConfig::OutOfRange {
                name: "number of rates",
                value: found as f64,
                expected,
            });
        }
        self.rates.iter().try_for_each(|&rate| positive((name, rate)))?;
        let Some(Center { beta, eps }) = self.center else { return Ok(()) };
        if !beta.is_finite() {
            let expected = "a finite number";
            return Err(InvalidConfig::OutOfRange { name: "beta", value: beta, expected });
        }
        match eps {
            Some(value) if !(value > 0.0 && value.is_finite()) => {
                let expected = "a finite number above 0";
                Err(InvalidConfig::OutOfRange { name: "eps", value, expected })
            }
            _ => Ok(()),
        }
    }

    /// Neighbouring heads with the same rate together, in order.
    pub(super) fn pairs(
        &self,
        [q, k, v]: [Tensor<4>; 3],
        blocked: Option<&Tensor<2, Bool>>,
    ) -> Vec<Pairs> {
        let [batch, heads, time, _] = k.dims();
        let present = Tensor::<4>::ones([batch, heads, time, 1], (&k.device(), k.dtype()));
        let (k, v, present) = match blocked {
            None => (k, v, present),
            Some(blocked) => {
                assert_shape!(blocked, [batch, time]);
                let blocked = blocked.clone().reshape([batch, 1, time, 1]);
                let cleared = |x: Tensor<4>| {
                    let dims = x.dims();
                    x.mask_fill(blocked.clone().expand(dims), 0.0)
                };
                (cleared(k), cleared(v), cleared(present))
            }
        };
        let rates = if self.rates.is_empty() { vec![1; heads] } else { self.rates.clone() };
        assert_eq!(rates.len(), heads, "one rate per head");
        let mut first = 0;
        let group = |same: &[usize]| {
            let (from, n) = (first, same.len());
            first += n;
            let [q, k, v, present] = [&q, &k, &v, &present].map(|x| x.clone().narrow(1, from, n));
            self.normalized(pooled(q, [k, v], present, same[0]), blocked.is_some())
        };
        rates.chunk_by(|a, b| a == b).map(group).collect()
    }

    fn normalized(&self, [q, k, v, present]: [Tensor<4>; 4], is_padded: bool) -> Pairs {
        let Some(Center { beta, eps }) = self.center else {
            return Pairs { q, k, v, present, is_padded };
        };
        let count = present.clone().sum_dim(2).clamp_min(1.0);
        let mean = (k.clone() * present.clone()).sum_dim(2) / count.clone();
        let shift = mean.clone() * beta;
        let [q, centered] = [q, k.clone()].map(|x| x - shift.clone());
        let [q, k] = match eps {
            None => [q, centered],
            Some(eps) => {
                let square = (k - mean).powi_scalar(2) * present.clone();
                let deviation = (square.sum_dim(2) / count + eps).sqrt();
                [q, centered].map(|x| x / deviation.clone())
            }
        };
        Pairs { q, k, v, present, is_padded }
    }
}

/// Means over windows of `rate` rows, of the rows that are there; queries as they are.
fn pooled(q: Tensor<4>, [k, v]: [Tensor<4>; 2], present: Tensor<4>, rate: usize) -> [Tensor<4>; 4] {
    let [batch, heads, time, _] = k.dims();
    let window = rate.min(time);
    if window <= 1 {
        return [q, k, v, present];
    }
    let n = time / window;
    let sum = |x: Tensor<4>| {
        let [_, _, _, d] = x.dims();
        let windows = x.narrow(2, 0, n * window).reshape([batch, heads, n, window, d]);
        windows.sum_dim(3).reshape([batch, heads, n, d])
    };
    let count = sum(present);
    let [k, v] = [k, v].map(|x| sum(x) / count.clone().clamp_min(1.0));
    [q, k, v, count.clamp_max(1.0)]
}
