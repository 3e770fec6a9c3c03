//! Trained models on live input: one row in, one result out, and a state that can be put aside.
//!
//! ```text
//! run → Stream → push, push, … → save → restore → push, …        bit for bit as if never stopped
//! ```
//!
//! [`Stream`] is any of them: classes of rows, forecasts of the next row, or how well a text is foreseen.
//! A state is a safetensors file of named tensors that knows the model it belongs to.

mod classes;
mod forecast;
mod live;
mod rows;
mod snapshot;
mod text;

use std::path::Path;

pub use classes::ClassStream;
pub use forecast::ForecastStream;
pub use snapshot::{Progress, check_writable};
pub use text::{LineScore, TextStream};

use crate::error::TrainError;
use crate::run_config::RunConfig;
use crate::run_folder::RunFolder;
use live::Saved;

/// Any model on live input.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one per process; a box would buy nothing")]
pub enum Stream {
    /// The class of the rows so far.
    Classes(ClassStream),
    /// The row after this one.
    Forecast(ForecastStream),
    /// How well every line of a text is foreseen.
    Text(TextStream),
}

impl Stream {
    /// Opens a run, whatever its task.
    ///
    /// # Errors
    /// [`TrainError`] if the run cannot be read, or its model needs whole sequences.
    pub fn open(run: &Path) -> Result<Self, TrainError> {
        let folder = RunFolder::open(run)?;
        Ok(match folder.config()? {
            RunConfig::Classify(_) => Self::Classes(ClassStream::open(run)?),
            RunConfig::Forecast(_) => Self::Forecast(ForecastStream::open(run)?),
            RunConfig::Language(_) => Self::Text(TextStream::open(run)?),
            RunConfig::Operator(_) => {
                return Err(folder.error(
                    "its task is to learn an operator, which reads whole functions; streams need a run \
                     that classifies, forecasts or goes on with a text",
                ));
            }
        })
    }

    /// Writes the state and what was read; the file is complete or absent.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn save(&self, file: &Path, progress: &Progress) -> Result<(), TrainError> {
        let saved: &dyn Saved = match self {
            Self::Classes(stream) => stream,
            Self::Forecast(stream) => stream,
            Self::Text(stream) => stream,
        };
        snapshot::save(file, saved, progress)
    }

    /// Goes on from a state that [`Stream::save`] wrote; what had been read until then.
    ///
    /// # Errors
    /// [`TrainError::Io`]; [`TrainError::ModelFile`] if the file is no state, is cut short, or belongs to
    /// another model.
    pub fn restore(&mut self, file: &Path) -> Result<Progress, TrainError> {
        let saved: &mut dyn Saved = match self {
            Self::Classes(stream) => stream,
            Self::Forecast(stream) => stream,
            Self::Text(stream) => stream,
        };
        snapshot::restore(file, saved)
    }
}
