//! Models without attention, to measure the others against.

mod lstm;

pub use lstm::{LstmConfig, LstmForecaster, LstmStack, LstmState};
