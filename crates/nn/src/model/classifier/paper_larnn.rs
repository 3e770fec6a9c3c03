//! The network that the published figures of LARNN come from: a random cell that is never trained.
//!
//! ```text
//! e_t    = ELU(x_t W_in + b_in)
//! h^l, state ← cell(e, state)      l = 1 … n_layers: the same cell, the same input, the state goes on
//! s      = e + h^1 + … + h^n (residual)      s = h^n (plain)
//! logits = s_last W_out + b_out
//! ```
//!
//! In the code released with the paper the cells are not registered with the optimizer and the first
//! of them is run in place of every layer, with one state for all. So input and output map are all
//! that is trained. Neither does evaluation reach the cell: dropout and the statistics of the batch
//! stay in use, and the logits of a series depend on chance and on the rest of its batch. This model
//! reproduces that, to compare with the published accuracies; for the network that the paper
//! describes take `classifier` with the mechanism `larnn`.
//!
//! Every value of the cell is drawn from `U(±1/√H)`, norms included, except the one norm that keys
//! and values share: `γ` from `U(0, 1)` and `β = 0`. Dropout of attention weights is 0.1, and of
//! cells with their positions 0.1 where there are positions. Padding behind a series is read as rows
//! of zeros and so has an influence; the model is made for series of one length.
//!
//! Source: Chevalier 2018, arXiv:1808.05578, and its code. Left out: a norm of the gates whose result
//! the code throws away, and running values, which nothing reads.

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Distribution, Tensor};
use regard_kernels::recurrent::larnn::{
    Dropout, HashedDropout, KeyValue, LarnnSetting, LarnnWeights, Norm, larnn, n_position,
};
use serde::{Deserialize, Serialize};

use super::head::{Head, HeadConfig};
use super::input::{InputActivation, InputMap};
use super::{ClassifyShape, Pooling};
use crate::error::{InvalidConfig, divides, positive, rate};
use crate::mechanism::{GateMode, Stack};
use crate::parameter::fan_in_bound;

/// Dropout of attention weights, and of cells with positions.
const DROPOUT: f64 = 0.1;

/// Configuration of [`PaperLarnnClassifier`]; the defaults are those of the best published run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PaperLarnnClassifierConfig {
    /// Width of the cell, `H`; 81 unless given.
    pub d_hidden: usize,
    /// Number of heads; divides `d_hidden`; 27 unless given.
    pub n_heads: usize,
    /// Most past cells that a step attends to; 38 unless given.
    pub window: usize,
    /// How often the cell is run over the input; 3 unless given.
    pub n_layers: usize,
    /// Whether the results of all passes are added to the input, or the last one counts.
    pub stack: Stack,
    /// Whether gates have one bias or two; both forms have the same matrices.
    pub mode: GateMode,
    /// Whether keys and values see the age of a cell.
    pub positional_encoding: bool,
    /// Dropout of the result of a step, which the next step sees; 0.0889 unless given.
    pub dropout: f64,
}

impl Default for PaperLarnnClassifierConfig {
    fn default() -> Self {
        Self {
            d_hidden: 81,
            n_heads: 27,
            window: 38,
            n_layers: 3,
            stack: Stack::Residual,
            mode: GateMode::Residual,
            positional_encoding: false,
            dropout: 0.088_853_918_133_378_16,
        }
    }
}

/// A random cell between trained maps; build with [`PaperLarnnClassifierConfig::init`].
#[derive(Module, Debug)]
pub struct PaperLarnnClassifier {
    input: InputMap,
    cell: FrozenCell,
    head: Head,
    #[module(skip)]
    config: PaperLarnnClassifierConfig,
}

/// The values of a cell, which no optimizer changes; shapes as in [`LarnnWeights`].
#[derive(Module, Debug)]
struct FrozenCell {
    gates: Param<Tensor<2>>,
    gates_bias: Param<Tensor<1>>,
    query: Param<Tensor<2>>,
    query_bias: Param<Tensor<1>>,
    key_value: Param<Tensor<2>>,
    key_value_bias: Param<Tensor<1>>,
    output: Param<Tensor<2>>,
    output_bias: Param<Tensor<1>>,
    /// Of cell, hidden state, attention, keys, values; the last two rows are the same.
    gamma: Param<Tensor<2>>,
    beta: Param<Tensor<2>>,
}

impl PaperLarnnClassifierConfig {
    /// Checks the fields and draws input map, cell and output in this order.
    ///
    /// # Errors
    /// [`InvalidConfig`] if a size is zero, `n_heads` does not divide `d_hidden`, or `dropout` is not
    /// a rate.
    pub fn init(
        &self,
        shape: ClassifyShape,
        device: &Device,
    ) -> Result<PaperLarnnClassifier, InvalidConfig> {
        let ClassifyShape { time, channels, classes, .. } = shape;
        let counts = [
            ("window", self.window),
            ("n_layers", self.n_layers),
            ("time", time),
            ("channels", channels),
            ("classes", classes),
        ];
        counts.into_iter().try_for_each(positive)?;
        divides(("d_hidden", self.d_hidden), ("n_heads", self.n_heads))?;
        rate(("dropout", self.dropout))?;
        Ok(PaperLarnnClassifier {
            input: InputMap::new(
                InputMap::config(channels, self.d_hidden),
                InputActivation::Elu,
                device,
            ),
            cell: FrozenCell::new(self, device),
            head: self.head(shape).init(device),
            config: self.clone(),
        })
    }

    /// `(n + 1) H + (H + 1) m` for `n` channels and `m` classes: the cell is not trained.
    #[must_use]
    pub fn n_parameters(&self, shape: ClassifyShape) -> usize {
        InputMap::config(shape.channels, self.d_hidden).n_parameters()
            + self.head(shape).n_parameters()
    }

    /// Per step `n H` and for every pass `17 H²` and `2 H` per cell in the window; then `H m`.
    #[must_use]
    pub fn multiply_adds(&self, shape: ClassifyShape) -> u64 {
        let ClassifyShape { time, channels, .. } = shape;
        let h = self.d_hidden;
        let attended: usize = (1..=time * self.n_layers).map(|n| n.min(self.window)).sum();
        let passes = (17 * h * h * time * self.n_layers + 2 * h * attended) as u64;
        time as u64 * InputMap::config(channels, h).multiply_adds()
            + passes
            + self.head(shape).multiply_adds()
    }

    fn head(&self, shape: ClassifyShape) -> HeadConfig {
        let ClassifyShape { time, classes, .. } = shape;
        HeadConfig { d_in: self.d_hidden, time, classes, pooling: Pooling::Last, dropout: 0.0 }
    }

    fn n_position(&self) -> usize {
        if self.positional_encoding { n_position(self.window) } else { 0 }
    }

    fn setting(&self, dropout: Dropout) -> LarnnSetting {
        LarnnSetting {
            n_heads: self.n_heads,
            window: self.window,
            positional_encoding: self.positional_encoding,
            key_value: KeyValue::EluNorm,
            norm: Norm::Batch,
            dropout,
        }
    }
}

impl PaperLarnnClassifier {
    /// The logits of every series, which depend on the whole batch and on the masks of dropout that
    /// the seeded stream of the device gives.
    ///
    /// # Shapes
    /// As [`Classifier::forward`](super::Classifier::forward), with zeros in padded rows.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>, padding: Option<&Tensor<2, Bool>>) -> Tensor<2> {
        let e = self.input.forward(x);
        let device = e.device();
        self.head.forward(self.passes(e, || self.masks(&device)), padding)
    }

    /// All passes of the cell, each with a dropout of its own.
    fn passes(&self, e: Tensor<3>, dropout: impl Fn() -> Dropout) -> Tensor<3> {
        let weights = self.cell.weights();
        let (mut sum, mut state) = (e.clone(), None);
        for _ in 0..self.config.n_layers {
            let out = larnn(e.clone(), &weights, state, &self.config.setting(dropout()));
            sum = match self.config.stack {
                Stack::Residual => sum + out.rows,
                Stack::Plain => out.rows,
            };
            state = Some(out.state);
        }
        sum
    }

    fn masks(&self, device: &Device) -> Dropout {
        // Whole numbers below 2²⁴ are exact in every precision.
        let drawn = Tensor::<1>::random([1], Distribution::Uniform(0.0, 16_777_216.0), device);
        let seed = drawn.into_data().iter::<f64>().map(f64::to_bits).sum();
        Dropout::Hashed(HashedDropout {
            attention: DROPOUT,
            memory: if self.config.positional_encoding { DROPOUT } else { 0.0 },
            output: self.config.dropout,
            carried: true,
            seed,
        })
    }
}

impl FrozenCell {
    /// Draws gates, query, keys and values, output, norms.
    fn new(config: &PaperLarnnClassifierConfig, device: &Device) -> Self {
        let h = config.d_hidden;
        let memory = h + config.n_position();
        let gates_bias = random([4 * h], h, device);
        let gates_bias = match config.mode {
            GateMode::Residual => gates_bias + random([4 * h], h, device),
            GateMode::Layer => gates_bias,
        };
        let shared = Tensor::<2>::random([1, h], Distribution::Uniform(0.0, 1.0), device);
        let gamma = Tensor::cat(vec![random([3, h], h, device), shared.clone(), shared], 0);
        let beta = Tensor::cat(vec![random([3, h], h, device), Tensor::zeros([2, h], device)], 0);
        Self {
            gates: frozen(random([3 * h, 4 * h], h, device)),
            gates_bias: frozen(gates_bias),
            query: frozen(random([2 * h, h], h, device)),
            query_bias: frozen(random([h], h, device)),
            key_value: frozen(random([memory, 2 * h], h, device)),
            key_value_bias: frozen(random([2 * h], h, device)),
            output: frozen(random([h, h], h, device)),
            output_bias: frozen(random([h], h, device)),
            gamma: frozen(gamma),
            beta: frozen(beta),
        }
    }

    fn weights(&self) -> LarnnWeights {
        LarnnWeights {
            gates: self.gates.val(),
            gates_bias: self.gates_bias.val(),
            query: self.query.val(),
            query_bias: self.query_bias.val(),
            key_value: self.key_value.val(),
            key_value_bias: self.key_value_bias.val(),
            output: self.output.val(),
            output_bias: self.output_bias.val(),
            gamma: self.gamma.val(),
            beta: self.beta.val(),
        }
    }
}

/// Values from `U(±1/√width)`.
fn random<const D: usize>(shape: [usize; D], width: usize, device: &Device) -> Tensor<D> {
    let bound = fan_in_bound(width);
    Tensor::random(shape, Distribution::Uniform(-bound, bound), device)
}

/// Saved with the model, but left alone by optimizers.
fn frozen<const D: usize>(value: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(value).set_require_grad(false)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::classifier::cross_entropy;
    use burn::tensor::{FloatDType, Int};
    use regard_kernels::testing::{assert_close, double, golden, normal, to_f64};

    const TOLERANCE: f64 = 1e-8;

    /// `[out, in]` of the file as `[in, out]`.
    fn matrix(file: &Path, name: &str) -> Tensor<2> {
        golden::<2>(file, &format!("param.{name}.weight")).transpose()
    }

    fn vector(file: &Path, name: &str) -> Tensor<1> {
        golden(file, &format!("param.{name}"))
    }

    /// The cell of a file.
    fn cell(file: &Path, mode: GateMode) -> FrozenCell {
        let layer = |name: &str| format!("layer0.{name}");
        let map = |name: &str| matrix(file, &layer(name));
        let bias = |name: &str| vector(file, &format!("layer0.{name}.bias"));
        let (gates, gates_bias) = match mode {
            GateMode::Residual => {
                let parts = ["gates_from_input", "gates_from_hidden", "gates_from_attention"];
                let bias = bias("gates_from_input") + bias("gates_from_attention");
                (Tensor::cat(parts.map(map).to_vec(), 0), bias)
            }
            GateMode::Layer => (map("gates_from_concat"), bias("gates_from_concat")),
        };
        let norms = |part: &str| {
            let row = |name| vector(file, &format!("layer0.bn_{name}.{part}")).unsqueeze::<2>();
            frozen(Tensor::cat(["cell", "hidden", "attention", "key", "key"].map(row).to_vec(), 0))
        };
        FrozenCell {
            gates: frozen(gates),
            gates_bias: frozen(gates_bias),
            query: frozen(map("query")),
            query_bias: frozen(bias("query")),
            key_value: frozen(Tensor::cat(vec![map("key"), map("value")], 1)),
            key_value_bias: frozen(Tensor::cat(vec![bias("key"), bias("value")], 0)),
            output: frozen(map("attention_output")),
            output_bias: frozen(bias("attention_output")),
            gamma: norms("gamma"),
            beta: norms("beta"),
        }
    }

    fn check(name: &str, config: &PaperLarnnClassifierConfig) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/larnn").join(name);
        let file = file.as_path();
        let shape = ClassifyShape::series(11, 9, 6);
        let mut model = double(config.init(shape, &Device::default()).unwrap());
        model.cell = cell(file, config.mode);
        let maps = [(&mut model.input.map, "in"), (&mut model.head.output, "out")];
        for (map, name) in maps {
            map.weight = Param::from_tensor(matrix(file, name));
            map.bias = Param::from_tensor(vector(file, &format!("{name}.bias")));
        }
        let model = model.train();
        let x = golden::<3>(file, "x").swap_dims(0, 1).autodiff();
        let s = model.passes(model.input.forward(x), || Dropout::None);
        let expected = golden::<3>(file, "out.stack_output").swap_dims(0, 1);
        assert_close(&s.clone().inner(), &expected, TOLERANCE);
        let logits = model.head.forward(s, None);
        assert_close(&logits.clone().inner(), &golden(file, "out.logits"), TOLERANCE);
        #[expect(clippy::cast_possible_truncation, reason = "labels are small whole numbers")]
        let labels: Vec<i64> =
            to_f64(&golden::<1>(file, "labels")).iter().map(|&c| c as i64).collect();
        let labels = Tensor::<1, Int>::from_data(labels.as_slice(), &logits.device());
        let loss = cross_entropy(logits, labels, 0.0, None);
        assert_close(&loss.clone().inner(), &golden(file, "out.loss"), TOLERANCE);
        let grads = loss.backward();
        for (map, name) in [(&model.input.map, "in"), (&model.head.output, "out")] {
            let weight = map.weight.val().grad(&grads).unwrap().transpose();
            assert_close(&weight, &golden(file, &format!("grad.{name}.weight")), TOLERANCE);
            let bias = map.bias.val().grad(&grads).unwrap();
            assert_close(&bias, &golden(file, &format!("grad.{name}.bias")), TOLERANCE);
        }
        assert!(model.cell.gates.val().grad(&grads).is_none());
    }

    /// Outputs, loss and gradients of the author's code; keys and values share a norm there.
    #[test]
    fn equals_the_released_code() {
        let config =
            PaperLarnnClassifierConfig { d_hidden: 8, n_heads: 2, window: 4, ..Default::default() };
        check(
            "model_papercode_3layers_stackedresidual_residual_nope_akv_train.safetensors",
            &config,
        );
        let config = PaperLarnnClassifierConfig {
            n_layers: 2,
            stack: Stack::Plain,
            mode: GateMode::Layer,
            positional_encoding: true,
            ..config
        };
        check("model_papercode_2layers_stacked_layer_pe_akv_train.safetensors", &config);
    }

    #[test]
    fn the_best_run_trains_as_few_values_as_recorded() {
        let config = PaperLarnnClassifierConfig::default();
        let shape = ClassifyShape::series(128, 9, 6);
        assert_eq!(config.n_parameters(shape), 1302);
        let model = config.init(shape, &Device::default()).unwrap();
        // 113 643 + 162 registered in the code, without 8·81 of the norm of the gates and with the
        // two biases of the gates as one and the shared norm twice.
        let cell = model.cell.num_params();
        assert_eq!(cell, 113_643 + 162 - 8 * 81 - 4 * 81 + 2 * 81);
    }

    #[test]
    fn chance_and_the_batch_enter_evaluation() {
        let device = Device::default();
        let config =
            PaperLarnnClassifierConfig { d_hidden: 8, n_heads: 2, window: 4, ..Default::default() };
        let shape = ClassifyShape::series(5, 3, 2);
        let model = config.init(shape, &device).unwrap();
        let x = normal([4, 5, 3], 1).cast(FloatDType::F32);
        let logits = || to_f64(&model.forward(x.clone(), None));
        assert_ne!(logits(), logits());
        let passes = |x| model.passes(model.input.forward(x), || Dropout::None);
        let whole = to_f64(&passes(x.clone()).narrow(0, 0, 2));
        assert_eq!(whole, to_f64(&passes(x.clone()).narrow(0, 0, 2)));
        assert_ne!(whole, to_f64(&passes(x.narrow(0, 0, 2))));
    }
}
