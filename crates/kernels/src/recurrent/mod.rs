//! Scans over time: networks whose state after a step depends on the state before it.

pub mod gru;
pub mod larnn;
pub mod lstm;
