//! Which trial is not worth its remaining epochs.
//!
//! ```text
//! median               stop at epoch e if best(≤ e) > median over other trials of their best(≤ e)
//! successive halving   at e = min_epochs · factor^k: stop unless best(≤ e) is among the lowest
//!                      max(1, ⌊n / factor⌋) of the n trials that have come to e, this one included
//! ```
//!
//! Halving is asynchronous: a trial is judged when it comes to a rung, by those that have been there.
//!
//! Source: Golovin et al. 2017, "Google Vizier", §3.2.2 (median); Li et al. 2018, arXiv:1810.05934 §3
//! (asynchronous halving). Differs: the median is taken over best values, not over running means; a
//! trial is stopped at a rung rather than promoted later.

use serde::{Deserialize, Serialize};

/// When a trial is stopped before its last epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PruneConfig {
    /// Worse than half of the others at the same epoch.
    Median {
        /// Epochs in which no trial is stopped.
        #[serde(default = "warmup_epochs")]
        warmup_epochs: usize,
        /// Other trials that must have come to the epoch.
        #[serde(default = "startup_trials")]
        startup_trials: usize,
    },
    /// Not among the best `1 / factor` at a rung.
    SuccessiveHalving {
        /// First rung.
        #[serde(default = "min_epochs")]
        min_epochs: usize,
        /// Ratio of two rungs, and of the trials that come to them.
        #[serde(default = "factor")]
        factor: usize,
    },
}

fn warmup_epochs() -> usize {
    3
}

fn startup_trials() -> usize {
    5
}

fn min_epochs() -> usize {
    2
}

fn factor() -> usize {
    3
}

impl PruneConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Median { startup_trials: 0, .. } => {
                Err("prune.startup_trials = 0: expected at least 1".to_owned())
            }
            Self::SuccessiveHalving { min_epochs: 0, .. } => {
                Err("prune.min_epochs = 0: expected at least 1".to_owned())
            }
            Self::SuccessiveHalving { factor: factor @ (0 | 1), .. } => {
                Err(format!("prune.factor = {factor}: expected at least 2"))
            }
            _ => Ok(()),
        }
    }

    /// Whether anything is decided at this epoch, from 1.
    pub(crate) fn looks_at(&self, epoch: usize) -> bool {
        match *self {
            Self::Median { warmup_epochs, .. } => epoch > warmup_epochs,
            Self::SuccessiveHalving { min_epochs, factor } => {
                let mut rung = min_epochs;
                while rung < epoch {
                    rung = rung.saturating_mul(factor);
                }
                rung == epoch
            }
        }
    }

    /// Whether to stop a trial whose best value so far is `best`; `others` are the best values of the
    /// other trials up to the same epoch. Smaller is better.
    pub(crate) fn stops(&self, best: f64, others: &[f64]) -> bool {
        match *self {
            Self::Median { startup_trials, .. } => {
                others.len() >= startup_trials && best > median(others)
            }
            Self::SuccessiveHalving { factor, .. } => {
                let better = others.iter().filter(|other| **other < best).count();
                better >= ((others.len() + 1) / factor).max(1)
            }
        }
    }
}

/// The middle of `values`, or the mean of the two in the middle; there is at least one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        0.5 * (sorted[middle - 1] + sorted[middle])
    } else {
        sorted[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stops_the_worse_half_after_warm_up_and_startup() {
        let rule = PruneConfig::Median { warmup_epochs: 3, startup_trials: 4 };
        let looked: Vec<usize> = (1..=6).filter(|e| rule.looks_at(*e)).collect();
        assert_eq!(looked, [4, 5, 6]);
        assert!(!rule.stops(9.0, &[1.0, 2.0, 3.0]), "too few others");
        assert!(rule.stops(2.6, &[4.0, 1.0, 3.0, 2.0]));
        assert!(!rule.stops(2.5, &[4.0, 1.0, 3.0, 2.0]), "no worse than the median");
        assert!(rule.stops(3.1, &[5.0, 4.0, 1.0, 3.0, 2.0]));
    }

    #[test]
    fn a_rung_keeps_the_best_third() {
        let rule = PruneConfig::SuccessiveHalving { min_epochs: 2, factor: 3 };
        let rungs: Vec<usize> = (1..=60).filter(|e| rule.looks_at(*e)).collect();
        assert_eq!(rungs, [2, 6, 18, 54]);
        assert!(!rule.stops(7.0, &[]), "the first one goes on");
        assert!(rule.stops(7.0, &[1.0]), "of two only the better one");
        assert!(!rule.stops(0.5, &[1.0]));
        // Of six the best two.
        let others = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert!(!rule.stops(1.5, &others));
        assert!(rule.stops(2.5, &others));
    }

    #[test]
    fn impossible_rules_are_refused() {
        let halving = PruneConfig::SuccessiveHalving { min_epochs: 2, factor: 1 };
        assert_eq!(halving.check().unwrap_err(), "prune.factor = 1: expected at least 2");
    }
}
