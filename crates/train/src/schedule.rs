//! The learning rate over a run.
//!
//! ```text
//! warm-up:      lr = lr₀ (step + 1) / warmup_steps                     step < warmup_steps
//! exponential:  lr = lr₀ final_fraction^(epoch / (epochs − 1))
//! steps:        lr = lr₀ factor^⌊epoch / every⌋
//! cosine:       lr = lr₀ (f + (1 − f) (1 + cos π t) / 2), t = share of the steps after warm-up
//! plateau:      lr ← factor · lr when validation has not improved for `patience` epochs
//! ```

use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// How the learning rate changes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// Does not change after the warm-up.
    Constant {
        /// Steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
    },
    /// Falls by one factor per epoch.
    Exponential {
        /// Share of the learning rate left in the last epoch.
        #[serde(default = "final_fraction")]
        final_fraction: f64,
        /// Steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
    },
    /// Falls by a factor after every so many epochs.
    Steps {
        /// Factor at each fall.
        #[serde(default = "factor")]
        factor: f64,
        /// Epochs from one fall to the next.
        #[serde(default = "every")]
        every: usize,
        /// Steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
    },
    /// Falls along half a cosine.
    Cosine {
        /// Share of the learning rate left at the end.
        #[serde(default = "final_fraction")]
        final_fraction: f64,
        /// Steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
    },
    /// Falls when the validation loss stops falling.
    Plateau {
        /// Factor at each fall.
        #[serde(default = "factor")]
        factor: f64,
        /// Epochs without improvement before a fall.
        #[serde(default = "patience")]
        patience: usize,
        /// Steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
    },
}

fn final_fraction() -> f64 {
    0.01
}

fn factor() -> f64 {
    0.5
}

fn every() -> usize {
    10
}

fn patience() -> usize {
    5
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self::Cosine { final_fraction: final_fraction(), warmup_steps: 0 }
    }
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Epoch, from 0.
    pub(crate) epoch: usize,
    pub(crate) epochs: usize,
    /// Step over all epochs, from 0.
    pub(crate) step: u64,
    pub(crate) steps: u64,
}

/// What a schedule remembers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlateauState {
    fraction: f64,
    best: f64,
    epochs_without: usize,
}

impl Default for PlateauState {
    fn default() -> Self {
        Self { fraction: 1.0, best: f64::MAX, epochs_without: 0 }
    }
}

impl ScheduleConfig {
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let error = |key, value: f64| {
            let expected = "more than 0, at most 1";
            Err(TrainError::OutOfRange { key, value: value.to_string(), expected })
        };
        match *self {
            Self::Constant { .. } => Ok(()),
            Self::Exponential { final_fraction: f, .. }
            | Self::Cosine { final_fraction: f, .. } => {
                if f > 0.0 && f <= 1.0 {
                    Ok(())
                } else {
                    error("fit.schedule.final_fraction", f)
                }
            }
            Self::Steps { every: 0, .. } => Err(TrainError::OutOfRange {
                key: "fit.schedule.every",
                value: "0".to_owned(),
                expected: "at least 1",
            }),
            Self::Steps { factor: f, .. } | Self::Plateau { factor: f, .. } => {
                if f > 0.0 && f <= 1.0 { Ok(()) } else { error("fit.schedule.factor", f) }
            }
        }
    }

    /// Share of the learning rate at a step.
    pub(crate) fn fraction(&self, at: Position, plateau: &PlateauState) -> f64 {
        let (Self::Constant { warmup_steps }
        | Self::Exponential { warmup_steps, .. }
        | Self::Steps { warmup_steps, .. }
        | Self::Cosine { warmup_steps, .. }
        | Self::Plateau { warmup_steps, .. }) = *self;
        if at.step < warmup_steps {
            return (at.step + 1) as f64 / warmup_steps as f64;
        }
        match *self {
            Self::Constant { .. } => 1.0,
            Self::Exponential { final_fraction, .. } => {
                let last = at.epochs.saturating_sub(1).max(1) as f64;
                final_fraction.powf(at.epoch as f64 / last)
            }
            Self::Steps { factor, every, .. } => {
                let falls = i32::try_from(at.epoch / every).unwrap_or(i32::MAX);
                factor.powi(falls)
            }
            Self::Cosine { final_fraction, .. } => {
                let steps = at.steps.saturating_sub(warmup_steps + 1).max(1) as f64;
                let t = ((at.step - warmup_steps) as f64 / steps).min(1.0);
                let half = f64::midpoint(1.0, (std::f64::consts::PI * t).cos());
                final_fraction + (1.0 - final_fraction) * half
            }
            Self::Plateau { .. } => plateau.fraction,
        }
    }

    /// Notes the validation loss at the end of an epoch.
    pub(crate) fn observe(&self, loss: f64, state: &mut PlateauState) {
        let Self::Plateau { factor, patience, .. } = *self else { return };
        if loss < state.best {
            state.best = loss;
            state.epochs_without = 0;
            return;
        }
        state.epochs_without += 1;
        if state.epochs_without >= patience {
            state.fraction *= factor;
            state.epochs_without = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: usize, step: u64) -> Position {
        Position { epoch, epochs: 11, step, steps: 110 }
    }

    #[test]
    fn exponential_ends_at_its_final_fraction() {
        let schedule = ScheduleConfig::Exponential { final_fraction: 0.01, warmup_steps: 0 };
        let state = PlateauState::default();
        assert!((schedule.fraction(at(0, 0), &state) - 1.0).abs() < 1e-15);
        assert!((schedule.fraction(at(5, 50), &state) - 0.1).abs() < 1e-15);
        assert!((schedule.fraction(at(10, 100), &state) - 0.01).abs() < 1e-15);
    }

    #[test]
    fn steps_fall_after_every_so_many_epochs() {
        let schedule = ScheduleConfig::Steps { factor: 0.75, every: 3, warmup_steps: 0 };
        let state = PlateauState::default();
        for (epoch, expected) in [(0, 1.0), (2, 1.0), (3, 0.75), (5, 0.75), (6, 0.5625)] {
            assert!((schedule.fraction(at(epoch, 0), &state) - expected).abs() < 1e-15, "{epoch}");
        }
        let never = ScheduleConfig::Steps { factor: 0.75, every: 0, warmup_steps: 0 };
        assert_eq!(
            never.check().unwrap_err().to_string(),
            "fit.schedule.every = 0: expected at least 1"
        );
    }

    #[test]
    fn cosine_warms_up_and_ends_at_its_final_fraction() {
        let schedule = ScheduleConfig::Cosine { final_fraction: 0.1, warmup_steps: 10 };
        let state = PlateauState::default();
        assert!((schedule.fraction(at(0, 0), &state) - 0.1).abs() < 1e-15);
        assert!((schedule.fraction(at(0, 9), &state) - 1.0).abs() < 1e-15);
        assert!((schedule.fraction(at(1, 10), &state) - 1.0).abs() < 1e-15);
        assert!((schedule.fraction(at(10, 109), &state) - 0.1).abs() < 1e-15);
    }

    #[test]
    fn plateau_falls_after_its_patience() {
        let schedule = ScheduleConfig::Plateau { factor: 0.5, patience: 2, warmup_steps: 0 };
        let mut state = PlateauState::default();
        for (loss, expected) in
            [(1.0, 1.0), (1.1, 1.0), (1.2, 0.5), (0.9, 0.5), (1.0, 0.5), (1.0, 0.25)]
        {
            schedule.observe(loss, &mut state);
            let fraction = schedule.fraction(at(3, 30), &state);
            assert!((fraction - expected).abs() < 1e-15, "{fraction} instead of {expected}");
        }
    }
}
