//! Runs that learn to go on with a text.
//!
//! ```text
//! text → parts → tokens → windows → language model → cross entropy → nats per token, a generated text
//! ```

mod baselines;
mod config;
mod data;
mod generate;
mod objective;
mod run;

pub use config::{
    LanguageConfig, LanguageFit, LanguageKind, LanguageTask, SampleConfig, TextSource,
};
pub(crate) use data::token_tensor;
pub use generate::{Generator, Sampling};
pub(crate) use run::evaluate;
