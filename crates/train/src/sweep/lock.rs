//! Who works on a trial: the process that holds the lock of its file.
//!
//! The operating system gives a lock back when its process ends, however it ends; a trial whose lock
//! is free while the journal says that it runs was killed, and goes on in whoever takes the lock.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::TrainError;

/// A lock that is held; it is given back when the value is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock if nobody has it.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>, TrainError> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { path: path.to_owned(), _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(TrainError::io("lock", path)(e)),
        }
    }

    /// Takes the lock, and waits until nobody else has it.
    pub(crate) fn take(path: &Path) -> Result<Self, TrainError> {
        let file = open(path)?;
        file.lock().map_err(TrainError::io("lock", path))?;
        Ok(Self { path: path.to_owned(), _file: file })
    }

    /// Gives the lock back for good: nobody will ask for it again.
    pub(crate) fn remove(self) {
        // A file that is left over says nothing: the journal knows that the trial has ended.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn open(path: &Path) -> Result<File, TrainError> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    options.open(path).map_err(TrainError::io("create", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_by_one_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.lock");
        let first = Lock::try_take(&path).unwrap().expect("it is free");
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(first);
        Lock::try_take(&path).unwrap().expect("it is free again").remove();
        assert!(!path.exists());
    }
}
