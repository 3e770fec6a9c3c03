//! The model file: parameters and everything needed to forecast, in one safetensors file.
//!
//! Parameters are stored under their path in the module. The file's metadata has one key,
//! `regard`, with a [`ModelCard`] as JSON: one key, because safetensors does not fix the order of
//! several, and equal runs must give equal bytes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use regard_data::normalize::Normalization;
use regard_data::operator::{FunctionSet, Points, ScalarNormalization};
use regard_data::text::Tokenizer;
use regard_nn::model::classifier::{Classifier, ClassifierConfig, ClassifyShape};
use regard_nn::model::language_model::{LanguageModel, LanguageModelConfig, LanguageShape};
use regard_nn::model::operator::{Operator, OperatorConfig, OperatorShape};
use regard_nn::model::{ForecastShape, Model, ModelConfig};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::operator::Quadrature;
use crate::precision::{Precision, single, tensor};
use crate::report::file::write_atomically;

/// Version of [`ModelCard`]; a file of another version is refused.
const VERSION: u32 = 1;
/// The metadata key.
const KEY: &str = "regard";

/// What a model file says beside its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Version of this format.
    pub version: u32,
    /// The model's configuration.
    pub model: ModelConfig,
    /// Window, horizon, channels.
    pub shape: ForecastShape,
    /// Names of the channels, in order.
    pub columns: Vec<String>,
    /// Time between rows, in the unit of the data, if known.
    pub dt: Option<f64>,
    /// Statistics of the training part.
    pub normalization: Normalization,
}

/// What the file of a classifier says beside its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassifierCard {
    /// Version of this format.
    pub version: u32,
    /// The classifier's configuration.
    pub classifier: ClassifierConfig,
    /// Steps, channels, number of classes.
    pub shape: ClassifyShape,
    /// Names of the channels, in order.
    pub columns: Vec<String>,
    /// Names of the classes, in order.
    pub classes: Vec<String>,
    /// What brings physical values to the model's units.
    pub normalization: Normalization,
}

/// What the file of a language model says beside its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LanguageCard {
    /// Version of this format.
    pub version: u32,
    /// The model's configuration.
    pub language_model: LanguageModelConfig,
    /// Vocabulary and window.
    pub shape: LanguageShape,
    /// What turns text into tokens and back.
    pub tokenizer: Tokenizer,
}

impl LanguageCard {
    /// A card of the current version.
    #[must_use]
    pub fn new(
        language_model: LanguageModelConfig,
        shape: LanguageShape,
        tokenizer: Tokenizer,
    ) -> Self {
        Self { version: VERSION, language_model, shape, tokenizer }
    }
}

impl ClassifierCard {
    /// A card of the current version.
    #[must_use]
    pub fn new(
        classifier: ClassifierConfig,
        shape: ClassifyShape,
        columns: Vec<String>,
        classes: Vec<String>,
        normalization: Normalization,
    ) -> Self {
        Self { version: VERSION, classifier, shape, columns, classes, normalization }
    }
}

impl ModelCard {
    /// A card of the current version.
    #[must_use]
    pub fn new(
        model: ModelConfig,
        shape: ForecastShape,
        columns: Vec<String>,
        dt: Option<f64>,
        normalization: Normalization,
    ) -> Self {
        Self { version: VERSION, model, shape, columns, dt, normalization }
    }
}

/// What the file of an operator says beside its parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperatorCard {
    /// Version of this format.
    pub version: u32,
    /// The operator's configuration.
    pub operator: OperatorConfig,
    /// Channels and coordinates.
    pub shape: OperatorShape,
    /// What brings physical inputs to the model's units, and its outputs back.
    pub normalization: [ScalarNormalization; 2],
    /// How much of the domain a point stands for.
    pub quadrature: Quadrature,
    /// The points of the functions that it was trained on.
    pub points: Points,
    /// Channels of the inputs.
    pub inputs: Vec<String>,
    /// Channels of the outputs.
    pub outputs: Vec<String>,
}

impl OperatorCard {
    /// A card of the current version, for an operator trained on functions such as these.
    #[must_use]
    pub fn new(
        operator: OperatorConfig,
        shape: OperatorShape,
        normalization: [ScalarNormalization; 2],
        quadrature: Quadrature,
        functions: &FunctionSet,
    ) -> Self {
        Self {
            version: VERSION,
            operator,
            shape,
            normalization,
            quadrature,
            points: functions.points().clone(),
            inputs: functions.inputs().channels.clone(),
            outputs: functions.outputs().channels.clone(),
        }
    }
}

/// Named host copies of tensors, in a fixed order.
pub(crate) type Parameters = BTreeMap<String, Array>;

/// A host copy of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) precision: Precision,
    /// Values, row after row; exact for both precisions.
    pub(crate) values: Vec<f64>,
}

impl Array {
    pub(crate) fn new(data: TensorData) -> Self {
        let precision = Precision::of(data.dtype());
        let shape = data.shape().to_vec();
        let values = data.convert::<f64>().try_into_vec::<f64>().expect("converted above");
        Self { shape, precision, values }
    }

    pub(crate) fn tensor<const D: usize>(&self, device: &Device) -> Tensor<D> {
        let shape: [usize; D] = self.shape[..].try_into().expect("the caller checked the shape");
        tensor(&self.values, shape, device, self.precision)
    }

    fn to_le_bytes(&self) -> Vec<u8> {
        match self.precision {
            Precision::F32 => self.values.iter().flat_map(|&x| single(x).to_le_bytes()).collect(),
            Precision::F64 => self.values.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }
}

/// Copies the parameters of a module to the host.
pub(crate) fn parameters<M: Module>(module: &M) -> Parameters {
    struct Collect {
        path: Vec<String>,
        found: Parameters,
    }
    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.insert(self.path.join("."), Array::new(param.val().to_data()));
        }
    }
    let mut collect = Collect { path: Vec::new(), found: Parameters::new() };
    module.visit(&mut collect);
    collect.found
}

/// Copies the gradients of a module's parameters to the host; zeros where there is none.
pub(crate) fn gradients<M: Module>(module: &M, from: &Gradients) -> Parameters {
    struct Collect<'a> {
        path: Vec<String>,
        from: &'a Gradients,
        found: Parameters,
    }
    impl ModuleVisitor for Collect<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = param.val();
            let gradient = value.grad(self.from).unwrap_or_else(|| value.inner().zeros_like());
            self.found.insert(self.path.join("."), Array::new(gradient.to_data()));
        }
    }
    let mut collect = Collect { path: Vec::new(), from, found: Parameters::new() };
    module.visit(&mut collect);
    collect.found
}

/// Puts parameters into a module of the same structure, which takes their precision.
///
/// # Errors
/// What is missing, superfluous or of another shape.
pub(crate) fn with_parameters<M: Module>(
    module: M,
    mut parameters: Parameters,
) -> Result<M, String> {
    struct Replace<'a> {
        path: Vec<String>,
        from: &'a mut Parameters,
        problem: Option<String>,
    }
    impl ModuleMapper for Replace<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let name = self.path.join(".");
            let (id, tensor, mapper) = param.consume();
            let wanted = tensor.dims();
            let tensor = match self.from.remove(&name) {
                None => {
                    self.problem.get_or_insert(format!("parameter {name} is missing"));
                    tensor
                }
                Some(array) if array.shape != wanted => {
                    self.problem.get_or_insert(format!(
                        "parameter {name} has shape {:?}, the configuration asks for {wanted:?}",
                        array.shape
                    ));
                    tensor
                }
                Some(array) => {
                    let tracked = tensor.is_require_grad();
                    let tensor = array.tensor(&tensor.device());
                    if tracked { tensor.require_grad() } else { tensor }
                }
            };
            Param::from_mapped_value(id, tensor, mapper)
        }
    }
    let mut replace = Replace { path: Vec::new(), from: &mut parameters, problem: None };
    let module = module.map(&mut replace);
    if let Some(problem) = replace.problem {
        return Err(problem);
    }
    match parameters.keys().next() {
        Some(name) => Err(format!("the model has no parameter {name}")),
        None => Ok(module),
    }
}

/// Serializes named arrays with one JSON document as metadata.
pub(crate) fn to_bytes(tensors: &Parameters, metadata: String) -> Vec<u8> {
    let bytes: Vec<(&String, &Array, Vec<u8>)> =
        tensors.iter().map(|(name, array)| (name, array, array.to_le_bytes())).collect();
    let views = bytes.iter().map(|(name, array, data)| {
        let dtype = match array.precision {
            Precision::F32 => Dtype::F32,
            Precision::F64 => Dtype::F64,
        };
        let view = TensorView::new(dtype, array.shape.clone(), data)
            .expect("the data has as many bytes as the shape says");
        (name.as_str(), view)
    });
    let metadata = HashMap::from([(KEY.to_owned(), metadata)]);
    safetensors::serialize(views, Some(metadata)).expect("names are unique and sizes agree")
}

/// Reads what [`to_bytes`] wrote.
pub(crate) fn from_bytes(file: &Path, bytes: &[u8]) -> Result<(Parameters, String), TrainError> {
    let error = |problem: String| TrainError::ModelFile { file: file.to_owned(), problem };
    let broken = |e: safetensors::SafeTensorError| {
        error(format!(
            "not a complete safetensors file of {} bytes ({e}); copy it again, or make it anew",
            bytes.len()
        ))
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
    let metadata = header
        .metadata()
        .as_ref()
        .and_then(|m| m.get(KEY))
        .ok_or_else(|| error(format!("no \"{KEY}\" metadata; it was not written by regard")))?;
    let mut found = Parameters::new();
    for (name, view) in tensors.tensors() {
        let (precision, values) = match view.dtype() {
            Dtype::F32 => {
                let chunks = view.data().as_chunks::<4>().0.iter();
                (Precision::F32, chunks.map(|b| f64::from(f32::from_le_bytes(*b))).collect())
            }
            Dtype::F64 => {
                let chunks = view.data().as_chunks::<8>().0.iter();
                (Precision::F64, chunks.map(|b| f64::from_le_bytes(*b)).collect())
            }
            other => return Err(error(format!("{name} has type {other:?}, expected F32 or F64"))),
        };
        found.insert(name, Array { shape: view.shape().to_vec(), precision, values });
    }
    Ok((found, metadata.clone()))
}

/// Writes a model and its card, a [`ModelCard`], [`ClassifierCard`],
/// [`LanguageCard`] or [`OperatorCard`]; the file is complete or absent.
///
/// # Errors
/// [`TrainError::Io`].
///
/// # Panics
/// Never: the card has a JSON form.
pub fn save(file: &Path, model: &impl Module, card: &impl Serialize) -> Result<(), TrainError> {
    let card = serde_json::to_string(card).expect("a card has a JSON form");
    let bytes = to_bytes(&parameters(model), card);
    write_atomically(file, &bytes).map_err(TrainError::io("write", file))
}

/// Reads a forecaster and its card.
///
/// # Errors
/// [`TrainError::Io`], or [`TrainError::ModelFile`] if the file is cut short, of another program
/// or version, of another task, or its parameters do not fit its configuration.
pub fn load(file: &Path, device: &Device) -> Result<(Model, ModelCard), TrainError> {
    let (card, parameters) = read_card::<ModelCard>(file)?;
    let model = card.model.init(card.shape, &card.normalization.increment_std, device)?;
    let error = |problem| TrainError::ModelFile { file: file.to_owned(), problem };
    Ok((with_parameters(model, parameters).map_err(error)?, card))
}

/// Reads a classifier and its card.
///
/// # Errors
/// As [`load`].
pub fn load_classifier(
    file: &Path,
    device: &Device,
) -> Result<(Classifier, ClassifierCard), TrainError> {
    let (card, parameters) = read_card::<ClassifierCard>(file)?;
    let model = card.classifier.init(card.shape, device)?;
    let error = |problem| TrainError::ModelFile { file: file.to_owned(), problem };
    Ok((with_parameters(model, parameters).map_err(error)?, card))
}

/// Reads a language model and its card.
///
/// # Errors
/// As [`load`].
pub fn load_language(
    file: &Path,
    device: &Device,
) -> Result<(LanguageModel, LanguageCard), TrainError> {
    let (card, parameters) = read_card::<LanguageCard>(file)?;
    let model = card.language_model.init(card.shape, device)?;
    let error = |problem| TrainError::ModelFile { file: file.to_owned(), problem };
    Ok((with_parameters(model, parameters).map_err(error)?, card))
}

/// Reads an operator and its card.
///
/// # Errors
/// As [`load`].
pub fn load_operator(file: &Path, device: &Device) -> Result<(Operator, OperatorCard), TrainError> {
    let (card, parameters) = read_card::<OperatorCard>(file)?;
    let model = card.operator.init(card.shape, device)?;
    let error = |problem| TrainError::ModelFile { file: file.to_owned(), problem };
    Ok((with_parameters(model, parameters).map_err(error)?, card))
}

/// The parameters of a file, and what it says beside them.
fn read_card<C: DeserializeOwned>(file: &Path) -> Result<(C, Parameters), TrainError> {
    let bytes = std::fs::read(file).map_err(TrainError::io("read", file))?;
    let (parameters, metadata) = from_bytes(file, &bytes)?;
    let error = |problem| TrainError::ModelFile { file: file.to_owned(), problem };
    let unreadable =
        |e: serde_json::Error| error(format!("its description cannot be read ({e}); train anew"));
    let card: serde_json::Value = serde_json::from_str(&metadata).map_err(unreadable)?;
    let version = card.get("version").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if version != u64::from(VERSION) {
        return Err(error(format!("model format {version}, this program reads format {VERSION}")));
    }
    Ok((serde_json::from_value(card).map_err(unreadable)?, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast_config::ForecastConfig;
    use burn::tensor::Distribution;

    fn model() -> (Model, ModelCard) {
        let config = ForecastConfig::load("lorenz", &[]).unwrap();
        let shape = ForecastShape { window: 8, horizon: 1, channels: 3 };
        let normalization =
            Normalization { mean: vec![0.0; 3], std: vec![1.0; 3], increment_std: vec![0.1; 3] };
        let device = Device::default();
        device.seed(1);
        let model = config.model.init(shape, &[0.1; 3], &device).unwrap();
        let columns = ["x", "y", "z"].map(String::from).to_vec();
        (model, ModelCard::new(config.model, shape, columns, Some(0.01), normalization))
    }

    #[test]
    fn what_is_saved_loads_bit_equal() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        let (model, card) = model();
        save(&file, &model, &card).unwrap();
        let (read, read_card) = load(&file, &Device::default()).unwrap();
        assert_eq!(parameters(&read), parameters(&model));
        assert_eq!(read_card, card);
        let again = folder.path().join("again.safetensors");
        save(&again, &read, &read_card).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(&again).unwrap());
    }

    #[test]
    fn a_file_cut_short_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        let (model, card) = model();
        save(&file, &model, &card).unwrap();
        let bytes = std::fs::read(&file).unwrap();
        for keep in [0, 5, 100, bytes.len() - 1] {
            std::fs::write(&file, &bytes[..keep]).unwrap();
            let message = load(&file, &Device::default()).unwrap_err().to_string();
            assert!(message.contains(&format!("file of {keep} bytes")), "{message}");
        }
    }

    #[test]
    fn parameters_of_another_shape_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        let (model, mut card) = model();
        card.shape.window = 9;
        save(&file, &model, &card).unwrap();
        let message = load(&file, &Device::default()).unwrap_err().to_string();
        assert!(message.contains("the configuration asks for"), "{message}");
    }

    fn classifier(json: &str, device: &Device) -> Classifier {
        let shape = ClassifyShape::series(6, 2, 3);
        serde_json::from_str::<ClassifierConfig>(json).unwrap().init(shape, device).unwrap()
    }

    /// Running values of norms and a cell that is not trained are parameters of the file too.
    #[test]
    fn what_is_not_trained_is_saved_with_the_rest() {
        let device = Device::default().autodiff();
        let x = Tensor::<3>::random([5, 6, 2], Distribution::Default, &device);
        for (json, name) in [
            (r#"{"kind": "cnn"}"#, "running_mean"),
            (r#"{"kind": "paper-larnn", "d_hidden": 4, "n_heads": 2}"#, "key_value_bias"),
        ] {
            let model = classifier(json, &device);
            let before = parameters(&model.valid());
            let _ = model.forward(x.clone(), None);
            let saved = parameters(&model);
            assert!(saved.keys().any(|key| key.contains(name)), "{:?}", saved.keys());
            assert_eq!(saved, parameters(&model.valid()), "saved as it is used");
            assert_eq!(saved == before, name == "key_value_bias");
            let read = with_parameters(classifier(json, &device), saved.clone()).unwrap();
            assert_eq!(parameters(&read), saved);
            let grads = read.forward(x.clone(), None).sum().backward();
            let zero = |array: &Array| array.values.iter().all(|&g| g == 0.0);
            let gradients = gradients(&read, &grads);
            let mut untrained = gradients.iter().filter(|(key, _)| key.contains(name));
            assert!(untrained.all(|(_, array)| zero(array)));
        }
    }
}
