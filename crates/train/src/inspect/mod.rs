//! What the attention of a trained run looks like: singular values, signs, eigenvalues, gains.
//!
//! Easy attention: `α` of every head, as trained and as the run's own rule and seed draw it, and
//! for form left `α W_V`, its weights for rows of the input. Softmax attention: the scores
//! `S = Q Kᵀ/√d_head` and `A = softmax(S)`, means over test windows, of the trained and of the fresh
//! model. The start matters: a random square matrix has almost full effective rank, and softmax
//! weights are far from it before any training, so that the rank alone says little about what was
//! learned. On the preset `lorenz` with three epochs on 20 series, `α` has 25.8 of 32 (at the start
//! 25.9), `A` 3.3 (at the start 3.0).
//!
//! Of any attention with heads of its own, also whether they do the same, and how much of their weights
//! counts; see `redundancy.rs`. A lifted model is one map of the whole window; see `lifted.rs`. Of a
//! classifier only heads are looked at; see `classifier.rs`.
//!
//! Source: the singular values are the evidence that Sanchis-Agudo et al. 2023, arXiv:2308.12874,
//! give in their abstract for leaving softmax out; the procedure is ours.

mod classifier;
mod lifted;
mod matrix;
mod redundancy;
mod spectrum;
mod text;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use regard_data::window;
use regard_nn::mechanism::{EasyAttention, EasyForm, Mechanism, SoftmaxAttention};
use regard_nn::model::{Forecaster, Model};
use serde::Serialize;

pub use matrix::{Eigenvalue, MatrixStats};
pub use redundancy::{LayerRedundancy, Redundancy};
pub use spectrum::Peak;
pub use text::table;
pub(crate) use text::{Mean, means};

use crate::error::TrainError;
use crate::forecast_config::ForecastConfig;
use crate::forecast_run::read_like;
use crate::forecasting::{Forecasting, Part, part};
use crate::model_file;
use crate::observer::Observer;
use crate::precision::Precision;
use crate::registry;
use crate::report::html;
use crate::run_config::RunConfig;
use crate::run_folder::RunFolder;

/// Test windows over which means are taken, at most.
const WINDOWS: usize = 32;

/// What [`inspect`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// The run folder.
    pub folder: PathBuf,
    /// Name of the mechanism, as on the command line.
    pub mechanism: String,
    /// Steps of a window.
    pub window: usize,
    /// Time per step, if known: the unit of frequencies is one over it.
    pub dt: Option<f64>,
    /// Test windows, or series to tell apart, over which means were taken; 0 where there are no means
    /// but distances of heads.
    pub n_windows: usize,
    /// The matrix whose eigenvalues are given: `α`, `α W_V`, or what a lifted model has instead.
    pub eigenvalues_of: &'static str,
    /// All heads, layer by layer.
    pub heads: Vec<HeadInspection>,
    /// Distances between the heads of every layer that has several.
    pub redundancy: Vec<LayerRedundancy>,
    /// The strongest frequencies of the test series; `None` of a classifier.
    pub peaks: Option<Vec<Peak>>,
}

/// One head.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HeadInspection {
    /// Encoder block, from 0.
    pub layer: usize,
    /// Head, from 0.
    pub head: usize,
    /// Its matrices.
    pub matrices: Vec<Inspected>,
    /// `W_Q W_Kᵀ` and `W_V W_O` of the head; empty for easy attention and lifted models.
    pub weights: Vec<Inspected>,
    /// `‖α‖₂ ‖W_V‖₂` with the head's own part of `W_V`: by so much the head can magnify any window,
    /// before the residual is added; of a lifted model the sum over its heads. `None` for softmax
    /// attention.
    pub gain_bound: Option<f64>,
    /// Eigenvalues of [`Inspection::eigenvalues_of`], one of each conjugate pair, largest first;
    /// empty for softmax attention, whose matrices differ from window to window.
    pub eigenvalues: Vec<Eigenvalue>,
}

/// One matrix of a head.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspected {
    /// What it is: `α`, `α W_V`, `S`, `A` or a product of weights; of a lifted model `α` of all heads, or
    /// `Σ α⊗W`.
    pub name: &'static str,
    /// As trained.
    pub trained: MatrixStats,
    /// As the run's own rule and seed draw it.
    pub fresh: MatrixStats,
}

/// Matrices of one head: its name, and one matrix per window, row after row.
type Samples = Vec<(&'static str, Vec<Vec<f64>>)>;

/// Looks at the attention of a run; also writes `inspect.html` into its folder.
///
/// Frequencies, softmax attention and distances are those of the run's test part, or of all of another file.
///
/// # Errors
/// [`TrainError`] if the run, its data or the file cannot be read, the columns differ, the model has
/// no attention to look at, or its parameters are not finite.
pub fn inspect(
    run: &Path,
    data: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<Inspection, TrainError> {
    let folder = RunFolder::open(run)?;
    let inspection = match folder.config()? {
        RunConfig::Forecast(config) => forecaster(&folder, &config, data, observer)?,
        RunConfig::Classify(config) => classifier::inspect(&folder, &config, data, observer)?,
        RunConfig::Language(_) => {
            return Err(folder.error(
                "its task is to go on with a text; only forecasters and classifiers are inspected",
            ));
        }
        RunConfig::Operator(_) => {
            return Err(folder.error(
                "its task is to learn an operator; only forecasters and classifiers are inspected",
            ));
        }
    };
    folder.write("inspect.html", html::render_inspection(&inspection).as_bytes())?;
    Ok(inspection)
}

/// Looks at a run that forecasts.
fn forecaster(
    folder: &RunFolder,
    config: &ForecastConfig,
    data: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<Inspection, TrainError> {
    let device = Device::default();
    let (model, card) = model_file::load(&folder.model(), &device)?;
    let trained = model.valid();
    check_attention(folder, &trained)?;
    observer.phase("preparing data", None);
    let (test, dt) = match data {
        None => {
            let prepared = Forecasting::prepare(config, &folder.name())?;
            (prepared.test, prepared.info.dt)
        }
        Some(path) => {
            let set = read_like(config, &card, path)?;
            window::check(&set, card.shape.window, card.shape.horizon)?;
            (part(&set, &card.normalization, config.task), set.dt.or(card.dt))
        }
    };
    device.seed(config.seed);
    let fresh = card.model.init(card.shape, &card.normalization.increment_std, &device)?.valid();
    observer.phase("singular values", None);
    let step = dt.unwrap_or(1.0);
    let seen = match (&trained, &fresh) {
        (Model::Forecaster(trained), Model::Forecaster(fresh)) => {
            blocks(trained, fresh, &test, step)
        }
        (Model::Lifted(trained), Model::Lifted(fresh)) => lifted::seen(trained, fresh, step),
        _ => unreachable!("one configuration makes models of one kind"),
    };
    let Seen { heads, redundancy, eigenvalues_of, n_windows } =
        seen.ok_or_else(|| folder.error("its parameters are not finite; train anew"))?;
    Ok(Inspection {
        folder: folder.path().to_owned(),
        mechanism: registry::name_of(&card.model).to_owned(),
        window: card.shape.window,
        dt,
        n_windows,
        eigenvalues_of,
        heads,
        redundancy,
        peaks: Some(spectrum::peaks(&test, step)),
    })
}

/// Refuses a model without score matrices.
fn check_attention(folder: &RunFolder, model: &Model) -> Result<(), TrainError> {
    match model {
        Model::Lstm(_) => Err(folder.error(
            "it has no score matrices to inspect, an LSTM carries a state instead; give a run of a \
             model with attention",
        )),
        Model::Forecaster(model)
            if model.mechanisms().any(|m| matches!(m, Mechanism::Larnn(_))) =>
        {
            Err(folder.error(
                "its mechanism is recurrent and keeps no score matrix; give a run of easy or softmax \
                 attention",
            ))
        }
        Model::Forecaster(model)
            if model
                .mechanisms()
                .any(|m| matches!(m, Mechanism::Linear(_) | Mechanism::Log(_) | Mechanism::PrimalDual(_))) =>
        {
            Err(folder.error(
                "only score matrices of easy and softmax attention are inspected; give a run of one \
                 of them",
            ))
        }
        Model::Forecaster(_) | Model::Lifted(_) => Ok(()),
    }
}

/// What was found in a model.
struct Seen {
    heads: Vec<HeadInspection>,
    redundancy: Vec<LayerRedundancy>,
    eigenvalues_of: &'static str,
    n_windows: usize,
}

/// The heads of all encoder blocks; `None` if a number is not finite.
fn blocks(trained: &Forecaster, fresh: &Forecaster, test: &Part, dt: f64) -> Option<Seen> {
    let device = Device::default();
    // A fresh model is in single precision, whatever the trained one was finished in.
    let inputs = [trained, fresh]
        .map(|model| model.block_inputs(windows(test, &device, Precision::of_module(model))));
    let n_windows = inputs[0].first().map_or(0, |x| x.dims()[0]);
    let is_softmax = trained.mechanisms().any(|m| matches!(m, Mechanism::Softmax(_)));
    let heads = heads(trained, fresh, &inputs, dt)?;
    let last = heads.first().and_then(|head| head.matrices.last());
    let both = trained.mechanisms().zip(fresh.mechanisms()).enumerate();
    let redundancy = both
        .filter_map(|(i, (a, b))| {
            redundancy::layer(i, [(a, &inputs[0][i]), (b, &inputs[1][i])], None)
        })
        .collect();
    Some(Seen {
        eigenvalues_of: last.map_or("", |matrix| matrix.name),
        heads,
        redundancy,
        n_windows: if is_softmax { n_windows } else { 0 },
    })
}

/// Windows spread evenly over the test part.
fn windows(test: &Part, device: &Device, precision: Precision) -> Tensor<3> {
    let n = test.windows.len().min(WINDOWS);
    let indices: Vec<usize> = (0..n).map(|i| i * test.windows.len() / n).collect();
    let [inputs, _] = test.batch(&indices, device, precision);
    inputs
}

/// Every head of every layer, from what the blocks of both models are given; `None` if a number is
/// not finite.
fn heads(
    trained: &Forecaster,
    fresh: &Forecaster,
    seen: &[Vec<Tensor<3>>; 2],
    dt: f64,
) -> Option<Vec<HeadInspection>> {
    let mut heads = Vec::new();
    for (layer, both) in trained.mechanisms().zip(fresh.mechanisms()).enumerate() {
        let samples =
            [(both.0, &seen[0]), (both.1, &seen[1])].map(|(mechanism, seen)| match mechanism {
                Mechanism::Easy(easy) => easy_samples(easy),
                Mechanism::Softmax(softmax) => softmax_samples(softmax, &seen[layer]),
                Mechanism::Larnn(_)
                | Mechanism::Linear(_)
                | Mechanism::Log(_)
                | Mechanism::PrimalDual(_) => Vec::new(),
            });
        let [trained_samples, fresh_samples] = samples;
        let mut weights = redundancy::weights(both.0, both.1)?.into_iter();
        let gains = match both.0 {
            Mechanism::Easy(easy) => gain_bounds(easy).into_iter().map(Some).collect(),
            Mechanism::Softmax(_)
            | Mechanism::Larnn(_)
            | Mechanism::Linear(_)
            | Mechanism::Log(_)
            | Mechanism::PrimalDual(_) => vec![None; trained_samples.len()],
        };
        for (head, ((trained, fresh), gain_bound)) in
            trained_samples.into_iter().zip(fresh_samples).zip(gains).enumerate()
        {
            let size = |values: &Vec<f64>| values.len().isqrt();
            let eigenvalues = match (gain_bound, trained.last()) {
                (Some(_), Some((_, values))) => {
                    values.first().map(|v| matrix::eigenvalues(v, size(v), dt)).unwrap_or_default()
                }
                _ => Vec::new(),
            };
            let stats = |samples: &[Vec<f64>]| {
                let all: Option<Vec<_>> =
                    samples.iter().map(|v| MatrixStats::of(v, [size(v); 2])).collect();
                MatrixStats::mean(&all?)
            };
            let matrices: Option<Vec<Inspected>> = trained
                .iter()
                .zip(&fresh)
                .map(|((name, a), (_, b))| {
                    Some(Inspected { name, trained: stats(a)?, fresh: stats(b)? })
                })
                .collect();
            heads.push(HeadInspection {
                layer,
                head,
                matrices: matrices?,
                weights: weights.next().unwrap_or_default(),
                gain_bound,
                eigenvalues,
            });
        }
    }
    Some(heads)
}

/// `α` of every head, and `α W_V` for form left.
fn easy_samples(easy: &EasyAttention) -> Vec<Samples> {
    let alpha = easy.alpha();
    let mut samples: Vec<Samples> =
        split(&alpha).into_iter().map(|values| vec![("α", vec![values])]).collect();
    if easy.form() == EasyForm::Left {
        let folded = split(&alpha.matmul(easy.value().unsqueeze_dim(0)));
        for (head, values) in samples.iter_mut().zip(folded) {
            head.push(("α W_V", vec![values]));
        }
    }
    samples
}

/// `S` and `A` of every head, one matrix per window.
fn softmax_samples(softmax: &SoftmaxAttention, x: &Tensor<3>) -> Vec<Samples> {
    let by_head = |scores: Tensor<4>| {
        let [_, heads, _, _] = scores.dims();
        let of = |head| split::<3>(&scores.clone().narrow(1, head, 1).squeeze_dim(1));
        (0..heads).map(of).collect::<Vec<_>>()
    };
    let scores = by_head(softmax.scores(x.clone()));
    let weights = by_head(softmax.weights(x.clone()));
    scores.into_iter().zip(weights).map(|(s, a)| vec![("S", s), ("A", a)]).collect()
}

/// `‖α_i‖₂ ‖W_i‖₂`: form right, `W_i` are the columns of head `i`; form left, all of `W_V`.
fn gain_bounds(easy: &EasyAttention) -> Vec<f64> {
    let (alpha, value) = (easy.alpha(), easy.value());
    let [heads, time, _] = alpha.dims();
    let [rows, cols] = value.dims();
    let norm = |part: Tensor<2>| {
        let [rows, cols] = part.dims();
        matrix::spectral_norm(&numbers(&part), rows, cols)
    };
    let width = if easy.form() == EasyForm::Right { cols / heads } else { cols };
    let value_norm = |head: usize| match easy.form() {
        EasyForm::Right => norm(value.clone().narrow(1, head * width, width)),
        EasyForm::Left => norm(value.clone().narrow(0, 0, rows)),
    };
    split(&alpha)
        .into_iter()
        .enumerate()
        .map(|(head, values)| matrix::spectral_norm(&values, time, time) * value_norm(head))
        .collect()
}

/// The numbers of every slice along the first axis.
fn split<const D: usize>(x: &Tensor<D>) -> Vec<Vec<f64>> {
    let values = numbers(x);
    let [n, ..] = x.dims()[..] else { return Vec::new() };
    values.chunks_exact(values.len() / n).map(<[f64]>::to_vec).collect()
}

fn numbers<const D: usize>(x: &Tensor<D>) -> Vec<f64> {
    x.clone().try_into_vec_as::<f64>().expect("tensors on the CPU are readable")
}
