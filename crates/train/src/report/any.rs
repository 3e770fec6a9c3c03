//! The report of a run, whatever its task.

use serde::Serialize;

use super::classify::ClassifyReport;
use super::json::{ReportError, pretty, version_checked};
use super::language::LanguageReport;
use super::operator::OperatorReport;
use super::schema::{Report, RunInfo, TrainingInfo};
use super::{html, language_text, operator_text, text};

/// The report of a run, by its task.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RunReport {
    /// Of a run that forecasts.
    Forecast(Report),
    /// Of a run that classifies.
    Classify(ClassifyReport),
    /// Of a run that learns to go on with a text.
    Language(LanguageReport),
    /// Of a run that learns an operator.
    Operator(OperatorReport),
}

impl RunReport {
    /// Which run this is.
    #[must_use]
    pub fn run(&self) -> &RunInfo {
        match self {
            Self::Forecast(report) => &report.run,
            Self::Classify(report) => &report.run,
            Self::Language(report) => &report.run,
            Self::Operator(report) => &report.run,
        }
    }

    /// How the training went.
    #[must_use]
    pub fn training(&self) -> &TrainingInfo {
        match self {
            Self::Forecast(report) => &report.training,
            Self::Classify(report) => &report.training,
            Self::Language(report) => &report.training,
            Self::Operator(report) => &report.training,
        }
    }

    /// Why the trained model should not be used, if it should not.
    #[must_use]
    pub fn objection(&self) -> Option<&'static str> {
        match self {
            Self::Forecast(report) if !report.beats_persistence() => {
                Some("is not better than persistence (repeating the last value)")
            }
            Self::Classify(report) if !report.beats_majority() => {
                Some("is not better than always naming the most frequent class")
            }
            Self::Language(report) if !report.beats_unigram() => {
                Some("is not better than the frequencies of single tokens")
            }
            Self::Operator(report) if !report.beats_mean() => {
                Some("is not better than the mean of the training functions")
            }
            _ => None,
        }
    }

    /// The scores for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Forecast(report) => text::table(report),
            Self::Classify(report) => text::classification(report),
            Self::Language(report) => language_text::language(report),
            Self::Operator(report) => operator_text::operator(report),
        }
    }

    /// The page.
    #[must_use]
    pub fn html(&self) -> String {
        match self {
            Self::Forecast(report) => html::render(report),
            Self::Classify(report) => html::render_classification(report),
            Self::Language(report) => html::render_language(report),
            Self::Operator(report) => html::render_operator(report),
        }
    }

    /// The report as JSON, ending in a newline. NaN and ±∞ become `null`.
    #[must_use]
    pub fn to_json_pretty(&self) -> String {
        pretty(self)
    }

    /// Reads what [`RunReport::to_json_pretty`] wrote.
    ///
    /// # Errors
    /// [`ReportError`] if the text is no report or one of another format version.
    pub fn from_json(text: &str) -> Result<Self, ReportError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        Ok(match value.get("task").and_then(serde_json::Value::as_str) {
            Some(ClassifyReport::TASK) => {
                Self::Classify(version_checked(value, ClassifyReport::FORMAT_VERSION)?)
            }
            Some(LanguageReport::TASK) => {
                Self::Language(version_checked(value, LanguageReport::FORMAT_VERSION)?)
            }
            Some(OperatorReport::TASK) => {
                Self::Operator(version_checked(value, OperatorReport::FORMAT_VERSION)?)
            }
            _ => Self::Forecast(version_checked(value, Report::FORMAT_VERSION)?),
        })
    }

    /// The report of a run that forecasts, if this is one.
    #[must_use]
    pub fn forecast(self) -> Option<Report> {
        match self {
            Self::Forecast(report) => Some(report),
            Self::Classify(_) | Self::Language(_) | Self::Operator(_) => None,
        }
    }

    /// The report of a run that classifies, if this is one.
    #[must_use]
    pub fn classify(self) -> Option<ClassifyReport> {
        match self {
            Self::Classify(report) => Some(report),
            Self::Forecast(_) | Self::Language(_) | Self::Operator(_) => None,
        }
    }
}
