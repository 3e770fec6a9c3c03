//! A stream that a signal may end: between two parts of the input, its state is saved.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use regard_train::stream::{Progress, Stream};

use crate::interrupt;
use crate::message;

/// How long a signal waits for the part at hand.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits before it looks again.
const PAUSE: Duration = Duration::from_millis(10);

/// A stream, and what it has read.
pub(super) struct Live {
    pub(super) stream: Stream,
    pub(super) progress: Progress,
}

/// A stream that the main thread reads on and a signal may save.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Live>>);

impl Live {
    /// Saves the state.
    pub(super) fn save(&self, file: &Path) -> Result<()> {
        Ok(self.stream.save(file, &self.progress)?)
    }

    /// Saves the state and says on standard error what was read until then.
    pub(super) fn save_and_tell(&self, file: &Path) -> Result<()> {
        self.save(file)?;
        let Progress { lines, bytes, .. } = self.progress;
        // The file is there whether or not somebody is told.
        let _ = writeln!(
            std::io::stderr(),
            "wrote {}: {lines} lines, {bytes} bytes of input; go on with --restore {}",
            file.display(),
            message::quoted_path(file)
        );
        Ok(())
    }
}

impl Shared {
    pub(super) fn new(live: Live) -> Self {
        Self(Arc::new(Mutex::new(live)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Live> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, Ctrl-C and the request to terminate save the state and end the process.
    pub(super) fn save_when_stopped(&self, file: &Path) -> Result<()> {
        let (shared, file) = (self.clone(), file.to_owned());
        interrupt::when_stopped(move || {
            let mut waited = Duration::ZERO;
            while waited < PATIENCE {
                if let Ok(live) = shared.0.try_lock() {
                    return match live.save_and_tell(&file) {
                        Ok(()) => 0,
                        Err(error) => complain(&message::chain(&error)),
                    };
                }
                std::thread::sleep(PAUSE);
                waited += PAUSE;
            }
            complain("the state is not saved: nobody reads the output, or a part takes too long")
        })
    }
}

/// Says what is wrong; the exit code.
fn complain(problem: &str) -> i32 {
    let _ = writeln!(std::io::stderr(), "error: {problem}");
    2
}
