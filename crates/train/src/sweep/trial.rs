//! The contact of a sweep with a run: a configuration, and a training without a score.

use std::path::Path;

use super::objective::Objective;
use crate::error::TrainError;
use crate::observer::Observer;
use crate::report::EpochRow;
use crate::run;
use crate::run_config::RunConfig;

/// What a trial came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TrialScore {
    /// Best value of the objective.
    pub(crate) objective: f64,
    /// Epoch of it, from 1.
    pub(crate) best_epoch: usize,
    /// The value of every epoch.
    pub(crate) values: Vec<f64>,
}

/// The configuration of a trial: preset or file, changed as by `--set`.
pub(crate) fn configuration(base: &str, set: &[String]) -> Result<RunConfig, TrainError> {
    RunConfig::load(base, set)
}

/// Trains in `folder`, or goes on there from the last checkpoint.
///
/// The test part is not scored: `regard train --resume` on the folder does that, for the one trial that
/// is chosen.
pub(crate) fn run(
    config: &RunConfig,
    folder: &Path,
    objective: &Objective,
    observer: &mut dyn Observer,
) -> Result<TrialScore, TrainError> {
    let curve = run::fit_only(config, folder, observer)?;
    let values: Vec<f64> =
        curve.iter().map(|row| value(objective, row)).collect::<Result<_, _>>()?;
    let (best_epoch, best) = objective.best(&values).ok_or_else(|| missing(objective))?;
    Ok(TrialScore { objective: best, best_epoch, values })
}

/// The objective at an epoch.
pub(crate) fn value(objective: &Objective, row: &EpochRow) -> Result<f64, TrainError> {
    objective.of(row).ok_or_else(|| missing(objective))
}

fn missing(objective: &Objective) -> TrainError {
    TrainError::Config {
        origin: format!("objective = \"{}\"", objective.name()),
        message: "the epochs of this run have no such value; use \"validation_loss\"".to_owned(),
    }
}

/// Whether an error belongs to the keys of one trial; every other one would end the next trial as well.
pub(crate) fn is_of_this_trial(error: &TrainError) -> bool {
    matches!(
        error,
        TrainError::Model(_)
            | TrainError::Data(_)
            | TrainError::OutOfRange { .. }
            | TrainError::NonFiniteLoss { .. }
            | TrainError::NotLinear { .. }
            | TrainError::Singular { .. }
    )
}
