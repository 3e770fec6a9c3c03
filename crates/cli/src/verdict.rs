//! How a command ended that did not fail.

use std::io::Write;
use std::process::ExitCode;

use regard_train::report::Report;

/// The answer to "did it work?" in the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Done: exit code 0.
    Good,
    /// Done, and a trained model is no better than repeating the last value: exit code 1.
    Bad,
}

impl Verdict {
    /// Judges trained models; says on standard error which one is bad.
    pub(crate) fn of(reports: &[Report]) -> Self {
        let bad = reports.iter().filter(|report| !report.beats_persistence());
        let mut verdict = Self::Good;
        for report in bad {
            verdict = Self::Bad;
            // The exit code says it too where standard error is closed.
            let _ = writeln!(
                std::io::stderr(),
                "verdict: {} is not better than persistence (repeating the last value); \
                 do not use this model",
                report.run.name
            );
        }
        verdict
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Good => Self::SUCCESS,
            Verdict::Bad => Self::from(1),
        }
    }
}
