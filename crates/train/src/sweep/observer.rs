//! What a sweep sees of a trial while it is trained: the value of every epoch, and when to stop.

use super::objective::Objective;
use super::trial;
use crate::error::TrainError;
use crate::observer::Observer;
use crate::report::EpochRow;

/// Why a training was stopped by its sweep.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It is not worth its remaining epochs.
    Pruned,
    /// The sweep cannot go on.
    Error(TrainError),
}

/// Takes row, value and number of epochs; says whether to stop.
type OnEpoch<'a> = Box<dyn FnMut(&EpochRow, f64, usize) -> Result<bool, TrainError> + Send + 'a>;

/// Passes everything on, with the trial's number; hands the values of the epochs to the sweep.
pub(crate) struct TrialObserver<'a> {
    inner: &'a mut dyn Observer,
    label: String,
    objective: &'a Objective,
    on_epoch: OnEpoch<'a>,
    /// Values of the epochs seen.
    pub(crate) values: Vec<f64>,
    pub(crate) stopped: Option<Stopped>,
}

impl<'a> TrialObserver<'a> {
    pub(crate) fn new(
        inner: &'a mut dyn Observer,
        label: String,
        objective: &'a Objective,
        on_epoch: impl FnMut(&EpochRow, f64, usize) -> Result<bool, TrainError> + Send + 'a,
    ) -> Self {
        let on_epoch = Box::new(on_epoch);
        Self { inner, label, objective, on_epoch, values: Vec::new(), stopped: None }
    }
}

impl Observer for TrialObserver<'_> {
    fn phase(&mut self, name: &str, total: Option<u64>) {
        self.inner.phase(&format!("{}: {name}", self.label), total);
    }

    fn advance(&mut self, position: u64, loss: Option<f64>) {
        self.inner.advance(position, loss);
    }

    fn epoch(&mut self, row: &EpochRow, epochs: usize) {
        self.inner.epoch(row, epochs);
        let seen = trial::value(self.objective, row).and_then(|value| {
            self.values.push(value);
            (self.on_epoch)(row, value, epochs)
        });
        match seen {
            Ok(false) => {}
            Ok(true) => self.stopped = Some(Stopped::Pruned),
            Err(error) => self.stopped = Some(Stopped::Error(error)),
        }
    }

    fn note(&mut self, text: &str) {
        self.inner.note(&format!("{}: {text}", self.label));
    }

    fn stop(&self) -> bool {
        self.stopped.is_some() || self.inner.stop()
    }
}
