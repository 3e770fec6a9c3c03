//! How a command ended that did not fail.

use std::io::Write;
use std::process::ExitCode;

use regard_train::report::RunReport;

/// The answer to "did it work?" in the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Done: exit code 0.
    Good,
    /// Done, and a trained model is no better than the simplest guess: exit code 1.
    Bad,
}

impl Verdict {
    /// Judges trained models; says on standard error which one is bad.
    pub(crate) fn of(reports: &[RunReport]) -> Self {
        let mut verdict = Self::Good;
        for report in reports {
            let Some(objection) = report.objection() else { continue };
            verdict = Self::Bad;
            // The exit code says it too where standard error is closed.
            let _ = writeln!(
                std::io::stderr(),
                "verdict: {} {objection}; do not use this model",
                report.run().name
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
