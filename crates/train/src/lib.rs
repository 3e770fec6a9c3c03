//! Training, evaluation, checkpoints and reports: a model meets its task.
//!
//! The way of a run: [`RunConfig`] → data, split and normalised → [`train`] → model file, scores
//! beside the [`classical`] baselines, and a [`report`]. [`resume`] goes on where a run stopped,
//! [`evaluate`] scores it again, [`predict`] continues a user's file, [`compare`] puts several
//! models into one table, [`inspect`] looks at the trained attention, [`stream`] reads live input.

mod checkpoint;
pub mod classical;
pub mod classification;
mod closed_form;
mod compare;
mod descent;
mod ensemble;
mod error;
mod evaluate;
mod fit;
mod forecast_config;
mod forecast_run;
mod forecasting;
pub mod inspect;
pub mod language;
mod lbfgs;
pub mod metric;
pub mod model_file;
mod observer;
pub mod operator;
pub mod optimizer;
mod precision;
mod predict;
pub mod preset;
pub mod registry;
pub mod report;
pub mod reproduce;
mod rollout;
mod run;
mod run_config;
mod run_folder;
mod run_report;
pub mod runs;
mod schedule;
mod shear_flow;
pub mod stream;
pub mod sweep;

pub use closed_form::ClosedFormConfig;
pub use compare::{Comparison, compare};
pub use ensemble::{EnsembleAt, EnsembleReport, evaluate_ensemble};
pub use error::TrainError;
pub use fit::{FinishConfig, FitConfig, RolloutConfig};
pub use forecast_config::{
    DataConfig, DataSource, EvaluateConfig, FileData, ForecastConfig, ForecastKind, NoiseConfig,
    SimulatedData, TaskConfig, TestSeries,
};
pub use observer::{Observer, Silent};
pub use precision::Precision;
pub use predict::{PredictRequest, Prediction, predict};
pub use regard_nn::mechanism::StreamCertificate;
pub use run::{Outcome, TrainOptions, evaluate, make_data, resume, train};
pub use run_config::RunConfig;
pub use run_folder::ROOT as RUNS_ROOT;
pub use schedule::ScheduleConfig;
