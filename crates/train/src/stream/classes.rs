//! A trained classifier on live rows: probabilities of the classes after every row.

use std::path::Path;

use burn::tensor::Device;
use burn::tensor::activation::softmax;
use regard_nn::mechanism::StreamCertificate;
use regard_nn::model::classifier::Classifier;

use super::live::{Origin, Saved};
use super::rows::RowModel;
use crate::error::TrainError;
use crate::model_file::{self, Parameters};
use crate::precision::Precision;
use crate::run_folder::RunFolder;

/// A classifier between two rows.
#[derive(Debug)]
pub struct ClassStream {
    rows: RowModel<Classifier>,
    classes: Vec<String>,
    window: usize,
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
        if !model.is_recurrent() {
            return Err(folder.error(
                "its model needs whole series; row by row read lstm, gru, and a classifier without positions \
                 and flattened rows whose mechanism is larnn, or softmax, linear or log with causal = true. \
                 `regard classify` names the classes of a file",
            ));
        }
        let origin = Origin::of(&folder)?;
        let rows = RowModel::new(model, origin, card.columns, card.normalization);
        Ok(Self { rows, classes: card.classes, window: card.shape.time })
    }

    /// Names of the channels of a row, in order.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.rows.columns
    }

    /// Names of the classes, in the order of the probabilities.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Steps of the longest series of the training.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window
    }

    /// Precision of the model.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.rows.precision
    }

    /// Probabilities of the classes after one more row, physical units.
    ///
    /// # Panics
    /// If the row has not one value for each channel.
    pub fn push(&mut self, row: &[f64]) -> Vec<f64> {
        let logits = self.rows.push(row);
        softmax(logits, 2).try_into_vec_as::<f64>().expect("numbers convert to f64")
    }

    /// Forgets all rows: the next one is the first of a series.
    pub fn restart(&mut self) {
        self.rows.live.restart();
    }

    /// Compares the logits after every one of these rows, in steps and at once.
    ///
    /// # Panics
    /// If there is no row, or not one value for each channel of every row.
    #[must_use]
    pub fn certify(&self, rows: &[f64]) -> StreamCertificate {
        self.rows.certify(rows)
    }
}

impl Saved for ClassStream {
    fn kind(&self) -> &'static str {
        "classes"
    }

    fn origin(&self) -> &Origin {
        &self.rows.live.origin
    }

    fn tensors(&self) -> Parameters {
        self.rows.live.tensors()
    }

    fn replace(&mut self, tensors: Parameters) -> Result<(), String> {
        self.rows.replace(tensors)
    }
}
