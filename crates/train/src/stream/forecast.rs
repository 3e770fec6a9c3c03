//! A trained recurrent forecaster on live rows: the row after every row.

use std::path::Path;

use burn::tensor::Device;
use regard_nn::mechanism::StreamCertificate;
use regard_nn::model::Model;
use regard_nn::model::baseline::LstmForecaster;

use super::live::{Origin, Saved};
use super::rows::RowModel;
use crate::error::TrainError;
use crate::model_file::{self, Parameters};
use crate::precision::Precision;
use crate::run_folder::RunFolder;

/// A forecaster between two rows.
#[derive(Debug)]
pub struct ForecastStream {
    rows: RowModel<LstmForecaster>,
}

impl ForecastStream {
    /// Opens a run.
    ///
    /// # Errors
    /// [`TrainError`] if the run cannot be read, does not forecast, or its model needs whole windows.
    pub fn open(run: &Path) -> Result<Self, TrainError> {
        let folder = RunFolder::open(run)?;
        folder.forecast_config()?;
        let (model, card) = model_file::load(&folder.model(), &Device::default())?;
        let Model::Lstm(model) = model else {
            return Err(folder.error(
                "its model needs whole windows; of the forecasters only lstm reads row by row. \
                 `regard predict` continues a file",
            ));
        };
        let origin = Origin::of(&folder)?;
        Ok(Self { rows: RowModel::new(model, origin, card.columns, card.normalization) })
    }

    /// Names of the channels of a row, in order.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.rows.columns
    }

    /// Precision of the model.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.rows.precision
    }

    /// The row after this one, from it and all rows before it; both in physical units.
    ///
    /// # Panics
    /// If the row has not one value for each channel.
    pub fn push(&mut self, row: &[f64]) -> Vec<f64> {
        let steps = self.rows.push(row).narrow(2, 0, row.len());
        let next = steps.try_into_vec_as::<f64>().expect("numbers convert to f64");
        self.rows.normalization.phys_from_norm(&next)
    }

    /// Forgets all rows: the next one is the first.
    pub fn restart(&mut self) {
        self.rows.live.restart();
    }

    /// Compares the forecasts from every one of these rows, in steps and at once, in normalised units.
    ///
    /// # Panics
    /// If there is no row, or not one value for each channel of every row.
    #[must_use]
    pub fn certify(&self, rows: &[f64]) -> StreamCertificate {
        self.rows.certify(rows)
    }
}

impl Saved for ForecastStream {
    fn kind(&self) -> &'static str {
        "forecast"
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
