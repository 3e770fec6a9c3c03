//! What a run leaves for people and programs: `report.json`, `report.html` and tables for the terminal.
//!
//! [`RunReport`] is the whole content, a [`Report`] of forecasts, a [`ClassifyReport`], a
//! [`LanguageReport`] or an [`OperatorReport`]; everything else here only shows it. Its serde form is
//! `report.json`. [`html`] renders one run or a comparison of runs as a single file without network
//! access or scripts, [`text`] the same scores as plain tables.
//!
//! Rules that hold everywhere: a figure that was not computed is `None` (or NaN inside a curve) and
//! shown as `–`, never as 0; every name that came from outside is escaped where it is written.

pub mod file;
pub mod html;
pub mod text;

mod any;
mod certificate;
mod class_table;
mod classify;
mod comparison;
mod format;
mod json;
mod language;
mod language_table;
mod language_text;
mod markup;
mod method_table;
mod nullable;
mod operator;
mod operator_table;
mod operator_text;
mod plot;
mod rollout;
mod schema;
mod score;
mod score_table;
mod sweep;
mod sweep_text;
#[cfg(test)]
mod synthetic;
mod verdict;

pub use any::RunReport;
pub use certificate::{Certificate, CertificateLine, Measure};
pub use classify::{ClassData, ClassModel, ClassPart, ClassRow, ClassifyReport};
pub use json::ReportError;
pub use language::{
    LanguageData, LanguageModelInfo, LanguageReport, LanguageRow, TextPart, TextSample,
};
pub use operator::{
    FunctionExample, FunctionSpectra, OperatorData, OperatorInfo, OperatorPart, OperatorReport,
    OperatorRow,
};
pub use rollout::{
    ErrorGrowth, PhasePortrait, PoincareSection, RolloutExample, RolloutPlots, ValidUntil,
};
pub use schema::{
    Ceiling, DataInfo, EpochRow, ModelInfo, Report, RunInfo, ScoreMatrix, ScoreMeaning, SplitInfo,
    TrainingInfo,
};
pub use score::{ErrorAt, LongRun, RelativeL2, ScoreRow, VptRow};
pub use sweep::{SweepBest, SweepKey, SweepReport, SweepTrial};
pub(crate) use sweep_text::sweep_line;
pub use sweep_text::sweep_table;
