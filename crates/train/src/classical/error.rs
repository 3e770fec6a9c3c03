//! Why a classical method could not be fitted.

use thiserror::Error;

/// Why a classical method could not be fitted; a table shows it as "not run: …".
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ClassicalError {
    /// A field of the configuration is out of range.
    #[error("{method}: {key} = {value}, expected {expected}")]
    InvalidConfig {
        /// Method that was asked for.
        method: &'static str,
        /// Field of its configuration.
        key: &'static str,
        /// Value found.
        value: f64,
        /// What is allowed.
        expected: &'static str,
    },
    /// The regression would need more memory and time than a baseline is worth.
    #[error(
        "{method} would have {features} features ({formula}), the limit is {limit}; \
         use fewer lags or fewer columns, or raise max_features"
    )]
    TooManyFeatures {
        /// Method that was asked for.
        method: &'static str,
        /// Features it would have, `usize::MAX` if more.
        features: usize,
        /// How they come about.
        formula: String,
        /// `max_features` of the configuration.
        limit: usize,
    },
    /// No training series is long enough for one example.
    #[error(
        "{method} needs a training series of at least {needed} rows; \
         the longest of {n_series} has {longest}"
    )]
    TooShort {
        /// Method that was asked for.
        method: &'static str,
        /// Rows of one example, input and target.
        needed: usize,
        /// Number of training series.
        n_series: usize,
        /// Rows of the longest one.
        longest: usize,
    },
    /// A training value is NaN or infinite.
    #[error("{method}: training series {series} holds {value} at row {row}, column {column}")]
    NotFinite {
        /// Method that was asked for.
        method: &'static str,
        /// Index of the series, from 0.
        series: usize,
        /// Row in the series, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// Value found.
        value: f64,
    },
    /// The columns of the regression depend linearly on each other and nothing decides between them.
    #[error("{method}: the regression has no unique solution; set ridge above {ridge}")]
    Singular {
        /// Method that was asked for.
        method: &'static str,
        /// Strength of the penalty that was not enough, dimensionless.
        ridge: f64,
    },
    /// It would take longer than a baseline is worth.
    #[error("{method} would need {operations:.1e} operations, the limit is {limit:.1e}; {remedy}")]
    TooSlow {
        /// Method that was asked for.
        method: &'static str,
        /// Products and sums it would need.
        operations: f64,
        /// Most of them.
        limit: f64,
        /// How to need fewer.
        remedy: &'static str,
    },
}
