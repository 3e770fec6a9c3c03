//! What is asked of the kernel: the form, and what else there is beside queries, keys and values.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{Bool, Tensor, assert_shape};

use super::LogState;

/// What the values are, and with them the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Values {
    /// Logarithms of positive values in, the logarithm of their mixture out.
    #[default]
    Log,
    /// Values of any sign in, their mixture out.
    Linear,
}

/// The form of the attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLinear {
    /// What values are.
    pub values: Values,
    /// Whether query `t` sees keys `s ≤ t` alone, instead of all.
    pub causal: bool,
    /// Tokens per chunk; changes speed and rounding only.
    pub chunk: usize,
}

/// 64 tokens per chunk, causal, log-values.
impl Default for LogLinear {
    fn default() -> Self {
        Self { values: Values::Log, causal: true, chunk: 64 }
    }
}

/// What surrounds queries, keys and values; by default nothing.
///
/// # Shapes
/// - `blocked`: `[batch, time_k]`; `starts`: `[batch, time]`; `log_decay`: `[heads, d_k]`
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// `true` where a key must not be seen.
    pub blocked: Option<Tensor<2, Bool>>,
    /// `true` where another sequence begins, which sees nothing before it; causal only.
    pub starts: Option<Tensor<2, Bool>>,
    /// What the tokens before these left behind.
    pub state: Option<LogState>,
    /// Logarithm of what remains of a key channel from one token to the next, at most zero; causal only.
    ///
    /// ```text
    /// A[t, s] = Σ_i e^{q_ti + k_si + (t − s) g_i}
    /// ```
    pub log_decay: Option<Tensor<2>>,
}

/// Tokens that are computed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) tokens: Range<usize>,
    /// Whether the state is emptied first.
    pub(super) fresh: bool,
}

/// Consecutive chunks of one head, for one thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section<'a> {
    pub(super) pieces: &'a [Piece],
    /// Number of the first of them.
    pub(super) first: usize,
}

impl Section<'_> {
    /// Whether another sequence begins in it.
    pub(super) fn has_start(&self) -> bool {
        self.pieces.iter().any(|piece| piece.fresh)
    }
}

/// With fewer heads than this in the whole batch, threads share each of them.
const FEW_HEADS: usize = 4;
/// Sections of such a head at most, divided by how many heads there are.
const SECTIONS: usize = 16;
/// Tokens of a section at least: its keys are read twice.
const LEAST_TOKENS: usize = 1024;

/// Sizes, form and masks: everything but numbers.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) batch: usize,
    pub(super) heads: usize,
    pub(super) time_q: usize,
    pub(super) time_k: usize,
    pub(super) d_k: usize,
    pub(super) d_v: usize,
    pub(super) log: bool,
    pub(super) causal: bool,
    pub(super) chunk: usize,
    /// `[batch, time_k]`, `false` where a key is blocked.
    seen: Option<Arc<[bool]>>,
    /// Of every row of the batch, or of all of them.
    pieces: Arc<[Vec<Piece>]>,
}

impl Problem {
    /// Checks the shapes and reads the masks.
    pub(super) fn new(setting: LogLinear, [q, k, v]: [&Tensor<4>; 3], context: &Context) -> Self {
        let [batch, heads, time_q, d_k] = q.dims();
        let [_, _, time_k, d_v] = v.dims();
        assert_shape!(k, [batch, heads, time_k, d_k]);
        assert_shape!(v, [batch, heads, time_k, d_v]);
        let LogLinear { values, causal, chunk } = setting;
        assert!(chunk > 0, "chunk = 0: a chunk has at least one token");
        assert!(
            !causal || time_q == time_k,
            "causal attention has as many queries as keys, not {time_q} and {time_k}"
        );
        if let Some(state) = &context.state {
            state.assert_sizes([batch, heads, d_k, d_v]);
        }
        let host = |mask: &Tensor<2, Bool>| mask.to_data().iter::<bool>().collect::<Vec<_>>();
        let seen = context.blocked.as_ref().map(|blocked| {
            assert_shape!(blocked, [batch, time_k]);
            host(blocked).iter().map(|blocked| !blocked).collect()
        });
        let chunk = chunk.min(time_q.max(time_k).max(1));
        let pieces: Vec<Vec<Piece>> = match &context.starts {
            None => vec![pieces(time_k, chunk, &[])],
            Some(starts) => {
                assert!(causal, "sequences in a row need causal attention");
                assert_shape!(starts, [batch, time_k]);
                let starts = host(starts);
                (0..batch)
                    .map(|b| pieces(time_k, chunk, &starts[b * time_k..(b + 1) * time_k]))
                    .collect()
            }
        };
        let log = values == Values::Log;
        let pieces = pieces.into();
        Self { batch, heads, time_q, time_k, d_k, d_v, log, causal, chunk, seen, pieces }
    }

    /// Which keys of a row of the batch are seen; all of them if `None`.
    pub(super) fn seen(&self, batch: usize) -> Option<&[bool]> {
        self.seen.as_ref().map(|seen| &seen[batch * self.time_k..(batch + 1) * self.time_k])
    }

    /// Whether every sequence goes on by one token that is seen.
    pub(super) fn is_one_token(&self) -> bool {
        let fresh = self.pieces.iter().flatten().any(|piece| piece.fresh);
        self.causal && self.time_k == 1 && self.seen.is_none() && !fresh
    }

    /// The chunks of a row of the batch.
    pub(super) fn pieces(&self, batch: usize) -> &[Piece] {
        &self.pieces[batch % self.pieces.len()]
    }

    /// The queries in pieces: with their keys where causal.
    pub(super) fn queries<'a>(&self, keys: &'a [Piece]) -> Cow<'a, [Piece]> {
        if self.causal { keys.into() } else { pieces(self.time_q, self.chunk, &[]).into() }
    }

    /// The chunks of a head in sections that threads can share; one section where heads are many or the
    /// sequence is short. How many does not depend on the number of threads, so neither do results.
    pub(super) fn sections<'a>(&self, pieces: &'a [Piece]) -> Vec<Section<'a>> {
        let heads = self.batch * self.heads;
        let most = if heads < FEW_HEADS { SECTIONS / heads.max(1) } else { 1 };
        let time = pieces.last().map_or(0, |last| last.tokens.end);
        let n = (time / LEAST_TOKENS).min(pieces.len()).clamp(1, most);
        let bound = |i: usize| i * pieces.len() / n;
        (0..n)
            .map(|i| Section { pieces: &pieces[bound(i)..bound(i + 1)], first: bound(i) })
            .collect()
    }

    /// States kept per head for the backward pass: one per chunk, or the last one.
    pub(super) fn kept_states(&self) -> usize {
        let most = self.pieces.iter().map(Vec::len).max().unwrap_or(0);
        if self.causal { most } else { 1 }
    }
}

/// `time` tokens cut into chunks, and at every start of a sequence.
fn pieces(time: usize, chunk: usize, starts: &[bool]) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(time.div_ceil(chunk));
    let mut first = 0;
    while first < time {
        let fresh = starts.get(first).copied().unwrap_or(false);
        let most = (first + chunk).min(time);
        let next = (first + 1..most).find(|t| starts.get(*t).copied().unwrap_or(false));
        let end = next.unwrap_or(most);
        pieces.push(Piece { tokens: first..end, fresh });
        first = end;
    }
    pieces
}
