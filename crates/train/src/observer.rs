//! What a caller sees of a run while it lasts.

use crate::report::EpochRow;

/// Receives progress, and may ask to stop.
///
/// It is called from a thread of the pool.
pub trait Observer: Send {
    /// A part of the work begins; `total` steps where that is known.
    fn phase(&mut self, name: &str, total: Option<u64>);
    /// `position` steps of the phase are done; the loss of the last batch, if there is one.
    fn advance(&mut self, position: u64, loss: Option<f64>);
    /// An epoch ended.
    fn epoch(&mut self, row: &EpochRow, epochs: usize);
    /// Something worth a line.
    fn note(&mut self, text: &str);
    /// Whether to save and stop; asked after every step.
    fn stop(&self) -> bool;
}

/// Sees nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn phase(&mut self, _: &str, _: Option<u64>) {}
    fn advance(&mut self, _: u64, _: Option<f64>) {}
    fn epoch(&mut self, _: &EpochRow, _: usize) {}
    fn note(&mut self, _: &str) {}
    fn stop(&self) -> bool {
        false
    }
}
