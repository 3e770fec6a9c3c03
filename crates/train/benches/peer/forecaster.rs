//! Forecasters: training steps, forecasts, rollouts.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};
use regard_kernels::plan::Plan;
use regard_kernels::pointwise::mean_squared_error;
use regard_nn::mechanism::{Basis, EasyConfig, MechanismConfig, SoftmaxConfig, TimeMatrix};
use regard_nn::model::{ForecastShape, ForecasterConfig, Model, ModelConfig, Readout};
use regard_train::optimizer::{AdamConfig, Optimizer};
use regard_train::registry;

use super::{LEARNING_RATE, Work, normal};

/// A forecaster by the name of its mechanism (or `lstm`), its sizes and its batch.
pub(super) struct Sizes {
    config: ModelConfig,
    shape: ForecastShape,
    batch: usize,
}

impl Sizes {
    /// `model` is a name of [`registry::MODELS`] or of [`alpha`]; an LSTM is the one the registry puts beside an
    /// encoder of these sizes: twice as wide, as many layers.
    pub(super) fn new(model: &str, size: &str) -> Option<Self> {
        let (size, batch) = size.rsplit_once('b')?;
        let (window, channels, [d_model, n_heads, n_layers, d_ff]) = match size {
            "p64d64h4L4f128" => (64, 2, [64, 4, 4, 128]),
            "p32d32h4L2f64" => (32, 3, [32, 4, 2, 64]),
            _ => return None,
        };
        let like = ModelConfig::Forecaster(ForecasterConfig {
            d_model,
            d_ff,
            n_layers,
            readout: Readout::Direct,
            time_maps: TimeMatrix::default(),
            mechanism: MechanismConfig::Softmax(SoftmaxConfig { n_heads, causal: false }),
        });
        let mut config = registry::model(alpha(model).map_or(model, |_| "easy"), &like).ok()?;
        if let (Some(alpha), ModelConfig::Forecaster(config)) = (alpha(model), &mut config) {
            let easy = EasyConfig { alpha, ..EasyConfig::new(n_heads) };
            config.mechanism = MechanismConfig::Easy(easy);
        }
        let shape = ForecastShape { window, horizon: 1, channels };
        Some(Self { config, shape, batch: batch.parse().ok()? })
    }

    fn init(&self, device: &Device) -> Model {
        device.seed(1);
        self.config.init(self.shape, &[], device).expect("the sizes are valid")
    }

    fn input(&self, device: &Device) -> Tensor<3> {
        normal([self.batch, self.shape.window, self.shape.channels], 1, device)
    }
}

/// Kinds of `α` other than dense, form right, by the names of their rows.
fn alpha(model: &str) -> Option<TimeMatrix> {
    Some(match model {
        "easy-diagonal" => TimeMatrix::Diagonal {},
        "easy-banded" => TimeMatrix::Banded { offset: 4 },
        "easy-causal" => TimeMatrix::Causal {},
        "easy-toeplitz" => TimeMatrix::Toeplitz { causal: false },
        "easy-low-rank" => TimeMatrix::LowRank { rank: 4 },
        "easy-basis" => TimeMatrix::Basis { n_basis: 8, basis: Basis::Cosine },
        _ => return None,
    })
}

/// A whole training step of a forecaster.
pub(super) struct TrainingStep {
    model: Option<Model>,
    optimizer: Optimizer,
    input: Tensor<3>,
    target: Tensor<3>,
}

impl TrainingStep {
    pub(super) fn new(sizes: &Sizes) -> Self {
        let device = Device::default().autodiff();
        let config = AdamConfig::new(LEARNING_RATE, 1e-7);
        Self {
            model: Some(sizes.init(&device)),
            optimizer: Optimizer::new(config, None),
            input: sizes.input(&device),
            target: normal([sizes.batch, 1, sizes.shape.channels], 2, &device),
        }
    }
}

impl Work for TrainingStep {
    fn run(&mut self) {
        let model = self.model.take().expect("put back after every step");
        let output = model.forward(self.input.clone());
        let grads = mean_squared_error(output, self.target.clone()).backward();
        self.model = Some(self.optimizer.step(model, &grads, LEARNING_RATE));
    }

    fn n_parameters(&self) -> Option<usize> {
        self.model.as_ref().map(Module::num_params)
    }
}

/// One-step forecasts from a batch of windows.
pub(super) struct Inference {
    model: Model,
    input: Tensor<3>,
}

impl Inference {
    pub(super) fn new(sizes: &Sizes) -> Self {
        let device = Device::default();
        Self { model: sizes.init(&device), input: sizes.input(&device) }
    }
}

impl Work for Inference {
    fn run(&mut self) {
        std::hint::black_box(self.model.forward(self.input.clone()));
    }

    fn n_parameters(&self) -> Option<usize> {
        Some(self.model.num_params())
    }
}

/// One step of a free-running forecast: the forecast row joins the window. With a plan where the
/// model has one, as rollouts are made.
pub(super) struct Rollout {
    model: Model,
    plan: Option<Plan>,
    shape: ForecastShape,
    window: Vec<f64>,
}

impl Rollout {
    pub(super) fn new(sizes: &Sizes) -> Self {
        let device = Device::default();
        let window = sizes.input(&device).try_into_vec_as::<f64>().expect("readable");
        let model = sizes.init(&device);
        Self { plan: model.plan(sizes.shape), model, shape: sizes.shape, window }
    }
}

impl Work for Rollout {
    fn run(&mut self) {
        let ForecastShape { window, channels, .. } = self.shape;
        let mut row = vec![0.0; channels];
        if let Some(plan) = &mut self.plan {
            plan.forward(&self.window, &mut row);
        } else {
            let device = Device::default();
            let x = TensorData::new(self.window.clone(), [1, window, channels]);
            let y = self.model.forward(Tensor::from_data(x, (&device, DType::F32)));
            row = y.try_into_vec_as::<f64>().expect("readable");
        }
        self.window.drain(..channels);
        self.window.extend(row);
    }

    fn n_parameters(&self) -> Option<usize> {
        Some(self.model.num_params())
    }
}
