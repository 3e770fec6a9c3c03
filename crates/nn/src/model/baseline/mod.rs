//! Models without attention, to measure the others against.

mod lstm;

pub(super) use lstm::LstmLayer;
pub use lstm::{LstmConfig, LstmForecaster, LstmStack};
