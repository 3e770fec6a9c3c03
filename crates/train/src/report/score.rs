//! Scores of one method on the test split.

use serde::{Deserialize, Serialize};

use super::nullable;

/// One line of the score table. A metric that could not be computed is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    /// Name of the method.
    pub name: String,
    /// Whether the method is a baseline; baselines stand below a rule.
    pub is_baseline: bool,
    /// Number of fitted numbers.
    pub n_parameters: Option<u64>,
    /// Multiply-adds of the forward pass for one window.
    pub multiply_adds: Option<u64>,
    /// Wall-clock time of an epoch, in seconds; `None` for a method without epochs.
    pub seconds_per_epoch: Option<f64>,
    /// Mean squared error of one-step forecasts, standardised units.
    pub one_step_mse: Option<f64>,
    /// Relative L² error of one-step forecasts, physical units.
    pub relative_l2_percent: Option<RelativeL2>,
    /// Valid prediction time, one row per threshold.
    pub vpt: Vec<VptRow>,
    /// Median relative error of free-running forecasts at chosen horizons.
    pub error_at: Vec<ErrorAt>,
    /// Standard deviation of a long free run over that of the truth, per variable; 1 is right.
    #[serde(default, deserialize_with = "nullable::optional_numbers")]
    pub climate_std_ratio: Option<Vec<f64>>,
    /// Statistics of the free runs as a whole; `None` in reports of earlier versions.
    #[serde(default)]
    pub long_run: LongRun,
    /// Why metrics are missing, for example why a baseline was not run.
    pub note: Option<String>,
}

/// How like the truth the free runs are, whatever the moment; `docs/metrics.md` defines each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LongRun {
    /// Kullback–Leibler divergence of the visited states, in nats.
    pub divergence: Option<f64>,
    /// Hellinger distance of the power spectra, mean over the variables.
    pub spectral_distance: Option<f64>,
    /// Largest Lyapunov exponent of the learned map, per unit of time; trained models only.
    pub lyapunov_exponent: Option<f64>,
    /// Mean absolute error over that of one-step persistence in training, mean over the variables.
    pub mase: Option<f64>,
    /// Symmetric mean absolute percentage error, mean over the variables, physical units.
    pub smape_percent: Option<f64>,
    /// Error of the mean velocity profile, shear flow only.
    pub mean_profile_error: Option<f64>,
    /// Error of the profile of velocity fluctuations, shear flow only.
    pub fluctuation_error: Option<f64>,
}

/// Relative L² error `100 · ‖forecast − truth‖₂ / ‖truth‖₂` over time, in percent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RelativeL2 {
    /// One number per variable, in the order of the data's columns.
    #[serde(deserialize_with = "nullable::numbers")]
    pub per_variable: Vec<f64>,
    /// Mean over the variables.
    #[serde(deserialize_with = "nullable::number")]
    pub mean: f64,
}

/// Valid prediction time: how long the relative error of a free run stays at or below a threshold.
///
/// Times are in the unit of [`DataInfo::time_scale`], for example Lyapunov times.
///
/// [`DataInfo::time_scale`]: super::DataInfo::time_scale
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VptRow {
    /// Threshold on `‖error‖ / rms‖truth‖`, standardised units.
    pub threshold: f64,
    /// Median over the starts.
    #[serde(deserialize_with = "nullable::number")]
    pub median: f64,
    /// Lower quartile over the starts.
    #[serde(deserialize_with = "nullable::number")]
    pub q25: f64,
    /// Upper quartile over the starts.
    #[serde(deserialize_with = "nullable::number")]
    pub q75: f64,
    /// Mean over the starts.
    #[serde(deserialize_with = "nullable::number")]
    pub mean: f64,
    /// Number of starts.
    pub n: usize,
    /// Starts whose error never crossed the threshold; they count with the length of the rollout.
    pub n_censored: usize,
}

/// Median relative error after a number of free-running steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorAt {
    /// Steps after the last input.
    pub steps: usize,
    /// Median of `‖error‖ / rms‖truth‖` over the starts, standardised units; NaN if it diverged.
    #[serde(deserialize_with = "nullable::number")]
    pub median: f64,
}

impl VptRow {
    /// Whether the quantile with this part of the starts above it is only a lower bound.
    ///
    /// Censored times are the longest: the upper quartile (0.25) is the first to become a bound.
    pub(super) fn is_bound(&self, part_above: f64) -> bool {
        self.n_censored > 0 && self.n_censored as f64 >= part_above * self.n as f64
    }
}

impl ScoreRow {
    /// The valid prediction time at `threshold`.
    #[must_use]
    pub fn vpt_at(&self, threshold: f64) -> Option<&VptRow> {
        self.vpt.iter().find(|row| (row.threshold - threshold).abs() < 1e-9)
    }
}
