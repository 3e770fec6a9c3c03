//! Ctrl-C and termination signals: the first asks to stop, the second ends the process.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

/// Set once somebody wants the training to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Whether a stop was asked for.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks for a stop; tells whether one was asked for before.
    fn set(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }
}

/// From now on, Ctrl-C (and the request to terminate, and a closed terminal) sets the flag.
///
/// The second time, the process ends at once with exit code 2; the last checkpoint stays.
pub(crate) fn stop_flag() -> Result<StopFlag> {
    let flag = StopFlag::default();
    let seen = flag.clone();
    ctrlc::set_handler(move || {
        if seen.set() {
            std::process::exit(2);
        }
        // A closed terminal takes no message; the training stops all the same.
        let _ = writeln!(
            std::io::stderr(),
            "\nstopping at the next step and saving a checkpoint; press Ctrl-C again to quit at once"
        );
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(flag)
}

/// From now on, the same signals call `end` once, and the process ends with the exit code it gives.
pub(crate) fn when_stopped(mut end: impl FnMut() -> i32 + Send + 'static) -> Result<()> {
    ctrlc::set_handler(move || std::process::exit(end())).context("cannot listen for Ctrl-C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_request_sees_the_first() {
        let flag = StopFlag::default();
        let seen = flag.clone();
        assert!(!flag.is_set());
        assert!(!seen.set());
        assert!(flag.is_set());
        assert!(seen.set());
    }
}
