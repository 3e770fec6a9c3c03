//! A trained classifier on a live stream: one row in, probabilities out, memory that does not grow.

use std::path::Path;

use burn::tensor::Device;
use burn::tensor::activation::softmax;
use regard_nn::mechanism::Recurrent;
use regard_nn::model::classifier::{Classifier, ClassifierState};

use crate::error::TrainError;
use crate::model_file::{self, ClassifierCard};
use crate::precision::{Precision, tensor};
use crate::run_folder::RunFolder;

/// A recurrent classifier between two rows.
#[derive(Debug)]
pub struct ClassStream {
    model: Classifier,
    card: ClassifierCard,
    precision: Precision,
    state: Option<ClassifierState>,
}

impl ClassStream {
    /// Opens a run.
    ///
    /// # Errors
    /// [`TrainError`] if the run cannot be read, does not classify, or its model needs whole series.
    pub fn open(run: &Path) -> Result<Self, TrainError> {
        let folder = RunFolder::open(run)?;
        folder.classify_config()?;
        let (model, card) = model_file::load_classifier(&folder.model(), &Device::default())?;
        if model.recurrent().is_none() {
            return Err(folder.error(
                "its model needs whole series; only larnn without blocks, lstm and gru read row by row. \
                 `regard classify` names the classes of a file",
            ));
        }
        let precision = Precision::of_module(&model);
        Ok(Self { model, card, precision, state: None })
    }

    /// Names of the channels of a row, in order.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.card.columns
    }

    /// Names of the classes, in the order of the probabilities.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.card.classes
    }

    /// Steps of the longest series of the training.
    #[must_use]
    pub fn window(&self) -> usize {
        self.card.shape.time
    }

    /// Probabilities of the classes after one more row, physical units.
    ///
    /// # Panics
    /// If the row has not one value for each channel.
    pub fn push(&mut self, row: &[f64]) -> Vec<f64> {
        let channels = self.card.columns.len();
        assert_eq!(row.len(), channels, "one value for each channel");
        let row = self.card.normalization.norm_from_phys(row);
        let x = tensor(&row, [1, 1, channels], &Device::default(), self.precision);
        let model = self.model.recurrent().expect("checked when opened");
        let (logits, state) = model.step(x, self.state.take());
        self.state = Some(state);
        softmax(logits, 2).try_into_vec_as::<f64>().expect("numbers convert to f64")
    }

    /// Forgets all rows: the next one is the first of a series.
    pub fn restart(&mut self) {
        self.state = None;
    }
}
