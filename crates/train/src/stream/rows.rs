//! A model that reads rows of numbers in physical units.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use regard_data::normalize::Normalization;
use regard_nn::mechanism::{Recurrent, StreamCertificate, certify};

use super::live::{Live, Origin};
use crate::model_file::Parameters;
use crate::precision::{Precision, tensor};

/// A model between two rows of numbers.
#[derive(Debug)]
pub(super) struct RowModel<M: Recurrent> {
    pub(super) live: Live<M>,
    pub(super) columns: Vec<String>,
    pub(super) normalization: Normalization,
    pub(super) precision: Precision,
}

impl<M: Recurrent<Input = Tensor<3>> + Module> RowModel<M> {
    pub(super) fn new(
        model: M,
        origin: Origin,
        columns: Vec<String>,
        normalization: Normalization,
    ) -> Self {
        let precision = Precision::of_module(&model);
        Self { live: Live::new(model, origin), columns, normalization, precision }
    }

    /// The result of one more row.
    ///
    /// # Panics
    /// If the row has not one value for each channel.
    pub(super) fn push(&mut self, row: &[f64]) -> Tensor<3> {
        assert_eq!(row.len(), self.columns.len(), "one value for each channel");
        self.live.step(self.input(row))
    }

    /// Compares steps with the whole sequence of these rows.
    pub(super) fn certify(&self, rows: &[f64]) -> StreamCertificate {
        certify(&self.live.model, self.input(rows))
    }

    pub(super) fn replace(&mut self, tensors: Parameters) -> Result<(), String> {
        let zeros = vec![0.0; self.columns.len()];
        self.live.replace(self.input(&zeros), tensors)
    }

    /// `[1, rows, channels]`, normalised.
    fn input(&self, rows: &[f64]) -> Tensor<3> {
        let channels = self.columns.len();
        let x = self.normalization.norm_from_phys(rows);
        tensor(&x, [1, rows.len() / channels, channels], &Device::default(), self.precision)
    }
}
