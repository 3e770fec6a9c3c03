//! What a long run shows on standard error: a bar on a terminal, one line per epoch elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use regard_train::Observer;
use regard_train::report::EpochRow;

use crate::interrupt::StopFlag;

const BAR: &str = "{prefix} {bar:16} {pos}/{len} · {eta} left{wide_msg}";
const SPINNER: &str = "{prefix} {spinner} {elapsed}{wide_msg}";
/// Between two frames of the spinner.
const TICK: Duration = Duration::from_millis(120);

/// Shows phases, steps and epochs, and passes on the wish to stop.
#[derive(Debug)]
pub(crate) struct Progress {
    stop: StopFlag,
    phase: String,
    /// The bar of the running phase; `None` before the first one and where nobody watches.
    bar: Option<ProgressBar>,
    is_terminal: bool,
    has_advanced: bool,
    last_epoch: String,
}

impl Progress {
    /// Shows progress on standard error and stops when `stop` is set.
    pub(crate) fn new(stop: StopFlag) -> Self {
        Self {
            stop,
            phase: String::new(),
            bar: None,
            is_terminal: std::io::stderr().is_terminal(),
            has_advanced: false,
            last_epoch: String::new(),
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            // Progress is a courtesy: a closed standard error must not end the training.
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }
}

impl Observer for Progress {
    fn phase(&mut self, name: &str, total: Option<u64>) {
        name.clone_into(&mut self.phase);
        self.has_advanced = false;
        self.last_epoch.clear();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.is_terminal {
            let template = if total.is_some() { BAR } else { SPINNER };
            let style = ProgressStyle::with_template(template).expect("the templates are valid");
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let bar = bar.with_style(style).with_prefix(name.to_string());
            bar.enable_steady_tick(TICK);
            self.bar = Some(bar);
        }
    }

    fn advance(&mut self, position: u64, loss: Option<f64>) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(position);
        if !self.has_advanced {
            // A resumed run starts in the middle: the steps before say nothing about the speed.
            bar.reset_eta();
            self.has_advanced = true;
        }
        if let Some(loss) = loss {
            bar.set_message(format!(" · loss {loss:.2e}{}", self.last_epoch));
        }
    }

    fn epoch(&mut self, row: &EpochRow, epochs: usize) {
        let loss =
            row.validation_loss.map(|loss| format!(", validation {loss:.2e}")).unwrap_or_default();
        let right = row.validation_accuracy.map(|share| format!(", {:.2} % right", 100.0 * share));
        let validation = format!("{loss}{}", right.unwrap_or_default());
        if self.is_terminal {
            self.last_epoch = format!(" · epoch {}/{epochs}{validation}", row.epoch);
        } else {
            self.line(&format!(
                "{}: epoch {}/{epochs}, train {:.2e}{validation}, {:.1} s",
                self.phase, row.epoch, row.train_loss, row.seconds
            ));
        }
    }

    fn note(&mut self, text: &str) {
        self.line(text);
    }

    fn stop(&self) -> bool {
        self.stop.is_set()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        for template in [BAR, SPINNER] {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
