//! What a cell is made of: widths, switches, normalisation, dropout, weights and state.

use burn::tensor::{Tensor, assert_shape};

use super::dropout::Dropout;
use super::moments::Moments;

/// Keeps the divisor of a norm away from zero.
pub(super) const EPS: f64 = 1e-5;

/// The five norms of a cell, in the order of the rows of [`LarnnWeights::gamma`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Site {
    Cell,
    Hidden,
    Attention,
    Key,
    Value,
}

impl Site {
    pub(super) const ALL: [Self; 5] =
        [Self::Cell, Self::Hidden, Self::Attention, Self::Key, Self::Value];
}

/// Everything about a cell that is not trained.
#[derive(Clone, Debug)]
pub struct LarnnSetting {
    /// Number of heads; divides `d_hidden`.
    pub n_heads: usize,
    /// Most past cells that a step attends to.
    pub window: usize,
    /// Whether keys and values see the age of a cell, as [`position_table`] says.
    pub positional_encoding: bool,
    /// What keys and values go through.
    pub key_value: KeyValue,
    /// How cell, hidden state, attention result, keys and values are normalised.
    pub norm: Norm,
    /// What is left out at random.
    pub dropout: Dropout,
}

/// What keys and values go through after their linear map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// Nothing.
    Linear,
    /// ELU.
    Elu,
    /// ELU, then the norm of the cell.
    EluNorm,
}

/// Over what values are brought to mean zero and variance one, before `γ` and `β`.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one per call; a box would buy nothing")]
pub enum Norm {
    /// Nothing is normalised; there are no `γ` and `β`.
    None,
    /// The features of each row.
    Layer,
    /// The rows of the batch at each step; for keys and values also those of the window.
    Batch,
    /// Nothing: the given moments are used.
    Running(Moments),
}

impl LarnnSetting {
    /// Rows of `γ` and `β`: none, three, or five where keys and values are normalised.
    #[must_use]
    pub fn n_norms(&self) -> usize {
        match (&self.norm, self.key_value) {
            (Norm::None, _) => 0,
            (_, KeyValue::EluNorm) => 5,
            _ => 3,
        }
    }

    /// Features that the positional encoding adds to a cell.
    #[must_use]
    pub fn n_position(&self) -> usize {
        if self.positional_encoding { n_position(self.window) } else { 0 }
    }

    pub(super) fn normalises_keys(&self) -> bool {
        self.n_norms() == 5
    }
}

/// Width of [`position_table`], `2 (⌈log₂ window⌉ + 2)`.
#[must_use]
pub fn n_position(window: usize) -> usize {
    2 * (window.next_power_of_two().ilog2() as usize + 2)
}

/// Periodic features of the age of a cell, `[window, n_position]`, oldest first.
///
/// ```text
/// b = ⌈log₂ window⌉ + 2      age 1 (newest) … window (oldest)
/// feature i: cos(2π age / 2^(i+1))      feature b + i: sin(2π age / 2^(i+2))      i < b
/// ```
///
/// Of `n < window` cells the last `n` rows count, so that the newest cell always has age 1.
#[must_use]
pub fn position_table(window: usize) -> Vec<f64> {
    let b = n_position(window) / 2;
    let turn = |age: usize, period: usize| {
        // The remainder keeps the angle small and exact.
        std::f64::consts::TAU * (age % period) as f64 / period as f64
    };
    (1..=window)
        .rev()
        .flat_map(|age| {
            let cosines = (0..b).map(move |i| turn(age, 2 << i).cos());
            cosines.chain((0..b).map(move |i| turn(age, 4 << i).sin()))
        })
        .collect()
}

/// What is trained in a cell.
#[derive(Clone, Debug)]
pub struct LarnnWeights {
    /// Rows `x`, hidden state, attention; columns `g f i o`: `[d_in + 2 d_hidden, 4 d_hidden]`.
    pub gates: Tensor<2>,
    /// `[4 d_hidden]`
    pub gates_bias: Tensor<1>,
    /// Rows `x`, hidden state: `[d_in + d_hidden, d_hidden]`.
    pub query: Tensor<2>,
    /// `[d_hidden]`
    pub query_bias: Tensor<1>,
    /// Rows cell, position; columns keys, values: `[d_hidden + n_position, 2 d_hidden]`.
    pub key_value: Tensor<2>,
    /// `[2 d_hidden]`
    pub key_value_bias: Tensor<1>,
    /// `[d_hidden, d_hidden]`
    pub output: Tensor<2>,
    /// `[d_hidden]`
    pub output_bias: Tensor<1>,
    /// Of cell, hidden state, attention, keys, values: `[n_norms, d_hidden]`.
    pub gamma: Tensor<2>,
    /// As `gamma`.
    pub beta: Tensor<2>,
}

/// What a cell carries from one step to the next.
#[derive(Clone, Debug)]
pub struct LarnnState {
    /// `[batch, d_hidden]`
    pub hidden: Tensor<2>,
    /// Oldest first: `[batch, n, d_hidden]` with `1 ≤ n ≤ window`.
    pub cells: Tensor<3>,
}

impl LarnnState {
    /// A zero hidden state and one zero cell: the start of a sequence.
    #[must_use]
    pub fn zero(batch: usize, d_hidden: usize, like: &Tensor<3>) -> Self {
        let (device, dtype) = (like.device(), like.dtype());
        Self {
            hidden: Tensor::zeros([batch, d_hidden], (&device, dtype)),
            cells: Tensor::zeros([batch, 1, d_hidden], (&device, dtype)),
        }
    }
}

/// Width of the input and of the hidden state, after all shapes have been compared.
///
/// # Panics
/// If they disagree with each other or with the setting.
pub(super) fn check(
    x: &Tensor<3>,
    weights: &LarnnWeights,
    start: Option<&LarnnState>,
    setting: &LarnnSetting,
) -> [usize; 2] {
    let [batch, time, d_in] = x.dims();
    let [d_hidden, _] = weights.output.dims();
    let LarnnSetting { n_heads, window, .. } = *setting;
    assert!(time > 0, "time = 0: a state comes after at least one step");
    assert!(window > 0, "window = 0, expected at least 1");
    assert!(
        n_heads > 0 && d_hidden > 0 && d_hidden.is_multiple_of(n_heads),
        "d_hidden = {d_hidden} is not a positive multiple of n_heads = {n_heads}"
    );
    let LarnnWeights { gates, gates_bias, query, query_bias, .. } = weights;
    let LarnnWeights { key_value, key_value_bias, output, output_bias, gamma, beta, .. } = weights;
    assert_shape!(gates, [d_in + 2 * d_hidden, 4 * d_hidden]);
    assert_shape!(gates_bias, [4 * d_hidden]);
    assert_shape!(query, [d_in + d_hidden, d_hidden]);
    assert_shape!(query_bias, [d_hidden]);
    assert_shape!(key_value, [d_hidden + setting.n_position(), 2 * d_hidden]);
    assert_shape!(key_value_bias, [2 * d_hidden]);
    assert_shape!(output, [d_hidden, d_hidden]);
    assert_shape!(output_bias, [d_hidden]);
    assert_shape!(gamma, [setting.n_norms(), d_hidden]);
    assert_shape!(beta, [setting.n_norms(), d_hidden]);
    if let Norm::Running(Moments { mean, var }) = &setting.norm {
        assert_shape!(mean, [setting.n_norms(), d_hidden]);
        assert_shape!(var, [setting.n_norms(), d_hidden]);
    }
    if let Some(LarnnState { hidden, cells }) = start {
        let [_, n, _] = cells.dims();
        assert_shape!(hidden, [batch, d_hidden]);
        assert_shape!(cells, [batch, n, d_hidden]);
        assert!((1..=window).contains(&n), "{n} cells in the state, expected 1 to {window}");
    }
    [d_in, d_hidden]
}
