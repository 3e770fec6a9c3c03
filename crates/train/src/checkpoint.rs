//! Everything that a run needs to go on as if it had never stopped.
//!
//! One safetensors file: parameters, best parameters, moments of the optimizer, and as metadata
//! the position, the sums so far and the history. Random streams need no state: the order of
//! batches of an epoch follows from seed and epoch alone.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::model_file::{Parameters, from_bytes, to_bytes};
use crate::report::file::write_atomically;
use crate::report::{EpochRow, TrainingInfo};
use crate::schedule::PlateauState;

const VERSION: u32 = 1;

/// Where a run is, and what it has seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) version: u32,
    /// Epoch in progress, from 0.
    pub(crate) epoch: usize,
    /// Batches of this epoch done.
    pub(crate) batch: usize,
    /// Optimizer steps done.
    pub(crate) steps: u64,
    /// Sum over this epoch's windows of their losses.
    pub(crate) loss_sum: f64,
    /// Windows of this epoch seen.
    pub(crate) n_seen: usize,
    /// Lowest validation loss so far; the largest finite number before the first epoch.
    pub(crate) best_loss: f64,
    /// Epoch of the lowest validation loss, from 1; 0 before the first epoch.
    pub(crate) best_epoch: usize,
    pub(crate) plateau: PlateauState,
    /// Seconds of training so far.
    pub(crate) seconds: f64,
    /// Seconds of this epoch so far.
    pub(crate) epoch_seconds: f64,
    pub(crate) curve: Vec<EpochRow>,
    /// What else there is to say about the training.
    pub(crate) note: Option<String>,
}

impl Progress {
    /// What a report says of the training.
    pub(crate) fn training_info(&self) -> TrainingInfo {
        let epochs = self.curve.len();
        TrainingInfo {
            epochs,
            best_epoch: self.best_epoch,
            steps: self.steps,
            seconds: self.seconds,
            seconds_per_epoch: if epochs == 0 { 0.0 } else { self.seconds / epochs as f64 },
            curve: self.curve.clone(),
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            version: VERSION,
            epoch: 0,
            batch: 0,
            steps: 0,
            loss_sum: 0.0,
            n_seen: 0,
            best_loss: f64::MAX,
            best_epoch: 0,
            plateau: PlateauState::default(),
            seconds: 0.0,
            epoch_seconds: 0.0,
            curve: Vec::new(),
            note: None,
        }
    }
}

/// A checkpoint on its way to or from disk.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    pub(crate) progress: Progress,
    pub(crate) model: Parameters,
    pub(crate) best: Parameters,
    pub(crate) moments: Parameters,
}

impl Checkpoint {
    /// Writes the file; it is complete or absent.
    pub(crate) fn save(&self, file: &Path) -> Result<(), TrainError> {
        let mut all = self.moments.clone();
        for (prefix, parameters) in [("model", &self.model), ("best", &self.best)] {
            for (name, value) in parameters {
                all.insert(format!("{prefix}.{name}"), value.clone());
            }
        }
        let progress = serde_json::to_string(&self.progress).expect("progress has a JSON form");
        write_atomically(file, &to_bytes(&all, progress)).map_err(TrainError::io("write", file))
    }

    /// Reads a file; `None` if there is none.
    pub(crate) fn load(file: &Path) -> Result<Option<Self>, TrainError> {
        if !file.exists() {
            return Ok(None);
        }
        let bytes = std::fs::read(file).map_err(TrainError::io("read", file))?;
        let (all, metadata) = from_bytes(file, &bytes)?;
        let error = |problem| TrainError::ModelFile { file: file.to_owned(), problem };
        let progress: Progress = serde_json::from_str(&metadata)
            .map_err(|e| error(format!("not a checkpoint ({e}); delete it to start over")))?;
        if progress.version != VERSION {
            return Err(error(format!(
                "checkpoint format {}, this program reads format {VERSION}; delete it to start over",
                progress.version
            )));
        }
        let (mut model, mut best, mut moments) =
            (Parameters::new(), Parameters::new(), Parameters::new());
        for (name, value) in all {
            if let Some(name) = name.strip_prefix("model.") {
                model.insert(name.to_owned(), value);
            } else if let Some(name) = name.strip_prefix("best.") {
                best.insert(name.to_owned(), value);
            } else {
                moments.insert(name, value);
            }
        }
        Ok(Some(Self { progress, model, best, moments }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_file::Array;
    use crate::precision::Precision;

    #[test]
    fn what_is_saved_loads_equal() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("checkpoint.safetensors");
        assert!(Checkpoint::load(&file).unwrap().is_none());
        let one = |name: &str, x: f64| {
            let array = Array { shape: vec![1], precision: Precision::F64, values: vec![x] };
            Parameters::from([(name.to_owned(), array)])
        };
        let progress = Progress { epoch: 3, batch: 7, loss_sum: 0.1 + 0.2, ..Progress::default() };
        let checkpoint = Checkpoint {
            progress,
            model: one("a.weight", 1.0),
            best: one("a.weight", 2.0),
            moments: one("mean.a.weight", 3.0),
        };
        checkpoint.save(&file).unwrap();
        let read = Checkpoint::load(&file).unwrap().unwrap();
        assert_eq!(read.progress, checkpoint.progress);
        assert_eq!((read.model, read.best), (checkpoint.model, checkpoint.best));
        assert_eq!(read.moments, checkpoint.moments);
    }
}
