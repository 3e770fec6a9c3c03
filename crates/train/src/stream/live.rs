//! A model between two rows, and its state by name.

use burn::tensor::{Device, Tensor};
use regard_nn::mechanism::{Recurrent, State, StateVisitor};
use sha2::{Digest, Sha256};

use crate::error::TrainError;
use crate::model_file::{Array, Parameters};
use crate::precision::Precision;
use crate::run_folder::RunFolder;

/// What a snapshot needs to know of a stream.
pub(super) trait Saved {
    /// What is read and what comes out.
    fn kind(&self) -> &'static str;

    /// Where the model came from.
    fn origin(&self) -> &Origin;

    /// Everything that what comes next depends on, by name.
    fn tensors(&self) -> Parameters;

    /// Takes what [`Saved::tensors`] gave, or says what does not fit.
    fn replace(&mut self, tensors: Parameters) -> Result<(), String>;
}

/// Where a model came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// The run, as it was called.
    pub(super) run: String,
    /// SHA-256 of the model file.
    pub(super) hash: String,
}

impl Origin {
    pub(super) fn of(folder: &RunFolder) -> Result<Self, TrainError> {
        let file = folder.model();
        let bytes = std::fs::read(&file).map_err(TrainError::io("read", &file))?;
        let hash = format!("{:x}", Sha256::digest(&bytes));
        Ok(Self { run: folder.path().display().to_string(), hash })
    }
}

/// A model between two rows.
#[derive(Debug)]
pub(super) struct Live<M: Recurrent> {
    pub(super) model: M,
    /// `None` before the first row.
    state: Option<M::State>,
    pub(super) origin: Origin,
}

impl<M: Recurrent> Live<M> {
    pub(super) fn new(model: M, origin: Origin) -> Self {
        Self { model, state: None, origin }
    }

    /// The result of one more row.
    pub(super) fn step(&mut self, x: M::Input) -> Tensor<3> {
        let (row, state) = self.model.step(x, self.state.take());
        self.state = Some(state);
        row
    }

    /// Forgets all rows: the next one is the first.
    pub(super) fn restart(&mut self) {
        self.state = None;
    }

    /// The state by name; nothing before the first row.
    pub(super) fn tensors(&self) -> Parameters {
        let mut collect = Collect { path: Names::default(), found: Parameters::new() };
        if let Some(mut state) = self.state.clone() {
            state.visit(&mut collect);
        }
        collect.found
    }

    /// Takes the state that [`Live::tensors`] gave. `row` is any: it is where the names, types and shapes
    /// of the parts are taken from.
    pub(super) fn replace(&mut self, row: M::Input, tensors: Parameters) -> Result<(), String> {
        self.state = None;
        if tensors.is_empty() {
            return Ok(());
        }
        let (_, mut state) = self.model.step(row, None);
        let mut replace = Replace { path: Names::default(), from: tensors, problem: None };
        state.visit(&mut replace);
        let superfluous = replace.from.keys().next();
        let superfluous = superfluous.map(|name| format!("the model has no state {name}"));
        if let Some(problem) = replace.problem.or(superfluous) {
            return Err(problem);
        }
        self.state = Some(state);
        Ok(())
    }
}

/// Names entered so far.
#[derive(Debug, Default)]
struct Names(Vec<String>);

impl Names {
    fn of(&self, name: &str) -> String {
        let parts = self.0.iter().map(String::as_str).chain([name]);
        parts.collect::<Vec<_>>().join(".")
    }
}

/// A count as it is stored.
fn counted(n: usize) -> Array {
    Array { shape: vec![1], precision: Precision::F64, values: vec![n as f64] }
}

struct Collect {
    path: Names,
    found: Parameters,
}

impl StateVisitor for Collect {
    fn enter(&mut self, name: &str) {
        self.path.0.push(name.to_owned());
    }

    fn exit(&mut self) {
        self.path.0.pop();
    }

    fn tensor<const D: usize>(&mut self, name: &str, x: &mut Tensor<D>, _: Option<usize>) {
        self.found.insert(self.path.of(name), Array::new(x.to_data()));
    }

    fn count(&mut self, name: &str, n: &mut usize) {
        self.found.insert(self.path.of(name), counted(*n));
    }
}

struct Replace {
    path: Names,
    from: Parameters,
    problem: Option<String>,
}

impl Replace {
    /// The array of this name, if it is like that of the model but for an axis that grows.
    fn take(&mut self, name: &str, like: &Array, grows: Option<usize>) -> Option<Array> {
        let name = self.path.of(name);
        let Some(found) = self.from.remove(&name) else {
            self.problem.get_or_insert(format!("the state {name} is missing"));
            return None;
        };
        let n_fits = |(axis, (found, wanted)): (usize, (&usize, &usize))| {
            found == wanted || (grows == Some(axis) && *found > 0)
        };
        let fits = found.precision == like.precision
            && found.shape.len() == like.shape.len()
            && found.shape.iter().zip(&like.shape).enumerate().all(n_fits);
        if !fits {
            self.problem.get_or_insert(format!(
                "the state {name} is {} {:?}, the model's is {} {:?}",
                found.precision.name(),
                found.shape,
                like.precision.name(),
                like.shape
            ));
            return None;
        }
        Some(found)
    }
}

impl StateVisitor for Replace {
    fn enter(&mut self, name: &str) {
        self.path.0.push(name.to_owned());
    }

    fn exit(&mut self) {
        self.path.0.pop();
    }

    fn tensor<const D: usize>(&mut self, name: &str, x: &mut Tensor<D>, grows: Option<usize>) {
        if let Some(array) = self.take(name, &Array::new(x.to_data()), grows) {
            *x = array.tensor(&Device::default());
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count was written; anything else becomes one"
    )]
    fn count(&mut self, name: &str, n: &mut usize) {
        if let Some(array) = self.take(name, &counted(*n), None) {
            *n = array.values[0] as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Int, TensorData};
    use regard_nn::model::language_model::{LanguageModel, LanguageModelConfig, LanguageShape};

    fn token(token: i64) -> Tensor<2, Int> {
        Tensor::from_data(TensorData::new(vec![token], [1, 1]), &Device::default())
    }

    fn live(mixer: &str) -> Live<LanguageModel> {
        let text =
            format!(r#"{{ "d_model": 6, "n_layers": 2, "mixer": {mixer}, "convolution": 3 }}"#);
        let config: LanguageModelConfig = serde_json::from_str(&text).unwrap();
        let shape = LanguageShape { vocabulary: 5, window: 4 };
        let origin = Origin { run: "run".to_owned(), hash: "0".to_owned() };
        Live::new(config.init(shape, &Device::default()).unwrap(), origin)
    }

    const MIXERS: [(&str, &str, Precision); 6] = [
        (r#"{ "kind": "log", "n_heads": 2 }"#, "packed", Precision::F64),
        (r#"{ "kind": "softmax", "n_heads": 2 }"#, "k", Precision::F32),
        (r#"{ "kind": "linear", "n_heads": 2 }"#, "norm", Precision::F32),
        (r#"{ "kind": "easy", "n_heads": 2 }"#, "values", Precision::F32),
        (r#"{ "kind": "lstm" }"#, "cell", Precision::F32),
        (r#"{ "kind": "larnn", "n_heads": 2 }"#, "0.cells", Precision::F32),
    ];

    #[test]
    fn a_state_is_named_tensors_of_their_own_precision_and_comes_back() {
        for (mixer, part, precision) in MIXERS {
            let mut live = live(mixer);
            assert!(live.tensors().is_empty());
            for t in [1, 4, 2, 2, 0] {
                live.step(token(t));
            }
            let saved = live.tensors();
            let name = format!("blocks.1.mixer.{part}");
            assert_eq!(saved[&name].precision, precision, "{:?}", saved.keys());
            let expected = live.step(token(3)).into_data();
            live.restart();
            live.replace(token(0), saved.clone()).unwrap();
            assert_eq!(live.tensors(), saved);
            assert_eq!(live.step(token(3)).into_data(), expected, "{mixer}");
            live.replace(token(0), Parameters::new()).unwrap();
            assert!(live.tensors().is_empty());
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_named() {
        for (mixer, part, precision) in MIXERS {
            let mut live = live(mixer);
            live.step(token(1));
            let saved = live.tensors();
            let name = format!("blocks.0.mixer.{part}");
            let mut refused = |change: &dyn Fn(&mut Parameters)| {
                let mut tensors = saved.clone();
                change(&mut tensors);
                live.replace(token(0), tensors).unwrap_err()
            };
            let missing = refused(&|tensors| drop(tensors.remove(&name)));
            assert_eq!(missing, format!("the state {name} is missing"));
            let found = saved[&name].clone();
            let more = refused(&|tensors| drop(tensors.insert("more".to_owned(), found.clone())));
            assert_eq!(more, "the model has no state more");
            let other = match precision {
                Precision::F32 => Precision::F64,
                Precision::F64 => Precision::F32,
            };
            let shape = found.shape.clone();
            let cast = Array { precision: other, ..found.clone() };
            assert_eq!(
                refused(&|tensors| drop(tensors.insert(name.clone(), cast.clone()))),
                format!(
                    "the state {name} is {} {shape:?}, the model's is {} {shape:?}",
                    other.name(),
                    precision.name()
                )
            );
            let twice = Array {
                shape: [&[2], &shape[..]].concat(),
                values: found.values.repeat(2),
                ..found
            };
            let message = refused(&|tensors| drop(tensors.insert(name.clone(), twice.clone())));
            assert!(message.starts_with(&format!("the state {name} is")), "{message}");
        }
    }
}
