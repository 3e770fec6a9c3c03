//! The state of a stream as a file: named tensors, and a card that says whose state it is.
//!
//! One safetensors file, each tensor in its own precision, so that what is restored is what was saved,
//! bit for bit. The card holds the SHA-256 of the model file: a state fits one model alone.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::live::{Origin, Saved};
use crate::error::TrainError;
use crate::model_file::{from_bytes, to_bytes};
use crate::report::file::write_atomically;

/// Version of [`Card`]; a file of another version is refused.
const VERSION: u32 = 1;

/// What was read until the state was saved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Lines of input that were read to their end, header included.
    pub lines: u64,
    /// Bytes of input.
    pub bytes: u64,
    /// Rows of numbers; 0 of a text.
    pub rows: u64,
    /// Where each channel stands in a line of numbers, once that is known.
    pub columns: Option<Vec<usize>>,
}

/// What the file says beside its tensors.
#[derive(Debug, Serialize, Deserialize)]
struct Card {
    version: u32,
    /// What comes out of the stream: `"classes"`, `"forecast"`, `"text"`.
    stream: String,
    /// The run, as it was called.
    run: String,
    /// SHA-256 of its model file.
    model: String,
    progress: Progress,
}

pub(super) fn save(file: &Path, stream: &dyn Saved, progress: &Progress) -> Result<(), TrainError> {
    let Origin { run, hash } = stream.origin().clone();
    let (stream_kind, progress) = (stream.kind().to_owned(), progress.clone());
    let card = Card { version: VERSION, stream: stream_kind, run, model: hash, progress };
    let card = serde_json::to_string(&card).expect("a card has a JSON form");
    let bytes = to_bytes(&stream.tensors(), card);
    write_atomically(file, &bytes).map_err(TrainError::io("write", file))
}

pub(super) fn restore(file: &Path, stream: &mut dyn Saved) -> Result<Progress, TrainError> {
    let bytes = std::fs::read(file).map_err(TrainError::io("read", file))?;
    let (tensors, card) = from_bytes(file, &bytes)?;
    let error = |problem| TrainError::ModelFile { file: file.to_owned(), problem };
    let card: Card = serde_json::from_str(&card).map_err(|_| {
        error(
            "not the state of a stream; `regard stream RUN --snapshot FILE` writes one".to_owned(),
        )
    })?;
    if card.version != VERSION {
        return Err(error(format!(
            "state format {}, this program reads format {VERSION}; start the stream anew",
            card.version
        )));
    }
    let Origin { run, hash } = stream.origin();
    if card.model != *hash || card.stream != stream.kind() {
        return Err(error(format!(
            "the state of another model: that of {} ({}, {}), not that of {run} ({}, {}); restore it \
             with the run that it was taken from",
            card.run,
            card.stream,
            short(&card.model),
            stream.kind(),
            short(hash)
        )));
    }
    stream.replace(tensors).map_err(error)?;
    Ok(card.progress)
}

/// Enough of a hash to tell models apart.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Finds out before anything is read whether a state can be written to `file`; leaves nothing behind.
///
/// # Errors
/// [`TrainError::Io`] if its folder is missing or not writable, or if it is a folder itself.
pub fn check_writable(file: &Path) -> Result<(), TrainError> {
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let checked = if file.is_dir() {
        Err(std::io::Error::from(std::io::ErrorKind::IsADirectory))
    } else {
        tempfile::tempfile_in(folder).map(drop)
    };
    checked.map_err(TrainError::io("write", file))
}
