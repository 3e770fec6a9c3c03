//! Linear attention recurrent neural network: recurrent cells that attend to their last states.
//!
//! ```text
//! q = ELU([x_t h] W_q + b_q)                                  h, c: hidden state and cell before t
//! u_j = BN(ELU([c_j pos] W_k + b_k)), v_j likewise             the last n ≤ window cells c_j
//! r = softmax(q · u / √d_head) v per head      a = BN(ELU(r W_o + b_o))
//! [g f i o] = x_t W_x + b_x + h W_h + a W_a + b_a    (residual)     [x_t h a] W + b    (layer)
//! c_t = BN(tanh(g) ⊙ σ(i) + c ⊙ σ(f))      h_t = dropout(BN(σ(o) ⊙ ELU(c_t)))
//!
//! layer l reads s, which starts as x:  s ← s + h of layer l (residual)      s ← h of layer l (plain)
//! ```
//!
//! Linear in time: a step sees a window, not the whole past. Batch norms take the statistics of the
//! batch at each step while training, so that the rows of a batch depend on each other, and
//! running values else. A module trains where its input is on a device with automatic
//! differentiation, as Burn's own norms and dropouts do.
//!
//! A blocked row leaves the state as it is and gives zero. It is done by moving the blocked rows of
//! each sequence behind the others; while training they still count in the batch statistics, as
//! rows of zeros.
//!
//! Source: Chevalier 2018, arXiv:1808.05578, and the author's PyTorch code. Differs from the code:
//! every layer has parameters and a state of its own and all are trained, keys and values have a
//! norm each, the unused norm of the gates is left out, evaluation switches all dropout off. `γ` starts at
//! 0.1 as in Cooijmans et al. 2017, §4, arXiv:1603.09025; the biases of the forget gates at 1.
//! Cost: per step and layer `17 d² + 2 d · window` multiply-adds.

mod cell;
#[cfg(test)]
mod golden_tests;
mod running;
#[cfg(test)]
mod tests;

use burn::module::Module;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData, assert_shape};
use regard_kernels::recurrent::larnn::{LarnnState as CellState, LarnnStream as CellStream};
use serde::{Deserialize, Serialize};

use self::cell::LarnnCell;
use super::{Attention, Recurrent, State, StateVisitor};
use crate::error::{InvalidConfig, divides, positive};

/// How layers are stacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stack {
    /// Each layer's result is added to a running sum that starts as the input.
    #[default]
    Residual,
    /// Each layer reads the result of the one before.
    Plain,
}

/// How the gates are made; both are the same affine map and differ in their initial values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateMode {
    /// One matrix each for input, hidden state and attention.
    #[default]
    Residual,
    /// One matrix for the three side by side.
    Layer,
}

/// What keys and values go through after their linear map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyValueForm {
    /// Nothing.
    None,
    /// ELU.
    Elu,
    /// ELU and a norm.
    #[default]
    EluNorm,
}

/// The norm of cell, hidden state, attention, keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormKind {
    /// Over the rows of the batch at each step.
    #[default]
    Batch,
    /// Over the features of each row.
    Layer,
    /// None.
    None,
}

/// The statistics of batch norms in evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evaluation {
    /// Running ones.
    #[default]
    Running,
    /// Those of the batch at hand: a prediction depends on the other rows of the batch.
    Batch,
}

/// How running statistics follow those of the batches, with momentum 0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunningRule {
    /// At every step, so that the last steps of a sequence count most.
    #[default]
    PerStep,
    /// Once per sequence, by the statistics of all its steps together.
    Pooled,
}

/// Law of the initial values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LarnnInit {
    /// Xavier-uniform matrices, zero biases, one for the forget gate; `γ` as configured, `β` zero.
    #[default]
    Xavier,
    /// `U(±1/√d)` for everything, norms included, as the author's code.
    Uniform,
}

/// Configuration of [`Larnn`]; it has a key for each switch of the paper and its code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LarnnConfig {
    /// Number of heads; divides `d_model`.
    pub n_heads: usize,
    /// Most past cells that a step attends to; 10 unless given.
    #[serde(default = "window")]
    pub window: usize,
    /// Number of cells on top of each other; 1 unless given.
    #[serde(default = "n_layers")]
    pub n_layers: usize,
    /// How they are stacked.
    #[serde(default)]
    pub stack: Stack,
    /// How the gates are made.
    #[serde(default)]
    pub mode: GateMode,
    /// Whether keys and values see the age of a cell.
    #[serde(default)]
    pub positional_encoding: bool,
    /// What keys and values go through.
    #[serde(default)]
    pub key_value: KeyValueForm,
    /// The norm of cell, hidden state, attention, keys and values.
    #[serde(default)]
    pub norm: NormKind,
    /// The statistics of batch norms in evaluation.
    #[serde(default)]
    pub evaluation: Evaluation,
    /// How running statistics are updated.
    #[serde(default)]
    pub running: RunningRule,
    /// Initial `γ` of all norms; 0.1 unless given. With 1 training stalls.
    #[serde(default = "tenth")]
    pub gamma: f64,
    /// Dropout rate of the attention weights; 0.1 unless given.
    #[serde(default = "tenth")]
    pub dropout_attention: f64,
    /// Dropout rate of cells and positions before they become keys and values; 0.1 unless given,
    /// and only with positional encoding.
    #[serde(default = "tenth")]
    pub dropout_memory: f64,
    /// Dropout rate of the result of a layer; 0.1 unless given.
    #[serde(default = "tenth")]
    pub dropout_output: f64,
    /// Whether the next step sees the gaps of the result; it does unless given.
    #[serde(default = "carry_dropout")]
    pub carry_dropout: bool,
    /// Law of the initial values.
    #[serde(default)]
    pub init: LarnnInit,
}

fn window() -> usize {
    10
}

fn n_layers() -> usize {
    1
}

fn tenth() -> f64 {
    0.1
}

fn carry_dropout() -> bool {
    true
}

/// Cells on top of each other; build with [`LarnnConfig::init`].
#[derive(Module, Debug)]
pub struct Larnn {
    layers: Vec<LarnnCell>,
    #[module(skip)]
    stack: Stack,
}

/// Hidden state and window of every layer.
#[derive(Debug, Clone)]
pub struct LarnnState {
    layers: Vec<CellState>,
}

impl LarnnState {
    /// Cells in the window, the same number in every layer.
    #[must_use]
    pub fn n_cells(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.cells.dims()[1])
    }
}

impl LarnnConfig {
    /// One layer with the defaults.
    #[must_use]
    pub fn new(n_heads: usize) -> Self {
        Self {
            n_heads,
            window: window(),
            n_layers: n_layers(),
            stack: Stack::default(),
            mode: GateMode::default(),
            positional_encoding: false,
            key_value: KeyValueForm::default(),
            norm: NormKind::default(),
            evaluation: Evaluation::default(),
            running: RunningRule::default(),
            gamma: tenth(),
            dropout_attention: tenth(),
            dropout_memory: tenth(),
            dropout_output: tenth(),
            carry_dropout: carry_dropout(),
            init: LarnnInit::default(),
        }
    }

    /// Checks the fields and draws the layers in order.
    ///
    /// # Errors
    /// [`InvalidConfig::NotDivisible`] if `n_heads` does not divide `d_model`;
    /// [`InvalidConfig::Zero`] if `window` or `n_layers` is zero;
    /// [`InvalidConfig::OutOfRange`] if a rate is not in `[0, 1)` or `gamma` is not finite.
    pub fn init(&self, d_model: usize, device: &Device) -> Result<Larnn, InvalidConfig> {
        divides(("d_model", d_model), ("n_heads", self.n_heads))?;
        [("window", self.window), ("n_layers", self.n_layers)]
            .into_iter()
            .try_for_each(positive)?;
        for (name, value) in [
            ("dropout_attention", self.dropout_attention),
            ("dropout_memory", self.dropout_memory),
            ("dropout_output", self.dropout_output),
        ] {
            if !(0.0..1.0).contains(&value) {
                let expected = "a rate of at least 0 and below 1";
                return Err(InvalidConfig::OutOfRange { name, value, expected });
            }
        }
        if !self.gamma.is_finite() {
            let (value, expected) = (self.gamma, "a finite number");
            return Err(InvalidConfig::OutOfRange { name: "gamma", value, expected });
        }
        let layers = (0..self.n_layers).map(|_| LarnnCell::new(self, d_model, device)).collect();
        Ok(Larnn { layers, stack: self.stack })
    }

    /// Per layer of width `d` with `P` positional features: gates `4d (d + 1) + 4d² + 4d (d + 1)`
    /// (residual) or `4d (3d + 1)` (layer), query `d (2d + 1)`, keys and values `2d (d + P + 1)`,
    /// output `d (d + 1)`, and `2d` per norm.
    #[must_use]
    pub fn n_parameters(&self, d_model: usize) -> usize {
        let d = d_model;
        let gates = match self.mode {
            GateMode::Residual => 2 * 4 * d * (d + 1) + 4 * d * d,
            GateMode::Layer => 4 * d * (3 * d + 1),
        };
        let maps = d * (2 * d + 1) + 2 * d * (d + self.n_position() + 1) + d * (d + 1);
        self.n_layers * (gates + maps + 2 * d * self.n_norms())
    }

    /// Those of the weights alone, without biases and norms: `17 d² + 2 d P` per layer.
    #[must_use]
    pub fn n_weights(&self, d_model: usize) -> usize {
        self.n_layers * (17 * d_model * d_model + 2 * d_model * self.n_position())
    }

    /// Per layer `17 d²` a step, each cell projected once, and `2 d` for every cell that a step
    /// attends to.
    #[must_use]
    pub fn multiply_adds(&self, d_model: usize, time: usize) -> u64 {
        let attended: usize = (1..=time).map(|n| n.min(self.window)).sum();
        (self.n_layers * (17 * d_model * d_model * time + 2 * d_model * attended)) as u64
    }
}

impl Larnn {
    /// A whole sequence, or the next part of one: results, and the state behind the last row.
    ///
    /// # Shapes
    /// - `x` and the result: `[batch, time, d_model]` with at least one row
    ///
    /// # Panics
    /// If the shapes disagree with each other, with the parameters, or with the state.
    #[must_use]
    pub fn scan(&self, x: Tensor<3>, past: Option<LarnnState>) -> (Tensor<3>, LarnnState) {
        let mut past = past.map(|past| past.layers.into_iter());
        let mut sum = x;
        let mut layers = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let start = past.as_mut().map(|p| p.next().expect("a state has one entry per layer"));
            let out = layer.scan(sum.clone(), start);
            sum = match self.stack {
                Stack::Residual => sum + out.rows,
                Stack::Plain => out.rows,
            };
            layers.push(out.state);
        }
        (sum, LarnnState { layers })
    }
}

/// One sequence read row by row on plain numbers, as in evaluation; see [`Larnn::stream`].
#[derive(Debug, Clone)]
pub struct LarnnStream {
    layers: Vec<CellStream>,
    stack: Stack,
    row: Vec<f64>,
    sum: Vec<f64>,
}

impl LarnnStream {
    /// Reads one row and gives its result, both of width `d_model`.
    ///
    /// # Panics
    /// If the row has another width.
    pub fn step(&mut self, row: &[f64]) -> &[f64] {
        self.sum.copy_from_slice(row);
        for layer in &mut self.layers {
            layer.step(&self.sum, &mut self.row);
            match self.stack {
                Stack::Residual => self.sum.iter_mut().zip(&self.row).for_each(|(s, x)| *s += x),
                Stack::Plain => self.sum.copy_from_slice(&self.row),
            }
        }
        &self.sum
    }
}

impl Larnn {
    /// A copy that reads one sequence without tensors, which takes a fraction of the time of
    /// [`Recurrent::step`]. Batch norms use running statistics whatever the configuration says.
    #[must_use]
    pub fn stream(&self) -> LarnnStream {
        let layers: Vec<CellStream> = self.layers.iter().map(LarnnCell::stream).collect();
        let d_model = self.layers.first().map_or(0, LarnnCell::width);
        let zeros = vec![0.0; d_model];
        LarnnStream { layers, stack: self.stack, row: zeros.clone(), sum: zeros }
    }
}

impl Attention for Larnn {
    fn forward(&self, x: Tensor<3>, blocked: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let Some(blocked) = blocked else {
            return self.scan(x, None).0;
        };
        let [batch, time, d_model] = x.dims();
        assert_shape!(blocked, [batch, time]);
        let shape = [batch, time, d_model];
        let (order, place) = seen_first(&blocked);
        let absent = blocked.unsqueeze_dim::<3>(2).expand(shape);
        let rows = |index: Tensor<2, Int>| index.unsqueeze_dim::<3>(2).expand(shape);
        let seen = x.mask_fill(absent.clone(), 0.0).gather(1, rows(order));
        self.scan(seen, None).0.gather(1, rows(place)).mask_fill(absent, 0.0)
    }
}

impl State for LarnnState {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            visitor.enter(&i.to_string());
            visitor.tensor("hidden", &mut layer.hidden, None);
            visitor.tensor("cells", &mut layer.cells, Some(1));
            visitor.exit();
        }
    }
}

impl Recurrent for Larnn {
    type Input = Tensor<3>;
    type State = LarnnState;

    fn step(&self, x: Tensor<3>, past: Option<LarnnState>) -> (Tensor<3>, LarnnState) {
        let [_, time, _] = x.dims();
        assert!(time == 1, "a step takes one row, not {time}");
        self.scan(x, past)
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        self.scan(x, None).0
    }
}

/// The order of rows in which blocked ones come last, and the place of each row in it.
fn seen_first(blocked: &Tensor<2, Bool>) -> (Tensor<2, Int>, Tensor<2, Int>) {
    let [batch, time] = blocked.dims();
    let device = blocked.device();
    let (mut order, mut place) = (Vec::new(), Vec::new());
    let flags: Vec<bool> = blocked.clone().into_data().iter::<bool>().collect();
    for flags in flags.chunks_exact(time.max(1)) {
        let mut rows: Vec<(i64, bool)> = (0i64..).zip(flags.iter().copied()).collect();
        rows.sort_by_key(|&(_, blocked)| blocked);
        let mut of: Vec<(i64, i64)> = (0i64..).zip(&rows).map(|(i, &(t, _))| (t, i)).collect();
        of.sort_unstable();
        order.extend(rows.iter().map(|&(t, _)| t));
        place.extend(of.iter().map(|&(_, i)| i));
    }
    let index = |values: Vec<i64>| {
        Tensor::<2, Int>::from_data(TensorData::new(values, [batch, time]), &device)
    };
    (index(order), index(place))
}
